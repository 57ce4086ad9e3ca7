package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/deb/internal/ar"
	"github.com/vpkg/vpkg/internal/extract"
	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
)

var large = flag.Bool("large", false, "extract a package of 100,000 files")

func extractTo(t *testing.T, dir string, b []byte) (extract.Result, error) {
	t.Helper()
	p, err := read(b)
	if err != nil {
		p = new(packaging.Package)
	}
	return extract.To(dir, func(f func(*packaging.Entry, io.Reader) error) error {
		return Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), f)
	}, extract.Options{Date: p.Date})
}

// TestExtractHostile extracts packages that want to write elsewhere. Nothing may
// change but the folder that is extracted to, and that only where all is well.
func TestExtractHostile(t *testing.T) {
	many := make([]tar.Header, 10_000)
	if *large {
		many = make([]tar.Header, 100_000)
	}
	for i := range many {
		many[i] = tar.Header{Name: fmt.Sprintf("d%d/f%d", i%300, i)}
	}
	long := strings.Repeat("n", 200)
	for _, tt := range []struct {
		name string
		data []tar.Header
		want string // in the error
	}{
		{"absolute", []tar.Header{{Name: "/TOP/outside/new"}}, ""},
		{"dots", []tar.Header{{Name: "../outside/new"}}, "leaves the root"},
		{"dots within", []tar.Header{{Name: "a/../../outside/new"}}, "leaves the root"},
		{"file through a link", []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../outside"}, {Name: "l/new"}}, "symbolic link"},
		{"file through an absolute link", []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "TOP/outside"}, {Name: "l/new"}}, "symbolic link"},
		{"folder through a link", []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "l/outside/", Typeflag: tar.TypeDir, Mode: 0o777}}, "symbolic link"},
		{"link, then file", []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../outside/file"}, {Name: "l"}}, "twice"},
		{"hard link outside", []tar.Header{{Name: "l", Typeflag: tar.TypeLink, Linkname: "../outside/file"}}, "leaves the root"},
		{"hard link to an absolute name", []tar.Header{{Name: "l", Typeflag: tar.TypeLink, Linkname: "TOP/outside/file"}}, "no earlier file"},
		{"hard link to a link", []tar.Header{{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "../outside/file"}, {Name: "l", Typeflag: tar.TypeLink, Linkname: "a"}}, "no earlier file"},
		{"devices", []tar.Header{{Name: "c", Typeflag: tar.TypeChar}, {Name: "b", Typeflag: tar.TypeBlock}, {Name: "p", Typeflag: tar.TypeFifo}}, ""},
		{"long names", []tar.Header{{Name: strings.Repeat(long+"/", 40) + "f", Format: tar.FormatGNU}}, ""},
		{"too long a name", []tar.Header{{Name: strings.Repeat("n", 300), Format: tar.FormatGNU}}, "name too long"},
		{"many", many, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			for i := range tt.data {
				h := &tt.data[i]
				h.Name, h.Linkname = strings.ReplaceAll(h.Name, "TOP", top), strings.ReplaceAll(h.Linkname, "TOP", top)
			}
			outside := filepath.Join(top, "outside")
			if err := os.Mkdir(outside, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(outside, "file"), []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(top, "out")
			r, err := extractTo(t, dir, foreign{data: tt.data}.bytes(t))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
			if _, left := os.Lstat(dir); err != nil && !errors.Is(left, fs.ErrNotExist) {
				t.Errorf("a failed extraction left its folder: %v", left)
			}
			if len(tt.data) == len(many) && r.Files != len(many) {
				t.Errorf("%d files are extracted, want %d", r.Files, len(many))
			}
			fi, err := os.Lstat(outside)
			if err != nil || fi.Mode().Perm() != 0o700 {
				t.Errorf("folder outside is %v, %v", fi.Mode(), err)
			}
			fs, err := os.ReadDir(outside)
			content, _ := os.ReadFile(filepath.Join(outside, "file"))
			if err != nil || len(fs) != 1 || string(content) != "old" {
				t.Errorf("outside there is %v with %q", fs, content)
			}
		})
	}
}

// TestExtractLikeDpkg extracts a package of dpkg-deb's in each compression.
func TestExtractLikeDpkg(t *testing.T) {
	oracle.Need(t, "dpkg-deb")
	root := t.TempDir()
	sh := func(t *testing.T, script string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	sh(t, `mkdir -p r/DEBIAN r/opt/a/b r/opt/empty
		printf 'Package: a\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: x\n' >r/DEBIAN/control
		echo body >r/opt/a/file; ln r/opt/a/file r/opt/a/b/hard; ln -s ../../.. r/opt/a/up; ln -s nowhere r/opt/a/dangling
		head -c 300000 /dev/urandom >r/opt/a/b/random; chmod 0640 r/opt/a/b/random; chmod 0700 r/opt/empty
		touch -d 2020-02-03T04:05:06Z r/opt/a/file r/opt/a/b r/opt/a`)
	sh(t, "dpkg-deb --root-owner-group -Znone -b r x.deb; dpkg-deb --ctrl-tarfile x.deb >control.tar; dpkg-deb --fsys-tarfile x.deb >data.tar")
	parts := map[string][]byte{}
	for _, name := range []string{"control.tar", "data.tar"} {
		var err error
		if parts[name], err = os.ReadFile(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, codec := range []string{"gzip", "xz", "zstd", "none", "bzip2", "lzma"} {
		t.Run(codec, func(t *testing.T) {
			deb := codec + ".deb"
			if codec == "bzip2" || codec == "lzma" { // which dpkg-deb reads still
				var b bytes.Buffer
				w := ar.NewWriter(&b)
				extension := map[string]string{"bzip2": ".bz2", "lzma": ".lzma"}[codec]
				add := func(name string, content []byte) {
					err := w.Next(ar.Header{Name: name, ModTime: time.Unix(1e9, 0), Size: int64(len(content))})
					if err == nil {
						_, err = w.Write(content)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				add("debian-binary", []byte("2.0\n"))
				add("control.tar", parts["control.tar"])
				add("data.tar"+extension, pack(t, "data.tar"+extension, parts["data.tar"]))
				if err := errors.Join(w.Close(), os.WriteFile(filepath.Join(root, deb), b.Bytes(), 0o600)); err != nil {
					t.Fatal(err)
				}
			} else {
				sh(t, "dpkg-deb --root-owner-group -Z"+codec+" -b r "+deb)
			}
			sh(t, "dpkg-deb -x "+deb+" "+codec+".want")
			b, err := os.ReadFile(filepath.Join(root, deb))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := extractTo(t, filepath.Join(root, codec+".got"), b); err != nil {
				t.Fatal(err)
			}
			sh(t, `for d in got want; do (cd `+codec+`.$d; find . -mindepth 1 \( -type l -printf '%M %p %l\n' -o -type d -printf '%M %p\n' -o -printf '%M %n %s %T@ %p\n' \) | sort) >$d.list; done
				test -s got.list; diff want.list got.list; diff -r --no-dereference `+codec+".want "+codec+".got")
		})
	}
}

// TestEach gives files with their content in the payload's order, and an error in
// place of their end where their sum is wrong.
func TestEach(t *testing.T) {
	f := foreign{
		control: []tar.Header{{Name: "control"}, {Name: "md5sums"}},
		data: []tar.Header{
			{Name: "z", ModTime: time.Unix(5, 0)},
			{Name: "a", Typeflag: tar.TypeLink, Linkname: "z"},
			{Name: "d/", Typeflag: tar.TypeDir},
			{Name: "d/", Typeflag: tar.TypeDir},
			{Name: "b"},
		},
		content: map[string]string{"z": "zz", "b": "bb", "md5sums": "00000000000000000000000000000000 b\n"},
	}
	b := f.bytes(t)
	var got []string
	err := Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(e *packaging.Entry, body io.Reader) error {
		text := e.Path + " " + e.HardLink
		if body != nil {
			content, err := io.ReadAll(body)
			text += fmt.Sprintf("%q %v", content, err)
		}
		got = append(got, text)
		return nil
	})
	want := `/z "zz" <nil>; /a /z; /d ; /b "bb" /b has the MD5 sum `
	if s := strings.Join(got, "; "); !strings.HasPrefix(s, want) {
		t.Errorf("gave %s, want %s…", s, want)
	}
	if _, ok := errors.AsType[*FormatError](err); !ok || !strings.Contains(err.Error(), "/b has the MD5 sum") {
		t.Errorf("error is %v, want the wrong sum", err)
	}
	stop := errors.New("stop")
	n := 0
	err = Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(*packaging.Entry, io.Reader) error { n++; return stop })
	if err != stop || n != 1 { //nolint:errorlint // it is to be given as it is
		t.Errorf("error is %v after %d entries, want the first one's own", err, n)
	}
}
