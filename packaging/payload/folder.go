package payload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/vpkg/vpkg/packaging"
)

// ReadDir reads the folder dir and everything below it; symbolic links are not
// followed, except in dir itself. It computes the digests of jobs files at a
// time; 0 means as many as there are processors. Nothing outside the folder is
// read, whatever happens to it meanwhile.
func ReadDir(ctx context.Context, dir string, jobs int) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	t, err := readFS(ctx, dir, root.FS(), jobs)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	t.closers = append(t.closers, root)
	return t, nil
}

// ReadFS reads a file system, such as an embedded one, like ReadDir. Its Open may
// be called by several goroutines at once.
func ReadFS(ctx context.Context, fsys fs.FS, jobs int) (*Tree, error) {
	return readFS(ctx, "", fsys, jobs)
}

// readFS reads fsys; errors name files as they are in the folder dir.
func readFS(ctx context.Context, dir string, fsys fs.FS, jobs int) (*Tree, error) {
	t := new(Tree)
	groups := map[packaging.Inode][]int{}
	err := fs.WalkDir(fsys, ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || path == "." {
			return nameIn(dir, path, err)
		}
		if !utf8.ValidString(path) {
			return fmt.Errorf("%q: name is not UTF-8", filepath.Join(dir, path))
		}
		fi, err := fs.Lstat(fsys, path)
		if err != nil {
			return nameIn(dir, path, err)
		}
		f := File{Path: path, Mode: fi.Mode(), ModTime: fi.ModTime()}
		switch f.Mode.Type() {
		case fs.ModeDir:
		case fs.ModeSymlink:
			f.Mode = fs.ModeSymlink | 0o777 // as on Linux, where links have no mode
			if f.Target, err = fs.ReadLink(fsys, path); err != nil {
				return nameIn(dir, path, err)
			}
		case 0:
			f.Size = fi.Size()
			f.Body = fsBody{fsys, path}
			if n, linked := packaging.InodeOf(fi); linked {
				groups[n] = append(groups[n], len(t.Files))
			}
		default:
			return nameIn(dir, path, fmt.Errorf("is neither file, folder nor link: %s", fi.Mode()))
		}
		t.Files = append(t.Files, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	links := make([][]int, 0, len(groups))
	for _, g := range groups {
		links = append(links, g)
	}
	t.finish(links)
	err = parallelErr(ctx, len(t.Files), jobs, func(i int) error {
		if f := &t.Files[i]; f.Mode.IsRegular() && f.HardLink == "" {
			return nameIn(dir, f.Path, f.hash(fsys))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range t.Files {
		if f := &t.Files[i]; f.HardLink != "" {
			first, _ := t.Lookup(f.HardLink)
			f.SHA256 = first.SHA256
		}
	}
	return t, nil
}

// hash computes f's digest, and makes sure that f did not change since it was
// listed.
func (f *File) hash(fsys fs.FS) error {
	r, err := fsys.Open(f.Path)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	n, err := copyAll(h, onlyReader{r})
	if err != nil {
		return err
	}
	fi, err := r.Stat()
	if err != nil {
		return err
	}
	if n != f.Size || fi.Size() != f.Size || !fi.ModTime().Equal(f.ModTime) || fi.Mode() != f.Mode {
		return errChanged
	}
	f.SHA256 = packaging.Digest(h.Sum(nil))
	return nil
}

// nameIn makes err say which file it is about.
func nameIn(dir, path string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err // the same path, without the folder
	}
	return fmt.Errorf("%s: %w", filepath.Join(dir, filepath.FromSlash(path)), err)
}

// An fsBody is the content of a file of a file system.
type fsBody struct {
	fsys fs.FS
	path string
}

// Open opens the file.
func (b fsBody) Open() (io.ReadCloser, error) { return b.fsys.Open(b.path) }
