// Package agenttest is the server's end of the agent's protocol, for tests: it
// hands out what it was told to and writes down what it was asked. It keeps
// nothing on disk, and is no model of how a server is to be written.
package agenttest

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vpkg/vpkg/agent"
)

// Unlimited is the number of uses of a code that is never used up.
const Unlimited = -1

// PairingStatus is what the installed product prints of an agent that is paired and
// runs: agent_status.sh, and illumio-ven-ctl agent-status on Windows.
const PairingStatus = `Pairing Status
Pairing Configuration exists ......SUCCESS
VEN Manager Daemon running ......SUCCESS
Master Configuration retrieval ......SUCCESS
VEN Configuration retrieval ......SUCCESS
VEN has been SUCCESSFULLY paired with Illumio
`

// A Server is one. The zero value knows no code and has no policy.
type Server struct {
	// Policy gives the policy, at every request that has to do with one. nil, or
	// a nil policy, means that there is none.
	Policy func() (*agent.Policy, error)
	// HeartbeatSeconds is told to agents; 0 leaves it to them.
	HeartbeatSeconds int
	// Before sees every request first, and answers it if it returns true. It may be
	// nil.
	Before func(w http.ResponseWriter, r *http.Request) bool
	// Called is given every call when it was answered, one at a time. It may be nil.
	Called func(Call)

	mu     sync.Mutex
	codes  map[string]int
	agents map[string]*registered // by agent id
	calls  []Call
	last   int // agent id
}

// A Call is one request, without the code and the token.
type Call struct {
	Time   time.Time       `json:"time"`
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Agent  string          `json:"agent,omitempty"` // whose token it was
	Body   json.RawMessage `json:"body,omitempty"`
	Status int             `json:"status"` // of the answer
}

type registered struct {
	answer        agent.Activation
	code, request string
}

// AddCode makes the server accept a code, uses times or Unlimited.
func (s *Server) AddCode(code string, uses int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.codes == nil {
		s.codes = map[string]int{}
	}
	s.codes[code] = uses
}

// Remove makes the server forget its agents.
func (s *Server) Remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agents = nil
}

// Calls are the requests so far, or those whose path ends so.
func (s *Server) Calls(end string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.calls), func(c Call) bool { return !strings.HasSuffix(c.Path, end) })
}

// Tokens are those of all agents, for looking for them where they must not be.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var tokens []string
	for _, a := range s.agents {
		tokens = append(tokens, a.answer.Token)
	}
	return tokens
}

// Serve answers on l with a certificate until l is closed.
func (s *Server) Serve(l net.Listener, cert tls.Certificate) error {
	h := http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ErrorLog:          discard(), // handshakes that a test breaks on purpose
	}
	return h.ServeTLS(l, "", "")
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the client is gone
	}
	rec := &recorder{ResponseWriter: w}
	call := Call{Time: time.Now(), Method: r.Method, Path: r.URL.Path, Agent: s.caller(r), Body: withoutCode(body)}
	defer func() { // also when Before gives up with http.ErrAbortHandler
		call.Status = rec.status
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, call)
		if s.Called != nil {
			s.Called(call)
		}
	}()
	r.Body = io.NopCloser(bytes.NewReader(body)) // for Before
	if s.Before != nil && s.Before(rec, r) {
		return
	}
	s.route(rec, r, body)
}

// route accepts any /api/vN, as servers do whose clients are of several ages.
func (s *Server) route(w http.ResponseWriter, r *http.Request, body []byte) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if len(parts) < 4 || parts[0] != "api" || !strings.HasPrefix(parts[1], "v") || parts[2] != "ven" {
		fail(w, http.StatusNotFound, "there is no such address")
		return
	}
	switch parts = parts[3:]; {
	case len(parts) == 1 && parts[0] == "activate" && r.Method == http.MethodPost:
		s.activate(w, body)
	case len(parts) == 3 && parts[0] == "agents":
		s.agent(w, r, parts[1], parts[2])
	default:
		fail(w, http.StatusNotFound, "there is no such address")
	}
}

func (s *Server) activate(w http.ResponseWriter, body []byte) {
	var q agent.ActivateRequest
	if err := json.Unmarshal(body, &q); err != nil {
		fail(w, http.StatusBadRequest, "the request is not JSON")
		return
	}
	policy, err := s.policy()
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.agents { // a repetition, whose answer was lost
		if a.code == q.Code && a.request == q.RequestID && q.RequestID != "" {
			a.answer.Policy = policy
			reply(w, http.StatusCreated, a.answer)
			return
		}
	}
	uses := s.codes[q.Code]
	if uses == 0 {
		fail(w, http.StatusUnauthorized, "the activation code is not valid")
		return
	}
	if uses > 0 {
		s.codes[q.Code] = uses - 1
	}
	s.last++
	a := &registered{code: q.Code, request: q.RequestID, answer: agent.Activation{
		AgentID: strconv.Itoa(s.last), OrgID: "1", WorkloadUUID: random(16), Token: random(32),
		HeartbeatSeconds: s.HeartbeatSeconds, Policy: policy,
	}}
	if s.agents == nil {
		s.agents = map[string]*registered{}
	}
	s.agents[a.answer.AgentID] = a
	reply(w, http.StatusCreated, a.answer)
}

func (s *Server) agent(w http.ResponseWriter, r *http.Request, id, what string) {
	s.mu.Lock()
	_, known := s.agents[id]
	s.mu.Unlock()
	if !known {
		fail(w, http.StatusNotFound, "there is no such agent")
		return
	}
	if s.caller(r) != id {
		fail(w, http.StatusUnauthorized, "the token is not the agent's")
		return
	}
	policy, err := s.policy()
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	switch r.Method + " " + what {
	case "POST heartbeat":
		h := agent.Heartbeat{HeartbeatSeconds: s.HeartbeatSeconds}
		if policy != nil {
			h.PolicyVersion = policy.Version
		}
		reply(w, http.StatusOK, h)
	case "GET policy":
		if policy == nil {
			fail(w, http.StatusServiceUnavailable, "there is no policy yet")
			return
		}
		reply(w, http.StatusOK, agent.PolicyAnswer{Policy: *policy})
	case "POST goodbye":
		w.WriteHeader(http.StatusNoContent)
	case "POST deactivate":
		s.mu.Lock()
		delete(s.agents, id)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(w, http.StatusNotFound, "there is no such address")
	}
}

func (s *Server) policy() (*agent.Policy, error) {
	if s.Policy == nil {
		return nil, nil
	}
	return s.Policy()
}

// caller is the agent whose token came with a request.
func (s *Server) caller(r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, a := range s.agents {
		if r.Header.Get("Authorization") == "Bearer "+a.answer.Token {
			return id
		}
	}
	return ""
}

// A recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone is none of our business
}

func fail(w http.ResponseWriter, status int, sentence string) {
	reply(w, status, agent.ErrorAnswer{Error: sentence})
}

// withoutCode is a request's body that can be kept.
func withoutCode(body []byte) json.RawMessage {
	var v map[string]any
	if json.Unmarshal(body, &v) != nil {
		return nil
	}
	if _, ok := v["activation_code"]; ok {
		v["activation_code"] = "[redacted]"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
