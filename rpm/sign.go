package rpm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/md5" //nolint:gosec // the format's
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/vpkg/vpkg/internal/sign"
)

// SignOptions say how Sign signs.
type SignOptions struct {
	Key *sign.OpenPGP
	// Date is that of the signature; zero means the time at which the package was
	// built, so that signing it again gives the same bytes.
	Date time.Time
	// Replace takes out the signatures that are there; without it a package with
	// one is refused.
	Replace bool
	// Legacy adds the signature of header and payload in any case: for rpm before
	// 4.14, which does not know the payload's digest in the header.
	Legacy bool
}

// Sign writes a package of size bytes to w with a signature of its main header,
// which has the digests of the payload and of every file. Lead, main header and
// payload stay as they are. The signature takes the place of what was reserved for
// it, as in the packages of this module and of rpmbuild, and the file keeps its
// size; where that is too small the file grows.
//
// Packages that were built before rpm 4.14 have no digest of the payload in their
// header. They get the signature of header and payload too, as rpmsign does it, and
// so do all with o.Legacy.
//
// A damaged package is not signed: its payload is read once for its digest, and then
// again for w. The error is [sign.ErrSigned] for a package that has a signature.
func Sign(ctx context.Context, r io.ReaderAt, size int64, w io.Writer, o SignOptions) error {
	f, err := open(r, size)
	if err != nil {
		return err
	}
	kept, err := f.signature.whole()
	if err != nil {
		return err
	}
	kept = slices.DeleteFunc(kept, func(e entry) bool { return e.tag.isOpenPGP() })
	if len(kept) < len(f.signature.header) && !o.Replace {
		return sign.ErrSigned
	}
	main := fields{h: f.main}
	if o.Date.IsZero() {
		o.Date = unixTime(main.int(tagBuildTime))
	}
	// Header and payload together, where that is signed.
	var both hash.Hash
	also := io.Discard
	if v6 := main.int(tagRPMFormat) >= 6; !v6 && (o.Legacy || !main.has(tagPayloadDigest)) {
		both = sha256.New()
		also = both
	}
	if main.err != nil {
		return main.err
	}
	if err := f.sumPayload(ctx, also); err != nil {
		return err
	}
	signed, err := f.sign(ctx, both, o)
	if err != nil {
		return err
	}
	kept, reserved := cutReserved(kept)
	raw := append(kept, signed...).fit(reserved, int(f.signature.size))

	lead := make([]byte, leadSize)
	if err := readFull(r, lead, 0, size, "lead"); err != nil {
		return err
	}
	rest := io.NewSectionReader(r, f.main.offset, size-f.main.offset)
	_, err = io.Copy(w, io.MultiReader(
		bytes.NewReader(lead), bytes.NewReader(raw), bytes.NewReader(make([]byte, -len(raw)&7)),
		contextReader{ctx, rest},
	))
	return err
}

// sign gives the entries with signatures; both has had header and payload, or is nil
// where there is to be none of both.
func (f *file) sign(ctx context.Context, both hash.Hash, o SignOptions) (header, error) {
	main := fields{h: f.main}
	headerTag, bothTag := sigDSA, sigGPG
	if o.Key.IsRSA() {
		headerTag, bothTag = sigRSA, sigPGP
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f.main.raw()); err != nil {
		return nil, err
	}
	b, err := o.Key.Sign(ctx, sum, o.Date)
	if err != nil {
		return nil, err
	}
	var h header
	if main.int(tagRPMFormat) >= 6 { // where other tags are not allowed
		h.addStrings(sigOpenPGP, []string{base64.StdEncoding.EncodeToString(b)})
		return h, main.err
	}
	h.addBytes(headerTag, b)
	if both != nil {
		if b, err = o.Key.Sign(ctx, both, o.Date); err != nil {
			return nil, err
		}
		h.addBytes(bothTag, b)
	}
	return h, main.err
}

// sumPayload checks the digest of the compressed payload, or where there is none the
// MD5 sum of header and payload, and writes both to also.
func (f *file) sumPayload(ctx context.Context, also io.Writer) error {
	main, sig := fields{h: f.main}, fields{h: f.signature}
	var h hash.Hash
	t, want := tagPayloadDigest, main.string(tagPayloadDigest)
	a, ok := crypto.SHA256, true
	if main.has(tagPayloadDigestAlgo) {
		a, ok = digestAlgorithms[main.int(tagPayloadDigestAlgo)]
	}
	switch {
	case main.has(tagPayloadDigest) && ok:
		h = a.New()
	case main.has(tagPayloadDigest):
		return formatErrorf(f.main.offset, "tag %d: unknown digest algorithm %d", tagPayloadDigestAlgo, main.int(tagPayloadDigestAlgo))
	case sig.has(sigMD5):
		h = md5.New() //nolint:gosec // the format's
		if _, err := io.Copy(h, f.main.raw()); err != nil {
			return err
		}
		t, want = sigMD5, hex.EncodeToString(sig.bytes(sigMD5))
	default:
		return errors.New("it has no digest of its payload: whether it is damaged cannot be told")
	}
	if err := errors.Join(main.err, sig.err); err != nil {
		return err
	}
	if _, err := io.Copy(also, f.main.raw()); err != nil {
		return err
	}
	payload := io.NewSectionReader(f.r, f.main.end(), f.size-f.main.end())
	if _, err := io.Copy(io.MultiWriter(h, also), contextReader{ctx, payload}); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, want) {
		return formatErrorf(f.main.end(), "tag %d: payload has digest %s, want %s", t, got, want)
	}
	return nil
}

// cutReserved takes the reserved space out of a signature header and gives its tag;
// 0 if there was none.
func cutReserved(h header) (header, tag) {
	for i, e := range h {
		if e.tag == sigReservedSpace || e.tag == sigReserved {
			return slices.Delete(h, i, i+1), e.tag
		}
	}
	return h, 0
}

// fit encodes a signature header with so much reserved space, if there was some, that
// it has size bytes. One that is larger has none.
func (h header) fit(reserved tag, size int) []byte {
	if reserved != 0 {
		with := append(slices.Clone(h), entry{tag: reserved, typ: typeBin, count: 1, data: []byte{0}})
		if n := size - len(with.encode(tagRegionSignatures)) + 1; n >= 1 {
			with[len(h)] = entry{tag: reserved, typ: typeBin, count: uint32(n), data: make([]byte, n)}
			return with.encode(tagRegionSignatures)
		}
	}
	return h.encode(tagRegionSignatures)
}

// A Signature is one that a package has.
type Signature struct {
	sign.OpenPGPSignature
	// Payload says that it is of header and payload; otherwise it is of the main
	// header alone.
	Payload bool
}

// Signatures checks the signatures of a package of size bytes against keys. It gives
// none for an unsigned package. Digests are another matter, which [Format.Read]
// checks: a good signature of the header says nothing about the payload before its
// digest was compared with that in the header.
func Signatures(ctx context.Context, r io.ReaderAt, size int64, keys *sign.Keys) ([]Signature, error) {
	f, err := open(r, size)
	if err != nil {
		return nil, err
	}
	var all []Signature
	for _, e := range f.signature.header {
		if !e.tag.isOpenPGP() {
			continue
		}
		end := f.main.end()
		payload := slices.Contains([]tag{sigPGP, sigPGP5, sigGPG}, e.tag)
		if payload {
			end = size
		}
		data := func() io.Reader { return io.NewSectionReader(r, f.main.offset, end-f.main.offset) }
		packets, err := f.signaturePackets(e)
		if err != nil {
			return nil, err
		}
		for _, p := range packets {
			found, err := keys.Check(ctx, p, data)
			if err != nil {
				return nil, fmt.Errorf("checking a signature: %w", err)
			}
			for _, s := range found {
				all = append(all, Signature{s, payload})
			}
			if len(all) > maxSignatures {
				return nil, formatErrorf(f.signature.offset, "more than %d signatures", maxSignatures)
			}
		}
	}
	return all, nil
}

// maxSignatures bounds how many signatures are looked at, each of which costs time.
const maxSignatures = 32

// signaturePackets gives the signatures of an entry.
func (f *file) signaturePackets(e entry) ([][]byte, error) {
	h := fields{h: f.signature}
	if e.tag != sigOpenPGP {
		if e.typ != typeBin {
			return nil, formatErrorf(f.signature.offset, "tag %d: type %d is not binary data", e.tag, e.typ)
		}
		return [][]byte{h.load(e)}, h.err
	}
	texts := h.strings(e.tag)
	if len(texts) > maxSignatures {
		h.fail(e.tag, "%d signatures, want at most %d", len(texts), maxSignatures)
	}
	var packets [][]byte
	for _, s := range texts {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			h.fail(e.tag, "signature is not base64: %w", err)
			break
		}
		packets = append(packets, b)
	}
	return packets, h.err
}
