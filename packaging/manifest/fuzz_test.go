package manifest

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParse checks that any text gives a manifest or errors that have a place in
// it.
func FuzzParse(f *testing.F) {
	f.Add(small)
	f.Add("a: &x [*x]\nb: {<<: *x}\n? c\n: - d\n")
	f.Add("contents: [{destination: /a, mode: 0644}, null, 5]\n---\n")
	if a, err := txtar.ParseFile("testdata/resolve/agent.txtar"); err == nil {
		f.Add(string(a.Files[0].Data))
	}
	if b, err := os.ReadFile("../../templates/ven/vpkg.yaml"); err == nil {
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("vpkg.yaml", []byte(text))
		if (m == nil) == (err == nil) {
			t.Fatalf("manifest %v, error %v", m, err)
		}
		if err == nil {
			return
		}
		problems := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			problems = joined.Unwrap()
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		for _, e := range problems {
			p, ok := errors.AsType[*Problem](e)
			if !ok || p.Line < 1 || p.Column < 1 || p.Line > lines {
				t.Errorf("%v has no place in %d lines", e, lines)
			}
		}
	})
}
