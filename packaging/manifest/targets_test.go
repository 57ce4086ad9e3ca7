package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	const everything = "el7 el8 el9 el10 amzn2 amzn2023 sles12 sles15 ubuntu18 ubuntu20 ubuntu22 ubuntu24 debian10 debian11 debian12 debian13"
	tests := []struct {
		name, os, arch string // by |
		want           string
		err            string
	}{
		{"one", "el8", "x86_64", "el8/x86_64", ""},
		{"default architecture", "el8|debian12", "", "el8/x86_64 debian12/amd64", ""},
		{"lists and aliases", "c7,rocky9|jammy , trixie", "arm64", "el7/aarch64 el9/aarch64 ubuntu22/arm64 debian13/arm64", ""},
		{"once", "el8,c8,rhel8", "amd64,x86_64,x64", "el8/x86_64", ""},
		{"upper case", "EL8", "AMD64", "el8/x86_64", ""},
		{"all architectures", "el8", "all", "el8/x86_64 el8/aarch64 el8/ppc64le el8/s390x", ""},
		{"all of one architecture", "all", "s390x", "el7/s390x el8/s390x el9/s390x el10/s390x", ""},
		{"windows by name", "windows", "x64,arm64", "windows/x64 windows/arm64", ""},
		{"no system", "", "x86_64", "", "no --os given: want all, or some of " + strings.ReplaceAll(everything, " ", ", ") + ", windows"},
		{"near miss", "ubunt22,el8,debina12", "x86_65", "", `unknown system "ubunt22" (did you mean "ubuntu22"?)
unknown system "debina12" (did you mean "debian12"?)
unknown architecture "x86_65" (did you mean "x86_64"?)`},
		{"far", "plan9", "vax", "", "unknown system \"plan9\": want all, or some of " + strings.ReplaceAll(everything, " ", ", ") + ", windows\nunknown architecture \"vax\": want all, x86_64, aarch64, ppc64le or s390x"},
		{"not for it", "debian12,el8", "s390x", "", "debian12 has no architecture s390x: want amd64, arm64"},
		{"for none", "debian12", "amd64,s390x", "", "none of debian12 is for architecture s390x"},
		{"empty item", "el8,,", "", "", `unknown system ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			split := func(s string) []string {
				if s == "" {
					return nil
				}
				return strings.Split(s, "|")
			}
			ts, err := Select(split(tt.os), split(tt.arch))
			var names []string
			for _, x := range ts {
				names = append(names, x.String())
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if tt.err == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if _, ok := errors.AsType[*UsageError](err); !ok || !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("got error  %v\nwant UsageError %v", err, tt.err)
			}
		})
	}
}

func TestSelectAll(t *testing.T) {
	ts, err := Select([]string{"all"}, []string{"all"})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(Targets()); len(ts) != want {
		t.Errorf("got %d targets, want %d", len(ts), want)
	}
	seen := make(map[string]bool)
	for _, x := range ts {
		if x.Arch == "" || x.Compression.Codec == "" || x.ProvedBy == "" || seen[x.String()] {
			t.Errorf("target %+v", x)
		}
		if (x.RPMVersion() == "") == (x.Format == "rpm") {
			t.Errorf("%s: rpm version %q", x, x.RPMVersion())
		}
		seen[x.String()] = true
	}
}

// Names are for one system each, and none is a label and an alias at once.
func TestAliasesAreUnique(t *testing.T) {
	of := make(map[string]string)
	for _, l := range Labels() {
		for _, n := range append(Aliases(l), l) {
			if of[n] != "" || n != strings.ToLower(n) || n == "all" {
				t.Errorf("%s stands for %s and %s", n, of[n], l)
			}
			of[n] = l
		}
	}
	if len(of) < 50 {
		t.Errorf("only %d names", len(of))
	}
}

// The design's table of what is compressed how.
func TestTargetCodecs(t *testing.T) {
	codecs := map[string][]string{}
	for _, x := range Targets() {
		if c := x.Compression.Codec; !slices.Contains(codecs[c], x.Label) {
			codecs[c] = append(codecs[c], x.Label)
		}
	}
	got := fmt.Sprint(codecs["gzip"], codecs["zstd"])
	want := "[el7 el8 amzn2 sles12 sles15 debian10 debian11] [el9 el10 amzn2023 ubuntu18 ubuntu20 ubuntu22 ubuntu24 debian12 debian13]"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"bin/**", "bin", true},
		{"bin/**", "bin/a/b", true},
		{"bin/*", "bin/a/b", false},
		{"bin/*", "bin/a", true},
		{"**", "a/b/c", true},
		{"**/*.conf", "a.conf", true},
		{"**/*.conf", "a/b/c.conf", true},
		{"a/**/b", "a/b", true},
		{"a/**/b", "a/x/y/b", true},
		{"a/**/b", "a/x/y", false},
		{"bin", "binary", false},
		{".", ".", true},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.name, got)
		}
	}
}
