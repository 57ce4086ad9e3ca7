//go:build linux

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

// waitsForUs is what the hook says instead of waiting for ever: see Lock in
// hooks.
const waitsForUs = "which waits for this one"

// lockLimit is how long any command may take. On an idle machine none needs five
// seconds; a wait without end would be cut off by the box's own limit.
const lockLimit = 100 * time.Second

// A lockStep is a command that takes a lock, or starts what takes one.
type lockStep struct {
	name string
	run  func(testing.TB, *testbed.Box) testbed.Result
}

// TestNoLockOfAnAncestor takes the product through every event and command, with
// systemd and without. In none does anything wait for a lock that its own ancestor
// has.
func TestNoLockOfAnAncestor(t *testing.T) {
	for _, c := range []struct {
		generation string
		booted     bool
	}{
		{"rpm 4.18", true},
		{"dpkg 1.22", true},
		{"rpm 4.18", false},
		{"dpkg 1.21", false},
	} {
		name := c.generation + "/without systemd"
		if c.booted {
			name = c.generation + "/systemd"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, c.generation)
			b := testbed.New(t, g.suite)
			if c.booted {
				b.Boot(t)
			}
			g.seed(t, b)
			for _, s := range lockSteps(t, g, b, c.booted) {
				if c.booted { // nobody starts a service six times in ten seconds: systemd would refuse
					b.Run(t, "systemctl", "reset-failed").OK(t)
				}
				began := time.Now()
				r := s.run(t, b)
				if took := time.Since(began); took > lockLimit {
					t.Errorf("%s took %v", s.name, took)
				}
				if r.Code != 0 {
					t.Fatalf("%s: %s\nlog:\n%s", s.name, r, b.Run(t, "cat", logFile).Stdout)
				}
				if said := lockComplaint(t, b, r, c.booted); said != "" {
					t.Errorf("%s: %s", s.name, said)
				}
			}
		})
	}
}

// lockSteps are a life of the product, in order.
func lockSteps(t *testing.T, g generation, b *testbed.Box, booted bool) []lockStep {
	t.Helper()
	old, newer := g.bring(t, b, oldVersion), g.bring(t, b, newVersion)
	pkg := func(do func(testing.TB, *testbed.Box, string) testbed.Result, file string) func(testing.TB, *testbed.Box) testbed.Result {
		return func(t testing.TB, b *testbed.Box) testbed.Result { t.Helper(); return do(t, b, file) }
	}
	sh := func(script string) lockStep {
		return lockStep{script, func(t testing.TB, b *testbed.Box) testbed.Result { t.Helper(); return b.Sh(t, script) }}
	}
	install := func(t testing.TB, b *testbed.Box, file string) testbed.Result {
		t.Helper()
		return g.install(t, b, file)
	}
	const hook, init = program + "/bin/vpkg-hook", program + "/bin/init_Platform"
	b.Write(t, "/policy.json", killFiles["a.json"])
	steps := []lockStep{
		{"install", pkg(install, old)},
		sh(init + " start"),
		sh(init + " restart"),
		{"upgrade", pkg(g.upgrade, newer)},
		{"downgrade", pkg(g.downgrade, old)},
		{"reinstall", pkg(g.reinstall, old)},
		sh("cp /policy.json " + data + "/etc/policy.json && " + hook + " platform apply"),
		sh(program + "/illumio-ven-ctl suspend && " + program + "/illumio-ven-ctl unsuspend"),
		sh(init + " stop"),
		sh(init + " start && " + init + " status"),
		sh(hook + " platform boot"),
	}
	if booted {
		steps = append(
			steps,
			sh("systemctl restart "+unit),
			// As the manager has it done, and as somebody's timer could.
			sh("systemd-run --quiet --wait "+hook+" platform apply"),
			sh("systemd-run --quiet --wait --property=Type=oneshot "+init+" start"),
			sh("systemctl stop "+unit),
			sh("systemd-run --quiet --wait "+init+" start"),
		)
	}
	return append(
		steps,
		lockStep{"upgrade with a policy in force", pkg(g.upgrade, newer)},
		lockStep{"remove", g.remove},
		lockStep{"install again", pkg(install, old)},
		sh(init+" start"),
		sh(program+"/illumio-ven-ctl unpair saved noreport"),
	)
}

// lockComplaint is what was said of a lock of an ancestor's, or nothing.
func lockComplaint(t testing.TB, b *testbed.Box, r testbed.Result, booted bool) string {
	t.Helper()
	said := r.Stdout + r.Stderr + b.Run(t, "cat", logFile).Stdout
	if booted {
		said += b.Run(t, "journalctl", "--no-pager").Stdout
	}
	for line := range strings.Lines(said) {
		if strings.Contains(line, waitsForUs) {
			return line
		}
	}
	return ""
}

// TestLockOfAnAncestor holds the locks and calls what needs them: it says so at
// once. That is what the test above would see.
func TestLockOfAnAncestor(t *testing.T) {
	t.Parallel()
	g := pick(t, "rpm 4.18")
	b := g.box(t)
	g.install(t, b, g.bring(t, b, oldVersion)).OK(t)
	for _, c := range []struct{ lock, call string }{
		{"platform.lock", "platform apply"},
		{"platform.lock", "suspend"},
		{"lock", "post-install --format rpm -- 2"},
	} {
		r := b.Run(t, "flock", stateDir+"/"+c.lock, "timeout", "20", program+"/bin/vpkg-hook", "platform", "status")
		if r.Code == 124 {
			t.Errorf("status waits for %s", c.lock)
		}
		r = b.Sh(t, "flock "+stateDir+"/"+c.lock+" timeout 20 "+program+"/bin/vpkg-hook "+c.call)
		if stderr := r.Fails(t); r.Code == 124 || !strings.Contains(stderr, waitsForUs) {
			t.Errorf("%s with a lock of its ancestor's: %v", c.call, r)
		}
	}
}
