package cfb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Write writes a file with the streams, whose bodies follow one another in the order
// given, except that those of less than 4096 bytes come before the others. It needs
// no more memory for larger streams. A file of less than 2 GiB is of version 3, which
// every reader knows, and a larger one of version 4.
//
// It refuses names that are empty, too long, or the same but for case, and a body
// that has other than Size bytes, by its stream's name.
func Write(w io.Writer, root Root, streams []Stream) error {
	l, err := plan(streams)
	if err != nil {
		return err
	}
	fw := &fileWriter{w: bufio.NewWriterSize(w, 64<<10), sector: l.sector}
	fw.write(l.header())
	fw.padTo(l.sector)
	l.writeTables(fw)
	l.writeDirectory(fw, root)
	for _, i := range l.mini {
		fw.body(streams[i])
		fw.padTo(miniSize)
	}
	fw.padTo(l.sector)
	for _, i := range l.large {
		fw.body(streams[i])
		fw.padTo(l.sector)
	}
	if fw.err != nil {
		return fw.err
	}
	return fw.w.Flush()
}

// A chain is a run of sectors that follow one another.
type chain struct{ start, count uint64 }

// A layout is where everything goes. What a reader must have first is first:
//
//	header, DIFAT, FAT, directory, mini FAT, mini stream, streams of 4096 bytes or more
//
// Each is one chain, so the FAT can be made while it is written. Sectors are counted
// without the range lock: see number.
type layout struct {
	streams []Stream
	version uint16
	sector  int64 // bytes
	mini    []int // streams in the mini stream, in the order given
	large   []int // those with sectors of their own

	miniStart []uint32 // of streams: first mini sector
	start     []uint64 // of streams: first sector
	miniCount uint64   // mini sectors

	difat, fat, directory, miniFAT, miniStream chain
	end                                        uint64 // sectors of the file
}

// plan lays a file out.
func plan(streams []Stream) (*layout, error) {
	if err := checkNames(streams); err != nil {
		return nil, err
	}
	l := &layout{
		streams: streams, version: 3, sector: 512,
		miniStart: make([]uint32, len(streams)), start: make([]uint64, len(streams)),
	}
	for i, s := range streams {
		switch {
		case s.Size < 0 || s.Size > largestStream:
			return nil, fmt.Errorf("stream %q: a size of %d bytes", quotable(s.Name), s.Size)
		case s.Size < miniCutoff: // and an empty one, which has no mini sector
			l.mini = append(l.mini, i)
			l.miniStart[i] = uint32(l.miniCount)
			l.miniCount += blocks(s.Size, miniSize)
		default:
			l.large = append(l.large, i)
		}
	}
	if l.miniCount > maxSector {
		return nil, errors.New("the small streams are more than a compound file can have")
	}
	l.place()
	if (l.end+1)*512 >= maxVersion3 {
		l.version, l.sector = 4, 4096
		l.place()
	}
	if l.number(l.end) > maxSector {
		return nil, fmt.Errorf("%d sectors are more than a compound file can have", l.end)
	}
	return l, nil
}

// checkNames reports all names that a directory cannot have.
func checkNames(streams []Stream) error {
	var errs []error
	sorted := slices.Clone(streams)
	slices.SortStableFunc(sorted, func(a, b Stream) int { return compareNames(a.Name, b.Name) })
	for i, s := range sorted {
		switch {
		case len(s.Name) == 0:
			errs = append(errs, errors.New("a stream has no name"))
		case len(s.Name) > MaxName:
			errs = append(errs, fmt.Errorf("stream %q: the name has %d UTF-16 code units, and %d is the most", quotable(s.Name), len(s.Name), MaxName))
		case slices.Contains(s.Name, 0):
			errs = append(errs, fmt.Errorf("stream %q: a zero in the name", quotable(s.Name)))
		case i > 0 && compareNames(sorted[i-1].Name, s.Name) == 0:
			errs = append(errs, fmt.Errorf("stream %q: there are two of this name", quotable(s.Name)))
		}
	}
	return errors.Join(errs...)
}

// blocks is how many blocks n bytes fill.
func blocks(n, size int64) uint64 { return (uint64(n) + uint64(size) - 1) / uint64(size) }

// place gives everything its sectors, for the layout's size of sectors.
func (l *layout) place() {
	l.directory.count = blocks(int64(1+len(l.streams))*entrySize, l.sector)
	l.miniFAT.count = blocks(int64(l.miniCount)*4, l.sector)
	l.miniStream.count = blocks(int64(l.miniCount)*miniSize, l.sector)
	rest := l.directory.count + l.miniFAT.count + l.miniStream.count
	for _, i := range l.large {
		rest += blocks(l.streams[i].Size, l.sector)
	}

	// The FAT describes itself and the DIFAT, so their sizes depend on each other. They
	// only grow, and so come to rest.
	perFAT := uint64(l.sector / 4)
	perDIFAT := perFAT - 1 // the last number is the next sector of the DIFAT
	l.fat.count, l.difat.count = 0, 0
	for {
		all := l.number(rest + l.fat.count + l.difat.count)
		fat := (all + perFAT - 1) / perFAT
		var difat uint64
		if fat > headerDIFAT {
			difat = (fat - headerDIFAT + perDIFAT - 1) / perDIFAT
		}
		if fat == l.fat.count && difat == l.difat.count {
			break
		}
		l.fat.count, l.difat.count = fat, difat
	}

	at := uint64(0)
	for _, c := range []*chain{&l.difat, &l.fat, &l.directory, &l.miniFAT, &l.miniStream} {
		c.start = at
		at += c.count
	}
	for _, i := range l.large {
		l.start[i] = at
		at += blocks(l.streams[i].Size, l.sector)
	}
	l.end = at
}

// number is the number of the file's nth sector, which is n until the range lock. A
// file of version 3 ends before that.
func (l *layout) number(n uint64) uint64 {
	if l.version == 4 && n >= rangeLock/4096-1 {
		return n + 1
	}
	return n
}

// first is the number of a chain's first sector.
func (l *layout) first(c chain) uint32 {
	if c.count == 0 {
		return endOfChain
	}
	return uint32(l.number(c.start))
}

// header is that of [MS-CFB] 2.2:
//
//	 0  8   magic
//	 8  16  CLSID, zero
//	24  2   minor version, 3e
//	26  2   major version: 3 or 4
//	28  2   byte order: fffe
//	30  2   size of a sector as a power of two: 9 or 12
//	32  2   size of a mini sector: 6
//	34  6   reserved
//	40  4   sectors of the directory; zero in version 3
//	44  4   sectors of the FAT
//	48  4   first sector of the directory
//	52  4   transaction number
//	56  4   least size of a stream that is not in the mini stream
//	60  8   first sector of the mini FAT, and how many
//	68  8   first sector of the DIFAT, and how many
//	76  436 the DIFAT's first 109 numbers
func (l *layout) header() []byte {
	le := binary.LittleEndian
	b := make([]byte, 24, headerSize)
	copy(b, magic)
	b = le.AppendUint16(b, 0x3e)
	b = le.AppendUint16(b, l.version)
	b = le.AppendUint16(b, 0xfffe)
	shift, directory := uint16(9), uint32(0)
	if l.version == 4 {
		shift, directory = 12, uint32(l.directory.count)
	}
	b = le.AppendUint16(b, shift)
	b = le.AppendUint16(b, 6)
	b = append(b, make([]byte, 6)...)
	b = le.AppendUint32(b, directory)
	b = le.AppendUint32(b, uint32(l.fat.count))
	b = le.AppendUint32(b, l.first(l.directory))
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, miniCutoff)
	b = le.AppendUint32(b, l.first(l.miniFAT))
	b = le.AppendUint32(b, uint32(l.miniFAT.count))
	b = le.AppendUint32(b, l.first(l.difat))
	b = le.AppendUint32(b, uint32(l.difat.count))
	for i := range uint64(headerDIFAT) {
		b = le.AppendUint32(b, l.fatSector(i))
	}
	return b
}

// fatSector is the number of the FAT's ith sector.
func (l *layout) fatSector(i uint64) uint32 {
	if i >= l.fat.count {
		return freeSector
	}
	return uint32(l.number(l.fat.start + i))
}

// writeTables writes the DIFAT and the FAT.
func (l *layout) writeTables(w *fileWriter) {
	perDIFAT := uint64(l.sector/4 - 1)
	for i := range l.difat.count {
		for j := range perDIFAT {
			w.uint32(l.fatSector(headerDIFAT + i*perDIFAT + j))
		}
		next := uint32(endOfChain)
		if i+1 < l.difat.count {
			next = uint32(l.number(l.difat.start + i + 1))
		}
		w.uint32(next)
	}

	n := uint64(0) // sectors described
	entry := func(v uint32) {
		if l.version == 4 && n == rangeLock/4096-1 {
			w.uint32(endOfChain)
			n++
		}
		w.uint32(v)
		n++
	}
	for range l.difat.count {
		entry(difatMark)
	}
	for range l.fat.count {
		entry(fatMark)
	}
	chains := []chain{l.directory, l.miniFAT, l.miniStream}
	for _, i := range l.large {
		chains = append(chains, chain{l.start[i], blocks(l.streams[i].Size, l.sector)})
	}
	for _, c := range chains {
		for i := range c.count {
			next := uint32(endOfChain)
			if i+1 < c.count {
				next = uint32(l.number(c.start + i + 1))
			}
			entry(next)
		}
	}
	w.fill(freeSector, l.sector)
}

// writeDirectory writes the directory and the mini FAT.
func (l *layout) writeDirectory(w *fileWriter, root Root) {
	order := make([]int, len(l.streams)) // streams by name
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareNames(l.streams[a].Name, l.streams[b].Name) })
	nodes, top := balance(order)

	name := []uint16{}
	for _, c := range rootName {
		name = append(name, uint16(c))
	}
	e := entry{
		name: name, kind: typeRoot, color: black, left: noStream, right: noStream, child: top,
		clsid: root.CLSID, state: root.State, start: l.first(l.miniStream), size: l.miniCount * miniSize,
	}
	w.write(e.append(nil))
	for i, s := range l.streams {
		n := nodes[i]
		e := entry{
			name: s.Name, kind: typeStream, color: n.color, left: n.left, right: n.right, child: noStream,
			state: s.State, created: s.Created, modified: s.Modified, start: endOfChain, size: uint64(s.Size),
		}
		switch {
		case s.Size >= miniCutoff:
			e.start = uint32(l.number(l.start[i]))
		case s.Size > 0:
			e.start = l.miniStart[i]
		}
		w.write(e.append(nil))
	}
	unused := entry{left: noStream, right: noStream, child: noStream}
	for w.n%l.sector != 0 {
		w.write(unused.append(nil))
	}

	for _, i := range l.mini {
		if l.streams[i].Size == 0 {
			continue
		}
		last := l.miniStart[i] + uint32(blocks(l.streams[i].Size, miniSize)) - 1
		for m := l.miniStart[i]; m < last; m++ {
			w.uint32(m + 1)
		}
		w.uint32(endOfChain)
	}
	w.fill(freeSector, l.sector)
}

// A node is a stream's place in the directory, a red-black tree. Siblings are
// numbers of directory entries, of which stream i has i+1.
type node struct {
	color       byte
	left, right uint32
}

// balance makes a tree of streams in the order of their names, and gives the number
// of the entry at its top. All levels but the last are full: with that one red and
// the others black, every path has as many black nodes and no two red in a row.
func balance(order []int) (nodes []node, top uint32) {
	nodes = make([]node, len(order))
	full := 0 // levels
	for len(order) >= 1<<(full+1)-1 {
		full++
	}
	var build func(order []int, level int) uint32
	build = func(order []int, level int) uint32 {
		if len(order) == 0 {
			return noStream
		}
		mid := len(order) / 2
		n := node{color: black, left: build(order[:mid], level+1), right: build(order[mid+1:], level+1)}
		if level > full {
			n.color = red
		}
		nodes[order[mid]] = n
		return uint32(order[mid] + 1)
	}
	return nodes, build(order, 1)
}

// An entry is one of the directory, [MS-CFB] 2.6.1:
//
//	  0  64  name in UTF-16, and zeros
//	 64   2  bytes of the name and one zero
//	 66   1  type: 1 is a storage, 2 a stream, 5 the root
//	 67   1  color: 0 is red, 1 black
//	 68   4  left sibling
//	 72   4  right sibling
//	 76   4  child
//	 80  16  CLSID
//	 96   4  state
//	100   8  created
//	108   8  modified
//	116   4  first sector, or mini sector
//	120   8  size
type entry struct {
	name               []uint16
	kind, color        byte
	left, right, child uint32
	clsid              [16]byte
	state              uint32
	created, modified  uint64
	start              uint32
	size               uint64
}

func (e *entry) append(b []byte) []byte {
	le := binary.LittleEndian
	start := len(b)
	for _, c := range e.name {
		b = le.AppendUint16(b, c)
	}
	b = append(b, make([]byte, start+64-len(b))...)
	length := 0
	if len(e.name) > 0 {
		length = 2*len(e.name) + 2
	}
	b = le.AppendUint16(b, uint16(length))
	b = append(b, e.kind, e.color)
	b = le.AppendUint32(b, e.left)
	b = le.AppendUint32(b, e.right)
	b = le.AppendUint32(b, e.child)
	b = append(b, e.clsid[:]...)
	b = le.AppendUint32(b, e.state)
	b = le.AppendUint64(b, e.created)
	b = le.AppendUint64(b, e.modified)
	b = le.AppendUint32(b, e.start)
	return le.AppendUint64(b, e.size)
}

// A fileWriter writes a file and remembers the first error. It leaves the range lock
// out, whatever is written across it.
type fileWriter struct {
	w      *bufio.Writer
	sector int64
	n      int64 // bytes written
	err    error
	word   [4]byte // for uint32, which is called for every sector
}

func (f *fileWriter) write(b []byte) {
	if f.err == nil {
		_, f.err = f.Write(b)
	}
}

// Write implements io.Writer for copies of bodies.
func (f *fileWriter) Write(b []byte) (int, error) {
	written := 0
	if f.sector == 4096 && f.n <= rangeLock && f.n+int64(len(b)) > rangeLock {
		n, err := f.w.Write(b[:rangeLock-f.n])
		f.n += int64(n)
		written += n
		if err != nil {
			return written, err
		}
		n, err = f.w.Write(make([]byte, 4096))
		f.n += int64(n)
		if err != nil {
			return written, err
		}
		b = b[written:]
	}
	n, err := f.w.Write(b)
	f.n += int64(n)
	return written + n, err
}

func (f *fileWriter) uint32(v uint32) {
	binary.LittleEndian.PutUint32(f.word[:], v)
	f.write(f.word[:])
}

// fill writes v up to a multiple of size.
func (f *fileWriter) fill(v uint32, size int64) {
	for f.err == nil && f.n%size != 0 {
		f.uint32(v)
	}
}

// padTo writes zeros up to a multiple of size.
func (f *fileWriter) padTo(size int64) {
	if over := f.n % size; over != 0 {
		f.write(make([]byte, size-over))
	}
}

// body writes that of a stream, which must have its size.
func (f *fileWriter) body(s Stream) {
	if f.err != nil {
		return
	}
	if err := f.copyBody(s); err != nil {
		f.err = fmt.Errorf("stream %q: %w", quotable(s.Name), err)
	}
}

func (f *fileWriter) copyBody(s Stream) (err error) {
	r, err := s.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	n, err := io.CopyN(f, r, s.Size)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the content ends after %d of %d bytes", n, s.Size)
	}
	if err != nil {
		return err
	}
	var more [1]byte
	switch _, err := io.ReadFull(r, more[:]); {
	case err == nil:
		return fmt.Errorf("the content is longer than %d bytes", s.Size)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}
