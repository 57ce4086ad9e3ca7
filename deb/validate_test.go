package deb

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func TestValidate(t *testing.T) {
	script := func(ph packaging.Phase, body string) packaging.Script { return packaging.Script{Phase: ph, Body: body} }
	relation := func(k packaging.RelationKind, text string) func(*packaging.Package) {
		return func(p *packaging.Package) { p.Relations = []packaging.Relation{{Kind: k, Text: text}} }
	}
	member := func(name string, mode uint32) func(*packaging.Package) {
		return func(p *packaging.Package) {
			p.Members = []packaging.Member{{Name: name, Mode: mode, Body: packagingtest.Bytes(nil)}}
		}
	}
	entry := func(f func(*packaging.Entry)) func(*packaging.Package) {
		return func(p *packaging.Package) { f(&p.Layout[1]) }
	}
	for _, tt := range []struct {
		name   string
		change func(*packaging.Package)
		want   string // in the error; empty means that there is none
	}{
		{"good", func(*packaging.Package) {}, ""},
		{"capitals", func(p *packaging.Package) { p.Name = "Small" }, `package name "Small"`},
		{"underscore", func(p *packaging.Package) { p.Name = "a_b" }, `package name "a_b"`},
		{"one letter", func(p *packaging.Package) { p.Name = "a" }, "at least two"},
		{"version without a digit first", func(p *packaging.Package) { p.Version = "v1" }, `version "v1"`},
		{"caret in the version", func(p *packaging.Package) { p.Version = "1^git" }, `version "1^git"`},
		{"caret in the release", func(p *packaging.Package) { p.Release = "1^git" }, `release "1^git"`},
		{"no release", func(p *packaging.Package) { p.Release = "" }, ""},
		{"RPM's architecture", func(p *packaging.Package) { p.Arch = "x86_64" }, `called "amd64" in Debian`},
		{"RPM's noarch", func(p *packaging.Package) { p.Arch = "noarch" }, `called "all"`},
		{"any", func(p *packaging.Package) { p.Arch = "any" }, `architecture "any"`},
		{"other architecture", func(p *packaging.Package) { p.Arch = "kfreebsd-amd64" }, ""},
		{"no maintainer", func(p *packaging.Package) { p.Maintainer = "" }, "no maintainer"},
		{"two lines of vendor", func(p *packaging.Package) { p.Vendor = "a\nPackage: b" }, "vendor"},
		{"field of our own", func(p *packaging.Package) { p.Fields = []packaging.Field{{Name: "depends", Value: "a"}} }, "field depends is written"},
		{"field name", func(p *packaging.Package) { p.Fields = []packaging.Field{{Name: "a b", Value: "a"}} }, `field name "a b"`},
		{"field twice", func(p *packaging.Package) {
			p.Fields = []packaging.Field{{Name: "Tag", Value: "a"}, {Name: "tag", Value: "a"}}
		}, "field tag is there twice"},
		{"prefixes", func(p *packaging.Package) { p.Prefixes = []string{"/opt"} }, "relocation"},
		{"ELF", func(p *packaging.Package) { p.RequiresELF = true }, "RPM only"},
		{"codec", func(p *packaging.Package) { p.Compression.Codec = "lzma" }, `compression "lzma"`},
		{"zstd refused", func(p *packaging.Package) {
			p.Compression.Codec, p.Features = "zstd", map[string]bool{FeatureXZ: true}
		}, "does not read data.tar.zst"},
		{"zstd allowed", func(p *packaging.Package) {
			p.Compression.Codec, p.Features = "zstd", map[string]bool{FeatureZstd: true}
		}, ""},
		{"xz refused", func(p *packaging.Package) {
			p.Compression.Codec, p.Features = "xz", map[string]bool{}
		}, "does not read data.tar.xz"},
		{"supplements", relation(packaging.Supplements, "a"), "no such kind"},
		{"RPM's syntax", relation(packaging.Requires, "glibc >= 2.17"), `"glibc >= 2.17"`},
		{"rich relation", relation(packaging.Requires, "(aa or bb)"), `"(aa or bb)"`},
		{"no relation", relation(packaging.Requires, ""), "want NAME"},
		{"alternatives", relation(packaging.Requires, "aa (>= 1) | bb:any | cc(<<2~)"), ""},
		{"alternatives of conflicts", relation(packaging.Conflicts, "aa | bb"), "Conflicts has no alternatives"},
		{"version of provides", relation(packaging.Provides, "aa (>= 1)"), "NAME (= VERSION)"},
		{"operator", relation(packaging.Requires, "aa (> 1)"), "NAME"},
		{"transaction", func(p *packaging.Package) {
			p.Scripts = []packaging.Script{script(packaging.PostTrans, "#!/bin/sh\n")}
		}, "dpkg has no such script"},
		{"no #!", func(p *packaging.Package) { p.Scripts = []packaging.Script{script(packaging.PreRemove, "exit 0\n")} }, "prerm script: it begins without"},
		{"two scripts", func(p *packaging.Package) { p.Scripts = append(p.Scripts, p.Scripts[0]) }, "postinst script: there are two"},
		{"interpreter", func(p *packaging.Package) { p.Scripts[0].Interpreter = []string{"/bin/bash", "-e"} }, `#! line is "/bin/sh"`},
		{"same interpreter", func(p *packaging.Package) { p.Scripts[0].Interpreter = []string{"/bin/sh"} }, ""},
		{"trigger", func(p *packaging.Package) { p.Triggers = []packaging.Trigger{{Kind: "triggerin", On: []string{"a"}}} }, `trigger "triggerin"`},
		{"trigger name", func(p *packaging.Package) { p.Triggers = []packaging.Trigger{{Kind: "activate", On: []string{"a b"}}} }, "without spaces"},
		{"trigger names", func(p *packaging.Package) {
			p.Triggers = []packaging.Trigger{{Kind: "activate", On: []string{"a", "b"}}}
		}, "one name"},
		{"trigger priority", func(p *packaging.Package) {
			p.Triggers = []packaging.Trigger{{Kind: "activate", On: []string{"a"}, Priority: 1}}
		}, "dpkg has no priorities"},
		{"trigger script", func(p *packaging.Package) {
			p.Triggers = []packaging.Trigger{{Kind: "activate", On: []string{"a"}, Script: script("", "x")}}
		}, "dpkg calls postinst"},
		{"member with a dot", member("hook.json", 0o644), `"hook.json"`},
		{"member of our own", member("md5sums", 0o644), "package's own values"},
		{"member mode", member("hook", 0o4755), "mode 4755"},
		{"templates", member("templates", 0o644), ""},
		{"member twice", func(p *packaging.Package) {
			m := packaging.Member{Name: "hook", Body: packagingtest.Bytes(nil)}
			p.Members = []packaging.Member{m, m}
		}, "there twice"},
		{"member without content", func(p *packaging.Package) { p.Members = []packaging.Member{{Name: "hook"}} }, "no content"},
		{"large member", func(p *packaging.Package) {
			p.Members = []packaging.Member{{Name: "hook", Body: packagingtest.Bytes(nil), Size: 1 << 30}}
		}, "1073741824 bytes"},
		{"ghost", entry(func(e *packaging.Entry) { e.Ghost = true }), "no ghosts"},
		{"capabilities", entry(func(e *packaging.Entry) { e.Caps = "cap_chown=p" }), "cap_chown=p"},
		{"config", entry(func(e *packaging.Entry) { e.Config = packaging.ConfigReplace }), "DEB has no config"},
		{"config(missingok)", entry(func(e *packaging.Entry) { e.Config = packaging.ConfigMissingOK }), "DEB has no config(missingok)"},
		{"config folder", func(p *packaging.Package) { p.Layout[0].Config = packaging.ConfigNoReplace }, "file of its own"},
		{"config with a space", entry(func(e *packaging.Entry) { e.Path, e.Config = e.Path+" ", packaging.ConfigNoReplace }), "end in a space"},
		{"no body", entry(func(e *packaging.Entry) { e.Body = nil }), "has no content"},
		{"/opt", func(p *packaging.Package) { p.Layout[0] = packaging.Entry{Path: "/opt", Mode: fs.ModeDir | 0o755} }, "/opt: dpkg would remove it"},
	} {
		p := packagingtest.Small("deb", "amd64", 10)
		tt.change(p)
		var b bytes.Buffer
		_, err := Format{}.Write(t.Context(), &b, p)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error is %v, want it to say %q", tt.name, err, tt.want)
		case tt.want != "" && b.Len() > 0:
			t.Errorf("%s: %d bytes were written", tt.name, b.Len())
		}
	}
}

func TestFeatures(t *testing.T) {
	for _, tt := range []struct {
		dpkg   string
		ubuntu bool
		zstd   bool
	}{
		{"1.19.0", true, true},
		{"1.20.9", false, false},
		{"1.21.17", false, false},
		{"1.21.18", false, true},
		{"1.22.6", true, true},
	} {
		if f := Features(tt.dpkg, tt.ubuntu); f[FeatureZstd] != tt.zstd || !f[FeatureXZ] {
			t.Errorf("features of dpkg %s, Ubuntu %v, are %v, want zstd %v and xz", tt.dpkg, tt.ubuntu, f, tt.zstd)
		}
	}
}

// TestValidateAll checks that everything is reported at once.
func TestValidateAll(t *testing.T) {
	p := packagingtest.Small("deb", "x86_64", 10)
	p.Name, p.Maintainer = "A", ""
	p.Layout[1].Caps = "cap_chown=p"
	err := validate(p)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"A"`, "amd64", "maintainer", "cap_chown"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q says nothing of %s", err, want)
		}
	}
}
