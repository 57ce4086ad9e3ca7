package pe_test

import (
	"os"
	"os/exec"
	"testing"
)

// need skips the test where a program is not installed, and fails it where
// VPKG_REQUIRE_INSTALL asks that nothing is skipped.
func need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("VPKG_REQUIRE_INSTALL") == "1" {
		t.Fatalf("%s is not installed, and VPKG_REQUIRE_INSTALL=1 asks that nothing is skipped", program)
	}
	t.Skipf("%s is not installed", program)
}

func output(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}
