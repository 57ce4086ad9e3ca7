package installed_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging/installed"
	"github.com/vpkg/vpkg/packaging/verify"
)

// TestRules: each has its texts, a name of its own, and a line in docs/installed.md;
// and each that package platform finds something by is among them.
func TestRules(t *testing.T) {
	doc, err := os.ReadFile("../../docs/installed.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range installed.Rules() {
		if r.What == "" || r.Do == "" || r.Explain == "" || r.Severity != verify.Error || slices.Contains(names, r.Name) {
			t.Errorf("rule %+v", r)
		}
		names = append(names, r.Name)
		if line := "| `" + r.Name + "` | " + r.What + " |\n"; !strings.Contains(string(doc), line) {
			t.Errorf("docs/installed.md has no line %s", line)
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../../platform/verify.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(x ast.Node) bool {
		spec, ok := x.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Rule") {
			return true
		}
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil || !slices.Contains(names, name) {
			t.Errorf("%s is not among the rules (%v)", name, err)
		}
		n++
		return true
	})
	if n < 20 {
		t.Errorf("package platform has %d rules", n)
	}
}
