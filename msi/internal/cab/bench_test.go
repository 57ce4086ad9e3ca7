package cab

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// programs are Files of Go's own programs.
func programs(b *testing.B) (files []File, size int64) {
	paths, err := filepath.Glob(filepath.Join(runtime.GOROOT(), "bin", "*")) //nolint:staticcheck // the tests run where the programs are
	if err != nil || len(paths) == 0 {
		b.Skipf("no programs in GOROOT/bin, %v", err)
	}
	for _, p := range paths {
		content, err := os.ReadFile(p)
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, file(filepath.Base(p), content))
		size += int64(len(content))
	}
	return files, size
}

// counted is an io.WriteSeeker that counts.
type counted struct{ at, size int64 }

func (c *counted) Write(p []byte) (int, error) {
	c.at += int64(len(p))
	c.size = max(c.size, c.at)
	return len(p), nil
}

func (c *counted) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekCurrent {
		offset += c.at
	}
	c.at = offset
	return offset, nil
}

// BenchmarkWrite also reports how small the programs become.
func BenchmarkWrite(b *testing.B) {
	files, size := programs(b)
	for level := 1; level <= 9; level++ {
		b.Run(fmt.Sprint("level=", level), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			var w counted
			for b.Loop() {
				w = counted{}
				if _, err := Write(b.Context(), files, func(int) (io.WriteSeeker, error) { return &w, nil }, Options{Level: level}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(100*float64(w.size)/float64(size), "%size")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	files, size := programs(b)
	cabinet := write(b, files, Options{})[0]
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := read(b.Context(), cabinet, true); err != nil {
			b.Fatal(err)
		}
	}
}
