package packaging_test

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func TestRecordRoundTrip(t *testing.T) {
	for _, format := range []string{"rpm", "deb"} {
		want := packagingtest.Rich(format, "any").Layout
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got packaging.Layout
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		for _, m := range packaging.Diff(want, got) {
			t.Errorf("%s: %s", format, m)
		}
		again, err := json.Marshal(got)
		if err != nil || string(again) != string(b) {
			t.Errorf("%s: the record that was read is written otherwise (%v)", format, err)
		}
	}
}

// TestRecordFormat pins the record's form: verifiers of other versions read it.
func TestRecordFormat(t *testing.T) {
	file := packagingtest.File("/opt/p/bin/x", 0o755|fs.ModeSetuid, []byte("x"))
	file.Group, file.Config = "daemon", packaging.ConfigNoReplace
	b, err := json.MarshalIndent(packaging.Layout{packagingtest.Dir("/opt/p", 0o750), file, packagingtest.Symlink("/opt/p/l", "bin/x")}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "version": 1,
 "entries": [
  {
   "path": "/opt/p",
   "type": "dir",
   "mode": "0750",
   "owner": "root",
   "group": "root"
  },
  {
   "path": "/opt/p/bin/x",
   "type": "file",
   "mode": "4755",
   "owner": "root",
   "group": "daemon",
   "size": 1,
   "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
   "config": "config(noreplace)"
  },
  {
   "path": "/opt/p/l",
   "type": "symlink",
   "owner": "root",
   "group": "root",
   "target": "bin/x"
  }
 ]
}`
	if string(b) != want {
		t.Errorf("record is\n%s\nwant\n%s", b, want)
	}
}

func TestRecordErrors(t *testing.T) {
	for _, tt := range []struct{ name, json, want string }{
		{"not JSON", `{`, "unexpected end"},
		{"other version", `{"version":2,"entries":[]}`, "version 2, want 1"},
		{"mode", `{"version":1,"entries":[{"path":"/a","type":"file","mode":"9"}]}`, `mode "9" is not octal`},
		{"mode too large", `{"version":1,"entries":[{"path":"/a","type":"file","mode":"77777"}]}`, `mode "77777"`},
		{"type", `{"version":1,"entries":[{"path":"/a","type":"fifo"}]}`, `type "fifo"`},
		{"config", `{"version":1,"entries":[{"path":"/a","type":"file","config":"x"}]}`, `config kind "x"`},
		{"digest", `{"version":1,"entries":[{"path":"/a","type":"file","sha256":"00"}]}`, "2 digits, want 64"},
		{"digest digits", `{"version":1,"entries":[{"path":"/a","type":"file","sha256":"` + strings.Repeat("g", 64) + `"}]}`, "digest"},
	} {
		var l packaging.Layout
		if err := json.Unmarshal([]byte(tt.json), &l); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want it to say %q", tt.name, err, tt.want)
		}
	}
}

// TestModeText has what ls -l shows of such files.
func TestModeText(t *testing.T) {
	for want, mode := range map[string]fs.FileMode{
		"-rw-r--r--": 0o644,
		"-rwsr-xr-x": 0o755 | fs.ModeSetuid,
		"-rwSr--r--": 0o644 | fs.ModeSetuid,
		"-rwxr-sr-x": 0o755 | fs.ModeSetgid,
		"-rw-r-Sr--": 0o644 | fs.ModeSetgid,
		"drwxr-x---": 0o750 | fs.ModeDir,
		"drwxrwxrwt": 0o777 | fs.ModeDir | fs.ModeSticky,
		"drwsrws--T": 0o770 | fs.ModeDir | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky,
		"lrwxrwxrwx": 0o777 | fs.ModeSymlink,
		"prw-------": 0o600 | fs.ModeNamedPipe,
		"brw-rw----": 0o660 | fs.ModeDevice,
		"crw-rw-rw-": 0o666 | fs.ModeDevice | fs.ModeCharDevice,
		"srwxr-xr-x": 0o755 | fs.ModeSocket,
		"?rw-r--r--": 0o644 | fs.ModeIrregular,
	} {
		if got := packaging.ModeText(mode); got != want {
			t.Errorf("ModeText(%v) is %s, want %s", mode, got, want)
		}
	}
}

func TestUnixMode(t *testing.T) {
	for _, tt := range []struct {
		mode fs.FileMode
		unix uint32
	}{
		{0o644, 0o100644},
		{0o4755&0o777 | fs.ModeSetuid, 0o104755},
		{fs.ModeDir | fs.ModeSetgid | 0o775, 0o042775},
		{fs.ModeDir | fs.ModeSticky | 0o777, 0o041777},
		{fs.ModeSymlink | 0o777, 0o120777},
	} {
		if got := packaging.UnixMode(tt.mode); got != tt.unix {
			t.Errorf("UnixMode(%v) is %o, want %o", tt.mode, got, tt.unix)
		}
		if got := packaging.FileMode(tt.unix); got != tt.mode {
			t.Errorf("FileMode(%o) is %v, want %v", tt.unix, got, tt.mode)
		}
	}
	if got := packaging.FileMode(0o020644).Type(); got != fs.ModeIrregular {
		t.Errorf("a device has type %v, want %v", got, fs.ModeIrregular)
	}
}

func TestLayoutSize(t *testing.T) {
	first := packagingtest.File("/a", 0o644, make([]byte, 1000))
	hard, ghost := first, first
	hard.Path, hard.HardLink = "/b", "/a"
	ghost.Path, ghost.Ghost = "/c", true
	l := packaging.Layout{first, hard, ghost, packagingtest.Dir("/d", 0o755), packagingtest.Symlink("/e", "a")}
	if got := l.Size(); got != 1000 {
		t.Errorf("size is %d, want 1000", got)
	}
}

func TestLookup(t *testing.T) {
	l := packaging.Layout{packagingtest.Dir("/a", 0o755), packagingtest.Dir("/a-b", 0o755), packagingtest.Dir("/a/b", 0o755)}
	if e, ok := l.Lookup("/a-b"); !ok || e.Path != "/a-b" {
		t.Errorf("Lookup gives %q, %v", e.Path, ok)
	}
	if e, ok := l.Lookup("/a/c"); ok {
		t.Errorf("Lookup of what is not there gives %q", e.Path)
	}
}

func TestDiff(t *testing.T) {
	base := func() packaging.Layout {
		return packaging.Layout{
			packagingtest.Dir("/d", 0o755),
			packagingtest.File("/d/f", 0o644, []byte("content")),
			packagingtest.Symlink("/d/l", "f"),
		}
	}
	if ms := packaging.Diff(base(), base()); ms != nil {
		t.Errorf("equal layouts differ: %v", ms)
	}
	for _, tt := range []struct {
		name   string
		change func(packaging.Layout) packaging.Layout
		want   []string
	}{
		{"missing", func(l packaging.Layout) packaging.Layout { return l[1:] }, []string{"/d: missing"}},
		{"extra at the end", func(l packaging.Layout) packaging.Layout { return append(l, packagingtest.Dir("/e", 0o755)) }, []string{"/e: extra"}},
		{"empty", func(packaging.Layout) packaging.Layout { return nil }, []string{"/d: missing", "/d/f: missing", "/d/l: missing"}},
		{"type hides the rest", func(l packaging.Layout) packaging.Layout { l[0].Mode = 0o600; return l }, []string{"/d: type is file, want dir"}},
		{"mode", func(l packaging.Layout) packaging.Layout { l[1].Mode |= fs.ModeSetuid; return l }, []string{"/d/f: mode is 4644, want 0644"}},
		{"mode of a link", func(l packaging.Layout) packaging.Layout { l[2].Mode = fs.ModeSymlink; return l }, nil},
		{"root has two names", func(l packaging.Layout) packaging.Layout { l[0].Owner, l[0].Group = "root", "root"; return l }, nil},
		{"owner, group", func(l packaging.Layout) packaging.Layout { l[0].Owner, l[0].Group = "u", "g"; return l }, []string{"/d: owner is u, want root", "/d: group is g, want root"}},
		{"digest unknown", func(l packaging.Layout) packaging.Layout { l[1].SHA256 = packaging.Digest{}; return l }, nil},
		{"digest", func(l packaging.Layout) packaging.Layout { l[1].SHA256[0] ^= 1; return l }, []string{"/d/f: sha256 is ec"}},
		{"size", func(l packaging.Layout) packaging.Layout { l[1].Size = 8; return l }, []string{"/d/f: size is 8, want 7"}},
		{"target", func(l packaging.Layout) packaging.Layout { l[2].Target = "g"; return l }, []string{"/d/l: target is g, want f"}},
		{"flags", func(l packaging.Layout) packaging.Layout {
			l[1].Config, l[1].Caps, l[1].HardLink = packaging.ConfigReplace, "cap_chown=p", "/d/e"
			return l
		}, []string{"/d/f: hardlink is /d/e, want ", "/d/f: config is config, want ", "/d/f: caps is cap_chown=p, want "}},
		{"ghost has no size", func(l packaging.Layout) packaging.Layout { l[1].Ghost, l[1].Size = true, 0; return l }, []string{"/d/f: ghost is true, want false"}},
		{"times and documentation are no difference", func(l packaging.Layout) packaging.Layout {
			l[1].ModTime, l[1].Doc = time.Unix(1, 0), true
			return l
		}, nil},
	} {
		var got []string
		for _, m := range packaging.Diff(base(), tt.change(base())) {
			got = append(got, m.String())
		}
		if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
			t.Errorf("%s: differences are %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestListing: a listing has what the record has, and what only a package file knows.
func TestListing(t *testing.T) {
	e := packagingtest.File("/x", 0o755|fs.ModeSetuid, []byte("x"))
	e.Doc, e.Lic, e.Readme, e.Lang, e.NoVerify, e.ModTime = true, true, true, "de", []string{"md5", "size"}, time.Unix(0, 0).UTC()
	b, err := json.Marshal(packaging.Listing{e, packagingtest.Symlink("/y", "x")})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":1,"entries":[` +
		`{"path":"/x","type":"file","mode":"4755","owner":"root","group":"root","size":1,` +
		`"sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",` +
		`"doc":true,"license":true,"readme":true,"lang":"de","noverify":["md5","size"],"time":"1970-01-01T00:00:00Z"},` +
		`{"path":"/y","type":"symlink","owner":"root","group":"root","target":"x"}]}`
	if string(b) != want {
		t.Errorf("it is\n%s\nwant\n%s", b, want)
	}
}
