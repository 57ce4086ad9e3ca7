// Package rpm writes and reads RPM packages, format version 4, as [rpm] has it:
// a lead, a signature header, a header, and a compressed cpio archive.
//
// What it writes is what rpmbuild 4.18 would for the same package, but for what
// rpmbuild takes from libmagic and from its own configuration: see the
// differential test. Packages are not signed here; the signature header has room
// for it. RPM version 6, source packages and delta packages are not supported.
//
// [rpm]: https://rpm-software-management.github.io/rpm/manual/format_v4.html
package rpm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

// Format is the packaging.Format of RPM packages.
type Format struct {
	// Store keeps compressed payloads. Nil means one that is thrown away after each
	// Write.
	Store *payload.Store
	// Jobs is how many frames are compressed at once; 0 means GOMAXPROCS.
	Jobs int
}

var _ packaging.Format = Format{}

// Name gives "rpm".
func (Format) Name() string { return "rpm" }

// FileName gives p.FileName, or else NAME-VERSION-RELEASE.ARCH.rpm.
func (Format) FileName(p *packaging.Package) string {
	if p.FileName != "" {
		return p.FileName
	}
	return fmt.Sprintf("%s-%s-%s.%s.rpm", p.Name, p.Version, p.Release, p.Arch)
}

// Write writes p. The payload's codec is p.Compression's; by default it is zstd
// if p.Features has it, or has no limits at all, and gzip otherwise.
func (f Format) Write(ctx context.Context, w io.Writer, p *packaging.Package) (_ packaging.Written, err error) {
	if err := ctx.Err(); err != nil {
		return packaging.Written{}, err
	}
	h, err := buildHeader(ctx, p)
	if err != nil {
		return packaging.Written{}, err
	}
	s := f.Store
	if s == nil {
		if s, err = payload.TempStore(); err != nil {
			return packaging.Written{}, err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
	}
	enc, err := f.writePayload(ctx, s, p)
	if err != nil {
		return packaging.Written{}, err
	}
	h.addStrings(tagPayloadDigest, []string{enc.SHA256.String()})
	h.addUint32s(tagPayloadDigestAlgo, digestSHA256)
	h.addStrings(tagPayloadDigestAlt, []string{enc.PlainSHA256.String()})
	if err := writeFile(w, p, h.encode(tagRegionImmutable), enc); err != nil {
		return packaging.Written{}, err
	}
	written := packaging.Written{Verified: enc.Verified()}
	if f.Store != nil {
		written.Confirm = enc.Confirm
	}
	return written, nil
}

// writeFile writes the package with the given main header.
func writeFile(w io.Writer, p *packaging.Package, h []byte, enc *payload.Encoded) error {
	sig, err := signatureHeader(p, h, enc)
	if err != nil {
		return err
	}
	b := appendLead(nil, p.Name+"-"+p.EVR(), architectures[p.Arch].lead)
	b = append(b, sig.encode(tagRegionSignatures)...)
	b = append(b, make([]byte, -len(b)&7)...) // the lead's size is a multiple of 8 too
	if _, err := w.Write(append(b, h...)); err != nil {
		return err
	}
	_, err = enc.WriteTo(w)
	return err
}

// compression gives the codec and level of p's payload.
func compression(p *packaging.Package) packaging.Compression {
	c := p.Compression
	if c.Codec == "" {
		c.Codec = "gzip"
		if p.Features == nil || p.Features[featPayloadIsZstd] {
			c.Codec = "zstd"
		}
	}
	return c
}

func hexSHA256(b []byte) string { return packaging.Digest(sha256.Sum256(b)).String() }
