package library

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The status of a workload.
const (
	StatusActive      = "active"
	StatusOff         = "off"         // its agent said goodbye
	StatusSuspended   = "suspended"   // by its administrator
	StatusUninstalled = "uninstalled" // deactivated: its token is worth nothing
)

// A Workload is a machine that was paired. ID is the agent's in docs/protocol.md.
type Workload struct {
	ID      int64  `json:"-"`
	UUID    string `json:"-"`
	Key     int64  `json:"-"` // 0 if the key has gone
	Request string `json:"-"` // of the activation; empty means that it cannot be repeated
	Status  string `json:"-"`

	Profile  int64    `json:"profile"`
	Hostname string   `json:"hostname"`
	OS       string   `json:"os_id"` // as the machine says: "debian-x86_64-13"
	Version  string   `json:"version"`
	Formats  []string `json:"formats,omitempty"` // of rule sets, the preferred one first
	Mode     string   `json:"enforcement_mode"`
	Labels   Labels   `json:"labels,omitzero"`

	State         string `json:"state,omitempty"`          // as the last heartbeat said
	PolicyVersion string `json:"policy_version,omitempty"` // that is in force
	PolicyError   string `json:"policy_error,omitempty"`   // why another one is not

	Paired    time.Time `json:"paired_at,omitzero"`
	Heartbeat time.Time `json:"last_heartbeat_at,omitzero"`
	Goodbye   time.Time `json:"last_goodbye_at,omitzero"`
}

// Heard is when its agent last said anything.
func (w *Workload) Heard() time.Time {
	if w.Heartbeat.Before(w.Paired) {
		return w.Paired
	}
	return w.Heartbeat
}

// Condition is the status of a workload, or of an active one "lost" if it was last heard
// of before the time silent, or else "degraded" if it says so.
func (w *Workload) Condition(silent time.Time) string {
	return condition(w.Status, w.State, w.Heard().Before(silent))
}

func condition(status, state string, silent bool) string {
	switch {
	case status != StatusActive:
		return status
	case silent:
		return "lost"
	case state == stateDegraded:
		return state
	}
	return status
}

// A WorkloadCount tells how many workloads have the same status and state, and were
// last heard of on the same side of a time.
type WorkloadCount struct {
	Status, State string
	Silent        bool // last heard of before it
	N             int64
}

// Condition is that of these workloads.
func (c WorkloadCount) Condition() string { return condition(c.Status, c.State, c.Silent) }

// An Activation is what a machine asks for with an activation code.
type Activation struct {
	Code     string
	Profile  int64 // that the caller believes the code to be of; 0 means that it does not say
	Request  string
	Hostname string
	OS       string
	Version  string
	Formats  []string
	Mode     string // a wish; empty means none
	Labels   Labels // wishes
}

// Validate reports everything that is wrong, as an ErrInvalid. It does not look at
// the code: that one is valid or not.
func (a Activation) Validate() error {
	var v invalid
	if strings.TrimSpace(a.Hostname) == "" || !isText(a.Hostname, 255) {
		v.add("hostname is not one line of 1 to 255 bytes")
	}
	if a.Request != "" && !isWord(a.Request, 64) {
		v.add("request_id is not one word of at most 64 bytes")
	}
	if !isWord(a.OS, 128) {
		v.add("os_id is not one word of at most 128 bytes")
	}
	if !isWord(a.Version, 128) {
		v.add("version is not one word of at most 128 bytes")
	}
	if a.Mode != "" && !slices.Contains(modes, a.Mode) {
		v.add("enforcement_mode %.40q is none of %s", a.Mode, strings.Join(modes, ", "))
	}
	if len(a.Formats) > 8 || slices.ContainsFunc(a.Formats, func(s string) bool { return !isWord(s, 32) }) {
		v.add("formats are not at most 8 words of at most 32 bytes")
	}
	a.Labels.check(&v)
	return v.err("activation")
}

// Activate pairs a machine and uses the code once. The same code with the same
// Request uses up nothing: the answer is the same workload, and token. Whatever is
// wrong with the code, the error is ErrCode.
func (l *Library) Activate(ctx context.Context, a Activation) (w Workload, token string, err error) {
	if err := a.Validate(); err != nil {
		return Workload{}, "", err
	}
	uuid, err := l.newUUID()
	if err != nil {
		return Workload{}, "", err
	}
	hash := l.hash("code", a.Code)
	var reason Reason
	err = l.Store.Update(ctx, func(tx Tx) error {
		var e Event
		w, reason, err = l.activate(tx, a, hash, uuid)
		switch {
		case err != nil:
			return err
		case reason != "":
			e = l.event(EventActivate, a.Hostname)
			e.Reason = reason
			return l.addRefused(tx, e)
		case w.UUID != uuid:
			return nil // a repetition is no event
		default:
			e = l.event(EventActivate, strconv.FormatInt(w.ID, 10))
			e.Detail = fmt.Sprintf("%s, profile %d, key %d", w.Hostname, w.Profile, w.Key)
		}
		return tx.AddEvent(e)
	})
	switch {
	case err != nil:
		return Workload{}, "", fmt.Errorf("activating %s: %w", a.Hostname, err)
	case reason != "":
		return Workload{}, "", ErrCode
	}
	return w, l.token(w), nil
}

// activate says why not, or gives the workload.
func (l *Library) activate(tx Tx, a Activation, hash []byte, uuid string) (Workload, Reason, error) {
	k, err := tx.KeyByHash(hash)
	if errors.Is(err, ErrNotFound) {
		return Workload{}, ReasonUnknown, nil
	}
	if err != nil {
		return Workload{}, "", err
	}
	p, err := tx.Profile(k.Profile)
	switch {
	case err != nil:
		return Workload{}, "", err
	case a.Profile != 0 && a.Profile != p.ID:
		return Workload{}, ReasonWrongProfile, nil
	case !k.Revoked.IsZero():
		return Workload{}, ReasonRevoked, nil
	}
	if a.Request != "" {
		w, err := tx.WorkloadByRequest(k.ID, a.Request)
		switch {
		case err == nil && w.Status == StatusUninstalled:
			return Workload{}, ReasonDeactivated, nil
		case err == nil || !errors.Is(err, ErrNotFound):
			return w, "", err
		}
	}
	now := l.now()
	if !p.Enabled {
		return Workload{}, ReasonDisabled, nil
	}
	if r := k.refuses(now); r != "" {
		return Workload{}, r, nil
	}
	w := Workload{
		UUID: uuid, Key: k.ID, Request: a.Request, Status: StatusActive, Profile: p.ID,
		Hostname: a.Hostname, OS: a.OS, Version: a.Version, Formats: a.Formats, Paired: now,
	}
	w.Mode, w.Labels = p.settle(a.Mode, a.Labels)
	k.Used++
	p.UseCount++
	p.LastPair = now
	return w, "", errors.Join(tx.SaveKey(&k), tx.SaveProfile(&p), tx.SaveWorkload(&w))
}

// newUUID gives a random one, of version 4 (RFC 9562).
func (l *Library) newUUID() (string, error) {
	s, err := l.random(16)
	if err != nil {
		return "", err
	}
	variant := "89ab"[strings.IndexByte("0123456789abcdef", s[16])&3]
	return fmt.Sprintf("%s-%s-4%s-%c%s-%s", s[:8], s[8:12], s[13:16], variant, s[17:20], s[20:]), nil
}

// token is the workload's. It is made from the secret, so that the Store has none to
// lose, and a repeated activation is answered with the same.
func (l *Library) token(w Workload) string {
	return base64.RawURLEncoding.EncodeToString(l.hash("token", w.UUID))
}

// workload gives the one whose token it is. ErrNotFound means that there is none of
// that id any more, ErrToken that the token is another's.
func (l *Library) workload(tx Tx, id int64, token string) (Workload, error) {
	w, err := tx.Workload(id)
	if err == nil && w.Status == StatusUninstalled {
		err = ErrNotFound
	}
	if err == nil && subtle.ConstantTimeCompare([]byte(token), []byte(l.token(w))) != 1 {
		err = ErrToken
	}
	if err != nil {
		return Workload{}, fmt.Errorf("workload %d: %w", id, err)
	}
	return w, nil
}

// The states that a heartbeat reports; see docs/protocol.md.
var states = []string{"idle", "active", stateDegraded, stateSuspended}

const (
	stateDegraded  = "degraded"
	stateSuspended = "suspended"
)

// A Beat is what a heartbeat says.
type Beat struct {
	Version       string
	State         string
	PolicyVersion string // in force; empty means none
	PolicyError   string // why another one is not
}

// Validate reports everything that is wrong, as an ErrInvalid.
func (b Beat) Validate() error {
	var v invalid
	if !isWord(b.Version, 128) {
		v.add("version is not one word of at most 128 bytes")
	}
	if !slices.Contains(states, b.State) {
		v.add("state %.40q is none of %s", b.State, strings.Join(states, ", "))
	}
	if b.PolicyVersion != "" && !isWord(b.PolicyVersion, 64) {
		v.add("policy_version is not one word of at most 64 bytes")
	}
	if len(b.PolicyError) > 4096 {
		v.add("policy_error is longer than 4096 bytes")
	}
	return v.err("heartbeat")
}

// Heartbeat writes down how a workload is doing, and gives the version of the policy
// that is to be in force; empty means none.
func (l *Library) Heartbeat(ctx context.Context, id int64, token string, b Beat) (version string, err error) {
	if err := b.Validate(); err != nil {
		return "", err
	}
	err = l.Store.Update(ctx, func(tx Tx) error {
		w, err := l.workload(tx, id, token)
		if err != nil {
			return err
		}
		p, err := policyOf(tx, w)
		if err != nil {
			return err
		}
		version = p.Version
		w.Status, w.Heartbeat, w.Version, w.State = StatusActive, l.now(), b.Version, b.State
		if b.State == stateSuspended {
			w.Status = StatusSuspended
		}
		w.PolicyVersion, w.PolicyError = b.PolicyVersion, strings.ToValidUTF8(b.PolicyError, "?")
		return tx.SaveWorkload(&w)
	})
	return version, err
}

// Goodbye writes down that a workload's agent was stopped. Its rules stay in force.
func (l *Library) Goodbye(ctx context.Context, id int64, token string) error {
	return l.leave(ctx, id, token, StatusOff, EventGoodbye)
}

// Deactivate writes down that a workload is none any more; its token is worth
// nothing from then on.
func (l *Library) Deactivate(ctx context.Context, id int64, token string) error {
	return l.leave(ctx, id, token, StatusUninstalled, EventDeactivate)
}

func (l *Library) leave(ctx context.Context, id int64, token, status, kind string) error {
	return l.Store.Update(ctx, func(tx Tx) error {
		w, err := l.workload(tx, id, token)
		if err != nil {
			return err
		}
		w.Status, w.Goodbye = status, l.now()
		e := l.event(kind, strconv.FormatInt(id, 10))
		e.Detail = w.Hostname
		return errors.Join(tx.SaveWorkload(&w), tx.AddEvent(e))
	})
}

// Unpair makes the token of a workload worth nothing, for a machine that is lost: the
// server cannot tell it, and what is in force there stays.
func (l *Library) Unpair(ctx context.Context, id int64) error {
	return l.Store.Update(ctx, func(tx Tx) error {
		w, err := tx.Workload(id)
		if err == nil && w.Status == StatusUninstalled {
			err = ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("workload %d: %w", id, err)
		}
		w.Status = StatusUninstalled
		e := l.event(EventUnpair, strconv.FormatInt(id, 10))
		e.Detail = w.Hostname
		return errors.Join(tx.SaveWorkload(&w), tx.AddEvent(e))
	})
}

// Workload gives one, also one that was deactivated.
func (l *Library) Workload(ctx context.Context, id int64) (w Workload, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		if w, err = tx.Workload(id); err != nil {
			return fmt.Errorf("workload %d: %w", id, err)
		}
		return nil
	})
	return w, err
}

// CountWorkloads counts all, also those that were deactivated.
func (l *Library) CountWorkloads(ctx context.Context, silent time.Time) (n []WorkloadCount, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		n, err = tx.CountWorkloads(silent)
		return err
	})
	return n, err
}

// Workloads gives at most limit of them, by id, from the one after that id on.
func (l *Library) Workloads(ctx context.Context, after int64, limit int) (ws []Workload, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		ws, err = tx.Workloads(after, limit)
		return err
	})
	return ws, err
}

// RecentWorkloads gives the newest limit of them before the one with that id; before 0
// means the newest of all.
func (l *Library) RecentWorkloads(ctx context.Context, before int64, limit int) (ws []Workload, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		ws, err = tx.RecentWorkloads(before, limit)
		return err
	})
	return ws, err
}
