package platform

import (
	"bufio"
	"context"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// Run carries out `vpkg-hook ARGS` and returns the exit status.
//
// Where systemd runs, start, stop and restart are handed to it and waited for;
// systemd then calls the same command, as the unit's ExecStart, and only that
// does the work. The components are units of their own, ordered After= the
// product's unit: systemd starts them when ExecStart has ended, so that nothing
// waits for itself.
//
// try-restart and restore are for the events of a package: the one restarts what
// runs without systemd, which restarts units itself; the other gives the host
// back before the package goes.
//
// Without systemd, start leaves `vpkg-agent monitor` running, which supervises
// the components. On a system that is not the running one, such as a chroot or
// an image being built, nothing is started, stopped or changed, as with systemctl.
func (p Product) Run(ctx context.Context, args []string) int {
	command, known := p.command(args)
	if !known {
		return p.misused()
	}
	around := hooks.Host{}.Surroundings()
	if why := away(around); why != "" && !slices.Contains([]string{"status", "check-env"}, args[0]) {
		p.print("%s: %s: nothing to %s\n", p.Config.Name, why, args[0])
		return platformDone
	}
	return command(ctx, around)
}

// command is what the arguments ask for.
func (p Product) command(args []string) (run func(context.Context, hooks.Surroundings) int, known bool) {
	if len(args) == 0 {
		return nil, false
	}
	verb, rest := args[0], args[1:]
	asJSON := len(rest) == 1 && rest[0] == "--json"
	switch verb {
	case "status", "check-env":
		if len(rest) > 0 && !asJSON {
			return nil, false
		}
	case "unpair":
		return func(ctx context.Context, around hooks.Surroundings) int { return p.unpair(ctx, around, rest) }, true
	default:
		if len(rest) > 0 {
			return nil, false
		}
	}
	run, known = map[string]func(context.Context, hooks.Surroundings) int{
		"start":       func(ctx context.Context, around hooks.Surroundings) int { return p.supervised(ctx, around, verb) },
		"stop":        func(ctx context.Context, around hooks.Surroundings) int { return p.supervised(ctx, around, verb) },
		"restart":     func(ctx context.Context, around hooks.Surroundings) int { return p.supervised(ctx, around, verb) },
		"try-restart": func(ctx context.Context, around hooks.Surroundings) int { return p.supervised(ctx, around, verb) },
		"status": func(ctx context.Context, around hooks.Surroundings) int {
			return p.status(ctx, p.supervisor(around), asJSON)
		},
		"apply":             p.plain(verb, p.apply),
		"boot":              p.plain(verb, p.boot),
		"restore":           p.plain(verb, p.restore),
		"suspend":           p.plain(verb, p.suspend),
		"unsuspend":         p.plain(verb, p.unsuspend),
		"monitor":           p.plain(verb, p.monitor),
		"gen-supportreport": p.plain(verb, p.supportReport),
		"check-env":         func(ctx context.Context, around hooks.Surroundings) int { return p.checkEnv(ctx, around, asJSON) },
	}[verb]
	return run, known
}

// plain is a command that works or fails.
func (p Product) plain(verb string, do func(context.Context) error) func(context.Context, hooks.Surroundings) int {
	return func(ctx context.Context, _ hooks.Surroundings) int {
		if err := do(ctx); err != nil {
			return p.fail(verb, err)
		}
		return platformDone
	}
}

func (p Product) supervisor(around hooks.Surroundings) supervisor {
	if around.Booted {
		return systemd{unit: p.unit(), components: p.Config.Components, systemctl: systemctl}
	}
	return p.own()
}

// supervised starts or stops what a supervisor keeps running.
func (p Product) supervised(ctx context.Context, around hooks.Surroundings, verb string) int {
	if around.Booted && calledByUnit(p.unit()) {
		return p.runUnit(ctx, verb)
	}
	if verb == "try-restart" && around.Booted {
		return platformDone
	}
	return p.change(ctx, p.supervisor(around), verb)
}

func (p Product) change(ctx context.Context, s supervisor, verb string) int {
	if verb == "try-restart" {
		states, err := s.states(ctx)
		if err != nil {
			return p.fail(verb, err)
		}
		if summary(states) == StateStopped {
			return platformDone
		}
	}
	if verb != "start" {
		if status := p.stop(ctx, s); status != platformDone || verb == "stop" {
			return status
		}
	}
	return p.start(ctx, s)
}

// runUnit is the work of the product's unit, called by systemd.
func (p Product) runUnit(ctx context.Context, verb string) int {
	switch verb {
	case "start":
		p.print("Starting %s:\n", p.Config.Name)
		if err := p.environment(ctx); err != nil {
			return p.fail("start", err)
		}
		return platformDone
	case "stop":
		p.print("Stopped %s\n", p.Config.Name) // systemd stopped the components before it called us
		return platformDone
	}
	return p.misused()
}

// calledByUnit reports whether systemd called us for the given unit. That
// INVOCATION_ID is set is not enough: it also is for everything that cloud-init,
// a configuration manager or unattended upgrades start, each a unit of its own.
func calledByUnit(unit string) bool {
	if os.Getenv("INVOCATION_ID") == "" {
		return false
	}
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return true // no cgroups to look at; the variable is what is left
	}
	defer f.Close()
	return inUnit(bufio.NewScanner(f), unit)
}

// inUnit reports whether one of the cgroups in /proc/PID/cgroup is the unit's.
// A line is "0::/system.slice/agent.service", with controllers between the colons
// in version 1.
func inUnit(lines *bufio.Scanner, unit string) bool {
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), ":"); ok {
			if _, cgroup, ok := strings.Cut(rest, ":"); ok && path.Base(cgroup) == unit {
				return true
			}
		}
	}
	return false
}

// away says why this is not the running system, or returns "".
func away(s hooks.Surroundings) string {
	switch {
	case s.Env("DPKG_ROOT") != "":
		return "DPKG_ROOT is set"
	case s.Env("SYSTEMD_OFFLINE") == "1":
		return "SYSTEMD_OFFLINE is 1"
	case !s.SameRoot:
		return "this is a chroot"
	}
	return ""
}

// own is our own supervisor.
func (p Product) own() *monitor {
	return &monitor{config: p.Config, runtime: p.runtime(), environment: p.environment}
}

// runtime is RunDir, or its default.
func (p Product) runtime() Runtime {
	if p.RunDir == "" {
		return Runtime("/run/" + p.Config.Name)
	}
	return Runtime(p.RunDir)
}

// unit is the unit that stands for the product: the first of the configuration.
func (p Product) unit() string {
	if len(p.Config.Units) > 0 {
		return p.Config.Units[0].Name
	}
	return p.Config.Name + ".service"
}

// taken reports whether the host's packet filter is in the product's hands.
func (p Product) taken() (bool, error) { return p.ledger().Taken() }

// note is empty: all of it works on Linux.
func (p Product) note() string { return "" }
