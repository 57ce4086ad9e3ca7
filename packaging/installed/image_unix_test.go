//go:build unix

package installed_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging/installed"
)

// TestImage: a host that is looked at leads nowhere else.
func TestImage(t *testing.T) {
	h := newHost(t)
	out := t.TempDir() + "/secret"
	h.do(os.WriteFile(out, []byte("secret"), 0o644))
	for name, target := range map[string]string{"out": out, "masked": "/dev/null", "absolute": "/etc/agent.conf", "relative": "../etc/./agent.conf", "loop": "loop"} {
		h.do(os.MkdirAll(h.at("/links"), 0o755))
		h.do(os.Symlink(target, h.at("/links/"+name)))
	}
	h.do(syscall.Mkfifo(h.at("/links/fifo"), 0o644))
	sys := (&installed.Host{Root: h.dir}).Image()
	for name, want := range map[string]string{"absolute": "settings", "relative": "settings", "masked": ""} {
		if b, err := sys.ReadFile("/links/" + name); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"out", "loop", "fifo", "none"} {
		if b, err := sys.ReadFile("/links/" + name); err == nil || (name == "none" || name == "out") != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	a, err := sys.Stat("/opt/agent/bin")
	if err != nil || !a.Mode.IsDir() || a.Mode.Perm() != 0o750 || a.UID != os.Getuid() || a.GID != os.Getgid() {
		t.Errorf("stat: %+v, %v", a, err)
	}
	if a, err := sys.Stat("/links/out"); err != nil || a.Mode&fs.ModeSymlink == 0 {
		t.Errorf("stat of a link: %+v, %v", a, err)
	}
	if _, err := sys.Stat("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of nothing: %v", err)
	}
	for _, key := range []string{"agent", strconv.Itoa(os.Getuid())} {
		if line, err := sys.Run(t.Context(), "getent", "passwd", key); err != nil || !strings.HasPrefix(line, "agent:x:") {
			t.Errorf("getent %s: %q, %v", key, line, err)
		}
	}
	if _, err := sys.Run(t.Context(), "getent", "group", "none"); !isStatus(err, 2) {
		t.Errorf("getent of nobody: %v", err)
	}
	if _, err := sys.Run(t.Context(), "touch", h.at("/touched")); err == nil {
		t.Error("a program ran")
	}
	if err := sys.WriteFile("/x", nil, 0o644); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("written: %v", err)
	}
}

func isStatus(err error, status int) bool {
	e, ok := errors.AsType[*hooks.ExitError](err)
	return ok && e.Status == status
}

// TestStateUnknown: what cannot be said of the product takes nothing from the rest.
func TestStateUnknown(t *testing.T) {
	h := newHost(t)
	h.write("/opt/agent/bin/agent", "another")
	h.wants(installed.Options{State: func(context.Context, hooks.Config) ([]installed.Deviation, error) {
		return nil, errors.New("no answer")
	}}, "content /opt/agent/bin/agent", "unchecked /var/lib/vpkg/agent what is in force is not known: no answer")
}

// TestUnreadable: who may not read everything is told so, and nothing more is claimed.
func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read everything")
	}
	h := newHost(t)
	h.do(os.Chmod(h.at("/opt/agent/bin/agent"), 0o100))
	h.entry("/opt/agent/bin/agent").Mode = 0o100
	h.record()
	h.do(os.Chmod(h.at("/opt/agent/lib/sub"), 0))
	defer os.Chmod(h.at("/opt/agent/lib/sub"), 0o755) //nolint:errcheck // for the folder to go
	r := h.wants(installed.Options{}, "mode /opt/agent/lib/sub",
		"unchecked /opt/agent/bin/agent permission denied", "unchecked /opt/agent/lib/sub permission denied", "unchecked /opt/agent/lib/sub/deep permission denied")
	if !r.Unchecked[0].Permission {
		t.Error("it does not say that root could")
	}
}
