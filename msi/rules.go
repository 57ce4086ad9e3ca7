package msi

import "github.com/vpkg/vpkg/msi/internal/ice"

// A Rule is one that Check looks at: see docs/msi-rules.md.
type Rule struct {
	Name    string // "ICE33", "VPKG02"
	Warning bool   // else its worst finding is an error
	Title   string // what must be so, a sentence
	Help    string // what to do about a finding, a sentence
}

// Rules lists them, the project's own last.
func Rules() []Rule {
	var all []Rule
	for _, r := range ice.Rules() {
		all = append(all, Rule{r.Number, r.Severity == ice.Warning, r.Title, r.Help})
	}
	return all
}
