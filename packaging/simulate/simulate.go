// Package simulate says what an installation, an upgrade, a downgrade or a removal of
// a package would do under the rules of rpm, dpkg or Windows Installer: which
// scriptlets and actions run, in which order and with which arguments, what happens
// to files and to configuration that an administrator has changed, and which services
// are stopped and started. It runs nothing.
//
// The rules are those of the tools' own sources and manuals, named where they stand,
// and are compared with what the tools do in the end-to-end tests. What other
// packages on a host add to it, their triggers above all, is not known.
package simulate

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// An Action is what happens to a package as a whole.
type Action string

// The actions.
const (
	Install   Action = "install"
	Upgrade   Action = "upgrade"
	Downgrade Action = "downgrade"
	Reinstall Action = "reinstall"
	Remove    Action = "remove"
	Purge     Action = "purge" // DEB: configuration goes as well
)

// changes reports whether a version takes another one's place, or its own.
func (a Action) changes() bool { return a == Upgrade || a == Downgrade || a == Reinstall }

// A Side is a package, as its Format read it with its payload.
type Side struct {
	File    string // name of the package file, for the report
	Package *packaging.Package

	// Hook is the configuration of the hook in the payload; nil for a package that
	// vpkg did not make.
	Hook *hooks.Config

	// Installer is what Windows Installer's rules need besides; nil for others.
	Installer *Installer
}

// A Case is what is to be simulated.
type Case struct {
	Format string // of both packages: "rpm", "deb" or "msi"
	Old    *Side  // what is installed; nil for an installation
	New    *Side  // what is to be installed; nil for a removal
	Purge  bool   // of a removal of a DEB

	// Compare is the format's order of versions, [EPOCH:]VERSION[-RELEASE]: negative
	// if a is older than b.
	Compare func(a, b string) int

	// Host says what is at a path of the host that has Old; nil means that no host is
	// looked at.
	Host func(path string) (Found, error)
}

// Found is what is at a path of a host.
type Found struct {
	Missing bool             // there is nothing
	Mode    fs.FileMode      // type and permissions
	SHA256  packaging.Digest // of a regular file
	Target  string           // of a link
}

// A Report is what would be done.
type Report struct {
	Version int    `json:"version"` // of this form: 1
	Format  string `json:"format"`
	Action  Action `json:"action"`
	Old     *Facts `json:"old,omitempty"`
	New     *Facts `json:"new,omitempty"`
	Host    bool   `json:"host"` // a host was looked at, so that each decision has one outcome

	// Refused says why the package manager does none of it, after the steps that it
	// takes before it finds out; empty means that it does. Services, configuration and
	// files stay as they are then, and are not listed.
	Refused string `json:"refused,omitempty"`

	Warnings []Warning  `json:"warnings"` // the heaviest first
	Notes    []Warning  `json:"notes"`    // what is worth to know, and right as it is
	Steps    []Step     `json:"steps"`    // in order
	Services []Service  `json:"services"`
	Config   []Decision `json:"config"`
	Files    []File     `json:"files"` // those that change, by path
	Same     int        `json:"same"`  // entries that stay as they are
}

// Facts are what the report says about a package at its top.
type Facts struct {
	File    string `json:"file"`
	Name    string `json:"name"`
	Version string `json:"version"` // [EPOCH:]VERSION[-RELEASE]
	Arch    string `json:"arch"`
}

// The kinds of warnings, the heaviest first. Those of notes are others.
const (
	DataLoss = "data-loss" // of an administrator's or the product's data
	Failure  = "failure"   // the package manager refuses, stops or leaves something undone
	Stopped  = "service"   // a service does not run afterwards
	Order    = "version"   // the new version does not sort higher
)

// A Warning is one line on what is dangerous, or of a note on what is to be known.
type Warning struct {
	Kind  string `json:"kind"`
	About string `json:"about,omitempty"` // a path, a unit, a scriptlet
	Text  string `json:"text"`
}

// A Step is one thing that the package manager does.
type Step struct {
	Kind string   `json:"kind"`           // "script", "trigger", "files", "config" or "action"
	Of   string   `json:"of,omitempty"`   // whose: "old" or "new"
	Name string   `json:"name"`           // "%pre", "postinst", "RemoveFiles"; of files what is done
	Args []string `json:"args,omitempty"` // of a script, as it gets them

	Number int    `json:"number,omitempty"` // of an action: its place in the sequence
	If     string `json:"if,omitempty"`     // it is only done if so; empty means always

	Does  []Effect `json:"does,omitempty"`
	Steps []Step   `json:"steps,omitempty"` // of RemoveExistingProducts: what the removal does
}

// An Effect is what a script or an action does, as far as it can be told.
type Effect struct {
	Verb  string `json:"verb"`           // of a service: "start", "stop", "restart", "try-restart", …; "delete"; else "do"
	Name  string `json:"name,omitempty"` // a unit, or a path
	Text  string `json:"text"`           // a line for people
	Maybe bool   `json:"maybe,omitempty"`

	folder bool // of delete: with all that is in it
}

// A Service says what becomes of a service.
type Service struct {
	Name    string   `json:"name"`
	Does    []string `json:"does"` // the verbs that it is subject to, in order
	Outcome string   `json:"outcome"`
}

// A simulation is a run of Run.
type simulation struct {
	Case
	action Action
	r      *Report

	olds, news       packaging.Layout // sorted; nil for none
	oldRows, newRows map[string]fileRow
	said             map[Warning]bool
}

// ErrUnlike is the error for two packages that do not replace each other.
var ErrUnlike = errors.New("neither package takes the other's place")

// Run simulates.
func Run(c Case) (*Report, error) {
	s := &simulation{Case: c, said: map[Warning]bool{}}
	if err := s.decide(); err != nil {
		return nil, err
	}
	s.r = &Report{
		Version: 1, Format: c.Format, Action: s.action, Host: c.Host != nil,
		Warnings: []Warning{}, Notes: []Warning{}, Steps: []Step{}, Services: []Service{}, Config: []Decision{}, Files: []File{},
	}
	if c.Old != nil {
		s.r.Old, s.olds = facts(c.Old), sorted(c.Old.Package.Layout)
	}
	if c.New != nil {
		s.r.New, s.news = facts(c.New), sorted(c.New.Package.Layout)
	}
	if err := s.files(); err != nil {
		return nil, err
	}
	s.versions()
	s.relations()
	switch c.Format {
	case "rpm":
		s.rpm()
	case "deb":
		s.deb()
	case "msi":
		s.msi()
	}
	if s.r.Refused != "" { // so nothing else comes about
		s.r.Warnings = slices.DeleteFunc(s.r.Warnings, func(w Warning) bool { return w.Kind != Order })
		s.warn(Failure, "", "%s", s.r.Refused)
		s.r.Config, s.r.Files = []Decision{}, []File{}
	} else {
		s.services()
		s.deletions()
	}
	order := []string{DataLoss, Failure, Stopped, Order}
	slices.SortStableFunc(s.r.Warnings, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)), strings.Compare(a.About, b.About))
	})
	return s.r, nil
}

// decide tells the action.
func (s *simulation) decide() error {
	switch {
	case !slices.Contains([]string{"rpm", "deb", "msi"}, s.Format):
		return fmt.Errorf("format %q has no rules", s.Format)
	case s.Old == nil && s.New == nil:
		return errors.New("no package is given")
	case s.Format == "msi" && (s.Old != nil && s.Old.Installer == nil || s.New != nil && s.New.Installer == nil):
		return errors.New("the tables of an MSI are missing")
	case s.Old == nil:
		s.action = Install
		return nil
	case s.New == nil:
		s.action = Remove
		if s.Purge {
			s.action = Purge
		}
		return nil
	}
	a, b := s.Old.Package, s.New.Package
	if s.Format == "msi" {
		if x, y := s.Old.Installer.UpgradeCode, s.New.Installer.UpgradeCode; !strings.EqualFold(x, y) && s.Old.Installer.ProductCode != s.New.Installer.ProductCode {
			return fmt.Errorf("the upgrade codes are %s and %s: %w", orNone(x), orNone(y), ErrUnlike)
		}
	} else if a.Name != b.Name {
		return fmt.Errorf("they are named %q and %q: %w", a.Name, b.Name, ErrUnlike)
	}
	switch c := s.order(); {
	case c < 0:
		s.action = Upgrade
	case c > 0:
		s.action = Downgrade
	default:
		s.action = Reinstall
	}
	return nil
}

func (s *simulation) order() int {
	a, b := s.Old.Package, s.New.Package
	if s.Format == "msi" { // a package of vpkg has its build besides, which Windows Installer does not see
		return cmp.Or(compareProducts(s.Old.Installer.Version, s.New.Installer.Version), s.Compare(a.EVR(), b.EVR()))
	}
	return s.Compare(a.EVR(), b.EVR())
}

func facts(s *Side) *Facts {
	return &Facts{File: s.File, Name: s.Package.Name, Version: s.Package.EVR(), Arch: s.Package.Arch}
}

// sorted gives a layout in its order. That of a package that was read is in it.
func sorted(l packaging.Layout) packaging.Layout {
	if slices.IsSortedFunc(l, func(a, b packaging.Entry) int { return strings.Compare(a.Path, b.Path) }) {
		return l
	}
	l = slices.Clone(l)
	l.Sort()
	return l
}

func (s *simulation) warn(kind, about, format string, args ...any) {
	if w := (Warning{kind, about, fmt.Sprintf(format, args...)}); !s.said[w] {
		s.said[w] = true
		s.r.Warnings = append(s.r.Warnings, w)
	}
}

func (s *simulation) note(kind, about, format string, args ...any) {
	if w := (Warning{kind, about, fmt.Sprintf(format, args...)}); !s.said[w] {
		s.said[w] = true
		s.r.Notes = append(s.r.Notes, w)
	}
}

func orNone(s string) string { return cmp.Or(s, "none") }

// below finds the first entry of a sorted layout whose path begins with prefix.
func below(l packaging.Layout, prefix string) (packaging.Entry, bool) {
	i, _ := slices.BinarySearchFunc(l, prefix, func(e packaging.Entry, p string) int { return strings.Compare(e.Path, p) })
	if i < len(l) && strings.HasPrefix(l[i].Path, prefix) {
		return l[i], true
	}
	return packaging.Entry{}, false
}

// within reports whether p is dir or below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}
