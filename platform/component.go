package platform

import "time"

// MonitorComponent is the component that keeps the policy in force.
const MonitorComponent = "venPlatformHandler"

// The states of a component.
const (
	StateStarting = "starting" // the process runs and has not said yet that it is ready
	StateRunning  = "running"
	StateWaiting  = "waiting" // it ended by itself and will be started again
	StateStopping = "stopping"
	StateStopped  = "stopped"
	StateFailed   = "failed" // it ended by itself and systemd gave up
	// StateDegraded is that of a product some of whose components are not running.
	StateDegraded = "degraded"
)

// A ComponentState is how one component is doing.
type ComponentState struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	PID      int       `json:"pid,omitempty"`    // 0 when no process runs
	Since    time.Time `json:"since,omitzero"`   // of the state
	Restarts int       `json:"restarts"`         // since the component was started on purpose
	Status   string    `json:"status,omitempty"` // what the component says, or how it ended
}
