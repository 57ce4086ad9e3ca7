//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/internal/dist"
	"github.com/vpkg/vpkg/library/authority"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

// asProgram in the environment makes the test's own program vpkg-library.
const asProgram = "VPKG_TEST_AS_LIBRARY=1"

// program is vpkg-library, not started yet.
func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram, "GORACE="+noWait)
	return cmd
}

// do runs vpkg-library and gives what it prints.
func do(t *testing.T, args ...string) string {
	t.Helper()
	cmd := program(t.Context(), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("vpkg-library %q: %v\n%s%s", args, err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// A safeBuffer may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A process is a server that runs.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	address  string // HOST:PORT
	scheme   string
	said     string // on standard output, up to the address and what follows at once
	password string
	log      *safeBuffer // standard error
	done     chan error  // its end
	client   *http.Client
}

var (
	addressLine  = regexp.MustCompile(`(?m)^Address +(https?)://([^/]+)/$`)
	passwordLine = regexp.MustCompile(`(?m)^Password +(\S+)  of the console; shown this once$`)
)

// start starts a command that is, or becomes, vpkg-library serve.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, log: new(safeBuffer), done: make(chan error, 1), client: &http.Client{Timeout: time.Minute}}
	out := new(safeBuffer)
	cmd.Stderr, cmd.Stdout = p.log, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.log)
		}
	})
	p.until("serving", func() bool {
		return strings.Contains(p.log.String(), "serving") && addressLine.MatchString(out.String())
	})
	p.said = out.String()
	m := addressLine.FindStringSubmatch(p.said)
	if m == nil {
		t.Fatalf("no address in %q", p.said)
	}
	p.scheme, p.address = m[1], m[2]
	if m := passwordLine.FindStringSubmatch(p.said); m != nil {
		p.password = m[1]
	}
	return p
}

// serve starts a server on a folder, at a port that is free.
func serve(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	args = append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--host", "127.0.0.1"}, args...)
	p := start(t, program(context.Background(), args...))
	a, err := authority.Read(filepath.Join(dir, tlsFolder))
	if err != nil {
		t.Fatal(err)
	}
	if a != nil {
		p.trust(a.PEM())
	}
	return p
}

// trust makes the client trust an authority.
func (p *process) trust(ca []byte) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	p.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
}

// until waits for something that the server is about to do.
func (p *process) until(what string, happened func() bool) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); !happened(); time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-p.done:
			p.t.Fatalf("waiting for %s, the server ended: %v\n%s", what, err, p.log)
		default:
		}
		if time.Now().After(end) {
			p.t.Fatalf("waited too long for %s\n%s", what, p.log)
		}
	}
}

// end tells the server to end, and waits for it.
func (p *process) end() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.ended()
}

// ended waits for the end.
func (p *process) ended() {
	p.t.Helper()
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Fatalf("the server ended with %v\n%s", err, p.log)
		}
	case <-time.After(time.Minute):
		p.t.Fatalf("the server does not end\n%s", p.log)
	}
}

// get gives status and body.
func (p *process) get(path string) (int, []byte) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.scheme+"://"+p.address+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := p.client.Do(r)
	if err != nil {
		p.t.Fatalf("%s: %v", path, err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		p.t.Fatalf("%s: %v", path, err)
	}
	return a.StatusCode, b
}

// login gives the status of a login to the console.
func (p *process) login(password string) int {
	p.t.Helper()
	form := url.Values{"password": {password}}.Encode()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.scheme+"://"+p.address+"/login", strings.NewReader(form))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c := *p.client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a, err := c.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer a.Body.Close()
	return a.StatusCode
}

// activate pairs a machine. The status is 0 if the connection broke.
func (p *process) activate(ctx context.Context, code, request string) (status int, a agent.Activation) {
	body, err := json.Marshal(agent.ActivateRequest{
		Code: code, RequestID: request, Hostname: "host-" + request, OSID: "debian-x86_64-13", Version: "25.2.20-10",
		Formats: []string{agent.FormatNftables},
	})
	if err != nil {
		panic(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.scheme+"://"+p.address+agent.APIPath+"/activate", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(r)
	if err != nil {
		return 0, a
	}
	defer answer.Body.Close()
	if json.NewDecoder(answer.Body).Decode(&a) != nil {
		a = agent.Activation{}
	}
	return answer.StatusCode, a
}

const image = "/api/v18/software/ven/image?os=el9&arch=x86_64"

// TestServe: from nothing to a package that a machine has.
func TestServe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b", "library")
	p := serve(t, dir)
	if p.password == "" || p.scheme != "https" {
		t.Errorf("the first start says no password, or serves %s:\n%s", p.scheme, p.said)
	}
	status, ca := p.get("/ca.crt")
	if sum := authority.SHA256(ca); status != http.StatusOK || !strings.Contains(p.said, "\nAuthority  "+sum+"  sha256sum of /ca.crt\n") {
		t.Errorf("/ca.crt: status %d, SHA-256 %s, which is not what was said:\n%s", status, sum, p.said)
	}
	if got := do(t, "ca", "--data", dir); got != strings.TrimSpace(string(ca)) {
		t.Errorf("vpkg-library ca prints another certificate than /ca.crt is:\n%s", got)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, b := p.get(path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, b)
		}
	}
	// The password that was said opens the console, and another one does not.
	for password, want := range map[string]int{p.password: http.StatusSeeOther, p.password + "x": http.StatusUnauthorized} {
		if status := p.login(password); status != want {
			t.Errorf("logging in with %q: status %d, want %d", password, status, want)
		}
	}
	// The folder is for its owner alone, and for one server.
	err := filepath.Walk(filepath.Dir(dir), func(name string, fi os.FileInfo, err error) error {
		if err == nil && fi.Mode().Perm()&0o077 != 0 && name != filepath.Dir(dir) {
			t.Errorf("%s has mode %v", name, fi.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	second, err := program(t.Context(), "serve", "--data", dir, "--listen", "127.0.0.1:0").CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitFailed || !bytes.Contains(second, []byte("another server runs on it")) {
		t.Errorf("a second server on the folder: %v\n%s", err, second)
	}
	// What is imported beside it is there at once.
	pkgs := t.TempDir()
	if _, err := packDist(pkgs, "25.2.20-10", []string{"el9", "ubuntu22"}); err != nil {
		t.Fatal(err)
	}
	do(t, "import", "--data", dir, pkgs)
	want, err := os.ReadFile(filepath.Join(pkgs, "illumio-ven-25.2.20-10.el9.x86_64.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	if status, got := p.get(image); status != http.StatusOK || !bytes.Equal(got, want) {
		t.Errorf("the package: status %d, %d bytes, want %d", status, len(got), len(want))
	}
	p.end()

	again := serve(t, dir)
	if again.password != "" || strings.Contains(again.said, "Next") {
		t.Errorf("the second start says a password, or what to do next:\n%s", again.said)
	}
	if status, got := again.get(image); status != http.StatusOK || !bytes.Equal(got, want) {
		t.Errorf("the package, after a new start: status %d, %d bytes, want %d", status, len(got), len(want))
	}
	again.end()
}

// TestFinish: a server that is told to end finishes a download, and takes no other
// connection.
func TestFinish(t *testing.T) {
	for _, tt := range []struct {
		name    string
		signals int
		whole   bool
	}{{"one signal", 1, true}, {"two signals", 2, false}} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			const size = 12 << 20
			pkgs := filepath.Join(t.TempDir(), "dist")
			if err := packLarge(pkgs, "25.2.20-10", size); err != nil {
				t.Fatal(err)
			}
			do(t, "import", "--data", dir, pkgs)
			p := serve(t, dir, "--plain-http")
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil { // it cannot all be on its way
				t.Fatal(err)
			}
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", image, p.address)
			r := bufio.NewReader(c)
			answer, err := http.ReadResponse(r, nil)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("%v, %v", answer, err)
			}
			defer answer.Body.Close()
			for i := range tt.signals {
				if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					p.until("its end to begin", func() bool { return strings.Contains(p.log.String(), "downloads under way are finished") })
					p.until("the port to be closed", func() bool {
						c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.address)
						if err == nil {
							c.Close()
						}
						return err != nil
					})
				}
			}
			if !tt.whole {
				p.ended()
			}
			n, err := io.Copy(io.Discard, answer.Body)
			if whole := err == nil && n == answer.ContentLength && n > size; whole != tt.whole {
				t.Errorf("%d of %d bytes came, %v; want all: %t", n, answer.ContentLength, err, tt.whole)
			}
			if tt.whole {
				p.ended()
			}
		})
	}
}

// TestNotify: systemd is told when connections are taken, and when the end begins.
func TestNotify(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("for systems with systemd")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cmd := program(t.Context(), "serve", "--data", filepath.Join(dir, "library"), "--listen", "127.0.0.1:0", "--host", "127.0.0.1")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+name, "JOURNAL_STREAM=8:1")
	p := start(t, cmd)
	said := func() string {
		t.Helper()
		b := make([]byte, 4096)
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	if got := said(); got != "READY=1" {
		t.Errorf("the first message is %q", got)
	}
	if p.password != "" || !strings.Contains(p.said, "\nPassword   none yet: vpkg-library password --data ") {
		t.Errorf("for the journal there is a password, or no word on how to set it:\n%s", p.said)
	}
	p.end()
	if got := said(); got != "STOPPING=1" {
		t.Errorf("the last message is %q", got)
	}
}

// TestCertificateOfOthers: it is served, read again when it changes, and kept when it
// is damaged.
func TestCertificateOfOthers(t *testing.T) {
	dir := t.TempDir()
	pem := filepath.Join(dir, "other", authority.ServerFile)
	a, err := authority.Open(filepath.Dir(pem), []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t, filepath.Join(dir, "library"), "--tls-cert", pem, "--tls-key", pem, "--tls-ca", filepath.Join(dir, "other", authority.CAFile))
	p.trust(a.PEM())
	if status, got := p.get("/ca.crt"); status != http.StatusOK || !bytes.Equal(got, a.PEM()) {
		t.Errorf("/ca.crt: %d, %s", status, got)
	}
	if _, err := os.Stat(filepath.Join(dir, "library", tlsFolder)); err == nil {
		t.Error("it made an authority of its own")
	}
	if got := do(t, "ca", "--data", filepath.Join(dir, "library")); got+"\n" != string(a.PEM()) {
		t.Errorf("vpkg-library ca prints another certificate than /ca.crt is:\n%s", got)
	}
	do(t, "profile", "create", "--data", filepath.Join(dir, "library"), "servers")
	line := []string{"key", "create", "--data", filepath.Join(dir, "library"), "1", "--one-liner", "linux", "--server", p.address}
	if got := do(t, line...); !strings.Contains(got, authority.SHA256(a.PEM())) {
		t.Errorf("the line does not check the authority:\n%s", got)
	}
	served := func() []byte {
		t.Helper()
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(a.PEM())
		c, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}).DialContext(t.Context(), "tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
	}
	first := served()
	if err := a.Renew(); err != nil {
		t.Fatal(err)
	}
	hup := func(word string) {
		t.Helper()
		before := strings.Count(p.log.String(), word)
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.until(word, func() bool { return strings.Count(p.log.String(), word) > before })
	}
	hup("the certificate was looked after")
	second := served()
	if bytes.Equal(first, second) {
		t.Error("the new certificate is not served")
	}
	if err := os.WriteFile(pem, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	hup("the certificate stays as it is")
	if !bytes.Equal(served(), second) {
		t.Error("the good certificate is not served any more")
	}
	p.end()

	// A server that does not offer an authority any more has lines without it.
	p = serve(t, filepath.Join(dir, "library"), "--plain-http")
	if got := do(t, line...); strings.Contains(got, "ca.crt") {
		t.Errorf("there is no authority to check:\n%s", got)
	}
	p.end()
}

// packLarge is one package of size bytes that do not compress.
func packLarge(dir, version string, size int) error {
	p := named(packagingtest.Small("rpm", "x86_64", size), version, "el9", "rpm")
	_, err := dist.Build(context.Background(), dist.Options{Dir: dir, Jobs: 1}, []dist.Job{{OS: "el9", Package: p, Format: rpm.Format{}}})
	return err
}
