package library

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzParseIndex(f *testing.F) {
	sum := strings.Repeat("ab", 32)
	f.Add([]byte(`[{"name":"a-1-1.el8.x86_64.rpm","format":"rpm","package":"a","version":"1-1.el8","os":"el8","arch":"x86_64","size":1,"sha256":"`+sum+`"}]`),
		[]byte(sum+"  a-1-1.el8.x86_64.rpm\n"))
	f.Add([]byte(`[{"name":"../a"}]`), []byte(sum+" *../a\n"))
	f.Fuzz(func(t *testing.T, index, sums []byte) {
		es, err := parseIndex(index, sums)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, e := range es {
			if !filepath.IsLocal(e.Name) || filepath.Base(e.Name) != e.Name || strings.ContainsAny(e.Name, "/\\:\x00\n \"'$`") || seen[e.Name] {
				t.Errorf("file name %q was accepted", e.Name)
			}
			seen[e.Name] = true
			if !strings.Contains(string(sums), e.Name) {
				t.Errorf("%q has no sum", e.Name)
			}
			if release, system, err := releaseOf(e.Version, e.Format, e.OS); err != nil || release == "" || system == "" {
				t.Errorf("version %q for %q is release %q for %q, %v", e.Version, e.OS, release, system, err)
			}
		}
		b, err := json.Marshal(es) // what was read is written back and read the same
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseIndex(b, sums); err != nil {
			t.Errorf("written back: %v", err)
		}
	})
}

func TestReleaseOf(t *testing.T) {
	for _, tt := range []struct{ version, format, system, release, label string }{
		{"25.2.20-10.el8", "rpm", "el8", "25.2.20-10", "el8"},
		{"25.2.20-10.el8", "rpm", "", "25.2.20-10", "el8"},
		{"1:2-3.debian13", "deb", "", "1:2-3", "debian13"},
		{"25.2.20-10", "msi", "windows", "25.2.20-10", "windows"},
		{"25.2.20-10", "msi", "", "25.2.20-10", "windows"},
		{"25.2.20-10", "rpm", "el8", "25.2.20-10", "el8"},
		{"25.2.20-10", "rpm", "", "", ""},
		{"25.2.20-10.", "rpm", "", "", ""},
		{"25.2.el8", "deb", "", "", ""}, // there is no release
		{"25.2-1.5", "rpm", "", "", ""},
	} {
		release, label, err := releaseOf(tt.version, tt.format, tt.system)
		if release != tt.release || label != tt.label || (err != nil) != (tt.release == "") {
			t.Errorf("%s of %s for %q: %q for %q, %v; want %q for %q", tt.version, tt.format, tt.system, release, label, err, tt.release, tt.label)
		}
	}
}

func FuzzParseProfile(f *testing.F) {
	f.Add([]byte(`{"name": "x", "key_lifespan": "unlimited", "allowed_uses_per_key": 5, "labels": {"env": "Production"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProfile(NewProfile("x"), b)
		if err != nil {
			return
		}
		b, err = json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseProfile(NewProfile("x"), b); err != nil || again != p {
			t.Errorf("%+v was written as %s and read as %+v, %v", p, b, again, err)
		}
	})
}
