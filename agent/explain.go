package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// A ServerError is a request that did not go well, in words for the person who
// has to do something about it.
type ServerError struct {
	Server string // HOST:PORT
	Status int    // of the answer; 0 without one
	Text   string // follows the server's name
	Retry  bool   // it may go well in a moment
	Err    error  // the cause, if there is one
}

// Error is the sentence.
func (e *ServerError) Error() string { return e.Server + " " + e.Text }

// Unwrap gives the cause.
func (e *ServerError) Unwrap() error { return e.Err }

// explain says what a failed connection means. Causes are in no message: they
// have addresses and paths, and nothing that helps.
func (c *Client) explain(err error) *ServerError {
	e := &ServerError{Server: c.server, Err: err, Retry: true}
	if text := certificateProblem(err, time.Now()); text != "" {
		e.Text, e.Retry = text, false
		return e
	}
	var (
		header  tls.RecordHeaderError
		resolve *net.DNSError
		op      *net.OpError
		timeout net.Error
	)
	switch {
	case errors.As(err, &header), errors.Is(err, http.ErrSchemeMismatch):
		e.Text = "does not speak TLS"
	case errors.As(err, &op) && op.Op == "remote error": // crypto/tls's name for an alert
		e.Text = "refuses the TLS connection: " + clip(op.Err.Error())
	case errors.As(err, &op) && op.Op == "proxyconnect": // net/http's name for not reaching it
		e.Text = "cannot be reached: its proxy cannot: " + clip(innermost(op.Err).Error())
	case errors.As(err, &resolve):
		e.Text = fmt.Sprintf("cannot be reached: the name %q cannot be resolved", clip(resolve.Name))
	case isRefused(err):
		e.Text = "cannot be reached: nothing listens there (connection refused)"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Text = "does not answer in time"
	case errors.Is(err, context.Canceled):
		e.Text = "was not waited for"
	default:
		e.Text = "cannot be reached: " + clip(innermost(err).Error())
	}
	if c.proxy != "" {
		e.Text += " (by the proxy " + c.proxy + ")"
	}
	return e
}

// certificateProblem is empty unless the server's certificate is what is wrong.
func certificateProblem(err error, now time.Time) string {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		roots     x509.SystemRootsError
		verify    *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		// x509 has one reason for both.
		what := "has expired"
		if now.Before(invalid.Cert.NotBefore) {
			what = "is not valid yet"
		}
		return fmt.Sprintf("has a certificate that %s: it is valid from %s to %s, and the clock of this host says %s", what,
			stamp(invalid.Cert.NotBefore), stamp(invalid.Cert.NotAfter), stamp(now))
	case errors.As(err, &authority):
		issuer := "an unknown authority"
		if authority.Cert != nil {
			issuer = fmt.Sprintf("%q", clip(authority.Cert.Issuer.String()))
		}
		return fmt.Sprintf("has a certificate by %s, whom this host does not trust: if that is right, give the authority's certificate with --ca-file", issuer)
	case errors.As(err, &host):
		names := host.Certificate.DNSNames
		for _, ip := range host.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
		return fmt.Sprintf("has a certificate for %s, not for %q", clip(strings.Join(names, ", ")), host.Host)
	case errors.As(err, &roots):
		return "cannot be checked, for this host has no CA certificates: install them (package ca-certificates), or give a file with --ca-file"
	case errors.As(err, &verify), errors.As(err, &invalid):
		return "has a certificate that is not good: " + clip(innermost(err).Error())
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
