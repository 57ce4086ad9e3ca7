package cab

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
)

// rawCab is a cabinet that a test writes by hand.
type rawCab struct {
	flags   uint16
	reserve [3]int // bytes of reserved areas: header, each folder, each frame
	more    []byte // after the reserved area of the header
	folders []rawFolder
	files   []rawFile
	sumAll  bool // checksums have reserved areas in them
}

type rawFolder struct {
	method uint16
	frames []rawFrame
}

type rawFrame struct {
	data  []byte
	plain int
	sum   uint32 // XORed to the right one
	noSum bool   // 0 for it
}

type rawFile struct {
	name         string
	size, offset uint32
	folder       uint16
}

func (c rawCab) bytes() []byte {
	le := binary.LittleEndian
	var b []byte
	b = append(b, "MSCF\x00\x00\x00\x00....\x00\x00\x00\x00....\x00\x00\x00\x00\x03\x01"...)
	b = le.AppendUint16(b, uint16(len(c.folders)))
	b = le.AppendUint16(b, uint16(len(c.files)))
	if c.reserve != [3]int{} {
		c.flags |= flagReserve
	}
	b = le.AppendUint16(b, c.flags)
	b = append(b, 1, 2, 3, 4) // set and number, which do not matter
	if c.flags&flagReserve != 0 {
		b = le.AppendUint16(b, uint16(c.reserve[0]))
		b = append(b, byte(c.reserve[1]), byte(c.reserve[2]))
		b = append(b, bytes.Repeat([]byte{0xaa}, c.reserve[0])...)
	}
	b = append(b, c.more...)
	first := len(b)
	for _, f := range c.folders {
		b = append(b, "...."...)
		b = le.AppendUint16(b, uint16(len(f.frames)))
		b = le.AppendUint16(b, f.method)
		b = append(b, bytes.Repeat([]byte{0xbb}, c.reserve[1])...)
	}
	le.PutUint32(b[16:], uint32(len(b)))
	for _, f := range c.files {
		b = le.AppendUint32(b, f.size)
		b = le.AppendUint32(b, f.offset)
		b = le.AppendUint16(b, f.folder)
		b = append(b, 0x21, 0, 0, 0, 0x20, 0)
		b = append(b, f.name...)
		b = append(b, 0)
	}
	for i, f := range c.folders {
		le.PutUint32(b[first+i*(folderSize+c.reserve[1]):], uint32(len(b)))
		for _, d := range f.frames {
			at := len(b)
			b = append(b, 0, 0, 0, 0)
			b = le.AppendUint16(b, uint16(len(d.data)))
			b = le.AppendUint16(b, uint16(d.plain))
			b = append(b, bytes.Repeat([]byte{0xcc}, c.reserve[2])...)
			head := len(b)
			b = append(b, d.data...)
			if !d.noSum {
				end := at + dataSize
				if c.sumAll {
					end = head
				}
				le.PutUint32(b[at:], checksum(b[at+4:end], checksum(b[head:], 0))^d.sum)
			}
		}
	}
	le.PutUint32(b[8:], uint32(len(b)))
	return b
}

// mszip is content as an MSZIP folder, by our encoder.
func mszip(content []byte) rawFolder {
	f := rawFolder{method: methodMSZIP}
	for _, data := range encode(&encoder{level: levels[6]}, new(plain), content) {
		n := min(len(content), frameSize)
		f.frames = append(f.frames, rawFrame{data: append([]byte("CK"), data...), plain: n})
		content = content[n:]
	}
	return f
}

// stored is plain as a folder without compression, in frames of so many bytes.
func stored(plain []byte, frame int) rawFolder {
	f := rawFolder{method: methodNone}
	for b := range slices.Chunk(plain, frame) {
		f.frames = append(f.frames, rawFrame{data: b, plain: len(b)})
	}
	return f
}

// huffmanOnly is plain, which is less than a frame, as compress/flate compresses it
// without matches: with a tree of one distance, which is incomplete.
func huffmanOnly(t testing.TB, plain []byte) rawFrame {
	out := bytes.NewBufferString("CK")
	w, err := flate.NewWriter(out, flate.HuffmanOnly)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return rawFrame{data: out.Bytes(), plain: len(plain)}
}

// TestReadOthers has what Write does not write.
func TestReadOthers(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 10000)
	files := []rawFile{{"a", 99990, 10, 0}, {"b", 50000, 0, 1}, {"c", 20000, 70000, 1}, {"d", 0, 90000, 1}}
	want := [][]byte{text[10:], text[:50000], text[70000:90000], {}}
	two := []rawFolder{mszip(text), stored(text, frameSize)}
	noSums := stored(text, frameSize)
	for i := range noSums.frames {
		noSums.frames[i].noSum = true
	}
	for _, test := range []struct {
		name  string
		c     rawCab
		want  [][]byte
		tools bool
	}{
		{"two folders", rawCab{folders: two, files: files}, want, true},
		{"reserved areas", rawCab{folders: two, files: files, reserve: [3]int{1000, 20, 0}}, want, true},
		{"reserved areas everywhere", rawCab{folders: two, files: files, reserve: [3]int{1000, 20, 30}}, want, false},
		{"reserved area of the header", rawCab{folders: two, files: files, reserve: [3]int{60000, 0, 0}}, want, true},
		{"checksums of reserved areas", rawCab{folders: two, files: files, reserve: [3]int{0, 0, 5}, sumAll: true}, want, false},
		{"frames of other sizes", rawCab{folders: []rawFolder{stored(text, 30000)}, files: []rawFile{{"a", 100000, 0, 0}}}, [][]byte{text}, false},
		{"most reserved", rawCab{folders: two, files: files, reserve: [3]int{65535, 255, 255}}, want, false},
		{"no checksums", rawCab{folders: []rawFolder{noSums}, files: []rawFile{{"a", 100000, 0, 0}}}, [][]byte{text}, true},
		{"nothing", rawCab{}, nil, false},
		{"no files", rawCab{folders: two}, nil, false},
		{"empty folder", rawCab{folders: []rawFolder{{}, two[0]}, files: []rawFile{{"a", 3, 0, 1}}}, [][]byte{text[:3]}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := test.c.bytes()
			r, got, err := read(t.Context(), b, true)
			if err != nil {
				t.Fatal(err)
			}
			content := map[string][]byte{}
			if len(r.Files) != len(test.want) {
				t.Fatalf("%d files, want %d", len(r.Files), len(test.want))
			}
			for i, want := range test.want {
				if !bytes.Equal(got[i], want) {
					t.Errorf("%q is read as something else", r.Files[i].Name)
				}
				if want := test.c.files[i]; r.Files[i].Name != want.name || r.Files[i].Folder != int(want.folder) || r.Files[i].Offset != int64(want.offset) {
					t.Errorf("%+v, want %+v", r.Files[i], want)
				}
				content[r.Files[i].Name] = want
			}
			if test.tools {
				checkTools(t, b, content)
			}
		})
	}
}

// TestReadPartly leaves files unread, in part or wholly.
func TestReadPartly(t *testing.T) {
	text := noise(200000)
	var files []File
	for i := range 10 {
		files = append(files, file(fmt.Sprint(i), text[i*20000:(i+1)*20000]))
	}
	b := write(t, files, Options{})[0]
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	var kept io.Reader
	err = r.Each(t.Context(), func(e *Entry, body io.Reader) error {
		want := text[i*20000 : (i+1)*20000][:i%3*10000]
		i++
		got := make([]byte, len(want))
		if _, err := io.ReadFull(body, got); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is read as something else", e.Name)
		}
		kept = body
		return nil
	})
	if err != nil || i != 10 {
		t.Errorf("%d files, %v", i, err)
	}
	if n, err := kept.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("a body that is over gives %d bytes, %v", n, err)
	}
	if err := r.Each(t.Context(), func(*Entry, io.Reader) error { return errTest }); !errors.Is(err, errTest) {
		t.Errorf("Each says %v, want what its function said", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Each(ctx, func(*Entry, io.Reader) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Each says %v", err)
	}
}

func TestIncomplete(t *testing.T) {
	plain := bytes.Repeat([]byte("0123456789"), 10000)[:3*frameSize]
	f := mszip(plain)
	for i := 1; i < 3; i++ {
		f.frames[i] = huffmanOnly(t, plain[i*frameSize:][:frameSize])
	}
	files := []rawFile{{"zero", frameSize, 0, 0}, {"first", 10000, frameSize + 1, 0}, {"second", frameSize, 2 * frameSize, 0}}
	b := rawCab{folders: []rawFolder{f}, files: files}.bytes()
	r, got, err := read(t.Context(), b, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if !bytes.Equal(got[i], plain[f.offset:][:f.size]) {
			t.Errorf("%q is read as something else", f.name)
		}
	}
	if want := (Incomplete{Frames: 2, Folder: 0, Frame: 1, File: "first"}); r.Incomplete != want {
		t.Errorf("incomplete trees are %+v, want %+v", r.Incomplete, want)
	}
	_, _, err = read(t.Context(), b, true)
	if want := "folder 0, frame 1: incomplete Huffman tree of distances"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a strict reader says %v, want %s", err, want)
	}
}

func TestReadErrors(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 10000)
	good := func() rawCab {
		return rawCab{
			folders: []rawFolder{mszip(text), stored(text, 30000)},
			files:   []rawFile{{"a", 99990, 10, 0}, {"b", 50000, 0, 1}},
		}
	}
	for _, test := range []struct {
		name   string
		change func(c *rawCab)
		patch  func(b []byte) []byte
		want   string
		is     error
	}{
		{name: "empty", patch: func([]byte) []byte { return nil }, is: io.ErrUnexpectedEOF},
		{name: "signature", patch: func(b []byte) []byte { b[3] = 'f'; return b }, want: `offset 0: signature "MSCf" is not "MSCF"`},
		{name: "version", patch: func(b []byte) []byte { b[25] = 2; return b }, want: "version 2.3 is not 1.3"},
		{name: "size", patch: func(b []byte) []byte { return b[:len(b)-1] }, want: "offset 8: cabinet of"},
		{name: "small size", patch: func(b []byte) []byte { b[8], b[9], b[10] = 40, 0, 0; return b }, is: io.ErrUnexpectedEOF},
		{name: "files in the header", patch: func(b []byte) []byte { b[16] = 40; return b }, want: "files at 40"},
		{name: "files behind all", patch: func(b []byte) []byte { b[18] = 255; return b }, is: io.ErrUnexpectedEOF},
		{name: "too many files", patch: func(b []byte) []byte { b[28], b[29] = 255, 255; return b }, want: "cabinet"},
		{name: "too many folders", patch: func(b []byte) []byte { b[26], b[27] = 255, 255; return b }, want: "cabinet"},
		{name: "too many frames", patch: func(b []byte) []byte { b[40], b[41] = 255, 255; return b }, want: "folder of 65535 frames"},
		{name: "folder elsewhere", patch: func(b []byte) []byte { b[39] = 255; return b }, want: "folder of 4 frames"},
		{name: "folders in common", patch: func(b []byte) []byte { copy(b[44:48], b[36:40]); return b }, want: "folder 1 begins before the end"},
		{name: "previous", change: func(c *rawCab) { c.flags = flagPrev; c.more = []byte("a\x00b\x00") }, is: ErrUnsupported},
		{name: "next", change: func(c *rawCab) { c.flags = flagNext; c.more = []byte("a\x00b\x00") }, is: ErrUnsupported},
		{name: "file from the previous", change: func(c *rawCab) { c.files[0].folder = 0xfffd }, is: ErrUnsupported, want: `"a"`},
		{name: "file to the next", change: func(c *rawCab) { c.files[0].folder = 0xfffe }, is: ErrUnsupported},
		{name: "file to and from", change: func(c *rawCab) { c.files[0].folder = 0xffff }, is: ErrUnsupported},
		{name: "folder of a file", change: func(c *rawCab) { c.files[1].folder = 2 }, want: `file "b" is in folder 2 of 2`},
		{name: "long file", change: func(c *rawCab) { c.files[1].size = 4*frameSize + 1 }, want: `file "b" of 131073 bytes at 0 is more than`},
		{name: "longer file than frames", change: func(c *rawCab) { c.files[1].size = 100001 }, want: "files need more frames"},
		{name: "large offset", change: func(c *rawCab) { c.files[1].offset = 1<<32 - 1 }, want: `is more than`},
		{name: "overlap", change: func(c *rawCab) { c.files[1].folder = 0 }, want: `file "b" is not behind "a"`},
		{name: "order of folders", change: func(c *rawCab) { slices.Reverse(c.files) }, want: `file "a" is not behind "b"`},
		{name: "long name", change: func(c *rawCab) { c.files[1].name = strings.Repeat("x", 256) }, want: "name without an end"},
		{name: "Quantum", change: func(c *rawCab) { c.folders[1].method = methodQuantum | 0x1070 }, is: ErrUnsupported, want: "Quantum"},
		{name: "LZX", change: func(c *rawCab) { c.folders[1].method = methodLZX | 0x1500 }, is: ErrUnsupported, want: "LZX"},
		{name: "other method", change: func(c *rawCab) { c.folders[1].method = 4 }, is: ErrUnsupported, want: "method 4"},
		{name: "checksum", change: func(c *rawCab) { c.folders[0].frames[2].sum = 1 }, want: "folder 0, frame 2: checksum is wrong"},
		{name: "checksum behind all files", change: func(c *rawCab) { c.folders[1].frames[3].sum = 1 }, want: "folder 1, frame 3: checksum is wrong"},
		{name: "no CK", change: func(c *rawCab) { c.folders[0].frames[0].data[1] = 'C' }, want: `do not start with "CK"`},
		{name: "nothing of a frame", change: func(c *rawCab) { c.folders[0].frames[0].data = nil }, want: `do not start with "CK"`},
		{name: "short frame", change: func(c *rawCab) { c.folders[0].frames[1].plain-- }, want: "32767 plain bytes are not 32768"},
		{name: "long frame", change: func(c *rawCab) { c.folders[0].frames[1].plain++ }, want: "32769 plain bytes are not 32768"},
		{name: "long last frame", change: func(c *rawCab) { c.folders[0].frames[3].plain++ }, want: "fewer plain bytes than the frame says"},
		{name: "spanned frame", change: func(c *rawCab) { c.folders[0].frames[3].plain = 0 }, is: ErrUnsupported},
		{name: "much data", change: func(c *rawCab) { c.folders[0].frames[1].data = make([]byte, maxData+1) }, want: "32781 bytes of compressed data are more than 32780"},
		{name: "trailing", change: func(c *rawCab) { f := &c.folders[0].frames[1]; f.data = append(f.data, 0) }, is: errTrailing},
		{name: "stored of another size", change: func(c *rawCab) { c.folders[1].frames[1].plain-- }, want: "29999 bytes are stored as 30000"},
		{name: "bad stream", change: func(c *rawCab) { c.folders[0].frames[0].data[2] = 7 }, is: errBlockType},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := good()
			if test.change != nil {
				test.change(&c)
			}
			b := c.bytes()
			if test.patch != nil {
				b = test.patch(b)
			}
			_, _, err := read(t.Context(), b, true)
			if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// TestDamage reads a cabinet that ends early, or has a bit changed.
func TestDamage(t *testing.T) {
	b := write(t, []File{file("a", programText(t, 35000)), file("b", nil), file("c", noise(1000))}, Options{})[0]
	for n := range b {
		if n > 150 && n%67 != 0 {
			continue
		}
		if _, _, err := read(t.Context(), b[:n], false); err == nil {
			t.Errorf("the first %d bytes are read without an error", n)
		}
	}
	// Fields of the headers may become something else that is right.
	data := headerSize + folderSize + 3*(fileSize+len("a")+1)
	for i := range b {
		if i > 150 && i%37 != 0 {
			continue
		}
		c := slices.Clone(b)
		c[i] ^= 1 << (i % 8)
		if _, _, err := read(t.Context(), c, false); err == nil && i >= data {
			t.Errorf("bit %d of byte %d is changed, and no error", i%8, i)
		}
	}
}

// TestWixl reads a cabinet that gcab made, with zlib.
func TestWixl(t *testing.T) {
	oracle.Need(t, "wixl")
	oracle.Need(t, "msiinfo")
	dir := t.TempDir()
	content := programText(t, 300000)
	const wxs = `<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="*" Name="p" Language="1033" Version="1.0.0" Manufacturer="m" UpgradeCode="12345678-1234-1234-1234-123456789012">
<Package InstallerVersion="500" Compressed="yes"/><Media Id="1" Cabinet="a.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Component Id="c" Guid="*"><File Id="f" Source="program" KeyPath="yes"/></Component></Directory>
<Feature Id="F" Level="1"><ComponentRef Id="c"/></Feature></Product></Wix>`
	for name, b := range map[string][]byte{"x.wxs": []byte(wxs), "program": content} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %q: %v", name, args, err)
		}
		return out
	}
	run("wixl", "-o", "x.msi", "x.wxs")
	r, contents, err := read(t.Context(), run("msiinfo", "extract", "x.msi", "a.cab"), true)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Files) != 1 || r.Files[0].Name != "f" || !bytes.Equal(contents[0], content) {
		t.Errorf("%+v is read as something else", r.Files)
	}
}

// FuzzRead has cabinets that end in no panic, take no more memory than they may,
// and give the same bytes in both modes.
func FuzzRead(f *testing.F) {
	text := []byte("0123456789012345678901234567890123456789")
	f.Add(rawCab{folders: []rawFolder{mszip(text), stored(text, 30)}, files: []rawFile{{"a", 30, 10, 0}, {"b", 35, 0, 1}}}.bytes())
	f.Add(rawCab{folders: []rawFolder{{method: methodMSZIP, frames: []rawFrame{huffmanOnly(f, text)}}}, files: []rawFile{{"a", 30, 10, 0}}, reserve: [3]int{1, 2, 3}}.bytes())
	f.Add(rawCab{}.bytes())
	f.Add(write(f, []File{file("a", programText(f, 500)), file("é", nil)}, Options{})[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, want, lenientErr := read(t.Context(), b, false)
		_, got, err := read(t.Context(), b, true)
		if err != nil {
			return
		}
		if lenientErr != nil || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("a lenient reader reads something else, or says %v", lenientErr)
		}
	})
}
