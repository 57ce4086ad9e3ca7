package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}

	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidSHA1            = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidRSA             = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}

	// Those of Authenticode.
	oidIndirectData  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
	oidStatementType = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 11}
	oidOpusInfo      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 12}
	oidPEImageData   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
	oidIndividual    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 21}
	oidSIPInfo       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 30}
	oidTimestamp     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 3, 3, 1}
)

// A subject is a kind of file that is signed: what a signature says that the
// digest in it is of.
type subject struct {
	name  string
	oid   asn1.ObjectIdentifier
	value func(*cryptobyte.Builder)
}

// peData is SpcPeImageData: no flags, and a file name that has had no meaning since
// the first version.
var peData = subject{"a program", oidPEImageData, func(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddUint8(0) })
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(explicit(2), func(b *cryptobyte.Builder) {
				b.AddASN1(implicit0, func(b *cryptobyte.Builder) { b.AddBytes(bmp("<<<Obsolete>>>")) })
			})
		})
	})
}}

// msiData is SpcSipInfo with the class of the code that knows MSI files,
// {000C10F1-0000-0000-C000-000000000046}.
var msiData = subject{"a package of Windows Installer", oidSIPInfo, func(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1OctetString([]byte{0xf1, 0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46})
		for range 5 {
			b.AddASN1Int64(0)
		}
	})
}}

// implicit0 is the tag [0] of a string, whose own it takes the place of.
const implicit0 = cbasn1.Tag(0x80)

// explicit gives the tag [n] of what has other values in it.
func explicit(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

// bmp gives s as a BMPString has it: UTF-16, the highest byte first.
func bmp(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return b
}

func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, null bool) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if null {
			b.AddASN1NULL()
		}
	})
}

// attribute gives one attribute of a signature in DER.
func attribute(oid asn1.ObjectIdentifier, value func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.SET, value)
	})
	return b.BytesOrPanic()
}

// sign makes a signature, in DER, that a subject has the SHA-256 digest.
func (a *Authenticode) sign(ctx context.Context, s subject, digest []byte) ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	// SpcIndirectDataContent. The digest of it does not cover its tag and length.
	var content cryptobyte.Builder
	content.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(s.oid)
		s.value(b)
	})
	content.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidSHA256, true)
		b.AddASN1OctetString(digest)
	})
	indirect, err := content.Bytes()
	if err != nil {
		return nil, err
	}
	attributes, err := a.attributes(indirect)
	if err != nil {
		return nil, err
	}
	var set cryptobyte.Builder
	set.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
	signed := sha256.Sum256(set.BytesOrPanic())
	signature, err := a.signDigest(ctx, signed[:])
	if err != nil {
		return nil, err
	}
	var token []byte
	if a.Timestamp != "" {
		if token, err = a.timestamp(ctx, signature); err != nil {
			return nil, err
		}
	}

	cert := a.Chain[0]
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // ContentInfo
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // SignedData
				b.AddASN1Int64(1)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, oidSHA256, true) })
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidIndirectData)
					b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(indirect) })
					})
				})
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
					for _, c := range a.Chain {
						b.AddBytes(c.Raw)
					}
				})
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // SignerInfo
						b.AddASN1Int64(1)
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(cert.RawIssuer)
							b.AddASN1BigInt(cert.SerialNumber)
						})
						addAlgorithm(b, oidSHA256, true)
						b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
						if _, ok := cert.PublicKey.(*rsa.PublicKey); ok {
							addAlgorithm(b, oidRSA, true)
						} else {
							addAlgorithm(b, oidECDSAWithSHA256, false)
						}
						b.AddASN1OctetString(signature)
						if token != nil {
							b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
								b.AddBytes(attribute(oidTimestamp, func(b *cryptobyte.Builder) { b.AddBytes(token) }))
							})
						}
					})
				})
			})
		})
	})
	return b.Bytes()
}

// attributes gives the signed attributes, in the order of their bytes as DER wants
// it of a set. The time of signing is none of them: nobody vouches for it, and it
// would make each signature another.
func (a *Authenticode) attributes(indirect []byte) ([]byte, error) {
	digest := sha256.Sum256(indirect)
	for _, c := range []byte(a.URL) {
		if c < ' ' || c > '~' {
			return nil, fmt.Errorf("URL %q has other characters than those of ASCII", a.URL)
		}
	}
	all := [][]byte{
		attribute(oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidIndirectData) }),
		attribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest[:]) }),
		attribute(oidStatementType, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidIndividual) })
		}),
		attribute(oidOpusInfo, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // SpcSpOpusInfo
				if a.Description != "" {
					b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
						b.AddASN1(implicit0, func(b *cryptobyte.Builder) { b.AddBytes(bmp(a.Description)) })
					})
				}
				if a.URL != "" {
					b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
						b.AddASN1(implicit0, func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.URL)) })
					})
				}
			})
		}),
	}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(all, nil), nil
}

// signDigest asks the signer, and does not believe it.
func (a *Authenticode) signDigest(ctx context.Context, digest []byte) ([]byte, error) {
	var signature []byte
	var err error
	switch key := a.Signer.(type) {
	case *Command:
		signature, err = key.sign(ctx, digest, crypto.SHA256)
	case *ecdsa.PrivateKey:
		signature, err = key.Sign(nil, digest, crypto.SHA256) // without random numbers: RFC 6979
	default:
		signature, err = key.Sign(rand.Reader, digest, crypto.SHA256)
	}
	if err != nil {
		return nil, err
	}
	if err := checkSignature(a.Chain[0].PublicKey, crypto.SHA256, digest, signature); err != nil {
		return nil, fmt.Errorf("the signer's signature does not fit certificate %q: %w", a.Chain[0].Subject, err)
	}
	return signature, nil
}

// checkSignature verifies a signature of a digest.
func checkSignature(public crypto.PublicKey, h crypto.Hash, digest, signature []byte) error {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, h, digest, signature)
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(public, digest, signature) {
			return errors.New("ECDSA verification error")
		}
		return nil
	default:
		return fmt.Errorf("a key of type %T, want RSA or ECDSA", public)
	}
}
