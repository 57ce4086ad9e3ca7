package deb

import (
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// TestControl pins the control file of the rich package.
func TestControl(t *testing.T) {
	const want = `Package: conformance
Version: 2:1.2.3~rc1-4.el8
Architecture: amd64
Maintainer: Vpkg Tests <tests@example.org>
Installed-Size: 42
Pre-Depends: passwd
Depends: libc6 (>= 2.28), nftables | iptables
Recommends: kmod
Suggests: ipset
Enhances: auditd
Conflicts: conformance-old
Breaks: conformance-plugin (<< 1.0)
Replaces: conformance-older (<= 0.9)
Provides: virtual-conformance (= 1.2.3)
Section: utils
Priority: extra
Homepage: https://example.org/conformance
License: Apache-2.0
Vendor: Vpkg Project
Description: a package with everything in it
 The first line.
 .
 A line after an empty one, with ümläuts: and a colon.
   * an indented line
Multi-Arch: foreign
Vpkg-Layout-Sha256: 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a
`
	if got := control(packagingtest.Rich("deb", "amd64"), 42); got != want {
		t.Errorf("control is\n%s\nwant\n%s", got, want)
	}
}

func TestControlDefaults(t *testing.T) {
	p := packagingtest.Small("deb", "all", 1)
	p.Description = ""
	p.Relations = []packaging.Relation{
		{Kind: packaging.Requires, Text: "a"},
		{Kind: packaging.Requires, Text: "b", For: []packaging.Phase{packaging.PostInstall, packaging.PreInstall}},
		{Kind: packaging.Requires, Text: "c", For: []packaging.Phase{packaging.PostInstall}},
		{Kind: packaging.Requires, Text: "d, e (>= 1)"},
	}
	p.Fields = []packaging.Field{{Name: "Empty"}, {Name: "Tag", Value: "one,\ntwo\n\nthree"}}
	got := control(p, 1)
	for _, want := range []string{
		"\nPre-Depends: b\n", "\nDepends: a, c, d, e (>= 1)\n", "\nSection: misc\n", "\nPriority: optional\n",
		"\nDescription: a small package\nTag: one,\n two\n .\n three\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("control has no %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "Empty") || strings.Contains(got, "Homepage") {
		t.Errorf("control has empty fields:\n%s", got)
	}
}

func TestParseParagraph(t *testing.T) {
	fields, err := parseParagraph("\nPackage: a\nX-Y:b \nDescription: c\n d\n .\n  e\n\tf\nDepends:\n g,\n h\n\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []packaging.Field{
		{Name: "Package", Value: "a"},
		{Name: "X-Y", Value: "b"},
		{Name: "Description", Value: "c\nd\n\n e\nf"},
		{Name: "Depends", Value: "\ng,\nh"},
	}
	if !slices.Equal(fields, want) {
		t.Errorf("fields are %q, want %q", fields, want)
	}
	if got := appendRelations(nil, packaging.Requires, fields[3].Value); len(got) != 2 || got[0].Text != "g" || got[1].Text != "h" {
		t.Errorf("folded relations are %q", got)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"no colon", "Package: a\nnonsense\n", `line 2: "nonsense" is no field`},
		{"no name", ": a\n", "line 1"},
		{"space in the name", "A b: c\n", "line 1"},
		{"comment", "# a: b\n", "line 1"},
		{"twice", "Package: a\npackage: b\n", "line 2: field package stands there twice"},
		{"continues nothing", " a\n", "line 1: continues a field"},
		{"two paragraphs", "A: b\n\nC: d\n", "line 2: empty line"},
	} {
		if _, err := parseParagraph(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want it to say %q", tt.name, err, tt.want)
		}
	}
}

func TestFill(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no package", "Version: 1\nArchitecture: all\n", "no field Package"},
		{"no version", "Package: a\nArchitecture: all\n", "no field Version"},
		{"no architecture", "Package: a\nVersion: 1\n", "no field Architecture"},
		{"epoch", "Package: a\nVersion: x:1\nArchitecture: all\n", `epoch "x"`},
		{"large epoch", "Package: a\nVersion: 2147483648:1\nArchitecture: all\n", "epoch"},
		{"only an epoch", "Package: a\nVersion: 1:\nArchitecture: all\n", "version is empty"},
	} {
		fields, err := parseParagraph(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if err := fill(new(packaging.Package), fields); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want it to say %q", tt.name, err, tt.want)
		}
	}
	var p packaging.Package
	if err := fill(&p, []packaging.Field{{Name: "package", Value: "a"}, {Name: "VERSION", Value: "3:1.0-beta-2"}, {Name: "Architecture", Value: "all"}}); err != nil {
		t.Fatal(err)
	}
	if p.Epoch != 3 || p.Version != "1.0-beta" || p.Release != "2" || p.EVR() != "3:1.0-beta-2" {
		t.Errorf("version is read as %d, %q, %q", p.Epoch, p.Version, p.Release)
	}
}

// FuzzControl writes back what it read, and reads the same again.
func FuzzControl(f *testing.F) {
	f.Add(control(packagingtest.Rich("deb", "amd64"), 42))
	f.Add("Package: a\nVersion: 1:2-3\nArchitecture: all\nDepends:\n a,\n b\nTag: x\n .\n y\n")
	f.Add("Package: a\nVersion: 1\nArchitecture: all\nDescription: .\n .\n")
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := parseParagraph(text)
		if err != nil {
			return
		}
		var p, again packaging.Package
		if err := fill(&p, fields); err != nil {
			return
		}
		written := control(&p, 1)
		fields, err = parseParagraph(written)
		if err != nil {
			t.Fatalf("reading\n%s\n%v", written, err)
		}
		if err := fill(&again, fields); err != nil {
			t.Fatalf("reading\n%s\n%v", written, err)
		}
		if second := control(&again, 1); second != written {
			t.Errorf("written\n%s\nand again\n%s", written, second)
		}
	})
}
