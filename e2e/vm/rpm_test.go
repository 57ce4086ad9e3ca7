//go:build linux

package vm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// policy lets in one port.
const policy = `table inet ILO-FILTER {
	chain input {
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		iif "lo" accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport ` + openPort + ` accept
	}
}
`

// knockUnit brings up the machine's first interface when systemd says that it may
// be, and has another host, one in a namespace of its own, knock at two ports that
// are served behind it, from the first moment on.
const knockUnit = `[Unit]
Description=The first interface, and somebody who knocks at it
DefaultDependencies=no
Wants=network-pre.target
After=network-pre.target
Before=network.target
Conflicts=shutdown.target
[Service]
Type=forking
ExecStart=/usr/local/sbin/knock
ExecStop=/bin/true
TimeoutStartSec=60
# Emulated, it would leave hardly anything to the rest.
CPUQuota=25%
[Install]
WantedBy=multi-user.target
`

const knockScript = `#!/bin/sh
set -e
p=/usr/local/sbin/probe
$p serve ` + openPort + ` ` + shutPort + ` &
ip netns add outside
# Addresses of our own are left alone by udev, and known from the start: the first
# packet is a SYN.
ip link add inner address 02:00:0a:4d:00:01 type veth peer name outer address 02:00:0a:4d:00:02 netns outside
ip addr add 10.77.0.1/24 dev inner
ip -n outside addr add 10.77.0.2/24 dev outer
ip -n outside neigh add 10.77.0.1 lladdr 02:00:0a:4d:00:01 dev outer nud permanent
ip -n outside link set outer up
echo boot >/run/knock.phase
nsenter --net=/run/netns/outside $p watch --open 10.77.0.1:` + openPort + ` --shut 10.77.0.1:` + shutPort + ` --phase /run/knock.phase --out /run/knock.report &
echo $! >/run/knock.pid
sleep 0.2
ip link set inner up
sleep 0.5
cat /sys/class/net/inner/statistics/rx_packets >/run/knock.first
`

// TestActivatedHost is the life of an agent that is installed and activated in one
// command: on a kernel that really lacks two of the modules, through a reboot with
// somebody knocking at the moment when the first interface comes up, to a removal
// that gives everything back.
func TestActivatedHost(t *testing.T) {
	t.Parallel()
	rpm := product(t, "el9")
	vm := newHost(t, []string{rpm, built(t, baseRPM), built(t, "pce"), built(t, "probe")})
	if r := vm.Run(t, "modprobe", "nf_conntrack_ipv4"); r.Code == 0 {
		t.Fatalf("this kernel has the module that is to be missing: %v", r)
	}
	if r := vm.Sh(t, "lsmod | grep -e '^ip_set ' -e '^iptable_filter ' -e '^nf_conntrack '"); r.Stdout != "" {
		t.Fatalf("modules are loaded before the product asks for them: %v", r)
	}
	vm.Write(t, "/etc/systemd/system/knock.service", knockUnit)
	vm.Write(t, "/usr/local/sbin/knock", knockScript)
	vm.Sh(t, `set -e
		cp /run/packages/probe /usr/local/sbin
		chmod 755 /usr/local/sbin/probe /usr/local/sbin/knock
		systemctl daemon-reload
		systemctl enable -q knock`).OK(t)
	before := snapshot(t, vm)

	// Nothing of the server is on the disk but its certificate, for later.
	code := "cd" + strings.Repeat("7e5a", 8)
	message, err := json.Marshal(map[string]string{"version": "7", "enforcement_mode": "full", "format": "nftables", "nftables": policy})
	if err != nil {
		t.Fatal(err)
	}
	vm.Write(t, "/run/pce/policy", string(message))
	vm.Write(t, "/run/pce/code", code)
	vm.Sh(t, `systemd-run -q --unit=pce /run/packages/pce --listen 127.0.0.1:8443 --code-file /run/pce/code \
		--policy /run/pce/policy --ca-out /run/pce/ca --calls /run/pce/calls`).OK(t)
	eventually(t, vm, "the server is up", "cat /run/pce/ca >>/etc/ssl/certs/ca-certificates.crt")

	install := vm.Sh(t, "VEN_INSTALL_ACTION=activate VEN_MANAGEMENT_SERVER=127.0.0.1:8443 VEN_ACTIVATION_CODE="+code+
		" rpm -i "+inside(rpm))
	install.OK(t)
	for _, module := range []string{"nf_conntrack_ipv4", "nf_conntrack_ipv6"} {
		want := "kernel module " + module + " is not there: nf_conntrack serves in its place"
		if log := vm.Sh(t, "cat /var/log/illumio_install.log").OK(t); !strings.Contains(log, want) {
			t.Errorf("nothing says %q in the log:\n%s", want, log)
		}
	}
	checkWhole(t, vm, "rpm", "-V", "illumio-ven")
	checkPlatform(t, vm)
	checkActive := func() {
		t.Helper()
		checkRunning(t, vm)
		checkTaken(t, vm)
		eventually(t, vm, "the agent is paired", program+"/bin/agent_status.sh")
		rules := vm.Sh(t, "nft list table inet ILO-FILTER").OK(t)
		if !strings.Contains(rules, "policy drop") || !strings.Contains(rules, openPort) {
			t.Errorf("in force is not the policy:\n%s", rules)
		}
	}
	checkActive()
	vm.Sh(t, "grep -q activate /run/pce/calls").OK(t)
	vm.Shutdown(t)
	if vm.DiskHas(t, code) {
		t.Error("the activation code is on the disk")
	}

	boot(t, vm)
	checkKnocks(t, vm)
	checkPlatform(t, vm)
	checkActive()
	if r := vm.Run(t, "systemctl", "is-active", "systemd-modules-load"); r.Code != 0 {
		t.Errorf("loading modules at boot: %v", r)
	}

	vm.Run(t, "rpm", "-e", "illumio-ven").OK(t)
	checkGivenBack(t, vm, before)
	vm.Sh(t, "test -d "+data+" && getent passwd ilo-ven").OK(t)
}

// checkKnocks checks what came of knocking while the machine booted: it began as
// soon as there was an interface, the rules were there before, and nobody ever got
// through to the port that is to be shut. The other port says that somebody could
// have.
func checkKnocks(t testing.TB, vm *testbed.VM) {
	t.Helper()
	var report struct {
		Boot struct {
			Shut   int
			Opened []string
		}
	}
	text := vm.Sh(t, `kill $(cat /run/knock.pid); while [ ! -s /run/knock.report ]; do sleep 0.2; done; cat /run/knock.report`).OK(t)
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	var first int
	if _, err := fmt.Sscan(vm.Run(t, "cat", "/run/knock.first").OK(t), &first); err != nil {
		t.Fatal(err)
	}
	t.Logf("knocked %d times; in its first half second the interface saw %d packets", report.Boot.Shut, first)
	if first < 5 || report.Boot.Shut < 50 {
		t.Errorf("hardly anybody knocked: %d packets at first, %s", first, text)
	}
	if len(report.Boot.Opened) > 0 {
		t.Errorf("the port that is to be shut was reached at boot:\n%s", strings.Join(report.Boot.Opened, "\n"))
	}
	for port, want := range map[string]bool{openPort: true, shutPort: false} {
		r := vm.Run(t, "nsenter", "--net=/run/netns/outside", "/usr/local/sbin/probe", "try", "10.77.0.1:"+port)
		if open := r.Code == 0; open != want {
			t.Errorf("port %s is open: %t, want %t; %v", port, open, want, r)
		}
	}
	// In microseconds since the kernel started; 0 is never.
	times := vm.Sh(t, `systemctl show -p ActiveEnterTimestampMonotonic --value `+bootUnit+`
		systemctl show -p InactiveExitTimestampMonotonic --value knock`).OK(t)
	var rules, up int
	if _, err := fmt.Sscan(times, &rules, &up); err != nil || rules == 0 || rules > up {
		t.Errorf("rules in force and first interface, in µs after the start: %q, %v; want the one before the other", times, err)
	}
}
