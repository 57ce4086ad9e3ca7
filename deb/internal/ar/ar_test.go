package ar

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/oracle"
)

type member struct{ name, content string }

func write(t *testing.T, ms []member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, m := range ms {
		if err := w.Next(Header{Name: m.name, ModTime: time.Unix(1767323045, 0), Size: int64(len(m.content))}); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{m.content[:len(m.content)/2], m.content[len(m.content)/2:]} {
			if _, err := io.WriteString(w, part); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWriter(t *testing.T) {
	const want = "!<arch>\n" +
		"debian-binary   1767323045  0     0     100644  4         `\n2.0\n" +
		"odd             1767323045  0     0     100644  3         `\nodd\n" +
		"empty           1767323045  0     0     100644  0         `\n"
	ms := []member{{"debian-binary", "2.0\n"}, {"odd", "odd"}, {"empty", ""}}
	if got := write(t, ms); string(got) != want {
		t.Errorf("archive is\n%q, want\n%q", got, want)
	}
	if got := write(t, nil); string(got) != "!<arch>\n" {
		t.Errorf("empty archive is %q", got)
	}
}

func TestRoundTrip(t *testing.T) {
	ms := []member{{"a", "x"}, {"fifteen-letters", "even"}, {"b", ""}}
	b := write(t, ms)
	got, err := Read(bytes.NewReader(b), int64(len(b)), len(ms))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range ms {
		content, err := io.ReadAll(got[i].Content)
		if err != nil || got[i].Name != m.name || string(content) != m.content || got[i].ModTime.Unix() != 1767323045 {
			t.Errorf("member %d is %s %v %q (%v), want %s %q", i, got[i].Name, got[i].ModTime, content, err, m.name, m.content)
		}
		if !bytes.HasPrefix(b[got[i].Offset:], []byte(m.content)) {
			t.Errorf("member %s: offset %d is not its content's", m.name, got[i].Offset)
		}
	}
}

func TestWriterErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    Header
		want string
	}{
		{"no name", Header{}, `member ""`},
		{"long name", Header{Name: "sixteen-letters-"}, "1 to 15 bytes"},
		{"slash", Header{Name: "a/"}, "slashes"},
		{"eleven digits", Header{Name: "data.tar", Size: MaxSize + 1}, "10000000000 bytes do not fit"},
		{"negative size", Header{Name: "data.tar", Size: -1}, "-1 bytes"},
		{"before 1970", Header{Name: "data.tar", ModTime: time.Unix(-1, 0)}, "does not fit"},
	} {
		if err := NewWriter(io.Discard).Next(tt.h); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want it to say %q", tt.name, err, tt.want)
		}
	}
	w := NewWriter(io.Discard)
	if err := w.Next(Header{Name: "a", ModTime: time.Unix(0, 0), Size: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("abc")); err == nil {
		t.Error("more content than the header says: no error")
	}
	if err := w.Close(); err == nil {
		t.Error("less content than the header says: no error")
	}
}

func TestLargestMember(t *testing.T) {
	var b bytes.Buffer
	if err := NewWriter(&b).Next(Header{Name: "data.tar", ModTime: time.Unix(0, 0), Size: MaxSize}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), " 9999999999`\n") {
		t.Errorf("header is %q", b.String())
	}
}

func TestReadErrors(t *testing.T) {
	const head = "!<arch>\n"
	good := "debian-binary   1767323045  0     0     100644  4         `\n2.0\n"
	for _, tt := range []struct {
		name, archive, want string
		offset              int64
	}{
		{"empty", "", "unexpected EOF", 0},
		{"magic", "!<thin>\n", "begins with", 0},
		{"cut header", head + good[:30], "unexpected EOF", 38},
		{"cut content", head + good[:62], "has 4 bytes, and the file only 2 more", 68},
		{"no padding", head + strings.Replace(good, " 4  ", " 3  ", 1)[:63], "unexpected EOF", 71},
		{"end of header", head + strings.Replace(good, "`\n", "\n`", 1), "header ends with", 8},
		{"size", head + strings.Replace(good, " 4  ", " -4 ", 1), `"-4" is not a decimal number`, 8},
		{"no size", head + strings.Replace(good, " 4  ", "    ", 1), "size: field is empty", 8},
		{"time", head + strings.Replace(good, "1767323045", "0x67323045", 1), "time", 8},
		{"no name", head + strings.Replace(good, "debian-binary", "/            ", 1), "is empty", 8},
		{"too many", head + good + good + good, "too many members", 136},
	} {
		_, err := Read(strings.NewReader(tt.archive), int64(len(tt.archive)), 2)
		var fe *FormatError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), tt.want) || fe.Offset != tt.offset {
			t.Errorf("%s: error is %v, want offset %d and %q", tt.name, err, tt.offset, tt.want)
		}
	}
	// A file that is shorter than the caller was told.
	if _, err := Read(strings.NewReader(head+good[:20]), 100, 2); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("file shorter than its size: error is %v", err)
	}
}

// TestSystemAr has the system's ar list and print what Writer wrote.
func TestSystemAr(t *testing.T) {
	oracle.Need(t, "ar")
	file := filepath.Join(t.TempDir(), "a.ar")
	if err := os.WriteFile(file, write(t, []member{{"one", "odd"}, {"two", "even"}}), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ar", "p", file).CombinedOutput()
	if err != nil || string(out) != "oddeven" {
		t.Errorf("ar p prints %q (%v)", out, err)
	}
}

// FuzzRead writes back what it read, and reads the same again.
func FuzzRead(f *testing.F) {
	f.Add([]byte("!<arch>\n"))
	f.Add([]byte("!<arch>\ndebian-binary   1767323045  0     0     100644  4         `\n2.0\n"))
	f.Add([]byte("!<arch>\na/              0           0     0     100644  3         `\nodd\nb               1           0     0     644     0         `\n"))
	f.Add([]byte("!<arch>\n\xda\x9a\xff\xda           0           0     0     100644  0         `\n")) // names are bytes
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, err := Read(bytes.NewReader(b), int64(len(b)), 100)
		if err != nil {
			return
		}
		var out bytes.Buffer
		w := NewWriter(&out)
		for _, m := range ms {
			if err := w.Next(m.Header); err != nil {
				return // a name with a space or a slash in it
			}
			if _, err := io.Copy(w, m.Content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Read(bytes.NewReader(out.Bytes()), int64(out.Len()), 100)
		if err != nil || len(again) != len(ms) {
			t.Fatalf("read again: %d members (%v), want %d", len(again), err, len(ms))
		}
		for i := range ms {
			if again[i].Header != ms[i].Header {
				t.Errorf("member %d is %v, want %v", i, again[i].Header, ms[i].Header)
			}
		}
	})
}
