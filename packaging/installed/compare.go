package installed

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/verify"
)

// Differences become findings.
type differences struct {
	*check
	x             *expectation
	want, got     packaging.Layout
	ignored       packaging.Layout // what the policy ignores, in order
	treatments    map[string]verify.Treatment
	users, groups *accounts
	scan          *packaging.Scan

	gone  string // the folder that is missing, or no folder; "" for none
	first int    // the finding about it, which counts what is missing in it; -1 for none
	below int    // how many are missing in it
}

func (d *differences) compare() {
	unread := map[string]bool{}
	for _, u := range d.result.Unchecked {
		unread[u.Path] = true
	}
	for ms := packaging.Diff(d.want, d.got); len(ms) > 0; {
		n := slices.IndexFunc(ms, func(m packaging.Mismatch) bool { return m.Path != ms[0].Path })
		if n < 0 {
			n = len(ms)
		}
		if p := ms[0].Path; !unread[p] || ms[0].Attribute != "missing" {
			d.entry(p, ms[:n])
		}
		ms = ms[n:]
	}
	d.counted()
}

// entry makes findings of what differs about one path.
func (d *differences) entry(p string, ms []packaging.Mismatch) {
	want, wanted := d.want.Lookup(p)
	got, there := d.got.Lookup(p)
	switch {
	case !wanted:
		d.extra(p, got)
		return
	case !there:
		d.missing(p, want)
		return
	case p == d.x.record && d.o.Package == nil:
		return // what can be said of it was said
	case d.linked(p, want, got):
		return
	}
	for _, m := range ms {
		d.attribute(&want, &got, m)
	}
}

// linked reports whether an entry is a link to a folder that the hook or dpkg leaves
// alone, or another name of a file of which all was said.
func (d *differences) linked(p string, want, got packaging.Entry) bool {
	if (d.x.made[p] || d.isShared(&want)) && want.Mode.IsDir() && got.Mode&fs.ModeSymlink != 0 {
		_, err := d.scan.Names(p)
		return err == nil
	}
	return want.HardLink != "" && want.HardLink == got.HardLink
}

// isShared reports whether an entry is a folder that a DEB lists because it has a file
// in it. dpkg leaves one that is there as it is.
func (d *differences) isShared(e *packaging.Entry) bool {
	format := d.known.Format
	if d.o.Package != nil {
		format = d.o.Format
	}
	return verify.IsImplicit(format, packaging.Layout{*e}, e.Path) && !slices.ContainsFunc(d.x.whole, func(dir string) bool {
		return e.Path == dir || strings.HasPrefix(e.Path, dir+"/")
	})
}

// docs are folders that rpm --excludedocs and dpkg's path-exclude, which images for
// containers have set, leave out.
var docs = []string{"/usr/share/doc/", "/usr/share/info/", "/usr/share/locale/", "/usr/share/man/"}

// isDoc reports whether an entry may have been left out when it was installed.
func isDoc(e *packaging.Entry) bool {
	return e.Doc || slices.ContainsFunc(docs, func(dir string) bool { return strings.HasPrefix(e.Path, dir) })
}

func (d *differences) extra(p string, got packaging.Entry) {
	e := packaging.Entry{Path: p, Mode: got.Mode}
	if _, ok := d.ignored.Lookup(p); ok || d.x.treatment(&e) == verify.Ignore {
		return
	}
	what := kind(got.Mode)
	if got.Target != "" {
		what += " to " + got.Target
	}
	d.add(ruleExtra, p, "", "", "the package has no such %s", what)
}

func (d *differences) missing(p string, want packaging.Entry) {
	if d.gone != "" && strings.HasPrefix(p, d.gone+"/") {
		d.below++
		return
	}
	if want.Config == packaging.ConfigMissingOK || isDoc(&want) {
		return
	}
	d.goneFolder(p, want.Mode)
	rule, text := ruleMissing, kind(want.Mode)+" is missing"
	if p == d.x.record {
		rule, text = ruleRecord, "the record is missing"
		if d.o.Package == nil {
			return // it was said
		}
	}
	d.add(rule, p, "", "", "%s", text)
	d.first = len(d.found) - 1
}

// goneFolder notes that what was to be in a folder is missing because that is.
func (d *differences) goneFolder(p string, m fs.FileMode) {
	d.counted()
	if m.IsDir() {
		d.gone, d.first = p, -1
	}
}

// counted says how much is missing in a folder that is.
func (d *differences) counted() {
	if d.gone != "" && d.first >= 0 && d.below > 0 {
		d.found[d.first].text += fmt.Sprintf(", with %d entries in it", d.below)
	}
	d.gone, d.below = "", 0
}

// attribute makes a finding of one attribute that differs.
func (d *differences) attribute(want, got *packaging.Entry, m packaging.Mismatch) {
	p := want.Path
	if skips(want, m.Attribute) || want.Mode.IsDir() && got.Mode.IsDir() && d.isShared(want) {
		return
	}
	switch m.Attribute {
	case "type":
		d.goneFolder(p, want.Mode)
		d.add(d.as(p, ruleType), p, kind(want.Mode), kind(got.Mode), "is a %s, not a %s", kind(got.Mode), kind(want.Mode))
		d.first = len(d.found) - 1
	case "mode":
		d.add(ruleMode, p, m.Want, m.Got, "its mode is %s, not %s", m.Got, m.Want)
	case "owner":
		d.add(ruleOwner, p, m.Want, m.Got, "it belongs to the user %s, not %s%s", m.Got, m.Want, d.nobody(d.users, "user", m.Want))
	case "group":
		d.add(ruleGroup, p, m.Want, m.Got, "it belongs to the group %s, not %s%s", m.Got, m.Want, d.nobody(d.groups, "group", m.Want))
	case "sha256":
		if d.treatments[p] != verify.MayDiffer && want.Size == got.Size {
			d.add(d.as(p, ruleContent), p, m.Want, m.Got, "it holds something else, of the same size")
		}
	case "size":
		if d.treatments[p] != verify.MayDiffer {
			d.add(d.as(p, ruleContent), p, m.Want+" bytes", m.Got+" bytes", "it holds something else: %s bytes, not %s", m.Got, m.Want)
		}
	case "target":
		d.add(ruleLink, p, m.Want, m.Got, "it points to %s, not to %s", m.Got, m.Want)
	case "hardlink":
		d.hardLink(p, m)
	case "caps":
		d.add(ruleCaps, p, m.Want, m.Got, "its capabilities are %s, not %s", orNone(m.Got), orNone(m.Want))
	}
}

// as is the rule for a path: the record has its own.
func (d *differences) as(p, rule string) string {
	if p == d.x.record {
		return ruleRecord
	}
	return rule
}

func (d *differences) hardLink(p string, m packaging.Mismatch) {
	switch {
	case m.Got == "":
		d.add(ruleHardLink, p, m.Want, m.Got, "it is a file of its own, and no other name of %s", m.Want)
	case m.Want == "":
		d.add(ruleHardLink, p, m.Want, m.Got, "it is another name of %s, and no file of its own", m.Got)
	default:
		d.add(ruleHardLink, p, m.Want, m.Got, "it is another name of %s, not of %s", m.Got, m.Want)
	}
}

// nobody says that an account is missing.
func (d *differences) nobody(a *accounts, what, name string) string {
	if a.has(name) {
		return ""
	}
	return fmt.Sprintf(": this host has no such %s", what)
}

// skips reports whether a package says that an attribute is not to be verified.
func skips(e *packaging.Entry, attribute string) bool {
	name := map[string]string{
		"sha256": "md5", "size": "size", "target": "link", "owner": "user", "group": "group", "mode": "mode", "caps": "caps",
	}[attribute]
	return name != "" && slices.Contains(e.NoVerify, name)
}

// kind names the type of an entry.
func kind(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "file"
	case m.IsDir():
		return "folder"
	case m&fs.ModeSymlink != 0:
		return "link"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func octal(m fs.FileMode) string { return fmt.Sprintf("%04o", packaging.UnixMode(m)&0o7777) }
