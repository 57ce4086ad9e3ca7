package library

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vpkg/vpkg/packaging"
)

// What callers tell apart.
var (
	// ErrNotFound is for what is not there, or not any more.
	ErrNotFound = errors.New("there is no such thing")
	// ErrExists is for what is there already and would be another.
	ErrExists = errors.New("it is there already")
	// ErrInvalid is for input that is not as it has to be; the text says why.
	ErrInvalid = errors.New("not valid")
	// ErrInUse is for what cannot be removed, because something else needs it.
	ErrInUse = errors.New("it is in use")
	// ErrCode is for every activation code that is refused, whatever the reason:
	// who tries codes learns nothing. The reason is in the event.
	ErrCode = errors.New("the activation code is not valid")
	// ErrToken is for a token that is not the workload's, or an API key that is none.
	ErrToken = errors.New("the token is not valid")
	// ErrNoPolicy is in the ErrNotFound of a workload that is to have no policy.
	ErrNoPolicy = errors.New("there is no policy")
)

// A Library is what a server serves. It has no state of its own: a copy with
// another Actor works on the same library.
type Library struct {
	Store    Store
	Packages Packages

	// Secret keys the hashes of codes and API keys, and makes the tokens of
	// workloads: at least 32 bytes, kept apart from the Store. With another secret
	// every code, key and token is worth nothing.
	Secret []byte

	// Read reads all of a package file, checks every digest in it, and tells its
	// format: "rpm", "deb" or "msi". What it refuses is not offered.
	Read func(ctx context.Context, r io.ReaderAt, size int64) (p *packaging.Package, format string, err error)

	// Compare orders two versions as rpm and dpkg do: negative if a is older.
	Compare func(a, b string) int

	Now  func() time.Time // nil means time.Now
	Rand io.Reader        // nil means crypto/rand.Reader

	MaxPackage int64  // bytes that a package file may have; 0 means DefaultMaxPackage
	Actor      string // who is written into events; empty means "local"

	// Refused is asked before the event of a refused code or API key is written, so
	// that who tries many does not fill the Store: write says whether it is, and
	// skipped how many were not since the last that was. Nil means that all are.
	Refused func() (write bool, skipped int64)
}

// DefaultMaxPackage is the largest package file that is imported, in bytes.
const DefaultMaxPackage = 2 << 30

// now is in UTC and in whole milliseconds, as the Store keeps it.
func (l *Library) now() time.Time {
	now := time.Now
	if l.Now != nil {
		now = l.Now
	}
	return now().UTC().Truncate(time.Millisecond)
}

// random gives n random bytes in hexadecimal digits.
func (l *Library) random(n int) (string, error) {
	r := l.Rand
	if r == nil {
		r = rand.Reader
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", fmt.Errorf("random numbers: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// hash is the keyed hash of a secret, another one for every use.
func (l *Library) hash(use, secret string) []byte {
	if len(l.Secret) < 32 {
		panic("library: a secret of less than 32 bytes") // a mistake of the program
	}
	h := hmac.New(sha256.New, l.Secret)
	io.WriteString(h, use+"\x00"+secret) //nolint:errcheck // a hash takes everything
	return h.Sum(nil)
}

// event is the beginning of one that is happening now.
func (l *Library) event(kind, subject string) Event {
	e := Event{Time: l.now(), Kind: kind, Actor: l.Actor, Subject: subject}
	if e.Actor == "" {
		e.Actor = "local"
	}
	return e
}

// addRefused adds the event of something that was refused, unless that is too many.
func (l *Library) addRefused(tx Tx, e Event) error {
	if l.Refused != nil {
		write, skipped := l.Refused()
		if !write {
			return nil
		}
		if skipped != 0 {
			e.Detail = fmt.Sprintf("%d more before it were not written down", skipped)
		}
	}
	return tx.AddEvent(e)
}

// State is a number that is another one after every change of the Store, whoever
// made it. What is known from a State is known as long as it stays.
func (l *Library) State(ctx context.Context) (int64, error) { return l.Store.State(ctx) }

// Ready reports why the library cannot be used: its state cannot be read, a package of
// the default release cannot, or there is no room for others.
func (l *Library) Ready(ctx context.Context) (err error) {
	rs, err := l.Releases(ctx)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	for _, r := range rs {
		if !r.Default {
			continue
		}
		for _, i := range r.Images {
			f, err := l.file(ctx, i)
			if err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
	}
	up, err := l.Packages.Create(ctx)
	if err != nil {
		return fmt.Errorf("packages: %w", err)
	}
	defer func() { err = errors.Join(err, up.Close()) }()
	if _, err := up.Write(make([]byte, 1<<16)); err != nil {
		return fmt.Errorf("packages: %w", err)
	}
	return nil
}

// isText reports whether s is at most limit bytes of one printable line.
func isText(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isWord reports whether s is 1 to limit printable ASCII characters without a space.
func isWord(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// invalid collects what is wrong with a thing.
type invalid []error

func (v *invalid) add(format string, args ...any) { *v = append(*v, fmt.Errorf(format, args...)) }

// err is ErrInvalid with everything that was found; nil if that is nothing.
func (v *invalid) err(what string) error {
	if len(*v) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", what, ErrInvalid, errors.Join(*v...))
}
