package installed

import (
	"crypto/sha256"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/manifest"
	"github.com/vpkg/vpkg/packaging/verify"
)

// An expectation is what is to be on a host.
type expectation struct {
	layout packaging.Layout // sorted
	made   map[string]bool  // by the hook: folders, and files that are not in the package
	whole  []string         // folders in which nothing else is to be
	data   []string         // folders whose content is the product's own business
	record string           // path of the record; "" for another maker's package
	policy verify.Installed
}

// expect composes a layout, which the record or a package has, with what the hook
// makes for the installed state.
func expect(l packaging.Layout, c hooks.Config, state hooks.Installed, policy verify.Installed) *expectation {
	x := &expectation{made: map[string]bool{}, policy: policy, data: []string{"/run", "/var/run", stateFolder}}
	var made packaging.Layout
	for _, s := range hooks.Beside(c, state.User) {
		e := packaging.Entry{Path: s.Path, Mode: packaging.FileMode(uint32(s.Mode)), Owner: s.Owner, Group: s.Group}
		switch {
		case s.Absent, s.AsIs:
			continue
		case s.Kind == hooks.Dir:
			e.Mode |= fs.ModeDir
			x.data = append(x.data, s.Path)
		case s.Kind == hooks.File:
			e.Size, e.SHA256 = int64(len(s.Text)), sha256.Sum256([]byte(s.Text))
		default:
			continue
		}
		x.made[e.Path] = true
		made = append(made, e)
	}
	x.layout = slices.DeleteFunc(slices.Clone(l), func(e packaging.Entry) bool { return x.made[e.Path] })
	x.layout = append(x.layout, made...)
	if program := state.Program; program != "" {
		x.record = program + hooks.RecordFile
		if i := slices.IndexFunc(l, func(e packaging.Entry) bool { return e.Path == x.record }); i < 0 {
			x.layout = append(x.layout, packaging.Entry{Path: x.record}) // it does not have itself
		}
		x.whole = []string{program}
	}
	x.layout.Sort()
	return x
}

// treatment says what becomes of a difference in an entry.
func (x *expectation) treatment(e *packaging.Entry) verify.Treatment {
	or := func(t, standard verify.Treatment) verify.Treatment {
		if t == "" {
			return standard
		}
		return t
	}
	switch {
	case slices.ContainsFunc(x.policy.Ignore, func(p string) bool { return manifest.Match(p, e.Path) }):
		return verify.Ignore
	case x.made[e.Path], e.Path == x.record:
		return verify.MustMatch
	case e.Ghost:
		return or(x.policy.Ghost, verify.Ignore)
	case isLog(e):
		return or(x.policy.Log, verify.Ignore)
	case slices.ContainsFunc(x.data, func(dir string) bool { return strings.HasPrefix(e.Path, dir+"/") }):
		return or(x.policy.Runtime, verify.Ignore)
	case e.Config != packaging.NotConfig:
		return or(x.policy.Config, verify.MayDiffer)
	}
	return verify.MustMatch
}

// isLog reports whether a file is a log by its name.
func isLog(e *packaging.Entry) bool {
	if e.Mode.IsDir() {
		return false
	}
	return path.Ext(e.Path) == ".log" || slices.ContainsFunc(strings.Split(path.Dir(e.Path), "/"), func(s string) bool {
		return s == "log" || s == "logs"
	})
}
