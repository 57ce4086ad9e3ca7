package payload

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/mholt/archives"

	"github.com/vpkg/vpkg/packaging"
)

// ArchiveOptions say how ReadArchive reads. Its zero value has limits that no
// honest payload reaches.
type ArchiveOptions struct {
	// Spool is the folder of a temporary file, without a name where the system
	// allows it, that holds the plain content of all files. Empty means
	// os.TempDir().
	Spool string

	Entries int   // how many entries there may be; 0 means 250,000
	Bytes   int64 // how many bytes all files may have together; 0 means 64 GiB
	Ratio   int64 // how many times the archive's size that may be; 0 means 250. The first 256 MiB are free
}

const (
	freeBytes = 256 << 20 // may come out of an archive whatever its size
	entrySize = 4 << 10   // bytes of a tar that an entry may have beside its content
)

// fill sets the limits for an archive of size bytes.
func (o *ArchiveOptions) fill(size int64) {
	if o.Entries == 0 {
		o.Entries = 250_000
	}
	if o.Bytes == 0 {
		o.Bytes = 64 << 30
	}
	if o.Ratio == 0 {
		o.Ratio = 250
	}
	o.Bytes = min(o.Bytes, max(freeBytes, size*o.Ratio))
}

// ReadArchive reads the archive in the file name: tar with any compression, zip,
// 7z or rar. It reads the file once, in its order, into a spool file. An archive
// that no honest tool makes is refused with the entry named: absolute paths and
// paths with .., links that lead out of the archive, devices, two entries for one
// path, entries below a file, and more than o allows.
func ReadArchive(ctx context.Context, name string, o ArchiveOptions) (_ *Tree, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	o.fill(fi.Size())
	format, err := identify(ctx, file, o.Bytes+int64(o.Entries)*entrySize)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	t, err := readArchive(ctx, file, format, o)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return t, nil
}

// An extraction is an archive while it is read.
type extraction struct {
	ArchiveOptions
	t      *Tree
	names  names
	groups map[string][]int // places in t.Files by the path that others link to
	count  int              // entries so far
	spool  *os.File
	bytes  int64 // written to spool
	h      hash.Hash
}

func readArchive(ctx context.Context, r io.Reader, format archives.Extractor, o ArchiveOptions) (_ *Tree, err error) {
	x := &extraction{
		ArchiveOptions: o,
		t:              new(Tree),
		names:          names{},
		groups:         map[string][]int{},
		h:              sha256.New(),
	}
	spool, err := newSpool(o.Spool)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, spool.Close())
		}
	}()
	x.spool = spool.File
	x.t.closers = []io.Closer{spool}
	if err := extract(ctx, r, format, x.add); err != nil {
		return nil, err
	}
	for _, p := range x.names.implied() {
		x.t.Files = append(x.t.Files, File{Path: p, Mode: fs.ModeDir | 0o755})
	}
	if err := x.names.checkLinks(); err != nil {
		return nil, err
	}
	groups := make([][]int, 0, len(x.groups))
	for _, g := range x.groups {
		groups = append(groups, g)
	}
	x.t.finish(groups)
	return x.t, nil
}

// extract calls add for each entry of the archive r. Decoders of old formats may
// panic on a damaged file: that is an error about the file.
func extract(ctx context.Context, r io.Reader, format archives.Extractor, add func(archives.FileInfo) error) (err error) {
	var own error // add's, without what format adds to it
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged archive: %v", p)
		}
		if own != nil {
			err = own
		}
	}()
	return format.Extract(ctx, r, func(_ context.Context, fi archives.FileInfo) error {
		own = add(fi)
		return own
	})
}

// add takes one entry.
func (x *extraction) add(fi archives.FileInfo) error {
	if x.count++; x.count > x.Entries {
		return fmt.Errorf("entry %q: the archive has more than %d entries", fi.NameInArchive, x.Entries)
	}
	p, err := cleanName(fi)
	if err != nil {
		return err
	}
	if p == "." {
		return nil // the top folder
	}
	f := File{Path: p, Mode: fi.Mode(), ModTime: cleanTime(fi.ModTime())}
	if h, ok := fi.Header.(*tar.Header); ok {
		f.Owner, f.Group = h.Uname, h.Gname
		if h.Typeflag == tar.TypeLink {
			return x.addHardLink(f, h.Linkname)
		}
		if !fileTypes[h.Typeflag] {
			return fmt.Errorf("entry %q: type %q is neither file, folder nor link", fi.NameInArchive, h.Typeflag)
		}
	}
	switch f.Mode.Type() {
	case fs.ModeDir:
	case fs.ModeSymlink:
		f.Mode = fs.ModeSymlink | 0o777 // as on Linux, where links have no mode
		if f.Target, err = linkTarget(fi); err != nil {
			return err
		}
	case 0:
		if err := x.content(&f, fi); err != nil {
			return err
		}
	default:
		return fmt.Errorf("entry %q: is neither file, folder nor link: %s", fi.NameInArchive, f.Mode)
	}
	if err := x.names.add(p, entryName{raw: fi.NameInArchive, dir: f.Mode.IsDir(), target: f.Target, place: len(x.t.Files)}); err != nil {
		return err
	}
	x.t.Files = append(x.t.Files, f)
	return nil
}

// fileTypes are the types of tar entries that have a place in a package, except
// hard links.
var fileTypes = map[byte]bool{tar.TypeReg: true, tar.TypeDir: true, tar.TypeSymlink: true, tar.TypeCont: true, tar.TypeGNUSparse: true}

// content copies the content of f to the spool.
func (x *extraction) content(f *File, fi archives.FileInfo) error {
	r, err := fi.Open()
	if err != nil {
		return fmt.Errorf("entry %q: %w", fi.NameInArchive, err)
	}
	defer r.Close()
	x.h.Reset()
	left := x.Bytes - x.bytes
	n, err := copyAll(io.MultiWriter(x.spool, x.h), io.LimitReader(r, left+1))
	switch {
	case err != nil:
		return fmt.Errorf("entry %q: %w", fi.NameInArchive, err)
	case n > left:
		return fmt.Errorf("entry %q: the files of the archive have more than %d bytes together", fi.NameInArchive, x.Bytes)
	}
	f.Size = n
	f.SHA256 = packaging.Digest(x.h.Sum(nil))
	f.Body = spoolBody{x.spool, x.bytes, n}
	x.bytes += n
	return nil
}

// addHardLink takes another name of an earlier file.
func (x *extraction) addHardLink(f File, target string) error {
	p, err := checkPath(target)
	if err != nil {
		return fmt.Errorf("entry %q: hard link to %q: %w", f.Path, target, err)
	}
	to, ok := x.names[p]
	if !ok || to.place < 0 || !x.t.Files[to.place].Mode.IsRegular() {
		return fmt.Errorf("entry %q: hard link to %q, which is no earlier file of the archive", f.Path, target)
	}
	first := &x.t.Files[to.place]
	f.Mode, f.Owner, f.Group, f.ModTime = first.Mode, first.Owner, first.Group, first.ModTime
	f.Size, f.SHA256, f.Body = first.Size, first.SHA256, first.Body
	f.HardLink = first.Path
	if first.HardLink != "" {
		f.HardLink = first.HardLink
	}
	place := len(x.t.Files)
	if err := x.names.add(f.Path, entryName{raw: f.Path, place: place}); err != nil {
		return err
	}
	if len(x.groups[f.HardLink]) == 0 {
		x.groups[f.HardLink] = []int{x.names[f.HardLink].place}
	}
	x.groups[f.HardLink] = append(x.groups[f.HardLink], place)
	x.t.Files = append(x.t.Files, f)
	return nil
}

// linkTarget is what a symbolic link points to: 7z and rar have it as content.
func linkTarget(fi archives.FileInfo) (string, error) {
	target := fi.LinkTarget
	if target == "" {
		r, err := fi.Open()
		if err != nil {
			return "", fmt.Errorf("entry %q: %w", fi.NameInArchive, err)
		}
		defer r.Close()
		b, err := io.ReadAll(io.LimitReader(r, maxPath+1))
		if err != nil {
			return "", fmt.Errorf("entry %q: %w", fi.NameInArchive, err)
		}
		target = string(b)
	}
	switch {
	case target == "":
		return "", fmt.Errorf("entry %q: link without a target", fi.NameInArchive)
	case len(target) > maxPath:
		return "", fmt.Errorf("entry %q: link to a path of more than %d bytes", fi.NameInArchive, maxPath)
	case path.IsAbs(target):
		return "", fmt.Errorf("entry %q: link to the absolute path %q leads out of the archive", fi.NameInArchive, target)
	}
	return target, nil
}

// cleanTime is t without what cannot be a time of a file.
func cleanTime(t time.Time) time.Time {
	if t.Unix() <= 0 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.UTC()
}
