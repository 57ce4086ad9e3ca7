package cab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/oracle"
)

// buffer is an io.WriteSeeker in memory.
type buffer struct {
	b  []byte
	at int64
}

func (b *buffer) Write(p []byte) (int, error) {
	if grow := int(b.at) + len(p) - len(b.b); grow > 0 {
		b.b = append(b.b, make([]byte, grow)...)
	}
	b.at += int64(copy(b.b[b.at:], p))
	return len(p), nil
}

func (b *buffer) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += int64(len(b.b))
	}
	b.at = offset
	return offset, nil
}

var testTime = time.Date(2024, 2, 29, 13, 14, 16, 0, time.UTC)

// file is a File that holds content.
func file(name string, content []byte) File {
	return File{
		Name:       name,
		Size:       int64(len(content)),
		ModTime:    testTime,
		Attributes: Archive,
		Open:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

// write writes files to cabinets in memory.
func write(t testing.TB, files []File, o Options) [][]byte {
	t.Helper()
	var buffers []*buffer
	cabinets, err := Write(t.Context(), files, func(n int) (io.WriteSeeker, error) {
		if n != len(buffers) {
			t.Errorf("cabinet %d was asked for after %d", n, len(buffers))
		}
		buffers = append(buffers, new(buffer))
		return buffers[n], nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(cabinets) != len(buffers) {
		t.Fatalf("Write said it wrote %d cabinets, and wrote %d", len(cabinets), len(buffers))
	}
	var b [][]byte
	next := 0
	for i, c := range cabinets {
		if got := int64(len(buffers[i].b)); got != c.Size || buffers[i].at != c.Size {
			t.Errorf("cabinet %d has %d bytes and was left at %d, and Write said %d", i, got, buffers[i].at, c.Size)
		}
		if c.First != next || c.Last < c.First {
			t.Errorf("cabinet %d has files %d to %d, want them from %d", i, c.First, c.Last, next)
		}
		next = c.Last + 1
		b = append(b, buffers[i].b)
	}
	if next != len(files) {
		t.Errorf("cabinets have %d files, want %d", next, len(files))
	}
	return b
}

// read reads all of a cabinet's files.
func read(ctx context.Context, b []byte, strict bool) (*Reader, [][]byte, error) {
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, nil, err
	}
	r.Strict = strict
	var contents [][]byte
	err = r.Each(ctx, func(_ *Entry, body io.Reader) error {
		c, err := io.ReadAll(body)
		contents = append(contents, c)
		return err
	})
	return r, contents, err
}

// programText is bytes of a compiled program.
func programText(t testing.TB, n int) []byte {
	t.Helper()
	f, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := io.ReadFull(f, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// skewed is bytes whose frequencies are the Fibonacci numbers, which makes the
// deepest of all Huffman trees.
func skewed(n int) []byte {
	var b []byte
	for c, f, g := 0, 1, 1; len(b)+f <= n && c < 256; c, f, g = c+1, g, f+g {
		b = append(b, bytes.Repeat([]byte{byte(c)}, f)...)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
	return b
}

// payloads are contents that have gone wrong in one writer or another.
func payloads(t testing.TB) map[string][]byte {
	p := map[string][]byte{
		"empty":           nil,
		"one byte":        {7},
		"two bytes":       {7, 7},
		"hello":           []byte("hello, world\n"),
		"noise":           noise(100000),
		"noise then zero": append(noise(40000), make([]byte, 100000)...),
		"repeats":         bytes.Repeat(noise(20000), 5),
		"far repeats":     bytes.Repeat(noise(32768), 4),
		"too far repeats": bytes.Repeat(noise(32769), 4),
		"text":            bytes.Repeat([]byte("the quick brown fox "), 10000),
		"one distance":    append(append(noise(1000), noise(3)...), make([]byte, 10)...),
		"skewed":          skewed(100000),
		"program":         programText(t, 300000),
	}
	for _, n := range []int{32767, 32768, 32769, 65535, 65536, 65537} {
		p[fmt.Sprintf("%d zeros", n)] = make([]byte, n)
		p[fmt.Sprintf("%d of noise", n)] = noise(n)
		p[fmt.Sprintf("%d of a program", n)] = programText(t, n)
	}
	for _, n := range []int{runFrames*frameSize - 1, runFrames * frameSize, runFrames*frameSize + 1} {
		p[fmt.Sprintf("%d of a program", n)] = programText(t, n)
	}
	// One byte of noise in many equal ones: all matches have the same distance.
	one := make([]byte, 100000)
	for i := range one {
		if i%700 == 0 {
			one[i] = byte(i / 700)
		}
	}
	p["distance 1"] = one
	return p
}

// checkTools has cabextract and 7z read a cabinet, and compares what cabextract
// extracts.
func checkTools(t *testing.T, cabinet []byte, files map[string][]byte) {
	t.Helper()
	oracle.Need(t, "cabextract")
	oracle.Need(t, "7z")
	dir := t.TempDir()
	name := filepath.Join(dir, "x.cab")
	if err := os.WriteFile(name, cabinet, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range [][]string{{"cabextract", "-t", "-q", name}, {"7z", "t", name}, {"cabextract", "-q", "-d", filepath.Join(dir, "out"), name}} {
		if out, err := exec.CommandContext(t.Context(), cmd[0], cmd[1:]...).CombinedOutput(); err != nil || strings.Contains(string(out), "WARNING") {
			t.Errorf("%q: %v\n%.2000s", cmd, err, out)
		}
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, "out", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("cabextract gives %d bytes as %q, want %d, and says %v", len(got), name, len(want), err)
		}
	}
}

// TestRoundTrip writes all payloads into one cabinet, at every level. Every tree
// that is written is complete, or the strict reader would refuse it.
func TestRoundTrip(t *testing.T) {
	all := payloads(t)
	var names []string
	var files []File
	for name, content := range all {
		names = append(names, name)
		files = append(files, file(name, content))
	}
	for level := 1; level <= 9; level++ {
		t.Run(fmt.Sprint("level ", level), func(t *testing.T) {
			b := write(t, files, Options{Level: level})[0]
			r, contents, err := read(t.Context(), b, true)
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range names {
				e := r.Files[i]
				if e.Name != name || e.Size != int64(len(all[name])) || !e.ModTime.Equal(testTime) || e.Attributes != Archive {
					t.Errorf("%q is read as %+v", name, e)
				}
				if !bytes.Equal(contents[i], all[name]) {
					t.Errorf("%q is read as something else", name)
				}
			}
			if level == 1 || level == DefaultLevel || level == 9 {
				checkTools(t, b, all)
			}
		})
	}
}

// TestAlone writes each payload into a cabinet of its own.
func TestAlone(t *testing.T) {
	for name, content := range payloads(t) {
		t.Run(name, func(t *testing.T) {
			b := write(t, []File{file("x", content)}, Options{})[0]
			_, contents, err := read(t.Context(), b, true)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(contents[0], content) {
				t.Error("content is read as something else")
			}
			checkTools(t, b, map[string][]byte{"x": content})
		})
	}
}

func TestSameBytes(t *testing.T) {
	var files []File
	for i := range 3 {
		files = append(files, file(fmt.Sprint(i), programText(t, 1<<20+i*12345)))
	}
	want := sha256.Sum256(write(t, files, Options{Jobs: 1})[0])
	for _, jobs := range []int{0, 2, 3, 7} {
		if got := sha256.Sum256(write(t, files, Options{Jobs: jobs})[0]); got != want {
			t.Errorf("%d jobs give %x, want what one gives, %x", jobs, got, want)
		}
	}
}

// TestLayout has the bytes of a small cabinet.
func TestLayout(t *testing.T) {
	b := write(t, []File{file("a", []byte{1}), file("é", nil)}, Options{})[0]
	const want = "" +
		"4d534346 00000000 61000000 00000000" + // signature, 97 bytes
		"2c000000 00000000 0301 0100 0200" + // files at 44, version, 1 folder, 2 files
		"0000 0000 0000" + // flags, set, number
		"51000000 0100 0100" + // data at 81, 1 frame, MSZIP
		"01000000 00000000 0000 5d58 c869 2000 6100" + // a: 1 byte at 0, 2024-02-29 13:14:16
		"00000000 01000000 0000 5d58 c869 a000 c3a900" + // é: 0 bytes at 1, UTF-8
		"" // and a CFDATA, which is the encoder's affair
	got := fmt.Sprintf("%x", b[:81])
	if want := strings.ReplaceAll(want, " ", ""); got != want {
		t.Errorf("headers are\n%s, want\n%s", got, want)
	}
}

func TestNoFiles(t *testing.T) {
	if b := write(t, nil, Options{}); len(b) != 0 {
		t.Errorf("no files give %d cabinets, want none", len(b))
	}
}

// TestManyFiles has more files than one cabinet holds.
func TestManyFiles(t *testing.T) {
	var files []File
	for i := range maxFiles + 10 {
		files = append(files, file(fmt.Sprintf("f%05d", i), []byte(fmt.Sprint(i))))
	}
	cabinets := write(t, files, Options{})
	if len(cabinets) != 2 {
		t.Fatalf("%d files give %d cabinets, want 2", len(files), len(cabinets))
	}
	i := 0
	for _, b := range cabinets {
		r, contents, err := read(t.Context(), b, true)
		if err != nil {
			t.Fatal(err)
		}
		for j, c := range contents {
			if want := fmt.Sprint(i); string(c) != want || r.Files[j].Name != files[i].Name {
				t.Fatalf("file %d is %q with %q, want %q with %q", i, r.Files[j].Name, c, files[i].Name, want)
			}
			i++
		}
	}
	if i != len(files) {
		t.Errorf("%d files are read, want %d", i, len(files))
	}
	oracle.Need(t, "7z")
	name := filepath.Join(t.TempDir(), "x.cab")
	if err := os.WriteFile(name, cabinets[0], 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "7z", "t", name).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Files: 65535") {
		t.Errorf("7z t: %v\n%.2000s", err, out)
	}
}

// TestFill has the places where a cabinet ends.
func TestFill(t *testing.T) {
	sized := func(sizes ...int64) (files []File) {
		for _, s := range sizes {
			files = append(files, File{Size: s})
		}
		return files
	}
	for _, test := range []struct {
		name  string
		files []File
		want  int
		plain int64
	}{
		{"one", sized(1), 1, 1},
		{"just full", sized(splitSize-1, 1, 0, 1), 3, splitSize},
		{"large one alone", sized(MaxFileSize, 0, 1), 1, MaxFileSize},
		{"large one second", sized(1, MaxFileSize), 1, 1},
		{"as many as can be", make([]File, maxFiles), maxFiles, 0},
		{"one more", make([]File, maxFiles+1), maxFiles, 0},
	} {
		if n, plain := fill(test.files); n != test.want || plain != test.plain {
			t.Errorf("%s: %d files of %d bytes, want %d of %d", test.name, n, plain, test.want, test.plain)
		}
	}
	// The largest file that is taken gives a cabinet below 2 GiB even if every frame is
	// stored.
	const frame = dataSize + 2 + 5 + frameSize
	if size := int64(headerSize) + folderSize + fileSize + maxName + 1 + MaxFileSize/frameSize*frame; size >= 1<<31 {
		t.Errorf("the largest cabinet has %d bytes, want less than 2 GiB", size)
	}
}

var errTest = errors.New("test")

type failing struct{ n int64 }

func (f *failing) Read(p []byte) (int, error) {
	if f.n <= 0 {
		return 0, errTest
	}
	n := min(int64(len(p)), f.n)
	f.n -= n
	return int(n), nil
}

func (f *failing) Close() error { return nil }

type badClose struct{ io.Reader }

func (badClose) Close() error { return errTest }

// fullDisk takes n bytes.
type fullDisk struct {
	buffer
	n int
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.n -= len(p); d.n < 0 {
		return 0, errTest
	}
	return d.buffer.Write(p)
}

func TestWriteErrors(t *testing.T) {
	with := func(f File, open func() (io.ReadCloser, error)) File {
		f.Open = open
		return f
	}
	small := file("small", []byte("123"))
	big := file("big", make([]byte, 5<<20))
	toMemory := func(int) (io.WriteSeeker, error) { return new(buffer), nil }
	for _, test := range []struct {
		name   string
		files  []File
		create func(int) (io.WriteSeeker, error)
		o      Options
		is     error
		want   string
	}{
		{name: "level", files: []File{small}, o: Options{Level: 10}, want: `compression level 10 is not one of 1 to 9`},
		{name: "too large", files: []File{small, {Name: "huge", Size: MaxFileSize + 1}}, want: `a cabinet cannot hold "huge" of 2146500609 bytes: the most is 2146500608`},
		{name: "negative", files: []File{{Name: "huge", Size: -1}}, want: `"huge" of -1 bytes`},
		{name: "no name", files: []File{file("", nil)}, want: `named ""`},
		{name: "long name", files: []File{file(strings.Repeat("n", 256), nil)}, want: `named "nnn`},
		{name: "NUL", files: []File{file("a\x00b", nil)}, want: `named "a\x00b"`},
		{name: "not UTF-8", files: []File{file("\xff", nil)}, want: `named "\xff"`},
		{name: "short", files: []File{small, with(small, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("12")), nil })}, want: `reading "small": it has 2 bytes and was said to have 3`},
		{name: "long", files: []File{with(small, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("1234")), nil }), small}, want: `reading "small": it has more than the 3 bytes`},
		{name: "open", files: []File{big, with(small, func() (io.ReadCloser, error) { return nil, errTest })}, is: errTest, want: `reading "small": test`},
		{name: "read", files: []File{big, with(big, func() (io.ReadCloser, error) { return &failing{4 << 20}, nil })}, is: errTest, want: `reading "big": test`},
		{name: "read at the end", files: []File{with(big, func() (io.ReadCloser, error) { return &failing{5 << 20}, nil })}, is: errTest, want: `reading "big": test`},
		{name: "close", files: []File{with(small, func() (io.ReadCloser, error) { return badClose{strings.NewReader("123")}, nil }), big}, is: errTest, want: `reading "small": test`},
		{name: "create", files: []File{small}, create: func(int) (io.WriteSeeker, error) { return nil, errTest }, is: errTest, want: "test"},
		{name: "header", files: []File{small}, create: func(int) (io.WriteSeeker, error) { return &fullDisk{n: 10}, nil }, is: errTest, want: "test"},
		{name: "data", files: []File{file("noise", noise(5<<20))}, create: func(int) (io.WriteSeeker, error) { return &fullDisk{n: 1 << 20}, nil }, is: errTest, want: "test"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.create == nil {
				test.create = toMemory
			}
			for _, test.o.Jobs = range []int{1, 4} {
				_, err := Write(t.Context(), test.files, test.create, test.o)
				if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("Write says %v, want %s", err, test.want)
				}
			}
		})
	}
}

// TestCancel ends a Write of endless files, and of one whose reader waits.
func TestCancel(t *testing.T) {
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		f := File{Name: "x", Size: 1 << 30, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(&countdown{i, cancel}), nil
		}}
		_, err := Write(ctx, []File{f}, func(int) (io.WriteSeeker, error) { return new(buffer), nil }, Options{Jobs: i % 4})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled Write says %v", err)
		}
	}
}

// countdown reads as zeros, and cancels after n reads.
type countdown struct {
	n      int
	cancel func()
}

func (c *countdown) Read(p []byte) (int, error) {
	if c.n--; c.n < 0 {
		c.cancel()
	}
	clear(p)
	return len(p), nil
}

func TestDOSTime(t *testing.T) {
	for _, test := range []struct{ t, want time.Time }{
		{testTime, testTime},
		{testTime.Add(1999 * time.Millisecond), testTime},
		{testTime.In(time.FixedZone("", 3600)), testTime},
		{time.Time{}, time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)},
		{time.Unix(0, 0), time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)},
		{time.Date(2107, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)},
		{time.Date(2108, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)},
	} {
		if got := fromDOS(dosTime(test.t)); !got.Equal(test.want) {
			t.Errorf("%v becomes %v, want %v", test.t, got, test.want)
		}
	}
}

func TestChecksum(t *testing.T) {
	for _, test := range []struct {
		b    string
		want uint32
	}{
		{"", 0},
		{"\x01", 1},
		{"\x01\x02", 0x0102},
		{"\x01\x02\x03", 0x010203},
		{"\x01\x02\x03\x04", 0x04030201},
		{"\x01\x02\x03\x04\x05\x06\x07\x08\x10", 0x0c040404 ^ 0x10},
		{"\x01\x02\x03\x04\x05\x06\x07\x08\x10\x20\x30\x40\x50\x60", 0x0c040404 ^ 0x40302010 ^ 0x5060},
	} {
		if got := checksum([]byte(test.b), 0); got != test.want {
			t.Errorf("checksum of %x is %#x, want %#x", test.b, got, test.want)
		}
	}
}
