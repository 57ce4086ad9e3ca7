package sign

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ErrUnsigned means that a program has no signature.
var ErrUnsigned = errors.New("there is no signature")

// ErrChanged means that a file is not the one that was signed.
var ErrChanged = errors.New("it has been changed after it was signed")

// maxTable bounds what is read of a program's signatures, in bytes. Most are some
// ten thousand, with certificates and a time stamp.
const maxTable = 16 << 20

// A Signature is what a good one says.
type Signature struct {
	Signer       *x509.Certificate
	Certificates []*x509.Certificate // all that are with it, the signer's among them

	Description string // what it is of; may be empty
	URL         string // where there is more about it; may be empty

	// Timestamp is when it was made, as the holder of TimestampSigner says. Zero and
	// nil mean that nobody says it.
	Timestamp       time.Time
	TimestampSigner *x509.Certificate
}

// StatusOf is what an error of [VerifyPE] or [VerifyMSI] says of a signature. Without
// one it is good, if there were roots.
func StatusOf(err error) Status {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case err == nil:
		return Good
	case errors.Is(err, ErrUnsigned):
		return Unsigned
	case unknown:
		return UnknownKey
	case isExpired(err):
		return Expired
	}
	return Bad
}

func isExpired(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

// VerifyPE checks the signature of a program of size bytes: that nothing has been
// changed since it was made, and with roots that one of them vouches for its
// signer, at the time of the time stamp or, without one, now, and for the holder of
// the time stamp. Revocation is not checked. With nil roots anybody may have signed,
// at any time, and the signature says no more than that nothing has been changed.
//
// It returns [ErrUnsigned] for a program without a signature, [pe.ErrNotPE] for
// another file and other errors for signatures that are not good: [ErrChanged] if
// they are of another program.
func VerifyPE(program io.ReaderAt, size int64, roots *x509.CertPool) (*Signature, error) {
	s, err := verifyPE(program, size, roots)
	if err != nil {
		return nil, fmt.Errorf("checking a program's signature: %w", err)
	}
	return s, nil
}

func verifyPE(r io.ReaderAt, size int64, roots *x509.CertPool) (*Signature, error) {
	p, err := openProgram(r, size)
	if err != nil {
		return nil, err
	}
	if p.table == 0 {
		return nil, ErrUnsigned
	}
	if p.table > maxTable {
		return nil, fmt.Errorf("%d bytes of signatures are more than %d", p.table, maxTable)
	}
	table := make([]byte, p.table)
	if _, err := r.ReadAt(table, p.size); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	der, err := firstEntry(table)
	if err != nil {
		return nil, err
	}
	return verify(der, peData, roots, func(h crypto.Hash) ([]byte, error) {
		digest := h.New()
		err := p.digest(digest, nil)
		return digest.Sum(nil), err
	})
}

// firstEntry gives the signature in a certificate table that has no other. Nothing
// signs the table, so that there has to be nothing else in it.
func firstEntry(table []byte) ([]byte, error) {
	le := binary.LittleEndian
	if len(table) < entryHeader {
		return nil, errBroken
	}
	size, revision, kind := le.Uint32(table), le.Uint16(table[4:]), le.Uint16(table[6:])
	if revision != entryRevision || kind != entryType {
		return nil, fmt.Errorf("a signature of revision %#x and type %d is not supported", revision, kind)
	}
	if size < entryHeader || uint64(size) > uint64(len(table)) || len(table)-int(size) >= tableAlign {
		return nil, fmt.Errorf("a signature of %d bytes in a table of %d", size, len(table))
	}
	input := cryptobyte.String(table[entryHeader:])
	var der cryptobyte.String
	if !input.ReadASN1Element(&der, cbasn1.SEQUENCE) {
		return nil, errBroken
	}
	if len(bytes.Trim(input, "\x00")) > 0 {
		return nil, errors.New("there are bytes behind the signature that nobody signed")
	}
	return der, nil
}

// VerifyMSI checks the signature of a package of Windows Installer, the content of
// its stream "\x05DigitalSignature", as [VerifyPE] does. The imprint is that of the
// package as it is now; see [Authenticode.SignMSI].
func VerifyMSI(signature []byte, imprint [sha256.Size]byte, roots *x509.CertPool) (*Signature, error) {
	s, err := verifyMSI(signature, imprint, roots)
	if err != nil {
		return nil, fmt.Errorf("checking a package's signature: %w", err)
	}
	return s, nil
}

func verifyMSI(signature []byte, imprint [sha256.Size]byte, roots *x509.CertPool) (*Signature, error) {
	// Some signers fill up the stream with zeros.
	input := cryptobyte.String(signature)
	var der cryptobyte.String
	if !input.ReadASN1Element(&der, cbasn1.SEQUENCE) || len(bytes.Trim(input, "\x00")) > 0 {
		return nil, errBroken
	}
	return verify(der, msiData, roots, func(h crypto.Hash) ([]byte, error) {
		if h != crypto.SHA256 {
			return nil, fmt.Errorf("a signature by %v instead of SHA-256 is not supported", h)
		}
		return imprint[:], nil
	})
}

// verify checks a signature of a subject whose digest is asked for.
func verify(der []byte, s subject, roots *x509.CertPool, digest func(crypto.Hash) ([]byte, error)) (*Signature, error) {
	m, err := parseMessage(der)
	if err != nil {
		return nil, err
	}
	if !m.contentType.Equal(oidIndirectData) {
		return nil, fmt.Errorf("it is a message of type %v, not a signature of a file", m.contentType)
	}
	if err := m.verify(); err != nil {
		return nil, err
	}
	if !forUse(m.signer, x509.ExtKeyUsageCodeSigning) {
		return nil, fmt.Errorf("certificate %q is not one for code signing", m.signer.Subject)
	}
	h, want, err := parseIndirect(m.content, s)
	if err != nil {
		return nil, err
	}
	got, err := digest(h)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(got, want) {
		return nil, fmt.Errorf("signed by %q: %w", m.signer.Subject, ErrChanged)
	}

	sig := &Signature{Signer: m.signer, Certificates: m.certs}
	if err := sig.parseOpusInfo(m.attributes); err != nil {
		return nil, err
	}
	token, found, err := attributeValue(m.unsigned, oidTimestamp)
	if err != nil {
		return nil, err
	}
	at := time.Now()
	if found {
		t, err := parseToken(token, m.signature)
		if err != nil {
			return nil, fmt.Errorf("its time stamp: %w", err)
		}
		sig.Timestamp, sig.TimestampSigner, at = t.time, t.message.signer, t.time
		if roots != nil {
			if err := trust(t.message, roots, at, x509.ExtKeyUsageTimeStamping); err != nil {
				return nil, fmt.Errorf("its time stamp: %w", err)
			}
		}
	}
	if roots != nil {
		if err := trust(m, roots, at, x509.ExtKeyUsageCodeSigning); err != nil {
			return nil, err
		}
	}
	return sig, nil
}

// trust checks that one of the roots vouches for the signer.
func trust(m *message, roots *x509.CertPool, at time.Time, use x509.ExtKeyUsage) error {
	others := x509.NewCertPool()
	for _, c := range m.certs {
		others.AddCert(c)
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{use}}
	_, err := m.signer.Verify(o)
	if isExpired(err) { // which is looked at first, and says nothing of one whom nobody vouched for
		o.CurrentTime = m.signer.NotAfter
		if _, before := m.signer.Verify(o); before != nil {
			err = before
		}
	}
	if err != nil {
		return fmt.Errorf("signed by %q: %w", m.signer.Subject, err)
	}
	return nil
}

// parseIndirect reads SpcIndirectDataContent, without its tag and length: the
// digest of a file of the kind s.
func parseIndirect(content cryptobyte.String, s subject) (crypto.Hash, []byte, error) {
	var data, info cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !content.ReadASN1(&data, cbasn1.SEQUENCE) || !data.ReadASN1ObjectIdentifier(&oid) ||
		!content.ReadASN1(&info, cbasn1.SEQUENCE) || !content.Empty() {
		return 0, nil, errBroken
	}
	if !oid.Equal(s.oid) {
		return 0, nil, fmt.Errorf("it is the signature of another kind of file, not of %s", s.name)
	}
	h, err := readHash(&info)
	if err != nil {
		return 0, nil, err
	}
	var digest []byte
	if !info.ReadASN1Bytes(&digest, cbasn1.OCTET_STRING) || len(digest) != h.Size() {
		return 0, nil, errBroken
	}
	return h, digest, nil
}

// parseOpusInfo reads what a signature says of what it is of.
func (sig *Signature) parseOpusInfo(attributes cryptobyte.String) error {
	value, found, err := attributeValue(attributes, oidOpusInfo)
	if err != nil || !found {
		return err
	}
	var info, name, link, text cryptobyte.String
	var has bool
	if !value.ReadASN1(&info, cbasn1.SEQUENCE) ||
		!info.ReadOptionalASN1(&name, &has, explicit(0)) ||
		!info.ReadOptionalASN1(&link, &has, explicit(1)) {
		return errBroken
	}
	var tag cbasn1.Tag
	if !name.Empty() {
		if !name.ReadAnyASN1(&text, &tag) {
			return errBroken
		}
		if sig.Description = string(text); tag == implicit0 {
			sig.Description = fromBMP(text)
		}
	}
	if !link.Empty() {
		if !link.ReadAnyASN1(&text, &tag) {
			return errBroken
		}
		if tag == implicit0 { // the others are no URLs
			sig.URL = string(text)
		}
	}
	return nil
}

func fromBMP(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, binary.BigEndian.Uint16(b))
	}
	return string(utf16.Decode(units))
}
