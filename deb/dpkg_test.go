package deb

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// run gives a program's output and fails the test if the program does.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// build writes p into a new folder.
func build(t *testing.T, p *packaging.Package) string {
	t.Helper()
	a, err := packaging.Build(t.Context(), t.TempDir(), p, Format{})
	if err != nil {
		t.Fatal(err)
	}
	return a.Path
}

// TestDpkgDeb has dpkg-deb list, show and unpack what Write wrote, with every
// codec.
func TestDpkgDeb(t *testing.T) {
	oracle.Need(t, "dpkg-deb")
	for _, codec := range []string{"gzip", "zstd", "xz", "none"} {
		t.Run(codec, func(t *testing.T) {
			p := packagingtest.Rich("deb", "amd64")
			p.Compression.Codec = codec
			if codec == "xz" { // pure Go is slow
				p = packagingtest.Small("deb", "amd64", 100_000)
				p.Compression.Codec = codec
			}
			file := build(t, p)
			if got := run(t, "dpkg-deb", "-f", file, "Version"); got != p.EVR()+"\n" {
				t.Errorf("version is %q, want %q", got, p.EVR())
			}
			root := t.TempDir()
			run(t, "dpkg-deb", "-x", file, root)
			for i := range p.Layout {
				checkUnpacked(t, root, &p.Layout[i])
			}
			list := run(t, "dpkg-deb", "-c", file)
			if strings.Contains(list, " ./opt/\n") || strings.Contains(list, " ./opt\n") {
				t.Error("the package ships /opt itself")
			}
		})
	}
}

// TestDpkgDebWhole compares what dpkg-deb and the compressor's own program make of
// several frames of the frame store: dpkg-deb must not stop after the first one,
// as it does for zstd frames.
func TestDpkgDebWhole(t *testing.T) {
	oracle.Need(t, "dpkg-deb")
	oracle.Need(t, "ar")
	for codec, member := range map[string]string{"gzip": "data.tar.gz", "zstd": "data.tar.zst"} {
		t.Run(codec, func(t *testing.T) {
			oracle.Need(t, codec)
			p := packagingtest.Rich("deb", "amd64")
			p.Compression.Codec = codec
			file := build(t, p)
			got := run(t, "dpkg-deb", "--fsys-tarfile", file)
			want := run(t, "sh", "-c", `ar p "$1" "$2" | "$3" -dc`, "sh", file, member, codec)
			if got != want || len(got) < 16<<20 {
				t.Errorf("dpkg-deb gives a tar of %d bytes, %s one of %d; want the same, and more than 16 MiB", len(got), codec, len(want))
			}
		})
	}
}

// checkUnpacked compares a file on disk, unpacked by a user who may not be root,
// with its entry.
func checkUnpacked(t *testing.T, root string, e *packaging.Entry) {
	t.Helper()
	name := filepath.Join(root, e.Path)
	fi, err := os.Lstat(name)
	if err != nil {
		t.Error(err)
		return
	}
	if fi.Mode() != e.Mode && (fi.Mode().Type() != os.ModeSymlink || e.Target == "") {
		t.Errorf("%s: mode is %v, want %v", e.Path, fi.Mode(), e.Mode)
	}
	switch {
	case e.Target != "":
		if got, err := os.Readlink(name); err != nil || got != e.Target {
			t.Errorf("%s: target is %q (%v), want %q", e.Path, got, err, e.Target)
		}
	case e.HardLink != "":
		first, err := os.Stat(filepath.Join(root, e.HardLink))
		if err != nil || !os.SameFile(first, fi) {
			t.Errorf("%s is another file than %s (%v)", e.Path, e.HardLink, err)
		}
	case e.Regular():
		want, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			return
		}
		r, err := e.Body.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got := make([]byte, len(want)+1)
		n, _ := r.Read(got)
		if e.Size != int64(len(want)) || !bytes.HasPrefix(want, got[:n]) {
			t.Errorf("%s: content differs", e.Path)
		}
	}
}
