//go:build linux

package testbed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// forbidden are the network namespaces in which no command of a box may run:
// the machine's, and the one of the tests.
func forbidden() []string {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		own = "unknown"
	}
	return append(slices.Clone(current.Machine), own)
}

// stat returns a process's parent, state and name: the first fields of
// /proc/PID/stat, whose second is in parentheses and may have spaces.
func stat(pid int) (parent int, state, name string, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, "", "", err
	}
	open, end := strings.IndexByte(string(b), '('), strings.LastIndexByte(string(b), ')')
	if open < 0 || end < open {
		return 0, "", "", fmt.Errorf("/proc/%d/stat: %q has no name in parentheses", pid, b)
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 2 {
		return 0, "", "", fmt.Errorf("/proc/%d/stat: %q is too short", pid, b)
	}
	parent, err = strconv.Atoi(f[1])
	return parent, f[0], string(b[open+1 : end]), err
}

// children are the processes whose parent is pid.
func children(pid int) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		p, _ := strconv.Atoi(filepath.Base(dir))
		if parent, _, _, err := stat(p); err == nil && parent == pid {
			pids = append(pids, p)
		}
	}
	return pids
}

// ended reports whether the process is gone or a zombie.
func ended(pid int) bool {
	_, state, _, err := stat(pid)
	return err != nil || state == "Z"
}

// retry calls f for up to two seconds while it answers that something is busy.
func retry(f func() error) error {
	deadline := time.Now().Add(2 * time.Second)
	for {
		err := f()
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
