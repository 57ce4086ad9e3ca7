//go:build linux

package vm

import (
	"strings"
	"testing"
	"time"

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

// TestPowerCuts cuts the power twice in the post-install of a first installation,
// when rpm says that everything is installed and has written nothing to the disk.
//
// The first time the hook has done so, and the product is taking the packet filter
// over: its own start at the next boot completes that. The second time it has not,
// and there is nothing that could start. After both, what an administrator does
// makes the installation good.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	rpm := product(t, "el9")
	vm := newHost(t, []string{rpm, built(t, baseRPM)})
	before := snapshot(t, vm)
	repair := func() {
		t.Helper()
		start := time.Now()
		vm.Run(t, "rpm", "-U", "--replacepkgs", inside(rpm)).OK(t)
		t.Logf("installed again after %.0f s", time.Since(start).Seconds())
		checkWhole(t, vm, "rpm", "-V", "illumio-ven")
		checkRunning(t, vm)
		checkPlatform(t, vm)
		checkTaken(t, vm)
	}
	cutPower := func(pattern string) {
		t.Helper()
		vm.Run(t, "sync").OK(t)
		// From here on nothing reaches the disk by itself.
		vm.Run(t, "sysctl", "-q", "vm.dirty_writeback_centisecs=0").OK(t)
		trap(t, vm, "/usr/bin/systemctl", pattern)
		start := time.Now()
		vm.CutPower(t, cut, "rpm -i "+inside(rpm))
		t.Logf("cut after %.0f s", time.Since(start).Seconds())
		boot(t, vm)
		vm.Run(t, "rpm", "-q", "illumio-ven").OK(t)
	}

	cutPower("*' disable nftables.service '*")
	checkWhole(t, vm, "rpm", "-V", "illumio-ven")
	eventually(t, vm, "the product runs", program+"/illumio-ven-ctl status")
	checkPlatform(t, vm)
	checkTaken(t, vm)
	if rules := vm.Run(t, "nft", "list", "ruleset").OK(t); !strings.Contains(rules, hostPort) {
		t.Errorf("the host's own rules are not in force:\n%s", rules)
	}
	repair()
	vm.Run(t, "rpm", "-e", "illumio-ven").OK(t)
	checkGivenBack(t, vm, before)

	vm.Sh(t, "rm -r "+data).OK(t)
	cutPower("*' daemon-reload '*")
	if r := vm.Run(t, "rpm", "-V", "--nodeps", "illumio-ven"); r.Code == 0 {
		t.Error("all files are on the disk before they were synced: this was no power cut")
	}
	repair()
}
