package agenttest

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Start serves on a port of 127.0.0.1 until the test ends, with a certificate
// that is valid now. ca is the file of its authority's.
func (s *Server) Start(t testing.TB) (addr, ca string) {
	t.Helper()
	now := time.Now()
	return s.StartWith(t, now.Add(-time.Hour), now.Add(time.Hour), "127.0.0.1")
}

// StartWith is Start with another certificate.
func (s *Server) StartWith(t testing.TB, from, until time.Time, hosts ...string) (addr, ca string) {
	t.Helper()
	cert, ca := Certificate(t, from, until, hosts...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ServeUntilEnd(t, s, l, cert)
	return l.Addr().String(), ca
}

// Certificate makes an authority and has it issue a certificate. ca is the file of
// the authority's.
func Certificate(t testing.TB, from, until time.Time, hosts ...string) (cert tls.Certificate, ca string) {
	t.Helper()
	authority, err := NewAuthority("vpkg test authority")
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = authority.Certificate(from, until, hosts...); err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return cert, ca
}

// ServeUntilEnd serves on l until the test ends.
func ServeUntilEnd(t testing.TB, s *Server, l net.Listener, cert tls.Certificate) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l, cert) // ends by the listener's end
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
}
