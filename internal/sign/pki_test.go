package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A pki has the keys and certificates of the tests: a root, one below it, and
// those that the latter issued.
type pki struct {
	root, middle       *x509.Certificate
	rsa, ecdsa, tsa    identity
	expired, forServer identity
}

type identity struct {
	key  crypto.Signer
	cert *x509.Certificate
}

var makePKI = sync.OnceValues(func() (*pki, error) {
	p := new(pki)
	var failed error
	serial := int64(0x7000)
	issue := func(name string, key crypto.Signer, parent *x509.Certificate, parentKey crypto.Signer, change func(c *x509.Certificate)) *x509.Certificate {
		serial++
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial),
			Subject:      pkix.Name{CommonName: name, Organization: []string{"vpkg tests"}},
			NotBefore:    time.Now().Add(-48 * time.Hour),
			NotAfter:     time.Now().Add(24 * time.Hour),
			KeyUsage:     x509.KeyUsageDigitalSignature,
		}
		change(template)
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
		if err != nil {
			failed = err
			return nil
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			failed = err
		}
		return cert
	}
	newECDSA := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			failed = err
		}
		return k
	}
	authority := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}
	use := func(u x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{u} }
	}
	rootKey, middleKey := newECDSA(elliptic.P256()), newECDSA(elliptic.P384())
	p.root = issue("root", rootKey, nil, rootKey, authority)
	p.middle = issue("middle", middleKey, p.root, rootKey, authority)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	leaf := func(name string, key crypto.Signer, change func(c *x509.Certificate)) identity {
		return identity{key, issue(name, key, p.middle, middleKey, change)}
	}
	p.rsa = leaf("rsa signer", rsaKey, use(x509.ExtKeyUsageCodeSigning))
	p.ecdsa = leaf("ecdsa signer", newECDSA(elliptic.P256()), use(x509.ExtKeyUsageCodeSigning))
	p.tsa = leaf("time stamps", newECDSA(elliptic.P256()), func(c *x509.Certificate) {
		// The extension has to be critical, says RFC 3161: an extended key usage of
		// 1.3.6.1.5.5.7.3.8 alone.
		c.ExtraExtensions = []pkix.Extension{{
			Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true,
			Value: []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8},
		}}
	})
	p.forServer = leaf("server", rsaKey, use(x509.ExtKeyUsageServerAuth))
	p.expired = leaf("expired", rsaKey, func(c *x509.Certificate) {
		use(x509.ExtKeyUsageCodeSigning)(c)
		c.NotAfter = time.Now().Add(-time.Hour)
	})
	return p, failed
})

func newPKI(t testing.TB) *pki {
	t.Helper()
	p, err := makePKI()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pki) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.root)
	return pool
}

func (p *pki) authenticode(id identity) *Authenticode {
	return &Authenticode{
		Signer: id.key, Chain: []*x509.Certificate{id.cert, p.middle},
		Description: "Illumio VEN ü", URL: "https://example.com/ven",
	}
}

func certPEM(certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

func keyPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func writeFile(t testing.TB, name string, b []byte) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.TempDir(), name)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func output(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// windowsProgram is a small program made by Go.
var windowsProgram = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "sign-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "program.exe")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", name, "../pe/testdata/program")
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, &exec.Error{Name: string(out), Err: err}
	}
	return os.ReadFile(name)
})

func newProgram(t testing.TB) []byte {
	t.Helper()
	b, err := windowsProgram()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
