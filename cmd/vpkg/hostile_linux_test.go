package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/resident"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

// zeros is a body of so many zeros.
type zeros int64

func (z zeros) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(zeroReader{}, int64(z))), nil
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// zeroSum is the SHA-256 sum of 512 MiB of zeros: head -c 512M /dev/zero | sha256sum.
const (
	bombSize = 512 << 20 // bytes
	zeroSum  = "9acca8e8c22201155389f65abbf6bc9723edc7384ead80503839f49dcc56d767"
)

// bombRPM is a package of a few thousand bytes with a file of 512 MiB.
func bombRPM(t *testing.T) []byte {
	t.Helper()
	sum, err := packaging.ParseDigest(zeroSum)
	if err != nil {
		t.Fatal(err)
	}
	p := &packaging.Package{
		Name: "bomb", Version: "1", Release: "1", Arch: "x86_64", Summary: "zeros", Description: "zeros", License: "MIT", Date: time.Unix(1e9, 0),
		Layout: packaging.Layout{{Path: "/zeros", Mode: 0o644, Size: bombSize, SHA256: sum, Body: zeros(bombSize)}},
	}
	var b bytes.Buffer
	if _, err := (rpm.Format{}).Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// manyFiles is a package of so many files.
func manyFiles(t *testing.T, f packaging.Format, arch string, files int) []byte {
	t.Helper()
	p := packagingtest.Small(f.Name(), arch, 1)
	folder := p.Layout[0].Path
	p.Layout = p.Layout[:1]
	for i := range files {
		p.Layout = append(p.Layout, packagingtest.File(fmt.Sprintf("%s/a file with a name of some length, number %06d", folder, i), 0o644, nil))
	}
	var b bytes.Buffer
	if _, err := f.Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// largeTexts is a package with a description of 32 MiB.
func largeTexts(t *testing.T) []byte {
	t.Helper()
	p := packagingtest.Small("rpm", "x86_64", 1)
	p.Description = strings.Repeat("0123456789abcde\n", 2<<20)
	var b bytes.Buffer
	if _, err := (rpm.Format{}).Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tarOf is a tar archive, compressed, of files with so many zeros.
func tarOf(t *testing.T, files map[string]int64, control string) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	put := func(name string, size int64, r io.Reader) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, r, size); err != nil {
			t.Fatal(err)
		}
	}
	if control != "" {
		put("control", int64(len(control)), strings.NewReader(control))
	}
	for name, size := range files {
		put(name, size, zeroReader{})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func bombDEB(t *testing.T, control string, members, files map[string]int64) []byte {
	t.Helper()
	b := []byte("!<arch>\n")
	for _, m := range []struct {
		name    string
		content []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.zst", tarOf(t, members, control)}, {"data.tar.zst", tarOf(t, files, "")}} {
		b = fmt.Appendf(b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", m.name, 1, 0, 0, 0o100644, len(m.content))
		b = append(b, m.content...)
		b = append(b, "\n"[:len(m.content)%2]...)
	}
	return b
}

// A bomb is a package that unpacks to much.
type bomb struct {
	name string
	make func(t *testing.T) []byte
	want string // in the error
}

const smallControl = "Package: a\nVersion: 1\nArchitecture: all\n"

// blob is a DEB with members of the control archive that are so large.
func blob(control string, members map[string]int64) func(t *testing.T) []byte {
	return func(t *testing.T) []byte { return bombDEB(t, smallControl+control, members, nil) }
}

var bombs = []bomb{
	{"zeros.rpm", bombRPM, ""},
	{"files.rpm", func(t *testing.T) []byte { return manyFiles(t, rpm.Format{}, "x86_64", 50_000) }, ""},
	{"texts.rpm", largeTexts, "tag 1005: 33554433 bytes, with what was read before more than 25165824"},
	{"zeros.deb", func(t *testing.T) []byte {
		return bombDEB(t, smallControl, nil, map[string]int64{"zeros": bombSize})
	}, ""},
	{"files.deb", func(t *testing.T) []byte { return manyFiles(t, deb.Format{}, "amd64", 50_000) }, ""},
	{"member.deb", blob("", map[string]int64{"blob": 15 << 20}), ""},
	{"members.deb", blob("", map[string]int64{"blob": 15 << 20, "blob2": 15 << 20}), "more than 16777216 bytes"},
	{"sums.deb", blob("", map[string]int64{"md5sums": 31 << 20}), "md5sums, line 1: bufio: buffer full"},
	{"fields.deb", blob(strings.Repeat("a: b\n", 1<<18), nil), "control has"},
	{"lines.deb", blob("Description: x\n"+strings.Repeat(" y\n", 1<<18), nil), ""},
	{"relations.deb", blob("Depends: "+strings.Repeat("a,", 65_000)+"\n", nil), ""},
	{"relations2.deb", blob("Depends: "+strings.Repeat("a,", 1<<18)+"\n", nil), "more than 65536 relations"},
}

// TestBombs reads small packages that unpack to much. Memory stays below 64 MB.
func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("1 GB is made and read")
	}
	const most = 64e6 // bytes
	dir := t.TempDir()
	vpkg := filepath.Join(dir, "vpkg") // without the race detector, which wants memory of its own
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", vpkg, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	meter := resident.NewMeter(t)
	for _, tt := range bombs {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(dir, tt.name)
			if err := os.WriteFile(name, tt.make(t), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"inspect", name}, {"inspect", "--scripts", name}, {"cat", name, "/zeros"}} {
				var errs bytes.Buffer
				used, err := meter.Run(t.Context(), nil, &errs, vpkg, args...)
				t.Logf("%s: %.1f MB", args[0], float64(used)/1e6)
				if used == 0 || used > most {
					t.Errorf("%s: %d bytes were resident, want at most %d", args[0], used, int64(most))
				}
				if args[0] == "cat" && !strings.HasPrefix(tt.name, "zeros") {
					continue // there is no such file
				}
				if tt.want == "" && err != nil || tt.want != "" && !strings.Contains(errs.String(), tt.want) {
					t.Errorf("%v: %v %s, want %q", args, err, errs.String(), tt.want)
				}
			}
		})
	}
}
