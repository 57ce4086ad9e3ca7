package compare

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/internal/printable"
	"github.com/vpkg/vpkg/packaging"
)

// programFolder is the folder that the package's program is in: what an MSI says,
// or where the record is. It is "" if neither tells.
func programFolder(p *packaging.Package) string {
	if p.Windows != nil && p.Windows.Program != "" {
		return p.Windows.Program
	}
	folder := ""
	for i := range p.Layout {
		if f, ok := strings.CutSuffix(p.Layout[i].Path, hooks.RecordFile); ok {
			if folder != "" {
				return "" // two of them tell nothing
			}
			folder = f
		}
	}
	return folder
}

// pair gives what an MSI has the names that the other side has for the same, so
// that the layouts can be compared: the program's folder, and programs without
// ".exe".
func (c *comparison) pair() {
	win, other := 0, 1
	if c.b.Format == "msi" {
		win, other = 1, 0
	}
	if _, _, ok := c.side("msi"); !ok || c.program[win] == "" || c.program[other] == "" {
		return
	}
	from, to := c.program[win], c.program[other]
	names := map[string]string{}
	taken := map[string]bool{}
	for i := range c.layout[win] {
		taken[c.layout[win][i].Path] = true
	}
	rename := func(p string) string {
		rest, ok := strings.CutPrefix(p, from)
		if !ok || rest != "" && rest[0] != '/' {
			return p
		}
		name := to + rest
		if plain, ok := strings.CutSuffix(name, ".exe"); ok && !taken[strings.TrimSuffix(p, ".exe")] {
			if _, ok := c.layout[other].Lookup(plain); ok {
				name = plain
			}
		}
		if name != p && taken[name] {
			return p
		}
		return name
	}
	for i := range c.layout[win] {
		e := &c.layout[win][i]
		name := rename(e.Path)
		names[name] = e.Path
		e.Path = name
		if e.HardLink != "" {
			e.HardLink = rename(e.HardLink)
		}
	}
	c.layout[win].Sort()
	c.original[win] = names
	if from != to {
		c.add(Difference{Weight: Metadata, Kind: "package", Subject: "program folder", Attribute: "path", A: c.program[0], B: c.program[1]})
	}
}

// name is how a side itself calls a path.
func (c *comparison) name(side int, p string) string { return cmp.Or(c.original[side][p], p) }

func (c *comparison) files() {
	if c.layout[0] == nil && c.layout[1] == nil {
		return
	}
	for ms := packaging.Diff(c.layout[0], c.layout[1]); len(ms) > 0; {
		n := slices.IndexFunc(ms, func(m packaging.Mismatch) bool { return m.Path != ms[0].Path })
		if n < 0 {
			n = len(ms)
		}
		c.file(ms[:n])
		ms = ms[n:]
	}
	c.details()
}

// file adds what differs about one path.
func (c *comparison) file(ms []packaging.Mismatch) {
	var es [2]*packaging.Entry
	for i := range es {
		if e, ok := c.layout[i].Lookup(ms[0].Path); ok {
			e.Path = c.name(i, e.Path)
			es[i] = &e
		}
	}
	d := Difference{Kind: "file", a: es[0], b: es[1], Subject: cmp.Or(es[0], es[1]).Path}
	if es[0] == nil || es[1] == nil {
		c.oneSidedFile(d)
		return
	}
	if es[1].Path != d.Subject {
		d.SubjectB = es[1].Path
	}
	for _, m := range ms {
		d := d
		d.Attribute, d.A, d.B = m.Attribute, m.Want, m.Got
		switch m.Attribute {
		case "sha256": // together with the size
			d.content(es[0].Size, es[1].Size)
		case "size":
			if slices.ContainsFunc(ms, func(m packaging.Mismatch) bool { return m.Attribute == "sha256" }) {
				continue
			}
			d.A, d.B = "", ""
			d.content(es[0].Size, es[1].Size)
		}
		d.Weight, d.Note = weigh(&d)
		c.add(d)
	}
}

// weigh gives the weight of a difference in an attribute of a file, and why.
func weigh(d *Difference) (Weight, string) {
	switch d.Attribute {
	case "type":
		if d.a.Mode.IsDir() || d.b.Mode.IsDir() {
			return DataLoss, "neither rpm nor dpkg puts another thing in a folder's place, or a folder in another thing's"
		}
		if s := special(d.a, d.b); s != "" {
			return Rights, s
		}
	case "mode":
		if s := special(d.a, d.b); s != "" {
			return Rights, s
		}
		return Access, ""
	case "owner", "caps":
		return Rights, ""
	case "group":
		return Access, ""
	case "config":
		if d.b.Config != packaging.ConfigNoReplace && d.a.Config != packaging.NotConfig {
			return DataLoss, "an upgrade to B may overwrite local changes"
		}
	}
	return Content, ""
}

// special names the dangerous bits that just one of the two has; a side without
// an entry has none.
func special(a, b *packaging.Entry) string {
	bits := func(e *packaging.Entry) map[string]bool {
		if e == nil || e.Mode&fs.ModeSymlink != 0 {
			return nil
		}
		return map[string]bool{
			"setuid": e.Mode&fs.ModeSetuid != 0, "setgid": e.Mode&fs.ModeSetgid != 0, "sticky": e.Mode&fs.ModeSticky != 0,
			"world-writable": e.Mode&0o002 != 0, "capabilities " + e.Caps: e.Caps != "",
		}
	}
	x, y := bits(a), bits(b)
	var found []string
	note := func(have, miss map[string]bool, side string) {
		for bit, on := range have {
			if on && !miss[bit] && (!strings.HasPrefix(bit, "cap") || a == nil || b == nil) {
				found = append(found, bit+" in "+side+" only")
			}
		}
	}
	note(x, y, "A")
	note(y, x, "B")
	slices.Sort(found)
	return strings.Join(found, ", ")
}

func (c *comparison) oneSidedFile(d Difference) {
	e, onlyA := cmp.Or(d.a, d.b), d.b == nil
	d = oneSided(d, onlyA, describe(e))
	d.Weight = Added
	if onlyA {
		d.Weight = Missing
	}
	switch s := special(d.a, d.b); {
	case s != "":
		d.Weight, d.Note = Rights, s
	case onlyA && !c.cross && e.Config != packaging.NotConfig:
		d.Weight, d.Note = DataLoss, "an upgrade to B takes an administrator's file away, or leaves it to nobody"
	}
	c.add(d)
}

// details adds what packaging.Diff leaves out, being the package manager's alone:
// flags, and the times of those entries that do not simply have the package's date.
func (c *comparison) details() {
	for i := range c.layout[0] {
		a := &c.layout[0][i]
		b, ok := c.layout[1].Lookup(a.Path)
		if !ok {
			continue
		}
		d := Difference{Weight: Minor, Kind: "file", Subject: c.name(0, a.Path), a: a, b: &b}
		if n := c.name(1, a.Path); n != d.Subject {
			d.SubjectB = n
		}
		if d.A, d.B = flags(a), flags(&b); d.A != d.B && !c.cross {
			d.Attribute = "flags"
			c.add(d)
		}
		if a.ModTime.IsZero() && b.ModTime.IsZero() {
			continue
		}
		ta, tb := modTime(a, c.a.Package), modTime(&b, c.b.Package)
		if apart := ta.Sub(tb).Abs(); apart == 0 || c.cross && apart <= 2*time.Second { // what a cabinet can tell apart
			continue
		}
		d.Attribute, d.A, d.B = "time", stamp(ta), stamp(tb)
		c.add(d)
	}
}

func modTime(e *packaging.Entry, p *packaging.Package) time.Time {
	if e.ModTime.IsZero() {
		return p.Date
	}
	return e.ModTime
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// describe says in a few words what an entry is.
func describe(e *packaging.Entry) string {
	owner := e.OwnerName() + ":" + e.GroupName()
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		return "link to " + e.Target
	case e.Mode.IsDir():
		return fmt.Sprintf("folder %04o %s", packaging.UnixMode(e.Mode)&0o7777, owner)
	}
	kind := ""
	if e.Config != packaging.NotConfig {
		kind = ", " + e.Config.String()
	}
	if e.Ghost {
		kind += ", ghost"
	}
	return fmt.Sprintf("file %04o %s, %s%s", packaging.UnixMode(e.Mode)&0o7777, owner, size(e.Size), kind)
}

// content makes d one of contents; A and B are their digests.
func (d *Difference) content(a, b int64) {
	d.Attribute, d.SizeA, d.SizeB = "content", &a, &b
}

// values gives A and B as a reader wants them.
func (d *Difference) values() (a, b string) {
	if d.SizeA == nil || d.SizeB == nil {
		return printable.String(d.A), printable.String(d.B)
	}
	contents := func(n int64, sum string) string {
		if sum == "" {
			return size(n)
		}
		return size(n) + ", sha256 " + sum[:min(12, len(sum))]
	}
	return contents(*d.SizeA, d.A), contents(*d.SizeB, d.B)
}

// size gives bytes with their digits in groups.
func size(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	if n == 1 {
		return s + " byte"
	}
	return s + " bytes"
}

// flags are an entry's that only the package manager knows.
func flags(e *packaging.Entry) string {
	var all []string
	for _, f := range []struct {
		on   bool
		name string
	}{{e.Doc, "doc"}, {e.Lic, "license"}, {e.Readme, "readme"}, {e.Lang != "", "lang(" + e.Lang + ")"}} {
		if f.on {
			all = append(all, f.name)
		}
	}
	for _, n := range e.NoVerify {
		all = append(all, "not verified: "+n)
	}
	return strings.Join(all, ", ")
}
