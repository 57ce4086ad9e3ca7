package hooks_test

import (
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
)

func TestPlan(t *testing.T) {
	const (
		account    = "group ilo-ven, user ilo-ven"
		data       = "folder /opt, folder /opt/illumio_ven_data, folder /opt/illumio_ven_data/log"
		dropInGone = "no file /etc/systemd/system/venAgentMgr.service.d/vpkg-account.conf, no folder /etc/systemd/system/venAgentMgr.service.d"
		dropIn     = "folder /etc, folder /etc/systemd, folder /etc/systemd/system, folder /etc/systemd/system/venAgentMgr.service.d, file /etc/systemd/system/venAgentMgr.service.d/vpkg-account.conf"
		state      = "file /var/lib/vpkg/illumio-ven/installed.json, no file /var/lib/vpkg/illumio-ven/failed"
		unpacked   = account + ", owners /opt/illumio_ven/etc/layout.json, " + data + ", "
		onDisk     = ", synced /opt/illumio_ven, synced /etc"
		both       = " illumio-ven.service venAgentMgr.service"
	)
	for _, tc := range []struct {
		name  string
		event hooks.Event
		want  string
	}{
		{
			"before unpacking",
			hooks.Event{Phase: hooks.PreInstall, Action: hooks.Install},
			account + ", folder /opt",
		},
		{
			"install",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install},
			unpacked + dropInGone + ", " + state + ", reload, enabled illumio-ven.service" + onDisk + ", command illumio-ven.service /opt/illumio_ven/bin/init_Platform start",
		},
		{
			"install in an image",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install, Offline: true},
			unpacked + dropInGone + ", " + state + ", enabled illumio-ven.service" + onDisk,
		},
		{
			"install with another account",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install, Offline: true, User: "www"},
			strings.Replace(unpacked, account, "known www, "+account, 1) + dropIn + ", " + state + ", enabled illumio-ven.service" + onDisk,
		},
		{
			"the package's own account is no other one",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install, Offline: true, User: "ilo-ven"},
			unpacked + dropInGone + ", " + state + ", enabled illumio-ven.service" + onDisk,
		},
		{
			"upgrade",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Upgrade, Was: installed("1.0-1")},
			unpacked + dropInGone + ", " + state + ", reload" + onDisk + ", restart" + both,
		},
		{
			"upgrade in an image",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Upgrade, Was: installed("1.0-1"), Offline: true},
			unpacked + dropInGone + ", " + state + onDisk,
		},
		{
			"upgrade of a version with other units",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Upgrade, Was: hooks.Installed{Version: "1.0-1", Units: []string{"old.service", "venAgentMgr.service"}}},
			unpacked + dropInGone + ", " + state + ", reload, no enabled old.service, enabled illumio-ven.service" + onDisk + ", no active old.service, restart venAgentMgr.service",
		},
		{
			"upgrade of a package that vpkg did not make",
			hooks.Event{Phase: hooks.PostInstall, Action: hooks.Upgrade},
			unpacked + dropInGone + ", " + state + ", reload" + onDisk + ", restart" + both,
		},
		{"trigger", hooks.Event{Phase: hooks.PostInstall}, ""},
		{"taking back", hooks.Event{Phase: hooks.PostInstall, Action: hooks.Rollback}, ""},
		{
			"remove",
			hooks.Event{Phase: hooks.PreRemove, Action: hooks.Remove},
			"no active" + both + ", no enabled" + both + ", " + dropInGone + ", " + state + ", reload",
		},
		{
			"remove from an image",
			hooks.Event{Phase: hooks.PreRemove, Action: hooks.Remove, Offline: true},
			"no enabled" + both + ", " + dropInGone + ", " + state,
		},
		{"old version goes in an upgrade", hooks.Event{Phase: hooks.PreRemove, Action: hooks.Upgrade}, ""},
		{"files are gone", hooks.Event{Phase: hooks.PostRemove, Action: hooks.Remove}, "reload"},
		{"old version's files are gone", hooks.Event{Phase: hooks.PostRemove, Action: hooks.Upgrade}, ""},
		{"purge is the script's", hooks.Event{Phase: hooks.PostRemove, Action: hooks.Purge}, ""},
		{"transaction begins", hooks.Event{Phase: hooks.PreTrans}, ""},
		{"transaction ends", hooks.Event{Phase: hooks.PostTrans}, ""},
	} {
		var got []string
		for _, s := range hooks.Plan(tc.event, config("2.0-1")) {
			got = append(got, s.String())
		}
		if g := strings.Join(got, ", "); g != tc.want {
			t.Errorf("%s: the plan is\n%s\nwant\n%s", tc.name, g, tc.want)
		}
	}
}

// In a container without systemd the components are stopped with the package,
// and restarted with its version.
func TestPlanComponents(t *testing.T) {
	for _, tc := range []struct {
		event hooks.Event
		want  string // the verb; empty for none
	}{
		{hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install, Offline: true}, ""},
		{hooks.Event{Phase: hooks.PostInstall, Action: hooks.Upgrade, Was: installed("1"), Offline: true}, "try-restart"},
		{hooks.Event{Phase: hooks.PostInstall, Action: hooks.Downgrade, Was: installed("3"), Offline: true}, "try-restart"},
		{hooks.Event{Phase: hooks.PostInstall, Action: hooks.Upgrade, Was: installed("1")}, ""},
		{hooks.Event{Phase: hooks.PreRemove, Action: hooks.Remove, Offline: true}, "stop"},
		{hooks.Event{Phase: hooks.PreRemove, Action: hooks.Remove}, ""},
		{hooks.Event{Phase: hooks.PreRemove, Action: hooks.Upgrade, Offline: true}, ""},
	} {
		c := config("2")
		c.Components = []hooks.Component{{Name: "venAgentMgr"}}
		got := ""
		for _, s := range hooks.Plan(tc.event, c) {
			if s.Kind == hooks.Command && s.Argv[0] == "/opt/illumio_ven/bin/vpkg-hook" {
				got += strings.Join(s.Argv[1:], " ")
			}
		}
		want := tc.want
		if want != "" {
			want = "platform " + want
		}
		if got != want {
			t.Errorf("%+v: the platform part is called with %q, want %q", tc.event, got, want)
		}
	}
}

// On Windows a service that fails is started again, as its configuration says.
func TestPlanRecovery(t *testing.T) {
	c := msiConfig("2.0")
	c.Units = append(c.Units, hooks.Unit{Name: "otherSvc", Restart: []int{1, 60}})
	var got []string
	for _, s := range hooks.Plan(hooks.Event{Phase: hooks.PostInstall, Action: hooks.Upgrade, Was: installed("1.0")}, c) {
		if s.Kind == hooks.Command {
			got = append(got, s.String())
		}
	}
	const program = "command /Windows/System32/sc.exe "
	want := program + "failure otherSvc reset= 86400 actions= restart/1000/restart/60000, " + program + "failureflag otherSvc 1"
	if g := strings.Join(got, ", "); g != want {
		t.Errorf("the plan has %q, want %q", g, want)
	}
}

// A plan without an account, folders and units has no empty steps.
func TestPlanSmall(t *testing.T) {
	c := hooks.Config{Format: 1, Name: "tool", Version: "1", Program: "/opt/vendor/tool"}
	for phase, want := range map[hooks.Phase]string{
		hooks.PreInstall:  "folder /opt, folder /opt/vendor",
		hooks.PostInstall: "owners /opt/vendor/tool/etc/layout.json, file /var/lib/vpkg/tool/installed.json, no file /var/lib/vpkg/tool/failed, reload, synced /opt/vendor/tool, synced /etc",
	} {
		var got []string
		for _, s := range hooks.Plan(hooks.Event{Phase: phase, Action: hooks.Install}, c) {
			got = append(got, s.String())
		}
		if g := strings.Join(got, ", "); g != want {
			t.Errorf("%s: the plan is\n%s\nwant\n%s", phase, g, want)
		}
	}
}

func TestPlanOwners(t *testing.T) {
	for user, want := range map[string]string{"": "ilo-ven", "www": "www"} {
		for _, s := range hooks.Plan(hooks.Event{Phase: hooks.PostInstall, Action: hooks.Install, User: user}, config("1")) {
			if s.Kind == hooks.Dir && s.Path == "/opt/illumio_ven_data" && (s.Owner != want || s.Group != "ilo-ven" || s.Mode != 0o750) {
				t.Errorf("for the account %q the data folder is %s:%s %04o, want %s:ilo-ven 0750", user, s.Owner, s.Group, s.Mode, want)
			}
		}
	}
}

func TestOffline(t *testing.T) {
	running := hooks.Surroundings{Booted: true, SameRoot: true}
	for _, tc := range []struct {
		name string
		s    hooks.Surroundings
		env  map[string]string
		want string
	}{
		{"running host", running, nil, ""},
		{"container", hooks.Surroundings{SameRoot: true}, nil, "systemd does not run"},
		{"chroot with /run of the host", hooks.Surroundings{Booted: true}, nil, "this is a chroot"},
		{"policy", hooks.Surroundings{Booted: true, SameRoot: true, Refused: true}, nil, "policy-rc.d refuses it"},
		{"image builder", running, map[string]string{"SYSTEMD_OFFLINE": "1"}, "SYSTEMD_OFFLINE is 1"},
		{"not offline", running, map[string]string{"SYSTEMD_OFFLINE": "0"}, ""},
		{"dpkg --root", running, map[string]string{"DPKG_ROOT": "/mnt"}, "DPKG_ROOT is set"},
		{"golden image", running, map[string]string{"VEN_INSTALL_ACTION": "prepare"}, "VEN_INSTALL_ACTION is prepare"},
		{"activation", running, map[string]string{"VEN_INSTALL_ACTION": "activate"}, ""},
	} {
		tc.s.Env = func(name string) string { return tc.env[name] }
		if got := tc.s.Offline(config("1")); got != tc.want {
			t.Errorf("%s: offline because %q, want %q", tc.name, got, tc.want)
		}
	}
}
