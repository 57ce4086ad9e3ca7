//go:build linux

package wine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

// patience is how long a command or a wait may take. On a machine with nothing
// else to do the longest takes a few seconds.
const patience = 2 * time.Minute

// A host is a Windows of a test's own: a Wine prefix.
type host struct {
	prefix string
	dir    string     // what build made
	calls  int        // of msiexec
	stayed chan error // how that ended which start started; nil if nothing runs
}

// newHost makes a Windows 10.
func newHost(t *testing.T) *host {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("packages for x64 run on amd64 only")
	}
	testbed.Need(t, "wine", "wineserver", "setarch", "ip")
	dir := testbed.Dir(t)
	from, err := template(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{prefix: filepath.Join(t.TempDir(), "prefix"), dir: dir}
	if err := clone(from, h.prefix); err != nil {
		t.Fatal(err)
	}
	h.start(t)
	return h
}

// template is the prefix that all hosts begin as. The first test makes it, for that
// takes longer than most tests.
func template(dir string) (string, error) {
	name := filepath.Join(dir, "prefix")
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	if err := alone(); err != nil {
		return "", err
	}
	h := &host{prefix: name + ".new", dir: dir}
	if err := os.Mkdir(h.prefix, 0o755); err != nil {
		return "", err
	}
	for _, argv := range [][]string{
		{"wine", "wineboot", "-i"},
		{"wineserver", "--wait"}, // what is started while Wine still sets itself up fails
		{filepath.Join(dir, "wineshim"), h.file(`C:\windows\system32\bcryptprimitives.dll`)},
		{"wine", "winecfg", "-v", "win10"}, // Wine 8 is a Windows 7 by itself
		{"wineserver", "--wait"},
	} {
		if out, err := h.run(argv...); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
		}
	}
	return name, os.Rename(h.prefix, name)
}

// alone brings up the loopback interface of the network that testbed.Main made for
// the tests, and refuses to go on in any other.
func alone() error {
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Name != "lo" {
			return fmt.Errorf("there is a network interface %s: refusing to install anything here", i.Name)
		}
	}
	return exec.Command("ip", "link", "set", "lo", "up").Run()
}

// clone copies a prefix. The libraries of Windows, nearly all of its 700 MB, are
// other names of the same files: nothing writes into them.
func clone(from, to string) error {
	return filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case e.IsDir():
			return os.Mkdir(target, 0o755)
		case e.Type() == fs.ModeSymlink:
			link, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case slices.Contains([]string{".dll", ".exe", ".sys", ".drv", ".ocx", ".nls"}, path.Ext(rel)):
			return os.Link(name, target)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o644)
	})
}

// file is where a file of the host is on this machine.
func (h *host) file(name string) string {
	return filepath.Join(h.prefix, "drive_c", strings.ReplaceAll(strings.TrimPrefix(name, `C:\`), `\`, "/"))
}

// run runs a program with the host as its Windows, and gives its output. The
// output goes through a file: services that Wine starts keep a pipe open.
func (h *host) run(argv ...string) (string, error) {
	out, err := os.CreateTemp(filepath.Dir(h.prefix), "out-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("not within %v", patience))
	defer cancel()
	cmd := h.command(ctx, argv...)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	b, rerr := os.ReadFile(out.Name())
	return string(b), errors.Join(err, rerr)
}

// command is a command for the host, without address space randomization (setarch -R):
// Debian's wine64 is linked to an address, and with it the kernel puts the heap, once
// in some thousand starts, where Windows has its shared data. The program then ends
// without a word, and Windows Installer counts an action that it could not start as
// done.
func (h *host) command(ctx context.Context, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "setarch", append([]string{"-R"}, argv...)...)
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name != "DISPLAY" && !strings.HasPrefix(name, "WINE") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+filepath.Dir(h.prefix), "WINEPREFIX="+h.prefix, "WINEARCH=win64",
		"WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml,winemenubuilder.exe=")
	return cmd
}

// start has somebody work on the host until the test ends: some seconds after the
// last program that is no service, Wine ends services too. It returns when he is at
// work, for programs that start while Wine does get in each other's way.
func (h *host) start(t *testing.T) {
	t.Helper()
	stay := h.command(context.Background(), "wine", h.program(), "stay")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stay.Stdout, stay.Stderr = in, in
	err = stay.Start()
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	h.stayed = make(chan error, 1)
	go func() { h.stayed <- stay.Wait() }()
	t.Cleanup(func() { h.stop(t) })
	if err := out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if said = append(said, lines.Text()); lines.Text() == "true" {
			return
		}
	}
	t.Fatalf("the host does not start: %q", said)
}

// program is look. Z: is this machine's root.
func (h *host) program() string { return "Z:" + filepath.Join(h.dir, "look.exe") }

// stop ends everything that runs on the host, once.
func (h *host) stop(t *testing.T) {
	t.Helper()
	if h.stayed == nil {
		return
	}
	select {
	case err := <-h.stayed:
		t.Errorf("the host had ended before the test did: %v", err)
	default:
	}
	_, _ = h.run("wineserver", "--kill") // an error where nothing runs
	if out, err := h.run("wineserver", "--wait"); err != nil {
		t.Errorf("wineserver --wait: %v\n%s", err, out)
	}
	h.stayed = nil
}

// look has the program look tell something about the host, into found.
func (h *host) look(t *testing.T, found any, args ...string) {
	t.Helper()
	out, err := h.run(append([]string{"wine", h.program()}, args...)...)
	if err != nil {
		t.Fatalf("look %q: %v\n%s", args, err, out)
	}
	// Wine has things to say too.
	for line := range strings.Lines(out) {
		if json.Unmarshal([]byte(line), found) == nil {
			return
		}
	}
	t.Fatalf("look %q: no JSON in what it says:\n%s", args, out)
}

// msiexec runs the installer without a window and gives its exit code.
func (h *host) msiexec(t *testing.T, args ...string) int {
	t.Helper()
	h.calls++
	line := "msiexec " + strings.Join(args, " ") + " /qn /l*v " + h.log()
	var code int
	h.look(t, &code, "run", line)
	t.Logf("%s: exit code %d", line, code)
	return code
}

// log is what the installer last wrote.
func (h *host) log() string { return fmt.Sprintf(`C:\msi%d.log`, h.calls) }

// want runs the installer and fails the test if it ends in another way.
func (h *host) want(t *testing.T, code int, args ...string) {
	t.Helper()
	if got := h.msiexec(t, args...); got != code {
		t.Fatalf("exit code %d, want %d\n%s", got, code, h.said())
	}
}

// said is the end of what the services, the hooks and the installer have written into
// their logs.
func (h *host) said() string {
	var b strings.Builder
	logs := []string{h.file(h.log())}
	for _, pattern := range []string{data + `\log\*.log`, `C:\windows\temp\*.log`} {
		found, err := filepath.Glob(h.file(pattern))
		if err != nil {
			fmt.Fprintf(&b, "%v\n", err)
		}
		logs = append(found, logs...)
	}
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintf(&b, "%v\n", err)
			continue
		}
		lines := strings.Split(string(text), "\n")
		fmt.Fprintf(&b, "end of %s:\n%s\n", name, strings.Join(lines[max(0, len(lines)-150):], "\n"))
	}
	return b.String()
}

// bring copies a package to the host and gives its path there.
func (h *host) bring(t *testing.T, pkg string) string {
	t.Helper()
	name := `C:\packages\` + filepath.Base(pkg)
	b, err := os.ReadFile(pkg)
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, name, string(b))
	return name
}

func (h *host) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.file(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.file(name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (h *host) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(h.file(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (h *host) remove(name string) error { return os.Remove(h.file(name)) }

// exists reports whether there is a file or folder.
func (h *host) exists(t *testing.T, name string) bool {
	t.Helper()
	_, err := os.Lstat(h.file(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// values are those of a registry key below HKEY_LOCAL_MACHINE; nil without the key.
func (h *host) values(t *testing.T, key string) map[string]string {
	t.Helper()
	var found map[string]string
	h.look(t, &found, "values", key)
	return found
}

// A state is what a service is doing.
type state struct {
	State   string
	Process uint32
}

func (h *host) services(t *testing.T, names ...string) map[string]state {
	t.Helper()
	var found map[string]state
	h.look(t, &found, append([]string{"services"}, names...)...)
	return found
}

// programs are the entries of the list of installed programs, by key, of products
// with that name.
func (h *host) programs(t *testing.T, name string) map[string]map[string]string {
	t.Helper()
	const list = `Software\Microsoft\Windows\CurrentVersion\Uninstall`
	var keys []string
	h.look(t, &keys, "keys", list)
	found := make(map[string]map[string]string)
	for _, k := range keys {
		if v := h.values(t, list+`\`+k); v["DisplayName"] == name {
			found[k] = v
		}
	}
	return found
}
