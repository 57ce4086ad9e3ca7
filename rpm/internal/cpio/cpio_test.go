package cpio_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/rpm/internal/cpio"
)

type file struct {
	h    cpio.Header
	body string
}

func sample() []file {
	return []file{
		{cpio.Header{Name: "./opt/agent", Inode: 1, Mode: 0o40750, Links: 1, MTime: 1767600000}, ""},
		{cpio.Header{Name: "./opt/agent/etc", Inode: 2, Mode: 0o100644, Links: 1, MTime: 1767600000, Size: 6}, "hello\n"},
		{cpio.Header{Name: "./opt/agent/link", Inode: 3, Mode: 0o120777, Links: 1, Size: 3}, "etc"},
	}
}

func write(t testing.TB, files []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&f.h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads an archive; sizes are those of stripped entries.
func read(b []byte, sizes []int64) ([]file, error) {
	var files []file
	r := cpio.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, err
		}
		if h.Stripped && int(h.Index) < len(sizes) {
			r.SetSize(sizes[h.Index])
			h.Size = sizes[h.Index]
		}
		body, err := io.ReadAll(r)
		if err != nil {
			return files, err
		}
		files = append(files, file{*h, string(body)})
	}
}

func TestWrite(t *testing.T) {
	const want = "" +
		"07070100000001000041e8000000000000000000000001" + "695b6f80" + "00000000" +
		"00000000000000000000000000000000" + "0000000c" + "00000000" + "./opt/agent\x00" + "\x00\x00" +
		"07070100000002000081a4000000000000000000000001" + "695b6f80" + "00000006" +
		"00000000000000000000000000000000" + "00000010" + "00000000" + "./opt/agent/etc\x00" + "\x00\x00" +
		"hello\n" + "\x00\x00" +
		"070701000000030000a1ff000000000000000000000001" + "00000000" + "00000003" +
		"00000000000000000000000000000000" + "00000011" + "00000000" + "./opt/agent/link\x00" + "\x00" +
		"etc" + "\x00" +
		"0707010000000000000000000000000000000000000001" + "00000000" + "00000000" +
		"00000000000000000000000000000000" + "0000000b" + "00000000" + "TRAILER!!!\x00" + "\x00\x00\x00"
	if got := string(write(t, sample())); got != want {
		t.Errorf("archive is\n%q, want\n%q", got, want)
	}
}

func TestWriteStripped(t *testing.T) {
	const want = "" +
		"07070X00000000" + "\x00\x00" +
		"07070X00000001" + "\x00\x00" + "hello\n" + "\x00\x00" +
		"0707010000000000000000000000000000000000000001" + "00000000" + "00000000" +
		"00000000000000000000000000000000" + "0000000b" + "00000000" + "TRAILER!!!\x00" + "\x00\x00\x00"
	files := []file{
		{cpio.Header{Stripped: true}, ""},
		{cpio.Header{Stripped: true, Index: 1, Size: 6}, "hello\n"},
	}
	b := write(t, files)
	if string(b) != want {
		t.Errorf("archive is\n%q, want\n%q", b, want)
	}
	got, err := read(b, []int64{0, 6})
	if err != nil || !reflect.DeepEqual(got, files) {
		t.Errorf("read as %+v, %v, want %+v", got, err, files)
	}
	if _, err := read(b, nil); err == nil {
		t.Error("an entry of unknown size was read without an error")
	}
}

func TestRoundTrip(t *testing.T) {
	b := write(t, sample())
	got, err := read(b, nil)
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("read as %+v, %v, want %+v", got, err, sample())
	}
	for n := range len(b) - 3 { // the trailer's padding may be missing
		if _, err := read(b[:n], nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the first %d of %d bytes: error is %v, want %v", n, len(b), err, io.ErrUnexpectedEOF)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	w := cpio.NewWriter(io.Discard)
	if err := w.WriteHeader(&cpio.Header{Name: "x", Size: 1<<32 - 1}); err == nil {
		t.Error("a size of 32 bits of ones was written")
	}
	if err := w.WriteHeader(&cpio.Header{Name: "x", Size: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "abc"); err == nil {
		t.Error("a body larger than its size was written")
	}
	if err := w.WriteHeader(&cpio.Header{Name: "y"}); err == nil {
		t.Error("a header in the middle of a body was written")
	}
	w.Skip(2) // the body, behind the Writer's back
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadErrors(t *testing.T) {
	good := string(write(t, sample()))
	for name, b := range map[string]string{
		"magic":       strings.Replace(good, "070701", "070707", 1),
		"number":      strings.Replace(good, "000041e8", "000041g8", 1),
		"long name":   strings.Replace(good, "0000000c", "7000000c", 1),
		"no name":     strings.Replace(good, "0000000c", "00000000", 1),
		"stripped":    "07070X0000000g",
		"huge body":   strings.Replace(good, "00000006", "fffffff6", 1),
		"no trailer":  "",
		"only zeroes": string(make([]byte, 500)),
	} {
		if _, err := read([]byte(b), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, sample()))
	f.Add(write(f, []file{{cpio.Header{Stripped: true, Index: 1, Size: 2}, "ab"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		files, err := read(b, []int64{1, 2, 3})
		if err != nil {
			return
		}
		for i := range files {
			if strings.Contains(files[i].h.Name, "TRAILER!!!") {
				return // would end the archive
			}
		}
		again, err := read(write(t, files), []int64{1, 2, 3})
		if err != nil || !reflect.DeepEqual(again, files) {
			t.Errorf("written again it is read as %+v, %v, want %+v", again, err, files)
		}
	})
}
