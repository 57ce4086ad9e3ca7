package compare

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// relations compares dependencies. What is said in two syntaxes is one relation;
// what has the same name with other versions is one that changed.
func (c *comparison) relations() {
	a, b := relations(&c.a), relations(&c.b)
	// Three rounds: the same, the same in another syntax, of the same name.
	for _, same := range []func(x, y packaging.Relation) bool{
		func(x, y packaging.Relation) bool { return relationText(x) == relationText(y) },
		func(x, y packaging.Relation) bool {
			return c.cross && kindOf(x) == kindOf(y) && normal(x.Text) == normal(y.Text)
		},
		func(x, y packaging.Relation) bool {
			return kindOf(x) == kindOf(y) && slices.ContainsFunc(names(x.Text), func(n string) bool { return slices.Contains(names(y.Text), n) })
		},
	} {
		a = slices.DeleteFunc(a, func(x packaging.Relation) bool {
			i := slices.IndexFunc(b, func(y packaging.Relation) bool { return same(x, y) })
			if i < 0 {
				return false
			}
			if s, t := relationText(x), relationText(b[i]); s != t {
				c.add(Difference{Weight: Relations, Kind: "relation", Subject: names(x.Text)[0], Attribute: string(x.Kind), A: s, B: t})
			}
			b = slices.Delete(b, i, i+1)
			return true
		})
	}
	for _, r := range a {
		c.add(oneSided(Difference{Weight: Relations, Kind: "relation", Subject: names(r.Text)[0]}, true, relationText(r)))
	}
	for _, r := range b {
		c.add(oneSided(Difference{Weight: Relations, Kind: "relation", Subject: names(r.Text)[0]}, false, relationText(r)))
	}
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
func normal(text string) string { return strings.Join(strings.Fields(relationSyntax.Replace(text)), " ") }

var operator = regexp.MustCompile(`\s*(\(\s*)?(<<|<=|>>|>=|<|>|=).*`)

// names are those that a relation's alternatives have; there is at least one.
func names(text string) []string {
	var ns []string
	for alternative := range strings.SplitSeq(text, "|") {
		ns = append(ns, strings.TrimSpace(operator.ReplaceAllString(alternative, "")))
	}
	return ns
}
