//go:build linux

package vm

import (
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestSELinux installs where SELinux enforces Debian's policy: it denies nothing to
// what is installed, now and at the next boot, and every file has the label that
// the policy has for it.
func TestSELinux(t *testing.T) {
	t.Parallel()
	rpm := product(t, "el9")
	vm := newHost(t, []string{rpm, built(t, baseRPM)}, testbed.SELinux...)
	if got := vm.Run(t, "cat", "/sys/fs/selinux/enforce"); got.Stdout != "1" {
		t.Fatalf("SELinux does not enforce anything: %v", got)
	}
	const denied = "dmesg | grep 'avc:  denied' | sed 's/^[^:]*: //'"
	before := vm.Sh(t, denied).Stdout
	vm.Run(t, "rpm", "-i", inside(rpm)).OK(t)
	checkWhole(t, vm, "rpm", "-V", "illumio-ven")
	checkRunning(t, vm)
	checkPlatform(t, vm)
	checkTaken(t, vm)
	if now, ok := strings.CutPrefix(vm.Sh(t, denied).Stdout, before); !ok || now != "" {
		t.Errorf("SELinux denies:\n%s", now)
	}
	wrong := vm.Run(t, "restorecon", "-n", "-v", "-R", program, data, stateDir, "/usr/lib/systemd/system")
	if wrong.Stdout != "" || wrong.Code != 0 {
		t.Errorf("labels are not the policy's: %v", wrong)
	}
	if got := vm.Run(t, "stat", "-c", "%C", program+"/bin/vpkg-hook").OK(t); !strings.Contains(got, ":bin_t:") {
		t.Errorf("the hook has the label %q, want one of a program", got)
	}
	vm.Run(t, "rpm", "-e", "illumio-ven").OK(t)
}
