package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// ErrSupervised is the error of Lock when a supervisor is running.
var ErrSupervised = errors.New("a supervisor is already running")

// monitorLock is locked by the supervisor for as long as it lives. It is a
// record lock, fcntl(2): the kernel tells who holds it, so that no process id in
// a file can be stale, and looking does not take it.
const (
	monitorLock  = "monitor.lock"
	platformLock = "platform.lock" // held while the platform is started or stopped
	statesFile   = "components.json"
)

// held are the files whose locks last as long as the process: none is closed, and
// here the garbage collector does not do so either.
var held []*os.File

// Lock makes the calling process the supervisor until it ends, and forgets the
// states that an earlier one wrote.
func (r Runtime) Lock() error {
	f, err := r.lock(monitorLock, syscall.F_SETLK)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return ErrSupervised
	}
	if err != nil {
		return err
	}
	held = append(held, f)
	return r.removeStates()
}

func (r Runtime) removeStates() error {
	if err := os.Remove(filepath.Join(string(r), statesFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Supervisor returns the process id of the supervisor; 0 means that none runs.
func (r Runtime) Supervisor() (int, error) {
	f, err := os.OpenFile(filepath.Join(string(r), monitorLock), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close() // only looked at
	l := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &l); err != nil {
		return 0, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if l.Type == syscall.F_UNLCK {
		return 0, nil
	}
	if l.Pid <= 0 {
		return 0, fmt.Errorf("%s is locked by a process of another pid namespace", f.Name())
	}
	return int(l.Pid), nil
}

func (r Runtime) lock(name string, cmd int) (*os.File, error) {
	if err := os.MkdirAll(string(r), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(string(r), name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.FcntlFlock(f.Fd(), cmd, &syscall.Flock_t{Type: syscall.F_WRLCK})
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close() // err says what went wrong already
		return nil, fmt.Errorf("locking %s: %w", filepath.Join(string(r), name), err)
	}
	return f, nil
}

// WriteStates writes how the components are doing. A reader sees the old states
// or the new ones.
func (r Runtime) WriteStates(states []ComponentState) error {
	b, err := tinyjson.Marshal(states)
	if err != nil {
		return err
	}
	name := filepath.Join(string(r), statesFile)
	if err := os.WriteFile(name+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// States reads what WriteStates wrote; nil if nothing was written yet.
func (r Runtime) States() ([]ComponentState, error) {
	b, err := os.ReadFile(filepath.Join(string(r), statesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var states []ComponentState
	if err := tinyjson.Unmarshal(b, &states); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(string(r), statesFile), err)
	}
	return states, nil
}
