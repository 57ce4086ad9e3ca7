package packaging

import "io/fs"

const openFlags = 0

// foldsNames says that names which differ in case alone are the same.
const foldsNames = true

// attributes takes as they are to be what Windows has access lists for.
func (s *Scan) attributes(e, want *Entry, _ fs.FileInfo) {
	e.Owner, e.Group = want.Owner, want.Group
	e.Mode = e.Mode.Type() | want.Mode&^fs.ModeType
}
