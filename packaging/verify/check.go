package verify

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// A Subject is a package to be checked.
type Subject struct {
	Format  string             // "rpm", "deb" or "msi"
	Package *packaging.Package // with its Layout
	Scan    *Scan              // what was found in its files; nil means that nobody looked

	// Folders are those that its files belong in, absolute. Without any it is what the
	// hook's configuration says, and without that nothing.
	Folders []string

	// Compare compares two versions of the format; nil means that they are not.
	Compare func(a, b string) int

	// BuildHost is the host that an RPM says it was built on, and Source the file name
	// of its source package.
	BuildHost, Source string
}

// A rule is a Rule with what finds it; nil where somebody else does.
type rule struct {
	Rule
	check func(*checker)
}

// Rules gives the rules for packages, in the order of docs/verify.md. Those of
// Windows Installer and those for hosts are not among them.
func Rules() []Rule {
	all := make([]Rule, len(rules))
	for i, r := range rules {
		all[i] = r.Rule
	}
	return all
}

// NewFinding gives a finding of one of Rules.
func NewFinding(name, where, text string) Finding {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.Name == name })
	r := &rules[i].Rule // a name that is none is a mistake, which each test of the rule finds
	return Finding{Rule: name, Severity: r.Severity, Where: where, Text: text, Do: r.Do}
}

// Check applies the rules to a package. The findings are sorted.
func Check(s *Subject) []Finding {
	c := newChecker(s)
	for i := range rules {
		if rules[i].check != nil {
			c.rule = &rules[i].Rule
			rules[i].check(c)
		}
	}
	if s.Scan != nil {
		for _, l := range s.Scan.found {
			f := NewFinding(l.rule, l.where, l.text)
			if l.mild {
				f.Severity = Info
			}
			c.findings = append(c.findings, f)
		}
	}
	Sort(c.findings)
	return c.findings
}

// Sort puts findings in the order of a report: what is worst first, then by rule and
// place.
func Sort(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Where, b.Where), cmp.Compare(a.Text, b.Text))
	})
}

// A checker is the state of one Check.
type checker struct {
	*Subject
	rule     *Rule
	findings []Finding

	layout   packaging.Layout
	folders  map[string]bool // all folders that have an entry, or are one
	scripts  []*scriptlet
	units    []unit
	hook     *hooks.Config // nil if there is none, or not a valid one
	hookErr  error
	made     map[string]bool // accounts that the package makes: "user NAME", "group NAME"
	stems    []string        // the name of the package and its parts, by which its folders go
	linux    bool
	siblings bool // it requires other packages of the same product
}

func newChecker(s *Subject) *checker {
	c := &checker{Subject: s, layout: s.Package.Layout, folders: map[string]bool{}, linux: s.Format != "msi"}
	for i := range c.layout {
		e := &c.layout[i]
		if e.Mode.IsDir() {
			c.folders[e.Path] = true
		}
		for d := path.Dir(e.Path); d != "/" && !c.folders[d]; d = path.Dir(d) {
			c.folders[d] = true
		}
	}
	c.stems = stems(s.Package.Name)
	for _, r := range s.Package.Relations {
		if r.Kind == packaging.Requires || r.Kind == packaging.PreRequires {
			for _, st := range c.stems {
				c.siblings = c.siblings || strings.HasPrefix(r.Text, st)
			}
		}
	}
	if s.Scan != nil {
		c.units = readUnits(s.Scan.units)
		if b := s.Scan.config; b != nil {
			config, err := hooks.ParseConfig(b)
			if err == nil {
				c.hook = &config
			}
			c.hookErr = err
		}
	}
	c.scripts = c.readScripts()
	c.made = c.accounts()
	return c
}

// stems gives a package's name, and what of it other packages of the product share:
// of postgresql-15 also postgresql.
func stems(name string) []string {
	list := []string{name}
	if s := strings.TrimRight(name, "0123456789.-"); s != "" && s != name {
		list = append(list, s)
	}
	if s, _, ok := strings.Cut(name, "-"); ok && len(s) > 2 {
		list = append(list, s)
	}
	return list
}

func (c *checker) find(where, format string, args ...any) {
	c.findAs(c.rule.Severity, where, format, args...)
}

func (c *checker) findAs(s Severity, where, format string, args ...any) {
	c.findings = append(c.findings, Finding{Rule: c.rule.Name, Severity: s, Where: where, Text: fmt.Sprintf(format, args...), Do: c.rule.Do})
}

// within reports whether p is the folder dir or something in it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// isOwn reports whether a folder is the product's alone: one that it declares, or
// that has its name.
func (c *checker) isOwn(dir string) bool {
	if isShared(dir) {
		return false
	}
	if c.hook != nil && within(dir, c.hook.Program) || slices.ContainsFunc(c.Folders, func(f string) bool { return within(dir, f) }) {
		return true
	}
	if within(dir, "/opt") && strings.Count(dir, "/") > 1 {
		return true
	}
	return slices.ContainsFunc(strings.Split(dir, "/"), func(e string) bool { return slices.Contains(c.stems, e) })
}

// has reports whether the package lays a path down, or makes it when it is installed.
func (c *checker) has(p string) bool {
	if _, ok := c.layout.Lookup(p); ok || c.folders[p] {
		return true
	}
	if c.hook != nil {
		return within(p, "/var/lib/vpkg") || p == c.hook.LogFile() ||
			slices.ContainsFunc(c.hook.Folders, func(f hooks.Folder) bool { return within(p, f.Path) })
	}
	return false
}
