package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	"github.com/vpkg/vpkg/hooks"
)

// tryLock reports whether another process has the lock.
func tryLock(f *os.File) (busy bool, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var lerr error
	if err := raw.Control(func(fd uintptr) {
		const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
		lerr = windows.LockFileEx(windows.Handle(fd), how, 0, 1, 0, new(windows.Overlapped))
	}); err != nil {
		return false, err
	}
	if errors.Is(lerr, windows.ERROR_LOCK_VIOLATION) || errors.Is(lerr, windows.ERROR_IO_PENDING) {
		return true, nil
	}
	return false, lerr
}

// openLock opens what tryLock locks: a file that is for nothing else.
func openLock(root *os.Root) (*os.File, error) {
	return root.OpenFile("etc/.lock", os.O_RDWR|os.O_CREATE, 0o600)
}

// syncFolder does nothing: Windows has no such thing.
func syncFolder(*os.Root) error { return nil }

// closeToOthers gives a new file that only its owner may read an access list of its
// own. Any other has that of the data folder, which is closed to ordinary users.
func closeToOthers(f *os.File, mode fs.FileMode) error {
	if mode&0o077 != 0 {
		return nil
	}
	return hooks.MakePrivate(f.Name())
}

func removeFrom(root *os.Root, name string) error {
	err := root.Remove(name)
	if errors.Is(err, windows.ERROR_INVALID_FUNCTION) { // Wine 8 cannot, and knows no links
		err = os.Remove(filepath.Join(root.Name(), name))
	}
	return err
}

// owner and links are not known here. Only administrators can make a second name.
func owner(fs.FileInfo) int { return -1 }

func links(fs.FileInfo) uint64 { return 1 }

func isRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }
