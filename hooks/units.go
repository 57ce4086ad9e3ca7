package hooks

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// lookUnits is look for units: it leaves those with which there is something to
// do.
func (h *host) lookUnits(s Step) (do, undo Step) {
	if !s.Absent {
		s.Units = h.unmasked(s.Units)
	}
	switch s.Kind {
	case Enabled:
		s.Units = h.unitsThat("is-enabled", s.Units, s.Absent, "enabled")
	case Restart:
		s.Units = h.unitsThat("is-active", s.Units, true, "active", "activating", "reloading")
		return s, Step{Kind: Active, Units: s.Units}
	default:
		s.Units = h.unitsThat("is-active", s.Units, s.Absent, "active", "activating", "reloading")
	}
	undo = s
	undo.Absent = !s.Absent
	return s, undo
}

// unitsThat asks systemctl about each unit, and returns those of which it gives
// one of the answers, or none of them.
func (h *host) unitsThat(question string, units []string, yes bool, answers ...string) []string {
	var found []string
	for _, u := range units {
		out, err := h.exec("systemctl", question, u) // its status says the same as its answer
		answer := strings.TrimSpace(out)
		if errors.Is(err, exec.ErrNotFound) {
			h.log.Warn("systemctl is not installed: the unit is left as it is", "unit", u)
			continue
		}
		if slices.Contains(answers, answer) == yes {
			found = append(found, u)
		}
	}
	return found
}

// unmasked drops the units that the administrator masked, so that nothing can
// start them.
func (h *host) unmasked(units []string) []string {
	free := h.unitsThat("is-enabled", units, false, "masked", "masked-runtime")
	if len(free) < len(units) {
		h.log.Warn("masked units are left as they are", "units", units, "not masked", free)
	}
	return free
}

func (h *host) systemctl(verb string, units ...string) error {
	_, err := h.exec(append([]string{"systemctl", verb}, units...)...)
	if errors.Is(err, exec.ErrNotFound) {
		h.log.Warn("systemctl is not installed: nothing to "+verb, "units", units)
		return nil
	}
	if err != nil {
		return fmt.Errorf("systemctl %s %s: %w", verb, strings.Join(units, " "), err)
	}
	return nil
}
