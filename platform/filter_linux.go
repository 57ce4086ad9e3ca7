package platform

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/firewall"
)

// The files of the packet filter's state, /var/lib/vpkg/NAME/firewall, beside the
// saved sets.
const (
	storedPolicy  = "policy.json" // in force, or to be so at the next boot
	suspendedFile = "suspended"   // there while the policy is not enforced on purpose
	seenFile      = "seen"        // the filter's state as we left it, for the monitor to compare
	setFile       = "set"         // the saved set that is the host's own
)

// A filter is the host's packet filter in the hands of one product.
type filter struct {
	*firewall.Firewall
	sys hooks.System
}

func newFilter(sys hooks.System, state string, log hooks.Logger) filter {
	return filter{&firewall.Firewall{Sys: sys, Dir: path.Join(state, "firewall"), Log: log}, sys}
}

func (f filter) file(name string) string { return path.Join(f.Dir, name) }

// Save keeps the host's rules.
func (f filter) Save(ctx context.Context) (string, error) {
	set, err := f.Firewall.Save(ctx)
	if err != nil {
		return "", err
	}
	if len(set.Foreign) > 0 {
		f.Log.Info("rules of other programs are kept as they are", "chains", set.Foreign)
	}
	return set.ID, f.sys.WriteFile(f.file(setFile), []byte(set.ID), 0o600)
}

// Enforce puts the stored policy in force, or the host's own rules where there is
// none or it is suspended.
func (f filter) Enforce(ctx context.Context) error {
	p, err := f.wanted()
	if err != nil {
		return err
	}
	if p != nil {
		err = f.Firewall.Enforce(ctx, p.firewall())
	} else {
		err = f.idle(ctx)
	}
	if err != nil {
		return err
	}
	return f.remember(ctx)
}

// holds reports whether the host's own rules are to be in force and a part of them
// is gone when the program ends that made them.
func (f filter) holds(ctx context.Context) (bool, error) {
	policy, err := f.wanted()
	if err != nil || policy != nil {
		return false, err
	}
	set, err := f.own()
	if err == nil {
		return set.Owned, nil
	}
	if !isMissing(err) {
		return false, err
	}
	rules, err := f.HostRules(ctx)
	return rules.Owned, err
}

func (f filter) suspended() bool {
	_, err := f.sys.Stat(f.file(suspendedFile))
	return err == nil
}

// wanted is the policy that is to be in force; nil stands for the host's own rules.
func (f filter) wanted() (*Policy, error) {
	if f.suspended() {
		return nil, nil
	}
	p, err := stored(f.sys, f.file(storedPolicy))
	if err != nil || p == nil || !p.rules() {
		return nil, err
	}
	return p, nil
}

// idle puts the host's own rules in force where a policy of ours was. What the
// host's administrator does with them otherwise is no business of ours.
func (f filter) idle(ctx context.Context) error {
	if !f.Replaced() {
		return nil
	}
	set, err := f.own()
	if err != nil {
		return err
	}
	left, err := f.putBack(ctx, set)
	for _, what := range left {
		f.Log.Warn("left as it is", "what", what)
	}
	return err
}

// putBack is PutBack, with a sentence for each view that is left.
func (f filter) putBack(ctx context.Context, set firewall.Set) ([]string, error) {
	left, err := f.PutBack(ctx, set)
	for i, view := range left {
		left[i] = "the filter rules of " + view + ": somebody else has changed them since"
	}
	return left, err
}

// own is the set of the host's own rules.
func (f filter) own() (firewall.Set, error) {
	id, err := f.sys.ReadFile(f.file(setFile))
	if err != nil {
		return firewall.Set{}, fmt.Errorf("the host's saved rules: %w", err)
	}
	return f.LoadSet(string(id))
}

// remember keeps what the filter looks like now.
func (f filter) remember(ctx context.Context) error {
	state, err := f.State(ctx)
	if err != nil {
		return err
	}
	return f.sys.WriteFile(f.file(seenFile), []byte(state), 0o600)
}

// changed reports whether somebody else has changed the filter since.
func (f filter) changed(ctx context.Context) (bool, error) {
	was, err := f.sys.ReadFile(f.file(seenFile))
	if isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	is, err := f.State(ctx)
	return err == nil && is != string(was), err
}

// intact puts the rules back if stopping the host's services has changed them after
// all, as a service with a stop of its own kind may.
func (f filter) intact(ctx context.Context) error {
	changed, err := f.changed(ctx)
	if err != nil || !changed {
		return err
	}
	f.Log.Warn("a service of the host changed the rules while it was stopped: they are put back in force")
	p, err := f.wanted()
	if err != nil {
		return err
	}
	if p != nil {
		return f.Enforce(ctx)
	}
	set, err := f.own()
	if err == nil {
		err = f.Load(ctx, set)
	}
	return errors.Join(err, f.remember(ctx))
}

// GiveBack puts the set's rules back in force, as asked for at unpairing.
func (f filter) GiveBack(ctx context.Context, set, how string) (left []string, err error) {
	switch how {
	case "", unpairSaved:
		s, err := f.LoadSet(set)
		if err != nil {
			return nil, err
		}
		left, err = f.putBack(ctx, s)
		if err != nil {
			return left, err
		}
	case unpairRecommended:
		err = f.Recommended(ctx)
	case unpairOpen:
		err = f.Open(ctx)
	default:
		err = fmt.Errorf("%q: %w", how, hooks.ErrUnknown)
	}
	if err != nil {
		return left, err
	}
	// The next takeover begins with what the host is then.
	for _, name := range []string{storedPolicy, suspendedFile, seenFile, setFile} {
		if err := removeFile(f.sys, f.file(name)); err != nil {
			return left, err
		}
	}
	return left, nil
}
