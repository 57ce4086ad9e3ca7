//go:build unix

package agent

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// tryLock reports whether another process has the lock.
func tryLock(dir *os.File) (busy bool, err error) {
	raw, err := dir.SyscallConn()
	if err != nil {
		return false, err
	}
	var lerr error
	if err := raw.Control(func(fd uintptr) { lerr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) }); err != nil {
		return false, err
	}
	if errors.Is(lerr, syscall.EWOULDBLOCK) || errors.Is(lerr, syscall.EINTR) {
		return true, nil
	}
	return false, lerr
}

// owner is the id of a file's owner, -1 if it is not known.
func owner(info fs.FileInfo) int {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(st.Uid)
}

// links is the number of names that a file has.
func links(info fs.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return uint64(st.Nlink) //nolint:unconvert // 16 or 32 bits on other systems
}

// openLock opens what tryLock locks: the folder of the files.
func openLock(root *os.Root) (*os.File, error) { return openFolder(root) }

func openFolder(root *os.Root) (*os.File, error) {
	return root.OpenFile("etc", os.O_RDONLY|syscall.O_NONBLOCK, 0) // not to wait for a pipe in its place
}

// syncFolder waits until the names of the files are on disk.
func syncFolder(root *os.Root) error {
	dir, err := openFolder(root)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// closeToOthers does nothing: the mode with which a file is made does it.
func closeToOthers(*os.File, fs.FileMode) error { return nil }

func removeFrom(root *os.Root, name string) error { return root.Remove(name) }

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
