package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/packaging/payload"
)

// TestStore checks that what was built and read back once is neither compressed
// nor read back again, and that the bytes are the same with and without a store.
func TestStore(t *testing.T) {
	s, err := payload.OpenStore(t.TempDir(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := Format{Store: s, Jobs: 2}
	p := packagingtest.Rich("deb", "amd64")
	p.Compression.Codec = "zstd"
	want := write(t, p)
	for i, verified := range []bool{false, false, true} {
		var b bytes.Buffer
		w, err := f.Write(t.Context(), &b, p)
		if err != nil {
			t.Fatal(err)
		}
		if w.Verified != verified {
			t.Errorf("write %d: verified is %v, want %v", i, w.Verified, verified)
		}
		if !bytes.Equal(b.Bytes(), want) {
			t.Errorf("write %d gives other bytes than without a store", i)
		}
		if i == 1 {
			if err := w.Confirm(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestHeader checks what only large or old files have.
func TestHeader(t *testing.T) {
	s, err := payload.TempStore()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := Format{}.newTarWriter(t.Context(), s, packaging.Compression{Codec: "none"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.abort()
	headers := []tar.Header{
		{Typeflag: tar.TypeReg, Name: "./a", Size: 20 << 30, ModTime: time.Unix(0, 0)},
		{Typeflag: tar.TypeReg, Name: "./a", Mode: 0o7777, ModTime: time.Unix(1<<33, 0)},
		{Typeflag: tar.TypeReg, Name: "./" + strings.Repeat("ü", 200), ModTime: time.Unix(-1, 0)},
		{Typeflag: tar.TypeSymlink, Name: "./" + strings.Repeat("n", 300), Linkname: strings.Repeat("ö/", 300), ModTime: time.Unix(0, 0)},
		{Typeflag: tar.TypeReg, Name: "./a", Uname: strings.Repeat("u", 32), Gname: strings.Repeat("g", 32), ModTime: time.Unix(0, 0)},
	}
	for _, h := range headers {
		if err := w.header(&h); err != nil {
			t.Fatal(err)
		}
		got, err := tar.NewReader(&w.buf).Next()
		if err != nil {
			t.Fatal(err)
		}
		if got.Format != tar.FormatGNU && got.Format != tar.FormatUSTAR|tar.FormatPAX|tar.FormatGNU {
			t.Errorf("%s: format is %v, want GNU", h.Name, got.Format)
		}
		if got.Name != h.Name || got.Linkname != h.Linkname || got.Size != h.Size || !got.ModTime.Equal(h.ModTime) ||
			got.Uname != h.Uname || got.Gname != h.Gname || got.Mode != h.Mode {
			t.Errorf("header is read as %+v, want %+v", got, h)
		}
	}
}

// TestMembers checks control members that are not what they say.
func TestMembers(t *testing.T) {
	for _, tt := range []struct {
		name string
		body packaging.Body
		want string
	}{
		{"longer", packagingtest.Bytes("four"), "control member hook has 4 bytes, want 3"},
		{"shorter", packagingtest.Bytes("ab"), "control member hook has 2 bytes, want 3"},
		{"broken", broken{}, "control member hook: broken"},
	} {
		p := packagingtest.Small("deb", "all", 10)
		p.Members = []packaging.Member{{Name: "hook", Mode: 0o755, Size: 3, Body: tt.body}}
		if _, err := (Format{}).Write(t.Context(), io.Discard, p); err == nil || err.Error() != tt.want {
			t.Errorf("%s: error is %v, want %q", tt.name, err, tt.want)
		}
	}
}

type broken struct{}

func (broken) Open() (io.ReadCloser, error) { return nil, errors.New("broken") }

func TestNotShipped(t *testing.T) {
	for path, want := range map[string]string{
		"/opt/a/b":              "./opt/a",
		"/opt/a":                "",
		"/usr/local/bin/a":      "./usr",
		"/usr/local/share/a/b":  "./usr ./usr/local/share/a",
		"/var/opt/a/b":          "./var ./var/opt/a",
		"/etc/a":                "./etc",
		"/usr/lib/systemd/a.so": "./usr ./usr/lib ./usr/lib/systemd",
	} {
		p := &packaging.Package{
			Scripts: []packaging.Script{{Phase: packaging.PreInstall}},
			Layout:  packaging.Layout{packagingtest.File(path, 0o644, nil)},
		}
		if got := folders(p); got != want {
			t.Errorf("%s: folders are %q, want %q", path, got, want)
		}
	}
	p := &packaging.Package{Layout: packaging.Layout{packagingtest.File("/opt/a/b", 0o644, nil)}}
	if got, want := folders(p), "./opt ./opt/a"; got != want {
		t.Errorf("without a preinst folders are %q, want %q", got, want)
	}
}

func folders(p *packaging.Package) string {
	var names []string
	for name, e := range dataEntries(p) {
		if e.Mode.IsDir() {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// TestLintian has Debian's own check find nothing in a package that keeps to the
// policy.
func TestLintian(t *testing.T) {
	p := packagingtest.Small("deb", "all", 10)
	p.Name, p.Description = "vpkg-lint", "This text is longer than the one above, and it tells what the package is\nfor, as the policy asks."
	p.Summary, p.Group, p.Homepage, p.License = "package that lintian has nothing to say about", "utils", "https://example.org/", ""
	p.Scripts = []packaging.Script{{Phase: packaging.PostInstall, Body: "#!/bin/sh\nset -e\necho installed\n"}}
	changelog := "vpkg-lint (1.0-1) unstable; urgency=medium\n\n  * First release (Closes: #123456).\n\n" +
		" -- Vpkg Tests <tests@example.org>  Fri, 02 Jan 2026 03:04:05 +0000\n"
	manual := ".TH VPKG-LINT 1 2026-01-02 1.0 vpkg\n.SH NAME\nvpkg-lint \\- do nothing\n.SH SYNOPSIS\n.B vpkg-lint\n.SH DESCRIPTION\nIt does nothing.\n"
	copyright := "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: 2026 Vpkg Tests\nLicense: Expat\n" +
		" Permission is hereby granted, free of charge, to any person obtaining a copy\n of this software.\n"
	p.Layout = packaging.Layout{
		packagingtest.File("/usr/bin/vpkg-lint", 0o755, []byte("#!/bin/sh\nexit 0\n")),
		packagingtest.Dir("/usr/share/doc/vpkg-lint", 0o755),
		packagingtest.File("/usr/share/doc/vpkg-lint/changelog.Debian.gz", 0o644, gzipped(t, changelog)),
		packagingtest.File("/usr/share/doc/vpkg-lint/copyright", 0o644, []byte(copyright)),
		packagingtest.File("/usr/share/man/man1/vpkg-lint.1.gz", 0o644, gzipped(t, manual)),
	}
	file := filepath.Join(t.TempDir(), Format{}.FileName(p))
	if err := os.WriteFile(file, write(t, p), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := command(t, filepath.Dir(file), nil, "lintian", "--allow-root", "--fail-on", "error,warning,info", file); out != "" {
		t.Errorf("lintian says\n%s", out)
	}
}

// gzipped is s as `gzip -9n` gives it.
func gzipped(t *testing.T, s string) []byte {
	t.Helper()
	return pack(t, ".gz9n", []byte(s))
}
