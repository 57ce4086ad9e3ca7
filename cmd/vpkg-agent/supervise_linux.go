package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/platform"
)

// monitorName is the component that `vpkg-agent monitor` itself is. Under systemd
// it is a component like the others, for there systemd supervises.
const monitorName = "venAgentMonitor"

func runMonitor(ctx context.Context, config hooks.Config, folder string) error {
	runtime := platform.Runtime(folder)
	if err := runtime.Lock(); err != nil {
		return err
	}
	root, err := os.OpenRoot(config.Data)
	if err != nil {
		return err
	}
	defer root.Close() // only opened
	file := &agent.LogFile{Root: root, Name: agent.LogName(monitorName)}
	log := slog.New(slog.NewTextHandler(file, nil)).With("component", monitorName)
	log.Info("started", "version", config.Version, "pid", os.Getpid())

	processes, err := processes(ctx, config)
	if err != nil {
		return err
	}
	started := time.Now().UTC()
	m := agent.Monitor{
		Processes: processes,
		Log:       log,
		Report: func(states []platform.ComponentState) {
			if err := runtime.WriteStates(withSelf(config, states, started)); err != nil {
				log.Error("states not written", "error", err)
			}
		},
	}
	err = m.Run(ctx)
	log.Info("stopped", "reason", context.Cause(ctx))
	return errors.Join(err, file.Close())
}

// processes are the components that the monitor starts: all but itself.
func processes(ctx context.Context, config hooks.Config) ([]agent.Process, error) {
	account, err := credential(ctx, config)
	if err != nil {
		return nil, err
	}
	var list []agent.Process
	for _, c := range config.Components {
		if c.Name == monitorName {
			continue
		}
		p := agent.Process{
			Name: c.Name,
			Path: filepath.Join(config.Program, c.ProgramPath()),
			Args: c.Args,
			Env:  []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"},
		}
		if !c.Root {
			p.Credential = account
		}
		list = append(list, p)
	}
	return list, nil
}

// credential gives the ids with which components run that are not root's: the
// user is the administrator's choice or the account's, the group always the
// account's, for the programs are readable for that group alone. It is nil if
// there is no account, or if we are not root and could not use it.
func credential(ctx context.Context, config hooks.Config) (*syscall.Credential, error) {
	if config.Account.User == "" || os.Getuid() != 0 {
		return nil, nil
	}
	var host hooks.Host
	installed, err := hooks.ReadInstalled(host, config.Name)
	if err != nil {
		return nil, fmt.Errorf("reading the installed state: %w", err)
	}
	uid, err := id(ctx, host, "passwd", cmp.Or(installed.User, config.Account.User))
	if err != nil {
		return nil, err
	}
	gid, err := id(ctx, host, "group", config.Account.GroupName())
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uid, Gid: gid}, nil
}

// id asks getent, which knows of more than /etc/passwd.
func id(ctx context.Context, host hooks.Host, database, name string) (uint32, error) {
	line, err := host.Run(ctx, "getent", database, name)
	if err != nil {
		return 0, fmt.Errorf("looking up %q in %s: %w", name, database, err)
	}
	fields := strings.Split(strings.TrimSpace(line), ":")
	if len(fields) < 3 {
		return 0, fmt.Errorf("looking up %q in %s: %q is not a line of it", name, database, line)
	}
	n, err := strconv.ParseUint(fields[2], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("looking up %q in %s: id %q is not a number", name, database, fields[2])
	}
	return uint32(n), nil
}

// withSelf puts the monitor's own state where its component is in the
// configuration.
func withSelf(config hooks.Config, states []platform.ComponentState, since time.Time) []platform.ComponentState {
	i := slices.IndexFunc(config.Components, func(c hooks.Component) bool { return c.Name == monitorName })
	if i < 0 {
		return states
	}
	self := platform.ComponentState{Name: monitorName, State: platform.StateRunning, PID: os.Getpid(), Since: since}
	return slices.Insert(slices.Clone(states), i, self)
}

// owners are the account and group of the agent's files; -1 leaves them as they are.
func owners(ctx context.Context, config hooks.Config) (uid, gid int, err error) {
	account, err := credential(ctx, config)
	if err != nil || account == nil {
		return -1, -1, err
	}
	return int(account.Uid), int(account.Gid), nil
}

// hostOf is this host, whose files are where the configuration says.
func hostOf(hooks.Config) hooks.Host { return hooks.Host{} }

// place is where a path of the configuration is on this host.
func place(_ hooks.Config, name string) (string, error) { return name, nil }

// childEnv is the environment of programs that are started.
func childEnv() []string { return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"} }

// goodbyeTime is how long a manager that stops still talks: as long as it does by
// itself.
const goodbyeTime = 0

// mayAdminister refuses who may not use a command.
func mayAdminister(verb string) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("%s must be run as root", verb)
	}
	return nil
}

// private closes a file to others, as os.CreateTemp did.
func private(string) error { return nil }

// asService runs a command as it is: systemd's services are ordinary programs.
func asService(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
