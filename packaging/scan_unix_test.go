//go:build unix

package packaging_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vpkg/vpkg/packaging"
)

// TestScanHostile: nothing but regular files is opened, and no link leads out.
func TestScanHostile(t *testing.T) {
	out, root := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	secret := put(t, out, "/secret", "secret")
	put(t, root, "/in/file", "inside")
	do(syscall.Mkfifo(at("fifo"), 0o644))
	l, err := net.Listen("unix", at("socket"))
	do(err)
	defer l.Close()
	do(os.Symlink(out, at("out")))
	do(os.Symlink("../../../../../../../.."+out, at("up")))
	do(os.Symlink("loop", at("loop")))
	do(os.Symlink("/in", at("absolute")))
	do(os.Symlink("in/../in/.", at("relative")))
	do(os.Symlink(filepath.Join(out, "secret"), at("link")))
	want := packaging.Layout{
		{Path: "/absolute/file", Mode: 0o644, Size: 6},
		{Path: "/fifo", Mode: 0o644, Size: secret.Size, SHA256: secret.SHA256},
		{Path: "/in/file", Mode: 0o644, Size: 6},
		{Path: "/in/file/below", Mode: 0o644},
		{Path: "/link", Mode: 0o644, Size: secret.Size, SHA256: secret.SHA256},
		{Path: "/loop/file", Mode: 0o644},
		{Path: "/out/secret", Mode: 0o644, Size: secret.Size, SHA256: secret.SHA256},
		{Path: "/relative/file", Mode: 0o644, Size: 6},
		{Path: "/socket", Mode: 0o644},
		{Path: "/up/secret", Mode: 0o644, Size: secret.Size, SHA256: secret.SHA256},
		{Path: "/" + strings.Repeat("x/", 5000) + "x", Mode: 0o644},
	}
	s := packaging.Scan{Root: root}
	got, errs, err := s.Read(t.Context(), want)
	if err != nil || len(errs) != 1 || !errors.Is(errs[0], syscall.ENAMETOOLONG) {
		t.Errorf("errors %v, %v", errs, err)
	}
	types := map[string]fs.FileMode{}
	for _, e := range got {
		types[e.Path] = e.Mode.Type()
		if e.SHA256 == secret.SHA256 {
			t.Errorf("%s was read", e.Path)
		}
	}
	for path, typ := range map[string]fs.FileMode{
		"/absolute/file": 0, "/relative/file": 0, "/in/file": 0, "/fifo": fs.ModeNamedPipe, "/socket": fs.ModeSocket, "/link": fs.ModeSymlink,
	} {
		if is, ok := types[path]; !ok || is != typ {
			t.Errorf("%s: there %t, type %v", path, ok, is)
		}
	}
	if len(types) != 6 {
		t.Errorf("there are %v", types)
	}
	for _, name := range []string{"/fifo", "/link", "/out/secret", "/up/secret"} {
		if b, err := s.ReadFile(name, 100); err == nil {
			t.Errorf("%s: read %q", name, b)
		}
	}
	if _, err := s.Names("/out"); err == nil {
		t.Error("a folder outside was read")
	}
}

// TestScanUnreadable: what may not be read is told, and the rest looked at.
func TestScanUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read everything")
	}
	root := t.TempDir()
	want := packaging.Layout{put(t, root, "/a/file", "x"), put(t, root, "/b/file", "y"), put(t, root, "/c/file", "z")}
	for name, mode := range map[string]fs.FileMode{"a/file": 0, "b": 0} {
		if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Chmod(filepath.Join(root, "b"), 0o755) //nolint:errcheck // for the folder to go
	got, errs, err := (&packaging.Scan{Root: root}).Read(t.Context(), want)
	if err != nil || len(errs) != 2 || !errors.Is(errs[0], fs.ErrPermission) || !errors.Is(errs[1], fs.ErrPermission) {
		t.Fatal(errs, err)
	}
	paths := []string{}
	for _, e := range got {
		paths = append(paths, e.Path)
	}
	if !slices.Equal(paths, []string{"/a/file", "/c/file"}) || got[1].SHA256 != want[2].SHA256 {
		t.Errorf("got %v", got)
	}
}

// TestScanRace: whatever changes meanwhile, each look gives what was there at some
// moment, or says that it does not know.
func TestScanRace(t *testing.T) {
	root := t.TempDir()
	secret := put(t, root, "/elsewhere/secret", "secret")
	want := packaging.Layout{
		{Path: "/d", Mode: fs.ModeDir | 0o755},
		{Path: "/d/file", Mode: 0o644, Size: secret.Size, SHA256: secret.SHA256},
	}
	name := filepath.Join(root, "d", "file")
	stop, stopped := make(chan struct{}), make(chan struct{})
	try := func(error) {} // what is in the way stays
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			os.Remove(name)
			switch i % 6 {
			case 0:
				try(os.Mkdir(filepath.Join(root, "d"), 0o755))
			case 1:
				try(os.Symlink("/elsewhere/secret", name))
			case 2:
				try(syscall.Mkfifo(name, 0o644))
			case 3:
				try(os.WriteFile(name, []byte("public"), 0o644))
			case 4:
				try(os.Mkdir(name, 0o755))
			case 5:
				os.Remove(filepath.Join(root, "d"))
				try(os.Symlink("elsewhere", filepath.Join(root, "d")))
				os.Remove(filepath.Join(root, "d"))
			}
		}
	}()
	s := packaging.Scan{Root: root, Whole: []string{"/d"}}
	for range 300 {
		got, _, err := s.Read(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got {
			if e.SHA256 == secret.SHA256 {
				t.Fatalf("a link was followed: %v", e)
			}
		}
	}
	close(stop)
	<-stopped
}
