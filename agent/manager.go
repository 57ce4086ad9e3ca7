package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

// goodbyeTimeout is how long a manager that was told to stop still talks by default.
const goodbyeTimeout = 3 * time.Second

// A Manager is the work of venAgentMgr: it activates the agent where that has not
// been done yet, tells the server how the agent is doing, and takes the policies
// that the server has. All it knows is in files, which others may change at any
// time: that it is told nothing when somebody activates or deactivates is what
// makes it right after a crash too.
type Manager struct {
	Activator Activator
	// State is the file in which the process that loads policies says how that
	// went, a PolicyState.
	State string
	Log   *slog.Logger
	// Status is given a line for people whenever there is news. It may be nil.
	Status func(string)

	// Goodbye is how long a manager that was told to stop still talks; 0 means 3 s.
	Goodbye time.Duration

	Poll       time.Duration // how often the files are looked at; 0 means 2 s
	MinBackoff time.Duration // after the first failure; 0 means 5 s
	MaxBackoff time.Duration // after many of them; 0 means 5 min

	identity Identity     // of the last heartbeat
	tried    [2]time.Time // change times of the code and the configuration that were tried last
	due      time.Time    // of the next attempt or heartbeat
	wait     backoff
	failed   error // why the policy that the server has is not the one on disk
	status   string
}

// A PolicyState is how loading the policy went.
type PolicyState struct {
	Version   string `json:"version"`   // of the policy in force
	InForce   bool   `json:"in_force"`  // also if it has no rules
	Suspended bool   `json:"suspended"` // and that is so because somebody wants it so
	Error     string `json:"error"`     // why the policy on disk is not in force
}

// Run works until ctx ends, and says goodbye then.
func (m *Manager) Run(ctx context.Context) error {
	m.wait = backoff{first: orDuration(m.MinBackoff, 5*time.Second), most: orDuration(m.MaxBackoff, 5*time.Minute)}
	for {
		m.step(ctx)
		select {
		case <-ctx.Done():
			m.goodbye(context.WithoutCancel(ctx))
			return nil
		case <-time.After(m.pause()):
		}
	}
}

// pause is the time until the next look at the files.
func (m *Manager) pause() time.Duration {
	poll := orDuration(m.Poll, 2*time.Second)
	if due := time.Until(m.due); due > 0 {
		return min(due, poll)
	}
	return poll
}

func orDuration(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}

// step does what is due.
func (m *Manager) step(ctx context.Context) {
	id, err := m.Activator.Store.Identity()
	switch {
	case errors.Is(err, ErrNotActivated):
		m.activate(ctx)
	case err != nil:
		m.trouble("identity not read", err)
	default:
		if id != m.identity { // somebody activated
			m.identity, m.due, m.wait.last, m.failed = id, time.Time{}, 0, nil
		}
		if !time.Now().Before(m.due) {
			m.heartbeat(ctx)
		}
	}
}

// trouble logs an error that will come again at the next look, if nobody mends
// it, once for every backoff.
func (m *Manager) trouble(what string, err error) {
	if time.Now().Before(m.due) {
		return
	}
	m.due = time.Now().Add(m.wait.next())
	m.Log.Error(what, "error", err)
	m.report(what + ": " + err.Error())
}

// jitter shortens d by up to a tenth, so that agents that were started together
// do not stay together.
func jitter(d time.Duration) time.Duration {
	return d - rand.N(d/10+1) //nolint:gosec // nobody gains by guessing it
}

// report says how things are, on one line.
func (m *Manager) report(status string) {
	status = strings.ReplaceAll(status, "\n", "; ")
	if m.Status != nil && status != m.status {
		m.status = status
		m.Status(status)
	}
}

func (m *Manager) activate(ctx context.Context) {
	if m.identity != (Identity{}) { // somebody deactivated
		m.identity, m.due, m.wait.last = Identity{}, time.Time{}, 0
		m.Log.Info("deactivated")
	}
	changed := [2]time.Time{m.Activator.Store.changed(CodeFile), m.Activator.Store.changed(ConfigFile)}
	if changed[0].IsZero() {
		m.report("not activated")
		return
	}
	if changed != m.tried { // another code, or another server
		m.tried, m.due, m.wait.last = changed, time.Time{}, 0
	}
	if time.Now().Before(m.due) {
		return
	}
	config, unknown, err := m.Activator.Store.Config()
	for _, line := range unknown {
		m.Log.Warn("activation configuration", "warning", line)
	}
	if err == nil {
		m.warnInsecure(config)
		err = m.Activator.Try(ctx)
	}
	if err == nil {
		m.Log.Info("activated", "server", config.Server)
		m.report("activated by " + config.Server)
		return
	}
	if ctx.Err() != nil {
		return
	}
	if e, ok := errors.AsType[*ServerError](err); ok && !e.Retry {
		m.wait.last = m.wait.most // a person has to do something first
	}
	wait := m.wait.next()
	m.due = time.Now().Add(wait)
	if errors.Is(err, ErrCode) {
		m.Log.Error("activation failed; the code is erased", "error", err)
	} else {
		m.Log.Error("activation failed", "error", err, "again_in", wait.Round(time.Second))
	}
	m.report("activation failed: " + err.Error())
}

func (m *Manager) warnInsecure(c ActivationConfig) {
	if c.Insecure {
		m.Log.Warn("INSECURE: the server's certificate is not checked", "server", c.Server)
	}
}

// heartbeat reports, and takes the policy if the server has another one.
func (m *Manager) heartbeat(ctx context.Context) {
	config, _, err := m.Activator.Store.Config()
	if err != nil {
		m.trouble("activation configuration not read", err)
		return
	}
	client, err := NewClient(config, m.Activator.Version)
	if err != nil {
		m.trouble("server not reached", err)
		return
	}
	defer client.Close()
	m.warnInsecure(config)

	onDisk, err := m.Activator.Store.Policy()
	if err != nil {
		m.Log.Error("policy not read", "error", err) // the next one replaces it
	}
	answer, err := client.Heartbeat(ctx, m.identity, m.condition(onDisk))
	if err != nil {
		if ctx.Err() == nil {
			m.trouble("heartbeat failed", err)
		}
		return
	}
	if m.wait.last > 0 {
		m.Log.Info("heartbeat again", "server", config.Server)
	}
	m.wait.last = 0
	interval := answer.HeartbeatSeconds
	if interval == 0 {
		interval = DefaultHeartbeat
	}
	next := time.Duration(min(max(interval, MinHeartbeat), MaxHeartbeat)) * time.Second
	m.report("activated by " + config.Server)

	m.failed = nil
	if answer.PolicyVersion != "" && answer.PolicyVersion != onDisk.Version {
		m.failed = m.take(ctx, client)
		if m.failed != nil && ctx.Err() == nil {
			m.Log.Error("policy not taken", "version", clip(answer.PolicyVersion), "error", m.failed)
		}
		next = min(next, 10*time.Second) // then the server learns how loading it went
	}
	m.due = time.Now().Add(jitter(next))
}

// take gets the policy and writes it, unless the agent was deactivated meanwhile.
func (m *Manager) take(ctx context.Context, client *Client) error {
	policy, err := client.Policy(ctx, m.identity)
	if err != nil {
		return err
	}
	unlock, err := m.Activator.Store.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if id, err := m.Activator.Store.Identity(); err != nil || id != m.identity {
		return errors.Join(errors.New("the agent was deactivated meanwhile"), err)
	}
	if err := m.Activator.Store.WritePolicy(policy); err != nil {
		return err
	}
	m.Log.Info("policy taken", "version", policy.Version, "enforcement_mode", policy.Mode, "format", policy.Format)
	return nil
}

// condition is what a heartbeat reports.
func (m *Manager) condition(onDisk Policy) HeartbeatRequest {
	r := HeartbeatRequest{Version: m.Activator.Version, State: StateIdle}
	loaded, err := m.policyState()
	if loaded.InForce {
		r.PolicyVersion = loaded.Version
	}
	switch {
	case err != nil:
		r.State, r.PolicyError = StateDegraded, err.Error()
	case loaded.Error != "":
		r.State, r.PolicyError = StateDegraded, loaded.Error
	case m.failed != nil:
		r.State, r.PolicyError = StateDegraded, m.failed.Error()
	case loaded.Suspended:
		r.State = StateSuspended
	case onDisk.Format == "":
	case loaded.InForce && loaded.Version == onDisk.Version:
		r.State = StateActive
	default:
		r.State = StateDegraded // it is being loaded
	}
	r.PolicyError = clip(r.PolicyError)
	return r
}

// policyState reads State. It is the zero value before anything was loaded.
func (m *Manager) policyState() (PolicyState, error) {
	f, err := os.Open(m.State)
	if errors.Is(err, fs.ErrNotExist) {
		return PolicyState{}, nil
	}
	if err != nil {
		return PolicyState{}, err
	}
	defer f.Close() // only read
	var s PolicyState
	if err := json.NewDecoder(io.LimitReader(f, maxSmallFile)).Decode(&s); err != nil {
		return PolicyState{}, fmt.Errorf("%s: %w", m.State, err)
	}
	return s, nil
}

// goodbye tells the server that the agent stops.
func (m *Manager) goodbye(ctx context.Context) {
	id, err := m.Activator.Store.Identity()
	if err != nil {
		return // there is nobody to tell
	}
	ctx, cancel := context.WithTimeout(ctx, orDuration(m.Goodbye, goodbyeTimeout))
	defer cancel()
	config, _, err := m.Activator.Store.Config()
	if err == nil {
		var client *Client
		if client, err = NewClient(config, m.Activator.Version); err == nil {
			err = client.Goodbye(ctx, id)
			client.Close()
		}
	}
	if err != nil {
		m.Log.Warn("no goodbye said", "error", err)
		return
	}
	m.Log.Info("goodbye said", "server", config.Server)
}
