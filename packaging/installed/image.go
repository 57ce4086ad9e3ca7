package installed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// Image gives the host in a folder as a hooks.System that can only be looked at: no
// link leads out of the folder, and nothing but regular files is opened. Programs are
// not there, but for getent, which answers from passwd and group.
func (h *Host) Image() hooks.System { return image{h.scan(hooks.Config{})} }

// An image is a host that is looked at through a Scan.
type image struct{ scan *packaging.Scan }

// errImage is what every change of an image gives.
var errImage = fmt.Errorf("an image is only looked at: %w", errors.ErrUnsupported)

// Run answers for getent.
func (i image) Run(_ context.Context, argv ...string) (string, error) {
	if len(argv) != 3 || argv[0] != "getent" || argv[1] != "passwd" && argv[1] != "group" {
		return "", fmt.Errorf("%w: %w", exec.ErrNotFound, errImage)
	}
	b, err := i.scan.ReadFile("/etc/"+argv[1], maxAccounts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 2 && (f[0] == argv[2] || f[2] == argv[2]) {
			return line, nil
		}
	}
	return "", &hooks.ExitError{Status: 2} // getent(1): not found
}

// Feed finds no program.
func (i image) Feed(ctx context.Context, _ string, argv ...string) (string, error) {
	return i.Run(ctx, argv...)
}

// look reads what there is of an entry besides its content.
func (i image) look(name string) (packaging.Entry, hooks.Attr, error) {
	var a hooks.Attr
	s := *i.scan
	s.User = func(n uint32, _ string) string { a.UID = int(n); return "" }
	s.Group = func(n uint32, _ string) string { a.GID = int(n); return "" }
	got, errs, err := s.Read(context.Background(), packaging.Layout{{Path: name, Mode: fs.ModeIrregular}})
	switch {
	case err != nil:
		return packaging.Entry{}, a, err
	case len(errs) > 0:
		return packaging.Entry{}, a, errs[0]
	case len(got) == 0:
		return packaging.Entry{}, a, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	a.Mode = got[0].Mode
	return got[0], a, nil
}

// Stat looks at a file, a folder or a link itself.
func (i image) Stat(name string) (hooks.Attr, error) {
	_, a, err := i.look(name)
	return a, err
}

// ReadFile follows links as the image would. What is linked to /dev/null is empty.
func (i image) ReadFile(name string) ([]byte, error) {
	for range 40 { // as many as Linux follows
		e, _, err := i.look(name)
		if err != nil {
			return nil, err
		}
		if e.Mode&fs.ModeSymlink == 0 {
			return i.scan.ReadFile(name, maxState)
		}
		if path.IsAbs(e.Target) {
			name = path.Clean(e.Target)
		} else {
			name = path.Join(path.Dir(name), e.Target)
		}
		if name == "/dev/null" {
			return nil, nil
		}
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("too many levels of symbolic links")}
}

func (image) WriteFile(string, []byte, fs.FileMode) error { return errImage }
func (image) Set(string, string) error                    { return errImage }
func (image) SetAttr(string, hooks.Attr) error            { return errImage }
func (image) Remove(string) error                         { return errImage }
func (image) RemoveAll(string) error                      { return errImage }
func (image) Sync(string) error                           { return errImage }
func (image) Lock(string) (func(), error)                 { return nil, errImage }
