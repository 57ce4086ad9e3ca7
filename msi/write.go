package msi

import (
	"context"
	"crypto/md5" //nolint:gosec // what Windows Installer has in MsiFileHash
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/text/encoding/charmap"

	"github.com/vpkg/vpkg/internal/pe"
	"github.com/vpkg/vpkg/msi/internal/cab"
	"github.com/vpkg/vpkg/msi/internal/cfb"
	"github.com/vpkg/vpkg/msi/internal/ice"
	"github.com/vpkg/vpkg/msi/internal/msidb"
	"github.com/vpkg/vpkg/packaging"
)

// Write writes p as a package for Windows Installer. Every problem that it sees in
// p is reported at once, before anything is written. Files are compressed into
// cabinets in the folder Spool first: the head of a package says where its streams
// are, and a signature is of all of them.
//
// Each frame of a cabinet was decoded again before it was kept, so that the payload
// counts as verified.
func (f Format) Write(ctx context.Context, w io.Writer, p *packaging.Package) (_ packaging.Written, err error) {
	if err := errors.Join(validate(p), ctx.Err()); err != nil {
		return packaging.Written{}, err
	}
	s := &spool{dir: f.Spool}
	defer func() { err = errors.Join(err, s.close()) }()
	files := payloadFiles(p.Layout)
	facts, cabinets, err := f.compress(ctx, s, p, files)
	if err != nil {
		return packaging.Written{}, err
	}
	db, err := tables(p, files, facts)
	if err != nil {
		return packaging.Written{}, err
	}
	for i, c := range cabinets {
		name := cabinetName(i)
		db.Add("Media", i+1, c.Last+1, nil, "#"+name, nil, nil)
		db.Streams = append(db.Streams, msidb.Stream{Name: name, Size: c.Size, Open: s.opener(i, c.Size)})
	}
	if len(cabinets) == 0 {
		db.Add("Media", 1, 0, nil, nil, nil, nil)
	}
	if hook := p.Windows.Hook; hook != nil {
		db.Streams = append(db.Streams, msidb.Stream{Name: "Binary." + hookKey, Size: p.Windows.HookSize, Open: hook.Open})
	}
	slices.SortFunc(db.Streams, func(a, b msidb.Stream) int { return strings.Compare(a.Name, b.Name) })
	summarize(db, p)
	msidb.AddValidation(db)
	streams, err := f.finish(ctx, db, p)
	if err != nil {
		return packaging.Written{}, err
	}
	if err := lint(db, files, cabinets); err != nil {
		return packaging.Written{}, err
	}
	return packaging.Written{Verified: true}, cfb.Write(contextWriter{ctx, w}, msidb.Root(), streams)
}

// contextWriter stops writing when the context is done.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c contextWriter) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}

// payloadFiles lists the layout's files in the order in which cabinets have them.
func payloadFiles(l packaging.Layout) []*packaging.Entry {
	var files []*packaging.Entry
	for i := range l {
		if l[i].HasBody() {
			files = append(files, &l[i])
		}
	}
	return files
}

// compress writes the files into cabinets, and finds out what tables say of them.
func (f Format) compress(ctx context.Context, s *spool, p *packaging.Package, files []*packaging.Entry) ([]fileFact, []cab.Cabinet, error) {
	facts := make([]fileFact, len(files))
	in := make([]cab.File, len(files))
	for i, e := range files {
		if err := facts[i].readVersion(e); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		when := e.ModTime
		if when.IsZero() {
			when = p.Date
		}
		in[i] = cab.File{
			Name: key("f", e.Path), Size: e.Size, ModTime: when, Attributes: cab.Archive,
			Open: func() (io.ReadCloser, error) {
				r, err := e.Body.Open()
				if err != nil {
					return nil, fmt.Errorf("%s: %w", e.Path, err)
				}
				return &hashingReader{r, e, &facts[i], sha256.New(), md5.New(), 0}, nil //nolint:gosec // as above
			},
		}
	}
	cabinets, err := cab.Write(ctx, in, s.create, cab.Options{Level: p.Compression.Level, Jobs: f.Jobs})
	return facts, cabinets, err
}

// readVersion finds out the version of a program or library. One that is damaged
// counts as having none.
func (f *fileFact) readVersion(e *packaging.Entry) error {
	if !packaging.IsWindowsProgram(e.Path) {
		return nil
	}
	r, err := e.Body.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if version, languages, ok, err := pe.ReadVersion(r); err == nil && ok {
		f.version, f.languages = version, languages
	}
	return nil
}

// A hashingReader reads a file's content, checks that it is what the layout says,
// and leaves its MD5 sum.
type hashingReader struct {
	io.ReadCloser
	e           *packaging.Entry
	fact        *fileFact
	sha256, md5 hash.Hash
	n           int64 // bytes so far
}

func (r *hashingReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	if r.n += int64(n); r.n > r.e.Size {
		return 0, fmt.Errorf("%s changed: it has more than its %d bytes", r.e.Path, r.e.Size)
	}
	r.sha256.Write(b[:n])
	if r.fact.version == "" {
		r.md5.Write(b[:n])
	}
	switch {
	case errors.Is(err, io.EOF):
		r.md5.Sum(r.fact.md5[:0])
		if sum := packaging.Digest(r.sha256.Sum(nil)); sum != r.e.SHA256 {
			return n, fmt.Errorf("%s changed: its SHA-256 is %s, was %s", r.e.Path, sum, r.e.SHA256)
		}
	case err != nil:
		err = fmt.Errorf("reading %s: %w", r.e.Path, err)
	}
	return n, err
}

// A spool has the cabinets until they are written. Where the system lets an open
// file be removed, nothing of it is left whatever ends the program.
type spool struct {
	dir   string
	files []*os.File
	names []string // of those that are still there
}

func (s *spool) create(int) (io.WriteSeeker, error) {
	f, err := os.CreateTemp(s.dir, "vpkg-*.cab")
	if err != nil {
		return nil, err
	}
	s.files = append(s.files, f)
	if os.Remove(f.Name()) != nil {
		s.names = append(s.names, f.Name())
	}
	return f, nil
}

func (s *spool) opener(n int, size int64) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(s.files[n], 0, size)), nil }
}

func (s *spool) close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	for _, name := range s.names {
		errs = append(errs, os.Remove(name))
	}
	return errors.Join(errs...)
}

// summarize makes the summary information but for the PackageCode. Its code page must
// be one of 8 bits, whatever the database's is: what that does not have is a question
// mark, for people alone read it.
func summarize(db *msidb.Database, p *packaging.Package) {
	db.Codepage = codepage(db)
	db.Summary = msidb.Summary{
		Codepage: 1252, Title: "Installation Database", Subject: to1252(p.Windows.ProductName), Author: to1252(manufacturer(p)),
		Keywords: "Installer", Comments: to1252(p.Summary), Created: p.Date, Saved: p.Date, Application: "vpkg",
		Schema:   500, // Windows Installer 5.0, for MsiServiceConfig and MsiLockPermissionsEx
		Source:   2,   // compressed, long names
		Security: 2,   // read-only recommended
	}
	for _, a := range archs {
		if a.name == p.Arch {
			db.Summary.Template = fmt.Sprintf("%s;%d", a.template, language)
		}
	}
}

// codepage is the least that all strings of the database fit in.
func codepage(db *msidb.Database) int {
	page := 0
	for _, t := range db.Tables {
		for _, row := range t.Rows {
			for _, v := range row {
				s, _ := v.(string)
				for _, r := range s {
					switch {
					case r < 128:
					case in1252(r):
						page = max(page, 1252)
					default:
						return 65001 // UTF-8
					}
				}
			}
		}
	}
	return page
}

func in1252(r rune) bool {
	_, ok := charmap.Windows1252.EncodeRune(r)
	return ok
}

func to1252(s string) string {
	return strings.Map(func(r rune) rune {
		if in1252(r) {
			return r
		}
		return '?'
	}, s)
}

// finish gives the package its code, which is another one for each content, and its
// signature.
func (f Format) finish(ctx context.Context, db *msidb.Database, p *packaging.Package) ([]cfb.Stream, error) {
	ids, err := newIdentities(p)
	if err != nil {
		return nil, err
	}
	streams, err := msidb.Encode(db)
	if err != nil {
		return nil, err
	}
	digest, err := digestOf(ctx, streams)
	if err != nil {
		return nil, err
	}
	db.Summary.PackageCode = ids.code(digest)
	if streams, err = msidb.Encode(db); err != nil || f.Signer == nil {
		return streams, err
	}
	return sealed(ctx, msidb.Root(), streams, f.Signer)
}

// lint refuses a package with an error that the rules of Windows Installer tell of:
// it comes from what the package says of itself, for what we make of it has none.
func lint(db *msidb.Database, files []*packaging.Entry, cabinets []cab.Cabinet) error {
	var contents ice.Contents
	for i, c := range cabinets {
		x := ice.Cabinet{Name: cabinetName(i)}
		for _, e := range files[c.First : c.Last+1] {
			x.Files = append(x.Files, ice.CabinetFile{Name: key("f", e.Path), Size: e.Size})
		}
		contents.Cabinets = append(contents.Cabinets, x)
	}
	var errs []error
	for _, f := range ice.Check(db, contents) {
		if f.Severity == ice.Error {
			errs = append(errs, errors.New(f.String()))
		}
	}
	return errors.Join(errs...)
}

func cabinetName(i int) string { return fmt.Sprintf("cab%d.cab", i+1) }

// digestOf is of names and contents.
func digestOf(ctx context.Context, streams []cfb.Stream) ([32]byte, error) {
	h := sha256.New()
	for _, s := range streams {
		if err := errors.Join(binary.Write(h, binary.LittleEndian, s.Name), binary.Write(h, binary.LittleEndian, s.Size), copyStream(ctx, h, s)); err != nil {
			return [32]byte{}, err
		}
	}
	return [32]byte(h.Sum(nil)), nil
}

func copyStream(ctx context.Context, w io.Writer, s cfb.Stream) error {
	r, err := s.Open()
	if err != nil {
		return err
	}
	_, err = io.Copy(contextWriter{ctx, w}, r)
	return errors.Join(err, r.Close())
}
