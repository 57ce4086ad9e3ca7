package installed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/verify"
)

// A Trust says what vouches for what the host was compared with.
type Trust string

// The kinds of trust, the least first.
const (
	// ByRecord: the record on the host itself. Who can change files can change it.
	ByRecord Trust = "record"
	// ByDatabase: a record whose digest the package manager's database has.
	ByDatabase Trust = "database"
	// ByPackage: a package file that was given, whose signature is not known.
	ByPackage Trust = "package"
	// BySignedPackage: a package file with a good signature.
	BySignedPackage Trust = "signed-package"
)

// Trusts lists them, the least first.
var Trusts = []Trust{ByRecord, ByDatabase, ByPackage, BySignedPackage}

// Reaches reports whether t is at least least.
func (t Trust) Reaches(least Trust) bool {
	return slices.Index(Trusts, t) >= slices.Index(Trusts, least)
}

// Options say how a host is verified.
type Options struct {
	Policy *verify.Policy // nil means the zero one

	// Package is what a package file has that was given; nil means that the record
	// counts. Signed says that it has a good signature.
	Package *packaging.Package
	Format  string // of the package: "rpm", "deb" or "msi"
	Signed  bool

	// State looks at what the files do not say: units, processes, settings. nil means
	// that it is not looked at.
	State func(ctx context.Context, c hooks.Config) ([]Deviation, error)

	// Reading is called once with the bytes of all files, before they are read, and
	// gives what is then called with how many were read, by several goroutines, and
	// what is called at the end. nil means that nobody wants to know.
	Reading func(total int64) (read func(n int), done func())
}

// A Deviation is one way in which the host is not what the running product wants:
// platform.Deviation.
type Deviation struct{ Rule, Where, Text, Want, Got string }

// A Result is what was found. Names and forms of its JSON are for programs to rely
// on: they are added to, never changed.
type Result struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Format  string `json:"format,omitempty"` // of the database that has it; empty if there is none
	Root    string `json:"root,omitempty"`

	Trust Trust  `json:"trust"`
	Note  string `json:"note,omitempty"` // why it is no higher

	Checked   int              `json:"checked"`   // entries that were looked at
	Unchecked []Unchecked      `json:"unchecked"` // what could not be read
	Findings  []verify.Finding `json:"findings"`
}

// Unchecked is what nothing is known of.
type Unchecked struct {
	Path       string `json:"path"`
	Why        string `json:"why"`
	Permission bool   `json:"permission,omitempty"` // root could have read it
}

// A finding before it has its severity.
type finding struct{ rule, where, text, want, got string }

// Verify compares what is installed of a package with what it laid down. The error is
// about what could not be done at all: ErrNotInstalled, ErrNoRecord and others.
func (h *Host) Verify(ctx context.Context, name string, o Options) (*Result, error) {
	c := &check{host: h, o: o, result: &Result{Name: name, Root: h.Root, Unchecked: []Unchecked{}, Findings: []verify.Finding{}}}
	if o.Policy == nil {
		c.o.Policy = new(verify.Policy)
	}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return c.result, nil
}

// A check is a run of Verify.
type check struct {
	host   *Host
	o      Options
	result *Result

	product *product
	known   Known
	absent  bool // there is a database, and the package is not in it
	found   []finding
}

func (c *check) add(rule, where, want, got, format string, args ...any) {
	c.found = append(c.found, finding{rule, where, fmt.Sprintf(format, args...), want, got})
}

func (c *check) run(ctx context.Context) error {
	if err := c.find(ctx); err != nil {
		return err
	}
	c.result.Format = c.known.Format
	c.result.Version = cmp.Or(c.known.EVR, c.product.state.Version)
	layout := c.trust()
	p := c.product
	if c.o.Package != nil && c.known.EVR != "" && c.known.EVR != c.o.Package.EVR() {
		return fmt.Errorf("the package file is of version %s, and %s is installed", c.o.Package.EVR(), c.known.EVR)
	}
	if p.problem != nil && p.program() != "" {
		c.unchecked(p.program()+hooks.ConfigFile, fmt.Errorf("what the hook made is not known: %w", p.problem))
	}
	if layout != nil {
		if err := c.files(ctx, expect(layout, p.config, p.state, c.o.Policy.Installed)); err != nil {
			return err
		}
	}
	if err := c.state(ctx); err != nil {
		return err
	}
	c.finish()
	return nil
}

// find finds out what is installed.
func (c *check) find(ctx context.Context) error {
	name := c.result.Name
	var known Known
	var kerr error
	var asked sync.WaitGroup // rpm takes as long as some hundred files
	asked.Go(func() { known, kerr = c.host.Lookup(ctx, name) })
	p, found, err := c.host.find(ctx, name)
	asked.Wait()
	if kerr != nil && !errors.Is(kerr, ErrNotInstalled) {
		return kerr
	}
	c.known, c.absent = known, kerr != nil
	switch {
	case err == nil:
		c.product = p
		if c.o.Package == nil || p.program() == "" { // else it is compared with the others
			c.found = found
		}
		if c.absent {
			at := stateFile(name)
			if p.program() != "" {
				at = p.program() + hooks.RecordFile
			}
			c.add(ruleRecord, at, "", "", "the package database has no package of that name")
		}
		return nil
	case !errors.Is(err, ErrNotInstalled):
		return err
	case !known.Record.IsZero(): // it is vpkg's
		c.product = &product{name: name}
		c.found = []finding{c.product.lost("the package database has the package, and the installed state does not")}
		return nil
	case c.absent, known.Format == "" && c.o.Package == nil:
		return err
	case c.o.Package == nil:
		return ErrNoRecord
	}
	c.product = &product{name: name} // another maker's
	return nil
}

// trust finds out what there is to compare with, and what vouches for it; nil if there
// is nothing.
func (c *check) trust() packaging.Layout {
	r, p := c.result, c.product
	switch {
	case c.o.Package != nil && c.o.Signed:
		r.Trust = BySignedPackage
		return c.o.Package.Layout
	case c.o.Package != nil:
		r.Trust, r.Note = ByPackage, "no key has vouched for the package file"
		return c.o.Package.Layout
	}
	r.Trust = ByRecord
	switch k := c.known; {
	case p.digest.IsZero(), c.absent: // a finding says so
	case k.problem != nil:
		r.Note = "the package database could not be asked: " + k.problem.Error()
	case k.Format == "":
		r.Note = "there is no package database"
	case k.Record.IsZero():
		r.Note = "the package database has no digest of the record"
	case k.Record == p.digest:
		r.Trust = ByDatabase
	default:
		c.add(ruleRecord, p.program()+hooks.RecordFile, k.Record.String(), p.digest.String(), "the record is not the one that the package database knows")
	}
	return p.record
}

// files compares the files.
func (c *check) files(ctx context.Context, x *expectation) error {
	p := c.product
	s := c.host.scan(hooks.Config{Name: p.name, Program: p.program(), Data: p.config.Data, Folders: p.config.Folders})
	users, groups := c.host.accounts(ctx, s, "passwd"), c.host.accounts(ctx, s, "group")
	s.User, s.Group, s.Whole = users.name, groups.name, x.whole
	var total int64
	look := make(packaging.Layout, 0, len(x.layout)) // what may be anything is not looked at
	treatments := map[string]verify.Treatment{}      // other than must-match
	s.Skip = func(e *packaging.Entry) bool { return treatments[e.Path] == verify.MayDiffer }
	var ignored packaging.Layout // but is no stranger
	for i := range x.layout {
		e := &x.layout[i]
		t := x.treatment(e)
		if t == verify.Ignore {
			ignored = append(ignored, *e)
			continue
		}
		if t == verify.MayDiffer {
			treatments[e.Path] = t
		} else {
			total += e.Size
		}
		look = append(look, *e)
	}
	if c.o.Reading != nil {
		var done func()
		s.Hashed, done = c.o.Reading(total)
		defer done()
	}
	got, errs, err := s.Read(ctx, look)
	if err != nil {
		return err
	}
	for _, e := range errs {
		c.unchecked(e.Path, e.Err)
	}
	c.result.Checked = len(look) - len(errs)
	d := differences{check: c, x: x, want: look, got: got, ignored: ignored, treatments: treatments, users: users, groups: groups, scan: s}
	d.compare()
	return c.labels(ctx, got)
}

// unchecked notes what could not be read.
func (c *check) unchecked(at string, err error) {
	c.result.Unchecked = append(c.result.Unchecked, Unchecked{at, strings.ReplaceAll(err.Error(), "\n", " "), errors.Is(err, fs.ErrPermission) && os.Geteuid() > 0})
}

// state asks the product.
func (c *check) state(ctx context.Context) error {
	if c.o.State == nil || c.product.config.Name == "" {
		return nil
	}
	all, err := c.o.State(ctx, c.product.config)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.unchecked(path.Join(stateFolder, c.result.Name), fmt.Errorf("what is in force is not known: %w", err))
	}
	for _, d := range all {
		if slices.ContainsFunc(c.found, func(f finding) bool { return f.rule == d.Rule && f.where == d.Where }) {
			continue // what the hook makes was looked at with the files
		}
		c.found = append(c.found, finding{d.Rule, d.Where, d.Text, d.Want, d.Got})
	}
	return nil
}

// finish gives the findings their severities under the policy.
func (c *check) finish() {
	all := make([]verify.Finding, 0, len(c.found))
	for _, f := range c.found {
		v := verify.Finding{Rule: f.rule, Severity: verify.Error, Where: f.where, Text: f.text, Want: f.want, Got: f.got}
		if i := slices.IndexFunc(rules, func(r verify.Rule) bool { return r.Name == f.rule }); i >= 0 {
			v.Severity, v.Do = rules[i].Severity, rules[i].Do
		}
		all = append(all, v)
	}
	verify.Sort(all)
	counted, _ := c.o.Policy.Apply(all)
	c.result.Findings = append(c.result.Findings, counted...)
	slices.SortStableFunc(c.result.Unchecked, func(a, b Unchecked) int { return strings.Compare(a.Path, b.Path) })
}
