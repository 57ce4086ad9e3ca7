package installed_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/installed"
	"github.com/vpkg/vpkg/packaging/verify"
)

// A host is one in a folder, on which the package agent is installed. All of it
// belongs to who runs the test, which the host's own passwd and group call "agent".
// root is another name of the same number.
type host struct {
	t      *testing.T
	dir    string
	layout packaging.Layout
	config hooks.Config
	state  hooks.Installed
}

const program = "/opt/agent"

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir()}
	file := func(path string, mode fs.FileMode, text string) packaging.Entry {
		return packaging.Entry{Path: path, Mode: mode, Size: int64(len(text)), SHA256: sha256.Sum256([]byte(text))}
	}
	h.config = hooks.Config{
		Format: 1, Name: "agent", Version: "1.4.0-7", Program: program, Data: "/opt/agent_data",
		Account: hooks.Account{User: "agent"},
		Folders: []hooks.Folder{
			{Path: "/opt/agent_data", Mode: 0o750, Owner: "agent", Group: "agent"},
			{Path: "/opt/agent_data/log", Mode: 0o700, Owner: "agent", Group: "agent"},
		},
		Units: []hooks.Unit{{Name: "agent.service", RunAs: true}},
	}
	h.state = hooks.Installed{Format: 1, Version: "1.4.0-7", Program: program, Units: []string{"agent.service"}}
	config, err := h.config.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	h.layout = packaging.Layout{
		{Path: "/opt/agent", Mode: fs.ModeDir | 0o755},
		{Path: "/opt/agent/bin", Mode: fs.ModeDir | 0o750, Group: "agent"},
		file("/opt/agent/bin/agent", 0o755, "program"),
		{Path: "/opt/agent/bin/alias", Mode: fs.ModeSymlink | 0o777, Target: "agent"},
		file("/opt/agent/bin/empty", 0o644, ""),
		{Path: "/opt/agent/etc", Mode: fs.ModeDir | 0o755},
		file("/opt/agent/etc/hook.json", 0o644, string(config)),
		{Path: "/opt/agent/lib", Mode: fs.ModeDir | 0o755},
		file("/opt/agent/lib/first", 0o644, "two names"),
		file("/opt/agent/lib/second", 0o644, "two names"),
		{Path: "/opt/agent/lib/sub", Mode: fs.ModeDir | 0o755},
		file("/opt/agent/lib/sub/deep", 0o644, "deep"),
		file("/opt/agent/log/first.log", 0o644, "log"),
		{Path: "/opt/agent/state", Mode: 0o644, Ghost: true},
		file("/etc/agent.conf", 0o640, "settings"),
		file("/usr/lib/systemd/system/agent.service", 0o644, "[Service]"),
	}
	h.layout = append(h.layout, packaging.Entry{Path: "/opt/agent/log", Mode: fs.ModeDir | 0o755})
	h.layout.Sort()
	h.entry("/opt/agent/lib/second").HardLink = "/opt/agent/lib/first"
	h.entry("/etc/agent.conf").Config = packaging.ConfigNoReplace
	for path, text := range map[string]string{
		"/opt/agent/bin/agent": "program", "/opt/agent/bin/empty": "", "/opt/agent/etc/hook.json": string(config),
		"/opt/agent/lib/first": "two names", "/opt/agent/lib/sub/deep": "deep", "/opt/agent/log/first.log": "log",
		"/etc/agent.conf": "settings", "/usr/lib/systemd/system/agent.service": "[Service]",
		"/etc/passwd": fmt.Sprintf("agent:x:%d:%d::/:/bin/sh\nroot:x:%[1]d:%[2]d::/:/bin/sh\n", os.Getuid(), os.Getgid()),
		"/etc/group":  fmt.Sprintf("agent:x:%d:\nroot:x:%[1]d:\nother:x:4242:\n", os.Getgid()),
	} {
		h.write(path, text)
	}
	h.do(os.Symlink("agent", h.at("/opt/agent/bin/alias")))
	h.do(os.Link(h.at("/opt/agent/lib/first"), h.at("/opt/agent/lib/second")))
	h.do(os.MkdirAll(h.at("/opt/agent_data/log"), 0o700))
	for _, e := range h.layout {
		if !e.Ghost && e.Mode&fs.ModeSymlink == 0 {
			h.do(os.Chmod(h.at(e.Path), e.Mode.Perm()))
		}
	}
	h.do(os.Chmod(h.at("/opt/agent_data"), 0o750))
	h.do(os.Chmod(h.at("/opt/agent_data/log"), 0o700))
	h.record()
	return h
}

func (h *host) at(path string) string { return filepath.Join(h.dir, filepath.FromSlash(path)) }

func (h *host) do(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) entry(path string) *packaging.Entry {
	for i := range h.layout {
		if h.layout[i].Path == path {
			return &h.layout[i]
		}
	}
	h.t.Fatalf("no entry %s", path)
	return nil
}

func (h *host) write(path, text string) {
	h.t.Helper()
	h.do(os.MkdirAll(filepath.Dir(h.at(path)), 0o755))
	h.do(os.WriteFile(h.at(path), []byte(text), 0o644))
}

// record writes record and state.
func (h *host) record() {
	h.t.Helper()
	b, err := json.Marshal(h.layout)
	h.do(err)
	h.write(program+"/etc/layout.json", string(b))
	b, err = json.Marshal(h.state)
	h.do(err)
	h.write("/var/lib/vpkg/agent/installed.json", string(b))
}

func (h *host) verify(o installed.Options) *installed.Result {
	h.t.Helper()
	r, err := (&installed.Host{Root: h.dir}).Verify(h.t.Context(), "agent", o)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// found lists the findings as "RULE PATH".
func found(r *installed.Result) []string {
	list := []string{}
	for _, f := range r.Findings {
		list = append(list, f.Rule+" "+f.Where)
	}
	for _, u := range r.Unchecked {
		list = append(list, "unchecked "+u.Path+" "+u.Why)
	}
	return list
}

func (h *host) wants(o installed.Options, want ...string) *installed.Result {
	h.t.Helper()
	r := h.verify(o)
	if got := found(r); !slices.Equal(got, want) {
		h.t.Errorf("found %q, want %q", got, want)
		for _, f := range r.Findings {
			h.t.Log(f)
		}
	}
	return r
}

func TestHealthy(t *testing.T) {
	h := newHost(t)
	r := h.wants(installed.Options{})
	if r.Trust != installed.ByRecord || r.Checked != len(h.layout)+1 { // without a log and a ghost, with two folders of the hook and the record
		t.Errorf("trust %q, %d entries of %d", r.Trust, r.Checked, len(h.layout))
	}
}

// TestTampered: each attribute of each kind of entry, alone.
func TestTampered(t *testing.T) {
	tests := []struct {
		name   string
		tamper func(h *host)
		want   []string
	}{
		{"one byte", func(h *host) { h.write("/opt/agent/bin/agent", "Program") }, []string{"content /opt/agent/bin/agent"}},
		{"more bytes", func(h *host) { h.write("/opt/agent/bin/agent", "program and more") }, []string{"content /opt/agent/bin/agent"}},
		{"emptied", func(h *host) { h.write("/opt/agent/bin/agent", "") }, []string{"content /opt/agent/bin/agent"}},
		{"no longer empty", func(h *host) { h.write("/opt/agent/bin/empty", "x") }, []string{"content /opt/agent/bin/empty"}},
		{"mode", func(h *host) { h.do(os.Chmod(h.at("/opt/agent/bin/agent"), 0o777)) }, []string{"mode /opt/agent/bin/agent"}},
		{"setuid", func(h *host) { h.do(os.Chmod(h.at("/opt/agent/bin/agent"), 0o755|fs.ModeSetuid)) }, []string{"mode /opt/agent/bin/agent"}},
		{"sticky folder", func(h *host) { h.do(os.Chmod(h.at("/opt/agent/lib"), 0o755|fs.ModeSticky)) }, []string{"mode /opt/agent/lib"}},
		{"mode of configuration", func(h *host) { h.do(os.Chmod(h.at("/etc/agent.conf"), 0o666)) }, []string{"mode /etc/agent.conf"}},
		{"missing file", func(h *host) { h.do(os.Remove(h.at("/opt/agent/bin/agent"))) }, []string{"missing /opt/agent/bin/agent"}},
		{"missing link", func(h *host) { h.do(os.Remove(h.at("/opt/agent/bin/alias"))) }, []string{"missing /opt/agent/bin/alias"}},
		{"missing folder", func(h *host) { h.do(os.RemoveAll(h.at("/opt/agent/lib"))) }, []string{"missing /opt/agent/lib"}},
		{"missing configuration", func(h *host) { h.do(os.Remove(h.at("/etc/agent.conf"))) }, []string{"missing /etc/agent.conf"}},
		{"extra file", func(h *host) { h.write("/opt/agent/lib/sub/new", "") }, []string{"extra /opt/agent/lib/sub/new"}},
		{"extra link", func(h *host) { h.do(os.Symlink("/etc", h.at("/opt/agent/new"))) }, []string{"extra /opt/agent/new"}},
		{"extra folder", func(h *host) { h.write("/opt/agent/new/a", ""); h.write("/opt/agent/new/b", "") }, []string{"extra /opt/agent/new"}},
		{"link", func(h *host) {
			h.do(os.Remove(h.at("/opt/agent/bin/alias")))
			h.do(os.Symlink("/bin/sh", h.at("/opt/agent/bin/alias")))
		}, []string{"link /opt/agent/bin/alias"}},
		{"file for link", func(h *host) {
			h.do(os.Remove(h.at("/opt/agent/bin/alias")))
			h.write("/opt/agent/bin/alias", "program")
		}, []string{"type /opt/agent/bin/alias"}},
		{"link for file", func(h *host) {
			h.do(os.Rename(h.at("/opt/agent/bin/agent"), h.at("/tmp-agent")))
			h.do(os.Symlink("/tmp-agent", h.at("/opt/agent/bin/agent")))
		}, []string{"type /opt/agent/bin/agent"}},
		{"file for folder", func(h *host) {
			h.do(os.RemoveAll(h.at("/opt/agent/lib")))
			h.write("/opt/agent/lib", "")
		}, []string{"type /opt/agent/lib"}},
		{"link for folder", func(h *host) { // its content is looked at where it is now
			h.do(os.Rename(h.at("/opt/agent/lib"), h.at("/elsewhere")))
			h.do(os.Symlink("/elsewhere", h.at("/opt/agent/lib")))
			h.write("/elsewhere/sub/deep", "DEEP")
		}, []string{"content /opt/agent/lib/sub/deep", "type /opt/agent/lib"}},
		{"loop for folder", func(h *host) {
			h.do(os.RemoveAll(h.at("/opt/agent/lib")))
			h.do(os.Symlink("lib", h.at("/opt/agent/lib")))
		}, []string{"type /opt/agent/lib"}},
		{"copy for hard link", func(h *host) {
			h.do(os.Remove(h.at("/opt/agent/lib/second")))
			h.write("/opt/agent/lib/second", "two names")
		}, []string{"hardlink /opt/agent/lib/second"}},
		{"content under two names", func(h *host) { h.write("/opt/agent/lib/second", "two NAMES") }, []string{"content /opt/agent/lib/first"}},
		{"hard link for file", func(h *host) {
			h.do(os.Remove(h.at("/opt/agent/lib/sub/deep")))
			h.do(os.Link(h.at("/opt/agent/bin/agent"), h.at("/opt/agent/lib/sub/deep")))
			h.do(os.Chmod(h.at("/opt/agent/bin/agent"), 0o644))
			h.entry("/opt/agent/bin/agent").Mode = 0o644
			*h.entry("/opt/agent/lib/sub/deep") = packaging.Entry{
				Path: "/opt/agent/lib/sub/deep", Mode: 0o644, Size: 7, SHA256: h.entry("/opt/agent/bin/agent").SHA256,
			}
			h.record()
		}, []string{"hardlink /opt/agent/lib/sub/deep"}},
		{"owner", func(h *host) { h.entry("/opt/agent/bin/agent").Owner = "other"; h.record() }, []string{"owner /opt/agent/bin/agent"}},
		{"group", func(h *host) { h.entry("/opt/agent/bin/agent").Group = "other"; h.record() }, []string{"group /opt/agent/bin/agent"}},
		{"folder of the hook", func(h *host) { h.do(os.Chmod(h.at("/opt/agent_data/log"), 0o777)) }, []string{"mode /opt/agent_data/log"}},
		{"missing data", func(h *host) { h.do(os.RemoveAll(h.at("/opt/agent_data"))) }, []string{"missing /opt/agent_data"}},
		{"linked data", func(h *host) { // an administrator's
			h.do(os.Rename(h.at("/opt/agent_data"), h.at("/data")))
			h.do(os.Symlink("/data", h.at("/opt/agent_data")))
		}, nil},
		{"data linked to nothing", func(h *host) {
			h.do(os.RemoveAll(h.at("/opt/agent_data")))
			h.do(os.Symlink("/data", h.at("/opt/agent_data")))
		}, []string{"type /opt/agent_data"}},
		{"record missing", func(h *host) { h.do(os.Remove(h.at("/opt/agent/etc/layout.json"))) }, []string{"record /opt/agent/etc/layout.json"}},
		{"record damaged", func(h *host) { h.write("/opt/agent/etc/layout.json", "{") }, []string{"record /opt/agent/etc/layout.json"}},
		{"record open to all", func(h *host) { h.do(os.Chmod(h.at("/opt/agent/etc/layout.json"), 0o666)) }, []string{"record /opt/agent/etc/layout.json"}},
		{"record linked", func(h *host) {
			h.do(os.Rename(h.at("/opt/agent/etc/layout.json"), h.at("/layout.json")))
			h.do(os.Symlink("/layout.json", h.at("/opt/agent/etc/layout.json")))
		}, []string{"record /opt/agent/etc/layout.json"}},
		{"state damaged", func(h *host) { h.write("/var/lib/vpkg/agent/installed.json", "garbage") }, []string{"record /var/lib/vpkg/agent/installed.json"}},
		{"state of a later version", func(h *host) { h.state.Format = 2; h.record() }, []string{"record /var/lib/vpkg/agent/installed.json"}},
		{"state without a program", func(h *host) { h.state.Program = "opt/agent"; h.record() }, []string{"record /var/lib/vpkg/agent/installed.json"}},
		{"state of another type", func(h *host) {
			h.do(os.Remove(h.at("/var/lib/vpkg/agent/installed.json")))
			h.do(os.Mkdir(h.at("/var/lib/vpkg/agent/installed.json"), 0o755))
		}, []string{"record /var/lib/vpkg/agent/installed.json"}},
		{"configuration of the hook", func(h *host) { h.write("/opt/agent/etc/hook.json", "{}") }, []string{
			"content /opt/agent/etc/hook.json",
			"unchecked /opt/agent/etc/hook.json what the hook made is not known: hook configuration: format 0, want 1 hook configuration: name \"\": want letters, digits and . + - _, a letter or digit first hook configuration: version \"\": want [EPOCH:]VERSION[-RELEASE] hook configuration: program folder \"\": want a clean absolute path of letters, digits and . _ + -",
		}},
		{"everything gone", func(h *host) { h.do(os.RemoveAll(h.at("/opt/agent"))) }, []string{
			"record /opt/agent/etc/layout.json",
			"unchecked /opt/agent/etc/hook.json what the hook made is not known: open /opt/agent/etc/hook.json: no such file or directory",
		}},
		{"configuration, as it may", func(h *host) { h.write("/etc/agent.conf", "other settings") }, nil},
		{"log, as it may", func(h *host) { h.do(os.Remove(h.at("/opt/agent/log/first.log"))); h.write("/opt/agent/log/next", "") }, nil},
		{"data, as it may", func(h *host) { h.write("/opt/agent_data/new", "") }, nil},
		{"ghost, as it may", func(h *host) { h.write("/opt/agent/state", "x") }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			tt.tamper(h)
			h.wants(installed.Options{}, tt.want...)
		})
	}
}

func TestPolicy(t *testing.T) {
	tampered := func(t *testing.T) *host {
		h := newHost(t)
		h.write("/etc/agent.conf", "other settings")
		h.write("/opt/agent/log/first.log", "LOG")
		h.do(os.Chmod(h.at("/opt/agent/log/first.log"), 0o600))
		h.do(os.Chmod(h.at("/opt/agent/lib/sub/deep"), 0o600))
		h.write("/opt/agent/lib/extra", "")
		return h
	}
	plain := []string{"extra /opt/agent/lib/extra", "mode /opt/agent/lib/sub/deep"}
	tests := []struct {
		name   string
		policy verify.Policy
		want   []string
	}{
		{"none", verify.Policy{}, plain},
		{"config must match", verify.Policy{Installed: verify.Installed{Config: verify.MustMatch}}, append([]string{"content /etc/agent.conf"}, plain...)},
		{"log may differ", verify.Policy{Installed: verify.Installed{Log: verify.MayDiffer}}, append(slices.Clone(plain), "mode /opt/agent/log/first.log")},
		{"log must match", verify.Policy{Installed: verify.Installed{Log: verify.MustMatch}}, []string{
			"content /opt/agent/log/first.log", "extra /opt/agent/lib/extra", "mode /opt/agent/lib/sub/deep", "mode /opt/agent/log/first.log",
		}},
		{"ghost must match", verify.Policy{Installed: verify.Installed{Ghost: verify.MustMatch}}, append(slices.Clone(plain), "missing /opt/agent/state")},
		{"paths ignored", verify.Policy{Installed: verify.Installed{Ignore: []string{"/opt/agent/lib/**"}}}, nil},
		{"rule disabled", verify.Policy{Disable: []string{"extra"}}, plain[1:]},
		{"excepted", verify.Policy{Except: []verify.Exception{{Rule: "mode", Paths: []string{"/opt/agent/**"}, Reason: "x"}}}, plain[:1]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := slices.Clone(tt.want)
			r := tampered(t).verify(installed.Options{Policy: &tt.policy})
			got := found(r)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
		})
	}
}

// TestChosenAccount: folders of the account and the units are the chosen user's.
func TestChosenAccount(t *testing.T) {
	h := newHost(t)
	h.state.User = "other"
	h.record()
	const dropIn = "/etc/systemd/system/agent.service.d/vpkg-account.conf"
	want := []string{"missing " + dropIn, "owner /opt/agent_data", "owner /opt/agent_data/log"}
	h.wants(installed.Options{}, want...)
	h.write(dropIn, "[Service]\nUser=other\n")
	h.wants(installed.Options{}, want[1:]...)
	h.write("/etc/passwd", fmt.Sprintf("other:x:%d:%d::/:/bin/sh\nroot:x:%[1]d:%[2]d::/:/bin/sh\n", os.Getuid(), os.Getgid()))
	h.wants(installed.Options{})
	h.write(dropIn, "[Service]\nUser=owner\n")
	h.wants(installed.Options{}, "content "+dropIn)
}

func TestOwnerThatDoesNotExist(t *testing.T) {
	h := newHost(t)
	h.entry("/opt/agent/bin/agent").Owner = "nobody-of-that-name"
	h.record()
	h.write("/etc/passwd", fmt.Sprintf("root:x:%d:%d::/:/bin/sh\n", os.Getuid(), os.Getgid()))
	h.config.Account, h.config.Folders = hooks.Account{}, nil
	r := h.verify(installed.Options{Policy: &verify.Policy{Installed: verify.Installed{Ignore: []string{"/opt/agent_data/**"}}}})
	if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Text, "this host has no such user") {
		t.Errorf("found %v", r.Findings)
	}
}

func TestNotInstalled(t *testing.T) {
	h := newHost(t)
	host := &installed.Host{Root: h.dir}
	for _, name := range []string{"other", "", "..", "-x", "a/b"} {
		if _, err := host.Verify(t.Context(), name, installed.Options{}); !errors.Is(err, installed.ErrNotInstalled) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if names, err := host.Names(t.Context()); err != nil || !slices.Equal(names, []string{"agent"}) {
		t.Errorf("names %q, %v", names, err)
	}
	h.state.Version = ""
	h.record()
	if _, err := host.Verify(t.Context(), "agent", installed.Options{}); !errors.Is(err, installed.ErrNotInstalled) {
		t.Errorf("removed: %v", err)
	}
	if names, err := host.Names(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("names of what was removed: %q, %v", names, err)
	}
	if names, err := (&installed.Host{Root: t.TempDir()}).Names(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("names on an empty host: %q, %v", names, err)
	}
}

// TestState: what the product says is found as well, each once.
func TestState(t *testing.T) {
	h := newHost(t)
	h.do(os.Chmod(h.at("/opt/agent_data"), 0o777))
	h.wants(installed.Options{State: func(_ context.Context, c hooks.Config) ([]installed.Deviation, error) {
		if c.Name != "agent" {
			t.Errorf("the configuration is %v", c)
		}
		return []installed.Deviation{{Rule: "mode", Where: "/opt/agent_data"}, {Rule: "sysctl", Where: "a.b", Text: "is 1", Want: "2", Got: "1"}}, nil
	}}, "mode /opt/agent_data", "sysctl a.b")
}
