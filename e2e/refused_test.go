//go:build linux

package e2e

import (
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestNothingStarted installs on booted systems on which somebody wants nothing
// started: the package is installed all the same, and enabled where it can be.
func TestNothingStarted(t *testing.T) {
	const masked = "ln -s /dev/null /etc/systemd/system/" + unit + "; systemctl daemon-reload"
	for _, c := range []struct {
		name, generation string
		prepare          string // shell, before the installation
		env              []string
		state            string
	}{
		{"prepare", "rpm 4.18", "", []string{"VEN_INSTALL_ACTION=prepare"}, "enabled inactive"},
		{"masked unit", "rpm 4.18", masked, nil, "masked inactive"},
		{"masked unit", "dpkg 1.22", masked, nil, "masked inactive"},
		{"policy-rc.d", "dpkg 1.22", "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d", nil, "enabled inactive"},
	} {
		t.Run(c.generation+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, c.generation)
			b := testbed.New(t, g.suite)
			b.Boot(t)
			g.seed(t, b)
			if c.prepare != "" {
				b.Sh(t, c.prepare).OK(t)
			}
			g.install(t, b, g.bring(t, b, oldVersion), c.env...).OK(t)
			if got := unitState(t, b); got != c.state {
				t.Errorf("the service is %s, want %s", got, c.state)
			}
			checkStopped(t, b)
			if b.Run(t, "test", "-e", stateDir+"/failed").Code == 0 {
				t.Errorf("the installation is marked as failed: %s", b.Read(t, stateDir+"/failed"))
			}
		})
	}
}
