package platform

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/hooks"
)

// systemd supervises components as units.
type systemd struct {
	unit       string // the product's; starts and stops the components with it
	components []hooks.Component
	systemctl  func(ctx context.Context, args ...string) (string, error)
}

func (s systemd) name() string { return "systemd" }

// start starts the product's unit, which the components' units hang on, and then
// asks for each component: systemctl waits until it is ready.
func (s systemd) start(ctx context.Context, result func(string, error)) error {
	if _, err := s.systemctl(ctx, "start", s.unit); err != nil {
		return err
	}
	for _, c := range s.components {
		_, err := s.systemctl(ctx, "start", c.Name+".service")
		result(c.Name, err)
	}
	return nil
}

func (s systemd) stop(ctx context.Context, result func(string, error)) error {
	if _, err := s.systemctl(ctx, "stop", s.unit); err != nil {
		return err
	}
	states, err := s.states(ctx)
	if err != nil {
		return err
	}
	for _, c := range slices.Backward(states) {
		var err error
		if c.PID != 0 {
			err = fmt.Errorf("process %d is still %s", c.PID, c.State)
		}
		result(c.Name, err)
	}
	return nil
}

// states asks for all units at once. Without components the product's unit
// stands for one.
func (s systemd) states(ctx context.Context) ([]ComponentState, error) {
	args := []string{"show", "--property=Id,LoadState,ActiveState,SubState,MainPID,NRestarts,StateChangeTimestamp"}
	units := []string{s.unit}
	if len(s.components) > 0 {
		units = nil
		for _, c := range s.components {
			units = append(units, c.Name+".service")
		}
	}
	out, err := s.systemctl(ctx, append(args, units...)...)
	if err != nil {
		return nil, err
	}
	blocks := strings.Split(strings.TrimSpace(out), "\n\n")
	if len(blocks) != len(units) {
		return nil, fmt.Errorf("systemctl show: %d answers for %d units", len(blocks), len(units))
	}
	states := make([]ComponentState, len(units))
	for i, block := range blocks {
		if states[i], err = unitState(units[i], block); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// unitState reads a block of `systemctl show`.
func unitState(unit, block string) (ComponentState, error) {
	props := properties(block)
	c := ComponentState{Name: strings.TrimSuffix(unit, ".service")}
	switch load := props["LoadState"]; load {
	case "loaded":
	case "masked": // by the administrator, so that nothing can start it
		c.Status = load
	default:
		return ComponentState{}, fmt.Errorf("unit %s: systemd says %q, want loaded", unit, load)
	}
	switch active := props["ActiveState"]; active {
	case "active", "reloading":
		c.State = StateRunning
	case "activating":
		c.State = StateStarting
		if props["SubState"] == "auto-restart" {
			c.State = StateWaiting
		}
	case "deactivating":
		c.State = StateStopping
	case "failed":
		c.State = StateFailed
	default:
		c.State = StateStopped
	}
	// Absent where systemd is too old to tell; then zero is what we know.
	c.PID, _ = strconv.Atoi(props["MainPID"])
	c.Restarts, _ = strconv.Atoi(props["NRestarts"])
	c.Since, _ = time.Parse("Mon 2006-01-02 15:04:05 MST", props["StateChangeTimestamp"])
	return c, nil
}

// properties reads a block's lines KEY=VALUE.
func properties(block string) map[string]string {
	props := map[string]string{}
	for line := range strings.Lines(block) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		props[k] = v
	}
	return props
}

// systemctl runs the command of that name. Its messages become the error.
func systemctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "systemctl", args...)
	cmd.Env = append(cmd.Environ(), "TZ=UTC", "LC_ALL=C", "SYSTEMD_COLORS=0") // times and words are read
	out, err := cmd.Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok && len(e.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(e.Stderr)))
		}
		return "", fmt.Errorf("systemctl %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}
