package authority

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Files are a certificate, with those between it and the authority, and its key, in
// files of the administrator's. Refresh is to be called before the first use.
type Files struct {
	Cert, Key string // may be the same

	mu      sync.Mutex
	at      [2]stamp
	current atomic.Pointer[tls.Certificate]
}

// A stamp tells one content of a file from another.
type stamp struct {
	time time.Time
	size int64
	file os.FileInfo
}

func (s stamp) same(t stamp) bool {
	return s.file != nil && t.file != nil && s.time.Equal(t.time) && s.size == t.size && os.SameFile(s.file, t.file)
}

// Refresh reads the files again if they have changed. After an error the certificate
// is the one that it was.
func (f *Files) Refresh() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var at [2]stamp
	for i, name := range []string{f.Cert, f.Key} {
		fi, err := os.Stat(name)
		if err != nil {
			return err
		}
		at[i] = stamp{fi.ModTime(), fi.Size(), fi}
	}
	if f.current.Load() != nil && at[0].same(f.at[0]) && at[1].same(f.at[1]) {
		return nil
	}
	cert, err := os.ReadFile(f.Cert)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(f.Key)
	if err != nil {
		return err
	}
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
	}
	f.at = at
	f.current.Store(&c)
	return nil
}

// GetCertificate is for a tls.Config.
func (f *Files) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

// ReadCA reads the certificates in a file, PEM, of authorities that machines are to
// trust. Whatever else is in it, such as a key, is left out.
func ReadCA(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var all []byte
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !c.IsCA {
			return nil, fmt.Errorf("%s: the certificate of %q is not that of an authority", name, c.Subject)
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no certificate, PEM", name)
	}
	return all, nil
}

// Offer keeps in a file what a server offers to machines that are to trust it, for
// ReadCA; without a ca there will be no file.
func Offer(name string, ca []byte) error {
	if ca != nil {
		return replace(name, ca)
	}
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeTemp writes b to a new file beside name, for its owner alone, and syncs it.
func writeTemp(name string, b []byte) (_ string, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".authority-*") // 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// replace writes b to a file, for its owner alone, in place of one that may be there.
func replace(name string, b []byte) error {
	tmp, err := writeTemp(name, b)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes names in a folder outlast a power cut. On Windows a folder cannot be
// opened for that.
func syncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
