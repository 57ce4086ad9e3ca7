package platform

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vpkg/vpkg/hooks"
)

// platformConfig is a product with two components.
func platformConfig(dir string) hooks.Config {
	return hooks.Config{
		Format: hooks.ConfigVersion, Name: "agent", Version: "1.2.3-4.el8",
		Program: filepath.Join(dir, "program"), Data: filepath.Join(dir, "data"),
		Folders:    []hooks.Folder{{Path: filepath.Join(dir, "data"), Mode: 0o750}},
		Units:      []hooks.Unit{{Name: "agent.service", Enable: true, Start: true}},
		Components: []hooks.Component{{Name: "one"}, {Name: "two", Root: true}},
	}
}

// A box is a product laid down in a temporary folder with the real vpkg-agent,
// on a system without systemd.
type box struct {
	Product
	t              *testing.T
	stdout, stderr strings.Builder
	monitor        *monitor
}

// A testHost is this one, but for the hook's state.
type testHost struct {
	hooks.Host
	dir string
}

func (h testHost) at(name string) string {
	if strings.HasPrefix(name, "/var/lib/vpkg/") {
		return h.dir + name
	}
	return name
}

func (h testHost) Stat(name string) (hooks.Attr, error) { return h.Host.Stat(h.at(name)) }
func (h testHost) ReadFile(name string) ([]byte, error) { return h.Host.ReadFile(h.at(name)) }
func (h testHost) Remove(name string) error             { return h.Host.Remove(h.at(name)) }
func (h testHost) Lock(name string) (func(), error)     { return h.Host.Lock(h.at(name)) }
func (h testHost) WriteFile(name string, b []byte, m fs.FileMode) error {
	return h.Host.WriteFile(h.at(name), b, m)
}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{t: t}
	dir := t.TempDir()
	config := platformConfig(dir)
	config.Folders[0].Owner, config.Folders[0].Group = ourselves(t)
	b.Product = Product{Sys: testHost{dir: dir}, Log: slog.New(slog.DiscardHandler), Config: config, RunDir: filepath.Join(dir, "run"), Stdout: &b.stdout, Stderr: &b.stderr}
	b.monitor = b.own()
	c := b.Config
	for _, d := range []string{filepath.Join(c.Program, "bin"), filepath.Join(c.Program, "etc"), filepath.Join(c.Data, "log")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Program, "etc", "hook.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	agent, err := builtAgent()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Program, MonitorProgram), agent, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, comp := range c.Components {
		if err := os.Symlink("vpkg-agent", filepath.Join(c.Program, comp.ProgramPath())); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if pid, _ := b.runtime().Supervisor(); pid != 0 {
			t.Errorf("supervisor %d was left behind", pid)
			syscall.Kill(pid, syscall.SIGTERM) //nolint:errcheck // it is one too many
		}
	})
	return b
}

// ourselves are the names of the user and the group that run the test.
func ourselves(t *testing.T) (owner, group string) {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return u.Username, g.Name
}

// builtAgent compiles vpkg-agent, once for all tests.
var builtAgent = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "vpkg-agent-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "vpkg-agent")
	if out, err := exec.Command("go", "build", "-o", name, "github.com/vpkg/vpkg/cmd/vpkg-agent").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building vpkg-agent: %w\n%s", err, out)
	}
	return os.ReadFile(name)
})

// call runs one verb and checks what it says.
func (b *box) call(f func(context.Context, supervisor) int, status int, stdout string) {
	b.t.Helper()
	b.stdout.Reset()
	b.stderr.Reset()
	if got := f(b.t.Context(), b.monitor); got != status {
		b.t.Errorf("exit status %d, want %d", got, status)
	}
	if got := b.stdout.String(); got != stdout {
		b.t.Errorf("stdout is\n%swant\n%s", got, stdout)
	}
	if b.stderr.Len() > 0 {
		b.t.Errorf("stderr is %q", b.stderr.String())
	}
}

func (b *box) status() (Status, int) {
	b.t.Helper()
	b.stdout.Reset()
	code := b.Product.status(b.t.Context(), b.monitor, true)
	var s Status
	if err := json.Unmarshal([]byte(b.stdout.String()), &s); err != nil {
		b.t.Fatalf("%v in %q", err, b.stdout.String())
	}
	return s, code
}

const startedLines = `Starting agent:
 - Environment Setting up agent Environment:    ...done.
 - one Starting one:    ...done.
 - two Starting two:    ...done.
`

func TestPlatformMonitor(t *testing.T) {
	b := newBox(t)
	if s, code := b.status(); code != platformInactive || s.State != StateStopped || len(s.Components) != 2 {
		t.Errorf("before the start the status is %d, %+v", code, s)
	}
	t.Setenv("VEN_ACTIVATION_CODE", "secret")
	leak, err := os.Open(t.TempDir()) // as dpkg's pipes, without FD_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, leak.Fd(), syscall.F_SETFD, 0); errno != 0 {
		t.Fatal(errno)
	}

	b.call(b.start, platformDone, startedLines)
	first, code := b.status()
	if code != platformDone || first.State != StateRunning || first.Supervisor != "monitor" || first.Version != "1.2.3-4.el8" {
		t.Errorf("status is %d, %+v", code, first)
	}
	supervisor, err := b.runtime().Supervisor()
	if err != nil || supervisor == 0 {
		t.Fatalf("supervisor %d, %v", supervisor, err)
	}
	pids := []int{supervisor, first.Components[0].PID, first.Components[1].PID}
	for _, pid := range pids {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || strings.Contains(string(environ), "secret") {
			t.Errorf("environment of process %d: %q, %v", pid, environ, err)
		}
		for _, fd := range openFiles(t, pid) {
			if fd == leak.Name() {
				t.Errorf("process %d has our caller's file %s", pid, fd)
			}
		}
	}
	b.call(b.start, platformDone, "agent is already started\n")

	if err := syscall.Kill(first.Components[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := b.await("one is back", func(s Status) bool {
		return s.State == StateRunning && s.Components[0].PID != first.Components[0].PID
	})
	if second.Components[0].Restarts != 1 || second.Components[1].PID != first.Components[1].PID {
		t.Errorf("after one was killed: %+v", second)
	}

	b.call(b.stop, platformDone, "Stopping agent:\n - two Stopping two:    ...done.\n - one Stopping one:    ...done.\n")
	for _, pid := range append(pids, second.Components[0].PID) {
		if running(pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
	if s, code := b.status(); code != platformInactive || s.State != StateStopped {
		t.Errorf("after the stop the status is %d, %+v", code, s)
	}
	b.call(b.stop, platformDone, "agent is already stopped\n")
}

// A supervisor that was killed is no obstacle, and neither are states it left.
func TestPlatformMonitorKilled(t *testing.T) {
	b := newBox(t)
	b.call(b.start, platformDone, startedLines)
	before, _ := b.status()
	supervisor, err := b.runtime().Supervisor()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(supervisor, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.await("stopped", func(s Status) bool { return s.State == StateStopped })
	b.call(b.start, platformDone, startedLines)
	after, _ := b.status()
	for i := range after.Components {
		if after.Components[i].PID == before.Components[i].PID {
			t.Errorf("%+v is as before", after.Components[i])
		}
	}
	b.call(b.stop, platformDone, "Stopping agent:\n - two Stopping two:    ...done.\n - one Stopping one:    ...done.\n")
}

func TestPlatformMonitorFails(t *testing.T) {
	t.Run("component", func(t *testing.T) {
		b := newBox(t)
		two := filepath.Join(b.Config.Program, "bin", "two")
		if err := errors.Join(os.Remove(two), os.Symlink("/bin/false", two)); err != nil {
			t.Fatal(err)
		}
		if got := b.start(t.Context(), b.monitor); got != platformFailed {
			t.Errorf("exit status %d, want %d", got, platformFailed)
		}
		if want := strings.Replace(startedLines, "two:    ...done.", "two:    ...FAILED", 1); b.stdout.String() != want {
			t.Errorf("stdout is\n%swant\n%s", b.stdout.String(), want)
		}
		if want := "vpkg-hook: two: exit status 1\n"; b.stderr.String() != want {
			t.Errorf("stderr is %q, want %q", b.stderr.String(), want)
		}
		if s, code := b.status(); code != platformFailed || s.State != StateDegraded {
			t.Errorf("status is %d, %+v", code, s)
		}
		b.call(b.stop, platformDone, "Stopping agent:\n - two Stopping two:    ...done.\n - one Stopping one:    ...done.\n")
	})
	for _, tt := range []struct {
		name   string
		spoil  func(b *box) error
		stderr string
	}{
		{"data folder", func(b *box) error {
			return errors.Join(os.RemoveAll(b.Config.Data), os.WriteFile(b.Config.Data, nil, 0o600))
		}, "is not a folder"},
		{"program", func(b *box) error { return os.Remove(filepath.Join(b.Config.Program, MonitorProgram)) }, "starting the supervisor: "},
		{"configuration", func(b *box) error { return os.Remove(filepath.Join(b.Config.Program, "etc", "hook.json")) }, "the supervisor ended (exit status 1): see "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			if err := tt.spoil(b); err != nil {
				t.Fatal(err)
			}
			if got := b.start(t.Context(), b.monitor); got != platformFailed {
				t.Errorf("exit status %d, want %d", got, platformFailed)
			}
			if !strings.Contains(b.stderr.String(), tt.stderr) {
				t.Errorf("stderr is %q, want %q in it", b.stderr.String(), tt.stderr)
			}
		})
	}
}

func (b *box) await(what string, ok func(Status) bool) Status {
	b.t.Helper()
	var s Status
	for range 3000 {
		if s, _ = b.status(); ok(s) {
			return s
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.t.Fatalf("%s: not within a minute: %+v", what, s)
	return s
}

// running reports whether a process runs; one that init has yet to collect does
// not.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func openFiles(t *testing.T, pid int) []string {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) < 3 {
		t.Fatalf("files of process %d: %q, %v", pid, fds, err)
	}
	var names []string
	for _, fd := range fds {
		if name, err := os.Readlink(fd); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// fakeSystemctl answers like systemctl, for units of which each has one state.
type fakeSystemctl struct {
	calls  []string
	active map[string]string // unit → ActiveState; nothing means not-found
	fails  string            // the call that fails
}

func (f *fakeSystemctl) run(_ context.Context, args ...string) (string, error) {
	if args[0] != "show" {
		f.calls = append(f.calls, strings.Join(args, " "))
		if f.fails == f.calls[len(f.calls)-1] {
			return "", errors.New("systemctl: as it was told")
		}
		for unit := range f.active {
			switch {
			case args[0] == "stop":
				f.active[unit] = "inactive"
			case unit == args[1] || args[1] == "agent.service":
				f.active[unit] = "active"
			}
		}
		return "", nil
	}
	var blocks []string
	for _, unit := range args[2:] {
		load, pid := "loaded", 7
		if f.active[unit] == "" {
			load = "not-found"
		}
		if f.active[unit] != "active" {
			pid = 0
		}
		blocks = append(blocks, fmt.Sprintf("NRestarts=2\nMainPID=%d\nId=%s\nLoadState=%s\nActiveState=%s\nSubState=x\nStateChangeTimestamp=Mon 2026-11-23 02:32:18 UTC\n", pid, unit, load, f.active[unit]))
	}
	return strings.Join(blocks, "\n"), nil
}

func TestPlatformSystemd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		active string // of all units
		verb   func(Product, context.Context, supervisor) int
		fails  string
		calls  []string
		stdout string
		status int
	}{
		{
			"start", "inactive", Product.start, "",
			[]string{"start agent.service", "start one.service", "start two.service"},
			"Starting agent:\n - one Starting one:    ...done.\n - two Starting two:    ...done.\n", platformDone,
		},
		{"started", "active", Product.start, "", nil, "agent is already started\n", platformDone},
		{
			"component fails", "failed", Product.start, "start one.service",
			[]string{"start agent.service", "start one.service", "start two.service"},
			"Starting agent:\n - one Starting one:    ...FAILED\n - two Starting two:    ...done.\n", platformFailed,
		},
		{"unit fails", "inactive", Product.start, "start agent.service", []string{"start agent.service"}, "Starting agent:\n", platformFailed},
		{
			"stop", "active", Product.stop, "",
			[]string{"stop agent.service"},
			"Stopping agent:\n - two Stopping two:    ...done.\n - one Stopping one:    ...done.\n", platformDone,
		},
		{"stopped", "inactive", Product.stop, "", nil, "agent is already stopped\n", platformDone},
		{"not installed", "", Product.start, "", nil, "", platformFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			f := &fakeSystemctl{active: map[string]string{}, fails: tt.fails}
			if tt.active != "" {
				f.active = map[string]string{"agent.service": tt.active, "one.service": tt.active, "two.service": tt.active}
			}
			p := Product{Config: platformConfig("/nonexistent"), Stdout: &stdout, Stderr: &stderr}
			s := systemd{unit: p.unit(), components: p.Config.Components, systemctl: f.run}
			if got := tt.verb(p, t.Context(), s); got != tt.status {
				t.Errorf("exit status %d, want %d", got, tt.status)
			}
			if !slices.Equal(f.calls, tt.calls) {
				t.Errorf("systemctl was called with %q, want %q", f.calls, tt.calls)
			}
			if stdout.String() != tt.stdout {
				t.Errorf("stdout is\n%swant\n%s", stdout.String(), tt.stdout)
			}
			if failed := stderr.Len() > 0; failed != (tt.status != platformDone) {
				t.Errorf("stderr is %q", stderr.String())
			}
		})
	}
}

func TestUnitState(t *testing.T) {
	since := time.Date(2026, 11, 23, 2, 32, 18, 0, time.UTC)
	for _, tt := range []struct {
		block string
		want  ComponentState
	}{
		{"LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=7\nNRestarts=1\nStateChangeTimestamp=Mon 2026-11-23 02:32:18 UTC", ComponentState{Name: "one", State: StateRunning, PID: 7, Restarts: 1, Since: since}},
		{"LoadState=loaded\nActiveState=activating\nSubState=start", ComponentState{Name: "one", State: StateStarting}},
		{"LoadState=loaded\nActiveState=activating\nSubState=auto-restart", ComponentState{Name: "one", State: StateWaiting}},
		{"LoadState=loaded\nActiveState=deactivating", ComponentState{Name: "one", State: StateStopping}},
		{"LoadState=loaded\nActiveState=failed\nMainPID=0", ComponentState{Name: "one", State: StateFailed}},
		{"LoadState=masked\nActiveState=inactive\nMainPID=0", ComponentState{Name: "one", State: StateStopped, Status: "masked"}},
		{"LoadState=loaded\nActiveState=inactive\nStateChangeTimestamp=", ComponentState{Name: "one", State: StateStopped}},
	} {
		if got, err := unitState("one.service", tt.block); got != tt.want || err != nil {
			t.Errorf("unitState(%q) = %+v, %v, want %+v", tt.block, got, err, tt.want)
		}
	}
	if _, err := unitState("one.service", "LoadState=not-found\nActiveState=inactive"); err == nil || err.Error() != `unit one.service: systemd says "not-found", want loaded` {
		t.Errorf("a unit that is not there: %v", err)
	}
}

func TestInUnit(t *testing.T) {
	for _, tt := range []struct {
		cgroups string
		want    bool
	}{
		{"0::/system.slice/agent.service\n", true},
		{"0::/agent.service\n", true}, // in a cgroup namespace
		{"12:cpu,cpuacct:/\n1:name=systemd:/system.slice/agent.service\n0::/\n", true},
		{"0::/system.slice/cloud-final.service\n", false},
		{"0::/system.slice/my-agent.service\n", false},
		{"0::/system.slice/agent.service/sub\n", false},
		{"0::/\n", false},
		{"", false},
	} {
		if got := inUnit(bufio.NewScanner(strings.NewReader(tt.cgroups)), "agent.service"); got != tt.want {
			t.Errorf("inUnit(%q) = %t, want %t", tt.cgroups, got, tt.want)
		}
	}
}

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		states []string
		want   string
	}{
		{[]string{StateRunning, StateRunning}, StateRunning},
		{[]string{StateStopped, StateStopped}, StateStopped},
		{nil, StateStopped},
		{[]string{StateRunning, StateStopped}, StateDegraded},
		{[]string{StateRunning, StateWaiting}, StateDegraded},
		{[]string{StateStarting, StateStopped}, StateDegraded},
		{[]string{StateFailed, StateStopped}, "failed"},
	} {
		var states []ComponentState
		for _, s := range tt.states {
			states = append(states, ComponentState{State: s})
		}
		if tt.states != nil && tt.states[0] == StateStarting {
			states[0].PID = 1
		}
		if got := summary(states); got != tt.want {
			t.Errorf("summary(%q) = %q, want %q", tt.states, got, tt.want)
		}
	}
}

func TestPlatformStatusString(t *testing.T) {
	s := Status{Name: "agent", Version: "1.2.3-4", Supervisor: "monitor", State: StateDegraded, Components: []ComponentState{
		{Name: "one", State: StateRunning, PID: 12, Since: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Status: "running", Restarts: 3},
		{Name: "two", State: StateWaiting, Status: "exit status 1"},
	}}
	const want = `agent 1.2.3-4 is degraded (monitor)
 - one running, pid 12, since 2026-01-02T03:04:05Z, restarts 3
 - two waiting: exit status 1
`
	if got := s.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
