package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// What is sent to the server and comes from it, as docs/protocol.md describes
// it. The fields' names in JSON are fixed.

// APIPath is what the paths of all requests begin with.
const APIPath = "/api/v1/ven"

// Bounds of what the server sends, in bytes.
const (
	MaxPolicyAnswer = 16 << 20
	MaxAnswer       = 1 << 20 // of everything else
)

// Bounds and default of the time between heartbeats, in seconds.
const (
	MinHeartbeat     = 1
	DefaultHeartbeat = 300
	MaxHeartbeat     = 3600
)

// The forms of a rule set.
const (
	FormatNftables = "nftables"
	FormatIptables = "iptables" // what iptables-restore reads
)

// The states that a heartbeat reports.
const (
	StateIdle      = "idle"      // no rule set is to be in force
	StateActive    = "active"    // the policy is in force
	StateDegraded  = "degraded"  // the policy is not in force, or not yet
	StateSuspended = "suspended" // the host's administrator has taken it out of force
)

// Labels say what a workload is. Empty ones are not set.
type Labels struct {
	Role string `json:"role,omitempty"`
	App  string `json:"app,omitempty"`
	Env  string `json:"env,omitempty"`
	Loc  string `json:"loc,omitempty"`
}

// An ActivateRequest is what a host says to become an agent.
type ActivateRequest struct {
	Code string `json:"activation_code"`
	// RequestID is the same in every repetition of one activation, 32 hexadecimal
	// digits. An answer can be lost after the code was used up: the same code with
	// the same id is then answered again.
	RequestID string   `json:"request_id"`
	ProfileID string   `json:"profile_id,omitempty"` // decimal: which pairing profile the code is believed to be of
	Hostname  string   `json:"hostname"`
	OSID      string   `json:"os_id"` // "debian-x86_64-13"
	Version   string   `json:"version"`
	Formats   []string `json:"formats"` // of rule sets that the host can load
	Mode      string   `json:"enforcement_mode,omitempty"`
	Labels    Labels   `json:"labels,omitzero"`
}

// An Activation is the server's answer to an ActivateRequest.
type Activation struct {
	AgentID          string  `json:"agent_id"`
	OrgID            string  `json:"org_id"`
	WorkloadUUID     string  `json:"workload_uuid"`
	Token            string  `json:"token"`
	HeartbeatSeconds int     `json:"heartbeat_seconds"` // 0 means DefaultHeartbeat
	Policy           *Policy `json:"policy"`            // nil means that there is none yet
}

// Identity is who the agent is from then on.
func (a Activation) Identity() Identity {
	return Identity{AgentID: a.AgentID, OrgID: a.OrgID, WorkloadUUID: a.WorkloadUUID, Token: a.Token}
}

// A HeartbeatRequest says how an agent is doing.
type HeartbeatRequest struct {
	Version       string `json:"version"`
	State         string `json:"state"`
	PolicyVersion string `json:"policy_version,omitempty"` // in force
	PolicyError   string `json:"policy_error,omitempty"`   // why another one is not
}

// A Heartbeat is the server's answer to a HeartbeatRequest.
type Heartbeat struct {
	PolicyVersion    string `json:"policy_version"` // that is to be in force; empty means none
	HeartbeatSeconds int    `json:"heartbeat_seconds"`
}

// PolicyAnswer is how a policy is sent.
type PolicyAnswer struct {
	Policy Policy `json:"policy"`
}

// ErrorAnswer is what comes with every status of 400 and more.
type ErrorAnswer struct {
	Error string `json:"error"` // one sentence
}

// An Identity is who an agent is to its server.
type Identity struct {
	AgentID      string
	OrgID        string
	WorkloadUUID string
	Token        string // secret
}

// String leaves out the token.
func (i Identity) String() string { return i.AgentID }

// GoString leaves out the token.
func (i Identity) GoString() string { return i.AgentID }

// validate: the ids become part of paths and lines of a file, the token of a header.
func (i Identity) validate() error {
	for _, v := range []struct{ name, value string }{
		{"agent_id", i.AgentID}, {"org_id", i.OrgID}, {"workload_uuid", i.WorkloadUUID},
	} {
		if !isWord(v.value, 128) || strings.Trim(v.value, ".") == "" || strings.ContainsAny(v.value, `/\?#%:`) {
			return fmt.Errorf("%s %q is not an id", v.name, clip(v.value))
		}
	}
	if !isWord(i.Token, 4096) {
		return errors.New("token is not one word of at most 4096 bytes")
	}
	return nil
}

// A Policy is etc/policy.json of the data folder: the rules that the server
// wants in force.
type Policy struct {
	Version string `json:"version"` // compared for equality only
	Mode    string `json:"enforcement_mode"`
	Format  string `json:"format,omitempty"` // empty means that there is no rule set
	// The rule set, in one of the two forms.
	Nftables string `json:"nftables,omitempty"`
	IPv4     string `json:"ipv4,omitempty"`
	IPv6     string `json:"ipv6,omitempty"`
}

// Validate checks the form of a policy, not its rules.
func (p Policy) Validate() error {
	if !isWord(p.Version, 64) {
		return fmt.Errorf("policy: version %q is not one word of at most 64 bytes", clip(p.Version))
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("policy %s: "+format, append([]any{p.Version}, args...)...)
	}
	if !slices.Contains(modes(), p.Mode) {
		return bad("enforcement_mode %q is none of %s", clip(p.Mode), strings.Join(modes(), ", "))
	}
	nftables, iptables := p.Nftables != "", p.IPv4 != "" || p.IPv6 != ""
	switch {
	case !slices.Contains([]string{"", FormatNftables, FormatIptables}, p.Format):
		return bad("format %q is neither nftables nor iptables", clip(p.Format))
	case nftables != (p.Format == FormatNftables), iptables != (p.Format == FormatIptables):
		return bad("its rules are not of the format %q", p.Format)
	case p.Mode == ModeIdle && p.Format != "":
		return bad("idle, and has rules")
	case (p.Mode == ModeSelective || p.Mode == ModeFull) && p.Format == "":
		return bad("%s, and has no rules", p.Mode)
	case strings.Contains(p.Nftables+p.IPv4+p.IPv6, "\x00"):
		return bad("its rules are not text")
	}
	return nil
}

// isWord reports whether s is 1 to limit printable ASCII characters without a space.
func isWord(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// clip makes text from outside fit for a message: not long, and without what
// would control a terminal.
func clip(s string) string {
	const most = 200 // bytes
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
