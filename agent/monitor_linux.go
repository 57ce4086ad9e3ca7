package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/vpkg/vpkg/platform"
)

// A Process is something that Monitor keeps running.
type Process struct {
	Name       string
	Path       string // of the program
	Args       []string
	Env        []string            // NAME=value; nothing is inherited
	Credential *syscall.Credential // nil means the monitor's own user
}

// A Monitor keeps processes running where there is no systemd: it starts them in
// order, each when the one before is ready, starts one that ended again, and
// stops all of them, in reverse order, when it is told to. None outlives it: a
// process gets SIGTERM even if the monitor is killed.
type Monitor struct {
	Processes []Process

	// Report is told how the processes are doing, at the start and after every
	// change. It is called by one goroutine at a time.
	Report func([]platform.ComponentState)
	Log    *slog.Logger

	StartTimeout time.Duration // until a process is ready or else the next is started; 0 means 30 s
	StopTimeout  time.Duration // from SIGTERM to SIGKILL; 0 means 10 s
	MinBackoff   time.Duration // from the first end to the restart, doubled at every further one; 0 means 1 s
	MaxBackoff   time.Duration // the longest wait; who ran for longer starts again at MinBackoff; 0 means 1 min
}

// Run supervises until ctx ends. It returns nil when everything has stopped.
func (m *Monitor) Run(ctx context.Context) error {
	// PR_SET_PDEATHSIG is about the thread that made the child: stay on one.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	socket, err := listenNotify()
	if err != nil {
		return err
	}
	s := &supervision{
		Monitor:  m,
		socket:   socket.name,
		children: make([]child, len(m.Processes)),
		exits:    make(chan exit, len(m.Processes)), // so that who waits for a child never waits for us
		notes:    make(chan note),
		done:     make(chan struct{}),
	}
	defer close(s.done)
	defer socket.conn.Close() // nothing was written that could be lost
	go socket.receive(s.forward)

	for i := range m.Processes {
		s.children[i] = child{Process: &m.Processes[i], state: platform.ComponentState{Name: m.Processes[i].Name, State: platform.StateStopped, Since: time.Now()}}
	}
	s.startNext()
	for {
		s.report()
		timer := time.NewTimer(time.Until(s.nextDeadline()))
		select {
		case <-ctx.Done():
			timer.Stop()
			s.stop()
			return nil
		case e := <-s.exits:
			s.exited(e)
		case n := <-s.notes:
			s.noted(n)
		case now := <-timer.C:
			s.due(now)
		}
		timer.Stop()
	}
}

// A supervision is one run of a Monitor. Only Run's goroutine touches it.
type supervision struct {
	*Monitor
	socket   string
	children []child
	started  int // of the children, the first so many have been started at least once
	exits    chan exit
	notes    chan note
	done     chan struct{} // closed when Run returns
}

type child struct {
	*Process
	state    platform.ComponentState
	pid      int // 0 when it does not run
	backoff  time.Duration
	deadline time.Time // starting: to be ready by; waiting: to be started again
}

type exit struct {
	index int
	err   error  // nil for exit status 0
	last  string // line on standard error
}

func (s *supervision) forward(n note) {
	select {
	case s.notes <- n:
	case <-s.done:
	}
}

func (s *supervision) report() {
	if s.Report == nil {
		return
	}
	states := make([]platform.ComponentState, len(s.children))
	for i := range s.children {
		states[i] = s.children[i].state
	}
	s.Report(states)
}

// nextDeadline is when due has something to do.
func (s *supervision) nextDeadline() time.Time {
	next := time.Now().Add(time.Hour)
	for i := range s.children {
		c := &s.children[i]
		if (c.state.State == platform.StateStarting || c.state.State == platform.StateWaiting) && c.deadline.Before(next) {
			next = c.deadline
		}
	}
	return next
}

func (s *supervision) due(now time.Time) {
	for i := range s.children {
		c := &s.children[i]
		if c.deadline.After(now) {
			continue
		}
		switch c.state.State {
		case platform.StateStarting:
			s.Log.Warn("not ready in time", "component", c.Name, "pid", c.pid)
			c.set(platform.StateRunning, c.pid) // it runs; that it never said so is in the log
			s.startAfter(i)
		case platform.StateWaiting:
			c.state.Restarts++
			s.start(i)
		}
	}
}

// startNext starts the next child that was never started.
func (s *supervision) startNext() {
	if s.started < len(s.children) {
		s.started++
		s.start(s.started - 1)
	}
}

// startAfter starts the child after i, if i is the last one that was started.
func (s *supervision) startAfter(i int) {
	if i == s.started-1 {
		s.startNext()
	}
}

func (s *supervision) start(i int) {
	c := &s.children[i]
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append([]string{"NOTIFY_SOCKET=" + s.socket}, c.Env...)
	cmd.Dir = "/"
	stderr := &lineLog{log: s.Log, component: c.Name}
	cmd.Stderr = stderr
	cmd.WaitDelay = time.Second // for a child that stays and keeps stderr open
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true, // so that what a process leaves behind can be ended with it
		Pdeathsig:  syscall.SIGTERM,
		Credential: c.Credential,
	}
	if err := cmd.Start(); err != nil {
		s.wait(i, err)
		return
	}
	c.pid = cmd.Process.Pid
	c.set(platform.StateStarting, c.pid)
	c.deadline = time.Now().Add(orDefault(s.StartTimeout, 30*time.Second))
	s.Log.Info("started", "component", c.Name, "pid", c.pid)
	go func() {
		err := cmd.Wait()
		s.exits <- exit{i, err, stderr.last}
	}()
}

// exited is called when child e.index has ended by itself.
func (s *supervision) exited(e exit) {
	c := &s.children[e.index]
	s.sweep(c)
	if e.last != "" && e.err != nil {
		e.err = fmt.Errorf("%w: %s", e.err, e.last)
	}
	s.wait(e.index, e.err)
}

// sweep ends what is left of a child's process group.
func (s *supervision) sweep(c *child) {
	if err := syscall.Kill(-c.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.Log.Warn("processes left behind", "component", c.Name, "group", c.pid, "error", err)
	}
	c.pid = 0
}

// wait plans child i's next start after it ended, or could not be started, with err.
func (s *supervision) wait(i int, err error) {
	c := &s.children[i]
	shortest, longest := orDefault(s.MinBackoff, time.Second), orDefault(s.MaxBackoff, time.Minute)
	if c.backoff *= 2; c.backoff == 0 || time.Since(c.state.Since) > longest {
		c.backoff = shortest
	}
	c.backoff = min(c.backoff, longest)
	c.set(platform.StateWaiting, 0)
	c.state.Status = "ended"
	if err != nil {
		c.state.Status = err.Error()
	}
	c.deadline = time.Now().Add(c.backoff)
	s.Log.Error("ended", "component", c.Name, "reason", c.state.Status, "again_in", c.backoff)
	s.startAfter(i)
}

func (s *supervision) noted(n note) {
	for i := range s.children {
		c := &s.children[i]
		if c.pid != n.pid {
			continue
		}
		if n.status != "" {
			c.state.Status = n.status
		}
		if n.ready && c.state.State == platform.StateStarting {
			c.set(platform.StateRunning, c.pid)
			s.startAfter(i)
		}
	}
}

// stop ends all children, the last one first.
func (s *supervision) stop() {
	for i := range slices.Backward(s.children) {
		s.stopOne(i)
		s.report()
	}
}

func (s *supervision) stopOne(i int) {
	c := &s.children[i]
	if c.pid == 0 {
		c.set(platform.StateStopped, 0)
		return
	}
	c.set(platform.StateStopping, c.pid)
	s.report()
	s.signal(c, syscall.SIGTERM)
	timer := time.NewTimer(orDefault(s.StopTimeout, 10*time.Second))
	defer timer.Stop()
	for c.pid != 0 {
		select {
		case <-s.notes: // how it is doing is no longer of interest
		case e := <-s.exits:
			o := &s.children[e.index]
			s.sweep(o)
			o.set(platform.StateStopped, 0)
			s.Log.Info("stopped", "component", o.Name)
		case <-timer.C:
			s.Log.Warn("killed, for it did not stop", "component", c.Name, "pid", c.pid)
			s.signal(c, syscall.SIGKILL)
		}
	}
}

func (s *supervision) signal(c *child, sig syscall.Signal) {
	if err := syscall.Kill(-c.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.Log.Warn("no signal sent", "component", c.Name, "pid", c.pid, "signal", sig, "error", err)
	}
}

func (c *child) set(state string, pid int) {
	c.state.State, c.state.PID, c.state.Since = state, pid, time.Now().UTC()
	if pid == 0 {
		c.state.Status = ""
	}
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
