package server

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// piece is how much is sent before the time limit is moved, in bytes. It is small for
// slow clients, and large enough to cost the others nothing.
const piece = 256 << 10

// A response is a ResponseWriter that knows what was sent, and moves its time limit
// while something is. Files still go through the kernel alone (io.ReaderFrom).
type response struct {
	http.ResponseWriter
	rc     *http.ResponseController
	stall  time.Duration
	status int // 0 means that nothing was sent
	bytes  int64
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush is for those who ask for an http.Flusher.
func (w *response) Flush() { w.rc.Flush() }

// extend moves the time limit. Where there is none, as in a test, that is no matter.
func (w *response) extend() {
	w.rc.SetWriteDeadline(time.Now().Add(w.stall)) //nolint:errcheck // a test's recorder has none
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.extend()
	n, err := w.ResponseWriter.Write(b) //nolint:gosec // what it is, is said by who writes it
	w.bytes += int64(n)
	return n, err
}

// ReadFrom sends a file in pieces, each of which has the time limit for itself.
func (w *response) ReadFrom(r io.Reader) (sent int64, err error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	rest := int64(-1) // unknown
	if l, ok := r.(*io.LimitedReader); ok {
		r, rest = l.R, l.N
		defer func() { l.N -= sent }()
	}
	// net/http knows *os.File within one LimitedReader, and no deeper.
	for rest != 0 {
		one := int64(piece)
		if rest > 0 {
			one = min(one, rest)
		}
		w.extend()
		n, err := io.Copy(w.ResponseWriter, &io.LimitedReader{R: r, N: one})
		sent += n
		w.bytes += n
		if err != nil || n < one {
			return sent, err
		}
		if rest > 0 {
			rest -= n
		}
	}
	return sent, nil
}

// A probe is told what the mux would answer.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header {
	if p.header == nil {
		p.header = http.Header{}
	}
	return p.header
}
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(status int)      { p.status = status }

// A body is a request's, with a time limit that ends with it: what watches the
// connection afterwards would take an old one for the end of it.
type body struct {
	io.ReadCloser
	rc    *http.ResponseController
	stall time.Duration // 0 means that the limit is not moved
}

func (b body) Read(p []byte) (int, error) {
	if b.stall != 0 {
		b.rc.SetReadDeadline(time.Now().Add(b.stall)) //nolint:errcheck // as extend
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		b.rc.SetReadDeadline(time.Time{}) //nolint:errcheck // as extend
	}
	return n, err
}

// boundBody sets the limits of a small body.
func (s *Server) boundBody(c *call, r *http.Request, limit int64) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	c.w.rc.SetReadDeadline(time.Now().Add(s.Limits.Body)) //nolint:errcheck // as extend
	r.Body = body{ReadCloser: http.MaxBytesReader(c.w.ResponseWriter, r.Body, limit), rc: c.w.rc}
}

// boundUpload sets those of a large one, which may take its time.
func (s *Server) boundUpload(c *call) {
	c.r.Body = body{ReadCloser: http.MaxBytesReader(c.w.ResponseWriter, c.r.Body, s.Limits.Upload), rc: c.w.rc, stall: s.Limits.Stall}
}
