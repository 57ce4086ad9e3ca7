//go:build !linux && !windows

package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Host is the machine that the hook runs on, which is none that packages are for:
// that everything compiles there is for those who build packages.
type Host struct {
	Root string // folder that holds the host's files; empty means that they are where they say
}

// Run runs a program.
func (h Host) Run(ctx context.Context, argv ...string) (string, error) {
	return h.Feed(ctx, "", argv...)
}

// Feed is Run of a program that reads input.
func (h Host) Feed(ctx context.Context, input string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	return output(cmd)
}

// Stat looks at a file; its owner is not known.
func (h Host) Stat(name string) (Attr, error) {
	info, err := os.Lstat(h.Root + name)
	if err != nil {
		return Attr{}, err
	}
	return Attr{Mode: info.Mode()}, nil
}

// ReadFile reads a file.
func (h Host) ReadFile(name string) ([]byte, error) { return os.ReadFile(h.Root + name) }

// WriteFile writes beside the file, waits for the disk and renames.
func (h Host) WriteFile(name string, b []byte, perm fs.FileMode) error {
	name = h.Root + name
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".vpkg-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Chmod(perm), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// Set fails: settings in files are Linux's.
func (h Host) Set(name, _ string) error {
	return fmt.Errorf("setting %s: %w", name, errors.ErrUnsupported)
}

// SetAttr makes a missing folder.
func (h Host) SetAttr(name string, a Attr) error {
	if !a.Mode.IsDir() {
		return nil
	}
	return os.MkdirAll(h.Root+name, a.Mode.Perm())
}

// Remove removes a file or an empty folder.
func (h Host) Remove(name string) error { return os.Remove(h.Root + name) }

// RemoveAll is os.RemoveAll.
func (h Host) RemoveAll(name string) error { return os.RemoveAll(h.Root + name) }

// Sync does nothing.
func (h Host) Sync(string) error { return nil }

// Lock does nothing.
func (h Host) Lock(string) (unlock func(), err error) { return func() {}, nil }

// Surroundings says that the host is a running one.
func (h Host) Surroundings() Surroundings {
	return Surroundings{Booted: true, SameRoot: true, Env: os.Getenv}
}
