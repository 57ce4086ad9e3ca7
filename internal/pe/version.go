package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxTree bounds how much of a resource section is kept in search of its
	// version. Linkers put the tree at its start: a few hundred bytes for most
	// programs, some ten thousand for those with hundreds of icons and dialogs.
	maxTree = 1 << 20
	// maxVersionInfo is the most that a version resource's own size can say.
	maxVersionInfo = 0xffff
	// maxEntries bounds the entries of one directory of the tree.
	maxEntries = 4096
)

// ReadVersion reads the version of a program and its languages as the columns
// Version and Language of an installer's File table want them: "1.2.3.4", and
// "1033" or several with commas, empty where the program names none.
//
// It returns false for programs without a version and for all other files; for a
// program whose resources are broken it returns a [*FormatError] besides. Windows
// Installer takes both for files without a version.
//
// Whatever r holds, it is read once from start to end, not past the version, and
// little of it is kept. If r is an io.Seeker what is of no interest is skipped.
func ReadVersion(r io.Reader) (version, languages string, ok bool, err error) {
	s := &stream{r: r}
	h, err := ReadHeaders(s)
	if errors.Is(err, ErrNotPE) {
		return "", "", false, nil
	}
	if err != nil {
		return "", "", false, fmt.Errorf("reading a version: %w", err)
	}
	info, offset, err := findVersion(s, h)
	if err != nil {
		return "", "", false, fmt.Errorf("reading a version: %w", err)
	}
	if info == nil {
		return "", "", false, nil
	}
	version, languages, err = parseVersion(info)
	if err != nil {
		return "", "", false, fmt.Errorf("reading a version: %w", &FormatError{offset, err})
	}
	return version, languages, true, nil
}

// A stream is read forward only, and knows where it is.
type stream struct {
	r   io.Reader
	pos int64 // bytes from the start
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.pos += int64(n)
	return n, err
}

// skipTo goes on at byte offset, or at the end where there are fewer bytes.
func (s *stream) skipTo(offset int64) error {
	n := offset - s.pos
	if n < 0 {
		return malformed(offset, "resources are before what points to them")
	}
	if f, ok := s.r.(io.Seeker); ok && n > 0 {
		// A pipe is a seeker too, until it is asked.
		if _, err := f.Seek(n, io.SeekCurrent); err == nil {
			s.pos = offset
			return nil
		}
	}
	if _, err := io.CopyN(io.Discard, s, n); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// A window is what was read of the start of the resource section.
type window struct {
	s     *stream
	start int64 // bytes from the start of the file
	size  int64 // bytes that the section has
	buf   []byte
}

// at gives n bytes of the section at offset and reads on where it has to.
func (w *window) at(offset, n uint32) ([]byte, error) {
	end := int64(offset) + int64(n)
	if end > min(w.size, maxTree) {
		return nil, malformed(w.start+int64(offset), "the resource tree reaches to byte %d of a section of %d, or is too large", end, w.size)
	}
	if have := int64(len(w.buf)); end > have {
		w.buf = append(w.buf, make([]byte, end-have)...)
		if _, err := io.ReadFull(w.s, w.buf[have:]); err != nil {
			return nil, cutOff(w.s, err)
		}
	}
	return w.buf[offset:end], nil
}

// cutOff makes the end of a file an error of its format.
func cutOff(s *stream, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed(s.pos, "resources are cut off")
	}
	return err
}

// locate gives where in the file the byte at an address is, and how many bytes of
// its section follow, it included.
func (h *Headers) locate(address uint32) (offset, size int64, ok bool) {
	for _, s := range h.Sections {
		size := min(s.RawSize, s.memory())
		if address >= s.VirtualAddress && address-s.VirtualAddress < size {
			in := int64(address - s.VirtualAddress)
			return int64(s.RawOffset) + in, int64(size) - in, true
		}
	}
	return 0, 0, false
}

// findVersion gives the version resource of a program whose headers have been
// read, nil if there is none, and where in the file it is.
func findVersion(s *stream, h *Headers) (info []byte, offset int64, err error) {
	root, _ := h.Directory(DirectoryResource)
	if root == 0 {
		return nil, 0, nil
	}
	start, size, ok := h.locate(root)
	if !ok {
		return nil, 0, malformed(int64(h.directories), "resources at %#x are in no section", root)
	}
	if err := s.skipTo(start); err != nil {
		return nil, 0, err
	}
	w := &window{s: s, start: start, size: size}

	// Which language does not matter to a comparison of versions, but has to be the
	// same each time: that which Windows prefers by itself, or the first.
	var node uint32
	for level, wanted := range [][]uint32{{typeVersion}, {versionName}, {languageNeutral, languageEnglish}} {
		next, found, err := w.child(node, wanted, level == 2)
		if err != nil || !found {
			return nil, 0, err
		}
		if isDirectory := next>>31 == 1; isDirectory != (level < 2) {
			return nil, 0, malformed(start+int64(node), "a resource tree of %d levels, want 3", level+1)
		}
		node = next &^ (1 << 31)
	}
	leaf, err := w.at(node, 16)
	if err != nil {
		return nil, 0, err
	}
	address, length := binary.LittleEndian.Uint32(leaf), binary.LittleEndian.Uint32(leaf[4:])
	if length == 0 || length > maxVersionInfo {
		return nil, 0, malformed(start+int64(node), "a version resource of %d bytes", length)
	}
	offset, room, ok := h.locate(address)
	if !ok || int64(length) > room {
		return nil, 0, malformed(start+int64(node), "a version resource at %#x is in no section", address)
	}
	info, err = w.read(offset, length)
	return info, offset, err
}

// child finds the first of the wanted numbers in the directory at offset, or with
// or any entry, and returns where it points.
func (w *window) child(offset uint32, wanted []uint32, orAny bool) (next uint32, found bool, err error) {
	le := binary.LittleEndian
	b, err := w.at(offset, 16)
	if err != nil {
		return 0, false, err
	}
	count := uint32(le.Uint16(b[12:])) + uint32(le.Uint16(b[14:])) // with a name, with a number
	if count > maxEntries {
		return 0, false, malformed(w.start+int64(offset), "%d entries in a resource directory, more than %d", count, maxEntries)
	}
	b, err = w.at(offset+16, count*8)
	if err != nil || count == 0 {
		return 0, false, err
	}
	for _, id := range wanted {
		for e := b; len(e) > 0; e = e[8:] {
			if le.Uint32(e) == id {
				return le.Uint32(e[4:]), true, nil
			}
		}
	}
	return le.Uint32(b[4:]), orAny, nil
}

// read gives length bytes at offset in the file, which begin in what was read of
// the section or follow it.
func (w *window) read(offset int64, length uint32) ([]byte, error) {
	info := make([]byte, length)
	n := 0
	if in := offset - w.start; in >= 0 && in < int64(len(w.buf)) {
		n = copy(info, w.buf[in:])
		offset += int64(n)
	}
	if n == len(info) {
		return info, nil
	}
	if err := w.s.skipTo(offset); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(w.s, info[n:]); err != nil {
		return nil, cutOff(w.s, err)
	}
	return info, nil
}

// A block is one part of a version resource; versionBlock draws it.
type block struct {
	key      string // as it is, in UTF-16
	value    []byte
	children []byte
}

// nextBlock splits the first block off b.
func nextBlock(b []byte) (blk block, rest []byte, err error) {
	broken := errors.New("a version resource with a broken part")
	if len(b) < 6 {
		return block{}, nil, broken
	}
	le := binary.LittleEndian
	size, valueSize, text := int(le.Uint16(b)), int(le.Uint16(b[2:])), le.Uint16(b[4:]) == 1
	if size < 6 || size > len(b) {
		return block{}, nil, broken
	}
	rest = skipAligned(b, size)
	b = b[:size]
	end := 6
	for ; ; end += 2 {
		if end+2 > len(b) {
			return block{}, nil, broken
		}
		if b[end] == 0 && b[end+1] == 0 {
			break
		}
	}
	blk.key = string(b[6:end])
	b = skipAligned(b, end+2)
	if text {
		valueSize *= 2
	}
	// Some compilers count text in bytes, others with the NUL that they leave out.
	valueSize = min(valueSize, len(b))
	blk.value = b[:valueSize]
	blk.children = skipAligned(b, valueSize)
	return blk, rest, nil
}

// skipAligned gives what follows n bytes of b and the zeros up to the next multiple
// of four. All that b begins with here starts at such a multiple itself.
func skipAligned(b []byte, n int) []byte {
	return b[min(int(align(uint64(n), 4)), len(b)):]
}

func isKey(b block, key string) bool {
	return bytes.Equal([]byte(b.key+"\x00\x00"), appendUTF16(nil, key))
}

// parseVersion reads the version and the languages of a version resource.
func parseVersion(info []byte) (version, languages string, err error) {
	le := binary.LittleEndian
	root, _, err := nextBlock(info)
	if err != nil {
		return "", "", err
	}
	if !isKey(root, "VS_VERSION_INFO") || len(root.value) < fixedSize || le.Uint32(root.value) != fixedMagic {
		return "", "", errors.New("a version resource without numbers")
	}
	v := root.value
	version = fmt.Sprintf("%d.%d.%d.%d", le.Uint16(v[10:]), le.Uint16(v[8:]), le.Uint16(v[14:]), le.Uint16(v[12:]))

	var ids []string
	for b := root.children; len(b) >= 6 && le.Uint16(b) > 0; { // zeros may follow
		var part block
		if part, b, err = nextBlock(b); err != nil {
			return "", "", err
		}
		if !isKey(part, "VarFileInfo") || len(part.children) == 0 {
			continue
		}
		translation, _, err := nextBlock(part.children)
		if err != nil {
			return "", "", err
		}
		for v := translation.value; len(v) >= 4 && isKey(translation, "Translation"); v = v[4:] {
			if id := strconv.Itoa(int(le.Uint16(v))); !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	// The column is 20 characters wide, and Windows compares the first languages.
	return version, joinUpTo(ids, 20), nil
}

// joinUpTo joins as many of the ids with commas as fit.
func joinUpTo(ids []string, width int) string {
	for len(ids) > 0 {
		if s := strings.Join(ids, ","); len(s) <= width {
			return s
		}
		ids = ids[:len(ids)-1]
	}
	return ""
}
