//go:build linux

package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Box is a clone of a suite's root file system with namespaces of its own. It
// starts at the first command, with a shell as its pid 1, or at Boot, with
// systemd. It is gone when its test ends.
type Box struct {
	Suite Suite

	dir   string   // tmpfs with the overlay's folders: upper, work, root
	pid1  int      // the box's pid 1, as the tests see it; 0 before the start
	net   *os.File // its network namespace
	lead  *exec.Cmd
	log   syncBuffer // of lead
	group string     // control group of a booted box
}

// Limit is how long a command in a box may take.
const Limit = 3 * time.Minute

// New makes a box of the suite.
func New(t testing.TB, s Suite) *Box {
	t.Helper()
	Need(t)
	b := &Box{Suite: s, dir: clone(t, s)}
	t.Cleanup(func() { b.stop(t) })
	return b
}

// clone mounts an overlay over the suite's root; its changes go to memory.
func clone(t testing.TB, s Suite) (dir string) {
	t.Helper()
	lower, ok := current.Roots[s.Name]
	if !ok {
		t.Fatalf("testbed.Setup does not list the suite %s", s.Name)
	}
	dir, err := os.MkdirTemp(current.Dir, "box-") //nolint:usetesting // t.TempDir would delete through the mounts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The kernel drops what cannot be unmounted now with the namespace.
		_ = syscall.Unmount(filepath.Join(dir, "root"), syscall.MNT_DETACH)
		_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if err := (mount{"tmpfs", dir, "tmpfs", 0, "mode=755"}).do(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%[2]s/upper,workdir=%[2]s/work", lower, dir)
	if err := (mount{"overlay", filepath.Join(dir, "root"), "overlay", 0, options}).do(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Path is where the tests see the box's file name. Absolute links in the box
// lead out of it: read through Root what a package may have made a link.
func (b *Box) Path(name string) string { return filepath.Join(b.dir, "root", name) }

// Root opens the box's root file system; nothing can leave it.
func (b *Box) Root(t testing.TB) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(b.Path("/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// Read returns the content of a file in the box.
func (b *Box) Read(t testing.TB, name string) string {
	t.Helper()
	data, err := b.Root(t).ReadFile(strings.TrimPrefix(name, "/"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Write writes a file in the box, making its folders.
func (b *Box) Write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.Path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.Path(name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Copy copies files of the machine into the box's folder dir and returns their
// names there.
func (b *Box) Copy(t testing.TB, dir string, files ...string) []string {
	t.Helper()
	if err := os.MkdirAll(b.Path(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = filepath.Join(dir, filepath.Base(file))
		if err := copyFile(b.Path(names[i]), file); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

// Nest mounts another clone of a suite inside the box, which must not have
// started: an image that the box, standing for a machine, works on.
func (b *Box) Nest(t testing.TB, s Suite, at string) {
	t.Helper()
	if b.pid1 != 0 {
		t.Fatal("testbed: Nest after the box has started")
	}
	inner := filepath.Join(clone(t, s), "root")
	if err := os.MkdirAll(b.Path(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (mount{inner, b.Path(at), "", syscall.MS_BIND, ""}).do(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(b.Path(at), syscall.MNT_DETACH) })
}

// Tmpfs mounts a file system of that many bytes in the box, which must not have
// started: a disk that gets full.
func (b *Box) Tmpfs(t testing.TB, at string, size int64) {
	t.Helper()
	if b.pid1 != 0 {
		t.Fatal("testbed: Tmpfs after the box has started")
	}
	if err := os.MkdirAll(b.Path(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (mount{"tmpfs", b.Path(at), "tmpfs", 0, fmt.Sprintf("mode=755,size=%d", size)}).do(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(b.Path(at), syscall.MNT_DETACH) })
}

// A Result is what a command did.
type Result struct {
	Command        string
	Stdout, Stderr string // Stderr without what Debian's rpm says about alien
	Code           int    // exit status
}

// OK fails the test unless the command exited with 0; it returns its stdout.
func (r Result) OK(t testing.TB) string {
	t.Helper()
	if r.Code != 0 {
		t.Fatal(r)
	}
	return r.Stdout
}

// Fails fails the test if the command exited with 0; it returns its stderr.
func (r Result) Fails(t testing.TB) string {
	t.Helper()
	if r.Code == 0 {
		t.Fatalf("want a failure of\n%s", r)
	}
	return r.Stderr
}

func (r Result) String() string {
	return fmt.Sprintf("$ %s\n%s%s(exit status %d)", r.Command, r.Stdout, r.Stderr, r.Code)
}

// Run runs a command in the box as root.
func (b *Box) Run(t testing.TB, argv ...string) Result {
	t.Helper()
	return b.Env(t, nil, argv...)
}

// Sh runs a shell script in the box.
func (b *Box) Sh(t testing.TB, script string) Result {
	t.Helper()
	return b.Run(t, "/bin/sh", "-c", script)
}

// Env runs a command in the box with additions to its environment.
func (b *Box) Env(t testing.TB, env []string, argv ...string) Result {
	t.Helper()
	if b.pid1 == 0 {
		b.start(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), Limit)
	defer cancel()
	if err := guardNet(b.net); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"-t", strconv.Itoa(b.pid1), fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), b.net.Fd()),
		"-m", "-p", "-i", "-u", "-r", "-w", "--",
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(args, argv...)...)
	cmd.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb", "DEBIAN_FRONTEND=noninteractive",
	}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 2 * time.Second // a daemon may keep the pipes open
	err := cmd.Run()
	r := Result{strings.Join(argv, " "), stdout.String(), withoutAlien(stderr.String()), cmd.ProcessState.ExitCode()}
	switch {
	case ctx.Err() != nil:
		t.Fatalf("no end after %s: %v", Limit, r)
	case err != nil && r.Code < 0:
		t.Fatalf("%v: %v", err, r)
	}
	return r
}

// withoutAlien drops the two lines by which Debian's rpm recommends alien.
func withoutAlien(stderr string) string {
	var b strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.Contains(line, "RPM should not be used directly") && !strings.Contains(line, "However assuming you know what you are doing") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// keeper is the pid 1 of a box that is not booted. It makes the smallest /dev
// and /proc that package managers need, moves to the box's root for good, and
// reaps what is left to it until it is killed.
const keeper = `
set -eu
cd "$1"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for d in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do mknod -m 666 "dev/${d% *}" c 1 "${d#* }"; done
mknod -m 666 dev/tty c 5 0
ln -s /proc/self/fd dev/fd
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=755 tmpfs run
ip link set lo up
mkdir .machine
pivot_root . .machine
cd /
umount -l .machine
rmdir .machine
hostname box
exec </dev/null >/dev/null 2>&1
echo ready >/run/testbed
while :; do sleep 3600; done
`

// start runs the keeper and waits until the box is ready.
func (b *Box) start(t testing.TB) {
	t.Helper()
	args := append([]string{"-n", "-m", "-p", "-i", "-u", "-f", "--kill-child", "--propagation", "private", "--"},
		guarded("/bin/sh", "-c", keeper, "keeper", b.Path("/"))...)
	b.lead = exec.Command("unshare", args...)
	b.lead.Stdout, b.lead.Stderr = &b.log, &b.log
	if err := b.lead.Start(); err != nil {
		t.Fatal(err)
	}
	b.await(t, 10*time.Second, func() (bool, error) {
		for _, pid := range children(b.lead.Process.Pid) {
			if _, err := os.Stat(fmt.Sprintf("/proc/%d/root/run/testbed", pid)); err == nil {
				return true, b.found(pid)
			}
		}
		return false, nil
	})
}

// found notes the box's pid 1.
func (b *Box) found(pid int) (err error) {
	b.pid1 = pid
	b.net, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	return err
}

// await polls until ready says so, lead has ended, or the time is over.
func (b *Box) await(t testing.TB, limit time.Duration, ready func() (bool, error)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		ok, err := ready()
		switch {
		case err != nil:
			t.Fatal(err)
		case ok:
			return
		case ended(b.lead.Process.Pid):
			_ = b.lead.Wait()
			t.Fatalf("the box's pid 1 ended: %s\n%s", b.lead.ProcessState, b.log.String())
		case time.Now().After(deadline):
			t.Fatalf("the box is not ready after %s", limit)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stop kills the box's pid 1 and with it everything in the box.
func (b *Box) stop(t testing.TB) {
	if b.lead == nil {
		return
	}
	if b.pid1 != 0 {
		_ = syscall.Kill(b.pid1, syscall.SIGKILL)
	}
	b.reap()
	if t.Failed() && b.group != "" {
		t.Logf("console of the box:\n%s", b.log.String())
	}
}

func (b *Box) reap() {
	done := make(chan struct{})
	go func() {
		_ = b.lead.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = b.lead.Process.Kill()
		<-done
	}
	if b.group != "" {
		removeCgroups(b.group)
	}
	if b.net != nil {
		b.net.Close() // of which nothing was written
	}
	b.lead, b.pid1, b.net = nil, 0, nil
}
