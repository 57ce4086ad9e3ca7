//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

// online are the generations that are tested with systemd as pid 1.
var online = []string{"rpm 4.18", "rpm 4.20", "dpkg 1.20", "dpkg 1.22"}

// components are the product's processes with the user that each runs as.
var components = map[string]string{
	"venAgentMgr": account, "venVtapServer": account, "venPlatformHandler": "root", "venAgentMonitor": "root",
}

func pick(t testing.TB, name string) generation {
	t.Helper()
	for _, g := range generations {
		if g.name == name {
			return g
		}
	}
	t.Fatalf("no generation %q", name)
	return generation{}
}

// TestSystemd installs on a booted system: the service runs after the install and
// after another boot, keeps its state over upgrades, and is gone after the
// removal.
func TestSystemd(t *testing.T) {
	for _, name := range online {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, name)
			b := testbed.New(t, g.suite)
			b.Boot(t)
			g.seed(t, b)
			old, newer := g.bring(t, b, oldVersion), g.bring(t, b, newVersion)

			g.install(t, b, old).OK(t)
			checkInstalled(t, g, b, oldVersion)
			checkRunning(t, b)
			pids := mainPIDs(t, b)

			g.upgrade(t, b, newer).OK(t)
			checkInstalled(t, g, b, newVersion)
			checkRunning(t, b)
			for component, pid := range mainPIDs(t, b) {
				if pid == pids[component] {
					t.Errorf("%s still runs the old version's process %s", component, pid)
				}
			}

			b.Shutdown(t)
			b.Boot(t)
			checkRunning(t, b)

			for _, enabled := range []bool{true, false} {
				for _, running := range []bool{true, false} {
					checkKeepsState(t, g, b, old, newer, enabled, running)
				}
			}

			b.Run(t, "systemctl", "enable", "--now", unit).OK(t)
			b.Write(t, data+"/etc/kept", "by the administrator")
			g.remove(t, b).OK(t)
			checkRemoved(t, g, b)
			checkStopped(t, b)
			if failed := b.Run(t, "systemctl", "--failed", "--plain", "--no-legend").OK(t); failed != "" {
				t.Errorf("failed units after the removal:\n%s", failed)
			}
		})
	}
}

// checkKeepsState brings the service into a state, and checks that an upgrade, a
// downgrade and a reinstall end in it.
func checkKeepsState(t *testing.T, g generation, b *testbed.Box, old, newer string, enabled, running bool) {
	t.Helper()
	set := func(yes bool, a, b string) string {
		if yes {
			return a
		}
		return b
	}
	b.Run(t, "systemctl", set(enabled, "enable", "disable"), unit).OK(t)
	b.Run(t, "systemctl", set(running, "start", "stop"), unit).OK(t)
	want := set(enabled, "enabled", "disabled") + " " + set(running, "active", "inactive")
	for _, step := range []struct {
		name string
		run  func(testing.TB, *testbed.Box, string) testbed.Result
		file string
	}{
		{"downgrade", g.downgrade, old},
		{"reinstall", g.reinstall, old},
		{"upgrade", g.upgrade, newer},
	} {
		step.run(t, b, step.file).OK(t)
		if got := unitState(t, b); got != want {
			t.Errorf("the service was %s; after the %s it is %s", want, step.name, got)
		}
		if running {
			checkRunning(t, b)
		} else {
			checkStopped(t, b)
		}
	}
}

// unitState is "enabled active" or the like.
func unitState(t testing.TB, b *testbed.Box) string {
	t.Helper()
	first := func(r testbed.Result) string { return strings.TrimSpace(r.Stdout) }
	return first(b.Run(t, "systemctl", "is-enabled", unit)) + " " + first(b.Run(t, "systemctl", "is-active", unit))
}

// checkRunning checks that the service is up and that all its components are
// processes of the right user.
func checkRunning(t testing.TB, b *testbed.Box) {
	t.Helper()
	if got := b.Run(t, "systemctl", "is-active", unit); got.Code != 0 {
		t.Errorf("the service does not run: %s\n%s", got.Stdout, b.Run(t, "journalctl", "--no-pager", "-n", "50").Stdout)
	}
	eventually(t, b, "all components run as their users", func() (string, bool) {
		pids := mainPIDs(t, b)
		users := map[string]string{} // by number of the process
		for line := range strings.Lines(b.Run(t, "ps", "-o", "pid=,user:32=", "-p", strings.Join(slices.Collect(maps.Values(pids)), ",")).Stdout) {
			if f := strings.Fields(line); len(f) == 2 {
				users[f[0]] = f[1]
			}
		}
		var is strings.Builder
		good := true
		for component, pid := range pids {
			fmt.Fprintf(&is, "%s: pid %s, user %q\n", component, pid, users[pid])
			good = good && users[pid] == components[component]
		}
		return is.String(), good
	})
	if r := b.Run(t, program+"/illumio-ven-ctl", "status"); r.Code != 0 {
		t.Errorf("illumio-ven-ctl says that it does not run: %v", r)
	}
}

func checkStopped(t testing.TB, b *testbed.Box) {
	t.Helper()
	eventually(t, b, "no process of the product is left", func() (string, bool) {
		r := b.Run(t, "pgrep", "-af", program+"/bin/ven|^ven[A-Z]|vpkg-agent|vpkg-hook")
		return r.Stdout, r.Code == 1
	})
}

// mainPIDs are the processes of the components' units.
func mainPIDs(t testing.TB, b *testbed.Box) map[string]string {
	t.Helper()
	names := slices.Sorted(maps.Keys(components))
	out := b.Run(t, append([]string{"systemctl", "show", "-p", "MainPID", "--value"}, names...)...).OK(t)
	values := strings.Fields(out) // with empty lines between them
	if len(values) != len(names) {
		t.Fatalf("systemctl gives %q for %d units", out, len(names))
	}
	pids := map[string]string{}
	for i, name := range names {
		pids[name] = values[i]
	}
	return pids
}

// eventually waits for at most ten seconds until it is so.
func eventually(t testing.TB, b *testbed.Box, what string, so func() (is string, ok bool)) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		is, ok := so()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("want that %s; it is:\n%s%s", what, is, b.Run(t, "journalctl", "--no-pager", "-n", "50").Stdout)
			return
		}
	}
}
