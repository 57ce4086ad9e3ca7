package hooks_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
)

// platformConfig is a product that changes more of the host than files.
func platformConfig() hooks.Config {
	c := config("1.0-1")
	c.Sysctls = []hooks.Setting{{Name: setting, Value: "28800"}}
	c.Modules = []hooks.Module{{Name: "nf_conntrack_ipv4", Substitutes: []string{"nf_conntrack"}}}
	c.Firewall = &hooks.Firewall{Services: []string{"iptables"}}
	c.Settings = "/etc/default/illumio-agent"
	c.Units = append(c.Units, hooks.Unit{Name: "illumio-ven-firewall.service", Enable: true, AtBoot: true})
	return c
}

// TestPlanPlatform is about what the running product adds to the events: only
// the steps that have one of the words are looked at.
func TestPlanPlatform(t *testing.T) {
	const activate = "command /opt/illumio_ven/bin/vpkg-agent activate --management-server pce:8443 --activation-code-file /var/lib/vpkg/illumio-ven/activation_code --timeout 60s"
	for _, tc := range []struct {
		name  string
		event hooks.Event
		words []string
		want  string
	}{
		{
			"what was changed is given back when the units have stopped",
			hooks.Event{Phase: hooks.PreRemove, Action: hooks.Remove},
			[]string{"active", "restore", "enabled"},
			"no active illumio-ven.service venAgentMgr.service illumio-ven-firewall.service, command /opt/illumio_ven/bin/vpkg-hook platform restore, " +
				"no enabled illumio-ven.service venAgentMgr.service illumio-ven-firewall.service",
		},
		{
			"in a container too",
			hooks.Event{Phase: hooks.PreRemove, Action: hooks.Remove, Offline: true},
			[]string{"restore"},
			"command /opt/illumio_ven/bin/vpkg-hook platform restore",
		},
		{
			"a unit for the boot is enabled and not started",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install},
			[]string{"firewall"},
			"enabled illumio-ven.service illumio-ven-firewall.service",
		},
		{
			"nor restarted",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Upgrade},
			[]string{"firewall", "restart"},
			"restart illumio-ven.service venAgentMgr.service",
		},
		{
			"activation comes last",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install, Activate: "pce:8443"},
			[]string{"command"},
			"command illumio-ven.service /opt/illumio_ven/bin/init_Platform start, " + activate,
		},
		{
			"nothing is activated offline",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install, Activate: "pce:8443", Offline: true},
			[]string{"command"},
			"",
		},
		{
			"labels before the disk is waited for",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install, Labels: true, Offline: true},
			[]string{"restorecon", "synced"},
			"command restorecon -R /opt/illumio_ven /var/lib/vpkg/illumio-ven /opt/illumio_ven_data /opt/illumio_ven_data/log, synced /opt/illumio_ven, synced /etc",
		},
	} {
		var got []string
		for _, s := range hooks.Plan(tc.event, platformConfig()) {
			for _, w := range tc.words {
				if strings.Contains(s.String(), w) {
					got = append(got, s.String())
					break
				}
			}
		}
		if g := strings.Join(got, ", "); g != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, g, tc.want)
		}
	}
}

func TestPlatformConfig(t *testing.T) {
	for want, change := range map[string]func(*hooks.Config){
		"":                          func(*hooks.Config) {},
		`module "a/b"`:              func(c *hooks.Config) { c.Modules[0].Substitutes = []string{"a/b"} },
		`kernel setting "a..b"`:     func(c *hooks.Config) { c.Sysctls[0].Name = "a..b" },
		`kernel setting "a.b"`:      func(c *hooks.Config) { c.Sysctls = []hooks.Setting{{Name: "a.b"}} },
		`settings "etc/default/x"`:  func(c *hooks.Config) { c.Settings = "etc/default/x" },
		`firewall service "../x"`:   func(c *hooks.Config) { c.Firewall.Services = []string{"../x"} },
		`firewall service "x y"`:    func(c *hooks.Config) { c.Firewall.Services = []string{"x y"} },
		`firewall service "--help"`: func(c *hooks.Config) { c.Firewall.Services = []string{"--help"} },
	} {
		c := platformConfig()
		change(&c)
		if err := c.Validate(); fmt.Sprint(err) == "<nil>" != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Validate gives %v, want %q in it", err, want)
		}
	}
}

func TestIsServer(t *testing.T) {
	for s, want := range map[string]bool{
		"pce.example.com:8443": true, "192.0.2.1:443": true, "[2001:db8::1]:8443": true,
		"": false, "pce": false, "pce:": false, ":8443": false, "pce:0": false, "pce:70000": false, "-o:1": false, "a b:1": false, "https://pce:8443": false,
	} {
		if got := hooks.IsServer(s); got != want {
			t.Errorf("IsServer(%q) = %t", s, got)
		}
	}
}
