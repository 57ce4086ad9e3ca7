package cfb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

func name(s string) []uint16 { return utf16.Encode([]rune(s)) }

// pattern is a stream of size bytes, each 512 of which differ from the others.
func pattern(s string, size int64) Stream {
	return Stream{Name: name(s), Size: size, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(&patternReader{seed: uint64(len(s))}, size)), nil
	}}
}

// A patternReader counts in 8-byte numbers.
type patternReader struct{ seed, n uint64 }

func (p *patternReader) Read(b []byte) (int, error) {
	var word [8]byte
	for i := range b {
		binary.LittleEndian.PutUint64(word[:], p.n/8+p.seed<<48)
		b[i] = word[p.n%8]
		p.n++
	}
	return len(b), nil
}

func write(t *testing.T, root Root, streams ...Stream) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, root, streams); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t *testing.T, b []byte) *Reader {
	t.Helper()
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readAll(t *testing.T, s Stream) []byte {
	t.Helper()
	r, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var root = Root{CLSID: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, State: 7}

// compare checks that a file has the streams.
func compare(t *testing.T, r *Reader, want []Stream) {
	t.Helper()
	if r.Root != root {
		t.Errorf("root %v, want %v", r.Root, root)
	}
	want = slices.SortedFunc(slices.Values(want), func(a, b Stream) int { return compareNames(a.Name, b.Name) })
	if len(r.Streams) != len(want) {
		t.Fatalf("%d streams, want %d", len(r.Streams), len(want))
	}
	for i, s := range r.Streams {
		w := want[i]
		if !slices.Equal(s.Name, w.Name) || s.Size != w.Size || s.State != w.State || s.Created != w.Created || s.Modified != w.Modified {
			t.Errorf("stream %q of %d bytes, want %q of %d", quotable(s.Name), s.Size, quotable(w.Name), w.Size)
		}
		if !bytes.Equal(readAll(t, s), readAll(t, w)) {
			t.Errorf("stream %q: other content", quotable(s.Name))
		}
	}
}

func TestWriteRead(t *testing.T) {
	sizes := []int64{0, 1, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 100000}
	many := make([]Stream, 0, 300)
	for i := range 300 {
		many = append(many, pattern(fmt.Sprintf("s%d", i), int64(i*17)))
	}
	full := pattern("meta", 10)
	full.State, full.Created, full.Modified = 1, 1<<63, 1<<62+5
	tests := []struct {
		name    string
		streams []Stream
	}{
		{"empty", nil},
		{"empty stream", []Stream{pattern("a", 0)}},
		{"small", []Stream{pattern("a", 100)}},
		{"large", []Stream{pattern("a", 10000)}},
		{"both", []Stream{pattern("a", 10000), pattern("b", 10)}},
		{"many", many},
		{"metadata", []Stream{full}},
		{"names", []Stream{
			pattern("\x05SummaryInformation", 5), pattern("größe", 6), pattern("GRÖSSE", 7), pattern("日本語", 8), pattern("😀", 9),
			{Name: []uint16{0xd800}, Size: 10, Open: pattern("", 10).Open}, // half of a character
			pattern(strings.Repeat("x", MaxName), 10),
		}},
	}
	for _, size := range sizes {
		tests = append(tests, struct {
			name    string
			streams []Stream
		}{fmt.Sprint(size, " bytes"), []Stream{pattern("a", size), pattern("bb", size), pattern("c", 1)}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := write(t, root, tt.streams...)
			if len(b)%512 != 0 {
				t.Errorf("%d bytes", len(b))
			}
			r := open(t, b)
			compare(t, r, tt.streams)
			checkTree(t, b)
			if again := write(t, r.Root, restore(r, tt.streams)...); !bytes.Equal(again, b) {
				t.Error("what was read is written differently")
			}
		})
	}
}

// restore gives a file's streams in the order in which they were written.
func restore(r *Reader, order []Stream) []Stream {
	var out []Stream
	for _, w := range order {
		i := slices.IndexFunc(r.Streams, func(s Stream) bool { return slices.Equal(s.Name, w.Name) })
		out = append(out, r.Streams[i])
	}
	return out
}

// checkTree checks the rules of a red-black tree and the order of a directory.
func checkTree(t *testing.T, b []byte) {
	t.Helper()
	f := &file{r: bytes.NewReader(b), size: int64(len(b))}
	if err := f.readHeader(); err != nil {
		t.Fatal(err)
	}
	dir, err := f.chain(binary.LittleEndian.Uint32(f.header[48:]), -1)
	if err != nil {
		t.Fatal(err)
	}
	var previous []uint16
	var walk func(n uint32, parentRed bool) int
	walk = func(n uint32, parentRed bool) int {
		if n == noStream {
			return 0
		}
		raw := make([]byte, entrySize)
		if _, err := dir.ReadAt(raw, int64(n)*entrySize); err != nil {
			t.Fatal(err)
		}
		e, err := parseEntry(raw, 4)
		if err != nil {
			t.Fatal(err)
		}
		if e.color == red && parentRed {
			t.Errorf("entry %d: red below red", n)
		}
		left := walk(e.left, e.color == red)
		if previous != nil && compareNames(previous, e.name) >= 0 {
			t.Errorf("entry %d: %q does not follow %q", n, quotable(e.name), quotable(previous))
		}
		previous = e.name
		if right := walk(e.right, e.color == red); left != right {
			t.Errorf("entry %d: %d black entries to the left, %d to the right", n, left, right)
		}
		if e.color == black {
			left++
		}
		return left
	}
	raw := make([]byte, entrySize)
	if _, err := dir.ReadAt(raw, 0); err != nil {
		t.Fatal(err)
	}
	// The top counts as below red: it must be black.
	walk(binary.LittleEndian.Uint32(raw[76:]), true)
}

func TestBalance(t *testing.T) {
	for n := range 70 {
		var streams []Stream
		for i := range n {
			streams = append(streams, pattern(fmt.Sprint(i), 0))
		}
		checkTree(t, write(t, root, streams...))
	}
}

func TestWriteErrors(t *testing.T) {
	short, long := pattern("short", 5000), pattern("long", 5000)
	short.Size++
	long.Size--
	empty := pattern("empty", 1)
	empty.Size = 0
	closed := pattern("closed", 1)
	closed.Open = func() (io.ReadCloser, error) { return nil, os.ErrPermission }
	tests := []struct {
		streams []Stream
		want    string
	}{
		{[]Stream{short}, `stream "short": the content ends after 5000 of 5001 bytes`},
		{[]Stream{long}, `stream "long": the content is longer than 4999 bytes`},
		{[]Stream{empty}, `stream "empty": the content is longer than 0 bytes`},
		{[]Stream{closed}, `stream "closed": permission denied`},
		{[]Stream{pattern("", 1)}, "a stream has no name"},
		{[]Stream{pattern("a\x00", 1)}, `stream "a\x00": a zero in the name`},
		{[]Stream{pattern(strings.Repeat("x", 32), 1)}, "stream \"" + strings.Repeat("x", 32) + "\": the name has 32 UTF-16 code units, and 31 is the most"},
		{
			[]Stream{pattern("ärger", 1), pattern("b", 1), pattern("ÄRGER", 1), pattern("B", 2)},
			"stream \"B\": there are two of this name\nstream \"ÄRGER\": there are two of this name",
		},
	}
	for _, tt := range tests {
		if err := Write(io.Discard, root, tt.streams); fmt.Sprint(err) != tt.want {
			t.Errorf("got %v, want %v", err, tt.want)
		}
	}
}

// A sparse file keeps only what is not zero.
type sparse struct {
	size  int64
	pages map[int64][]byte // what is not zero, by its page
}

const page = 4096

func (s *sparse) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := min(int64(len(rest)), page-s.size%page)
		if part := rest[:n]; !allZero(part) {
			p := s.pages[s.size/page]
			if p == nil {
				p = make([]byte, page)
				s.pages[s.size/page] = p
			}
			copy(p[s.size%page:], part)
		}
		s.size += n
		rest = rest[n:]
	}
	return len(b), nil
}

func (s *sparse) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) && off < s.size {
		end := min(page-off%page, int64(len(b)-n), s.size-off)
		clear(b[n : n+int(end)])
		if p := s.pages[off/page]; p != nil {
			copy(b[n:n+int(end)], p[off%page:])
		}
		n += int(end)
		off += end
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

var zeroPage [page]byte

func allZero(b []byte) bool { return bytes.Equal(b, zeroPage[:len(b)]) }

// zeros is a stream of zeros with marks at its ends.
func zeros(s string, size int64) Stream {
	return Stream{Name: name(s), Size: size, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("begin"), io.LimitReader(zeroReader{}, size-8), strings.NewReader("end"))), nil
	}}
}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestLarge has files with a DIFAT, and one of version 4 beyond the range lock. What is
// zero in them takes no memory.
func TestLarge(t *testing.T) {
	tests := []struct {
		name    string
		size    int64
		version int
	}{
		{"header's DIFAT is full", 109*128*512 - 200*512, 3},
		{"DIFAT", 20 << 20, 3},
		{"DIFAT of two sectors", (109 + 127 + 5) * 128 * 512, 3},
		{"range lock", 2<<30 + 1<<20, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			streams := []Stream{pattern("first", 5000), zeros("large", tt.size), pattern("last", 5000), pattern("small", 100)}
			s := &sparse{pages: make(map[int64][]byte)}
			if err := Write(s, root, streams); err != nil {
				t.Fatal(err)
			}
			if tt.size > 1<<31 {
				if p := s.pages[rangeLock/page]; p != nil {
					t.Error("the range lock's sector has data")
				}
			}
			r, err := Open(s, s.size)
			if err != nil {
				t.Fatal(err)
			}
			if r.Version != tt.version {
				t.Errorf("version %d, want %d", r.Version, tt.version)
			}
			for _, got := range r.Streams {
				if quotable(got.Name) != "large" {
					want := streams[slices.IndexFunc(streams, func(s Stream) bool { return slices.Equal(s.Name, got.Name) })]
					if !bytes.Equal(readAll(t, got), readAll(t, want)) {
						t.Errorf("stream %q: other content", quotable(got.Name))
					}
					continue
				}
				b := make([]byte, 8)
				if _, err := got.At.ReadAt(b, 0); err != nil || string(b) != "begin\x00\x00\x00" {
					t.Errorf("it begins with %q, %v", b, err)
				}
				if n, err := got.At.ReadAt(b, tt.size-5); n != 5 || err != io.EOF || string(b[:5]) != "\x00\x00end" {
					t.Errorf("it ends with %q, %v", b[:n], err)
				}
				if got.Size != tt.size {
					t.Errorf("%d bytes, want %d", got.Size, tt.size)
				}
			}
		})
	}
}

// TestPlan has the sizes at which a layout changes, without a file.
func TestPlan(t *testing.T) {
	tests := []struct {
		name       string
		size       int64
		version    uint16
		fat, difat uint64
		end        uint64
	}{
		// 512 bytes of header, 1 sector of the directory, and the FAT.
		{"no data", 0, 3, 1, 0, 2},
		{"a full sector of the FAT", 126 * 512, 3, 1, 0, 128},
		{"one sector more", 127 * 512, 3, 2, 0, 130},
		{"the header's DIFAT is full", (109*128 - 109 - 1) * 512, 3, 109, 0, 109 * 128},
		{"a DIFAT", (109*128 - 109) * 512, 3, 110, 1, 109*128 - 109 + 1 + 110 + 1},
		// With the header, one sector less than the range lock's.
		{"the last of version 3", 4161275 * 512, 3, 32768, 258, 4161275 + 1 + 32768 + 258},
		{"the first of version 4", 4161276 * 512, 4, 509, 1, 520160 + 1 + 509 + 1},
		{"the range lock", 2 << 30, 4, 513, 1, 524288 + 1 + 513 + 1},
		{"the most", 1<<44 - 64<<30, 4, 0, 0, 0},
	}
	for _, tt := range tests {
		l, err := plan([]Stream{pattern("a", tt.size)})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if tt.end == 0 {
			continue
		}
		if l.version != tt.version || l.fat.count != tt.fat || l.difat.count != tt.difat || l.end != tt.end {
			t.Errorf("%s: version %d, FAT %d, DIFAT %d, end %d, want %v", tt.name, l.version, l.fat.count, l.difat.count, l.end, tt)
		}
	}
	for _, streams := range [][]Stream{
		{pattern("a", -1)},
		{pattern("a", 1<<44+1)},
		{pattern("a", 1<<44)},
		{pattern("a", 1<<44), pattern("b", 1<<44), pattern("c", 1<<44), pattern("d", 1<<44)},
	} {
		if l, err := plan(streams); err == nil {
			t.Errorf("%d streams of %d bytes: %d sectors", len(streams), streams[0].Size, l.end)
		}
	}
}

// A faulty file cannot be read or written from some byte on.
type faulty struct {
	b     []byte
	limit int64
	n     int64
}

var errFaulty = errors.New("faulty")

func (f *faulty) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > f.limit {
		return 0, errFaulty
	}
	return bytes.NewReader(f.b).ReadAt(b, off)
}

func (f *faulty) Write(b []byte) (int, error) {
	if f.n += int64(len(b)); f.n > f.limit {
		return 0, errFaulty
	}
	return len(b), nil
}

func TestFaulty(t *testing.T) {
	streams := []Stream{pattern("a", 100), pattern("b", 8<<20)}
	b := write(t, root, streams...)
	for _, limit := range []int64{0, 511, 512, 1000, 20000, int64(len(b)) - 1} {
		if err := Write(&faulty{limit: limit}, root, streams); !errors.Is(err, errFaulty) {
			t.Errorf("writing %d bytes: got error %v, want %v", limit, err, errFaulty)
		}
	}
	r := open(t, b)
	beyond := int64(len(b)) - r.Streams[1].Size // the directory and all before are read
	for limit := int64(0); limit < beyond; limit += 512 {
		if _, err := Open(&faulty{b: b, limit: limit}, int64(len(b))); err == nil {
			// The mini stream is not read before it is asked for.
			if limit < beyond-512 {
				t.Errorf("reading %d of %d bytes is no error", limit, beyond)
			}
		} else if !errors.Is(err, errFaulty) {
			t.Errorf("reading %d bytes: got error %v, want %v", limit, err, errFaulty)
		}
	}
	// A file that is shorter than was said.
	r, err := Open(bytes.NewReader(b[:len(b)-1000]), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, io.NewSectionReader(r.Streams[1].At, 0, r.Streams[1].Size)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got error %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if _, err := Open(bytes.NewReader(b[:1000]), int64(len(b))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got error %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// TestMemory writes 1 GiB: all memory that this takes, freed or not, is little.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := Write(io.Discard, root, []Stream{zeros("a", 1<<30)}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("writing 1 GiB allocated %d bytes", got)
	}
}

// TestReadAt reads a stream in pieces, which lie in the file in another order, as
// other programs leave them.
func TestReadAt(t *testing.T) {
	want := readAll(t, pattern("a", 5*512-10))
	sectors := []int64{4, 2, 3, 9, 0}
	file := make([]byte, 10*512)
	c := &content{r: bytes.NewReader(file)}
	for i, n := range sectors {
		copy(file[n*512:(n+1)*512], want[i*512:])
		c.grow(n*512, 512)
	}
	c.size = int64(len(want))
	if len(c.runs) != 4 {
		t.Errorf("%d runs, want 4: sectors 2 and 3 follow one another", len(c.runs))
	}
	if err := iotest.TestReader(io.NewSectionReader(c, 0, c.size), want); err != nil {
		t.Error(err)
	}
	if _, err := c.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("reading before the beginning is no error")
	}
}

func TestSortForImprint(t *testing.T) {
	streams := []Stream{{Name: []uint16{0x0161}}, {Name: []uint16{0x0062, 1}}, {Name: []uint16{0x0062}}, {Name: []uint16{0x4840, 0x3800}}, {Name: []uint16{0x0060, 0xff}}}
	SortForImprint(streams)
	var got [][]uint16
	for _, s := range streams {
		got = append(got, s.Name)
	}
	want := [][]uint16{{0x4840, 0x3800}, {0x60, 0xff}, {0x0161}, {0x62}, {0x62, 1}}
	if d := cmp.Diff(got, want); d != "" {
		t.Error(d)
	}
}
