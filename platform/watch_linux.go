package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/hooks"
)

// How often the monitor looks.
const (
	policyInterval = time.Second      // for another policy
	filterInterval = 5 * time.Second  // at the rules: the legacy ones give no notice of a change
	tableInterval  = 10 * time.Second // at the table of connections
	settleTime     = 100 * time.Millisecond
	busyTime       = time.Second
	maxDoublings   = 3 // of the table
)

// Monitor keeps the product's policy in force until ctx ends: it puts another
// policy in force when there is one, puts back rules that somebody else changed,
// and doubles a table of connections that fills up. Each of these is a line of
// events.
//
// Where the host's own rules are in force, a change is an event and nothing more:
// they belong to its administrator, and to programs such as fail2ban.
func (p Product) Monitor(ctx context.Context, events io.Writer) error {
	if p.Config.Firewall == nil {
		<-ctx.Done()
		return nil
	}
	w := &watch{Product: p, events: events}
	notices, err := p.filter().Watch(ctx)
	if err != nil {
		p.Log.Warn("the kernel gives no notice of changed rules: looking every few seconds", "error", err)
	}
	w.seen = w.settled()
	policies, filters, tables := time.NewTicker(policyInterval), time.NewTicker(filterInterval), time.NewTicker(tableInterval)
	defer policies.Stop()
	defer filters.Stop()
	defer tables.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-notices:
			// One change comes as many notices, and ours are told apart by looking. Where
			// others change theirs all the time, once a second has to do.
			time.Sleep(max(settleTime, busyTime-time.Since(w.looked)))
			w.lookAtRules(ctx)
		case <-filters.C:
			w.lookAtRules(ctx)
		case <-policies.C:
			w.lookForPolicy(ctx)
		case <-tables.C:
			w.lookAtTable(ctx)
		}
	}
}

// A watch is one run of Monitor.
type watch struct {
	Product
	events    io.Writer
	seen      string    // stamp of the policy that was tried last
	looked    time.Time // at the rules, last
	doublings int
	failed    string // what went wrong last, so that it is told once
}

// event writes a line of the event log: time, kind, text.
func (w *watch) event(kind, format string, args ...any) {
	line := fmt.Sprintf("%s %s %s\n", time.Now().UTC().Format(time.RFC3339), kind, fmt.Sprintf(format, args...))
	if _, err := io.WriteString(w.events, line); err != nil {
		w.Log.Warn("the event is not in the event log", "event", line, "error", err)
	}
}

// trouble tells what went wrong unless it was told last time.
func (w *watch) trouble(what string, err error) {
	text := what
	if err != nil {
		text += ": " + err.Error()
	}
	if text != w.failed {
		w.failed = text
		w.event("platform.error", "%s", text)
		w.Log.Error(text)
	}
}

// lookAtRules puts back what somebody changed.
func (w *watch) lookAtRules(ctx context.Context) {
	defer func() { w.looked = time.Now() }()
	err := w.locked(func() error {
		taken, err := w.ledger().Taken()
		if err != nil || !taken {
			return err
		}
		f := w.filter()
		changed, err := f.changed(ctx)
		if err != nil || !changed {
			return err
		}
		policy, err := f.wanted()
		if err != nil {
			return err
		}
		if policy == nil {
			w.event("firewall.changed", "the host's own rules have been changed by somebody else; they are left so")
			return f.remember(ctx)
		}
		if err := f.Enforce(ctx); err != nil {
			return fmt.Errorf("putting the policy back in force: %w", err)
		}
		w.event("agent.tampering", "the rules were changed by somebody else; policy %q has been put back in force", policy.Version)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		w.trouble("looking at the rules", err)
	}
}

// policyStamp tells one file of a policy from the next.
func (w *watch) policyStamp() (string, error) {
	root, err := os.OpenRoot(w.Config.Data)
	if err != nil {
		return "", err
	}
	defer root.Close() // only looked into
	info, err := root.Lstat(PolicyFile)
	if isMissing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprint(info.ModTime().UnixNano(), info.Size()), nil
}

// settled is the stamp of the policy in the data folder if it is the stored one,
// and else something that no stamp is: the manager starts earlier than we do, and
// may have got a policy after the start of the product had looked.
func (w *watch) settled() string {
	stamp, err := w.policyStamp()
	is, rerr := received(w.Config.Data)
	was, serr := stored(w.Sys, w.filter().file(storedPolicy))
	if errors.Join(err, rerr, serr) != nil || (is == nil) != (was == nil) || is != nil && *is != *was {
		return "unknown"
	}
	return stamp
}

// lookForPolicy puts another policy in force.
func (w *watch) lookForPolicy(ctx context.Context) {
	stamp, err := w.policyStamp()
	if err != nil || stamp == w.seen {
		return
	}
	w.seen = stamp
	if err := w.apply(ctx); err != nil {
		if ctx.Err() == nil {
			w.trouble("the policy is not put in force, the one before it stays", err)
		}
		return
	}
	policy, err := w.filter().wanted()
	switch {
	case err != nil:
		w.trouble("reading the policy", err)
	case policy == nil:
		w.event("policy.applied", "the host's own rules are in force")
	default:
		w.event("policy.applied", "policy %q is in force", policy.Version)
	}
}

// lookAtTable doubles the table of connections when it is four fifths full, at
// most three times, where the administrator wants that.
func (w *watch) lookAtTable(ctx context.Context) {
	settings, err := readSettings(w.Sys, w.Config.Settings, w.account(ctx))
	if err != nil || !settings.AutoResize || w.doublings >= maxDoublings {
		return
	}
	count, err1 := w.setting(conntrackCount)
	most, err2 := w.setting(conntrackMax)
	if errors.Join(err1, err2) != nil || count < most/5*4 {
		return
	}
	err = w.locked(func() error {
		return w.ledger().Do(ctx, []hooks.Step{{Kind: hooks.Sysctl, Name: conntrackMax, Text: strconv.Itoa(2 * most)}})
	})
	if err != nil {
		w.trouble("enlarging the table of connections", err)
		return
	}
	w.doublings++
	w.event("conntrack.resized", "%d of %d connections: the table holds %d now", count, most, 2*most)
}

// setting reads a kernel's setting that is a number.
func (w *watch) setting(name string) (int, error) {
	b, err := w.Sys.ReadFile(hooks.SysctlPath(name))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// agentState is how the product stands to its server: paired when it has an id.
func (p Product) agentState() (state, version string) {
	if _, err := p.Sys.Stat(path.Join(p.Config.Data, "etc/agent_id.cfg")); err != nil {
		return AgentUnpaired, ""
	}
	f := p.filter()
	if f.suspended() {
		return AgentSuspended, ""
	}
	policy, err := stored(p.Sys, f.file(storedPolicy))
	switch {
	case err != nil || policy == nil || !policy.rules():
		return AgentIdle, ""
	case policy.Mode == "visibility_only":
		return AgentIlluminated, policy.Version
	}
	return AgentEnforced, policy.Version
}
