package cfb

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestHostile changes a file where its structure is kept.
func TestHostile(t *testing.T) {
	le := binary.LittleEndian
	streams := []Stream{pattern("a", 100), pattern("bb", 200), pattern("large", 10000)}
	good := write(t, root, streams...)
	// The file has one sector of the FAT, the directory, the mini FAT, and so on.
	const fat, dir, miniFAT = 512, 1024, 1536
	entry := func(b []byte, n int) []byte { return b[dir+n*entrySize:] }
	tests := []struct {
		name   string
		change func(b []byte) []byte
		want   string
	}{
		{"nothing", func([]byte) []byte { return nil }, "less than a header"},
		{"half a header", func(b []byte) []byte { return b[:511] }, "less than a header"},
		{"header alone", func(b []byte) []byte { return b[:512] }, "1 sectors of the FAT in a file of 0"},
		{"magic", func(b []byte) []byte { b[0]++; return b }, "does not begin as one"},
		{"version", func(b []byte) []byte { b[26] = 4; return b }, "version 4 with sectors of 1<<9 bytes"},
		{"sector size", func(b []byte) []byte { b[30] = 63; return b }, "version 3 with sectors of 1<<63 bytes"},
		{"byte order", func(b []byte) []byte { b[28] = 0; return b }, "byte order"},
		{"cutoff", func(b []byte) []byte { b[57] = 0; return b }, "below 0 bytes"},
		{"count of the FAT", func(b []byte) []byte { le.PutUint32(b[44:], 0xffffffff); return b }, "4294967295 sectors of the FAT"},
		{"FAT beyond the end", func(b []byte) []byte { le.PutUint32(b[76:], 1000); return b }, "the FAT: sector 0x3e8"},
		{"FAT twice", func(b []byte) []byte { le.PutUint32(b[44:], 2); le.PutUint32(b[80:], 0); return b }, "the FAT: sector 0 has two uses"},
		{"no DIFAT", func(b []byte) []byte { le.PutUint32(b[44:], 2); return b }, "the DIFAT: sector 0xfffffffe"},
		{"DIFAT is the FAT", func(b []byte) []byte {
			le.PutUint32(b[44:], 2)
			le.PutUint32(b[68:], 0)
			return b
		}, "the DIFAT: sector 0 has two uses"},
		{"DIFAT loops", func(b []byte) []byte {
			// Its one sector has no more numbers, and leads to itself.
			n := uint32(len(b)/512 - 1)
			more := bytes.Repeat([]byte{0xff}, 508)
			b = le.AppendUint32(append(b, more...), n)
			le.PutUint32(b[44:], 2)
			le.PutUint32(b[68:], n)
			return b
		}, "has two uses"},
		{"directory nowhere", func(b []byte) []byte { le.PutUint32(b[48:], 0xffffffff); return b }, "the directory: sector 0xffffffff"},
		{"no directory", func(b []byte) []byte { le.PutUint32(b[48:], endOfChain); return b }, "a directory of 0 entries"},
		{"directory loops", func(b []byte) []byte { le.PutUint32(b[fat+4:], 1); return b }, "the directory: sector 1 has two uses"},
		{"directory is the FAT", func(b []byte) []byte { le.PutUint32(b[48:], 0); return b }, "the directory: sector 0 has two uses"},
		{"root is a stream", func(b []byte) []byte { entry(b, 0)[66] = 2; return b }, "does not begin with the root"},
		{"entry beyond the end", func(b []byte) []byte { le.PutUint32(entry(b, 0)[76:], 100); return b }, "entry 0x64 of 4"},
		{"tree loops", func(b []byte) []byte { le.PutUint32(entry(b, 2)[68:], 2); return b }, "entry 0x2 of 4"},
		{"tree leads to the root", func(b []byte) []byte { le.PutUint32(entry(b, 1)[68:], 0); return b }, "entry 0x0 of 4"},
		{"type", func(b []byte) []byte { entry(b, 1)[66] = 9; return b }, "type 9"},
		{"name too long", func(b []byte) []byte { entry(b, 1)[64] = 66; return b }, "a name of 66 bytes"},
		{"name of half a unit", func(b []byte) []byte { entry(b, 1)[64] = 5; return b }, "a name of 5 bytes"},
		{"no name", func(b []byte) []byte { entry(b, 1)[64] = 2; return b }, "a name of 2 bytes"},
		{"two names", func(b []byte) []byte { copy(entry(b, 2), "A\x00\x00\x00"); entry(b, 2)[64] = 4; return b }, `has "A" twice`},
		{"huge stream", func(b []byte) []byte { le.PutUint32(entry(b, 3)[120:], 0xfffffff0); return b }, "4294967280 bytes in a file of"},
		{"stream longer than its chain", func(b []byte) []byte { le.PutUint32(entry(b, 3)[120:], 10241); return b }, "sector 0xfffffffe"},
		{"stream loops", func(b []byte) []byte { n := le.Uint32(entry(b, 3)[116:]); le.PutUint32(b[fat+4*n:], n); return b }, "has two uses"},
		{"stream in the directory", func(b []byte) []byte { le.PutUint32(entry(b, 3)[116:], 1); return b }, `stream "large": sector 1 has two uses`},
		{"mini stream shorter", func(b []byte) []byte { le.PutUint32(entry(b, 0)[120:], 64); return b }, "in a mini stream of 64 bytes"},
		{"mini stream huge", func(b []byte) []byte { le.PutUint32(entry(b, 0)[120:], 0x7fffffff); return b }, "the mini stream: sector"},
		{"mini stream loops", func(b []byte) []byte { le.PutUint32(b[miniFAT:], 0); return b }, "mini sector 0 has two uses"},
		{"mini streams meet", func(b []byte) []byte { le.PutUint32(entry(b, 2)[116:], 0); return b }, "mini sector 0 has two uses"},
		{"mini FAT huge", func(b []byte) []byte { le.PutUint32(b[64:], 0xffffffff); return b }, "the mini FAT: sector"},
		{"mini FAT missing", func(b []byte) []byte { le.PutUint32(b[64:], 0); return b }, "the mini FAT: it does not go to sector 0"},
		{"cut off", func(b []byte) []byte { return b[:len(b)-512] }, "in a file of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.change(slices.Clone(good))
			_, err := Open(bytes.NewReader(b), int64(len(b)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestLenient has what other programs write, and the format allows or readers accept.
func TestLenient(t *testing.T) {
	le := binary.LittleEndian
	streams := []Stream{pattern("a", 100), pattern("large", 10000)}
	const fat, dir = 512, 1024
	tests := []struct {
		name   string
		change func(b []byte) []byte
	}{
		{"last sector is short", func(b []byte) []byte { return b[:len(b)-200] }},
		{"upper half of a size", func(b []byte) []byte { le.PutUint32(b[dir+2*entrySize+124:], 0xdeadbeef); return b }},
		{"all black", func(b []byte) []byte { b[dir+2*entrySize+67] = black; return b }},
		{"bytes after the last sector", func(b []byte) []byte { return append(b, "tail"...) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			compare(t, open(t, tt.change(write(t, root, streams...))), streams)
		})
	}
}

func TestStorage(t *testing.T) {
	b := write(t, root, pattern("a", 100), pattern("bb", 100))
	b[1024+entrySize+66] = typeStorage
	r := open(t, b)
	if len(r.Streams) != 1 || len(r.Storages) != 1 || quotable(r.Storages[0]) != "a" {
		t.Errorf("streams %v and storages %v, want bb and a", r.Streams, r.Storages)
	}
}

func FuzzOpen(f *testing.F) {
	add := func(streams ...Stream) {
		var b bytes.Buffer
		if err := Write(&b, root, streams); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	add()
	add(pattern("a", 0), pattern("b", 100), pattern("cc", 5000), pattern("\x05d", 4096))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		total := int64(0)
		for _, s := range r.Streams {
			total += s.Size
			if n, err := io.Copy(io.Discard, io.NewSectionReader(s.At, 0, s.Size)); n != s.Size || err != nil {
				// Only the file's last sector may be short.
				if n < s.Size-4096 {
					t.Fatalf("stream %q of %d bytes ends after %d: %v", quotable(s.Name), s.Size, n, err)
				}
				return
			}
		}
		if total > int64(len(b)) {
			t.Fatalf("%d bytes of streams in a file of %d", total, len(b))
		}
		var first, second bytes.Buffer
		if err := Write(&first, r.Root, r.Streams); err != nil {
			t.Fatal(err)
		}
		again, err := Open(bytes.NewReader(first.Bytes()), int64(first.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if err := Write(&second, again.Root, again.Streams); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Error("what was read is written differently")
		}
	})
}
