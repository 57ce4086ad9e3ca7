package simulate

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// pkg is a package of that version, with a file in it and what f adds.
func pkg(version string, f func(p *packaging.Package)) *packaging.Package {
	p := &packaging.Package{Name: "x", Version: version, Release: "1", Arch: "x86_64"}
	p.Layout = packaging.Layout{file("/opt/x/program", version)}
	if f != nil {
		f(p)
	}
	return p
}

func file(path, content string) packaging.Entry {
	return packagingtest.File(path, 0o644, []byte(content))
}

func entries(e ...packaging.Entry) func(p *packaging.Package) {
	return func(p *packaging.Package) { p.Layout = append(p.Layout, e...) }
}

func config(path, content string, c packaging.Config) packaging.Entry {
	e := file(path, content)
	e.Config = c
	return e
}

func script(phase packaging.Phase, body string) func(p *packaging.Package) {
	return func(p *packaging.Package) { p.Scripts = append(p.Scripts, packaging.Script{Phase: phase, Body: body}) }
}

func relation(kind packaging.RelationKind, text string) func(p *packaging.Package) {
	return func(p *packaging.Package) {
		p.Relations = append(p.Relations, packaging.Relation{Kind: kind, Text: text})
	}
}

// run simulates; nil stands for no package.
func run(t *testing.T, format string, o, n *packaging.Package) *Report {
	t.Helper()
	c := Case{Format: format, Compare: func(a, b string) int { return cmp.Compare(a, b) }}
	if o != nil {
		c.Old = &Side{File: "old", Package: o}
	}
	if n != nil {
		c.New = &Side{File: "new", Package: n}
	}
	r, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// said are warnings and notes, one a line.
func said(r *Report) string {
	var lines []string
	for _, w := range r.Warnings {
		lines = append(lines, "! "+w.Kind+": "+w.About+": "+w.Text)
	}
	for _, w := range r.Notes {
		lines = append(lines, w.Kind+": "+w.About+": "+w.Text)
	}
	return strings.Join(lines, "\n")
}

func TestWarnings(t *testing.T) {
	const etc = "/etc/x.conf"
	ghost := packaging.Entry{Path: "/var/lib/x/db", Mode: 0o644, Ghost: true}
	for _, tc := range []struct {
		name, format string
		old, new     func(p *packaging.Package)
		want         string // "" for nothing
	}{
		{"nothing", "rpm", nil, nil, ""},
		{"nothing", "deb", nil, nil, ""},
		{
			"file in /etc", "rpm", entries(file(etc, "a")), entries(file(etc, "b")),
			"! data-loss: /etc/x.conf: if it was changed, that is lost: it is in /etc and not marked as configuration, so that rpm replaces it",
		},
		{
			"file in /etc goes", "deb", entries(file(etc, "a")), nil,
			"! data-loss: /etc/x.conf: if it was changed, that is lost: it is in /etc and not marked as configuration, so that dpkg removes it",
		},
		{"marked file in /etc", "rpm", entries(config(etc, "a", packaging.ConfigReplace)), entries(config(etc, "b", packaging.ConfigReplace)), ""},
		{
			"conffile that changes", "deb", entries(config(etc, "a", packaging.ConfigNoReplace)), entries(config(etc, "b", packaging.ConfigNoReplace)),
			"! failure: /etc/x.conf: if it was changed, dpkg asks what to do, and stops with an error where nobody answers: --force-confdef or --force-confold keeps the local one, --force-confnew does not\n" +
				"! failure: /etc/x.conf: if it was deleted, dpkg asks what to do, and stops with an error where nobody answers: --force-confdef or --force-confold keeps the local one, --force-confnew does not",
		},
		{"conffile that stays", "deb", entries(config(etc, "a", packaging.ConfigNoReplace)), entries(config(etc, "a", packaging.ConfigNoReplace)), ""},
		{
			"conffile that is none any more", "deb", entries(config(etc, "a", packaging.ConfigNoReplace)), entries(file(etc, "a")),
			"! data-loss: /etc/x.conf: if it was changed, that is lost: dpkg replaces it without asking, for it is no longer a conffile",
		},
		{
			"ghost goes", "rpm", entries(ghost), nil,
			"! data-loss: /var/lib/x/db: rpm removes what the product has made there: the old package owns it as %ghost, and the new one does not",
		},
		{
			"ghost becomes a file", "rpm", entries(ghost), entries(file(ghost.Path, "a")),
			"! data-loss: /var/lib/x/db: rpm replaces what the product has made there: it was %ghost, and now comes with the package",
		},
		{
			"folder becomes a link", "rpm", entries(packagingtest.Dir("/opt/x/d", 0o755)), entries(packagingtest.Symlink("/opt/x/d", "e")),
			"! failure: : /opt/x/d: rpm does not replace a folder by a link; %pretrans has to make way",
		},
		{"folder becomes a link, with %pretrans", "rpm", entries(packagingtest.Dir("/opt/x/d", 0o755)), func(p *packaging.Package) {
			entries(packagingtest.Symlink("/opt/x/d", "e"))(p)
			p.Scripts = []packaging.Script{{Phase: packaging.PreTrans, Interpreter: []string{"<lua>"}, Body: `os.rename("/opt/x/d", "/opt/x/d.old")`}}
		}, "type: /opt/x/d: rpm does not replace a folder by a link, unless %pretrans makes way, which names the path"},
		{
			"link to elsewhere becomes a folder", "rpm", entries(packagingtest.Symlink("/opt/x/d", "/srv/x")), entries(packagingtest.Dir("/opt/x/d", 0o755)),
			"! failure: /opt/x/d: if the link to /srv/x leads to a folder, rpm refuses to replace it by one, and installs nothing; %pretrans has to make way",
		},
		{"link to nothing becomes a folder", "rpm", entries(packagingtest.Dir("/opt/x", 0o755), packagingtest.Symlink("/opt/x/d", "e")), entries(packagingtest.Dir("/opt/x", 0o755), packagingtest.Dir("/opt/x/d", 0o755)), ""},
		{
			"folder becomes a link", "deb", entries(packagingtest.Dir("/opt/x/d", 0o755)), entries(packagingtest.Symlink("/opt/x/d", "e")),
			"! failure: /opt/x/d: dpkg does not replace a folder by a link: the folder stays, and the link is not made; dpkg-maintscript-helper dir_to_symlink does it",
		},
		{"folder becomes a link, helped", "deb", entries(packagingtest.Dir("/opt/x/d", 0o755)), func(p *packaging.Package) {
			entries(packagingtest.Symlink("/opt/x/d", "e"))(p)
			script(packaging.PreInstall, "#!/bin/sh\ndpkg-maintscript-helper dir_to_symlink /opt/x/d e 2.0~ -- \"$@\"\n")(p)
		}, ""},
		{
			"folder becomes a file", "deb", entries(packagingtest.Dir("/opt/x/d", 0o755)), entries(file("/opt/x/d", "a")),
			"! data-loss: /opt/x/d: dpkg replaces the folder by a file and deletes all that is in it, whoever made it",
		},
		{
			"link becomes a folder", "deb", entries(packagingtest.Dir("/opt/x/e", 0o755), packagingtest.Symlink("/opt/x/d", "e")), entries(packagingtest.Dir("/opt/x/d", 0o755)),
			"! failure: /opt/x/d: dpkg leaves it, and what the new package has below it lands in e; dpkg-maintscript-helper symlink_to_dir replaces it",
		},
		{
			"mode of a folder", "deb", entries(packagingtest.Dir("/opt/x/d", 0o755)), entries(packagingtest.Dir("/opt/x/d", 0o700)),
			"! failure: /opt/x/d: mode 0755 -> 0700: dpkg leaves a folder that is there as it is; postinst has to change it",
		},
		{"mode of a folder", "rpm", entries(packagingtest.Dir("/opt/x/d", 0o755)), entries(packagingtest.Dir("/opt/x/d", 0o700)), ""},

		{
			"data deleted in an upgrade", "rpm", script(packaging.PostRemove, "rm -rf /var/lib/x"), nil,
			"! data-loss: old %postun: deletes /var/lib/x with all that is in it, in an upgrade: rm -rf /var/lib/x",
		},
		{"data deleted in a removal only", "rpm", script(packaging.PostRemove, "if [ \"$1\" = 0 ]; then rm -rf /var/lib/x; fi"), nil, ""},
		{
			"data deleted by find", "deb", nil, script(packaging.PostInstall, "#!/bin/sh\n[ -d /srv/x ] && find /srv/x -type f -delete\n"),
			"! data-loss: new postinst: may delete /srv/x with all that is in it, in an upgrade: find /srv/x -type f -delete",
		},
		{
			"new file deleted by the old version", "rpm", script(packaging.PostRemove, "rm -f /opt/x/program"), nil,
			"! failure: old %postun: deletes /opt/x/program, which the new package has just laid down: rm -f /opt/x/program",
		},
		{
			"configuration deleted", "deb", script(packaging.PostRemove, "#!/bin/sh\nrm -f /etc/x/more.conf\n"), nil,
			"! data-loss: old postrm: deletes /etc/x/more.conf, in an upgrade: rm -f /etc/x/more.conf",
		},
		{"what can be made again", "rpm", script(packaging.PostRemove, "rm -rf /var/cache/x /run/x /opt/x/__pycache__"), nil, ""},

		{"newly needed", "rpm", relation(packaging.Requires, "a"), func(p *packaging.Package) {
			relation(packaging.Requires, "a")(p)
			relation(packaging.Requires, "b >= 2")(p)
		}, "dependency: b >= 2: is needed, and was not before: rpm refuses the package where it is missing"},
		{"obsoletes", "rpm", nil, relation(packaging.Replaces, "y"), "obsoletes: y: is removed where it is installed: the package obsoletes it"},
		{"replaces", "deb", nil, relation(packaging.Replaces, "y"), "replaces: y: gives up files that both have"},
		{"conflicts", "deb", nil, relation(packaging.Conflicts, "y"), "conflict: y: does not go together with the package: it has to be removed or upgraded first"},
		{"epoch", "rpm", nil, func(p *packaging.Package) { p.Epoch = 1 }, "epoch: : the epoch goes from 0 to 1; it can never go back"},
		{"architecture", "rpm", nil, func(p *packaging.Package) { p.Arch = "noarch" }, "architecture: : the architecture goes from x86_64 to noarch"},
		{
			"another architecture", "deb", nil, func(p *packaging.Package) { p.Arch = "aarch64" },
			"! failure: : the architecture goes from x86_64 to aarch64: dpkg takes it for another package where both are allowed, and refuses it elsewhere",
		},

		{
			"service left stopped", "rpm", script(packaging.PreRemove, "systemctl stop x"), nil,
			"! service: x.service: it is left stopped: nothing starts it after it was stopped",
		},
		{
			"service that may be left stopped", "rpm", script(packaging.PreRemove, "[ -e /etc/x ] && service x stop"), nil,
			"! service: x.service: it may be left stopped: the last thing that a scriptlet does to it is to stop it",
		},
		{
			"service that nobody restarts", "rpm", entries(file("/usr/lib/systemd/system/x.service", "")), entries(file("/usr/lib/systemd/system/x.service", "")),
			"service: x.service: nothing restarts it: where it runs, it goes on as the old version",
		},
		{
			"service that goes", "rpm", entries(file("/usr/lib/systemd/system/x.service", "")), nil,
			"service: x.service: nothing stops it: where it runs, it goes on without its files",
		},
		{"service that goes, stopped", "rpm", func(p *packaging.Package) {
			entries(file("/usr/lib/systemd/system/x.service", ""))(p)
			script(packaging.PreRemove, "systemctl disable --now x.service")(p)
		}, nil, ""},
	} {
		r := run(t, tc.format, pkg("1.0", tc.old), pkg("2.0", tc.new))
		if got := said(r); got != tc.want {
			t.Errorf("%s: %s: says\n%s\nwant\n%s", tc.format, tc.name, got, tc.want)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, tc := range []struct {
		format   string
		old, new *packaging.Package
		action   Action
		want     string
	}{
		{"rpm", pkg("1.0", nil), pkg("2.0", nil), Upgrade, ""},
		{"rpm", pkg("2.0", nil), pkg("1.0", nil), Downgrade, "! version: : 1.0-1 sorts lower than 2.0-1: rpm -U refuses it without --oldpackage, and dnf upgrade never takes it"},
		{"deb", pkg("2.0", nil), pkg("1.0", nil), Downgrade, "! version: : 1.0-1 sorts lower than 2.0-1: dpkg warns and goes on, and apt upgrade never takes it"},
		{"rpm", pkg("1.0", nil), pkg("1.0", nil), Reinstall, "! version: : the version is the same: rpm -U refuses it without --replacepkgs, and dnf upgrade never takes it"},
		{"deb", pkg("1.0", nil), pkg("1.0", nil), Reinstall, "! version: : the version is the same: apt upgrade takes it only if the two packages differ in their control files"},
		{"rpm", nil, pkg("1.0", nil), Install, ""},
		{"rpm", pkg("1.0", nil), nil, Remove, ""},
	} {
		r := run(t, tc.format, tc.old, tc.new)
		if got := said(r); r.Action != tc.action || got != tc.want {
			t.Errorf("%s: %s, and says\n%s\nwant %s and\n%s", tc.format, r.Action, got, tc.action, tc.want)
		}
	}
	older := pkg("1.0", func(p *packaging.Package) { p.Epoch = 2 })
	r := run(t, "rpm", older, pkg("1.1", nil)) // as text, "1.1-1" sorts lower than "2:1.0-1"
	if want := "epoch: : the epoch goes from 2 to 0, and so a higher version sorts lower"; r.Action != Downgrade || !strings.Contains(said(r), want) {
		t.Errorf("%s, and says\n%s\nwant\n%s", r.Action, said(r), want)
	}
}

// What is not a pair is refused.
func TestRunErrors(t *testing.T) {
	other := pkg("1.0", nil)
	other.Name = "y"
	side := func(p *packaging.Package) *Side { return &Side{Package: p} }
	for _, tc := range []struct {
		c    Case
		want string
	}{
		{Case{Format: "rpm", Old: side(other), New: side(pkg("1.0", nil))}, `they are named "y" and "x": neither package takes the other's place`},
		{Case{Format: "rpm"}, "no package is given"},
		{Case{Format: "apk", New: side(other)}, `format "apk" has no rules`},
		{Case{Format: "msi", New: side(other)}, "the tables of an MSI are missing"},
	} {
		if _, err := Run(tc.c); err == nil || err.Error() != tc.want {
			t.Errorf("error %v, want %s", err, tc.want)
		}
	}
	a, b := side(pkg("1.0", nil)), side(pkg("1.0", nil))
	a.Installer, b.Installer = &Installer{UpgradeCode: "{A}", ProductCode: "{1}"}, &Installer{UpgradeCode: "{B}", ProductCode: "{2}"}
	if _, err := Run(Case{Format: "msi", Old: a, New: b}); !errors.Is(err, ErrUnlike) {
		t.Errorf("error %v, want ErrUnlike", err)
	}
}

// A host decides between the outcomes.
func TestHost(t *testing.T) {
	o, n := pkg("1.0", entries(config("/etc/x", "a", packaging.ConfigNoReplace))), pkg("2.0", entries(config("/etc/x", "b", packaging.ConfigNoReplace)))
	for _, tc := range []struct {
		found Found
		want  Outcome
		warns bool
	}{
		{Found{Missing: true}, Outcome{Missing, Kept, "/etc/x.dpkg-dist", true}, true},
		{Found{SHA256: file("", "a").SHA256}, Outcome{Unchanged, Replaced, "", false}, false},
		{Found{SHA256: file("", "b").SHA256}, Outcome{AsNew, Kept, "", false}, false},
		{Found{SHA256: file("", "c").SHA256}, Outcome{Changed, Kept, "/etc/x.dpkg-dist", true}, true},
		{Found{Mode: fs.ModeSymlink, Target: "y"}, Outcome{Changed, Kept, "/etc/x.dpkg-dist", true}, true},
	} {
		r, err := Run(Case{
			Format: "deb", Old: &Side{Package: o}, New: &Side{Package: n}, Compare: func(a, b string) int { return cmp.Compare(a, b) },
			Host: func(string) (Found, error) { return tc.found, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Config[0].Outcomes; len(got) != 1 || got[0] != tc.want || len(r.Warnings) > 0 != tc.warns {
			t.Errorf("with %+v: outcomes %+v, warnings %+v, want %+v", tc.found, got, r.Warnings, tc.want)
		}
	}
	failing := errors.New("no such host")
	_, err := Run(Case{
		Format: "deb", Old: &Side{Package: o}, New: &Side{Package: n}, Compare: func(a, b string) int { return cmp.Compare(a, b) },
		Host: func(string) (Found, error) { return Found{}, failing },
	})
	if !errors.Is(err, failing) {
		t.Errorf("error %v, want that of the host", err)
	}
}

// installer is a product with a file in a component of its own, and the sequence of a
// major upgrade, which removes the old product at that number.
func installer(version, code string, remove int) *Installer {
	x := &Installer{
		ProductCode: "{" + version + "}", UpgradeCode: "{U}", Version: version, PackageCode: code, Properties: map[string]string{"UpgradeCode": "{U}"}, Holds: msi.Holds,
		Upgrades: []UpgradeRow{
			{"{U}", "0.0.0", version, minInclusive, "", "OLD"},
			{"{U}", version, "", onlyDetect, "", "NEWER"},
		},
		Conditions: []LaunchCondition{{"Installed OR NOT NEWER", "A newer version is installed."}},
		Components: []Component{{Key: "c", ID: "{C}"}},
		Files:      []InstallerFile{{Path: "/Program Files/X/x.exe", Component: "c", Version: version}},
	}
	x.Sequence = []InstallAction{
		{Number: 25, Name: "FindRelatedProducts"},
		{Number: 100, Name: "LaunchConditions"},
		{Number: 1500, Name: "InstallInitialize"},
		{Number: remove, Name: "RemoveExistingProducts"},
		{Number: 1900, Name: "StopServices", Condition: "VersionNT"},
		{Number: 3500, Name: "RemoveFiles"},
		{Number: 3600, Name: "Undo", Does: "undoes", Rollback: true},
		{Number: 3601, Name: "Farewell", Condition: `REMOVE~="ALL" AND NOT UPGRADINGPRODUCTCODE`, Does: "says good bye"},
		{Number: 4000, Name: "InstallFiles"},
		{Number: 5000, Name: "Done", Does: "commits", Commit: true},
		{Number: 5900, Name: "StartServices"},
		{Number: 6600, Name: "InstallFinalize"},
	}
	slices.SortFunc(x.Sequence, func(a, b InstallAction) int { return cmp.Compare(a.Number, b.Number) })
	return x
}

func windows(version string, x *Installer) *Side {
	return &Side{Package: pkg(version, func(p *packaging.Package) {
		p.Layout = packaging.Layout{file("/Program Files/X/x.exe", version), file("/ProgramData/X/x.conf", version)}
	}), Installer: x}
}

func TestMSI(t *testing.T) {
	order := func(steps []Step) string {
		var names []string
		each(steps, func(t *Step) { names = append(names, t.Name) })
		return strings.Join(names, " ")
	}
	const (
		install = "FindRelatedProducts LaunchConditions InstallInitialize RemoveExistingProducts StopServices RemoveFiles InstallFiles StartServices InstallFinalize Done"
		nested  = "FindRelatedProducts LaunchConditions InstallInitialize RemoveExistingProducts StopServices RemoveFiles InstallFiles StartServices InstallFinalize Done"
		late    = "FindRelatedProducts LaunchConditions InstallInitialize StopServices RemoveFiles InstallFiles StartServices InstallFinalize Done RemoveExistingProducts "
	)
	conf := func(x *Installer, attributes int) {
		x.Components = append(x.Components, Component{Key: "d", ID: "{D}", Attributes: attributes})
		x.Files = append(x.Files, InstallerFile{Path: "/ProgramData/X/x.conf", Component: "d"})
	}
	const lost = "! data-loss: /ProgramData/X/x.conf: if it was changed, that is lost: its component is neither NeverOverwrite nor Permanent, and Windows Installer removes and replaces it"
	for _, tc := range []struct {
		name     string
		old, new string // versions
		remove   int
		change   func(o, n *Installer)
		order    string
		want     string
	}{
		{"installation", "", "1.0.0", 1501, nil, install, ""},
		{"removal", "1.0.0", "", 1501, nil, "FindRelatedProducts LaunchConditions InstallInitialize RemoveExistingProducts StopServices RemoveFiles Farewell InstallFiles StartServices InstallFinalize Done", ""},
		{"upgrade", "1.0.0", "2.0.0", 1501, nil, strings.Replace(install, "RemoveExistingProducts ", "RemoveExistingProducts "+nested+" ", 1), lost},
		{"configuration kept", "1.0.0", "2.0.0", 1501, func(o, n *Installer) { conf(o, neverOverwrite|permanent); conf(n, neverOverwrite|permanent) }, "", ""},
		{"late removal", "1.0.0", "2.0.0", 6601, nil, late + strings.TrimSuffix(late, " "), ""},
		{
			"late removal, another component", "1.0.0", "2.0.0", 6601, func(_, n *Installer) { n.Components[0].ID = "{E}" }, "",
			"! failure: /Program Files/X/x.exe: it is missing afterwards: the old product has it in another component, and is removed after the new one was installed",
		},
		{
			"lower version of a file", "1.0.0", "2.0.0", 1501, func(o, n *Installer) {
				conf(o, neverOverwrite|permanent)
				conf(n, neverOverwrite|permanent)
				o.Files[0].Version = "3.0.0.0"
			}, "",
			"! failure: /Program Files/X/x.exe: it is missing afterwards: its version goes from 3.0.0.0 to 2.0.0, so that Windows Installer leaves it out, and then removes the old one; REINSTALLMODE=amus prevents it",
		},
		{
			"lower version of a file, late", "1.0.0", "2.0.0", 6601, func(o, _ *Installer) { o.Files[0].Version = "3.0.0.0" }, "",
			"! failure: /Program Files/X/x.exe: the old version's file stays: its version 3.0.0.0 is higher than 2.0.0",
		},
		{"lower version of a file, all of them", "1.0.0", "2.0.0", 1501, func(o, n *Installer) {
			o.Files[0].Version = "3.0.0.0"
			n.Sequence = slices.Insert(n.Sequence, 0, InstallAction{Number: 20, Name: "SetREINSTALLMODE", Does: "sets REINSTALLMODE", Sets: "REINSTALLMODE", Target: "amus"})
		}, "", lost},
		{"downgrade", "2.0.0", "1.0.0", 1501, nil, "FindRelatedProducts LaunchConditions", "! failure: : A newer version is installed.\n! version: : 1.0.0-1 sorts lower than 2.0.0-1"},
		{
			"no upgrade table", "1.0.0", "2.0.0", 1501, func(_, n *Installer) { n.Upgrades = nil }, install,
			lost + "\n! failure: : the table Upgrade of 2.0.0-1 does not find 1.0.0-1: both are installed afterwards, and share their files",
		},
		{
			"old product is left", "1.0.0", "2.0.0", 1501, func(_, n *Installer) { n.Upgrades[0].Attributes |= onlyDetect }, install,
			lost + "\n! failure: : 2.0.0-1 finds 1.0.0-1 and does not remove it: both are installed afterwards, and share their files",
		},
		{
			"wrong condition", "", "1.0.0", 1501, func(_, n *Installer) { n.Sequence[0].Condition = "AND" }, strings.TrimPrefix(install, "FindRelatedProducts "),
			`! failure: FindRelatedProducts: its condition "AND" is wrong: a value is missing before "AND"`,
		},
	} {
		c := Case{Format: "msi", Compare: func(a, b string) int { return cmp.Compare(a, b) }}
		var o, n *Installer
		if tc.old != "" {
			o = installer(tc.old, "{P1}", tc.remove)
			c.Old = windows(tc.old, o)
		}
		if tc.new != "" {
			n = installer(tc.new, "{P2}", tc.remove)
			c.New = windows(tc.new, n)
		}
		if tc.change != nil {
			tc.change(o, n)
		}
		r, err := Run(c)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if got := order(r.Steps); tc.order != "" && got != tc.order {
			t.Errorf("%s: order\n%s\nwant\n%s", tc.name, got, tc.order)
		}
		if got := said(r); got != tc.want {
			t.Errorf("%s: says\n%s\nwant\n%s", tc.name, got, tc.want)
		}
	}
}

// The same product code with another package is no upgrade for Windows Installer.
func TestMSISameProduct(t *testing.T) {
	for _, tc := range []struct{ code, want string }{
		{"{P1}", "the package is the same: msiexec /i does nothing"},
		{"{P2}", "Windows Installer refuses with 1638"},
	} {
		r, err := Run(Case{
			Format: "msi", Old: windows("1.0.0", installer("1.0.0", "{P1}", 1501)), New: windows("1.0.0", installer("1.0.0", tc.code, 1501)),
			Compare: func(a, b string) int { return cmp.Compare(a, b) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := said(r); r.Action != Reinstall || !strings.Contains(got, tc.want) {
			t.Errorf("%s, and says\n%s\nwant %s", r.Action, got, tc.want)
		}
	}
}

// The hook of vpkg's packages says what a scriptlet does: on a change of version it
// restarts what runs, and neither version's scriptlets stop anything for good.
func TestHook(t *testing.T) {
	scripts := func(p *packaging.Package) {
		for phase, body := range map[packaging.Phase]string{
			packaging.PostInstall: "exec /opt/x/bin/vpkg-hook post-install --format rpm -- \"$1\"",
			packaging.PreRemove:   "/opt/x/bin/vpkg-hook pre-remove --format rpm -- \"$1\"",
		} {
			script(phase, body)(p)
		}
	}
	side := func(version string) *Side {
		return &Side{Package: pkg(version, scripts), Hook: &hooks.Config{
			Format: 1, Name: "x", Version: version + "-1", Program: "/opt/x", Units: []hooks.Unit{{Name: "x.service", Enable: true, Start: true}},
		}}
	}
	for _, tc := range []struct {
		old, new *Side
		want     string // verbs of the service
		outcome  string
	}{
		{nil, side("1.0"), "enable start", "started"},
		{side("1.0"), side("2.0"), "try-restart", "restarted if it runs"},
		{side("2.0"), side("1.0"), "try-restart", "restarted if it runs"},
		{side("1.0"), nil, "stop disable", "stopped"},
	} {
		r, err := Run(Case{Format: "rpm", Old: tc.old, New: tc.new, Compare: func(a, b string) int { return cmp.Compare(a, b) }})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Services) != 1 || strings.Join(r.Services[0].Does, " ") != tc.want || r.Services[0].Outcome != tc.outcome {
			t.Errorf("%s: services %+v, want %q, %s", r.Action, r.Services, tc.want, tc.outcome)
		}
	}
}

// What a terminal would obey does not reach it.
func TestTextIsPrintable(t *testing.T) {
	p := pkg("1.0", entries(config("/etc/\x1b[31mx", "a", packaging.ConfigReplace), file("/opt/\x1b]0;x\x07", "a")))
	p.Name = "x\x1b[2J"
	p.Scripts = []packaging.Script{{Phase: packaging.PostInstall, Body: "rm -rf '/srv/\x1b[1m'"}}
	r := run(t, "rpm", nil, p)
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07") || !strings.Contains(b.String(), `\x1b[1m`) {
		t.Errorf("text %q", b.String())
	}
}
