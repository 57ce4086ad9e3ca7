//go:build linux

package wine

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/vpkg/vpkg/agent/agenttest"
)

// code is the activation code.
const code = "g00dc0de91f7a3"

// TestActivation activates in the installation, by a file with the code and by the
// code itself, and sees to it that the code is nowhere afterwards.
func TestActivation(t *testing.T) {
	for _, c := range []struct{ name, property string }{
		{"file", `ACTIVATION_FILE=C:\code.txt`},
		{"code", "ACTIVATION_CODE=" + code},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, address := serve(t)
			h := newHost(t)
			const file = `C:\code.txt`
			if c.name == "file" {
				h.write(t, file, "\ufeff"+code+"\r\n") // as PowerShell writes it
			}
			h.want(t, 0, "/i", h.bring(t, h.built(oldVersion)), "MANAGEMENT_SERVER="+address, "PROFILE_ID=2", c.property)
			h.checkInstalled(t, oldVersion, program, data)
			h.awaitHeartbeat(t, s)
			if calls := s.Calls("/activate"); len(calls) != 1 || !strings.Contains(string(calls[0].Body), `"profile_id":"2"`) {
				t.Errorf("the activation does not name the profile: %+v", calls)
			}
			if out, err := h.run("wine", program+`\illumio-ven-ctl.exe`, "agent-status"); err != nil || !strings.Contains(out, agenttest.PairingStatus) {
				t.Errorf("agent-status: %v\n%s\nwant\n%s", err, out, agenttest.PairingStatus)
			}
			if !h.exists(t, data+`\etc\agent_id.cfg`) {
				t.Errorf("the agent is not activated\n%s", h.said())
			}

			// An upgrade is no second activation.
			h.want(t, 0, "/i", h.bring(t, h.built(newVersion)))
			h.checkInstalled(t, newVersion, program, data)
			h.awaitHeartbeat(t, s)
			if n := len(s.Calls("/activate")); n != 1 {
				t.Errorf("the agent was activated %d times", n)
			}

			h.stop(t)
			if h.exists(t, file) {
				if err := h.remove(file); err != nil {
					t.Fatal(err)
				}
			}
			// Wine does not know MsiHiddenProperties: its own log has the command line.
			var logs []string
			if c.name == "code" {
				logs = []string{"msi1.log"}
			}
			h.checkSecret(t, code, logs...)
			tokens := s.Tokens()
			if len(tokens) != 1 {
				t.Fatalf("the server knows %d agents, want one", len(tokens))
			}
			h.checkSecret(t, tokens[0], "agent_token")
		})
	}
}

// TestActivationFails has a code that the server does not take: the product is
// installed all the same, and says why it is not activated.
func TestActivationFails(t *testing.T) {
	_, address := serve(t)
	h := newHost(t)
	const wrong = "wr0ngc0de44b2e8"
	h.want(t, 0, "/i", h.bring(t, h.built(oldVersion)), "MANAGEMENT_SERVER="+address, "ACTIVATION_CODE="+wrong)
	h.checkInstalled(t, oldVersion, program, data)
	if said := h.read(t, logFile); !strings.Contains(said, address+" refuses: the activation code") {
		t.Errorf("the log does not say why the agent is not activated:\n%s", said)
	}
	h.stop(t)
	h.checkSecret(t, wrong, "msi1.log")
}

// serve is a server that every host trusts that is made afterwards, until the test
// ends, and its address. (The first program of a host that asks for authorities has
// Wine fetch this machine's, for as long as the host runs.)
func serve(t *testing.T) (s *agenttest.Server, address string) {
	t.Helper()
	now := time.Now()
	cert, ca := agenttest.Certificate(t, now.Add(-time.Hour), now.Add(time.Hour), "localhost")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = &agenttest.Server{HeartbeatSeconds: 1}
	s.AddCode(code, 1)
	agenttest.ServeUntilEnd(t, s, l, cert)

	// Wine trusts whom this machine trusts. The tests have mounts of their own.
	const certificates = "/etc/ssl"
	if err := syscall.Mount("tmpfs", certificates, "tmpfs", 0, ""); err != nil {
		t.Fatalf("mounting on %s: %v", certificates, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(certificates, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", certificates, err)
		}
	})
	b, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(certificates+"/certs", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(certificates+"/certs/ca-certificates.crt", b, 0o644); err != nil {
		t.Fatal(err)
	}
	// By name, for Wine finds no address in a certificate.
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return s, net.JoinHostPort("localhost", port)
}

// awaitHeartbeat waits until the server hears of an agent that it knows.
func (h *host) awaitHeartbeat(t *testing.T, s *agenttest.Server) {
	t.Helper()
	begin := time.Now()
	eventually(t, "the agent sends a heartbeat", func() (any, bool) {
		calls := s.Calls("/heartbeat")
		return fmt.Sprintf("%v\n%s", calls, h.said()), slices.ContainsFunc(calls, func(c agenttest.Call) bool {
			return c.Time.After(begin) && c.Agent != "" && c.Status == 200
		})
	})
}

// checkSecret sees to it that just the files of these names have the secret in them,
// in whatever folder. The host has to be stopped, so that Wine has written the
// registry to its files.
func (h *host) checkSecret(t *testing.T, secret string, want ...string) {
	t.Helper()
	var wide []byte
	for _, c := range utf16.Encode([]rune(secret)) {
		wide = append(wide, byte(c), byte(c>>8))
	}
	var got []string
	err := filepath.WalkDir(h.prefix, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		if bytes.Contains(b, []byte(secret)) || bytes.Contains(b, wide) {
			got = append(got, e.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the secret %s is in the files %q, want it in %q", secret, got, want)
	}
}
