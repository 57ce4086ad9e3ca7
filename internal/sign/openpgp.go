package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"math/bits"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// ErrSigned means that a package has a signature already.
var ErrSigned = errors.New("it is signed already")

// ErrNoPassphrase means that a key is encrypted.
var ErrNoPassphrase = errors.New("it has a passphrase, and none was given")

// OpenPGP makes detached signatures with a key of RSA or Ed25519. The same data, date
// and key give the same bytes: the signatures have no salt.
type OpenPGP struct {
	User string // the key's user ID: "Name <address>"

	key   *packet.PublicKey // which signs: the primary key or a subkey
	since time.Time         // when the key was last certified by its holder
	raw   func(ctx context.Context, digest []byte) ([]byte, error)
}

// LoadOpenPGP reads the secret key in a file, armored or binary, as
//
//	gpg --export-secret-keys KEY
//
// writes it. It signs with the newest subkey for signing, or where there is none with
// the primary key, as gpg does. The passphrase is that of an encrypted key; without
// one the error is [ErrNoPassphrase].
func LoadOpenPGP(file string, passphrase []byte) (*OpenPGP, error) {
	o, err := loadOpenPGP(file, passphrase)
	if err != nil {
		return nil, fmt.Errorf("reading signing key %q: %w", file, err)
	}
	return o, nil
}

func loadOpenPGP(file string, passphrase []byte) (*OpenPGP, error) {
	k, err := readSigningKey(file, true)
	if err != nil {
		return nil, err
	}
	secret := k.PrivateKey
	switch {
	case secret == nil || secret.Dummy():
		return nil, fmt.Errorf("it has key %s, which signs, without its secret part", k.PublicKey.KeyIdString())
	case !secret.Encrypted:
	case len(passphrase) == 0:
		return nil, ErrNoPassphrase
	case secret.Decrypt(passphrase) != nil:
		return nil, errPassphrase
	}
	o, err := newOpenPGP(k)
	if err != nil {
		return nil, err
	}
	switch secret := secret.PrivateKey.(type) {
	case *rsa.PrivateKey:
		o.raw = func(_ context.Context, digest []byte) ([]byte, error) {
			return secret.Sign(nil, digest, crypto.SHA256)
		}
	case *eddsa.PrivateKey:
		o.raw = func(_ context.Context, digest []byte) ([]byte, error) {
			r, s, err := eddsa.Sign(secret, digest)
			return append(r, s...), err
		}
	default:
		return nil, fmt.Errorf("its secret key is of type %T, want RSA or Ed25519", secret)
	}
	return o, nil
}

// LoadOpenPGPCommand reads the public key in a file, armored or binary, for a secret
// key that another program keeps: one for a smart card, a hardware security module or
// a signing service. The program is started for each signature with the digest, the
// 32 bytes of a SHA-256, on its standard input; it writes the signature on its
// standard output: of RSA by PKCS #1 v1.5, as [Command] has it, of Ed25519 the 64
// bytes of the signature of these 32 bytes. It inherits the environment.
func LoadOpenPGPCommand(argv []string, file string) (*OpenPGP, error) {
	k, err := readSigningKey(file, false)
	if err != nil {
		return nil, fmt.Errorf("reading public key %q: %w", file, err)
	}
	o, err := newOpenPGP(k)
	if err != nil {
		return nil, fmt.Errorf("reading public key %q: %w", file, err)
	}
	o.raw = func(ctx context.Context, digest []byte) ([]byte, error) {
		return runCommand(ctx, argv, digest)
	}
	return o, nil
}

// readSigningKey gives the key in a file that signs today.
func readSigningKey(file string, secret bool) (openpgp.Key, error) {
	b, err := readFile(file)
	if err != nil {
		return openpgp.Key{}, err
	}
	all, err := readKeyRing(b)
	if err != nil {
		return openpgp.Key{}, err
	}
	var es openpgp.EntityList
	for _, e := range all {
		if !secret || e.PrivateKey != nil {
			es = append(es, e)
		}
	}
	switch {
	case len(es) == 0:
		return openpgp.Key{}, errors.New("it has public keys only, and no secret one")
	case len(es) > 1:
		return openpgp.Key{}, fmt.Errorf("it has %d keys, want one", len(es))
	}
	e, now := es[0], time.Now()
	k, ok := e.SigningKey(now)
	if ok {
		return k, nil
	}
	self, _ := e.PrimarySelfSignature()
	switch {
	case e.Revoked(now):
		return k, errors.New("it is revoked")
	case self != nil && e.PrimaryKey.KeyExpired(self, now):
		return k, fmt.Errorf("it has ended on %s", keyEnd(e.PrimaryKey, self).Format(time.DateOnly))
	}
	return k, errors.New("it has no key that may sign today")
}

// keyEnd is the last second of a key; zero means that it has none.
func keyEnd(k *packet.PublicKey, self *packet.Signature) time.Time {
	if self.KeyLifetimeSecs == nil || *self.KeyLifetimeSecs == 0 {
		return time.Time{}
	}
	return k.CreationTime.Add(time.Duration(*self.KeyLifetimeSecs) * time.Second).UTC()
}

// readKeyRing reads keys, binary or in any number of armored blocks.
func readKeyRing(b []byte) (openpgp.EntityList, error) {
	begin := []byte("-----BEGIN ")
	if !isPEM(b) {
		es, err := openpgp.ReadKeyRing(bytes.NewReader(b))
		switch {
		case err != nil:
			return nil, fmt.Errorf("it is no OpenPGP key: %w", err)
		case len(es) == 0:
			return nil, errors.New("it is empty")
		}
		return es, nil
	}
	var all openpgp.EntityList
	for at := bytes.Index(b, begin); at >= 0; {
		kind, _, _ := bytes.Cut(b[at+len(begin):], []byte("-----"))
		if k := string(kind); k != openpgp.PublicKeyType && k != openpgp.PrivateKeyType {
			return nil, fmt.Errorf("it has a %.40q, want an OpenPGP key", k)
		}
		block, err := armor.Decode(bytes.NewReader(b[at:]))
		if err != nil {
			return nil, fmt.Errorf("its armor is damaged: %w", err)
		}
		es, err := openpgp.ReadKeyRing(block.Body)
		if err != nil {
			return nil, fmt.Errorf("it is no OpenPGP key: %w", err)
		}
		all = append(all, es...)
		next := bytes.Index(b[at+len(begin):], begin)
		if next < 0 {
			break
		}
		at += len(begin) + next
	}
	return all, nil
}

// minBits is how long a key of RSA or DSA has to be: NIST SP 800-131A allows no less
// since 2014.
const minBits = 2048

// hasModulus says whether a key is as strong as its bits are many.
func hasModulus(k *packet.PublicKey) bool {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoDSA:
		return true
	}
	return false
}

// newOpenPGP checks that a key is of a kind that package managers know.
func newOpenPGP(k openpgp.Key) (*OpenPGP, error) {
	public := k.PublicKey
	if public.Version != 4 {
		return nil, fmt.Errorf("it is of version %d: rpm and dpkg's tools need version 4", public.Version)
	}
	switch public.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		if n, err := public.BitLength(); err != nil || n < minBits {
			return nil, fmt.Errorf("it has %d bits, want %d at least", n, minBits)
		}
	case packet.PubKeyAlgoEdDSA:
		if c, err := public.Curve(); err != nil || c != packet.Curve25519 {
			return nil, errors.New("it is of EdDSA with another curve than Ed25519")
		}
	default:
		return nil, fmt.Errorf("it is of %s: rpm needs RSA or Ed25519", algorithmName(public.PubKeyAlgo))
	}
	o := &OpenPGP{key: public, since: k.SelfSignature.CreationTime}
	if self, who := k.Entity.PrimarySelfSignature(); self != nil && self.CreationTime.After(o.since) {
		o.since, o.User = self.CreationTime, who.Name
	} else if who != nil {
		o.User = who.Name
	}
	return o, nil
}

// IsRSA says whether the key is one of RSA: RPM keeps other signatures elsewhere.
func (o *OpenPGP) IsRSA() bool { return o.key.PubKeyAlgo != packet.PubKeyAlgoEdDSA }

// KeyID gives the last eight bytes of the fingerprint of the key that signs, in
// capital hex digits.
func (o *OpenPGP) KeyID() string { return o.key.KeyIdString() }

// Sign gives a signature of the data that was written to h, a SHA-256, which is
// changed. The date is that of the signature, in whole seconds; where the key was
// made or last prolonged after it, verifiers would not accept the date, and that of
// the key stands in its place.
func (o *OpenPGP) Sign(ctx context.Context, h hash.Hash, date time.Time) ([]byte, error) {
	if h.Size() != sha256.Size {
		return nil, fmt.Errorf("signing: a digest of %d bytes, want SHA-256", h.Size())
	}
	if date.Before(o.since) {
		date = o.since
	}
	seconds := date.Unix()
	if seconds < 0 || seconds > math.MaxUint32 {
		return nil, fmt.Errorf("signing: date %v is not between 1970 and 2106", date)
	}
	hashed := o.hashedPart(uint32(seconds))
	h.Write(hashed)
	h.Write(binary.BigEndian.AppendUint32([]byte{4, 0xff}, uint32(len(hashed))))
	digest := h.Sum(nil)
	raw, err := o.raw(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("signing with key %s: %w", o.KeyID(), err)
	}
	numbers, err := o.numbers(digest, raw)
	if err != nil {
		return nil, fmt.Errorf("signing with key %s: %w", o.KeyID(), err)
	}
	return appendPacket(nil, hashed, o.key.KeyId, digest, numbers), nil
}

// The values of a signature packet that RFC 9580 numbers.
const (
	signatureTag     = 2  // section 5
	subpacketCreated = 2  // section 5.2.3.11
	subpacketIssuer  = 16 // section 5.2.3.12: the key ID
	subpacketPrint   = 33 // section 5.2.3.35: the issuer's fingerprint
	hashSHA256       = 8  // section 9.5
)

// hashedPart gives what a signature says of itself and covers, RFC 9580, section
// 5.2.3:
//
//	0 1  version, 4
//	1 1  type, 0: of a document as it is
//	2 1  algorithm of the key
//	3 1  algorithm of the hash
//	4 2  size of the subpackets, which follow; each: size, type, content
func (o *OpenPGP) hashedPart(created uint32) []byte {
	be := binary.BigEndian
	var sub []byte
	sub = append(sub, byte(2+len(o.key.Fingerprint)), subpacketPrint, 4)
	sub = append(sub, o.key.Fingerprint...)
	sub = append(sub, 5, subpacketCreated)
	sub = be.AppendUint32(sub, created)
	b := []byte{4, 0, byte(o.key.PubKeyAlgo), hashSHA256}
	b = be.AppendUint16(b, uint16(len(sub)))
	return append(b, sub...)
}

// numbers checks a signature and gives the integers that it consists of.
func (o *OpenPGP) numbers(digest, raw []byte) ([][]byte, error) {
	switch key := o.key.PublicKey.(type) {
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, raw) == nil {
			return [][]byte{raw}, nil
		}
	case *eddsa.PublicKey:
		const half = 32 // bytes
		if len(raw) == 2*half && eddsa.Verify(key, digest, raw[:half], raw[half:]) {
			return [][]byte{raw[:half], raw[half:]}, nil
		}
	}
	return nil, fmt.Errorf("what was made of it, %d bytes, is no signature by this key", len(raw))
}

// appendPacket appends a packet: the hashed part and behind it
//
//	2  size of the subpackets that are not covered, which follow: the key ID
//	2  the first bytes of the digest
//	   each integer: its bits (2), its bytes without zeros in front
//
// The header has the old form, as gpg writes it.
func appendPacket(b, hashed []byte, keyID uint64, digest []byte, numbers [][]byte) []byte {
	be := binary.BigEndian
	body := bytes.Clone(hashed)
	body = be.AppendUint16(body, 10)
	body = append(body, 9, subpacketIssuer)
	body = be.AppendUint64(body, keyID)
	body = append(body, digest[:2]...)
	for _, n := range numbers {
		n = bytes.TrimLeft(n, "\x00")
		if len(n) == 0 {
			body = append(body, 0, 0)
			continue
		}
		body = be.AppendUint16(body, uint16(8*len(n)-bits.LeadingZeros8(n[0])))
		body = append(body, n...)
	}
	b = append(b, 0x80|signatureTag<<2|1) // with two bytes of size
	b = be.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// algorithmName gives the name of an algorithm of keys.
func algorithmName(a packet.PublicKeyAlgorithm) string {
	switch a {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoRSAEncryptOnly:
		return "RSA"
	case packet.PubKeyAlgoDSA:
		return "DSA"
	case packet.PubKeyAlgoECDSA:
		return "ECDSA"
	case packet.PubKeyAlgoEdDSA:
		return "EdDSA"
	case packet.PubKeyAlgoEd25519:
		return "Ed25519 in its new form"
	case packet.PubKeyAlgoEd448:
		return "Ed448"
	}
	return fmt.Sprintf("algorithm %d", a)
}

// Armor gives a signature as text, as gpg --armor does.
func Armor(packet []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.SignatureType, nil)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(packet); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return append(b.Bytes(), '\n'), nil
}
