package verify

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging/manifest"
)

// PolicyFile is the name of the policy that is read where none is named.
const PolicyFile = ".vpkg-verify.yaml"

// A Policy says which findings count: what .vpkg-verify.yaml holds. The zero value
// is the default.
type Policy struct {
	// Disable names rules that find nothing, ours and those of MSI ("ICE33") and of
	// linters ("rpmlint:no-documentation", "shellcheck:SC2086").
	Disable []string `yaml:"disable,omitempty"`

	// Severity gives rules another severity than their own.
	Severity map[string]Severity `yaml:"severity,omitempty"`

	// Except lists rules that pass over some paths.
	Except []Exception `yaml:"except,omitempty"`

	// Folders are those that the files of the packages belong in, absolute: what is
	// elsewhere is a finding. Without any, the hook's configuration says it.
	Folders []string `yaml:"folders,omitempty"`

	// Installed is about hosts.
	Installed Installed `yaml:"installed,omitempty"`
}

// An Exception says that a rule passes over paths.
type Exception struct {
	Rule   string   `yaml:"rule"`
	Paths  []string `yaml:"paths"`  // as in a manifest's match: "/opt/agent/**"
	Reason string   `yaml:"reason"` // is wanted
}

// A Treatment says what becomes of a difference in a kind of files.
type Treatment string

// The treatments.
const (
	MustMatch Treatment = "must-match" // each difference is a finding
	MayDiffer Treatment = "may-differ" // content, size and times may; owner, mode and type are findings
	Ignore    Treatment = "ignore"     // nothing is a finding, not even that it is missing or extra
)

// Installed says how the kinds of files of an installed host are treated.
type Installed struct {
	Config  Treatment `yaml:"config,omitempty"`  // files marked as configuration; empty means MayDiffer
	Log     Treatment `yaml:"log,omitempty"`     // files in folders named log or logs, and *.log; empty means Ignore
	Runtime Treatment `yaml:"runtime,omitempty"` // what is in the data folders that the hook makes, in /run and in the state's folder; empty means Ignore
	Ghost   Treatment `yaml:"ghost,omitempty"`   // files owned but not in the payload; empty means Ignore

	Ignore []string `yaml:"ignore,omitempty"` // further paths, as in a manifest's match
}

// ParsePolicy reads the text of a policy. Unknown keys, values that mean nothing and
// names that are not among the rules are errors with file, line and column, all of
// them at once. file is how messages name it. An empty text is the zero Policy.
func ParsePolicy(file string, text []byte, rules []Rule) (*Policy, error) {
	p := new(Policy)
	if blank(text) {
		return p, nil
	}
	places, err := manifest.Decode(file, "policy", text, p)
	if err != nil {
		return nil, err
	}
	var errs []error
	bad := func(at, format string, args ...any) { errs = append(errs, places.Problem(at, format, args...)) }
	for i, name := range p.Disable {
		if err := CheckName(name, rules); err != nil {
			bad(fmt.Sprintf("disable[%d]", i), "%w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Severity)) {
		if err := CheckName(name, rules); err != nil {
			bad("severity."+name, "%w", err)
		}
	}
	for i, x := range p.Except {
		at := fmt.Sprintf("except[%d]", i)
		if err := CheckName(x.Rule, rules); err != nil {
			bad(at+".rule", "%w", err)
		}
		if strings.TrimSpace(x.Reason) == "" {
			bad(at+".reason", "%s.reason is empty: say why the rule does not hold there", at)
		}
		if len(x.Paths) == 0 {
			bad(at+".paths", "%s.paths is empty: disable takes a rule away for all paths", at)
		}
		for k, pattern := range x.Paths {
			if pattern == "" {
				bad(fmt.Sprintf("%s.paths[%d]", at, k), "%s.paths has an empty pattern", at)
			}
		}
	}
	for i, f := range p.Folders {
		if !strings.HasPrefix(f, "/") {
			bad(fmt.Sprintf("folders[%d]", i), "folders: %q is a relative path, want an absolute one", f)
		}
	}
	for _, t := range []struct {
		at    string
		value Treatment
	}{{"config", p.Installed.Config}, {"log", p.Installed.Log}, {"runtime", p.Installed.Runtime}, {"ghost", p.Installed.Ghost}} {
		if !slices.Contains([]Treatment{"", MustMatch, MayDiffer, Ignore}, t.value) {
			bad("installed."+t.at, "installed.%s is %q, want %s, %s or %s", t.at, t.value, MustMatch, MayDiffer, Ignore)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return p, nil
}

// blank reports whether a text has nothing but comments.
func blank(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// linters are the programs whose findings stand under "PROGRAM:NAME".
var linters = []string{"rpmlint", "lintian", "shellcheck"}

// Linter gives the program that a rule's name is of: "rpmlint" of
// "rpmlint:no-documentation"; empty if it is of none.
func Linter(name string) string {
	program, rest, ok := strings.Cut(name, ":")
	if ok && rest != "" && slices.Contains(linters, program) {
		return program
	}
	return ""
}

// CheckName gives an error for the name of a rule that is neither among rules nor a
// linter's, with the nearest one that there is.
func CheckName(name string, rules []Rule) error {
	if Linter(name) != "" || slices.ContainsFunc(rules, func(r Rule) bool { return r.Name == name }) {
		return nil
	}
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.Name
	}
	return fmt.Errorf("there is no rule %q%s", name, manifest.DidYouMean(name, names))
}

// Apply gives the findings that count, with the severities that the policy says, and
// how often each exception was used, in the policy's order. A nil Policy is the zero
// one.
func (p *Policy) Apply(findings []Finding) ([]Finding, []int) {
	if p == nil {
		return findings, nil
	}
	used := make([]int, len(p.Except))
	var left []Finding
	for _, f := range findings {
		if slices.Contains(p.Disable, f.Rule) {
			continue
		}
		if i := slices.IndexFunc(p.Except, func(x Exception) bool { return x.fits(f) }); i >= 0 {
			used[i]++
			continue
		}
		if s, ok := p.Severity[f.Rule]; ok {
			f.Severity = s
		}
		left = append(left, f)
	}
	return left, used
}

// fits reports whether the exception passes over a finding. What of its place stands
// after a colon, such as a line, does not count.
func (x Exception) fits(f Finding) bool {
	if x.Rule != f.Rule {
		return false
	}
	where, _, _ := strings.Cut(f.Where, ":")
	return slices.ContainsFunc(x.Paths, func(pattern string) bool {
		return pattern == f.Where || manifest.Match(pattern, where)
	})
}
