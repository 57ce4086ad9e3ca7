package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// MaxLogSize is the size in bytes past which a log is rotated, as the product's
// administration guide documents it.
const MaxLogSize = 15 << 20

// A LogFile is a log of at most MaxSize bytes with one backup, NAME.1. The file
// and its backup stay inside of Root whatever links somebody puts there: a
// component that runs as root writes into a folder that belongs to the agent's
// account.
type LogFile struct {
	Root    *os.Root
	Name    string // inside of Root, with slashes: "log/agentmgr.log"
	MaxSize int64  // bytes; 0 means MaxLogSize

	mu   sync.Mutex
	file *os.File
	size int64
}

// Write appends p, after it has rotated a log that p would make too large.
func (l *LogFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	limit := l.MaxSize
	if limit == 0 {
		limit = MaxLogSize
	}
	if l.size > 0 && l.size+int64(len(p)) > limit {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

// Close closes the file. A later Write opens it again.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

func (l *LogFile) open() error {
	// O_NONBLOCK: a pipe that somebody put there must not hang us.
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NONBLOCK
	f, err := l.Root.OpenFile(l.Name, flags, 0o640)
	if errors.Is(err, fs.ErrPermission) { // of another account, under which the component ran before
		if err := l.Root.Rename(l.Name, l.Name+".1"); err != nil {
			return fmt.Errorf("opening log: %w", err)
		}
		f, err = l.Root.OpenFile(l.Name, flags, 0o640)
	}
	if err != nil {
		return fmt.Errorf("opening log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", l.Name)
	}
	if err != nil {
		f.Close() // err says what went wrong already
		return fmt.Errorf("opening log: %w", err)
	}
	l.file, l.size = f, info.Size()
	return nil
}

func (l *LogFile) rotate() error {
	err := l.file.Close()
	l.file = nil
	if err == nil {
		err = l.Root.Rename(l.Name, l.Name+".1")
	}
	if err != nil {
		return fmt.Errorf("rotating log: %w", err)
	}
	return l.open()
}
