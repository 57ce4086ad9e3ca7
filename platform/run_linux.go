package platform

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// Run carries out `vpkg-hook platform ARGS` and returns the exit status.
//
// Where systemd runs, start, stop and restart are handed to it and waited for;
// systemd then calls the same command, as the unit's ExecStart, and only that
// does the work. The components are units of their own, ordered After= the
// product's unit: systemd starts them when ExecStart has ended, so that nothing
// waits for itself.
//
// try-restart is for the events of a package: it restarts what runs without
// systemd, which restarts units itself.
//
// Without systemd, start leaves `vpkg-agent monitor` running, which supervises
// the components. On a system that is not the running one, such as a chroot or
// an image being built, nothing is started or stopped, as with systemctl.
func (p Product) Run(ctx context.Context, args []string) int {
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && (args[0] != "status" || args[1] != "--json") {
		return p.misused()
	}
	var s supervisor
	around := hooks.Host{}.Surroundings()
	if around.Booted {
		if calledByUnit(p.unit()) {
			return p.runUnit(ctx, args[0])
		}
		s = systemd{unit: p.unit(), components: p.Config.Components, systemctl: systemctl}
	} else {
		s = p.monitor()
	}
	switch verb := args[0]; verb {
	case "start", "stop", "restart", "try-restart":
		if verb == "try-restart" && around.Booted {
			return platformDone
		}
		if why := away(around); why != "" {
			p.print("%s: %s: nothing to %s\n", p.Config.Name, why, verb)
			return platformDone
		}
		return p.change(ctx, s, verb)
	case "status":
		return p.status(ctx, s, len(args) == 2)
	}
	return p.misused()
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

func (p Product) monitor() *monitor {
	return &monitor{config: p.Config, runtime: p.runtime(), environment: p.environment}
}

// environment makes what every component needs, as at the installation, where it
// is missing or not as it was.
func (p Product) environment(ctx context.Context) error {
	err := p.makeFolders(ctx)
	p.result("Environment", "Setting up "+p.Config.Name+" Environment", err)
	return err
}

func (p Product) makeFolders(ctx context.Context) error {
	if err := os.MkdirAll(string(p.runtime()), 0o755); err != nil {
		return err
	}
	var sys hooks.Host
	was, err := hooks.ReadInstalled(sys, p.Config.Name)
	if err != nil {
		return fmt.Errorf("reading the installed state: %w", err)
	}
	return hooks.Repair(ctx, p.Config, was.User, sys, slog.New(slog.NewTextHandler(p.Stderr, nil)))
}
