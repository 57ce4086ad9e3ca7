package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vpkg/vpkg/platform"
)

// The test binary is also every process that the monitors of the tests run.
func TestMain(m *testing.M) {
	kind, data, _ := strings.Cut(os.Getenv("AGENT_TEST"), ":")
	var err error
	switch kind {
	case "":
		m.Run()
		return
	case "component":
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer cancel()
		err = Component{Name: os.Args[1], Version: "1.2.3-4", Data: data}.Run(ctx)
	case "fails":
		err = errors.New("as it was told")
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		err = errors.Join(Notify("READY=1"), wait())
	case "parent": // leaves a child behind, deaf and in its process group
		child := exec.Command(os.Args[0])
		child.Env = []string{"AGENT_TEST=deaf"}
		if err = child.Start(); err == nil {
			err = errors.Join(os.WriteFile(data, []byte(strconv.Itoa(child.Process.Pid)), 0o600), Notify("READY=1"), wait())
		}
	case "forger": // says READY for another process
		os.Setenv("NOTIFY_SOCKET", data)
		err = Notify("READY=1\nSTATUS=forged\nMAINPID=" + os.Args[1])
	case "monitor":
		process := Process{Name: "one", Path: os.Args[0], Args: []string{"one"}, Env: []string{"AGENT_TEST=component:" + data}}
		mon := Monitor{Processes: []Process{process}, Log: slog.New(slog.DiscardHandler), Report: func(s []platform.ComponentState) {
			fmt.Fprintln(os.Stdout, s[0].State, s[0].PID)
		}}
		err = mon.Run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is the main of another process
	}
}

func wait() error {
	time.Sleep(time.Minute)
	return errors.New("nobody ended it")
}

// A bed is a monitor that runs in the test.
type bed struct {
	t       *testing.T
	reports chan []platform.ComponentState
	cancel  context.CancelFunc
	done    chan error
}

func start(t *testing.T, m Monitor) *bed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b := &bed{t: t, reports: make(chan []platform.ComponentState, 1000), cancel: cancel, done: make(chan error, 1)}
	m.Log = slog.New(slog.DiscardHandler)
	m.Report = func(states []platform.ComponentState) { b.reports <- states }
	go func() {
		b.done <- m.Run(ctx)
		close(b.reports)
	}()
	t.Cleanup(cancel)
	return b
}

// until reads reports until ok says that it is the one that is waited for.
func (b *bed) until(what string, ok func([]platform.ComponentState) bool) []platform.ComponentState {
	b.t.Helper()
	var last []platform.ComponentState
	timeout := time.After(time.Minute)
	for {
		select {
		case states, open := <-b.reports:
			if !open {
				b.t.Fatalf("the monitor ended before %s; last report %+v", what, last)
			}
			if last = states; ok(states) {
				return states
			}
		case <-timeout:
			b.t.Fatalf("%s: not within a minute; last report %+v", what, last)
		}
	}
}

// stop ends the monitor and returns the names of the components in the order in
// which they stopped.
func (b *bed) stop() []string {
	b.t.Helper()
	b.cancel()
	select {
	case err := <-b.done:
		if err != nil {
			b.t.Fatal(err)
		}
	case <-time.After(time.Minute):
		b.t.Fatal("the monitor did not stop within a minute")
	}
	var order []string
	for states := range b.reports {
		for _, s := range states {
			if s.State == platform.StateStopped && !slices.Contains(order, s.Name) {
				order = append(order, s.Name)
			}
		}
	}
	return order
}

func allRunning(states []platform.ComponentState) bool {
	return !slices.ContainsFunc(states, func(s platform.ComponentState) bool { return s.State != platform.StateRunning })
}

func isGone(t *testing.T, pid int) {
	t.Helper()
	for range 3000 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(b), ") Z ") {
			return // ended; init has yet to collect it
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d still runs", pid)
}

func components(t *testing.T, data string, names ...string) []Process {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(data, "log"), 0o755); err != nil {
		t.Fatal(err)
	}
	list := make([]Process, len(names))
	for i, n := range names {
		list[i] = process(n, "component:"+data)
	}
	return list
}

func process(name, kind string) Process {
	return Process{Name: name, Path: os.Args[0], Args: []string{name}, Env: []string{"AGENT_TEST=" + kind}}
}

func TestMonitor(t *testing.T) {
	data := t.TempDir()
	b := start(t, Monitor{Processes: components(t, data, "one", "two", "three"), MinBackoff: time.Millisecond})
	started := []string{}
	first := b.until("all running", func(states []platform.ComponentState) bool {
		for i, s := range states {
			if s.State != platform.StateStopped && !slices.Contains(started, s.Name) {
				if i > 0 && states[i-1].State != platform.StateRunning {
					t.Errorf("%s started while %s was %s", s.Name, states[i-1].Name, states[i-1].State)
				}
				started = append(started, s.Name)
			}
		}
		return allRunning(states)
	})

	if err := syscall.Kill(first[1].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.until("two waits", func(s []platform.ComponentState) bool { return s[1].State == platform.StateWaiting })
	second := b.until("all running again", allRunning)
	if second[1].PID == first[1].PID || second[1].Restarts != 1 {
		t.Errorf("after it was killed two is %+v, want a new process and 1 restart", second[1])
	}
	if second[0].PID != first[0].PID || second[2].PID != first[2].PID {
		t.Errorf("the others changed from %+v to %+v", first, second)
	}
	if second[1].Status != "running" {
		t.Errorf("status of two is %q, want what it says itself", second[1].Status)
	}

	if got, want := b.stop(), []string{"three", "two", "one"}; !slices.Equal(got, want) {
		t.Errorf("stopped in the order %q, want %q", got, want)
	}
	for _, s := range append(first, second...) {
		isGone(t, s.PID)
	}
	log, err := os.ReadFile(filepath.Join(data, "log", "two.log"))
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]int{"msg=started": 2, "msg=stopped": 1} {
		if got := strings.Count(string(log), word); got != want {
			t.Errorf("log of two has %q %d times, want %d:\n%s", word, got, want, log)
		}
	}
}

// One that cannot run does not keep the others from being started.
func TestMonitorFails(t *testing.T) {
	list := components(t, t.TempDir(), "one", "two", "three", "four")
	list[0] = process("one", "fails")
	list[1].Path = "/nonexistent"
	b := start(t, Monitor{Processes: list, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond})
	states := b.until("three and four running, three restarts", func(s []platform.ComponentState) bool {
		return s[0].Restarts >= 3 && s[0].State == platform.StateWaiting && s[1].Restarts >= 3 && s[2].State == platform.StateRunning && s[3].State == platform.StateRunning
	})
	if states[0].Status != "exit status 1: as it was told" || !strings.Contains(states[1].Status, "no such file") {
		t.Errorf("states are %+v, want how the first two ended", states)
	}
	b.stop()
}

func TestMonitorKills(t *testing.T) {
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	b := start(t, Monitor{StopTimeout: 50 * time.Millisecond, Processes: []Process{process("deaf", "deaf"), process("parent", "parent:"+pidFile)}})
	states := b.until("running", allRunning)
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	left, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	isGone(t, states[0].PID)
	isGone(t, states[1].PID)
	isGone(t, left)
}

// Who is not the component cannot say that the component is ready.
func TestMonitorForged(t *testing.T) {
	s, err := listenNotify()
	if err != nil {
		t.Fatal(err)
	}
	defer s.conn.Close()
	notes := make(chan note, 1)
	go s.receive(func(n note) { notes <- n })
	cmd := exec.Command(os.Args[0], strconv.Itoa(os.Getpid()))
	cmd.Env = []string{"AGENT_TEST=forger:" + s.name}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := <-notes
	if want := (note{pid: cmd.Process.Pid, ready: true, status: "forged"}); n != want {
		t.Errorf("got %+v, want %+v", n, want)
	}
	sup := supervision{Monitor: &Monitor{}, children: []child{{Process: &Process{Name: "one"}, pid: os.Getpid(), state: platform.ComponentState{State: platform.StateStarting}}}}
	sup.noted(n)
	if got := sup.children[0].state; got.State != platform.StateStarting || got.Status != "" {
		t.Errorf("after a forged message the component is %+v", got)
	}
}

// Processes do not outlive a monitor that is killed.
func TestMonitorKilled(t *testing.T) {
	data := t.TempDir()
	components(t, data)
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"AGENT_TEST=monitor:" + data}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var state string
	var pid int
	for state != platform.StateRunning {
		if _, err := fmt.Fscanln(out, &state, &pid); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("component %d: %v", pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() //nolint:errcheck // it was killed
	isGone(t, pid)
}

func TestBackoff(t *testing.T) {
	s := supervision{
		Monitor:  &Monitor{Log: slog.New(slog.DiscardHandler), MinBackoff: time.Second, MaxBackoff: 5 * time.Second},
		children: []child{{Process: &Process{Name: "one"}}},
	}
	c := &s.children[0]
	var got []time.Duration
	for _, ran := range []time.Duration{0, 0, 0, 0, 0, 6 * time.Second, 0} {
		c.state.Since = time.Now().Add(-ran)
		s.wait(0, errors.New("ended"))
		got = append(got, c.backoff/time.Second)
	}
	if want := []time.Duration{1, 2, 4, 5, 5, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("waits are %d s, want %d s", got, want)
	}
}

func TestLineLog(t *testing.T) {
	var out strings.Builder
	l := &lineLog{log: slog.New(slog.NewTextHandler(&out, nil)), component: "one"}
	long := strings.Repeat("x", maxLine)
	for _, step := range []struct{ write, last string }{
		{"first\nsec", "first"},
		{"ond\n\n", "second"},
		{long + "y", "second"},
		{"z\n", long},
		{"a \"quoted\"\x1b\n", `a "quoted"?`},
	} {
		if n, err := l.Write([]byte(step.write)); n != len(step.write) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", step.write, n, err)
		}
		if l.last != step.last {
			t.Errorf("after %q the last line is %q, want %q", step.write, l.last, step.last)
		}
	}
	if got := strings.Count(out.String(), "component=one"); got != 4 {
		t.Errorf("%d lines are logged, want 4:\n%s", got, out.String())
	}
}

func TestParseNote(t *testing.T) {
	for _, tt := range []struct {
		message string
		want    note
	}{
		{"READY=1", note{ready: true}},
		{"READY=0\n", note{}},
		{"STATUS=a=b\nREADY=1\n", note{ready: true, status: "a=b"}},
		{"STATUS=\x1b[2J", note{status: "?[2J"}},
		{"READY", note{}},
		{"", note{}},
	} {
		if got := parseNote(0, tt.message); got != tt.want {
			t.Errorf("parseNote(%q) = %+v, want %+v", tt.message, got, tt.want)
		}
	}
}
