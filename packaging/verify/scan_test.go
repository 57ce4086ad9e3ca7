package verify

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// TestScanWindows: what lies across the border of two windows is found, once, and the
// digest is that of all of the file.
func TestScanWindows(t *testing.T) {
	for _, at := range []int{0, 1, 100, window - overlap - 1, window - overlap, window - overlap + 1, window - 30, window - 1, window, window + 1, 2*window - overlap - 1, 3 * window} {
		content := append(bytes.Repeat([]byte(" "), at), pemText...)
		content = append(content, bytes.Repeat([]byte(" "), 5*window-at)...)
		e := packagingtest.File("/opt/agent/key", 0o644, content)
		want := e.SHA256
		e.SHA256 = packaging.Digest{}
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(content), "half": iotest.HalfReader(bytes.NewReader(content))} {
			s := NewScan("rpm", agent("rpm"), "")
			if err := s.File(&e, r); err != nil {
				t.Fatal(err)
			}
			if len(s.found) != 1 || s.found[0].rule != "private-key" {
				t.Errorf("at byte %d, %s: finds %v", at, name, s.found)
			}
			if got := s.Layout(nil)[0].SHA256; got != want {
				t.Errorf("at byte %d, %s: the digest is %v, want %v", at, name, got, want)
			}
		}
	}
}

func TestScanFails(t *testing.T) {
	broken := errors.New("broken")
	s := NewScan("rpm", agent("rpm"), "")
	e := file("/opt/agent/a", "")
	if err := s.File(&e, io.MultiReader(strings.NewReader("a"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

// TestScanFindings: a file with many of a kind, and many files, are bounded.
func TestScanFindings(t *testing.T) {
	s := NewScan("rpm", agent("rpm"), "")
	for range 1000 {
		e := file("/opt/agent/a", strings.Repeat(pemText, 20))
		if err := s.File(&e, strings.NewReader(strings.Repeat(pemText, 20))); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.found) != maxFound {
		t.Errorf("%d are kept, want %d", len(s.found), maxFound)
	}
	if n := len(NewScan("rpm", agent("rpm"), "localhost.localdomain").host); n > 0 {
		t.Error("localhost is looked for")
	}
}

// TestScanHardLinks: the first name by path has the content, whichever is first in the
// payload.
func TestScanHardLinks(t *testing.T) {
	s := NewScan("deb", agent("deb"), "")
	z, a := file("/opt/z", "text"), file("/opt/a", "text")
	want := z.SHA256
	z.SHA256, a.SHA256, a.HardLink = packaging.Digest{}, packaging.Digest{}, "/opt/z"
	if err := errors.Join(s.File(&z, strings.NewReader("text")), s.File(&a, nil)); err != nil {
		t.Fatal(err)
	}
	l := s.Layout(nil)
	if l[0].Path != "/opt/a" || l[0].HardLink != "" || l[1].HardLink != "/opt/a" || l[0].SHA256 != want || l[1].SHA256 != want {
		t.Errorf("the layout is %+v", l)
	}
}
