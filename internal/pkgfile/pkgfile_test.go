package pkgfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		format packaging.Format
		arch   string
	}{{rpm.Format{}, "x86_64"}, {deb.Format{}, "amd64"}, {msi.Format{}, "x64"}} {
		name := tt.format.Name()
		t.Run(name, func(t *testing.T) {
			want := packagingtest.Small(name, tt.arch, 20_000)
			var b bytes.Buffer
			if _, err := tt.format.Write(t.Context(), &b, want); err != nil {
				t.Fatal(err)
			}
			p, format, err := Read(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != want.Name || p.EVR() != want.EVR() || format != name {
				t.Errorf("got %s %s, %s; want %s %s, %s", p.Name, p.EVR(), format, want.Name, want.EVR(), name)
			}
			cut := b.Bytes()[:b.Len()-b.Len()/4]
			if _, _, err := Read(t.Context(), bytes.NewReader(cut), int64(len(cut))); err == nil {
				t.Error("a package whose end is missing was read")
			}
			// The file is the same, and the tables are there of an MSI alone.
			file := filepath.Join(t.TempDir(), "package") // no name says what it is
			if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if p, err := f.Package(t.Context(), packaging.Payload); err != nil || p.Name != want.Name || f.Size != int64(b.Len()) {
				t.Errorf("the file gives %v of %d bytes, %v", p, f.Size, err)
			}
			if c, err := f.MSI(); err != nil || (c != nil) != (name == "msi") {
				t.Errorf("tables are %v, %v", c, err)
			}
		})
	}
}

func TestUnknown(t *testing.T) {
	for _, s := range []string{"", "PK\x03\x04", "!<arch", "#!/bin/sh\nexit 0\n"} {
		if _, _, err := Read(t.Context(), strings.NewReader(s), int64(len(s))); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v, want %v", s, err, ErrFormat)
		}
		name := filepath.Join(t.TempDir(), "x.rpm")
		if err := os.WriteFile(name, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(name); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), name) {
			t.Errorf("opening %q: %v, want %v and the name", s, err, ErrFormat)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening nothing: %v, want %v", err, fs.ErrNotExist)
	}
}
