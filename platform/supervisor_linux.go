package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/vpkg/vpkg/hooks"
)

// MonitorProgram supervises the components where there is no systemd, called as
// `vpkg-agent monitor FOLDER` with the folder of its Runtime; relative to the program folder.
const MonitorProgram = "bin/vpkg-agent"

// monitor supervises components by a process of ours that stays.
type monitor struct {
	config      hooks.Config
	runtime     Runtime
	environment func(context.Context) error // what start does first

	startTimeout time.Duration // until the components are running; 0 means 2 min
	stopTimeout  time.Duration // until they have stopped; 0 means 2 min
}

const pollInterval = 20 * time.Millisecond

func (m *monitor) name() string { return "monitor" }

func (m *monitor) states(context.Context) ([]ComponentState, error) {
	pid, err := m.runtime.Supervisor()
	if err != nil {
		return nil, err
	}
	if pid != 0 {
		if states, err := m.runtime.States(); err != nil || states != nil {
			return states, err
		}
	}
	states := make([]ComponentState, len(m.config.Components))
	for i, c := range m.config.Components {
		states[i] = ComponentState{Name: c.Name, State: StateStopped}
	}
	return states, nil
}

func (m *monitor) start(ctx context.Context, result func(string, error)) error {
	lock, err := m.runtime.lock(platformLock, syscall.F_SETLKW)
	if err != nil {
		return err
	}
	defer lock.Close() // nothing was written to it
	if err := m.environment(ctx); err != nil {
		return err
	}
	pid, err := m.runtime.Supervisor()
	if err != nil {
		return err
	}
	var ended <-chan error // stays nil if the supervisor runs already
	if pid == 0 {
		if ended, err = m.launch(); err != nil {
			return err
		}
	}
	return m.awaitStart(ctx, ended, result)
}

// awaitStart follows the components, in order, until each runs or has failed to.
func (m *monitor) awaitStart(ctx context.Context, ended <-chan error, result func(string, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, orDefault(m.startTimeout, 2*time.Minute), errors.New("the components did not start in time"))
	defer cancel()
	for told := 0; ; {
		states, err := m.states(ctx)
		if err != nil {
			return err
		}
		for told < len(states) && (states[told].State == StateRunning || states[told].State == StateWaiting) {
			var err error
			if states[told].State == StateWaiting {
				err = errors.New(states[told].Status)
			}
			result(states[told].Name, err)
			told++
		}
		if told >= len(m.config.Components) {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the supervisor ended (%w): see %s", err, m.logName())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}

func (m *monitor) stop(ctx context.Context, result func(string, error)) error {
	lock, err := m.runtime.lock(platformLock, syscall.F_SETLKW)
	if err != nil {
		return err
	}
	defer lock.Close() // nothing was written to it
	pid, err := m.runtime.Supervisor()
	if err != nil || pid == 0 {
		return err
	}
	process, err := os.FindProcess(pid) // holds a pidfd: the id cannot become another process's
	if err != nil {
		return err
	}
	if again, err := m.runtime.Supervisor(); err != nil || again != pid {
		return err // it has just ended
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the supervisor, process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, orDefault(m.stopTimeout, 2*time.Minute), fmt.Errorf("the supervisor, process %d, did not stop in time", pid))
	defer cancel()
	for {
		if pid, err = m.runtime.Supervisor(); err != nil {
			return err
		}
		if pid == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
	for _, c := range slices.Backward(m.config.Components) {
		result(c.Name, nil) // the supervisor ends when all have
	}
	return nil
}

// launch starts the supervisor in a session of its own. The channel tells how
// it ended, if it does while we are here.
func (m *monitor) launch() (<-chan error, error) {
	if err := m.runtime.removeStates(); err != nil {
		return nil, err
	}
	stderr, err := os.OpenFile(m.logName(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer stderr.Close() // the supervisor writes to it, we do not
	if err := closeOnExec(); err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(m.config.Program, MonitorProgram), "monitor", string(m.runtime))
	// Nothing of the caller's: its variables may hold an activation code, and its
	// files and pipes would stay open for as long as we run.
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Dir = "/"
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		ended <- err
	}()
	return ended, nil
}

// logName is where what the supervisor writes to stderr goes: it has a log of
// its own for all else.
func (m *monitor) logName() string { return filepath.Join(string(m.runtime), "monitor.err") }

// closeOnExec keeps every file that we were started with, but for the standard
// ones, from being handed on: dpkg, debconf and package managers' pipes.
func closeOnExec() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("listing open files: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
