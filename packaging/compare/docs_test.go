package compare_test

import (
	"os"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging/compare"
)

// TestDocs: docs/diff.md lists the rules as they are.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/diff.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range compare.Rules() {
		if line := "| `" + r.Name + "` | " + r.Reason + " | " + r.Keeps + " |\n"; !strings.Contains(string(b), line) {
			t.Errorf("docs/diff.md has no line %s", line)
		}
		n++
	}
	if got := strings.Count(string(b), "\n| `"); got != n+10 { // and a line for each weight, two of them in one
		t.Errorf("docs/diff.md has %d lines of rules and weights, want %d", got, n+10)
	}
}
