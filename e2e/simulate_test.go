//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	debformat "github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/testbed"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/packaging/simulate"
	rpmformat "github.com/vpkg/vpkg/rpm"
)

// simLog is where the scriptlets of the simulated packages say that they run, and
// simRoots are the folders with all of their files.
const simLog = "/var/log/sim.log"

var simRoots = []string{"/etc/sim", "/opt/sim"}

// TestSimulate has rpm and dpkg install, upgrade, downgrade, reinstall and remove a
// package with every kind of configuration file in every state, and compares what
// they did with what vpkg simulate said: scriptlets in their order with arguments,
// each file with its content, mode and type, and what lies beside configuration.
func TestSimulate(t *testing.T) {
	for _, g := range generations {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			b := g.box(t)
			s := &simulated{g: g, b: b, dir: t.TempDir(), format: "rpm"}
			if _, ok := g.manager.(dpkg); ok {
				s.format = "deb"
			}
			older, newer := s.write(t, s.pkg("1.0", true)), s.write(t, s.pkg("2.0", false))

			s.disturb(t, nil, older)
			s.check(t, "install", older, "--install", older.file)
			for _, c := range []struct {
				name     string
				from, to simPackage
			}{{"upgrade", older, newer}, {"downgrade", newer, older}, {"reinstall", older, older}} {
				s.disturb(t, c.from.layout, c.to)
				s.check(t, c.name, c.to, c.from.file, c.to.file)
			}
			s.disturb(t, older.layout, simPackage{})
			s.check(t, "remove", simPackage{}, "--remove", older.file)
			if s.format == "deb" {
				s.run(t, "install", older)
				s.b.Sh(t, "rm -f /etc/sim/*-only-new-*").OK(t) // dpkg remembers those of 2.0
				s.disturb(t, older.layout, simPackage{})
				s.check(t, "purge", simPackage{}, "--purge", older.file)
			}
		})
	}
}

// A simulated is a box in which packages are simulated, and then installed.
type simulated struct {
	g      generation
	b      *testbed.Box
	dir    string // of the machine, for package files
	format string
}

// A simPackage is a package file with what is in it.
type simPackage struct {
	file   string
	layout packaging.Layout
	text   map[string]string // of files by path
}

// The states of a configuration file, as the names of the files end.
var simStates = []string{"unchanged", "changed", "missing", "as-new"}

// pkg makes a version of the package. Names of files in /etc/sim say what they are in
// the old package, what in the new one, whether their contents differ, and in which
// state they are.
func (s *simulated) pkg(version string, older bool) *packaging.Package {
	kinds := []packaging.Config{packaging.NotConfig, packaging.ConfigNoReplace}
	if s.format == "rpm" {
		kinds = append(kinds, packaging.ConfigReplace, packaging.ConfigMissingOK)
	}
	name := func(c packaging.Config) string {
		return map[packaging.Config]string{packaging.NotConfig: "plain", packaging.ConfigNoReplace: "noreplace", packaging.ConfigReplace: "config", packaging.ConfigMissingOK: "missingok"}[c]
	}
	p := &packaging.Package{
		Name: "sim", Version: version, Release: "1", Arch: "noarch", Summary: "a package to be simulated", Description: "It says what runs.",
		License: "Apache-2.0", Maintainer: "Vpkg Tests <tests@example.org>", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	if s.format == "deb" {
		p.Arch = "all"
	}
	add := func(e ...packaging.Entry) { p.Layout = append(p.Layout, e...) }
	config := func(path, content string, c packaging.Config) {
		e := packagingtest.File(path, 0o644, []byte(content))
		e.Config = c
		add(e)
	}
	for _, state := range simStates {
		for _, a := range kinds {
			for _, z := range kinds {
				for _, differs := range []bool{false, true} {
					content := "the same"
					if differs {
						content = "of " + version
					}
					c := z
					if older {
						c = a
					}
					config(fmt.Sprintf("/etc/sim/%s-%s-%t-%s", name(a), name(z), differs, state), content, c)
				}
			}
			if older {
				config(fmt.Sprintf("/etc/sim/%s-only-old-%s", name(a), state), "of "+version, a)
			} else {
				config(fmt.Sprintf("/etc/sim/%s-only-new-%s", name(a), state), "of "+version, a)
			}
		}
	}
	add(packagingtest.Dir("/etc/sim", 0o755), packagingtest.Dir("/opt/sim", 0o755), packagingtest.Dir("/opt/sim/target", 0o755))
	file := func(p string, mode fs.FileMode) packaging.Entry {
		return packagingtest.File(p, mode, []byte("of "+version))
	}
	ghost := func(p string) packaging.Entry {
		return packaging.Entry{Path: p, Mode: 0o644, Ghost: true}
	}
	if older {
		add(file("/opt/sim/mode", 0o644), packagingtest.Dir("/opt/sim/folder-mode", 0o755), packagingtest.Symlink("/opt/sim/link", "target"),
			file("/opt/sim/file-to-folder", 0o644), file("/opt/sim/file-to-link", 0o644), packagingtest.Symlink("/opt/sim/link-to-file", "target"),
			packagingtest.Dir("/opt/sim/gone", 0o755), file("/opt/sim/gone/file", 0o644),
			packagingtest.Dir("/opt/sim/stays", 0o755), file("/opt/sim/stays/file", 0o644))
		if s.format == "deb" {
			add(packagingtest.Dir("/opt/sim/folder-to-link", 0o755), file("/opt/sim/folder-to-link/file", 0o644), packagingtest.Dir("/opt/sim/folder-to-file", 0o755),
				packagingtest.Symlink("/opt/sim/link-to-folder", "target"))
		} else {
			add(ghost("/opt/sim/ghost-gone"), ghost("/opt/sim/ghost-both"), file("/opt/sim/file-to-ghost", 0o644), ghost("/opt/sim/ghost-to-file"))
		}
	} else {
		add(file("/opt/sim/mode", 0o600), packagingtest.Dir("/opt/sim/folder-mode", 0o700), packagingtest.Symlink("/opt/sim/link", "elsewhere"),
			packagingtest.Dir("/opt/sim/file-to-folder", 0o755), file("/opt/sim/file-to-folder/file", 0o644), packagingtest.Symlink("/opt/sim/file-to-link", "target"), file("/opt/sim/link-to-file", 0o644),
			packagingtest.Dir("/opt/sim/comes", 0o755), file("/opt/sim/comes/file", 0o644))
		if s.format == "deb" {
			add(packagingtest.Symlink("/opt/sim/folder-to-link", "target"), file("/opt/sim/folder-to-file", 0o644),
				packagingtest.Dir("/opt/sim/link-to-folder", 0o755), file("/opt/sim/link-to-folder/file", 0o644))
		} else {
			add(ghost("/opt/sim/ghost-both"), ghost("/opt/sim/file-to-ghost"), file("/opt/sim/ghost-to-file", 0o644))
		}
	}
	if s.format == "rpm" && older {
		// rpm refuses to make a folder a file again.
		p.Layout = slices.DeleteFunc(p.Layout, func(e packaging.Entry) bool { return e.Path == "/opt/sim/file-to-folder" })
	}
	p.Layout.Sort()
	p.Scripts, p.Triggers = s.scripts(version)
	return p
}

// scripts are all scriptlets and triggers that there are; each says that it runs.
func (s *simulated) scripts(version string) ([]packaging.Script, []packaging.Trigger) {
	says := func(name string) string {
		return `{ printf '%s' '` + version + " " + name + `'; for a in "$@"; do printf ' [%s]' "$a"; done; echo; } >>` + simLog + "\n"
	}
	if s.format == "deb" {
		var scripts []packaging.Script
		for phase, name := range map[packaging.Phase]string{
			packaging.PreInstall: "preinst", packaging.PostInstall: "postinst", packaging.PreRemove: "prerm", packaging.PostRemove: "postrm",
		} {
			scripts = append(scripts, packaging.Script{Phase: phase, Body: "#!/bin/sh\n" + says(name)})
		}
		slices.SortFunc(scripts, func(a, b packaging.Script) int { return strings.Compare(string(a.Phase), string(b.Phase)) })
		return scripts, nil
	}
	names := map[packaging.Phase]string{
		packaging.PreInstall: "%pre", packaging.PostInstall: "%post", packaging.PreRemove: "%preun", packaging.PostRemove: "%postun",
		packaging.PreTrans: "%pretrans", packaging.PostTrans: "%posttrans",
	}
	if s.has419() {
		names[packaging.PreUnTrans], names[packaging.PostUnTrans] = "%preuntrans", "%postuntrans"
	}
	var scripts []packaging.Script
	for _, phase := range slices.Sorted(maps.Keys(names)) {
		scripts = append(scripts, packaging.Script{Phase: phase, Body: says(names[phase])})
	}
	var triggers []packaging.Trigger
	for _, kind := range []string{"triggerprein", "triggerin", "triggerun", "triggerpostun"} {
		triggers = append(triggers, packaging.Trigger{Kind: kind, On: []string{"base"}, Script: packaging.Script{Body: says("%" + kind)}})
	}
	for _, kind := range []string{"filetriggerin", "filetriggerun", "filetriggerpostun", "transfiletriggerin", "transfiletriggerun", "transfiletriggerpostun"} {
		triggers = append(triggers, packaging.Trigger{Kind: kind, On: []string{"/opt/sim"}, Script: packaging.Script{Body: says("%" + kind)}})
	}
	return scripts, triggers
}

// has419 reports whether rpm is 4.19 or later.
func (s *simulated) has419() bool { return s.g.name == "rpm 4.20" || s.g.name == "rpm 6" }

func (s *simulated) write(t *testing.T, p *packaging.Package) simPackage {
	t.Helper()
	var f packaging.Format = rpmformat.Format{}
	if s.format == "deb" {
		f = debformat.Format{}
	}
	name := filepath.Join(s.dir, f.FileName(p))
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(t.Context(), out, p); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	x := simPackage{file: name, layout: p.Layout, text: map[string]string{}}
	for i := range p.Layout {
		if b, ok := p.Layout[i].Body.(packagingtest.Bytes); ok {
			x.text[p.Layout[i].Path] = string(b)
		}
	}
	return x
}

// disturb puts the files of the host, which has the layout, into the states that
// their names say, before the next package comes.
func (s *simulated) disturb(t *testing.T, layout packaging.Layout, next simPackage) {
	t.Helper()
	paths := map[string]bool{}
	for _, l := range []packaging.Layout{layout, next.layout} {
		for i := range l {
			paths[l[i].Path] = true
		}
	}
	for p := range paths {
		_, installed := layout.Lookup(p)
		coming, comes := next.text[p]
		switch {
		case !strings.HasPrefix(p, "/etc/sim/"):
		case strings.HasSuffix(p, "-changed"):
			s.b.Write(t, p, "by the administrator")
		case strings.HasSuffix(p, "-as-new") && comes:
			s.b.Write(t, p, coming)
		case s.format == "deb" && !installed && s.obsolete(p):
			// dpkg remembers it, which the simulation cannot know
		case strings.HasSuffix(p, "-missing"), strings.HasSuffix(p, "-unchanged") && !installed:
			if err := os.Remove(s.b.Path(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	for i := range layout {
		if layout[i].Ghost {
			s.b.Write(t, layout[i].Path, "by the product")
		}
		if layout[i].Path == "/opt/sim/stays" || layout[i].Path == "/opt/sim/folder-to-link" || layout[i].Path == "/opt/sim/folder-to-file" {
			if layout[i].Mode.IsDir() {
				s.b.Write(t, layout[i].Path+"/mine", "by the administrator")
			}
		}
	}
}

// obsolete reports whether a conffile is one that dpkg has left from a version that
// had it, and whose deletion it would respect.
func (s *simulated) obsolete(p string) bool {
	return strings.HasPrefix(p, "/etc/sim/noreplace-only-")
}

// check simulates, does it, and compares.
func (s *simulated) check(t *testing.T, action string, next simPackage, args ...string) {
	t.Helper()
	before := s.snapshot(t)
	r := s.simulate(t, args...)
	if string(r.Action) != action {
		t.Fatalf("%s: the simulation takes it for an %s", action, r.Action)
	}
	s.b.Write(t, simLog, "")
	s.run(t, action, next)

	want := s.order(r)
	if got := s.ran(t, want); !slices.Equal(got, want) {
		t.Errorf("%s: %s ran\n%s\nwant, as simulated,\n%s", action, s.g.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s.compare(t, action, predict(t, r, before, next), s.snapshot(t))
}

// order are the scriptlets of a report as they say that they run.
func (s *simulated) order(r *simulate.Report) []string {
	var lines []string
	for _, x := range r.Steps {
		if x.Kind != "script" && x.Kind != "trigger" || x.If == "rpm is 4.19 or later" && !s.has419() {
			continue
		}
		f := r.New
		if x.Of == "old" {
			f = r.Old
		}
		line := strings.TrimSuffix(f.Version, "-1") + " " + x.Name
		for _, a := range x.Args {
			if a == "N" {
				a = "1" // instance of base
			}
			if x.Name == "%posttrans" && s.g.name == "rpm 4.16" {
				a = "1" // see docs/simulate.md
			}
			line += " [" + a + "]"
		}
		lines = append(lines, line)
	}
	return lines
}

// ran are the lines of the scriptlets that ran. Triggers on files have no arguments
// there: these, and how often they run, differ between versions of rpm. Those that are
// not simulated are left out: rpm may also run those of the version that goes.
func (s *simulated) ran(t *testing.T, want []string) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(s.b.Read(t, simLog)) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "filetrigger") {
			if line, _, _ = strings.Cut(line, " ["); !slices.Contains(want, line) || slices.Contains(lines, line) {
				continue
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// simulate runs vpkg simulate, looking at the box.
func (s *simulated) simulate(t *testing.T, args ...string) *simulate.Report {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(testbed.Dir(t), "vpkg"), append([]string{"simulate", "--json", "--root", s.b.Path("/")}, args...)...)
	out, err := cmd.Output()
	if ee, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || ee.ExitCode() != 1) {
		t.Fatalf("vpkg simulate %q: %v", args, err)
	}
	r := new(simulate.Report)
	if err := json.Unmarshal(out, r); err != nil {
		t.Fatalf("vpkg simulate %q: %v\n%s", args, err, out)
	}
	if failed := err != nil; failed != (len(r.Warnings) > 0) {
		t.Errorf("vpkg simulate %q: %v with %d warnings", args, err, len(r.Warnings))
	}
	return r
}

// run does it. Where dpkg asks, it is first seen that it fails without an answer.
func (s *simulated) run(t *testing.T, action string, p simPackage) {
	t.Helper()
	if s.format == "rpm" {
		argv := map[string][]string{
			"install": {"-i"}, "upgrade": {"-U"}, "downgrade": {"-U", "--oldpackage"}, "reinstall": {"-U", "--replacepkgs"}, "remove": {"-e", "sim"},
		}[action]
		if m, ok := s.g.manager.(rpm); ok && m.signatures && p.file != "" {
			argv = append(argv, "--nosignature")
		}
		argv = append([]string{"rpm"}, argv...)
		if p.file != "" {
			argv = append(argv, s.b.Copy(t, "/packages", p.file)...)
		}
		s.b.Run(t, argv...).OK(t)
		return
	}
	switch action {
	case "remove":
		s.b.Run(t, "dpkg", "--remove", "sim").OK(t)
	case "purge":
		s.b.Run(t, "dpkg", "--purge", "sim").OK(t)
	default:
		s.b.Run(t, "dpkg", "--force-confdef", "--install", s.b.Copy(t, "/packages", p.file)[0]).OK(t)
	}
}

// A thing is what is at a path: "folder 0755", "link TARGET" or "file 0644 CONTENT".
type thing string

func (s *simulated) snapshot(t *testing.T) map[string]thing {
	t.Helper()
	found := map[string]thing{}
	for _, root := range simRoots {
		base := s.b.Path("/")
		err := filepath.WalkDir(s.b.Path(root), func(name string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			} else if err != nil {
				return err
			}
			fi, err := e.Info()
			if err != nil {
				return err
			}
			p := "/" + strings.TrimPrefix(strings.TrimPrefix(name, base), "/")
			switch fi.Mode().Type() {
			case fs.ModeDir:
				found[p] = folderOf(fi.Mode())
			case fs.ModeSymlink:
				target, err := os.Readlink(name)
				if err != nil {
					return err
				}
				found[p] = thing("link " + target)
			default:
				b, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				found[p] = fileOf(fi.Mode(), string(b))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func folderOf(m fs.FileMode) thing { return thing(fmt.Sprintf("folder %04o", m.Perm())) }

func fileOf(m fs.FileMode, content string) thing {
	return thing(fmt.Sprintf("file %04o %s", m.Perm(), content))
}

// of is what an entry of a package is on a host.
func (p simPackage) of(t *testing.T, path string) thing {
	t.Helper()
	e, ok := p.layout.Lookup(path)
	switch {
	case !ok:
		t.Fatalf("the simulation lays down %s, which is not in the package", path)
	case e.Mode.IsDir():
		return folderOf(e.Mode)
	case e.Mode.Type() == fs.ModeSymlink:
		return thing("link " + e.Target)
	}
	return fileOf(e.Mode, p.text[path])
}

// predict does to what was there what the report says.
func predict(t *testing.T, r *simulate.Report, before map[string]thing, next simPackage) map[string]thing {
	t.Helper()
	after := maps.Clone(before)
	decided := map[string]bool{}
	for _, d := range r.Config {
		decided[d.Path] = true
	}
	// at follows a link in the place of the path's folder, as both tools do.
	at := func(p string) string {
		if target, ok := strings.CutPrefix(string(after[path.Dir(p)]), "link "); ok {
			return path.Join(path.Dir(path.Dir(p)), target, path.Base(p))
		}
		return p
	}
	// What is the same in both packages is laid down again.
	listed := map[string]bool{}
	for _, f := range r.Files {
		listed[f.Path] = true
	}
	for i := range next.layout {
		if p := next.layout[i].Path; !listed[p] && !decided[p] && !next.layout[i].Ghost {
			after[p] = next.of(t, p)
		}
	}
	var folders []string
	for _, f := range r.Files {
		if decided[f.Path] && f.Type != "folder" {
			continue
		}
		switch f.Change {
		case "added", "changed":
			to := at(f.Path)
			if strings.HasPrefix(string(before[to]), "folder") && f.Type != "folder" {
				maps.DeleteFunc(after, func(p string, _ thing) bool { return strings.HasPrefix(p, to+"/") })
			}
			after[to] = next.of(t, f.Path)
		case "removed":
			if f.Type == "folder" {
				folders = append(folders, f.Path)
			} else {
				delete(after, at(f.Path))
			}
		}
	}
	for _, d := range r.Config {
		if len(d.Outcomes) != 1 {
			t.Fatalf("%s has %d outcomes with a host", d.Path, len(d.Outcomes))
		}
		o := d.Outcomes[0]
		local := before[d.Path]
		switch o.Result {
		case simulate.Replaced, simulate.Created:
			after[d.Path] = next.of(t, d.Path)
			if o.Beside != "" {
				after[o.Beside] = local
			}
		case simulate.Kept:
			if o.Beside != "" {
				after[o.Beside] = next.of(t, d.Path)
			}
		case simulate.Removed:
			delete(after, d.Path)
			if o.Beside != "" {
				after[o.Beside] = local
			}
		}
		if r.Action == simulate.Purge {
			delete(after, d.Path+".dpkg-dist")
			delete(after, d.Path+".dpkg-old")
		}
	}
	slices.Sort(folders)
	for _, dir := range slices.Backward(folders) {
		empty := true
		for p := range after {
			empty = empty && !strings.HasPrefix(p, dir+"/")
		}
		if empty {
			delete(after, dir)
		}
	}
	return after
}

func (s *simulated) compare(t *testing.T, action string, want, got map[string]thing) {
	t.Helper()
	all := map[string]bool{}
	for p := range want {
		all[p] = true
	}
	for p := range got {
		all[p] = true
	}
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if want[p] != got[p] {
			t.Errorf("%s: after %s %s is %q, as simulated %q", action, s.g.name, p, got[p], want[p])
		}
	}
}

// TestSimulateRefused has rpm and dpkg stop where the simulation says that they do:
// rpm before anything changes, dpkg at a question that nobody answers.
func TestSimulateRefused(t *testing.T) {
	for _, g := range generations {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			b := g.box(t)
			s := &simulated{g: g, b: b, dir: t.TempDir(), format: "rpm"}
			if _, ok := g.manager.(dpkg); ok {
				s.format = "deb"
			}
			older, newer := s.pkg("1.0", true), s.pkg("2.0", false)
			if s.format == "rpm" {
				older.Layout = append(older.Layout, packagingtest.Dir("/opt/sim/becomes-link", 0o755))
				newer.Layout = append(newer.Layout, packagingtest.Symlink("/opt/sim/becomes-link", "target"))
				older.Layout.Sort()
				newer.Layout.Sort()
			}
			from, to := s.write(t, older), s.write(t, newer)
			s.run(t, "install", from)
			s.disturb(t, from.layout, to)
			before := s.snapshot(t)
			r := s.simulate(t, from.file, to.file)
			b.Write(t, simLog, "")
			argv := append([]string{"dpkg", "--install"}, b.Copy(t, "/packages", to.file)...)
			if s.format == "rpm" {
				argv = append([]string{"rpm", "-U"}, argv[2:]...)
				if m, ok := g.manager.(rpm); ok && m.signatures {
					argv = append(argv, "--nosignature")
				}
			}
			out := b.Run(t, argv...).Fails(t)

			if s.format == "deb" {
				asks := slices.ContainsFunc(r.Config, func(d simulate.Decision) bool { return d.Outcomes[0].Asks })
				if !asks || !strings.Contains(out, "end of file on stdin at conffile prompt") {
					t.Errorf("the simulation says that dpkg asks: %t; it says\n%s", asks, out)
				}
				return
			}
			if !strings.Contains(r.Refused, "/opt/sim/becomes-link") || !strings.Contains(out, "/opt/sim/becomes-link") {
				t.Errorf("rpm refuses with\n%sand the simulation says %q", out, r.Refused)
			}
			want := s.order(r)
			if got := s.ran(t, want); !slices.Equal(got, want) {
				t.Errorf("rpm ran %q, as simulated %q", got, want)
			}
			s.compare(t, "refused upgrade", before, s.snapshot(t))
		})
	}
}

// TestSimulateServices upgrades on booted systems with scriptlets of the kinds that are
// in the wild, and sees in which state each leaves a service that runs.
func TestSimulateServices(t *testing.T) {
	const unit = "[Service]\nExecStart=/bin/sleep 1000\n"
	for _, c := range []struct {
		name, generation string
		older, newer     map[packaging.Phase]string
		outcome          string
		active, restarts bool
	}{
		{"stopped by the old version", "rpm 4.18", map[packaging.Phase]string{packaging.PreRemove: "systemctl stop sim.service || :"}, nil, "left stopped", false, false},
		{"stopped only when it is removed", "rpm 4.18", map[packaging.Phase]string{packaging.PreRemove: "if [ $1 -eq 0 ]; then systemctl stop sim; fi"}, nil, "left as it is", true, false},
		{
			"started too early", "rpm 4.18",
			map[packaging.Phase]string{packaging.PreRemove: "systemctl stop sim.service"},
			map[packaging.Phase]string{packaging.PostInstall: "systemctl start sim.service"},
			"left stopped", false, false,
		},
		{"restarted by systemd's macros", "rpm 4.18", map[packaging.Phase]string{packaging.PostRemove: "if [ $1 -ge 1 ] && [ -x /bin/systemctl ]; then\n  systemctl try-restart sim.service || :\nfi"}, nil, "restarted if it runs", true, true},
		{
			"restarted when all is done", "rpm 4.18",
			map[packaging.Phase]string{packaging.PreRemove: "systemctl stop sim.service"},
			map[packaging.Phase]string{packaging.PostTrans: "systemctl start sim.service"},
			"started", true, true,
		},
		{"stopped by prerm", "dpkg 1.21", map[packaging.Phase]string{packaging.PreRemove: "#!/bin/sh\nsystemctl stop sim.service\n"}, nil, "left stopped", false, false},
		{
			"as debhelper has it", "dpkg 1.21",
			map[packaging.Phase]string{packaging.PreRemove: "#!/bin/sh\nset -e\nif [ -z \"${DPKG_ROOT:-}\" ] && [ \"$1\" = remove ] && [ -d /run/systemd/system ] ; then\n\tdeb-systemd-invoke stop 'sim.service' >/dev/null || true\nfi\n"},
			map[packaging.Phase]string{packaging.PostInstall: "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then\n\tif [ -d /run/systemd/system ]; then\n\t\tsystemctl --system daemon-reload >/dev/null || true\n\t\tif [ -n \"$2\" ]; then\n\t\t\t_dh_action=restart\n\t\telse\n\t\t\t_dh_action=start\n\t\tfi\n\t\tdeb-systemd-invoke $_dh_action 'sim.service' >/dev/null || true\n\tfi\nfi\n"},
			"restarted", true, true,
		},
		{
			"stopped and started", "dpkg 1.21",
			map[packaging.Phase]string{packaging.PreRemove: "#!/bin/sh\nsystemctl stop sim\n"},
			map[packaging.Phase]string{packaging.PostInstall: "#!/bin/sh\nsystemctl start sim\n"},
			"started", true, true,
		},
	} {
		t.Run(c.generation+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, c.generation)
			b := testbed.New(t, g.suite)
			b.Boot(t)
			g.seed(t, b)
			s := &simulated{g: g, b: b, dir: t.TempDir(), format: "rpm"}
			if _, ok := g.manager.(dpkg); ok {
				s.format = "deb"
			}
			var files []simPackage
			for i, scripts := range []map[packaging.Phase]string{c.older, c.newer} {
				p := s.pkg(fmt.Sprintf("%d.0", i+1), true)
				p.Layout = packaging.Layout{packagingtest.File("/usr/lib/systemd/system/sim.service", 0o644, []byte(unit))}
				p.Scripts, p.Triggers = nil, nil
				for _, phase := range slices.Sorted(maps.Keys(scripts)) {
					p.Scripts = append(p.Scripts, packaging.Script{Phase: phase, Body: scripts[phase]})
				}
				files = append(files, s.write(t, p))
			}
			s.run(t, "install", files[0])
			b.Sh(t, "systemctl daemon-reload; systemctl start sim.service").OK(t)
			pid := b.Run(t, "systemctl", "show", "--value", "--property", "MainPID", "sim.service").OK(t)

			r := s.simulate(t, files[0].file, files[1].file)
			if len(r.Services) != 1 || r.Services[0].Outcome != c.outcome {
				t.Errorf("as simulated %+v, want that it is %s", r.Services, c.outcome)
			}
			stopped := slices.ContainsFunc(r.Warnings, func(w simulate.Warning) bool { return w.Kind == simulate.Stopped })
			if stopped == c.active {
				t.Errorf("warnings %+v, and it runs afterwards: %t", r.Warnings, c.active)
			}
			s.run(t, "upgrade", files[1])
			if active := b.Run(t, "systemctl", "is-active", "--quiet", "sim.service").Code == 0; active != c.active {
				t.Errorf("it runs afterwards: %t, want %t", active, c.active)
			}
			now := b.Run(t, "systemctl", "show", "--value", "--property", "MainPID", "sim.service").OK(t)
			if restarted := now != pid; c.active && restarted != c.restarts {
				t.Errorf("it was restarted: %t, want %t", restarted, c.restarts)
			}
		})
	}
}
