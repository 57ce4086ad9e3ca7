package hooks

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHostFiles(t *testing.T) {
	h := Host{Root: t.TempDir()}
	if err := h.WriteFile("/a/b/c", []byte("one"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteFile("/a/b/c", []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := h.ReadFile("/a/b/c"); err != nil || string(b) != "two" {
		t.Errorf("the file is %q, %v", b, err)
	}
	want := Attr{Mode: 0o600, UID: os.Getuid(), GID: os.Getgid()}
	if a, err := h.Stat("/a/b/c"); err != nil || a != want {
		t.Errorf("Stat gives %+v, %v, want %+v", a, err, want)
	}
	if files, _ := os.ReadDir(h.Root + "/a/b"); len(files) != 1 {
		t.Errorf("there are %v, want one file", files)
	}
	if _, err := h.Stat("/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of nothing gives %v", err)
	}
	if err := h.Remove("/a/b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("removing a full folder gives %v, want ErrExist", err)
	}
	for _, name := range []string{"/a/b/c", "/a/b", "/a"} {
		if err := h.Remove(name); err != nil {
			t.Error(err)
		}
	}
	if err := h.Remove("/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing nothing gives %v", err)
	}
	if err := h.Sync("/"); err != nil {
		t.Error(err)
	}
}

func TestHostSetAttr(t *testing.T) {
	h := Host{Root: t.TempDir()}
	own := func(m fs.FileMode) Attr { return Attr{Mode: m, UID: os.Getuid(), GID: os.Getgid()} }
	for _, a := range []Attr{own(fs.ModeDir | 0o751), own(fs.ModeDir | 0o750 | fs.ModeSetgid)} { // made, and changed
		if err := h.SetAttr("/data", a); err != nil {
			t.Fatal(err)
		}
		if got, err := h.Stat("/data"); err != nil || got != a {
			t.Errorf("the folder is %+v, %v, want %+v", got, err, a)
		}
	}
	if err := h.SetAttr("/data/x", own(0o600)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SetAttr of a missing file gives %v", err)
	}
	if err := os.Symlink("/data", h.Root+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := h.SetAttr("/link", own(fs.ModeSymlink|0o777)); err != nil {
		t.Errorf("SetAttr of a link gives %v", err)
	}
	if os.Getuid() != 0 {
		t.Skip("owners need root")
	}
	a := Attr{Mode: 0o750 | fs.ModeSetuid, UID: 4321, GID: 4322}
	if err := h.WriteFile("/data/tool", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.SetAttr("/data/tool", a); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Stat("/data/tool"); err != nil || got != a {
		t.Errorf("the file is %+v, %v, want %+v: chown takes setuid away", got, err, a)
	}
}

// An account that owns a folder cannot make root change what a link in it points
// to.
func TestHostFollowsNoLinkOfOthers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("owners need root")
	}
	h := Host{Root: t.TempDir()}
	attr := func(mode fs.FileMode, uid int) Attr { return Attr{Mode: fs.ModeDir | mode, UID: uid} }
	for _, name := range []string{"/etc", "/etc/secret", "/data"} {
		if err := h.SetAttr(name, attr(0o700, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.SetAttr("/data", attr(0o750, 4321)); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"/data/log", "/data/etc"} {
		if err := os.Symlink(h.Root+"/etc", h.Root+link); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"/data/log", "/data/etc/secret"} {
		if err := h.SetAttr(name, attr(0o777, 4321)); err == nil {
			t.Errorf("SetAttr of %s follows the link", name)
		}
	}
	if err := h.Remove("/data/etc/secret"); err == nil {
		t.Error("Remove follows the link")
	}
	for _, name := range []string{"/etc", "/etc/secret"} {
		if got, err := h.Stat(name); err != nil || got != attr(0o700, 0) {
			t.Errorf("%s is %+v, %v", name, got, err)
		}
	}
}

func TestHostRun(t *testing.T) {
	h := Host{}
	if out, err := h.Run(t.Context(), "sh", "-c", "echo $LC_ALL"); err != nil || out != "C\n" {
		t.Errorf("Run gives %q, %v", out, err)
	}
	_, err := h.Run(t.Context(), "sh", "-c", "echo out; echo what went wrong >&2; exit 4")
	if e, ok := errors.AsType[*ExitError](err); !ok || e.Status != 4 || err.Error() != "exit status 4: what went wrong" {
		t.Errorf("Run of what fails gives %v", err)
	}
	for _, name := range []string{"no-such-program", "/no/such/program"} {
		if _, err := h.Run(t.Context(), name); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("Run of %s gives %v, want ErrNotFound", name, err)
		}
	}
}

func TestInRoot(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"useradd -r -M ilo-ven", "useradd --prefix /mnt -r -M ilo-ven"},
		{"groupdel ilo-ven", "groupdel --prefix /mnt ilo-ven"},
		{"systemctl is-enabled a.service", "systemctl --root /mnt is-enabled a.service"},
		{"/opt/illumio_ven/bin/vpkg-hook platform stop", ""},
	} {
		if got := inRoot("/mnt", strings.Fields(tc.in)); !slices.Equal(got, strings.Fields(tc.want)) {
			t.Errorf("%s becomes %q, want %s", tc.in, got, tc.want)
		}
	}
	h := Host{Root: t.TempDir()}
	if err := h.WriteFile("/etc/passwd", []byte("root:x:0:0::/:/bin/sh\nilo-ven:x:998:997::/:/sbin/nologin\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := h.Run(t.Context(), "getent", "passwd", "ilo-ven"); err != nil || !strings.HasPrefix(out, "ilo-ven:x:998:") {
		t.Errorf("getent gives %q, %v", out, err)
	}
	_, err := h.Run(t.Context(), "getent", "passwd", "ilo")
	if e, ok := errors.AsType[*ExitError](err); !ok || e.Status != 2 {
		t.Errorf("getent of nobody gives %v, want status 2", err)
	}
}

func TestHostLock(t *testing.T) {
	h := Host{Root: t.TempDir()}
	unlock, err := h.Lock("/var/lib/vpkg/a/lock")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		again, err := h.Lock("/var/lib/vpkg/a/lock")
		if err == nil {
			again()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("locked twice (%v)", err)
	case <-time.After(20 * time.Millisecond):
	}
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(h.Root, "/var/lib/vpkg/a/lock")); err != nil {
		t.Error(err)
	}
}
