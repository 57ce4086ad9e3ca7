package cab

import (
	"crypto/sha256"
	"flag"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
)

var large = flag.Bool("large", false, "write and read cabinets with files of 2 GiB")

// endless is a File of so many bytes that a reader makes up, which take no room.
func endless(name string, size int64, r func() io.Reader) File {
	return File{Name: name, Size: size, ModTime: testTime, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(r(), size)), nil
	}}
}

// counter reads as numbers of eight bytes, each 64 times.
type counter struct{ n uint64 }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.n >> 9 >> (c.n & 7 * 8))
		c.n++
	}
	return len(p), nil
}

// TestLarge has as much as one cabinet holds, once of what hardly takes room and
// once of what takes all there is, and more. It takes some minutes and 2 GiB of the
// folder for temporary files.
func TestLarge(t *testing.T) {
	if !*large {
		t.Skip("only with -large")
	}
	oracle.Need(t, "cabextract")
	oracle.Need(t, "7z")
	count := func() io.Reader { return new(counter) }
	noise := func() io.Reader { return rand.NewChaCha8([32]byte{1}) }
	files := []File{
		endless("first", 100, count),
		endless("largest", MaxFileSize, count),
		endless("nearly a cabinet", splitSize-5, count),
		endless("full", 5, count),
		endless("one more", 0, count),
		endless("another", 100, count),
		endless("noise", MaxFileSize, noise),
	}
	want := [][2]int{{0, 0}, {1, 1}, {2, 4}, {5, 5}, {6, 6}}
	sums := make([]hash.Hash, len(files))
	for i, f := range files {
		sums[i] = sha256.New()
		files[i].Open = func() (io.ReadCloser, error) {
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			return io.NopCloser(io.TeeReader(r, sums[i])), nil
		}
	}

	dir := t.TempDir()
	var outs []*os.File
	cabinets, err := Write(t.Context(), files, func(int) (io.WriteSeeker, error) {
		f, err := os.CreateTemp(dir, "*.cab")
		outs = append(outs, f)
		return f, err
	}, Options{Level: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(cabinets) != len(want) {
		t.Fatalf("%d cabinets, want %d", len(cabinets), len(want))
	}
	i := 0
	for n, c := range cabinets {
		if c.First != want[n][0] || c.Last != want[n][1] {
			t.Errorf("cabinet %d has files %d to %d, want %v", n, c.First, c.Last, want[n])
		}
		if c.Size >= 1<<31 {
			t.Errorf("cabinet %d has %d bytes, want less than 2 GiB", n, c.Size)
		}
		r, err := Open(outs[n], c.Size)
		if err != nil {
			t.Fatal(err)
		}
		r.Strict = true
		err = r.Each(t.Context(), func(e *Entry, body io.Reader) error {
			h := sha256.New()
			size, err := io.Copy(h, body)
			if f := files[i]; e.Name != f.Name || size != f.Size || string(h.Sum(nil)) != string(sums[i].Sum(nil)) {
				t.Errorf("%q is read as something else", f.Name)
			}
			i++
			return err
		})
		if err != nil {
			t.Errorf("cabinet %d: %v", n, err)
		}
		if err := outs[n].Close(); err != nil {
			t.Fatal(err)
		}
		for _, cmd := range [][]string{{"cabextract", "-t", "-q"}, {"7z", "t"}} {
			out, err := exec.CommandContext(t.Context(), cmd[0], append(cmd[1:], outs[n].Name())...).CombinedOutput()
			if err != nil || strings.Contains(string(out), "WARNING") {
				t.Errorf("%s %s: %v\n%.2000s", cmd[0], filepath.Base(outs[n].Name()), err, out)
			}
		}
	}
}
