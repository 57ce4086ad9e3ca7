package msi

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func TestShortNames(t *testing.T) {
	tests := []struct{ name, want string }{
		{"agent.exe", "agent.exe"},
		{"vpkg-hook.exe", "VPKG-H~1.EXE|vpkg-hook.exe"},
		{"vpkg-hooks.exe", "VPKG-H~2.EXE|vpkg-hooks.exe"},
		{"a b.txt", "AB~1.TXT|a b.txt"},
		{".profile", "PROFIL~1|.profile"},
		{"a.b.c", "AB~1.C|a.b.c"},
		{"read.markdown", "READ~1.MAR|read.markdown"},
		{"grüße.txt", "GRE~1.TXT|grüße.txt"},
		{"日本語", "_~1|日本語"},
		{"a+b,c;d=[e].x", "A_B_C_~1.X|a+b,c;d=[e].x"},
		{"NOEXT.", "NOEXT~1|NOEXT."},
	}
	s := newShortNames(nil)
	for _, tt := range tests {
		if got := s.fileName("/Program Files/A/" + tt.name); got != tt.want {
			t.Errorf("%q is %q, want %q", tt.name, got, tt.want)
		}
	}
}

var shortRE = regexp.MustCompile("^[A-Za-z0-9!#$%&'()@^_`{}~-]{1,8}(\\.[A-Za-z0-9!#$%&'()@^_`{}~-]{1,3})?$")

// Each name of a folder has a short one of its own, also where they are alike or
// where another file has the name that would be next.
func TestShortNamesAreUnique(t *testing.T) {
	var l packaging.Layout
	for i := range 3000 {
		l = append(l, packagingtest.File(fmt.Sprintf("/Program Files/A/component-%05d.data", i), 0o644, nil))
	}
	l = append(l, packagingtest.File("/Program Files/A/COMPON~2.DAT", 0o644, nil))
	s, seen := newShortNames(l), make(map[string]bool)
	for i := range l {
		short, _, _ := strings.Cut(s.fileName(l[i].Path), "|")
		if !shortRE.MatchString(short) || seen[strings.ToUpper(short)] {
			t.Fatalf("%s has the short name %q", l[i].Path, short)
		}
		seen[strings.ToUpper(short)] = true
	}
}

// What is installed on hosts has these identities. If they changed, the next version
// of a product would not know the files of the last one.
func TestIdentities(t *testing.T) {
	p := packagingtest.Rich("msi", "x64")
	ids, err := newIdentities(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, got, want string }{
		{"product", ids.product(p), "{5B5C4B55-2544-59F2-B6E3-E96F164172D6}"},
		{"component", ids.component("/Program Files/Conformance/bin/service.exe"), "{F5B968B3-023F-5EB2-85B8-A919631EFB8B}"},
		{"component in capitals", ids.component("/PROGRAM FILES/Conformance/bin/service.exe"), ids.component("/Program Files/Conformance/bin/service.exe")},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	next := *p
	next.Release = "5"
	if ids.product(&next) == ids.product(p) {
		t.Error("another build has the same ProductCode")
	}
}
