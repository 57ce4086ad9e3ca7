package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// A product is one whose sequence runs.
type product struct {
	side     *Side
	x        *Installer
	comes    bool              // else it goes
	value    map[string]string // properties
	unknown  map[string]bool   // properties that a search of the host may set
	upgrades bool              // FindRelatedProducts has found the old product, to be removed
	refused  string            // the launch condition that does not hold
}

// msi lists the actions of InstallExecuteSequence whose conditions hold, in order.
// Actions for a rollback are left out, and those of a commit stand where they run,
// after InstallFinalize.
func (s *simulation) msi() {
	switch s.action {
	case Remove, Purge:
		p := s.product(s.Old, false)
		if s.action == Purge {
			p.value["REMOVEDATA"] = "1"
		}
		s.r.Steps = s.sequence(p)
		return
	case Install:
		p := s.product(s.New, true)
		s.r.Steps = s.sequence(p)
		s.r.Refused = p.refused
		return
	}
	p := s.product(s.New, true)
	old := s.Old.Installer
	if strings.EqualFold(p.x.ProductCode, old.ProductCode) {
		p.value["Installed"], p.value["ProductState"] = "00:00:00", "5"
		p.value["REINSTALL"] = "ALL"
		p.set("REINSTALLMODE", "omus")
		if p.x.PackageCode != old.PackageCode {
			s.warn(Failure, "", "both have the product code %s and different package codes: Windows Installer refuses with 1638, that another version is installed, unless it is called with REINSTALL=ALL REINSTALLMODE=vomus", p.x.ProductCode)
		} else {
			s.warn(Order, "", "the package is the same: msiexec /i does nothing, and msiexec /f repairs, which is what is shown")
		}
		s.r.Steps = s.sequence(p)
		return
	}
	found := false
	for _, r := range p.x.Upgrades {
		if !r.matches(old) {
			continue
		}
		found = true
		p.value[r.ActionProperty] = old.ProductCode
		if r.Attributes&onlyDetect == 0 {
			p.upgrades = true
		}
	}
	s.r.Steps = s.sequence(p)
	switch {
	case p.refused != "":
		s.r.Refused = p.refused
	case !found:
		s.warn(Failure, "", "the table Upgrade of %s does not find %s: both are installed afterwards, and share their files", s.New.Package.EVR(), s.Old.Package.EVR())
	case !p.upgrades:
		s.warn(Failure, "", "%s finds %s and does not remove it: both are installed afterwards, and share their files", s.New.Package.EVR(), s.Old.Package.EVR())
	}
	if s.action == Downgrade {
		s.warn(Order, "", "%s sorts lower than %s", s.New.Package.EVR(), s.Old.Package.EVR())
	}
	if s.action == Reinstall {
		s.warn(Order, "", "the first three fields of the version are the same, and Windows Installer does not look at more")
	}
}

func (p *product) set(name, value string) {
	if p.value[name] == "" {
		p.value[name] = value
	}
}

// product is one that is to be installed or removed on a Windows 10, by an
// administrator, without properties on the command line.
func (s *simulation) product(side *Side, comes bool) *product {
	p := &product{side: side, x: side.Installer, comes: comes, value: map[string]string{}, unknown: map[string]bool{}}
	maps.Copy(p.value, p.x.Properties)
	maps.Copy(p.value, map[string]string{
		// SDK, "Property Reference": of every Windows from 10 on
		"VersionNT": "603", "VersionNT64": "603", "WindowsBuild": "9600", "Msix64": "6", "Intel": "6",
		"Privileged": "1", "AdminUser": "1", "UILevel": "2", "VersionMsi": "5.00", "ProductState": "-1", "TerminalServer": "",
	})
	if !comes {
		p.value["Installed"], p.value["REMOVE"], p.value["ProductState"] = "00:00:00", "ALL", "5"
	}
	for _, f := range p.x.Searches {
		if strings.EqualFold(f.Name, "CurrentMajorVersionNumber") {
			p.value[f.Property] = "#10"
			continue
		}
		p.unknown[f.Property] = true
		if s.Old == nil {
			continue
		}
		for _, v := range s.Old.Installer.Registry { // what the installed product has written
			if f.Key != "" && strings.EqualFold(f.Key, v.Key) && strings.EqualFold(f.Name, v.Name) {
				p.value[f.Property] = v.Value
				delete(p.unknown, f.Property)
			}
		}
	}
	return p
}

// holds evaluates a condition; sure is false if a search of the host decides.
func (p *product) holds(condition string) (holds, sure bool, err error) {
	if condition == "" {
		return true, true, nil
	}
	eval := func(searched string) (bool, error) {
		return p.x.Holds(condition, func(name string) string {
			switch name[0] {
			case '$', '&': // to be installed locally, or to be absent
				return either(p.comes, "3", "2")
			case '?', '!': // is absent, or local
				return either(p.comes && p.value["Installed"] == "", "2", "3")
			case '%':
				return ""
			}
			if p.unknown[name] {
				return searched
			}
			return p.value[name]
		})
	}
	without, err := eval("")
	if err != nil {
		return false, true, err
	}
	with, err := eval("1")
	return without || with, without == with, err
}

// sequence runs the sequence of a product.
func (s *simulation) sequence(p *product) []Step {
	var out, commits []Step
	for _, a := range p.x.Sequence {
		if a.Number < 1 || a.Rollback || p.refused != "" {
			continue
		}
		holds, sure, err := p.holds(a.Condition)
		if err != nil {
			s.warn(Failure, a.Name, "its condition %q is wrong: %v", a.Condition, err)
			continue
		}
		if !holds {
			continue
		}
		t := Step{Kind: "action", Of: s.of(p.side), Name: a.Name, Number: a.Number}
		if !sure {
			t.If = a.Condition
		}
		switch {
		case a.Does != "":
			t.Does = s.custom(p, a)
			if a.Sets != "" && sure {
				p.value[a.Sets] = p.formatted(a.Target)
			}
		default:
			s.standard(p, &t)
		}
		if a.Commit {
			commits = append(commits, t)
			continue
		}
		out = append(out, t)
		if a.Name == "InstallFinalize" {
			out = append(out, commits...)
			commits = nil
		}
	}
	return append(out, commits...)
}

// formatted replaces properties in a text, and keeps what it does not know.
func (p *product) formatted(text string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, ok := strings.Cut(rest, "]")
		if !ok {
			b.WriteString("[" + rest)
			return b.String()
		}
		switch v, has := p.value[name]; {
		case has || !p.unknown[name] && name == strings.ToUpper(name) && !isFolder(name):
			b.WriteString(v)
		default:
			b.WriteString("[" + name + "]")
		}
		text = after
	}
}

// isFolder reports whether a property is one of a folder, which CostFinalize sets.
func isFolder(name string) bool {
	return strings.HasSuffix(name, "FOLDER") || strings.HasSuffix(name, "DIR")
}

// custom says what a custom action does: the hook's plan, if it calls the hook.
func (s *simulation) custom(p *product, a InstallAction) []Effect {
	target := p.formatted(a.Target)
	if phase, args, ok := strings.Cut(target, " --format msi --"); ok && p.side.Hook != nil {
		was := hooks.Installed{}
		if s.Old != nil {
			was = s.was()
		}
		words := quotedWords(args)
		if a.Commit {
			words = append(words, "COMMIT=1")
		}
		if e, err := hooks.FromMSI(hooks.Phase(phase), words, *p.side.Hook, was); err == nil {
			return planEffects(hooks.Plan(e, *p.side.Hook), p.side.Hook)
		}
	}
	return []Effect{{Verb: "do", Text: strings.TrimSpace(a.Does + " " + target)}}
}

// quotedWords splits a command line at spaces outside of quotation marks.
func quotedWords(s string) []string {
	var words []string
	var b strings.Builder
	inside := false
	for _, r := range s + " " {
		switch {
		case r == '"':
			inside = !inside
		case r == ' ' && !inside:
			if b.Len() > 0 {
				words = append(words, b.String())
			}
			b.Reset()
		default:
			b.WriteRune(r)
		}
	}
	return words
}

// standard says what a standard action does.
func (s *simulation) standard(p *product, t *Step) {
	control := func(verb string, comes, goes int) {
		for _, c := range p.x.Controls {
			if p.comes && c.Event&comes != 0 || !p.comes && c.Event&goes != 0 {
				t.Does = append(t.Does, Effect{Verb: verb, Name: c.Name, Text: verb + " " + c.Name})
			}
		}
	}
	switch t.Name {
	case "LaunchConditions":
		for _, c := range p.x.Conditions {
			if holds, sure, err := p.holds(c.Condition); err == nil && sure && !holds {
				p.refused = p.formatted(c.Description)
				t.Does = append(t.Does, Effect{Verb: "do", Text: "end with: " + p.refused})
				return
			}
		}
	case "RemoveExistingProducts":
		if p.upgrades {
			old := s.product(s.Old, false)
			old.value["UPGRADINGPRODUCTCODE"] = p.x.ProductCode
			t.Steps = s.sequence(old)
		}
	case "StopServices":
		control("stop", stopAtInstall, stopAtRemoval)
	case "StartServices":
		control("start", startAtInstall, startAtRemoval)
	case "DeleteServices":
		control("unregister", deleteAtInstall, deleteAtRemoval)
	case "InstallServices":
		for _, n := range p.x.Services {
			if p.comes {
				t.Does = append(t.Does, Effect{Verb: "register", Name: n, Text: "register " + n})
			}
		}
	case "InstallFiles":
		if p.comes {
			t.Kind = "files"
		}
	case "RemoveFiles":
		if !p.comes {
			t.Kind = "files"
		}
	}
}

// early reports whether the old product is removed before the new one's files are
// there, and whether it is removed at all.
func (s *simulation) early() bool {
	x := s.New.Installer
	return x.number("RemoveExistingProducts") < x.number("InstallFiles")
}

// msiFiles decides about files by the rules of the SDK's pages "File Versioning
// Rules", "Component Table" and "RemoveExistingProducts Action".
func (s *simulation) msiFiles() error {
	s.oldRows, s.newRows = fileRows(s.Old), fileRows(s.New)
	o, n := byFoldedPath(s.olds), byFoldedPath(s.news)
	for len(o) > 0 || len(n) > 0 {
		var err error
		switch {
		case len(n) == 0 || len(o) > 0 && fold(o[0]) < fold(n[0]):
			err = s.msiGone(o[0])
			o = o[1:]
		case len(o) == 0 || fold(n[0]) < fold(o[0]):
			err = s.msiAdded(n[0])
			n = n[1:]
		default:
			err = s.msiBoth(o[0], n[0])
			o, n = o[1:], n[1:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func fold(e *packaging.Entry) string { return strings.ToLower(e.Path) }

func byFoldedPath(l packaging.Layout) []*packaging.Entry {
	out := make([]*packaging.Entry, len(l))
	for i := range l {
		out[i] = &l[i]
	}
	slices.SortStableFunc(out, func(a, b *packaging.Entry) int { return strings.Compare(fold(a), fold(b)) })
	return out
}

// A fileRow is the row of File of a path, with its component.
type fileRow struct {
	InstallerFile
	component Component
}

// fileRows gives them by path.
func fileRows(side *Side) map[string]fileRow {
	if side == nil {
		return nil
	}
	components := make(map[string]Component, len(side.Installer.Components))
	for _, c := range side.Installer.Components {
		components[c.Key] = c
	}
	rows := make(map[string]fileRow, len(side.Installer.Files))
	for _, f := range side.Installer.Files {
		rows[f.Path] = fileRow{f, components[f.Component]}
	}
	return rows
}

// msiKind names the attributes of a component that spare its files.
func msiKind(c Component) string {
	var words []string
	if c.Attributes&neverOverwrite != 0 {
		words = append(words, "NeverOverwrite")
	}
	if c.Attributes&permanent != 0 {
		words = append(words, "Permanent")
	}
	return strings.Join(words, ", ")
}

func (s *simulation) msiAdded(n *packaging.Entry) error {
	s.file(n, "added", "")
	if !n.Regular() {
		return nil
	}
	c := s.newRows[n.Path].component
	if c.Attributes&neverOverwrite == 0 {
		return nil
	}
	return s.decision(msiKind(c)+", new", nil, n, func(l Local) Outcome { return neverOverwritten(l) })
}

// neverOverwritten is the outcome of a file whose component has NeverOverwrite: it is
// installed only where its key path is not there.
func neverOverwritten(l Local) Outcome {
	if l == Missing {
		return Outcome{l, Created, "", false}
	}
	return Outcome{l, Kept, "", false}
}

func (s *simulation) msiGone(o *packaging.Entry) error {
	if !o.Regular() {
		s.file(o, "removed", "unless something else is in it")
		return nil
	}
	c := s.oldRows[o.Path].component
	if c.Attributes&permanent != 0 {
		s.file(o, "kept", "its component is permanent")
		return s.decision(msiKind(c)+s.goes(), o, nil, func(l Local) Outcome { return Outcome{l, Kept, "", false} })
	}
	s.file(o, "removed", "")
	return s.msiLost(o, nil, "removes")
}

// msiLost warns of a file that people change, and that is replaced or removed.
func (s *simulation) msiLost(o, n *packaging.Entry, does string) error {
	if !setting(o) || !s.action.changes() {
		return nil
	}
	warned, when, err := s.changed(o, n)
	if warned && err == nil {
		s.warn(DataLoss, o.Path, "%s, that is lost: its component is neither NeverOverwrite nor Permanent, and Windows Installer %s it", when, does)
	}
	return err
}

func (s *simulation) msiBoth(o, n *packaging.Entry) error {
	what := attributes(o, n)
	if !o.Regular() || !n.Regular() {
		switch {
		case o.Mode.Type() != n.Mode.Type():
			s.file(n, "changed", "", what...)
			s.warn(Failure, n.Path, "a %s becomes a %s: Windows Installer does not replace what is in its way", typeOf(o.Mode), typeOf(n.Mode))
		case len(what) == 0:
			s.r.Same++
		}
		return nil
	}
	of, nf := s.oldRows[o.Path], s.newRows[n.Path]
	oc, nc := of.component, nf.component
	if len(what) == 0 {
		s.r.Same++
	}
	changed := func(change, note string) {
		if len(what) > 0 || change != "changed" {
			s.file(n, change, note, what...)
		}
	}
	all := strings.Contains(strings.ToLower(s.reinstallMode()), "a")
	stays := oc.Attributes&permanent != 0 || s.action == Reinstall && strings.EqualFold(s.Old.Installer.ProductCode, s.New.Installer.ProductCode)
	switch {
	case nc.Attributes&neverOverwrite != 0 && stays:
		changed("kept", "its component is never overwritten")
		return s.decision(msiKind(nc), o, n, neverOverwritten)
	case s.early() && !stays:
		if c := compareFields(of.Version, nf.Version, 4); of.Version != "" && c > 0 && !all {
			changed("removed", "its version is lower")
			s.warn(Failure, n.Path, "it is missing afterwards: its version goes from %s to %s, so that Windows Installer leaves it out, and then removes the old one; REINSTALLMODE=amus prevents it", of.Version, orNone(nf.Version))
			return nil
		}
		changed("changed", "")
		return s.msiLost(o, n, "removes and replaces")
	}
	// The old file is still there when the new one comes.
	c := compareFields(of.Version, nf.Version, 4)
	switch {
	case of.Version != "" && c > 0 && !all:
		changed("kept", fmt.Sprintf("its version %s is higher than %s", of.Version, orNone(nf.Version)))
		s.warn(Failure, n.Path, "the old version's file stays: its version %s is higher than %s", of.Version, orNone(nf.Version))
	default:
		changed("changed", "")
	}
	if !stays && !s.early() && !strings.EqualFold(oc.ID, nc.ID) {
		s.warn(Failure, n.Path, "it is missing afterwards: the old product has it in another component, and is removed after the new one was installed")
	}
	if nf.Version != "" {
		return nil
	}
	if all {
		return s.msiLost(o, n, "replaces")
	}
	if setting(o) { // a file without a version that was changed later than made is a user's
		return s.decision("without a version", o, n, func(l Local) Outcome {
			switch l {
			case Missing:
				return Outcome{l, Created, "", false}
			case Changed, AsNew:
				return Outcome{l, Kept, "", false}
			}
			return Outcome{l, Replaced, "", false}
		})
	}
	return nil
}

// reinstallMode is REINSTALLMODE of the new product in this case.
func (s *simulation) reinstallMode() string {
	x := s.New.Installer
	mode := x.Properties["REINSTALLMODE"]
	for _, a := range x.Sequence {
		if a.Sets == "REINSTALLMODE" && !strings.EqualFold(x.ProductCode, s.Old.Installer.ProductCode) {
			mode = a.Target
		}
	}
	if mode == "" {
		mode = "omus"
	}
	return mode
}
