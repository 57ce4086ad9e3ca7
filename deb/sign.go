package deb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vpkg/vpkg/deb/internal/ar"
	"github.com/vpkg/vpkg/internal/sign"
)

// SignOptions say how Sign and SignDetached sign.
type SignOptions struct {
	Key *sign.OpenPGP
	// Date is that of the signature; zero means the package's own, so that signing it
	// again gives the same bytes.
	Date time.Time
	// Replace has Sign take out the signature that is there; without it a package
	// with one is refused.
	Replace bool
}

// Members with signatures are named after who signs: debsigs(1) and debsig-verify(1)
// know origin, maint and archive. Sign signs as the origin, the maker of the package.
const (
	signaturePrefix = "_gpg"
	originMember    = signaturePrefix + "origin"

	maxSignature = 1 << 20 // bytes of such a member
)

// Sign writes a package of size bytes to w with a signature as a further member,
// _gpgorigin. It is one of the content of debian-binary, the control archive and the
// data archive, which stay as they are; signatures of others stay too. The error is
// [sign.ErrSigned] for a package that has that member.
func Sign(ctx context.Context, r io.ReaderAt, size int64, w io.Writer, o SignOptions) error {
	a, err := openArchive(r, size)
	if err != nil {
		return err
	}
	// parts are what is copied: all but the older signature.
	var parts []io.Reader
	at := int64(0)
	for _, m := range a.members {
		if m.Name != originMember {
			continue
		}
		if !o.Replace {
			return sign.ErrSigned
		}
		parts = append(parts, io.NewSectionReader(r, at, m.Start()-at))
		at = m.End()
	}
	parts = append(parts, io.NewSectionReader(r, at, size-at))

	if o.Date.IsZero() {
		o.Date = a.members[0].ModTime
	}
	signature, err := signData(ctx, a.signed(), o)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, contextReader{ctx, io.MultiReader(parts...)}); err != nil {
		return err
	}
	aw := ar.NewAppender(w)
	if err := aw.Next(ar.Header{Name: originMember, ModTime: o.Date, Size: int64(len(signature))}); err != nil {
		return err
	}
	if _, err := aw.Write(signature); err != nil {
		return err
	}
	return aw.Close()
}

// SignDetached gives a signature of a whole package, as text, for a file beside it:
// NAME.deb.asc. Whether the package has signatures makes no difference.
func SignDetached(ctx context.Context, r io.ReaderAt, size int64, o SignOptions) ([]byte, error) {
	a, err := openArchive(r, size)
	if err != nil {
		return nil, err
	}
	if o.Date.IsZero() {
		o.Date = a.members[0].ModTime
	}
	signature, err := signData(ctx, io.NewSectionReader(r, 0, size), o)
	if err != nil {
		return nil, err
	}
	return sign.Armor(signature)
}

func signData(ctx context.Context, data io.Reader, o SignOptions) ([]byte, error) {
	h := sha256.New()
	if _, err := io.Copy(h, contextReader{ctx, data}); err != nil {
		return nil, err
	}
	return o.Key.Sign(ctx, h, o.Date)
}

// An archive is a package whose members were listed.
type archive struct {
	members []ar.Member
	covered []ar.Member // the three that dpkg reads, and signatures are of
}

func openArchive(r io.ReaderAt, size int64) (*archive, error) {
	members, err := ar.Read(r, size, maxArchive)
	if fe, ok := errors.AsType[*ar.FormatError](err); ok {
		return nil, &FormatError{fe.Offset, fe.Err}
	} else if err != nil {
		return nil, err
	}
	control, data, err := find(members)
	if err != nil {
		return nil, err
	}
	return &archive{members, []ar.Member{members[0], control.Member, data.Member}}, nil
}

// signed gives what a signature inside of a package covers.
func (a *archive) signed() io.Reader {
	var parts []io.Reader
	for _, m := range a.covered {
		parts = append(parts, io.NewSectionReader(m.Content, 0, m.Size))
	}
	return io.MultiReader(parts...)
}

// A Signature is one that a package has.
type Signature struct {
	sign.OpenPGPSignature
	Role string // "origin", "maint" or "archive": of whom it is
}

// Signatures checks the signatures in a package of size bytes against keys. It gives
// none for an unsigned package. Those of dpkg-sig, which are texts with the digests
// of the members, are not supported.
func Signatures(ctx context.Context, r io.ReaderAt, size int64, keys *sign.Keys) ([]Signature, error) {
	a, err := openArchive(r, size)
	if err != nil {
		return nil, err
	}
	var all []Signature
	for _, m := range a.members {
		role, ok := strings.CutPrefix(m.Name, signaturePrefix)
		if !ok {
			continue
		}
		if m.Size > maxSignature {
			return nil, &FormatError{m.Offset, fmt.Errorf("%s has %d bytes, want at most %d", m.Name, m.Size, maxSignature)}
		}
		b, err := io.ReadAll(m.Content)
		if err != nil {
			return nil, &FormatError{m.Offset, err}
		}
		if bytes.HasPrefix(b, []byte("-----BEGIN PGP SIGNED MESSAGE-----")) {
			all = append(all, Signature{sign.OpenPGPSignature{Status: sign.Unsupported, Reason: "it is one of dpkg-sig"}, role})
			continue
		}
		found, err := keys.Check(ctx, b, a.signed)
		if err != nil {
			return nil, fmt.Errorf("checking signature %s: %w", m.Name, err)
		}
		for _, s := range found {
			all = append(all, Signature{s, role})
		}
	}
	return all, nil
}

// A contextReader fails when its context is done.
type contextReader struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call
	r   io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
