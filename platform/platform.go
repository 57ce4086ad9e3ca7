package platform

import (
	"io"

	"github.com/vpkg/vpkg/hooks"
)

// Usage is how `vpkg-hook platform` is called.
const Usage = "Usage: vpkg-hook platform {restart|start|status [--json]|stop}\n"

// The exit statuses of `vpkg-hook platform`. Those of status are the LSB's and
// systemctl's.
const (
	platformDone     = 0 // all components are running
	platformFailed   = 1 // some components are not running
	platformMisused  = 2
	platformInactive = 3 // no component is running
)

// A Product starts, stops and shows the running part of a product: its
// components. Where systemd runs they are its units; elsewhere, as in most
// containers, `vpkg-agent monitor` supervises them.
type Product struct {
	Config hooks.Config
	RunDir string // of the supervisor, where there is no systemd; empty means /run/NAME
	Stdout io.Writer
	Stderr io.Writer
}

// A Runtime is the folder in which the supervisor of a product keeps what is true
// until the next boot: /run/NAME. It belongs to root, not to the agent's account,
// for what is read there decides which process root ends.
type Runtime string

// A Status is what `vpkg-hook platform status --json` prints.
type Status struct {
	Name       string           `json:"name"`
	Version    string           `json:"version"`
	Supervisor string           `json:"supervisor"` // "systemd" or "monitor"
	State      string           `json:"state"`      // StateRunning, StateStopped, StateFailed or StateDegraded
	Components []ComponentState `json:"components"`
}
