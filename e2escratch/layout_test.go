//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
	"github.com/vpkg/vpkg/packaging"
)

var (
	baseOnce sync.Once
	baseFile string
)

// fetch copies a file out of the box into the machine's folder dir.
func fetch(t testing.TB, b *testbed.Box, file, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(to, []byte(b.Read(t, file)), 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

// checkInstalled compares the installed product with its record: every path of
// the record in every attribute, nothing beside them in the program folder, the
// record itself with the digest in the package's metadata, and what the package
// manager itself finds.
func checkInstalled(t testing.TB, g generation, b *testbed.Box, version string) {
	t.Helper()
	if got := g.version(t, b); !strings.HasPrefix(got, version) {
		t.Errorf("%s is installed, want %s", got, version)
	}
	if found := g.altered(t, b); strings.TrimSpace(found) != "" {
		t.Errorf("the package manager finds altered files:\n%s", found)
	}
	raw := b.Read(t, recordLoc)
	sum := sha256.Sum256([]byte(raw))
	if want := packaging.Digest(sum).String(); g.recordDigest(t, b) != want {
		t.Errorf("metadata declare the record %s, it is %s", g.recordDigest(t, b), want)
	}
	var record packaging.Layout
	if err := json.Unmarshal([]byte(raw), &record); err != nil {
		t.Fatal(err)
	}
	if len(record) == 0 {
		t.Fatal("the record is empty")
	}
	for _, m := range packaging.Diff(record, scan(t, b, record)) {
		t.Error(m)
	}
	err := fs.WalkDir(b.Root(t).FS(), program[1:], func(p string, _ fs.DirEntry, err error) error {
		if _, ok := record.Lookup("/" + p); !ok && err == nil && "/"+p != recordLoc {
			t.Errorf("/%s is not in the record", p)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// scan reads the record's paths as they are in the box.
func scan(t testing.TB, b *testbed.Box, record packaging.Layout) packaging.Layout {
	t.Helper()
	root := b.Root(t)
	users, groups := names(b.Read(t, "/etc/passwd")), names(b.Read(t, "/etc/group"))
	var got packaging.Layout
	for _, want := range record {
		p := want.Path[1:]
		fi, err := root.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		st := fi.Sys().(*syscall.Stat_t)
		e := packaging.Entry{
			Path: want.Path, Mode: packaging.FileMode(st.Mode), Owner: users[st.Uid], Group: groups[st.Gid],
			Config: want.Config, Ghost: want.Ghost, Caps: want.Caps, // the host does not say
		}
		switch {
		case fi.Mode().IsRegular():
			e.Size, e.SHA256 = fi.Size(), digest(t, root, p)
			if first, err := root.Lstat(strings.TrimPrefix(want.HardLink, "/")); want.HardLink != "" && err == nil && os.SameFile(first, fi) {
				e.HardLink = want.HardLink
			}
		case fi.Mode()&fs.ModeSymlink != 0:
			if e.Target, err = root.Readlink(p); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, e)
	}
	return got
}

func digest(t testing.TB, root *os.Root, name string) packaging.Digest {
	t.Helper()
	f, err := root.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return packaging.Digest(h.Sum(nil))
}

// names reads the names and numbers of passwd(5) or group(5).
func names(file string) map[uint32]string {
	m := map[uint32]string{}
	for s := bufio.NewScanner(bytes.NewReader([]byte(file))); s.Scan(); {
		f := strings.Split(s.Text(), ":")
		if len(f) < 3 {
			continue
		}
		if id, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			m[uint32(id)] = f[0]
		}
	}
	return m
}

// status is what stat(1) says of a path in the box: "750 ilo-ven:ilo-ven", or
// nothing where there is none.
func status(t testing.TB, b *testbed.Box, path string) string {
	t.Helper()
	r := b.Run(t, "stat", "-c", "%a %U:%G", path)
	if r.Code != 0 {
		return ""
	}
	return strings.TrimSpace(r.Stdout)
}

func exists(t testing.TB, b *testbed.Box, path string) bool {
	t.Helper()
	return status(t, b, path) != ""
}

func hasAccount(t testing.TB, b *testbed.Box, user string) bool {
	t.Helper()
	return b.Run(t, "getent", "passwd", user).Code == 0
}
