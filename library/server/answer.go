package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vpkg/vpkg/library"
)

// maxJSON bounds a small body, in bytes.
const maxJSON = 64 << 10

type errorAnswer struct {
	Error string `json:"error"`
}

// A refusal is an error with its status, and a sentence that clients may see.
type refusal struct {
	status   int
	sentence string
}

func (e refusal) Error() string { return e.sentence }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

// write answers with all of a body.
func (c *call) write(status int, contentType string, b []byte) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		c.w.Write(b) //nolint:errcheck // there is nobody to tell
	}
}

// json answers with v. It is a type of this package, which can be written.
func (c *call) json(status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	c.write(status, "application/json", append(b, '\n'))
}

func (c *call) noContent() { c.w.WriteHeader(http.StatusNoContent) }

// answerError gives an error its status. What is not meant for clients goes into the
// log alone.
func (s *Server) answerError(c *call, err error) {
	if c.w.status != 0 {
		c.err = err
		return
	}
	if r, ok := errors.AsType[refusal](err); ok {
		switch r.status {
		case http.StatusTooManyRequests:
			s.tooMany(c, r.sentence)
			return
		case http.StatusUnauthorized:
			if c.auth == authKey {
				c.w.Header().Set("WWW-Authenticate", `Basic realm="vpkg-library", charset="UTF-8"`)
			}
		}
		s.fail(c, r.status, r.sentence)
		return
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.fail(c, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has more than %d bytes", e.Limit))
		return
	}
	switch {
	case errors.Is(err, library.ErrCode):
		s.fail(c, http.StatusUnauthorized, library.ErrCode.Error())
	case isInternal(err):
		s.internal(c, err)
	case errors.Is(err, library.ErrToken):
		s.fail(c, http.StatusUnauthorized, library.ErrToken.Error())
	case errors.Is(err, library.ErrNoPolicy): // 404 would mean that there is no such agent
		s.fail(c, http.StatusConflict, library.ErrNoPolicy.Error())
	case errors.Is(err, library.ErrInvalid):
		s.fail(c, http.StatusBadRequest, oneLine(err))
	case errors.Is(err, library.ErrNotFound):
		s.fail(c, http.StatusNotFound, oneLine(err))
	case errors.Is(err, library.ErrExists), errors.Is(err, library.ErrInUse):
		s.fail(c, http.StatusConflict, conflict(err))
	default:
		s.internal(c, err)
	}
}

// internal answers what is nobody else's business.
func (s *Server) internal(c *call, err error) {
	c.err = err
	switch {
	case errors.Is(err, syscall.ENOSPC):
		s.fail(c, http.StatusInsufficientStorage, "the server has no room left")
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.fail(c, http.StatusRequestTimeout, "the request did not arrive in time")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.unavailable(c, "the request was broken off")
	default:
		s.fail(c, http.StatusInternalServerError, "the server has a problem, which is in its log")
	}
}

// isInternal reports whether an error tells of files or of the system.
func isInternal(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	var number syscall.Errno
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) || errors.As(err, &number)
}

// conflict leaves out what the Store says about its tables.
func conflict(err error) string {
	for _, e := range []error{library.ErrInUse, library.ErrExists} {
		if text, _, ok := strings.Cut(oneLine(err), e.Error()); ok {
			return text + e.Error()
		}
	}
	return library.ErrExists.Error()
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// readJSON reads a body of JSON onto v, strictly if fields that v does not have are
// to be refused.
func (s *Server) readJSON(c *call, limit int64, v any, strict bool) error {
	b, err := s.readBody(c, limit)
	if err != nil {
		return err
	}
	if err := checkJSON(b, strict); err != nil {
		return refuse(http.StatusBadRequest, "the body is not the JSON that it has to be: %v", err)
	}
	if err := decode(b, v, strict); err != nil {
		return refuse(http.StatusBadRequest, "the body is not the JSON that it has to be: %v", err)
	}
	return nil
}

// readBody reads a body that says that it is JSON: a form that another site lets a
// browser send cannot say so.
func (s *Server) readBody(c *call, limit int64) ([]byte, error) {
	if t, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return nil, refuse(http.StatusUnsupportedMediaType, "Content-Type has to be application/json")
	}
	s.boundBody(c, c.r, limit)
	return readAll(c.r)
}

// admit checks who asks, and what is common to all addresses.
func (s *Server) admit(c *call, rt route) error {
	if rt.auth == authWatch {
		return nil
	}
	if v := c.r.PathValue("v"); v != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(v, "v"))
		if err != nil || n < 1 || !version.MatchString(v) {
			return refuse(http.StatusNotFound, "there is no such version of the API; its addresses begin with /api/v1")
		}
		c.api = n
	}
	if rt.auth != authNone && !s.failures.has(c.client) {
		return refuse(http.StatusTooManyRequests, "too many failures from this address; try again later")
	}
	if rt.auth == authKey {
		if err := crossOrigin.Check(c.r); err != nil {
			return refuse(http.StatusForbidden, "a browser sends this for another site")
		}
		if err := s.checkKey(c); err != nil {
			return err
		}
	}
	if org := c.r.PathValue("org"); org != "" && org != "1" {
		return refuse(http.StatusNotFound, "there is one organization, 1")
	}
	var err error
	c.query, err = readQuery(c.r.URL.RawQuery, rt.query)
	return err
}

var (
	version     = regexp.MustCompile(`^v[0-9]{1,4}$`)
	crossOrigin = http.NewCrossOriginProtection()
)

func (s *Server) checkKey(c *call) error {
	id, secret, ok := c.r.BasicAuth()
	if !ok {
		return refuse(http.StatusUnauthorized, "an API key is needed: HTTP Basic, api_ID and its secret")
	}
	k, err := c.lib.CheckAPIKey(c.r.Context(), id, secret)
	if errors.Is(err, library.ErrToken) {
		s.failures.allow(c.client)
		s.metrics.authFailures.Inc()
		return refuse(http.StatusUnauthorized, "the API key is not valid")
	}
	if err != nil {
		return err
	}
	if !s.keys.allow(k.ID) {
		return refuse(http.StatusTooManyRequests, "more than %.0f requests in a minute with this API key", s.Limits.KeyRequests)
	}
	c.lib.Actor = k.ID
	return nil
}

// readQuery reads the parameters that there may be, each once at most.
func readQuery(raw string, names []string) (url.Values, error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the query is not well-formed")
	}
	for name, values := range q {
		if !slices.Contains(names, name) {
			return nil, refuse(http.StatusBadRequest, "there is no parameter %.40q here", name)
		}
		if len(values) > 1 {
			return nil, refuse(http.StatusBadRequest, "the parameter %s is there twice", name)
		}
	}
	return q, nil
}

// number reads a positive number in decimal digits.
func number(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == text
}

// id reads the part of the path with that name.
func (c *call) id(name string) (int64, error) {
	n, ok := number(c.r.PathValue(name))
	if !ok {
		return 0, refuse(http.StatusNotFound, "%.40q is no id", c.r.PathValue(name))
	}
	return n, nil
}

// maxResults is the most, and the default, of a list: as the product documents it.
const maxResults = 500

// page reads max_results, and the id at which a list goes on, by that name.
func (c *call) page(from string) (limit int, at int64, err error) {
	q := c.query
	limit = maxResults
	if q.Has("max_results") {
		n, ok := number(q.Get("max_results"))
		if !ok || n > maxResults {
			return 0, 0, refuse(http.StatusBadRequest, "max_results has to be 1 to %d", maxResults)
		}
		limit = int(n)
	}
	if from != "" && q.Has(from) {
		var ok bool
		if at, ok = number(q.Get(from)); !ok {
			return 0, 0, refuse(http.StatusBadRequest, "%s has to be an id", from)
		}
	}
	return limit, at, nil
}

// finish counts and logs a request. Of its address nothing is logged that could be a
// secret.
func (s *Server) finish(c *call, start time.Time) {
	if c.w.status == 0 {
		c.w.status = http.StatusOK // an empty answer
	}
	if c.route == "" {
		c.route = "none"
	}
	took := time.Since(start)
	s.metrics.observe(c, took)
	level := s.level(c)
	if !s.Log.Enabled(c.r.Context(), level) {
		return
	}
	args := []any{
		"method", clip(c.r.Method, 16), "path", redact(c.r.URL.Path), "query", redactQuery(c.r.URL.RawQuery), "status", c.w.status,
		"bytes", c.w.bytes, "ms", took.Milliseconds(), "client", c.client.String(),
	}
	if c.lib != nil && strings.HasPrefix(c.lib.Actor, "api_") {
		args = append(args, "key", c.lib.Actor)
	}
	if c.err != nil {
		args = append(args, "err", redact(c.err.Error()))
	}
	s.Log.Log(c.r.Context(), level, "request", args...) // pairs, some of which are left out
}

// secret is what may be a code, a token or a secret.
var secret = regexp.MustCompile(`[0-9A-Za-z_-]{32,}`)

func clip(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	return text
}

func redact(text string) string { return secret.ReplaceAllString(clip(text, 1024), "[redacted]") }

// redactQuery keeps the values of parameters that have no secrets.
func redactQuery(raw string) string {
	if raw == "" {
		return ""
	}
	q, err := url.ParseQuery(clip(raw, 1024))
	if err != nil {
		return "[not well-formed]"
	}
	for name := range q {
		switch name {
		case "pair_script", "profile_id", "os", "arch", "version", "name", "max_results", "after", "before":
		default:
			q[name] = []string{"-redacted-"}
		}
	}
	return redact(q.Encode())
}

// level: who watches asks every few seconds.
func (s *Server) level(c *call) slog.Level {
	switch {
	case c.w.status >= 500:
		return slog.LevelError
	case c.auth == authWatch:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
