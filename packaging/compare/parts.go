package compare

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/vpkg/vpkg/packaging"
)

// metadata compares what the packages say about themselves.
func (c *comparison) metadata() {
	a, b := c.a.Package, c.b.Package
	add := func(w Weight, name, x, y string) {
		if x != y {
			c.add(Difference{Weight: w, Kind: "package", Subject: name, Attribute: "value", A: x, B: y})
		}
	}
	add(Relations, "name", a.Name, b.Name) // others require it by name
	add(Metadata, "epoch", fmt.Sprint(a.Epoch), fmt.Sprint(b.Epoch))
	add(Metadata, "version", a.Version, b.Version)
	add(Metadata, "release", a.Release, b.Release)
	add(Metadata, "architecture", a.Arch, b.Arch)
	add(Metadata, "summary", a.Summary, b.Summary)
	x, y := a.Description, b.Description
	if c.cross { // an RPM repeats the summary where there is no more to say, a DEB does not
		x, y = cmp.Or(x, a.Summary), cmp.Or(y, b.Summary)
	}
	c.text(Metadata, "package", "description", x, y)
	add(Metadata, "license", a.License, b.License)
	add(Metadata, "vendor", a.Vendor, b.Vendor)
	add(Metadata, "maintainer", a.Maintainer, b.Maintainer)
	add(Metadata, "homepage", a.Homepage, b.Homepage)
	add(Metadata, "group", a.Group, b.Group)
	add(Metadata, "priority", a.Priority, b.Priority)
	add(Metadata, "relocatable folders", strings.Join(a.Prefixes, " "), strings.Join(b.Prefixes, " "))
	c.text(Metadata, "package", "changelog", changelog(a.Changelog), changelog(b.Changelog))
	add(Content, "record", record(&c.a), record(&c.b))
	name := func(f *packaging.Field) string { return f.Name }
	pairs(fields(&c.a), fields(&c.b), name, func(f, g *packaging.Field) {
		f, g = cmp.Or(f, &packaging.Field{Name: fieldName(g)}), cmp.Or(g, &packaging.Field{Name: fieldName(f)})
		add(Metadata, "field "+f.Name, f.Value, g.Value)
	})
	add(Minor, "date", stamp(a.Date), stamp(b.Date))
	add(Minor, "compression", a.Compression.Codec, b.Compression.Codec)
}

func fieldName(f *packaging.Field) string {
	if f == nil {
		return ""
	}
	return f.Name
}

// Where each format keeps the digest of the layout's record.
const (
	recordProvide = "vpkg-layout(sha256) = "
	recordField   = "Vpkg-Layout-Sha256"
)

// record is the digest of the record that the package states; empty means none.
func record(s *Side) string {
	p := s.Package
	for _, r := range p.Relations {
		if d, ok := strings.CutPrefix(r.Text, recordProvide); ok && r.Kind == packaging.Provides {
			return d
		}
	}
	for _, f := range p.Fields {
		if f.Name == recordField {
			return f.Value
		}
	}
	if p.Windows != nil && !p.Windows.Record.IsZero() {
		return p.Windows.Record.String()
	}
	return ""
}

func fields(s *Side) []packaging.Field {
	return slices.DeleteFunc(slices.Clone(s.Package.Fields), func(f packaging.Field) bool { return f.Name == recordField })
}

func changelog(cs []packaging.Change) string {
	var s strings.Builder
	for _, c := range cs {
		fmt.Fprintf(&s, "%s %s\n%s\n", c.Date.UTC().Format(time.DateOnly), c.Author, c.Text)
	}
	return s.String()
}

// text adds the difference of two texts, line by line.
func (c *comparison) text(w Weight, kind, subject, a, b string) {
	if a = strings.TrimRight(a, "\n"); a != "" {
		a += "\n"
	}
	if b = strings.TrimRight(b, "\n"); b != "" {
		b += "\n"
	}
	if a == b {
		return
	}
	d := Difference{Weight: w, Kind: kind, Subject: subject, Attribute: "text", Lines: lineDiff(a, b)}
	switch {
	case a == "":
		d.Attribute = "extra"
	case b == "":
		d.Attribute = "missing"
	}
	c.add(d)
}

// lineDiff gives a unified diff without its header.
func lineDiff(a, b string) []string {
	all := strings.Split(strings.TrimSuffix(string(diff.Diff("a", []byte(a), "b", []byte(b))), "\n"), "\n")
	if len(all) < 3 {
		return nil
	}
	return all[3:] // diff a b, ---, +++
}

// deletes finds commands in shell that destroy what a user may want to keep.
var deletes = regexp.MustCompile(`(^|[\s;&|(])(rm\s+(-\S+\s+)*-\w*[rR]|userdel|groupdel|mkfs|shred|dd\s.*of=|find\s.*-delete|Remove-Item\s.*-Recurse)`)

// destructive gives the first line that d brings and that deletes something: in B,
// or between formats, where neither comes after the other, on either side.
func (c *comparison) destructive(lines []string) string {
	for _, l := range lines {
		if l == "" || l[0] != '+' && (l[0] != '-' || !c.cross) {
			continue
		}
		if text := strings.TrimSpace(l[1:]); !strings.HasPrefix(text, "#") && deletes.MatchString(text) {
			return map[byte]string{'+': "B", '-': "A"}[l[0]] + " deletes: " + text
		}
	}
	return ""
}

func (c *comparison) script(kind, subject string, a, b string) {
	n := len(c.found)
	c.text(Scripts, kind, subject, a, b)
	if len(c.found) == n {
		return
	}
	d := &c.found[n]
	if note := c.destructive(d.Lines); note != "" {
		d.Weight, d.Note = DataLoss, note
	}
}

func (c *comparison) scripts() {
	phase := func(s *packaging.Script) string { return string(s.Phase) }
	pairs(c.a.Package.Scripts, c.b.Package.Scripts, phase, func(a, b *packaging.Script) {
		c.script("script", phase(cmp.Or(a, b)), scriptText(a), scriptText(b))
	})
	on := func(t *packaging.Trigger) string { return t.Kind + " " + strings.Join(t.On, ", ") }
	pairs(c.a.Package.Triggers, c.b.Package.Triggers, on, func(a, b *packaging.Trigger) {
		text := func(t *packaging.Trigger) string {
			if t == nil {
				return ""
			}
			script := cmp.Or(scriptText(&t.Script), "# it has no script\n")
			if t.Priority != 0 {
				script = fmt.Sprintf("# priority %d\n%s", t.Priority, script)
			}
			return script
		}
		c.script("trigger", on(cmp.Or(a, b)), text(a), text(b))
	})
}

// scriptText is a script with its interpreter as a #! line.
func scriptText(s *packaging.Script) string {
	if s == nil || s.Body == "" && len(s.Interpreter) == 0 {
		return ""
	}
	if strings.HasPrefix(s.Body, "#!") {
		return s.Body
	}
	interpreter := strings.Join(s.Interpreter, " ")
	return "#!" + cmp.Or(interpreter, "/bin/sh") + "\n" + s.Body
}

func (c *comparison) accounts() {
	key := func(a *packaging.Account) string {
		if a.User == "" {
			return "group " + a.Group
		}
		return "user " + a.User
	}
	facts := func(a *packaging.Account) [][2]string {
		return [][2]string{
			{"group", cmp.Or(a.Group, a.User)}, {"home", cmp.Or(a.Home, "/")}, {"shell", cmp.Or(a.Shell, "nologin")}, {"comment", a.Comment},
		}
	}
	pairs(c.a.Package.Accounts, c.b.Package.Accounts, key, func(a, b *packaging.Account) {
		d := Difference{Weight: Rights, Kind: "account", Subject: key(cmp.Or(a, b))}
		if a == nil || b == nil {
			var text []string
			for _, f := range facts(cmp.Or(a, b)) {
				if f[1] != "" {
					text = append(text, f[0]+" "+f[1])
				}
			}
			c.add(oneSided(d, b == nil, strings.Join(text, ", ")))
			return
		}
		fs, gs := facts(a), facts(b)
		for i := range fs {
			if d.Attribute, d.A, d.B = fs[i][0], fs[i][1], gs[i][1]; d.A != d.B {
				c.add(d)
			}
		}
	})
}

// members compares the extra files of control archives.
func (c *comparison) members() {
	name := func(m *packaging.Member) string { return m.Name }
	pairs(c.a.Package.Members, c.b.Package.Members, name, func(a, b *packaging.Member) {
		d := Difference{Weight: Content, Kind: "control", Subject: name(cmp.Or(a, b))}
		for _, m := range []*packaging.Member{a, b} {
			if m != nil && m.Mode&0o111 != 0 {
				d.Weight = Scripts // maintainer scripts run it
			}
		}
		text := func(m *packaging.Member) string { return fmt.Sprintf("%04o, %s", m.Mode, size(m.Size)) }
		switch {
		case b == nil:
			c.add(oneSided(d, true, text(a)))
			return
		case a == nil:
			c.add(oneSided(d, false, text(b)))
			return
		}
		if d.A, d.B = digest(a.Body).String(), digest(b.Body).String(); d.A != d.B || a.Size != b.Size {
			d := d
			d.content(a.Size, b.Size)
			c.add(d)
		}
		if a.Mode != b.Mode {
			d.Attribute, d.A, d.B = "mode", fmt.Sprintf("%04o", a.Mode), fmt.Sprintf("%04o", b.Mode)
			c.add(d)
		}
	})
}

// content is a member's; empty if it cannot be read.
func content(b packaging.Body) string {
	if b == nil {
		return ""
	}
	r, err := b.Open()
	if err != nil {
		return ""
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	if err != nil {
		return ""
	}
	return string(all)
}

// digest is that of a member; zero if it cannot be read.
func digest(b packaging.Body) packaging.Digest {
	if b == nil {
		return packaging.Digest{}
	}
	r, err := b.Open()
	if err != nil {
		return packaging.Digest{}
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return packaging.Digest{}
	}
	return packaging.Digest(h.Sum(nil))
}

// texts compares what the formats gave as text of their own.
func (c *comparison) texts() {
	if c.cross {
		return // each is one format's
	}
	name := func(t *Text) string { return t.Name }
	pairs(c.a.Texts, c.b.Texts, name, func(a, b *Text) {
		body := func(t *Text) string {
			if t == nil {
				return ""
			}
			return t.Body
		}
		c.text(cmp.Or(a, b).Weight, "text", name(cmp.Or(a, b)), body(a), body(b))
	})
}

// windows compares what only MSI has a form for.
func (c *comparison) windows() {
	a, b := c.a.Package.Windows, c.b.Package.Windows
	if a == nil && b == nil {
		return
	}
	if c.cross { // only services have a counterpart
		a, b = cmp.Or(a, &packaging.Windows{}), cmp.Or(b, &packaging.Windows{})
	} else {
		c.windowsFacts(cmp.Or(a, &packaging.Windows{}), cmp.Or(b, &packaging.Windows{}))
	}
	a, b = cmp.Or(a, &packaging.Windows{}), cmp.Or(b, &packaging.Windows{})
	service := func(s *packaging.WindowsService) string { return s.Name }
	pairs(a.Services, b.Services, service, func(x, y *packaging.WindowsService) {
		c.text(Services, "service", service(cmp.Or(x, y)), serviceText(x), serviceText(y))
	})
	value := func(v *packaging.RegistryValue) string { return v.Key + `\` + v.Name }
	pairs(a.Registry, b.Registry, value, func(x, y *packaging.RegistryValue) {
		text := func(v *packaging.RegistryValue) string {
			if v == nil {
				return ""
			}
			return v.Type + " " + v.Value
		}
		c.value(Services, "registry", value(cmp.Or(x, y)), text(x), text(y))
	})
	variable := func(v *packaging.EnvironmentVariable) string { return v.Name }
	pairs(a.Environment, b.Environment, variable, func(x, y *packaging.EnvironmentVariable) {
		text := func(v *packaging.EnvironmentVariable) string {
			if v == nil {
				return ""
			}
			return cmp.Or(v.Action, "set") + " " + v.Value
		}
		c.value(Services, "environment", variable(cmp.Or(x, y)), text(x), text(y))
	})
}

// value adds a difference of two values, of which "" means that there is none.
func (c *comparison) value(w Weight, kind, subject, a, b string) {
	d := Difference{Weight: w, Kind: kind, Subject: subject, Attribute: "value"}
	switch {
	case a == b:
	case b == "":
		c.add(oneSided(d, true, a))
	case a == "":
		c.add(oneSided(d, false, b))
	default:
		d.A, d.B = a, b
		c.add(d)
	}
}

// serviceText says all about a service, a line for each.
func serviceText(s *packaging.WindowsService) string {
	if s == nil {
		return ""
	}
	t := new(strings.Builder)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s: %s\n", name, value)
		}
	}
	line("program", s.Program)
	line("arguments", strings.Join(s.Arguments, " "))
	line("start", string(cmp.Or(s.Start, packaging.StartAuto)))
	line("account", cmp.Or(s.Account, "LocalSystem"))
	line("display name", s.DisplayName)
	line("description", s.Description)
	line("after", strings.Join(s.Dependencies, ", "))
	if s.AtInstall {
		line("started", "at install")
	}
	return t.String()
}

func (c *comparison) windowsFacts(a, b *packaging.Windows) {
	add := func(w Weight, name, x, y, note string) {
		if x != y {
			c.add(Difference{Weight: w, Kind: "package", Subject: name, Attribute: "value", A: x, B: y, Note: note})
		}
	}
	add(DataLoss, "upgrade code", a.UpgradeCode, b.UpgradeCode, "Windows Installer puts B beside A instead of in its place")
	add(DataLoss, "data folder", a.Data, b.Data, "B does not find what A stored")
	add(Rights, "access list of the data folder", a.DataAccess, b.DataAccess, "")
	add(Services, "program folder", a.Program, b.Program, "")
	add(Metadata, "product name", a.ProductName, b.ProductName, "")
	add(Metadata, "help link", a.HelpLink, b.HelpLink, "")
	add(Metadata, "update link", a.UpdateLink, b.UpdateLink, "")
}
