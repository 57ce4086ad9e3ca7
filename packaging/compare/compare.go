// Package compare says how two packages differ, whatever formats they have: what
// they say about themselves, their relations, scriptlets, accounts, services, the
// files that they lay down and how large these are.
//
// Differences are sorted by weight, so that what loses data or gives rights away
// stands before times. What differs only because the formats or the systems do,
// such as "x86_64" and "amd64", is set apart with its reason; see Rules. It
// compares what a Format read: contents are known by size and digest only.
package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// A Side is one of the two packages, as its Format read it, or a host that has one.
type Side struct {
	File    string // name of the package file, for the report
	Format  string // "rpm", "deb" or "msi"
	Size    int64  // bytes of the package file
	Package *packaging.Package

	// Texts are further parts of the package that are text, such as the actions of
	// an MSI in their order. Those of the same name are compared line by line.
	Texts []Text

	// Host is what a host is allowed that has the package installed; nil for a package
	// file.
	Host *Allowed
}

// Allowed says, by path, how a host may differ from the package.
type Allowed struct {
	Differ map[string]bool // its content may be another one
	Miss   map[string]bool // it may be missing
}

// A Text is a part of a package in a form to be read.
type Text struct {
	Name   string // "actions", or a table's name
	Weight Weight
	Body   string // lines
}

// Actions is the name of the Text that lists what an MSI does in its order.
const Actions = "actions"

// A Weight says how much a difference matters; the lower, the more.
type Weight int

// The weights, from the heaviest down.
const (
	DataLoss  Weight = iota // an upgrade could lose or overwrite something
	Rights                  // setuid, world-writable, capabilities, owners, access lists
	Scripts                 // what runs as root when the package is installed or removed
	Missing                 // what only A has
	Added                   // what only B has
	Services                // services, registry, environment
	Relations               // dependencies
	Access                  // other modes, and groups
	Content                 // what files hold, and where links point
	Metadata                // what the package says about itself
	Minor                   // times and packing
)

var weights = [...]struct{ name, title, means string }{
	{"data-loss", "Data loss", "An upgrade from A to B could lose or overwrite something."},
	{"rights", "Rights and owners", "Setuid, world-writable, capabilities, owners, accounts, access lists."},
	{"scripts", "Scripts", "What runs as root when the package is installed or removed."},
	{"missing", "Only in A", "Files, folders and links that B does not have."},
	{"added", "Only in B", "Files, folders and links that A does not have."},
	{"services", "Services and settings", "Services, registry and variables of the system."},
	{"relations", "Relations", "What the package needs, provides and excludes."},
	{"access", "Modes and groups", "Other permissions."},
	{"content", "Contents", "What files hold, and where links point."},
	{"metadata", "Metadata", "What the package says about itself."},
	{"minor", "Times and packing", "Nothing that a user sees."},
}

// String is the weight's name in JSON: "data-loss".
func (w Weight) String() string {
	if w < 0 || int(w) >= len(weights) {
		return fmt.Sprintf("Weight(%d)", int(w))
	}
	return weights[w].name
}

// Title is the heading under which differences of this weight stand.
func (w Weight) Title() string {
	if w < 0 || int(w) >= len(weights) {
		return w.String()
	}
	return weights[w].title
}

// MarshalText gives String.
func (w Weight) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// A Difference is one way in which the packages differ. Names and forms of its
// JSON are for programs to rely on: they are added to, never changed.
type Difference struct {
	Weight Weight `json:"weight"`

	// Kind is what differs: "file", "script", "trigger", "relation", "account",
	// "service", "registry", "environment", "control", "text" or "package".
	Kind string `json:"kind"`
	// Subject is a path, a phase, a name: which of its kind. SubjectB is what B
	// calls it, if that is another name.
	Subject  string `json:"subject"`
	SubjectB string `json:"subjectB,omitempty"`
	// Attribute is "missing" if only A has it and "extra" if only B has; else what
	// of it differs: "mode", "content", "text", …
	Attribute string `json:"attribute"`

	A string `json:"a,omitempty"` // the value in A; of "content" the SHA-256, "" if it is unknown
	B string `json:"b,omitempty"`

	SizeA *int64 `json:"sizeA,omitempty"` // of "content": bytes
	SizeB *int64 `json:"sizeB,omitempty"`

	Note  string   `json:"note,omitempty"`  // why it weighs what it does
	Below []string `json:"below,omitempty"` // of a folder on one side only: what is in it
	Lines []string `json:"lines,omitempty"` // of texts: a unified diff from A to B

	Rule   string `json:"rule,omitempty"`   // of an expected one: the rule that explains it
	Reason string `json:"reason,omitempty"` // and why

	a, b *packaging.Entry // of a file: what each side has, by its own path; nil for none

	relations [2]packaging.Relation // of a relation, what each side has
}

// A Report is all that was found.
type Report struct {
	Version int  `json:"version"` // of this form: 1
	Equal   bool `json:"equal"`   // there are no Differences

	A Facts `json:"a"`
	B Facts `json:"b"`

	Summary     []Count      `json:"summary"`     // the weights that occur, heaviest first
	Differences []Difference `json:"differences"` // by weight, then by subject
	Expected    []Difference `json:"expected"`    // what follows from the formats, by rule
	Sizes       Sizes        `json:"sizes"`
}

// Facts are what the report says about a package at its top.
type Facts struct {
	File      string `json:"file"`
	Format    string `json:"format"`
	Name      string `json:"name"`
	Version   string `json:"version"` // [EPOCH:]VERSION[-RELEASE]
	Arch      string `json:"arch"`
	Packed    int64  `json:"packed"`    // bytes of the package file
	Installed int64  `json:"installed"` // bytes of the files in it
	Entries   int    `json:"entries"`
}

// A Count says how many differences of a weight there are.
type Count struct {
	Weight Weight `json:"weight"`
	Count  int    `json:"count"`
}

// Packages compares a with b: b is the newer one, or the one to be judged.
func Packages(a, b Side) *Report {
	c := newComparison(a, b)
	c.metadata()
	c.relations()
	c.scripts()
	c.accounts()
	c.members()
	c.windows()
	c.texts()
	c.files()

	r := &Report{Version: 1, A: facts(a), B: facts(b), Sizes: c.sizes(), Summary: []Count{}, Differences: []Difference{}, Expected: []Difference{}}
	for i := range c.found {
		d := &c.found[i]
		if c.explain(d) {
			r.Expected = append(r.Expected, *d)
		} else {
			r.Differences = append(r.Differences, *d)
		}
	}
	order := func(x, y Difference) int {
		return cmp.Or(cmp.Compare(x.Weight, y.Weight), strings.Compare(x.Kind, y.Kind), strings.Compare(x.Subject, y.Subject))
	}
	slices.SortStableFunc(r.Differences, order)
	slices.SortStableFunc(r.Expected, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(ruleNumber(x.Rule), ruleNumber(y.Rule)), order(x, y))
	})
	r.Differences, r.Expected = fold(r.Differences), fold(r.Expected)
	for _, d := range r.Differences {
		if n := len(r.Summary); n == 0 || r.Summary[n-1].Weight != d.Weight {
			r.Summary = append(r.Summary, Count{Weight: d.Weight})
		}
		r.Summary[len(r.Summary)-1].Count++
	}
	r.Equal = len(r.Differences) == 0
	return r
}

func facts(s Side) Facts {
	p := s.Package
	return Facts{
		File: s.File, Format: s.Format, Name: p.Name, Version: p.EVR(), Arch: p.Arch,
		Packed: s.Size, Installed: p.Layout.Size(), Entries: len(p.Layout),
	}
}

// fold puts what is in a folder that only one side has below that folder. What
// weighs more than being there or not keeps a line of its own.
func fold(ds []Difference) []Difference {
	var out []Difference
	head := -1
	for _, d := range ds {
		if head >= 0 && d.Kind == "file" {
			h := &out[head]
			if d.Weight == h.Weight && d.Attribute == h.Attribute && d.Rule == h.Rule && strings.HasPrefix(d.Subject, h.Subject+"/") {
				h.Below = append(h.Below, d.Subject)
				continue
			}
		}
		out = append(out, d)
		if e := cmp.Or(d.a, d.b); d.Kind == "file" && (d.Weight == Missing || d.Weight == Added) && e.Mode.IsDir() {
			head = len(out) - 1
		}
	}
	return slices.Clip(out)
}

// A comparison is a run of Packages.
type comparison struct {
	a, b  Side
	found []Difference

	cross  bool   // the formats differ
	labelA string // of the system in A's release: ".el8"; empty means none
	labelB string

	program  [2]string           // the program's folder on each side; empty if unknown
	layout   [2]packaging.Layout // with names that the other side knows; sorted
	original [2]map[string]string
	shims    shims
	known    known
}

func newComparison(a, b Side) *comparison {
	c := &comparison{a: a, b: b, cross: a.Format != b.Format}
	c.labelA, c.labelB = label(a.Package.Release), label(b.Package.Release)
	for i, s := range [2]Side{a, b} {
		c.program[i] = programFolder(s.Package)
		c.layout[i] = slices.Clone(s.Package.Layout)
		c.layout[i].Sort()
	}
	c.pair()
	c.shims, c.known = newShims(c), newKnown(c)
	return c
}

func (c *comparison) add(d Difference) { c.found = append(c.found, d) }

// side gives the side with a format, if just one has it, and the other one.
func (c *comparison) side(format string) (s, other *Side, ok bool) {
	switch {
	case c.cross && c.a.Format == format:
		return &c.a, &c.b, true
	case c.cross && c.b.Format == format:
		return &c.b, &c.a, true
	}
	return nil, nil, false
}

// has says which format has d, if only one side has it.
func (c *comparison) has(d *Difference) string {
	switch d.Attribute {
	case "missing":
		return c.a.Format
	case "extra":
		return c.b.Format
	}
	return ""
}

// oneSided gives the attribute, weight and values of what only A (or B) has.
func oneSided(d Difference, onlyA bool, value string) Difference {
	if onlyA {
		d.Attribute, d.A = "missing", value
	} else {
		d.Attribute, d.B = "extra", value
	}
	return d
}

// pairs walks over two lists sorted by key and calls f with what has the same
// key on both sides, or with nil for a side that has none.
func pairs[T any](a, b []T, key func(*T) string, f func(a, b *T)) {
	byKey := func(x, y T) int { return strings.Compare(key(&x), key(&y)) }
	a, b = slices.SortedStableFunc(slices.Values(a), byKey), slices.SortedStableFunc(slices.Values(b), byKey)
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && key(&a[0]) < key(&b[0]):
			f(&a[0], nil)
			a = a[1:]
		case len(a) == 0 || key(&b[0]) < key(&a[0]):
			f(nil, &b[0])
			b = b[1:]
		default:
			f(&a[0], &b[0])
			a, b = a[1:], b[1:]
		}
	}
}
