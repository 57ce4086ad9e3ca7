package payload

import (
	"os"

	"golang.org/x/sys/windows"
)

// share takes the lock beside others.
func share(f *os.File) error { return lock(f, 0) }

// own takes the lock alone, if nobody else has it. Windows cannot turn a shared
// lock into an exclusive one, so it gives the shared one up.
func own(f *os.File) error {
	if err := windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, new(windows.Overlapped)); err != nil {
		return err
	}
	return lock(f, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY)
}

func lock(f *os.File, flags uint32) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
}
