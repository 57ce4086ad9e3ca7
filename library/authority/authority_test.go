package authority

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/oracle"
)

// A clock is set by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var hosts = []string{"Library.example.com.", "localhost", "192.0.2.7", "::1", "localhost"}

func opened(t *testing.T, dir string, hosts []string, now func() time.Time) *Authority {
	t.Helper()
	a, err := open(dir, hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// run gives what a command prints.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func TestOpenSSL(t *testing.T) {
	oracle.Need(t, "openssl")
	dir := t.TempDir()
	a := opened(t, filepath.Join(dir, "tls"), hosts, time.Now)
	ca := write(t, filepath.Join(dir, "ca.crt"), a.PEM())
	server := write(t, filepath.Join(dir, "server.crt"), certificatePEM(a.Server()))
	for _, host := range []string{"library.example.com", "localhost"} {
		run(t, "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca, "-verify_hostname", host, server)
	}
	for _, ip := range []string{"192.0.2.7", "::1"} {
		run(t, "openssl", "verify", "-x509_strict", "-CAfile", ca, "-verify_ip", ip, server)
	}
	out, err := exec.CommandContext(t.Context(), "openssl", "verify", "-CAfile", ca, "-verify_hostname", "other.example.com", server).CombinedOutput()
	if err == nil {
		t.Errorf("openssl takes the certificate for another host: %s", out)
	}
	text := run(t, "openssl", "x509", "-noout", "-text", "-in", server)
	for _, want := range []string{"prime256v1", "TLS Web Server Authentication", "ecdsa-with-SHA256", "CA:FALSE"} {
		if !strings.Contains(text, want) {
			t.Errorf("openssl shows no %q:\n%s", want, text)
		}
	}
	sum, _, _ := strings.Cut(run(t, "openssl", "dgst", "-sha256", "-r", ca), " ")
	if sum != SHA256(a.PEM()) {
		t.Errorf("SHA-256 is %s, openssl says %s", SHA256(a.PEM()), sum)
	}
	run(t, "openssl", "pkey", "-noout", "-check", "-in", filepath.Join(dir, "tls", CAFile))
}

// TestCurl serves with the certificate and asks for a page as a machine does.
func TestCurl(t *testing.T) {
	oracle.Need(t, "curl")
	a := opened(t, t.TempDir(), []string{"localhost", "127.0.0.1"}, time.Now)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: a.GetCertificate, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that trusts nobody
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "here") //nolint:errcheck // the client says it
		}),
	}
	go s.Serve(l) //nolint:errcheck // until it is closed
	defer s.Close()
	ca := write(t, filepath.Join(t.TempDir(), "ca.crt"), a.PEM())
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		got := run(t, "curl", "-q", "-sS", "--noproxy", "*", "--ipv4", "--tlsv1", "--cacert", ca, "https://"+host+":"+port)
		if got != "here" {
			t.Errorf("curl got %q from %s", got, host)
		}
	}
	out, err := exec.CommandContext(t.Context(), "curl", "-q", "-sS", "--noproxy", "*", "https://127.0.0.1:"+port).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 60 {
		t.Errorf("curl without the authority: %v, want status 60: %s", err, out)
	}
}

func TestLife(t *testing.T) {
	c := &clock{t: time.Now()}
	dir := t.TempDir()
	a := opened(t, dir, hosts, c.now)
	first, ca := a.Server(), a.PEM()
	if life := first.NotAfter.Sub(first.NotBefore); life > 397*24*time.Hour {
		t.Errorf("the certificate is good for %v", life)
	}
	if got, want := hostsOf(first), []string{"library.example.com", "localhost", "192.0.2.7", "::1"}; !slices.Equal(got, want) {
		t.Errorf("hosts are %q, want %q", got, want)
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{CAFile, ServerFile} {
			if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v; want 0600", name, fi.Mode(), err)
			}
		}
	}
	served := func() *x509.Certificate {
		t.Helper()
		got, err := a.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf
	}
	again := opened(t, dir, hosts, c.now)
	if !again.Server().Equal(first) || !bytes.Equal(again.PEM(), ca) {
		t.Error("what is opened again is not the same")
	}
	for range 3 { // in the course of years, nobody starts it again
		was := served()
		c.add(330 * 24 * time.Hour)
		if !served().Equal(was) {
			t.Error("the certificate was replaced 66 days before its end")
		}
		c.add(10 * 24 * time.Hour)
		if served().Equal(was) {
			t.Error("the certificate was not replaced 56 days before its end")
		}
		if _, err := served().Verify(x509.VerifyOptions{Roots: a.pool(), DNSName: "localhost", CurrentTime: c.now()}); err != nil {
			t.Error(err)
		}
	}
	was := served()
	if err := a.SetHosts([]string{"new.example.com"}); err != nil {
		t.Fatal(err)
	}
	if served().Equal(was) || served().VerifyHostname("new.example.com") != nil {
		t.Error("the certificate is not for the new host")
	}
	if !bytes.Equal(a.PEM(), ca) {
		t.Error("the authority is another one")
	}
	// Another process replaces it.
	if err := opened(t, dir, []string{"new.example.com"}, c.now).Renew(); err != nil {
		t.Fatal(err)
	}
	was = served()
	if err := a.Refresh(); err != nil || served().Equal(was) {
		t.Errorf("the certificate of the other process is not used: %v", err)
	}
	read, err := Read(dir)
	if err != nil || !bytes.Equal(read.PEM(), ca) || !read.Server().Equal(served()) {
		t.Errorf("reading the folder gives %v, %v", read, err)
	}
	if read, err := Read(t.TempDir()); read != nil || err != nil {
		t.Errorf("reading nothing gives %v, %v", read, err)
	}
	// Near its own end the authority's certificates end with it, and are not made
	// for every client anew.
	c.add(a.ca.Leaf.NotAfter.Sub(c.now()) - 24*time.Hour)
	if was = served(); !was.NotAfter.Equal(a.ca.Leaf.NotAfter) || !served().Equal(was) {
		t.Errorf("the last certificate ends %v, the authority %v", was.NotAfter, a.ca.Leaf.NotAfter)
	}
	c.add(48 * time.Hour)
	if _, err := a.GetCertificate(nil); err == nil {
		t.Error("an expired certificate is served")
	}
	if _, err := open(dir, hosts, c.now); err == nil {
		t.Error("an expired authority was opened")
	}
}

func (a *Authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.ca.Leaf)
	return p
}

// TestCannotWrite: a certificate that cannot be replaced is served to its end, and
// replaced when that can be done.
func TestCannotWrite(t *testing.T) {
	c := &clock{t: time.Now()}
	dir := filepath.Join(t.TempDir(), "tls")
	a := opened(t, dir, hosts, c.now)
	aside := dir + ".aside"
	if err := os.Rename(dir, aside); err != nil {
		t.Fatal(err)
	}
	c.add(340 * 24 * time.Hour)
	first := a.Server()
	if got, err := a.GetCertificate(nil); err != nil || !got.Leaf.Equal(first) {
		t.Errorf("got %v, want the first certificate", err)
	}
	if err := a.Refresh(); err == nil {
		t.Error("nothing was said about the certificate that cannot be replaced")
	}
	if err := os.Rename(aside, dir); err != nil {
		t.Fatal(err)
	}
	c.add(time.Hour)
	if got, err := a.GetCertificate(nil); err != nil || got.Leaf.Equal(first) {
		t.Errorf("the certificate was not replaced: %v", err)
	}
}

func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir, hosts, time.Now)
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ca, server := read(CAFile), read(ServerFile)
	other := t.TempDir()
	opened(t, other, hosts, time.Now)
	strange, err := os.ReadFile(filepath.Join(other, ServerFile))
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := bytes.Cut(ca, []byte("-----END CERTIFICATE-----\n"))
	_, otherKey, _ := bytes.Cut(strange, []byte("-----END CERTIFICATE-----\n"))
	for name, tt := range map[string]struct {
		file string
		b    []byte
	}{
		"an empty authority":            {CAFile, nil},
		"an authority that was cut":     {CAFile, ca[:len(ca)/2]},
		"an authority without its key":  {CAFile, bytes.TrimSuffix(ca, key)},
		"an authority with another key": {CAFile, append(bytes.TrimSuffix(bytes.Clone(ca), key), otherKey...)},
		"an authority that is none":     {CAFile, server},
		"a certificate that was cut":    {ServerFile, server[:len(server)/2]},
		"a certificate of another":      {ServerFile, strange},
		"an empty certificate":          {ServerFile, nil},
		"a certificate without its key": {ServerFile, bytes.Split(server, []byte("-----BEGIN PRIVATE"))[0]},
	} {
		write(t, filepath.Join(dir, CAFile), ca)
		write(t, filepath.Join(dir, ServerFile), server)
		write(t, filepath.Join(dir, tt.file), tt.b)
		if _, err := Open(dir, hosts); err == nil || !strings.Contains(err.Error(), tt.file) {
			t.Errorf("%s: %v, want an error that names %s", name, err, tt.file)
		}
		if !bytes.Equal(read(tt.file), tt.b) {
			t.Errorf("%s was replaced", name)
		}
	}
}

// TestAtOnce: two processes that start at once have one authority.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	sums := make([]string, 8)
	var wg sync.WaitGroup
	for i := range sums {
		wg.Go(func() {
			a, err := Open(dir, hosts)
			if err != nil {
				t.Error(err)
				return
			}
			sums[i] = SHA256(a.PEM())
		})
	}
	wg.Wait()
	if slices.Sort(sums); len(slices.Compact(sums)) != 1 {
		t.Errorf("authorities are %q", sums)
	}
	es, err := os.ReadDir(dir)
	if err != nil || len(es) != 2 {
		t.Errorf("the folder has %v, %v; want two files", es, err)
	}
}

func TestHostNames(t *testing.T) {
	for _, h := range []string{"", "a b", "a..b", "-a", "a-", "*", "a.*.b", "über.example.com", "a:8443", "https://a", "fe80::1%eth0", "a/b", strings.Repeat("a", 64)} {
		if got, err := hostNames([]string{h}); err == nil {
			t.Errorf("%q gives %q", h, got)
		}
	}
	if _, err := hostNames(nil); err == nil {
		t.Error("no host is enough")
	}
	got, err := hostNames([]string{"*.example.com", "::ffff:192.0.2.1", "A_b"})
	if want := []string{"*.example.com", "a_b", "192.0.2.1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir, hosts, time.Now)
	name := filepath.Join(dir, ServerFile)
	f := &Files{Cert: name, Key: name}
	if err := f.Refresh(); err != nil {
		t.Fatal(err)
	}
	first, err := f.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Refresh(); err != nil {
		t.Fatal(err)
	}
	if got, _ := f.GetCertificate(nil); got != first {
		t.Error("a file that has not changed was read again")
	}
	if err := opened(t, dir, hosts, time.Now).Renew(); err != nil {
		t.Fatal(err)
	}
	if err := f.Refresh(); err != nil {
		t.Fatal(err)
	}
	second, _ := f.GetCertificate(nil)
	if second == first {
		t.Error("the new certificate was not read")
	}
	write(t, name, []byte("damaged"))
	if err := f.Refresh(); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a damaged file: %v, want an error with its name", err)
	}
	if got, _ := f.GetCertificate(nil); got != second {
		t.Error("the good certificate was given up")
	}
}

// TestReadCA: of a file with a key, the certificate alone is offered to machines.
func TestReadCA(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, dir, hosts, time.Now)
	got, err := ReadCA(filepath.Join(dir, CAFile))
	if err != nil || !bytes.Equal(got, a.PEM()) {
		t.Errorf("got %q, %v; want %q", got, err, a.PEM())
	}
	for name, file := range map[string]string{
		"a server's certificate": filepath.Join(dir, ServerFile),
		"no certificate":         write(t, filepath.Join(t.TempDir(), "ca.crt"), []byte("none")),
		"no file":                filepath.Join(dir, "none"),
	} {
		if got, err := ReadCA(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s gives %q, %v; want an error that names the file", name, got, err)
		}
	}
}
