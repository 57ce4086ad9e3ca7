package rpm

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// differences from rpmbuild that are meant, each with its reason.
var rpmbuildDifferences = map[tag]string{
	tagOptFlags:     "flags of a C compiler, which had no part in the package",
	tagPlatform:     "names the distribution of the machine that built the package",
	tagFileClass:    "libmagic's words about each file; rpm itself does not use them",
	tagClassDict:    "belongs to FILECLASS",
	tagDependsDict:  "rpmbuild's has duplicates, and numbers from before it added rpmlib() requires; rpm -qp --filerequire is compared instead",
	tagFileDependsX: "belongs to DEPENDSDICT",
	tagFileDependsN: "belongs to DEPENDSDICT",
}

// differential is a package with everything that a spec file can say.
func differential() *packaging.Package {
	file, dir := packagingtest.File, packagingtest.Dir
	date := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	elf32 := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 100)...)
	elf64 := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 100)...)
	l := packaging.Layout{
		dir("/opt/d", 0o750),
		dir("/opt/d/bin", 0o755),
		file("/opt/d/bin/a32", 0o755, elf32),
		file("/opt/d/bin/a64", 0o644, elf64),
		file("/opt/d/bin/capable", 0o755, []byte("#!/bin/sh\n")),
		file("/opt/d/bin/link1", 0o755, elf64),
		packagingtest.Symlink("/opt/d/bin/sym", "../bin/a32"),
		file("/opt/d/bin/suid", 0o755|fs.ModeSetuid, []byte("#!/bin/sh\n")),
		file("/opt/d/doc/README", 0o644, []byte("read me\n")),
		file("/opt/d/doc/LICENSE", 0o644, []byte("license\n")),
		file("/opt/d/doc/doc", 0o644, []byte("doc\n")),
		file("/opt/d/doc/de", 0o644, []byte("deutsch\n")),
		file("/opt/d/empty", 0o600, nil),
		file("/opt/d/etc/config", 0o644, []byte("a\n")),
		file("/opt/d/etc/missingok", 0o644, []byte("b\n")),
		file("/opt/d/etc/noreplace", 0o640, []byte("c\n")),
		file("/opt/d/noverify", 0o644, []byte("d\n")),
		dir("/opt/d/sticky", 0o777|fs.ModeSticky),
		{Path: "/opt/d/etc/ghost", Mode: 0o600, Size: 5, Ghost: true},
		{Path: "/opt/d/etc/ghostconfig", Mode: 0o644, Ghost: true, Config: packaging.ConfigNoReplace},
	}
	for i := range l {
		e := &l[i]
		e.ModTime = date.Add(time.Duration(i) * time.Hour)
		switch e.Path {
		case "/opt/d":
			e.Group = "daemon"
		case "/opt/d/bin/capable":
			e.Caps = "cap_net_admin,cap_net_raw=ep"
		case "/opt/d/doc/README":
			e.Readme = true
		case "/opt/d/doc/LICENSE":
			e.Lic = true
		case "/opt/d/doc/doc":
			e.Doc = true
		case "/opt/d/doc/de":
			e.Lang = "de"
		case "/opt/d/etc/config":
			e.Config, e.Owner = packaging.ConfigReplace, "bin"
		case "/opt/d/etc/missingok":
			e.Config = packaging.ConfigMissingOK
		case "/opt/d/etc/noreplace":
			e.Config = packaging.ConfigNoReplace
		case "/opt/d/noverify":
			e.NoVerify = []string{"md5", "size", "mtime", "user"}
		case "/opt/d/bin/link1":
			for _, name := range []string{"/opt/d/another", "/opt/d/zlink"} {
				h := *e
				h.Path, h.Body = name, nil
				l = append(l, h)
			}
		}
	}
	l.Sort()
	first, _ := l.Lookup("/opt/d/bin/link1")
	for i := range l {
		switch e := &l[i]; e.Path {
		case "/opt/d/another":
			e.Body = first.Body
		case "/opt/d/bin/link1", "/opt/d/zlink":
			e.ModTime, e.HardLink, e.Body = first.ModTime, "/opt/d/another", nil
		}
	}
	sh := func(body string) packaging.Script { return packaging.Script{Body: body} }
	return &packaging.Package{
		Name: "differential", Epoch: 3, Version: "1.0~rc1", Release: "2.el8", Arch: "x86_64",
		Summary: "A test", Description: "Long\ntext with ümläuts.", License: "Apache-2.0", Vendor: "A Vendor",
		Maintainer: "A Packager <p@example.org>", Homepage: "https://example.org/", Group: "System/Daemons", Date: date,
		Prefixes: []string{"/opt"},
		Relations: []packaging.Relation{
			{Kind: packaging.Requires, Text: "foo >= 1.2, (bar or baz >= 2), /usr/bin/env"},
			{Kind: packaging.Requires, Text: "b <= 1:2-3"},
			{Kind: packaging.PreRequires, Text: "/usr/sbin/useradd"},
			{Kind: packaging.Requires, Text: "/bin/sh", For: []packaging.Phase{packaging.PostInstall, packaging.PreRemove}},
			{Kind: packaging.Requires, Text: "/bin/sh", For: []packaging.Phase{packaging.PreTrans}},
			{Kind: packaging.Requires, Text: "p q", For: []packaging.Phase{packaging.PostTrans, packaging.VerifyScript, packaging.PostRemove}},
			{Kind: packaging.Recommends, Text: "r1 > 5"},
			{Kind: packaging.Suggests, Text: "s1"},
			{Kind: packaging.Supplements, Text: "(su1 and su2)"},
			{Kind: packaging.Enhances, Text: "en1 < 7^git1"},
			{Kind: packaging.Conflicts, Text: "c1 < 2"},
			{Kind: packaging.Replaces, Text: "o1 < 3"},
			{Kind: packaging.Provides, Text: "prov = 1.0"},
			{Kind: packaging.Provides, Text: "prov(with)"},
		},
		Scripts: []packaging.Script{
			{Phase: packaging.PreInstall, Body: "echo pre"},
			{Phase: packaging.PostInstall, Interpreter: []string{"/opt/d/hook", "post", "--format", "rpm"}, Body: "echo post"},
			{Phase: packaging.PreRemove, Interpreter: []string{"/bin/bash"}, Body: "echo preun"},
			{Phase: packaging.PostRemove, Interpreter: []string{"/sbin/ldconfig"}},
			{Phase: packaging.PreTrans, Interpreter: []string{"<lua>"}, Body: `print("x")`},
			{Phase: packaging.PostTrans, Body: "echo posttrans"},
			{Phase: packaging.VerifyScript, Body: "exit 0"},
		},
		Triggers: []packaging.Trigger{
			{Kind: "triggerin", On: []string{"foo > 1", "bar"}, Script: sh("echo in")},
			{Kind: "triggerun", On: []string{"foo"}, Script: packaging.Script{Interpreter: []string{"/usr/bin/perl"}, Body: "print 1;"}},
			{Kind: "triggerpostun", On: []string{"foo"}, Script: sh("echo postun")},
			{Kind: "triggerprein", On: []string{"foo"}, Script: sh("echo prein")},
			{Kind: "filetriggerin", On: []string{"/usr/lib", "/opt/lib"}, Script: sh("echo filein")},
			{Kind: "filetriggerun", On: []string{"/usr/lib"}, Script: sh("echo fileun"), Priority: 2_000_000},
			{Kind: "filetriggerpostun", On: []string{"/usr/lib"}, Script: sh("echo filepostun")},
			{Kind: "transfiletriggerin", On: []string{"/usr/lib"}, Script: sh("echo transin"), Priority: 7},
			{Kind: "transfiletriggerun", On: []string{"/usr/share"}, Script: sh("echo transun")},
			{Kind: "transfiletriggerpostun", On: []string{"/usr/share"}, Script: packaging.Script{Interpreter: []string{"<lua>"}, Body: `print("a")`}},
		},
		Changelog: []packaging.Change{
			{Date: date.Truncate(24 * time.Hour), Author: "A B <a@example.org> - 1.0-2", Text: "- second\n- more"},
			{Date: date.AddDate(0, -1, 0).Truncate(24 * time.Hour), Author: "A B <a@example.org> - 1.0-1", Text: "- first"},
		},
		Layout:      l,
		Compression: packaging.Compression{Codec: "none"},
	}
}

// elfPackage is a package with this machine's own programs and libraries.
func elfPackage(t *testing.T) *packaging.Package {
	t.Helper()
	p := &packaging.Package{
		Name: "elf", Version: "1.0", Release: "1", Arch: "x86_64", Summary: "Programs", Description: "Programs.",
		License: "Apache-2.0", Date: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC),
		Relations:   []packaging.Relation{{Kind: packaging.Requires, Text: "zzz"}, {Kind: packaging.Provides, Text: "aaa"}},
		RequiresELF: true,
		Compression: packaging.Compression{Codec: "none"},
	}
	libm := ""
	for i, name := range []string{"/bin/true", "/bin/sh", "/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6", "/lib/x86_64-linux-gnu/libz.so.1"} {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		mode := fs.FileMode(0o755)
		if strings.Contains(name, "libz") {
			mode = 0o644
		}
		p.Layout = append(p.Layout, packagingtest.File(fmt.Sprintf("/opt/elf/%d-%s", i, name[strings.LastIndex(name, "/")+1:]), mode, b))
		libm += name
	}
	if !strings.Contains(libm, "libm") {
		t.Skip("there is no libm.so.6")
	}
	return p
}

func write(t *testing.T, p *packaging.Package) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := (Format{}).Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAsRPMBuild(t *testing.T) {
	empty := &packaging.Package{
		Name: "empty", Version: "1.0", Release: "1", Arch: noArch, Summary: "Nothing", Description: "Nothing.",
		License: "Apache-2.0", Date: time.Unix(1e9, 0), Compression: packaging.Compression{Codec: "none"},
	}
	large := differential()
	large.Name = "large"
	for i := range large.Layout {
		if large.Layout[i].Path == "/opt/d/etc/ghost" {
			large.Layout[i].Size = 5 << 30
		}
	}
	unused := maps.Clone(rpmbuildDifferences)
	for _, p := range []*packaging.Package{differential(), elfPackage(t), empty, large} {
		t.Run(p.Name, func(t *testing.T) {
			theirs, err := os.ReadFile(rpmbuild(t, p))
			if err != nil {
				t.Fatal(err)
			}
			ours := write(t, p)
			want, got := mustOpen(t, theirs), mustOpen(t, ours)
			compareTags(t, "signature header", tagList(want.signature), tagList(got.signature), map[tag]string{
				sigSHA1:   "of a header with the differences below",
				sigSHA256: "of a header with the differences below",
				sigMD5:    "of a header with the differences below",
				sigSize:   "of a header with the differences below",
			})
			w, g := tagList(want.main), tagList(got.main)
			compareTags(t, "header", w, g, rpmbuildDifferences)
			maps.DeleteFunc(unused, func(tag tag, _ string) bool { return w[tag] != g[tag] })
			if w, g := theirs[want.main.end():], ours[got.main.end():]; !bytes.Equal(w, g) {
				t.Errorf("payloads of %d and %d bytes differ", len(g), len(w))
			}
			for i, g := range mustRead(t, ours).Triggers {
				if want := p.Triggers[i].Priority; want != 0 && g.Priority != want {
					t.Errorf("%s has the priority %d, want %d", g.Kind, g.Priority, want)
				}
			}
			if w, g := mustRead(t, theirs), mustRead(t, ours); !reflect.DeepEqual(w, g) {
				t.Errorf("read as\n%+v\nwant\n%+v", g, w)
			}
		})
	}
	for tag, reason := range unused {
		t.Errorf("tag %d is never different, although %s", tag, reason)
	}
}

func mustRead(t *testing.T, b []byte) *packaging.Package {
	t.Helper()
	p, err := Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustOpen(t *testing.T, b []byte) *file {
	t.Helper()
	f, err := open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// mustWhole gives the entries of a header with all their data.
func mustWhole(t testing.TB, b *block) header {
	t.Helper()
	h, err := b.whole()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// tagList gives the values of each entry as text.
func tagList(b *block) map[tag]string {
	m := map[tag]string{}
	all, err := b.whole()
	if err != nil {
		panic(err)
	}
	for _, e := range all {
		f := fields{h: &block{header: header{e}}}
		switch {
		case e.typ.isString():
			m[e.tag] = fmt.Sprintf("type %d: %q", e.typ, f.strings(e.tag))
		case e.typ == typeBin:
			m[e.tag] = "binary: " + hex.EncodeToString(e.data)
		default:
			m[e.tag] = fmt.Sprintf("type %d: %d", e.typ, f.ints(e.tag))
		}
	}
	return m
}

// compareTags reports tags that differ without being allowed to.
func compareTags(t *testing.T, what string, want, got map[tag]string, allowed map[tag]string) {
	t.Helper()
	var tags []tag
	for g := range want {
		tags = append(tags, g)
	}
	for g := range got {
		if _, ok := want[g]; !ok {
			tags = append(tags, g)
		}
	}
	slices.Sort(tags)
	for _, g := range tags {
		if _, ok := allowed[g]; want[g] != got[g] && !ok {
			t.Errorf("%s, tag %d is\n\t%s\nwant\n\t%s", what, g, got[g], want[g])
		}
	}
}

// TestFileDepends asks rpm what each file of a package needs and provides.
func TestFileDepends(t *testing.T) {
	p := elfPackage(t)
	theirs := rpmbuild(t, p)
	ours := t.TempDir() + "/elf.rpm"
	if err := os.WriteFile(ours, write(t, p), 0o600); err != nil {
		t.Fatal(err)
	}
	query := func(name, tag string) []string {
		out, err := exec.CommandContext(t.Context(), "rpm", "-qp", "--qf", "[%{FILENAMES} %{"+tag+"}\n]", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(string(out)) {
			words := strings.Fields(line)
			slices.Sort(words)
			lines = append(lines, strings.Join(slices.Compact(words), " "))
		}
		return lines
	}
	// What a file requires has the wrong numbers in rpmbuild's package.
	if got, want := query(ours, "FILEPROVIDE"), query(theirs, "FILEPROVIDE"); !slices.Equal(got, want) {
		t.Errorf("files provide\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, line := range query(ours, "FILEREQUIRE") {
		if strings.Contains(line, "true") && (!strings.Contains(line, "rtld(GNU_HASH)") || !strings.Contains(line, "libc.so.6()(64bit)")) {
			t.Errorf("file requires: %s", line)
		}
	}
}
