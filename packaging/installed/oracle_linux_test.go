package installed_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/installed"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

// subject is a package without scripts, so that it can be installed below a folder.
func subject() *packaging.Package {
	file := func(p string, perm fs.FileMode, text string) packaging.Entry {
		return packagingtest.File(p, perm, []byte(text))
	}
	p := &packaging.Package{
		Name: "subject", Version: "1.0", Release: "1", Arch: "noarch", Summary: "is verified", Description: "It is verified.",
		License: "Apache-2.0", Maintainer: "Jo Doe <jo@example.com>", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Layout: packaging.Layout{
			packagingtest.Dir("/opt/subject", 0o755),
			file("/opt/subject/agent.conf", 0o640, "settings"),
			file("/opt/subject/first", 0o644, "two names"),
			packagingtest.Symlink("/opt/subject/link", "program"),
			file("/opt/subject/program", 0o755, "program"),
			file("/opt/subject/second", 0o644, "two names"),
			packagingtest.Dir("/opt/subject/sub", 0o750),
			file("/opt/subject/sub/deep", 0o644, "deep"),
		},
	}
	p.Layout[1].Config = packaging.ConfigNoReplace
	p.Layout[5].HardLink, p.Layout[5].Body = "/opt/subject/first", nil
	p.Layout[4].Owner, p.Layout[4].Group = "agent", "agent"
	return p
}

// tampered are the changes, with what rpm, dpkg and vpkg find. A manager's finding is
// "FLAGS PATH" without its dots and question marks.
var tampered = []struct {
	name           string
	tamper         func(h *host)
	rpm, dpkg, own []string
}{
	{"nothing", func(*host) {}, nil, nil, nil},
	{
		"one byte", func(h *host) { h.change("/opt/subject/program", "Program", 0o755) },
		[]string{"5 /opt/subject/program"},
		[]string{"5 /opt/subject/program"},
		[]string{"content /opt/subject/program"},
	},
	{
		"size", func(h *host) { h.change("/opt/subject/program", "longer program", 0o755) },
		[]string{"S5 /opt/subject/program"},
		[]string{"5 /opt/subject/program"},
		[]string{"content /opt/subject/program"},
	},
	{
		"mode", func(h *host) { h.do(os.Chmod(h.at("/opt/subject/program"), 0o777)) },
		[]string{"M /opt/subject/program"},
		nil, // dpkg compares contents alone
		[]string{"mode /opt/subject/program"},
	},
	{
		"owner", func(h *host) { h.do(os.Chown(h.at("/opt/subject/first"), 4243, 0)) },
		[]string{"U /opt/subject/first", "U /opt/subject/second"},
		nil,
		[]string{"owner /opt/subject/first"}, // two names, one file: it is told once
	},
	{
		"group", func(h *host) { h.do(os.Chown(h.at("/opt/subject/sub"), 0, 4243)) },
		[]string{"G /opt/subject/sub"},
		nil,
		[]string{"group /opt/subject/sub"},
	},
	{
		"link", func(h *host) {
			h.do(os.Remove(h.at("/opt/subject/link")))
			h.do(os.Symlink("/bin/sh", h.at("/opt/subject/link")))
		},
		[]string{"L /opt/subject/link"},
		nil,
		[]string{"link /opt/subject/link"},
	},
	{
		"missing", func(h *host) { h.do(os.Remove(h.at("/opt/subject/sub/deep"))) },
		[]string{"missing /opt/subject/sub/deep"},
		[]string{"missing /opt/subject/sub/deep"},
		[]string{"missing /opt/subject/sub/deep"},
	},
	{
		"missing folder", func(h *host) { h.do(os.RemoveAll(h.at("/opt/subject/sub"))) },
		[]string{"missing /opt/subject/sub", "missing /opt/subject/sub/deep"},
		[]string{"missing /opt/subject/sub", "missing /opt/subject/sub/deep"},
		[]string{"missing /opt/subject/sub"}, // which says what was in it
	},
	{
		"type", func(h *host) {
			h.do(os.Remove(h.at("/opt/subject/link")))
			h.change("/opt/subject/link", "program", 0o777)
		},
		[]string{"M5 /opt/subject/link"},
		nil,
		[]string{"type /opt/subject/link"},
	},
	{
		"hard link", func(h *host) {
			h.do(os.Remove(h.at("/opt/subject/second")))
			h.change("/opt/subject/second", "two names", 0o644)
		},
		nil, // rpm compares each name alone
		nil,
		[]string{"hardlink /opt/subject/second"},
	},
	{
		"configuration", func(h *host) { h.change("/opt/subject/agent.conf", "others", 0o640) },
		[]string{"S5 /opt/subject/agent.conf"},
		[]string{"5 /opt/subject/agent.conf"},
		nil, // it may differ
	},
	{
		"capabilities", func(h *host) {
			// cap_net_raw=ep: revision 2, effective; permitted 1<<13
			attribute := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
			setxattr(h, "/opt/subject/program", "security.capability", attribute)
		},
		[]string{"P /opt/subject/program"},
		nil,
		[]string{"capabilities /opt/subject/program"},
	},
	{
		"an account that is gone", func(h *host) { h.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n"); h.write("/etc/group", "root:x:0:\n") },
		[]string{"UG /opt/subject/program"},
		nil,
		[]string{"group /opt/subject/program", "owner /opt/subject/program"},
	},
	{
		"root's, for there is no such account", func(h *host) {
			h.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
			h.do(os.Chown(h.at("/opt/subject/program"), 0, 4242))
		},
		nil, // rpm takes an account that there is not for root
		nil,
		[]string{"owner /opt/subject/program"},
	},
}

// change writes a file without changing its time.
func (h *host) change(p, text string, mode fs.FileMode) {
	h.t.Helper()
	h.write(p, text)
	h.do(os.Chmod(h.at(p), mode))
	t := subject().Date
	h.do(os.Chtimes(h.at(p), t, t))
}

// flags reads what rpm -V and dpkg -V print, without what is about times.
func flags(out string) []string {
	var list []string
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if what := strings.Trim(strings.Map(func(r rune) rune {
			if strings.ContainsRune(".?T", r) {
				return -1
			}
			return r
		}, f[0]), " "); what != "" {
			list = append(list, what+" "+f[len(f)-1])
		}
	}
	return list
}

// below installs the package in a folder of its own and gives the host.
func below(t *testing.T, install func(dir, file string) error, f packaging.Format, p *packaging.Package) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir()}
	h.do(os.Chmod(h.dir, 0o755))
	h.write("/etc/passwd", "root:x:0:0::/:/bin/sh\nagent:x:4242:4242::/:/bin/sh\n")
	h.write("/etc/group", "root:x:0:\nagent:x:4242:\n")
	a, err := packaging.Build(t.Context(), t.TempDir(), p, f)
	h.do(err)
	h.do(install(h.dir, a.Path))
	return h
}

// agree compares what a manager finds with what it is to find, and with ours.
func agree(t *testing.T, h *host, p *packaging.Package, format string, manager, wantManager, wantOwn []string) {
	t.Helper()
	if !slices.Equal(manager, wantManager) {
		t.Errorf("%s finds %q, want %q", format, manager, wantManager)
	}
	host := &installed.Host{Root: h.dir}
	if format == "rpm" {
		host.Run = func(context.Context, ...string) (string, error) { return "", errors.New("not asked") }
	}
	r, err := host.Verify(t.Context(), "subject", installed.Options{Package: p, Format: format})
	if err != nil {
		t.Fatal(err)
	}
	if got := found(r); !slices.Equal(got, wantOwn) {
		t.Errorf("vpkg finds %q, want %q", got, wantOwn)
	}
}

func needRoot(t *testing.T, programs ...string) {
	t.Helper()
	oracle.Need(t, programs...)
	if os.Geteuid() != 0 {
		oracle.Skip(t, "it installs packages below a folder, which is for root alone")
	}
}

func run(argv ...string) (string, error) {
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%q: %w\n%s", argv, err, out)
	}
	return string(out), err
}

// TestRPMVerify: what rpm -V finds on the same host. docs/installed.md lists where and
// why that is something else.
func TestRPMVerify(t *testing.T) {
	needRoot(t, "rpm")
	for _, tt := range tampered {
		t.Run(tt.name, func(t *testing.T) {
			p := subject()
			h := below(t, installRPM, rpm.Format{}, p)
			tt.tamper(h)
			out, _ := exec.Command("rpm", "--root", h.dir, "--dbpath", "/var/lib/rpm", "-V", "--nodeps", "subject").Output() // 1 where something differs
			agree(t, h, p, "rpm", flags(string(out)), tt.rpm, tt.own)
		})
	}
}

// TestDpkgVerify is the same with dpkg -V, which knows sums alone.
func TestDpkgVerify(t *testing.T) {
	needRoot(t, "dpkg")
	for _, tt := range tampered {
		if slices.Contains([]string{"size", "group", "type", "capabilities"}, tt.name) {
			continue // nothing else comes of these
		}
		t.Run(tt.name, func(t *testing.T) {
			p := subject()
			p.Arch = "all"
			h := below(t, installDEB, deb.Format{}, p)
			tt.tamper(h)
			out, _ := exec.Command("dpkg", "--root="+h.dir, "-V", "subject").Output() // as rpm's
			agree(t, h, p, "deb", flags(string(out)), tt.dpkg, tt.own)
		})
	}
}

func setxattr(h *host, p, name, value string) {
	h.t.Helper()
	if err := unix.Setxattr(h.at(p), name, []byte(value), 0); err != nil {
		oracle.Skip(h.t, "attributes cannot be set here: "+err.Error())
	}
}

// TestLookup: what the databases say.
func TestLookup(t *testing.T) {
	digest := strings.Repeat("5a", 32)
	check := func(t *testing.T, h *host, want installed.Known) {
		t.Helper()
		host := &installed.Host{Root: h.dir}
		want.Record, _ = packaging.ParseDigest(digest)
		if got, err := host.Lookup(t.Context(), "subject"); err != nil || got != want {
			t.Errorf("it is %+v (%v), want %+v", got, err, want)
		}
		for _, name := range []string{"other", "subject-1.0", "subj*", "-x"} {
			if got, err := host.Lookup(t.Context(), name); !errors.Is(err, installed.ErrNotInstalled) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		if names, err := host.Names(t.Context()); err != nil || !slices.Equal(names, []string{"subject"}) {
			t.Errorf("names %q, %v; want the one whose digest the database has", names, err)
		}
	}
	t.Run("rpm", func(t *testing.T) {
		needRoot(t, "rpm")
		p := subject()
		p.Epoch = 3
		p.Relations = []packaging.Relation{{Kind: packaging.Provides, Text: "vpkg-layout(sha256) = " + digest}}
		h := below(t, installRPM, rpm.Format{}, p)
		for _, name := range []string{"rpmdb.sqlite-shm", "rpmdb.sqlite-wal"} { // rpm writes them when it reads
			if err := os.Remove(h.at("/var/lib/rpm/" + name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		before, err := os.ReadDir(h.at("/var/lib/rpm"))
		h.do(err)
		check(t, h, installed.Known{Format: "rpm", Name: "subject", EVR: "3:1.0-1", Arch: "noarch"})
		after, err := os.ReadDir(h.at("/var/lib/rpm"))
		h.do(err)
		if fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("the folder of the database has %v, before that %v", after, before)
		}
	})
	t.Run("dpkg", func(t *testing.T) {
		needRoot(t, "dpkg")
		p := subject()
		p.Arch, p.Epoch = "all", 3
		p.Fields = []packaging.Field{{Name: "Vpkg-Layout-Sha256", Value: digest}}
		check(t, below(t, installDEB, deb.Format{}, p), installed.Known{Format: "deb", Name: "subject", EVR: "3:1.0-1", Arch: "all"})
	})
	t.Run("none", func(t *testing.T) {
		if got, err := (&installed.Host{Root: t.TempDir()}).Lookup(t.Context(), "subject"); err != nil || got != (installed.Known{}) {
			t.Errorf("without a database: %+v, %v", got, err)
		}
	})
}

func installRPM(dir, file string) error {
	_, err := run("rpm", "--root", dir, "--dbpath", "/var/lib/rpm", "-i", "--nodeps", "--nosignature", file)
	return err
}

func installDEB(dir, file string) error {
	for _, d := range []string{"info", "updates"} {
		if err := os.MkdirAll(filepath.Join(dir, "var/lib/dpkg", d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		return err
	}
	_, err := run("dpkg", "--root="+dir, "-i", file)
	// dpkg looks accounts up on the host that it runs on, and takes root for agent.
	return errors.Join(err, os.Chown(filepath.Join(dir, "opt/subject/program"), 4242, 4242))
}
