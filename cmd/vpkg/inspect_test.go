package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"

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
