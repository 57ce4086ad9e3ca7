package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/vpkg/vpkg/agent/agenttest"
)

// These tests activate the product in a box, against a server in the same box.

const (
	testCode = "1c0dec0dec0de"
	agentBin = "/opt/illumio_ven/bin/vpkg-agent"
	server   = "127.0.0.1:8443"
)

// buildServer compiles the server, once.
var buildServer = sync.OnceValues(func() ([]byte, error) {
	cmd := exec.Command("go", "build", "-o", "/dev/stdout", "../../e2e/pce")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return cmd.Output()
})

// serve starts the server in the box. It knows testCode, for one use.
func (h host) serve(options ...string) {
	h.t.Helper()
	if _, err := os.ReadDir("../../e2e/pce"); err != nil { // an input, for go's cache of results
		h.t.Fatal(err)
	}
	program, err := buildServer()
	if err != nil {
		h.t.Fatal(err)
	}
	h.Write(h.t, "/root/pce", string(program))
	h.Write(h.t, "/root/code", testCode+"\n")
	h.Write(h.t, "/root/pce.sh", `cd /root
: >pce.out
setsid ./pce --listen `+server+` --code-file code --policy policy.json --ca-out ca.pem --calls calls --heartbeat 1 "$@" >pce.out 2>pce.err </dev/null &
echo $! >pce.pid
for i in 1 2 3 4 5 6 7 8 9 10; do grep -q listening pce.out && exit; sleep 0.1; done
cat pce.err >&2
exit 1
`)
	h.Sh(h.t, "chmod +x /root/pce").OK(h.t)
	h.Run(h.t, append([]string{"sh", "/root/pce.sh"}, options...)...).OK(h.t)
}

func (h host) stopServer() {
	h.t.Helper()
	h.Sh(h.t, "kill $(cat /root/pce.pid); while grep -q ':20FB 00000000:0000 0A' /proc/net/tcp; do sleep 0.05; done").OK(h.t) // port 8443
}

// calls are those that the server has answered, by the end of their path.
func (h host) calls(end string) []agenttest.Call {
	h.t.Helper()
	var calls []agenttest.Call
	for line := range strings.Lines(h.Sh(h.t, "cat /root/calls 2>/dev/null").Stdout) {
		var c agenttest.Call
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			h.t.Fatal(err)
		}
		if strings.HasSuffix(c.Path, end) {
			calls = append(calls, c)
		}
	}
	return calls
}

// noCode looks for the code in everything that there is.
func (h host) noCode() {
	h.t.Helper()
	h.Write(h.t, "/pattern", testCode+"\n")
	if found := h.Sh(h.t, `grep -rlFf /pattern --exclude=code /opt /etc /run /tmp /var /root
grep -lFf /pattern /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null`).Stdout; found != "" {
		h.t.Errorf("the code is in\n%s", found)
	}
}

func (h host) files() string {
	h.t.Helper()
	return h.Sh(h.t, "cd /opt/illumio_ven_data/etc && for f in $(ls -A); do stat -c '%n %U:%G %a' $f; done").OK(h.t)
}

func TestActivate(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Run(t, "sh", "/root/setup").OK(t)
	h.Write(t, "/root/policy.json", `{"version":"7","enforcement_mode":"idle"}`)
	h.serve()

	equal(t, "nothing to activate with", h.Run(t, agentBin, "activate").Fails(t), "vpkg-agent: activating: no server is named: give --management-server\n")
	equal(t, "no code", h.Run(t, agentBin, "activate", "--management-server", server).Fails(t), "vpkg-agent: activating: there is no activation code: give --activation-code-file\n")
	r := h.Run(t, agentBin, "activate", "--management-server", server, "--activation-code", testCode)
	if r.Code != 2 || !strings.Contains(r.Stderr, "pass it by --activation-code-file or standard input") || strings.Contains(r.Stderr, testCode) {
		t.Errorf("code on the command line: %s", r)
	}
	equal(t, "files after that", h.files(), "")

	// An authority that is not known: the code is kept, for the service.
	r = h.Sh(t, "printf '"+testCode[:5]+"%s\\n' "+testCode[5:]+" | "+agentBin+" activate --management_server "+server+" --activation_code_file - --profile-id 9 --role 'Web Server'")
	if r.Code != 1 || !strings.Contains(r.Stderr, "give the authority's certificate with --ca-file; the service goes on trying\n") {
		t.Errorf("unknown authority: %s", r)
	}
	equal(t, "files before", h.files(), `activation_code ilo-ven:ilo-ven 600
activation_request ilo-ven:ilo-ven 600
agent_activation.cfg root:ilo-ven 640
`)

	// The profile was of that code, and not of another one.
	const profile = "grep -c '^profile_id: 9$' /opt/illumio_ven_data/etc/agent_activation.cfg"
	equal(t, "with its profile", h.Sh(t, profile).OK(t), "1\n")
	h.Sh(t, "printf '"+testCode[:5]+"%s\\n' "+testCode[5:]+" | "+agentBin+" activate --activation_code_file - --timeout 2s").Fails(t)
	equal(t, "another code", h.Sh(t, profile).Stdout, "0\n")

	// What the child sees.
	h.Sh(t, "cd /opt/illumio_ven/bin && mv vpkg-hook vpkg-hook.real").OK(t)
	h.Write(t, "/opt/illumio_ven/bin/vpkg-hook", "#!/bin/sh\n{ echo \"$@\"; env; } >>/root/child\nexec /opt/illumio_ven/bin/vpkg-hook.real \"$@\"\n")
	h.Sh(t, "chmod 755 /opt/illumio_ven/bin/vpkg-hook").OK(t)
	r = h.Env(t, []string{"VEN_ACTIVATION_CODE=" + testCode, "VEN_MANAGEMENT_SERVER=" + server}, agentBin, "activate", "--ca-file", "/root/ca.pem", "--role", "Web Server")
	equal(t, "activate", r.OK(t), "VEN has been SUCCESSFULLY paired with "+server+"\n")
	equal(t, "files after", h.files(), `agent_activation.cfg root:ilo-ven 640
agent_ca.pem ilo-ven:ilo-ven 640
agent_id.cfg ilo-ven:ilo-ven 640
agent_token ilo-ven:ilo-ven 600
policy.json ilo-ven:ilo-ven 640
`)
	if child := h.Read(t, "/root/child"); !strings.HasPrefix(child, "platform apply\n") || strings.Contains(child, "VEN_") {
		t.Errorf("the child was started with %s", child)
	}
	equal(t, "again", h.Run(t, agentBin, "activate").OK(t), "The VEN is already activated\n")

	// The service reports, and takes another policy.
	h.ctl(0, "start")
	h.await("heartbeat", func() bool { return len(h.calls("/heartbeat")) > 0 })
	h.Sh(t, `echo '{"version":"8","enforcement_mode":"visibility_only"}' >/root/policy.new && mv /root/policy.new /root/policy.json`).OK(t)
	h.await("policy 8", func() bool { return strings.Contains(h.Read(t, "/opt/illumio_ven_data/etc/policy.json"), `"8"`) })
	h.await("policy 8 in force", func() bool {
		calls := h.calls("/heartbeat")
		return strings.Contains(string(calls[len(calls)-1].Body), `"policy_version":"8"`)
	})
	equal(t, "connectivity", h.Run(t, agentBin, "connectivity-test").OK(t), server+" answers\n")

	// The administrator's own account takes the place of the package's.
	h.Run(t, "useradd", "-r", "-U", "agent").OK(t)
	h.Env(t, []string{"VEN_NONPRIV_USER=agent"}, "/opt/illumio_ven/bin/vpkg-hook.real", "post-install", "--format", "rpm", "--", "2").OK(t)
	h.ctl(0, "restart")
	beats := len(h.calls("/heartbeat"))
	h.await("heartbeat of another account", func() bool { return len(h.calls("/heartbeat")) > beats+1 })
	equal(t, "files of another account", h.files(), `agent_activation.cfg root:ilo-ven 640
agent_ca.pem agent:ilo-ven 640
agent_id.cfg agent:ilo-ven 640
agent_token agent:ilo-ven 600
policy.json agent:ilo-ven 640
`)
	h.ctl(0, "stop")
	if n := len(h.calls("/goodbye")); n < 2 {
		t.Errorf("%d goodbyes, want one for the restart and one for the stop", n)
	}
	h.noCode()

	equal(t, "deactivate", h.Run(t, agentBin, "deactivate").OK(t), "The VEN has been deactivated\n")
	equal(t, "files at the end", h.files(), "")
	equal(t, "deactivations", len(h.calls("/deactivate")), 1)
	equal(t, "deactivate again", h.Run(t, agentBin, "deactivate").OK(t), "The VEN is not activated\n")
	h.stopServer()
}

// The server comes up after the installation has given up.
func TestActivateLater(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Boot(t)
	h.Run(t, "sh", "/root/setup").OK(t)
	h.serve("--not-before", "1h", "--not-after", "2h") // the clock of the host is wrong
	h.ctl(0, "start")
	activate := []string{agentBin, "activate", "--management-server", server, "--ca-file", "/root/ca.pem", "--activation-code-file", "/root/code", "--timeout", "2s"}
	if out := h.Run(t, activate...).Fails(t); !strings.Contains(out, "has a certificate that is not valid yet: ") || !strings.Contains(out, "the clock of this host says ") {
		t.Errorf("clock behind: %s", out)
	}
	h.stopServer()
	if out := h.Run(t, activate...).Fails(t); !strings.Contains(out, "nothing listens there (connection refused); the service goes on trying\n") {
		t.Errorf("server down: %s", out)
	}
	h.serve() // with another authority, whom the service is told of
	h.Sh(t, "cat /root/ca.pem >/opt/illumio_ven_data/etc/agent_ca.pem").OK(t)
	h.await("the service activates", func() bool {
		return strings.Contains(h.Read(t, "/opt/illumio_ven_data/log/agentmgr.log"), "msg=activated")
	})
	if out := h.Run(t, "systemctl", "show", "-P", "StatusText", "venAgentMgr").OK(t); !strings.Contains(out, "activated by "+server) {
		t.Errorf("status of venAgentMgr: %s", out)
	}
	equal(t, "activate", h.Run(t, activate...).OK(t), "The VEN is already activated\n")
	h.Sh(t, "journalctl >/tmp/journal").OK(t)
	h.noCode()
	h.ctl(0, "stop")
	h.stopServer()
}

// A code that is wrong is said to be, and gone.
func TestActivateWrongCode(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Run(t, "sh", "/root/setup").OK(t)
	h.serve("--uses", "0")
	out := h.Run(t, agentBin, "activate", "--management-server", server, "--ca-file", "/root/ca.pem", "--activation-code-file", "/root/code").Fails(t)
	equal(t, "message", out, "vpkg-agent: activating: "+server+" refuses: the activation code is not valid (status 401); the code is erased\n")
	h.noCode()

	// The variable is not there when the service starts, so it is written down.
	r := h.Env(t, []string{"HTTPS_PROXY=http://127.0.0.1:1"}, agentBin, "activate", "--management-server", "pce.invalid:8443", "--activation-code-file", "/root/code", "--timeout", "1s")
	if !strings.Contains(r.Fails(t), "pce.invalid:8443 cannot be reached: its proxy cannot: connection refused (by the proxy 127.0.0.1:1); the service goes on trying") {
		t.Errorf("proxy of the environment: %s", r)
	}
	if cfg := h.Read(t, "/opt/illumio_ven_data/etc/agent_activation.cfg"); !strings.Contains(cfg, "\nproxy_server: 127.0.0.1:1\n") {
		t.Errorf("configuration is %s", cfg)
	}
	equal(t, "insecure", strings.Contains(h.Run(t, agentBin, "activate", "--management-server", server, "--insecure", "--activation-code-file", "/root/code").Fails(t),
		"vpkg-agent: warning: INSECURE: the certificate of "+server+" is not checked"), true)
	h.stopServer()
}
