//go:build linux

package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestStateTable takes the product through install, upgrade, downgrade,
// reinstallation and removal or purge on hosts whose firewall's service is
// enabled or not and runs or not. While the product is there the service is
// neither; in the end it is what it was, and so are the rules.
func TestStateTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		generation string
		remove     []string
	}{
		{"rpm 4.18", []string{"rpm", "-e", product}},
		{"dpkg 1.22", []string{"dpkg", "--remove", product}},
		{"dpkg 1.21", []string{"dpkg", "--purge", product}},
	} {
		t.Run(c.remove[0]+" "+strings.TrimLeft(c.remove[1], "-"), func(t *testing.T) {
			t.Parallel()
			g := pick(t, c.generation)
			b := testbed.New(t, g.suite)
			b.Boot(t)
			g.seed(t, b)
			old, newer := g.bring(t, b, oldVersion), g.bring(t, b, newVersion)
			service := iptablesService("nft")
			b.Sh(t, "set -e\n"+service.prepare+"\nsystemctl daemon-reload").OK(t)
			for _, enabled := range []string{"enable", "disable"} {
				for _, running := range []string{"start", "stop"} {
					b.Sh(t, "systemctl "+enabled+" -q iptables ip6tables && systemctl "+running+` iptables ip6tables
						iptables -A INPUT -s 198.51.100.1/32 -j DROP # by hand`).OK(t)
					before := snapshot(t, b)
					for _, step := range []struct {
						name string
						run  func() testbed.Result
					}{
						{"install", func() testbed.Result { return g.install(t, b, old) }},
						{"upgrade", func() testbed.Result { return g.upgrade(t, b, newer) }},
						{"downgrade", func() testbed.Result { return g.downgrade(t, b, old) }},
						{"reinstall", func() testbed.Result { return g.reinstall(t, b, old) }},
					} {
						step.run().OK(t)
						now := snapshot(t, b)
						for _, s := range service.services {
							if !strings.Contains(now, s+" disabled inactive\n") {
								t.Errorf("%s, %s: after the %s the host's service is\n%s", enabled, running, step.name, section(now, "services"))
							}
						}
						if was, is := section(before, "rules"), section(now, "rules"); is != was {
							t.Errorf("%s, %s: the %s changes the rules:\n%s", enabled, running, step.name, cmp.Diff(was, is))
						}
					}
					b.Run(t, c.remove...).OK(t)
					if after := snapshot(t, b); after != before {
						t.Fatalf("%s, %s: the host is not as it was:\n%s\nthe log:\n%s", enabled, running, cmp.Diff(before, after), b.Sh(t, "cat "+logFile).Stdout)
					}
				}
			}
		})
	}
}
