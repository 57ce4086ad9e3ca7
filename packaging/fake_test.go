package packaging_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// fake is the smallest format there can be: a SHA-256 sum and JSON. The hooks
// let a test break it.
type fake struct {
	wrote  func(packaging.Written) packaging.Written
	read   func(*packaging.Package) // spoils what Read gives
	failAt int                      // bytes after which Write fails; 0 means never
	depths *[]packaging.Depth       // records the depths that were asked for
}

type fakeFile struct {
	Package packaging.Package
	Times   []time.Time
	Bodies  [][]byte
}

var errFake = errors.New("no space left on device")

func (fake) Name() string { return "fake" }

func (fake) FileName(p *packaging.Package) string {
	if p.FileName != "" {
		return p.FileName
	}
	return p.Name + "-" + p.Version + ".fake"
}

func (f fake) Write(ctx context.Context, w io.Writer, p *packaging.Package) (packaging.Written, error) {
	if err := errors.Join(packaging.Validate(p), ctx.Err()); err != nil {
		return packaging.Written{}, err
	}
	file := fakeFile{Package: *p}
	file.Package.Layout = append(packaging.Layout(nil), p.Layout...)
	for i := range p.Layout {
		e := &file.Package.Layout[i]
		var body []byte
		if e.HasBody() {
			r, err := e.Body.Open()
			if err != nil {
				return packaging.Written{}, fmt.Errorf("%s: %w", e.Path, err)
			}
			body, err = io.ReadAll(r)
			r.Close()
			if err != nil || sha256.Sum256(body) != e.SHA256 {
				return packaging.Written{}, fmt.Errorf("%s: changed while it was read: %w", e.Path, err)
			}
		}
		file.Bodies, file.Times = append(file.Bodies, body), append(file.Times, e.ModTime)
	}
	b, err := json.Marshal(file)
	if err != nil {
		return packaging.Written{}, err
	}
	sum := sha256.Sum256(b)
	b = append(sum[:], b...)
	if f.failAt > 0 {
		_, _ = w.Write(b[:f.failAt])
		return packaging.Written{}, errFake
	}
	var written packaging.Written
	if f.wrote != nil {
		written = f.wrote(written)
	}
	_, err = w.Write(b)
	return written, err
}

func (f fake) Read(ctx context.Context, r io.ReaderAt, size int64, d packaging.Depth) (*packaging.Package, error) {
	if f.depths != nil {
		*f.depths = append(*f.depths, d)
	}
	b, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err := errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	if int64(len(b)) < size || size < 32 || sha256.Sum256(b[32:]) != [32]byte(b[:32]) {
		return nil, errors.New("digest differs")
	}
	var file fakeFile
	if err := json.NewDecoder(bytes.NewReader(b[32:])).Decode(&file); err != nil {
		return nil, err
	}
	p := &file.Package
	for i := range p.Layout {
		p.Layout[i].ModTime = file.Times[i]
	}
	if f.read != nil {
		f.read(p)
	}
	return p, nil
}

func TestFakeConforms(t *testing.T) { packagingtest.TestFormat(t, fake{}, "any") }
