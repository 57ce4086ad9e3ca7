package rpm_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/rpm"
)

// TestCompareEVR compares with what rpm itself says: see the head of the file.
func TestCompareEVR(t *testing.T) {
	table, err := os.ReadFile("testdata/vercmp.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] == "#" {
			continue
		}
		n++
		want, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		if got := rpm.CompareEVR(f[0], f[1]); got != want {
			t.Errorf("CompareEVR(%q, %q) = %d, want %d", f[0], f[1], got, want)
		}
		if got := rpm.CompareEVR(f[1], f[0]); got != -want {
			t.Errorf("CompareEVR(%q, %q) = %d, want %d", f[1], f[0], got, -want)
		}
	}
	if n < 100 {
		t.Errorf("the table has %d pairs", n)
	}
}

func FuzzCompareEVR(f *testing.F) {
	for _, s := range []string{"1.0~rc1", "1:2.0^git1-3.el8", "", "~", "^", "00", "a+b", "é"} {
		f.Add(s, "1.0", s)
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, ba, bc, ac := rpm.CompareEVR(a, b), rpm.CompareEVR(b, a), rpm.CompareEVR(b, c), rpm.CompareEVR(a, c)
		if ab != -ba {
			t.Errorf("%q and %q: %d one way and %d the other", a, b, ab, ba)
		}
		if rpm.CompareEVR(a, a) != 0 {
			t.Errorf("%q differs from itself", a)
		}
		if ab <= 0 && bc <= 0 && ac > 0 {
			t.Errorf("%q <= %q <= %q, but the first is the newest", a, b, c)
		}
	})
}
