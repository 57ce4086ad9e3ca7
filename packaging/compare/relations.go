package compare

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// relations compares dependencies. What is said in two syntaxes is one relation;
// what has the same name with other versions is one that changed.
func (c *comparison) relations() {
	a, b := relations(&c.a), relations(&c.b)
	add := func(x, y packaging.Relation) {
		if s, t := relationText(x), relationText(y); s != t {
			c.add(Difference{
				Weight: Relations, Kind: "relation", Subject: names(x.Text)[0], Attribute: string(x.Kind), A: s, B: t, relations: [2]packaging.Relation{x, y},
			})
		}
	}
	kind := func(r packaging.Relation) string { return string(kindOf(r)) + " " }
	// The same, the same in another syntax, and of the same name.
	a, b = match(a, b, func(r packaging.Relation) []string { return []string{relationText(r)} }, add)
	if c.cross {
		a, b = match(a, b, func(r packaging.Relation) []string { return []string{kind(r) + normal(r.Text)} }, add)
	}
	a, b = match(a, b, func(r packaging.Relation) []string {
		keys := names(r.Text)
		for i := range keys {
			keys[i] = kind(r) + keys[i]
		}
		return keys
	}, add)
	for side, rest := range [2][]packaging.Relation{a, b} {
		for _, r := range rest {
			d := oneSided(Difference{Weight: Relations, Kind: "relation", Subject: names(r.Text)[0]}, side == 0, relationText(r))
			d.relations[side] = r
			c.add(d)
		}
	}
}

// match calls f with the first relations of both lists that have a key in common,
// and gives what is left of the lists.
func match(a, b []packaging.Relation, keys func(packaging.Relation) []string, f func(x, y packaging.Relation)) (restA, restB []packaging.Relation) {
	byKey := map[string][]int{} // indexes in b
	for i, r := range b {
		for _, k := range keys(r) {
			byKey[k] = append(byKey[k], i)
		}
	}
	taken := make([]bool, len(b))
	find := func(r packaging.Relation) int {
		for _, k := range keys(r) {
			for is := byKey[k]; len(is) > 0; is = byKey[k] {
				byKey[k] = is[1:]
				if !taken[is[0]] {
					return is[0]
				}
			}
		}
		return -1
	}
	for _, r := range a {
		if i := find(r); i >= 0 {
			taken[i] = true
			f(r, b[i])
		} else {
			restA = append(restA, r)
		}
	}
	for i, r := range b {
		if !taken[i] {
			restB = append(restB, r)
		}
	}
	return restA, restB
}

// relations are a package's without the digest of the record, which is a fact of
// its own, and without repetitions.
func relations(s *Side) []packaging.Relation {
	var rs []packaging.Relation
	seen := map[string]bool{}
	for _, r := range s.Package.Relations {
		if t := relationText(r); !seen[t] && !strings.HasPrefix(r.Text, recordProvide) {
			seen[t] = true
			rs = append(rs, r)
		}
	}
	return rs
}

// relationText is "requires(post-install) /bin/sh".
func relationText(r packaging.Relation) string {
	if len(r.For) == 0 {
		return string(r.Kind) + " " + r.Text
	}
	var phases []string
	for _, p := range r.For {
		phases = append(phases, string(p))
	}
	return fmt.Sprintf("%s(%s) %s", r.Kind, strings.Join(phases, ","), r.Text)
}

// kindOf takes DEB's Pre-Depends for what they are in RPM: requirements.
func kindOf(r packaging.Relation) packaging.RelationKind {
	if r.Kind == packaging.PreRequires {
		return packaging.Requires
	}
	return r.Kind
}

var relationSyntax = strings.NewReplacer("(", " ", ")", " ", "<<", "<", ">>", ">")

// normal is a relation's text without what DEB writes otherwise than RPM:
// "libc6 (>= 2.31)" is "libc6 >= 2.31".
func normal(text string) string {
	return strings.Join(strings.Fields(relationSyntax.Replace(text)), " ")
}

var operator = regexp.MustCompile(`\s*(\(\s*)?(<<|<=|>>|>=|<|>|=).*`)

// names are those that a relation's alternatives have; there is at least one.
func names(text string) []string {
	var ns []string
	for alternative := range strings.SplitSeq(text, "|") {
		ns = append(ns, strings.TrimSpace(operator.ReplaceAllString(alternative, "")))
	}
	return ns
}
