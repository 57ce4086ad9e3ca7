package sign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// A Status is what was found about a signature, or about a package.
type Status string

// The statuses. Only a good signature says anything about the package.
const (
	Unsigned    Status = "unsigned"    // there is no signature
	Good        Status = "good"        // made by a known key, and nothing was changed since
	Bad         Status = "bad"         // of something else, or made by a key that must not
	Expired     Status = "expired"     // right, but its time or that of its key is over
	Weak        Status = "weak"        // right, but with a digest or a key that can be forged
	UnknownKey  Status = "unknown key" // there is no such key to check it with, or nobody vouches for it
	Unsupported Status = "unsupported" // of a kind that cannot be checked
)

// An OpenPGPSignature is a signature, and what was found about it. What it says of
// itself is in doubt if it is not good.
type OpenPGPSignature struct {
	Status    Status
	Reason    string    // why it is not good; empty if it is, or if its key is unknown
	Signer    string    // the user ID of its key; empty if the key is unknown
	KeyID     string    // 16 capital hex digits; empty if it does not say
	Algorithm string    // "RSA/SHA256"; empty if it cannot be read
	Created   time.Time // as the signer says; zero if it cannot be read
}

// Keys are public keys that signatures are checked against. The zero value has none.
type Keys struct{ list openpgp.EntityList }

// LoadKeys reads public keys from files, armored or binary.
func LoadKeys(files ...string) (*Keys, error) {
	k := new(Keys)
	for _, file := range files {
		b, err := readFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading keys: %w", err)
		}
		es, err := readKeyRing(b)
		if err != nil {
			return nil, fmt.Errorf("reading keys %q: %w", file, err)
		}
		k.list = append(k.list, es...)
	}
	return k, nil
}

// Verdict sums up what was found about the signatures of one package: it is bad if
// one of them is, otherwise good if one of them is, and otherwise what comes next to
// it. Without signatures it is unsigned.
func Verdict(signatures []OpenPGPSignature) Status {
	has := map[Status]bool{}
	for _, s := range signatures {
		has[s.Status] = true
	}
	for _, s := range []Status{Bad, Good, Expired, Weak, UnknownKey, Unsupported} {
		if has[s] {
			return s
		}
	}
	return Unsigned
}

// MaxOpenPGP is the most bytes that Check reads as signatures.
const MaxOpenPGP = 1 << 20

const maxPackets = 16 // signatures in one place

// Check reads signatures, armored or binary, of the data that a reader of each call of
// data gives, and says of each whether it is good. An error is one of reading the
// data.
func (k *Keys) Check(ctx context.Context, signatures []byte, data func() io.Reader) ([]OpenPGPSignature, error) {
	unreadable := func(err error) []OpenPGPSignature {
		return []OpenPGPSignature{{Status: Bad, Reason: err.Error()}}
	}
	if len(signatures) > MaxOpenPGP {
		return unreadable(fmt.Errorf("%d bytes are more than %d", len(signatures), MaxOpenPGP)), nil
	}
	packets, err := splitPackets(signatures)
	if err != nil {
		return unreadable(err), nil
	}
	var all []OpenPGPSignature
	for _, p := range packets {
		s, err := k.check(ctx, p, data)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// splitPackets gives the signature packets in b, one at least.
func splitPackets(b []byte) ([]*packet.OpaquePacket, error) {
	if isPEM(b) {
		block, err := armor.Decode(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("its armor is damaged: %w", err)
		}
		if block.Type != openpgp.SignatureType {
			return nil, fmt.Errorf("it is a %q, want a signature", block.Type)
		}
		if b, err = io.ReadAll(block.Body); err != nil {
			return nil, fmt.Errorf("its armor is damaged: %w", err)
		}
	}
	var packets []*packet.OpaquePacket
	r := packet.NewOpaqueReader(bytes.NewReader(b))
	for {
		p, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) && len(packets) > 0:
			return packets, nil
		case err != nil:
			return nil, fmt.Errorf("it is no OpenPGP packet: %w", err)
		case p.Tag != signatureTag:
			return nil, fmt.Errorf("it has a packet of kind %d, want a signature", p.Tag)
		case len(packets) == maxPackets:
			return nil, fmt.Errorf("it has more than %d signatures", maxPackets)
		}
		packets = append(packets, p)
	}
}

// check finds out about one signature.
func (k *Keys) check(ctx context.Context, p *packet.OpaquePacket, data func() io.Reader) (OpenPGPSignature, error) {
	sig, err := parseSignature(p)
	if err != nil {
		return OpenPGPSignature{Status: Unsupported, Reason: err.Error()}, nil
	}
	s := OpenPGPSignature{
		Status:    Unsupported,
		Created:   sig.CreationTime.UTC(),
		Algorithm: algorithmName(sig.PubKeyAlgo) + "/" + hashName(sig.Hash),
	}
	if sig.SigType != packet.SigTypeBinary {
		s.Reason = fmt.Sprintf("it is of type %#x, not of a document", int(sig.SigType))
		return s, nil
	}
	if slices.ContainsFunc(sig.Notations, func(n *packet.Notation) bool { return n.IsCritical }) {
		s.Reason = "it has a note that must be understood, and is not"
		return s, nil
	}
	if sig.IssuerKeyId == nil {
		s.Reason = "it does not say by which key it was made"
		return s, nil
	}
	s.KeyID = fmt.Sprintf("%016X", *sig.IssuerKeyId)
	if k == nil {
		k = &Keys{}
	}
	keys := k.list.KeysById(*sig.IssuerKeyId)
	if len(keys) == 0 {
		s.Status = UnknownKey
		return s, nil
	}
	if !sig.Hash.Available() {
		s.Reason = fmt.Sprintf("%v is not supported", sig.Hash)
		return s, nil
	}
	s.Status, s.Reason = Bad, "it is of something else: the package was changed after it was signed"
	for _, key := range keys { // mostly one: there can be several with the same ID
		h, err := sig.PrepareVerify()
		if err != nil {
			s.Reason = err.Error()
			return s, nil
		}
		if _, err := io.Copy(h, contextReader{ctx, data()}); err != nil {
			return s, err
		}
		if key.PublicKey.VerifySignature(h, sig) == nil {
			s.Status, s.Reason = judge(key, sig)
			if _, who := key.Entity.PrimarySelfSignature(); who != nil {
				s.Signer = who.Name
			}
			return s, nil
		}
	}
	return s, nil
}

// judge says whether a key was allowed to make a signature that is right.
func judge(k openpgp.Key, sig *packet.Signature) (Status, string) {
	now := time.Now()
	type certified struct {
		key  *packet.PublicKey
		self *packet.Signature
	}
	primary, _ := k.Entity.PrimarySelfSignature()
	chain := []certified{{k.PublicKey, k.SelfSignature}, {k.Entity.PrimaryKey, primary}}
	for _, c := range chain {
		if c.self == nil {
			return Bad, "its key is not certified by its holder"
		}
		if sig.CreationTime.Before(c.key.CreationTime) {
			return Bad, "it was made before its key"
		}
		if end := keyEnd(c.key, c.self); !end.IsZero() && sig.CreationTime.After(end) {
			return Bad, "it was made when its key had ended, on " + end.Format(time.DateOnly)
		}
	}
	switch {
	case sig.CreationTime.After(now):
		return Bad, "it is dated in the future"
	case k.Entity.Revoked(now) || k.Revoked(now):
		return Bad, "its key is revoked"
	case k.SelfSignature.FlagsValid && !k.SelfSignature.FlagSign:
		return Bad, "its key is not one for signing"
	}
	for _, c := range chain {
		if end := keyEnd(c.key, c.self); !end.IsZero() && now.After(end) {
			return Expired, "its key has ended on " + end.Format(time.DateOnly)
		}
	}
	bits, err := k.PublicKey.BitLength()
	switch {
	case sig.SigExpired(now):
		return Expired, "its time is over"
	case sig.Hash == crypto.SHA1:
		return Weak, "SHA-1 can be forged"
	case err == nil && hasModulus(k.PublicKey) && bits < minBits:
		return Weak, fmt.Sprintf("its key has %d bits", bits)
	}
	return Good, ""
}

// parseSignature reads the content of a signature packet, of version 3, 4 or 6.
func parseSignature(p *packet.OpaquePacket) (*packet.Signature, error) {
	if len(p.Contents) > 0 && p.Contents[0] == 3 {
		return parseVersion3(p.Contents)
	}
	parsed, err := p.Parse()
	if err != nil {
		return nil, err
	}
	sig, ok := parsed.(*packet.Signature)
	if !ok {
		return nil, errors.New("it is no signature")
	}
	return sig, nil
}

// parseVersion3 reads a signature as PGP had it, RFC 9580, section 5.2.2: Red Hat
// signs with them to this day.
//
//	 0 1  version, 3
//	 1 1  size of what is covered with the document: 5
//	 2 1  type
//	 3 4  creation time
//	 7 8  key ID
//	15 1  algorithm of the key
//	16 1  algorithm of the hash
//	17 2  the first bytes of the digest
//	19    integers
func parseVersion3(b []byte) (*packet.Signature, error) {
	if len(b) < 19 || b[1] != 5 {
		return nil, errors.New("it is cut off")
	}
	be := binary.BigEndian
	id := be.Uint64(b[7:])
	sig := &packet.Signature{
		Version: 3, SigType: packet.SignatureType(b[2]), PubKeyAlgo: packet.PublicKeyAlgorithm(b[15]),
		HashSuffix: b[2:7], HashTag: [2]byte(b[17:19]), IssuerKeyId: &id,
		CreationTime: time.Unix(int64(be.Uint32(b[3:])), 0),
	}
	var ok bool
	if sig.Hash, ok = hashes[b[16]]; !ok {
		return nil, fmt.Errorf("hash algorithm %d is not supported", b[16])
	}
	var ns []*integer
	for rest := b[19:]; len(rest) > 0; {
		if len(rest) < 2 {
			return nil, errors.New("it is cut off")
		}
		bits := be.Uint16(rest)
		size := 2 + (int(bits)+7)/8
		if size > len(rest) {
			return nil, errors.New("it is cut off")
		}
		ns = append(ns, &integer{bits, rest[:size]})
		rest = rest[size:]
	}
	switch {
	case len(ns) == 1 && (sig.PubKeyAlgo == packet.PubKeyAlgoRSA || sig.PubKeyAlgo == packet.PubKeyAlgoRSASignOnly):
		sig.RSASignature = ns[0]
	case len(ns) == 2 && sig.PubKeyAlgo == packet.PubKeyAlgoDSA:
		sig.DSASigR, sig.DSASigS = ns[0], ns[1]
	default:
		return nil, fmt.Errorf("algorithm %d with %d integers is not supported", sig.PubKeyAlgo, len(ns))
	}
	return sig, nil
}

// hashes are those of signatures of version 3, by their number in OpenPGP.
var hashes = map[byte]crypto.Hash{
	2: crypto.SHA1, 8: crypto.SHA256, 9: crypto.SHA384, 10: crypto.SHA512, 11: crypto.SHA224,
}

// hashName gives the name of a hash as rpm writes it: SHA256.
func hashName(h crypto.Hash) string {
	return strings.Replace(h.String(), "-", "", 1)
}

// An integer is one of a signature, in the form that package packet wants.
type integer struct {
	bits    uint16
	encoded []byte // bits in two bytes, and the number
}

func (n *integer) Bytes() []byte         { return n.encoded[2:] }
func (n *integer) BitLength() uint16     { return n.bits }
func (n *integer) EncodedBytes() []byte  { return n.encoded }
func (n *integer) EncodedLength() uint16 { return uint16(len(n.encoded)) }

// ReadFrom is for other uses than ours.
func (n *integer) ReadFrom(io.Reader) (int64, error) { return 0, errors.ErrUnsupported }

// A contextReader fails when its context is done.
type contextReader struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call of Check
	r   io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
