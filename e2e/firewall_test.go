//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestFirewallServices installs beside each kind of service that loads the rules
// of a host. The service is stopped and disabled and its rules stay in force, to
// the byte; a policy takes their place; a reboot is filtered before any interface
// comes up; and the removal gives back all of it. All the time a host of another
// network namespace looks whether a port that is to be shut can be reached, and
// whether a connection breaks.
func TestFirewallServices(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		generation string
		service    hostFirewall
	}{
		{"rpm 4.18", iptablesService("nft")},
		{"dpkg 1.21", iptablesService("legacy")},
		{"rpm 4.20", firewalldService},
		{"dpkg 1.22", nftablesService},
		{"dpkg 1.21", ufwService},
	} {
		t.Run(c.service.name+"/"+c.generation, func(t *testing.T) {
			t.Parallel()
			g := pick(t, c.generation)
			h := newFilteredHost(t, g, c.service)
			h.life(t)
			h.reboots(t)
		})
	}
}

// The ports that the probes try. All kinds of services let the same ones in.
const (
	openPort = "5001" // let in by the host and by the policy
	shutPort = "5002" // by neither
	hostPort = "5003" // by the host alone
)

// A hostFirewall is a kind of service that loads a host's rules.
type hostFirewall struct {
	name     string
	services []string // that the takeover stops
	prepare  string   // shell: the rules, the units
	own      string   // shell: prints what of the host's own filter rules is in force
	kept     string   // shell: prints what of the service is not the takeover's business
}

// A filteredHost is a booted box with a service that filters, and something of
// Docker's.
type filteredHost struct {
	generation
	*testbed.Box
	service    hostFirewall
	old, newer string // packages
	before     string // snapshot
}

func newFilteredHost(t *testing.T, g generation, service hostFirewall) *filteredHost {
	t.Helper()
	b := testbed.New(t, g.suite)
	b.Boot(t)
	g.seed(t, b)
	h := &filteredHost{generation: g, Box: b, service: service}
	h.old, h.newer = g.bring(t, b, oldVersion), g.bring(t, b, newVersion)
	b.Copy(t, "/probe", filepath.Join(testbed.Dir(t), "probe"))
	b.Sh(t, "chmod 755 /probe/probe").OK(t)
	b.Write(t, "/etc/systemd/system/at-boot.service", atBootUnit)
	b.Sh(t, "set -e\n"+service.prepare+"\nsystemctl daemon-reload\nsystemctl enable at-boot.service\nsystemctl enable --now "+strings.Join(service.services, " ")).OK(t)
	h.outside(t)
	h.before = snapshot(t, b)
	for _, s := range service.services {
		if !strings.Contains(h.before, s+" enabled active") {
			t.Fatalf("the test's own service %s does not run:\n%s", s, h.before)
		}
	}
	if r := b.Sh(t, service.own); r.Stdout == "" {
		t.Fatalf("the test does not see the host's own rules: %v", r)
	}
	return h
}

// atBootUnit notes what is in force when the first interface could come up.
const atBootUnit = `[Unit]
DefaultDependencies=no
Wants=network-pre.target
After=network-pre.target
Before=illumio-ven.service network.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'exec >/root/at-boot; nft list tables; nft -s list ruleset; iptables-legacy-save; iptables-nft-save; ip6tables-nft-save'
[Install]
WantedBy=multi-user.target
`

// outside makes what does not outlive a reboot: the namespace that stands for
// another host, and rules of Docker's.
func (h *filteredHost) outside(t *testing.T) {
	t.Helper()
	h.Sh(t, `set -e
		ip netns add outside
		ip link add inner type veth peer name outer netns outside
		ip addr add 10.77.0.1/24 dev inner
		ip addr add fd77::1/64 dev inner nodad
		ip link set inner up
		ip -n outside addr add 10.77.0.2/24 dev outer
		ip -n outside addr add fd77::2/64 dev outer nodad
		ip -n outside link set outer up
		ip -n outside link set lo up
		iptables -w -N DOCKER
		iptables -w -A DOCKER -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT
		iptables -w -A FORWARD -o docker0 -j DOCKER
		masquerade='POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE' # Docker looks first, too
		iptables -w -t nat -C $masquerade 2>/dev/null || iptables -w -t nat -A $masquerade
		systemd-run -q --unit=probe-serve /probe/probe serve `+openPort+" "+shutPort+" "+hostPort).OK(t)
	eventually(t, h.Box, "the ports are served", func() (string, bool) {
		r := h.Sh(t, "nsenter --net=/run/netns/outside /probe/probe try 10.77.0.1:"+openPort)
		return r.Stderr, r.Code == 0
	})
}

// reachable says whether a port can be reached from outside.
func (h *filteredHost) reachable(t *testing.T, address string) bool {
	t.Helper()
	return h.Sh(t, "nsenter --net=/run/netns/outside /probe/probe try "+address).Code == 0
}

// watch starts the probes, which stay connected with a port; the returned function
// ends them and checks what they saw in each of the phases that were begun with
// phase.
func (h *filteredHost) watch(t *testing.T, held string) (phase func(name string, do func()), end func()) {
	t.Helper()
	set := func(name string) {
		h.Sh(t, "echo '"+name+"' >/probe/phase.new; mv /probe/phase.new /probe/phase").OK(t)
	}
	set("no phase")
	both := func(port string) string { return "10.77.0.1:" + port + ",[fd77::1]:" + port }
	h.Run(t, "systemd-run", "-q", "--unit=probe-watch", "nsenter", "--net=/run/netns/outside", "/probe/probe", "watch",
		"--open", both(openPort), "--shut", both(shutPort), "--held", both(held), "--phase", "/probe/phase", "--out", "/probe/report").OK(t)
	var names []string
	phase = func(name string, do func()) {
		t.Helper()
		names = append(names, name)
		set(name)
		start := time.Now()
		do()
		time.Sleep(200 * time.Millisecond)
		t.Logf("%s: %.1f s", name, time.Since(start).Seconds())
	}
	end = func() {
		t.Helper()
		h.Run(t, "systemctl", "stop", "probe-watch").OK(t)
		var report map[string]struct {
			Shut, Open, Echoes     int
			Opened, Closed, Broken []string
		}
		if err := json.Unmarshal([]byte(h.Read(t, "/probe/report")), &report); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			p := report[name]
			t.Logf("%s: %d tries of shut ports, %d of open ones, %d echoes", name, p.Shut, p.Open, p.Echoes)
			if p.Shut < 100 || p.Open < 50 || p.Echoes < 50 {
				t.Errorf("%s: hardly anything was tried: %+v", name, p)
			}
			for what, list := range map[string][]string{
				"a port that is to be shut is open": p.Opened, "a port that is to be open is shut": p.Closed, "a connection breaks": p.Broken,
			} {
				if len(list) > 0 {
					t.Errorf("%s: %s:\n%s", name, what, strings.Join(list, "\n"))
				}
			}
		}
	}
	return phase, end
}

// life is installation, policy, upgrade and removal.
func (h *filteredHost) life(t *testing.T) {
	phase, end := h.watch(t, hostPort)
	phase("install", func() { h.install(t, h.Box, h.old).OK(t) })
	h.checkTaken(t)
	if before, after := section(h.before, "rules"), section(snapshot(t, h.Box), "rules"); after != before {
		t.Errorf("the installation changes the rules:\n%s", cmp.Diff(before, after))
	}
	kept := h.kept(t)
	phase("policy", func() { enforce(t, h.Box, policy("7", openPort)) })
	h.checkPolicy(t)
	phase("upgrade", func() { h.upgrade(t, h.Box, h.newer).OK(t) })
	h.checkTaken(t)
	h.checkPolicy(t)
	if now := h.kept(t); now != kept {
		t.Errorf("what is no filter, or Docker's, is changed:\n%s", cmp.Diff(kept, now))
	}
	phase("remove", func() { h.remove(t, h.Box).OK(t) })
	end()
	h.checkBack(t)
}

// reboots is a reboot when idle, one with a policy, and the removal after them.
func (h *filteredHost) reboots(t *testing.T) {
	h.Run(t, "rm", "-r", data).OK(t) // the policy is data, which a removal keeps
	h.install(t, h.Box, h.newer).OK(t)
	own, kept := h.Sh(t, h.service.own).OK(t), h.Sh(t, h.service.kept).OK(t)
	h.reboot(t)
	if now := h.Sh(t, h.service.own).OK(t); now != own {
		t.Errorf("after the reboot the host's own rules are\n%s\nwant\n%s", now, own)
	}
	if now := h.Sh(t, h.service.kept).OK(t); now != kept {
		t.Errorf("after the reboot, of what the service loads besides filter rules there is\n%s\nwant\n%s", now, kept)
	}
	if h.reachable(t, "10.77.0.1:"+shutPort) || !h.reachable(t, "10.77.0.1:"+hostPort) {
		t.Error("after the reboot the host's rules do not filter")
	}
	enforce(t, h.Box, policy("8", openPort))
	h.reboot(t)
	if boot := h.Read(t, "/root/at-boot"); !strings.Contains(boot, "ILO-FILTER") {
		t.Errorf("before network-pre.target the policy is not in force:\n%s", boot)
	}
	h.checkPolicy(t)
	phase, end := h.watch(t, openPort)
	phase("remove after reboots", func() { h.remove(t, h.Box).OK(t) })
	end()
	h.checkBack(t)
}

// reboot starts the host again.
func (h *filteredHost) reboot(t *testing.T) {
	t.Helper()
	h.Shutdown(t)
	h.Boot(t)
	boot := h.Run(t, "systemctl", "show", "-p", "Result,ActiveState", "illumio-ven-firewall.service", unit).OK(t)
	if strings.Count(boot, "Result=success") != 2 || strings.Count(boot, "ActiveState=active") != 2 {
		t.Errorf("after the reboot the product's units are:\n%s", boot)
	}
	var before, after int
	times := h.Run(t, "systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "--value", "illumio-ven-firewall.service", "network-pre.target").OK(t)
	if n, err := fmt.Sscan(times, &before, &after); n != 2 || before >= after {
		t.Errorf("the filter is in force %d µs after the boot and network-pre.target is reached after %d (%v), want the one before the other", before, after, err)
	}
	h.outside(t)
	h.checkTaken(t)
}

// checkTaken checks that the host's service is out of the way.
func (h *filteredHost) checkTaken(t *testing.T) {
	t.Helper()
	now := section(snapshot(t, h.Box), "services")
	for _, s := range h.service.services {
		if !strings.Contains(now, s+" disabled inactive") {
			t.Errorf("want %s disabled and inactive:\n%s", s, now)
		}
	}
	if r := h.Sh(t, "ls /run/systemd/system | grep -v -e illumio -e ven"); strings.Contains(r.Stdout, ".service.d") {
		t.Errorf("drop-ins are left: %s", r.Stdout)
	}
	if got := strings.TrimSpace(h.Run(t, "cat", "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established").OK(t)); got != "28800" {
		t.Errorf("established connections are kept for %s s, want 28800", got)
	}
}

// checkPolicy checks that policy and nothing else filters.
func (h *filteredHost) checkPolicy(t *testing.T) {
	t.Helper()
	if own := h.Sh(t, h.service.own).Stdout; own != "" {
		t.Errorf("under a policy the host's own rules are in force:\n%s", own)
	}
	if tables := h.Run(t, "nft", "list", "tables").OK(t); !strings.Contains(tables, "table inet ILO-FILTER") {
		t.Errorf("the policy is not in force; the tables are:\n%s", tables)
	}
	for port, want := range map[string]bool{openPort: true, shutPort: false, hostPort: false} {
		for _, address := range []string{"10.77.0.1:" + port, "[fd77::1]:" + port} {
			if got := h.reachable(t, address); got != want {
				t.Errorf("under the policy %s can be reached: %t, want %t", address, got, want)
			}
		}
	}
}

// checkBack checks that the host is as it was before the product came.
func (h *filteredHost) checkBack(t *testing.T) {
	t.Helper()
	if after := snapshot(t, h.Box); after != h.before {
		t.Errorf("the host is not as it was before the installation:\n%s\nthe log:\n%s", cmp.Diff(h.before, after), h.Sh(t, "cat "+logFile).Stdout)
	}
	if exists(t, h.Box, stateDir+"/recovery.txt") {
		t.Errorf("something was not given back: %s", h.Read(t, stateDir+"/recovery.txt"))
	}
}

// kept is all that no takeover touches.
func (h *filteredHost) kept(t *testing.T) string {
	t.Helper()
	return h.Sh(t, h.service.kept+`
		for s in iptables-nft-save ip6tables-nft-save iptables-legacy-save ip6tables-legacy-save; do $s; done 2>/dev/null |
			sed -n -e '/^\*filter/,/COMMIT/{/DOCKER/p}' -e '/^\*\(nat\|mangle\|raw\)/,/COMMIT/p' | grep -v '^#' | sed 's/ \[[0-9:]*\]//'`).OK(t)
}

// policy is one that lets in those TCP ports.
func policy(version string, ports ...string) string {
	text := `table inet ILO-FILTER {
	chain input {
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		iif "lo" accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport { ` + strings.Join(ports, ", ") + ` } accept
	}
}
`
	b, err := json.Marshal(map[string]string{"version": version, "enforcement_mode": "full", "format": "nftables", "nftables": text})
	if err != nil {
		panic(err) // a map of strings always has a text
	}
	return string(b)
}

// enforce gives the product a policy, as its manager does, and waits until it is
// in force.
func enforce(t *testing.T, b *testbed.Box, policy string) {
	t.Helper()
	var p struct{ Version string }
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		t.Fatal(err)
	}
	b.Write(t, data+"/etc/policy.new", policy)
	b.Sh(t, "mv "+data+"/etc/policy.new "+data+"/etc/policy.json").OK(t)
	awaitPolicy(t, b, p.Version)
}

// awaitPolicy waits until the policy of that version is in force.
func awaitPolicy(t *testing.T, b *testbed.Box, version string) {
	t.Helper()
	eventually(t, b, "policy "+version+" is in force", func() (string, bool) {
		said := b.Sh(t, "cat /run/illumio-ven/policy.json").Stdout
		var s struct {
			Version string
			InForce bool `json:"in_force"`
		}
		return said, json.Unmarshal([]byte(said), &s) == nil && s.InForce && s.Version == version
	})
}

// snapshot is all of the host that the product changes and has to give back.
func snapshot(t *testing.T, b *testbed.Box) string {
	t.Helper()
	return b.Sh(t, `
		echo '== rules'
		for s in iptables-nft-save ip6tables-nft-save iptables-legacy-save ip6tables-legacy-save; do
			echo "-- $s"
			$s 2>/dev/null | grep -v '^#' | sed 's/ \[[0-9:]*\]//'
		done
		# Those of iptables-nft are above; the order of their chains changes.
		nft list tables | grep -v ' ip6\? \(filter\|nat\|mangle\)$' | sort | while read -r table; do nft -s list $table; done
		ipset save | sed 's, initval .*,,' | sort
		echo '== services'
		services='iptables ip6tables firewalld nftables ufw SuSEfirewall2'
		set -- $(systemctl is-active $services)
		for s in $services; do
			echo "$s $(systemctl is-enabled $s 2>/dev/null) $1"
			shift
		done
		echo '== settings'
		for s in tcp_timeout_established max buckets; do echo "$s $(cat /proc/sys/net/netfilter/nf_conntrack_$s)"; done
		echo '== files'
		find /etc/modules-load.d /etc/systemd/system /etc/modprobe.d /etc/sysctl.d /run/systemd/system -printf '%p %y %m %u:%g %l\n' | sort
		cat /etc/modules-load.d/* /etc/systemd/system/*.service
		true`).OK(t)
}

// section is a part of a snapshot.
func section(snapshot, name string) string {
	_, rest, _ := strings.Cut(snapshot, "== "+name+"\n")
	text, _, _ := strings.Cut(rest, "\n== ")
	return text
}

// iptablesService loads rules with the iptables of that kind, as CentOS's does.
func iptablesService(kind string) hostFirewall {
	return hostFirewall{
		name:     "iptables-" + kind,
		services: []string{"iptables", "ip6tables"},
		prepare: `
			update-alternatives --set iptables /usr/sbin/iptables-` + kind + ` >/dev/null
			update-alternatives --set ip6tables /usr/sbin/ip6tables-` + kind + ` >/dev/null
			mkdir -p /etc/iptables
			cat >/etc/iptables/sets <<E
create blocked hash:ip family inet hashsize 1024 maxelem 65536
add blocked 203.0.113.7
E
			cat >/etc/iptables/rules <<E
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:mine - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m set --match-set blocked src -j DROP
-A INPUT -j mine
-A mine -p icmp -j ACCEPT
-A mine -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m recent --set --name ssh --mask 255.255.255.255 --rsource -j ACCEPT
-A mine -p tcp -m multiport --dports ` + openPort + "," + hostPort + ` -m comment --comment "two of them" -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.0.2.2
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -s 192.0.2.9/32 -j MARK --set-xmark 0x1/0xffffffff
COMMIT
E
			cat >/etc/iptables/rules6 <<E
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -p tcp -m multiport --dports ` + openPort + "," + hostPort + ` -j ACCEPT
COMMIT
E
			for n in '' 6; do
				cat >/usr/lib/systemd/system/ip${n}tables.service <<E
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=/usr/sbin/ipset -exist -file /etc/iptables/sets restore
ExecStart=/usr/sbin/ip${n}tables-restore -w 10 /etc/iptables/rules$n
ExecStop=/usr/sbin/ip${n}tables -w -F
ExecStop=/usr/sbin/ip${n}tables -w -X
ExecStop=/usr/sbin/ip${n}tables -w -P INPUT ACCEPT
ExecStop=/usr/sbin/ip${n}tables -w -P FORWARD ACCEPT
[Install]
WantedBy=multi-user.target
E
			done`,
		own:  "for n in '' 6; do ip${n}tables-" + kind + "-save -t filter; done 2>/dev/null | grep -e '^-A' -e ' DROP' | grep -v DOCKER | sed 's/ \\[[0-9:]*\\]//'; true",
		kept: "iptables-" + kind + "-save 2>/dev/null | grep -F -e 'd 192.0.2.1' -e 's 192.0.2.9'; true",
	}
}

// nativeRules are tables of nft with the same in them.
const nativeRules = `table inet TABLE {
	set allowed {
		type inet_service
		elements = { ` + openPort + ", " + hostPort + ` }
	}
	chain input {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		meta l4proto { icmp, ipv6-icmp } accept
		jump services
	}
	chain services {
		tcp dport @allowed counter accept
	}
	chain forward {
		type filter hook forward priority filter + 10; policy drop;
	}
	chain translate {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 192.0.2.1 tcp dport 80 dnat ip to 192.0.2.2
	}
}
`

// firewalldService is a daemon that has its table for as long as it runs.
var firewalldService = hostFirewall{
	name:     "firewalld",
	services: []string{"firewalld"},
	prepare: `
		mkdir -p /etc/firewalld
		cat >/etc/firewalld/rules <<E
table inet firewalld
delete table inet firewalld
` + strings.ReplaceAll(nativeRules, "TABLE", "firewalld") + `E
		cat >/usr/sbin/firewalld <<'E'
#!/bin/sh
trap 'nft delete table inet firewalld; exit 0' TERM
nft -f /etc/firewalld/rules || exit 1
systemd-notify --ready
while :; do sleep 1000 & wait $!; done
E
		chmod 755 /usr/sbin/firewalld
		cat >/usr/lib/systemd/system/firewalld.service <<E
[Service]
Type=notify
NotifyAccess=all
KillMode=mixed
ExecStart=/usr/sbin/firewalld
[Install]
WantedBy=multi-user.target
E`,
	own:  "nft -s list table inet firewalld 2>/dev/null | grep -e 'policy drop' -e iif -e jump; true",
	kept: "nft -s list table inet firewalld 2>/dev/null | grep -F 192.0.2.; true",
}

// nftablesService is Debian's.
var nftablesService = hostFirewall{
	name:     "nftables",
	services: []string{"nftables"},
	prepare: `
		cat >/etc/nftables.conf <<E
#!/usr/sbin/nft -f
flush ruleset
` + strings.ReplaceAll(nativeRules, "TABLE", "filter") + `table ip translate {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 192.0.2.9 masquerade
	}
}
E`,
	own:  "nft -s list table inet filter 2>/dev/null | grep -e 'policy drop' -e iif -e jump; true",
	kept: "nft -s list ruleset 2>/dev/null | grep -F -e 'daddr 192.0.2.' -e 'saddr 192.0.2.'; true",
}

// ufwService has chains of its own in the tables of iptables.
var ufwService = hostFirewall{
	name:     "ufw",
	services: []string{"ufw"},
	prepare: `
		mkdir -p /etc/ufw
		for n in '' 6; do cat >/etc/ufw/rules$n <<E
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw$n-before-input - [0:0]
:ufw$n-user-input - [0:0]
-A INPUT -j ufw$n-before-input
-A ufw$n-before-input -i lo -j ACCEPT
-A ufw$n-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw$n-before-input -p icmp$([ -z "$n" ] || echo v6) -j ACCEPT
-A ufw$n-before-input -j ufw$n-user-input
-A ufw$n-user-input -p tcp -m multiport --dports ` + openPort + "," + hostPort + ` -j ACCEPT
COMMIT
E
		done
		cat >/etc/ufw/init <<'E'
#!/bin/sh
for n in '' 6; do
	case $1 in
	start) ip${n}tables-restore -w 10 -n /etc/ufw/rules$n || exit 1 ;;
	stop) ip${n}tables -w -P INPUT ACCEPT; ip${n}tables -w -P FORWARD ACCEPT; ip${n}tables -w -F; ip${n}tables -w -X ;;
	esac
done
E
		chmod 755 /etc/ufw/init
		cat >/usr/lib/systemd/system/ufw.service <<E
[Unit]
DefaultDependencies=no
Before=network-pre.target
Wants=network-pre.target local-fs.target
After=local-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/etc/ufw/init start
ExecStop=/etc/ufw/init stop
[Install]
WantedBy=multi-user.target
E`,
	own:  "for n in '' 6; do ip${n}tables-nft-save -t filter; done 2>/dev/null | grep -e '^-A' -e ' DROP' | grep -v DOCKER | sed 's/ \\[[0-9:]*\\]//'; true",
	kept: "true",
}
