package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/vpkg/vpkg/library"
)

// How long a session lasts without a request, and at most. Live pages are no requests.
const (
	idleTime    = 30 * time.Minute
	sessionTime = 12 * time.Hour
	maxSessions = 1000
)

// A session is an administrator's who has logged in. It is in memory alone: when the
// server starts again, people log in again.
type session struct {
	token string // what forms carry
	epoch string // of the password that it began with
	begin time.Time

	mu    sync.Mutex
	last  time.Time // of the last request
	flash string    // a sentence for the next page
	once  secret    // shown on one page, once
}

// A secret is what was made last and is shown once.
type secret struct {
	path   string // of the page that shows it
	text   string
	detail any
}

func (s *session) hasToken(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

func (s *session) setFlash(sentence string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flash = sentence
}

func (s *session) takeFlash() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flash
	s.flash = ""
	return f
}

func (s *session) setSecret(o secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.once = o
}

// takeSecret gives what that page has to show, if it has not been shown.
func (s *session) takeSecret(path string) secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.once.path != path {
		return secret{}
	}
	o := s.once
	s.once = secret{}
	return o
}

// sessions are kept by the hash of their cookie's value: that one alone is the way in.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

// cookieName has the prefix with which browsers let no other host set it.
func cookieName(secure bool) string {
	if secure {
		return "__Host-vpkg-library"
	}
	return "vpkg-library"
}

func setCookie(w http.ResponseWriter, secure bool, value string, age int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // without TLS a secure one would never come back
		Name: cookieName(secure), Value: value, Path: "/", MaxAge: age,
		Secure: secure, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// begin logs in: with a new cookie, whatever there was before.
func (all *sessions) begin(w http.ResponseWriter, secure bool, epoch string) {
	now, value := time.Now(), rand.Text()+rand.Text()
	all.mu.Lock()
	defer all.mu.Unlock()
	for k, s := range all.all {
		if s.over(now) {
			delete(all.all, k)
		}
	}
	for k := range all.all { // who has the password can fill it up, and loses his own
		if len(all.all) < maxSessions {
			break
		}
		delete(all.all, k)
	}
	if all.all == nil {
		all.all = map[[sha256.Size]byte]*session{}
	}
	all.all[sha256.Sum256([]byte(value))] = &session{token: rand.Text(), epoch: epoch, begin: now, last: now}
	setCookie(w, secure, value, int(sessionTime/time.Second))
}

func (s *session) over(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.last) > idleTime || now.Sub(s.begin) > sessionTime
}

// of gives the session of a request; nil means that there is none.
func (all *sessions) of(v *visit, secure bool) (*session, error) {
	c, err := v.r.Cookie(cookieName(secure))
	if errors.Is(err, http.ErrNoCookie) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256([]byte(c.Value))
	all.mu.Lock()
	s := all.all[key]
	all.mu.Unlock()
	if s == nil {
		return nil, nil
	}
	epoch, err := v.lib.AdminEpoch(v.r.Context())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if s.over(now) || s.epoch != epoch { // the password is another one since
		all.mu.Lock()
		delete(all.all, key)
		all.mu.Unlock()
		return nil, nil
	}
	if v.r.URL.Path != "/workloads/live" {
		s.mu.Lock()
		s.last = now
		s.mu.Unlock()
	}
	return s, nil
}

// end logs out.
func (all *sessions) end(v *visit, secure bool) {
	if c, err := v.r.Cookie(cookieName(secure)); err == nil {
		all.mu.Lock()
		delete(all.all, sha256.Sum256([]byte(c.Value)))
		all.mu.Unlock()
	}
	setCookie(v.w, secure, "", -1)
}

func (h *handler) loginPage(v *visit) error {
	s, err := h.sessions.of(v, h.secureCookie(v.r))
	if err != nil {
		return err
	}
	if s != nil {
		http.Redirect(v.w, v.r, "/", http.StatusSeeOther)
		return nil
	}
	h.show(v, http.StatusOK, "login", "Log in", "")
	return nil
}

func (h *handler) login(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return badForm(err)
	}
	err := v.lib.CheckAdmin(v.r.Context(), v.r.PostForm.Get("password"))
	if errors.Is(err, library.ErrToken) {
		h.show(v, http.StatusUnauthorized, "login", "Log in", "That is not the password.")
		return nil
	}
	if err != nil {
		return err
	}
	epoch, err := v.lib.AdminEpoch(v.r.Context())
	if err != nil {
		return err
	}
	secure := h.secureCookie(v.r)
	h.sessions.end(v, secure) // one that there was, so that nobody's cookie becomes a way in
	v.w.Header().Del("Set-Cookie")
	h.sessions.begin(v.w, secure, epoch)
	http.Redirect(v.w, v.r, "/", http.StatusSeeOther)
	return nil
}

func (h *handler) logout(v *visit) error {
	h.sessions.end(v, h.secureCookie(v.r))
	http.Redirect(v.w, v.r, "/login", http.StatusSeeOther)
	return nil
}

func (h *handler) account(v *visit) error {
	h.show(v, http.StatusOK, "account", "Password", "")
	return nil
}

// setPassword wants the old one too: a browser that was left alone is not enough.
func (h *handler) setPassword(v *visit) error {
	f := v.r.PostForm
	again := func(why string) error {
		h.show(v, http.StatusUnprocessableEntity, "account", "Password", why)
		return nil
	}
	if f.Get("new") != f.Get("repeat") {
		return again("The new passwords differ.")
	}
	err := v.lib.CheckAdmin(v.r.Context(), f.Get("old"))
	if errors.Is(err, library.ErrToken) {
		return again("That is not the password until now.")
	}
	if err == nil {
		err = v.lib.SetAdmin(v.r.Context(), f.Get("new"))
	}
	if errors.Is(err, library.ErrInvalid) {
		return again("The new password needs at least 12 characters.")
	}
	if err != nil {
		return err
	}
	epoch, err := v.lib.AdminEpoch(v.r.Context())
	if err != nil {
		return err
	}
	secure := h.secureCookie(v.r)
	h.sessions.begin(v.w, secure, epoch)
	http.Redirect(v.w, v.r, "/", http.StatusSeeOther)
	return nil
}
