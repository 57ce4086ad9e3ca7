package platform

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
	"github.com/vpkg/vpkg/hooks/tinyjson"
)

func windowsProduct(sys hooks.System) (p Product, out *strings.Builder) {
	out = new(strings.Builder)
	c := hooks.Config{
		Format: 1, Name: "x", Version: "1.0", Windows: true, Program: "/Program Files/X", Data: "/ProgramData/X",
		Units: []hooks.Unit{{Name: "aSvc"}, {Name: "bSvc"}},
	}
	return Product{Config: c, Sys: sys, Log: slog.New(slog.DiscardHandler), Stdout: out, Stderr: out}, out
}

func TestWindowsRun(t *testing.T) {
	sys := &hookstest.System{Units: map[string]hookstest.Unit{"aSvc": {}, "bSvc": {}}, Unpacked: "1.0"}
	p, out := windowsProduct(sys)
	for _, tc := range []struct {
		args   string
		status int
		want   string
	}{
		{"status", 3, "x 1.0 is stopped (services)\nAgent State: unpaired\nPolicies are not put in force: "},
		{"start", 0, " - aSvc Starting aSvc:    ...done.\n - bSvc Starting bSvc:    ...done.\n"},
		{"start", 0, "x is already started\n"},
		{"status", 0, " - bSvc running\n"},
		{"restart", 0, " - bSvc Stopping bSvc:    ...done.\n - aSvc Stopping aSvc:    ...done.\nStarting x:\n"},
		{"stop", 0, "Stopping x:\n - bSvc"},
		{"stop", 0, "x is already stopped\n"},
		{"restore", 0, ""},
		{"suspend", 1, noFilter},
		{"unsuspend", 1, noFilter},
		{"monitor", 1, "it is a service"},
		{"", 2, "Usage"},
		{"start now", 2, "Usage"},
		{"reticulate", 2, "Usage"},
		{"unpair", 2, "Usage"},
		{"unpair ajar", 2, "Usage"},
		{"unpair open", 1, "the registry does not say"},
	} {
		out.Reset()
		if status := p.Run(t.Context(), strings.Fields(tc.args)); status != tc.status || !strings.Contains(out.String(), tc.want) {
			t.Errorf("%q ends with %d and says %q, want %d and %q", tc.args, status, out, tc.status, tc.want)
		}
	}
}

func TestWindowsApply(t *testing.T) {
	sys := new(hookstest.System)
	p, _ := windowsProduct(sys)
	for _, tc := range []struct {
		policy  string
		version string
		inForce bool
		err     string
	}{
		{"", "", false, ""},
		{`{"version":"1","enforcement_mode":"idle"}`, "1", true, ""},
		{`{"version":"2","enforcement_mode":"visibility_only"}`, "2", true, ""},
		{`{"version":"3","enforcement_mode":"full","format":"nftables","nftables":"table inet ILO-A {}"}`, "", false, `policy "3" is not in force: ` + noFilter},
		{`{"version":`, "", false, "/ProgramData/X/etc/policy.json: "},
	} {
		if tc.policy != "" {
			if err := sys.WriteFile("/ProgramData/X/etc/policy.json", []byte(tc.policy), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := p.apply(t.Context())
		if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s gives %v, want %s", tc.policy, err, tc.err)
		}
		var s PolicyStatus
		b, err := sys.ReadFile("/var/lib/vpkg/x/policy-status.json")
		if err = errors.Join(err, tinyjson.Unmarshal(b, &s)); err != nil {
			t.Fatal(err)
		}
		if s.Version != tc.version || s.InForce != tc.inForce || !strings.Contains(s.Error, tc.err) || (s.Error == "") != (tc.err == "") {
			t.Errorf("%s: the status is %+v", tc.policy, s)
		}
	}
}

func TestWindowsGUID(t *testing.T) {
	for s, want := range map[string]bool{
		"{00000000-1111-2222-aAfF-444444444444}": true,
		"00000000-1111-2222-3333-444444444444":   false,
		"{00000000-1111-2222-3333-44444444444g}": false,
		"{00000000-1111-2222-3333-444444444444":  false,
		"{000000001-111-2222-3333-444444444444}": false,
		"":                                       false,
	} {
		if isGUID(s) != want {
			t.Errorf("isGUID(%q) is %t", s, !want)
		}
	}
}
