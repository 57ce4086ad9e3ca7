package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
)

// owners leaves the agent's files to the process: what they inherit from the data
// folder, and their own access lists, say who may read them.
func owners(context.Context, hooks.Config) (uid, gid int, err error) { return -1, -1, nil }

// hostOf is this host. The program's folder is the one whose bin this program is in.
func hostOf(config hooks.Config) hooks.Host { return hooks.FindHost(config, "", "") }

// place is where a path of the configuration is on this host.
func place(config hooks.Config, name string) (string, error) {
	found, err := hostOf(config).Locate(name)
	if err != nil {
		return "", err
	}
	return filepath.Clean(found), nil
}

// childEnv is the environment of programs that are started: ours, for without
// SystemRoot little works.
func childEnv() []string { return os.Environ() }

// goodbyeTime is how long a manager that stops still talks: a service is to stop
// within a second.
const goodbyeTime = 600 * time.Millisecond

// mayAdminister refuses who may not use a command.
func mayAdminister(verb string) error {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return fmt.Errorf("%s must be run as an administrator", verb)
	}
	return nil
}

// private closes a file to others.
func private(name string) error { return hooks.MakePrivate(name) }

// thisHost is what the server is told of this machine. There is no form of rule
// sets that the agent can load here.
func thisHost() agent.Host {
	h := agent.Host{OSID: "win-x86_64-server", Formats: []string{}}
	const workstation = 1 // VER_NT_WORKSTATION
	if windows.RtlGetVersion().ProductType == workstation {
		h.OSID = "win-x86_64-client"
	}
	h.Name, _ = os.Hostname()
	return h
}

// asService runs a command under the service control manager, if that has started
// this process, and else as it is. (Only the manager knows that; svc.IsWindowsService
// guesses by the parent's name, which Wine 8 does not tell.)
func asService(ctx context.Context, do func(context.Context) error) error {
	var s service
	s.do = func() error { return do(s.ctx) }
	s.ctx, s.stop = context.WithCancelCause(ctx)
	err := svc.Run("", &s) // a process of its own has no need of a name
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return do(ctx)
	}
	if err != nil {
		return fmt.Errorf("running as a service: %w", err)
	}
	return s.err
}

// A service is a command on behalf of the service control manager.
type service struct {
	ctx  context.Context //nolint:containedctx // Execute has none
	stop context.CancelCauseFunc
	do   func() error
	err  error
}

var errStopped = errors.New("the service control manager stops the service")

// stopLimit is how long a service may take to stop. What it does is in files that
// are whole at every moment.
const stopLimit = 900 * time.Millisecond

// Execute runs the command until it ends or is told to.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status) (specific bool, code uint32) {
	done := make(chan error, 1)
	go func() { done <- s.do() }()
	changes <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	var late <-chan time.Time
	for {
		select {
		case s.err = <-done:
			if s.err != nil {
				return true, 1
			}
			return false, 0
		case <-late:
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				changes <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				changes <- svc.Status{State: svc.StopPending, WaitHint: uint32(stopLimit / time.Millisecond)}
				s.stop(errStopped)
				late = time.After(stopLimit)
			}
		}
	}
}

// runMonitor is for where nothing else supervises.
func runMonitor(context.Context, hooks.Config, string) error {
	return errors.New("the components are services, which Windows supervises")
}
