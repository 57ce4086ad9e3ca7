package compare

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// A Rule explains a difference that follows from the formats or the systems, and
// that a correct release therefore has.
type Rule struct {
	Name   string // "release-label"
	Reason string // a few words for a report
	Keeps  string // what it must not explain although it looks alike

	explains func(c *comparison, d *Difference) bool
}

// Rules lists all rules. The first that explains a difference counts.
func Rules() []Rule { return slices.Clone(rules) }

var rules = []Rule{
	{
		"release-label", "the release names its system, after the same build number",
		"another build number",
		func(c *comparison, d *Difference) bool {
			strip := func(s, label string) string {
				if label == "" {
					return s
				}
				return strings.ReplaceAll(s, label, "")
			}
			switch {
			case c.labelA == c.labelB || d.Kind != "package":
				return false
			case d.Subject == "release":
				return strings.TrimSuffix(d.A, c.labelA) == strings.TrimSuffix(d.B, c.labelB)
			case d.Subject == "changelog":
				return strip(changelog(c.a.Package.Changelog), c.labelA) == strip(changelog(c.b.Package.Changelog), c.labelB)
			}
			return false
		},
	},
	{
		"architecture-name", "each format spells the architecture its own way",
		"another architecture",
		func(c *comparison, d *Difference) bool {
			return c.cross && d.Kind == "package" && d.Subject == "architecture" && machine(d.A) != "" && machine(d.A) == machine(d.B)
		},
	},
	{
		"compression", "each system has a codec of its own by default",
		"another codec for the same system",
		func(c *comparison, d *Difference) bool {
			return (c.cross || c.labelA != c.labelB) && d.Kind == "package" && d.Subject == "compression"
		},
	},
	{
		"no-place", "one of the formats has no place for it",
		"a value that both formats have a place for",
		func(c *comparison, d *Difference) bool {
			if !c.cross || d.Kind != "package" {
				return false
			}
			none := func(format, value string) bool {
				return (value == "" || value == "0" && d.Subject == "epoch") && slices.ContainsFunc(noPlace[format], func(s string) bool {
					return d.Subject == s || strings.HasSuffix(s, " ") && strings.HasPrefix(d.Subject, s)
				})
			}
			return none(c.a.Format, d.A) || none(c.b.Format, d.B)
		},
	},
	{
		"default-section", "a DEB that is told none is in the section misc",
		"another section",
		func(c *comparison, d *Difference) bool {
			if d.Kind != "package" || d.Subject != "group" {
				return false
			}
			deb, other, ok := c.side("deb")
			return ok && deb.Package.Group == "misc" && other.Package.Group == ""
		},
	},
	{
		"record", "the record, and on Windows the hook's configuration, are written for each format",
		"a package without them; another configuration in RPM and DEB",
		func(c *comparison, d *Difference) bool {
			switch {
			case !c.cross:
				return false
			case d.Kind == "package" && d.Subject == "record":
				return d.A != "" && d.B != ""
			case d.Kind != "file" || d.Attribute != "content" || c.program[0] == "" || c.program[1] == "":
				return false
			}
			_, _, windows := c.side("msi") // the hook does the same on all of Linux
			return d.a.Path == c.program[0]+hooks.RecordFile || windows && d.a.Path == c.program[0]+hooks.ConfigFile
		},
	},
	{
		"relation-syntax", "the same relation in each format's syntax",
		"another version, another name",
		func(c *comparison, d *Difference) bool {
			if !c.cross || d.Kind != "relation" || c.has(d) != "" {
				return false
			}
			a, b := d.relations[0], d.relations[1]
			return kindOf(a) == kindOf(b) && normal(a.Text) == normal(b.Text)
		},
	},
	{
		"alternatives", "DEB allows for alternatives where RPM names one of them",
		"an alternative with other versions",
		func(c *comparison, d *Difference) bool {
			if _, _, ok := c.side("msi"); ok || !c.cross || d.Kind != "relation" || c.has(d) != "" {
				return false
			}
			a, b := d.relations[0], d.relations[1]
			if c.a.Format == "deb" {
				a, b = b, a
			}
			return slices.ContainsFunc(strings.Split(b.Text, "|"), func(s string) bool { return normal(s) == normal(a.Text) }) &&
				strings.Contains(b.Text, "|")
		},
	},
	{
		"format-relations", "what scriptlets need to make accounts, their shell, and what rpm adds for configuration files",
		"any other requirement; one side alone needing such tools",
		func(c *comparison, d *Difference) bool {
			if _, _, ok := c.side("msi"); ok || !c.cross || d.Kind != "relation" {
				return false
			}
			needs := func(s *Side, list []string) bool {
				return slices.ContainsFunc(s.Package.Relations, func(r packaging.Relation) bool {
					return kindOf(r) == packaging.Requires && slices.Contains(list, r.Text)
				})
			}
			here, there, r := &c.a, &c.b, d.relations[0]
			if d.Attribute == "extra" {
				here, there, r = &c.b, &c.a, d.relations[1]
			}
			if here.Format == "rpm" && strings.HasPrefix(r.Text, "config("+here.Package.Name+") = ") {
				return true
			}
			if c.has(d) == "" || kindOf(r) != packaging.Requires {
				return false
			}
			return here.Format == "rpm" && r.Text == "/bin/sh" || // DEB's is there always
				slices.Contains(accountTools[here.Format], r.Text) && needs(there, accountTools[there.Format])
		},
	},
	{
		"sonames", "RPM names the libraries that programs need, DEB the packages that have them",
		"sonames where the DEB needs no library",
		func(c *comparison, d *Difference) bool {
			_, other, ok := c.side("deb")
			return ok && other.Format == "rpm" && d.Kind == "relation" && c.has(d) == "rpm" && c.known.needsLibrary && soname.MatchString(d.Subject)
		},
	},
	{
		"no-relations", "Windows Installer has no relations between packages",
		"a difference between RPM and DEB",
		func(c *comparison, d *Difference) bool {
			_, _, ok := c.side("msi")
			return ok && d.Kind == "relation" && c.has(d) != "msi"
		},
	},
	{
		"hook-scripts", "each format's scriptlets only call the hook, for the same events",
		"any line that vpkg does not write; other names, folders or accounts",
		func(c *comparison, d *Difference) bool {
			if d.Kind != "script" || c.shims == nil {
				return false
			}
			phase := packaging.Phase(d.Subject)
			if win, other, ok := c.side("msi"); ok {
				own, is := c.shims.own(other, phase)
				return is && own == "" && callsHook(win)
			}
			a, isA := c.shims.own(&c.a, phase)
			b, isB := c.shims.own(&c.b, phase)
			return isA && isB && a == b
		},
	},
	{
		"control-hook", "dpkg runs the hook before the payload is there: it is in the control archive too",
		"another program than the payload's; any other member",
		func(c *comparison, d *Difference) bool {
			return c.cross && d.Kind == "control" && c.has(d) == "deb" && (d.Subject == "hook" || d.Subject == "hook-config") && c.known.ownHook
		},
	},
	{
		"accounts", "the account is made by the hook, or the format has none",
		"a DEB whose hook does not make the same account",
		func(c *comparison, d *Difference) bool {
			if !c.cross || d.Kind != "account" || c.has(d) == "" {
				return false
			}
			if _, _, ok := c.side("msi"); ok {
				return true
			}
			user, ok := strings.CutPrefix(d.Subject, "user ")
			return ok && c.known.ownHook && strings.Contains(c.known.hookConfig, `"user": "`+user+`"`)
		},
	},
	{
		"windows-access", "Windows has access lists instead of modes and owners",
		"setuid, setgid, world-writable; capabilities",
		func(c *comparison, d *Difference) bool {
			_, _, ok := c.side("msi")
			return ok && d.Kind == "file" && (d.Attribute == "owner" || d.Attribute == "group" || d.Attribute == "mode" && d.Weight != Rights)
		},
	},
	{
		"windows-folder", "the same folder has another place on Windows",
		"folders that are not the program's",
		func(c *comparison, d *Difference) bool {
			_, _, ok := c.side("msi")
			return ok && d.Kind == "package" && d.Subject == "program folder"
		},
	},
	{
		"windows-program", "a program is built for its system, and has .exe on Windows",
		"a program that is missing; other contents of what is no program",
		func(c *comparison, d *Difference) bool {
			if _, _, ok := c.side("msi"); !ok || d.Kind != "file" || d.Attribute != "content" {
				return false
			}
			return (path.Ext(d.a.Path) == ".exe") != (path.Ext(d.b.Path) == ".exe")
		},
	},
	{
		"windows-service", "units of systemd are services on Windows",
		"a unit without a service, a service without a unit",
		func(c *comparison, d *Difference) bool {
			_, other, ok := c.side("msi")
			switch {
			case !ok:
				return false
			case d.Kind == "service":
				return c.known.units[strings.TrimSuffix(d.Subject, "Svc")]
			case d.Kind != "file" || c.has(d) == "msi" || c.has(d) == "":
				return false
			}
			m := unitPath.FindStringSubmatch(d.Subject)
			if m == nil || len(c.known.services) == 0 {
				return false
			}
			name := other.Package.Name // its unit stands for all; that of the packet filter is Linux's
			return m[1] == name || m[1] == name+"-firewall" || c.known.services[m[1]] || c.known.services[m[1]+"Svc"]
		},
	},
	{
		"windows-link", "services of Windows name the component that a link stands for",
		"a link that no service stands for, or from elsewhere; a file",
		func(c *comparison, d *Difference) bool {
			_, other, ok := c.side("msi")
			if !ok || d.Kind != "file" || c.has(d) != other.Format {
				return false
			}
			e := cmp.Or(d.a, d.b)
			beside := e.Target == path.Base(e.Target) && path.Dir(e.Path) == c.linuxProgram()+"/bin"
			return beside && c.known.components[component{e.Target + ".exe", path.Base(e.Path)}]
		},
	},
	{
		"shell-program", "scripts that start the product, or show its state, are services and programs on Windows",
		"a program; a script elsewhere than in the program's bin",
		func(c *comparison, d *Difference) bool {
			_, other, ok := c.side("msi")
			if !ok || d.Kind != "file" || c.has(d) != other.Format || len(c.known.services) == 0 {
				return false
			}
			dir, name := path.Split(d.Subject)
			return dir == c.linuxProgram()+"/bin/" && d.Weight != Rights && (path.Ext(name) == ".sh" || name == "init_Platform")
		},
	},
	{
		"format-docs", "license and changelog stand where the format wants them",
		"any other documentation",
		func(c *comparison, d *Difference) bool {
			if !c.cross || d.Kind != "file" || d.Weight == Rights {
				return false
			}
			switch c.has(d) {
			case "deb":
				return debDocs.MatchString(d.Subject)
			case "rpm":
				e := cmp.Or(d.a, d.b)
				return e.Lic || strings.HasPrefix(e.Path, "/usr/share/licenses/") && e.Mode.IsDir()
			}
			return false
		},
	},
	{
		"ghosts", "only an RPM can own a file that is not in it",
		"a file that is in the package",
		func(c *comparison, d *Difference) bool {
			return c.cross && d.Kind == "file" && c.has(d) == "rpm" && cmp.Or(d.a, d.b).Ghost && d.Weight != Rights
		},
	},
	{
		"base-folders", "a DEB lists the folders of the system above its files",
		"folders with other modes or owners; the product's own",
		func(c *comparison, d *Difference) bool {
			if !c.cross || d.Kind != "file" || c.has(d) != "deb" {
				return false
			}
			e := cmp.Or(d.a, d.b)
			return e.Mode.IsDir() && packaging.UnixMode(e.Mode)&0o7777 == 0o755 && e.OwnerName() == "root" && e.GroupName() == "root" &&
				slices.Contains(baseFolders, e.Path)
		},
	},
	{
		"windows-settings", "only Windows has a registry and variables of the system",
		"services; a difference between two MSI",
		func(c *comparison, d *Difference) bool {
			_, _, ok := c.side("msi")
			return ok && (d.Kind == "registry" || d.Kind == "environment")
		},
	},
	{
		"host-config", "the policy lets it be changed on a host",
		"its type, mode and owner; that it is missing",
		func(c *comparison, d *Difference) bool {
			host := cmp.Or(c.a.Host, c.b.Host)
			return host != nil && d.Kind == "file" && slices.Contains([]string{"content", "time"}, d.Attribute) && host.Differ[d.Subject]
		},
	},
	{
		"host-optional", "a host need not have it",
		"what it has in another form; what it has besides",
		func(c *comparison, d *Difference) bool {
			host, has := c.b.Host, "missing"
			if host == nil {
				host, has = c.a.Host, "extra"
			}
			return host != nil && d.Kind == "file" && d.Attribute == has && host.Miss[d.Subject]
		},
	},
}

func ruleNumber(name string) int {
	return slices.IndexFunc(rules, func(r Rule) bool { return r.Name == name })
}

// explain finds the rule that explains d, and notes it.
func (c *comparison) explain(d *Difference) bool {
	for i := range rules {
		if rules[i].explains(c, d) {
			d.Rule, d.Reason = rules[i].Name, rules[i].Reason
			return true
		}
	}
	return false
}

// noPlace lists what the metadata of a format cannot say; a name that ends in a
// space stands for all that begin with it.
var noPlace = map[string][]string{
	"rpm": {"priority", "field "},
	"deb": {"license", "vendor", "changelog", "relocatable folders"},
	"msi": {"epoch", "group", "priority", "changelog", "relocatable folders", "field "},
}

var accountTools = map[string][]string{
	"rpm": {"/usr/sbin/useradd", "/usr/sbin/groupadd", "shadow-utils", "shadow"},
	"deb": {"passwd", "adduser"},
}

// baseFolders are those of the file system hierarchy that packages put files into.
var baseFolders = []string{
	"/", "/etc", "/etc/default", "/etc/init.d", "/etc/logrotate.d", "/lib", "/lib/systemd", "/lib/systemd/system", "/opt", "/usr",
	"/usr/bin", "/usr/lib", "/usr/lib/systemd", "/usr/lib/systemd/system", "/usr/sbin", "/usr/share", "/usr/share/doc", "/usr/share/man",
	"/usr/share/man/man1", "/usr/share/man/man5", "/usr/share/man/man8", "/var", "/var/lib",
}

var (
	debDocs  = regexp.MustCompile(`^/usr/share/doc/[^/]+(/(copyright|changelog(\.Debian)?(\.gz)?))?$`)
	unitPath = regexp.MustCompile(`^(?:/usr)?/lib/systemd/system/([^/]+)\.service$`)
	soname   = regexp.MustCompile(`^(lib[^ /]*\.so[^ /]*|ld-linux[^ /]*|rtld)\(`)
	labelled = regexp.MustCompile(`\.[a-z]+[0-9]+$`)
)

// label is the part of a release that names the system: ".el8" of "10.el8".
func label(release string) string { return labelled.FindString(release) }

// machine is one name for what the formats call an architecture; "" if unknown.
func machine(arch string) string {
	for _, names := range [][]string{
		{"x86_64", "amd64", "x64"}, {"aarch64", "arm64"}, {"i686", "i386", "x86"}, {"ppc64le", "ppc64el"}, {"s390x"}, {"noarch", "all"},
	} {
		if slices.Contains(names, arch) {
			return names[0]
		}
	}
	return ""
}

// linuxProgram is the program's folder in the package that is no MSI; one that no
// file is in if it is unknown.
func (c *comparison) linuxProgram() string {
	if c.a.Format == "msi" {
		return cmp.Or(c.program[1], "//")
	}
	return cmp.Or(c.program[0], "//")
}

// callsHook reports whether an MSI's actions run the hook.
func callsHook(s *Side) bool {
	return slices.ContainsFunc(s.Texts, func(t Text) bool {
		return t.Name == Actions && strings.Contains(t.Body, "post-install --format msi ") && strings.Contains(t.Body, "pre-remove --format msi ")
	})
}

// known is what rules ask about the packages again and again.
type known struct {
	ownHook      bool               // a DEB's member hook is the program in its payload
	hookConfig   string             // a DEB's member hook-config
	needsLibrary bool               // a DEB requires packages of libraries
	units        map[string]bool    // of systemd, without ".service"
	services     map[string]bool    // of Windows
	components   map[component]bool // that services of Windows name
}

// A component is a program and one of the arguments with which a service runs it.
type component struct{ program, argument string }

func newKnown(c *comparison) known {
	k := known{units: map[string]bool{}, services: map[string]bool{}, components: map[component]bool{}}
	if !c.cross {
		return k
	}
	for i, s := range []*Side{&c.a, &c.b} {
		p := s.Package
		for i := range p.Layout {
			if m := unitPath.FindStringSubmatch(p.Layout[i].Path); m != nil {
				k.units[m[1]] = true
			}
		}
		for _, m := range p.Members {
			switch m.Name {
			case "hook":
				e, has := c.layout[i].Lookup(c.program[i] + "/bin/vpkg-hook")
				k.ownHook = has && !e.SHA256.IsZero() && e.SHA256 == digest(m.Body)
			case "hook-config":
				k.hookConfig = content(m.Body)
			}
		}
		for _, r := range p.Relations {
			k.needsLibrary = k.needsLibrary || s.Format == "deb" && kindOf(r) == packaging.Requires && strings.HasPrefix(r.Text, "lib")
		}
		if p.Windows == nil {
			continue
		}
		for _, x := range p.Windows.Services {
			k.services[x.Name] = true
			for a := range strings.FieldsSeq(strings.Join(x.Arguments, " ")) {
				k.components[component{path.Base(x.Program), a}] = true
			}
		}
	}
	return k
}
