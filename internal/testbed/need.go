//go:build linux

package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
)

// tools are the programs of the machine that the package itself calls.
var tools = []string{"apt-get", "go", "mmdebstrap", "nsenter", "pivot_root", "systemd-nspawn", "unshare"}

// missing says why what s asks for cannot be made here, or nothing.
func missing(s Setup) string {
	if testing.Short() {
		return "real installs are left out with -short"
	}
	if os.Geteuid() != 0 {
		return "real installs need root"
	}
	needed := tools
	if s.VM {
		if runtime.GOARCH != "amd64" {
			return "the tests' virtual machines are amd64, and so is what is built to run in them"
		}
		needed = slices.Concat(tools, vmTools)
	}
	for _, tool := range needed {
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
