package verify

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/shell"
)

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func mode(e *packaging.Entry) string { return fmt.Sprintf("%04o", packaging.UnixMode(e.Mode)&0o7777) }

func checkWorldWritable(c *checker) {
	if !c.linux {
		return
	}
	for i := range c.layout {
		e := &c.layout[i]
		switch {
		case e.Mode.Perm()&0o002 == 0 || !e.Regular() && !e.Mode.IsDir():
		case e.Mode.IsDir() && e.Mode&fs.ModeSticky != 0:
		case e.Mode.IsDir():
			c.find(e.Path, "everybody can make, replace and remove files in it: mode %s", mode(e))
		default:
			c.find(e.Path, "everybody can change it: mode %s", mode(e))
		}
	}
	c.eachSetting(func(s *scriptlet, st *shell.Step, m setting) {
		if m.othersWrite() {
			c.find(s.at(st.Line), "everybody can write to what it changes: %s", shown(st))
		}
	})
}

func checkSetuid(c *checker) {
	for i := range c.layout {
		e := &c.layout[i]
		if !e.Regular() || e.Mode&(fs.ModeSetuid|fs.ModeSetgid) == 0 || e.HardLink != "" {
			continue
		}
		as := "the user " + e.OwnerName()
		if e.Mode&fs.ModeSetuid == 0 {
			as = "the group " + e.GroupName()
		}
		text := fmt.Sprintf("whoever runs it gets the rights of %s: mode %s", as, mode(e))
		if c.Scan != nil && c.Scan.kinds[e.Path] == script {
			text = "it is a script, for which Linux ignores setuid and setgid: mode " + mode(e)
		}
		c.find(e.Path, "%s", text)
	}
	c.eachSetting(func(s *scriptlet, st *shell.Step, m setting) {
		if m.setsID() {
			c.find(s.at(st.Line), "it sets setuid or setgid, which the package's list of files does not show: %s", shown(st))
		}
	})
}

func checkCaps(c *checker) {
	for i := range c.layout {
		if e := &c.layout[i]; e.Caps != "" {
			c.find(e.Path, "whoever runs it gets %s", e.Caps)
		}
	}
	for _, s := range c.scripts {
		c.every(s, shell.Succeeds, func(st *shell.Step) {
			if st.Name() == "setcap" && len(st.Words) > 2 && !st.Has("r") {
				c.find(s.at(st.Line), "it sets capabilities that the package manager does not know of: %s", shown(st))
			}
		})
	}
}

func checkOddModes(c *checker) {
	if !c.linux {
		return
	}
	for i := range c.layout {
		e := &c.layout[i]
		p := e.Mode.Perm()
		switch {
		case e.Ghost:
		case e.Mode.IsDir() && p&0o500 != 0o500:
			c.find(e.Path, "its owner cannot go into the folder: mode %s", mode(e))
		case e.Mode.IsDir() && (p&0o050 == 0o040 || p&0o005 == 0o004):
			c.find(e.Path, "some can list the folder, and cannot go into it: mode %s", mode(e))
		case e.Regular() && p&0o111 != 0 && p&0o100 == 0:
			c.find(e.Path, "others can run it, and its owner cannot: mode %s", mode(e))
		case e.Regular() && p&0o777 == 0 && !within(e.Path, "/etc"): // where root reads it
			c.find(e.Path, "nobody has any right to it: mode %s", mode(e))
		}
	}
}

func checkNotExecutable(c *checker) {
	if c.Scan == nil || !c.linux {
		return
	}
	for i := range c.layout {
		e := &c.layout[i]
		k, known := c.Scan.kinds[e.Path]
		if !known || !e.Regular() || !isProgramFolder(path.Dir(e.Path)) || isExample(e.Path) {
			continue
		}
		run := e.Mode.Perm()&0o111 != 0
		switch {
		case !run && (k == elf || k == script) && !strings.Contains(path.Base(e.Path), ".so"):
			c.find(e.Path, "it is a program in a folder of programs, and nobody can run it: mode %s", mode(e))
		case run && (k == text || k == empty):
			c.find(e.Path, "it can be run, and is neither a program nor a script with #!")
		}
	}
}

// everywhere lists interpreters that every system has.
var everywhere = []string{"sh", "bash", "dash", "perl", "env", "sed", "awk", "make"}

func checkInterpreter(c *checker) {
	if c.Scan == nil || !c.linux {
		return
	}
	missing := map[string][]string{} // by interpreter
	var order []string
	for i := range c.layout {
		e := &c.layout[i]
		line, ok := c.Scan.scripts[e.Path]
		if !ok || strings.HasPrefix(e.Path, "/usr/share/doc/") || isExample(e.Path) {
			continue
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			c.find(e.Path, "it begins with #! and names no interpreter")
			continue
		}
		program := words[0]
		if path.Base(program) == "env" {
			words = slices.DeleteFunc(words[1:], func(w string) bool { return strings.HasPrefix(w, "-") || strings.Contains(w, "=") })
			if len(words) == 0 {
				continue
			}
			program = words[0]
		} else if !strings.HasPrefix(program, "/") {
			c.find(e.Path, "its interpreter %q is not an absolute path", program)
			continue
		}
		if d := isBuildFolder(program); d != "" {
			c.find(e.Path, "its interpreter %s is in a folder of the build", program)
			continue
		}
		if c.requires(program) {
			continue
		}
		if missing[program] == nil {
			order = append(order, program)
		}
		missing[program] = append(missing[program], e.Path)
	}
	for _, program := range order {
		more := ""
		if n := len(missing[program]) - 1; n > 0 {
			more = " (and " + plural(n, "more script") + ")"
		}
		c.find(missing[program][0], "its interpreter %s is neither in the package nor required by it%s", program, more)
	}
}

// requires reports whether a program is there when the package is.
func (c *checker) requires(program string) bool {
	name := path.Base(program)
	stem := strings.TrimRight(name, "0123456789.-")
	if slices.Contains(everywhere, name) || slices.Contains(everywhere, stem) || c.has(program) {
		return true
	}
	if stem == "" {
		stem = name
	}
	if stem == "tclsh" || stem == "wish" {
		stem = "tcl"
	}
	if stem == "node" || stem == "nodejs" {
		stem = "node"
	}
	return slices.ContainsFunc(c.Package.Relations, func(r packaging.Relation) bool {
		switch r.Kind {
		case packaging.Requires, packaging.PreRequires, packaging.Recommends, packaging.Suggests:
			return strings.Contains(r.Text, stem)
		}
		return false
	}) || c.siblings || strings.Contains(c.Package.Name, stem)
}

func checkLinks(c *checker) {
	for i := range c.layout {
		e := &c.layout[i]
		if e.Mode&fs.ModeSymlink == 0 {
			continue
		}
		if path.IsAbs(e.Target) {
			if d := isBuildFolder(e.Target); d != "" {
				c.find(e.Path, "it leads into %s, a folder of the build: %s", d, e.Target)
			}
			continue
		}
		depth := strings.Count(e.Path, "/") - 1
		for el := range strings.SplitSeq(e.Target, "/") {
			switch el {
			case "..":
				depth--
			case ".", "":
			default:
				depth++
			}
			if depth < 0 {
				c.find(e.Path, "it climbs above the root: %s", e.Target)
				break
			}
		}
	}
}

// resolve gives the path that a link's target is, as if no folder on the way were a
// link.
func resolve(e *packaging.Entry) string {
	if path.IsAbs(e.Target) {
		return path.Clean(e.Target)
	}
	return path.Join(path.Dir(e.Path), e.Target)
}

func checkDangling(c *checker) {
	for i := range c.layout {
		e := &c.layout[i]
		if e.Mode&fs.ModeSymlink == 0 || within(e.Path, "/usr/lib/.build-id") {
			continue
		}
		target := resolve(e)
		if isBuildFolder(target) != "" || c.has(target) || !c.isOwn(path.Dir(target)) || c.throughLink(target) {
			continue
		}
		if c.siblings {
			c.findAs(Info, e.Path, "it leads to %s, which another package has to have", target)
			continue
		}
		c.find(e.Path, "it leads to %s, which is not in the package", target)
	}
}

// throughLink reports whether a folder above a path is a link, so that the path is
// somewhere else.
func (c *checker) throughLink(p string) bool {
	for d := path.Dir(p); d != "/"; d = path.Dir(d) {
		if e, ok := c.layout.Lookup(d); ok && e.Mode&fs.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

func checkAbsoluteLinks(c *checker) {
	for i := range c.layout {
		e := &c.layout[i]
		if e.Mode&fs.ModeSymlink == 0 || !path.IsAbs(e.Target) {
			continue
		}
		if _, ok := c.layout.Lookup(path.Clean(e.Target)); ok {
			c.find(e.Path, "it leads to %s by an absolute path", e.Target)
		}
	}
}

func checkOutside(c *checker) {
	folders := c.Folders
	severity := c.rule.Severity
	if len(folders) == 0 {
		if c.hook == nil || c.recordDigest() == "" {
			return
		}
		severity = Info
		folders = []string{c.hook.Program, "/usr/lib/systemd/system", "/usr/share/doc/" + c.Package.Name, "/usr/share/licenses/" + c.Package.Name}
		for _, f := range c.hook.Folders {
			folders = append(folders, f.Path)
		}
	}
	for i := range c.layout {
		e := &c.layout[i]
		inside := slices.ContainsFunc(folders, func(f string) bool { return within(e.Path, f) || e.Mode.IsDir() && within(f, e.Path) })
		if !inside {
			c.findAs(severity, e.Path, "it is outside of the folders that are declared")
		}
	}
}

func checkSystemFolders(c *checker) {
	if slices.Contains([]string{"filesystem", "base-files", "systemd", "systemd-udev", "setup"}, c.Package.Name) {
		return // they are the system
	}
	for i := range c.layout {
		e := &c.layout[i]
		want, ok := systemFolders[e.Path]
		if !ok || !e.Mode.IsDir() {
			continue
		}
		got := packaging.UnixMode(e.Mode) & 0o7777
		odd := e.OwnerName() != "root" || e.GroupName() != "root" && !slices.Contains([]string{"/var/mail", "/var/log", "/var/local", "/usr/local", "/usr/src"}, e.Path)
		switch c.Format {
		case "rpm":
			if got != want || odd {
				c.findAs(Error, e.Path, "the system has it as root:root with mode %04o, the package as %s:%s with %04o: rpm sees a conflict", want, e.OwnerName(), e.GroupName(), got)
			} else {
				c.find(e.Path, "the folder is the system's, and the package owns it too")
			}
		case "deb":
			if odd || got != want && got != 0o755 && !slices.Contains([]string{"/root", "/var/mail", "/var/local"}, e.Path) && got&0o7000 == 0 {
				c.find(e.Path, "the folder is the system's, and the package has it as %s:%s with mode %04o", e.OwnerName(), e.GroupName(), got)
			}
		}
	}
}

func checkUnitPrograms(c *checker) {
	for i := range c.units {
		u := &c.units[i]
		seen := map[string]bool{}
		for _, p := range u.runs {
			if seen[p] || c.has(p) || !c.isOwn(path.Dir(p)) || c.throughLink(p) {
				continue
			}
			seen[p] = true
			if c.siblings {
				c.findAs(Info, u.path, "it runs %s, which another package has to have", p)
				continue
			}
			c.find(u.path, "it runs %s, which is not in the package", p)
		}
	}
	if w := c.Package.Windows; w != nil {
		for _, s := range w.Services {
			if s.Program == "" {
				continue
			}
			if _, ok := c.layout.Lookup(s.Program); !ok {
				c.find(s.Name, "the service runs %s, which is not in the package", s.Program)
			}
		}
	}
}

func checkConfig(c *checker) {
	if !c.linux {
		return
	}
	for i := range c.layout {
		e := &c.layout[i]
		// Keys, programs and what names the release are the package's to change.
		if within(e.Path, "/etc/pki") || within(e.Path, "/etc/rpm") || strings.HasSuffix(path.Dir(e.Path), "/init.d") || strings.Contains(path.Base(e.Path), "-release") {
			continue
		}
		if within(e.Path, "/etc") && e.Regular() && e.Config == packaging.NotConfig && !e.Ghost {
			c.find(e.Path, "an upgrade replaces it, with what the administrator wrote into it")
		}
	}
}

func checkConfigInUsr(c *checker) {
	for i := range c.layout {
		if e := &c.layout[i]; e.Config != packaging.NotConfig && within(e.Path, "/usr") {
			c.find(e.Path, "it is configuration, and /usr is what the administrator does not change")
		}
	}
}

func checkEmpty(c *checker) {
	if c.Format == "msi" {
		if len(c.layout) == 0 {
			c.find("", "it installs no file")
		}
		return
	}
	if slices.ContainsFunc(c.layout, func(e packaging.Entry) bool { return !e.Mode.IsDir() && !strings.HasPrefix(e.Path, "/usr/share/doc/") }) {
		return
	}
	if len(c.Package.Relations) == 0 && len(c.Package.Scripts) == 0 {
		c.find("", "it has no file, no relation to another package and no script")
	}
}

// shortRelease cuts a release to its first number: what follows often names the system,
// or counts rebuilds that no changelog knows of.
func shortRelease(evr string) string {
	version, release, ok := strings.Cut(evr, "-")
	if !ok {
		return evr
	}
	n := len(release) - len(strings.TrimLeft(release, "0123456789"))
	return version + "-" + release[:n]
}

func checkChangelog(c *checker) {
	if c.Compare == nil {
		return
	}
	p := c.Package
	version := ""
	switch c.Format {
	case "rpm":
		if c.Source != "" && !strings.Contains(c.Source, "-"+p.Version+"-") {
			return // the changelog is of the source, which has another version
		}
		if len(p.Changelog) > 0 {
			words := strings.Fields(p.Changelog[0].Author)
			if len(words) > 0 {
				version = strings.Trim(words[len(words)-1], "[]()")
			}
		}
		if version == "" || strings.Trim(version[:1], "0123456789") != "" || strings.ContainsAny(version, "@<>") {
			return
		}
	case "deb":
		if c.Scan == nil || slices.ContainsFunc(p.Fields, func(f packaging.Field) bool { return f.Name == "Source" && strings.Contains(f.Value, "(") }) {
			return // it is another version than the source's, of which the changelog is
		}
		version = c.Scan.changelogVersion()
	}
	if version == "" {
		return
	}
	evr := p.EVR()
	if c.Format == "rpm" {
		evr, version = shortRelease(evr), shortRelease(version)
	}
	if !strings.Contains(version, ":") {
		_, after, ok := strings.Cut(evr, ":")
		if ok {
			evr = after
		}
	}
	if !strings.Contains(version, "-") { // a changelog may leave out the release, or its dash
		evr = p.Version
		if strings.HasPrefix(version, evr) {
			return
		}
	}
	if c.Compare(evr, version) < 0 {
		c.find("", "the version %s sorts lower than %s, the newest of its changelog", p.EVR(), version)
	}
}

func checkBuildHost(c *checker) {
	h := c.BuildHost
	if h == "" || h == "localhost" || h == "reproducible" || strings.HasSuffix(h, ".local") && h == "localhost.local" {
		return
	}
	c.findAs(Info, "", "its header names the host that it was built on, %s", h)
}
