package msi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/extract"
	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// each gives the entries of a package in a file.
func each(t *testing.T, file string, f func(*packaging.Entry, io.Reader) error) error {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), f)
}

func extractTo(t *testing.T, dir, file string) error {
	t.Helper()
	_, err := extract.To(dir, func(f func(*packaging.Entry, io.Reader) error) error { return each(t, file, f) }, extract.Options{})
	return err
}

// Files come out with the content that they went in with, and so does what
// msiextract makes of them.
func TestEach(t *testing.T) {
	p := packagingtest.Rich("msi", "x64")
	file := written(t, Format{}, p)
	given := map[string]bool{}
	err := each(t, file, func(e *packaging.Entry, body io.Reader) error {
		if given[e.Path] || (body != nil) != e.HasBody() {
			return fmt.Errorf("%s is given with the body %v", e.Path, body)
		}
		given[e.Path] = true
		if body == nil {
			return nil
		}
		want, _ := p.Layout.Lookup(e.Path)
		return packagingtest.SameContent(&want, body)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range p.Layout {
		if !given[e.Path] {
			t.Errorf("%s is not given", e.Path)
		}
	}
	stop := errors.New("stop")
	if err := each(t, file, func(*packaging.Entry, io.Reader) error { return stop }); err != stop { //nolint:errorlint // it is to be given as it is
		t.Errorf("error %v, want the function's own", err)
	}
	if err := each(t, file, func(_ *packaging.Entry, body io.Reader) error {
		if body != nil {
			return stop
		}
		return nil
	}); err != stop { //nolint:errorlint // as above
		t.Errorf("error %v, want the function's own", err)
	}
}

// A package of another maker is extracted as msiextract does it, which leaves the
// standard folders out.
func TestExtractWixl(t *testing.T) {
	oracle.Need(t, "wixl")
	oracle.Need(t, "msiextract")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"noise.bin": string(packagingtest.Noise(1, 100_000)), "config.txt": "a = b\n",
		"x.wxs": wxs, "outside.wxs": strings.Replace(wxs, `EmbedCab="yes"`, `EmbedCab="no"`, 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output(t, dir, "wixl", "-a", "x64", "-o", "x.msi", "x.wxs")
	if err := extractTo(t, filepath.Join(dir, "own"), filepath.Join(dir, "x.msi")); err != nil {
		t.Fatal(err)
	}
	output(t, dir, "msiextract", "-C", "theirs", "x.msi")
	for own, theirs := range map[string]string{
		"own/Program Files/Other Product/data/noise.bin": "theirs/Other Product/data/noise.bin",
		"own/ProgramData/Other/config.txt":               "theirs/Other/config.txt",
	} {
		output(t, dir, "cmp", own, theirs)
	}

	// Content in a cabinet beside the package is not extracted, which is said.
	output(t, dir, "wixl", "-a", "x64", "-o", "outside.msi", "outside.wxs")
	err := extractTo(t, filepath.Join(dir, "none"), filepath.Join(dir, "outside.msi"))
	if err == nil || !strings.Contains(err.Error(), "its content is not in the package file") {
		t.Errorf("error %v, want that the content is elsewhere", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "none")); err == nil {
		t.Error("something was extracted")
	}
}

// What is damaged within a cabinet is an error, and nothing is left.
func TestExtractDamaged(t *testing.T) {
	file := written(t, Format{}, packagingtest.Small("msi", "x64", 50_000))
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte("MSCF"))
	if i < 0 {
		t.Fatal("the package has no cabinet")
	}
	b[i+2000] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	err = extractTo(t, dir, file)
	if _, ok := errors.AsType[*FormatError](err); err == nil || !ok && !strings.Contains(err.Error(), "cabinet") {
		t.Errorf("error %v, want one of the cabinet", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("something is left")
	}
}

func TestListSignatures(t *testing.T) {
	for _, tt := range []struct {
		f    Format
		want string
	}{{Format{}, "[]"}, {Format{Signer: anySigner{}}, "[{DigitalSignature Authenticode package 9 0}]"}} {
		var b bytes.Buffer
		if _, err := tt.f.Write(t.Context(), &b, packagingtest.Small("msi", "x64", 10)); err != nil {
			t.Fatal(err)
		}
		list, err := Format{}.ListSignatures(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if got := fmt.Sprint(list); err != nil || got != tt.want {
			t.Errorf("signatures are %s, error %v, want %s", got, err, tt.want)
		}
	}
}

type anySigner struct{}

func (anySigner) SignMSI(context.Context, [32]byte) ([]byte, error) { return []byte("signature"), nil }

// FuzzRead reads packages whole and file by file, which agree.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if _, err := (Format{}).Write(f.Context(), &b, packagingtest.Small("msi", "x64", 10)); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		given := 0
		eachErr := Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(e *packaging.Entry, body io.Reader) error {
			if given++; body != nil && !e.HasBody() {
				t.Errorf("gave %+v with a body", e)
			}
			return nil
		})
		p, err := Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Payload)
		if (err == nil) != (eachErr == nil) {
			t.Errorf("read with error %v, and file by file with %v", err, eachErr)
		}
		if err == nil && given != len(p.Layout) {
			t.Errorf("%d entries are given, want %d", given, len(p.Layout))
		}
	})
}
