package rpm_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

var large = flag.Bool("large", false, "write and read a package with a file of 4 GiB")

// zeros is a Body of so many zeros, which takes no room anywhere.
type zeros int64

func (z zeros) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(zeroReader{}, int64(z))), nil
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// largePackage has a file that 32-bit sizes cannot express, and one of each other
// kind.
func largePackage(t testing.TB) *packaging.Package {
	t.Helper()
	const size = 1<<32 + 1
	sum := sha256.New()
	if _, err := io.CopyN(sum, zeroReader{}, size); err != nil {
		t.Fatal(err)
	}
	p := packagingtest.Small("rpm", "x86_64", 1000)
	p.Name = "large"
	hard := p.Layout[1]
	hard.Path, hard.HardLink, hard.Body = "/usr/share/small/hard", hard.Path, nil
	hard.Path = "/usr/share/small/file.hard"
	p.Layout = append(p.Layout, hard,
		packaging.Entry{Path: "/usr/share/small/large", Mode: 0o644, Size: size, SHA256: packaging.Digest(sum.Sum(nil)), Body: zeros(size)},
		packagingtest.Symlink("/usr/share/small/link", "large"),
		packagingtest.File("/usr/share/small/tail", 0o644, []byte("tail\n")),
		packaging.Entry{Path: "/usr/share/small/zghost", Mode: 0o644, Ghost: true},
	)
	return p
}

// TestLarge takes half a minute, in which it hashes 4 GiB five times. What it
// shows of headers and archives, TestAsRPMBuild shows with a ghost of 5 GiB.
func TestLarge(t *testing.T) {
	if !*large {
		t.Skip("slow: run with -large")
	}
	p := largePackage(t)
	start := time.Now()
	var b bytes.Buffer
	if _, err := (rpm.Format{}).Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes written in %v", b.Len(), time.Since(start))
	start = time.Now()
	got, err := rpm.Format{}.Read(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), packaging.Payload)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("read in %v", time.Since(start))
	for _, d := range packagingtest.Compare("rpm", p, got) {
		t.Error(d)
	}
	name := filepath.Join(t.TempDir(), "large.rpm")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "rpm", "-Kv", name)
	if got := run(t, "rpm", "-qp", "--requires", name); !strings.Contains(got, "rpmlib(LargeFiles) <= 4.12.0-1") {
		t.Errorf("rpm -qp --requires says\n%s", got)
	}
	if got := run(t, "rpm", "-qp", "--qf", "[%{LONGFILESIZES} ]%{LONGSIZE}", name); got != "0 1000 1000 4294967297 5 5 0 4294968307" {
		t.Errorf("rpm says the sizes are %q", got)
	}
}
