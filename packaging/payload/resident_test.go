//go:build unix

package payload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"

	"github.com/vpkg/vpkg/packaging"
)

// A generated body has size bytes that compress to about half, made as they are
// read.
type generated struct{ size int64 }

func (g generated) Open() (io.ReadCloser, error) {
	r := rand.New(rand.NewPCG(uint64(g.size), 0))
	return io.NopCloser(io.LimitReader(readerFunc(func(p []byte) (int, error) {
		n := len(p) &^ 7
		for i := 0; i < n; i += 8 {
			binary.LittleEndian.PutUint64(p[i:], r.Uint64()&0x0f3f000f3f0f0f00)
		}
		clear(p[n:])
		return max(n, min(1, len(p))), nil
	}), g.size)), nil
}

// encodeLarge encodes 20,000 small files and one of size bytes with two jobs,
// reads the payload back, and returns the most memory that was resident, in KiB.
func encodeLarge(size int64) (int64, error) {
	debug.SetGCPercent(20) // as vpkg build has it
	s, err := TempStore()
	if err != nil {
		return 0, err
	}
	defer s.Close()
	w, err := s.NewWriter(context.Background(), zstdDefault, 2)
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	layout := make(packaging.Layout, 20_000)
	for i := range layout {
		e, _ := entry(fmt.Sprintf("/opt/product/%d", i), []byte(strconv.Itoa(i)))
		layout[i] = *e
	}
	g := generated{size}
	h := sha256.New()
	r, err := g.Open()
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(h, r); err != nil {
		return 0, err
	}
	layout = append(layout, packaging.Entry{Path: "/opt/product/large", Size: size, SHA256: packaging.Digest(h.Sum(nil)), Body: g})
	for i := range layout {
		if _, err := w.Write(bytes.Repeat([]byte("h"), 110)); err != nil {
			return 0, err
		}
		if err := w.Body(&layout[i]); err != nil {
			return 0, err
		}
	}
	e, err := w.Close()
	if err != nil {
		return 0, err
	}
	if err := e.hash(); err != nil {
		return 0, err
	}
	var u syscall.Rusage
	err = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Maxrss, err
}

func largeChild(arg string) error {
	size, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return err
	}
	kib, err := encodeLarge(size)
	fmt.Println(kib) //nolint:forbidigo // a child process of the benchmark
	return err
}

// BenchmarkResident encodes 1 GB in a process of its own, and fails when that
// needs more than 72 MB: a build has 96, and more to remember than this.
func BenchmarkResident(b *testing.B) {
	const size, most = int64(1e9), 72e6 // bytes
	for b.Loop() {
		cmd := childCommand(b, "large", strconv.FormatInt(size, 10))
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		kib, err := strconv.ParseInt(string(bytes.TrimSpace(out)), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(kib)*1024/1e6, "resident-MB")
		if kib*1024 > most {
			b.Errorf("%d bytes were resident, want at most %d", kib*1024, int64(most))
		}
	}
	b.SetBytes(size)
}
