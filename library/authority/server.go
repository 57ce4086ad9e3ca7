package authority

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// SetHosts makes the certificate one for these names and addresses, unless it is.
func (a *Authority) SetHosts(hosts []string) error {
	names, err := hostNames(hosts)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hosts = names
	return a.refresh()
}

// Refresh takes over a certificate that another process wrote, and replaces one that
// is about to expire. It is called now and then.
func (a *Authority) Refresh() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refresh()
}

// Renew replaces the certificate now.
func (a *Authority) Renew() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.issue()
}

// GetCertificate is for a tls.Config. What is about to expire is replaced first; if
// that cannot be, it is used for as long as it is good.
func (a *Authority) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := a.server.Load()
	var err error
	if a.due(c) {
		err = a.replace()
		c = a.server.Load()
	}
	if now := a.now(); now.After(c.Leaf.NotAfter) {
		return nil, errors.Join(fmt.Errorf("the certificate was good until %s", c.Leaf.NotAfter.Format(time.RFC3339)), err)
	}
	return c, nil
}

// replace tries to replace the certificate, now and then.
func (a *Authority) replace() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now(); now.After(a.tried) && now.Sub(a.tried) < retry {
		return nil
	}
	return a.refresh()
}

// due reports whether a certificate is to be replaced. One that ends with the
// authority itself cannot be.
func (a *Authority) due(c *tls.Certificate) bool {
	return a.now().After(c.Leaf.NotAfter.Add(-renewal)) && c.Leaf.NotAfter.Before(a.ca.Leaf.NotAfter)
}

func (a *Authority) refresh() error {
	a.tried = a.now()
	name := filepath.Join(a.dir, ServerFile)
	c, err := load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return a.issue()
	}
	if err != nil {
		return err
	}
	if err := c.Leaf.CheckSignatureFrom(a.ca.Leaf); err != nil {
		return fmt.Errorf("%s is not of the authority in %s: %w; without it, another one is made", name, CAFile, err)
	}
	a.server.Store(&c)
	if a.due(&c) || !slices.Equal(hostsOf(c.Leaf), a.hosts) {
		return a.issue()
	}
	return nil
}

// issue makes a certificate, in the place of one that may be there.
func (a *Authority) issue() error {
	if len(a.hosts) == 0 {
		return errors.New("it is not known which hosts the certificate is for")
	}
	key, serial, err := newKey()
	if err != nil {
		return err
	}
	start := a.now().Add(-backdate)
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"vpkg"}},
		NotBefore:             start,
		NotAfter:              start.Add(serverLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if len(a.hosts[0]) <= 64 { // ub-common-name of RFC 5280
		t.Subject.CommonName = a.hosts[0]
	}
	if end := a.ca.Leaf.NotAfter; t.NotAfter.After(end) {
		t.NotAfter = end
	}
	for _, h := range a.hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
			continue
		}
		t.DNSNames = append(t.DNSNames, h)
	}
	b, err := sign(t, a.ca.Leaf, key, a.ca.PrivateKey)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(a.dir, ServerFile), b); err != nil {
		return err
	}
	c, err := tls.X509KeyPair(b, b)
	if err != nil {
		return err
	}
	a.server.Store(&c)
	return nil
}

// hostsOf gives the names, and then the addresses of a certificate.
func hostsOf(c *x509.Certificate) []string {
	hosts := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// CheckHosts says why a certificate cannot be for these hosts.
func CheckHosts(hosts []string) error {
	_, err := hostNames(hosts)
	return err
}

// hostNames gives hosts as a certificate has them: names first, none twice.
func hostNames(hosts []string) ([]string, error) {
	var names, addresses []string
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil && ip.Zone() == "" {
			if s := ip.Unmap().String(); !slices.Contains(addresses, s) {
				addresses = append(addresses, s)
			}
			continue
		}
		h = strings.ToLower(strings.TrimSuffix(h, "."))
		if !isDNSName(h) {
			return nil, fmt.Errorf("host %.80q is neither a DNS name nor an IP address", h)
		}
		if !slices.Contains(names, h) {
			names = append(names, h)
		}
	}
	if all := append(names, addresses...); len(all) > 0 {
		return all, nil
	}
	return nil, errors.New("a certificate needs the name or the address of a host")
}

// isDNSName: labels of letters, digits, hyphens and underscores; the first may be *.
func isDNSName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for i, label := range strings.Split(s, ".") {
		other := func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}
		if label == "*" && i == 0 && len(s) > 1 {
			continue
		}
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, other) {
			return false
		}
	}
	return true
}
