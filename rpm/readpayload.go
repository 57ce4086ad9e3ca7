package rpm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/md5" //nolint:gosec // the format's
	"crypto/sha256"
	_ "crypto/sha512" // for crypto.SHA512
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
	"github.com/vpkg/vpkg/rpm/internal/cpio"
)

// maxPadding is how much may follow an archive's trailer: cpio's own padding to
// its blocks.
const maxPadding = 64 << 10 // bytes

// digestAlgorithms are the digests of files, by their number in OpenPGP.
var digestAlgorithms = map[uint64]crypto.Hash{
	1: crypto.MD5, 2: crypto.SHA1, 8: crypto.SHA256, 9: crypto.SHA384, 10: crypto.SHA512, 11: crypto.SHA224,
	12: crypto.SHA3_256, 14: crypto.SHA3_512,
}

// A payloadReader reads the payload once, from front to back, and checks
// everything that the headers say of it.
type payloadReader struct {
	*file
	offset int64 // of the payload in the file

	raw, plain []payloadDigest // of the payload as it is and decompressed
	md5        hash.Hash       // of header and payload; nil if the file has none
	plainSize  int64
	cpio       *cpio.Reader

	seen []bool // files that were in the archive
	full []bool // groups of hard links whose content was
	buf  []byte

	sums        io.Writer        // the next two
	sha256, own hash.Hash        // of a file; own is the header's, if that is another
	sum         packaging.Digest // of the last file

	give    func(e *packaging.Entry, body io.Reader) error // gets every entry
	refused error                                          // what give returned
}

// readPayload checks the payload, and completes the entries with digests. Each
// goes to give, as packaging.Extractor has it.
func (f *file) readPayload(ctx context.Context, give func(e *packaging.Entry, body io.Reader) error) error {
	r := &payloadReader{
		file: f, offset: f.main.end(),
		seen: make([]bool, len(f.files.entries)),
		full: make([]bool, len(f.files.links)),
		buf:  make([]byte, 128<<10),
		give: give,
	}
	if err := r.findDigests(); err != nil {
		return err
	}
	if err := r.read(ctx); err != nil {
		if r.refused != nil {
			return r.refused
		}
		return r.wrap(err)
	}
	if err := r.checkFiles(); err != nil {
		return err
	}
	return r.checkDigests()
}

// wrap gives an error its place in the file, if it has none.
func (r *payloadReader) wrap(err error) error {
	if _, ok := errors.AsType[*FormatError](err); ok {
		return err
	}
	if r.cpio != nil {
		return formatErrorf(r.offset, "payload, at %d of the archive: %w", r.cpio.Offset(), err)
	}
	return formatErrorf(r.offset, "payload: %w", err)
}

// read reads the payload to its end.
func (r *payloadReader) read(ctx context.Context) (err error) {
	sums, plain := writers(r.raw), writers(r.plain)
	if s := (fields{h: r.signature}); s.has(sigMD5) {
		r.md5 = md5.New() //nolint:gosec // the format's
		if _, err := io.Copy(r.md5, r.main.raw()); err != nil {
			return err
		}
		sums = append(sums, r.md5)
	}
	section := io.NewSectionReader(r.r, r.offset, r.size-r.offset)
	raw := io.TeeReader(contextReader{ctx, section}, io.MultiWriter(sums...))
	codec, raw, err := r.codec(raw)
	if err != nil {
		return err
	}
	d, err := payload.NewReader(codec, raw)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	ahead := newReadAhead(d)
	counted := &countingReader{r: io.TeeReader(ahead, io.MultiWriter(plain...))}
	r.cpio = cpio.NewReader(counted)
	err = r.readArchive()
	if err == nil {
		err = readPadding(counted)
	}
	if ahead.Close(); err != nil { // before d is closed, and raw read on
		return err
	}
	r.plainSize = counted.n
	_, err = io.CopyBuffer(io.Discard, raw, r.buf) // what the codec left, for the digests
	return err
}

// readPadding reads what follows the archive, to the end.
func readPadding(r io.Reader) error {
	switch _, err := io.CopyN(io.Discard, r, maxPadding+1); {
	case err == nil:
		return errors.New("data after the end of the archive")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// codec gives the payload's codec. A package that names none has no compression,
// or gzip.
func (r *payloadReader) codec(raw io.Reader) (string, io.Reader, error) {
	h := fields{h: r.main}
	if f := h.string(tagPayloadFormat); f != "" && f != "cpio" {
		h.fail(tagPayloadFormat, "payload format %q, want cpio", f)
	}
	codec := h.string(tagPayloadCompressor)
	if codec != "" || h.err != nil {
		return codec, raw, h.err
	}
	var magic [2]byte
	n, err := io.ReadFull(raw, magic[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", nil, err
	}
	codec = "none"
	if magic == [2]byte{0x1f, 0x8b} {
		codec = "gzip"
	}
	return codec, io.MultiReader(bytes.NewReader(magic[:n]), raw), nil
}

func (r *payloadReader) readArchive() error {
	for {
		h, err := r.cpio.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.readEntry(h); err != nil {
			return err
		}
	}
}

// readEntry checks an entry of the archive against the header.
func (r *payloadReader) readEntry(h *cpio.Header) error {
	i, ok := r.files.find(pathInArchive(h.Name))
	if h.Stripped {
		i, ok = int(h.Index), int64(h.Index) < int64(len(r.files.entries))
	}
	if !ok {
		return formatErrorf(r.offset, "payload: %q, number %d, is not in the header", h.Name, h.Index)
	}
	e := &r.files.entries[i]
	switch {
	case r.seen[i]:
		return formatErrorf(r.offset, "payload: %s is there twice", e.Path)
	case e.Ghost:
		return formatErrorf(r.offset, "payload: %s is there, but a ghost in the header", e.Path)
	case !h.Stripped && packaging.FileMode(h.Mode).Type() != e.Mode.Type():
		return formatErrorf(r.offset, "payload: %s is %s, want %s", e.Path, packaging.FileMode(h.Mode).Type(), e.Mode.Type())
	}
	r.seen[i] = true
	if h.Stripped {
		h.Size = r.strippedSize(i)
		r.cpio.SetSize(h.Size)
	}
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		if err := r.readTarget(e, h.Size); err != nil {
			return err
		}
	case e.Regular():
		return r.readBody(i, h.Size)
	case h.Size != 0:
		return formatErrorf(r.offset, "payload: %s has %d bytes, want none", e.Path, h.Size)
	}
	return r.hand(e, nil)
}

// hand gives an entry.
func (r *payloadReader) hand(e *packaging.Entry, body io.Reader) error {
	r.refused = r.give(e, body)
	return r.refused
}

// strippedSize is the size of the body after a stripped header: of hard links,
// only the last in the header has one.
func (r *payloadReader) strippedSize(i int) int64 {
	e := &r.files.entries[i]
	if g := r.files.group[i]; g >= 0 {
		for _, j := range r.files.links[g] {
			if j > i {
				return 0
			}
		}
	}
	return fileSize(e)
}

func (r *payloadReader) readTarget(e *packaging.Entry, size int64) error {
	if size != int64(len(e.Target)) {
		return formatErrorf(r.offset, "payload: target of %s has %d bytes, want %d", e.Path, size, len(e.Target))
	}
	b, err := io.ReadAll(r.cpio) // as long as what is in memory
	if err == nil && string(b) != e.Target {
		return formatErrorf(r.offset, "payload: target of %s is %q, want %q", e.Path, b, e.Target)
	}
	return err
}

// readBody checks the content of a file.
func (r *payloadReader) readBody(i int, size int64) error {
	e, group := &r.files.entries[i], r.files.group[i]
	switch {
	case size == 0 && e.Size > 0 && group >= 0:
		return nil // another name has it
	case size != e.Size:
		return formatErrorf(r.offset, "payload: %s has %d bytes, want %d", e.Path, size, e.Size)
	}
	check, err := r.checkSums(i)
	if err != nil {
		return err
	}
	body := &payload.CheckedReader{R: r.cpio, Sums: r.sums, Check: check}
	names := []int{i}
	if group >= 0 {
		names = r.files.links[group]
	}
	given := group >= 0 && r.full[group] // some tools write it for each name
	if !given {
		if err := r.hand(&r.files.entries[names[0]], body); err != nil {
			return err
		}
	}
	if err := body.Drain(r.buf); err != nil {
		return err
	}
	if group >= 0 {
		r.full[group] = true
	}
	for k, j := range names {
		r.files.entries[j].SHA256 = r.sum
		if k > 0 && !given {
			if err := r.hand(&r.files.entries[j], nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSums makes the sums ready for a file, and gives what is to be called when they
// have all of its content.
func (r *payloadReader) checkSums(i int) (func() error, error) {
	if r.sha256 == nil {
		r.sha256 = sha256.New()
		r.sums = r.sha256
	}
	r.sha256.Reset()
	wanted := ""
	if r.files.digests != nil {
		wanted = r.files.digests[i]
	}
	if wanted != "" && r.own == nil {
		a, ok := digestAlgorithms[r.files.algo]
		if !ok {
			return nil, formatErrorf(r.offset, "unknown digest algorithm %d", r.files.algo)
		}
		r.own = a.New()
		r.sums = io.MultiWriter(r.sha256, r.own)
	}
	if r.own != nil {
		r.own.Reset()
	}
	e := &r.files.entries[i]
	return func() error {
		r.sha256.Sum(r.sum[:0])
		got, want := "", wanted
		switch {
		case want != "":
			got = hex.EncodeToString(r.own.Sum(nil))
		case r.files.digests == nil && !e.SHA256.IsZero() && r.sum != e.SHA256:
			got, want = r.sum.String(), e.SHA256.String()
		}
		if got != want {
			return formatErrorf(r.offset, "payload: %s has digest %s, want %s", e.Path, got, want)
		}
		return nil
	}, nil
}

// checkFiles checks that all files were in the archive.
func (r *payloadReader) checkFiles() error {
	for i := range r.files.entries {
		if e := &r.files.entries[i]; !r.seen[i] && !e.Ghost {
			return formatErrorf(r.offset, "payload: %s is missing", e.Path)
		}
	}
	for g, group := range r.files.links {
		if e := &r.files.entries[group[0]]; !r.full[g] && e.Size > 0 {
			return formatErrorf(r.offset, "payload: content of %s is missing", e.Path)
		}
	}
	return nil
}

// bodies is the sum of the sizes of the files, which rpmpack takes for the size
// of the archive.
func (r *payloadReader) bodies() uint64 {
	var n uint64
	for i := range r.files.entries {
		n += uint64(fileSize(&r.files.entries[i]))
	}
	return n
}

// A contextReader fails when its context is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

type countingReader struct {
	r io.Reader
	n int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	return n, err
}
