package compare

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Sizes says where a package grew or shrank. They are facts, not differences.
type Sizes struct {
	Folders []Size `json:"folders"` // what lies directly in each, largest change first; at most 12
	Files   []Size `json:"files"`   // likewise
}

// A Size is of a folder or a file on both sides, in bytes; 0 also where there is
// none.
type Size struct {
	Path string `json:"path"`
	A    int64  `json:"a"`
	B    int64  `json:"b"`
}

// Growth is by how many bytes B is larger.
func (s Size) Growth() int64 { return s.B - s.A }

const sizesShown = 12

func (c *comparison) sizes() Sizes {
	folders, files := map[string]*Size{}, map[string]*Size{}
	add := func(m map[string]*Size, p string, side int, n int64) {
		s := m[p]
		if s == nil {
			s = &Size{Path: p}
			m[p] = s
		}
		if side == 0 {
			s.A += n
		} else {
			s.B += n
		}
	}
	for side, l := range c.layout {
		for i := range l {
			if e := &l[i]; e.HasBody() {
				add(files, e.Path, side, e.Size)
				add(folders, path.Dir(e.Path), side, e.Size)
			}
		}
	}
	return Sizes{largest(folders), largest(files)}
}

func largest(m map[string]*Size) []Size {
	all := []Size{}
	for _, s := range m {
		if s.A != s.B {
			all = append(all, *s)
		}
	}
	slices.SortFunc(all, func(x, y Size) int {
		return cmp.Or(cmp.Compare(max(y.Growth(), -y.Growth()), max(x.Growth(), -x.Growth())), strings.Compare(x.Path, y.Path))
	})
	return all[:min(len(all), sizesShown)]
}
