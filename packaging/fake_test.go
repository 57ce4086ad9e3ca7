package packaging_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// fake is the smallest format there can be: the package and the bodies in JSON, each
// after its length and SHA-256 sum. The hooks let a test break it.
type fake struct {
	wrote  func(packaging.Written) packaging.Written
	read   func(*packaging.Package) // spoils what Read gives
	failAt int                      // bytes after which Write fails; 0 means never
	depths *[]packaging.Depth       // records the depths that were asked for
}

type fakeHeader struct {
	Package packaging.Package
	Times   []time.Time
}

// appendPart appends a length of 8 bytes, a sum of 32 and what they are of.
func appendPart(b, part []byte) []byte {
	sum := sha256.Sum256(part)
	return append(append(binary.BigEndian.AppendUint64(b, uint64(len(part))), sum[:]...), part...)
}

// readPart gives the part at an offset, and where the next begins.
func readPart(r io.ReaderAt, at, size int64) (part []byte, end int64, err error) {
	head := make([]byte, 40)
	if _, err := r.ReadAt(head, at); err != nil {
		return nil, 0, err
	}
	n := binary.BigEndian.Uint64(head)
	if at += 40; n > uint64(size-at) {
		return nil, 0, io.ErrUnexpectedEOF
	}
	part = make([]byte, n)
	if k, err := r.ReadAt(part, at); k < len(part) {
		return nil, 0, err
	}
	if sha256.Sum256(part) != [32]byte(head[8:]) {
		return nil, 0, errors.New("digest differs")
	}
	return part, at + int64(n), nil
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
	file, bodies := fakeHeader{Package: *p}, [][]byte{}
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
		bodies, file.Times = append(bodies, body), append(file.Times, e.ModTime)
	}
	header, err := json.Marshal(file)
	if err != nil {
		return packaging.Written{}, err
	}
	payload, err := json.Marshal(bodies)
	if err != nil {
		return packaging.Written{}, err
	}
	b := appendPart(appendPart(nil, header), payload)
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
	header, end, err := readPart(r, 0, size)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	if d == packaging.Payload {
		switch _, end, err := readPart(r, end, size); {
		case err != nil:
			return nil, err
		case end != size:
			return nil, fmt.Errorf("%d bytes, want %d", size, end)
		}
	}
	var file fakeHeader
	if err := json.Unmarshal(header, &file); err != nil {
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
