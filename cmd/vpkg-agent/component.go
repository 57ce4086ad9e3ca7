//go:build linux || windows

package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/platform"
)

// runComponent is `vpkg-agent component NAME`.
func runComponent(ctx context.Context, config hooks.Config, name string) error {
	if !slices.ContainsFunc(config.Components, func(c hooks.Component) bool { return c.Name == name }) {
		return fmt.Errorf("%s has no component %q", config.Name, name)
	}
	data, err := place(config, config.Data)
	if err != nil {
		return err
	}
	c := agent.Component{Name: name, Version: config.Version, Data: data}
	switch name {
	case managerName:
		c.Work = func(ctx context.Context, log *slog.Logger) error { return manage(ctx, config, log) }
	case platform.MonitorComponent:
		c.Work = func(ctx context.Context, log *slog.Logger) error { return watch(ctx, config, log) }
	}
	return asService(ctx, c.Run)
}
