package platform

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// services are the components as services of Windows, which hooks.Host answers for
// as systemctl does.
type services struct {
	sys   hooks.System
	units []hooks.Unit
}

func (s services) name() string { return byServices }

func (s services) states(ctx context.Context) ([]ComponentState, error) {
	var states []ComponentState
	for _, u := range s.units {
		out, err := s.sys.Run(ctx, "systemctl", "is-active", u.Name) // its status says the same as its answer
		c := ComponentState{Name: u.Name}
		switch answer := strings.TrimSpace(out); answer {
		case "active", "reloading":
			c.State = StateRunning
		case "activating":
			c.State = StateStarting
		case "deactivating":
			c.State = StateStopping
		case "failed":
			c.State = StateFailed
		case "":
			return nil, err
		default:
			c.State = StateStopped
		}
		const missing = 4
		if e, ok := errors.AsType[*hooks.ExitError](err); ok && e.Status == missing {
			c.Status = "is not installed"
		}
		states = append(states, c)
	}
	return states, nil
}

func (s services) start(ctx context.Context, result func(string, error)) error {
	for _, u := range s.units {
		_, err := s.sys.Run(ctx, "systemctl", "start", u.Name)
		result(u.Name, err)
	}
	return nil
}

func (s services) stop(ctx context.Context, result func(string, error)) error {
	for _, u := range slices.Backward(s.units) {
		_, err := s.sys.Run(ctx, "systemctl", "stop", u.Name)
		result(u.Name, err)
	}
	return nil
}
