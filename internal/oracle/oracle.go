// Package oracle is for tests that ask other programs, which know a format too.
package oracle

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Need skips the test where one of the programs is not installed: see Skip.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Skip(t, p+" is not installed")
		}
	}
}

// Skip skips the test because of what is missing. With VPKG_REQUIRE_INSTALL=1, as CI
// sets it, it fails instead: a test that was skipped proves nothing.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("VPKG_REQUIRE_INSTALL") == "1" {
		t.Fatalf("%s, and VPKG_REQUIRE_INSTALL=1 asks that nothing is skipped", why)
	}
	t.Skip(why)
}

// Module gives the folder of a module that has test data, such as
// "github.com/sassoftware/relic/v8@v8.2.0". It is downloaded, and not one that vpkg
// needs. Where it cannot be had the test is skipped: see Skip.
func Module(t testing.TB, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // outside of vpkg's own module
	out, err := cmd.Output()
	var m struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err != nil || m.Dir == "" {
		Skip(t, fmt.Sprintf("%s cannot be downloaded: %v", module, err))
	}
	return m.Dir
}
