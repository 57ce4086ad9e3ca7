//go:build linux

package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/agent/agenttest"
	"github.com/vpkg/vpkg/internal/testbed"
)

const server = "127.0.0.1:8443"

// The codes that the server takes, each as often as it likes.
const (
	goodCode  = "g00dc0de-91f7a3"
	wrongCode = "wr0ngc0de-44b2e8"
)

// TestActivation activates in the installation: the agent is active, enforces
// what the server has, tells it how it is doing, and no secret is left anywhere.
// Then it is deactivated, and activated by hand in each way to give a code.
func TestActivation(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rpm 4.18", "rpm 4.20", "dpkg 1.22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newServed(t, pick(t, name), true)
			seen := a.environments(t)
			a.activate(t, goodCode).OK(t)
			seen(goodCode)
			a.checkActive(t, "7")
			if got := status(t, a.Box, data+"/etc/agent_activation.cfg"); got != "640 root:"+account {
				t.Errorf("agent_activation.cfg is %q, want it root's and readable for the account", got)
			}
			if cfg := a.Read(t, data+"/etc/agent_activation.cfg"); !strings.Contains(cfg, "masterconfig_server: "+server+"\n") {
				t.Errorf("agent_activation.cfg does not name the server:\n%s", cfg)
			}
			a.checkNoSecret(t, goodCode)
			a.checkNoSecret(t, strings.TrimSpace(a.Read(t, data+"/etc/agent_token")), data+"/etc/agent_token")

			// The manager gets the policy while nobody is there who puts it in force.
			a.Run(t, "systemctl", "stop", "venPlatformHandler").OK(t)
			a.serve(t, policy("8", "22", "8443"))
			eventually(t, a.Box, "policy 8 is fetched", func() (string, bool) {
				got := a.Read(t, data+"/etc/policy.json")
				return got, strings.Contains(got, `"version":"8"`)
			})
			a.Run(t, "systemctl", "start", "venPlatformHandler").OK(t)
			awaitPolicy(t, a.Box, "8")
			a.awaitCall(t, "/heartbeat", `"policy_version":"8"`)
			a.checkActive(t, "8")
			a.Run(t, "systemctl", "stop", unit).OK(t)
			a.awaitCall(t, "/goodbye", "")
			a.Run(t, "systemctl", "start", unit).OK(t)
			a.checkActive(t, "8")

			a.deactivate(t)
			a.Write(t, "/root/code", goodCode+"\n")
			for _, way := range []string{
				"-m " + server + " -a " + goodCode,
				"--management-server " + server + " --activation-code-file /root/code",
				"--management-server " + server + " --activation-code-file - </root/code",
			} {
				a.Sh(t, control+" activate "+way).OK(t)
				a.checkActive(t, "8")
				a.deactivate(t)
			}
			a.Run(t, "rm", "/root/code").OK(t)
			a.checkNoSecret(t, goodCode)
			a.remove(t, a.Box).OK(t)
		})
	}
}

// TestActivationFails activates in installations that cannot be activated: each
// is a good installation all the same, and says why it is not activated.
func TestActivationFails(t *testing.T) {
	t.Parallel() // much of it is waiting
	for _, c := range []struct {
		name, generation string
		code             string
		trusted          bool   // the server's certificate is one that the host trusts
		prepare          string // shell
		want             string // in what the installation says
	}{
		{"wrong code", "rpm 4.18", wrongCode, true, "", server + " refuses: the activation code"},
		{"wrong code", "dpkg 1.22", wrongCode, true, "", server + " refuses: the activation code"},
		{"bad certificate", "rpm 4.20", goodCode, false, "", "whom this host does not trust"},
		{"bad certificate", "dpkg 1.21", goodCode, false, "", "whom this host does not trust"},
		{"server down", "rpm 4.18", goodCode, true, down + "-I" + downRule, "connection refused"},
	} {
		t.Run(c.name+"/"+c.generation, func(t *testing.T) {
			t.Parallel()
			a := newServed(t, pick(t, c.generation), c.trusted)
			if c.prepare != "" {
				a.Sh(t, c.prepare).OK(t)
			}
			r := a.activate(t, c.code)
			r.OK(t)
			if !strings.Contains(r.Stdout+r.Stderr, c.want) {
				t.Errorf("the installation does not say %q: %v", c.want, r)
			}
			if strings.Contains(r.Stdout+r.Stderr, c.code) {
				t.Errorf("the installation prints the code: %v", r)
			}
			checkInstalled(t, a.generation, a.Box, oldVersion)
			checkRunning(t, a.Box)
			if said := a.Run(t, control, "status").OK(t); !strings.Contains(said, "unpaired") {
				t.Errorf("the agent is not to be activated:\n%s", said)
			}
			if c.name == "wrong code" {
				if r := a.Run(t, program+"/bin/agent_status.sh"); r.Code != 1 {
					t.Errorf("agent_status.sh: want status 1: %v", r)
				}
				a.checkNoSecret(t, c.code)
				return
			}
			// The code waits where the service reads it, and nowhere else.
			a.checkNoSecret(t, c.code, data+"/etc/activation_code")
			if got := status(t, a.Box, data+"/etc/activation_code"); got != "600 "+account+":"+account {
				t.Errorf("the code that waits is %q, want it the account's alone", got)
			}
			if c.name != "server down" {
				return
			}
			// A new start, for by now minutes pass between two attempts.
			a.Sh(t, "systemctl restart "+unit+"; sleep 1; "+down+"-D"+downRule).OK(t)
			eventually(t, a.Box, "the service activates when the server is up", func() (string, bool) {
				return a.Read(t, data+"/log/agentmgr.log"), exists(t, a.Box, data+"/etc/agent_id.cfg")
			})
			a.checkActive(t, "7")
			a.checkNoSecret(t, c.code)
		})
	}
}

// A server that is down is one whose port answers with a reset.
const (
	down     = "iptables "
	downRule = " OUTPUT -p tcp --dport 8443 -j REJECT --reject-with tcp-reset"
)

// A served box has a server for its agent.
type served struct {
	generation
	*testbed.Box
}

func newServed(t *testing.T, g generation, trusted bool) *served {
	t.Helper()
	b := testbed.New(t, g.suite)
	b.Boot(t)
	g.seed(t, b)
	a := &served{g, b}
	b.Copy(t, "/pce", filepath.Join(testbed.Dir(t), "pce"))
	b.Write(t, "/pce/codes", goodCode+"\n")
	a.serve(t, policy("7", "22", "8443"))
	b.Sh(t, `set -e
		chmod 755 /pce/pce
		systemd-run -q --unit=pce /pce/pce --listen `+server+` --code-file /pce/codes --uses -1 --policy /pce/policy.json \
			--ca-out /pce/ca.pem --calls /pce/calls --heartbeat 1
		i=0; until [ -s /pce/ca.pem ]; do i=$((i + 1)); [ $i -lt 100 ]; sleep 0.1; done
		mkdir -p /etc/ssl/certs; touch /etc/ssl/certs/ca-certificates.crt`).OK(t)
	if trusted {
		b.Sh(t, "cat /pce/ca.pem >>/etc/ssl/certs/ca-certificates.crt").OK(t)
	}
	return a
}

// serve changes the policy that the server has.
func (a *served) serve(t *testing.T, policy string) {
	t.Helper()
	a.Write(t, "/pce/policy.new", policy)
	a.Sh(t, "mv /pce/policy.new /pce/policy.json").OK(t)
}

// activate installs and activates in one command.
func (a *served) activate(t *testing.T, code string) testbed.Result {
	t.Helper()
	return a.install(t, a.Box, a.bring(t, a.Box, oldVersion),
		"VEN_INSTALL_ACTION=activate", "VEN_MANAGEMENT_SERVER="+server, "VEN_ACTIVATION_CODE="+code)
}

// environments makes systemctl note its variables; the returned function checks
// that none of them was the code. Whoever may look at a process sees them.
func (a *served) environments(t *testing.T) (check func(code string)) {
	t.Helper()
	a.Sh(t, `set -e
		mv /usr/bin/systemctl /usr/bin/systemctl.real
		printf '#!/bin/sh\nenv >>/pce/seen\nexec /usr/bin/systemctl.real "$@"\n' >/usr/bin/systemctl
		chmod 755 /usr/bin/systemctl`).OK(t)
	return func(code string) {
		t.Helper()
		a.Sh(t, "mv /usr/bin/systemctl.real /usr/bin/systemctl").OK(t)
		if seen := a.Read(t, "/pce/seen"); !strings.Contains(seen, "PATH=") || strings.Contains(seen, code) {
			t.Errorf("the code is in the environment of what the installation starts, or nothing was noted:\n%s", seen)
		}
	}
}

func (a *served) checkActive(t *testing.T, version string) {
	t.Helper()
	awaitPolicy(t, a.Box, version)
	eventually(t, a.Box, "the status is that of an agent that enforces policy "+version, func() (string, bool) {
		said := a.Run(t, control, "status")
		return said.Stdout, said.Code == 0 && strings.Contains(said.Stdout, "Agent state: enforced\nPolicy: "+version+"\n")
	})
	if rules := a.Run(t, "nft", "list", "table", "inet", "ILO-FILTER"); !strings.Contains(rules.Stdout, "8443") {
		t.Errorf("the server's policy is not in force: %v", rules)
	}
	if r := a.Run(t, program+"/bin/agent_status.sh"); r.Code != 0 || r.Stdout != agenttest.PairingStatus {
		t.Errorf("agent_status.sh: %v, want\n%s", r, agenttest.PairingStatus)
	}
}

// awaitCall waits until the server was called so after now.
func (a *served) awaitCall(t *testing.T, path, body string) {
	t.Helper()
	before := strings.Count(a.Read(t, "/pce/calls"), "\n")
	eventually(t, a.Box, "the server is called: "+path+" "+body, func() (string, bool) {
		calls := strings.Split(strings.TrimSpace(a.Read(t, "/pce/calls")), "\n")
		for _, line := range calls[max(0, min(before-1, len(calls))):] {
			var call struct {
				Path   string
				Body   json.RawMessage
				Status int
			}
			if err := json.Unmarshal([]byte(line), &call); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if strings.HasSuffix(call.Path, path) && strings.Contains(string(call.Body), body) && call.Status < 300 {
				return line, true
			}
		}
		return strings.Join(calls[max(0, len(calls)-5):], "\n"), false
	})
}

// deactivate makes the host its own again.
func (a *served) deactivate(t *testing.T) {
	t.Helper()
	a.Run(t, control, "deactivate").OK(t)
	if said := a.Run(t, control, "status").OK(t); !strings.Contains(said, "Agent state: unpaired\n") {
		t.Errorf("after the deactivation:\n%s", said)
	}
	if tables := a.Run(t, "nft", "list", "tables").OK(t); strings.Contains(tables, "ILO-") {
		t.Errorf("after the deactivation the policy is in force:\n%s", tables)
	}
	for _, name := range []string{"agent_id.cfg", "agent_token", "activation_code", "policy.json"} {
		if exists(t, a.Box, data+"/etc/"+name) {
			t.Errorf("the deactivation leaves %s", name)
		}
	}
}

// checkNoSecret searches all that was written in the box, the journal, and what
// processes show of themselves, but for the files that may hold the secret and the
// server's own.
func (a *served) checkNoSecret(t *testing.T, secret string, allowed ...string) {
	t.Helper()
	a.Write(t, "/pce/secret", secret) // not an argument: that of grep would be found
	upper := filepath.Join(filepath.Dir(a.Path("/")), "upper")
	files := 0
	err := filepath.WalkDir(upper, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, upper)
		switch {
		case err != nil:
			return err
		case d.IsDir() && name == "/pce":
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		found := strings.Contains(string(b), secret)
		for _, may := range allowed {
			found = found && name != may
		}
		if found {
			t.Errorf("a secret is in the file %s", name)
		}
		return nil
	})
	if err != nil || files < 50 {
		t.Fatalf("%d files were searched: %v", files, err)
	}
	r := a.Sh(t, `
		grep -lraF -D skip -f /pce/secret /run /tmp /dev/shm 2>/dev/null
		for p in /proc/[0-9]*; do
			grep -qaF -f /pce/secret $p/cmdline $p/environ 2>/dev/null && tr '\0' ' ' <$p/cmdline
		done
		journalctl --no-pager -o export | grep -aF -f /pce/secret
		rm /pce/secret`)
	if r.Stdout != "" {
		t.Errorf("a secret is in\n%s", r.Stdout)
	}
}
