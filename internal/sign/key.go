package sign

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"software.sslmate.com/src/go-pkcs12"
)

// maxKeyFile bounds files with keys and certificates, in bytes.
const maxKeyFile = 16 << 20

// Load reads a key and its certificates from a file: PEM, with a key in the form of
// PKCS #8, PKCS #1 or SEC 1, or PKCS #12 (PFX). With PEM the certificates may be in
// another file, certFile, or in the same if it is empty. The passphrase is that of
// PKCS #12 and of an encrypted key in PKCS #8. Certificates that are no part of the key's chain are left out.
func Load(file, certFile string, passphrase []byte) (*Authenticode, error) {
	a, err := load(file, certFile, passphrase)
	if err != nil {
		return nil, fmt.Errorf("reading signing key %q: %w", file, err)
	}
	return a, nil
}

func load(file, certFile string, passphrase []byte) (*Authenticode, error) {
	b, err := readFile(file)
	if err != nil {
		return nil, err
	}
	var key any
	var certs []*x509.Certificate
	if isPEM(b) {
		if key, certs, err = parsePEM(b, passphrase); err != nil {
			return nil, err
		}
	} else {
		var cert *x509.Certificate
		key, cert, certs, err = pkcs12.DecodeChain(b, string(passphrase))
		switch {
		case errors.Is(err, pkcs12.ErrIncorrectPassword):
			return nil, errPassphrase
		case err != nil:
			return nil, fmt.Errorf("it is neither PEM nor PKCS #12: %w", err)
		}
		certs = append([]*x509.Certificate{cert}, certs...)
	}
	if certFile != "" {
		more, err := readCertificates(certFile)
		if err != nil {
			return nil, fmt.Errorf("its certificate %q: %w", certFile, err)
		}
		certs = append(more, certs...)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("it has no private key")
	}
	a := &Authenticode{Signer: signer, Chain: certs}
	if len(certs) == 0 {
		return nil, errors.New("there is no certificate with it")
	}
	for _, c := range certs {
		if public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); ok && public.Equal(c.PublicKey) {
			a.Chain = chain(c, certs)
			break
		}
	}
	return a, a.check()
}

// LoadCertificates reads the certificates for a key that is elsewhere: PEM or DER.
// The first one is that of the key; those that did not issue it are left out.
func LoadCertificates(file string) ([]*x509.Certificate, error) {
	certs, err := readCertificates(file)
	if err != nil {
		return nil, fmt.Errorf("reading certificates %q: %w", file, err)
	}
	return chain(certs[0], certs), nil
}

func readCertificates(file string) ([]*x509.Certificate, error) {
	b, err := readFile(file)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	if isPEM(b) {
		for block, rest := pem.Decode(b); block != nil && err == nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				continue // the key may be there too
			}
			var c *x509.Certificate
			c, err = x509.ParseCertificate(block.Bytes)
			certs = append(certs, c)
		}
	} else {
		certs, err = x509.ParseCertificates(b)
	}
	if err == nil && len(certs) == 0 {
		err = errors.New("it has no certificate")
	}
	return certs, err
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKeyFile)
	}
	return b, err
}

func isPEM(b []byte) bool { return bytes.Contains(b, []byte("-----BEGIN ")) }

// parsePEM gives the key, nil if there is none, and the certificates.
func parsePEM(b, passphrase []byte) (key any, certs []*x509.Certificate, err error) {
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		var k any
		switch {
		case block.Headers["DEK-Info"] != "": // of OpenSSL before 1.0
			return nil, nil, errEncryption
		case block.Type == "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			certs = append(certs, c)
		case block.Type == "PRIVATE KEY":
			k, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case block.Type == "ENCRYPTED PRIVATE KEY":
			k, err = parseEncrypted(block.Bytes, passphrase)
		case block.Type == "RSA PRIVATE KEY":
			k, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case block.Type == "EC PRIVATE KEY":
			k, err = x509.ParseECPrivateKey(block.Bytes)
		default: // parameters of curves, which the key has too, and text
		}
		if err != nil {
			return nil, nil, err
		}
		if k != nil && key != nil {
			return nil, nil, errors.New("it has more than one private key")
		}
		if k != nil {
			key = k
		}
	}
	return key, certs, nil
}

func parseEncrypted(der, passphrase []byte) (any, error) {
	der, err := decryptKey(der, passphrase)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		// One in 256 wrong passphrases ends in what looks like the right filling.
		return nil, errPassphrase
	}
	return key, nil
}

// chain gives a certificate and those of its issuers that are among others.
func chain(leaf *x509.Certificate, others []*x509.Certificate) []*x509.Certificate {
	c := []*x509.Certificate{leaf}
	for {
		last := c[len(c)-1]
		i := slices.IndexFunc(others, func(o *x509.Certificate) bool {
			return bytes.Equal(last.RawIssuer, o.RawSubject) && last.CheckSignatureFrom(o) == nil &&
				!slices.ContainsFunc(c, o.Equal)
		})
		if i < 0 {
			return c
		}
		c = append(c, others[i])
	}
}
