package rpm_test

import (
	"bytes"
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
	"github.com/vpkg/vpkg/rpm"
)

func extractTo(t *testing.T, dir string, b []byte) error {
	t.Helper()
	_, err := extract.To(dir, func(f func(*packaging.Entry, io.Reader) error) error {
		return rpm.Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), f)
	}, extract.Options{})
	return err
}

// TestExtractForeign extracts packages of many makers as rpm2cpio and cpio do, but for
// times: some archives have none, and the header's count.
func TestExtractForeign(t *testing.T) {
	if testing.Short() {
		t.Skip("many packages")
	}
	for _, name := range foreignRPMs(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			dir := t.TempDir()
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := extractTo(t, filepath.Join(dir, "got"), b); err != nil {
				t.Fatal(err)
			}
			oracle.Need(t, "cpio", "rpm2cpio")
			run(t, "sh", "-euc", `cd "$1"; mkdir want; rpm2cpio "$2" | (cd want; cpio -idm --quiet --no-absolute-filenames 2>&1)
				for d in got want; do (cd $d; find . -mindepth 1 \( -type l -printf '%p %l\n' -o -type d -printf '%p\n' -o -printf '%m %n %s %p\n' \) | sort) >$d.list; done
				diff want.list got.list; diff -r --no-dereference want got`, "sh", dir, name)
		})
	}
}

// TestEach gives the same content that was written, hard links after their file, and
// an error in place of the end where the digest is wrong.
func TestEach(t *testing.T) {
	p := packagingtest.Rich("rpm", "x86_64")
	b, err := os.ReadFile(writeFile(t, p))
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]bool{}
	links := 0
	err = rpm.Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(e *packaging.Entry, body io.Reader) error {
		if given[e.Path] {
			return fmt.Errorf("%s is given twice", e.Path)
		}
		given[e.Path] = true
		if e.HardLink != "" {
			links++
			if body != nil || !given[e.HardLink] {
				return fmt.Errorf("%s, a hard link to %s, comes with %v", e.Path, e.HardLink, body)
			}
			return nil
		}
		if (body != nil) != e.HasBody() {
			return fmt.Errorf("%s has the body %v", e.Path, body)
		}
		if body == nil {
			return nil
		}
		want, _ := p.Layout.Lookup(e.Path)
		return packagingtest.SameContent(&want, body)
	})
	if err != nil || links == 0 {
		t.Errorf("%d hard links, error %v", links, err)
	}
	for _, e := range p.Layout {
		if given[e.Path] == e.Ghost {
			t.Errorf("%s is given: %t, ghost: %t", e.Path, given[e.Path], e.Ghost)
		}
	}

	stop := errors.New("stop")
	err = rpm.Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(*packaging.Entry, io.Reader) error { return stop })
	if err != stop { //nolint:errorlint // it is to be given as it is
		t.Errorf("error is %v, want the function's own", err)
	}
}

// TestEachDigest changes a file's content.
func TestEachDigest(t *testing.T) {
	p := packagingtest.Rich("rpm", "x86_64")
	p.Compression.Codec = "none"
	b, err := os.ReadFile(writeFile(t, p))
	if err != nil {
		t.Fatal(err)
	}
	victim := ""
	for _, e := range p.Layout {
		if e.HasBody() && e.Size > 4 && e.Size < 1000 {
			r, err := e.Body.Open()
			if err != nil {
				t.Fatal(err)
			}
			c, err := io.ReadAll(r)
			if err = errors.Join(err, r.Close()); err != nil {
				t.Fatal(err)
			}
			if i := bytes.LastIndex(b, c); i > 0 {
				b[i] ^= 1
				victim = e.Path
				break
			}
		}
	}
	if victim == "" {
		t.Fatal("no file to change")
	}
	seen := false
	err = rpm.Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(e *packaging.Entry, body io.Reader) error {
		if e.Path == victim {
			seen = true
			if _, err := io.ReadAll(body); err == nil || !strings.Contains(err.Error(), "has digest") {
				t.Errorf("reading gives %v, want the wrong digest", err)
			}
		}
		return nil
	})
	if !seen || err == nil || !strings.Contains(err.Error(), victim+" has digest") {
		t.Errorf("error is %v, want the wrong digest of %s", err, victim)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := extractTo(t, dir, b); err == nil {
		t.Error("it is extracted without an error")
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("what was extracted is still there")
	}
}

// TestExtractCompressors extracts packages of rpmbuild with each compressor that it
// has as rpm2cpio and cpio do.
func TestExtractCompressors(t *testing.T) {
	dir := t.TempDir()
	spec := `Name: c
Version: 1
Release: 1
Summary: x
License: MIT
BuildArch: noarch
%description
x
%install
mkdir -p %{buildroot}/opt/c/empty
head -c 300000 /dev/urandom >%{buildroot}/opt/c/noise
head -c 3000000 /dev/zero >%{buildroot}/opt/c/zeros
echo a >%{buildroot}/opt/c/a; ln %{buildroot}/opt/c/a %{buildroot}/opt/c/b; ln -s a %{buildroot}/opt/c/l
%files
/opt/c
`
	if err := os.WriteFile(filepath.Join(dir, "c.spec"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	oracle.Need(t, "cpio", "rpm2cpio", "rpmbuild")
	for _, io := range []string{"w9.gzdio", "w9.bzdio", "w2.xzdio", "w2.lzdio", "w3.zstdio", "w.ufdio"} {
		t.Run(io, func(t *testing.T) {
			run(t, "sh", "-euc", `cd "$1"; rpmbuild -bb --quiet --define "_binary_payload $2" --define "_rpmdir $1/$2" --define "_topdir $1/top" c.spec
				mkdir "$2/want"; rpm2cpio "$2"/noarch/*.rpm | (cd "$2/want"; cpio -idm --quiet)`, "sh", dir, io)
			b, err := os.ReadFile(filepath.Join(dir, io, "noarch", "c-1-1.noarch.rpm"))
			if err != nil {
				t.Fatal(err)
			}
			if err := extractTo(t, filepath.Join(dir, io, "got"), b); err != nil {
				t.Fatal(err)
			}
			run(t, "sh", "-euc", `cd "$1"
				for d in got want; do (cd $d; find opt/c \( -type l -printf '%p %l\n' -o -type d -printf '%m %p\n' -o -printf '%m %n %s %T@ %p\n' \) | sort) >$d.list; done
				diff want.list got.list; diff -r --no-dereference want got`, "sh", filepath.Join(dir, io))
		})
	}
}
