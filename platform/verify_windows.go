package platform

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sys/windows"

	"github.com/vpkg/vpkg/hooks"
)

// running looks at the services. A packet filter is not ours here.
func (v *verification) running(ctx context.Context, image bool) error {
	if image {
		return nil
	}
	for _, u := range v.Config.Units {
		out, _ := v.Sys.Run(ctx, "systemctl", "is-enabled", u.Name) // its status says the same as its answer
		enabled := strings.TrimSpace(out)
		if enabled == "not-found" {
			v.add(RuleMissing, u.Name, "there is no such service")
			continue
		}
		if err := v.command(u); err != nil {
			return err
		}
		if enabled == "masked" {
			v.add(RuleUnitMasked, u.Name, "is disabled, so that nothing can start it")
		} else if u.Enable && enabled != "enabled" {
			v.differ(RuleUnitDisabled, u.Name, "started at boot", "started by hand")
		}
		out, _ = v.Sys.Run(ctx, "systemctl", "is-active", u.Name) // as above
		switch active := strings.TrimSpace(out); {
		case active == "active", active == "activating", !u.Start:
		case enabled == "masked": // and so cannot run
		default:
			v.differ(RuleUnitStopped, u.Name, "active", active)
		}
	}
	return nil
}

// command looks at what a service runs, and as whom.
func (v *verification) command(u hooks.Unit) error {
	if _, ok := v.Sys.(hooks.Host); !ok || u.Program == "" {
		return nil
	}
	command, account, err := hooks.ServiceCommand(u.Name)
	if err != nil {
		return err
	}
	want := append([]string{v.locate(u.Program)}, u.Args...)
	line := command
	if n := len(want[0]); len(line) > n && strings.EqualFold(line[:n], want[0]) { // Wine's installer writes no quotes
		line = `"` + line[:n] + `"` + line[n:]
	}
	is, err := windows.DecomposeCommandLine(line)
	if err != nil || len(is) == 0 || !strings.EqualFold(is[0], want[0]) || !slices.Equal(is[1:], want[1:]) {
		v.differ(RuleUnitOverridden, u.Name, windows.ComposeCommandLine(want), command)
	}
	as := u.Account
	if as == "" {
		as = "LocalSystem"
	}
	if !strings.EqualFold(as, account) {
		v.differ(RuleProcessAccount, u.Name, as, account)
	}
	return nil
}
