package server_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/server"
)

// listen starts the server with TLS, as it is in use, and gives a client for it.
func (w *world) listen() (*httptest.Server, *agent.Client) {
	w.t.Helper()
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = w.server.HTTPServer()
	ts.StartTLS()
	w.t.Cleanup(ts.Close)
	ca := filepath.Join(w.dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ts.Certificate().Raw}), 0o600); err != nil {
		w.t.Fatal(err)
	}
	c, err := agent.NewClient(agent.ActivationConfig{Server: ts.Listener.Addr().String(), CAFile: ca}, "25.2.20-10")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return ts, c
}

func activation(code, request string) agent.ActivateRequest {
	return agent.ActivateRequest{
		Code: code, RequestID: request, Hostname: "web1", OSID: "debian-x86_64-13", Version: "25.2.20-10", Formats: []string{"nftables", "iptables"},
	}
}

// The agent's own client goes through its life.
func TestAgent(t *testing.T) {
	w := newWorld(t, func(s *server.Server) { s.Heartbeat = time.Minute })
	ctx := t.Context()
	p := w.profile(func(p *library.Profile) { p.Mode, p.ModeLock = library.ModeFull, false })
	_, code := w.code(p.ID)
	_, c := w.listen()

	q := activation(code, "r1")
	q.ProfileID, q.Labels.Loc = fmt.Sprint(p.ID), "Vienna"
	a, err := c.Activate(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	if a.Policy != nil || a.HeartbeatSeconds != 60 || a.OrgID != "1" {
		t.Errorf("activation %+v", a)
	}
	id := a.Identity()
	beat := agent.HeartbeatRequest{Version: "25.2.20-10", State: agent.StateIdle}
	h, err := c.Heartbeat(ctx, id, beat)
	if err != nil || h.PolicyVersion != "" || h.HeartbeatSeconds != 60 {
		t.Errorf("heartbeat %+v, %v", h, err)
	}
	if _, err := c.Policy(ctx, id); err == nil || errors.Is(err, agent.ErrUnknownAgent) {
		t.Errorf("a policy that there is not: %v, and not that the agent is unknown", err)
	}
	const rules = "table inet ILO-FILTER { chain a { } }\n"
	w.call("PUT", "/api/v2/orgs/1/policies", `{"enforcement_mode": "full", "format": "nftables", "nftables": "table inet ILO-FILTER { chain a { } }\n"}`).want(t, 200)
	if h, err = c.Heartbeat(ctx, id, beat); err != nil || h.PolicyVersion != "1" {
		t.Errorf("heartbeat %+v, %v; want policy 1", h, err)
	}
	want := agent.Policy{Version: "1", Mode: "full", Format: "nftables", Nftables: rules}
	if got, err := c.Policy(ctx, id); err != nil || got != want {
		t.Errorf("policy %+v, %v", got, err)
	}
	again, err := c.Activate(ctx, q)
	if err != nil || again.Identity() != id || again.Policy == nil || *again.Policy != want {
		t.Errorf("the same request again: %+v, %v; want agent %v with the policy", again, err, id)
	}
	if err := c.Goodbye(ctx, id); err != nil {
		t.Error(err)
	}
	if err := c.Deactivate(ctx, id); err != nil {
		t.Error(err)
	}
	if _, err := c.Heartbeat(ctx, id, beat); !errors.Is(err, agent.ErrUnknownAgent) {
		t.Errorf("heartbeat after that: %v, want ErrUnknownAgent", err)
	}
	id.AgentID, id.Token = "1", "other"
	q.RequestID = "r2"
	b, err := c.Activate(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	other := b.Identity()
	other.Token = id.Token
	if err := c.Goodbye(ctx, other); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("another's token: %v, want status 401", err)
	}
}

// A key for five uses pairs exactly five of fifty that try at once.
func TestFiftyAtOnce(t *testing.T) {
	w := newWorld(t, func(s *server.Server) { s.Limits.Failures = -1 })
	p := w.profile(func(p *library.Profile) { p.UsesPerKey = 5 })
	_, code := w.code(p.ID)
	ts, _ := w.listen()
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for i := range 50 {
		wg.Go(func() {
			body := fmt.Sprintf(`{"activation_code":%q,"request_id":"r%d","hostname":"web%d","os_id":"o","version":"1"}`, code, i, i)
			r, err := ts.Client().Post(ts.URL+"/api/v18/ven/activate", "application/json", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			r.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			got[r.StatusCode]++
		})
	}
	wg.Wait()
	if want := map[int]int{201: 5, 401: 45}; !maps.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
}

// Who tries codes learns nothing from an answer; who reads the log does.
func TestBadCodesLookTheSame(t *testing.T) {
	w := newWorld(t, func(s *server.Server) { s.Limits.Failures = -1 })
	now := time.Now()
	w.lib.Now = func() time.Time { return now }
	ctx := t.Context()
	fresh := func(name string, change func(*library.Profile)) (library.Profile, library.Key, string) {
		p := w.profile(func(p *library.Profile) {
			p.Name = name
			if change != nil {
				change(p)
			}
		})
		k, code := w.code(p.ID)
		return p, k, code
	}
	send := func(code, profile string) answer {
		return w.plain("POST", "/api/v18/ven/activate",
			fmt.Sprintf(`{"activation_code":%q,"request_id":"r","hostname":"web1","os_id":"o","version":"1","profile_id":%q}`, code, profile))
	}
	_, _, expired := fresh("expired", func(p *library.Profile) { p.KeyLifespan = 1 })
	_, _, used := fresh("used", func(p *library.Profile) { p.UsesPerKey = 1 })
	_, key, revoked := fresh("revoked", nil)
	off, _, disabled := fresh("disabled", nil)
	_, _, wrong := fresh("wrong", nil)
	_, _, gone := fresh("gone", nil)
	now = now.Add(2 * time.Second)
	if _, _, err := w.lib.Activate(ctx, library.Activation{Code: used, Request: "first", Hostname: "h", OS: "o", Version: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := w.lib.RevokeKey(ctx, key.ID); err != nil {
		t.Fatal(err)
	}
	off.Enabled = false
	if _, err := w.lib.SaveProfile(ctx, off); err != nil {
		t.Fatal(err)
	}
	left, _, err := w.lib.Activate(ctx, library.Activation{Code: gone, Request: "r", Hostname: "h", OS: "o", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.lib.Unpair(ctx, left.ID); err != nil {
		t.Fatal(err)
	}
	first := send(strings.Repeat("0", 80), "").want(t, 401)
	for _, c := range []struct {
		name, code, profile string
		reason              library.Reason
	}{
		{"expired", expired, "", library.ReasonExpired},
		{"used up", used, "", library.ReasonUsedUp},
		{"revoked", revoked, "", library.ReasonRevoked},
		{"disabled", disabled, "", library.ReasonDisabled},
		{"of another profile", wrong, "1", library.ReasonWrongProfile},
		{"of no profile", wrong, "x'; DROP TABLE keys", library.ReasonWrongProfile},
		{"deactivated", gone, "", library.ReasonDeactivated},
		{"empty", "", "", library.ReasonUnknown},
		{"no code at all", strings.Repeat("z", 5000), "", library.ReasonUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := send(c.code, c.profile)
			if a.StatusCode != first.StatusCode || string(a.body) != string(first.body) || !equalHeaders(a.Header, first.Header) {
				t.Errorf("status %d, body %s, header %v; an unknown one: %d %s %v", a.StatusCode, a.body, a.Header, first.StatusCode, first.body, first.Header)
			}
			es, err := w.lib.Events(ctx, 0, 1)
			if err != nil || es[0].Kind != library.EventActivate || es[0].Reason != c.reason {
				t.Errorf("event %+v (%v), want reason %s", es, err, c.reason)
			}
		})
	}
	for _, code := range []string{expired, used, revoked, disabled, wrong, gone, w.secret} {
		if strings.Contains(w.log.String(), code) {
			t.Error("a code or secret is in the log")
		}
	}
}

func equalHeaders(a, b http.Header) bool {
	return maps.EqualFunc(a, b, func(x, y []string) bool { return slices.Equal(x, y) })
}

// No code, token or secret is in what the server writes, wherever a client puts it.
func TestLogHasNoSecrets(t *testing.T) {
	w := newWorld(t, nil)
	p := w.profile(nil)
	_, code := w.code(p.ID)
	_, c := w.listen()
	a, err := c.Activate(context.Background(), activation(code, "r1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{code, a.Token, w.secret} {
		w.plain("GET", "/api/v18/software/ven/image?pair_script=pair.sh&activation_code="+secret, "")
		w.plain("GET", "/api/v18/software/ven/image?pair_script="+secret, "")
		w.plain("GET", "/"+secret, "")
		w.plain("GET", "/api/v18/"+secret, "")
		w.plain("POST", "/api/v18/ven/activate", `{"activation_code":"`+secret+`","hostname":"`+strings.Repeat("h", 300)+`"}`)
		w.plain("POST", "/api/v18/ven/activate", `{"activation_code":"`+secret+`"`)
		w.plain("GET", "/api/v18/ven/agents/1/policy", "", "Authorization", "Bearer "+secret)
		w.plain("GET", "/api/v18/orgs/1/events", "", "Authorization", "Basic "+secret)
	}
	w.call("GET", "/api/v18/orgs/1/pairing_profiles", "").want(t, 200)
	log := w.log.String()
	for name, secret := range map[string]string{"code": code, "token": a.Token, "API secret": w.secret} {
		if strings.Contains(log, secret) {
			t.Errorf("the %s is in the log", name)
		}
	}
	if n := strings.Count(log, "msg=request"); n < 25 {
		t.Errorf("%d requests in the log, want all", n)
	}
	for _, f := range []string{"library.db", "library.db-wal"} {
		b, err := os.ReadFile(filepath.Join(w.dir, f))
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range map[string]string{"code": code, "token": a.Token, "API secret": w.secret} {
			if strings.Contains(string(b), secret) {
				t.Errorf("the %s is in %s", name, f)
			}
		}
	}
}
