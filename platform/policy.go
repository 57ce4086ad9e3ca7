//go:build linux || windows

package platform

import (
	"errors"
	"io/fs"
	"time"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// PolicyFile is where the agent's manager puts what the server sent, inside of
// the data folder.
const PolicyFile = "etc/policy.json"

// A Policy is what the server wants to be enforced. In the mode idle, and
// wherever there is no rule set, the host's own rules stay in force.
type Policy struct {
	Version string `json:"version"`
	Mode    string `json:"enforcement_mode"`   // idle, visibility_only, selective or full
	Format  string `json:"format,omitempty"`   // nftables or iptables
	Nft     string `json:"nftables,omitempty"` // in the form of nft(8)
	IPv4    string `json:"ipv4,omitempty"`     // in the form of iptables-restore(8)
	IPv6    string `json:"ipv6,omitempty"`     // in that of ip6tables-restore
}

// rules reports whether the policy has any to be put in force.
func (p Policy) rules() bool {
	return p.Mode != "idle" && (p.Nft != "" || p.IPv4 != "" || p.IPv6 != "")
}

// A PolicyStatus says which policy is in force: the file Config.PolicyStatus,
// for the manager to report.
type PolicyStatus struct {
	Version   string    `json:"version"`             // of the policy in force; empty for none
	InForce   bool      `json:"in_force"`            // also if it has no rules
	Suspended bool      `json:"suspended,omitempty"` // and that is so on purpose
	Error     string    `json:"error,omitempty"`     // why the policy in the data folder is not in force
	At        time.Time `json:"at"`
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// writeJSON writes v for root alone.
func writeJSON(sys hooks.System, file string, v any) error {
	b, err := tinyjson.Marshal(v)
	if err != nil {
		return err
	}
	return sys.WriteFile(file, append(b, '\n'), 0o600)
}
