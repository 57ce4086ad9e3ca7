package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/internal/programs"
)

// asHook in the environment makes the test program be the hook itself.
const asHook = "VPKG_TEST_AS_HOOK"

func TestMain(m *testing.M) {
	if os.Getenv(asHook) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		args string
		want call
		ok   bool
	}{
		{"post-install --format rpm -- 1", call{"post-install", "rpm", []string{"1"}}, true},
		{"pre-remove --format=deb -- upgrade 2.0", call{"pre-remove", "deb", []string{"upgrade", "2.0"}}, true},
		{"pre-remove --format msi -- REMOVE=ALL REMOVEDATA=", call{"pre-remove", "msi", []string{"REMOVE=ALL", "REMOVEDATA="}}, true},
		{"post-trans --format rpm --", call{"post-trans", "rpm", []string{}}, true},
		{"post-trans --format rpm", call{"post-trans", "rpm", nil}, true},
		{"post-install --format deb -- --format rpm", call{"post-install", "deb", []string{"--format", "rpm"}}, true},
		{"mid-install --format rpm -- 1", call{}, false},
		{"post-install --format apk -- 1", call{}, false},
		{"post-install -- 1", call{}, false},
		{"post-install --format", call{}, false},
		{"post-install --format rpm --fast -- 1", call{}, false},
		{"post-install --format rpm 1", call{}, false},
	} {
		got, err := parse(strings.Fields(tc.args))
		if !tc.ok && !errors.Is(err, hooks.ErrUnknown) || tc.ok && err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("parse(%s) gives %+v, %v, want %+v", tc.args, got, err, tc.want)
		}
	}
}

// A host is a folder in which the hook, a copy of the test program, does its
// work: DPKG_ROOT names it, and PATH has stubs of all that would change another.
type host struct {
	root, hook string
	env        []string
}

func newHost(t *testing.T) *host {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the host is a Linux one")
	}
	h := &host{root: t.TempDir()}
	h.hook = filepath.Join(h.root, "info", "illumio-ven.hook")
	bin := filepath.Join(h.root, "bin")
	for _, name := range []string{"useradd", "groupadd", "systemctl", "userdel", "groupdel"} {
		h.write(t, "bin/"+name, "#!/bin/sh\necho \"${0##*/} $*\" >>"+h.root+"/calls\nexit ${STUB:-0}\n", 0o755)
	}
	awk, err := exec.LookPath("awk")
	if err != nil {
		t.Skip("awk is not installed")
	}
	if err := os.Symlink(awk, filepath.Join(bin, "awk")); err != nil {
		t.Fatal(err)
	}
	h.env = []string{asHook + "=1", "PATH=" + bin, "DPKG_ROOT=" + h.root}
	h.write(t, "etc/passwd", fmt.Sprintf("root:x:0:0\nilo-ven:x:%d:%d\n", os.Getuid(), os.Getgid()), 0o644)
	h.write(t, "etc/group", fmt.Sprintf("root:x:0:\nilo-ven:x:%d:\n", os.Getgid()), 0o644)
	h.write(t, "opt/illumio_ven/bin/x", "", 0o755)
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, "info/illumio-ven.hook", string(self), 0o755)
	h.writeConfig(t, hooks.Config{
		Format: 1, Name: "illumio-ven", Version: "2.0-1", Program: "/opt/illumio_ven", Data: "/opt/illumio_ven_data",
		Log: "/var/log/illumio_install.log", EnvPrefix: "VEN_", Account: hooks.Account{User: "ilo-ven"},
		Folders: []hooks.Folder{{Path: "/opt/illumio_ven_data", Mode: 0o750, Owner: "ilo-ven", Group: "ilo-ven"}},
		Units:   []hooks.Unit{{Name: "illumio-ven.service", Enable: true}},
	})
	return h
}

func (h *host) writeConfig(t *testing.T, c hooks.Config) {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, "info/illumio-ven.hook-config", string(b), 0o644)
}

func (h *host) write(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	name = filepath.Join(h.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (h *host) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(h.root, name)) // a file that is not there is empty
	return string(b)
}

// call runs the hook as a maintainer script does.
func (h *host) call(t *testing.T, args string, env ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(h.hook, strings.Fields(args)...)
	cmd.Env = append(slices.Clone(h.env), env...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestInstallIntoRoot(t *testing.T) {
	h := newHost(t)
	const code = "1f2e3d4c"
	for _, args := range []string{"pre-install --format deb -- install", "post-install --format deb -- configure"} {
		status, _, stderr := h.call(t, args, "VEN_ACTIVATION_CODE="+code)
		if status != 0 || stderr != "" {
			t.Fatalf("%s ends with %d and says %q", args, status, stderr)
		}
	}
	var in hooks.Installed
	if err := json.Unmarshal([]byte(h.read("var/lib/vpkg/illumio-ven/installed.json")), &in); err != nil || in.Version != "2.0-1" {
		t.Errorf("the installed state is %+v, %v", in, err)
	}
	if info, err := os.Stat(h.root + "/opt/illumio_ven_data"); err != nil || info.Mode() != fs.ModeDir|0o750 {
		t.Errorf("the data folder: %v, %v", info, err)
	}
	calls := "systemctl --root " + h.root + " is-enabled illumio-ven.service\n"
	calls += calls + "systemctl --root " + h.root + " enable illumio-ven.service\n"
	if got := h.read("calls"); got != calls {
		t.Errorf("the programs called are\n%swant\n%s", got, calls)
	}
	if info, err := os.Stat(h.root + "/var/log/illumio_install.log"); err != nil || info.Mode() != 0o600 {
		t.Errorf("the log: %v, %v", info, err)
	}
}

// The log and the terminal are written by a redactor; an argument is what can
// bring the code there.
func TestRedacted(t *testing.T) {
	h := newHost(t)
	const code = "1f2e3d4c"
	h.write(t, "var/log/illumio_install.log", "", 0o644) // as the pairing script left it
	for _, args := range []string{"post-remove --format deb -- remove ", "post-remove --format deb -- recalibrate "} {
		status, _, stderr := h.call(t, args+code, "VEN_ACTIVATION_CODE="+code)
		log := h.read("var/log/illumio_install.log")
		if status != 0 || strings.Contains(stderr+log, code) || !strings.Contains(log, hooks.Redacted) {
			t.Errorf("%s ends with %d and says %q; the log is %s", args, status, stderr, log)
		}
	}
	if info, err := os.Stat(h.root + "/var/log/illumio_install.log"); err != nil || info.Mode() != 0o600 {
		t.Errorf("the log: %v, %v", info, err)
	}
}

func TestExitStatus(t *testing.T) {
	for _, tc := range []struct {
		name, args string
		env        string
		status     int
		stderr     string // what it begins with
	}{
		{"no arguments", "", "", 2, "Usage: vpkg-hook"},
		{"help", "--help", "", 0, ""},
		{"phase of a later version", "mid-install --format deb -- x", "", 0, `vpkg-hook: phase "mid-install": not known`},
		{"option of a later version", "post-install --fast --format deb -- configure", "", 0, `vpkg-hook: option "--fast": not known`},
		{"call of a later dpkg", "post-install --format deb -- recalibrate", "", 0, `vpkg-hook: dpkg post-install script: ["recalibrate"]: not known`},
		{"unknown account", "pre-install --format deb -- install", "VEN_NONPRIV_USER=www", 1, `vpkg-hook: illumio-ven pre-install: known www: there is no user "www"`},
		{"account that is no name", "pre-install --format deb -- install", "VEN_NONPRIV_USER=a b", 1, `vpkg-hook: VEN_NONPRIV_USER: "a b" is not a user's name`},
		{"the same on the way out", "pre-remove --format deb -- remove", "VEN_NONPRIV_USER=a b", 0, `vpkg-hook: VEN_NONPRIV_USER: "a b" is not a user's name`},
		{"systemctl fails", "post-install --format deb -- configure", "STUB=1", 1, "vpkg-hook: illumio-ven post-install: enabled illumio-ven.service: systemctl enable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHost(t)
			status, _, stderr := h.call(t, tc.args, tc.env)
			if status != tc.status || !strings.HasPrefix(stderr, tc.stderr) || tc.stderr == "" && stderr != "" {
				t.Errorf("it ends with %d and says %q, want %d and %q", status, stderr, tc.status, tc.stderr)
			}
			if log := h.read("var/log/illumio_install.log"); tc.status < 2 && tc.stderr != "" && !strings.Contains(log, "level=ERROR") {
				t.Errorf("the log has no error: %s", log)
			}
			if failed := h.read("var/lib/vpkg/illumio-ven/failed"); (failed != "") != (tc.name == "systemctl fails") {
				t.Errorf("the mark is %q", failed)
			}
		})
	}
	t.Run("no configuration", func(t *testing.T) {
		h := newHost(t)
		if err := os.Remove(h.hook + "-config"); err != nil {
			t.Fatal(err)
		}
		for args, want := range map[string]int{"post-install --format deb -- configure": 1, "pre-remove --format deb -- remove": 0} {
			if status, _, stderr := h.call(t, args); status != want || !strings.Contains(stderr, "hook.json: no such file") {
				t.Errorf("%s ends with %d and says %q, want %d", args, status, stderr, want)
			}
		}
	})
}

func TestVersion(t *testing.T) {
	h := newHost(t)
	if _, out, _ := h.call(t, "version"); out != "vpkg-hook 1 (illumio-ven 2.0-1)\n" {
		t.Errorf("the version is %q", out)
	}
}

// The hook is inside every package: what it may be made of is decided, for every
// system. Folders are read here, not by the go command, so that a cached result
// of this test ends with the first new import.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("the go command is not installed")
	}
	const module = "github.com/vpkg/vpkg/"
	allowed := []string{
		module + "hooks", module + "hooks/firewall", module + "hooks/tinyjson", module + "platform", "golang.org/x/sys/unix",
		"golang.org/x/sys/windows", "golang.org/x/sys/windows/svc", "golang.org/x/sys/windows/svc/mgr",
	}
	refused := []string{"net", "net/http", "crypto/tls", "encoding/json", "log/slog", "regexp", "text/template"}
	for _, goos := range []string{"linux", "windows"} {
		context := build.Default
		context.GOOS, context.GOARCH, context.CgoEnabled = goos, "amd64", false
		context.GOROOT = strings.TrimSpace(string(out))
		seen := map[string]bool{}
		var visit func(importer, name string)
		visit = func(importer, name string) {
			if seen[name] || name == "unsafe" {
				return
			}
			seen[name] = true
			if slices.Contains(refused, name) {
				t.Errorf("%s: %s imports %s", goos, importer, name)
			}
			dir := filepath.Join(context.GOROOT, "src", name)
			switch first, _, _ := strings.Cut(name, "/"); {
			case name == module+"cmd/vpkg-hook":
				dir = "."
			case strings.HasPrefix(name, module):
				dir = filepath.Join("..", "..", strings.TrimPrefix(name, module))
				fallthrough
			case strings.Contains(first, "."):
				if !slices.Contains(allowed, name) {
					t.Errorf("%s: %s imports %s", goos, importer, name)
				}
				if strings.HasPrefix(name, "golang.org/") {
					return // whose own imports are few, and pinned
				}
			}
			if _, err := os.ReadDir(dir); err != nil {
				t.Fatal(err)
			}
			p, err := context.ImportDir(dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, next := range p.Imports {
				visit(name, next)
			}
		}
		visit("the test", module+"cmd/vpkg-hook")
		if !seen["os/exec"] {
			t.Error("the test sees too little")
		}
	}
}

func TestSize(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not installed")
	}
	for goos, most := range map[string]int64{"linux": 3_000_000, "windows": 3_200_000} { // bytes
		file := filepath.Join(t.TempDir(), "vpkg-hook")
		cmd := exec.Command("go", append(programs.BuildArgs(), "-o", file, ".")...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH=amd64", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", goos, info.Size())
		if info.Size() >= most {
			t.Errorf("the hook for %s has %d bytes, want less than %d", goos, info.Size(), most)
		}
	}
}
