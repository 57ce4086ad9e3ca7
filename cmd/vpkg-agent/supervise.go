//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
)

// monitorName is the component that `vpkg-agent monitor` itself is. Under systemd
// it is a component like the others, for there systemd supervises.
const monitorName = "venAgentMonitor"

func runComponent(ctx context.Context, config hooks.Config, name string) error {
	if !slices.ContainsFunc(config.Components, func(c hooks.Component) bool { return c.Name == name }) {
		return fmt.Errorf("%s has no component %q", config.Name, name)
	}
	return agent.Component{Name: name, Version: config.Version, Data: config.Data}.Run(ctx)
}

func runMonitor(ctx context.Context, config hooks.Config, runtime hooks.Runtime) error {
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

	processes, err := processes(config)
	if err != nil {
		return err
	}
	started := time.Now().UTC()
	m := agent.Monitor{
		Processes: processes,
		Log:       log,
		Report: func(states []hooks.ComponentState) {
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
func processes(config hooks.Config) ([]agent.Process, error) {
	account, err := credential(config.Account)
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

// credential gives the ids of the account; nil if there is none, or if we are
// not root and could not use them.
func credential(a hooks.Account) (*syscall.Credential, error) {
	if a.User == "" || os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(a.User)
	if err != nil {
		return nil, fmt.Errorf("looking up the account: %w", err)
	}
	g, err := user.LookupGroup(a.GroupName())
	if err != nil {
		return nil, fmt.Errorf("looking up the account: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: id %q is no number", a.User, u.Uid)
	}
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group %s: id %q is no number", a.GroupName(), g.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// withSelf puts the monitor's own state where its component is in the
// configuration.
func withSelf(config hooks.Config, states []hooks.ComponentState, since time.Time) []hooks.ComponentState {
	i := slices.IndexFunc(config.Components, func(c hooks.Component) bool { return c.Name == monitorName })
	if i < 0 {
		return states
	}
	self := hooks.ComponentState{Name: monitorName, State: hooks.StateRunning, PID: os.Getpid(), Since: since}
	return slices.Insert(slices.Clone(states), i, self)
}
