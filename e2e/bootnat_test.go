//go:build linux

package e2e

import (
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestNATAfterBoot installs beside a service that loads a host's NAT with its
// filter rules, and is disabled: after a reboot NAT is there all the same, without
// a policy and with one, and the removal leaves it alone.
func TestNATAfterBoot(t *testing.T) {
	for _, c := range []struct {
		name, generation, service, prepare string
	}{
		{"iptables-nft", "rpm 4.18", "iptables", iptablesWithNAT("nft")},
		{"iptables-legacy", "dpkg 1.22", "iptables", iptablesWithNAT("legacy")},
		{"nft", "dpkg 1.22", "nftables", nftWithNAT},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, c.generation)
			b := testbed.New(t, g.suite)
			b.Boot(t)
			g.seed(t, b)
			b.Sh(t, "set -e\n"+c.prepare+"\nsystemctl daemon-reload\nsystemctl enable -q --now "+c.service).OK(t)
			filter, other := filterAndOther(t, b, c.service)
			if !strings.Contains(other, "192.0.2.2") || !strings.Contains(filter, "5001") || !strings.Contains(filter, "enabled\nactive\n") {
				t.Fatalf("the test's own service has not loaded its rules:\n%s%s", filter, other)
			}
			// A container manager's, which it makes anew when it starts.
			b.Sh(t, "iptables -w -t nat -N DOCKER && iptables -w -t nat -A PREROUTING -j DOCKER").OK(t)

			g.install(t, b, g.bring(t, b, newVersion)).OK(t)
			check := func(what, wantFilter string) {
				t.Helper()
				isFilter, isOther := filterAndOther(t, b, c.service)
				if isOther != other {
					t.Errorf("%s, what does not filter is\n%s\nwant\n%s", what, isOther, other)
				}
				if isFilter != wantFilter {
					t.Errorf("%s, the filter is\n%s\nwant\n%s", what, isFilter, wantFilter)
				}
			}
			reboot := func() {
				t.Helper()
				b.Shutdown(t)
				b.Boot(t)
				if log := b.Run(t, "journalctl", "-b", "-u", "illumio-ven-firewall", "--no-pager").OK(t); strings.Contains(log, "not all") {
					t.Errorf("the boot warns: %s", log)
				}
			}
			reboot()
			check("after a reboot in idle", strings.Replace(filter, "enabled\nactive\n", "disabled\ninactive\n", 1))

			b.Write(t, data+"/etc/policy.new", natPolicy)
			b.Sh(t, "mv "+data+"/etc/policy.new "+data+"/etc/policy.json").OK(t)
			eventually(t, b, "the policy is in force", func() (string, bool) {
				is, _ := filterAndOther(t, b, c.service)
				tables := b.Run(t, "nft", "list", "tables").Stdout
				return is + tables, strings.Contains(tables, "ILO-FILTER") && is == "disabled\ninactive\n"
			})
			reboot()
			check("after a reboot under a policy", "disabled\ninactive\n")
			if tables := b.Run(t, "nft", "list", "tables").OK(t); !strings.Contains(tables, "ILO-FILTER") {
				t.Errorf("after a reboot the policy is not in force; the tables are:\n%s", tables)
			}

			g.remove(t, b).OK(t)
			check("after the removal", filter)
			if exists(t, b, stateDir+"/recovery.txt") {
				t.Errorf("something was not given back: %s", b.Read(t, stateDir+"/recovery.txt"))
			}
		})
	}
}

// natPolicy lets nothing in.
const natPolicy = `{"version":"9","enforcement_mode":"full","format":"nftables","nftables":` +
	`"table inet ILO-FILTER {\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tiif lo accept\n\t}\n}\n"}`

// filterAndOther is what filters of a host's own rules, with how its service stands,
// and what does not.
func filterAndOther(t *testing.T, b *testbed.Box, service string) (filter, other string) {
	t.Helper()
	filter = b.Sh(t, `
		for s in iptables-nft-save iptables-legacy-save; do
			$s -t filter 2>/dev/null | grep -e '^-A' -e ' DROP' | sed 's/ \[.*//'
		done
		nft -s list table inet host 2>/dev/null | grep -e 'policy drop' -e 'accept$'
		systemctl is-enabled `+service+`
		systemctl is-active `+service+`
		true`).OK(t)
	other = b.Sh(t, `
		for s in iptables-nft-save iptables-legacy-save; do
			for table in nat mangle raw; do
				rules=$($s -t $table 2>/dev/null | grep '^-A' | grep -v DOCKER) && printf '%s\n' "$s $table" "$rules"
			done
		done
		for c in 'inet host pre' 'ip masq post'; do nft -s list chain $c 2>/dev/null; done
		true`).OK(t)
	return filter, other
}

// iptablesWithNAT is a service like CentOS's, with one kind of iptables.
func iptablesWithNAT(kind string) string {
	return `update-alternatives --set iptables /usr/sbin/iptables-` + kind + ` >/dev/null
cat >/etc/iptables.rules <<E
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 5001 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:web - [0:0]
-A PREROUTING -p tcp -m tcp --dport 80 -j web
-A POSTROUTING -o eth9 -j MASQUERADE
-A web -p tcp -j DNAT --to-destination 192.0.2.2
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -s 192.0.2.9/32 -j MARK --set-xmark 0x1/0xffffffff
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 53 -j CT --notrack
COMMIT
E
cat >/etc/systemd/system/iptables.service <<E
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables-restore /etc/iptables.rules
ExecStop=/usr/sbin/iptables -w -F
ExecStop=/usr/sbin/iptables -w -P INPUT ACCEPT
ExecStop=/usr/sbin/iptables -w -t nat -F
[Install]
WantedBy=multi-user.target
E`
}

// nftWithNAT is Debian's service: NAT beside the filter in one table, and alone in
// another.
const nftWithNAT = `cat >/etc/nftables.conf <<E
#!/usr/sbin/nft -f
flush ruleset
table inet host {
	chain in {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		tcp dport 5001 accept
	}
	chain pre {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 80 dnat ip to 192.0.2.2
	}
}
table ip masq {
	chain post {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "eth9" masquerade
	}
}
E`
