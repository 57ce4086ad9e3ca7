package payload

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/vpkg/vpkg/packaging"
)

// A content is a Body in memory that counts how often it is opened.
type content struct {
	b     []byte
	opens int
}

func (c *content) Open() (io.ReadCloser, error) {
	c.opens++
	return io.NopCloser(bytes.NewReader(c.b)), nil
}

// someBytes are n bytes that compress to about half, the same for the same seed.
func someBytes(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // test data
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32()) & 0x1f & byte(i>>8)
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

// someSteps are headers, small and large bodies; the second result is all bytes.
func someSteps() ([]step, []byte) {
	var (
		steps []step
		all   []byte
	)
	for i, n := range []int{0, 1, 100, 5000, ownFrames - 1, ownFrames, 3 << 20, 9 << 20, 200_000, 17 << 20, 300_000} {
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
	steps, all := someSteps()
	for _, c := range codecs {
		t.Run(fmt.Sprint(c.Compression), func(t *testing.T) {
			s := tempStore(t)
			e := encode(t, s, c.Compression, 2, 1000, steps)
			if e.PlainSize != int64(len(all)) {
				t.Errorf("PlainSize is %d, want %d", e.PlainSize, len(all))
			}
			if want := packaging.Digest(sha256.Sum256(all)); e.PlainSHA256 != want {
				t.Errorf("PlainSHA256 is %s, want %s", e.PlainSHA256, want)
			}
			b := written(t, e)
			r, err := NewReader(c.Codec, bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, all) {
				t.Error("what was read back differs from what was written")
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if c.check == nil {
				return
			}
			if _, err := exec.LookPath(c.check[0]); err != nil {
				t.Skipf("%s is not installed", c.check[0])
			}
			file := t.TempDir() + "/payload." + map[string]string{"zstd": "zst", "gzip": "gz", "xz": "xz"}[c.Codec]
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(c.check[0], append(c.check[1:], file)...).CombinedOutput(); err != nil { //nolint:gosec // commands of the table
				t.Errorf("%v: %v\n%s", c.check, err, out)
			}
		})
	}
}
