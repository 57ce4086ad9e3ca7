package hooks_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

// msiAct does what one custom action does: VERSION PHASE [PROPERTY=VALUE…].
func msiAct(t *testing.T, sys *hookstest.System, action string) error {
	t.Helper()
	words := strings.Fields(action)
	c := msiConfig(words[0])
	was, err := hooks.ReadInstalled(sys, c.Name)
	if err != nil {
		t.Fatal(err)
	}
	e, err := hooks.FromMSI(hooks.Phase(words[1]), words[2:], c, was)
	if err != nil {
		t.Fatal(err)
	}
	return hooks.Run(t.Context(), e, hooks.Plan(e, c), sys, slog.New(slog.DiscardHandler))
}

// Windows Installer takes an installation back when a custom action fails or dies, at
// whichever effect it was: then the host is as it was before. It runs the twins of
// the actions that it had begun, the last one's first.
func TestMSITakenBack(t *testing.T) {
	installedFirst := []string{"1.0 pre-install", "1.0 post-install", "1.0 post-install COMMIT=1"}
	const old = " OLDVERSIONFOUND={1}"
	for _, tc := range []struct {
		name    string
		before  []string
		actions []string
	}{
		{"install", nil, []string{"2.0 pre-install", "2.0 post-install"}},
		{"upgrade", installedFirst, []string{"2.0 pre-install" + old, "2.0 post-install" + old}},
		{"repair", installedFirst, []string{"1.0 pre-install Installed=1 REINSTALL=ALL", "1.0 post-install Installed=1 REINSTALL=ALL"}},
		{"remove", installedFirst, []string{"1.0 pre-remove REMOVE=ALL", "1.0 post-remove REMOVE=ALL"}},
		{"purge", installedFirst, []string{"1.0 pre-remove REMOVE=ALL REMOVEDATA=1", "1.0 post-remove REMOVE=ALL REMOVEDATA=1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host := func() *hookstest.System {
				sys := &hookstest.System{Units: map[string]hookstest.Unit{"venAgentMgrSvc": {}}, Unpacked: "x"}
				for _, a := range tc.before {
					if err := msiAct(t, sys, a); err != nil {
						t.Fatal(err)
					}
				}
				if tc.before != nil {
					if err := sys.WriteFile("/ProgramData/Illumio/log/kept", nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				sys.Calls = nil
				return sys
			}
			want := host()
			whole := host()
			for _, a := range tc.actions {
				if err := msiAct(t, whole, a); err != nil {
					t.Fatal(err)
				}
			}
			for n := range len(whole.Calls) {
				for _, how := range []string{"dies before", "dies after", "fails at"} {
					sys := host()
					at := ""
					end := func(is string) func(int, string) {
						return func(i int, call string) {
							if i == n && how == is {
								at = call
								panic(crash{})
							}
						}
					}
					sys.Before = func(i int, call string) error {
						end("dies before")(i, call)
						if i == n && how == "fails at" {
							at = call
							return fmt.Errorf("planned")
						}
						return nil
					}
					sys.After = end("dies after")
					begun := 0
					for _, a := range tc.actions {
						begun++
						if msiDied(t, sys, a) {
							break
						}
					}
					sys.Before, sys.After = nil, nil
					for ; begun > 0; begun-- {
						a := tc.actions[begun-1]
						if err := msiAct(t, sys, a+" ROLLBACK=1"); err != nil {
							t.Errorf("%s %s: %s is not taken back: %v", how, at, a, err)
						}
					}
					if got, want := withoutState(sys), withoutState(want); got != want {
						t.Errorf("%s %q (%d), taken back:\n%swant\n%s", how, at, n, got, want)
					}
				}
			}
		})
	}
}

// msiDied does an action and reports whether it died or failed.
func msiDied(t *testing.T, sys *hookstest.System, action string) (died bool) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			sys.Reboot()
			died = true
		}
	}()
	return msiAct(t, sys, action) != nil
}

// withoutState is the host without folders of the state, which may stay.
func withoutState(sys *hookstest.System) string {
	var b strings.Builder
	for line := range strings.Lines(sys.Dump()) {
		if strings.HasPrefix(line, "d") && strings.Contains(line, " /var") {
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}
