package library

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// An Imported says what became of one package of an import.
type Imported struct {
	FileName string
	Image    Image // zero if Err is not nil
	New      bool  // false means that it was there already
	Err      error // why it is not offered
}

// Import imports packages from name: a folder that vpkg build wrote, the bundle that
// it writes with --bundle, or one package file. A package is offered when all of it
// was read and found to be what the index says, and not at all otherwise; the others
// do not depend on it. What is there already stays as it is. The error is for what
// concerns the import as a whole; what was imported before it is in the result.
func (l *Library) Import(ctx context.Context, name string) ([]Imported, error) {
	done, err := l.importAny(ctx, name)
	if err != nil {
		return done, fmt.Errorf("importing %s: %w", name, err)
	}
	return done, nil
}

func (l *Library) importAny(ctx context.Context, name string) ([]Imported, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if fi.IsDir() {
		return l.importFolder(ctx, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return l.ImportFrom(ctx, filepath.Base(name), fi.Size(), f)
}

// ImportFrom is Import of what r gives: a bundle, or a package file with that name and
// size in bytes. The size of a bundle is the caller's to bound.
func (l *Library) ImportFrom(ctx context.Context, name string, size int64, r io.Reader) ([]Imported, error) {
	b := bufio.NewReader(r)
	if magic, err := b.Peek(3); err == nil && string(magic) == "BZh" {
		return l.importBundle(ctx, b)
	}
	return []Imported{l.importFile(ctx, entry{Name: name, Size: size}, b)}, ctx.Err()
}

func (l *Library) importFolder(ctx context.Context, dir string) ([]Imported, error) {
	root, err := os.OpenRoot(dir) // a link may not lead out of it
	if err != nil {
		return nil, err
	}
	defer root.Close()
	index, err := readBounded(root, indexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s in it, which vpkg build writes: name its packages one by one", indexFile)
	}
	if err != nil {
		return nil, err
	}
	sums, err := readBounded(root, sumsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	es, err := parseIndex(index, sums)
	if err != nil {
		return nil, err
	}
	var done []Imported
	for _, e := range es {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		f, err := openRegular(root, e.Name)
		if err != nil {
			done = append(done, Imported{FileName: e.Name, Err: err})
			continue
		}
		done = append(done, l.importFile(ctx, e, f))
		f.Close()
	}
	return done, ctx.Err()
}

// openRegular does not wait for the other end of a pipe.
func openRegular(root *os.Root, name string) (*os.File, error) {
	fi, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return root.Open(name)
}

func readBounded(root *os.Root, name string) ([]byte, error) {
	f, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err == nil && len(b) > maxIndex {
		err = fmt.Errorf("%s has more than %d bytes", name, maxIndex)
	}
	return b, err
}

// importBundle reads a tar archive in its order: one folder, in it the index, the
// sums, and then the packages.
func (l *Library) importBundle(ctx context.Context, r io.Reader) ([]Imported, error) {
	bz := bzip2.NewReader(r)
	tr := tar.NewReader(bz)
	es, folder, err := readIndex(tr)
	if err != nil {
		return nil, err
	}
	var done []Imported
	for {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return done, fmt.Errorf("bundle: %w", err)
		}
		dir, name := path.Split(h.Name)
		i := slices.IndexFunc(es, func(e entry) bool { return e.Name == name })
		// What is not to be imported is not skipped either: it might be of any size.
		if h.Typeflag != tar.TypeReg || dir != folder || i < 0 {
			return done, fmt.Errorf("bundle: %.200q is no package that its %s lists, or is there twice", h.Name, indexFile)
		}
		if h.Size != es[i].Size {
			return done, fmt.Errorf("bundle: %s has %d bytes, %s says %d", name, h.Size, indexFile, es[i].Size)
		}
		one := l.importFile(ctx, es[i], tr)
		if done = append(done, one); errors.Is(one.Err, errTooLarge) {
			return done, nil
		}
		es = slices.Delete(es, i, i+1)
	}
	for _, e := range es {
		done = append(done, Imported{FileName: e.Name, Err: errors.New("it is not in the bundle")})
	}
	// What fills the archive up is read for the sum at the end of the stream.
	switch _, err := io.CopyN(io.Discard, bz, maxPadding); {
	case err == nil:
		return done, errors.New("bundle: it goes on after its end")
	case err != io.EOF: //nolint:errorlint // CopyN returns io.EOF itself
		return done, fmt.Errorf("bundle: %w", err)
	}
	return done, nil
}

// readIndex reads the two files that a bundle begins with, and tells their folder,
// which ends in a slash.
func readIndex(tr *tar.Reader) ([]entry, string, error) {
	files := map[string][]byte{}
	folder := ""
	for range 2 {
		h, err := tr.Next()
		if err != nil {
			return nil, "", fmt.Errorf("bundle: %w", err)
		}
		dir, name := path.Split(h.Name)
		if folder == "" {
			folder = dir
		}
		if h.Typeflag != tar.TypeReg || dir != folder || name != indexFile && name != sumsFile || h.Size > maxIndex {
			return nil, "", fmt.Errorf("bundle: it begins with %.200q, want %s and %s of at most %d bytes", h.Name, sumsFile, indexFile, maxIndex)
		}
		if files[name], err = io.ReadAll(tr); err != nil {
			return nil, "", fmt.Errorf("bundle: %s: %w", name, err)
		}
	}
	if checkName(strings.TrimSuffix(folder, "/")) != nil || files[indexFile] == nil || files[sumsFile] == nil {
		return nil, "", fmt.Errorf("bundle: %s and %s are not in one folder with a plain name", sumsFile, indexFile)
	}
	es, err := parseIndex(files[indexFile], files[sumsFile])
	return es, folder, err
}

// maxPadding is more than what tar programs fill an archive up with, in bytes.
const maxPadding = 1 << 20

var errTooLarge = errors.New("it is larger than what is imported")

// importFile imports what r gives. An entry without a SHA256 is not from an index:
// then the package itself says what it is.
func (l *Library) importFile(ctx context.Context, e entry, r io.Reader) Imported {
	image, isNew, err := l.importOne(ctx, e, r)
	if err != nil {
		return Imported{FileName: e.Name, Err: err}
	}
	return Imported{FileName: e.Name, Image: image, New: isNew}
}

func (l *Library) importOne(ctx context.Context, e entry, r io.Reader) (_ Image, isNew bool, err error) {
	limit := l.MaxPackage
	if limit == 0 {
		limit = DefaultMaxPackage
	}
	if err := checkName(e.Name); err != nil {
		return Image{}, false, err
	}
	if e.Size > limit {
		return Image{}, false, fmt.Errorf("%w: %d bytes, the limit is %d", errTooLarge, e.Size, limit)
	}
	up, err := l.Packages.Create(ctx)
	if err != nil {
		return Image{}, false, err
	}
	defer func() { err = errors.Join(err, up.Close()) }()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(up, h), withContext{ctx, io.LimitReader(r, e.Size+1)})
	if err != nil {
		return Image{}, false, err
	}
	sum := packaging.Digest(h.Sum(nil))
	switch {
	case n != e.Size:
		return Image{}, false, fmt.Errorf("it has not the %d bytes that it should have", e.Size)
	case !e.SHA256.IsZero() && sum != e.SHA256:
		return Image{}, false, fmt.Errorf("its SHA-256 is %s, %s says %s", sum, indexFile, e.SHA256)
	}
	p, format, err := l.Read(ctx, up, n)
	if err != nil {
		return Image{}, false, err
	}
	image, err := e.image(p, format)
	if err != nil {
		return Image{}, false, err
	}
	image.SHA256, image.Imported = sum, l.now()
	return l.offer(ctx, image, up)
}

// image is what a package is offered as, which has to be what the index says.
func (e entry) image(p *packaging.Package, format string) (Image, error) {
	got := entry{
		Name: e.Name, Format: format, Package: p.Name, Version: p.EVR(), OS: e.OS, Arch: p.Arch, Size: e.Size, SHA256: e.SHA256,
	}
	if !e.SHA256.IsZero() && got != e {
		return Image{}, fmt.Errorf("it is %s %s %s %s, %s says %s %s %s %s", got.Format, got.Package, got.Version, got.Arch,
			indexFile, e.Format, e.Package, e.Version, e.Arch)
	}
	release, system, err := releaseOf(got.Version, format, e.OS)
	if err != nil {
		return Image{}, err
	}
	got.OS, got.SHA256 = system, packaging.Digest{1} // that there is one is known
	if err := got.check(); err != nil {
		return Image{}, err
	}
	return Image{
		FileName: e.Name, Product: p.Name, Release: release, Version: got.Version,
		OS: system, Arch: p.Arch, Format: format, Size: e.Size,
	}, nil
}

// offer makes the file one of the library's and says so in the Store, in this order:
// killed between, it leaves a file that Sweep removes.
func (l *Library) offer(ctx context.Context, image Image, up Upload) (_ Image, isNew bool, err error) {
	err = l.Store.Update(ctx, func(tx Tx) error {
		images, err := tx.Images()
		if err != nil {
			return err
		}
		for _, i := range images {
			same := i
			same.Imported = image.Imported
			if same == image { // the file is written again, in case that it was lost
				image = i
				return up.Commit(image.SHA256)
			}
			if i.FileName == image.FileName {
				return fmt.Errorf("%w: with SHA-256 %s, this one has %s; remove release %s first", ErrExists, i.SHA256, image.SHA256, i.Release)
			}
			if i.Product == image.Product && i.Release == image.Release && i.OS == image.OS && i.Arch == image.Arch && i.Format == image.Format {
				return fmt.Errorf("%w: %s is for %s/%s too; remove release %s first", ErrExists, i.FileName, i.OS, i.Arch, i.Release)
			}
		}
		if err := up.Commit(image.SHA256); err != nil {
			return err
		}
		isNew = true
		e := l.event(EventImport, image.FileName)
		e.Detail = "sha256 " + image.SHA256.String()
		return errors.Join(tx.AddImage(image), tx.AddEvent(e))
	})
	if err != nil {
		return Image{}, false, err
	}
	return image, isNew, nil
}

// withContext ends a copy when the context does.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

func (r withContext) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
