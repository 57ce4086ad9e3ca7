package installed_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/installed"
)

// database has a host answer for dpkg-query.
func (h *host) database(answer string, err error) *installed.Host {
	h.write("/var/lib/dpkg/status", "")
	return &installed.Host{Root: h.dir, Run: func(_ context.Context, argv ...string) (string, error) {
		if argv[0] != "dpkg-query" || argv[1] != "--admindir="+h.dir+"/var/lib/dpkg" || argv[len(argv)-1] != "agent" {
			h.t.Errorf("it runs %q", argv)
		}
		return answer, err
	}}
}

func (h *host) digest() string {
	b, err := os.ReadFile(h.at(program + "/etc/layout.json"))
	h.do(err)
	return packaging.Digest(sha256.Sum256(b)).String()
}

func TestTrust(t *testing.T) {
	recordAt, stateAt := "record "+program+"/etc/layout.json", "record /var/lib/vpkg/agent/installed.json"
	tests := []struct {
		name   string
		change func(h *host)
		answer string // DIGEST stands for that of the record
		err    error
		trust  installed.Trust
		want   []string
	}{
		{"good", nil, "agent\tinstalled\t1.4.0-7.debian12\tamd64\tDIGEST\n", nil, installed.ByDatabase, nil},
		{"no digest", nil, "agent\tinstalled\t1.4.0-7.debian12\tamd64\t\n", nil, installed.ByRecord, nil},
		{"strange digest", nil, "agent\tinstalled\t1.4.0-7.debian12\tamd64\tXY\n", nil, installed.ByRecord, nil},
		{"cannot be asked", nil, "", errors.New("no memory"), installed.ByRecord, nil},
		{"record replaced", func(h *host) {
			h.write("/opt/agent/bin/agent", "another")
			*h.entry("/opt/agent/bin/agent") = packaging.Entry{
				Path: "/opt/agent/bin/agent", Mode: 0o755, Size: 7, SHA256: sha256.Sum256([]byte("another")),
			}
			h.record()
		}, "agent\tinstalled\t1.4.0-7.debian12\tamd64\tDIGEST\n", nil, installed.ByRecord, []string{recordAt}},
		{
			"state missing", func(h *host) { h.do(os.Remove(h.at("/var/lib/vpkg/agent/installed.json"))) },
			"agent\tinstalled\t1.4.0-7.debian12\tamd64\tDIGEST\n", nil, installed.ByRecord,
			[]string{stateAt},
		},
		{
			"state empty", func(h *host) { h.write("/var/lib/vpkg/agent/installed.json", "{}") },
			"agent\tinstalled\t1.4.0-7.debian12\tamd64\tDIGEST\n", nil, installed.ByRecord,
			[]string{stateAt},
		},
		{"state damaged", func(h *host) { h.write("/var/lib/vpkg/agent/installed.json", "garbage") }, "agent\tinstalled\t1.4.0-7.debian12\tamd64\tDIGEST\n", nil, installed.ByRecord, []string{stateAt}},
		{"database does not know it", nil, "", errors.New("dpkg-query: no packages found matching agent"), installed.ByRecord, []string{recordAt}},
		{"database knows that it was removed", nil, "agent\tconfig-files\t1.4.0-7\tamd64\t\n", nil, installed.ByRecord, []string{recordAt}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			host := h.database(strings.ReplaceAll(tt.answer, "DIGEST", h.digest()), tt.err)
			if tt.change != nil {
				tt.change(h)
			}
			r, err := host.Verify(t.Context(), "agent", installed.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := found(r); r.Trust != tt.trust || !slices.Equal(got, tt.want) {
				t.Errorf("trust %s (%s), found %q; want %s, %q", r.Trust, r.Note, got, tt.trust, tt.want)
			}
			if (r.Note != "") != (tt.trust == installed.ByRecord && len(tt.want) == 0) {
				t.Errorf("the note is %q", r.Note)
			}
		})
	}
}

// TestNames: the products of a database are listed whatever the state folder has.
func TestNames(t *testing.T) {
	h := newHost(t)
	h.write("/var/lib/dpkg/status", "")
	digest := strings.Repeat("5a", 32)
	for _, tt := range []struct {
		name, answer string
		err          error
		want         []string
	}{
		{"none", "", nil, []string{"agent"}},
		{"all states", "agent\tinstalled\t1\tamd64\t" + digest + "\nbroken\thalf-configured\t1\tamd64\t" + digest + "\ntool\tinstalled\t1\tall\t\n" +
			"gone\tconfig-files\t1\tall\t" + digest + "\n", nil, []string{"agent", "broken"}},
		{"cannot be asked", "", errors.New("no memory"), []string{"agent"}},
	} {
		host := &installed.Host{Root: h.dir, Run: func(context.Context, ...string) (string, error) { return tt.answer, tt.err }}
		if got, err := host.Names(t.Context()); !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("%s: names %q, %v; want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

// TestRPMDatabase: rpm is asked about a copy of the database, which is gone afterwards;
// and what it says of one that it cannot open is not taken for an answer.
func TestRPMDatabase(t *testing.T) {
	h := newHost(t)
	h.write("/var/lib/rpm/Packages.db", "database")
	h.write("/var/lib/rpm/backup/Packages.db", "another")
	failed := errors.New("running rpm: exit status 1")
	closed := fmt.Errorf("%w: error: cannot open Packages database in /x", failed)
	warned := fmt.Errorf("%w: warning: Found bdb_ro Packages database while attempting sqlite backend: using bdb_ro backend", failed)
	for _, tt := range []struct {
		name, answer string
		err          error
		makes        string // a file in the folder
		note         string
		want         []string
	}{
		{"good", "agent\t1.4.0-7.el9\tx86_64\n\tvpkg-layout(sha256)\t" + h.digest() + "\n", nil, "Index.db", "", nil},
		{"not installed", "package agent is not installed\n", failed, "", "", []string{"record " + program + "/etc/layout.json"}},
		{"not installed, with a warning", "package agent is not installed\n", warned, "", "", []string{"record " + program + "/etc/layout.json"}},
		{"cannot be opened", "package agent is not installed\n", closed, "", "the package database could not be asked: " + closed.Error(), nil},
		{
			"of a kind that rpm does not know", "package agent is not installed\n", failed, "rpmdb.sqlite",
			"the package database could not be asked: this system's rpm knows no databases such as Packages.db", nil,
		},
	} {
		var dir string
		host := &installed.Host{Root: h.dir, Run: func(_ context.Context, argv ...string) (string, error) {
			dir = argv[2]
			if b, err := os.ReadFile(filepath.Join(dir, "Packages.db")); argv[1] != "--dbpath" || string(b) != "database" {
				t.Errorf("%s: it runs %q: %q, %v", tt.name, argv, b, err)
			}
			if tt.makes != "" {
				h.do(os.WriteFile(filepath.Join(dir, tt.makes), nil, 0o600))
			}
			return tt.answer, tt.err
		}}
		r, err := host.Verify(t.Context(), "agent", installed.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := found(r); r.Note != tt.note || !slices.Equal(got, tt.want) {
			t.Errorf("%s: found %q with %q, want %q with %q", tt.name, got, r.Note, tt.want, tt.note)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the copy is still there: %v", tt.name, err)
		}
	}
	h.do(os.Remove(h.at("/var/lib/rpm/Packages.db")))
	h.do(os.Symlink("/etc/shadow", h.at("/var/lib/rpm/Packages.db")))
	if r := h.wants(installed.Options{}); !strings.Contains(r.Note, "copying rpm's database: open /var/lib/rpm/Packages.db: it is no regular file") {
		t.Errorf("the note about a link is %q", r.Note)
	}
}

// TestAgainstPackage: the package file counts, whatever the record says.
func TestAgainstPackage(t *testing.T) {
	h := newHost(t)
	b, err := os.ReadFile(h.at(program + "/etc/layout.json"))
	h.do(err)
	p := &packaging.Package{Name: "agent", Version: "1.4.0", Release: "7.el8", Layout: append(slices.Clone(h.layout), packaging.Entry{
		Path: program + "/etc/layout.json", Mode: 0o644, Size: int64(len(b)), SHA256: sha256.Sum256(b),
	})}
	p.Layout.Sort()
	o := installed.Options{Package: p, Format: "rpm"}
	if r := h.wants(o); r.Trust != installed.ByPackage || r.Note == "" {
		t.Errorf("trust %s, %q", r.Trust, r.Note)
	}
	o.Signed = true
	if r := h.wants(o); r.Trust != installed.BySignedPackage || r.Note != "" {
		t.Errorf("trust %s, %q", r.Trust, r.Note)
	}
	h.write("/opt/agent/bin/agent", "another")
	h.entry("/opt/agent/bin/agent").SHA256 = sha256.Sum256([]byte("another"))
	h.record()
	h.wants(o, "content /opt/agent/bin/agent", "record "+program+"/etc/layout.json")
	h.do(os.Remove(h.at(program + "/etc/layout.json")))
	h.wants(o, "content /opt/agent/bin/agent", "record "+program+"/etc/layout.json")
	if _, err := h.database("agent\tinstalled\t1.4.1-1\tamd64\t\n", nil).Verify(t.Context(), "agent", o); err == nil || !strings.Contains(err.Error(), "1.4.1-1 is installed") {
		t.Errorf("another version: %v", err)
	}
}

// TestForeign: another maker's package, which has no record.
func TestForeign(t *testing.T) {
	h := newHost(t)
	h.write("/usr/bin/tool", "tool")
	h.do(os.Chmod(h.at("/usr/bin/tool"), 0o755))
	h.write("/usr/bin/others", "")
	entry := packaging.Entry{Path: "/usr/bin/tool", Mode: 0o755, Size: 4, SHA256: sha256.Sum256([]byte("tool"))}
	p := &packaging.Package{Name: "tool", Version: "1", Layout: packaging.Layout{entry}}
	verify := func(o installed.Options) (*installed.Result, error) {
		return (&installed.Host{Root: h.dir}).Verify(t.Context(), "tool", o)
	}
	if _, err := verify(installed.Options{}); !errors.Is(err, installed.ErrNotInstalled) {
		t.Errorf("without a package: %v", err)
	}
	o := installed.Options{Package: p, Format: "rpm"}
	if r, err := verify(o); err != nil || len(found(r)) > 0 {
		t.Errorf("%v, %v", r, err)
	}
	h.write("/usr/bin/tool", "TOOL")
	h.do(os.Chmod(h.at("/usr/bin/tool"), 0o700))
	if r, err := verify(o); err != nil || !slices.Equal(found(r), []string{"content /usr/bin/tool", "mode /usr/bin/tool"}) {
		t.Errorf("%v, %v", r, err)
	}
	p.Layout[0].NoVerify = []string{"md5", "mode"}
	if r, err := verify(o); err != nil || len(found(r)) > 0 {
		t.Errorf("%%verify(not md5 mode): %v, %v", found(r), err)
	}
	host := h.database("", errors.New("dpkg-query: no packages found matching tool"))
	host.Run = func(context.Context, ...string) (string, error) {
		return "", errors.New("dpkg-query: no packages found matching tool")
	}
	if _, err := host.Verify(t.Context(), "tool", o); !errors.Is(err, installed.ErrNotInstalled) {
		t.Errorf("not in the database: %v", err)
	}
	host.Run = func(context.Context, ...string) (string, error) { return "tool\tinstalled\t1\tamd64\t\n", nil }
	if _, err := host.Verify(t.Context(), "tool", installed.Options{}); !errors.Is(err, installed.ErrNoRecord) {
		t.Errorf("without a record: %v", err)
	}
}

// TestDEBFolders: dpkg leaves folders as they are that were there before.
func TestDEBFolders(t *testing.T) {
	h := newHost(t)
	h.write("/usr/lib/tool/x", "x")
	h.do(os.Symlink("usr/lib", h.at("/lib")))
	h.do(os.Chmod(h.at("/usr/lib/tool"), 0o700))
	h.do(os.Chmod(h.at("/usr/lib/tool/x"), 0o644))
	dir := func(p string) packaging.Entry { return packaging.Entry{Path: p, Mode: os.ModeDir | 0o755} }
	p := &packaging.Package{Name: "tool", Version: "1", Layout: packaging.Layout{
		dir("/lib"), dir("/lib/tool"),
		{Path: "/lib/tool/x", Mode: 0o644, Size: 1, SHA256: sha256.Sum256([]byte("x"))},
		dir("/usr/share/doc/tool"),
		{Path: "/usr/share/doc/tool/copyright", Mode: 0o644, SHA256: sha256.Sum256(nil)}, // left out in an image
	}}
	host := &installed.Host{Root: h.dir}
	r, err := host.Verify(t.Context(), "tool", installed.Options{Package: p, Format: "deb"})
	if err != nil || len(found(r)) > 0 {
		t.Errorf("deb: %q, %v", found(r), err)
	}
	r, err = host.Verify(t.Context(), "tool", installed.Options{Package: p, Format: "rpm"})
	if err != nil || !slices.Equal(found(r), []string{"mode /lib/tool", "type /lib"}) {
		t.Errorf("rpm: %q, %v", found(r), err)
	}
}
