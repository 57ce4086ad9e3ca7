// Package authority is a certificate authority in a folder, for a library server that
// was given no certificate: it makes the server's own, and a new one in time.
//
// The authority is made once, in a file with its key, and never again: machines trust
// it. A file that is damaged is an error, and is not replaced.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// The files, each a certificate and its key, PEM, for the owner alone.
const (
	CAFile     = "ca.pem"
	ServerFile = "server.pem"
)

// How long certificates are good for. Clients refuse a server's that is for longer
// than 398 days (CA/Browser Forum, Baseline Requirements 6.3.2), Apple's those of
// private authorities that are for longer than 825.
const (
	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 397 * 24 * time.Hour
	// renewal is how long before its end a certificate is replaced.
	renewal = 60 * 24 * time.Hour
	// backdate is for machines whose clocks are behind.
	backdate = 24 * time.Hour
	// retry is how long after a certificate could not be replaced that is tried again.
	retry = time.Minute
)

// An Authority is open. Its methods may be called by several goroutines.
type Authority struct {
	dir string
	now func() time.Time
	ca  tls.Certificate

	mu     sync.Mutex // one at a time looks after the server's certificate
	hosts  []string
	tried  time.Time
	server atomic.Pointer[tls.Certificate]
}

// Open opens the authority in the folder dir, which it makes, with its folder, if it
// is not there; and sees to it that there is a certificate for a server that is known
// by these DNS names and IP addresses.
func Open(dir string, hosts []string) (*Authority, error) {
	return open(dir, hosts, time.Now)
}

func open(dir string, hosts []string, now func() time.Time) (*Authority, error) {
	a := &Authority{dir: dir, now: now}
	err := a.load()
	if errors.Is(err, fs.ErrNotExist) {
		err = a.create()
	}
	if err != nil {
		return nil, err
	}
	if err := a.SetHosts(hosts); err != nil {
		return nil, err
	}
	return a, nil
}

// Read opens the authority in a folder with the certificate that its server has, and
// makes nothing. It is nil if there is none.
func Read(dir string) (*Authority, error) {
	a := &Authority{dir: dir, now: time.Now}
	err := a.load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := load(filepath.Join(dir, ServerFile))
	if err == nil {
		a.hosts = hostsOf(c.Leaf)
		a.server.Store(&c)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return a, nil
}

// load reads what was made once.
func (a *Authority) load() error {
	name := filepath.Join(a.dir, CAFile)
	c, err := load(name)
	if err != nil {
		return err
	}
	if !c.Leaf.IsCA || c.Leaf.KeyUsage&x509.KeyUsageCertSign == 0 {
		return fmt.Errorf("%s: its certificate is not that of an authority", name)
	}
	if a.now().After(c.Leaf.NotAfter) {
		return fmt.Errorf("%s: the authority was good until %s", name, c.Leaf.NotAfter.Format(time.DateOnly))
	}
	a.ca = c
	return nil
}

// create makes the authority. Two that do so at once get the same one.
func (a *Authority) create() error {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return err
	}
	key, serial, err := newKey()
	if err != nil {
		return err
	}
	now := a.now()
	t := &x509.Certificate{
		SerialNumber: serial,
		// Two servers' authorities are told apart in a list of a machine.
		Subject:               pkix.Name{Organization: []string{"vpkg"}, CommonName: "vpkg-library " + serial.Text(16)[:8]},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	b, err := sign(t, t, key, key)
	if err != nil {
		return err
	}
	name := filepath.Join(a.dir, CAFile)
	tmp, err := writeTemp(name, b)
	if err != nil {
		return err
	}
	// A link, for a rename would take away the authority of another that was faster.
	err = os.Link(tmp, name)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err = errors.Join(err, os.Remove(tmp), syncDir(a.dir)); err != nil {
		return err
	}
	return a.load()
}

// newKey gives a key, and a serial number of 127 random bits.
func newKey() (*ecdsa.PrivateKey, *big.Int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return nil, nil, err
	}
	b[0] = b[0]&0x7f | 0x40 // positive, and of this length
	return key, new(big.Int).SetBytes(b), nil
}

// sign gives the certificate and its key, PEM.
func sign(t, parent *x509.Certificate, key *ecdsa.PrivateKey, by any) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, by)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...), nil
}

// load reads a certificate with its key, which have to belong together.
func load(name string) (tls.Certificate, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return tls.Certificate{}, err
	}
	c, err := tls.X509KeyPair(b, b)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s is damaged: %w", name, err)
	}
	return c, nil
}

// PEM is the authority's certificate: what machines are to trust.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.ca.Certificate[0]})
}

// SHA256 gives that of b, as 64 hexadecimal digits.
func SHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Server is the certificate that is served now; nil after Read, if there is none.
func (a *Authority) Server() *x509.Certificate {
	if c := a.server.Load(); c != nil {
		return c.Leaf
	}
	return nil
}
