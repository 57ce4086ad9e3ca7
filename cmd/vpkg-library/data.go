package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/internal/pkgfile"
	"github.com/vpkg/vpkg/internal/progress"
	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/folder"
	"github.com/vpkg/vpkg/library/sqlite"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

// What is in a data folder.
const (
	stateFile      = "state.db"
	packagesFolder = "packages"
	secretFile     = "secret"
	tlsFolder      = "tls"
	offeredFile    = "ca.crt" // what serve offered when it last started
	lockFile       = "lock"
)

// A data folder is a library, open.
type data struct {
	*library.Library
	dir string
	db  *sqlite.DB
}

func (d *data) Close() error { return d.db.Close() }

// openData opens the library in the folder that a command was given. One that is not
// there is an error, unless it is to be made.
func openData(cmd *cobra.Command, create bool) (*data, error) {
	dir := cmd.Flags().Lookup("data").Value.String()
	if dir == "" {
		return nil, usageError{errors.New("--data is empty")}
	}
	d, err := openFolder(cmd.Context(), dir, create)
	if err != nil {
		return nil, fmt.Errorf("library %s: %w", dir, err)
	}
	return d, nil
}

func openFolder(ctx context.Context, dir string, create bool) (_ *data, err error) {
	state := filepath.Join(dir, stateFile)
	if create {
		err = os.MkdirAll(dir, 0o700)
	} else if _, err = os.Stat(state); errors.Is(err, fs.ErrNotExist) {
		err = errors.New("there is none; serve and import make one")
	}
	if err != nil {
		return nil, err
	}
	// A state without its secret is one whose codes and tokens are worth nothing; that
	// is not made up for in silence.
	secret := filepath.Join(dir, secretFile)
	if _, err := os.Stat(state); err == nil {
		if _, err := os.Stat(secret); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is there and %s is not: restore it; without it, every activation code, API key and paired machine is lost", stateFile, secretFile)
		}
	}
	key, err := folder.Secret(secret, rand.Reader)
	if err != nil {
		return nil, err
	}
	db, err := sqlite.Open(ctx, state)
	if err != nil {
		return nil, err
	}
	return &data{
		Library: &library.Library{
			Store:    db,
			Packages: folder.Packages(filepath.Join(dir, packagesFolder)),
			Secret:   key,
			Read:     read,
			Compare:  rpm.CompareEVR,
			Actor:    actor(),
		},
		dir: dir,
		db:  db,
	}, nil
}

// read is pkgfile.Read, which a person who waits is shown.
func read(ctx context.Context, r io.ReaderAt, size int64) (*packaging.Package, string, error) {
	r, bar := progress.Reading(os.Stderr, "verifying", r, size)
	defer bar.Close()
	return pkgfile.Read(ctx, r, size)
}

// actor is who events say did it: the user behind sudo, or the one that this is.
func actor() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	if name == "" {
		return "local"
	}
	return "local:" + name
}
