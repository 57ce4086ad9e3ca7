package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// flock locks the file, flock(2), and waits for it, unless the wait would have no
// end: whoever has locked it started us, and waits for us.
func flock(f *os.File) error {
	err := flockOnce(f, unix.LOCK_EX|unix.LOCK_NB)
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	if pid := lockedByAncestor(f); pid != 0 {
		return fmt.Errorf("it is locked by process %d, which waits for this one", pid)
	}
	return flockOnce(f, unix.LOCK_EX)
}

func flockOnce(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// lockedByAncestor is the process id of the ancestor that has locked the file, or
// 0 if none has or nobody can tell. It is a file's lock that an ancestor has open
// and not a line of /proc/locks: that has the device of the file system's own
// books, which stat(2) does not give on overlayfs and btrfs.
func lockedByAncestor(f *os.File) (pid int) {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	for pid = parentOf("self"); pid > 0; pid = parentOf(strconv.Itoa(pid)) {
		proc := "/proc/" + strconv.Itoa(pid)
		fds, err := os.ReadDir(proc + "/fd")
		if err != nil {
			continue
		}
		for _, fd := range fds {
			open, err := os.Stat(proc + "/fd/" + fd.Name())
			if err != nil || !os.SameFile(info, open) {
				continue
			}
			// "lock:	1: FLOCK  ADVISORY  WRITE 1234 00:2a:43 0 EOF", from Linux 4.1 on.
			text, err := os.ReadFile(proc + "/fdinfo/" + fd.Name())
			if err == nil && bytes.Contains(text, []byte(" FLOCK ")) {
				return pid
			}
		}
	}
	return 0
}

// parentOf reads /proc/PID/stat: "1234 (name) S 1 …", where the name can hold
// anything. Without a parent it is 0.
func parentOf(pid string) int {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return parent
}
