package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"testing"
	"unicode"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// TestInspectNames: all names in the JSON begin with a small letter, as they do not
// where a type of another package is written as it is.
func TestInspectNames(t *testing.T) {
	for _, format := range []string{"rpm", "deb", "msi"} {
		p := packagingtest.Rich(format, "any")
		var b bytes.Buffer
		if err := writeJSON(&b, inspection(format, p)); err != nil {
			t.Fatal(err)
		}
		var all any
		if err := json.Unmarshal(b.Bytes(), &all); err != nil {
			t.Fatal(err)
		}
		var look func(v any)
		look = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				for name, v := range v {
					if unicode.IsUpper(rune(name[0])) {
						t.Errorf("%s: name %q", format, name)
					}
					look(v)
				}
			case []any:
				for _, v := range v {
					look(v)
				}
			}
		}
		look(all)
	}
}

// TestEntryLine has modes that Go writes in a form of its own.
func TestEntryLine(t *testing.T) {
	for want, e := range map[string]packaging.Entry{
		"  -rwsr-xr-x root:root                 7 /bin/su\n":         {Path: "/bin/su", Mode: 0o755 | fs.ModeSetuid, Size: 7},
		"  drwxrwxrwt root:root                 0 /tmp\n":            {Path: "/tmp", Mode: 0o777 | fs.ModeDir | fs.ModeSticky},
		"  lrwxrwxrwx root:root                 0 /lib -> usr/lib\n": {Path: "/lib", Mode: 0o777 | fs.ModeSymlink, Target: "usr/lib"},
	} {
		if got := entryLine(&e); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}
