package hooks_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
)

func config(version string) hooks.Config {
	return hooks.Config{
		Format: 1, Name: "illumio-ven", Version: version,
		Program: "/opt/illumio_ven", Data: "/opt/illumio_ven_data",
		Log: "/var/log/illumio_install.log", EnvPrefix: "VEN_",
		Account: hooks.Account{User: "ilo-ven", Home: "/opt/illumio_ven_data", Comment: "Illumio VEN"},
		Folders: []hooks.Folder{
			{Path: "/opt/illumio_ven_data", Mode: 0o750, Owner: "ilo-ven", Group: "ilo-ven"},
			{Path: "/opt/illumio_ven_data/log", Mode: 0o750, Owner: "ilo-ven", Group: "ilo-ven"},
		},
		Units: []hooks.Unit{
			{Name: "illumio-ven.service", Enable: true},
			{Name: "venAgentMgr.service", RunAs: true},
		},
		Start: []string{"bin/init_Platform", "start"},
	}
}

func installed(version string) hooks.Installed {
	return hooks.Installed{Format: 1, Version: version, Units: []string{"illumio-ven.service", "venAgentMgr.service"}}
}

func TestFromRPM(t *testing.T) {
	for _, tc := range []struct {
		phase  hooks.Phase
		args   string
		was    hooks.Installed
		action hooks.Action
		err    string
	}{
		{phase: hooks.PostInstall, args: "1", action: hooks.Install},
		{phase: hooks.PostInstall, args: "1", was: hooks.Installed{Format: 1, User: "www"}, action: hooks.Install},
		{phase: hooks.PostInstall, args: "2", was: installed("1.0-1"), action: hooks.Upgrade},
		{phase: hooks.PostInstall, args: "2", was: installed("2.0-1"), action: hooks.Reinstall},
		{phase: hooks.PostInstall, args: "2", was: installed("10.0-1"), action: hooks.Downgrade},
		{phase: hooks.PostInstall, args: "3", was: installed("1.0-1"), action: hooks.Upgrade}, // a killed upgrade left two
		{phase: hooks.PostInstall, args: "2", action: hooks.Upgrade},                          // of somebody else's package
		{phase: hooks.PostInstall, args: "2", was: hooks.Installed{Unfinished: hooks.Install}, action: hooks.Install},
		{phase: hooks.PreInstall, args: "1", action: hooks.Install},
		{phase: hooks.PreInstall, args: "2", was: installed("1.0-1"), action: hooks.Upgrade},
		{phase: hooks.PreRemove, args: "0", was: installed("2.0-1"), action: hooks.Remove},
		{phase: hooks.PreRemove, args: "1", was: installed("2.0-1"), action: hooks.Upgrade},
		{phase: hooks.PostRemove, args: "0", action: hooks.Remove},
		{phase: hooks.PostRemove, args: "1", action: hooks.Upgrade},
		{phase: hooks.PostTrans},
		{phase: hooks.PostTrans, args: "1"}, // zypper, in an upgrade
		{phase: hooks.PostTrans, args: "2"},
		{phase: hooks.PreTrans, args: "2"},
		{phase: hooks.PostInstall, err: "rpm post-install scriptlet: no instance count"},
		{phase: hooks.PostInstall, args: "x", err: `rpm post-install scriptlet: instance count "x" is not a number`},
		{phase: hooks.PostInstall, args: "-1", err: `rpm post-install scriptlet: instance count "-1" is not a number`},
		{phase: "mid-install", args: "1", err: "rpm mid-install scriptlet: not known to this version of the hook"},
	} {
		e, err := hooks.FromRPM(tc.phase, strings.Fields(tc.args), config("2.0-1"), tc.was)
		if got := message(err); got != tc.err || e.Action != tc.action {
			t.Errorf("FromRPM(%s, %q, was %+v) gives %q, %q, want %q, %q", tc.phase, tc.args, tc.was, e.Action, got, tc.action, tc.err)
		}
		if err == nil && (e.Phase != tc.phase || e.Open || e.Package != "illumio-ven" || e.Version != "2.0-1") {
			t.Errorf("FromRPM(%s, %q) gives %+v", tc.phase, tc.args, e)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The rows are those of Debian Policy 6.5, for the scripts of version 2.0.
func TestFromDeb(t *testing.T) {
	half := hooks.Installed{Unfinished: hooks.Install}
	for _, tc := range []struct {
		phase  hooks.Phase
		args   string
		was    hooks.Installed
		action hooks.Action
		open   bool
	}{
		{hooks.PreInstall, "install", hooks.Installed{}, hooks.Install, true},
		{hooks.PreInstall, "install 1.0 2.0", hooks.Installed{Format: 1}, hooks.Install, true},
		{hooks.PreInstall, "upgrade 1.0 2.0", installed("1.0"), hooks.Upgrade, true},
		{hooks.PreInstall, "upgrade 1.0", installed("1.0"), hooks.Upgrade, true}, // dpkg before 1.18.5
		{hooks.PreInstall, "upgrade 2.0 2.0", installed("2.0"), hooks.Reinstall, true},
		{hooks.PreInstall, "upgrade 1:0.1 2.0", installed("1:0.1"), hooks.Downgrade, true},
		{hooks.PreInstall, "abort-upgrade 3.0", installed("2.0"), hooks.Rollback, false},
		{hooks.PostInstall, "configure", hooks.Installed{}, hooks.Install, false},
		{hooks.PostInstall, "configure", half, hooks.Install, false},
		{hooks.PostInstall, "configure 1.0", installed("1.0"), hooks.Upgrade, false},
		{hooks.PostInstall, "configure 2.0", installed("2.0"), hooks.Reinstall, false},
		{hooks.PostInstall, "configure 2.0~rc1", installed("2.0~rc1"), hooks.Upgrade, false},
		{hooks.PostInstall, "configure 3.0", installed("3.0"), hooks.Downgrade, false},
		{hooks.PostInstall, "configure 1.0", hooks.Installed{Format: 1}, hooks.Install, false}, // removed before, not purged
		{hooks.PostInstall, "configure 1.0", hooks.Installed{Unfinished: hooks.Upgrade}, hooks.Upgrade, false},
		{hooks.PostInstall, "abort-upgrade 3.0", installed("2.0"), hooks.Rollback, false},
		{hooks.PostInstall, "abort-remove", installed("2.0"), hooks.Rollback, false},
		{hooks.PostInstall, "abort-remove in-favour other 1.0", installed("2.0"), hooks.Rollback, false},
		{hooks.PostInstall, "abort-deconfigure in-favour other 1.0 removing third 1.0", installed("2.0"), hooks.Rollback, false},
		{hooks.PostInstall, "triggered /usr/lib/x", installed("2.0"), "", false},
		{hooks.PreRemove, "remove", installed("2.0"), hooks.Remove, true},
		{hooks.PreRemove, "remove in-favour other 1.0", installed("2.0"), hooks.Remove, true},
		{hooks.PreRemove, "upgrade 3.0", installed("2.0"), hooks.Upgrade, false},
		{hooks.PreRemove, "failed-upgrade 1.0 2.0", installed("1.0"), hooks.Upgrade, false},
		{hooks.PreRemove, "deconfigure in-favour other 1.0 removing third 1.0", installed("2.0"), hooks.Upgrade, false},
		{hooks.PostRemove, "remove", hooks.Installed{Format: 1}, hooks.Remove, false},
		{hooks.PostRemove, "purge", hooks.Installed{Format: 1}, hooks.Purge, false},
		{hooks.PostRemove, "upgrade 3.0", installed("2.0"), hooks.Upgrade, false},
		{hooks.PostRemove, "disappear other 1.0", installed("2.0"), hooks.Remove, false},
		{hooks.PostRemove, "failed-upgrade 1.0 2.0", installed("1.0"), hooks.Upgrade, false},
		{hooks.PostRemove, "abort-install", half, hooks.Rollback, false},
		{hooks.PostRemove, "abort-install 1.0 2.0", half, hooks.Rollback, false},
		{hooks.PostRemove, "abort-upgrade 1.0 2.0", installed("1.0"), hooks.Rollback, false},
	} {
		e, err := hooks.FromDeb(tc.phase, strings.Fields(tc.args), config("2.0"), tc.was)
		if err != nil || e.Action != tc.action || e.Open != tc.open {
			t.Errorf("FromDeb(%s, %q, was %+v) gives %q, open %t, %v, want %q, open %t", tc.phase, tc.args, tc.was, e.Action, e.Open, err, tc.action, tc.open)
		}
	}
	for _, args := range []string{"", "reconfigure 2.0", "remove"} {
		if e, err := hooks.FromDeb(hooks.PostInstall, strings.Fields(args), config("2.0"), hooks.Installed{}); !errors.Is(err, hooks.ErrUnknown) {
			t.Errorf("FromDeb(post-install, %q) gives %+v, %v, want ErrUnknown", args, e, err)
		}
	}
}
