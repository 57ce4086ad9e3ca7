package msi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"

	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/msi/internal/cfb"
)

// The streams of a signature.
const (
	signatureStream   = "\x05DigitalSignature"
	signatureExStream = "\x05MsiDigitalSignatureEx"
)

// A Signer makes an Authenticode signature: sign.Authenticode is one.
type Signer interface {
	// SignMSI gives the signature, a PKCS #7 message in DER, of a package whose
	// streams have this SHA-256 digest.
	SignMSI(ctx context.Context, digest [32]byte) ([]byte, error)
}

// SignOptions say how Sign signs.
type SignOptions struct {
	Signer Signer
	// Replace takes out the signature that is there; without it a package with one
	// is refused.
	Replace bool
}

// Sign writes a package of size bytes, of any maker, to w with a signature. All other
// streams have the content, and the order, that they had; they are read once for
// their digest and once more for w, so that memory does not grow with them. Nothing is
// written before the signature is made.
//
// A package of [Format.Write] is the same, byte for byte, whether it is signed then or
// now. The error is [sign.ErrSigned] for a package that has a signature. One with
// storages, such as embedded transforms, is refused.
func Sign(ctx context.Context, r io.ReaderAt, size int64, w io.Writer, o SignOptions) error {
	db, err := readDatabase(r, size)
	if err != nil {
		return err
	}
	file := db.File
	if err := noStorages(file); err != nil {
		return err
	}
	if !o.Replace && slices.ContainsFunc(file.Streams, func(s cfb.Stream) bool { return hasName(&s, signatureStream) }) {
		return sign.ErrSigned
	}
	streams := slices.SortedFunc(slices.Values(unsigned(file.Streams)), func(a, b cfb.Stream) int { return cmp.Compare(a.Entry, b.Entry) })
	if streams, err = sealed(ctx, file.Root, streams, o.Signer); err != nil {
		return err
	}
	return cfb.Write(contextWriter{ctx, w}, file.Root, streams)
}

// noStorages refuses a package in which not everything is a stream of the root: a
// signature is of those inside, too.
func noStorages(f *cfb.Reader) error {
	if len(f.Storages) == 0 {
		return nil
	}
	name := string(utf16.Decode(f.Storages[0]))
	return &FormatError{name, fmt.Errorf("signatures of packages with storages, such as embedded transforms, are not supported: %w", errors.ErrUnsupported)}
}

// sealed is streams with those of a signature behind them.
func sealed(ctx context.Context, root cfb.Root, streams []cfb.Stream, signer Signer) ([]cfb.Stream, error) {
	digest, ex, err := imprint(ctx, root, streams, true)
	if err != nil {
		return nil, err
	}
	signature, err := signer.SignMSI(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return append(streams, memoryStream(signatureExStream, ex[:]), memoryStream(signatureStream, signature)), nil
}

// imprint is the digest that a signature is of: that of all streams but the
// signature's own, and of the root's CLSID. With a stream MsiDigitalSignatureEx, whose
// content is ex, it is of their names, sizes and other metadata too.
func imprint(ctx context.Context, root cfb.Root, streams []cfb.Stream, withEx bool) (digest, ex [32]byte, err error) {
	streams = unsigned(streams)
	cfb.SortForImprint(streams)
	h := sha256.New()
	if withEx {
		ex = sha256.Sum256(cfb.AppendMetadata(nil, root, streams))
		h.Write(ex[:])
	}
	for _, s := range streams {
		if err := copyStream(ctx, h, s); err != nil {
			return digest, ex, err
		}
	}
	h.Write(root.CLSID[:])
	return [32]byte(h.Sum(nil)), ex, nil
}

// unsigned is a copy of streams without those of a signature.
func unsigned(streams []cfb.Stream) []cfb.Stream {
	return slices.DeleteFunc(slices.Clone(streams), func(s cfb.Stream) bool {
		return hasName(&s, signatureStream) || hasName(&s, signatureExStream)
	})
}

// hasName says whether a stream has a name that is not packed, such as a signature's.
func hasName(s *cfb.Stream, name string) bool {
	return slices.Equal(s.Name, utf16.Encode([]rune(name)))
}

func memoryStream(name string, b []byte) cfb.Stream {
	return cfb.Stream{
		Name: utf16.Encode([]rune(name)), Size: int64(len(b)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	}
}
