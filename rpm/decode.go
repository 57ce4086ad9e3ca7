package rpm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A FormatError says where in a file something is not as the format wants it.
type FormatError struct {
	Offset int64 // bytes from the start of the file
	Err    error
}

func (e *FormatError) Error() string { return fmt.Sprintf("offset %d: %v", e.Offset, e.Err) }

// Unwrap gives Err.
func (e *FormatError) Unwrap() error { return e.Err }

func formatErrorf(offset int64, format string, args ...any) error {
	return &FormatError{offset, fmt.Errorf(format, args...)}
}

// Limits of a header. The first two are rpm's own.
const (
	maxEntries = 0xffff
	maxStore   = 0x0fff_ffff // bytes
	maxValues  = 1 << 20     // of an entry that is looked at; the most files, that is
	maxOthers  = 1 << 18     // relations, triggers and changes of a package, of each

	// inlineData is the most bytes of an entry that are read with the header. What is
	// larger is read when it is asked for: lists of files in pieces, and of all others
	// at most maxTexts together.
	inlineData = 4 << 10
	maxTexts   = 24 << 20
)

// A block is a header that was read. What is large in it is still in the file.
type block struct {
	header
	r      io.ReaderAt
	offset int64 // bytes from the start of the file
	size   int64 // bytes: preamble, index and store

	loaded map[tag]bool // large entries that were read whole
	texts  int64        // bytes of them
}

// end is the offset of what follows the block, without padding.
func (b *block) end() int64 { return b.offset + b.size }

// raw gives the block's bytes as they stand in the file, which the digests cover.
func (b *block) raw() io.Reader { return io.NewSectionReader(b.r, b.offset, b.size) }

// readBlock reads the header that starts at offset in a file of the given size.
// Every count in it is checked against the file's size before it sizes anything.
func readBlock(r io.ReaderAt, offset, size int64, region tag) (*block, error) {
	var pre [preambleSize]byte
	if err := readFull(r, pre[:], offset, size, "header"); err != nil {
		return nil, err
	}
	if !bytes.Equal(pre[:4], headerMagic[:4]) {
		return nil, formatErrorf(offset, "header starts with % x, want % x", pre[:4], headerMagic[:4])
	}
	entries, store := binary.BigEndian.Uint32(pre[8:]), binary.BigEndian.Uint32(pre[12:])
	if entries == 0 || entries > maxEntries {
		return nil, formatErrorf(offset+8, "header has %d entries, want 1 to %d", entries, maxEntries)
	}
	if store > maxStore {
		return nil, formatErrorf(offset+12, "header's store has %d bytes, want at most %d", store, maxStore)
	}
	b := &block{r: r, offset: offset, size: preambleSize + int64(entries)*indexSize + int64(store), loaded: map[tag]bool{}}
	if b.size > size-offset {
		return nil, formatErrorf(offset+8, "header of %d bytes does not fit in the file's %d", b.size, size-offset)
	}
	index := make([]byte, entries*indexSize)
	if err := readFull(r, index, offset+preambleSize, size, "header"); err != nil {
		return nil, err
	}
	if err := b.parse(index, region); err != nil {
		return nil, err
	}
	return b, nil
}

// readFull reads len(p) bytes at offset of a file of the given size.
func readFull(r io.ReaderAt, p []byte, offset, size int64, what string) error {
	if offset+int64(len(p)) > size {
		return &FormatError{size, fmt.Errorf("%s: %w", what, io.ErrUnexpectedEOF)}
	}
	if n, err := r.ReadAt(p, offset); n < len(p) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return &FormatError{offset + int64(n), fmt.Errorf("%s: %w", what, err)}
	}
	return nil
}

// parse reads the entries that the index has, and those of their values that are not
// large. It goes through the store once.
func (b *block) parse(index []byte, region tag) error {
	at := b.offset + preambleSize // of the entry in the index
	st := &store{r: b.r, offset: at + int64(len(index)), size: b.size - preambleSize - int64(len(index))}
	c := cursor{buf: index}
	b.header = make(header, 0, len(index)/indexSize)
	for ; c.pos < len(index); at += indexSize {
		e := entry{tag: tag(c.uint32()), typ: dataType(c.uint32())}
		off, count := int32(c.uint32()), c.uint32()
		e.count = count
		if at == b.offset+preambleSize && (e.tag == tagRegionImmutable || e.tag == tagRegionSignatures) {
			if err := checkRegion(st, at, e, off, region, len(index)); err != nil {
				return err
			}
			st.size = int64(off) // the rest is the region's own
			continue
		}
		if err := st.read(&e, off); err != nil {
			return formatErrorf(at, "tag %d: %w", e.tag, err)
		}
		b.header = append(b.header, e)
	}
	return c.err
}

// checkRegion checks the region's entry e and the trailer that it points to. The
// index has so many bytes.
func checkRegion(st *store, at int64, e entry, off int32, want tag, index int) error {
	switch {
	case e.tag != want:
		return formatErrorf(at, "region has tag %d, want %d", e.tag, want)
	case e.typ != typeBin || e.count != indexSize:
		return formatErrorf(at, "region has type %d and count %d, want %d and %d", e.typ, e.count, typeBin, indexSize)
	case off < 0 || int64(off)+indexSize != st.size:
		return formatErrorf(at, "region's trailer is at %d, want it at the end of %d bytes", off, st.size)
	}
	trailer := make([]byte, indexSize)
	if err := readFull(st.r, trailer, st.offset+int64(off), st.offset+st.size, "region's trailer"); err != nil {
		return err
	}
	c := cursor{buf: trailer}
	// Some signature headers were written with the other tag in the trailer.
	t, typ, length, count := tag(c.uint32()), dataType(c.uint32()), int32(c.uint32()), c.uint32()
	switch {
	case typ != typeBin || count != indexSize || t != e.tag && t != tagRegionImmutable && t != tagRegionSignatures:
		return formatErrorf(at, "region's trailer has tag %d, type %d and count %d", t, typ, count)
	case -int64(length) != int64(index):
		return formatErrorf(at, "region covers %d bytes of the index, want all %d", -int64(length), index)
	}
	return nil
}

// A store is the part of a header that has the values. It is read from front to back.
type store struct {
	r      io.ReaderAt
	offset int64 // bytes from the start of the file
	size   int64 // bytes

	in     *bufio.Reader // nil before the first value
	pos    int64         // how far it was read
	inline int64         // bytes of values in memory
}

// read reads the values of e, which begin at off, and keeps them if they are few.
func (s *store) read(e *entry, off int32) error {
	if e.typ > typeI18NString {
		return fmt.Errorf("unknown type %d", e.typ)
	}
	if off < 0 || int64(off) > s.size {
		return fmt.Errorf("offset %d is outside of the store's %d bytes", off, s.size)
	}
	rest, count := s.size-int64(off), int64(e.count)
	n := int64(e.typ.size())
	switch {
	case e.typ == typeNull:
	case count == 0 || count > rest: // a value has a byte at least
		return fmt.Errorf("%d values do not fit in %d bytes", count, rest)
	case n > 0 && int64(off)%n != 0:
		return fmt.Errorf("offset %d is not a multiple of %d", off, n)
	case count*n > rest:
		return fmt.Errorf("%d values of %d bytes do not fit in %d", count, n, rest)
	case e.typ == typeString && count != 1:
		return fmt.Errorf("string has count %d, want 1", count)
	}
	if int64(off) < s.pos {
		return fmt.Errorf("its data at %d overlaps what ends at %d", off, s.pos)
	}
	if e.typ == typeNull {
		return nil
	}
	if s.in == nil {
		s.in = bufio.NewReaderSize(io.NewSectionReader(s.r, s.offset, s.size), 64<<10)
	}
	if _, err := s.in.Discard(int(int64(off) - s.pos)); err != nil {
		return s.ended(err)
	}
	s.pos = int64(off)
	if n > 0 {
		return s.numbers(e, count*n)
	}
	return s.strings(e)
}

// numbers reads size bytes.
func (s *store) numbers(e *entry, size int64) error {
	at := s.pos
	s.pos += size
	if !s.keep(size) {
		e.large = span{s.offset + at, size}
		_, err := s.in.Discard(int(size))
		return s.ended(err)
	}
	e.data = make([]byte, size)
	_, err := io.ReadFull(s.in, e.data)
	return s.ended(err)
}

// strings reads strings to the end of the last.
func (s *store) strings(e *entry) error {
	at := s.pos
	for left := e.count; left > 0; {
		part, err := s.in.ReadSlice(0)
		s.pos += int64(len(part))
		switch {
		case err == nil:
			left--
		case errors.Is(err, io.EOF) && s.pos == s.size:
			return errors.New("string without an end")
		case !errors.Is(err, bufio.ErrBufferFull):
			return s.ended(err)
		}
		if e.large.size == 0 && int64(len(e.data)+len(part)) <= inlineData {
			e.data = append(e.data, part...)
			continue
		}
		e.data, e.large = nil, span{s.offset + at, s.pos - at}
	}
	if e.data != nil && !s.keep(int64(len(e.data))) {
		e.data, e.large = nil, span{s.offset + at, s.pos - at}
	}
	return nil
}

// keep reports whether so many bytes of an entry are to be in memory.
func (s *store) keep(size int64) bool {
	const most = 2 << 20 // bytes of all entries
	if size > inlineData || s.inline+size > most && size > 16 {
		return false
	}
	s.inline += size
	return true
}

// ended is err, which says so if the file ended too early.
func (s *store) ended(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// A cursor reads big-endian numbers and remembers its first error.
type cursor struct {
	buf []byte
	pos int
	err error
}

func (c *cursor) uint32() uint32 {
	if c.err != nil || len(c.buf)-c.pos < 4 {
		if c.err == nil {
			c.err = io.ErrUnexpectedEOF
		}
		return 0
	}
	n := binary.BigEndian.Uint32(c.buf[c.pos:])
	c.pos += 4
	return n
}

// Fields gives typed access to a header and remembers the first entry that does
// not have the type or the number of values that was asked for.
type fields struct {
	h   *block
	err error
}

// lookup finds the entry of a tag, the first if there are several.
func (f *fields) lookup(t tag) (entry, bool) {
	for _, e := range f.h.header {
		if e.tag == t {
			return e, true
		}
	}
	return entry{}, false
}

func (f *fields) has(t tag) bool {
	_, ok := f.lookup(t)
	return ok
}

func (f *fields) fail(t tag, format string, args ...any) {
	if f.err == nil {
		f.err = formatErrorf(f.h.offset, "tag %d: %w", t, fmt.Errorf(format, args...))
	}
}

// load gives the data of an entry, wherever it is.
func (f *fields) load(e entry) []byte {
	if e.large.size == 0 {
		return e.data
	}
	b := f.h
	if !b.loaded[e.tag] {
		if b.texts += e.large.size; b.texts > maxTexts {
			f.fail(e.tag, "%d bytes, with what was read before more than %d", e.large.size, maxTexts)
			return nil
		}
		b.loaded[e.tag] = true
	}
	data := make([]byte, e.large.size)
	if _, err := b.r.ReadAt(data, e.large.offset); err != nil && !errors.Is(err, io.EOF) {
		f.fail(e.tag, "%w", err)
		return nil
	}
	return data
}

// strings gives the strings of a tag; nil if there is none.
func (f *fields) strings(t tag) []string {
	e, ok := f.lookup(t)
	if !ok {
		return nil
	}
	if !e.typ.isString() {
		f.fail(t, "type %d is not a string", e.typ)
		return nil
	}
	if e.count > maxValues {
		f.fail(t, "%d values, want at most %d", e.count, maxValues)
		return nil
	}
	data := f.load(e)
	if f.err != nil {
		return nil
	}
	ss := make([]string, e.count)                      // each has a byte of data at least
	for i, rest := 0, string(data); i < len(ss); i++ { // one copy for all of them
		ss[i], rest, _ = strings.Cut(rest, "\x00")
	}
	return ss
}

// string gives the first string of a tag; "" if there is none.
func (f *fields) string(t tag) string {
	if ss := f.strings(t); len(ss) > 0 {
		return ss[0]
	}
	return ""
}

// ints gives the numbers of a tag of any width; nil if there is none.
func (f *fields) ints(t tag) []uint64 {
	e, ok := f.lookup(t)
	if !ok {
		return nil
	}
	if e.count > maxValues {
		f.fail(t, "%d values, want at most %d", e.count, maxValues)
		return nil
	}
	n := e.typ.size()
	if n == 0 {
		f.fail(t, "type %d is not a number", e.typ)
		return nil
	}
	data := f.load(e)
	ns := make([]uint64, 0, len(data)/n)
	for ; len(data) > 0; data = data[n:] {
		ns = append(ns, bigEndian(data[:n]))
	}
	return ns
}

// bigEndian is a number of 1, 2, 4 or 8 bytes.
func bigEndian(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

// int gives the first number of a tag; 0 if there is none.
func (f *fields) int(t tag) uint64 {
	if ns := f.ints(t); len(ns) > 0 {
		return ns[0]
	}
	return 0
}

// bytes gives the data of a binary tag; nil if there is none.
func (f *fields) bytes(t tag) []byte {
	e, ok := f.lookup(t)
	if ok && e.typ != typeBin {
		f.fail(t, "type %d is not binary data", e.typ)
		return nil
	}
	return f.load(e)
}

// whole gives the entries with all their data, for those that fit in maxWhole.
func (b *block) whole() (header, error) {
	if b.size > maxWhole {
		return nil, formatErrorf(b.offset, "header of %d bytes, want at most %d", b.size, maxWhole)
	}
	h := slices.Clone(b.header)
	for i, e := range h {
		if e.large.size > 0 {
			h[i].data, h[i].large = make([]byte, e.large.size), span{}
			if err := readFull(b.r, h[i].data, e.large.offset, b.end(), "header"); err != nil {
				return nil, err
			}
		}
	}
	return h, nil
}

// maxWhole is the most bytes of a header that is read into memory: rpm's own limit for
// a signature header.
const maxWhole = 64 << 20

// sized fails unless a list that belongs to another of n values has as many, or
// none at all.
func sized[T any](f *fields, t tag, list []T, n int) []T {
	if list != nil && len(list) != n {
		f.fail(t, "%d values, want %d", len(list), n)
		return make([]T, n)
	}
	if list == nil {
		return make([]T, n)
	}
	return list
}
