// Package console is the web console of a library: releases, pairing profiles and
// their keys, workloads as they pair, events, API keys.
//
// Pages are rendered here. There is one style sheet and one script, without which all
// but the live list and the copy buttons works. Nothing is inline, so that a page
// with a workload's hostile name in it runs nothing of it.
package console

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/library"
)

// A Console is one. Nothing may be changed after the call of Handler.
type Console struct {
	Library *library.Library
	Product string       // the package that machines are paired with: "illumio-ven"
	CA      string       // SHA-256 of the file /ca.crt, hexadecimal; empty means that machines trust the server
	Log     *slog.Logger // nil means none

	// Heartbeat is the time between the heartbeats of an agent; 0 means 5 m. A workload
	// that has missed three is shown as lost.
	Heartbeat time.Duration
}

//go:embed templates
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// maxForm bounds what a form sends, in bytes.
const maxForm = 64 << 10

type handler struct {
	*Console
	mux      *http.ServeMux
	whole    http.Handler // with what every answer has
	pages    map[string]*template.Template
	sessions sessions
	started  time.Time
}

// Handler answers everything that is no part of the API. Who is not logged in gets the
// login page, and what is needed to show it.
func (c *Console) Handler() http.Handler { return c.handler().whole }

func (c *Console) handler() *handler {
	h := &handler{Console: c, mux: http.NewServeMux(), pages: parsePages(), started: time.Now()}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 5 * time.Minute
	}
	static, err := fs.Sub(staticFiles, "static")
	if err != nil {
		panic(err) // it is embedded
	}
	h.mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	h.mux.HandleFunc("GET /login", h.serve(h.loginPage))
	h.mux.HandleFunc("POST /login", h.serve(h.login))
	for pattern, page := range h.routes() {
		h.mux.HandleFunc(pattern, h.serve(h.private(page)))
	}
	h.mux.HandleFunc("/", h.serve(h.private(func(*visit) error { return library.ErrNotFound })))
	h.whole = h.secure(http.NewCrossOriginProtection().Handler(h.mux))
	return h
}

// routes are the pages for who is logged in.
func (h *handler) routes() map[string]func(*visit) error {
	return map[string]func(*visit) error{
		"GET /{$}":                    h.home,
		"POST /logout":                h.logout,
		"GET /releases":               h.releases,
		"GET /releases/{version}":     h.release,
		"POST /releases/default":      h.setDefault,
		"POST /releases/remove":       h.removeRelease,
		"GET /profiles":               h.profiles,
		"GET /profiles/new":           h.newProfile,
		"POST /profiles/new":          h.createProfile,
		"GET /profiles/{id}":          h.profile,
		"GET /profiles/{id}/edit":     h.editProfile,
		"POST /profiles/{id}/edit":    h.updateProfile,
		"GET /profiles/{id}/delete":   h.confirmDelete,
		"POST /profiles/{id}/delete":  h.deleteProfile,
		"POST /profiles/{id}/enabled": h.enableProfile,
		"POST /profiles/{id}/keys":    h.makeKey,
		"GET /profiles/{id}/key":      h.showKey,
		"POST /profiles/{id}/revoke":  h.revokeKey,
		"GET /workloads":              h.workloads,
		"GET /workloads/live":         h.live,
		"GET /workloads/{id}":         h.workload,
		"POST /workloads/{id}/unpair": h.unpair,
		"GET /events":                 h.events,
		"GET /api-keys":               h.apiKeys,
		"POST /api-keys":              h.makeAPIKey,
		"POST /api-keys/remove":       h.removeAPIKey,
		"GET /account":                h.account,
		"POST /account":               h.setPassword,
	}
}

// secure sets the headers that every answer has.
func (h *handler) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		if strings.HasPrefix(r.URL.Path, "/static/") {
			head.Set("Cache-Control", "no-cache")
			head.Set("ETag", strconv.Quote(strconv.FormatInt(h.started.UnixNano(), 36)))
		} else {
			head.Set("Cache-Control", "no-store")
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// A visit is one request and who makes it.
type visit struct {
	w       http.ResponseWriter
	r       *http.Request
	session *session         // nil before the login
	lib     *library.Library // with who asks as Actor
}

// serve runs a page, and shows what went wrong.
func (h *handler) serve(page func(*visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		l := *h.Library
		l.Actor = "administrator " + remote(r)
		v := &visit{w: w, r: r, lib: &l}
		if err := page(v); err != nil {
			h.problem(v, err)
		}
	}
}

func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// private is a page for who is logged in. Forms carry the session's token.
func (h *handler) private(page func(*visit) error) func(*visit) error {
	return func(v *visit) error {
		s, err := h.sessions.of(v, h.secureCookie(v.r))
		if err != nil {
			return err
		}
		if s == nil {
			if v.r.Method != http.MethodGet || v.r.URL.Path == "/workloads/live" {
				return statusError{http.StatusUnauthorized, "Log in first: the session has ended."}
			}
			http.Redirect(v.w, v.r, "/login", http.StatusSeeOther)
			return nil
		}
		v.session = s
		if v.r.Method == http.MethodPost {
			if err := v.r.ParseForm(); err != nil {
				return badForm(err)
			}
			if !s.hasToken(v.r.PostForm.Get("token")) {
				return statusError{http.StatusForbidden, "The form is not one of this session. Go back, load the page again, and repeat."}
			}
		}
		return page(v)
	}
}

func badForm(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return statusError{http.StatusRequestEntityTooLarge, "The form is larger than allowed."}
	}
	return statusError{http.StatusBadRequest, "The form cannot be read."}
}

func (h *handler) secureCookie(r *http.Request) bool { return r.TLS != nil }

// A statusError is a page with a sentence.
type statusError struct {
	status   int
	sentence string
}

func (e statusError) Error() string { return e.sentence }

// problem shows an error; what is nobody's business is in the log alone.
func (h *handler) problem(v *visit, err error) {
	var e statusError
	switch {
	case errors.As(err, &e):
	case v.r.Context().Err() != nil:
		return // the browser is gone
	case errors.Is(err, library.ErrNotFound):
		e = statusError{http.StatusNotFound, "There is no such page, or what it was about is gone."}
	case errors.Is(err, library.ErrInvalid), errors.Is(err, library.ErrInUse), errors.Is(err, library.ErrExists):
		e = statusError{http.StatusConflict, upper(err.Error()) + "."}
	default:
		h.Log.Error("a page failed", "path", v.r.URL.Path, "error", err)
		e = statusError{http.StatusInternalServerError, "The server could not do it. Its log says why."}
	}
	title := map[int]string{http.StatusNotFound: "Not found", http.StatusConflict: "That cannot be done"}[e.status]
	if title == "" {
		title = http.StatusText(e.status)
	}
	h.show(v, e.status, "error", title, e.sentence)
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// A page is what every template gets.
type page struct {
	Title string
	At    string // the part of the console: "releases"
	Token string // of the session's forms; empty before the login
	Flash string // what has just been done
	Now   time.Time
	Data  any
}

// show renders a page.
func (h *handler) show(v *visit, status int, name, title string, data any) {
	p := page{Title: title, Now: time.Now(), Data: data}
	p.At, _, _ = strings.Cut(strings.TrimPrefix(v.r.URL.Path, "/"), "/")
	if v.session != nil {
		p.Token, p.Flash = v.session.token, v.session.takeFlash()
	}
	var b bytes.Buffer
	if err := h.pages[name].ExecuteTemplate(&b, "layout", p); err != nil {
		h.Log.Error("a page could not be rendered", "page", name, "error", err)
		http.Error(v.w, "The server could not make the page. Its log says why.", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	v.w.WriteHeader(status)
	v.w.Write(b.Bytes()) //nolint:errcheck // a browser that is gone
}

// done says what was done on the next page, and goes there.
func done(v *visit, to, sentence string) error {
	v.session.setFlash(sentence)
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// id is the number in the address.
func (v *visit) id() (int64, error) {
	id, err := strconv.ParseInt(v.r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, library.ErrNotFound
	}
	return id, nil
}

// form is a field of the form, without spaces around it.
func (v *visit) form(name string) string { return strings.TrimSpace(v.r.PostForm.Get(name)) }
