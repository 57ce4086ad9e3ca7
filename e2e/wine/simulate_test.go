//go:build linux

package wine

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging/simulate"
)

// TestSimulate compares the actions in Wine's logs with those that vpkg simulate
// lists. Wine logs an upgrade's removal of the old product elsewhere, and does not
// tell it that it is one.
func TestSimulate(t *testing.T) {
	h := newHost(t)
	older, newer := h.pkg("small", "1.0.0-1"), h.pkg("small", "1.1.0-1")
	for _, c := range []struct {
		name     string
		msiexec  string
		pkg      string
		simulate []string
	}{
		{"install", "/i", older, []string{"--install", older}},
		{"upgrade", "/i", newer, []string{older, newer}},
		{"remove", "/x", newer, []string{"--remove", newer}},
	} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(h.dir, "vpkg"), append([]string{"simulate", "--json"}, c.simulate...)...).Output()
		if ee, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || ee.ExitCode() != 1) {
			t.Fatal(err)
		}
		var r simulate.Report
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
		h.want(t, 0, c.msiexec, h.bring(t, c.pkg))
		got := actions(h.read(t, h.log()))
		var want []string
		for _, s := range r.Steps {
			if s.If == "" || slices.Contains(got, s.Name) { // else the host decides, and has decided
				want = append(want, s.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: Wine ran\n%q\nwant, as simulated,\n%q", c.name, got, want)
		}
	}
}

var started = regexp.MustCompile(`(?m)^Action start [0-9:]+: (\w+)\.`)

// actions gives the actions of a log: those that the sequence has, and what ran of
// them at the end, the actions of a commit. Those for a rollback did not run.
func actions(log string) []string {
	var sequence, commits []string
	all := started.FindAllStringSubmatch(log, -1)
	end := slices.IndexFunc(all, func(m []string) bool { return m[1] == "InstallFinalize" })
	for i, m := range all {
		switch name := m[1]; {
		case name == "INSTALL" || strings.HasSuffix(name, "Rollback"):
		case strings.HasPrefix(name, "HookCommit"):
			if i > end {
				commits = append(commits, name)
			}
		case i <= end:
			sequence = append(sequence, name)
		}
	}
	return append(sequence, commits...)
}
