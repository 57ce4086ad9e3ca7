package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vpkg/vpkg/library/server"
)

// counted tells whether files were sent by the kernel.
type counted struct {
	*net.TCPConn
	files *atomic.Int64 // bytes
}

func (c counted) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(*os.File); ok {
			c.files.Add(n)
		}
	}
	return n, err
}

type countedListener struct {
	net.Listener
	files *atomic.Int64
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return counted{c.(*net.TCPConn), l.files}, nil
}

// start serves without TLS.
func (w *world) start() (address string, hs *http.Server, files *atomic.Int64) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	files = new(atomic.Int64)
	hs = w.server.HTTPServer()
	served := make(chan error, 1)
	go func() { served <- hs.Serve(countedListener{l, files}) }()
	w.t.Cleanup(func() {
		hs.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			w.t.Error(err)
		}
	})
	return l.Addr().String(), hs, files
}

// dial sends text and gives the connection.
func dial(t *testing.T, address, text string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil { // so that a test that fails ends
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

const download = "GET /api/v18/software/ven/image?os=el8&arch=x86_64 HTTP/1.1\r\nHost: a\r\n\r\n"

// A client that is slow gets all of it, however long it takes, and by the kernel.
func TestSlowDownload(t *testing.T) {
	t.Parallel()
	const stall = 5 * time.Second
	w := newWorld(t, func(s *server.Server) { s.Limits.Stall = stall })
	b := w.add("ven.el8.rpm", "fake rpm illumio-ven 25.2.20 10.el8 x86_64", 40<<20)
	address, _, files := w.start()
	c := dial(t, address, download)
	if err := c.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	// Not kept: with the race detector, to make room for so much takes seconds.
	got, size := sha256.New(), int64(0)
	for {
		n, err := io.CopyN(got, r.Body, 400<<10)
		size += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes and %v: %v", size, time.Since(begin), err)
		}
		time.Sleep(60 * time.Millisecond)
	}
	if want := sha256.Sum256(b); !bytes.Equal(got.Sum(nil), want[:]) {
		t.Errorf("%d bytes that are not the package's %d", size, len(b))
	}
	if took := time.Since(begin); took < stall {
		t.Errorf("it took %v, less than the %v that this is about", took, stall)
	}
	if n := files.Load(); n < int64(len(b))*9/10 {
		t.Errorf("the kernel sent %d bytes of %d", n, len(b))
	}
}

// A client that does not read is cut off, and leaves nothing behind.
func TestStalledDownload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *server.Server) { s.Limits.Stall = 500 * time.Millisecond })
	w.add("ven.el8.rpm", "fake rpm illumio-ven 25.2.20 10.el8 x86_64", 64<<20)
	address, _, _ := w.start()
	c := dial(t, address, download)
	for begin := time.Now(); !strings.Contains(w.log.String(), "software/ven/image"); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			t.Fatal("the request does not end")
		}
	}
	if n, err := io.Copy(io.Discard, c); err == nil && n >= 64<<20 {
		t.Errorf("all of it was sent")
	}
}

// Who sends too slowly is cut off: a header, and a body.
func TestSlowRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *server.Server) {
		s.Limits.Header, s.Limits.Body, s.Limits.Idle = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	})
	address, _, _ := w.start()
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"half a header", "GET /healthz HTTP/1.1\r\nHost: a\r\nX-A:", ""},
		{"half a body", "POST /api/v1/ven/activate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", "408"},
		{"idle after a request", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "200"},
		{"a header that is too large", "GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", "431"},
		{"not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
		{"smuggled", "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked, x\r\n\r\n", "501"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := io.ReadAll(dial(t, address, c.text)) // ends when the server closes it
			if err != nil && !strings.Contains(err.Error(), "reset") {
				t.Fatal(err)
			}
			if c.want != "" && !strings.HasPrefix(string(got), "HTTP/1.1 "+c.want) || c.want == "" && strings.Contains(string(got), " 200 ") {
				t.Errorf("answer %.200q, want %q", got, c.want)
			}
		})
	}
}

// An activation that came before its client went is not lost, and one whose answer
// nobody reads does no harm.
func TestClientsThatGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.profile(nil)
	_, code := w.code(p.ID)
	address, _, _ := w.start()
	body := fmt.Sprintf(`{"activation_code":%q,"request_id":"r","hostname":"web1","os_id":"o","version":"1"}`, code)
	for range 5 {
		c := dial(t, address, fmt.Sprintf("POST /api/v1/ven/activate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		if err := c.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	a := w.plain("POST", "/api/v1/ven/activate", body).want(t, 201)
	if id := decode[map[string]any](t, a)["agent_id"]; id != "1" {
		t.Errorf("agent %v, want the one that was paired first", id)
	}
}

// A change of a profile that arrives slowly takes nothing back that others change
// meanwhile.
func TestSlowChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.profile(nil)
	address, _, _ := w.start()
	const path, body = "/api/v18/orgs/1/pairing_profiles/1", `{"description": "slow"}`
	r := w.request("PUT", path, body)
	c := dial(t, address, fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
		path, r.Header.Get("Authorization"), len(body)))
	in := bufio.NewReader(c)
	status := func(want int) {
		t.Helper()
		a, err := http.ReadResponse(in, r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("status %d, want %d", a.StatusCode, want)
		}
	}
	status(100) // the server waits for the body
	w.call("PUT", path, `{"enabled": false}`).want(t, 204)
	if _, err := io.WriteString(c, body); err != nil {
		t.Fatal(err)
	}
	status(204)
	if p, err := w.lib.Profile(t.Context(), p.ID); err != nil || p.Enabled || p.Description != "slow" {
		t.Errorf("profile %+v (%v), want both changes", p, err)
	}
}

// A client that is still sending gets to know why its upload is refused, also over TLS,
// whether it waits to be told to send or not.
func TestRefusedUploads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, query, header string
		change              func(*world)
		before, status      string // status before the body is sent; empty means none
	}{
		{"a name that is none", "?name=a/b.rpm", "Expect: 100-continue\r\n", nil, "100", "422"},
		{"a name that is none, at once", "?name=a/b.rpm", "", nil, "", "422"},
		{"too large", "?name=a.rpm", "Expect: 100-continue\r\n", func(w *world) { w.lib.MaxPackage = 1000 }, "100", "422"},
		{"a full disk", "?name=a.rpm", "Expect: 100-continue\r\n", func(w *world) { w.lib.Packages = full{} }, "100", "507"},
		{"a full disk, at once", "?name=a.rpm", "", func(w *world) { w.lib.Packages = full{} }, "", "507"},
		{"no name", "", "Expect: 100-continue\r\n", nil, "400", ""},
		{"no name, at once", "", "", nil, "", "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			if c.change != nil {
				c.change(w)
			}
			ts := httptest.NewUnstartedServer(nil)
			ts.Config = w.server.HTTPServer()
			ts.StartTLS()
			t.Cleanup(ts.Close)
			conn, err := tls.Dial("tcp", ts.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true}) // a certificate of the test's own
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil { // so that a test that fails ends
				t.Fatal(err)
			}
			const size = 32 << 20 // more than is under way
			r := w.request("POST", "/", "")
			fmt.Fprintf(conn, "POST /api/v18/software/ven/releases%s HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Length: %d\r\n%s\r\n",
				c.query, r.Header.Get("Authorization"), size, c.header)
			in := bufio.NewReader(conn)
			read := func(want string) {
				t.Helper()
				a, err := http.ReadResponse(in, r)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Body.Close()
				if b, err := io.ReadAll(a.Body); !strings.HasPrefix(a.Status, want) || err != nil {
					t.Errorf("%s %s (%v), want %s", a.Status, b, err, want)
				}
			}
			if c.before != "" {
				read(c.before)
			}
			if c.status != "" {
				if _, err := conn.Write(make([]byte, size)); err != nil {
					t.Fatalf("sending: %v", err)
				}
				read(c.status)
			}
		})
	}
}

// A shutdown waits for downloads, and ends what the console keeps open.
func TestShutdown(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	w := newWorld(t, func(s *server.Server) {
		s.Console = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			http.NewResponseController(w).Flush()
			close(open)
			<-r.Context().Done()
		})
	})
	b := w.add("ven.el8.rpm", "fake rpm illumio-ven 25.2.20 10.el8 x86_64", 64<<20)
	address, hs, _ := w.start()
	live := dial(t, address, "GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
	<-open
	c := dial(t, address, download)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- hs.Shutdown(ctx) }()
	if _, err := io.Copy(io.Discard, live); err != nil { // ends, since the shutdown began
		t.Fatal(err)
	}
	select {
	case err := <-down:
		t.Fatalf("the shutdown ended (%v) before the download", err)
	default:
	}
	got, err := io.ReadAll(r.Body)
	if err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes (%v), want %d", len(got), err, len(b))
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	w.plain("GET", "/readyz", "").wantError(t, 503, "stopping")
}
