//go:build linux

package e2e

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestContainer is a container without systemd in which somebody started the
// product: its processes go with the package, and an upgrade replaces them.
func TestContainer(t *testing.T) {
	for _, name := range []string{"rpm 4.18", "dpkg 1.22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, name)
			b := g.box(t)
			old, newer := g.bring(t, b, oldVersion), g.bring(t, b, newVersion)

			g.install(t, b, old).OK(t)
			checkStopped(t, b) // an installation starts nothing here
			g.upgrade(t, b, newer).OK(t)
			checkStopped(t, b) // nor does an upgrade
			g.downgrade(t, b, old).OK(t)

			b.Run(t, program+"/bin/init_Platform", "start").OK(t)
			before := containerPIDs(t, b)
			g.upgrade(t, b, newer).OK(t)
			after := containerPIDs(t, b)
			for _, pid := range after {
				if slices.Contains(before, pid) {
					t.Errorf("process %d is still of the old version", pid)
				}
			}
			g.remove(t, b).OK(t)
			checkStopped(t, b)
		})
	}
}

// containerPIDs are the processes of the components, all of which have to run.
func containerPIDs(t testing.TB, b *testbed.Box) []int {
	t.Helper()
	var status struct {
		Version    string
		Components []struct{ PID int }
	}
	if err := json.Unmarshal([]byte(b.Run(t, program+"/illumio-ven-ctl", "status", "--json").OK(t)), &status); err != nil {
		t.Fatal(err)
	}
	if len(status.Components) != len(components) {
		t.Fatalf("%d components run, want %d", len(status.Components), len(components))
	}
	var pids []int
	for _, c := range status.Components {
		pids = append(pids, c.PID)
	}
	return pids
}
