package sign

import (
	"bytes"
	"crypto"
	_ "crypto/sha512" // for signatures of others
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// errBroken means that a signature is no DER of the structure that it should be.
var errBroken = errors.New("the signature is broken")

// A message is a CMS message with one signer.
type message struct {
	contentType asn1.ObjectIdentifier
	content     []byte // what is signed: the content without its tag and length
	certs       []*x509.Certificate
	signer      *x509.Certificate // one of them

	attributes cryptobyte.String // of the signer, signed: a set without its tag and length
	unsigned   cryptobyte.String // the same, not signed
	hash       crypto.Hash       // of the attributes, and of the content in them
	signature  []byte
}

// parseMessage reads a message and checks nothing.
func parseMessage(der []byte) (*message, error) {
	input := cryptobyte.String(der)
	var info, outer, data, content, signers cryptobyte.String
	var oid asn1.ObjectIdentifier
	m := new(message)
	if !input.ReadASN1(&info, cbasn1.SEQUENCE) || !input.Empty() ||
		!info.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidSignedData) ||
		!info.ReadASN1(&outer, explicit(0)) || !info.Empty() ||
		!outer.ReadASN1(&data, cbasn1.SEQUENCE) || !outer.Empty() ||
		!data.SkipASN1(cbasn1.INTEGER) ||
		!data.SkipASN1(cbasn1.SET) ||
		!data.ReadASN1(&content, cbasn1.SEQUENCE) ||
		!content.ReadASN1ObjectIdentifier(&m.contentType) ||
		!content.ReadASN1(&content, explicit(0)) {
		return nil, errBroken
	}
	// A sequence in Authenticode, an octet string in a time stamp.
	var signed cryptobyte.String
	var tag cbasn1.Tag
	if !content.ReadAnyASN1(&signed, &tag) || !content.Empty() {
		return nil, errBroken
	}
	m.content = signed

	var certs cryptobyte.String
	var hasCerts bool
	if !data.ReadOptionalASN1(&certs, &hasCerts, explicit(0)) ||
		!data.SkipOptionalASN1(explicit(1)) ||
		!data.ReadASN1(&signers, cbasn1.SET) || !data.Empty() {
		return nil, errBroken
	}
	for !certs.Empty() {
		var raw cryptobyte.String
		if !certs.ReadAnyASN1Element(&raw, &tag) {
			return nil, errBroken
		}
		// A certificate of another form, or one that crypto/x509 refuses, is missed
		// only if it is needed.
		if c, err := x509.ParseCertificate(raw); err == nil {
			m.certs = append(m.certs, c)
		}
	}
	var signer cryptobyte.String
	if !signers.ReadASN1(&signer, cbasn1.SEQUENCE) {
		return nil, errBroken
	}
	if !signers.Empty() {
		return nil, errors.New("several signers are not supported")
	}
	return m, m.parseSigner(signer)
}

// parseSigner reads the SignerInfo.
func (m *message) parseSigner(s cryptobyte.String) error {
	var id cryptobyte.String
	var tag cbasn1.Tag
	var hasUnsigned bool
	if !s.SkipASN1(cbasn1.INTEGER) || !s.ReadAnyASN1(&id, &tag) {
		return errBroken
	}
	switch tag {
	case cbasn1.SEQUENCE:
		var issuer cryptobyte.String
		serial := new(big.Int)
		if !id.ReadASN1Element(&issuer, cbasn1.SEQUENCE) || !id.ReadASN1Integer(serial) {
			return errBroken
		}
		for _, c := range m.certs {
			if bytes.Equal(c.RawIssuer, issuer) && c.SerialNumber.Cmp(serial) == 0 {
				m.signer = c
			}
		}
	case implicit0:
		for _, c := range m.certs {
			if len(c.SubjectKeyId) > 0 && bytes.Equal(c.SubjectKeyId, id) {
				m.signer = c
			}
		}
	default:
		return errBroken
	}
	if m.signer == nil {
		return errors.New("the signature has no certificate of its signer")
	}
	var err error
	if m.hash, err = readHash(&s); err != nil {
		return err
	}
	if !s.ReadASN1(&m.attributes, explicit(0)) || // optional in CMS, not here
		!s.SkipASN1(cbasn1.SEQUENCE) || // the key's type says it
		!s.ReadASN1Bytes(&m.signature, cbasn1.OCTET_STRING) ||
		!s.ReadOptionalASN1(&m.unsigned, &hasUnsigned, explicit(1)) || !s.Empty() {
		return errBroken
	}
	return nil
}

// readHash reads the identifier of an algorithm for digests.
func readHash(s *cryptobyte.String) (crypto.Hash, error) {
	var algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !s.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) {
		return 0, errBroken
	}
	switch {
	case oid.Equal(oidSHA256):
		return crypto.SHA256, nil
	case oid.Equal(oidSHA384):
		return crypto.SHA384, nil
	case oid.Equal(oidSHA512):
		return crypto.SHA512, nil
	case oid.Equal(oidSHA1):
		return 0, errors.New("the signature is by SHA-1, which proves nothing any more")
	default:
		return 0, fmt.Errorf("the signature is by an algorithm for digests, %v, that is not supported", oid)
	}
}

// attributeValue gives the only value of the attribute oid in a set, false if there
// is none.
func attributeValue(set cryptobyte.String, oid asn1.ObjectIdentifier) (value cryptobyte.String, found bool, err error) {
	for !set.Empty() {
		var attr, values cryptobyte.String
		var id asn1.ObjectIdentifier
		if !set.ReadASN1(&attr, cbasn1.SEQUENCE) || !attr.ReadASN1ObjectIdentifier(&id) || !attr.ReadASN1(&values, cbasn1.SET) {
			return nil, false, errBroken
		}
		if !id.Equal(oid) {
			continue
		}
		var tag cbasn1.Tag
		if found || !values.ReadAnyASN1Element(&value, &tag) || !values.Empty() {
			return nil, false, errBroken
		}
		found = true
	}
	return value, found, nil
}

// verify checks that the signer signed the content.
func (m *message) verify() error {
	value, found, err := attributeValue(m.attributes, oidContentType)
	var oid asn1.ObjectIdentifier
	if err != nil || !found || !value.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(m.contentType) {
		return errBroken
	}
	value, found, err = attributeValue(m.attributes, oidMessageDigest)
	var digest cryptobyte.String
	if err != nil || !found || !value.ReadASN1(&digest, cbasn1.OCTET_STRING) {
		return errBroken
	}
	if !bytes.Equal(digest, sum(m.hash, m.content)) {
		return errors.New("what is signed has been changed")
	}
	var set cryptobyte.Builder
	set.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(m.attributes) })
	signed, err := set.Bytes()
	if err != nil {
		return err
	}
	if err := checkSignature(m.signer.PublicKey, m.hash, sum(m.hash, signed), m.signature); err != nil {
		return fmt.Errorf("the signature is not one of %q: %w", m.signer.Subject, err)
	}
	return nil
}

func sum(h crypto.Hash, b []byte) []byte {
	s := h.New()
	s.Write(b)
	return s.Sum(nil)
}
