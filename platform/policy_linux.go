package platform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/firewall"
	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// PolicyFile is where the agent's manager puts what the server sent, inside of
// the data folder.
const PolicyFile = "etc/policy.json"

// maxPolicy is how large a policy may be, in bytes.
const maxPolicy = 16 << 20

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

func (p Policy) firewall() firewall.Policy {
	return firewall.Policy{Version: p.Version, Nft: p.Nft, IPv4: p.IPv4, IPv6: p.IPv6}
}

// A PolicyStatus says which policy is in force: /run/NAME/policy.json, for the
// manager to report.
type PolicyStatus struct {
	Version   string    `json:"version"`             // of the policy in force; empty for none
	InForce   bool      `json:"in_force"`            // also if it has no rules
	Suspended bool      `json:"suspended,omitempty"` // and that is so on purpose
	Error     string    `json:"error,omitempty"`     // why the policy in the data folder is not in force
	At        time.Time `json:"at"`
}

// policyStatusFile is below the Runtime.
const policyStatusFile = "policy.json"

// received reads the policy that the manager put into the data folder. The folder
// belongs to an account that is not root's: no link leads out of it, and what is
// there may be anything. Without a policy it returns nil.
func received(data string) (*Policy, error) {
	root, err := os.OpenRoot(data)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close() // only read
	f, err := root.OpenFile(PolicyFile, os.O_RDONLY|nonblock, 0)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	name := path.Join(data, PolicyFile)
	if !info.Mode().IsRegular() || info.Size() > maxPolicy {
		return nil, fmt.Errorf("%s: want a regular file of at most %d bytes", name, maxPolicy)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPolicy))
	if err != nil {
		return nil, err
	}
	var p Policy
	if err := tinyjson.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &p, nil
}

// stored is the policy that was put in force last, from a file that is root's
// alone, or nil.
func stored(sys hooks.System, file string) (*Policy, error) {
	b, err := sys.ReadFile(file)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p Policy
	if err := tinyjson.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &p, nil
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func removeFile(sys hooks.System, file string) error {
	if err := sys.Remove(file); err != nil && !isMissing(err) {
		return err
	}
	return nil
}

// writeJSON writes v for root alone.
func writeJSON(sys hooks.System, file string, v any) error {
	b, err := tinyjson.Marshal(v)
	if err != nil {
		return err
	}
	return sys.WriteFile(file, append(b, '\n'), 0o600)
}
