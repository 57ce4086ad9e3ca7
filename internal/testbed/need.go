//go:build linux

package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// tools are the programs of the machine that the package itself calls.
var tools = []string{"apt-get", "go", "mmdebstrap", "nsenter", "pivot_root", "systemd-nspawn", "unshare"}

// missing says why no box can be made here, or nothing.
func missing() string {
	if testing.Short() {
		return "real installs are left out with -short"
	}
	if os.Geteuid() != 0 {
		return "real installs need root"
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Sprintf("real installs need %s, which is not installed", tool)
		}
	}
	return ""
}

// Need skips the test where real installs cannot run, or where one of the named
// programs of the machine is not installed. With VPKG_REQUIRE_INSTALL=1, as CI
// sets it, it fails instead: a skipped install proves nothing.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	why := current.Missing
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil && why == "" {
			why = fmt.Sprintf("%s is not installed", p)
		}
	}
	switch {
	case why == "":
	case os.Getenv("VPKG_REQUIRE_INSTALL") == "1":
		t.Fatalf("%s, and VPKG_REQUIRE_INSTALL=1 asks that nothing is skipped", why)
	default:
		t.Skip(why)
	}
}
