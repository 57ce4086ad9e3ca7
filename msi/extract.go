package msi

import (
	"context"
	"crypto/md5" //nolint:gosec // what Windows Installer has in MsiFileHash
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"github.com/vpkg/vpkg/msi/internal/cab"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

var _ packaging.Extractor = Format{}

// Each gives the files of any package for Windows Installer with their content:
// the folders first, then the files that are not in the package but beside it, then
// those of its cabinets.
func (Format) Each(ctx context.Context, r io.ReaderAt, size int64, give func(e *packaging.Entry, body io.Reader) error) error {
	contents, err := Open(r, size)
	if err != nil {
		return err
	}
	d, err := contents.describe(ctx, packaging.Headers)
	if err != nil {
		return err
	}
	cabinets, inside, err := d.embedded()
	if err != nil {
		return err
	}
	for i := range d.p.Layout {
		if e := &d.p.Layout[i]; !inside[e.Path] {
			if err := give(e, nil); err != nil {
				return err
			}
		}
	}
	for _, name := range cabinets {
		if err := d.contents(ctx, name, give); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// embedded gives the names of the cabinets that are in the package, and the paths of
// the files in them.
func (d *describer) embedded() (cabinets []string, inside map[string]bool, err error) {
	inside = make(map[string]bool)
	for r := range d.db.Rows("Media") {
		name, ok := strings.CutPrefix(r.Text("Cabinet"), "#")
		if !ok {
			continue
		}
		c, err := d.c.cabinet(name)
		if err != nil {
			return nil, nil, err
		}
		cabinets = append(cabinets, name)
		for i := range c.Files {
			if p, ok := d.files[c.Files[i].Name]; ok {
				inside[p] = true
			}
		}
	}
	return cabinets, inside, nil
}

// contents reads the files of a cabinet, checks their sums and completes their
// entries, each of which goes to give, as packaging.Extractor has it.
func (d *describer) contents(ctx context.Context, name string, give func(e *packaging.Entry, body io.Reader) error) error {
	c, err := d.c.cabinet(name)
	if err != nil {
		return err
	}
	sums := d.fileHashes()
	var refused error // what give returned
	buf := make([]byte, 64<<10)
	err = c.Each(ctx, func(f *cab.Entry, content io.Reader) error {
		e, err := d.entry(f.Name)
		if err != nil || e == nil { // an installation leaves the file alone
			return err
		}
		h, m := sha256.New(), md5.New() //nolint:gosec // as above
		body := &payload.CheckedReader{R: content, Sums: io.MultiWriter(h, m), Check: func() error {
			if want, ok := sums[f.Name]; ok && want != [16]byte(m.Sum(nil)) {
				return fmt.Errorf("%s has another MD5 sum than MsiFileHash says", e.Path)
			}
			return nil
		}}
		if refused = give(e, body); refused != nil {
			return refused
		}
		if err := body.Drain(buf); err != nil {
			return err
		}
		e.SHA256 = packaging.Digest(h.Sum(nil))
		return nil
	})
	switch {
	case refused != nil:
		return refused
	case err != nil && ctx.Err() == nil:
		return &FormatError{name, err}
	case err == nil:
		d.c.decoded[name] = true
	}
	return err
}

// ListSignatures gives the stream with the signature, if there is one.
func (Format) ListSignatures(r io.ReaderAt, size int64) ([]packaging.Signature, error) {
	c, err := Open(r, size)
	if err != nil {
		return nil, err
	}
	return c.ListSignatures(), nil
}
