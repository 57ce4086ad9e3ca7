package deb

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
)

var update = flag.Bool("update", false, "write the golden files anew")

// versionTable holds dpkg's word on the order of each two of versions.
const versionTable = "testdata/version-order.txt"

var versions = []string{
	"0", "0~", "0~~", "0-0", "0-1", "00", "0.0", "1", "1~", "1~~", "1~~a", "1~rc1", "1~rc1-1", "1-1~", "1-1",
	"1-01", "1-1.1", "1-1+b1", "1.0", "1.0a", "1.0+", "1.0+dfsg-1", "1.0.1", "1.00.1", "1.a", "1.A", "1a", "1+",
	"1.2.3~rc1-4.el8", "1.2.3-4.el8", "1.2.3-10.el8", "1.2.3-4.el8.1", "1-2-3", "9", "10", "010", "1:0", "0:1", "1:0-1",
	"2:0~", "99999999999999999999", "100000000000000000000", "24.2.1-10.debian12", "24.2.1-9.debian12",
}

func parseTable(t *testing.T) [][3]string {
	t.Helper()
	b, err := os.ReadFile(versionTable)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][3]string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); !strings.HasPrefix(line, "#") && len(f) == 3 {
			rows = append(rows, [3]string(f))
		}
	}
	return rows
}

func TestCompareVersion(t *testing.T) {
	rows := parseTable(t)
	if want := len(versions) * (len(versions) - 1) / 2; len(rows) != want {
		t.Fatalf("%s has %d rows, want %d", versionTable, len(rows), want)
	}
	for _, r := range rows {
		want := map[string]int{"<": -1, "=": 0, ">": 1}[r[1]]
		if got := CompareVersion(r[0], r[2]); got != want {
			t.Errorf("CompareVersion(%q, %q) is %d, want %d", r[0], r[2], got, want)
		}
		if got := CompareVersion(r[2], r[0]); got != -want {
			t.Errorf("CompareVersion(%q, %q) is %d, want %d", r[2], r[0], got, -want)
		}
	}
}

// TestVersionTable asks dpkg again, when it does not write the table only about
// some of the rows.
func TestVersionTable(t *testing.T) {
	oracle.Need(t, "dpkg")
	says := func(v, w string) string {
		for _, op := range []struct{ name, sign string }{{"lt", "<"}, {"eq", "="}} {
			if exec.Command("dpkg", "--compare-versions", v, op.name, w).Run() == nil {
				return op.sign
			}
		}
		return ">"
	}
	if !*update {
		for i, r := range parseTable(t) {
			if i%9 != 0 {
				continue // each call takes milliseconds
			}
			if got := says(r[0], r[2]); got != r[1] {
				t.Errorf("dpkg says %s %s %s, and the table %s", r[0], got, r[2], r[1])
			}
		}
		return
	}
	var b strings.Builder
	b.WriteString("# A OP B, as `dpkg --compare-versions A lt B` and `... A eq B` have it; dpkg 1.21.22.\n" +
		"# go test ./deb -run TestVersionTable -update\n")
	for i, v := range versions {
		for _, w := range versions[i+1:] {
			fmt.Fprintf(&b, "%s %s %s\n", v, says(v, w), w)
		}
	}
	golden(t, versionTable, b.String())
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(string(b), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(want) {
			t.Fatalf("%s ends before line %d: %q", file, i+1, line)
		}
		if line != want[i] {
			t.Fatalf("%s, line %d is %q, and now %q", file, i+1, want[i], line)
		}
	}
	if n := strings.Count(got, "\n") + 1; n < len(want) {
		t.Fatalf("%s has %d lines more", file, len(want)-n)
	}
}

func TestCompareVersionOfOthers(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "0", 0},
		{"", "~", 1},
		{"a:1", "a:2", -1}, // no epoch, but dpkg's order all the same
		{" 1 ", "1", 0},
		{"1:", "0", 1},
		{"-", "0-0", 0},
	} {
		if got := CompareVersion(tt.a, tt.b); got != tt.want {
			t.Errorf("CompareVersion(%q, %q) is %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// FuzzCompareVersion checks that there is one order over all strings.
func FuzzCompareVersion(f *testing.F) {
	for i, v := range versions {
		f.Add(v, versions[(i+7)%len(versions)], versions[(i*5+1)%len(versions)])
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, ba, bc, ac := CompareVersion(a, b), CompareVersion(b, a), CompareVersion(b, c), CompareVersion(a, c)
		if CompareVersion(a, a) != 0 {
			t.Errorf("%q differs from itself", a)
		}
		if ab != -ba {
			t.Errorf("%q and %q: %d one way and %d the other", a, b, ab, ba)
		}
		if ab <= 0 && bc <= 0 && ac > 0 || ab == 0 && bc != ac {
			t.Errorf("%q %d %q %d %q, but the first and the last: %d", a, ab, b, bc, c, ac)
		}
	})
}
