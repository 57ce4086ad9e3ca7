package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// Time limits of one request, from the name's resolution to the answer's last byte.
const (
	requestTimeout = 30 * time.Second
	policyTimeout  = 2 * time.Minute
	dialTimeout    = 10 * time.Second
)

// maxCAFile bounds a file of certificates, in bytes. The bundle of a distribution
// has some 250 KB.
const maxCAFile = 16 << 20

var (
	// ErrCode is in the error of an activation whose code the server refused.
	ErrCode = errors.New("activation code refused")
	// ErrUnknownAgent is in the error of a request of an agent that the server
	// does not know (any more).
	ErrUnknownAgent = errors.New("unknown agent")
)

// A Client speaks to the server. Its errors are *ServerError.
type Client struct {
	server  string
	proxy   string
	version string
	http    *http.Client
}

// NewClient prepares a client; nothing is sent yet. version is the product's.
func NewClient(c ActivationConfig, version string) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: c.Insecure, //nolint:gosec // only when the administrator asked for it, who is told at every use
	}
	if c.CAFile != "" {
		pool, err := certificates(c.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	// The proxy is the configuration's alone. Services do not see the variables
	// of the shell in which somebody tried; so activation writes it down.
	var proxy func(*http.Request) (*url.URL, error)
	if c.Proxy != "" {
		proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: c.Proxy})
	}
	return &Client{
		server:  c.Server,
		proxy:   c.Proxy,
		version: version,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:                  proxy,
				DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
				TLSClientConfig:        config,
				TLSHandshakeTimeout:    dialTimeout,
				MaxResponseHeaderBytes: maxSmallFile,
				// One connection for the few requests that follow each other.
				MaxIdleConns: 1, IdleConnTimeout: dialTimeout,
			},
			// A redirect would carry the code or the token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// certificates are those of a file, in the place of the system's.
func certificates(name string) (*x509.CertPool, error) {
	text, err := ReadCertificates(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool, nil
}

// ReadCertificates reads a file of PEM certificates.
func ReadCertificates(name string) ([]byte, error) {
	// Root reads the file whose name the agent's account can have chosen:
	// nothing of it goes into a message, and a pipe does not hang us.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the CA certificates: %w", err)
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the CA certificates: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCAFile))
	if err != nil {
		return nil, fmt.Errorf("reading the CA certificates: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading the CA certificates: %s has no PEM certificate", name)
	}
	return text, nil
}

// Close closes what is open to the server.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Activate makes the host an agent. A code that the server refuses is ErrCode.
func (c *Client) Activate(ctx context.Context, r ActivateRequest) (Activation, error) {
	var a Activation
	err := c.do(ctx, request{
		method: http.MethodPost, path: "/activate", body: r, secret: r.Code,
		want: http.StatusCreated, limit: MaxPolicyAnswer, answer: &a,
	})
	if e, ok := errors.AsType[*ServerError](err); ok && e.Status == http.StatusUnauthorized {
		e.Err = ErrCode
	}
	if err != nil {
		return Activation{}, err
	}
	if err := a.Identity().validate(); err != nil {
		return Activation{}, c.unusable(err)
	}
	if a.Policy != nil {
		if err := a.Policy.Validate(); err != nil {
			return Activation{}, c.unusable(err)
		}
	}
	return a, nil
}

// Heartbeat reports how the agent is doing.
func (c *Client) Heartbeat(ctx context.Context, id Identity, r HeartbeatRequest) (Heartbeat, error) {
	var h Heartbeat
	err := c.agent(ctx, id, request{
		method: http.MethodPost, path: "/heartbeat", body: r,
		want: http.StatusOK, limit: MaxAnswer, answer: &h,
	})
	return h, err
}

// Policy asks for the policy.
func (c *Client) Policy(ctx context.Context, id Identity) (Policy, error) {
	var a PolicyAnswer
	if err := c.agent(ctx, id, request{
		method: http.MethodGet, path: "/policy", timeout: policyTimeout,
		want: http.StatusOK, limit: MaxPolicyAnswer, answer: &a,
	}); err != nil {
		return Policy{}, err
	}
	if err := a.Policy.Validate(); err != nil {
		return Policy{}, c.unusable(err)
	}
	return a.Policy, nil
}

// Goodbye says that the agent stops for a while.
func (c *Client) Goodbye(ctx context.Context, id Identity) error {
	return c.agent(ctx, id, request{method: http.MethodPost, path: "/goodbye", want: http.StatusNoContent, limit: MaxAnswer})
}

// Deactivate says that the agent is none any more.
func (c *Client) Deactivate(ctx context.Context, id Identity) error {
	return c.agent(ctx, id, request{method: http.MethodPost, path: "/deactivate", want: http.StatusNoContent, limit: MaxAnswer})
}

// agent sends a request about the agent itself.
func (c *Client) agent(ctx context.Context, id Identity, r request) error {
	if err := id.validate(); err != nil {
		return err
	}
	r.path = "/agents/" + id.AgentID + r.path
	r.token, r.secret = id.Token, id.Token
	err := c.do(ctx, r)
	if e, ok := errors.AsType[*ServerError](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
		e.Err = ErrUnknownAgent
		e.Text += "; if the agent was removed there, deactivate it here and activate it again"
	}
	return err
}

// A request is one question and the answer that is wanted.
type request struct {
	method, path string
	token        string
	secret       string        // is taken out of what the server says
	body         any           // nil means none
	timeout      time.Duration // 0 means requestTimeout
	want         int           // status
	limit        int64         // bytes of the answer
	answer       any           // nil means that nothing is read
}

func (c *Client) do(ctx context.Context, r request) error {
	if r.timeout == 0 {
		r.timeout = requestTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var body io.Reader // a nil *bytes.Reader would be none
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	u := url.URL{Scheme: "https", Host: c.server, Path: APIPath + r.path} // which knows how a zone of IPv6 is written
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "vpkg-agent/"+c.version)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close() // only read
	if resp.StatusCode != r.want {
		return c.refused(resp, r.secret)
	}
	if r.answer == nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, r.limit+1))
	if err != nil {
		return c.explain(err)
	}
	if int64(len(text)) > r.limit {
		return c.unusable(fmt.Errorf("its answer has more than %d bytes", r.limit))
	}
	if err := json.Unmarshal(text, r.answer); err != nil {
		return c.unusable(errors.New("its answer is not the JSON that was expected")) // the cause can quote the answer
	}
	return nil
}

// refused is the error of an answer of another status than the wanted one.
func (c *Client) refused(resp *http.Response, secret string) *ServerError {
	e := &ServerError{Server: c.server, Status: resp.StatusCode}
	switch status := resp.StatusCode; {
	case status >= 300 && status < 400:
		e.Text = "answers with a redirection, which is not followed"
		return e
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		e.Retry = true
	}
	verb := "refuses"
	if e.Retry {
		verb = "cannot now"
	}
	said := http.StatusText(e.Status)
	var answer ErrorAnswer
	if text, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer)); err == nil && json.Unmarshal(text, &answer) == nil && answer.Error != "" {
		said = answer.Error
	}
	if secret != "" { // of a server that repeats what it was sent
		said = strings.ReplaceAll(said, secret, "[redacted]")
	}
	e.Text = fmt.Sprintf("%s: %s (status %d)", verb, clip(said), e.Status)
	return e
}

// unusable is the error of an answer that no server of this protocol gives.
func (c *Client) unusable(err error) *ServerError {
	return &ServerError{Server: c.server, Text: "is no server for this agent, or a broken one: " + err.Error(), Err: err, Retry: true}
}
