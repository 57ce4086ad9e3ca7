package simulate

import (
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// rpmNames are rpm's names of scriptlets.
var rpmNames = map[packaging.Phase]string{
	packaging.PreInstall: "%pre", packaging.PostInstall: "%post", packaging.PreRemove: "%preun", packaging.PostRemove: "%postun",
	packaging.PreTrans: "%pretrans", packaging.PostTrans: "%posttrans", packaging.PreUnTrans: "%preuntrans", packaging.PostUnTrans: "%postuntrans",
}

// since419 is the condition of scriptlets that older versions of rpm do not have.
const since419 = "rpm is 4.19 or later"

// rpm lists what rpm does, as lib/transaction.c and lib/psm.c of rpm 4.18 have it. The
// argument of a scriptlet is the number of instances of the package that there are
// after its half of the transaction: in an upgrade 2 for the new one's scriptlets, and
// 1 for the old one's. (rpm before 4.17, and zypper, give %posttrans 1 there.)
func (s *simulation) rpm() {
	comes, goes, before := "1", "0", "0"
	if s.action.changes() {
		comes, goes, before = "2", "1", "1"
	}
	s.rpmScript(s.New, packaging.PreTrans, comes)
	if s.r.Refused != "" { // conflicts of files are looked for after %pretrans
		return
	}
	s.rpmScript(s.Old, packaging.PreUnTrans, goes)
	s.rpmTriggers(s.Old, "transfiletriggerun", s.olds)
	if s.New != nil {
		s.rpmTriggers(s.New, "triggerprein", nil, before, "N")
		s.rpmScript(s.New, packaging.PreInstall, comes)
		s.step(Step{Kind: "files", Of: "new", Name: "unpack"})
		s.rpmTriggers(s.New, "filetriggerin", s.news)
		s.rpmScript(s.New, packaging.PostInstall, comes)
		s.rpmTriggers(s.New, "triggerin", nil, comes, "N")
	}
	if s.Old != nil {
		s.rpmTriggers(s.Old, "filetriggerun", s.olds)
		s.rpmTriggers(s.Old, "triggerun", nil, goes, "N")
		s.rpmScript(s.Old, packaging.PreRemove, goes)
		s.step(Step{Kind: "files", Of: "old", Name: "erase"})
		s.rpmTriggers(s.New, "filetriggerpostun", s.erased())
		s.rpmScript(s.Old, packaging.PostRemove, goes)
	}
	s.rpmScript(s.New, packaging.PostTrans, comes)
	s.rpmScript(s.Old, packaging.PostUnTrans, goes)
	s.rpmTriggers(s.New, "transfiletriggerpostun", s.olds)
	s.rpmTriggers(s.New, "transfiletriggerin", s.news)
}

// erased are the entries that only the old package has.
func (s *simulation) erased() packaging.Layout {
	var l packaging.Layout
	for i := range s.olds {
		if _, ok := s.news.Lookup(s.olds[i].Path); !ok {
			l = append(l, s.olds[i])
		}
	}
	return l
}

func (s *simulation) step(t Step) { s.r.Steps = append(s.r.Steps, t) }

// of says whose a side is.
func (s *simulation) of(side *Side) string {
	if side == s.Old {
		return "old"
	}
	return "new"
}

func (s *simulation) rpmScript(side *Side, phase packaging.Phase, count string) {
	if side == nil {
		return
	}
	script, ok := side.Package.Script(phase)
	if !ok {
		return
	}
	t := Step{Kind: "script", Of: s.of(side), Name: rpmNames[phase], Args: []string{count}}
	if phase == packaging.PreUnTrans || phase == packaging.PostUnTrans {
		t.If = since419
	}
	// The hook is that of the files on disk: after unpacking, the new package's.
	config := side.Hook
	if s.New != nil && s.New.Hook != nil {
		config = s.New.Hook
	}
	var e hooks.Event
	planned := false
	if calls(script, "rpm") && config != nil {
		was := s.was()
		if side == s.Old && s.New != nil {
			was = hooks.Installed{Format: 1, Version: config.Version}
		}
		var err error
		e, err = hooks.FromRPM(hooks.Phase(phase), t.Args, *config, was)
		planned = err == nil
	}
	t.Does = s.does(script, t, nil, planned, e, config)
	s.step(t)
}

// calls reports whether a script calls the hook.
func calls(script packaging.Script, format string) bool {
	return strings.Contains(script.Body, " --format "+format+" -- ")
}

// was is what the hook remembers of the old package.
func (s *simulation) was() hooks.Installed {
	if s.Old == nil || s.Old.Hook == nil {
		return hooks.Installed{}
	}
	in := hooks.Installed{Format: 1, Version: s.Old.Hook.Version}
	for _, u := range s.Old.Hook.Units {
		in.Units = append(in.Units, u.Name)
	}
	return in
}

// rpmTriggers lists a package's own triggers: those on packages, with their
// arguments, of which N is the number of instances of the other one; and those on
// files, if any of them is meant. Their arguments differ between versions of rpm, as
// does how often they run; a priority below 10000 lets them run later. Triggers of
// other packages on the host are not known.
func (s *simulation) rpmTriggers(side *Side, kind string, files packaging.Layout, args ...string) {
	if side == nil {
		return
	}
	for _, g := range side.Package.Triggers {
		if g.Kind != kind {
			continue
		}
		t := Step{Kind: "trigger", Of: s.of(side), Name: "%" + kind, Args: args}
		if args == nil {
			if !anyBelow(files, g.On) {
				continue
			}
		} else {
			t.If = "one of these is installed: " + strings.Join(g.On, ", ")
		}
		t.Does = s.does(g.Script, t, nil, false, hooks.Event{}, nil)
		s.step(t)
	}
}

func anyBelow(l packaging.Layout, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		_, ok := below(l, p)
		return ok
	})
}

// versions warns of a version that does not sort higher, and of epochs.
func (s *simulation) versions() {
	if s.Old == nil || s.New == nil {
		return
	}
	a, b := s.Old.Package, s.New.Package
	switch {
	case s.action == Downgrade && s.Format == "rpm":
		s.warn(Order, "", "%s sorts lower than %s: rpm -U refuses it without --oldpackage, and dnf upgrade never takes it", b.EVR(), a.EVR())
	case s.action == Downgrade && s.Format == "deb":
		s.warn(Order, "", "%s sorts lower than %s: dpkg warns and goes on, and apt upgrade never takes it", b.EVR(), a.EVR())
	case s.action == Reinstall && s.Format == "rpm":
		s.warn(Order, "", "the version is the same: rpm -U refuses it without --replacepkgs, and dnf upgrade never takes it")
	case s.action == Reinstall && s.Format == "deb":
		s.warn(Order, "", "the version is the same: apt upgrade takes it only if the two packages differ in their control files")
	}
	if s.action == Downgrade && a.Epoch > b.Epoch && s.Compare(bare(a), bare(b)) < 0 {
		s.note("epoch", "", "the epoch goes from %d to %d, and so a higher version sorts lower", a.Epoch, b.Epoch)
	} else if a.Epoch != b.Epoch {
		s.note("epoch", "", "the epoch goes from %d to %d; it can never go back", a.Epoch, b.Epoch)
	}
	if a.Arch == b.Arch || s.Format == "msi" {
		return
	}
	every := func(arch string) bool { return arch == "noarch" || arch == "all" }
	if every(a.Arch) || every(b.Arch) {
		s.note("architecture", "", "the architecture goes from %s to %s", a.Arch, b.Arch)
		return
	}
	s.warn(Failure, "", "the architecture goes from %s to %s: %s takes it for another package where both are allowed, and refuses it elsewhere", a.Arch, b.Arch, s.tool())
}

// bare is a version without its epoch.
func bare(p *packaging.Package) string {
	q := packaging.Package{Version: p.Version, Release: p.Release}
	return q.EVR()
}

// relations notes what the new package needs, excludes or takes the place of that
// the old one does not.
func (s *simulation) relations() {
	if s.New == nil {
		return
	}
	key := func(r packaging.Relation) string {
		if r.Kind == packaging.PreRequires {
			return string(packaging.Requires) + " " + r.Text
		}
		return string(r.Kind) + " " + r.Text
	}
	had := map[string]bool{}
	if s.Old != nil {
		for _, r := range s.Old.Package.Relations {
			had[key(r)] = true
		}
	}
	for _, r := range s.New.Package.Relations {
		if had[key(r)] {
			continue
		}
		had[key(r)] = true
		switch r.Kind {
		case packaging.Requires, packaging.PreRequires:
			if s.Old != nil {
				s.note("dependency", r.Text, "is needed, and was not before: %s refuses the package where it is missing", s.tool())
			}
		case packaging.Conflicts, packaging.Breaks:
			s.note("conflict", r.Text, "does not go together with the package: it has to be removed or upgraded first")
		case packaging.Replaces:
			if s.Format == "rpm" {
				s.note("obsoletes", r.Text, "is removed where it is installed: the package obsoletes it")
			} else {
				s.note("replaces", r.Text, "gives up files that both have")
			}
		}
	}
}
