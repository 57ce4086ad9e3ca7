//go:build linux

package vm

import (
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

const cut = "power cut now"

// trap puts something before a program, until the next boot: when it is called
// with arguments in which the pattern is, it says so on the console and waits for
// the power to go.
func trap(t testing.TB, vm *testbed.VM, program, pattern string) {
	t.Helper()
	name := program[strings.LastIndexByte(program, '/')+1:]
	vm.Write(t, "/run/trap/"+name, `#!/bin/sh
case " $* " in `+pattern+`) echo "`+cut+`" >/dev/ttyS0; exec sleep 1000 ;; esac
exec /run/trap/`+name+`.real "$@"
`)
	vm.Sh(t, `set -e
		cp `+program+` /run/trap/`+name+`.real
		chmod 755 /run/trap/*
		mount --bind /run/trap/`+name+` `+program).OK(t)
}

// TestPowerCuts cuts the power twice: in the post-install, when rpm says that
// everything is installed and nothing is on the disk, and while the product takes
// the packet filter over. What an administrator does after the one repairs it, and
// the product's own start at boot after the other.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	rpm := product(t, "el9")
	vm := newHost(t, []string{rpm, built(t, baseRPM)})
	before := snapshot(t, vm)
	vm.Run(t, "sync").OK(t)

	trap(t, vm, "/usr/bin/systemctl", "*' daemon-reload '*")
	vm.CutPower(t, cut, "rpm -i "+inside(rpm))
	boot(t, vm)
	vm.Run(t, "rpm", "-q", "illumio-ven").OK(t)
	if r := vm.Run(t, "rpm", "-V", "--nodeps", "illumio-ven"); r.Code == 0 {
		t.Fatal("all files are on the disk before they were synced: this was no power cut")
	}

	vm.Sh(t, "VEN_INSTALL_ACTION=prepare rpm -U --replacepkgs "+inside(rpm)).OK(t)
	trap(t, vm, "/usr/bin/systemctl", "*' disable nftables.service '*")
	vm.CutPower(t, cut, program+"/illumio-ven-ctl start")
	boot(t, vm)
	checkWhole(t, vm, "rpm", "-V", "illumio-ven")
	checkRunning(t, vm)
	checkPlatform(t, vm)
	checkTaken(t, vm)
	if rules := vm.Run(t, "nft", "list", "ruleset").OK(t); !strings.Contains(rules, hostPort) {
		t.Errorf("the host's own rules are not in force:\n%s", rules)
	}

	vm.Run(t, "rpm", "-e", "illumio-ven").OK(t)
	checkGivenBack(t, vm, before)
}
