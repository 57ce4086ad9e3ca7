package simulate

import (
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

var debNames = map[packaging.Phase]string{
	packaging.PreInstall: "preinst", packaging.PostInstall: "postinst", packaging.PreRemove: "prerm", packaging.PostRemove: "postrm", packaging.DebConfig: "config",
}

// deb lists what dpkg does: Debian Policy 6.6 to 6.8, and src/main/unpack.c,
// configure.c and remove.c of dpkg 1.21 for the arguments, which are more than Policy
// promises.
func (s *simulation) deb() {
	switch s.action {
	case Install:
		s.debScript(s.New, packaging.PreInstall, "install")
		s.step(Step{Kind: "files", Of: "new", Name: "unpack"})
		s.debTriggers(s.New)
		s.configure("")
	case Upgrade, Downgrade, Reinstall:
		from, to := s.Old.Package.EVR(), s.New.Package.EVR()
		s.debScript(s.Old, packaging.PreRemove, "upgrade", to)
		s.debScript(s.New, packaging.PreInstall, "upgrade", from, to)
		s.step(Step{Kind: "files", Of: "new", Name: "unpack"})
		s.debScript(s.Old, packaging.PostRemove, "upgrade", to)
		s.step(Step{Kind: "files", Of: "old", Name: "remove what the new package does not have, but for conffiles"})
		s.debTriggers(s.New)
		s.configure(from)
	case Remove, Purge:
		s.debScript(s.Old, packaging.PreRemove, "remove")
		s.step(Step{Kind: "files", Of: "old", Name: "remove all but conffiles"})
		s.debScript(s.Old, packaging.PostRemove, "remove")
		s.debTriggers(s.Old)
		if s.action == Purge {
			s.step(Step{Kind: "files", Of: "old", Name: "remove conffiles, and what lies beside them: .dpkg-old, .dpkg-new, .dpkg-dist, ~ and the like"})
			s.debScript(s.Old, packaging.PostRemove, "purge")
		}
	}
}

func (s *simulation) configure(from string) {
	for _, d := range s.r.Config {
		if strings.HasPrefix(d.Kind, "conffile") {
			s.step(Step{Kind: "config", Of: "new", Name: "decide about conffiles"})
			break
		}
	}
	s.debScript(s.New, packaging.PostInstall, "configure", from)
}

func (s *simulation) debScript(side *Side, phase packaging.Phase, args ...string) {
	script, ok := side.Package.Script(phase)
	if !ok {
		return
	}
	t := Step{Kind: "script", Of: s.of(side), Name: debNames[phase], Args: args}
	var e hooks.Event
	// A purge is the script's own work: dpkg has removed the hook before.
	planned := calls(script, "deb") && side.Hook != nil && args[0] != "purge"
	if planned {
		var err error
		e, err = hooks.FromDeb(hooks.Phase(phase), args, *side.Hook, s.was())
		planned = err == nil
	}
	t.Does = s.does(script, t, debEnvironment(side, debNames[phase]), planned, e, side.Hook)
	s.step(t)
}

// debEnvironment is what dpkg(1) sets for maintainer scripts.
func debEnvironment(side *Side, name string) map[string]string {
	return map[string]string{
		"DPKG_ROOT": "", "DPKG_ADMINDIR": "/var/lib/dpkg", "DPKG_MAINTSCRIPT_PACKAGE": side.Package.Name,
		"DPKG_MAINTSCRIPT_NAME": name, "DPKG_MAINTSCRIPT_ARCH": side.Package.Arch, "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT": "1",
	}
}

// debTriggers lists the triggers that a package activates.
func (s *simulation) debTriggers(side *Side) {
	for _, g := range side.Package.Triggers {
		if strings.HasPrefix(g.Kind, "activate") {
			s.step(Step{Kind: "trigger", Of: s.of(side), Name: g.Kind + " " + strings.Join(g.On, " "), If: "a package has an interest in it"})
		}
	}
}
