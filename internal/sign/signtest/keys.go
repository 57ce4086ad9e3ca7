// Package signtest makes OpenPGP keys for tests.
package signtest

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/vpkg/vpkg/internal/sign"
)

// Options say what key New makes. The zero value is one of Ed25519 that was made on
// 1 January 2020 and does not end.
type Options struct {
	RSA        bool
	Bits       int           // of a key of RSA; 0 means 2048
	Created    time.Time     // zero means 1 January 2020
	Lifetime   time.Duration // in seconds; 0 means without end
	Passphrase string        // empty means that it is not encrypted
	Subkey     bool          // a subkey signs, not the primary key
	Revoked    bool
}

// A Key is an OpenPGP key, in files.
type Key struct {
	Entity *openpgp.Entity
	Secret string // the file with the armored secret key
	Public string // the file with the armored public key
	ID     string // of the primary key, 16 capital hex digits
	User   string
}

// New makes a key whose user ID has the given name.
func New(t testing.TB, name string, o Options) *Key {
	t.Helper()
	if o.Created.IsZero() {
		o.Created = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	c := &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, Curve: packet.Curve25519,
		Time:            func() time.Time { return o.Created },
		KeyLifetimeSecs: uint32(o.Lifetime / time.Second),
	}
	if o.RSA {
		c.Algorithm, c.RSABits = packet.PubKeyAlgoRSA, cmp.Or(o.Bits, 2048)
	}
	e, err := openpgp.NewEntity(name, "", strings.ToLower(name)+"@example.org", c)
	if err == nil && o.Subkey {
		err = e.AddSigningSubkey(c)
	}
	if err == nil && o.Revoked {
		err = e.RevokeKey(packet.KeyRetired, "", &packet.Config{Time: func() time.Time { return o.Created.Add(time.Hour) }})
	}
	if err == nil && o.Passphrase != "" {
		err = e.EncryptPrivateKeys([]byte(o.Passphrase), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	k := &Key{Entity: e, ID: e.PrimaryKey.KeyIdString(), User: e.PrimaryIdentity().Name}
	dir := t.TempDir()
	k.Secret, k.Public = filepath.Join(dir, "secret.asc"), filepath.Join(dir, "public.asc")
	write(t, k.Secret, openpgp.PrivateKeyType, func(b *bytes.Buffer) error { return e.SerializePrivateWithoutSigning(b, nil) })
	write(t, k.Public, openpgp.PublicKeyType, func(b *bytes.Buffer) error { return e.Serialize(b) })
	return k
}

func write(t testing.TB, file, kind string, content func(*bytes.Buffer) error) {
	t.Helper()
	var binary, text bytes.Buffer
	if err := content(&binary); err != nil {
		t.Fatal(err)
	}
	w, err := armor.Encode(&text, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(binary.Bytes()) // to memory
	_ = w.Close()
	text.WriteByte('\n')
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Signer loads the secret key.
func (k *Key) Signer(t testing.TB) *sign.OpenPGP {
	t.Helper()
	o, err := sign.LoadOpenPGP(k.Secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Keys loads public keys.
func Keys(t testing.TB, ks ...*Key) *sign.Keys {
	t.Helper()
	var files []string
	for _, k := range ks {
		files = append(files, k.Public)
	}
	keys, err := sign.LoadKeys(files...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// GPG gives gpg a home of its own with some secret keys. It skips the test where gpg
// or one of the other programs is not installed, and fails it if VPKG_REQUIRE_INSTALL
// is set.
func GPG(t testing.TB, programs []string, ks ...*Key) {
	t.Helper()
	Need(t, append([]string{"gpg", "gpgconf"}, programs...)...)
	home, err := os.MkdirTemp("", "gpg") //nolint:usetesting // its name must be short: the agent has a socket in it
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Setenv("GPG_TTY", "none")
	t.Cleanup(func() {
		// The agent that gpg started.
		if err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run(); err != nil { //nolint:noctx // the test's context is done
			t.Error(err)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	for _, k := range ks {
		Run(t, "gpg", "--batch", "--quiet", "--import", k.Secret)
	}
}

// Need skips the test where a program is not installed, and fails it if
// VPKG_REQUIRE_INSTALL is set: CI has them all.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("VPKG_REQUIRE_INSTALL") != "" {
			t.Fatalf("%s is not installed", p)
		}
		t.Skipf("%s is not installed", p)
	}
}

// Run gives what a program prints, on standard output and error. It fails the test if
// the program does.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := Try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// Try is Run for a program that may fail.
func Try(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	out, err := c.CombinedOutput()
	return string(out), err
}
