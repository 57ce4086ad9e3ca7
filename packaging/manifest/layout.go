package manifest

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// A layoutBuilder gathers the entries of a package by path.
type layoutBuilder struct {
	m       *Manifest // for Windows with its folders and files: see forWindows
	at      string    // what stands before the place of a value in the manifest: "windows." or nothing
	entries map[string]packaging.Entry
	stamps  map[string]*Stamp // of vpkg's own programs, by path
	newest  time.Time         // of the product's files
	errs    []error
}

// see remembers the newest time of the product's files.
func (b *layoutBuilder) see(t time.Time) {
	if t.Unix() > 0 && t.After(b.newest) {
		b.newest = t
	}
}

// lay sets the entry at its path, whatever was there before.
func (b *layoutBuilder) lay(at string, e packaging.Entry) {
	if within(e.Path, b.m.Folders.Data) {
		b.errs = append(b.errs, b.m.problem(at, "%s lies in the data folder, which is made by the hook and not by the package", e.Path))
		return
	}
	if slices.Contains(systemFolders, e.Path) || slices.Contains(windowsFolders, e.Path) {
		if !e.Mode.IsDir() {
			b.errs = append(b.errs, b.m.problem(at, "%s is a system folder", e.Path))
		}
		return // a tree has it only because of what is in it
	}
	b.entries[e.Path] = e
}

// tree lays a tree's entries, whose paths are relative, below dir. Its folders
// leave those as they are that were laid before.
func (b *layoutBuilder) tree(at, dir string, files []packaging.Entry, as []Attributes) {
	for _, e := range files {
		rel := e.Path
		e.Path = path.Join(dir, rel)
		if e.HardLink != "" {
			e.HardLink = path.Join(dir, e.HardLink)
		}
		before, ok := b.entries[e.Path]
		if ok && before.Mode.IsDir() && e.Mode.IsDir() || !applyAttributes(&e, rel, as) {
			continue
		}
		b.lay(at, e)
	}
}

// defaultMode keeps of a file's mode only its type and whether it is executable:
// the rest is the umask of whoever made the tree.
func defaultMode(m fs.FileMode) fs.FileMode {
	switch {
	case m&fs.ModeSymlink != 0:
		return fs.ModeSymlink | 0o777
	case m.IsDir():
		return fs.ModeDir | 0o755
	case m&0o111 != 0:
		return 0o755
	}
	return 0o644
}

// applyAttributes changes e as those say that fit its path in the tree; false
// means that it is left out.
func applyAttributes(e *packaging.Entry, rel string, as []Attributes) bool {
	for _, a := range as {
		if !match(a.Match, rel) {
			continue
		}
		if a.Exclude {
			return false
		}
		set(&e.Owner, a.Owner)
		set(&e.Group, a.Group)
		switch {
		case e.Mode.IsDir():
			e.Mode = fs.ModeDir | a.DirMode.or(e.Mode&^fs.ModeDir)
		case e.Regular():
			e.Mode = a.Mode.or(e.Mode)
			set(&e.Caps, a.Caps)
			if a.Config {
				e.Config = packaging.ConfigNoReplace
			}
		}
	}
	return true
}

func set(s *string, value string) {
	if value != "" {
		*s = value
	}
}

// parents adds the folders within the program folder that nothing else has laid,
// with what the payload's attributes say of them. Folders elsewhere are the
// system's, or are named in the manifest.
func (b *layoutBuilder) parents() {
	program, attributes := b.m.Folders.Program, b.m.Payload.Attributes
	for _, p := range slices.Collect(maps.Keys(b.entries)) {
		for p = path.Dir(p); within(p, program); p = path.Dir(p) {
			if _, ok := b.entries[p]; ok {
				continue
			}
			e := packaging.Entry{Path: p, Mode: fs.ModeDir | 0o755}
			if rel, ok := relative(p, b.m.Payload.Destination); ok {
				applyAttributes(&e, rel, attributes)
			}
			b.entries[p] = e
		}
	}
}

// relative gives p relative to dir.
func relative(p, dir string) (string, bool) {
	if p == dir {
		return ".", true
	}
	return strings.CutPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// checkPrograms sees to it that what the hook starts is there.
func (b *layoutBuilder) checkPrograms() {
	check := func(at, program string) {
		p := path.Join(b.m.Folders.Program, program)
		switch e, ok := b.entries[p]; {
		case !ok:
			b.errs = append(b.errs, b.m.problem(at, "%s is not in the package", p))
		case e.Mode.IsDir() || e.Regular() && e.Mode&0o111 == 0:
			b.errs = append(b.errs, b.m.problem(at, "%s is not executable", p))
		}
	}
	if len(b.m.Start) > 0 {
		check("start", b.m.Start[0])
	}
	for i, c := range b.m.Components {
		check(fmt.Sprintf("components[%d]", i), c.Program)
	}
}

// checkFolders sees to it that a folder is either the package's or the hook's:
// each would undo the other's mode and owner.
func (b *layoutBuilder) checkFolders() {
	for i, f := range b.m.Folders.Extra {
		if _, ok := b.entries[f.Path]; ok {
			b.errs = append(b.errs, b.m.problem(fmt.Sprintf("folders.extra[%d].path", i), "%s is in the package too", f.Path))
		}
	}
}

// layout sorts the entries and checks how they stand to each other.
func (b *layoutBuilder) layout() (packaging.Layout, []error) {
	l := make(packaging.Layout, 0, len(b.entries))
	for _, e := range b.entries {
		l = append(l, e)
	}
	l.Sort()
	firsts := make(map[string]string) // the name that now has the file of a group of hard links
	for i := range l {
		e := &l[i]
		for p := path.Dir(e.Path); p != "/"; p = path.Dir(p) {
			if parent, ok := b.entries[p]; ok && !parent.Mode.IsDir() {
				b.errs = append(b.errs, fmt.Errorf("%s lies in %s, which is no folder", e.Path, p))
				break
			}
		}
		b.relink(e, firsts)
	}
	return l, b.errs
}

// relink sees to it that the name of a hard link that comes first in the layout
// has the file, even where the tree's first name was left out or replaced.
func (b *layoutBuilder) relink(e *packaging.Entry, firsts map[string]string) {
	group := e.HardLink
	if group == "" {
		group = e.Path
	}
	if !e.Regular() || e.Ghost {
		return
	}
	first, ok := firsts[group]
	switch {
	case !ok:
		firsts[group] = e.Path
		e.HardLink = ""
	case b.sameFile(first, e):
		e.HardLink = first
	default: // replaced, or given other attributes
		e.HardLink = ""
	}
}

func (b *layoutBuilder) sameFile(first string, e *packaging.Entry) bool {
	f := b.entries[first]
	return f.Mode == e.Mode && f.Owner == e.Owner && f.Group == e.Group && f.SHA256 == e.SHA256 && f.Size == e.Size && f.Config == e.Config && f.Caps == e.Caps
}
