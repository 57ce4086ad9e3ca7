package agent_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/agent/agenttest"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// activator has the data folder of a host that is not activated.
func activator(t *testing.T) agent.Activator {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "etc"), 0o750), os.Mkdir(filepath.Join(dir, "log"), 0o750)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return agent.Activator{
		Store:   agent.Store{Root: root, UID: -1, GID: -1},
		Version: "25.2.20-10",
		Host:    agent.Host{Name: "h", OSID: "debian-x86_64-13", Formats: []string{agent.FormatNftables}},
	}
}

func prepare(t *testing.T, a agent.Activator, c agent.ActivationConfig, code string) {
	t.Helper()
	if err := a.Store.Prepare(t.Context(), c, nil, code); err != nil {
		t.Fatal(err)
	}
}

// onDisk are the files of a data folder with what they hold.
func onDisk(t *testing.T, a agent.Activator) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := a.Store.Root.FS()
	if err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(root, name)
		files[name] = string(b)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// noSecret fails if the code, or a token outside of its file, is anywhere.
func noSecret(t *testing.T, a agent.Activator, s *agenttest.Server, more ...string) {
	t.Helper()
	files := onDisk(t, a)
	for i, text := range more {
		files[string(rune('0'+i))] = text
	}
	for name, text := range files {
		if strings.Contains(text, code) && name != agent.CodeFile {
			t.Errorf("the code is in %s: %s", name, text)
		}
		for _, token := range s.Tokens() {
			if strings.Contains(text, token) && name != agent.TokenFile {
				t.Errorf("the token is in %s: %s", name, text)
			}
		}
	}
}

func activated(t *testing.T, a agent.Activator) {
	t.Helper()
	if _, err := a.Store.Identity(); err != nil {
		t.Error(err)
	}
	files := onDisk(t, a)
	for _, name := range []string{agent.CodeFile, agent.RequestFile} {
		if _, ok := files[name]; ok {
			t.Errorf("%s is left", name)
		}
	}
}

func TestActivate(t *testing.T) {
	s := &agenttest.Server{Policy: func() (*agent.Policy, error) { return &agent.Policy{Version: "7", Mode: agent.ModeIdle}, nil }}
	s.AddCode(code, 1)
	addr, ca := s.Start(t)
	a := activator(t)
	prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca, Profile: "2", Mode: agent.ModeFull, Labels: agent.Labels{Role: "Web Server", Loc: "x"}}, code)
	if err := a.Activate(t.Context()); err != nil {
		t.Fatal(err)
	}
	activated(t, a)
	if p, err := a.Store.Policy(); err != nil || p.Version != "7" {
		t.Errorf("policy is %+v, %v", p, err)
	}
	noSecret(t, a, s)
	body := string(s.Calls("activate")[0].Body)
	for _, want := range []string{
		`"hostname":"h"`, `"os_id":"debian-x86_64-13"`, `"version":"25.2.20-10"`, `"formats":["nftables"]`,
		`"profile_id":"2"`, `"enforcement_mode":"full"`, `"labels":{"loc":"x","role":"Web Server"}`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("sent %s, without %s", body, want)
		}
	}

	// A code that was not erased, because the process was killed before it could.
	if err := a.Store.WriteCode(code); err != nil {
		t.Fatal(err)
	}
	if err := a.Activate(t.Context()); err != nil {
		t.Error(err)
	}
	activated(t, a)
	if n := len(s.Calls("activate")); n != 1 {
		t.Errorf("%d activations, want 1", n)
	}
}

func TestActivateRefused(t *testing.T) {
	s := new(agenttest.Server)
	addr, ca := s.Start(t)
	a := activator(t)
	prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca}, code)
	err := a.Activate(t.Context())
	if !errors.Is(err, agent.ErrCode) || !strings.Contains(err.Error(), "the activation code is not valid") {
		t.Errorf("error is %v", err)
	}
	files := onDisk(t, a)
	if len(files) != 1 || files[agent.ConfigFile] == "" {
		t.Errorf("left on disk: %q", files)
	}
	noSecret(t, a, s, err.Error())
	if err := a.Activate(t.Context()); !errors.Is(err, agent.ErrNoCode) {
		t.Errorf("without a code: %v", err)
	}

	s.Before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca}, code)
	if err := a.Activate(t.Context()); err == nil || errors.Is(err, agent.ErrCode) {
		t.Errorf("error is %v", err)
	}
	if files := onDisk(t, a); files[agent.CodeFile] == "" {
		t.Error("a code about which nothing was said is erased")
	}
}

// A server that is down, then broken, then there.
func TestActivateWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cert, ca := agenttest.Certificate(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "127.0.0.1")
	a := activator(t)
	prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca}, code)

	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := a.Activate(short); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error is %v", err)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("given up after %v", d)
	}

	var calls atomic.Int32
	s := &agenttest.Server{Before: func(w http.ResponseWriter, _ *http.Request) bool {
		if calls.Add(1) > 1 {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}}
	s.AddCode(code, 1)
	go func() {
		time.Sleep(500 * time.Millisecond)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		agenttest.ServeUntilEnd(t, s, l, cert)
	}()
	if err := a.Activate(t.Context()); err != nil {
		t.Error(err)
	}
	activated(t, a)
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

// The server has used the code up, and its answer did not arrive.
func TestActivateLostAnswer(t *testing.T) {
	s := new(agenttest.Server)
	s.AddCode(code, 1)
	var lost atomic.Bool
	s.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if lost.Swap(true) {
			return false
		}
		s.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	addr, ca := s.Start(t)
	a := activator(t)
	prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca}, code)
	if err := a.Activate(t.Context()); err != nil {
		t.Error(err)
	}
	activated(t, a)
	if n := len(s.Calls("activate")); n != 3 { // the first one is seen twice
		t.Errorf("%d calls, want 3", n)
	}
	if n := len(s.Tokens()); n != 1 {
		t.Errorf("the server knows %d agents, want 1", n)
	}
}

// What the server said cannot be written: the next attempt gets the same answer.
func TestActivateDiskTrouble(t *testing.T) {
	s := &agenttest.Server{Policy: func() (*agent.Policy, error) { return &agent.Policy{Version: "7", Mode: agent.ModeIdle}, nil }}
	s.AddCode(code, 1)
	addr, ca := s.Start(t)
	a := activator(t)
	prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca}, code)
	for _, name := range []string{agent.PolicyFile, agent.TokenFile} {
		path := filepath.Join(a.Store.Root.Name(), name)
		if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := a.Activate(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s cannot be written: error %v", name, err)
		}
		if _, err := a.Store.Code(); err != nil {
			t.Error(err)
		}
		if _, err := a.Store.Identity(); !errors.Is(err, agent.ErrNotActivated) {
			t.Errorf("identity: %v", err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Activate(t.Context()); err != nil {
		t.Fatal(err)
	}
	activated(t, a)
	if n := len(s.Tokens()); n != 1 {
		t.Errorf("the server knows %d agents, want 1", n)
	}
}

// The service and a person try at once, with a code for one.
func TestActivateAtOnce(t *testing.T) {
	s := new(agenttest.Server)
	s.AddCode(code, 1)
	addr, ca := s.Start(t)
	a := activator(t)
	prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca}, code)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := a.Activate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	activated(t, a)
	if n := len(s.Calls("activate")); n != 1 {
		t.Errorf("%d activations, want 1", n)
	}
}

func TestDeactivate(t *testing.T) {
	for _, tt := range []struct {
		name    string
		spoil   func(s *agenttest.Server, a agent.Activator)
		warning string
	}{
		{"server there", func(*agenttest.Server, agent.Activator) {}, ""},
		{"server has forgotten", func(s *agenttest.Server, _ agent.Activator) { s.Remove() }, ""},
		{"server broken", func(s *agenttest.Server, _ agent.Activator) {
			s.Before = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true }
		}, "the server was not told: "},
		{"configuration gone", func(_ *agenttest.Server, a agent.Activator) { _ = a.Store.Root.Remove(agent.ConfigFile) }, "the server was not told: "},
		{"token gone", func(_ *agenttest.Server, a agent.Activator) { _ = a.Store.Root.Remove(agent.TokenFile) }, "the server was not told: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &agenttest.Server{Policy: func() (*agent.Policy, error) { return &agent.Policy{Version: "7", Mode: agent.ModeIdle}, nil }}
			s.AddCode(code, 1)
			addr, ca := s.Start(t)
			a := activator(t)
			prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca}, code)
			if err := a.Activate(t.Context()); err != nil {
				t.Fatal(err)
			}
			tt.spoil(s, a)
			found, warning, err := a.Deactivate(t.Context())
			if !found || err != nil {
				t.Errorf("found %t, error %v", found, err)
			}
			if tt.warning == "" && warning != nil || tt.warning != "" && (warning == nil || !strings.Contains(warning.Error(), tt.warning)) {
				t.Errorf("warning is %v, want %q", warning, tt.warning)
			}
			if files := onDisk(t, a); len(files) > 0 {
				t.Errorf("left on disk: %q", files)
			}
		})
	}
}

// A manager runs one until the test ends, or stop is called.
type running struct {
	log  *safeBuffer
	stop func()
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func manage(t *testing.T, a agent.Activator, state string) running {
	t.Helper()
	r := running{log: new(safeBuffer)}
	m := agent.Manager{
		Activator: a, State: state, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Status: func(s string) {
			if strings.Contains(s, "\n") {
				t.Errorf("status of two lines: %q", s)
			}
		},
		Poll: 10 * time.Millisecond, MinBackoff: 20 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	r.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(r.stop)
	return r
}

func await(t *testing.T, what string, r running, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not within ten seconds; the log is\n%s", what, r.log)
}

func TestManager(t *testing.T) {
	var mu sync.Mutex
	policy := agent.Policy{Version: "7", Mode: agent.ModeFull, Format: agent.FormatNftables, Nftables: "table inet a {}\n"}
	set := func(p agent.Policy) {
		mu.Lock()
		defer mu.Unlock()
		policy = p
	}
	s := &agenttest.Server{HeartbeatSeconds: -5, Policy: func() (*agent.Policy, error) { // as often as may be
		mu.Lock()
		defer mu.Unlock()
		p := policy
		return &p, nil
	}}
	addr, ca := s.Start(t)
	a := activator(t)
	state := filepath.Join(t.TempDir(), "policy.json")
	r := manage(t, a, state)
	config := agent.ActivationConfig{Server: addr, CAFile: ca}

	// A wrong code, then a right one: nobody has to restart anything.
	prepare(t, a, config, code)
	await(t, "the wrong code is erased", r, func() bool { return strings.Contains(r.log.String(), "the code is erased") })
	s.AddCode(code, 1)
	prepare(t, a, config, code)
	await(t, "activated", r, func() bool { _, err := a.Store.Identity(); return err == nil })
	await(t, "heartbeat", r, func() bool { return len(s.Calls("heartbeat")) > 0 })
	if got := string(s.Calls("heartbeat")[0].Body); got != `{"state":"degraded","version":"25.2.20-10"}` {
		t.Errorf("heartbeat before the policy is loaded: %s", got)
	}

	beat := func(want string) {
		t.Helper()
		await(t, "heartbeat "+want, r, func() bool {
			calls := s.Calls("heartbeat")
			return string(calls[len(calls)-1].Body) == want
		})
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"version":"7","in_force":true,"at":"2026-01-01T00:00:00Z"}`)
	beat(`{"policy_version":"7","state":"active","version":"25.2.20-10"}`)

	set(agent.Policy{Version: "8", Mode: agent.ModeFull}) // is none
	beat(`{"policy_error":"` + addr + ` is no server for this agent, or a broken one: policy 8: full, and has no rules","policy_version":"7","state":"degraded","version":"25.2.20-10"}`)
	set(agent.Policy{Version: "9", Mode: agent.ModeFull, Format: agent.FormatNftables, Nftables: "nonsense"})
	await(t, "policy 9", r, func() bool { p, err := a.Store.Policy(); return err == nil && p.Version == "9" })
	write(`{"version":"9","in_force":false,"error":"line 1: syntax\nerror"}`)
	beat(`{"policy_error":"line 1: syntax?error","state":"degraded","version":"25.2.20-10"}`)
	set(agent.Policy{Version: "10", Mode: agent.ModeIdle})
	await(t, "policy 10", r, func() bool { p, err := a.Store.Policy(); return err == nil && p.Version == "10" })
	write(`{"version":"10","in_force":true}`)
	beat(`{"policy_version":"10","state":"idle","version":"25.2.20-10"}`)

	// Somebody deactivates.
	if _, warning, err := a.Deactivate(t.Context()); warning != nil || err != nil {
		t.Error(warning, err)
	}
	await(t, "deactivated", r, func() bool { return strings.Contains(r.log.String(), "msg=deactivated") })
	if files := onDisk(t, a); len(files) > 0 {
		t.Errorf("left on disk: %q", files)
	}

	s.AddCode(code, 1)
	prepare(t, a, config, code)
	await(t, "activated again", r, func() bool { return strings.Count(r.log.String(), "msg=activated") == 2 })
	n := len(s.Calls("heartbeat"))
	await(t, "heartbeat", r, func() bool { return len(s.Calls("heartbeat")) > n })

	// The server forgets the agent: what is in force stays so.
	s.Remove()
	await(t, "unknown", r, func() bool { return strings.Contains(r.log.String(), "there is no such agent") })
	if p, err := a.Store.Policy(); err != nil || p.Version != "10" {
		t.Errorf("policy is %+v, %v", p, err)
	}
	noSecret(t, a, s, r.log.String())
}

func TestManagerSaysGoodbye(t *testing.T) {
	for name, hang := range map[string]bool{"server there": false, "server hangs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hanging atomic.Bool
			s := &agenttest.Server{Before: func(_ http.ResponseWriter, r *http.Request) bool {
				if hanging.Load() {
					<-r.Context().Done()
				}
				return hanging.Load()
			}}
			s.AddCode(code, 1)
			addr, ca := s.Start(t)
			a := activator(t)
			prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca}, code)
			r := manage(t, a, "/nonexistent")
			await(t, "heartbeat", r, func() bool { return len(s.Calls("heartbeat")) > 0 })
			hanging.Store(hang)
			begun := time.Now()
			r.stop()
			if d := time.Since(begun); d > 5*time.Second {
				t.Errorf("stopped after %v", d)
			}
			want := "goodbye said"
			if hang {
				want = "no goodbye said"
			}
			if !strings.Contains(r.log.String(), want) {
				t.Errorf("log is\n%s", r.log)
			}
		})
	}
}

// While the server is away the manager goes on, and takes less and less trouble.
func TestManagerServerAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cert, ca := agenttest.Certificate(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "127.0.0.1")
	a := activator(t)
	prepare(t, a, agent.ActivationConfig{Server: addr, CAFile: ca}, code)
	r := manage(t, a, "/nonexistent")
	time.Sleep(time.Second)
	if n := strings.Count(r.log.String(), "activation failed"); n < 2 || n > 25 { // 20 ms to 100 ms, on a machine that may be busy
		t.Errorf("%d attempts in a second:\n%s", n, r.log)
	}
	s := new(agenttest.Server)
	s.AddCode(code, 1)
	if l, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	agenttest.ServeUntilEnd(t, s, l, cert)
	await(t, "activated", r, func() bool { return strings.Contains(r.log.String(), "msg=activated") })
	r.stop()
	noSecret(t, a, s, r.log.String())
}
