package hooks

import (
	"context"
	"fmt"
	"io/fs"
)

// A System is the host that a hook changes. It has one method for each kind of
// effect and of look, eleven in all, because everything that is tested about an
// order or a crash is tested by counting them; Host is the real one,
// hookstest.System one in memory.
//
// Paths are absolute. Every change is on disk when the method returns, except
// what a program, Set and SetAttr did.
type System interface {
	// Run runs a program and returns what it wrote to its standard output. A
	// program that is not there is an error that wraps exec.ErrNotFound; one that
	// ends with another status than 0 gives an *ExitError.
	Run(ctx context.Context, argv ...string) (string, error)

	// Feed is Run of a program that reads input from its standard input.
	Feed(ctx context.Context, input string, argv ...string) (string, error)

	// Stat looks at a file, a folder or a link itself.
	Stat(path string) (Attr, error)

	ReadFile(path string) ([]byte, error)

	// WriteFile puts the whole file in place at once, after making the folders
	// above it.
	WriteFile(path string, b []byte, perm fs.FileMode) error

	// Set writes a setting of the kernel: into the file that is there, in one write.
	Set(path, text string) error

	// SetAttr sets owner, group and, but for a link, the permission bits. It makes
	// a folder that is missing when the mode has fs.ModeDir. It follows no link in
	// a folder that others than root can write.
	SetAttr(path string, a Attr) error

	// Remove removes a file, a link or an empty folder.
	Remove(path string) error

	// RemoveAll removes a folder with all that is in it, and follows no link.
	RemoveAll(path string) error

	// Sync waits until the file system that holds path is on disk.
	Sync(path string) error

	// Lock waits for the lock of that name, after making the folders above it, and
	// holds it until unlock or the end of the process.
	Lock(path string) (unlock func(), err error)
}

// A Logger takes what happens, as a *slog.Logger does. (Log/slog has encoding/json
// in it, and both together are a seventh of the hook.)
type Logger interface {
	Info(msg string, args ...any)  // keys and values
	Warn(msg string, args ...any)  // what a person should see
	Error(msg string, args ...any) // what failed
}

// An Attr is what a file system keeps about a file besides its content.
type Attr struct {
	Mode     fs.FileMode // type and permission bits
	UID, GID int
}

// An ExitError says that a program ended with another status than 0.
type ExitError struct {
	Status int    // -1 when a signal ended it
	Text   string // what it wrote to its standard error and output, shortened
}

func (e *ExitError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return fmt.Sprintf("exit status %d: %s", e.Status, e.Text)
}
