package library

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"
)

// codeBytes is half the digits of an activation code.
const codeBytes = 40

// A Key is what a machine is paired with. Its activation code is not kept, only the
// keyed hash of it.
type Key struct {
	ID      int64
	Profile int64
	Hash    []byte    // HMAC-SHA256
	Created time.Time //
	Expires time.Time // zero means never; the code is refused from this moment on
	Allowed Limit     // uses
	Used    int64
	Revoked time.Time // zero means that it is not
}

// refuses says why a key pairs no machine now; empty means that it does.
func (k Key) refuses(now time.Time) Reason {
	switch {
	case !k.Revoked.IsZero():
		return ReasonRevoked
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return ReasonExpired
	case k.Allowed != 0 && k.Used >= int64(k.Allowed):
		return ReasonUsedUp
	}
	return ""
}

// KeyUsable is the State of a key that pairs machines.
const KeyUsable = "usable"

// State is KeyUsable, or the reason why the key pairs no machine at that time.
func (k Key) State(now time.Time) string {
	return cmp.Or(string(k.refuses(now)), KeyUsable)
}

// NewKey makes a key of a profile, with the uses and the lifespan that the profile
// says. The code, 80 hexadecimal digits, is known to the caller alone.
func (l *Library) NewKey(ctx context.Context, profile int64) (k Key, code string, err error) {
	if code, err = l.random(codeBytes); err != nil {
		return Key{}, "", err
	}
	err = l.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Profile(profile)
		if err != nil {
			return err
		}
		k = Key{Profile: p.ID, Hash: l.hash("code", code), Created: l.now(), Allowed: p.UsesPerKey}
		if p.KeyLifespan != 0 {
			k.Expires = k.Created.Add(time.Duration(p.KeyLifespan) * time.Second)
		}
		if err := tx.SaveKey(&k); err != nil {
			return err
		}
		e := l.event(EventKeyCreate, strconv.FormatInt(p.ID, 10))
		e.Detail = fmt.Sprintf("key %d", k.ID)
		p.LastKey, p.LastKeyBy = k.Created, e.Actor
		if err := tx.SaveProfile(&p); err != nil {
			return err
		}
		return tx.AddEvent(e)
	})
	if err != nil {
		return Key{}, "", fmt.Errorf("key of pairing profile %d: %w", profile, err)
	}
	return k, code, nil
}

// Keys lists the keys of a profile by id.
func (l *Library) Keys(ctx context.Context, profile int64) (ks []Key, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		ks, err = tx.Keys(profile)
		return err
	})
	return ks, err
}

// RevokeKey makes a key pair nothing any more. What was paired with it stays.
func (l *Library) RevokeKey(ctx context.Context, id int64) error {
	return l.Store.Update(ctx, func(tx Tx) error {
		k, err := tx.Key(id)
		if err != nil {
			return fmt.Errorf("key %d: %w", id, err)
		}
		if !k.Revoked.IsZero() {
			return nil
		}
		k.Revoked = l.now()
		if err := tx.SaveKey(&k); err != nil {
			return err
		}
		e := l.event(EventKeyRevoke, strconv.FormatInt(k.Profile, 10))
		e.Detail = fmt.Sprintf("key %d", k.ID)
		return tx.AddEvent(e)
	})
}
