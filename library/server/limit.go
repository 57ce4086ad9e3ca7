package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxClients is how many a limiter remembers. When there are more, those that have
// not done anything lately are forgotten, and if that is not enough some others.
const maxClients = 1 << 14

// A limiter has a token bucket for everyone. A nil one allows everything.
type limiter struct {
	limit rate.Limit
	burst int
	mu    sync.Mutex
	of    map[any]*rate.Limiter
}

// newLimiter: a negative limit means none.
func newLimiter(limit float64, burst int) *limiter {
	if limit < 0 {
		return nil
	}
	return &limiter{limit: rate.Limit(limit), burst: burst, of: map[any]*rate.Limiter{}}
}

func (l *limiter) get(who any) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one := l.of[who]; one != nil {
		return one
	}
	if len(l.of) >= maxClients {
		l.forget()
	}
	one := rate.NewLimiter(l.limit, l.burst)
	l.of[who] = one
	return one
}

func (l *limiter) forget() {
	for who, one := range l.of {
		if one.Tokens() >= float64(l.burst) {
			delete(l.of, who)
		}
	}
	for who := range l.of {
		if len(l.of) < maxClients*7/8 {
			break
		}
		delete(l.of, who)
	}
}

// allow takes a token, if there is one.
func (l *limiter) allow(who any) bool { return l == nil || l.get(group(who)).Allow() }

// has reports whether there is a token.
func (l *limiter) has(who any) bool { return l == nil || l.get(group(who)).Tokens() >= 1 }

// group: who has one address of IPv6 has 2^64 of them.
func group(who any) any {
	if a, ok := who.(netip.Addr); ok && a.Is6() {
		p, err := a.WithZone("").Prefix(64)
		if err == nil {
			return p.Addr()
		}
	}
	return who
}

// inFlight counts the requests that are being answered.
type inFlight struct {
	all, perClient int
	mu             sync.Mutex
	sum            int
	of             map[netip.Addr]int
}

func (f *inFlight) begin(client netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sum >= f.all || f.of[client] >= f.perClient {
		return false
	}
	f.sum++
	f.of[client]++
	return true
}

func (f *inFlight) end(client netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sum--
	if f.of[client]--; f.of[client] == 0 {
		delete(f.of, client)
	}
}

// refusals says which events of refused codes and API keys are written: 300 at once,
// and one a second from then on, whoever it is that tries.
type refusals struct {
	mu      sync.Mutex
	limit   *rate.Limiter
	skipped int64
}

func (r *refusals) init() { r.limit = rate.NewLimiter(1, 300) }

func (r *refusals) next() (write bool, skipped int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.limit.Allow() {
		r.skipped++
		return false, 0
	}
	skipped, r.skipped = r.skipped, 0
	return true, skipped
}

// client is the address of who asks: the last one that a trusted proxy names and that
// is none itself.
func (s *Server) client(r *http.Request) netip.Addr {
	peer := address(r.RemoteAddr)
	if len(s.TrustedProxies) == 0 || !s.trusted(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(hops) {
		hop := address(strings.TrimSpace(text))
		if !hop.IsValid() {
			break // what is before it, whoever wrote this can have made up
		}
		if peer = hop; !s.trusted(hop) {
			break
		}
	}
	return peer
}

func (s *Server) trusted(a netip.Addr) bool {
	for _, p := range s.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// address reads one with or without a port.
func address(text string) netip.Addr {
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a.Unmap()
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}

// readiness keeps an answer for a second: who watches often is not to make work.
type readiness struct {
	mu   sync.Mutex
	at   time.Time
	last error
}

func (r *readiness) check(ask func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.at) > time.Second {
		r.at, r.last = now, ask()
	}
	return r.last
}
