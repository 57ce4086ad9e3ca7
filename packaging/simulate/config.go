package simulate

import (
	"io/fs"

	"github.com/vpkg/vpkg/packaging"
)

// A Decision is what happens to a file that an administrator may have changed.
type Decision struct {
	Path     string    `json:"path"`
	Kind     string    `json:"kind"`     // "config(noreplace)", "conffile", "NeverOverwrite", …, with what it was or becomes
	Outcomes []Outcome `json:"outcomes"` // one for each state of the file on the host
}

// An Outcome is what happens to a file in one state.
type Outcome struct {
	Local  Local  `json:"local"`
	Result Result `json:"result"`

	// Beside is a file that lies beside it afterwards: the new version's, or the
	// local one. Empty means none.
	Beside string `json:"beside,omitempty"`

	// Asks says that dpkg asks what to do, and Result is what it does by default.
	// Where nobody can answer, it stops with an error.
	Asks bool `json:"asks,omitempty"`
}

// A Local is the state of a file on the host.
type Local string

// The states.
const (
	Unchanged Local = "unchanged" // as the old package has it
	AsNew     Local = "as-new"    // changed, to what the new package has
	Changed   Local = "changed"   // in any other way; of a file that is new: another one is there
	Missing   Local = "missing"   // it was deleted, or of a file that is new: nothing is there
)

// A Result is what becomes of a file.
type Result string

// The results.
const (
	Kept     Result = "kept"     // it stays as it is, or stays away
	Replaced Result = "replaced" // by the new package's; the local one is nowhere else, unless Beside
	Created  Result = "created"
	Removed  Result = "removed"
)

// rpmFate is rpm's decision on a path that both packages have and at least one as
// %config: rpmfilesDecideFate in lib/rpmfi.c of rpm 4.18.
func rpmFate(o, n *packaging.Entry, l Local) Outcome {
	switch {
	case n.Ghost:
		return Outcome{l, Kept, "", false}
	case l == Missing && n.Config == packaging.ConfigMissingOK:
		return Outcome{l, Kept, "", false}
	case l == Missing:
		return Outcome{l, Created, "", false}
	case l != Changed || o.Mode.IsDir():
		return Outcome{l, Replaced, "", false}
	case n.Config == packaging.NotConfig:
		return Outcome{l, Replaced, n.Path + ".rpmsave", false}
	case sameContent(o, n):
		return Outcome{l, Kept, "", false}
	case n.Config == packaging.ConfigNoReplace:
		return Outcome{l, Kept, n.Path + ".rpmnew", false}
	}
	return Outcome{l, Replaced, n.Path + ".rpmsave", false}
}

// rpmFateNew is rpm's decision on a %config that no installed package has:
// handleOverlappedFiles in lib/transaction.c.
func rpmFateNew(n *packaging.Entry, l Local) Outcome {
	switch {
	case n.Ghost:
		return Outcome{l, Kept, "", false}
	case l == Missing:
		return Outcome{l, Created, "", false}
	case l == AsNew:
		return Outcome{l, Replaced, "", false}
	case n.Config == packaging.ConfigNoReplace:
		return Outcome{l, Kept, n.Path + ".rpmnew", false}
	}
	return Outcome{l, Replaced, n.Path + ".rpmorig", false}
}

// rpmFateGone is rpm's decision on a %config that is erased.
func rpmFateGone(o *packaging.Entry, l Local) Outcome {
	switch {
	case l == Missing:
		return Outcome{l, Kept, "", false}
	case o.Ghost: // it has no digest to be compared with, so it counts as changed
		return Outcome{l, Kept, "", false}
	case l == Changed:
		return Outcome{l, Removed, o.Path + ".rpmsave", false}
	}
	return Outcome{l, Removed, "", false}
}

// debFate is dpkg's decision on a conffile of the new package, where the old package
// has o at its path, or nothing: deferred_configure_conffile in src/main/configure.c of
// dpkg 1.21.
func debFate(o, n *packaging.Entry, l Local) Outcome {
	keep := Outcome{l, Kept, n.Path + ".dpkg-dist", true}
	was := o != nil && o.Config != packaging.NotConfig
	switch {
	case !was && l == Missing:
		return Outcome{l, Created, "", false}
	case l == AsNew || l == Unchanged && sameContent(o, n):
		return Outcome{l, Kept, "", false}
	case !was: // dpkg does not remember what it was before it was a conffile
		return keep
	case l == Unchanged:
		return Outcome{l, Replaced, "", false}
	case sameContent(o, n):
		return Outcome{l, Kept, "", false}
	}
	return keep
}

// sameContent reports whether two files or links are alike but for their mode and
// owner.
func sameContent(a, b *packaging.Entry) bool {
	return a.Mode.Type() == b.Mode.Type() && a.SHA256 == b.SHA256 && a.Size == b.Size && a.Target == b.Target
}

// locals are the states in which a file may be: that on the host, if one is looked
// at, else all that lead to different outcomes.
func (s *simulation) locals(o, n *packaging.Entry) ([]Local, error) {
	if s.Host == nil {
		switch {
		case o == nil:
			return []Local{Missing, AsNew, Changed}, nil
		case n == nil || sameContent(o, n):
			return []Local{Unchanged, Changed, Missing}, nil
		}
		return []Local{Unchanged, AsNew, Changed, Missing}, nil
	}
	e := o
	if e == nil {
		e = n
	}
	l, err := s.local(e.Path, o, n)
	return []Local{l}, err
}

// local is the state of a file on the host.
func (s *simulation) local(path string, o, n *packaging.Entry) (Local, error) {
	f, err := s.Host(path)
	switch {
	case err != nil:
		return "", err
	case f.Missing:
		return Missing, nil
	case f.is(o):
		return Unchanged, nil
	case f.is(n):
		return AsNew, nil
	}
	return Changed, nil
}

// is reports whether it has the type and content of an entry.
func (f Found) is(e *packaging.Entry) bool {
	if e == nil || e.Ghost || f.Mode.Type() != e.Mode.Type() {
		return false
	}
	switch {
	case f.Mode.IsDir():
		return true
	case f.Mode.Type() == fs.ModeSymlink:
		return f.Target == e.Target
	}
	return f.SHA256 == e.SHA256 && !f.SHA256.IsZero()
}
