//go:build linux || windows

package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/platform"
)

// eventLog is where the events of the platform are written, inside of the data
// folder.
const eventLog = "log/event.log"

// watch is the work of the component that keeps the policy in force.
func watch(ctx context.Context, config hooks.Config, log *slog.Logger) error {
	data, err := place(config, config.Data)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(data)
	if err != nil {
		return err
	}
	defer root.Close() // only opened
	if err := own(ctx, config); err != nil {
		log.Warn("the manager may not be able to read its files", "error", err)
	}
	events := &agent.LogFile{Root: root, Name: eventLog}
	defer events.Close() // every event was written or complained about
	p := platform.Product{Config: config, Sys: hostOf(config), Log: log, Stdout: io.Discard, Stderr: io.Discard}
	return p.Monitor(ctx, events)
}
