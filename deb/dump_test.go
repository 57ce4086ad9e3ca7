package deb

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/deb/internal/ar"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/packaging/payload"
)

// A line of a dump says one thing about a package: what, and its value.
type line struct{ what, value string }

// dump tells everything that stands in a .deb, in its order, by a reader that
// knows less than Read does: ar, tar, and lines of text.
func dump(t *testing.T, b []byte) []line {
	t.Helper()
	members, err := ar.Read(bytes.NewReader(b), int64(len(b)), 100)
	if err != nil {
		t.Fatal(err)
	}
	var lines []line
	at := 8
	for _, m := range members {
		header := string(b[at : at+60])
		at += 60 + int(m.Size+m.Size%2)
		// Sizes are the compressor's.
		lines = append(lines, line{"ar " + m.Name, strings.Join(strings.Fields(header[16:48]), " ")})
		base, codec, ok := strings.Cut(m.Name, ".tar")
		if !ok {
			content, err := io.ReadAll(m.Content)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line{m.Name, fmt.Sprintf("%q", content)})
			continue
		}
		r, err := payload.NewReader(map[string]string{"": "none", ".gz": "gzip", ".zst": "zstd", ".xz": "xz"}[codec], m.Content)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, dumpTar(t, base, r)...)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

func dumpTar(t *testing.T, base string, r io.Reader) []line {
	t.Helper()
	var lines []line
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		value := fmt.Sprintf("%c %04o %s/%s %d/%d %s %s", h.Typeflag, h.Mode, h.Uname, h.Gname, h.Uid, h.Gid,
			h.ModTime.UTC().Format("2006-01-02T15:04:05"), h.Format)
		if h.Linkname != "" {
			value += " -> " + h.Linkname
		}
		isText := base == "control" && !bytes.ContainsRune(content, 0) && len(content) < 10_000
		if h.Typeflag == tar.TypeReg && !isText {
			value += fmt.Sprintf(" %d bytes %x", h.Size, sha256.Sum256(content))
		}
		lines = append(lines, line{base + " " + h.Name, value})
		if isText {
			lines = append(lines, dumpText(base+" "+h.Name, string(content))...)
		}
	}
}

// dumpText gives the fields of a control file, and the lines of others.
func dumpText(name, text string) []line {
	var lines []line
	for i, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if field, value, ok := strings.Cut(l, ":"); ok && strings.HasSuffix(name, "/control") && !strings.HasPrefix(l, " ") {
			lines = append(lines, line{name + " " + field, value})
		} else if sum, path, ok := strings.Cut(l, "  "); ok && strings.HasSuffix(name, "/md5sums") {
			lines = append(lines, line{name + " " + path, sum})
		} else if strings.HasPrefix(l, " ") && len(lines) > 0 {
			lines[len(lines)-1].value += "\n" + l
		} else {
			lines = append(lines, line{fmt.Sprintf("%s line %d", name, i+1), l})
		}
	}
	return lines
}

func write(t testing.TB, p *packaging.Package) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := (Format{}).Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGolden compares a text of the rich package with the one in testdata.
func TestGolden(t *testing.T) {
	var b strings.Builder
	for _, l := range dump(t, write(t, packagingtest.Rich("deb", "amd64"))) {
		fmt.Fprintf(&b, "%s: %s\n", l.what, strings.ReplaceAll(l.value, "\n", "\n\t"))
	}
	golden(t, "testdata/rich.txt", b.String())
}

// A reason explains why what another tool writes differs from ours, in the lines
// whose what is matched by a regular expression.
type reason struct{ what, why string }

// compare reports the differences between two dumps that no reason is given for,
// and reasons that explain nothing.
func compare(t *testing.T, ours, theirs []line, reasons []reason) {
	t.Helper()
	a, b := map[string]string{}, map[string]string{}
	for _, l := range ours {
		a[l.what] = l.value
	}
	for _, l := range theirs {
		b[l.what] = l.value
	}
	used := map[string]bool{}
	all := maps.Clone(a)
	maps.Copy(all, b)
	for _, what := range slices.Sorted(maps.Keys(all)) {
		o, inOurs := a[what]
		x, inTheirs := b[what]
		if o == x && inOurs == inTheirs {
			continue
		}
		i := slices.IndexFunc(reasons, func(r reason) bool {
			return regexp.MustCompile("^(" + r.what + ")$").MatchString(what)
		})
		if i < 0 {
			t.Errorf("%s\n\tours:   %q %v\n\ttheirs: %q %v", what, o, inOurs, x, inTheirs)
			continue
		}
		used[reasons[i].what] = true
		t.Logf("%s: ours %q, theirs %q: %s", what, o, x, reasons[i].why)
	}
	for _, r := range reasons {
		if !used[r.what] {
			t.Errorf("no difference in %q, but a reason: %s", r.what, r.why)
		}
	}
}
