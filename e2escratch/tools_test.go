//go:build linux

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestLinters runs the distributions' own checks. What they find and is meant so
// is filtered, each with its reason, in lint/.
func TestLinters(t *testing.T) {
	for _, c := range []struct {
		target  string
		command []string
	}{
		{"el9", []string{"rpmlint", "--config", "../lint/rpmlint.toml"}},
		{"sles15", []string{"rpmlint", "--config", "../lint/rpmlint.toml"}},
		{"debian12", []string{"lintian", "--allow-root", "--fail-on", "error,warning,info", "--suppress-tags-from-file", "../lint/lintian.tags"}},
	} {
		t.Run(c.target, func(t *testing.T) {
			t.Parallel()
			testbed.Need(t, c.command[0])
			argv := append(c.command, built(t, oldVersion, c.target))
			out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("$ %s\n%s%v", strings.Join(argv, " "), out, err)
			}
		})
	}
}
