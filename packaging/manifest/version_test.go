package manifest

import (
	"slices"
	"testing"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/rpm"
)

// What is newer for people is newer for rpm and dpkg: a higher build of one
// target, and the same build for a later system.
func TestVersionOrder(t *testing.T) {
	m, err := Parse("vpkg.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	compare := map[string]func(a, b string) int{"rpm": rpm.CompareEVR, "deb": deb.CompareVersion}
	versions := []string{"1.2.3-9", "1.2.3-10", "1.2.10-1", "1.10.0-0", "2.0.0-0"}
	for format, labels := range map[string][]string{
		"rpm": {"el7", "el8", "el9", "el10"},
		"deb": {"debian10", "debian11", "debian12", "debian13"},
	} {
		var evrs []string
		for _, v := range versions {
			for _, l := range labels {
				if m.Version, err = ParseVersion(v); err != nil {
					t.Fatal(err)
				}
				evrs = append(evrs, m.Version.Number+"-"+m.release(targetFor(t, l, "amd64")))
			}
		}
		if !slices.IsSortedFunc(evrs, compare[format]) {
			t.Errorf("%s: not in order: %q", format, evrs)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for _, s := range []string{"", "1.2-3", "1.2.3", "1.2.3-", "1.2.3-a", "1.2.3-4.5", "v1.2.3-4", "01.2.3-4", "1.2.3-04", "1.2.3.4-5", "1.2.3-4 "} {
		if v, err := ParseVersion(s); err == nil {
			t.Errorf("ParseVersion(%q) = %v, want an error", s, v)
		}
	}
	if v, err := ParseVersion("17.2.0-20170809013111"); err != nil || v.String() != "17.2.0-20170809013111" {
		t.Errorf("got %v, %v", v, err)
	}
}
