package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/oracle"
)

// newTSA is a server for time stamps: openssl behind HTTP.
func newTSA(t *testing.T, p *pki) *httptest.Server {
	t.Helper()
	oracle.Need(t, "openssl")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, file("tsa.pem"), certPEM(p.tsa.cert))
	writeFile(t, file("chain.pem"), certPEM(p.middle))
	writeFile(t, file("key.pem"), keyPEM(t, p.tsa.key))
	writeFile(t, file("serial"), []byte("01\n"))
	writeFile(t, file("tsa.cnf"), fmt.Appendf(nil, `[tsa]
default_tsa = tsa1
[tsa1]
serial = %s
default_policy = 1.2.3.4
digests = sha256
signer_digest = sha256
accuracy = secs:1
ordering = yes
clock_precision_digits = 3
ess_cert_id_alg = sha256
`, file("serial")))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(file("query"), query, 0o600)
		}
		if err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
			http.Error(w, "no query", http.StatusBadRequest)
			return
		}
		cmd := exec.Command("openssl", "ts", "-reply", "-config", file("tsa.cnf"), "-queryfile", file("query"),
			"-signer", file("tsa.pem"), "-inkey", file("key.pem"), "-chain", file("chain.pem"))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		reply, err := cmd.Output()
		if err != nil {
			http.Error(w, stderr.String(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		_, _ = w.Write(reply)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestTimestamp(t *testing.T) {
	p := newPKI(t)
	srv := newTSA(t, p)
	before := time.Now().Add(-2 * time.Second)
	// A certificate that has expired by now would not do; see TestTimestampExpired.
	a := p.authenticode(p.rsa)
	a.Timestamp = srv.URL
	signed := signPE(t, a, newProgram(t))
	sig, err := verifyBytes(signed, p.roots())
	if err != nil {
		t.Fatal(err)
	}
	if sig.Timestamp.Before(before) || sig.Timestamp.After(time.Now().Add(2*time.Second)) || !sig.TimestampSigner.Equal(p.tsa.cert) {
		t.Errorf("time stamp %v by %q", sig.Timestamp, sig.TimestampSigner.Subject)
	}

	t.Run("osslsigncode", func(t *testing.T) {
		oracle.Need(t, "osslsigncode")
		root := writeFile(t, "root.pem", certPEM(p.root))
		got := output(t, "osslsigncode", "verify", "-CAfile", root, "-TSA-CAfile", root, "-in", writeFile(t, "signed.exe", signed))
		for _, want := range []string{"Signature verification: ok", "Timestamp verified using:", "Timestamp Server Signature verification: ok"} {
			if !strings.Contains(got, want) {
				t.Errorf("osslsigncode says:\n%swithout %q", got, want)
			}
		}
	})
	t.Run("tampered", func(t *testing.T) {
		// The policy in the token.
		c := bytes.Clone(signed)
		i := bytes.LastIndex(c, []byte{6, 3, 0x2a, 3, 4})
		c[i+4] = 5
		if _, err := verifyBytes(c, nil); err == nil || !strings.Contains(err.Error(), "time stamp") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("of another signature", func(t *testing.T) {
		token, err := a.timestamp(t.Context(), []byte("signature"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseToken(token, []byte("signature")); err != nil {
			t.Error(err)
		}
		if _, err := parseToken(token, []byte("another")); err == nil || !strings.Contains(err.Error(), "of another signature") {
			t.Errorf("error %v", err)
		}
	})
}

// TestTimestampTrust verifies signatures whose certificate was good when they were
// made: nobody says when without a time stamp, or with one by nobody known.
func TestTimestampTrust(t *testing.T) {
	p := newPKI(t)
	srv := newTSA(t, p)
	a := p.authenticode(p.expired)
	a.Timestamp = srv.URL
	_, err := verifyBytes(signPE(t, a, newProgram(t)), p.roots())
	if err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("time stamp after the certificate's end: %v", err)
	}
	// osslsigncode can say another time.
	oracle.Need(t, "osslsigncode")
	dir := t.TempDir()
	out := filepath.Join(dir, "out.exe")
	output(t, "osslsigncode", "sign", "-h", "sha256", "-certs", writeFile(t, filepath.Join(dir, "certs.pem"), certPEM(p.expired.cert, p.middle)),
		"-key", writeFile(t, filepath.Join(dir, "key.pem"), keyPEM(t, p.expired.key)),
		"-TSA-certs", writeFile(t, filepath.Join(dir, "tsa.pem"), certPEM(p.tsa.cert, p.middle)),
		"-TSA-key", writeFile(t, filepath.Join(dir, "tsakey.pem"), keyPEM(t, p.tsa.key)),
		"-TSA-time", fmt.Sprint(time.Now().Add(-24*time.Hour).Unix()),
		"-in", writeFile(t, filepath.Join(dir, "in.exe"), newProgram(t)), "-out", out)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := verifyBytes(b, p.roots())
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(sig.Timestamp); d < 23*time.Hour || d > 25*time.Hour {
		t.Errorf("time stamp %v", sig.Timestamp)
	}
}

// TestTimestampServers asks servers that do not do what they should.
func TestTimestampServers(t *testing.T) {
	p := newPKI(t)
	good := newTSA(t, p)
	status := func(der ...byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(der) }
	}
	var old []byte
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		tries   int
		want    string
	}{
		{"not found", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) }, 1, `it answers "404 Not Found"`},
		{"busy", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }, 3, `after 3 tries: it answers "503 Service Unavailable"`},
		{"text", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, 1, "not one of a time stamp server"},
		{"refusal", status(0x30, 10, 0x30, 8, 2, 1, 2, 0x30, 3, 0x0c, 1, 'x'), 1, `refuses with status 2: "x"`},
		{"nothing", status(0x30, 5, 0x30, 3, 2, 1, 0), 1, "no time stamp"},
		{"too long", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxTimestamp+1)) }, 1, "more than"},
		// The first answer is kept and given to the second query.
		{"replay", func(w http.ResponseWriter, r *http.Request) {
			if old == nil {
				resp, err := http.Post(good.URL, r.Header.Get("Content-Type"), r.Body)
				if err != nil {
					http.Error(w, err.Error(), http.StatusBadRequest)
					return
				}
				defer resp.Body.Close()
				old, _ = io.ReadAll(resp.Body)
			}
			_, _ = w.Write(old)
		}, 2, "for another query"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tries := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries++
				test.handler(w, r)
			}))
			defer srv.Close()
			a := &Authenticode{Timestamp: srv.URL, Client: srv.Client()}
			_, err := a.timestamp(t.Context(), []byte("signature"))
			if test.name == "replay" {
				if err != nil {
					t.Fatal(err)
				}
				_, err = a.timestamp(t.Context(), []byte("signature"))
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || tries != test.tries {
				t.Errorf("error %v after %d tries, want %q after %d", err, tries, test.want, test.tries)
			}
		})
	}

	t.Run("nobody there", func(t *testing.T) {
		srv := httptest.NewServer(http.NotFoundHandler())
		srv.Close()
		_, err := (&Authenticode{Timestamp: srv.URL}).timestamp(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "asking \""+srv.URL+"\" for a time stamp: after 3 tries: ") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
		defer srv.Close()
		if _, err := (&Authenticode{Timestamp: srv.URL}).timestamp(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
