//go:build linux

package vm

import "testing"

// TestDEB is the life of the Debian package: installed, rebooted, purged.
func TestDEB(t *testing.T) {
	t.Parallel()
	deb := product(t, "debian12")
	vm := newHost(t, []string{deb})
	before := snapshot(t, vm)
	vm.Run(t, "dpkg", "-i", inside(deb)).OK(t)
	check := func() {
		t.Helper()
		checkWhole(t, vm, "dpkg", "--verify", "illumio-ven")
		checkRunning(t, vm)
		checkPlatform(t, vm)
		checkTaken(t, vm)
	}
	check()
	vm.Shutdown(t)
	boot(t, vm)
	check()
	checkVerified(t, vm)
	vm.Run(t, "dpkg", "--purge", "illumio-ven").OK(t)
	checkGivenBack(t, vm, before)
	if left := vm.Sh(t, "ls -d "+program+" "+data+" "+stateDir+" 2>/dev/null; getent passwd ilo-ven; getent group ilo-ven"); left.Stdout != "" {
		t.Errorf("the purge leaves %s", left.Stdout)
	}
}
