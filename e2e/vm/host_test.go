//go:build linux

package vm

import (
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

// Names of the built-in product.
const (
	unit     = "illumio-ven.service"
	bootUnit = "illumio-ven-firewall.service"
	program  = "/opt/illumio_ven"
	data     = "/opt/illumio_ven_data"
	stateDir = "/var/lib/vpkg/illumio-ven"
	loadFile = "/etc/modules-load.d/illumio-ven.conf"
	timeout  = "net.netfilter.nf_conntrack_tcp_timeout_established"
)

// The ports that are tried.
const (
	openPort = "5001" // let in by the host and by the policy
	shutPort = "5002" // by neither
	hostPort = "5003" // by the host alone
)

// hostRules are those of the machine before the product comes. They match no
// connection states, so that the module for them is not loaded.
const hostRules = `#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport { ` + openPort + ", " + hostPort + ` } accept
	}
}
`

// newHost boots a machine that has rules of its own, which Debian's service loads,
// and the files.
func newHost(t testing.TB, files []string, parameters ...string) *testbed.VM {
	t.Helper()
	vm := testbed.NewVM(t, files...)
	boot(t, vm, parameters...)
	vm.Write(t, "/etc/nftables.conf", hostRules)
	vm.Sh(t, "set -e\nsystemctl enable -q --now nftables\n[ ! -e "+inside(baseRPM)+" ] || rpm -i "+inside(baseRPM)).OK(t)
	return vm
}

func boot(t testing.TB, vm *testbed.VM, parameters ...string) {
	t.Helper()
	start := time.Now()
	vm.Boot(t, parameters...)
	t.Logf("up after %.0f s", time.Since(start).Seconds())
}

// checkRunning checks that the product runs, all of it.
func checkRunning(t testing.TB, vm *testbed.VM) {
	t.Helper()
	eventually(t, vm, "the product runs", program+"/illumio-ven-ctl status")
	if got := vm.Run(t, "systemctl", "is-enabled", unit, bootUnit); got.Stdout != "enabled\nenabled\n" {
		t.Errorf("at the next boot: %v", got)
	}
	for name, there := range map[string]bool{"failed": false, "journal.json": false, "installed.json": true, "platform.json": true} {
		if vm.Run(t, "test", "-e", stateDir+"/"+name).Code == 0 != there {
			t.Errorf("%s is there: %t; log:\n%s", name, !there, vm.Sh(t, "cat /var/log/illumio_install.log").Stdout)
		}
	}
}

// checkWhole checks that every file of the package is as it was packed.
func checkWhole(t testing.TB, vm *testbed.VM, verify ...string) {
	t.Helper()
	if r := vm.Run(t, verify...); r.Code != 0 || r.Stdout != "" {
		t.Errorf("the package's files: %v", r)
	}
}

// checkPlatform checks what the product makes of the kernel: each module is
// loaded by its name, by that of the one whose alias it is, or served by another;
// what does not exist is not asked for at boot.
func checkPlatform(t testing.TB, vm *testbed.VM) {
	t.Helper()
	for _, module := range []string{
		"ip_tables", "iptable_filter", "nf_conntrack", "nf_conntrack_ftp", "xt_LOG", "ip_set", "ip6_tables", "ip6table_filter",
	} {
		if vm.Run(t, "test", "-d", "/sys/module/"+module).Code != 0 {
			t.Errorf("the module %s is not loaded", module)
		}
	}
	const want = "ip6_tables ip6t_LOG ip6table_filter ip_set ip_tables ipt_LOG iptable_filter nf_conntrack nf_conntrack_ftp"
	got := strings.Fields(vm.Sh(t, "grep -v '^#' "+loadFile+" | sort -u").OK(t))
	if strings.Join(got, " ") != want {
		t.Errorf("%s lists %q, want %s", loadFile, got, want)
	}
	if got := vm.Run(t, "sysctl", "-n", timeout).OK(t); got != "28800\n" {
		t.Errorf("%s is %q, want 8 hours", timeout, got)
	}
}

// checkTaken checks that the host's own service neither runs nor will.
func checkTaken(t testing.TB, vm *testbed.VM) {
	t.Helper()
	if got := vm.Sh(t, "systemctl is-active nftables; systemctl is-enabled nftables").Stdout; got != "inactive\ndisabled\n" {
		t.Errorf("the host's own service is %q, want inactive and disabled", got)
	}
}

// snapshot is all that the product changes and has to give back, but for loaded
// modules. A setting whose module is not there has its kernel's default.
func snapshot(t testing.TB, vm *testbed.VM) string {
	t.Helper()
	return vm.Sh(t, `
		nft -s list ruleset
		for kind in legacy nft; do for n in '' 6; do ip${n}tables-$kind-save 2>/dev/null | grep -v '^#' | sed 's/ \[[0-9:]*\]//'; done; done |
			grep -v -x -e '\*filter' -e ':[A-Z]* ACCEPT' -e COMMIT
		ipset list -name
		echo "nftables $(systemctl is-enabled nftables) $(systemctl is-active nftables)"
		sysctl -n `+timeout+` 2>/dev/null || echo 432000
		find /etc/modules-load.d /etc/systemd/system /etc/modprobe.d /etc/sysctl.d /run/systemd/system -printf '%p %y %m %u:%g %l\n' | sort
		cat /etc/modules-load.d/*
		true`).OK(t)
}

func checkGivenBack(t testing.TB, vm *testbed.VM, before string) {
	t.Helper()
	if after := snapshot(t, vm); after != before {
		t.Errorf("the removal leaves\n%s\nof\n%s\nlog:\n%s", after, before, vm.Sh(t, "cat /var/log/illumio_install.log").Stdout)
	}
}

// eventually waits until the script exits with 0. An emulated machine needs a minute
// for what takes a second, where it has a core for itself.
func eventually(t testing.TB, vm *testbed.VM, what, script string) {
	t.Helper()
	start := time.Now()
	for deadline := start.Add(4 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		r := vm.Sh(t, script)
		if r.Code == 0 {
			t.Logf("%s after %.0f s", what, time.Since(start).Seconds())
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("want that %s: %v\n%s", what, r, vm.Sh(t, "journalctl -b --no-pager -n 60; tail -n 40 /var/log/illumio_install.log").Stdout)
		}
	}
}
