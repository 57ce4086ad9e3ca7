package library

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"
)

// An APIKey is a program's way in. Its secret is not kept, only the keyed hash of it.
type APIKey struct {
	ID      string // "api_" and 16 hexadecimal digits
	Name    string // for people
	Hash    []byte // HMAC-SHA256
	Created time.Time
}

// NewAPIKey makes one. The secret, 64 hexadecimal digits, is known to the caller alone.
func (l *Library) NewAPIKey(ctx context.Context, name string) (k APIKey, secret string, err error) {
	if strings.TrimSpace(name) == "" || !isText(name, 255) {
		return APIKey{}, "", fmt.Errorf("API key: %w: name is not one line of 1 to 255 bytes", ErrInvalid)
	}
	id, err := l.random(8)
	if err != nil {
		return APIKey{}, "", err
	}
	if secret, err = l.random(32); err != nil {
		return APIKey{}, "", err
	}
	k = APIKey{ID: "api_" + id, Name: name, Hash: l.hash("api", secret), Created: l.now()}
	err = l.Store.Update(ctx, func(tx Tx) error {
		e := l.event(EventAPIKeyCreate, k.ID)
		e.Detail = name
		return errors.Join(tx.SaveAPIKey(k), tx.AddEvent(e))
	})
	if err != nil {
		return APIKey{}, "", fmt.Errorf("API key %q: %w", name, err)
	}
	return k, secret, nil
}

// CheckAPIKey gives the key of that id if it is its secret, and ErrToken otherwise,
// of which there is an event.
func (l *Library) CheckAPIKey(ctx context.Context, id, secret string) (APIKey, error) {
	keys, err := l.APIKeys(ctx)
	if err != nil {
		return APIKey{}, err
	}
	hash := l.hash("api", secret)
	for _, k := range keys {
		if k.ID == id && subtle.ConstantTimeCompare(hash, k.Hash) == 1 {
			return k, nil
		}
	}
	if len(id) != len("api_")+16 || !isWord(id, 20) {
		id = "" // whatever it is, a secret in the wrong place perhaps: it is no id
	}
	err = l.Store.Update(ctx, func(tx Tx) error {
		e := l.event(EventAuthFailed, id)
		e.Reason = ReasonUnknown
		return l.addRefused(tx, e)
	})
	return APIKey{}, errors.Join(ErrToken, err)
}

// APIKeys lists them by id.
func (l *Library) APIKeys(ctx context.Context) (ks []APIKey, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		ks, err = tx.APIKeys()
		return err
	})
	return ks, err
}

// RemoveAPIKey removes one.
func (l *Library) RemoveAPIKey(ctx context.Context, id string) error {
	return l.Store.Update(ctx, func(tx Tx) error {
		if err := tx.RemoveAPIKey(id); err != nil {
			return fmt.Errorf("API key %.40q: %w", id, err)
		}
		return tx.AddEvent(l.event(EventAPIKeyDelete, id))
	})
}
