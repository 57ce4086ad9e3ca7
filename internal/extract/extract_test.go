package extract

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// A given is an entry with its content, as a package's reader gives it.
type given struct {
	packaging.Entry
	content string
}

func fileAt(p, content string) given {
	return given{packaging.Entry{Path: p, Mode: 0o644, Size: int64(len(content))}, content}
}

func folderOf(p string, mode fs.FileMode) given {
	return given{Entry: packaging.Entry{Path: p, Mode: fs.ModeDir | mode}}
}

func linkTo(p, target string) given {
	return given{Entry: packaging.Entry{Path: p, Mode: fs.ModeSymlink | 0o777, Target: target}}
}

func hardLink(p, target string) given {
	return given{Entry: packaging.Entry{Path: p, Mode: 0o644, HardLink: target}}
}

func special(p string, mode fs.FileMode) given {
	return given{Entry: packaging.Entry{Path: p, Mode: mode | 0o600}}
}

// each is a reader that checks nothing.
func each(gs ...given) Each {
	return func(f func(*packaging.Entry, io.Reader) error) error {
		for i := range gs {
			var body io.Reader
			if gs[i].HasBody() {
				body = strings.NewReader(gs[i].content)
			}
			if err := f(&gs[i].Entry, body); err != nil {
				return err
			}
		}
		return nil
	}
}

// tree lists what is in a folder.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		fi, err := os.Lstat(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		fmt.Fprintf(&b, "%s %s", fi.Mode(), filepath.ToSlash(rel))
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " -> %s", target)
		case fi.Mode().IsRegular():
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", content)
		}
		b.WriteString("\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func onUnix(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes, and links need a privilege")
	}
}

func TestTo(t *testing.T) {
	onUnix(t)
	long := strings.Repeat("n", 200)
	deep := "/deep" + strings.Repeat("/"+long, 30) // longer than PATH_MAX
	for _, tt := range []struct {
		name string
		in   []given
		o    Options
		want string
	}{
		{"everything", []given{
			folderOf("/a", 0o500), fileAt("/a/b", "body"), linkTo("/a/c", "../../outside"), hardLink("/a/d", "/a/b"), folderOf("/a/e", 0o1777|fs.ModeSticky),
		}, Options{}, "dr-x------ a\n-rw-r--r-- a/b \"body\"\nLrwxrwxrwx a/c -> ../../outside\n-rw-r--r-- a/d \"body\"\ndtrwxrwxrwx a/e\n"},
		{"folder after its file", []given{fileAt("/a/b", ""), folderOf("/a", 0o700)}, Options{}, "drwx------ a\n-rw-r--r-- a/b \"\"\n"},
		{"the root", []given{folderOf("/", 0o700), fileAt("/b", "")}, Options{}, "-rw-r--r-- b \"\"\n"},
		{"paths", []given{fileAt("/a/b", "1"), fileAt("/ab", "2"), fileAt("/a/c/d", "3"), fileAt("/e", "4")}, Options{Paths: []string{"a/", "./e"}}, "drwxr-xr-x a\n-rw-r--r-- a/b \"1\"\ndrwxr-xr-x a/c\n-rw-r--r-- a/c/d \"3\"\n-rw-r--r-- e \"4\"\n"},
		{"setuid", []given{special("/s", fs.ModeSetuid|fs.ModeSetgid)}, Options{}, "-rw------- s \"\"\n"},
		{"setuid kept", []given{special("/s", fs.ModeSetuid|fs.ModeSetgid)}, Options{Preserve: true}, "ugrw------- s \"\"\n"},
		{"devices", []given{special("/d", fs.ModeDevice), special("/p", fs.ModeNamedPipe), special("/i", fs.ModeIrregular), fileAt("/f", "")}, Options{}, "-rw-r--r-- f \"\"\n"},
		{"odd names", []given{fileAt("/a b\n\\", "")}, Options{}, "-rw-r--r-- a b\n\\ \"\"\n"},
		{"a link's target is any text", []given{linkTo("/l", deep[:4000])}, Options{}, "Lrwxrwxrwx l -> " + deep[:4000] + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			tt.o.Date = time.Unix(1e9, 0)
			r, err := To(dir, each(tt.in...), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := tree(t, dir); got != tt.want {
				t.Errorf("extracted\n%swant\n%s", got, tt.want)
			}
			if tt.name == "devices" && len(r.Skipped) != 3 {
				t.Errorf("skipped %q, want three", r.Skipped)
			}
			if fi, err := os.Stat(filepath.Join(dir, "a", "b")); err == nil && !fi.ModTime().Equal(tt.o.Date) {
				t.Errorf("time is %s, want %s", fi.ModTime(), tt.o.Date)
			}
		})
	}
	t.Run("path longer than PATH_MAX", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "out")
		if _, err := To(dir, each(fileAt(deep, "x")), Options{}); err != nil {
			t.Fatal(err)
		}
		if _, err := To(dir, each(fileAt(deep, "x")), Options{}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("error is %v, want that it exists", err)
		}
	})
}

// TestHostile extracts what wants to get out, or at what is there. Nothing may
// change, and nothing may stay.
func TestHostile(t *testing.T) {
	onUnix(t)
	broken := func(f func(*packaging.Entry, io.Reader) error) error {
		g := fileAt("/a/half", "")
		return f(&g.Entry, io.MultiReader(strings.NewReader("half"), failing{}))
	}
	for _, tt := range []struct {
		name string
		each Each
		o    Options
		want string // in the error
	}{
		{"dots", each(fileAt("/../x", "")), Options{}, "it is not absolute"},
		{"dots within", each(fileAt("/a/../../x", "")), Options{}, "it is not absolute"},
		{"dots at the end", each(folderOf("/a/..", 0o755)), Options{}, "it is not absolute"},
		{"relative", each(fileAt("x/../../y", "")), Options{}, "it is not absolute"},
		{"two slashes", each(fileAt("//x", "")), Options{}, "it is not absolute"},
		{"empty", each(fileAt("", "")), Options{}, "it is not absolute"},
		{"NUL", each(fileAt("/a\x00b", "")), Options{}, "names"},
		{"long name", each(fileAt("/"+strings.Repeat("x", 300), "")), Options{}, "file name too long"},
		{"through a link that leaves", each(linkTo("/l", "../outside"), fileAt("/l/x", "")), Options{}, `"l" is a symbolic link`},
		{"through an absolute link", each(linkTo("/l", "/tmp"), fileAt("/l/x", "")), Options{}, `"l" is a symbolic link`},
		{"through a link that stays", each(folderOf("/d", 0o755), linkTo("/l", "d"), fileAt("/l/x", "")), Options{}, `"l" is a symbolic link`},
		{"through a link, deeper", each(linkTo("/a/l", ".."), fileAt("/a/l/b/c", "")), Options{}, `"a/l" is a symbolic link`},
		{"through a link, a folder", each(linkTo("/l", ".."), folderOf("/l/outside", 0o777)), Options{}, `"l" is a symbolic link`},
		{"over its own link", each(linkTo("/l", "../outside/file"), fileAt("/l", "x")), Options{Force: true}, "there twice"},
		{"folder over its own link", each(linkTo("/l", "../outside"), folderOf("/l", 0o777)), Options{Force: true}, "symbolic link"},
		{"file over its own folder", each(folderOf("/l", 0o755), fileAt("/l", "")), Options{Force: true}, "there twice"},
		{"link over its own folder", each(folderOf("/l", 0o755), linkTo("/l", "/")), Options{Force: true}, "there twice"},
		{"below a file", each(fileAt("/f", ""), fileAt("/f/x", "")), Options{}, `"f" is no folder`},
		{"through a link that was there", each(fileAt("/there/x", "")), Options{Force: true}, `"there" is a symbolic link`},
		{"over a link that was there", each(fileAt("/there", "")), Options{}, "exists"},
		{"over a file that was there", each(fileAt("/old", "")), Options{}, "exists"},
		{"link over a file that was there", each(linkTo("/old", "x")), Options{}, "exists"},
		{"hard link outside", each(hardLink("/h", "/../outside/file")), Options{}, "not extracted"},
		{"hard link to what was there", each(hardLink("/h", "/old")), Options{}, "not extracted"},
		{"hard link through a link", each(linkTo("/l", "../outside"), hardLink("/h", "/l/file")), Options{}, "not extracted"},
		{"hard link to a link", each(linkTo("/l", "../outside/file"), hardLink("/h", "/l")), Options{}, "not extracted"},
		{"wrong digest", broken, Options{}, "wrong digest"},
		{"no such path", each(fileAt("/a", "")), Options{Paths: []string{"/a", "/b"}}, `no "/b"`},
		{"no content", each(given{Entry: packaging.Entry{Path: "/a"}}, fileAt("/b", "")), Options{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			dir, outside := filepath.Join(top, "out"), filepath.Join(top, "outside")
			for _, d := range []string{dir, outside} {
				if err := os.Mkdir(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{filepath.Join(outside, "file"), filepath.Join(dir, "old")} {
				if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("../outside", filepath.Join(dir, "there")); err != nil {
				t.Fatal(err)
			}
			before := tree(t, top)
			if tt.want == "" {
				tt.each = func(f func(*packaging.Entry, io.Reader) error) error {
					return f(&packaging.Entry{Path: "/a", Mode: 0o644}, nil)
				}
				tt.want = "not in the package file"
			}
			_, err := To(dir, tt.each, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
			if after := tree(t, top); after != before {
				t.Errorf("before\n%safter\n%s", before, after)
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("wrong digest") }

// TestForce replaces what is there, without writing through it.
func TestForce(t *testing.T) {
	onUnix(t)
	top := t.TempDir()
	dir, victim := filepath.Join(top, "out"), filepath.Join(top, "victim")
	if err := os.WriteFile(victim, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(victim, filepath.Join(dir, "hard")); err != nil {
		t.Fatal(err)
	}
	if _, err := To(dir, each(fileAt("/link", "new"), fileAt("/hard", "new")), Options{Force: true}); err != nil {
		t.Fatal(err)
	}
	want := "drwx------ out\n-rw-r--r-- out/hard \"new\"\n-rw-r--r-- out/link \"new\"\n-rw-r--r-- victim \"old\"\n"
	if got := tree(t, top); got != want {
		t.Errorf("extracted\n%swant\n%s", got, want)
	}
}

// TestForceFails leaves what was to be replaced as it was.
func TestForceFails(t *testing.T) {
	onUnix(t)
	top := t.TempDir()
	dir, victim := filepath.Join(top, "out"), filepath.Join(top, "victim")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "sub"), 0o700),
		os.WriteFile(victim, []byte("old"), 0o600),
		os.WriteFile(filepath.Join(dir, "sub", "file"), []byte("old"), 0o640),
		os.Symlink(victim, filepath.Join(dir, "link")),
		os.Link(victim, filepath.Join(dir, "hard")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, top)
	_, err := To(dir, each(
		fileAt("/link", "new"), hardLink("/hard", "/link"), linkTo("/sub/file", "x"), folderOf("/new", 0o500), fileAt("/new/file", ""), fileAt("/../x", ""),
	), Options{Force: true})
	if err == nil || !strings.Contains(err.Error(), "it is not absolute") {
		t.Errorf("error is %v, want the package's", err)
	}
	if after := tree(t, top); after != before {
		t.Errorf("before\n%safter\n%s", before, after)
	}
	v, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := os.Stat(filepath.Join(dir, "hard")); err != nil || !os.SameFile(v, h) {
		t.Errorf("the hard link is another file: %v", err)
	}
}

// TestNewFolder is removed where nothing could be extracted.
func TestNewFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := To(dir, each(folderOf("/a", 0o500), fileAt("/a/b/c", ""), fileAt("/..", "")), Options{}); err == nil {
		t.Fatal("no error")
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// TestCase has names that differ by case alone: an error where the file system does
// not tell them apart.
func TestCase(t *testing.T) {
	probe := t.TempDir()
	if err := os.WriteFile(filepath.Join(probe, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := os.Lstat(filepath.Join(probe, "A"))
	same := err == nil
	for _, gs := range [][]given{
		{fileAt("/a", "1"), fileAt("/A", "2")},
		{fileAt("/a/x", "1"), fileAt("/A/x", "2")},
		{fileAt("/a/x", "1"), fileAt("/A/y", "2")},
		{folderOf("/a", 0o755), folderOf("/A", 0o755)},
		{folderOf("/a", 0o755), fileAt("/A", "")},
	} {
		for _, force := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "out")
			_, err := To(dir, each(gs...), Options{Force: force})
			if same && (err == nil || !strings.Contains(err.Error(), "but for its case")) {
				t.Errorf("%s and %s: error is %v, want that they differ by case alone", gs[0].Path, gs[1].Path, err)
			}
			if !same && err != nil {
				t.Errorf("%s and %s: %v", gs[0].Path, gs[1].Path, err)
			}
		}
	}
	t.Logf("case-insensitive: %t", same)
}

// TestOwners needs root to see the difference.
func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	g := fileAt("/a", "")
	g.Owner, g.Group = "no such user", "root"
	if _, err := To(t.TempDir(), each(g), Options{Owners: true}); err == nil || !strings.Contains(err.Error(), `no user "no such user"`) {
		t.Errorf("error is %v", err)
	}
	if _, err := To(t.TempDir(), each(g), Options{}); err != nil {
		t.Error(err)
	}
}
