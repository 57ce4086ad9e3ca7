//go:build linux

package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m, Setup{Suites: []Suite{Trixie}}) }

// TestGuard proves that nothing runs in the network namespace of the tests, or
// in one that passes for the machine's.
func TestGuard(t *testing.T) {
	Need(t)
	run := func(t *testing.T, prefix ...string) (string, error) {
		t.Helper()
		argv := append(prefix, guarded("echo", "it ran")...)
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		return string(out), err
	}
	t.Run("in the namespace of the tests", func(t *testing.T) {
		out, err := run(t)
		if err == nil || strings.Contains(out, "it ran") || !strings.Contains(out, "refusing to run") {
			t.Errorf("the guard let it pass: %v\n%s", err, out)
		}
	})
	t.Run("in the machine's namespace", func(t *testing.T) {
		own, err := os.Readlink("/proc/self/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		if len(current.Machine) == 0 || slices.Contains(current.Machine, own) {
			t.Fatalf("the tests are in the network namespace %s, the machine in %q", own, current.Machine)
		}
		// Whatever namespace the command gets, this guard takes it for the machine's.
		script := `exec "$1" -c "$2" guard "$(readlink /proc/self/ns/net)" -- echo it ran`
		out, err := run(t, "unshare", "-n", "/bin/sh", "-c", script, "sh", "/bin/sh", guard)
		if err == nil || strings.Contains(out, "it ran") || !strings.Contains(out, "refusing to run") {
			t.Errorf("the guard let it pass: %v\n%s", err, out)
		}
	})
	t.Run("where a box is to be", func(t *testing.T) {
		own, err := os.Open("/proc/self/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		if err := guardNet(own); err == nil || !strings.Contains(err.Error(), "refusing to run") {
			t.Errorf("the tests' namespace gives %v", err)
		}
		r := New(t, Trixie)
		r.start(t)
		if err := guardNet(r.net); err != nil {
			t.Error(err)
		}
		if inside := strings.TrimSpace(r.Run(t, "readlink", "/proc/self/ns/net").OK(t)); slices.Contains(forbidden(), inside) || !strings.HasPrefix(inside, "net:[") {
			t.Errorf("a command runs in the network namespace %q", inside)
		}
	})
	t.Run("in a namespace of its own", func(t *testing.T) {
		if out, err := run(t, "unshare", "-n"); err != nil || out != "it ran\n" {
			t.Errorf("got %q, %v, want it to run", out, err)
		}
	})
}

func TestBoxIsIsolated(t *testing.T) {
	t.Parallel()
	b := New(t, Trixie)
	before, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	b.Sh(t, `set -e
		ip link add veth0 type veth peer name veth1
		iptables -P INPUT DROP
		iptables -A INPUT -s 192.0.2.1 -j ACCEPT`).OK(t)
	after, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("the box changed the tests' links to:\n%s", after)
	}
	// The rules are still there at the next command.
	if rules := b.Run(t, "iptables", "-S").OK(t); !strings.Contains(rules, "192.0.2.1") {
		t.Errorf("the box has lost its rules:\n%s", rules)
	}
	if got := b.Sh(t, "ls -A /.machine /proc/1/root/.machine").Fails(t); !strings.Contains(got, "No such file") {
		t.Errorf("the machine's root can be reached from the box: %s", got)
	}
}

func TestClonesShareNothing(t *testing.T) {
	t.Parallel()
	a, b := New(t, Trixie), New(t, Trixie)
	a.Write(t, "/etc/mark", "a")
	if r := b.Run(t, "cat", "/etc/mark"); r.Code == 0 {
		t.Errorf("a file of one box is in the other:\n%s", r)
	}
	if got := a.Run(t, "cat", "/etc/mark").OK(t); got != "a" {
		t.Errorf("the box reads %q, want what the test wrote", got)
	}
}

func TestPackageManagers(t *testing.T) {
	t.Parallel()
	b := New(t, Trixie)
	if got := b.Run(t, "rpm", "--eval", "%_dbpath"); strings.TrimSpace(got.OK(t)) != "/var/lib/rpm" || got.Stderr != "" {
		t.Errorf("rpm's database: %v", got)
	}
	b.Run(t, "rpm", "-qa").OK(t)
	if got := b.Run(t, "dpkg", "-l", "dpkg").OK(t); !strings.Contains(got, "ii  dpkg") {
		t.Errorf("dpkg -l: %s", got)
	}
}

// TestBoot proves that systemd is pid 1, that a box comes back with its files,
// and that its control groups go away.
func TestBoot(t *testing.T) {
	t.Parallel()
	var group string
	t.Run("box", func(t *testing.T) {
		b := New(t, Trixie)
		b.Write(t, "/etc/systemd/system/probe.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
		b.Boot(t)
		group = b.group
		if _, err := os.Stat(filepath.Join(cgroupRoots()[0], group)); err != nil {
			t.Errorf("the box has no control group: %v", err)
		}
		b.Run(t, "systemctl", "enable", "--now", "probe").OK(t)
		b.Shutdown(t)
		b.Boot(t)
		if got := b.Run(t, "systemctl", "is-active", "probe").OK(t); got != "active\n" {
			t.Errorf("after another boot the service is %q, want active", got)
		}
	})
	if group == "" {
		return // the box says why there was none
	}
	for _, root := range cgroupRoots() {
		if _, err := os.Stat(filepath.Join(root, group)); err == nil {
			t.Errorf("%s still has the control group %s", root, group)
		}
	}
}

// TestRunning: the folder of a killed run may be swept away, not one whose
// supervisor lives, also if that is in another process namespace and unseen.
func TestRunning(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const unseen = 1 << 22 // no process has such an id: proc(5), pid_max
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-1", runPrefix, unseen))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(filepath.Join(dir, lockName))
	if err != nil {
		t.Fatal(err)
	}
	if !running(unseen) {
		t.Error("a supervisor that holds its lock counts as killed")
	}
	unlock()
	if running(unseen) {
		t.Error("a supervisor whose lock nobody holds counts as running")
	}
}

func TestNeedNamesWhatIsMissing(t *testing.T) {
	Need(t)
	for _, require := range []string{"", "1"} {
		t.Setenv("VPKG_REQUIRE_INSTALL", require)
		r := new(recorder)
		done := make(chan struct{})
		go func() {
			defer close(done)
			Need(r, "no-such-program")
		}()
		<-done
		if want := require == "1"; r.failed != want || r.skipped == want || !strings.Contains(r.text, "no-such-program is not installed") {
			t.Errorf("with VPKG_REQUIRE_INSTALL=%q: failed %t, skipped %t, %q", require, r.failed, r.skipped, r.text)
		}
	}
}

// A recorder is a testing.TB that remembers how a test would have ended.
type recorder struct {
	testing.TB
	failed, skipped bool
	text            string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed, r.text = true, fmt.Sprintf(format, args...)
}

func (r *recorder) Skip(args ...any) { r.skipped, r.text = true, fmt.Sprint(args...) }
