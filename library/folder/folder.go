// Package folder keeps package files of a library in a folder, each under the SHA-256
// of its content. A file is written beside the others, synced and renamed, so that
// one that can be seen is whole.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/packaging"
)

// Packages is the path of the folder. It is made when it is missing.
type Packages string

// stale is how old a file that was never finished has to be for Sweep to remove it:
// another process may be at work on a younger one.
const stale = 24 * time.Hour

const tempPrefix = ".upload-"

func (p Packages) path(d packaging.Digest) string { return filepath.Join(string(p), d.String()) }

// Create begins a file.
func (p Packages) Create(_ context.Context) (library.Upload, error) {
	if err := os.MkdirAll(string(p), 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(string(p), tempPrefix+"*")
	if err != nil {
		return nil, err
	}
	return &upload{File: f, dir: p}, nil
}

type upload struct {
	*os.File
	dir    Packages
	closed bool
}

// Commit syncs the file, gives it its name and syncs the folder.
func (u *upload) Commit(d packaging.Digest) error {
	if err := u.Sync(); err != nil {
		return err
	}
	u.closed = true // a failure to close or rename removes it
	if err := u.File.Close(); err != nil {
		return errors.Join(err, os.Remove(u.Name()))
	}
	if err := os.Rename(u.Name(), u.dir.path(d)); err != nil {
		return errors.Join(err, os.Remove(u.Name()))
	}
	return syncDir(string(u.dir))
}

// Close removes the file unless it was committed.
func (u *upload) Close() error {
	if u.closed {
		return nil
	}
	u.closed = true
	return errors.Join(u.File.Close(), os.Remove(u.Name()))
}

// Open opens a file.
func (p Packages) Open(_ context.Context, d packaging.Digest) (library.File, int64, error) {
	f, err := os.Open(p.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("package file %s: %w", d, library.ErrNotFound)
	}
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, fi.Size(), nil
}

// Sweep removes files that are not to be kept. What it does not know it leaves alone.
func (p Packages) Sweep(ctx context.Context, keep func(packaging.Digest) bool) error {
	es, err := os.ReadDir(string(p))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var errs []error
	for _, e := range es {
		if err := ctx.Err(); err != nil {
			return err
		}
		remove := false
		if d, err := packaging.ParseDigest(e.Name()); err == nil {
			remove = !keep(d)
		} else if strings.HasPrefix(e.Name(), tempPrefix) {
			fi, err := e.Info()
			remove = err == nil && time.Since(fi.ModTime()) > stale
		}
		if remove {
			errs = append(errs, os.Remove(filepath.Join(string(p), e.Name())))
		}
	}
	return errors.Join(errs...)
}

// secretBytes is the size of a secret that Secret makes.
const secretBytes = 32

// Secret reads the secret in the file name, or makes it with the bytes that random
// gives. Two that make it at once get the same one.
func Secret(name string, random io.Reader) (_ []byte, err error) {
	b, err := os.ReadFile(name)
	if err == nil && len(b) != secretBytes {
		err = fmt.Errorf("%s has %d bytes, want %d", name, len(b), secretBytes)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, ".secret-*") // 0600
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = io.CopyN(f, random, secretBytes)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	// A link, for a rename would take away the secret of another that was faster.
	if err := os.Link(f.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := syncDir(dir); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}
