package manifest

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/vpkg/vpkg/packaging"
)

type relationList struct {
	key   string
	kind  packaging.RelationKind
	texts *[]string
}

// lists gives the lists of r in the order in which packages have them.
func (r *Relations) lists() []relationList {
	return []relationList{
		{"prerequires", packaging.PreRequires, &r.PreRequires},
		{"requires", packaging.Requires, &r.Requires},
		{"recommends", packaging.Recommends, &r.Recommends},
		{"suggests", packaging.Suggests, &r.Suggests},
		{"supplements", packaging.Supplements, &r.Supplements},
		{"enhances", packaging.Enhances, &r.Enhances},
		{"provides", packaging.Provides, &r.Provides},
		{"conflicts", packaging.Conflicts, &r.Conflicts},
		{"breaks", packaging.Breaks, &r.Breaks},
		{"replaces", packaging.Replaces, &r.Replaces},
	}
}

// A commonRelation is one that every format can write.
type commonRelation struct{ name, op, version string }

var commonRE = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9+._-]*)(?:\s+(<=|>=|<|>|=)\s+([A-Za-z0-9][A-Za-z0-9.+~:-]*))?$`)

func parseCommon(s string) (commonRelation, error) {
	m := commonRE.FindStringSubmatch(s)
	if m == nil {
		return commonRelation{}, fmt.Errorf("relation %q is not NAME, or NAME >= VERSION, as common ones are", s)
	}
	return commonRelation{m[1], m[2], m[3]}, nil
}

// text writes the relation in a format's syntax.
func (r commonRelation) text(format string) string {
	switch {
	case r.op == "":
		return r.name
	case format == "deb":
		op := r.op
		if op == "<" || op == ">" {
			op += op // dpkg's < means <=
		}
		return fmt.Sprintf("%s (%s %s)", r.name, op, r.version)
	}
	return r.name + " " + r.op + " " + r.version
}

// relations gives what a package for t needs: vpkg's own, then common, the
// format's and the label's, then what the overrides say instead.
func (m *Manifest) relations(t Target) []packaging.Relation {
	var rs []packaging.Relation
	add := func(r packaging.Relation) {
		same := func(o packaging.Relation) bool {
			return o.Kind == r.Kind && o.Text == r.Text && slices.Equal(o.For, r.For)
		}
		if !slices.ContainsFunc(rs, same) {
			rs = append(rs, r)
		}
	}
	for _, r := range m.defaultRelations(t) {
		add(r)
	}
	for _, family := range []string{"common", t.Format, t.Label} {
		r := m.Dependencies[family]
		for _, l := range r.lists() {
			for _, text := range *l.texts {
				if family == "common" {
					c, err := parseCommon(text)
					if err != nil {
						continue // check has refused it
					}
					text = c.text(t.Format)
				}
				add(packaging.Relation{Kind: l.kind, Text: text})
			}
		}
	}
	for _, key := range []string{t.Format, t.Label} {
		r := m.Overrides[key].Dependencies
		for _, l := range r.lists() {
			if *l.texts == nil {
				continue
			}
			rs = slices.DeleteFunc(rs, func(o packaging.Relation) bool { return o.Kind == l.kind && o.For == nil })
			for _, text := range *l.texts {
				add(packaging.Relation{Kind: l.kind, Text: text})
			}
		}
	}
	return rs
}

// defaultRelations is what vpkg's own programs and scriptlets call, and no more.
// What scriptlets need cannot be overridden: without it they fail.
func (m *Manifest) defaultRelations(t Target) []packaging.Relation {
	var rs []packaging.Relation
	switch t.Format {
	case "rpm":
		rs = append(rs, packaging.Relation{Kind: packaging.Requires, Text: "/bin/sh", For: []packaging.Phase{packaging.PostInstall, packaging.PreRemove}})
		if m.Account.User != "" {
			// By file: the package is shadow-utils on Red Hat's systems and shadow on SUSE's.
			for _, tool := range []string{"/usr/sbin/groupadd", "/usr/sbin/useradd"} {
				rs = append(rs, packaging.Relation{Kind: packaging.Requires, Text: tool, For: []packaging.Phase{packaging.PreInstall}})
			}
		}
	case "deb":
		if m.Account.User != "" {
			rs = append(rs, packaging.Relation{Kind: packaging.PreRequires, Text: "passwd"})
		}
	}
	if len(m.Firewall.Services) > 0 {
		for _, text := range t.firewall {
			rs = append(rs, packaging.Relation{Kind: packaging.Requires, Text: text})
		}
	}
	if len(m.Modules) > 0 {
		rs = append(rs, packaging.Relation{Kind: packaging.Requires, Text: "kmod"})
	}
	return rs
}
