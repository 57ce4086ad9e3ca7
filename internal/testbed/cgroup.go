//go:build linux

package testbed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// runPrefix and the supervisor's process id name a run's control groups and its
// temporary folder.
const runPrefix = "vpkg-testbed-"

// lockName is the file in a run's temporary folder that its supervisor has locked.
const lockName = ".lock"

// cgroupRoots are the hierarchies that systemd uses: version 2's, and the one of
// version 1 that has its name.
func cgroupRoots() []string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var roots []string
	for line := range strings.Lines(string(b)) {
		// "36 25 0:31 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		if g[0] == "cgroup2" || g[0] == "cgroup" && strings.Contains(g[2], "name=systemd") {
			roots = append(roots, f[4])
		}
	}
	return roots
}

// makeCgroup makes the control group in every hierarchy. It returns the files to
// which a process writes its id to join them.
func makeCgroup(name string) (procs []string, err error) {
	for _, root := range cgroupRoots() {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		procs = append(procs, filepath.Join(dir, "cgroup.procs"))
	}
	return procs, nil
}

// removeCgroups removes the control groups of that name. Their processes are
// dead, but the kernel may need a moment to notice.
func removeCgroups(name string) {
	for _, root := range cgroupRoots() {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(root, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs)
		for _, dir := range dirs {
			_ = retry(func() error { return syscall.Rmdir(dir) })
		}
	}
}

// sweep removes the control groups and temporary folders of runs that were
// killed together with their supervisor.
func sweep() {
	for _, root := range append(cgroupRoots(), os.TempDir()) {
		left, _ := filepath.Glob(filepath.Join(root, runPrefix+"*"))
		for _, dir := range left {
			id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), runPrefix), "-")
			if pid, err := strconv.Atoi(id); err != nil || running(pid) {
				continue
			}
			if root == os.TempDir() {
				_ = os.RemoveAll(dir)
			} else {
				removeCgroups(filepath.Base(dir))
			}
		}
	}
}

// running reports whether the supervisor with that process id is there. In another
// process namespace it cannot be seen, but it holds the lock on its folder.
func running(pid int) bool {
	if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-*", runPrefix, pid)))
	return slices.ContainsFunc(dirs, func(dir string) bool {
		f, err := os.Open(filepath.Join(dir, lockName))
		if err != nil {
			return false
		}
		defer f.Close()
		return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
	})
}
