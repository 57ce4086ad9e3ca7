package sign

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // what PBKDF2 does where a key file names no other; HMAC is not broken
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxIterations bounds the work for a passphrase. OpenSSL does 2048 rounds by
// default, others up to a million.
const maxIterations = 10_000_000

var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
	oidAES128     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

var (
	errPassphrase = errors.New("its passphrase is another")
	errEncryption = errors.New("its encryption is not supported: " +
		"openssl pkcs8 -topk8 -v2 aes-256-cbc makes a file of it that is read")
)

// decryptKey gives the PKCS #8 key in an EncryptedPrivateKeyInfo (RFC 5958) that is
// encrypted by PBES2 with PBKDF2 and AES-CBC (RFC 8018), as OpenSSL does.
func decryptKey(der, passphrase []byte) ([]byte, error) {
	input := cryptobyte.String(der)
	var info, algorithm, params, kdf, kdfParams, scheme cryptobyte.String
	var oid asn1.ObjectIdentifier
	var encrypted, salt, iv []byte
	var rounds int
	if !input.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) || !info.ReadASN1Bytes(&encrypted, cbasn1.OCTET_STRING) {
		return nil, errors.New("its encrypted key is broken")
	}
	if !oid.Equal(oidPBES2) || !algorithm.ReadASN1(&params, cbasn1.SEQUENCE) ||
		!params.ReadASN1(&kdf, cbasn1.SEQUENCE) || !params.ReadASN1(&scheme, cbasn1.SEQUENCE) ||
		!kdf.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidPBKDF2) || !kdf.ReadASN1(&kdfParams, cbasn1.SEQUENCE) ||
		!kdfParams.ReadASN1Bytes(&salt, cbasn1.OCTET_STRING) || !kdfParams.ReadASN1Integer(&rounds) ||
		!kdfParams.SkipOptionalASN1(cbasn1.INTEGER) || // the length of the key, which the cipher says
		rounds < 1 || rounds > maxIterations {
		return nil, errEncryption
	}
	var h func() hash.Hash
	prf := oidHMACSHA1
	if !kdfParams.Empty() {
		var a cryptobyte.String
		if !kdfParams.ReadASN1(&a, cbasn1.SEQUENCE) || !a.ReadASN1ObjectIdentifier(&prf) {
			return nil, errEncryption
		}
	}
	switch {
	case prf.Equal(oidHMACSHA1):
		h = sha1.New
	case prf.Equal(oidHMACSHA256):
		h = sha256.New
	case prf.Equal(oidHMACSHA512):
		h = sha512.New
	default:
		return nil, errEncryption
	}
	size := 0
	if scheme.ReadASN1ObjectIdentifier(&oid) {
		switch {
		case oid.Equal(oidAES128):
			size = 16
		case oid.Equal(oidAES192):
			size = 24
		case oid.Equal(oidAES256):
			size = 32
		}
	}
	if size == 0 || !scheme.ReadASN1Bytes(&iv, cbasn1.OCTET_STRING) || len(iv) != aes.BlockSize {
		return nil, errEncryption
	}
	if len(encrypted) == 0 || len(encrypted)%aes.BlockSize > 0 {
		return nil, errors.New("its encrypted key is broken")
	}
	key, err := pbkdf2.Key(h, string(passphrase), salt, rounds, size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := bytes.Clone(encrypted)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, plain)
	// The last byte says how many of the same are behind the key.
	n := int(plain[len(plain)-1])
	if n == 0 || n > aes.BlockSize || !bytes.Equal(plain[len(plain)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, errPassphrase
	}
	return plain[:len(plain)-n], nil
}
