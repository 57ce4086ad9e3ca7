package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"
)

// A Host is what the server is told of the machine.
type Host struct {
	Name    string   // its host name
	OSID    string   // "debian-x86_64-13"
	Formats []string // of rule sets that it can load, the best first
}

// ErrNoCode is returned where an activation code is needed.
var ErrNoCode = errors.New("there is no activation code")

// lockTimeout is how long a deactivation waits for others. An attempt to activate
// ends earlier.
const lockTimeout = requestTimeout + 10*time.Second

// An Activator makes the host an agent of a server, and ends that.
type Activator struct {
	Store   Store
	Version string // the product's
	Host    Host
}

// Try tries once, with the configuration and the code that are on disk. An agent
// that is activated already stays as it is. A code that was used, or that the
// server refuses, is erased.
func (a Activator) Try(ctx context.Context) (err error) {
	unlock, err := a.Store.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := a.Store.Identity(); !errors.Is(err, ErrNotActivated) {
		if err != nil {
			return err
		}
		return a.Store.EraseCode() // of a run that was killed before it could
	}
	config, _, err := a.Store.Config()
	if err != nil {
		return err
	}
	code, err := a.Store.Code()
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoCode
	}
	if err != nil {
		return err
	}
	id, err := a.Store.RequestID()
	if err != nil {
		return err
	}
	client, err := NewClient(config, a.Version)
	if err != nil {
		return err
	}
	defer client.Close()
	answer, err := client.Activate(ctx, ActivateRequest{
		Code: code, RequestID: id, ProfileID: config.Profile,
		Hostname: a.Host.Name, OSID: a.Host.OSID, Version: a.Version, Formats: a.Host.Formats,
		Mode: config.Mode, Labels: config.Labels,
	})
	if errors.Is(err, ErrCode) {
		return errors.Join(err, a.Store.EraseCode())
	}
	if err != nil {
		return err
	}
	if answer.Policy != nil {
		err = a.Store.WritePolicy(*answer.Policy)
	} else {
		err = a.Store.remove(PolicyFile)
	}
	if err != nil {
		return err
	}
	if err := a.Store.WriteIdentity(answer.Identity()); err != nil {
		return err
	}
	return a.Store.EraseCode()
}

// Activate tries until it goes well, or cannot, or ctx ends. The error is that of
// the last attempt.
func (a Activator) Activate(ctx context.Context) error {
	wait := backoff{first: time.Second, most: 8 * time.Second}
	var last error
	for {
		err := a.Try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && last != nil {
			return last // says more than that there was no time for another attempt
		}
		if e, ok := errors.AsType[*ServerError](err); !ok || !e.Retry {
			return err
		}
		last = err
		select {
		case <-ctx.Done():
			return last
		case <-time.After(wait.next()):
		}
	}
}

// Deactivate tells the server and forgets it. That the server was not told is a
// warning: the host may be deactivated because its server is gone. found reports
// whether there was anything to forget.
func (a Activator) Deactivate(ctx context.Context) (found bool, warning, err error) {
	// Whoever has the lock gives it back, or is not to hinder us.
	wait, cancel := context.WithTimeoutCause(ctx, lockTimeout, fmt.Errorf("not within %v", lockTimeout))
	defer cancel()
	unlock, warning := a.Store.Lock(wait)
	if warning == nil {
		defer unlock()
	}
	if terr := a.tell(ctx); terr != nil {
		warning = errors.Join(warning, fmt.Errorf("the server was not told: %w", terr))
	}
	found, err = a.Store.Forget()
	if err != nil {
		err = fmt.Errorf("deactivating: %w", err)
	}
	return found, warning, err
}

func (a Activator) tell(ctx context.Context) error {
	id, err := a.Store.Identity()
	if errors.Is(err, ErrNotActivated) {
		return nil
	}
	if err != nil {
		return err
	}
	config, _, err := a.Store.Config()
	if err != nil {
		return err
	}
	client, err := NewClient(config, a.Version)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Deactivate(ctx, id); !errors.Is(err, ErrUnknownAgent) {
		return err
	}
	return nil // which is what was wanted
}

// A backoff gives waits that double, each shortened by up to a half at random so
// that the hosts of a site do not come all at once.
type backoff struct {
	first, most time.Duration
	last        time.Duration
}

func (b *backoff) next() time.Duration {
	b.last = min(max(b.first, 2*b.last), b.most)
	return b.last - rand.N(b.last/2+1) //nolint:gosec // nobody gains by guessing it
}
