package platform

import (
	"context"
	"strings"
)

// running looks at the services. A packet filter is not ours here.
func (v *verification) running(ctx context.Context, image bool) error {
	if image {
		return nil
	}
	for _, u := range v.Config.Units {
		out, _ := v.Sys.Run(ctx, "systemctl", "is-enabled", u.Name) // its status says the same as its answer
		switch answer := strings.TrimSpace(out); {
		case answer == "not-found":
			v.add(RuleMissing, u.Name, "there is no such service")
			continue
		case answer == "masked":
			v.add(RuleUnitMasked, u.Name, "is disabled, so that nothing can start it")
			continue
		case u.Enable && answer != "enabled":
			v.differ(RuleUnitDisabled, u.Name, "enabled", answer)
		}
		out, _ = v.Sys.Run(ctx, "systemctl", "is-active", u.Name) // as above
		if answer := strings.TrimSpace(out); u.Start && answer != "active" && answer != "activating" {
			v.differ(RuleUnitStopped, u.Name, "active", answer)
		}
	}
	return nil
}
