// Package packagingtest checks that a packaging.Format keeps its promises. A
// format's own tests call it in one line:
//
//	func TestFormat(t *testing.T) { packagingtest.TestFormat(t, deb.Format{}, "amd64") }
package packagingtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// TestFormat runs the conformance test. Arch is an architecture in the format's
// own spelling. The test changes the time zone, the umask and GOMAXPROCS while
// it runs, so it must not run in parallel with others.
func TestFormat(t *testing.T, f packaging.Format, arch string) {
	t.Helper()
	c := conformance{f, arch}
	t.Run("round trip", c.roundTrip)
	t.Run("headers", c.headers)
	t.Run("same bytes", c.sameBytes)
	t.Run("truncated", c.truncated)
	t.Run("flipped", c.flipped)
	t.Run("no package", c.noPackage)
	t.Run("file name", c.fileName)
	t.Run("validation", c.validation)
	t.Run("failing writer", c.failingWriter)
	t.Run("cancelled", c.cancelled)
	t.Run("changed body", c.changedBody)
}

type conformance struct {
	f    packaging.Format
	arch string
}

func (c conformance) write(t *testing.T, p *packaging.Package) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := c.f.Write(t.Context(), &b, p); err != nil {
		t.Fatalf("writing %s: %v", p.Name, err)
	}
	return b.Bytes()
}

func (c conformance) read(b []byte, d packaging.Depth) (*packaging.Package, error) {
	return c.f.Read(context.Background(), bytes.NewReader(b), int64(len(b)), d)
}

func (c conformance) roundTrip(t *testing.T) {
	for _, p := range []*packaging.Package{Small(c.f.Name(), c.arch, 100), Rich(c.f.Name(), c.arch)} {
		before := *p
		b := c.write(t, p)
		if !reflect.DeepEqual(before, *p) {
			t.Errorf("%s: Write changed the package", p.Name)
		}
		for _, d := range []packaging.Depth{packaging.Headers, packaging.Payload} {
			got, err := c.read(b, d)
			if err != nil {
				t.Fatalf("%s: reading at depth %d: %v", p.Name, d, err)
			}
			for _, diff := range Compare(c.f.Name(), p, got) {
				t.Errorf("%s, read at depth %d: %s", p.Name, d, diff)
			}
			if d == packaging.Payload && len(got.Layout) == 0 {
				t.Errorf("%s: no layout at depth Payload", p.Name)
			}
		}
	}
}

// headers reads a package at depth Headers, and lists its signatures: of one of any
// size little is read.
func (c conformance) headers(t *testing.T) {
	b := c.write(t, Small(c.f.Name(), c.arch, 2_000_000))
	const most = 500_000 // bytes
	r := &countingAt{r: bytes.NewReader(b)}
	if _, err := c.f.Read(t.Context(), r, int64(len(b)), packaging.Headers); err != nil || r.n > most {
		t.Errorf("%d of %d bytes are read, want at most %d: %v", r.n, len(b), most, err)
	}
	if l, ok := c.f.(packaging.SignatureLister); ok {
		r.n = 0
		if _, err := l.ListSignatures(r, int64(len(b))); err != nil || r.n > most {
			t.Errorf("for signatures %d of %d bytes are read, want at most %d: %v", r.n, len(b), most, err)
		}
	}
}

// A countingAt counts the bytes that are read.
type countingAt struct {
	r io.ReaderAt
	n int64
}

func (r *countingAt) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.r.ReadAt(p, at)
	r.n += int64(n)
	return n, err
}

func (c conformance) sameBytes(t *testing.T) {
	p := Rich(c.f.Name(), c.arch)
	want := c.write(t, p)
	zone, procs := time.Local, runtime.GOMAXPROCS(0)
	mask := umask(0o077)
	defer func() {
		time.Local = zone
		runtime.GOMAXPROCS(procs)
		umask(mask)
	}()
	time.Local = time.FixedZone("test", -5*3600)
	for _, n := range []int{1, 3} {
		runtime.GOMAXPROCS(n)
		if got := c.write(t, p); !bytes.Equal(got, want) {
			t.Errorf("with GOMAXPROCS=%d: %s", n, firstDifference(got, want))
		}
	}
}

func firstDifference(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("byte %d of %d is %#x, want %#x of %d", i, len(got), got[i], want[i], len(want))
		}
	}
	return fmt.Sprintf("%d bytes, want %d", len(got), len(want))
}

func (c conformance) truncated(t *testing.T) {
	b := c.write(t, Small(c.f.Name(), c.arch, 100))
	for n := range b {
		if _, err := c.read(b[:n], packaging.Payload); err == nil {
			t.Errorf("the first %d of %d bytes are read without an error", n, len(b))
		}
		_, _ = c.read(b[:n], packaging.Headers) // must not panic; the payload may be what is missing
	}
	if _, err := c.f.Read(t.Context(), bytes.NewReader(b[:len(b)-1]), int64(len(b)), packaging.Payload); err == nil {
		t.Error("a file that ends before its size is read without an error")
	}
}

// flipped changes single bits in the second half of a package that is nearly all
// payload. Reading it must fail, or give what was written: a compressed stream
// has bits that mean nothing.
func (c conformance) flipped(t *testing.T) {
	p := Small(c.f.Name(), c.arch, 100_000)
	b := c.write(t, p)
	for i := len(b) / 2; i < len(b); i += 997 {
		bad := bytes.Clone(b)
		bad[i] ^= 1 << (i % 8)
		got, err := c.read(bad, packaging.Payload)
		if err != nil {
			continue
		}
		if diffs := Compare(c.f.Name(), p, got); len(diffs) > 0 {
			t.Errorf("bit %d of byte %d flipped: no error, and %s", i%8, i, diffs[0])
		}
	}
}

func (c conformance) noPackage(t *testing.T) {
	for _, b := range [][]byte{nil, {0}, []byte("hello\n"), make([]byte, 10_000), Noise(9, 10_000)} {
		for _, d := range []packaging.Depth{packaging.Headers, packaging.Payload} {
			if _, err := c.read(b, d); err == nil {
				t.Errorf("%d bytes of something else are read without an error at depth %d", len(b), d)
			}
		}
	}
}

func (c conformance) fileName(t *testing.T) {
	p := Rich(c.f.Name(), c.arch)
	want := map[string]string{
		"rpm": "conformance-1.2.3~rc1-4.el8." + c.arch + ".rpm",
		"deb": "conformance_1.2.3~rc1-4.el8_" + c.arch + ".deb",
	}[c.f.Name()]
	got := c.f.FileName(p)
	if want != "" && got != want {
		t.Errorf("file name is %q, want %q", got, want)
	}
	if !strings.HasSuffix(got, "."+c.f.Name()) {
		t.Errorf("file name %q does not end in .%s", got, c.f.Name())
	}
	p.FileName = "own-name." + c.f.Name()
	if got := c.f.FileName(p); got != p.FileName {
		t.Errorf("file name is %q, want the package's own %q", got, p.FileName)
	}
}

func (c conformance) validation(t *testing.T) {
	p := Small(c.f.Name(), c.arch, 10)
	p.Name, p.Version, p.Summary = "no name", "no version", "two\nlines"
	p.Layout = append(p.Layout, File("relative", 0o644, nil), Symlink("/usr/share/small/link", ""))
	var b bytes.Buffer
	_, err := c.f.Write(t.Context(), &b, p)
	if err == nil {
		t.Fatal("an invalid package was written")
	}
	for _, want := range []string{`"no name"`, `"no version"`, `two\nlines`, `"relative"`, "/usr/share/small/link"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %s: %v", want, err)
		}
	}
	if b.Len() > 0 {
		t.Errorf("%d bytes were written before the package was refused", b.Len())
	}
}

var errFull = errors.New("no space left on device")

// fullWriter fails after left bytes.
type fullWriter struct{ left int }

func (w *fullWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (c conformance) failingWriter(t *testing.T) {
	p := Small(c.f.Name(), c.arch, 100_000)
	size := len(c.write(t, p))
	for _, n := range []int{0, 1, 100, 2000, size / 2, size - 1} {
		if _, err := c.f.Write(t.Context(), &fullWriter{n}, p); !errors.Is(err, errFull) {
			t.Errorf("after %d bytes: error is %v, want %v", n, err, errFull)
		}
	}
}

func (c conformance) cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.f.Write(ctx, io.Discard, Rich(c.f.Name(), c.arch)); !errors.Is(err, context.Canceled) {
		t.Errorf("writing: error is %v, want %v", err, context.Canceled)
	}
	b := c.write(t, Rich(c.f.Name(), c.arch))
	if _, err := c.f.Read(ctx, bytes.NewReader(b), int64(len(b)), packaging.Payload); !errors.Is(err, context.Canceled) {
		t.Errorf("reading: error is %v, want %v", err, context.Canceled)
	}
}

type brokenBody struct{}

func (brokenBody) Open() (io.ReadCloser, error) { return nil, errFull }

// changedBody gives bodies that are not what their entries say, small ones and
// ones that make frames of their own.
func (c conformance) changedBody(t *testing.T) {
	for _, size := range []int{1000, 1_000_000} {
		right := Noise(1, size)
		other := bytes.Clone(right)
		other[size/2] ^= 1
		for name, body := range map[string]packaging.Body{
			"shorter": Bytes(right[:size-1]),
			"longer":  Bytes(append(bytes.Clone(right), 0)),
			"empty":   Bytes(nil),
			"other":   Bytes(other),
			"broken":  brokenBody{},
		} {
			p := Small(c.f.Name(), c.arch, size)
			p.Layout[1].Body = body
			_, err := c.f.Write(t.Context(), io.Discard, p)
			if err == nil {
				t.Errorf("%s body of %d bytes: no error", name, size)
			} else if !strings.Contains(err.Error(), p.Layout[1].Path) {
				t.Errorf("%s body of %d bytes: error does not name the file: %v", name, size, err)
			}
		}
	}
}
