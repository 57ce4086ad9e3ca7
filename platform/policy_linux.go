package platform

import (
	"fmt"
	"io"
	"os"
	"path"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/firewall"
	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// policyStatusFile is below the Runtime, where Config.PolicyStatus is.
const policyStatusFile = "policy.json"

// maxPolicy is how large a policy may be, in bytes.
const maxPolicy = 16 << 20

func (p Policy) firewall() firewall.Policy {
	return firewall.Policy{Version: p.Version, Nft: p.Nft, IPv4: p.IPv4, IPv6: p.IPv6}
}

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

func removeFile(sys hooks.System, file string) error {
	if err := sys.Remove(file); err != nil && !isMissing(err) {
		return err
	}
	return nil
}
