package manifest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

// tree reads a folder or an archive, which the caller closes. What an archive
// holds goes into a file in the folder spool.
func (f folder) tree(ctx context.Context, name, spool string) (*payload.Tree, error) {
	info, err := f.stat(name)
	switch {
	case err != nil:
		return nil, err
	case f.fsys != nil && info.IsDir():
		sub, err := fs.Sub(f.fsys, path.Clean(name))
		if err != nil {
			return nil, err
		}
		return payload.ReadFS(ctx, sub, 0)
	case f.fsys != nil:
		return nil, fmt.Errorf("%s is not a folder", name)
	case info.IsDir():
		return payload.ReadDir(ctx, f.path(name), 0)
	}
	return payload.ReadArchive(ctx, f.path(name), payload.ArchiveOptions{Spool: spool})
}

// entries gives the tree's files as entries with relative paths. Modes are not
// those of the build host, and owners not those of an archive: see defaultMode.
func entries(t *payload.Tree) []packaging.Entry {
	es := make([]packaging.Entry, len(t.Files))
	for i := range t.Files {
		f := &t.Files[i]
		es[i] = packaging.Entry{
			Path: f.Path, Mode: defaultMode(f.Mode), Size: f.Size, SHA256: f.SHA256,
			Target: f.Target, HardLink: f.HardLink, Body: f.Body,
		}
	}
	return es
}

// tree reads a folder or an archive, once for all targets. A source of the
// manifest is relative to its folder, one of the command line to the current one.
func (r *Resolver) tree(ctx context.Context, source string, ofManifest bool) (*payload.Tree, error) {
	var f folder
	if ofManifest {
		f = r.Manifest.folder
	}
	key := fmt.Sprintf("%v %s", ofManifest, source)
	if t, ok := r.trees[key]; ok {
		return t, nil
	}
	t, err := f.tree(ctx, source, r.Spool)
	if err != nil {
		return nil, err
	}
	if r.trees == nil {
		r.trees = make(map[string]*payload.Tree)
	}
	r.trees[key] = t
	return t, nil
}

// Close lets go of the folders and archives that were read, whose content the
// packages need until they have been written.
func (r *Resolver) Close() error {
	var errs []error
	for _, t := range r.trees {
		errs = append(errs, t.Close())
	}
	r.trees = nil
	return errors.Join(errs...)
}
