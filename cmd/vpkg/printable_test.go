package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain\n\ttext":      "plain\n\ttext",
		"Grüße, 全部":          "Grüße, 全部",
		"\x1b]0;title\x07":   `\x1b]0;title\x07`,
		"a\rb\x7f\x00":       `a\rb\x7f\x00`,
		"\u009b31m":          `\u009b31m`,
		"bad \x9b\xff bytes": `bad \x9b\xff bytes`,
		"\u202etxt.exe":      `\u202etxt.exe`,
		"":                   "",
	} {
		var b strings.Builder
		if n, err := fmt.Fprint(printable{&b}, in); err != nil || n != len(in) || b.String() != want {
			t.Errorf("%q is written as %q (%d, %v), want %q", in, b.String(), n, err, want)
		}
	}
}

// TestHostileNames has an entry that wants to look like two.
func TestHostileNames(t *testing.T) {
	var b strings.Builder
	p := &packaging.Package{Layout: packaging.Layout{{Path: "/a\n  -rw-r--r-- root:root 0 /b\x1b[2J", Mode: 0o644}}}
	if err := (&inspectOptions{files: true}).print(&b, inspection("rpm", p), p); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "\n") != 2 || strings.Contains(got, "\x1b") {
		t.Errorf("inspect shows\n%s", got)
	}
}
