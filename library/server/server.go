// Package server is the HTTP end of a library: packages and pairing scripts for
// machines, the other end of the agent's protocol (docs/protocol.md), the REST API for
// programs (docs/library-api.md), and what watches over it.
//
// It decides nothing about releases, profiles, codes or workloads; package library
// does. What is here is who may ask, how much of it, and in what form.
package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/templates/pairing"
)

// A Server is one. Nothing may be changed after the first call of Handler.
type Server struct {
	Library *library.Library
	Product string       // the package that machines are paired with: "illumio-ven"
	Console http.Handler // gets everything that is not the API; nil means that there is none
	CA      []byte       // PEM, served at /ca.crt; nil means that machines trust the server
	Log     *slog.Logger // nil means none

	// Heartbeat is the time between the heartbeats of an agent, 1 s to 1 h; 0 means 5 m.
	Heartbeat time.Duration

	// TrustedProxies are those whose X-Forwarded-For says who the client is.
	TrustedProxies []netip.Prefix

	Limits Limits

	once    sync.Once
	handler http.Handler
	routes  []route
	mux     *http.ServeMux
	metrics *metrics
	scripts scriptCache

	clients  *limiter // requests by client address
	keys     *limiter // requests by API key
	failures *limiter // failed codes, API keys and logins by client address
	refused  refusals
	busy     *inFlight
	uploads  chan struct{}
	ready    readiness
	stopping context.Context // ends when a shutdown begins
	stop     context.CancelFunc
}

// Limits bound what one client and all of them can take. 0 means the value that is
// named here; of the rates, a negative one means no limit.
type Limits struct {
	Requests        float64 // per second and client address; 100
	RequestsBurst   int     // that may come at once; 500
	KeyRequests     float64 // per minute and API key; 500, as the product documents
	Failures        float64 // failed codes, API keys and logins per minute and client address; 10
	FailuresBurst   int     // 20
	Concurrent      int     // requests being answered; 1024
	ConcurrentPerIP int     // of these, of one client address; 256
	Uploads         int     // at once; 2
	Upload          int64   // bytes of an upload; 4 GiB

	Header time.Duration // until all of a request's header is there; 10 s
	Body   time.Duration // until all of a small request is there; 30 s
	Idle   time.Duration // between requests of one connection; 2 m
	// Stall is how long a download or an upload may stand still; 2 m. The kernel takes
	// what is sent in portions of up to some MB, on fast connections.
	Stall time.Duration
}

func orDefault[T int | int64 | float64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

func (l *Limits) setDefaults() {
	orDefault(&l.Requests, 100)
	orDefault(&l.RequestsBurst, 500)
	orDefault(&l.KeyRequests, 500)
	orDefault(&l.Failures, 10)
	orDefault(&l.FailuresBurst, 20)
	orDefault(&l.Concurrent, 1024)
	orDefault(&l.ConcurrentPerIP, 256)
	orDefault(&l.Uploads, 2)
	orDefault(&l.Upload, 4<<30)
	orDefault(&l.Header, 10*time.Second)
	orDefault(&l.Body, 30*time.Second)
	orDefault(&l.Idle, 2*time.Minute)
	orDefault(&l.Stall, 2*time.Minute)
}

// maxHeader bounds a request's header, in bytes.
const maxHeader = 16 << 10

// Handler answers all requests.
func (s *Server) Handler() http.Handler {
	s.once.Do(s.init)
	return s.handler
}

func (s *Server) init() {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Heartbeat == 0 {
		s.Heartbeat = 5 * time.Minute
	}
	s.Limits.setDefaults()
	l := s.Limits
	s.clients = newLimiter(l.Requests, l.RequestsBurst)
	s.keys = newLimiter(l.KeyRequests/60, int(max(l.KeyRequests, 1)))
	s.failures = newLimiter(l.Failures/60, l.FailuresBurst)
	s.refused.init()
	s.busy = &inFlight{all: l.Concurrent, perClient: l.ConcurrentPerIP, of: map[netip.Addr]int{}}
	s.uploads = make(chan struct{}, l.Uploads)
	s.stopping, s.stop = context.WithCancel(context.Background()) //nolint:gosec // a shutdown calls it
	s.metrics = newMetrics(s)
	s.routes = s.table()
	s.mux = http.NewServeMux()
	for _, r := range s.routes {
		s.mux.HandleFunc(r.pattern(), s.guard(r))
	}
	s.handler = http.HandlerFunc(s.serve)
}

// HTTPServer is a server with the time limits that Handler needs. It speaks HTTP/1.1
// alone: packages are sent faster over it, and a client has one request at a time on a
// connection. A shutdown ends what the console keeps open, and waits for downloads.
func (s *Server) HTTPServer() *http.Server {
	h := s.Handler()
	p := new(http.Protocols)
	p.SetHTTP1(true)
	hs := &http.Server{
		Handler:           h,
		Protocols:         p,
		ReadHeaderTimeout: s.Limits.Header, // also of a TLS handshake
		WriteTimeout:      s.Limits.Stall,  // from the header on; moved by every piece that is sent
		IdleTimeout:       s.Limits.Idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // handshakes of strangers
	}
	hs.RegisterOnShutdown(s.stop)
	return hs
}

// A route is one operation of the API.
type route struct {
	method, path string
	auth         auth
	query        []string // the parameters that there may be, each once at most
	handle       func(*call) error
}

func (r route) pattern() string { return r.method + " " + r.path }

type auth int

const (
	authNone  auth = iota // or the operation looks after it: an activation code, an agent's token
	authKey               // an API key
	authCode              // none yet; failures count
	authWatch             // none, and no limit either: who watches is to see a server that is busy
)

// table lists all operations. {v} is the version of the API, {org} the organization.
func (s *Server) table() []route {
	const v, org = "/api/{v}", "/api/{v}/orgs/{org}"
	return []route{
		{"GET", v + "/software/ven/image", authNone, []string{"pair_script", "profile_id", "os", "arch", "version"}, s.getImage},
		{"GET", v + "/software/ven/releases", authKey, nil, s.getReleases},
		{"GET", v + "/software/ven/releases-images", authKey, nil, s.getReleasesImages},
		{"POST", v + "/software/ven/releases", authKey, []string{"name"}, s.postRelease},
		{"GET", org + "/software/ven/releases", authKey, nil, s.getReleases},
		{"GET", org + "/software/ven/releases-images", authKey, nil, s.getReleasesImages},
		{"GET", org + "/software/vens/default", authKey, nil, s.getDefault},
		{"PUT", org + "/software/vens/default", authKey, nil, s.putDefault},

		{"GET", org + "/pairing_profiles", authKey, []string{"max_results"}, s.getProfiles},
		{"POST", org + "/pairing_profiles", authKey, nil, s.postProfile},
		{"GET", org + "/pairing_profiles/{id}", authKey, nil, s.getProfile},
		{"PUT", org + "/pairing_profiles/{id}", authKey, nil, s.putProfile},
		{"DELETE", org + "/pairing_profiles/{id}", authKey, nil, s.deleteProfile},
		{"POST", org + "/pairing_profiles/{id}/pairing_key", authKey, nil, s.postKey},
		{"GET", org + "/pairing_profiles/{id}/pairing_keys", authKey, nil, s.getKeys},
		{"DELETE", org + "/pairing_profiles/{id}/pairing_keys/{key}", authKey, nil, s.deleteKey},

		{"GET", org + "/workloads", authKey, []string{"max_results", "after"}, s.getWorkloads},
		{"GET", org + "/workloads/{id}", authKey, nil, s.getWorkload},
		{"DELETE", org + "/workloads/{id}", authKey, nil, s.deleteWorkload},
		{"GET", org + "/vens", authKey, []string{"max_results", "after"}, s.getVENs},
		{"GET", org + "/vens/{id}", authKey, nil, s.getVEN},
		{"GET", org + "/events", authKey, []string{"max_results", "before"}, s.getEvents},
		{"GET", org + "/policies", authKey, nil, s.getPolicies},
		{"PUT", org + "/policies", authKey, nil, s.putPolicy},

		{"POST", v + "/ven/activate", authCode, nil, s.postActivate},
		{"POST", v + "/ven/agents/{id}/heartbeat", authNone, nil, s.postHeartbeat},
		{"GET", v + "/ven/agents/{id}/policy", authNone, nil, s.getAgentPolicy},
		{"POST", v + "/ven/agents/{id}/goodbye", authNone, nil, s.postGoodbye},
		{"POST", v + "/ven/agents/{id}/deactivate", authNone, nil, s.postDeactivate},

		{"GET", "/api/openapi.json", authNone, nil, s.getOpenAPI},
		{"GET", "/ca.crt", authNone, nil, s.getCA},
		{"GET", "/healthz", authWatch, nil, s.getHealth},
		{"GET", "/readyz", authWatch, nil, s.getReady},
		{"GET", "/metrics", authWatch, nil, s.getMetrics},
	}
}

// isAPI reports whether a path is none of the console's.
func isAPI(path string) bool {
	switch path {
	case "/api", "/ca.crt", "/healthz", "/readyz", "/metrics":
		return true
	}
	return strings.HasPrefix(path, "/api/")
}

// serve is around every request: it measures, limits, logs, and survives.
func (s *Server) serve(rw http.ResponseWriter, r *http.Request) {
	start := time.Now()
	w := &response{ResponseWriter: rw, rc: http.NewResponseController(rw), stall: s.Limits.Stall}
	c := &call{w: w, r: r, client: s.client(r)}
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // it is that very value
			s.Log.Error("panic", "route", c.route, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if w.status == 0 {
				s.fail(c, http.StatusInternalServerError, "the server made a mistake, which is in its log")
				p = nil
			}
		}
		s.finish(c, start)
		if p != nil {
			panic(http.ErrAbortHandler) // so that half an answer is not taken for one
		}
	}()
	s.metrics.running.Inc()
	defer s.metrics.running.Dec()

	watched := r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || r.URL.Path == "/metrics"
	if !watched {
		switch {
		case !s.clients.allow(c.client):
			s.tooMany(c, "too many requests from this address; try again later")
			return
		case !s.busy.begin(c.client):
			s.unavailable(c, "the server is busy; try again later")
			return
		}
		defer s.busy.end(c.client)
	}
	w.extend()
	if isAPI(r.URL.Path) {
		s.serveAPI(c)
		return
	}
	c.route = "console"
	if s.Console == nil {
		s.fail(c, http.StatusNotFound, "there is nothing here")
		return
	}
	s.serveConsole(c)
}

// serveConsole lets the console end when the server does, and counts its logins.
func (s *Server) serveConsole(c *call) {
	login := c.r.Method == http.MethodPost && c.r.URL.Path == "/login"
	if login && !s.failures.has(c.client) {
		s.tooMany(c, "too many failures from this address; try again later")
		return
	}
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	r := c.r.WithContext(ctx)
	r.RemoteAddr = netip.AddrPortFrom(c.client, 0).String()
	s.boundBody(c, r, maxJSON)
	s.Console.ServeHTTP(c.w, r)
	if login && (c.w.status == 0 || c.w.status < 300 || c.w.status >= 400) { // all but the way on
		s.failures.allow(c.client)
	}
}

// serveAPI finds the route. What there is not is told in JSON too.
func (s *Server) serveAPI(c *call) {
	h := c.w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	p := c.r.URL.Path
	if strings.Contains(p, "//") || strings.Contains(p, "/./") || strings.Contains(p, "/../") || strings.HasSuffix(p, "/..") || strings.HasSuffix(p, "/.") {
		s.fail(c, http.StatusNotFound, "there is nothing here") // and no redirection to what might be meant
		return
	}
	if found, pattern := s.mux.Handler(c.r); pattern == "" {
		c.route = "none"
		var probe probe
		found.ServeHTTP(&probe, c.r)
		if probe.status == http.StatusMethodNotAllowed {
			h.Set("Allow", probe.Header().Get("Allow"))
			s.fail(c, http.StatusMethodNotAllowed, "the method has to be one of "+probe.Header().Get("Allow"))
			return
		}
		s.fail(c, http.StatusNotFound, "there is nothing here")
		return
	}
	s.mux.ServeHTTP(c.w, c.r.WithContext(context.WithValue(c.r.Context(), callKey{}, c)))
}

type callKey struct{}

// guard is around the operation of a route: who may, and what of it goes wrong.
func (s *Server) guard(rt route) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		c := r.Context().Value(callKey{}).(*call) // serveAPI sets it
		c.r, c.route, c.auth = r, rt.pattern(), rt.auth
		l := *s.Library
		l.Actor, l.Refused = c.client.String(), s.refused.next
		c.lib = &l
		if err := s.admit(c, rt); err != nil {
			s.answerError(c, err)
			return
		}
		if err := rt.handle(c); err != nil {
			s.answerError(c, err)
		}
	}
}

// A call is one request on its way.
type call struct {
	w      *response
	r      *http.Request
	client netip.Addr
	route  string           // for the log and the metrics
	lib    *library.Library // with the one who asks as Actor
	auth   auth
	query  url.Values // those that the route has
	api    int        // the N of /api/vN; 0 if there is none
	err    error      // what is not told to the client
}

// script is the name of the pairing script that is asked for; empty means none.
func (c *call) script() string {
	if !strings.HasSuffix(c.r.URL.Path, "/software/ven/image") {
		return ""
	}
	return c.r.URL.Query().Get("pair_script")
}

// fail answers with an error: in JSON, or as a script that says so where a script is
// expected.
func (s *Server) fail(c *call, status int, sentence string) {
	if name := c.script(); name != "" {
		c.w.Header().Set("Cache-Control", "no-store")
		c.write(status, "text/plain; charset=utf-8", pairing.Refusal(name, sentence))
		return
	}
	c.json(status, errorAnswer{sentence})
}

func (s *Server) tooMany(c *call, sentence string) {
	c.w.Header().Set("Retry-After", "10")
	s.fail(c, http.StatusTooManyRequests, sentence)
}

func (s *Server) unavailable(c *call, sentence string) {
	c.w.Header().Set("Retry-After", "5")
	s.fail(c, http.StatusServiceUnavailable, sentence)
}
