// Package platform is the running part of a product: what `vpkg-hook platform` and
// its other commands do. It sets up kernel modules, settings and the packet filter
// at each start, keeps the policy in force, starts and stops the components under
// systemd or a supervisor of ours, and gives the host back at the end.
//
// What it changes stands in a hooks.Ledger with its undo before it is changed.
// Package hooks is the other part of the program: the events of a package. On
// Windows the components are services, and the packet filter is left alone.
package platform

import (
	"io"

	"github.com/vpkg/vpkg/hooks"
)

// Usage is how the commands of this package are called.
const Usage = `Usage: vpkg-hook platform apply|boot|monitor|restart|restore|start|stop
       vpkg-hook platform status [--json]
       vpkg-hook check-env [--json]
       vpkg-hook verify [--json]
       vpkg-hook gen-supportreport
       vpkg-hook suspend|unsuspend
       vpkg-hook unpair saved|recommended|open [noreport]
`

// The exit statuses. Those of status are the LSB's and systemctl's.
const (
	platformDone     = 0 // all components are running
	platformFailed   = 1 // some components are not running
	platformMisused  = 2
	platformInactive = 3 // no component is running
)

// A Product is the running part of what was installed: what it sets up on the
// host, its policy, and its components. Where systemd runs they are its units; elsewhere, as in most
// containers, `vpkg-agent monitor` supervises them.
type Product struct {
	Config hooks.Config
	RunDir string       // of the supervisor, where there is no systemd; empty means /run/NAME
	Sys    hooks.System // the host
	Log    hooks.Logger // warnings are shown to who called
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
	Supervisor string           `json:"supervisor"`       // "systemd", "monitor" or "services"
	Agent      string           `json:"agent"`            // AgentUnpaired and so on
	Policy     string           `json:"policy,omitempty"` // version of the one in force
	Note       string           `json:"note,omitempty"`   // what it is that does not work on this system
	Taken      bool             `json:"firewall_taken"`   // the host's packet filter is the product's
	State      string           `json:"state"`            // StateRunning, StateStopped, StateFailed or StateDegraded
	Components []ComponentState `json:"components"`
}

// How the product stands to its server and its policy.
const (
	AgentUnpaired    = "unpaired"
	AgentIdle        = "idle"        // the host's own rules are in force
	AgentIlluminated = "illuminated" // what happens is seen, and little refused
	AgentEnforced    = "enforced"
	AgentSuspended   = "suspended" // the host's own rules are in force until it is unsuspended
)
