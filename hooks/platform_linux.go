package hooks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
)

// Run carries out `vpkg-hook platform ARGS` and returns the exit status.
//
// Where systemd runs, start, stop and restart are handed to it and waited for;
// systemd then calls the same command, as the unit's ExecStart, and only that
// does the work. The components are units of their own, ordered After= the
// product's unit: systemd starts them when ExecStart has ended, so that nothing
// waits for itself.
//
// Without systemd, start leaves `vpkg-agent monitor` running, which supervises
// the components. On a system that is not the running one, such as a chroot or
// an image being built, nothing is started or stopped, as with systemctl.
func (p Platform) Run(ctx context.Context, args []string) int {
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && (args[0] != "status" || args[1] != "--json") {
		return p.misused()
	}
	var s supervisor
	if systemdRuns() {
		if calledByUnit(p.unit()) {
			return p.runUnit(args[0])
		}
		s = systemd{unit: p.unit(), components: p.Config.Components, systemctl: systemctl}
	} else {
		s = p.monitor()
	}
	switch verb := args[0]; verb {
	case "start", "stop", "restart":
		if !runningRoot() {
			p.print("%s is not on the running system: nothing to %s\n", p.Config.Name, verb)
			return platformDone
		}
		return p.change(ctx, s, verb)
	case "status":
		return p.status(ctx, s, len(args) == 2)
	}
	return p.misused()
}

func (p Platform) change(ctx context.Context, s supervisor, verb string) int {
	if verb != "start" {
		if status := p.stop(ctx, s); status != platformDone || verb == "stop" {
			return status
		}
	}
	return p.start(ctx, s)
}

// runUnit is the work of the product's unit, called by systemd.
func (p Platform) runUnit(verb string) int {
	switch verb {
	case "start":
		p.print("Starting %s:\n", p.Config.Name)
		if err := p.environment(); err != nil {
			return p.fail("start", err)
		}
		return platformDone
	case "stop":
		p.print("Stopped %s\n", p.Config.Name) // systemd stopped the components before it called us
		return platformDone
	}
	return p.misused()
}

// systemdRuns reports whether systemd is the init of this system, as
// sd_booted(3) does.
func systemdRuns() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
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

// runningRoot reports whether our root folder is that of the running system,
// and not a chroot in it.
func runningRoot() bool {
	if os.Getenv("SYSTEMD_OFFLINE") == "1" {
		return false
	}
	ours, err := os.Stat("/")
	if err != nil {
		return true
	}
	inits, err := os.Stat("/proc/1/root")
	if err != nil {
		return errors.Is(err, os.ErrPermission) // not root, who may only ask for the status; else no /proc
	}
	return os.SameFile(ours, inits)
}

func (p Platform) monitor() *monitor {
	return &monitor{config: p.Config, runtime: p.runtime(), environment: p.environment}
}

// environment checks what every component needs and makes what is missing.
func (p Platform) environment() error {
	err := os.MkdirAll(string(p.runtime()), 0o755)
	if err == nil && p.Config.Data != "" {
		_, err = os.Stat(p.Config.Data)
	}
	if err != nil {
		err = fmt.Errorf("setting up the environment: %w", err)
	}
	p.result("Environment", "Setting up "+p.Config.Name+" Environment", err)
	return err
}
