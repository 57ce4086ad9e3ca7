package payload

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// A Tree is what a folder or an archive holds.
type Tree struct {
	// Files are sorted by path. The top folder is not among them; every other
	// folder is, those that an archive does not mention with mode 0755 and no time.
	Files []File

	// Newest is the newest modification time of files and links, to the second.
	// Folders do not count: theirs changes with what is made beside. Zero means
	// that there is none, as in an embedded file system.
	Newest time.Time

	closers []io.Closer
}

// A File is one file, folder or symbolic link of a Tree.
type File struct {
	Path    string      // slash-separated and relative: see fs.ValidPath
	Mode    fs.FileMode // type and permission bits, with ModeSetuid, ModeSetgid, ModeSticky
	Owner   string      // by name, as the archive says; empty if it does not, and for a folder on disk
	Group   string      // by name, likewise
	ModTime time.Time

	Size   int64            // bytes of a regular file; 0 for everything else
	SHA256 packaging.Digest // of a regular file's content
	Target string           // what a symbolic link points to

	// HardLink is the path of the file, earlier in Files, whose content this one
	// is another name of. Size, SHA256 and Body are set here too.
	HardLink string

	// Body gives the content of a regular file until the Tree is closed.
	Body packaging.Body
}

// Close ends the use of the tree's bodies.
func (t *Tree) Close() error {
	var errs []error
	for _, c := range t.closers {
		errs = append(errs, c.Close())
	}
	t.closers = nil
	return errors.Join(errs...)
}

// Lookup finds the file with the given path.
func (t *Tree) Lookup(path string) (*File, bool) {
	i, ok := slices.BinarySearchFunc(t.Files, path, func(f File, p string) int { return cmp.Compare(f.Path, p) })
	if !ok {
		return nil, false
	}
	return &t.Files[i], true
}

// finish sorts the files. The files of each group are names of the same content,
// given by their places in t.Files: the one that sorts first becomes the one that
// the others link to.
func (t *Tree) finish(groups [][]int) {
	for _, g := range groups {
		first := slices.MinFunc(g, func(a, b int) int { return strings.Compare(t.Files[a].Path, t.Files[b].Path) })
		for _, i := range g {
			if t.Files[i].HardLink = t.Files[first].Path; i == first {
				t.Files[i].HardLink = ""
			}
		}
	}
	slices.SortFunc(t.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for i := range t.Files {
		if f := &t.Files[i]; !f.Mode.IsDir() && f.ModTime.After(t.Newest) {
			t.Newest = f.ModTime
		}
	}
	t.Newest = t.Newest.Truncate(time.Second).UTC()
	if t.Newest.Unix() <= 0 {
		t.Newest = time.Time{}
	}
}
