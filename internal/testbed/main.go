//go:build linux

package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// envState carries the outer process's state to the inner one, as JSON.
const envState = "VPKG_TESTBED_STATE"

// state is what the outer process, which has the network, prepared for the
// inner one, which runs the tests.
type state struct {
	Missing string            // why no test can run; empty if they can
	Dir     string            // what Setup.Before filled; removed at the end
	Machine []string          // network namespaces of the machine: "net:[4026531840]"
	Roots   map[string]string // folder of the root file system, by suite
	CentOS8 string            // the package database of a CentOS 8, or empty
	VM      vmImage           // what virtual machines start from, or nothing
	Cgroup  string            // name of this run's control groups
}

// current is the inner process's state; Main sets it before any test runs.
var current = state{Missing: "the test's TestMain does not call testbed.Main"}

// A Setup says what the tests of a package need. It is made before they start,
// in a process that still has the network.
type Setup struct {
	Suites  []Suite
	CentOS8 bool // the package database of a CentOS 8: see Box.SeedCentOS8
	VM      bool // virtual machines: see NewVM

	// Before fills dir, a temporary folder that tests find through Dir, while the
	// root file systems are being made. May be nil.
	Before func(ctx context.Context, dir string) error
}

// Main is the TestMain of a package whose tests use boxes:
//
//	func TestMain(m *testing.M) { testbed.Main(m, testbed.Setup{…}) }
//
// It prepares what s asks for, then runs the tests in a child in namespaces of
// its own, cleans up when the child has ended, and exits with the child's status.
func Main(m *testing.M, s Setup) {
	os.Exit(run(m, s)) //nolint:forbidigo // that of a child cannot be returned from a TestMain
}

func run(m *testing.M, s Setup) int {
	if text, inner := os.LookupEnv(envState); inner {
		os.Unsetenv(envState)
		if err := enter(text); err != nil {
			fmt.Fprintln(os.Stderr, "testbed:", err)
			return 1
		}
		return m.Run()
	}
	flag.Parse() // for testing.Short
	if fuzzing() {
		current.Missing = "fuzzing needs no box"
		return m.Run()
	}
	if current.Missing = missing(s); current.Missing != "" {
		return m.Run() // each test says why it is skipped
	}
	code, err := supervise(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		return 1
	}
	return code
}

// Dir is the folder that Setup.Before filled.
func Dir(t testing.TB) string {
	t.Helper()
	Need(t)
	return current.Dir
}

// supervise prepares, runs this same program in new namespaces and waits for it.
func supervise(s Setup) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	sweep()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", runPrefix, os.Getpid()))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	unlock, err := lock(filepath.Join(dir, lockName)) // for sweep
	if err != nil {
		return 0, err
	}
	defer unlock()
	st, err := prepare(ctx, s, dir)
	if err != nil {
		return 0, err
	}
	defer removeCgroups(st.Cgroup)

	text, err := json.Marshal(st)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...) //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), envState+"="+string(text))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig means the death of the thread that forked
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting the tests in namespaces of their own: %w", err)
	}
	// SIGQUIT is how `go test` asks for the goroutines' stacks before it kills.
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		for {
			select {
			case <-quit:
				_ = cmd.Process.Signal(syscall.SIGQUIT)
			case <-ctx.Done():
				_ = cmd.Process.Kill() // pid 1 of its namespace: everything in it dies too
				return
			}
		}
	}()
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 130, nil
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code, nil
	}
	return 1, fmt.Errorf("the tests ended by %s", cmd.ProcessState)
}

// prepare makes everything that needs the network, at most two root file
// systems at a time.
func prepare(ctx context.Context, s Setup, dir string) (state, error) {
	machine, err := machineNamespaces()
	if err != nil {
		return state{}, err
	}
	st := state{
		Dir: dir, Machine: machine, Roots: map[string]string{},
		Cgroup: fmt.Sprintf("%s%d", runPrefix, os.Getpid()),
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		slots = make(chan struct{}, 2)
	)
	do := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	for _, suite := range s.Suites {
		do(func() error {
			slots <- struct{}{}
			defer func() { <-slots }()
			root, err := makeRoot(ctx, suite)
			mu.Lock()
			defer mu.Unlock()
			st.Roots[suite.Name] = root
			return err
		})
	}
	if s.CentOS8 {
		do(func() (err error) {
			st.CentOS8, err = fetchCentOS8(ctx)
			return err
		})
	}
	if s.VM {
		do(func() (err error) {
			st.VM, err = makeVMImage(ctx)
			return err
		})
	}
	if s.Before != nil {
		do(func() error { return s.Before(ctx, dir) })
	}
	wg.Wait()
	return st, errors.Join(errs...)
}

// fuzzing reports whether new input is tried, by a process that talks to this one
// through files that a child would not have.
func fuzzing() bool {
	target, worker := flag.Lookup("test.fuzz"), flag.Lookup("test.fuzzworker")
	return target != nil && target.Value.String() != "" || worker != nil && worker.Value.String() == "true"
}

// enter makes the namespaces that supervise cloned usable, and checks that they
// are new ones.
func enter(text string) error {
	if err := json.Unmarshal([]byte(text), &current); err != nil {
		return fmt.Errorf("reading %s: %w", envState, err)
	}
	for _, m := range []mount{
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC, ""},
		// systemd-nspawn wants a /run on which it may make mounts of its own.
		{"tmpfs", "/run", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=755"},
	} {
		if err := m.do(); err != nil {
			return err
		}
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	if slices.Contains(current.Machine, own) {
		return errors.New("the tests are in the machine's network namespace: refusing to run any")
	}
	return nil
}

// A mount is the arguments of mount(2).
type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

func (m mount) do() error {
	if err := syscall.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", m.fstype, m.target, err)
	}
	return nil
}

// machineNamespaces are the network namespaces of this process, which stands for
// the machine, and of pid 1, unless a policy forbids to look at it.
func machineNamespaces() ([]string, error) {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	if first, err := os.Readlink("/proc/1/ns/net"); err == nil && first != own {
		return []string{own, first}, nil
	}
	return []string{own}, nil
}

// cacheDir is where root file systems are kept between runs.
func cacheDir() (string, error) {
	if dir := os.Getenv("VPKG_TEST_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "vpkg-test"), nil
}
