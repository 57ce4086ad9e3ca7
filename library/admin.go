package library

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The administrator's password is a person's, and so may be a weak one: unlike codes
// and keys it has a slow hash, PBKDF2 (RFC 8018) with HMAC-SHA-256.
const (
	adminSetting = "administrator" // "ITERATIONS SALT HASH"
	iterations   = 600_000
	saltBytes    = 16
)

// Bounds of a password, in characters and in bytes.
const (
	minPassword = 12
	maxPassword = 1024
)

// EnsureAdmin makes a password for the administrator if there is none: 26 letters and
// digits that the caller alone knows. Empty means that there is one already.
func (l *Library) EnsureAdmin(ctx context.Context) (password string, err error) {
	is, err := l.admin(ctx)
	if err != nil || is != "" {
		return "", err
	}
	made := rand.Text()
	value, err := l.slowHash(made)
	if err != nil {
		return "", err
	}
	err = l.Store.Update(ctx, func(tx Tx) error {
		is, err := tx.Setting(adminSetting)
		if err != nil || is != "" { // another process was faster
			return err
		}
		password = made
		return errors.Join(tx.SetSetting(adminSetting, value), tx.AddEvent(l.event(EventPassword, "administrator")))
	})
	if err != nil {
		return "", fmt.Errorf("administrator: %w", err)
	}
	return password, nil
}

// HasAdmin reports whether the administrator has a password.
func (l *Library) HasAdmin(ctx context.Context) (bool, error) {
	is, err := l.admin(ctx)
	return is != "", err
}

// SetAdmin sets the administrator's password, of 12 characters or more. Every
// session of the console ends.
func (l *Library) SetAdmin(ctx context.Context, password string) error {
	if utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword || strings.TrimSpace(password) == "" {
		return fmt.Errorf("password: %w: it has not %d characters to %d bytes", ErrInvalid, minPassword, maxPassword)
	}
	value, err := l.slowHash(password)
	if err != nil {
		return err
	}
	err = l.Store.Update(ctx, func(tx Tx) error {
		return errors.Join(tx.SetSetting(adminSetting, value), tx.AddEvent(l.event(EventPassword, "administrator")))
	})
	if err != nil {
		return fmt.Errorf("administrator: %w", err)
	}
	return nil
}

// CheckAdmin is ErrToken if it is not the administrator's password. It takes some
// tenths of a second of a processor. There is an event of either.
func (l *Library) CheckAdmin(ctx context.Context, password string) error {
	is, err := l.admin(ctx)
	if err != nil {
		return err
	}
	ok := len(password) <= maxPassword && matches(is, password)
	err = l.Store.Update(ctx, func(tx Tx) error {
		if ok {
			return tx.AddEvent(l.event(EventLogin, "administrator"))
		}
		e := l.event(EventAuthFailed, "administrator")
		e.Reason = ReasonUnknown
		return l.addRefused(tx, e)
	})
	if !ok {
		return errors.Join(ErrToken, err)
	}
	return err
}

// AdminEpoch is another one after every change of the password: what a session of the
// console is bound to. It tells nothing of the password.
func (l *Library) AdminEpoch(ctx context.Context) (string, error) {
	is, err := l.admin(ctx)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(l.hash("epoch", is)), nil
}

func (l *Library) admin(ctx context.Context) (value string, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		value, err = tx.Setting(adminSetting)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("administrator: %w", err)
	}
	return value, nil
}

func (l *Library) slowHash(password string) (string, error) {
	salt := make([]byte, saltBytes)
	r := l.Rand
	if r == nil {
		r = rand.Reader
	}
	if _, err := io.ReadFull(r, salt); err != nil {
		return "", fmt.Errorf("random numbers: %w", err)
	}
	h, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %x %x", iterations, salt, h), nil
}

// matches compares with what slowHash gave; with nothing it takes as long.
func matches(value, password string) bool {
	n, salt, want := iterations, make([]byte, saltBytes), []byte{}
	if f := strings.Fields(value); len(f) == 3 {
		var err1, err2, err3 error
		n, err1 = strconv.Atoi(f[0])
		salt, err2 = hex.DecodeString(f[1])
		want, err3 = hex.DecodeString(f[2])
		if errors.Join(err1, err2, err3) != nil || n < 1 {
			return false
		}
	}
	h, err := pbkdf2.Key(sha256.New, password, salt, n, sha256.Size)
	return err == nil && subtle.ConstantTimeCompare(h, want) == 1
}
