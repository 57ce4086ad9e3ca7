//go:build linux

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestTakeoverOnActivation is a product whose manifest says "takeover:
// on-activation": it leaves the packet filter alone until there is a policy, and
// gives it back when there is none any more.
func TestTakeoverOnActivation(t *testing.T) {
	t.Parallel()
	g := pick(t, "dpkg 1.22")
	b := g.box(t)
	g.install(t, b, g.bring(t, b, oldVersion)).OK(t)
	config := b.Read(t, program+"/etc/hook.json")
	later := strings.Replace(config, `"firewall": {`, `"firewall": {"on_activation": true,`, 1)
	if later == config {
		t.Fatalf("hook.json has no firewall:\n%s", config)
	}
	b.Write(t, program+"/etc/hook.json", later)
	b.Sh(t, "iptables -P INPUT DROP && iptables -A INPUT -p tcp --dport 22 -j ACCEPT").OK(t)
	rules := func() string {
		return b.Sh(t, "iptables-save -t filter | grep -v '^#'; nft list tables").OK(t)
	}
	before := rules()

	b.Run(t, program+"/bin/init_Platform", "start").OK(t)
	if got := rules(); got != before || strings.Contains(b.Read(t, stateDir+"/platform.json"), `"rules"`) {
		t.Errorf("without a policy the filter is taken over:\n%s\nwant\n%s", got, before)
	}
	b.Write(t, data+"/etc/policy.json", `{"version": "1", "enforcement_mode": "full", "format": "nftables",
		"nftables": "table inet ILO-FILTER { chain in { type filter hook input priority 0; policy drop; iif lo accept; }; }"}`)
	b.Run(t, program+"/bin/vpkg-hook", "platform", "apply").OK(t)
	if got := rules(); !strings.Contains(got, "table inet ILO-FILTER") || strings.Contains(got, "DROP") {
		t.Errorf("with a policy the filter is\n%s", got)
	}
	b.Run(t, "rm", data+"/etc/policy.json").OK(t)
	b.Run(t, program+"/bin/vpkg-hook", "platform", "apply").OK(t)
	if got := rules(); got != before || strings.Contains(b.Read(t, stateDir+"/platform.json"), `"rules"`) {
		t.Errorf("without a policy any more the filter is\n%s\nwant\n%s", got, before)
	}
	b.Run(t, program+"/bin/init_Platform", "stop").OK(t)
}

// TestRulesOwner has a firewalld as from version 2.1 on: its table belongs to the
// process and goes with it. It goes on until a policy of ours is in force, and is
// back when there is none any more, after a reboot too.
func TestRulesOwner(t *testing.T) {
	t.Parallel()
	g := pick(t, "dpkg 1.22")
	b := testbed.New(t, g.suite)
	b.Boot(t)
	b.Write(t, "/usr/local/sbin/firewalld", `#!/bin/sh
{
	echo 'add table inet firewalld { flags owner; chain in { type filter hook input priority 10; policy drop; iif lo accept; tcp dport 22 accept; }; }'
	exec sleep infinity
} | exec nft -i
`)
	b.Write(t, "/etc/systemd/system/firewalld.service", "[Service]\nExecStart=/usr/local/sbin/firewalld\n[Install]\nWantedBy=multi-user.target\n")
	b.Sh(t, "chmod 755 /usr/local/sbin/firewalld && systemctl daemon-reload && systemctl enable --now firewalld").OK(t)
	check := func(when string, enforced bool) {
		t.Helper()
		eventually(t, b, when, func() (string, bool) {
			tables := b.Run(t, "nft", "list", "tables").OK(t)
			service := strings.Fields(b.Sh(t, "systemctl is-enabled firewalld; systemctl is-active firewalld").Stdout)
			want := []string{"enabled", "active"}
			if enforced {
				want = []string{"disabled", "inactive"}
			}
			return fmt.Sprint(tables, service), slices.Equal(service, want) &&
				strings.Contains(tables, "inet firewalld") != enforced && strings.Contains(tables, "ILO-FILTER") == enforced
		})
	}
	check("before", false)
	g.install(t, b, g.bring(t, b, oldVersion)).OK(t)
	check("idle", false)
	policy := `{"version": "1", "enforcement_mode": "full", "format": "nftables",
		"nftables": "table inet ILO-FILTER { chain in { type filter hook input priority 0; policy drop; iif lo accept; }; }"}`
	b.Write(t, data+"/etc/policy.json", policy)
	check("enforced", true)
	b.Run(t, program+"/illumio-ven-ctl", "suspend").OK(t)
	check("suspended", false)
	b.Run(t, program+"/illumio-ven-ctl", "unsuspend").OK(t)
	check("enforced again", true)
	b.Shutdown(t)
	b.Boot(t)
	check("enforced after a reboot", true)
	b.Run(t, "rm", data+"/etc/policy.json").OK(t)
	check("idle again", false)
	b.Shutdown(t)
	b.Boot(t)
	check("idle after a reboot", false)
	b.Write(t, data+"/etc/policy.json", policy)
	check("enforced at last", true)
	g.remove(t, b).OK(t)
	check("removed", false)
}
