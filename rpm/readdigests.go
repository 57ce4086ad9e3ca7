package rpm

import (
	"crypto"
	"crypto/sha1" //nolint:gosec // the format's
	"crypto/sha256"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// alignedFeature is what a package with room before the content of its files
// requires, rpm 6.2's.
const alignedFeature = "rpmlib(PayloadAlignment)"

// checkFormat refuses packages of formats to come.
func (f *file) checkFormat() error {
	h := fields{h: f.main}
	if n := h.int(tagRPMFormat); h.has(tagRPMFormat) && n != 6 && n != 4 {
		h.fail(tagRPMFormat, "packages of RPM's format %d are %w", n, packaging.ErrUnsupported)
	}
	return h.err
}

// checkSignatureHeader checks the size and the digests of the main header.
func (f *file) checkSignatureHeader() error {
	s := fields{h: f.signature}
	digests := []struct {
		tag  tag
		name string
		sum  hash.Hash
	}{
		{sigSHA3, "SHA3-256", sha3.New256()},
		{sigSHA256, "SHA-256", sha256.New()},
		{sigSHA1, "SHA-1", sha1.New()}, //nolint:gosec // the format's
	}
	var sums []io.Writer
	for _, d := range digests {
		if s.has(d.tag) {
			sums = append(sums, d.sum)
		}
	}
	if _, err := io.Copy(io.MultiWriter(sums...), f.main.raw()); err != nil {
		return &FormatError{f.main.offset, err}
	}
	for _, d := range digests {
		if got, want := hex.EncodeToString(d.sum.Sum(nil)), s.string(d.tag); s.has(d.tag) && want != got {
			return formatErrorf(f.main.offset, "header has %s %s, want %s", d.name, got, want)
		}
	}
	want, ok := s.int(sigSize), s.has(sigSize)
	if s.has(sigLongSize) {
		want, ok = s.int(sigLongSize), true
	}
	if got := f.size - f.main.offset; ok && want != uint64(got) {
		s.fail(sigSize, "header and payload have %d bytes, want %d", got, want)
	}
	return s.err
}

// payloadDigests are the digests of the payload that a main header can have: as it is
// in the file, and uncompressed.
var payloadDigests = []struct {
	raw, plain tag
	hash       crypto.Hash
}{
	{tagPayloadDigest, tagPayloadDigestAlt, crypto.SHA256},
	{tagPayloadSHA512, tagPayloadSHA512Alt, crypto.SHA512},
	{tagPayloadSHA3, tagPayloadSHA3Alt, crypto.SHA3_256},
}

// A payloadDigest is one that the header has, to be made while the payload is read.
type payloadDigest struct {
	tag  tag
	want string // hex
	hash.Hash
}

// findDigests finds out which digests of the payload the header has.
func (r *payloadReader) findDigests() error {
	h := fields{h: r.main}
	if a := h.int(tagPayloadDigestAlgo); a != 0 && a != digestSHA256 { // rpm knows no other
		h.fail(tagPayloadDigestAlgo, "unknown digest algorithm %d", a)
	}
	for _, d := range payloadDigests {
		for _, side := range []struct {
			tag tag
			to  *[]payloadDigest
		}{{d.raw, &r.raw}, {d.plain, &r.plain}} {
			if h.has(side.tag) {
				*side.to = append(*side.to, payloadDigest{side.tag, h.string(side.tag), d.hash.New()})
			}
		}
	}
	if slices.Contains(h.strings(tagRequireName), alignedFeature) {
		h.fail(tagRequireName, "payloads that need %s are %w", alignedFeature, packaging.ErrUnsupported)
	}
	return h.err
}

func writers(ds []payloadDigest) []io.Writer {
	var ws []io.Writer
	for _, d := range ds {
		ws = append(ws, d.Hash)
	}
	return ws
}

// checkDigests checks the digests and the size of the payload as a whole.
func (r *payloadReader) checkDigests() error {
	h, s := fields{h: r.main}, fields{h: r.signature}
	for _, d := range slices.Concat(r.raw, r.plain) {
		if got := hex.EncodeToString(d.Sum(nil)); got != strings.ToLower(d.want) {
			h.fail(d.tag, "payload has digest %s, want %s", got, d.want)
		}
	}
	if r.md5 != nil {
		if got, want := hex.EncodeToString(r.md5.Sum(nil)), hex.EncodeToString(s.bytes(sigMD5)); got != want {
			s.fail(sigMD5, "payload has digest %s, want %s", got, want)
		}
	}
	want, ok := s.int(sigPayloadSize), s.has(sigPayloadSize)
	if s.has(sigLongArchiveSize) {
		want, ok = s.int(sigLongArchiveSize), true
	}
	if ok && want != uint64(r.plainSize) && want != r.bodies() {
		s.fail(sigPayloadSize, "archive has %d bytes, want %d", r.plainSize, want)
	}
	if n := h.int(tagPayloadSize); h.has(tagPayloadSize) && n != uint64(r.size-r.offset) {
		h.fail(tagPayloadSize, "payload has %d bytes, want %d", r.size-r.offset, n)
	}
	if n := h.int(tagPayloadSizeAlt); h.has(tagPayloadSizeAlt) && n != uint64(r.plainSize) {
		h.fail(tagPayloadSizeAlt, "archive has %d bytes, want %d", r.plainSize, n)
	}
	return errors.Join(h.err, s.err)
}
