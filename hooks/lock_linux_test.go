package hooks

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lockHelper makes the test's own program, started by the tests below, take the
// lock of that name and say what came of it.
const lockHelper = "VPKG_TEST_LOCK"

func TestMain(m *testing.M) {
	if name := os.Getenv(lockHelper); name != "" {
		unlock, err := Host{}.Lock(name)
		if err != nil {
			os.Stdout.WriteString(err.Error())
			os.Exit(1) //nolint:forbidigo // that of the helper
		}
		os.Stdout.WriteString("locked")
		unlock()
		os.Exit(0) //nolint:forbidigo // as above
	}
	os.Exit(m.Run()) //nolint:forbidigo // a TestMain has to
}

// lockElsewhere has another process take the lock, through the given programs.
func lockElsewhere(t *testing.T, name string, through ...string) *exec.Cmd {
	t.Helper()
	argv := append(through, os.Args[0])
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), lockHelper+"="+name)
	return cmd
}

func TestLockOfAnAncestor(t *testing.T) {
	for _, tc := range []struct {
		name    string
		through []string
	}{
		{"parent", nil},
		{"grandparent", []string{"sh", "-c", `"$0"; exit $?`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "state", "lock")
			unlock, err := Host{}.Lock(name)
			if err != nil {
				t.Fatal(err)
			}
			defer unlock()
			out, err := lockElsewhere(t, name, tc.through...).Output()
			if err == nil || !strings.Contains(string(out), "which waits for this one") {
				t.Errorf("the child says %q (%v), want an error that names us", out, err)
			}
		})
	}
}

// A lock that is held by a process that is no ancestor is waited for: here by a
// child of ours, which is given up before it is over.
func TestLockOfAStranger(t *testing.T) {
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("flock is not installed")
	}
	name := filepath.Join(t.TempDir(), "lock")
	stranger := exec.CommandContext(t.Context(), "flock", name, "sh", "-c", "echo locked; read end")
	stdin, err := stranger.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := stranger.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 8)); err != nil { // it has the lock
		t.Fatal(err)
	}

	// We have the file open too, as one that waits for the lock has.
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out bytes.Buffer
	waiter := lockElsewhere(t, name)
	waiter.Stdout = &out
	if err := waiter.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- waiter.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %q (%v)", out.String(), err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := stranger.Wait(); err != nil && stranger.ProcessState.ExitCode() < 0 {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || out.String() != "locked" {
		t.Errorf("after the wait it says %q (%v), want locked", out.String(), err)
	}
}
