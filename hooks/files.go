package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

func (h *host) lookDir(s Step) (undo Step, need bool, err error) {
	was, err := h.Stat(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Step{Kind: Dir, Path: s.Path, Absent: true}, !s.Absent, nil
	}
	if err != nil {
		return Step{}, false, err
	}
	undo = Step{Kind: Dir, Path: s.Path, Mode: ModeOf(was.Mode), Owner: strconv.Itoa(was.UID), Group: strconv.Itoa(was.GID)}
	switch {
	case was.Mode&fs.ModeSymlink != 0 && !s.Absent:
		h.log.Warn("is a link: what it points to is left as it is", "folder", s.Path)
		return undo, false, nil
	case !was.Mode.IsDir():
		return Step{}, false, fmt.Errorf("%s is not a folder", s.Path)
	case s.Absent:
		return undo, true, nil
	case s.AsIs:
		return undo, false, nil
	}
	want, err := h.attr(fs.ModeDir, s)
	return undo, err == nil && (want.UID != was.UID || want.GID != was.GID || ModeOf(was.Mode) != s.Mode), err
}

func (h *host) setDir(s Step) error {
	if !s.Absent {
		return h.setAttr(s.Path, fs.ModeDir, s)
	}
	err := h.Remove(s.Path)
	if errors.Is(err, fs.ErrExist) { // what Remove says about a folder that is not empty
		h.log.Info("is not empty: left", "folder", s.Path)
		return nil
	}
	return err
}

func (h *host) attr(t fs.FileMode, s Step) (Attr, error) {
	uid, err := h.id("passwd", s.Owner)
	if err != nil {
		return Attr{}, fmt.Errorf("owner of %s: %w", s.Path, err)
	}
	gid, err := h.id("group", s.Group)
	if err != nil {
		return Attr{}, fmt.Errorf("group of %s: %w", s.Path, err)
	}
	return Attr{Mode: t | s.Mode.FileMode(), UID: uid, GID: gid}, nil
}

func (h *host) setAttr(name string, t fs.FileMode, s Step) error {
	a, err := h.attr(t, s)
	if err != nil {
		return err
	}
	return h.SetAttr(name, a)
}

func (h *host) lookFile(s Step) (undo Step, need bool, err error) {
	was, err := h.ReadFile(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Step{Kind: File, Path: s.Path, Absent: true}, !s.Absent, nil
	}
	if err != nil {
		return Step{}, false, err
	}
	if err := s.changed(string(was)); err != nil {
		return Step{}, false, err
	}
	undo = Step{Kind: File, Path: s.Path, Text: string(was), Mode: 0o644}
	if a, err := h.Stat(s.Path); err == nil {
		undo.Mode = ModeOf(a.Mode)
	}
	return undo, s.Absent || string(was) != s.Text, nil
}

// A RecordEntry is an entry of the record, etc/layout.json, as package packaging
// writes it.
type RecordEntry struct {
	Path     string `json:"path"`
	Type     string `json:"type"` // file, dir, symlink
	Mode     Mode   `json:"mode"` // permission bits; none of a link
	Owner    string `json:"owner"`
	Group    string `json:"group"`
	Size     int64  `json:"size"`     // bytes
	SHA256   string `json:"sha256"`   // of a file, in hex; empty for a ghost
	Target   string `json:"target"`   // of a symlink
	HardLink string `json:"hardlink"` // the path that it is another name of
	Config   string `json:"config"`   // not empty: the administrator may change it
	Ghost    bool   `json:"ghost"`    // it need not be there
	Caps     string `json:"caps"`     // capabilities as cap_to_text(3) writes them
}

// ReadRecord reads the record. One that is not there is an error.
func ReadRecord(sys System, path string) ([]RecordEntry, error) {
	if _, err := sys.Stat(path); err != nil {
		return nil, err
	}
	var r struct {
		Version int           `json:"version"` // 1
		Entries []RecordEntry `json:"entries"`
	}
	if err := readJSON(sys, path, &r); err != nil {
		return nil, err
	}
	if r.Version != 1 {
		return nil, fmt.Errorf("%s: version %d: %w", path, r.Version, ErrUnknown)
	}
	return r.Entries, nil
}

// fallenToRoot lists the entries of the record that are root's because their
// owner did not exist when they were unpacked. What belongs to anybody else was
// given to them on purpose.
func (h *host) fallenToRoot(record string) ([]RecordEntry, error) {
	entries, err := ReadRecord(h, record)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var wrong []RecordEntry
	known := map[[2]string]Attr{} // by owner and group, of whom a record has few
	for _, e := range entries {
		want, ok := known[[2]string{e.Owner, e.Group}]
		if !ok {
			var err error
			if want, err = h.attr(0, Step{Path: e.Path, Owner: e.Owner, Group: e.Group}); err != nil {
				return nil, err
			}
			known[[2]string{e.Owner, e.Group}] = want
		}
		is, err := h.Stat(e.Path)
		if err != nil {
			continue // verification's matter
		}
		if is.UID == 0 && want.UID != 0 || is.GID == 0 && want.GID != 0 {
			wrong = append(wrong, e)
		}
	}
	return wrong, nil
}

func (h *host) giveBack(record string) error {
	wrong, err := h.fallenToRoot(record)
	if err != nil {
		return err
	}
	for _, e := range wrong {
		h.log.Warn("fell to root because its owner did not exist: giving it back", "path", e.Path, "owner", e.Owner, "group", e.Group)
		t := map[string]fs.FileMode{"dir": fs.ModeDir, "symlink": fs.ModeSymlink}[e.Type]
		if err := h.setAttr(e.Path, t, Step{Path: e.Path, Mode: e.Mode, Owner: e.Owner, Group: e.Group}); err != nil {
			return err
		}
	}
	return nil
}

// FileMode gives the permission bits as package fs has them.
func (m Mode) FileMode() fs.FileMode {
	f := fs.FileMode(m & 0o777)
	for bit, flag := range map[Mode]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&bit != 0 {
			f |= flag
		}
	}
	return f
}

// ModeOf gives the permission bits of f, and leaves out its type.
func ModeOf(f fs.FileMode) Mode {
	m := Mode(f.Perm())
	for bit, flag := range map[Mode]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if f&flag != 0 {
			m |= bit
		}
	}
	return m
}
