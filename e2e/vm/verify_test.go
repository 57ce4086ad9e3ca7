//go:build linux

package vm

import (
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// checkVerified checks that the hook's verify finds nothing, and then a module that
// has been unloaded: only this kernel has modules that can be.
func checkVerified(t testing.TB, vm *testbed.VM) {
	t.Helper()
	verify := func(want string) {
		t.Helper()
		r := vm.Run(t, program+"/bin/vpkg-hook", "verify")
		if !strings.HasPrefix(r.Stdout, want) || strings.Count(r.Stdout, "\n") != min(len(want), 1) || r.Stderr != "" {
			t.Errorf("want that verify finds %q: %v", want, r)
		}
	}
	verify("")
	vm.Run(t, "rmmod", "nf_conntrack_ftp").OK(t)
	verify("module: nf_conntrack_ftp")
	vm.Run(t, "modprobe", "nf_conntrack_ftp").OK(t)
}
