package hooks

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

func TestWindowsFiles(t *testing.T) {
	h := Host{Root: tempDir(t)}
	for _, text := range []string{"one", "two"} {
		if err := h.WriteFile("/a/b/c", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := h.ReadFile("/a/b/c"); err != nil || string(b) != text {
			t.Errorf("the file is %q, %v, want %q", b, err, text)
		}
	}
	if a, err := h.Stat("/a/b/c"); err != nil || a.Mode.Type() != 0 {
		t.Errorf("Stat of a file gives %v, %v", a, err)
	}
	if a, err := h.Stat("/a/b"); err != nil || !a.Mode.IsDir() {
		t.Errorf("Stat of a folder gives %v, %v", a, err)
	}
	if files, _ := os.ReadDir(h.Root + `\a\b`); len(files) != 1 {
		t.Errorf("there are %v, want one file", files)
	}
	for name, look := range map[string]func(string) error{
		"Stat":     func(n string) error { _, err := h.Stat(n); return err },
		"ReadFile": func(n string) error { _, err := h.ReadFile(n); return err },
		"Remove":   h.Remove,
		"SetAttr":  func(n string) error { return h.SetAttr(n, Attr{Mode: 0o600}) },
	} {
		for _, file := range []string{"/x", "/x/y"} {
			if err := look(file); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s of %s, which is not there, gives %v", name, file, err)
			}
		}
	}
	if err := h.Remove("/a/b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("removing a full folder gives %v, want ErrExist", err)
	}
	for _, name := range []string{"/a/b/c", "/a/b", "/a"} {
		if err := h.Remove(name); err != nil {
			t.Error(err)
		}
	}
	if err := h.Set("/a", "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Set of what is not there gives %v", err)
	}
	if err := h.Sync("/"); err != nil {
		t.Error(err)
	}
}

// A secret is overwritten where it is.
func TestWindowsSet(t *testing.T) {
	h := Host{Root: tempDir(t)}
	if err := h.WriteFile("/code", []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Set("/code", "000000"); err != nil {
		t.Error(err)
	}
	if b, err := h.ReadFile("/code"); err != nil || string(b) != "000000\n" {
		t.Errorf("the file is %q, %v", b, err)
	}
	if err := h.Set("/", "0"); err == nil {
		t.Error("a folder is written")
	}
}

func TestWindowsRemoveAll(t *testing.T) {
	h := Host{Root: tempDir(t)}
	for _, name := range []string{"/data/a/b/c", "/data/d", "/kept/x"} {
		if err := h.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(h.Root+`\kept`, h.Root+`\data\link`); err != nil {
		t.Logf("no links here: %v", err)
	}
	f, err := os.OpenFile(h.Root+`\data\d`, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.RemoveAll("/data"); err == nil && isWine() {
		t.Error("a folder with an open file is removed") // Wine has no POSIX semantics
	}
	f.Close()
	if err := h.RemoveAll("/data"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := h.Stat("/data"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
	if _, err := h.Stat("/kept/x"); err != nil {
		t.Errorf("what a link led to: %v", err)
	}
	for _, name := range []string{`C:\`, "/Windows", "/ProgramData"} {
		if err := (Host{}).RemoveAll(name); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "not a product's own folder") {
			t.Errorf("removing %s gives %v", name, err)
		}
	}
}

// A folder that may be a user's is left, with all that is in it.
func TestWindowsRemoveAllRefused(t *testing.T) {
	h := Host{Root: tempDir(t)}
	if err := h.WriteFile("/data/a", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := removeAll(h.Root+`\data`, func(thing) error { return ErrPlanted })
	if _, serr := h.Stat("/data/a"); !errors.Is(err, ErrPlanted) || serr != nil {
		t.Errorf("removing it gives %v; what is in it: %v", err, serr)
	}
}

func TestWindowsFindHost(t *testing.T) {
	c := Config{Name: "no-such-product", Program: "/Program Files/X", Data: "/ProgramData/X"}
	h := FindHost(c, `C:\a\.`, "")
	for name, want := range map[string]string{"/Program Files/X/bin": `C:\a\bin`, "/ProgramData/X/log": os.Getenv("ProgramData") + `\a\log`} {
		if got, err := h.Locate(name); err != nil || !strings.EqualFold(got, want) {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
	if got, err := FindHost(c, `C:\a`, `D:\b\`).Locate("/ProgramData/X"); err != nil || got != `D:\b` {
		t.Errorf("the data is %q, %v", got, err)
	}
	if text := Registered(c.Name, "DataFolder"); text != "" {
		t.Errorf("the registry has %q", text)
	}
}

func TestWindowsPlaces(t *testing.T) {
	program := tempDir(t)
	h := Host{Places: map[string]string{"/opt/x": program}}
	for name, want := range map[string]string{
		"/opt/x/bin/y":        program + `\bin\y`,
		"/var/lib/vpkg/x/y":   `:\ProgramData\vpkg\x\y`,
		"/var/log/x.log":      `:\windows\Temp\x.log`,
		`C:\x`:                `C:\x`,
		"/etc/systemd/system": "",
	} {
		got, err := h.Locate(name)
		if !strings.HasSuffix(strings.ToLower(got), strings.ToLower(want)) || errors.Is(err, fs.ErrNotExist) != (want == "") {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
	if err := h.WriteFile("/etc/x", nil, 0o644); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("writing what has no place gives %v", err)
	}
	if _, err := h.Stat("/etc/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking at what has no place gives %v", err)
	}
	if err := h.Sync("/etc"); err != nil {
		t.Errorf("syncing what has no place gives %v", err)
	}
}

func TestWindowsLock(t *testing.T) {
	h := Host{Root: tempDir(t)}
	unlock, err := h.Lock("/state/lock")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		second, err := h.Lock("/state/lock")
		if err == nil {
			second()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("a lock that is held was given a second time: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
	if err := h.Remove("/state/lock"); err != nil {
		t.Error(err)
	}
}

func TestWindowsRun(t *testing.T) {
	h := Host{}
	if out, err := h.Run(t.Context(), "cmd", "/c", "echo hello"); err != nil || strings.TrimSpace(out) != "hello" {
		t.Errorf("cmd gives %q, %v", out, err)
	}
	_, err := h.Run(t.Context(), "cmd", "/c", "exit 3")
	if e, ok := errors.AsType[*ExitError](err); !ok || e.Status != 3 {
		t.Errorf("exit 3 gives %v", err)
	}
	for _, program := range []string{"no-such-program", "/opt/x/bin/y", `C:\no\such.exe`} {
		if _, err := h.Run(t.Context(), program); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%s gives %v, want ErrNotFound", program, err)
		}
	}
	if out, err := h.Run(t.Context(), "getent", "passwd", "venAgentMgrSvc"); err != nil || !strings.Contains(out, serviceSID("venAgentMgrSvc")) {
		t.Errorf("getent gives %q, %v", out, err)
	}
	_, err = h.Run(t.Context(), "getent", "passwd", "no-such-account")
	if e, ok := errors.AsType[*ExitError](err); !ok || e.Status != 2 {
		t.Errorf("getent of an account that is not there gives %v, want status 2", err)
	}
}

// What a descriptor of ours is for Windows, it is for us again.
func TestWindowsDescriptor(t *testing.T) {
	names := accounts{serviceSID("venAgentMgrSvc")}
	for _, attr := range []Attr{
		{Mode: fs.ModeDir | 0o700, UID: number(names[0])},
		{Mode: fs.ModeDir | 0o755},
		{Mode: fs.ModeDir | 0o750, UID: 19, GID: 20},
		{Mode: 0o640, GID: number(names[0])},
	} {
		d, err := names.descriptor(attr)
		if err != nil {
			t.Fatal(err)
		}
		sd, err := windows.SecurityDescriptorFromString(d.sddl())
		if err != nil {
			t.Errorf("%s: %v", d.sddl(), err)
			continue
		}
		back, err := readDescriptor(sd)
		if err != nil {
			t.Fatal(err)
		}
		if got := names.attr(back, attr.Mode.Type()); got != attr {
			t.Errorf("%s is read as %+v, %+v, want %+v", d.sddl(), back, got, attr)
		}
	}
	for text, want := range map[string]string{
		"O:BAG:SYD:PAI": "-rw-------",
		"O:BAG:SYD:(D;;FA;;;WD)(A;;FR;;;BU)(A;;FW;;;S-1-5-19)": "-rw-rwxr-x",
	} {
		sd, err := windows.SecurityDescriptorFromString(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		d, err := readDescriptor(sd)
		if got := accounts(nil).attr(d, 0); err != nil || got.Mode&^ownList != modeOfText(want) || got.Mode&ownList == 0 {
			t.Errorf("%s gives %v, %v, want %s", text, got.Mode, err, want)
		}
	}
}

// No list at all is the opposite of an empty one.
func TestWindowsNoList(t *testing.T) {
	sd, err := windows.NewSecurityDescriptor()
	if err != nil {
		t.Fatal(err)
	}
	if err := sd.SetDACL(nil, true, false); err != nil {
		t.Fatal(err)
	}
	d, err := readDescriptor(sd)
	if want := ownList | 0o677; err != nil || accounts(nil).attr(d, 0).Mode != want {
		t.Errorf("no list gives %v, %v, want %v", accounts(nil).attr(d, 0).Mode, err, want)
	}
}

func modeOfText(s string) fs.FileMode {
	var m fs.FileMode
	for _, c := range s[1:] {
		m <<= 1
		if c != '-' {
			m |= 1
		}
	}
	return m
}

// A junction of somebody who is no administrator is not followed, and no folder
// is one.
func TestWindowsJunction(t *testing.T) {
	h := Host{Root: tempDir(t)}
	if err := os.Mkdir(h.Root+`\target`, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("cmd", "/c", "mklink", "/J", h.Root+`\link`, h.Root+`\target`).CombinedOutput()
	if _, missing := os.Lstat(h.Root + `\link`); err != nil || missing != nil { // Wine 8 says that it made one
		t.Skipf("mklink makes no junction here: %v: %s", err, out)
	}
	if a, err := h.Stat("/link"); err == nil {
		t.Errorf("Stat of a junction gives %v", a)
	}
	if err := h.SetAttr("/link", Attr{Mode: fs.ModeDir | 0o700}); err == nil {
		t.Error("a junction is taken for a folder")
	}
	link, err := open(h.Root+`\link`, 0, shareAll)
	if err != nil {
		t.Fatal(err)
	}
	closeHandle(link.Handle)
	if number(link.owner) == 0 || link.own {
		t.Skip("an administrator's junction is followed, and our own")
	}
	if err := h.WriteFile("/link/x", nil, 0o644); !errors.Is(err, ErrPlanted) {
		t.Errorf("writing through a junction gives %v", err)
	}
}

// The data folder, as far as this user may make one.
func TestWindowsSetAttr(t *testing.T) {
	h := Host{Root: tempDir(t), Accounts: []string{"venAgentMgrSvc"}}
	n := number(serviceSID("venAgentMgrSvc"))
	want := Attr{Mode: fs.ModeDir | 0o700, UID: n}
	err := h.SetAttr("/data", want)
	if errors.Is(err, windows.ERROR_INVALID_OWNER) || errors.Is(err, windows.ERROR_PRIVILEGE_NOT_HELD) {
		t.Skipf("this user may not make a folder of the administrators: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.Stat("/data")
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		if isWine() {
			t.Skipf("Wine keeps permission bits, not access lists: it gives %+v", got)
		}
		t.Fatalf("the folder is %+v, want %+v", got, want)
	}
	if err := h.SetAttr("/data", Attr{Mode: fs.ModeDir | 0o755}); err != nil {
		t.Error(err)
	}
}

// A folder that an ordinary user made is made anew if it is empty, and refused if
// it is not. (Here it is our own, for who could make one of another's?)
func TestWindowsPlantedFolder(t *testing.T) {
	const user = "S-1-5-21-1-2-3-1001"
	h := Host{Root: tempDir(t)}
	if err := os.MkdirAll(h.Root+`\data\sub`, 0o755); err != nil {
		t.Fatal(err)
	}
	err := replaceFolder(h.Root+`\data`, descriptor{}, user)
	if !errors.Is(err, ErrPlanted) || !strings.Contains(err.Error(), user) || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder of another with something in it gives %v", err)
	}
	if _, err := h.Stat("/data/sub"); err != nil {
		t.Errorf("it is changed: %v", err)
	}
	if err := h.Remove("/data/sub"); err != nil {
		t.Fatal(err)
	}
	if err := replaceFolder(h.Root+`\data`, descriptor{}, user); err != nil && !errors.Is(err, windows.ERROR_INVALID_OWNER) {
		t.Errorf("an empty folder of another gives %v", err)
	}
	if a, err := h.Stat("/data"); err == nil && !a.Mode.IsDir() {
		t.Errorf("it is %v now", a.Mode)
	}
	if err := foreign(h.Root); err != nil { // what we made ourselves is not foreign
		t.Error(err)
	}
}

func TestWindowsLog(t *testing.T) {
	h := Host{Root: tempDir(t)}
	for _, line := range []string{"one\n", "two\n"} {
		f, err := h.OpenLog("/log/x.log")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(line); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(h.Root + `\log\x.log`); err != nil || string(b) != "one\ntwo\n" {
		t.Errorf("the log is %q, %v", b, err)
	}
	// A second name, which is how a user makes the log be another file.
	if err := os.Link(h.Root+`\log\x.log`, filepath.Join(h.Root, "other")); err != nil {
		t.Skipf("no second names here: %v", err)
	}
	f, err := h.OpenLog("/log/x.log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("three\n"); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(h.Root, "other")); err != nil || strings.Contains(string(b), "three") {
		t.Errorf("what was written to the log is in %q, %v", b, err)
	}
}

// tempDir is t.TempDir, but in Wine 8 os.RemoveAll always fails: what it asks for is
// only there since Wine 9.
func tempDir(t *testing.T) string {
	t.Helper()
	if !isWine() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("", "vpkg") //nolint:usetesting // as said
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// isWine reports whether this is Wine, which says so itself.
func isWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

func TestWindowsPause(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pause(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("a pause that is cancelled gives %v", err)
	}
	if err := pause(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
}
