//go:build linux

package wine

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestSigned installs a signed package, whose signature and whose programs' are
// good for osslsigncode before and after.
func TestSigned(t *testing.T) {
	testbed.Need(t, "osslsigncode")
	h := newHost(t)
	signed := filepath.Join(h.dir, "signed", filepath.Base(h.built(oldVersion)))
	h.want(t, 0, "/i", h.bring(t, signed))
	h.checkFiles(t, signed, program)
	h.awaitRunning(t)
	for _, name := range []string{
		signed, h.file(program + `\bin\vpkg-hook.exe`), h.file(program + `\bin\vpkg-agent.exe`), h.file(program + `\illumio-ven-ctl.exe`),
	} {
		// Without -ignore-timestamp it asks for the authority of time stamps too.
		out, err := exec.Command("osslsigncode", "verify", "-in", name, "-CAfile", filepath.Join(h.dir, "ca.pem")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Succeeded") {
			t.Errorf("osslsigncode verify %s: %v\n%s", name, err, out)
		}
	}
	h.want(t, 0, "/x", h.bring(t, signed))
	h.checkRemoved(t, program)
}
