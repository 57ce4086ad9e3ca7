package manifest

import (
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/vpkg/vpkg/packaging"
)

// A tree is a folder or an archive that was read.
type tree struct {
	files []packaging.Entry // paths relative to the root, which is not among them
	close func() error
}

// tree reads a folder or an archive.
func (f folder) tree(ctx context.Context, name string) (*tree, error) {
	info, err := f.stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", name)
	}
	t := &tree{close: func() error { return nil }}
	return t, f.walk(ctx, name, "", t)
}

func (f folder) walk(ctx context.Context, name, rel string, t *tree) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d, err := f.open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	entries, err := d.(fs.ReadDirFile).ReadDir(-1)
	if err != nil {
		return err
	}
	for _, x := range entries {
		full, p := path.Join(name, x.Name()), path.Join(rel, x.Name())
		if x.IsDir() {
			t.files = append(t.files, packaging.Entry{Path: p, Mode: fs.ModeDir | 0o755})
			if err := f.walk(ctx, full, p, t); err != nil {
				return err
			}
			continue
		}
		s, err := f.file(full)
		if err != nil {
			return err
		}
		e := packaging.Entry{Path: p, Mode: 0o644, Body: s.body, Size: s.size, SHA256: s.digest, ModTime: s.modTime}
		if s.executable {
			e.Mode = 0o755
		}
		t.files = append(t.files, e)
	}
	return nil
}
