package deb

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/deb/internal/ar"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

// What Read takes, so that a hostile file can cost time but not memory.
const (
	maxArchive        = 100       // members of the ar archive
	maxControl        = 16 << 20  // bytes of the control archive without md5sums, scripts included
	maxText           = 1 << 20   // bytes of the members that become many values, such as control
	maxControlEntries = 1000      // members of the control archive
	maxEntries        = 1_000_000 // entries of the payload, some 500 bytes each in memory
	maxNames          = 128 << 20 // bytes of their names and targets together
	maxTail           = 1 << 20   // bytes after the end of a tar archive, which are padding
)

// Read reads a package written by any tool: its control archive, and at depth
// Payload every file in it, checked against md5sums. The sums of a DEB are all
// there is to check, so a file that md5sums does not name is only known to be
// whole.
//
// At depth Headers the package has no Layout: a DEB lists its files nowhere but
// in the payload. Folders that the writer added, because dpkg needs them, are
// not in it. Members have their content in memory.
func (f Format) Read(ctx context.Context, r io.ReaderAt, size int64, depth packaging.Depth) (*packaging.Package, error) {
	p, files, dataMember, err := open(ctx, r, size)
	if err != nil {
		return nil, err
	}
	if depth == packaging.Payload {
		if p.Layout, err = readData(ctx, dataMember, p.Date, files, func(*packaging.Entry, io.Reader) error { return nil }); err != nil {
			return nil, err
		}
	}
	return p, nil
}

var _ packaging.Extractor = Format{}

// Each gives the files of a package of any tool with their content. The folders
// that Read leaves out are among them.
func (f Format) Each(ctx context.Context, r io.ReaderAt, size int64, give func(e *packaging.Entry, body io.Reader) error) error {
	p, files, dataMember, err := open(ctx, r, size)
	if err != nil {
		return err
	}
	_, err = readData(ctx, dataMember, p.Date, files, give)
	return err
}

// open reads everything but the payload, which is the member that it gives.
func open(ctx context.Context, r io.ReaderAt, size int64) (*packaging.Package, controlFiles, tarMember, error) {
	fail := func(err error) (*packaging.Package, controlFiles, tarMember, error) {
		return nil, controlFiles{}, tarMember{}, err
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	members, err := ar.Read(r, size, maxArchive)
	if fe := (*ar.FormatError)(nil); errors.As(err, &fe) {
		return fail(&FormatError{fe.Offset, fe.Err})
	} else if err != nil {
		return fail(err)
	}
	controlMember, dataMember, err := find(members)
	if err != nil {
		return fail(err)
	}
	p, files, err := readControl(ctx, controlMember)
	if err != nil {
		return fail(err)
	}
	p.Date = members[0].ModTime
	p.Compression.Codec = dataMember.codec
	return p, files, dataMember, nil
}

// A tarMember is a member that is a tar archive.
type tarMember struct {
	ar.Member
	codec string
}

// find picks out the control and the data member. Names with an underscore at
// the start may stand anywhere, and everything may stand after the data, such as
// signatures: dpkg does not look at it. But others look for members by their names,
// debsig-verify among them, so that a second one of a kind would be another package
// to them.
func find(members []ar.Member) (controlMember, dataMember tarMember, err error) {
	if len(members) == 0 || members[0].Name != "debian-binary" {
		return tarMember{}, tarMember{}, &FormatError{8, errors.New("the first member is not debian-binary")}
	}
	var version [3]byte
	if _, err := io.ReadFull(members[0].Content, version[:]); err != nil || string(version[:2]) != "2." {
		return tarMember{}, tarMember{}, &FormatError{members[0].Offset, fmt.Errorf("format version is %q, want 2.0", version[:])}
	}
	rest := slices.DeleteFunc(slices.Clone(members[1:]), func(m ar.Member) bool { return strings.HasPrefix(m.Name, "_") })
	found := make([]tarMember, 2)
	names := []string{"control.tar", "data.tar"}
	for i, want := range names {
		if i >= len(rest) {
			return tarMember{}, tarMember{}, &FormatError{members[0].Offset, fmt.Errorf("no member %s", want)}
		}
		m := rest[i]
		j := slices.IndexFunc(codecs, func(c codec) bool { return m.Name == want+c.extension })
		if j < 0 {
			return tarMember{}, tarMember{}, &FormatError{m.Offset, fmt.Errorf("member is %q, want %s with the extension of a known compression", m.Name, want)}
		}
		found[i] = tarMember{m, codecs[j].name}
	}
	for _, m := range rest[len(names):] {
		if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(m.Name, name) }) {
			return tarMember{}, tarMember{}, &FormatError{m.Offset, fmt.Errorf("member %s stands after %s: dpkg does not read it, and other programs may take it for the package's", m.Name, found[1].Name)}
		}
	}
	return found[0], found[1], nil
}

// A tarReader reads a tar archive out of a member and knows where it is.
type tarReader struct {
	ctx   context.Context //nolint:containedctx // it lives as long as one call of Read
	start int64           // of the member's content, in bytes from the start of the file
	read  int64           // bytes of it that were read
	in    io.Reader
	plain io.ReadCloser
	tar   *tar.Reader
}

func openTar(ctx context.Context, m tarMember) (*tarReader, error) {
	t := &tarReader{ctx: ctx, start: m.Offset, in: m.Content}
	var err error
	if t.plain, err = payload.NewReader(m.codec, readerFunc(t.readMember)); err != nil {
		return nil, t.bad(fmt.Errorf("%s: %w", m.Name, err))
	}
	t.tar = tar.NewReader(t.plain)
	return t, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// readMember reads compressed bytes.
func (t *tarReader) readMember(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := t.in.Read(p)
	t.read += int64(n)
	return n, err
}

// bad says how far the file was read when err was found.
func (t *tarReader) bad(err error) error {
	if ctxErr := t.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &FormatError{t.start + t.read, err}
}

// next gives the next header with its cleaned name, "." for the root.
func (t *tarReader) next() (*tar.Header, string, error) {
	h, err := t.tar.Next()
	if errors.Is(err, io.EOF) {
		return nil, "", io.EOF
	}
	if err != nil {
		return nil, "", t.bad(err)
	}
	if len(h.PAXRecords) > 0 || h.Typeflag == tar.TypeGNUSparse || h.Typeflag == tar.TypeXGlobalHeader {
		return nil, "", t.bad(fmt.Errorf("entry %q has a tar header of a kind that dpkg does not read", h.Name))
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return nil, "", t.bad(err)
	}
	return h, name, nil
}

// end checks that nothing but zeros follows, and that the compressed stream ends
// as it should.
func (t *tarReader) end() error {
	tail, err := io.ReadAll(io.LimitReader(t.plain, maxTail+1))
	switch {
	case err != nil:
		return t.bad(err)
	case len(tail) > maxTail || len(bytes.Trim(tail, "\x00")) > 0:
		return t.bad(errors.New("something follows the end of the tar archive"))
	}
	if n, err := io.Copy(io.Discard, readerFunc(t.readMember)); err != nil || n > 0 {
		return t.bad(fmt.Errorf("%d bytes follow the end of the compressed data", n))
	}
	return nil
}

// cleanName makes an entry's name relative to the root, and refuses one that
// leaves it.
func cleanName(name string) (string, error) {
	clean := path.Clean("/" + name)[1:]
	if slices.Contains(strings.Split(name, "/"), "..") {
		return "", fmt.Errorf("entry %q leaves the root", name)
	}
	if strings.ContainsAny(name, "\x00\n") {
		return "", fmt.Errorf("entry %q: name has a NUL byte or a new line", name)
	}
	if clean == "" {
		return ".", nil
	}
	return clean, nil
}

// controlFiles is what the control archive says about the payload.
type controlFiles struct {
	md5s      fileSums
	conffiles map[string]bool // by path
}

func readControl(ctx context.Context, m tarMember) (*packaging.Package, controlFiles, error) {
	t, err := openTar(ctx, m)
	if err != nil {
		return nil, controlFiles{}, err
	}
	defer t.plain.Close()
	members, sums, err := t.controlMembers()
	if err != nil {
		return nil, controlFiles{}, err
	}
	p := new(packaging.Package)
	files, err := interpret(p, members)
	if err != nil {
		return nil, controlFiles{}, &FormatError{m.Offset, err}
	}
	files.md5s = sums
	return p, files, nil
}

// A controlMember is one file of the control archive.
type controlMember struct {
	name    string
	mode    uint32
	content string
}

// controlMembers reads the control archive. Of md5sums, which may be large, it gives
// what it says.
func (t *tarReader) controlMembers() (_ []controlMember, sums fileSums, _ error) {
	var members []controlMember
	seen := map[string]bool{}
	left := int64(maxControl)
	for n := 0; ; n++ {
		h, name, err := t.next()
		if errors.Is(err, io.EOF) {
			return members, sums, t.end()
		}
		switch {
		case err != nil:
			return nil, nil, err
		case n >= maxControlEntries:
			return nil, nil, t.bad(fmt.Errorf("control archive has more than %d entries", maxControlEntries))
		case h.Typeflag == tar.TypeDir && name == ".":
			continue
		case h.Typeflag != tar.TypeReg || strings.Contains(name, "/"):
			return nil, nil, t.bad(fmt.Errorf("control archive: %q is not a file at its top", h.Name))
		case seen[name]:
			return nil, nil, t.bad(fmt.Errorf("control archive: %s is there twice", name))
		case name == "md5sums":
			seen[name] = true
			if sums, err = readMD5Sums(t.tar); err != nil {
				return nil, nil, t.bad(err)
			}
			continue
		case h.Size > left:
			return nil, nil, t.bad(fmt.Errorf("control archive has more than %d bytes", int64(maxControl)))
		case h.Size > maxSize(name):
			return nil, nil, t.bad(fmt.Errorf("control archive: %s has %d bytes, want at most %d", name, h.Size, maxSize(name)))
		}
		seen[name] = true
		left -= h.Size
		var content strings.Builder
		content.Grow(int(h.Size))
		if _, err := io.Copy(&content, t.tar); err != nil { // no more than h.Size
			return nil, nil, t.bad(err)
		}
		members = append(members, controlMember{name, uint32(h.Mode & 0o777), content.String()})
	}
}

// maxSize is the most bytes that a member of the control archive may have.
func maxSize(name string) int64 {
	switch name {
	case "control", "conffiles", "triggers":
		return maxText
	}
	return maxControl
}

// interpret fills p with what the members say.
func interpret(p *packaging.Package, members []controlMember) (controlFiles, error) {
	var files controlFiles
	hasControl := false
	for _, m := range members {
		var err error
		i := slices.IndexFunc(scripts, func(s scriptFile) bool { return s.name == m.name })
		switch {
		case i >= 0:
			p.Scripts = append(p.Scripts, packaging.Script{Phase: scripts[i].phase, Body: m.content})
		case m.name == "control":
			hasControl = true
			var fields []packaging.Field
			if fields, err = parseParagraph(m.content); err == nil {
				err = fill(p, fields)
			}
		case m.name == "conffiles":
			files.conffiles, err = parseConffiles(m.content)
		case m.name == "triggers":
			p.Triggers, err = parseTriggers(m.content)
		default:
			p.Members = append(p.Members, packaging.Member{
				Name: m.name, Mode: m.mode, Body: memory(m.content), Size: int64(len(m.content)),
			})
		}
		if err != nil {
			return controlFiles{}, err
		}
	}
	if !hasControl {
		return controlFiles{}, errors.New("control archive has no member control")
	}
	return files, nil
}
