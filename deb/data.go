package deb

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

const tarBlock = 512 // bytes

// notShipped are the system's folders that no package owns: the postinst of
// base-files makes them once, so dpkg would remove them for good together with
// the last package that ships them. A preinst makes them where they are missing; a
// package without one ships them, or it could not be unpacked there.
var notShipped = []string{
	"/etc/opt", "/media", "/mnt", "/opt", "/srv", "/usr/local", "/usr/local/bin", "/usr/local/etc",
	"/usr/local/games", "/usr/local/include", "/usr/local/lib", "/usr/local/sbin", "/usr/local/share",
	"/usr/local/share/man", "/usr/local/src", "/var/mail", "/var/opt",
}

// An implicit folder is one that the layout does not name and dpkg needs: it
// makes no parents by itself. It is root's, with mode 0755, and its name in
// data.tar has no slash at its end, as tar(5) allows. That is how Read knows that
// the layout did not name it.
const implicitMode = fs.ModeDir | 0o755

// dataEntries gives the entries of p's data.tar, each with its name there: the
// layout, and before the first entry in them the implicit folders.
func dataEntries(p *packaging.Package) iter.Seq2[string, *packaging.Entry] {
	return func(yield func(string, *packaging.Entry) bool) {
		made := map[string]bool{"/": true}
		var skip []string
		if _, ok := p.Script(packaging.PreInstall); ok {
			skip = notShipped
		}
		for i := range p.Layout {
			e := &p.Layout[i]
			for _, dir := range missingParents(e.Path, made, skip) {
				if !yield("."+dir, &packaging.Entry{Path: dir, Mode: implicitMode}) {
					return
				}
			}
			made[e.Path] = true
			name := "." + e.Path
			if e.Mode.IsDir() {
				name += "/"
			}
			if !yield(name, e) {
				return
			}
		}
	}
}

// missingParents lists the folders above name that are not made yet, the outermost
// first and without those of skip, and adds them to made.
func missingParents(name string, made map[string]bool, skip []string) []string {
	var dirs []string
	for dir := path.Dir(name); !made[dir]; dir = path.Dir(dir) {
		made[dir] = true
		if !slices.Contains(skip, dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Reverse(dirs)
	return dirs
}

// installedSize is the package's size on disk in KiB as dpkg-gencontrol(1)
// counts it: files and links rounded up, hard links once, 1 for everything else.
func installedSize(p *packaging.Package) int64 {
	n := int64(1) // the root
	for _, e := range dataEntries(p) {
		switch {
		case e.HardLink != "":
		case e.Mode&fs.ModeSymlink != 0:
			n += (int64(len(e.Target)) + 1023) / 1024
		case e.Regular():
			n += (e.Size + 1023) / 1024
		default:
			n++
		}
	}
	return n
}

// A tarWriter writes a tar archive into a payload.
type tarWriter struct {
	w   *payload.Writer
	buf bytes.Buffer
}

func (f Format) newTarWriter(ctx context.Context, s *payload.Store, c packaging.Compression) (*tarWriter, error) {
	w, err := s.NewWriter(ctx, c, f.Jobs)
	if err != nil {
		return nil, err
	}
	return &tarWriter{w: w}, nil
}

func (t *tarWriter) abort() { t.w.Abort() }

// header writes one header, and before it those for a long name or target.
func (t *tarWriter) header(h *tar.Header) error {
	h.Format = tar.FormatGNU
	t.buf.Reset()
	if err := tar.NewWriter(&t.buf).WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", strings.TrimPrefix(h.Name, "."), err)
	}
	_, err := t.w.Write(t.buf.Bytes())
	return err
}

// root writes the folder that everything is in.
func (t *tarWriter) root(at time.Time) error {
	return t.entry("./", &packaging.Entry{Path: "/", Mode: fs.ModeDir | 0o755}, at)
}

// text writes a file of root's.
func (t *tarWriter) text(name string, mode fs.FileMode, content string, at time.Time) error {
	e := packaging.Entry{
		Path: "/" + name, Mode: mode,
		Size: int64(len(content)), SHA256: sha256.Sum256([]byte(content)), Body: memory(content),
	}
	return t.entry("."+e.Path, &e, at)
}

// entry writes an entry and its content under the given name. Its time is at if
// it has none of its own.
func (t *tarWriter) entry(name string, e *packaging.Entry, at time.Time) error {
	h := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Mode:     int64(packaging.UnixMode(e.Mode) & 0o7777),
		Uname:    e.OwnerName(),
		Gname:    e.GroupName(),
		ModTime:  seconds(at),
	}
	if !e.ModTime.IsZero() {
		h.ModTime = seconds(e.ModTime)
	}
	switch {
	case e.Mode.IsDir():
		h.Typeflag = tar.TypeDir
	case e.Mode&fs.ModeSymlink != 0:
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.Target, 0o777
	case e.HardLink != "":
		h.Typeflag, h.Linkname = tar.TypeLink, "."+e.HardLink
	default:
		h.Size = e.Size
	}
	if err := t.header(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	if err := t.w.Body(e); err != nil {
		return err
	}
	_, err := t.w.Write(make([]byte, -e.Size&(tarBlock-1)))
	return err
}

// close ends the archive with two blocks of zeros.
func (t *tarWriter) close() (*payload.Encoded, error) {
	if _, err := t.w.Write(make([]byte, 2*tarBlock)); err != nil {
		return nil, err
	}
	return t.w.Close()
}

// seconds drops what tar has no place for, so that no rounding depends on it.
func seconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

// memory is a Body in memory.
type memory string

func (m memory) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(m))), nil }
