package packaging

import (
	"fmt"
	"io/fs"
	"strings"
)

// A Mismatch is one way in which two layouts differ.
type Mismatch struct {
	Path      string
	Attribute string // "missing", "extra", "type", "mode", "owner", "group", "size", "sha256", "target", "hardlink", "config", "ghost" or "caps"
	Want, Got string // empty for "missing" and "extra"
}

// String gives "PATH: ATTRIBUTE is GOT, want WANT".
func (m Mismatch) String() string {
	if m.Attribute == "missing" || m.Attribute == "extra" {
		return m.Path + ": " + m.Attribute
	}
	return fmt.Sprintf("%s: %s is %s, want %s", m.Path, m.Attribute, m.Got, m.Want)
}

// Diff compares two sorted layouts and returns what differs, in order of path.
// A digest that one side does not have is not compared.
func Diff(want, got Layout) []Mismatch {
	var ms []Mismatch
	for len(want) > 0 || len(got) > 0 {
		c := 0
		switch {
		case len(got) == 0:
			c = -1
		case len(want) == 0:
			c = 1
		default:
			c = strings.Compare(want[0].Path, got[0].Path)
		}
		switch {
		case c < 0:
			ms = append(ms, Mismatch{Path: want[0].Path, Attribute: "missing"})
			want = want[1:]
		case c > 0:
			ms = append(ms, Mismatch{Path: got[0].Path, Attribute: "extra"})
			got = got[1:]
		default:
			ms = appendEntryDiff(ms, &want[0], &got[0])
			want, got = want[1:], got[1:]
		}
	}
	return ms
}

func appendEntryDiff(ms []Mismatch, w, g *Entry) []Mismatch {
	add := func(attribute, want, got string) {
		if want != got {
			ms = append(ms, Mismatch{w.Path, attribute, want, got})
		}
	}
	if w.Mode.Type() != g.Mode.Type() {
		add("type", typeName(w.Mode), typeName(g.Mode))
		return ms // the rest would only repeat it
	}
	if w.Mode&fs.ModeSymlink == 0 { // Linux has no mode of its own for links
		add("mode", fmt.Sprintf("%04o", UnixMode(w.Mode)&0o7777), fmt.Sprintf("%04o", UnixMode(g.Mode)&0o7777))
	}
	add("owner", w.OwnerName(), g.OwnerName())
	add("group", w.GroupName(), g.GroupName())
	if !w.SHA256.IsZero() && !g.SHA256.IsZero() {
		add("sha256", w.SHA256.String(), g.SHA256.String())
	}
	if !w.Ghost && !g.Ghost {
		add("size", fmt.Sprint(w.Size), fmt.Sprint(g.Size))
	}
	add("target", w.Target, g.Target)
	add("hardlink", w.HardLink, g.HardLink)
	add("config", w.Config.String(), g.Config.String())
	add("ghost", fmt.Sprint(w.Ghost), fmt.Sprint(g.Ghost))
	add("caps", w.Caps, g.Caps)
	return ms
}

func typeName(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "dir"
	case m&fs.ModeSymlink != 0:
		return "symlink"
	case m.IsRegular():
		return "file"
	}
	return m.Type().String()
}
