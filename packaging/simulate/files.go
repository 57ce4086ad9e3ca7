package simulate

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// A File is an entry of a payload that changes.
type File struct {
	Path   string   `json:"path"`
	Type   string   `json:"type"`   // "file", "folder", "link" or "other": the new one's, if there is one
	Change string   `json:"change"` // "added", "removed", "changed", "kept": see Note
	What   []string `json:"what,omitempty"`
	Note   string   `json:"note,omitempty"` // where the tool does something else than one would think
}

func (s *simulation) file(e *packaging.Entry, change, note string, what ...string) {
	s.r.Files = append(s.r.Files, File{e.Path, typeOf(e.Mode), change, what, note})
}

func typeOf(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "folder"
	case fs.ModeSymlink:
		return "link"
	}
	return "other"
}

// files compares the payloads and decides about configuration.
func (s *simulation) files() error {
	if s.Format == "msi" {
		return s.msiFiles()
	}
	o, n := s.olds, s.news
	for len(o) > 0 || len(n) > 0 {
		var err error
		switch {
		case len(n) == 0 || len(o) > 0 && o[0].Path < n[0].Path:
			err = s.gone(&o[0])
			o = o[1:]
		case len(o) == 0 || n[0].Path < o[0].Path:
			err = s.added(&n[0])
			n = n[1:]
		default:
			err = s.both(&o[0], &n[0])
			o, n = o[1:], n[1:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decision lists what becomes of a file in each of its states.
func (s *simulation) decision(kind string, o, n *packaging.Entry, fate func(Local) Outcome) error {
	locals, err := s.locals(o, n)
	if err != nil {
		return err
	}
	d := Decision{Kind: kind}
	for _, e := range []*packaging.Entry{o, n} {
		if e != nil {
			d.Path = e.Path
		}
	}
	for _, l := range locals {
		d.Outcomes = append(d.Outcomes, fate(l))
	}
	s.r.Config = append(s.r.Config, d)
	for _, x := range d.Outcomes {
		if x.Asks {
			s.warn(Failure, d.Path, "%sdpkg asks what to do, and stops with an error where nobody answers: --force-confdef or --force-confold keeps the local one, --force-confnew does not",
				s.provided(x.Local))
		}
	}
	return nil
}

// provided says under which condition a state's outcome comes about.
func (s *simulation) provided(l Local) string {
	if s.Host != nil {
		return ""
	}
	switch l {
	case Changed:
		return "if it was changed, "
	case AsNew:
		return "if it is as in the new package already, "
	case Missing:
		return "if it was deleted, "
	}
	return "also unchanged: "
}

// changed says whether a local change is to be warned of, and how that begins: on a
// host only if there is one.
func (s *simulation) changed(o *packaging.Entry, n *packaging.Entry) (bool, string, error) {
	if s.Host == nil {
		return true, "if it was changed", nil
	}
	l, err := s.local(o.Path, o, n)
	return l == Changed, "it was changed here", err
}

// added is about what only the new package has.
func (s *simulation) added(n *packaging.Entry) error {
	if s.Format == "rpm" && n.Ghost {
		return nil
	}
	s.file(n, "added", "")
	if n.Config == packaging.NotConfig || !n.Regular() && n.Mode.Type() != fs.ModeSymlink {
		return nil
	}
	if s.Format == "deb" {
		return s.decision("conffile, new", nil, n, func(l Local) Outcome { return debFate(nil, n, l) })
	}
	return s.decision(n.Config.String()+", new", nil, n, func(l Local) Outcome { return rpmFateNew(n, l) })
}

// gone is about what only the old package has.
func (s *simulation) gone(o *packaging.Entry) error {
	switch {
	case s.Format == "deb" && o.Config != packaging.NotConfig:
		return s.obsolete(o)
	case s.Format == "rpm" && o.Config != packaging.NotConfig && (o.Regular() || o.Mode.Type() == fs.ModeSymlink):
		if !o.Ghost {
			s.file(o, "removed", "")
		}
		return s.decision(o.Config.String()+s.goes(), o, nil, func(l Local) Outcome { return rpmFateGone(o, l) })
	case o.Ghost:
		s.file(o, "removed", "%ghost: what the product has made there")
		if s.action.changes() && o.Regular() && !isVolatile(o.Path) {
			s.warn(DataLoss, o.Path, "rpm removes what the product has made there: the old package owns it as %%ghost, and the new one does not")
		}
		return nil
	case o.Mode.IsDir():
		s.file(o, "removed", "unless something else is in it")
		return nil
	}
	s.file(o, "removed", "")
	return s.lost(o, nil)
}

func (s *simulation) goes() string {
	if s.action.changes() {
		return ", no longer in the package"
	}
	return ""
}

// obsolete is about a conffile that the new package does not have, or that is
// removed.
func (s *simulation) obsolete(o *packaging.Entry) error {
	if s.action == Purge {
		s.file(o, "removed", "")
		return s.decision("conffile", o, nil, func(l Local) Outcome {
			if l == Missing {
				return Outcome{l, Kept, "", false}
			}
			return Outcome{l, Removed, "", false}
		})
	}
	if s.action.changes() {
		s.file(o, "kept", "an obsolete conffile: dpkg leaves it until the package is purged")
	} else {
		s.file(o, "kept", "dpkg leaves conffiles until the package is purged")
	}
	return s.decision("conffile"+s.goes(), o, nil, func(l Local) Outcome { return Outcome{l, Kept, "", false} })
}

// both is about what both packages have.
func (s *simulation) both(o, n *packaging.Entry) error {
	if s.Format == "rpm" && (o.Ghost || n.Ghost) {
		return s.ghost(o, n)
	}
	what := attributes(o, n)
	switch {
	case o.Mode.Type() != n.Mode.Type():
		if err := s.typeChange(o, n); err != nil {
			return err
		}
	case s.Format == "deb" && n.Mode.IsDir() && len(what) > 0:
		s.file(n, "kept", "dpkg does not change a folder that is there", what...)
		s.warn(Failure, n.Path, "%s: dpkg leaves a folder that is there as it is; postinst has to change it", strings.Join(what, ", "))
	case len(what) == 0:
		s.r.Same++
	default:
		s.file(n, "changed", "", what...)
	}
	switch {
	case s.Format == "deb" && n.Config != packaging.NotConfig:
		kind := "conffile"
		if o.Config == packaging.NotConfig {
			kind = "conffile, an ordinary file before"
		}
		return s.decision(kind, o, n, func(l Local) Outcome { return debFate(o, n, l) })
	case s.Format == "rpm" && (o.Config != packaging.NotConfig || n.Config != packaging.NotConfig):
		return s.decision(kindChange(o, n), o, n, func(l Local) Outcome { return rpmFate(o, n, l) })
	case o.Config != packaging.NotConfig: // a conffile becomes an ordinary file
		return s.dropped(o, n)
	}
	return s.lost(o, n)
}

func kindChange(o, n *packaging.Entry) string {
	a, b := o.Config.String(), n.Config.String()
	switch {
	case a == b:
		return a
	case a == "":
		return b + ", an ordinary file before"
	case b == "":
		return a + ", now an ordinary file"
	}
	return b + ", " + a + " before"
}

// ghost is about what is a %ghost in one of the packages or in both.
func (s *simulation) ghost(o, n *packaging.Entry) error {
	switch {
	case o.Ghost && n.Ghost:
		s.r.Same++
		return nil
	case n.Ghost:
		s.file(n, "kept", "now a %ghost: what is there stays")
	default:
		s.file(n, "changed", "no longer a %ghost", "content")
	}
	if o.Config == packaging.NotConfig && n.Config == packaging.NotConfig {
		if o.Ghost && n.Regular() && !isVolatile(n.Path) {
			s.warn(DataLoss, n.Path, "rpm replaces what the product has made there: it was %%ghost, and now comes with the package")
		}
		return nil
	}
	return s.decision(kindChange(o, n), o, n, func(l Local) Outcome { return rpmFate(o, n, l) })
}

// attributes lists what differs between two entries.
func attributes(o, n *packaging.Entry) []string {
	var what []string
	if o.Mode.Type() != n.Mode.Type() {
		what = append(what, typeOf(o.Mode)+" -> "+typeOf(n.Mode))
	} else {
		switch {
		case o.Target != n.Target:
			what = append(what, "target "+o.Target+" -> "+n.Target)
		case !sameContent(o, n):
			what = append(what, "content")
		}
		if a, b := packaging.UnixMode(o.Mode)&0o7777, packaging.UnixMode(n.Mode)&0o7777; a != b && o.Mode.Type() != fs.ModeSymlink {
			what = append(what, fmt.Sprintf("mode %04o -> %04o", a, b))
		}
	}
	if a, b := o.OwnerName(), n.OwnerName(); a != b {
		what = append(what, "owner "+a+" -> "+b)
	}
	if a, b := o.GroupName(), n.GroupName(); a != b {
		what = append(what, "group "+a+" -> "+b)
	}
	if o.Caps != n.Caps {
		what = append(what, "capabilities "+orNone(o.Caps)+" -> "+orNone(n.Caps))
	}
	return what
}

// typeChange is about a path that becomes something of another type, unless it is of
// that type already.
func (s *simulation) typeChange(o, n *packaging.Entry) error {
	what := attributes(o, n)
	if s.Host != nil {
		f, err := s.Host(n.Path)
		if err != nil {
			return err
		}
		if !f.Missing && f.Mode.Type() == n.Mode.Type() {
			s.file(n, "changed", "a "+typeOf(n.Mode)+" is there already", what...)
			return nil
		}
	}
	resolved, toFolder := s.leads(o)
	if s.Format == "rpm" {
		// handleRemovalConflict in lib/transaction.c of rpm 4.18
		refused := ""
		switch {
		case o.Mode.IsDir():
			refused = "rpm does not replace a folder by a " + typeOf(n.Mode)
		case n.Mode.IsDir() && toFolder:
			refused = "rpm does not replace a link to a folder by a folder"
		case n.Mode.IsDir() && !resolved && o.Mode.Type() == fs.ModeSymlink:
			s.warn(Failure, n.Path, "if the link to %s leads to a folder, rpm refuses to replace it by one, and installs nothing; %%pretrans has to make way", o.Target)
		}
		switch script, has := s.New.Package.Script(packaging.PreTrans); {
		case refused == "":
			s.file(n, "changed", "", what...)
		case has && strings.Contains(script.Body, n.Path):
			s.file(n, "changed", "if %pretrans makes way for it", what...)
			s.note("type", n.Path, "%s, unless %%pretrans makes way, which names the path", refused)
		default:
			s.r.Refused = n.Path + ": " + refused + "; %pretrans has to make way"
		}
		return nil
	}
	s.debTypeChange(o, n, resolved, toFolder, what)
	return nil
}

// debTypeChange follows tarobject in src/main/archives.c of dpkg 1.21, and
// dpkg-maintscript-helper(1).
func (s *simulation) debTypeChange(o, n *packaging.Entry, resolved, toFolder bool, what []string) {
	script, _ := s.New.Package.Script(packaging.PreInstall)
	helped := func(verb string) bool {
		return strings.Contains(script.Body, "dpkg-maintscript-helper "+verb) && strings.Contains(script.Body, n.Path)
	}
	switch {
	case o.Mode.IsDir() && n.Mode.Type() == fs.ModeSymlink:
		if helped("dir_to_symlink") {
			s.file(n, "changed", "by dpkg-maintscript-helper", what...)
			return
		}
		s.file(n, "kept", "dpkg does not replace a folder by a link", what...)
		s.warn(Failure, n.Path, "dpkg does not replace a folder by a link: the folder stays, and the link is not made; dpkg-maintscript-helper dir_to_symlink does it")
	case o.Mode.IsDir():
		s.file(n, "changed", "with all that is in the folder", what...)
		s.warn(DataLoss, n.Path, "dpkg replaces the folder by a %s and deletes all that is in it, whoever made it", typeOf(n.Mode))
	case n.Mode.IsDir() && o.Mode.Type() == fs.ModeSymlink && (toFolder || !resolved):
		if helped("symlink_to_dir") {
			s.file(n, "changed", "by dpkg-maintscript-helper", what...)
			return
		}
		s.file(n, "kept", "dpkg does not replace a link to a folder by a folder", what...)
		condition := ""
		if !resolved {
			condition = "if the link leads to a folder, "
		}
		s.warn(Failure, n.Path, "%sdpkg leaves it, and what the new package has below it lands in %s; dpkg-maintscript-helper symlink_to_dir replaces it", condition, o.Target)
	default:
		s.file(n, "changed", "", what...)
	}
}

// leads follows a link within the old package: whether that tells where it leads,
// and whether to a folder. A link that leads into a folder of the package, in which
// the package has nothing of that name, leads nowhere.
func (s *simulation) leads(o *packaging.Entry) (resolved, folder bool) {
	if o.Mode.Type() != fs.ModeSymlink {
		return true, false
	}
	p := o
	for range 10 {
		target := p.Target
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(p.Path), target)
		}
		target = path.Clean(target)
		e, ok := s.olds.Lookup(target)
		switch {
		case !ok:
			_, inside := s.olds.Lookup(path.Dir(target))
			return inside, false
		case e.Mode.Type() != fs.ModeSymlink:
			return true, e.Mode.IsDir()
		}
		p = &e
	}
	return true, false
}

// dropped is about a conffile that the new package has as an ordinary file.
func (s *simulation) dropped(o, n *packaging.Entry) error {
	warned, when, err := s.changed(o, n)
	if warned && err == nil {
		s.warn(DataLoss, n.Path, "%s, that is lost: dpkg replaces it without asking, for it is no longer a conffile", when)
	}
	return err
}

// lost warns of a file that administrators change and that is not configuration.
func (s *simulation) lost(o, n *packaging.Entry) error {
	if !o.Regular() || !within(o.Path, "/etc") || !s.action.changes() {
		return nil
	}
	warned, when, err := s.changed(o, n)
	if !warned || err != nil {
		return err
	}
	does := "replaces"
	if n == nil {
		does = "removes"
	}
	s.warn(DataLoss, o.Path, "%s, that is lost: it is in /etc and not marked as configuration, so that %s %s it", when, s.tool(), does)
	return nil
}

// tool is the package manager's name.
func (s *simulation) tool() string {
	return map[string]string{"rpm": "rpm", "deb": "dpkg", "msi": "Windows Installer"}[s.Format]
}

// isVolatile reports whether what is at a path does not outlive a boot.
func isVolatile(p string) bool {
	return within(p, "/run") || within(p, "/var/run") || within(p, "/tmp") || within(p, "/var/tmp") || within(p, "/var/cache") || within(p, "/var/lock")
}
