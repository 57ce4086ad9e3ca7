package hooks_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

func TestFromMSI(t *testing.T) {
	const unset = "Installed= REINSTALL= OLDVERSIONFOUND= REMOVE= UPGRADINGPRODUCTCODE= REMOVEDATA= " // as MSI gives it
	half := func(a hooks.Action) hooks.Installed { return hooks.Installed{Unfinished: a} }
	for _, tc := range []struct {
		phase  hooks.Phase
		args   string
		was    hooks.Installed
		action hooks.Action
		open   bool
	}{
		{hooks.PreInstall, "", hooks.Installed{}, hooks.Install, true},
		{hooks.PreInstall, unset, hooks.Installed{}, hooks.Install, true},
		{hooks.PostInstall, unset, hooks.Installed{}, hooks.Install, true},
		{hooks.PostInstall, unset, half(hooks.Upgrade), hooks.Install, true}, // an upgrade that the power ended, and then a removal
		{hooks.PostInstall, unset + "COMMIT=1", half(hooks.Install), hooks.Install, false},
		{hooks.PostInstall, "OLDVERSIONFOUND={1} COMMIT=1", half(hooks.Upgrade), hooks.Upgrade, false},
		{hooks.PostInstall, "INSTALLFOLDER=C:\\x\\. ", hooks.Installed{}, hooks.Install, true},
		{hooks.PostInstall, "OLDVERSIONFOUND={1}", installed("1.0"), hooks.Upgrade, true},
		{hooks.PostInstall, "WIX_UPGRADE_DETECTED={1}", installed("1.0"), hooks.Upgrade, true},
		{hooks.PostInstall, "OLDVERSIONFOUND={1}", installed("3.0"), hooks.Downgrade, true},
		{hooks.PostInstall, "OLDVERSIONFOUND={1}", installed("2.0"), hooks.Reinstall, true}, // the same version in another package
		{hooks.PostInstall, "OLDVERSIONFOUND={1}", hooks.Installed{}, hooks.Upgrade, true},  // of somebody else's package
		{hooks.PostInstall, "Installed=00:00:00 REINSTALL=ALL", installed("2.0"), hooks.Reinstall, true},
		{hooks.PostInstall, "Installed=00:00:00 REINSTALL=ALL", installed("1.9"), hooks.Upgrade, true}, // a minor upgrade
		{hooks.PostInstall, "Installed=2026/10/01", installed("2.0"), hooks.Reinstall, true},           // a feature is added
		{hooks.PostInstall, "Installed=00:00:00 REINSTALL=ALL", hooks.Installed{}, hooks.Reinstall, true},
		{hooks.PostInstall, "Installed=00:00:00 REINSTALL=ALL", half(hooks.Install), hooks.Install, true},
		{hooks.PreRemove, "Installed=00:00:00 REMOVE=ALL", installed("2.0"), hooks.Remove, true},
		{hooks.PreRemove, "REMOVE=all REMOVEDATA=1", installed("2.0"), hooks.Remove, true},
		{hooks.PreRemove, "REMOVE=ALL UPGRADINGPRODUCTCODE={2}", installed("2.0"), hooks.Upgrade, true},
		{hooks.PreRemove, "REMOVE=Docs", installed("2.0"), hooks.Reinstall, true},
		{hooks.PostRemove, "REMOVE=ALL", hooks.Installed{Format: 1}, hooks.Remove, true},
		{hooks.PostRemove, "REMOVE=ALL COMMIT=1", hooks.Installed{Format: 1}, hooks.Remove, false},
		{hooks.PostRemove, "REMOVE=ALL REMOVEDATA=1 COMMIT=1", hooks.Installed{Format: 1}, hooks.Purge, false},
		{hooks.PostRemove, "REMOVE=ALL REMOVEDATA=0", hooks.Installed{Format: 1}, hooks.Remove, true},
		{hooks.PostRemove, "REMOVE=ALL REMOVEDATA=1 UPGRADINGPRODUCTCODE={2}", installed("2.0"), hooks.Upgrade, true},
		{hooks.PreInstall, "ROLLBACK=1", half(hooks.Install), hooks.Rollback, false},
		{hooks.PostInstall, "ROLLBACK=1 OLDVERSIONFOUND={1}", half(hooks.Upgrade), hooks.Rollback, false},
		{hooks.PreRemove, "REMOVE=ALL ROLLBACK=1", installed("2.0"), hooks.Rollback, false},
		{hooks.PostTrans, unset, installed("2.0"), "", false},
	} {
		e, err := hooks.FromMSI(tc.phase, strings.Fields(tc.args), config("2.0"), tc.was)
		if err != nil || e.Action != tc.action || e.Open != tc.open || e.Phase != tc.phase || e.Version != "2.0" {
			t.Errorf("FromMSI(%s, %q, was %+v) gives %q, open %t, %v, want %q, open %t", tc.phase, tc.args, tc.was, e.Action, e.Open, err, tc.action, tc.open)
		}
	}
	for _, tc := range []struct {
		phase hooks.Phase
		args  string
		err   string
	}{
		{hooks.PostInstall, "install", `msi post-install action: argument "install" is not NAME=VALUE`},
		{hooks.PostInstall, "REMOVE=ALL", `msi post-install action: REMOVE is "ALL": the product is removed`},
		{hooks.PreRemove, unset, "msi pre-remove action: REMOVE is not set"},
		{"mid-install", "", "msi mid-install action: not known to this version of the hook"},
		{hooks.PreInstall, "OLDVERSIONFOUND={1}", "illumio-ven 2.0 is older than 2.0.1, which is installed: remove that first"},
		{hooks.PreInstall, "Installed=00:00:00 REINSTALL=ALL", "illumio-ven 2.0 is older than 2.0.1, which is installed: remove that first"},
	} {
		if _, err := hooks.FromMSI(tc.phase, strings.Fields(tc.args), config("2.0"), installed("2.0.1")); message(err) != tc.err {
			t.Errorf("FromMSI(%s, %q) gives %q, want %q", tc.phase, tc.args, message(err), tc.err)
		}
	}
}

// msiConfig is that of a package for Windows, which has no account to make and one
// service for each component.
func msiConfig(version string) hooks.Config {
	c := config(version)
	c.Windows, c.Account, c.Start = true, hooks.Account{}, nil
	c.Program, c.Data, c.Log = "/Program Files/Illumio", "/ProgramData/Illumio", "/Windows/Temp/illumio.log"
	c.Folders = []hooks.Folder{{Path: "/ProgramData/Illumio", Mode: 0o700}, {Path: "/ProgramData/Illumio/log", Mode: 0o700}}
	c.Units = []hooks.Unit{{Name: "venAgentMgrSvc", Enable: true, Start: true}}
	return c
}

// Custom actions as Windows Installer runs them, on one host after the other.
func TestMSI(t *testing.T) {
	const old = "OLDVERSIONFOUND={1}"
	for _, tc := range []struct {
		name  string
		runs  []string
		state string // version and what of the service
		open  bool   // something can be taken back
	}{
		{"install", []string{"2.0 pre-install", "2.0 post-install", "2.0 post-install COMMIT=1"}, "2.0 data enabled, runs", false},
		{"installed, not committed", []string{"2.0 pre-install", "2.0 post-install"}, "2.0 data enabled", true},
		{"taken back", []string{"2.0 pre-install", "2.0 post-install", "2.0 post-install ROLLBACK=1", "2.0 pre-install ROLLBACK=1"}, "none", false},
		{"upgrade", []string{
			"1.0 post-install", "1.0 post-install COMMIT=1",
			"2.0 pre-install " + old, "1.0 pre-remove REMOVE=ALL UPGRADINGPRODUCTCODE={2}", "2.0 post-install " + old, "2.0 post-install COMMIT=1 " + old,
		}, "2.0 data enabled, runs", false},
		{"upgrade, taken back", []string{
			"1.0 post-install", "1.0 post-install COMMIT=1",
			"2.0 pre-install " + old, "2.0 post-install " + old, "2.0 post-install ROLLBACK=1", "2.0 pre-install ROLLBACK=1",
		}, "1.0 data enabled, runs", false},
		{"remove", []string{
			"2.0 post-install", "2.0 post-install COMMIT=1", "2.0 pre-remove REMOVE=ALL", "2.0 post-remove REMOVE=ALL COMMIT=1",
		}, "removed data", false},
		{"purge, not committed", []string{
			"2.0 pre-install", "2.0 post-install", "2.0 post-install COMMIT=1", "2.0 pre-remove REMOVE=ALL REMOVEDATA=1", "2.0 post-remove REMOVE=ALL REMOVEDATA=1",
		}, "removed data", true},
		{"purge", []string{
			"2.0 pre-install", "2.0 post-install", "2.0 post-install COMMIT=1", "2.0 pre-remove REMOVE=ALL REMOVEDATA=1", "2.0 post-remove REMOVE=ALL REMOVEDATA=1",
			"2.0 post-remove REMOVE=ALL REMOVEDATA=1 COMMIT=1",
		}, "none", false},
		{"purge, taken back", []string{
			"2.0 pre-install", "2.0 post-install", "2.0 post-install COMMIT=1", "2.0 pre-remove REMOVE=ALL REMOVEDATA=1", "2.0 post-remove REMOVE=ALL REMOVEDATA=1",
			"2.0 post-remove REMOVE=ALL REMOVEDATA=1 ROLLBACK=1", "2.0 pre-remove REMOVE=ALL REMOVEDATA=1 ROLLBACK=1",
		}, "2.0 data enabled, runs", false},
		{"remove, taken back", []string{
			"2.0 post-install", "2.0 post-install COMMIT=1", "2.0 pre-remove REMOVE=ALL", "2.0 pre-remove REMOVE=ALL ROLLBACK=1",
		}, "2.0 data enabled, runs", false},
	} {
		sys := &hookstest.System{Units: map[string]hookstest.Unit{"venAgentMgrSvc": {}}, Unpacked: "x"}
		for _, r := range tc.runs {
			words := strings.Fields(r)
			c := msiConfig(words[0])
			was, err := hooks.ReadInstalled(sys, c.Name)
			if err != nil {
				t.Fatal(err)
			}
			e, err := hooks.FromMSI(hooks.Phase(words[1]), words[2:], c, was)
			if err == nil {
				err = hooks.Run(t.Context(), e, hooks.Plan(e, c), sys, slog.New(slog.DiscardHandler))
			}
			if err != nil {
				t.Fatalf("%s: %s: %v", tc.name, r, err)
			}
		}
		state := "none"
		if f, ok := sys.Files["/var/lib/vpkg/illumio-ven/installed.json"]; ok {
			state = "removed"
			if _, rest, ok := strings.Cut(f.Text, `"version": "`); ok {
				state, _, _ = strings.Cut(rest, `"`)
			}
		}
		if _, ok := sys.Files["/ProgramData/Illumio/log"]; ok {
			state += " data"
		}
		if u := sys.Units["venAgentMgrSvc"]; u.Enabled {
			state += " enabled"
		}
		if sys.Units["venAgentMgrSvc"].Runs != "" {
			state += ", runs"
		}
		_, open := sys.Files["/var/lib/vpkg/illumio-ven/journal.json"]
		if state != tc.state || open != tc.open {
			t.Errorf("%s: %s, open %t, want %s, open %t", tc.name, state, open, tc.state, tc.open)
		}
	}
}

// A folder that pre-install may not have is the end of an installation in which
// nothing has been changed yet.
func TestMSIPlanted(t *testing.T) {
	sys := &hookstest.System{Before: func(_ int, call string) error {
		if strings.HasPrefix(call, "chown") && strings.HasSuffix(call, "/ProgramData/Illumio") {
			return hooks.ErrPlanted
		}
		return nil
	}}
	c := msiConfig("2.0")
	e, err := hooks.FromMSI(hooks.PreInstall, nil, c, hooks.Installed{})
	if err != nil {
		t.Fatal(err)
	}
	err = hooks.Run(t.Context(), e, hooks.Plan(e, c), sys, slog.New(slog.DiscardHandler))
	const want = "illumio-ven pre-install: folder /ProgramData/Illumio: may have been put there by an ordinary user: permission denied"
	if !errors.Is(err, hooks.ErrPlanted) || message(err) != want {
		t.Errorf("pre-install gives %q, want %q", message(err), want)
	}
	for name := range sys.Files {
		if !strings.HasPrefix(name, "/var") {
			t.Errorf("%s is there", name)
		}
	}
}
