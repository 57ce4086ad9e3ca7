//go:build linux || windows

package platform

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// byServices is the supervisor of components that are services of Windows.
const byServices = "services"

// A supervisor keeps components running. The functions given to start and stop
// are told of every component how it went, in order; an error that they return
// is one that no component is to blame for.
type supervisor interface {
	name() string
	states(ctx context.Context) ([]ComponentState, error)
	start(ctx context.Context, result func(component string, err error)) error
	stop(ctx context.Context, result func(component string, err error)) error
}

func (p Product) start(ctx context.Context, s supervisor) int {
	states, err := s.states(ctx)
	if err != nil {
		return p.fail("start", err)
	}
	if summary(states) == StateRunning {
		p.print("%s is already started\n", p.Config.Name)
		return platformDone
	}
	p.print("Starting %s:\n", p.Config.Name)
	failed := false
	err = s.start(ctx, func(component string, err error) {
		failed = failed || err != nil
		p.result(component, "Starting "+component, err)
	})
	if err != nil {
		return p.fail("start", err)
	}
	if failed {
		return platformFailed
	}
	return platformDone
}

func (p Product) stop(ctx context.Context, s supervisor) int {
	states, err := s.states(ctx)
	if err != nil {
		return p.fail("stop", err)
	}
	if summary(states) == StateStopped {
		p.print("%s is already stopped\n", p.Config.Name)
		return platformDone
	}
	p.print("Stopping %s:\n", p.Config.Name)
	failed := false
	err = s.stop(ctx, func(component string, err error) {
		failed = failed || err != nil
		p.result(component, "Stopping "+component, err)
	})
	if err != nil {
		return p.fail("stop", err)
	}
	if failed {
		return platformFailed
	}
	return platformDone
}

func (p Product) status(ctx context.Context, s supervisor, asJSON bool) int {
	states, err := s.states(ctx)
	if err != nil {
		return p.fail("status", err)
	}
	agent, policy := p.agentState()
	taken, err := p.taken()
	if err != nil {
		return p.fail("status", err)
	}
	status := Status{
		Agent:      agent,
		Policy:     policy,
		Note:       p.note(),
		Taken:      taken,
		Name:       p.Config.Name,
		Version:    p.Config.Version,
		Supervisor: s.name(),
		State:      summary(states),
		Components: states,
	}
	if asJSON {
		if err := p.printJSON(status); err != nil {
			return p.fail("status", err)
		}
	} else {
		p.print("%s", status)
	}
	switch status.State {
	case StateRunning:
		return platformDone
	case StateStopped:
		return platformInactive
	}
	return platformFailed
}

func (p Product) printJSON(v any) error {
	b, err := tinyjson.Marshal(v)
	if err == nil {
		p.print("%s\n", b)
	}
	return err
}

// String gives the status as a person reads it: a line for the product and one
// for each component.
func (s Status) String() string {
	b := fmt.Appendf(nil, "%s %s is %s (%s)\n", s.Name, s.Version, s.State, s.Supervisor)
	if s.Agent != "" {
		label := "Agent state"
		if s.Supervisor == byServices { // as the product has it on Windows
			label = "Agent State"
		}
		b = fmt.Appendf(b, "%s: %s\n", label, s.Agent)
	}
	if s.Policy != "" {
		b = fmt.Appendf(b, "Policy: %s\n", s.Policy)
	}
	if s.Note != "" {
		b = fmt.Appendf(b, "%s\n", s.Note)
	}
	for _, c := range s.Components {
		b = fmt.Appendf(b, " - %s %s", c.Name, c.State)
		if c.PID != 0 {
			b = fmt.Appendf(b, ", pid %d", c.PID)
		}
		if !c.Since.IsZero() {
			b = fmt.Appendf(b, ", since %s", c.Since.UTC().Format(time.RFC3339))
		}
		if c.Restarts != 0 {
			b = fmt.Appendf(b, ", restarts %d", c.Restarts)
		}
		if c.Status != "" && c.Status != c.State {
			b = fmt.Appendf(b, ": %s", c.Status)
		}
		b = append(b, '\n')
	}
	return string(b)
}

// summary is StateRunning if all components are and StateStopped if all are,
// StateFailed if none has a process and systemd gave one up, else StateDegraded.
func summary(states []ComponentState) string {
	is := func(state string) func(ComponentState) bool {
		return func(c ComponentState) bool { return c.State == state }
	}
	not := func(state string) func(ComponentState) bool {
		return func(c ComponentState) bool { return c.State != state }
	}
	switch {
	case len(states) > 0 && !slices.ContainsFunc(states, not(StateRunning)):
		return StateRunning
	case !slices.ContainsFunc(states, not(StateStopped)):
		return StateStopped
	case slices.ContainsFunc(states, is(StateFailed)) && !slices.ContainsFunc(states, func(c ComponentState) bool { return c.PID != 0 }):
		return StateFailed
	}
	return StateDegraded
}

// result prints one line the way the product always has:
//
//   - venAgentMgr Starting venAgentMgr:    ...done.
func (p Product) result(component, what string, err error) {
	word := "done."
	if err != nil {
		word = "FAILED"
	}
	p.print(" - %s %s:    ...%s\n", component, what, word)
	if err != nil {
		fmt.Fprintf(p.Stderr, "vpkg-hook: %s: %v\n", component, err)
	}
}

func (p Product) print(format string, args ...any) {
	fmt.Fprintf(p.Stdout, format, args...)
}

func (p Product) fail(verb string, err error) int {
	fmt.Fprintf(p.Stderr, "vpkg-hook: platform %s: %v\n", verb, err)
	return platformFailed
}

func (p Product) misused() int {
	fmt.Fprint(p.Stderr, Usage)
	return platformMisused
}

// supportReport has the agent write the report, and tells where.
func (p Product) supportReport(ctx context.Context) error {
	out, err := p.Sys.Run(ctx, p.Config.Agent(), "report")
	p.print("%s", out)
	return err
}
