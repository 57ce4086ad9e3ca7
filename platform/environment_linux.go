package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vpkg/vpkg/hooks"
)

// nonblock keeps a pipe that somebody put in a file's place from hanging us.
const nonblock = syscall.O_NONBLOCK

const (
	ledgerFile = "platform.json"
	lockFile   = "platform.lock"
	bootedFile = "booted" // below the Runtime: the filter was set up since the kernel started
)

func (p Product) state(name string) string { return path.Join(p.Config.State(), name) }

func (p Product) filter() filter { return newFilter(p.Sys, p.Config.State(), p.Log) }

func (p Product) ledger() hooks.Ledger {
	return hooks.Ledger{Sys: p.Sys, Log: p.Log, Path: p.state(ledgerFile), Filter: p.filter()}
}

// locked does something that nobody else may do at the same time. Whatever it
// starts must not need the lock.
func (p Product) locked(do func() error) error {
	unlock, err := p.Sys.Lock(p.state(lockFile))
	if err != nil {
		return fmt.Errorf("locking: %w", err)
	}
	defer unlock()
	return do()
}

// environment sets up what every component needs: folders, kernel modules and
// settings, and the packet filter. Each start does it again, and what is so
// already stays as it is.
func (p Product) environment(ctx context.Context) error {
	err := p.locked(func() error { return p.setUp(ctx) })
	p.result("Environment", "Setting up "+p.Config.Name+" Environment", err)
	return err
}

func (p Product) setUp(ctx context.Context) error {
	if err := os.MkdirAll(string(p.runtime()), 0o755); err != nil {
		return err
	}
	was, err := hooks.ReadInstalled(p.Sys, p.Config.Name)
	if err != nil {
		return fmt.Errorf("reading the installed state: %w", err)
	}
	if err := hooks.Repair(ctx, p.Config, was.User, p.Sys, p.Log); err != nil {
		return err
	}
	states, err := p.loadModules(ctx, newModules(p.Sys, false))
	if err != nil {
		return err
	}
	settings, err := readSettings(p.Sys, p.Config.Settings, p.account(ctx))
	if err != nil {
		p.Log.Warn(err.Error())
	}
	text := modulesLoad(states)
	if p.Config.Firewall == nil {
		return p.ledger().Do(ctx, p.plan(text, settings, false))
	}
	bad := p.receive(ctx)
	if bad != nil {
		p.Log.Warn("the policy is not put in force: the one before it stays", "because", bad)
	}
	take, err := p.takes()
	if err == nil {
		err = p.do(ctx, p.plan(text, settings, take))
	}
	return errors.Join(err, p.tell(errors.Join(bad, err)))
}

// do makes steps so that may take the filter over, and checks that the rules have
// come through it.
func (p Product) do(ctx context.Context, steps []hooks.Step) error {
	l := p.ledger()
	if !slices.ContainsFunc(steps, func(s hooks.Step) bool { return s.Kind == hooks.Rules }) {
		return l.Do(ctx, steps)
	}
	hold, err := p.filter().holds(ctx)
	if err != nil {
		return err
	}
	if hold {
		p.Log.Info("goes on, for its rules would go with it", "service", rulesOwner)
		steps = slices.DeleteFunc(slices.Clone(steps), isRulesOwner)
		if _, err := l.GiveBack(ctx, func(s hooks.Step) (hooks.Step, bool) { return s, !isRulesOwner(s) }); err != nil {
			return err
		}
	}
	before, err := l.Taken()
	if err != nil {
		return err
	}
	if !before {
		p.noteServices(ctx)
	}
	if err := l.Do(ctx, steps); err != nil {
		return err
	}
	if after, err := l.Taken(); err != nil || before || !after {
		return err
	}
	return p.filter().intact(ctx)
}

// rulesOwner is the service whose rules go with its process: firewalld from 2.1 on
// makes its table so (NftablesTableOwner in firewalld.conf(5)). They cannot be kept
// in force without it, so it is stopped only when a policy of ours is.
const rulesOwner = "firewalld.service"

func isRulesOwner(s hooks.Step) bool { return s.Kind == hooks.Service && s.Name == rulesOwner }

// noteServices logs how the services of the host's firewall stood.
func (p Product) noteServices(ctx context.Context) {
	for _, s := range p.Config.Firewall.Services {
		if state := hooks.ServiceState(ctx, p.Sys, s+".service"); state != "" {
			p.Log.Info("before the packet filter is taken over", "service", s, "is", state)
		}
	}
}

// plan lists what a start makes so. It looks at nothing but its arguments.
//
// The product's own rules come before the services of the host are stopped, so
// that at no moment fewer rules are in force.
func (p Product) plan(modules string, settings Settings, take bool) []hooks.Step {
	c := p.Config
	var steps []hooks.Step
	if modules != "" {
		steps = append(steps, hooks.Step{Kind: hooks.File, Path: "/etc/modules-load.d/" + c.Name + ".conf", Mode: 0o644, Text: modules})
	}
	for _, s := range c.Sysctls {
		steps = append(steps, hooks.Step{Kind: hooks.Sysctl, Name: s.Name, Text: s.Value})
	}
	steps = append(steps, settings.steps()...)
	if take {
		steps = append(steps, p.takeover()...)
	}
	return steps
}

// takeover are the steps that make the packet filter the product's.
func (p Product) takeover() []hooks.Step {
	steps := []hooks.Step{{Kind: hooks.Rules, Name: p.Config.Name}}
	if !(hooks.Host{}).Surroundings().Booted {
		return steps // without systemd there is no service to stop
	}
	for _, s := range p.Config.Firewall.Services {
		steps = append(steps, hooks.Step{Kind: hooks.Service, Name: s + ".service", Absent: true})
	}
	return steps
}

// takes reports whether the filter is to be taken over now: at the start, or when
// there is a policy.
func (p Product) takes() (bool, error) {
	if !p.Config.Firewall.OnActivation {
		return true, nil
	}
	policy, err := p.filter().wanted()
	if err != nil || policy != nil {
		return policy != nil, err
	}
	return p.ledger().Taken()
}

// loadModules loads the kernel's modules, and warns of what is not there.
func (p Product) loadModules(ctx context.Context, m modules) ([]ModuleState, error) {
	var states []ModuleState
	var errs []error
	for _, want := range p.Config.Modules {
		s := m.ensure(ctx, want)
		states = append(states, s)
		if w := s.warning(); w != "" {
			p.Log.Warn(w)
			if want.Required && s.Serves == "" {
				errs = append(errs, errors.New(w))
			}
		}
	}
	return states, errors.Join(errs...)
}

// account is the number of the product's account; -1 if there is none.
func (p Product) account(ctx context.Context) int {
	out, err := p.Sys.Run(ctx, "getent", "passwd", p.Config.Account.User)
	fields := strings.Split(out, ":")
	if err != nil || len(fields) < 3 {
		return -1
	}
	uid, err := strconv.Atoi(fields[2])
	if err != nil {
		return -1
	}
	return uid
}

// boot puts the last good policy in force, or the host's own rules, before any
// interface comes up. After that, whatever is changed is changed on purpose: once
// is enough.
func (p Product) boot(ctx context.Context) error {
	return p.locked(func() error {
		done := path.Join(string(p.runtime()), bootedFile)
		if _, err := p.Sys.Stat(done); err == nil {
			return nil
		}
		kept, err := p.ledger().Kept()
		if err != nil || !slices.ContainsFunc(kept, func(s hooks.Step) bool { return s.Kind == hooks.Rules }) {
			return err
		}
		alone := slices.ContainsFunc(kept, func(s hooks.Step) bool {
			return s.Kind == hooks.Service && strings.Contains(s.Text, "enabled")
		})
		if err := p.filter().boot(ctx, alone); err != nil {
			return err
		}
		return p.Sys.WriteFile(done, nil, 0o644)
	})
}

// boot puts in force on a host whose filter is empty what a takeover ends with: the
// host's own rules, and then a policy in place of those that filter. If alone,
// there is no service that loads the others.
func (f filter) boot(ctx context.Context, alone bool) error {
	set, err := f.own()
	if err == nil {
		err = f.Load(ctx, set)
		if alone {
			if oerr := f.LoadOthers(ctx, set); oerr != nil {
				f.Log.Warn("what the host's stopped service loads besides filter rules is not whole", "error", oerr)
			}
		}
	}
	p, perr := f.wanted()
	if perr == nil && p != nil {
		perr = f.Firewall.Enforce(ctx, p.firewall())
	}
	switch {
	case perr != nil:
		f.Log.Warn("the policy cannot be put in force: the host's own rules are", "error", perr)
	case p != nil && err != nil:
		f.Log.Warn("the policy is in force, and of the host's own rules not all was put beside it", "error", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return f.remember(ctx)
}

// apply puts in force what the manager got from the server. Where that fails, the
// policy before it stays in force.
func (p Product) apply(ctx context.Context) error {
	if p.Config.Firewall == nil {
		return nil
	}
	return p.locked(func() error {
		before, err := stored(p.Sys, p.filter().file(storedPolicy))
		if err != nil {
			p.Log.Warn("the policy before cannot be read", "error", err)
		}
		err = p.receive(ctx)
		if err == nil {
			if err = p.enforce(ctx); err != nil {
				err = errors.Join(err, p.store(ctx, before), p.enforce(ctx))
			}
		}
		return errors.Join(err, p.tell(err))
	})
}

// enforce puts the stored policy in force, after taking the filter over where
// that has not been done. Where it is taken over only for a policy, it is given
// back without one.
func (p Product) enforce(ctx context.Context) error {
	take, err := p.takes()
	if err != nil || !take {
		return err
	}
	if p.Config.Firewall.OnActivation {
		policy, err := p.filter().wanted()
		if err != nil {
			return err
		}
		if policy == nil {
			return p.giveFilterBack(ctx)
		}
	}
	return p.do(ctx, p.takeover())
}

// giveFilterBack gives back the filter and its services, and nothing else.
func (p Product) giveFilterBack(ctx context.Context) error {
	left, err := p.ledger().GiveBack(ctx, func(s hooks.Step) (hooks.Step, bool) {
		return s, s.Kind != hooks.Rules && s.Kind != hooks.Service
	})
	return errors.Join(err, p.recover(left))
}

// receive checks the policy in the data folder and stores it. A bad one changes
// nothing.
func (p Product) receive(ctx context.Context) error {
	policy, err := received(p.Config.Data)
	if err != nil {
		return err
	}
	return p.store(ctx, policy)
}

// tell writes for the manager what is in force, and why the policy in the data
// folder is not.
func (p Product) tell(bad error) error {
	f := p.filter()
	status := PolicyStatus{At: time.Now().UTC(), Suspended: f.suspended()}
	policy, err := stored(p.Sys, f.file(storedPolicy))
	if bad = errors.Join(bad, err); bad != nil {
		status.Error = bad.Error()
	}
	if policy != nil && !status.Suspended {
		status.Version, status.InForce = policy.Version, true
	}
	file := path.Join(string(p.runtime()), policyStatusFile)
	if err := writeJSON(p.Sys, file, status); err != nil {
		return err
	}
	return p.Sys.SetAttr(file, hooks.Attr{Mode: 0o644}) // the manager is not root
}

func (p Product) store(ctx context.Context, policy *Policy) error {
	f := p.filter()
	file := f.file(storedPolicy)
	if policy == nil {
		return removeFile(p.Sys, file)
	}
	if policy.rules() {
		if err := f.Check(ctx, policy.firewall()); err != nil {
			return err
		}
	}
	return writeJSON(p.Sys, file, policy)
}

// suspend takes the product's rules out of force, until unsuspend, also over a
// reboot. The host's own are in force then, as before the product came.
func (p Product) suspend(ctx context.Context) error {
	err := p.locked(func() error {
		if err := p.Sys.WriteFile(p.filter().file(suspendedFile), nil, 0o600); err != nil {
			return err
		}
		return errors.Join(p.reenforce(ctx), p.tell(nil))
	})
	if err == nil {
		p.print("The VEN has been suspended\n")
	}
	return err
}

func (p Product) unsuspend(ctx context.Context) error {
	err := p.locked(func() error {
		if err := removeFile(p.Sys, p.filter().file(suspendedFile)); err != nil {
			return err
		}
		return errors.Join(p.reenforce(ctx), p.tell(nil))
	})
	if err == nil {
		p.print("The VEN has been unsuspended\n")
	}
	return err
}

// reenforce is enforce where the filter has been taken over.
func (p Product) reenforce(ctx context.Context) error {
	taken, err := p.ledger().Taken()
	if err != nil || !taken {
		return err
	}
	return p.do(ctx, p.takeover())
}

// restore gives the host back, before the package is removed. Nothing of the
// product runs any more.
func (p Product) restore(ctx context.Context) error { return p.giveBack(ctx, unpairSaved) }

// giveBack gives back the packet filter as asked for, and all else as it was.
func (p Product) giveBack(ctx context.Context, how string) error {
	return p.locked(func() error {
		left, err := p.ledger().GiveBack(ctx, func(s hooks.Step) (hooks.Step, bool) {
			switch {
			case how == unpairSaved:
			case s.Kind == hooks.Rules:
				s.Text = how
			case s.Kind == hooks.Service && how == unpairOpen:
				return hooks.Step{}, false
			case s.Kind == hooks.Service: // in force from the next boot on
				s.Text = strings.TrimSpace(strings.ReplaceAll(s.Text, "active", ""))
			}
			return s, false
		})
		for _, what := range left {
			p.print("left as it is: %s\n", what)
		}
		// What is true until the next boot no longer is.
		err = errors.Join(err, p.recover(left), os.RemoveAll(string(p.runtime())))
		if taken, terr := p.ledger().Taken(); terr == nil && taken {
			err = errors.Join(err, errors.New("the packet filter could not be given back: call this again when the cause is gone"))
		}
		return err
	})
}

// recover notes what could not be given back where the events of the package do
// too, for a person.
func (p Product) recover(left []string) error {
	if len(left) == 0 {
		return nil
	}
	file := p.state("recovery.txt")
	b, err := p.Sys.ReadFile(file)
	if err != nil && !isMissing(err) {
		return err
	}
	for _, what := range left {
		b = fmt.Appendf(b, "giving the host back: %s\n", what)
	}
	return p.Sys.WriteFile(file, b, 0o600)
}

// monitor is the component that keeps the policy in force, in the foreground.
func (p Product) monitor(context.Context) error {
	argv := []string{p.Config.Agent(), "component", MonitorComponent}
	return fmt.Errorf("%s: %w", argv[0], syscall.Exec(argv[0], argv, os.Environ()))
}
