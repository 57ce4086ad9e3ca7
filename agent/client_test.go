package agent_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/agent/agenttest"
)

const code = "1c0dec0dec0de"

func client(t *testing.T, c agent.ActivationConfig) *agent.Client {
	t.Helper()
	client, err := agent.NewClient(c, "25.2.20-10")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// What goes wrong is told in words that help, and none of them is the code.
func TestClientExplains(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", "https://127.0.0.1:1/")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	for _, tt := range []struct {
		name        string
		from, until time.Time // of the certificate; an hour around now
		host        string    // in the certificate; 127.0.0.1
		before      func(http.ResponseWriter, *http.Request) bool
		noCA        bool
		want        string
		status      int
		retry       bool
	}{
		{name: "unknown authority", noCA: true, want: `has a certificate by "CN=vpkg test authority", whom this host does not trust: if that is right, give the authority's certificate with --ca-file`},
		{name: "expired", from: now.Add(-2 * day), until: now.Add(-day), want: "has a certificate that has expired: it is valid from " +
			now.Add(-2*day).UTC().Format("2006-01-02 15:04 UTC") + " to " + now.Add(-day).UTC().Format("2006-01-02 15:04 UTC") +
			", and the clock of this host says " + now.UTC().Format("2006-01-02")},
		{name: "clock behind", from: now.Add(day), until: now.Add(2 * day), want: "has a certificate that is not valid yet: it is valid from "},
		{name: "another host", host: "pce.example.com", want: `has a certificate for pce.example.com, not for "127.0.0.1"`},
		{name: "redirect", before: answer(http.StatusTemporaryRedirect, ""), want: "answers with a redirection, which is not followed", status: 307},
		{name: "refusal", before: answer(422, `{"error":"the label is not known"}`), want: "refuses: the label is not known (status 422)", status: 422},
		{name: "refusal without a word", before: answer(404, "<html>"), want: "refuses: Not Found (status 404)", status: 404},
		{name: "wrong code", before: answer(401, `{"error":"wrong code `+code+`"}`), want: "refuses: wrong code [redacted] (status 401)", status: 401},
		{name: "text for the terminal", before: answer(400, `{"error":"a\u001b[2Jb\nc"}`), want: "refuses: a?[2Jb?c (status 400)", status: 400},
		{name: "long text", before: answer(400, `{"error":"`+strings.Repeat("x", 10000)+`"}`), want: strings.Repeat("x", 200) + "… (status 400)", status: 400},
		{name: "broken", before: answer(500, `{"error":"the database is away"}`), want: "cannot now: the database is away (status 500)", status: 500, retry: true},
		{name: "too many", before: answer(429, ""), want: "cannot now: Too Many Requests (status 429)", status: 429, retry: true},
		{name: "another success", before: answer(200, "{}"), want: "refuses: OK (status 200)", status: 200},
		{name: "no JSON", before: answer(201, code), want: "its answer is not the JSON that was expected", retry: true},
		{name: "no identity", before: answer(201, "{}"), want: `agent_id "" is not an id`, retry: true},
		{name: "path as identity", before: answer(201, `{"agent_id":"../x","org_id":"1","workload_uuid":"2","token":"t"}`), want: `agent_id "../x" is not an id`, retry: true},
		{name: "bad policy", before: answer(201, `{"agent_id":"1","org_id":"1","workload_uuid":"2","token":"t","policy":{"version":"1","enforcement_mode":"full"}}`), want: "policy 1: full, and has no rules", retry: true},
		{name: "too large", before: func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(201)
			spaces := strings.Repeat(" ", 1<<20)
			for range 17 {
				_, _ = io.WriteString(w, spaces)
			}
			return true
		}, want: "its answer has more than 16777216 bytes", retry: true},
		{name: "connection cut", before: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, want: "cannot be reached: EOF", retry: true},
		{name: "no answer", before: func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }, want: "does not answer in time", retry: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &agenttest.Server{Before: tt.before}
			s.AddCode(code, 1)
			if tt.from.IsZero() {
				tt.from, tt.until = now.Add(-time.Hour), now.Add(time.Hour)
			}
			if tt.host == "" {
				tt.host = "127.0.0.1"
			}
			addr, ca := s.StartWith(t, tt.from, tt.until, tt.host)
			if tt.noCA {
				ca = ""
			}
			limit := time.Minute
			if tt.name == "no answer" {
				limit = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := client(t, agent.ActivationConfig{Server: addr, CAFile: ca}).Activate(ctx, agent.ActivateRequest{Code: code})
			e, ok := errors.AsType[*agent.ServerError](err)
			if !ok {
				t.Fatalf("error is %v", err)
			}
			if !strings.HasPrefix(e.Error(), addr+" ") || !strings.Contains(e.Text, tt.want) {
				t.Errorf("got  %s\nwant %s", e, tt.want)
			}
			if e.Retry != tt.retry || e.Status != tt.status {
				t.Errorf("retry %t, status %d, want %t, %d", e.Retry, e.Status, tt.retry, tt.status)
			}
			if errors.Is(err, agent.ErrCode) != (tt.status == 401) {
				t.Errorf("ErrCode: %t", errors.Is(err, agent.ErrCode))
			}
			if strings.Contains(fmt.Sprintf("%s %+v", err, e.Text), code) {
				t.Errorf("the code is in the error %v", err)
			}
		})
	}
}

func TestClientUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = discardLog()
	old.StartTLS()
	defer old.Close()
	for _, tt := range []struct{ name, server, proxy, want string }{
		{"address with a zone", "[fe80::1%nonexistent]:8443", "", "cannot be reached: "},
		{"nothing there", closed, "", "nothing listens there (connection refused)"},
		{"unknown name", "pce.invalid:8443", "", `the name "pce.invalid" cannot be resolved`},
		{"no TLS", plain.Listener.Addr().String(), "", "does not speak TLS"},
		{"old TLS", old.Listener.Addr().String(), "", "protocol version"},
		{"no proxy there", "pce.invalid:8443", closed, "its proxy cannot: connection refused (by the proxy " + closed + ")"},
		{"proxy is none", "pce.invalid:8443", plain.Listener.Addr().String(), "cannot be reached: Not Found (by the proxy "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := client(t, agent.ActivationConfig{Server: tt.server, Proxy: tt.proxy}).Activate(t.Context(), agent.ActivateRequest{Code: code})
			e, ok := errors.AsType[*agent.ServerError](err)
			if !ok || !strings.Contains(e.Text, tt.want) || !e.Retry {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

// connectProxy is an HTTP proxy that knows CONNECT alone, and leads everything to
// one address.
func connectProxy(t *testing.T, to string) (addr string, asked *atomic.Value) {
	t.Helper()
	asked = new(atomic.Value)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Method + " " + r.Host)
		server, err := net.Dial("tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer server.Close()
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(server, conn)
			server.Close()
		}()
		_, _ = io.Copy(conn, server)
	}))
	t.Cleanup(proxy.Close)
	return proxy.Listener.Addr().String(), asked
}

func TestClientProxy(t *testing.T) {
	s := new(agenttest.Server)
	s.AddCode(code, 1)
	addr, ca := s.StartWith(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "pce.invalid")
	proxy, asked := connectProxy(t, addr)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1") // is not asked
	c := client(t, agent.ActivationConfig{Server: "pce.invalid:8443", Proxy: proxy, CAFile: ca})
	if _, err := c.Activate(t.Context(), agent.ActivateRequest{Code: code}); err != nil {
		t.Fatal(err)
	}
	if got := asked.Load(); got != "CONNECT pce.invalid:8443" {
		t.Errorf("the proxy was asked %q", got)
	}
}

func TestClientInsecure(t *testing.T) {
	s := new(agenttest.Server)
	s.AddCode(code, 1)
	addr, _ := s.StartWith(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour), "another.example")
	if _, err := client(t, agent.ActivationConfig{Server: addr, Insecure: true}).Activate(t.Context(), agent.ActivateRequest{Code: code}); err != nil {
		t.Error(err)
	}
}

func TestClientCAFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ name, file, want string }{
		{"missing", filepath.Join(dir, "missing"), "no such file"},
		{"no certificate", write("key", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"), "has no PEM certificate"},
		{"endless", "/dev/zero", "is no regular file"},
		{"folder", dir, "is no regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := agent.NewClient(agent.ActivationConfig{Server: "a:1", CAFile: tt.file}, "1")
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestClientAgent(t *testing.T) {
	policy := agent.Policy{Version: "7", Mode: agent.ModeFull, Format: agent.FormatIptables, IPv4: "*filter\nCOMMIT\n"}
	s := &agenttest.Server{HeartbeatSeconds: 60, Policy: func() (*agent.Policy, error) { return &policy, nil }}
	s.AddCode(code, 1)
	addr, ca := s.Start(t)
	c := client(t, agent.ActivationConfig{Server: addr, CAFile: ca})
	a, err := c.Activate(t.Context(), agent.ActivateRequest{Code: code, Hostname: "h"})
	if err != nil {
		t.Fatal(err)
	}
	id := a.Identity()
	if a.HeartbeatSeconds != 60 || a.Policy == nil || *a.Policy != policy {
		t.Errorf("activation is %+v", a)
	}
	if _, err := c.Activate(t.Context(), agent.ActivateRequest{Code: code}); !errors.Is(err, agent.ErrCode) {
		t.Errorf("second use of the code: %v", err)
	}
	h, err := c.Heartbeat(t.Context(), id, agent.HeartbeatRequest{Version: "1", State: agent.StateActive, PolicyVersion: "7"})
	if want := (agent.Heartbeat{PolicyVersion: "7", HeartbeatSeconds: 60}); err != nil || h != want {
		t.Errorf("heartbeat: %+v, %v", h, err)
	}
	if p, err := c.Policy(t.Context(), id); err != nil || p != policy {
		t.Errorf("policy: %+v, %v", p, err)
	}
	if err := c.Goodbye(t.Context(), id); err != nil {
		t.Error(err)
	}
	wrong := id
	wrong.Token = "another"
	if err := c.Goodbye(t.Context(), wrong); err == nil || errors.Is(err, agent.ErrUnknownAgent) || errors.Is(err, agent.ErrCode) {
		t.Errorf("another token: %v", err)
	}
	if err := c.Deactivate(t.Context(), id); err != nil {
		t.Error(err)
	}
	if _, err := c.Heartbeat(t.Context(), id, agent.HeartbeatRequest{}); !errors.Is(err, agent.ErrUnknownAgent) {
		t.Errorf("heartbeat after the end: %v", err)
	}
	for _, call := range s.Calls("heartbeat")[:1] {
		if string(call.Body) != `{"policy_version":"7","state":"active","version":"1"}` || call.Agent != id.AgentID {
			t.Errorf("heartbeat sent: %s", call.Body)
		}
	}
}
