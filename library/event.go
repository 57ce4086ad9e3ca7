package library

import (
	"context"
	"time"
)

// An Event is one line of the audit log. It never holds a code, a key or a token.
type Event struct {
	ID      int64     `json:"id"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Actor   string    `json:"actor"`   // who did it: a user, an API key, an address, "local"
	Subject string    `json:"subject"` // what it was done to: a file, a profile's or workload's id
	Reason  Reason    `json:"reason,omitempty"`
	Detail  string    `json:"detail,omitempty"` // one line for people
}

// The kinds of events. Where the product documents a name, it is that one.
const (
	EventImport        = "ven_software_release.create"
	EventRemove        = "ven_software_release.delete"
	EventDefault       = "ven_software_releases.set_default_version"
	EventProfileCreate = "pairing_profile.create"
	EventProfileUpdate = "pairing_profile.update"
	EventProfileDelete = "pairing_profile.delete"
	EventKeyCreate     = "pairing_profile.create_pairing_key"
	EventKeyRevoke     = "pairing_profile.delete_pairing_key"
	EventActivate      = "agent.activate"
	EventGoodbye       = "agent.goodbye"
	EventDeactivate    = "agent.deactivate"
	EventUnpair        = "agents.unpair"
	EventPolicy        = "sec_policy.create"
	EventAuthFailed    = "request.authentication_failed"
	EventLogin         = "user.sign_in"
	EventLogout        = "user.sign_out"
	EventPassword      = "user.update_password"
	EventAPIKeyCreate  = "api_key.create"
	EventAPIKeyDelete  = "api_key.delete"
)

// EventKinds are all kinds of events.
func EventKinds() []string {
	return []string{
		EventImport,
		EventRemove,
		EventDefault,
		EventProfileCreate,
		EventProfileUpdate,
		EventProfileDelete,
		EventKeyCreate,
		EventKeyRevoke,
		EventActivate,
		EventGoodbye,
		EventDeactivate,
		EventUnpair,
		EventPolicy,
		EventAuthFailed,
		EventLogin,
		EventLogout,
		EventPassword,
		EventAPIKeyCreate,
		EventAPIKeyDelete,
	}
}

// A Reason says why something was refused; empty means that it was not.
type Reason string

// The reasons for which an activation code is refused. The caller is told ErrCode
// for all of them.
const (
	ReasonUnknown      Reason = "unknown"
	ReasonExpired      Reason = "expired"
	ReasonUsedUp       Reason = "used_up"
	ReasonRevoked      Reason = "revoked"
	ReasonWrongProfile Reason = "wrong_profile"
	ReasonDisabled     Reason = "profile_disabled"
	ReasonDeactivated  Reason = "workload_deactivated" // a repetition for a workload that has gone since
)

// Events gives the newest limit events before the one with that id; before 0 means
// the newest of all.
func (l *Library) Events(ctx context.Context, before int64, limit int) (es []Event, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		es, err = tx.Events(before, limit)
		return err
	})
	return es, err
}
