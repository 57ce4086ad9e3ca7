package payload

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
)

// tarOf makes a tar of headers; the content of a file is its Size times "x".
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, endless('x'), h.Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// zipOf makes a zip of empty files with the given names; a mode other than 0
// makes an entry of that type with the content "target".
func zipOf(t testing.TB, mode fs.FileMode, names ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, n := range names {
		h := &zip.FileHeader{Name: n, Method: zip.Deflate}
		if mode != 0 {
			h.SetMode(mode)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if mode != 0 {
			if _, err := io.WriteString(f, "../target"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func archiveFile(t testing.TB, name string, b []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func reg(name string, size int64) tar.Header { return tar.Header{Name: name, Size: size} }

func link(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
}

func hard(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}
}

func dir(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }

func TestHostileArchives(t *testing.T) {
	tests := []struct {
		name    string
		archive []byte
		options ArchiveOptions
		want    string
	}{
		{"absolute path", tarOf(t, reg("/etc/passwd", 1)), ArchiveOptions{}, `entry "/etc/passwd": path is absolute`},
		{"parent", tarOf(t, reg("../x", 1)), ArchiveOptions{}, `entry "../x": path has the element ".."`},
		{"parent inside", tarOf(t, reg("a/../x", 1)), ArchiveOptions{}, `entry "a/../x": path has the element ".."`},
		{"not UTF-8", tarOf(t, tar.Header{Name: "a\xff", Format: tar.FormatGNU}), ArchiveOptions{}, `entry "a\xff": path is not UTF-8`},
		{"new line", tarOf(t, reg("a\nb", 1)), ArchiveOptions{}, `entry "a\nb": path has a NUL byte or a new line`},
		{"long path", tarOf(t, reg(strings.Repeat("a/", 2048)+"b", 1)), ArchiveOptions{}, `path has more than 4096 bytes`},
		{"device", tarOf(t, tar.Header{Name: "dev/sda", Typeflag: tar.TypeBlock}), ArchiveOptions{}, `entry "dev/sda": type '4' is neither file, folder nor link`},
		{"fifo", tarOf(t, tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}), ArchiveOptions{}, `entry "pipe": type '6' is neither`},
		{"top folder is a file", tarOf(t, reg(".", 1)), ArchiveOptions{}, `entry ".": has the name of the top folder`},
		{"duplicate", tarOf(t, reg("a", 1), reg("a", 2)), ArchiveOptions{}, `entry "a": the archive has "a" already`},
		{"duplicate when clean", tarOf(t, reg("a/b", 1), reg("./a//b", 2)), ArchiveOptions{}, `entry "./a//b": the archive has "a/b" already`},
		{"file and folder", tarOf(t, reg("a", 1), dir("a/")), ArchiveOptions{}, `entry "a/": the archive has "a" already`},
		{"below a file", tarOf(t, reg("a", 1), reg("a/b/c", 1)), ArchiveOptions{}, `entry "a/b/c": lies below "a", which is no folder`},
		{"below a link", tarOf(t, dir("d"), link("a", "d"), reg("a/b", 1)), ArchiveOptions{}, `entry "a/b": lies below "a", which is no folder`},
		{"file above others", tarOf(t, reg("a/b", 1), reg("a", 1)), ArchiveOptions{}, `entry "a": is no folder, but the archive has entries below it`},
		{"absolute link", tarOf(t, link("a", "/etc/passwd")), ArchiveOptions{}, `entry "a": link to the absolute path "/etc/passwd" leads out of the archive`},
		{"link out", tarOf(t, link("a/b", "../../x")), ArchiveOptions{}, `entry "a/b": link to "../../x" leads out of the archive`},
		{
			"link out through another", tarOf(t, dir("top"), link("x/y/z/in", "../../../top"), link("x/y/z/out", "in/../../secret")),
			ArchiveOptions{},
			`entry "x/y/z/out": link to "in/../../secret" leads out of the archive`,
		},
		{"links in a circle", tarOf(t, link("a", "b"), link("b", "a")), ArchiveOptions{}, `entry "a": link to "b" leads through too many other links`},
		{"hard link out", tarOf(t, hard("a", "../../etc/passwd")), ArchiveOptions{}, `entry "a": hard link to "../../etc/passwd": path has the element ".."`},
		{"absolute hard link", tarOf(t, hard("a", "/etc/passwd")), ArchiveOptions{}, `entry "a": hard link to "/etc/passwd": path is absolute`},
		{"hard link to nothing", tarOf(t, hard("a", "b"), reg("b", 1)), ArchiveOptions{}, `entry "a": hard link to "b", which is no earlier file`},
		{"hard link to a link", tarOf(t, link("l", "f"), hard("a", "l")), ArchiveOptions{}, `entry "a": hard link to "l", which is no earlier file`},
		{"hard link to a folder", tarOf(t, dir("d"), hard("a", "d")), ArchiveOptions{}, `entry "a": hard link to "d", which is no earlier file`},
		{"many entries", tarOf(t, reg("a", 1), reg("b", 1), reg("c", 1)), ArchiveOptions{Entries: 2}, `entry "c": the archive has more than 2 entries`},
		{"many bytes", tarOf(t, reg("a", 600), reg("b", 600)), ArchiveOptions{Bytes: 1000}, `entry "b": the files of the archive have more than 1000 bytes together`},
		{"zip with an absolute path", zipOf(t, 0, "/a"), ArchiveOptions{}, `entry "/a": path is absolute`},
		{"zip with a parent", zipOf(t, 0, "../a"), ArchiveOptions{}, `entry "../a": path has the element ".."`},
		{"zip with a backslash", zipOf(t, 0, `..\a`), ArchiveOptions{}, `entry "..\\a": has a \`},
		{"zip with duplicates", zipOf(t, 0, "a", "./a"), ArchiveOptions{}, `entry "./a": the archive has "a" already`},
		{"zip with a link out", zipOf(t, fs.ModeSymlink|0o777, "a"), ArchiveOptions{}, `entry "a": link to "../target" leads out of the archive`},
		{"zip with a device", zipOf(t, fs.ModeDevice|0o600, "a"), ArchiveOptions{}, `entry "a": is neither file, folder nor link`},
		{"no archive", []byte("hello"), ArchiveOptions{}, `is no archive: there are tar`},
		{"empty", nil, ArchiveOptions{}, `is no archive: there are tar`},
		{"truncated", tarOf(t, reg("a", 10000))[:5000], ArchiveOptions{}, `entry "a": unexpected EOF`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spool := t.TempDir()
			tt.options.Spool = spool
			name := archiveFile(t, "payload", tt.archive)
			tree, err := ReadArchive(t.Context(), name, tt.options)
			if err == nil {
				tree.Close()
				t.Fatalf("ReadArchive accepted it, want an error with %q", tt.want)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "reading "+name+": ") {
				t.Errorf("got error %q\nwant %q after the file's name", err, tt.want)
			}
			if left, err := os.ReadDir(spool); err != nil || len(left) > 0 {
				t.Errorf("left in the spool folder: %v, %v", left, err)
			}
		})
	}
}

// TestBomb has zeros: 1,000 bytes of them in a byte of the archive.
func TestBomb(t *testing.T) {
	e, err := gzipCodec(1).newEncoder()
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	var member bytes.Buffer // of gzip, which can be many in a row
	if err := e.encode(&member, zeros); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		size int64
		want string
	}{
		{160 << 20, ""}, // within what any archive may have
		{300 << 20, `entry "zeros": the files of the archive have more than 268435456 bytes together`},
	} {
		var header, buf bytes.Buffer
		if err := tar.NewWriter(&header).WriteHeader(&tar.Header{Name: "zeros", Mode: 0o644, Size: tt.size}); err != nil {
			t.Fatal(err)
		}
		if err := e.encode(&buf, header.Bytes()); err != nil {
			t.Fatal(err)
		}
		for range tt.size / int64(len(zeros)) {
			buf.Write(member.Bytes())
		}
		if err := e.encode(&buf, zeros[:1024]); err != nil { // the end of a tar archive
			t.Fatal(err)
		}
		tree, err := ReadArchive(t.Context(), archiveFile(t, "bomb.tar.gz", buf.Bytes()), ArchiveOptions{Ratio: 50, Spool: t.TempDir()})
		if err == nil {
			err = tree.Close()
		}
		if got := fmt.Sprint(err); (err != nil) != (tt.want != "") || !strings.Contains(got, tt.want) {
			t.Errorf("%d bytes: got error %v, want %q", tt.size, err, tt.want)
		}
	}
}

// dump shows a tree, one line for each file.
func dump(t testing.TB, tree *Tree) string {
	t.Helper()
	var b strings.Builder
	for _, f := range tree.Files {
		fmt.Fprintf(&b, "%v %s", f.Mode, f.Path)
		if f.Owner != "" {
			fmt.Fprintf(&b, " %s:%s", f.Owner, f.Group)
		}
		if f.Target != "" {
			fmt.Fprintf(&b, " -> %s", f.Target)
		}
		if f.HardLink != "" {
			fmt.Fprintf(&b, " = %s", f.HardLink)
		}
		if f.Mode.IsRegular() {
			r, err := f.Body.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if int64(len(content)) != f.Size || packaging.Digest(sha256.Sum256(content)) != f.SHA256 {
				t.Errorf("%s: content has %d bytes, want %d with SHA-256 %s", f.Path, len(content), f.Size, f.SHA256)
			}
			fmt.Fprintf(&b, " %.20q", content)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var day = time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)

func TestReadTar(t *testing.T) {
	b := tarOf(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./bin/agent", Size: 3, Mode: 0o4750, Uname: "root", Gname: "wheel", ModTime: day},
		hard("./bin/a-first", "bin/agent"),
		hard("./bin/z-last", "./bin/a-first"),
		link("./lib/x", "../bin/agent"),
		link("./lib/y", "missing"),
		reg("./empty", 0),
		tar.Header{Name: "./etc/", Typeflag: tar.TypeDir, Mode: 0o700, ModTime: day.AddDate(1, 0, 0)},
		reg(`./unit\x2d.service`, 1),
	)
	const want = `drwxr-xr-x bin
urwxr-x--- bin/a-first root:wheel "xxx"
urwxr-x--- bin/agent root:wheel = bin/a-first "xxx"
urwxr-x--- bin/z-last root:wheel = bin/a-first "xxx"
-rw-r--r-- empty ""
drwx------ etc
drwxr-xr-x lib
Lrwxrwxrwx lib/x -> ../bin/agent
Lrwxrwxrwx lib/y -> missing
-rw-r--r-- unit\x2d.service "x"
`
	for _, c := range []struct{ suffix, command string }{
		{"tar", "cat"},
		{"tar.gz", "gzip -c"},
		{"tar.zst", "zstd -qc"},
		{"tar.xz", "xz -c"},
		{"tar.bz2", "bzip2 -c"},
		{"tar.lz4", "lz4 -qc"},
		{"tar.br", "brotli -c"},
	} {
		t.Run(c.suffix, func(t *testing.T) {
			oracle.Need(t, strings.Fields(c.command)[0])
			cmd := exec.Command("sh", "-c", c.command)
			cmd.Stdin = bytes.NewReader(b)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", c.command, err)
			}
			tree, err := ReadArchive(t.Context(), archiveFile(t, "payload."+c.suffix, out), ArchiveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			if got := dump(t, tree); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if !tree.Newest.Equal(day) {
				t.Errorf("Newest is %v, want %v", tree.Newest, day)
			}
		})
	}
}

func TestReadZip(t *testing.T) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range []struct {
		name, content string
		mode          fs.FileMode
	}{
		{"bin/", "", fs.ModeDir | 0o755},
		{"bin/agent", "agent", 0o750},
		{"lib/link", "../bin/agent", fs.ModeSymlink | 0o777},
	} {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: day}
		h.SetMode(f.mode)
		e, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(e, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tree, err := ReadArchive(t.Context(), archiveFile(t, "payload.zip", buf.Bytes()), ArchiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	const want = `drwxr-xr-x bin
-rwxr-x--- bin/agent "agent"
drwxr-xr-x lib
Lrwxrwxrwx lib/link -> ../bin/agent
`
	if got := dump(t, tree); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzReadArchive(f *testing.F) {
	f.Add(tarOf(f, dir("d/"), reg("d/f", 3), link("l", "d/f"), hard("h", "d/f")))
	f.Add(tarOf(f, link("a/b", "../../x"), reg("../x", 1)))
	f.Add(tarOf(f, reg(strings.Repeat("long/", 60)+"x", 600)))
	f.Add(zipOf(f, 0, "a", "b/c", "b/"))
	f.Add(zipOf(f, fs.ModeSymlink|0o777, "a/b"))
	spool := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(spool, fmt.Sprintf("%x", sha256.Sum256(b)))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(name)
		tree, err := ReadArchive(t.Context(), name, ArchiveOptions{Spool: spool, Entries: 100, Bytes: 1 << 20})
		if err != nil {
			return
		}
		defer tree.Close()
		dirs := map[string]bool{".": true}
		last := ""
		for _, f := range tree.Files {
			if !fs.ValidPath(f.Path) || f.Path <= last {
				t.Errorf("path %q after %q", f.Path, last)
			}
			if last = f.Path; !dirs[path.Dir(f.Path)] {
				t.Errorf("%s: its folder is not there", f.Path)
			}
			dirs[f.Path] = f.Mode.IsDir()
			if to, ok := tree.Lookup(f.HardLink); f.HardLink != "" && (!ok || to.HardLink != "" || to.Path >= f.Path || to.SHA256 != f.SHA256) {
				t.Errorf("%s: hard link to %q", f.Path, f.HardLink)
			}
			if f.Target != "" && !fs.ValidPath(path.Join(path.Dir(f.Path), f.Target)) {
				t.Errorf("%s: link to %q", f.Path, f.Target)
			}
		}
		dump(t, tree)
	})
}

// TestRead7z reads what bsdtar 3.6.2 made with
//
//	bsdtar --format 7zip -cf bsdtar.7z bin empty link
//	bsdtar --format 7zip -cf bsdtar-link.7z bin link # to ../../etc/passwd
func TestRead7z(t *testing.T) {
	tree, err := ReadArchive(t.Context(), "testdata/bsdtar.7z", ArchiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	const want = `drwxr-xr-x bin
-rwxr-x--- bin/agent "agent"
-rw-r--r-- empty ""
Lrwxrwxrwx link -> bin/agent
`
	if got := dump(t, tree); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, err = ReadArchive(t.Context(), "testdata/bsdtar-link.7z", ArchiveOptions{})
	if want := `entry "link": link to "../../etc/passwd" leads out of the archive`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

// rarOf makes a rar (version 5) of files with the given names and the content
// "x"; a name that ends in a slash is a folder.
func rarOf(names ...string) []byte {
	b := []byte("Rar!\x1a\x07\x01\x00")
	block := func(header []byte) {
		header = append(binary.AppendUvarint(nil, uint64(len(header))), header...)
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(header))
		b = append(b, header...)
	}
	block([]byte{1, 0, 0}) // main header
	for _, n := range names {
		content, flags, mode := "x", byte(4), uint64(0o100644)
		if strings.HasSuffix(n, "/") {
			content, flags, mode = "", 5, 0o040755
			n = strings.TrimSuffix(n, "/")
		}
		h := []byte{2, 2, byte(len(content)), flags, byte(len(content))} // file header with data
		h = binary.AppendUvarint(h, mode)
		h = binary.LittleEndian.AppendUint32(h, crc32.ChecksumIEEE([]byte(content)))
		h = append(h, 0, 1, byte(len(n))) // stored, made on Unix
		block(append(h, n...))
		b = append(b, content...)
	}
	block([]byte{5, 0, 0}) // end
	return b
}

func TestReadRar(t *testing.T) {
	tree, err := ReadArchive(t.Context(), archiveFile(t, "payload.rar", rarOf("d/", "d/f", "g")), ArchiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	const want = `drwxr-xr-x d
-rw-r--r-- d/f "x"
-rw-r--r-- g "x"
`
	if got := dump(t, tree); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, err = ReadArchive(t.Context(), archiveFile(t, "payload.rar", rarOf("../f")), ArchiveOptions{})
	if want := `entry "../f": path has the element ".."`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

// TestIdentify names archives after others, and begins a tar like a zlib stream.
func TestIdentify(t *testing.T) {
	for name, b := range map[string][]byte{
		"a.zip":    tarOf(t, reg("x^", 1)), // 78 5e
		"a.tar.gz": zipOf(t, 0, "f"),
		"a.br":     rarOf("f"),
		"a":        tarOf(t, reg("h\xc3\xa9", 1)),
	} {
		tree, err := ReadArchive(t.Context(), archiveFile(t, name, b), ArchiveOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(tree.Files) != 1 {
			t.Errorf("%s: read %d files, want 1", name, len(tree.Files))
		}
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := ReadArchive(t.Context(), archiveFile(t, "notes.gz", gzipped(t, []byte("no tar"))), ArchiveOptions{})
	if want := ".gz file holds no tar archive"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	e, err := gzipCodec(1).newEncoder()
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := e.encode(&buf, b); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
