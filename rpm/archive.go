package rpm

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
	"github.com/vpkg/vpkg/rpm/internal/cpio"
)

// writePayload makes the payload of p: a cpio archive of everything but ghosts.
func (f Format) writePayload(ctx context.Context, s *payload.Store, p *packaging.Package) (*payload.Encoded, error) {
	w, err := s.NewWriter(ctx, compression(p), f.Jobs)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	_, stripped := large(p.Layout)
	a := archive{w: w, cpio: cpio.NewWriter(w), p: p, stripped: stripped}
	if err := a.write(); err != nil {
		return nil, err
	}
	return w.Close()
}

// An archive writes the entries of a layout.
type archive struct {
	w        *payload.Writer
	cpio     *cpio.Writer
	p        *packaging.Package
	stripped bool // headers say nothing but the file's number
}

// write writes the entries in the order of their paths, except that the names of
// hard linked files come last, each file's together, and only the last of them
// has the content. rpm counts on that when it installs.
func (a *archive) write() error {
	l := a.p.Layout
	first := linkGroups(l)
	names := map[int][]int{} // of hard linked files
	for i := range l {
		if first[i] != i && !l[i].Ghost {
			if names[first[i]] == nil {
				names[first[i]] = []int{first[i]}
			}
			names[first[i]] = append(names[first[i]], i)
		}
	}
	for i := range l {
		if first[i] == i && names[i] == nil && !l[i].Ghost {
			if err := a.entry(i, i, 1, true); err != nil {
				return err
			}
		}
	}
	for i := range l {
		group := names[i]
		for k, j := range group {
			if err := a.entry(j, i, len(group), k == len(group)-1); err != nil {
				return err
			}
		}
	}
	return a.cpio.Close()
}

// entry writes entry i, which is a name of the same file as entry first; with its
// content if body is set.
func (a *archive) entry(i, first, links int, body bool) error {
	e := &a.p.Layout[i]
	h := cpio.Header{
		Name:  "." + e.Path,
		Inode: uint32(first) + 1,
		Mode:  unixMode(e),
		Links: uint32(links),
		MTime: uint32(modTime(a.p, e).Unix()),

		Stripped: a.stripped,
		Index:    uint32(i),
	}
	if body {
		h.Size = fileSize(e)
	}
	if err := a.cpio.WriteHeader(&h); err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		if _, err := io.WriteString(a.cpio, e.Target); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	case e.Regular() && body:
		if err := a.w.Body(a.withBody(first)); err != nil {
			return err // names the file
		}
		a.cpio.Skip(e.Size)
	}
	return nil
}

// withBody is the entry whose body is the content of a file, with its digest.
func (a *archive) withBody(i int) *packaging.Entry {
	e := a.p.Layout[i]
	e.SHA256 = digest(&e)
	return &e
}
