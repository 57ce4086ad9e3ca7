package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
)

// A Component is one process of the agent.
type Component struct {
	Name    string
	Version string // the product's
	Data    string // the data folder; the log goes into its log folder
	// Work is what the component does until ctx ends. nil means nothing, and one
	// that returns early without an error has nothing more to do.
	Work func(ctx context.Context, log *slog.Logger) error
}

// logNames are the documented names of logs. Another component's log has the
// component's own name.
var logNames = map[string]string{
	"venAgentMgr":        "agentmgr.log",
	"venPlatformHandler": "platform.log",
	"venVtapServer":      "vtap.log",
	"venAgentMonitor":    "agentmon.log",
}

// LogName is the path of a component's log inside of the data folder.
func LogName(component string) string {
	if name, ok := logNames[component]; ok {
		return "log/" + name
	}
	return "log/" + component + ".log"
}

// Run is the life of the component: it opens its log, tells its supervisor that
// it is ready, and stops when ctx ends.
func (c Component) Run(ctx context.Context) (err error) {
	root, err := os.OpenRoot(c.Data)
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.Name, err)
	}
	file := &LogFile{Root: root, Name: LogName(c.Name)}
	defer func() {
		if cerr := file.Close(); err == nil {
			err = cerr
		}
		if cerr := root.Close(); err == nil {
			err = cerr
		}
	}()
	if _, err := file.Write(nil); err != nil { // a log that cannot be written is told now, not at the first line
		return fmt.Errorf("starting %s: %w", c.Name, err)
	}
	log := slog.New(slog.NewTextHandler(file, nil)).With("component", c.Name)

	log.Info("started", "version", c.Version, "pid", os.Getpid(), "uid", os.Getuid())
	if err := Notify("READY=1\nSTATUS=running"); err != nil {
		log.Warn("no readiness reported", "error", err)
	}
	told := make(chan struct{})
	context.AfterFunc(ctx, func() { // at once, however long the work takes to end
		defer close(told)
		if err := Notify("STOPPING=1\nSTATUS=stopping"); err != nil {
			log.Warn("no end reported", "error", err)
		}
	})
	if c.Work != nil {
		if err := c.Work(ctx, log); err != nil {
			log.Error("failed", "error", err)
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	<-told
	log.Info("stopped", "pid", os.Getpid(), "reason", context.Cause(ctx))
	return nil
}
