//go:build linux || windows

package main

import (
	"context"
	"log/slog"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
)

// managerName is the component that speaks to the server.
const managerName = "venAgentMgr"

// own gives the files of the activation to the account of the services, which
// need not be the one that they were written for.
func own(ctx context.Context, config hooks.Config) error {
	a, closeRoot, err := openActivator(ctx, config)
	if err != nil {
		return err
	}
	defer closeRoot()
	if a.Store.UID < 0 {
		return nil
	}
	return a.Store.Own()
}

// manage is the work of the manager.
func manage(ctx context.Context, config hooks.Config, log *slog.Logger) error {
	a, closeRoot, err := openActivator(ctx, config)
	if err != nil {
		return err
	}
	defer closeRoot()
	state, err := place(config, config.PolicyStatus())
	if err != nil {
		return err
	}
	m := agent.Manager{
		Activator: a,
		State:     state,
		Goodbye:   goodbyeTime,
		Log:       log,
		Status: func(status string) {
			if err := agent.Notify("STATUS=" + status); err != nil {
				log.Warn("status not reported", "error", err)
			}
		},
	}
	return m.Run(ctx)
}
