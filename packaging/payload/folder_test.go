//go:build unix

package payload

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// makeFolder writes files into a new folder; a name that ends in a slash is a
// folder.
func makeFolder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadDir(t *testing.T) {
	dir := makeFolder(t, map[string]string{"bin/z-agent": "agent", "etc/empty": "", "var/": ""})
	for _, err := range []error{
		os.Link(filepath.Join(dir, "bin/z-agent"), filepath.Join(dir, "bin/agent")),
		os.Symlink("/outside/of/it", filepath.Join(dir, "link")),
		os.Chmod(filepath.Join(dir, "bin/agent"), 0o750|fs.ModeSetuid),
		os.Chtimes(filepath.Join(dir, "bin/agent"), day, day),
		os.Chtimes(filepath.Join(dir, "etc/empty"), day, day.Add(time.Hour)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tree, err := ReadDir(t.Context(), dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	const want = `drwxr-xr-x bin
urwxr-x--- bin/agent "agent"
urwxr-x--- bin/z-agent = bin/agent "agent"
drwxr-xr-x etc
-rw------- etc/empty ""
Lrwxrwxrwx link -> /outside/of/it
drwxr-xr-x var
`
	if got := dump(t, tree); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if f, ok := tree.Lookup("etc/empty"); !ok || !f.ModTime.Equal(day.Add(time.Hour)) {
		t.Errorf("Lookup found %v, %v", f, ok)
	}
	if _, ok := tree.Lookup("etc/other"); ok {
		t.Error("Lookup found etc/other")
	}
}

func TestReadDirRefuses(t *testing.T) {
	t.Run("missing", func(t *testing.T) {
		_, err := ReadDir(t.Context(), filepath.Join(t.TempDir(), "missing"), 1)
		if err == nil || !strings.Contains(err.Error(), "missing") {
			t.Errorf("got error %v, want one that names the folder", err)
		}
	})
	t.Run("fifo", func(t *testing.T) {
		dir := makeFolder(t, map[string]string{"a/b": "x"})
		if err := syscall.Mkfifo(filepath.Join(dir, "a/pipe"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadDir(t.Context(), dir, 1)
		if want := filepath.Join(dir, "a/pipe") + ": is neither file, folder nor link"; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got error %v, want %s", err, want)
		}
	})
	t.Run("not UTF-8", func(t *testing.T) {
		dir := makeFolder(t, map[string]string{"a/b\xff": "x"})
		_, err := ReadDir(t.Context(), dir, 1)
		if err == nil || !strings.Contains(err.Error(), `a/b\xff": name is not UTF-8`) {
			t.Errorf("got error %v", err)
		}
	})
}

// A changing file system gives other files to Open than to Lstat.
type changing struct{ listed, opened fstest.MapFS }

func (c changing) Open(name string) (fs.File, error) {
	if _, ok := c.opened[name]; ok {
		return c.opened.Open(name)
	}
	return c.listed.Open(name)
}
func (c changing) Stat(name string) (fs.FileInfo, error) { return c.listed.Stat(name) }

func TestReadFSChanging(t *testing.T) {
	listed := fstest.MapFS{"d/f": {Data: []byte("first"), ModTime: day}}
	for name, opened := range map[string]*fstest.MapFile{
		"longer":  {Data: []byte("first and more"), ModTime: day},
		"shorter": {Data: []byte("f"), ModTime: day},
		"later":   {Data: []byte("other"), ModTime: day.Add(time.Second)},
		"mode":    {Data: []byte("first"), ModTime: day, Mode: 0o4755},
	} {
		_, err := ReadFS(t.Context(), changing{listed, fstest.MapFS{"d/f": opened}}, 1)
		if want := "d/f: changed while it was read"; err == nil || err.Error() != want {
			t.Errorf("%s: got error %v, want %q", name, err, want)
		}
	}
}

func TestReadFS(t *testing.T) {
	tree, err := ReadFS(t.Context(), fstest.MapFS{"b/c": {Data: []byte("c"), Mode: 0o444}, "a": {Data: []byte("a"), Mode: 0o555}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	const want = `-r-xr-xr-x a "a"
dr-xr-xr-x b
-r--r--r-- b/c "c"
`
	if got := dump(t, tree); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !tree.Newest.IsZero() {
		t.Errorf("Newest is %v, want none", tree.Newest)
	}
}
