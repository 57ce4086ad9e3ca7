//go:build linux

package e2e

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

const (
	control = program + "/illumio-ven-ctl"
	report  = "/tmp/illumio-ven-report.tgz"
)

// TestUnpair unpairs in each way: package, data, account and state are gone, and
// the firewall is what was asked for.
func TestUnpair(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rpm 4.18", "dpkg 1.22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newFilteredHost(t, pick(t, name), iptablesService("nft"))

			h.pair(t)
			r := h.Run(t, control, "unpair")
			if r.Code != 2 || !strings.Contains(r.Stderr, "unpair saved|recommended|open") {
				t.Errorf("without a way the help and status 2 are to be the answer: %v", r)
			}
			h.checkPolicy(t)
			h.Run(t, "ln", "-s", "/root/precious", report).OK(t) // who can write /tmp can do so
			h.Write(t, "/root/precious", "precious")
			h.unpair(t, "saved")
			h.checkBack(t)
			if got := h.Read(t, "/root/precious"); got != "precious" {
				t.Error("the report is written where a link in /tmp leads")
			}
			h.checkReport(t)

			h.pair(t)
			h.checkChanged(t)

			h.pair(t)
			h.unpair(t, "recommended", "noreport")
			h.checkRecommended(t)
			h.Shutdown(t) // until the next boot, that is
			h.Boot(t)
			h.outside(t)
			h.checkBack(t)

			h.pair(t)
			h.unpair(t, "open", "noreport")
			if own := h.Sh(t, h.service.own).Stdout; own != "" {
				t.Errorf("after unpair open the host's rules are in force:\n%s", own)
			}
			for _, port := range []string{openPort, shutPort, hostPort} {
				if !h.reachable(t, "10.77.0.1:"+port) {
					t.Errorf("after unpair open port %s cannot be reached", port)
				}
			}
			if got := h.Run(t, "nft", "list", "tables").OK(t); strings.Contains(got, "ILO-") {
				t.Errorf("tables of the product's are left:\n%s", got)
			}
			if now := section(snapshot(t, h.Box), "services"); !strings.Contains(now, "iptables disabled inactive") {
				t.Errorf("unpair open leaves a service that would filter at the next boot:\n%s", now)
			}
		})
	}
}

// secret is in the places where an activation leaves secrets.
const secret = "5ec4e7-0f-th3-4g3nt"

// pair installs and does as if the agent were activated and had got a policy.
func (h *filteredHost) pair(t *testing.T) {
	t.Helper()
	h.Sh(t, "rm -f "+report).OK(t)
	h.install(t, h.Box, h.old).OK(t)
	h.Sh(t, "systemctl stop venAgentMgr; echo "+secret+" >"+data+"/etc/agent_token; chown ilo-ven "+data+"/etc/agent_token").OK(t)
	enforce(t, h.Box, policy("7", openPort))
}

// unpair unpairs and checks that nothing of the product is left.
func (h *filteredHost) unpair(t *testing.T, args ...string) {
	t.Helper()
	r := h.Run(t, append([]string{control, "unpair"}, args...)...)
	if r.Code != 0 {
		t.Errorf("unpair %s: %v", args[0], r)
	}
	h.checkGone(t)
}

func (h *filteredHost) checkGone(t *testing.T) {
	t.Helper()
	if v := h.version(t, h.Box); v != "" {
		t.Errorf("%s is still installed", v)
	}
	for _, path := range []string{program, data, "/var/lib/vpkg", logFile} {
		if exists(t, h.Box, path) {
			t.Errorf("unpairing leaves %s:\n%s", path, h.Run(t, "find", path).Stdout)
		}
	}
	if hasAccount(t, h.Box, account) || h.Run(t, "getent", "group", account).Code == 0 {
		t.Error("unpairing leaves the account or its group")
	}
	checkStopped(t, h.Box)
	if r := h.Sh(t, "ls -d /etc/systemd/system/*/* /usr/lib/systemd/system/* /run/illumio-ven | grep -i -e illumio -e /ven"); r.Stdout != "" {
		t.Errorf("unpairing leaves\n%s", r.Stdout)
	}
}

// checkChanged unpairs after somebody has changed what the product had changed:
// that is left, and told.
func (h *filteredHost) checkChanged(t *testing.T) {
	t.Helper()
	h.Sh(t, `set -e
		systemctl stop illumio-ven # or it would put the policy back
		sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=1000
		systemctl mask -q ip6tables
		iptables -A INPUT -s 198.51.100.2/32 -j DROP`).OK(t)
	r := h.Run(t, control, "unpair", "saved", "noreport")
	rules := h.Run(t, "iptables-nft-save", "-t", "filter").OK(t)
	if !strings.Contains(rules, "198.51.100.2/32 -j DROP") || strings.Contains(rules, "multiport") {
		t.Errorf("rules that somebody else has changed are not left so:\n%s", rules)
	}
	if got := strings.TrimSpace(h.Run(t, "sysctl", "-n", "net.netfilter.nf_conntrack_tcp_timeout_established").OK(t)); got != "1000" {
		t.Errorf("the setting that somebody else has changed is now %s", got)
	}
	if now := section(snapshot(t, h.Box), "services"); !strings.Contains(now, "ip6tables masked inactive") || !strings.Contains(now, "iptables enabled active") {
		t.Errorf("of the services one was masked by somebody else; they are:\n%s", now)
	}
	for _, what := range []string{"the filter rules of iptables-nft: somebody", "ip6tables.service: somebody"} {
		if !strings.Contains(r.Stdout+r.Stderr, what) {
			t.Errorf("unpair does not say that it leaves %s: %v", what, r)
		}
	}
	// Back to how it was, for those who come next.
	h.Sh(t, `set -e
		rm -rf /var/lib/vpkg `+logFile+`
		systemctl unmask -q ip6tables
		systemctl enable -q iptables ip6tables`).OK(t)
	h.Shutdown(t)
	h.Boot(t)
	h.outside(t)
	h.checkGone(t)
}

func (h *filteredHost) checkRecommended(t *testing.T) {
	t.Helper()
	rules := h.Run(t, "nft", "-s", "list", "ruleset").OK(t)
	for _, want := range []string{"table inet ILO-RECOMMENDED", "policy drop", "tcp dport 22 accept", "established,related accept", "icmp"} {
		if !strings.Contains(rules, want) {
			t.Errorf("after unpair recommended there is no %q:\n%s", want, rules)
		}
	}
	for _, port := range []string{openPort, shutPort, hostPort} {
		if h.reachable(t, "10.77.0.1:"+port) {
			t.Errorf("after unpair recommended port %s can be reached", port)
		}
	}
	h.Run(t, "systemd-run", "-q", "--unit=probe-ssh", "/probe/probe", "serve", "22").OK(t)
	eventually(t, h.Box, "port 22 can be reached after unpair recommended", func() (string, bool) {
		return rules, h.reachable(t, "10.77.0.1:22") && h.reachable(t, "[fd77::1]:22")
	})
	if now := section(snapshot(t, h.Box), "services"); !strings.Contains(now, "iptables enabled inactive") {
		t.Errorf("the host's own rules are to be there again after the next boot:\n%s", now)
	}
}

// checkReport checks that the support report is root's alone and has no secrets.
func (h *filteredHost) checkReport(t *testing.T) {
	t.Helper()
	if got := status(t, h.Box, report); got != "600 root:root" {
		t.Errorf("the support report is %q, want it root's alone", got)
		return
	}
	names, found := searchTar(t, h.Box, report, secret)
	if len(found) > 0 {
		t.Errorf("secrets are in the report's files %v", found)
	}
	if len(names) < 5 {
		t.Errorf("there is hardly anything in the report: %v", names)
	}
}

// searchTar lists the files of an archive, and those that have text in them.
func searchTar(t *testing.T, b *testbed.Box, file, text string) (names, found []string) {
	t.Helper()
	// By a command, for the box has a file system of its own on /tmp.
	z, err := gzip.NewReader(strings.NewReader(b.Run(t, "cat", file).OK(t)))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names, found
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, head.Name)
		if strings.Contains(string(body), text) {
			found = append(found, head.Name)
		}
	}
}
