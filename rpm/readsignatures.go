package rpm

import (
	"encoding/base64"
	"io"

	"github.com/vpkg/vpkg/packaging"
)

// signatureTags are the tags of signatures in the signature header, with rpm's
// names for them (rpmtag.h).
var signatureTags = []struct {
	tag                tag
	name, kind, covers string
}{
	{sigDSA, "DSA", "OpenPGP", "header"}, // also ECDSA's and EdDSA's
	{sigRSA, "RSA", "OpenPGP", "header"},
	{274, "FILESIGNATURES", "IMA", "files"},          // of digests, in hex
	{276, "VERITYSIGNATURES", "fs-verity", "files"},  // in base64
	{sigOpenPGP, "OPENPGP", "OpenPGP", "header"},     // any number, in base64; rpm 6
	{sigPGP, "PGP", "OpenPGP", "header and payload"}, // RSA's
	{sigGPG, "GPG", "OpenPGP", "header and payload"}, // all others'
	{sigPGP5, "PGP5", "OpenPGP", "header and payload"},
}

// ListSignatures lists the signatures of a package by the names of their tags.
func (Format) ListSignatures(r io.ReaderAt, size int64) ([]packaging.Signature, error) {
	f, err := open(r, size)
	if err != nil {
		return nil, err
	}
	var list []packaging.Signature
	h := fields{h: f.signature}
	for _, k := range signatureTags {
		e, ok := h.lookup(k.tag)
		if !ok {
			continue
		}
		s := packaging.Signature{Name: k.name, Kind: k.kind, Covers: k.covers, Size: e.size()}
		if !e.typ.isString() {
			list = append(list, s)
			continue
		}
		s.Size = 0
		for _, text := range h.strings(k.tag) {
			switch {
			case k.covers != "files":
				one := s
				one.Size = int64(base64.StdEncoding.DecodedLen(len(text)))
				if b, err := base64.StdEncoding.DecodeString(text); err == nil {
					one.Size = int64(len(b))
				}
				list = append(list, one)
			case text != "":
				s.Files++
				s.Size += int64(len(text))
			}
		}
		if s.Files > 0 {
			list = append(list, s)
		}
	}
	return list, h.err
}
