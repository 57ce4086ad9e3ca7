package rpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
)

// A block is a header that was read: its entries, and its bytes as they stand in
// the file, which the digests cover.
type block struct {
	header
	offset int64  // of raw in the file
	raw    []byte // preamble, index and store
}

// end is the offset of what follows the block, without padding.
func (b *block) end() int64 { return b.offset + int64(len(b.raw)) }

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
	length := preambleSize + int64(entries)*indexSize + int64(store)
	if length > size-offset {
		return nil, formatErrorf(offset+8, "header of %d bytes does not fit in the file's %d", length, size-offset)
	}
	b := &block{offset: offset, raw: make([]byte, length)}
	if err := readFull(r, b.raw, offset, size, "header"); err != nil {
		return nil, err
	}
	var err error
	if b.header, err = parseHeader(b.raw, offset, int(entries), region); err != nil {
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

// parseHeader parses raw, which holds exactly one header that stands at offset
// in its file. The entries share raw's bytes.
func parseHeader(raw []byte, offset int64, entries int, region tag) (header, error) {
	store := raw[preambleSize+entries*indexSize:]
	c := cursor{buf: raw, pos: preambleSize}
	h := make(header, 0, entries)
	prevEnd := 0 // of the entry before, in the store
	for i := range entries {
		at := offset + int64(c.pos)
		t, typ, off, count := tag(c.uint32()), dataType(c.uint32()), int32(c.uint32()), c.uint32()
		if i == 0 && (t == tagRegionImmutable || t == tagRegionSignatures) {
			if err := checkRegion(store, at, t, region, typ, off, count, entries); err != nil {
				return nil, err
			}
			store = store[:off] // the rest is the region's own
			continue
		}
		data, err := entryData(store, typ, off, count)
		if err != nil {
			return nil, formatErrorf(at, "tag %d: %w", t, err)
		}
		if int(off) < prevEnd {
			return nil, formatErrorf(at, "tag %d: its data at %d overlaps what ends at %d", t, off, prevEnd)
		}
		prevEnd = int(off) + len(data)
		h = append(h, entry{t, typ, count, data})
	}
	return h, c.err
}

// checkRegion checks the region's entry and the trailer that it points to.
func checkRegion(store []byte, at int64, t, want tag, typ dataType, off int32, count uint32, entries int) error {
	switch {
	case t != want:
		return formatErrorf(at, "region has tag %d, want %d", t, want)
	case typ != typeBin || count != indexSize:
		return formatErrorf(at, "region has type %d and count %d, want %d and %d", typ, count, typeBin, indexSize)
	case off < 0 || int64(off)+indexSize != int64(len(store)):
		return formatErrorf(at, "region's trailer is at %d, want it at the end of %d bytes", off, len(store))
	}
	c := cursor{buf: store, pos: int(off)}
	// Some signature headers were written with the other tag in the trailer.
	tt, ttyp, toff, tcount := tag(c.uint32()), dataType(c.uint32()), int32(c.uint32()), c.uint32()
	switch {
	case c.err != nil:
		return &FormatError{at, c.err}
	case ttyp != typeBin || tcount != indexSize || tt != t && tt != tagRegionImmutable && tt != tagRegionSignatures:
		return formatErrorf(at, "region's trailer has tag %d, type %d and count %d", tt, ttyp, tcount)
	case -int64(toff) != int64(entries)*indexSize:
		return formatErrorf(at, "region covers %d bytes of the index, want all %d", -int64(toff), entries*indexSize)
	}
	return nil
}

// entryData finds the bytes of an entry's values in the store.
func entryData(store []byte, typ dataType, off int32, count uint32) ([]byte, error) {
	if typ > typeI18NString {
		return nil, fmt.Errorf("unknown type %d", typ)
	}
	if off < 0 || int64(off) > int64(len(store)) {
		return nil, fmt.Errorf("offset %d is outside of the store's %d bytes", off, len(store))
	}
	rest := store[off:]
	if typ == typeNull {
		return nil, nil
	}
	if count == 0 || uint64(count) > uint64(len(rest)) { // a value has a byte at least
		return nil, fmt.Errorf("%d values do not fit in %d bytes", count, len(rest))
	}
	if n := typ.size(); n > 0 {
		if int(off)%n != 0 {
			return nil, fmt.Errorf("offset %d is not a multiple of %d", off, n)
		}
		if uint64(count)*uint64(n) > uint64(len(rest)) {
			return nil, fmt.Errorf("%d values of %d bytes do not fit in %d", count, n, len(rest))
		}
		return rest[:int(count)*n], nil
	}
	if typ == typeString && count != 1 {
		return nil, fmt.Errorf("string has count %d, want 1", count)
	}
	end := 0
	for range count {
		i := bytes.IndexByte(rest[end:], 0)
		if i < 0 {
			return nil, errors.New("string without an end")
		}
		end += i + 1
	}
	return rest[:end], nil
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
	ss := make([]string, e.count)                        // each has a byte of data at least
	for i, rest := 0, string(e.data); i < len(ss); i++ { // one copy for all of them
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
	ns := make([]uint64, 0, e.count)
	switch be := binary.BigEndian; e.typ {
	case typeChar, typeInt8, typeBin:
		for _, b := range e.data {
			ns = append(ns, uint64(b))
		}
	case typeInt16:
		for d := e.data; len(d) > 0; d = d[2:] {
			ns = append(ns, uint64(be.Uint16(d)))
		}
	case typeInt32:
		for d := e.data; len(d) > 0; d = d[4:] {
			ns = append(ns, uint64(be.Uint32(d)))
		}
	case typeInt64:
		for d := e.data; len(d) > 0; d = d[8:] {
			ns = append(ns, be.Uint64(d))
		}
	default:
		f.fail(t, "type %d is not a number", e.typ)
		return nil
	}
	return ns
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
	return e.data
}

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
