//go:build unix && !solaris && !aix

package payload

import (
	"errors"
	"os"
	"syscall"
)

// share takes the lock beside others.
func share(f *os.File) error { return flock(f, syscall.LOCK_SH) }

// own takes the lock alone, if nobody else has it.
func own(f *os.File) error { return flock(f, syscall.LOCK_EX|syscall.LOCK_NB) }

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
