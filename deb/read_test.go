package deb

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/deb/internal/ar"
	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

const minimalControl = "Package: a\nVersion: 1\nArchitecture: all\n"

// A foreign package is put together from parts that Write would not write.
type foreign struct {
	controlName, dataName string // default control.tar and data.tar
	control, data         []tar.Header
	content               map[string]string // by name; control has a default
	before, after         []string          // names of members around the two
}

func (f foreign) bytes(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := ar.NewWriter(&b)
	add := func(name string, content []byte) {
		if err := w.Next(ar.Header{Name: name, ModTime: time.Unix(1, 0), Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if f.control == nil {
		f.control = []tar.Header{{Name: "control"}}
	}
	add("debian-binary", []byte("2.0\n"))
	for _, name := range f.before {
		add(name, []byte("x"))
	}
	add(orDefault(f.controlName, "control.tar"), pack(t, orDefault(f.controlName, "control.tar"), f.tar(t, f.control)))
	add(orDefault(f.dataName, "data.tar"), pack(t, orDefault(f.dataName, "data.tar"), f.tar(t, f.data)))
	for _, name := range f.after {
		add(name, []byte("x"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (f foreign) tar(t testing.TB, hs []tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range hs {
		content, ok := f.content[h.Name]
		if !ok && h.Name == "control" {
			content = minimalControl
		}
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pack compresses b as the name of a member says, with the usual programs.
func pack(t testing.TB, name string, b []byte) []byte {
	t.Helper()
	commands := map[string][]string{
		".gz": {"gzip"}, ".gz9n": {"gzip", "-9n"}, ".xz": {"xz"}, ".zst": {"zstd", "-q"}, ".bz2": {"bzip2"}, ".lzma": {"xz", "--format=lzma"},
	}
	c, ok := commands[filepath.Ext(name)]
	if !ok {
		return b
	}
	oracle.Need(t, c[0])
	cmd := exec.Command(c[0], append(c[1:], "-c")...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func manyFields() string {
	var b strings.Builder
	for i := range maxFields {
		fmt.Fprintf(&b, "X%d: 1\n", i)
	}
	return b.String()
}

func read(b []byte) (*packaging.Package, error) {
	return Format{}.Read(context.Background(), bytes.NewReader(b), int64(len(b)), packaging.Payload)
}

// TestReadForeign reads what other tools have written over the years.
func TestReadForeign(t *testing.T) {
	file := []tar.Header{{Name: "usr/x"}}
	for _, tt := range []struct {
		name string
		f    foreign
		want []string // paths
	}{
		{"no compression", foreign{data: file}, []string{"/usr/x"}},
		{"gzip", foreign{controlName: "control.tar.gz", dataName: "data.tar.gz", data: file}, []string{"/usr/x"}},
		{"xz", foreign{controlName: "control.tar.xz", dataName: "data.tar.xz", data: file}, []string{"/usr/x"}},
		{"zstd", foreign{controlName: "control.tar.zst", dataName: "data.tar.zst", data: file}, []string{"/usr/x"}},
		{"bzip2", foreign{dataName: "data.tar.bz2", data: file}, []string{"/usr/x"}},
		{"lzma", foreign{dataName: "data.tar.lzma", data: file}, []string{"/usr/x"}},
		{"empty", foreign{}, nil},
		{"private and trailing members", foreign{before: []string{"_gpgorigin"}, after: []string{"_gpg", "other"}, data: file}, []string{"/usr/x"}},
		{"absolute names", foreign{data: []tar.Header{{Name: "/usr/x"}}}, []string{"/usr/x"}},
		{"names with ./", foreign{data: []tar.Header{{Name: "./", Typeflag: tar.TypeDir}, {Name: ".//usr//x"}}}, []string{"/usr/x"}},
		{"folders twice", foreign{data: []tar.Header{{Name: "usr/", Typeflag: tar.TypeDir, Mode: 0o700}, {Name: "./usr/", Typeflag: tar.TypeDir}}}, []string{"/usr"}},
		{"not sorted", foreign{data: []tar.Header{{Name: "b"}, {Name: "a"}}}, []string{"/a", "/b"}},
		{"devices", foreign{data: []tar.Header{
			{Name: "b", Typeflag: tar.TypeBlock}, {Name: "c", Typeflag: tar.TypeChar}, {Name: "f", Typeflag: tar.TypeFifo},
		}}, []string{"/b", "/c", "/f"}},
		{"conffile to be removed", foreign{
			control: []tar.Header{{Name: "control"}, {Name: "conffiles"}},
			content: map[string]string{"conffiles": "remove-on-upgrade /etc/old\n\n"},
		}, nil},
		{"comments in triggers", foreign{
			control: []tar.Header{{Name: "./", Typeflag: tar.TypeDir}, {Name: "./triggers"}, {Name: "control"}},
			content: map[string]string{"./triggers": "# comment\n\ninterest /a # b\n"},
		}, nil},
		{"md5sums with a mode", foreign{
			control: []tar.Header{{Name: "control"}, {Name: "md5sums"}}, data: file,
			content: map[string]string{"md5sums": "d41d8cd98f00b204e9800998ecf8427e *./usr/x\n"},
		}, []string{"/usr/x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := read(tt.f.bytes(t))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range p.Layout {
				got = append(got, e.Path)
			}
			if !slices.Equal(got, tt.want) || p.Name != "a" || p.Version != "1" {
				t.Errorf("read %s %s with %q, want a 1 with %q", p.Name, p.Version, got, tt.want)
			}
		})
	}
}

// TestReadErrors reads what is wrong.
func TestReadErrors(t *testing.T) {
	data := func(hs ...tar.Header) foreign { return foreign{data: hs} }
	controlWith := func(name, content string) foreign {
		return foreign{control: []tar.Header{{Name: "control"}, {Name: name}}, content: map[string]string{name: content}}
	}
	many := make([]tar.Header, maxControlEntries+1)
	for i := range many {
		many[i] = tar.Header{Name: "./", Typeflag: tar.TypeDir}
	}
	for _, tt := range []struct {
		name string
		f    foreign
		want string
	}{
		{"unknown compression", foreign{dataName: "data.tar.lz4"}, `"data.tar.lz4"`},
		{"other member first", foreign{before: []string{"other"}}, `member is "other"`},
		{"second data", foreign{after: []string{"_gpgorigin", "data.tar.gz"}}, "member data.tar.gz stands after data.tar: "},
		{"second control", foreign{after: []string{"control.tar"}}, "member control.tar stands after data.tar: "},
		{"no control", foreign{control: []tar.Header{{Name: "md5sums"}}}, "no member control"},
		{"control twice", foreign{control: []tar.Header{{Name: "control"}, {Name: "./control"}}}, "there twice"},
		{"control in a folder", foreign{control: []tar.Header{{Name: "a/control"}}}, "not a file at its top"},
		{"control is a link", foreign{control: []tar.Header{{Name: "control", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}}, "not a file at its top"},
		{"many members", foreign{control: many}, "more than 1000 entries"},
		{"large member", foreign{control: []tar.Header{{Name: "control"}, {Name: "x"}}, content: map[string]string{"x": strings.Repeat("x", maxControl)}}, "more than 16777216 bytes"},
		{"large control", foreign{content: map[string]string{"control": minimalControl + strings.Repeat(" x\n", 400_000)}}, "control has 1200040 bytes, want at most 1048576"},
		{"many fields", foreign{content: map[string]string{"control": minimalControl + manyFields()}}, "more than 1000 fields"},
		{"bad control", controlWith("control", "nonsense"), "there twice"},
		{"control without fields", foreign{content: map[string]string{"control": ""}}, "no field Package"},
		{"bad sum", controlWith("md5sums", "xyz  a\n"), "md5sums, line 1"},
		{"bad digits", controlWith("md5sums", strings.Repeat("x", 32)+"  a\n"), "md5sums, line 1"},
		{"sum outside", controlWith("md5sums", strings.Repeat("0", 32)+"  ../a\n"), "leaves the root"},
		{"sum of nothing", controlWith("md5sums", "\n"+strings.Repeat("0", 32)+"  a\n"), "md5sums names /a"},
		{"conffile", controlWith("conffiles", "etc/a\n"), "not an absolute path"},
		{"conffile of nothing", controlWith("conffiles", "/etc/a\n"), "conffiles names /etc/a"},
		{"trigger", controlWith("triggers", "interest\n"), "triggers, line 1"},
		{"file twice", data(tar.Header{Name: "a"}, tar.Header{Name: "./a"}), "/a is in the payload twice"},
		{"folder and file", data(tar.Header{Name: "a/", Typeflag: tar.TypeDir}, tar.Header{Name: "a"}), "/a is in the payload twice"},
		{"leaves the root", data(tar.Header{Name: "a/../../b"}), "leaves the root"},
		{"new line", data(tar.Header{Name: "a\nb"}), "new line"},
		{"link to nothing", data(tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}), `hard link to "b"`},
		{"link out", data(tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "../b"}), "leaves the root"},
		{"PAX", data(tar.Header{Name: "a", PAXRecords: map[string]string{"VPKG.x": "y"}, Format: tar.FormatPAX}), "dpkg does not read"},
		{"conffile is a link", foreign{
			control: []tar.Header{{Name: "control"}, {Name: "conffiles"}}, content: map[string]string{"conffiles": "/a\n"},
			data: []tar.Header{{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}},
		}, "no regular file"},
		{"wrong sum", foreign{
			control: []tar.Header{{Name: "control"}, {Name: "md5sums"}}, content: map[string]string{"md5sums": strings.Repeat("0", 32) + "  a\n", "a": "x"},
			data: []tar.Header{{Name: "a"}},
		}, "/a has the MD5 sum 9dd4e461268c8034f5c8564e155c67a6"},
	} {
		b := tt.f.bytes(t)
		_, err := read(b)
		var fe *FormatError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want a FormatError that says %q", tt.name, err, tt.want)
		} else if fe.Offset < 8 || fe.Offset > int64(len(b)) {
			t.Errorf("%s: offset is %d of %d", tt.name, fe.Offset, len(b))
		}
	}
}

// TestReadTail checks what follows the archives inside of the members.
func TestReadTail(t *testing.T) {
	f := foreign{dataName: "data.tar.gz", data: []tar.Header{{Name: "a"}}}
	plain := f.tar(t, f.data)
	for _, tt := range []struct{ name, tail, want string }{
		{"blocks of zeros", strings.Repeat("\x00", 10240), ""},
		{"something", "something", "follows the end of the tar archive"},
		{"a bomb of zeros", strings.Repeat("\x00", maxTail+1), "follows the end of the tar archive"},
	} {
		var z, b bytes.Buffer
		g := gzip.NewWriter(&z)
		_, err1 := g.Write(append(bytes.Clone(plain), tt.tail...))
		w := ar.NewWriter(&b)
		control := f.tar(t, []tar.Header{{Name: "control"}})
		if err := errors.Join(err1, g.Close()); err != nil {
			t.Fatal(err)
		}
		for _, m := range []struct {
			name    string
			content []byte
		}{{"debian-binary", []byte("2.0\n")}, {"control.tar", control}, {"data.tar.gz", z.Bytes()}} {
			err1 := w.Next(ar.Header{Name: m.name, ModTime: time.Unix(1, 0), Size: int64(len(m.content))})
			_, err2 := w.Write(m.content)
			if err := errors.Join(err1, err2, w.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := read(b.Bytes()); tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error is %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestReadHardLinks checks that of a file with several names the first in order
// has the content, whichever was first in the archive.
func TestReadHardLinks(t *testing.T) {
	f := foreign{content: map[string]string{"c": "content"}, data: []tar.Header{
		{Name: "c", Mode: 0o640, Uname: "games"},
		{Name: "a", Typeflag: tar.TypeLink, Linkname: "c"},
		{Name: "d", Typeflag: tar.TypeLink, Linkname: "./a"},
		{Name: "b"},
	}}
	p, err := read(f.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	first := packagingtest.File("/a", 0o640, []byte("content"))
	first.Owner, first.Body = "games", nil
	want := packaging.Layout{first, packagingtest.File("/b", 0o644, nil), first, first}
	want[2].Path, want[2].HardLink = "/c", "/a"
	want[3].Path, want[3].HardLink = "/d", "/a"
	for _, m := range packaging.Diff(want, p.Layout) {
		t.Error(m)
	}
	if err := packaging.Validate(&packaging.Package{
		Name: "a", Version: "1", Arch: "all", Summary: "a", Date: p.Date, Layout: p.Layout,
	}); err != nil {
		t.Error(err)
	}
}

// TestReadImplicit checks which folders are left out of the layout.
func TestReadImplicit(t *testing.T) {
	dir := func(name string, mode int64) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: mode}
	}
	f := foreign{data: []tar.Header{dir("a", 0o755), dir("b/", 0o755), {Name: "c", Typeflag: tar.TypeDir, Mode: 0o755, Uid: 7}}}
	p, err := read(f.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	want := packaging.Layout{packagingtest.Dir("/b", 0o755), packagingtest.Dir("/c", 0o755)}
	want[1].Owner = "7"
	for _, m := range packaging.Diff(want, p.Layout) {
		t.Error(m)
	}
}

// TestReadDpkgDeb reads what dpkg-deb writes.
func TestReadDpkgDeb(t *testing.T) {
	p := comparablePackage()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	lay(t, root, p.Layout)
	if err := os.Mkdir(filepath.Join(root, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"control": control(p, 1), "conffiles": "/etc/conformance/app.conf\n"} {
		if err := os.WriteFile(filepath.Join(root, "DEBIAN", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"-Zgzip"}, {"-Zzstd"}, {"-Zxz"}, {"-Znone"}, {"-Zzstd", "--no-uniform-compression"}} {
		file := filepath.Join(dir, "x.deb")
		command(t, dir, nil, "dpkg-deb", append(append([]string{"--root-owner-group"}, args...), "-b", root, file)...)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(b)
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		for _, m := range packaging.Diff(p.Layout, got.Layout) {
			if e, _ := got.Layout.Lookup(m.Path); m.Attribute != "extra" || e.Mode != fs.ModeDir|0o755 {
				t.Errorf("%s: %s", args, m)
			}
		}
	}
}

// FuzzRead checks that nothing in a file makes Read panic, that a layout is one,
// and that the control file can be written again.
func FuzzRead(f *testing.F) {
	small := packagingtest.Small("deb", "all", 100)
	for _, codec := range []string{"none", "gzip", "zstd"} {
		small.Compression.Codec = codec
		f.Add(write(f, small))
	}
	f.Add(foreign{
		control: []tar.Header{{Name: "control"}, {Name: "md5sums"}, {Name: "conffiles"}, {Name: "triggers"}, {Name: "postinst"}},
		content: map[string]string{
			"md5sums": "d41d8cd98f00b204e9800998ecf8427e  a\n", "conffiles": "/a\n", "triggers": "interest x\n", "postinst": "#!/bin/sh\n",
		},
		data: []tar.Header{{Name: "a"}, {Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}, {Name: "c", Typeflag: tar.TypeSymlink, Linkname: "x"}},
	}.bytes(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		given := map[string]bool{}
		eachErr := Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(e *packaging.Entry, body io.Reader) error {
			if given[e.Path] || (body != nil) != e.HasBody() || e.HardLink != "" && !given[e.HardLink] {
				t.Errorf("gave %+v with the body %v", e, body)
			}
			given[e.Path] = true
			return nil
		})
		p, err := read(b)
		if (err == nil) != (eachErr == nil) {
			t.Errorf("read with error %v, and file by file with %v", err, eachErr)
		}
		if err != nil {
			return
		}
		if _, err := (Format{}).ListSignatures(bytes.NewReader(b), int64(len(b))); err != nil {
			t.Error(err)
		}
		for i := range p.Layout {
			if e := &p.Layout[i]; !fs.ValidPath(e.Path[1:]) {
				t.Errorf("path %q is not valid", e.Path)
			}
			if i > 0 && p.Layout[i-1].Path >= p.Layout[i].Path {
				t.Errorf("%q does not stand before %q", p.Layout[i-1].Path, p.Layout[i].Path)
			}
		}
		var q packaging.Package
		fields, err := parseParagraph(control(p, installedSize(p)))
		if err == nil {
			err = fill(&q, fields)
		}
		if err != nil || q.EVR() != p.EVR() || q.Name != p.Name || len(q.Fields) != len(p.Fields) {
			t.Errorf("written again it is %s %s (%v), want %s %s", q.Name, q.EVR(), err, p.Name, p.EVR())
		}
	})
}

// TestManySums reads the sums of more files than 16 MiB of md5sums have room for.
func TestManySums(t *testing.T) {
	const files = 200_000
	folder := strings.Repeat("f", 60)
	r, w := io.Pipe()
	go func() {
		b := bufio.NewWriter(w)
		for i := range files {
			fmt.Fprintf(b, "%032x  %s/%d\n", i, folder, files-i)
		}
		fmt.Fprintf(b, "%032x *%s/%d", 1<<40, folder, 7) // again, and without an end
		w.CloseWithError(b.Flush())
	}()
	sums, err := readMD5Sums(r)
	if err != nil || len(sums) != files {
		t.Fatalf("%d sums, %v", len(sums), err)
	}
	for i, want := range map[int]string{1: fmt.Sprintf("%032x", files-1), 7: fmt.Sprintf("%032x", 1<<40)} {
		s := sums.find(fmt.Sprintf("/%s/%d", folder, i))
		if s == nil || hex.EncodeToString(s.sum[:]) != want {
			t.Errorf("file %d: %+v, want the sum %s", i, s, want)
		}
	}
	if s := sums.find("/" + folder); s != nil {
		t.Errorf("its folder: %+v", s)
	}
	if _, err := readMD5Sums(strings.NewReader(strings.Repeat("0", 32) + "  " + strings.Repeat("x", 70_000))); err == nil {
		t.Error("a line of 70,000 bytes is read")
	}
}
