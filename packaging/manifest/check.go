package manifest

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	productRE   = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`) // Debian policy 5.6.1
	personRE    = regexp.MustCompile(`^[^<>\n]+ <[^<>@\s]+@[^<>@\s]+>$`)
	plainPathRE = regexp.MustCompile(`^/[A-Za-z0-9._+/-]+$`)
	accountRE   = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)
	unitRE      = regexp.MustCompile(`^[A-Za-z0-9:_.@-]+\.(service|socket|timer|path|target)$`)
	componentRE = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`) // also a unit's name without its suffix
	relativeRE  = regexp.MustCompile(`^[A-Za-z0-9._+/-]+$`)
	wordRE      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	sysctlRE    = regexp.MustCompile(`^[a-z0-9_]+(\.[A-Za-z0-9_-]+)+$`)
	prefixRE    = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	sectionRE   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+./ -]*$`)
)

// Accounts that every system of the table has, so that files may be theirs.
var systemAccounts = []string{"root", "adm", "bin", "daemon", "disk", "games", "lp", "mail", "man", "nobody", "sys", "tty", "video"}

// Folders that belong to the system: a package that owned them would conflict
// with it, or take them away when it is removed.
var systemFolders = []string{
	"/", "/bin", "/boot", "/dev", "/etc", "/etc/cron.d", "/etc/cron.daily", "/etc/default", "/etc/init.d", "/etc/logrotate.d",
	"/etc/profile.d", "/etc/rc.d", "/etc/security", "/etc/ssl", "/etc/sudoers.d", "/etc/sysconfig", "/etc/sysctl.d", "/etc/systemd",
	"/etc/systemd/system", "/etc/udev", "/etc/udev/rules.d", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp",
	"/usr", "/usr/bin", "/usr/games", "/usr/include", "/usr/lib", "/usr/lib/modules-load.d", "/usr/lib/sysctl.d", "/usr/lib/systemd", "/usr/lib/systemd/system",
	"/usr/lib/systemd/system-preset", "/usr/lib/sysusers.d", "/usr/lib/tmpfiles.d", "/usr/lib/udev", "/usr/lib/udev/rules.d", "/usr/lib64", "/usr/libexec", "/usr/local", "/usr/local/bin",
	"/usr/local/etc", "/usr/local/lib", "/usr/local/sbin", "/usr/local/share", "/usr/sbin", "/usr/share", "/usr/share/applications", "/usr/share/bash-completion",
	"/usr/share/bash-completion/completions", "/usr/share/doc", "/usr/share/licenses", "/usr/share/man", "/usr/share/man/man1", "/usr/share/man/man5", "/usr/share/man/man8",
	"/var", "/var/cache", "/var/lib", "/var/lib/vpkg", "/var/log", "/var/mail", "/var/opt", "/var/run", "/var/spool", "/var/tmp",
}

// Folders that belong to Windows.
var windowsFolders = []string{"/", "/Program Files", "/Program Files/Common Files", "/Program Files (x86)", "/ProgramData", "/Windows", "/Windows/System32"}

// A checker collects what is wrong with a manifest that could be decoded.
type checker struct {
	m      *Manifest
	failed func(path string) bool // has an error already
	errs   []error
}

// check reports everything that the types cannot say. failed tells which values
// could not be read at all.
func (m *Manifest) check(failed func(string) bool) []error {
	c := &checker{m: m, failed: failed}
	c.identity()
	c.folders()
	c.account()
	if m.Payload.Destination != "" {
		c.absolute("payload.destination", m.Payload.Destination)
	}
	c.attributes("payload", m.Payload.Attributes)
	c.contents("payload.contents", m.Payload.Contents)
	c.contents("contents", m.Contents)
	c.services()
	c.platform()
	c.dependencies()
	c.triggers()
	c.windows()
	c.overrides()
	c.changelog()
	return c.errs
}

func (c *checker) bad(at, format string, args ...any) {
	if !c.failed(at) {
		c.errs = append(c.errs, c.m.problem(at, format, args...))
	}
}

// problem is an error with the place of the value at path, or of the nearest one
// around it.
func (m *Manifest) problem(at, format string, args ...any) error {
	p, ok := m.pos[at]
	for s := at; !ok && s != ""; {
		s = around(s)
		p, ok = m.pos[s]
	}
	if !ok {
		p = pos{1, 1}
	}
	return &Problem{m.file, p.line, p.column, fmt.Errorf(format, args...)}
}

// matches checks a value that is given.
func (c *checker) matches(at, value string, re *regexp.Regexp, want string) {
	if value != "" && !re.MatchString(value) {
		c.bad(at, "%s %q: want %s", at, value, want)
	}
}

func (c *checker) oneLine(at, value string) {
	if strings.ContainsAny(value, "\n\r") {
		c.bad(at, "%s %q: want one line", at, value)
	}
}

func (c *checker) absolute(at, value string) bool {
	switch {
	case !strings.HasPrefix(value, "/"):
		c.bad(at, "%s %q is a relative path, want an absolute one", at, value)
	case path.Clean(value) != value || value == "/":
		c.bad(at, "%s %q: want a path without . and .. and without a slash at its end", at, value)
	case strings.ContainsAny(value, "\n\r"):
		c.bad(at, "%s %q has a new line", at, value)
	default:
		return !c.failed(at)
	}
	return false
}

func (c *checker) identity() {
	m := c.m
	for _, v := range []struct{ at, value string }{{"name", m.Name}, {"summary", m.Summary}, {"license", m.License}, {"maintainer", m.Maintainer}} {
		if v.value == "" {
			c.bad(v.at, "%s is empty", v.at)
		}
	}
	c.matches("name", m.Name, productRE, "lower case letters, digits and + - ., a letter or digit first, at least two")
	c.oneLine("summary", m.Summary)
	if strings.HasSuffix(m.Summary, ".") {
		c.bad("summary", "summary %q: want no final period", m.Summary)
	}
	c.oneLine("license", m.License)
	c.oneLine("vendor", m.Vendor)
	c.matches("maintainer", m.Maintainer, personRE, "NAME <MAIL>")
	if m.Homepage != "" && !strings.HasPrefix(m.Homepage, "http://") && !strings.HasPrefix(m.Homepage, "https://") || strings.ContainsAny(m.Homepage, " \n\r") {
		c.bad("homepage", "homepage %q: want an address that begins with https:// or http://", m.Homepage)
	}
	c.matches("section", m.Section, sectionRE, "a word such as net or admin")
	if m.Log != "" && c.absolute("log", m.Log) {
		c.matches("log", m.Log, plainPathRE, "letters, digits and . _ + - / only")
	}
	if len(m.Start) > 0 && !cleanRelative(m.Start[0]) {
		c.bad("start", "start %q: want a program relative to the program folder", m.Start[0])
	}
	c.matches("env_prefix", m.EnvPrefix, prefixRE, "upper case letters, digits and _")
}

func (c *checker) folders() {
	f := &c.m.Folders
	for _, v := range []struct{ at, value string }{{"folders.program", f.Program}, {"folders.data", f.Data}} {
		if v.value == "" {
			if v.at == "folders.program" {
				c.bad(v.at, "%s is empty", v.at)
			}
			continue
		}
		if !c.absolute(v.at, v.value) {
			continue
		}
		c.matches(v.at, v.value, plainPathRE, "letters, digits and . _ + - / only") // it stands in shell
		if slices.Contains(systemFolders, v.value) {
			c.bad(v.at, "%s %s is a system folder", v.at, v.value)
		}
	}
	if f.Data != "" && (within(f.Data, f.Program) || within(f.Program, f.Data)) {
		c.bad("folders.data", "folders.data %s and folders.program %s lie in one another", f.Data, f.Program)
	}
	if strings.Count(f.Data, "/") == 1 {
		c.bad("folders.data", "folders.data %s: want a folder within another", f.Data)
	}
	seen := make(map[string]bool)
	for i, x := range f.Extra {
		at := fmt.Sprintf("folders.extra[%d]", i)
		if !c.absolute(at+".path", x.Path) {
			continue
		}
		c.matches(at+".path", x.Path, plainPathRE, "letters, digits and . _ + - / only")
		if slices.Contains(systemFolders, x.Path) || strings.Count(x.Path, "/") == 1 {
			c.bad(at+".path", "%s.path %s is a system folder", at, x.Path)
		}
		if within(x.Path, f.Program) {
			c.bad(at+".path", "%s.path %s lies in the program folder, where the package owns everything: use contents", at, x.Path)
		}
		if seen[x.Path] || x.Path == f.Data {
			c.bad(at+".path", "folder %s is given twice", x.Path)
		}
		seen[x.Path] = true
		c.owner(at+".owner", x.Owner)
		c.owner(at+".group", x.Group)
	}
}

// within reports whether p is the folder dir or something in it.
func within(p, dir string) bool {
	return dir != "" && (p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/"))
}

// cleanRelative reports whether p is a path that stays within what it is relative
// to, in its shortest form, and needs no quoting in a shell or a unit.
func cleanRelative(p string) bool {
	return relativeRE.MatchString(p) && path.Clean("/"+p) == "/"+p
}

func (c *checker) account() {
	a := c.m.Account
	const want = "lower case letters, digits, _ and -, at most 31, a letter or _ first"
	c.matches("account.user", a.User, accountRE, want)
	c.matches("account.group", a.Group, accountRE, want)
	if a.User == "root" || a.Group == "root" {
		c.bad("account", "account is root, which the system makes itself")
	}
	for _, v := range []struct{ at, value string }{{"account.home", a.Home}, {"account.shell", a.Shell}} {
		if v.value != "" && v.value != "/" && c.absolute(v.at, v.value) {
			c.matches(v.at, v.value, plainPathRE, "letters, digits and . _ + - / only")
		}
	}
	if strings.ContainsAny(a.Comment, ":\n\r'\"\\$`") {
		c.bad("account.comment", "account.comment %q: has a colon, a quote, a backslash, $ or a new line", a.Comment)
	}
}

// owner checks a user's or group's name: of a typing mistake rpm would make root.
func (c *checker) owner(at, value string) {
	a := c.m.Account
	if value == "" || value == a.User || value == a.Group || slices.Contains(systemAccounts, value) || c.failed("account") {
		return
	}
	c.bad(at, "%s %q is neither root nor the package's account nor one that every system has%s",
		at, value, didYouMean(value, append(slices.Clone(systemAccounts), a.User, a.Group)))
}

func (c *checker) attributes(at string, as []Attributes) {
	for i, a := range as {
		p := fmt.Sprintf("%s.attributes[%d]", at, i)
		if err := checkPattern(a.Match); err != nil {
			c.bad(p+".match", "%s.match %q: %w", p, a.Match, err)
		}
		c.owner(p+".owner", a.Owner)
		c.owner(p+".group", a.Group)
		c.oneLine(p+".caps", a.Caps)
		if a.Exclude && (a.Mode.Set || a.DirMode.Set || a.Owner != "" || a.Group != "" || a.Config || a.Caps != "") {
			c.bad(p, "%s: exclude leaves the files out, so that nothing else can be said about them", p)
		}
	}
}

func (c *checker) contents(at string, cs []Content) {
	seen := make(map[string]string)
	for i := range cs {
		p := fmt.Sprintf("%s[%d]", at, i)
		x := &cs[i]
		c.contentFields(p, x)
		c.owner(p+".owner", x.Owner)
		c.owner(p+".group", x.Group)
		c.oneLine(p+".caps", x.Caps)
		c.attributes(p, x.Attributes)
		d := x.Destination
		if isRoot := x.Type == TypeTree && d == "/"; !isRoot && !c.absolute(p+".destination", d) {
			continue
		}
		if first, twice := seen[d]; twice {
			c.bad(p+".destination", "%s.destination %s is that of %s too", p, d, first)
		}
		seen[d] = p
		if within(d, c.m.Folders.Data) {
			c.bad(p+".destination", "%s.destination %s lies in the data folder, which is made by the hook and not by the package", p, d)
		}
		if slices.Contains(systemFolders, d) && x.Type != TypeTree {
			c.bad(p+".destination", "%s.destination %s is a system folder", p, d)
		}
	}
}

// contentFields checks that a content has the fields that its type needs, and
// none that would mean nothing.
func (c *checker) contentFields(at string, x *Content) {
	t := x.Type
	if t == "" {
		t = TypeFile
	}
	rules := []struct {
		key    string
		given  bool
		needed []ContentType
		fits   []ContentType
	}{
		{"source", x.Source != "" || x.Template != "" || x.Program != "", []ContentType{TypeFile, TypeTree}, []ContentType{TypeFile, TypeTree}},
		{"template", x.Template != "", nil, []ContentType{TypeFile}},
		{"program", x.Program != "", nil, []ContentType{TypeFile}},
		{"target", x.Target != "", []ContentType{TypeSymlink}, []ContentType{TypeSymlink}},
		{"mode", x.Mode.Set, nil, []ContentType{TypeFile, TypeDir, TypeGhost}},
		{"config", x.Config, nil, []ContentType{TypeFile, TypeGhost}},
		{"caps", x.Caps != "", nil, []ContentType{TypeFile}},
		{"attributes", x.Attributes != nil, nil, []ContentType{TypeTree}},
	}
	for _, r := range rules {
		switch {
		case !r.given && slices.Contains(r.needed, t):
			c.bad(at+"."+r.key, "%s is a %s and has no %s", at, t, r.key)
		case r.given && !slices.Contains(r.fits, t):
			hint := ""
			if t == TypeTree {
				hint = ": use attributes"
			}
			c.bad(at+"."+r.key, "%s is a %s, for which %s means nothing%s", at, t, r.key, hint)
		}
	}
	if len(slices.DeleteFunc([]string{x.Source, x.Template, x.Program}, func(s string) bool { return s == "" })) > 1 {
		c.bad(at+".source", "%s: want only one of source, template and program", at)
	}
	if strings.ContainsAny(x.Target, "\n\r") {
		c.bad(at+".target", "%s.target %q has a new line", at, x.Target)
	}
}

func (c *checker) services() {
	seen := make(map[string]bool)
	for i, s := range c.m.Services {
		at := fmt.Sprintf("services[%d]", i)
		if !unitRE.MatchString(s.Name) {
			c.bad(at+".name", "%s.name %q is not a unit's name with its suffix, such as agent.service", at, s.Name)
		}
		if seen[s.Name] {
			c.bad(at+".name", "service %s is given twice", s.Name)
		}
		seen[s.Name] = true
		if (s.Source == "") == (s.Template == "") {
			c.bad(at+".source", "%s: want either source or template", at)
		}
	}
}

func (c *checker) platform() {
	m := c.m
	components := make(map[string]bool)
	for i, x := range m.Components {
		at := fmt.Sprintf("components[%d]", i)
		if !componentRE.MatchString(x.Name) || components[x.Name] {
			c.bad(at+".name", "%s.name %q: want letters, digits and _ -, a letter first, each name once", at, x.Name)
		}
		components[x.Name] = true
		if x.Program != "" && !cleanRelative(x.Program) {
			c.bad(at+".program", "%s.program %q: want a path relative to the program folder", at, x.Program)
		}
	}
	modules := make(map[string]bool)
	for i, x := range m.Modules {
		at := fmt.Sprintf("modules[%d]", i)
		for _, n := range append([]string{x.Name}, x.Substitutes...) {
			if !wordRE.MatchString(n) {
				c.bad(at, "%s: %q is not a module's name", at, n)
			}
		}
		if modules[x.Name] {
			c.bad(at+".name", "module %s is given twice", x.Name)
		}
		modules[x.Name] = true
	}
	sysctls := make(map[string]bool)
	for i, x := range m.Sysctls {
		at := fmt.Sprintf("sysctls[%d]", i)
		if !sysctlRE.MatchString(x.Name) || sysctls[x.Name] {
			c.bad(at+".name", "%s.name %q: want words with dots between them, such as net.ipv4.ip_forward, each name once", at, x.Name)
		}
		sysctls[x.Name] = true
		if x.Value == "" {
			c.bad(at+".value", "%s.value is empty", at)
		}
		c.oneLine(at+".value", x.Value)
	}
	if m.Settings != "" && c.absolute("settings", m.Settings) {
		c.matches("settings", m.Settings, plainPathRE, "letters, digits and . _ + - / only")
	}
	for i, s := range m.Firewall.Services {
		at := fmt.Sprintf("firewall.services[%d]", i)
		c.matches(at, s, wordRE, "a service's name, such as firewalld")
	}
}

func (c *checker) dependencies() {
	known := append([]string{"common", "rpm", "deb"}, Labels()...)
	for _, k := range slices.Sorted(maps.Keys(c.m.Dependencies)) {
		at := "dependencies." + k
		if !slices.Contains(known, k) {
			c.bad(at, "dependencies: unknown family %q%s", k, didYouMean(k, known))
		}
		r := c.m.Dependencies[k]
		c.relations(at, &r, k == "common")
	}
}

func (c *checker) relations(at string, r *Relations, common bool) {
	for _, l := range r.lists() {
		for i, text := range *l.texts {
			p := fmt.Sprintf("%s.%s[%d]", at, l.key, i)
			if strings.TrimSpace(text) == "" || strings.ContainsAny(text, "\n\r,") && !strings.HasPrefix(text, "(") {
				c.bad(p, "%s %q: want one relation", p, text)
				continue
			}
			if _, err := parseCommon(text); common && err != nil {
				c.bad(p, "%s: %w", p, err)
			}
		}
	}
}

func (c *checker) triggers() {
	for i, s := range c.m.Triggers.DEB {
		at := fmt.Sprintf("triggers.deb[%d]", i)
		f := strings.Fields(s)
		if len(f) != 2 || !slices.Contains(debTriggers, f[0]) {
			c.bad(at, "%s %q: want a directive and a trigger's name; directives are %s", at, s, strings.Join(debTriggers, ", "))
		}
	}
	for i, t := range c.m.Triggers.RPM {
		at := fmt.Sprintf("triggers.rpm[%d]", i)
		if !slices.Contains(rpmTriggers, t.Kind) {
			c.bad(at+".kind", "%s.kind %q is not one of %s%s", at, t.Kind, strings.Join(rpmTriggers, ", "), didYouMean(t.Kind, rpmTriggers))
		}
		if len(t.Names) == 0 {
			c.bad(at+".names", "%s.names is empty", at)
		}
	}
}

var (
	debTriggers = []string{"interest", "interest-await", "interest-noawait", "activate", "activate-await", "activate-noawait"}
	rpmTriggers = []string{
		"triggerin", "triggerun", "triggerpostun", "triggerprein", "filetriggerin", "filetriggerun", "filetriggerpostun",
		"transfiletriggerin", "transfiletriggerun", "transfiletriggerpostun",
	}
)

func (c *checker) overrides() {
	known := append([]string{"rpm", "deb", "msi"}, Labels()...)
	for _, k := range slices.Sorted(maps.Keys(c.m.Overrides)) {
		at := "overrides." + k
		if !slices.Contains(known, k) {
			c.bad(at, "overrides: unknown target %q%s", k, didYouMean(k, known))
		}
		o := c.m.Overrides[k]
		c.contents(at+".contents", o.Contents)
		c.relations(at+".dependencies", &o.Dependencies, false)
	}
}

func (c *checker) changelog() {
	for i, x := range c.m.Changelog {
		at := fmt.Sprintf("changelog[%d]", i)
		c.matches(at+".author", x.Author, personRE, "NAME <MAIL>")
		if len(x.Changes) == 0 {
			c.bad(at+".changes", "%s.changes is empty", at)
		}
		if i > 0 && x.Date.After(c.m.Changelog[i-1].Date.Time) {
			c.bad(at+".date", "%s.date is later than the one before: want the newest first", at)
		}
	}
}

// setDefaults fills in what a manifest may leave out.
func (m *Manifest) setDefaults() {
	or := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	or(&m.Description, m.Summary)
	or(&m.Payload.Destination, m.Folders.Program)
	or(&m.EnvPrefix, strings.Map(func(r rune) rune {
		if strings.ContainsRune("-.+", r) {
			return '_'
		}
		return r
	}, strings.ToUpper(m.Name)))
	if m.EnvPrefix[0] >= '0' && m.EnvPrefix[0] <= '9' {
		m.EnvPrefix = "PKG_" + m.EnvPrefix
	}
	if m.Account.User != "" {
		or(&m.Account.Group, m.Account.User)
		or(&m.Account.Home, m.Folders.Data)
		or(&m.Account.Home, "/")
	}
	if !m.Folders.DataMode.Set {
		m.Folders.DataMode = Mode{0o750, true}
	}
	for i := range m.Folders.Extra {
		x := &m.Folders.Extra[i]
		or(&x.Owner, m.Account.User)
		or(&x.Group, m.Account.Group)
		if !x.Mode.Set {
			x.Mode = Mode{0o750, true}
		}
	}
	for i := range m.Components {
		or(&m.Components[i].Program, "bin/"+m.Components[i].Name)
	}
	if len(m.Firewall.Services) > 0 {
		or((*string)(&m.Firewall.Takeover), string(OnStart))
	} else if m.Firewall.Takeover != "" {
		m.Firewall.Services = []string{"iptables"}
	}
	for i := range m.Changelog {
		or(&m.Changelog[i].Author, m.Maintainer)
	}
}
