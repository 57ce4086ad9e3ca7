package payload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
)

// A content is a Body in memory that counts how often it is opened.
type content struct {
	b     []byte
	opens int
	read  func() // called before each Read of 64 KiB, if not nil
}

func (c *content) Open() (io.ReadCloser, error) {
	c.opens++
	r := bytes.NewReader(c.b)
	if c.read == nil {
		return io.NopCloser(r), nil
	}
	return io.NopCloser(readerFunc(func(p []byte) (int, error) {
		c.read()
		return r.Read(p[:min(len(p), 64<<10)])
	})), nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// someBytes are n bytes that compress to about half, the same for the same seed.
func someBytes(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n, n+8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:i+8], r.Uint64()&0x0f3f000f3f0f0f00)
	}
	return b
}

func entry(path string, b []byte) (*packaging.Entry, *content) {
	c := &content{b: b}
	return &packaging.Entry{Path: path, Mode: 0o644, Size: int64(len(b)), SHA256: sha256.Sum256(b), Body: c}, c
}

// A step is what a test writes: either header bytes or a body.
type step struct {
	header []byte
	body   *packaging.Entry
}

// someSizes are sizes of bodies: none, packed together, with one frame of their
// own and with several.
var someSizes = []int{0, 1, 100, 5000, ownFrames - 1, ownFrames, 9 << 20, 200_000, 300_000}

// makeSteps makes a header and a body of each size; the second result is all the
// bytes.
func makeSteps(sizes ...int) ([]step, []byte) {
	var (
		steps []step
		all   []byte
	)
	for i, n := range sizes {
		h := fmt.Appendf(nil, "header %d of a body of %d bytes\n", i, n)
		b := someBytes(n, uint64(i))
		e, _ := entry(fmt.Sprintf("/f%d", i), b)
		steps = append(steps, step{header: h}, step{body: e})
		all = append(append(all, h...), b...)
	}
	tail := bytes.Repeat([]byte("trailer"), 400)
	return append(steps, step{header: tail}), append(all, tail...)
}

// encode writes the steps, headers in pieces of chunk bytes.
func encode(t testing.TB, s *Store, c packaging.Compression, jobs, chunk int, steps []step) *Encoded {
	t.Helper()
	w, err := s.NewWriter(t.Context(), c, jobs)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, st := range steps {
		if st.body != nil {
			err = w.Body(st.body)
		}
		for h := st.header; len(h) > 0 && err == nil; h = h[min(chunk, len(h)):] {
			_, err = w.Write(h[:min(chunk, len(h))])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func written(t testing.TB, e *Encoded) []byte {
	t.Helper()
	var buf bytes.Buffer
	n, err := e.WriteTo(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if n != e.Size || int64(buf.Len()) != e.Size {
		t.Errorf("WriteTo wrote %d bytes and returned %d, Size is %d", buf.Len(), n, e.Size)
	}
	if got := packaging.Digest(sha256.Sum256(buf.Bytes())); got != e.SHA256 {
		t.Errorf("written bytes have SHA-256 %s, Encoded says %s", got, e.SHA256)
	}
	return buf.Bytes()
}

func tempStore(t testing.TB) *Store {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	s, err := TempStore()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openStore(t testing.TB, dir string, limit int64) *Store {
	t.Helper()
	s, err := OpenStore(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var codecs = []struct {
	packaging.Compression
	check []string // a command that tests a file; its name is appended
}{
	{packaging.Compression{Codec: "zstd"}, []string{"zstd", "-tq"}},
	{packaging.Compression{Codec: "zstd", Level: 1}, []string{"zstd", "-tq"}},
	{packaging.Compression{Codec: "gzip"}, []string{"gzip", "-t"}},
	{packaging.Compression{Codec: "gzip", Level: 1}, []string{"gzip", "-t"}},
	{packaging.Compression{Codec: "xz", Level: 1}, []string{"xz", "-t"}},
	{packaging.Compression{Codec: "none"}, nil},
}

func TestRoundTrip(t *testing.T) {
	for _, c := range codecs {
		t.Run(fmt.Sprint(c.Compression), func(t *testing.T) {
			sizes := someSizes
			if c.Codec == "xz" { // it is slow
				sizes = []int{0, 100, ownFrames, 1, ownFrames + 1, 3000}
			}
			steps, all := makeSteps(sizes...)
			e := encode(t, tempStore(t), c.Compression, 2, 1000, steps)
			if e.PlainSize != int64(len(all)) {
				t.Errorf("PlainSize is %d, want %d", e.PlainSize, len(all))
			}
			if want := packaging.Digest(sha256.Sum256(all)); e.PlainSHA256 != want {
				t.Errorf("PlainSHA256 is %s, want %s", e.PlainSHA256, want)
			}
			b := written(t, e)
			if got := decoded(t, c.Codec, b); !bytes.Equal(got, all) {
				t.Error("what was read back differs from what was written")
			}
			checkWith(t, c.check, map[string]string{"zstd": ".zst", "gzip": ".gz", "xz": ".xz"}[c.Codec], b)
		})
	}
}

func decoded(t testing.TB, codec string, b []byte) []byte {
	t.Helper()
	r, err := NewReader(codec, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return got
}

// checkWith has the format's own tool test b; nil means that there is none.
func checkWith(t testing.TB, command []string, suffix string, b []byte) {
	t.Helper()
	if command == nil {
		return
	}
	oracle.Need(t, command[0])
	file := t.TempDir() + "/payload" + suffix
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(command[0], append(command[1:], file)...).CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", command, err, out)
	}
}

// TestEmpty makes payloads that are nothing, or only small.
func TestEmpty(t *testing.T) {
	for _, c := range codecs {
		for _, n := range []int{0, 1, 255, 256, storedSize, storedSize + 1} {
			e := encode(t, tempStore(t), c.Compression, 1, 100, []step{{header: someBytes(n, 1)}})
			b := written(t, e)
			if got := decoded(t, c.Codec, b); !bytes.Equal(got, someBytes(n, 1)) {
				t.Errorf("%v: %d bytes came back as %d others", c.Compression, n, len(got))
			}
			checkWith(t, c.check, map[string]string{"zstd": ".zst", "gzip": ".gz", "xz": ".xz"}[c.Codec], b)
			if want := 1; e.Frames != want {
				t.Errorf("%v: %d bytes made %d frames, want %d", c.Compression, n, e.Frames, want)
			}
		}
	}
}

// TestSameBytes compresses with other numbers of workers and pieces of headers.
func TestSameBytes(t *testing.T) {
	steps, _ := makeSteps(someSizes...)
	for _, c := range codecs {
		if c.Codec == "xz" {
			steps, _ = makeSteps(0, 100, ownFrames, 1, ownFrames+1, 3000)
		}
		want := encode(t, tempStore(t), c.Compression, 1, 7, steps)
		for _, jobs := range []int{2, 5} {
			got := encode(t, tempStore(t), c.Compression, jobs, 1000*jobs, steps)
			if got.SHA256 != want.SHA256 || got.Size != want.Size || got.Frames != want.Frames || got.Compressed != want.Compressed {
				t.Errorf("%v with %d jobs: got %d bytes, SHA-256 %s, %d frames, %d compressed; want %d, %s, %d, %d", c.Compression, jobs,
					got.Size, got.SHA256, got.Frames, got.Compressed, want.Size, want.SHA256, want.Frames, want.Compressed)
			}
		}
	}
}

func TestUnknownCompression(t *testing.T) {
	s := tempStore(t)
	for _, tt := range []struct {
		c    packaging.Compression
		want string
	}{
		{packaging.Compression{}, `compression "": there are zstd, gzip, xz and none`},
		{packaging.Compression{Codec: "lz4"}, `compression "lz4": there are zstd, gzip, xz and none`},
		{packaging.Compression{Codec: "zstd", Level: 23}, `zstd level 23: there are 1 to 22, and 0 for the default, 7`},
		{packaging.Compression{Codec: "gzip", Level: -1}, `gzip level -1: there are 1 to 9, and 0 for the default, 6`},
		{packaging.Compression{Codec: "xz", Level: 10}, `xz level 10: there are 1 to 9, and 0 for the default, 6`},
		{packaging.Compression{Codec: "none", Level: 1}, `compression "none" has no levels, found 1`},
	} {
		if _, err := s.NewWriter(t.Context(), tt.c, 1); err == nil || err.Error() != tt.want {
			t.Errorf("%v: got error %v, want %q", tt.c, err, tt.want)
		}
	}
	if _, err := NewReader("lz4", nil); err == nil || !strings.Contains(err.Error(), `compression "lz4": there are zstd, gzip`) {
		t.Errorf("NewReader: got error %v", err)
	}
}

// TestLibraryVersions makes sure that a frame's key changes with the library that
// makes it.
func TestLibraryVersions(t *testing.T) {
	b, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{klauspostVersion, ulikunitzVersion} {
		if !regexp.MustCompile(`(?m)^\s*github\.com/` + regexp.QuoteMeta(v) + `\b`).Match(b) {
			t.Errorf("go.mod does not have %s: set the constant to what it has", v)
		}
	}
}

// A wrong body: what the entry says is not what there is.
func TestWrongBody(t *testing.T) {
	for _, n := range []int{1000, 9 << 20} {
		right := someBytes(n, 1)
		other := bytes.Clone(right)
		other[n-1]++
		for name, tt := range map[string]struct {
			b    []byte
			want string
		}{
			"longer":  {append(bytes.Clone(right), 0), fmt.Sprintf("/f changed while it was read: it has more than %d bytes", n)},
			"shorter": {right[:n-1], fmt.Sprintf("/f changed while it was read: it has less than %d bytes", n)},
			"empty":   {nil, fmt.Sprintf("/f changed while it was read: it has less than %d bytes", n)},
			"other":   {other, "/f changed while it was read: its SHA-256 is"},
		} {
			e, c := entry("/f", right)
			c.b = tt.b
			dir := t.TempDir()
			s := openStore(t, dir, 0)
			w, err := s.NewWriter(t.Context(), packaging.Compression{Codec: "zstd"}, 2)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Body(e); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%s: Body returned %v, want %q", name, err, tt.want)
			}
			if _, err := w.Write([]byte{0}); err == nil {
				t.Errorf("%s: Write after it succeeded", name)
			}
			if _, err := w.Close(); err == nil {
				t.Errorf("%s: Close after it succeeded", name)
			}
			w.Abort()
			if files := storeFiles(t, dir); len(files) > 0 {
				t.Errorf("%s: left in the store: %q", name, files)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// storeFiles are the frames, lists and temporary files of a store.
func storeFiles(t testing.TB, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, "v"+layoutVersion), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCancel(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, 0)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	w, err := s.NewWriter(ctx, packaging.Compression{Codec: "zstd"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	e, c := entry("/f", someBytes(20<<20, 1))
	c.read = cancel
	if err := w.Body(e); !errors.Is(err, context.Canceled) {
		t.Errorf("Body returned %v, want %v", err, context.Canceled)
	}
	if _, err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("Close returned %v, want %v", err, context.Canceled)
	}
	if files := storeFiles(t, dir); len(files) > 0 {
		t.Errorf("left in the store: %q", files)
	}
	if _, err := s.NewWriter(ctx, packaging.Compression{Codec: "zstd"}, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("NewWriter returned %v, want %v", err, context.Canceled)
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		size, each int64
		frames     int
	}{
		{ownFrames, ownFrames, 1},
		{ownFrames + 1, ownFrames + 4096, 1},
		{frameSize, frameSize, 1},
		{frameSize + 1, frameSize/2 + 4096, 2},
		{2 * frameSize, frameSize, 2},
		{100 << 20, 6168576, 17},
	} {
		frames, each := cut(tt.size)
		if frames != tt.frames || each != tt.each {
			t.Errorf("cut(%d) gives %d frames of %d, want %d of %d", tt.size, frames, each, tt.frames, tt.each)
		}
	}
}
