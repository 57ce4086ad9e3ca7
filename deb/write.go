package deb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/vpkg/vpkg/deb/internal/ar"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

// maxMembers is the most bytes that a package's own control members have
// together: what Read takes of a control archive, less the space that the
// standard members may need.
const maxMembers = maxControl / 2

// Write writes p as a Debian package. Every problem that it sees in p is
// reported at once, before anything is written. The payload is encoded into the
// store first, since the control archive states its sizes and stands before it.
func (f Format) Write(ctx context.Context, w io.Writer, p *packaging.Package) (_ packaging.Written, err error) {
	if err := errors.Join(validate(p), ctx.Err()); err != nil {
		return packaging.Written{}, err
	}
	store := f.Store
	if store == nil {
		if store, err = payload.TempStore(); err != nil {
			return packaging.Written{}, err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
	}
	c, err := writeCodec(p.Compression)
	if err != nil {
		return packaging.Written{}, err
	}
	data, err := f.encodeData(ctx, store, p, c)
	if err != nil {
		return packaging.Written{}, err
	}
	md5s, err := store.MD5s(ctx, p.Layout, f.Jobs)
	if err != nil {
		return packaging.Written{}, err
	}
	control, err := f.encodeControl(ctx, store, p, md5s)
	if err != nil {
		return packaging.Written{}, err
	}
	if err := writeArchive(ctx, w, p, control, data, "data.tar"+c.extension); err != nil {
		return packaging.Written{}, err
	}
	written := packaging.Written{Verified: data.Verified()}
	if f.Store != nil {
		written.Confirm = data.Confirm
	}
	return written, nil
}

// encodeData makes data.tar.
func (f Format) encodeData(ctx context.Context, s *payload.Store, p *packaging.Package, c codec) (*payload.Encoded, error) {
	t, err := f.newTarWriter(ctx, s, packaging.Compression{Codec: c.name, Level: p.Compression.Level})
	if err != nil {
		return nil, err
	}
	defer t.abort()
	if err := t.root(p.Date); err != nil {
		return nil, err
	}
	for name, e := range dataEntries(p) {
		if err := t.entry(name, e, p.Date); err != nil {
			return nil, err
		}
	}
	return t.close()
}

// encodeControl makes control.tar.gz. It is always gzip: every dpkg reads it.
func (f Format) encodeControl(ctx context.Context, s *payload.Store, p *packaging.Package, md5s map[packaging.Digest][16]byte) (*payload.Encoded, error) {
	t, err := f.newTarWriter(ctx, s, packaging.Compression{Codec: "gzip"})
	if err != nil {
		return nil, err
	}
	defer t.abort()
	if err := t.root(p.Date); err != nil {
		return nil, err
	}
	for _, m := range []struct{ name, text string }{
		{"control", control(p, installedSize(p))},
		{"md5sums", md5sums(p.Layout, md5s)},
		{"conffiles", conffiles(p.Layout)},
		{"triggers", triggers(p.Triggers)},
	} {
		if m.text == "" {
			continue
		}
		if err := t.text(m.name, 0o644, m.text, p.Date); err != nil {
			return nil, err
		}
	}
	for _, s := range scripts {
		if script, ok := p.Script(s.phase); ok {
			if err := t.text(s.name, 0o755, script.Body, p.Date); err != nil {
				return nil, err
			}
		}
	}
	for _, m := range p.Members {
		e, err := memberEntry(m)
		if err != nil {
			return nil, err
		}
		if err := t.entry("."+e.Path, &e, p.Date); err != nil {
			return nil, err
		}
	}
	return t.close()
}

// memberEntry is the entry of a control member, whose digest is not known yet.
func memberEntry(m packaging.Member) (packaging.Entry, error) {
	r, err := m.Body.Open()
	if err != nil {
		return packaging.Entry{}, fmt.Errorf("control member %s: %w", m.Name, err)
	}
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return packaging.Entry{}, fmt.Errorf("control member %s: %w", m.Name, err)
	}
	if n != m.Size {
		return packaging.Entry{}, fmt.Errorf("control member %s has %d bytes, want %d", m.Name, n, m.Size)
	}
	return packaging.Entry{
		Path: "/" + m.Name, Mode: packaging.FileMode(m.Mode), Size: m.Size,
		SHA256: packaging.Digest(h.Sum(nil)), Body: m.Body,
	}, nil
}

// md5sums lists the regular files but the conffiles, as dh_md5sums does: an
// administrator changes those.
func md5sums(l packaging.Layout, sums map[packaging.Digest][16]byte) string {
	var b strings.Builder
	for i := range l {
		if e := &l[i]; e.Regular() && e.Config == packaging.NotConfig {
			sum := sums[e.SHA256]
			b.WriteString(hex.EncodeToString(sum[:]) + "  " + strings.TrimPrefix(e.Path, "/") + "\n")
		}
	}
	return b.String()
}

func conffiles(l packaging.Layout) string {
	var b strings.Builder
	for i := range l {
		if l[i].Config == packaging.ConfigNoReplace {
			b.WriteString(l[i].Path + "\n")
		}
	}
	return b.String()
}

func triggers(ts []packaging.Trigger) string {
	var b strings.Builder
	for _, t := range ts {
		b.WriteString(t.Kind + " " + t.On[0] + "\n")
	}
	return b.String()
}

// writeArchive writes the .deb itself.
func writeArchive(ctx context.Context, w io.Writer, p *packaging.Package, control, data *payload.Encoded, dataName string) error {
	const version = "2.0\n"
	a := ar.NewWriter(&contextWriter{ctx, w})
	if err := a.Next(ar.Header{Name: "debian-binary", ModTime: p.Date, Size: int64(len(version))}); err != nil {
		return err
	}
	if _, err := io.WriteString(a, version); err != nil {
		return err
	}
	for _, m := range []struct {
		name string
		e    *payload.Encoded
	}{{"control.tar.gz", control}, {dataName, data}} {
		if err := a.Next(ar.Header{Name: m.name, ModTime: p.Date, Size: m.e.Size}); err != nil {
			return err
		}
		if _, err := m.e.WriteTo(a); err != nil {
			return err
		}
	}
	return a.Close()
}

// A contextWriter fails when its context is done: a package of gigabytes takes
// longer to copy than someone who pressed Ctrl-C wants to wait.
type contextWriter struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call of Write
	w   io.Writer
}

func (c *contextWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
