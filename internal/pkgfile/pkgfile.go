// Package pkgfile opens package files of all formats that vpkg writes, and tells
// them apart by how they begin. It is the one place that lists the formats for those
// who read packages.
package pkgfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

// ErrFormat is for a file that is no package of any known format.
var ErrFormat = errors.New("it is neither an RPM nor a DEB nor an MSI")

// Identify tells the format of a package by how it begins.
func Identify(r io.ReaderAt) (packaging.Format, error) {
	var magic [8]byte
	n, err := r.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch s := string(magic[:n]); {
	case strings.HasPrefix(s, "\xed\xab\xee\xdb"):
		return rpm.Format{}, nil
	case s == "!<arch>\n":
		return deb.Format{}, nil
	case s == "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
		return msi.Format{}, nil
	default:
		return nil, fmt.Errorf("%w: it starts with %q", ErrFormat, s)
	}
}

// Read reads all of a package of size bytes, checks every digest that is in it, and
// tells its format: "rpm", "deb" or "msi".
func Read(ctx context.Context, r io.ReaderAt, size int64) (*packaging.Package, string, error) {
	f, err := Identify(r)
	if err != nil {
		return nil, "", err
	}
	p, err := f.Read(ctx, r, size, packaging.Payload)
	if err != nil {
		return nil, "", err
	}
	return p, f.Name(), nil
}

// A File is an open package file.
type File struct {
	*os.File
	Size   int64 // bytes
	Format packaging.Format

	msi *msi.Contents // of an MSI, once it was read
}

// Open opens a package file, which may be of any maker.
func Open(name string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	p := &File{File: f}
	fi, err := f.Stat()
	if err == nil {
		p.Size = fi.Size()
		p.Format, err = Identify(f)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", name, err), f.Close())
	}
	return p, nil
}

// Package reads the package to that depth: with packaging.Payload, all of it, and
// every digest is checked.
func (f *File) Package(ctx context.Context, depth packaging.Depth) (*packaging.Package, error) {
	c, err := f.MSI()
	if err != nil {
		return nil, err
	}
	var p *packaging.Package
	if c != nil {
		p, err = c.Package(ctx, depth)
	} else {
		p, err = f.Format.Read(ctx, f, f.Size, depth)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	return p, nil
}

// MSI gives the tables of an MSI, which are read once; nil for another format.
func (f *File) MSI() (*msi.Contents, error) {
	if f.Format.Name() != "msi" || f.msi != nil {
		return f.msi, nil
	}
	c, err := msi.Open(f, f.Size)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	f.msi = c
	return c, nil
}
