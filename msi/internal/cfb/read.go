package cfb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
)

// maxEntries is the most entries of a directory that a Reader accepts. Windows
// Installer's packages have some hundred.
const maxEntries = 1 << 17

// A Reader is an open file. Its streams read from the file that it was opened on, for
// as long as that is open.
type Reader struct {
	Root    Root
	Version int // 3 or 4
	// Streams are those of the root, in the order in which a directory must have them.
	// They can be read by several goroutines at once.
	Streams []Stream
	// Storages are the names of the root's storages, which are not read.
	Storages [][]uint16
}

// Open reads the directory of a file of size bytes, and where its streams are. A
// file whose chains of sectors loop, meet or leave it is an error. Little of it is in
// memory, unless its streams are in many pieces: then up to a third of its size is.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	f := &file{r: r, size: size}
	if err := f.readHeader(); err != nil {
		return nil, fmt.Errorf("reading a compound file: %w", err)
	}
	out := &Reader{Version: int(f.version)}
	if err := f.readDirectory(out); err != nil {
		return nil, fmt.Errorf("reading a compound file: %w", err)
	}
	return out, nil
}

// A file is one that is being opened.
type file struct {
	r       io.ReaderAt
	size    int64
	version uint16
	sector  int64  // bytes
	count   uint32 // sectors, of which the last may be short
	used    bitset // sectors that are in a chain already

	header   []byte
	fat      table
	miniFAT  table
	mini     content // the mini stream
	miniUsed bitset  // mini sectors that are in a chain already
}

// A bitset says for each of some numbers whether it was seen.
type bitset []uint64

func newBitset(n uint64) bitset { return make(bitset, (n+63)/64) }

// add reports whether the number is new.
func (s bitset) add(n uint32) bool {
	if s[n/64]&(1<<(n%64)) != 0 {
		return false
	}
	s[n/64] |= 1 << (n % 64)
	return true
}

func (f *file) readHeader() error {
	f.header = make([]byte, headerSize)
	if _, err := f.r.ReadAt(f.header, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("it has less than a header's 512 bytes")
		}
		return err
	}
	le := binary.LittleEndian
	if string(f.header[:8]) != magic {
		return errors.New("it does not begin as one")
	}
	f.version = le.Uint16(f.header[26:])
	shift := le.Uint16(f.header[30:])
	switch {
	case f.version == 3 && shift == 9, f.version == 4 && shift == 12:
	default:
		return fmt.Errorf("version %d with sectors of 1<<%d bytes", f.version, shift)
	}
	f.sector = 1 << shift
	if order, mini, cutoff := le.Uint16(f.header[28:]), le.Uint16(f.header[32:]), le.Uint32(f.header[56:]); order != 0xfffe || mini != 6 || cutoff != miniCutoff {
		return fmt.Errorf("byte order %#x, mini sectors of 1<<%d bytes, mini streams below %d bytes", order, mini, cutoff)
	}
	count := int64(0)
	if f.size > f.sector {
		count = (f.size - 1) / f.sector // with the header's
	}
	f.count = uint32(min(count, maxSector))
	f.used = newBitset(uint64(f.count))
	return f.readDIFAT()
}

// readDIFAT finds the FAT's sectors.
func (f *file) readDIFAT() error {
	le := binary.LittleEndian
	want := le.Uint32(f.header[44:])
	if want > f.count {
		return fmt.Errorf("%d sectors of the FAT in a file of %d", want, f.count)
	}
	var c content
	add := func(n uint32) error {
		if uint32(c.size/f.sector) == want || n == freeSector {
			return nil
		}
		if err := f.take(n); err != nil {
			return fmt.Errorf("the FAT: %w", err)
		}
		c.grow(f.offset(n), f.sector)
		return nil
	}
	for i := range headerDIFAT {
		if err := add(le.Uint32(f.header[76+4*i:])); err != nil {
			return err
		}
	}
	b := make([]byte, f.sector)
	for n := le.Uint32(f.header[68:]); uint32(c.size/f.sector) < want; {
		if err := f.take(n); err != nil {
			return fmt.Errorf("the DIFAT: %w", err)
		}
		if err := f.readSector(b, f.offset(n)); err != nil {
			return fmt.Errorf("the DIFAT: %w", err)
		}
		for i := 0; i < len(b)-4; i += 4 {
			if err := add(le.Uint32(b[i:])); err != nil {
				return err
			}
		}
		n = le.Uint32(b[len(b)-4:])
	}
	c.r = f.r
	f.fat = table{c: &c, b: make([]byte, f.sector), at: -1}
	return nil
}

// take puts a sector into a chain.
func (f *file) take(n uint32) error {
	switch {
	case n >= f.count:
		return fmt.Errorf("sector %#x in a file of %d", n, f.count)
	case !f.used.add(n):
		return fmt.Errorf("sector %d has two uses", n)
	}
	return nil
}

// offset is where a sector begins.
func (f *file) offset(n uint32) int64 { return (int64(n) + 1) * f.sector }

func (f *file) readSector(b []byte, off int64) error {
	if _, err := f.r.ReadAt(b, off); err != nil {
		return fmt.Errorf("reading at %d: %w", off, noEOF(err))
	}
	return nil
}

// noEOF is err, which says so if a file ended too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// chain follows a chain of sectors for size bytes, or to its end if size is -1.
func (f *file) chain(start uint32, size int64) (*content, error) {
	c := &content{r: f.r}
	for n := start; size < 0 && n != endOfChain || c.size < size; {
		if err := f.take(n); err != nil {
			return nil, err
		}
		c.grow(f.offset(n), f.sector)
		var err error
		if n, err = f.fat.next(n); err != nil {
			return nil, fmt.Errorf("the FAT: %w", err)
		}
	}
	if size >= 0 {
		c.size = size
	}
	return c, nil
}

// miniChain follows a chain of mini sectors.
func (f *file) miniChain(start uint32, size int64) (*content, error) {
	c := &content{r: f.r}
	for n := start; c.size < size; {
		at := int64(n) * miniSize
		if at >= f.mini.size {
			return nil, fmt.Errorf("mini sector %#x in a mini stream of %d bytes", n, f.mini.size)
		}
		if !f.miniUsed.add(n) {
			return nil, fmt.Errorf("mini sector %d has two uses", n)
		}
		c.grow(f.mini.offset(at), miniSize)
		var err error
		if n, err = f.miniFAT.next(n); err != nil {
			return nil, fmt.Errorf("the mini FAT: %w", err)
		}
	}
	c.size = size
	return c, nil
}

// readDirectory reads the directory and finds the streams of the root.
func (f *file) readDirectory(out *Reader) error {
	le := binary.LittleEndian
	dir, err := f.chain(le.Uint32(f.header[48:]), -1)
	if err != nil {
		return fmt.Errorf("the directory: %w", err)
	}
	if dir.size < entrySize || dir.size/entrySize > maxEntries {
		return fmt.Errorf("a directory of %d entries", dir.size/entrySize)
	}
	b := make([]byte, dir.size)
	if _, err := io.ReadFull(io.NewSectionReader(dir, 0, dir.size), b); err != nil {
		return fmt.Errorf("the directory: %w", noEOF(err))
	}
	root, err := parseEntry(b, f.version)
	if err != nil || root.kind != typeRoot {
		return errors.New("the directory does not begin with the root")
	}
	out.Root = Root{CLSID: root.clsid, State: root.state}

	miniFAT, err := f.chain(le.Uint32(f.header[60:]), int64(le.Uint32(f.header[64:]))*f.sector)
	if err != nil {
		return fmt.Errorf("the mini FAT: %w", err)
	}
	f.miniFAT = table{c: miniFAT, b: make([]byte, f.sector), at: -1}
	if root.size > largestStream {
		return fmt.Errorf("a mini stream of %d bytes", root.size)
	}
	mini, err := f.chain(root.start, int64(root.size))
	if err != nil {
		return fmt.Errorf("the mini stream: %w", err)
	}
	f.mini = *mini
	f.miniUsed = newBitset(blocks(mini.size, miniSize))
	return f.walk(out, b, root.child)
}

// walk goes through the tree of a directory in order.
func (f *file) walk(out *Reader, dir []byte, top uint32) error {
	seen := newBitset(uint64(len(dir) / entrySize))
	seen.add(0)
	type step struct {
		e *entry
		n uint32
	}
	var above []step
	n := top
	for n != noStream || len(above) > 0 {
		for n != noStream {
			if int64(n) >= int64(len(dir)/entrySize) || !seen.add(n) {
				return fmt.Errorf("the directory leads to entry %#x of %d, which is not there or has two places", n, len(dir)/entrySize)
			}
			e, err := parseEntry(dir[n*entrySize:], f.version)
			if err != nil {
				return fmt.Errorf("directory entry %d: %w", n, err)
			}
			above = append(above, step{e, n})
			n = e.left
		}
		last := above[len(above)-1]
		above = above[:len(above)-1]
		n = last.e.right
		switch last.e.kind {
		case typeStorage:
			out.Storages = append(out.Storages, last.e.name)
		case typeStream:
			s, err := f.stream(last.e)
			if err != nil {
				return fmt.Errorf("stream %q: %w", quotable(last.e.name), err)
			}
			s.Entry = last.n
			out.Streams = append(out.Streams, s)
		default:
			return fmt.Errorf("directory entry %d: type %d", last.n, last.e.kind)
		}
	}
	return sortNames(out)
}

// sortNames sorts the streams, which not every writer does, and refuses a directory
// with a name twice.
func sortNames(out *Reader) error {
	slices.SortFunc(out.Streams, func(a, b Stream) int { return compareNames(a.Name, b.Name) })
	names := slices.Clone(out.Storages)
	for _, s := range out.Streams {
		names = append(names, s.Name)
	}
	slices.SortFunc(names, compareNames)
	for i := 1; i < len(names); i++ {
		if compareNames(names[i-1], names[i]) == 0 {
			return fmt.Errorf("the directory has %q twice", quotable(names[i]))
		}
	}
	return nil
}

// stream finds the content of a stream.
func (f *file) stream(e *entry) (Stream, error) {
	if e.size > uint64(f.size) {
		return Stream{}, fmt.Errorf("%d bytes in a file of %d", e.size, f.size)
	}
	size := int64(e.size)
	var c *content
	var err error
	switch {
	case size == 0:
		c = &content{r: f.r}
	case size < miniCutoff:
		c, err = f.miniChain(e.start, size)
	default:
		c, err = f.chain(e.start, size)
	}
	if err != nil {
		return Stream{}, err
	}
	return Stream{
		Name: e.name, Size: size, State: e.state, Created: e.created, Modified: e.modified, At: c,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(c, 0, size)), nil },
	}, nil
}

// parseEntry reads a directory entry; entry draws it.
func parseEntry(b []byte, version uint16) (*entry, error) {
	le := binary.LittleEndian
	length := int(le.Uint16(b[64:]))
	if length < 4 || length > 64 || length%2 != 0 {
		return nil, fmt.Errorf("a name of %d bytes", length)
	}
	e := &entry{
		kind: b[66], color: b[67],
		left: le.Uint32(b[68:]), right: le.Uint32(b[72:]), child: le.Uint32(b[76:]),
		clsid: [16]byte(b[80:96]), state: le.Uint32(b[96:]),
		created: le.Uint64(b[100:]), modified: le.Uint64(b[108:]),
		start: le.Uint32(b[116:]), size: le.Uint64(b[120:]),
	}
	if version == 3 {
		e.size &= 0xffffffff // the upper half may be anything, [MS-CFB] 2.6.1
	}
	for i := 0; i < length-2; i += 2 {
		c := le.Uint16(b[i:])
		if c == 0 {
			return nil, errors.New("a zero in the name")
		}
		e.name = append(e.name, c)
	}
	return e, nil
}

// A table is a FAT: which sector follows a sector. It keeps the last piece that it
// read, as chains mostly go through it in order.
type table struct {
	c  *content
	b  []byte
	at int64 // where b is from; -1 before it was read
}

func (t *table) next(n uint32) (uint32, error) {
	off := int64(n) * 4
	if off+4 > t.c.size {
		return 0, fmt.Errorf("it does not go to sector %d", n)
	}
	at := off - off%int64(len(t.b))
	if at != t.at {
		t.at = -1
		if _, err := t.c.ReadAt(t.b, at); err != nil {
			return 0, noEOF(err)
		}
		t.at = at
	}
	return binary.LittleEndian.Uint32(t.b[off-at:]), nil
}

// A content is a stream as runs of bytes of the file, so that one that is not in
// pieces takes no memory to speak of.
type content struct {
	r    io.ReaderAt
	size int64 // bytes
	runs []run // each up to the next
}

type run struct {
	at  int64 // where it begins in the stream
	off int64 // and in the file
}

// grow adds n bytes of the file to the end.
func (c *content) grow(off, n int64) {
	if last := len(c.runs) - 1; last < 0 || c.runs[last].off+c.size-c.runs[last].at != off {
		c.runs = append(c.runs, run{c.size, off})
	}
	c.size += n
}

// find is the index of the run that has a byte of the stream.
func (c *content) find(at int64) int {
	return sort.Search(len(c.runs), func(i int) bool { return c.runs[i].at > at }) - 1
}

// offset is where a byte of the stream is in the file.
func (c *content) offset(at int64) int64 {
	r := c.runs[c.find(at)]
	return r.off + at - r.at
}

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("reading at %d", at)
	}
	if at >= c.size {
		return 0, io.EOF
	}
	n := 0
	for i := c.find(at); n < len(b) && at < c.size; i++ {
		end := c.size
		if i+1 < len(c.runs) {
			end = min(end, c.runs[i+1].at)
		}
		r := c.runs[i]
		part := b[n:min(int64(len(b)), int64(n)+end-at)]
		m, err := c.r.ReadAt(part, r.off+at-r.at)
		n += m
		at += int64(m)
		if m < len(part) {
			return n, noEOF(err)
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
