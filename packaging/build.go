package packaging

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A Format writes and reads one kind of package file.
type Format interface {
	// Name is the format's name and its file extension: "rpm", "deb", "msi".
	Name() string

	// FileName is the name that p's file should have, without a folder.
	FileName(p *Package) string

	// Write writes p. It validates first, reports every problem at once, and does
	// not change p. It neither seeks nor closes w.
	Write(ctx context.Context, w io.Writer, p *Package) (Written, error)

	// Read reads a package of size bytes, checking every digest that the format
	// carries. With depth Headers it does not decompress the payload, and the
	// layout is as complete as the format's headers allow.
	Read(ctx context.Context, r io.ReaderAt, size int64, depth Depth) (*Package, error)
}

// Depth is how much of a package Read looks at.
type Depth int

// The depths of reading.
const (
	Headers Depth = iota // metadata only
	Payload              // and the content of every file
)

// Written is what Write knows about the payload that it wrote.
type Written struct {
	// Verified says that this very payload, frame by frame, was read back before,
	// so that Build need not decompress it again.
	Verified bool
	// Confirm remembers that the payload was read back; nil where there is nothing
	// to remember it in.
	Confirm func() error
}

// ErrReadBack is returned by Build when the file that was written does not hold
// what its Package says.
var ErrReadBack = errors.New("written file differs from its package")

// An Artifact is a package file that was built.
type Artifact struct {
	Path   string
	Size   int64 // bytes
	SHA256 Digest
}

// Build writes p as a file in dir (which it makes) under the name that the
// format gives it, reads it back and compares. The file appears under its name
// only when all of that went well: a failed build leaves nothing behind, and an
// older file of that name untouched.
func Build(ctx context.Context, dir string, p *Package, f Format) (_ Artifact, err error) {
	name := filepath.Join(dir, f.FileName(p))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Artifact{}, err
	}
	tmp, err := os.CreateTemp(dir, ".vpkg-*")
	if err != nil {
		return Artifact{}, err
	}
	defer func() {
		if err != nil {
			tmp.Close() // err says what went wrong already
			err = errors.Join(fmt.Errorf("writing %s: %w", filepath.Base(name), err), os.Remove(tmp.Name()))
		}
	}()
	h := sha256.New()
	written, err := f.Write(ctx, io.MultiWriter(tmp, h), p)
	if err != nil {
		return Artifact{}, err
	}
	size, err := tmp.Seek(0, io.SeekCurrent)
	if err != nil {
		return Artifact{}, err
	}
	if err := readBack(ctx, tmp, size, p, f, written); err != nil {
		return Artifact{}, err
	}
	if err := tmp.Chmod(0o644); err != nil {
		return Artifact{}, err
	}
	if err := tmp.Close(); err != nil {
		return Artifact{}, err
	}
	if err := ctx.Err(); err != nil { // Ctrl-C in the last moment leaves the older file
		return Artifact{}, err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return Artifact{}, err
	}
	return Artifact{Path: name, Size: size, SHA256: Digest(h.Sum(nil))}, nil
}

func readBack(ctx context.Context, r io.ReaderAt, size int64, p *Package, f Format, written Written) error {
	depth := Payload
	if written.Verified {
		depth = Headers
	}
	got, err := f.Read(ctx, r, size, depth)
	if err != nil {
		return fmt.Errorf("reading it back: %w", err)
	}
	if got.Name != p.Name || got.EVR() != p.EVR() || got.Arch != p.Arch {
		return fmt.Errorf("%w: it is %s %s %s, want %s %s %s", ErrReadBack, got.Name, got.EVR(), got.Arch, p.Name, p.EVR(), p.Arch)
	}
	if got.Layout != nil || depth == Payload {
		if ms := Diff(p.Layout, got.Layout); len(ms) > 0 {
			return fmt.Errorf("%w: %s (and %d more)", ErrReadBack, ms[0], len(ms)-1)
		}
	}
	if depth == Payload && written.Confirm != nil {
		return written.Confirm()
	}
	return nil
}
