package sign_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/internal/sign/signtest"
)

var (
	message  = []byte("a package")
	signedOn = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
)

// signMessage gives a signature of message.
func signMessage(t testing.TB, o *sign.OpenPGP, date time.Time) []byte {
	t.Helper()
	h := sha256.New()
	h.Write(message)
	b, err := o.Sign(t.Context(), h, date)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// check gives what Check finds about the only signature in b.
func check(t testing.TB, keys *sign.Keys, b, data []byte) sign.OpenPGPSignature {
	t.Helper()
	all, err := keys.Check(t.Context(), b, func() io.Reader { return bytes.NewReader(data) })
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%d signatures, want 1", len(all))
	}
	return all[0]
}

func TestOpenPGP(t *testing.T) {
	for _, test := range []struct {
		name      string
		options   signtest.Options
		algorithm string
	}{
		{"RSA", signtest.Options{RSA: true}, "RSA/SHA256"},
		{"Ed25519", signtest.Options{}, "EdDSA/SHA256"},
		{"subkey", signtest.Options{Subkey: true}, "EdDSA/SHA256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k, other := signtest.New(t, "Maker", test.options), signtest.New(t, "Other", signtest.Options{})
			o := k.Signer(t)
			if o.User != k.User || o.IsRSA() != test.options.RSA || (o.KeyID() == k.ID) == test.options.Subkey {
				t.Errorf("signer is %q, RSA %v, key %s; the key is %q, %s", o.User, o.IsRSA(), o.KeyID(), k.User, k.ID)
			}
			b := signMessage(t, o, signedOn)
			if again := signMessage(t, k.Signer(t), signedOn); !bytes.Equal(b, again) {
				t.Error("a second signature of the same has other bytes")
			}
			keys := signtest.Keys(t, other, k)
			want := sign.OpenPGPSignature{
				Status: sign.Good, Signer: k.User, KeyID: o.KeyID(), Algorithm: test.algorithm, Created: signedOn,
			}
			if got := check(t, keys, b, message); got != want {
				t.Errorf("signature is\n%+v, want\n%+v", got, want)
			}
			text, err := sign.Armor(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := check(t, keys, text, message); got != want {
				t.Errorf("armored signature is\n%+v, want\n%+v", got, want)
			}
			if got := check(t, keys, b, []byte("b package")); got.Status != sign.Bad || got.Signer != "" {
				t.Errorf("of other data it is %q by %q, want bad", got.Status, got.Signer)
			}
			for name, keys := range map[string]*sign.Keys{"other": signtest.Keys(t, other), "no": {}, "nil": nil} {
				if got := check(t, keys, b, message); got.Status != sign.UnknownKey || got.Signer != "" || got.KeyID != o.KeyID() {
					t.Errorf("with %s keys it is %+v, want one of an unknown key %s", name, got, o.KeyID())
				}
			}
			// No byte of what is covered can change, and none of the numbers.
			numbers := len(b) - 258
			if !test.options.RSA {
				numbers = len(b) - 66
			}
			for i := range b {
				if i >= 3+6+29 && i < numbers {
					continue // the key ID and the digest's start are not covered
				}
				changed := bytes.Clone(b)
				changed[i] ^= 0x80 // a smaller change of an integer's bits is none of its bytes
				all, err := keys.Check(t.Context(), changed, func() io.Reader { return bytes.NewReader(message) })
				if err != nil {
					t.Fatal(err)
				}
				if sign.Verdict(all) == sign.Good {
					t.Errorf("with byte %d changed it is good", i)
				}
			}
		})
	}
}

// A signature that is older than its key would be refused by everybody.
func TestOpenPGPDate(t *testing.T) {
	made := time.Date(2022, 3, 4, 5, 6, 7, 0, time.UTC)
	k := signtest.New(t, "Maker", signtest.Options{Created: made})
	for _, test := range []struct{ date, want time.Time }{
		{time.Unix(0, 0), made},
		{made.Add(-time.Second), made},
		{made.Add(time.Second), made.Add(time.Second)},
	} {
		got := check(t, signtest.Keys(t, k), signMessage(t, k.Signer(t), test.date), message)
		if got.Status != sign.Good || !got.Created.Equal(test.want) {
			t.Errorf("signature of %v is %s and of %v, want good and %v", test.date, got.Status, got.Created, test.want)
		}
	}
	h := sha256.New()
	if _, err := k.Signer(t).Sign(t.Context(), h, time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
		t.Error("a date after 2106 is accepted")
	}
}

func TestLoadOpenPGP(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	k := signtest.New(t, "Maker", signtest.Options{})
	encrypted := signtest.New(t, "Secret", signtest.Options{Passphrase: "open sesame"})
	ended := signtest.New(t, "Ended", signtest.Options{Lifetime: 24 * time.Hour})
	revoked := signtest.New(t, "Revoked", signtest.Options{Revoked: true})
	var binary bytes.Buffer
	if err := k.Entity.SerializePrivateWithoutSigning(&binary, nil); err != nil {
		t.Fatal(err)
	}
	two := append(read(k.Secret), read(ended.Secret)...)
	pkcs8 := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	for _, test := range []struct {
		name, file, passphrase string
		want                   string // in the error; empty for none
		is                     error
	}{
		{"armored", k.Secret, "", "", nil},
		{"binary", file("binary", binary.Bytes()), "", "", nil},
		{"with a passphrase that is not needed", k.Secret, "x", "", nil},
		{"with public keys", file("both", append(read(ended.Public), read(k.Secret)...)), "", "", nil},
		{"encrypted", encrypted.Secret, "open sesame", "", nil},
		{"no passphrase", encrypted.Secret, "", "it has a passphrase, and none was given", sign.ErrNoPassphrase},
		{"wrong passphrase", encrypted.Secret, "open barley", "its passphrase is another", nil},
		{"ended", ended.Secret, "", "it has ended on 2020-01-02", nil},
		{"revoked", revoked.Secret, "", "it is revoked", nil},
		{"short", signtest.New(t, "Short", signtest.Options{RSA: true, Bits: 1024}).Secret, "", "it has 1024 bits, want 2048 at least", nil},
		{"public", k.Public, "", "public keys only", nil},
		{"two", file("two", two), "", "it has 2 keys, want one", nil},
		{"for Windows", file("pkcs8", pkcs8), "", `it has a "PRIVATE KEY", want an OpenPGP key`, nil},
		{"cut off", file("cut", read(k.Secret)[:200]), "", "reading signing key", nil},
		{"empty", file("empty", nil), "", "it is empty", nil},
		{"absent", filepath.Join(dir, "none"), "", "no such file", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, err := sign.LoadOpenPGP(test.file, []byte(test.passphrase))
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want == "":
				if got := check(t, signtest.Keys(t, k, encrypted), signMessage(t, o, signedOn), message); got.Status != sign.Good {
					t.Errorf("what it signs is %+v", got)
				}
			case err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n"):
				t.Errorf("error %v, want %q in one line", err, test.want)
			case test.is != nil && !errors.Is(err, test.is):
				t.Errorf("error %v, want %v", err, test.is)
			}
		})
	}
}

// TestVerifyKeys has keys that may not sign, or not any more.
func TestVerifyKeys(t *testing.T) {
	made := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	ended := signtest.New(t, "Ended", signtest.Options{Lifetime: 24 * time.Hour})
	revoked := signtest.New(t, "Revoked", signtest.Options{Revoked: true})
	k := signtest.New(t, "Maker", signtest.Options{})
	short := signtest.New(t, "Short", signtest.Options{RSA: true, Bits: 1024})
	second := uint32(1)
	for _, test := range []struct {
		name string
		key  *signtest.Key
		sig  packet.Signature
		want sign.Status
		why  string
	}{
		{"in the key's time", ended, packet.Signature{CreationTime: made.Add(time.Hour)}, sign.Expired, "its key has ended on 2020-01-02"},
		{"after the key's time", ended, packet.Signature{CreationTime: made.Add(48 * time.Hour)}, sign.Bad, "it was made when its key had ended, on 2020-01-02"},
		{"before the key's time", k, packet.Signature{CreationTime: made.Add(-time.Hour)}, sign.Bad, "it was made before its key"},
		{"in the future", k, packet.Signature{CreationTime: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}, sign.Bad, "it is dated in the future"},
		{"revoked", revoked, packet.Signature{CreationTime: made.Add(time.Minute)}, sign.Bad, "its key is revoked"},
		{"for a second", k, packet.Signature{CreationTime: made, SigLifetimeSecs: &second}, sign.Expired, "its time is over"},
		{"SHA-512", k, packet.Signature{CreationTime: made, Hash: crypto.SHA512}, sign.Good, ""},
		{"short key", short, packet.Signature{CreationTime: made}, sign.Weak, "its key has 1024 bits"},
		{"note", k, packet.Signature{CreationTime: made, Notations: []*packet.Notation{{Name: "a@example.org", IsCritical: true}}}, sign.Unsupported, "it has a note that must be understood, and is not"},
		{"of text", k, packet.Signature{CreationTime: made, SigType: packet.SigTypeText}, sign.Unsupported, "it is of type 0x1, not of a document"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := foreignSignature(t, test.key, test.sig)
			got := check(t, signtest.Keys(t, test.key), b, message)
			if got.Status != test.want || got.Reason != test.why {
				t.Errorf("it is %s: %q, want %s: %q", got.Status, got.Reason, test.want, test.why)
			}
		})
	}
}

// foreignSignature has go-crypto sign message.
func foreignSignature(t testing.TB, k *signtest.Key, s packet.Signature) []byte {
	t.Helper()
	s.Version, s.PubKeyAlgo = 4, k.Entity.PrimaryKey.PubKeyAlgo
	s.IssuerKeyId = &k.Entity.PrimaryKey.KeyId
	if s.Hash == 0 {
		s.Hash = crypto.SHA256
	}
	h := s.Hash.New()
	h.Write(message)
	if err := s.Sign(h, k.Entity.PrivateKey, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		statuses []sign.Status
		want     sign.Status
	}{
		{nil, sign.Unsigned},
		{[]sign.Status{sign.UnknownKey}, sign.UnknownKey},
		{[]sign.Status{sign.UnknownKey, sign.Good}, sign.Good},
		{[]sign.Status{sign.Good, sign.Bad}, sign.Bad},
		{[]sign.Status{sign.Unsupported, sign.Expired, sign.UnknownKey}, sign.Expired},
		{[]sign.Status{sign.Weak, sign.Expired}, sign.Expired},
		{[]sign.Status{sign.Weak, sign.Unsupported}, sign.Weak},
	} {
		var all []sign.OpenPGPSignature
		for _, s := range test.statuses {
			all = append(all, sign.OpenPGPSignature{Status: s})
		}
		if got := sign.Verdict(all); got != test.want {
			t.Errorf("verdict of %v is %q, want %q", test.statuses, got, test.want)
		}
	}
}

// What is no signature at all is bad, not unsigned.
func TestCheckGarbage(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{})
	good := signMessage(t, k.Signer(t), signedOn)
	literal := []byte{0xcb, 8, 'b', 0, 0, 0, 0, 0, 'h', 'i'}
	for name, b := range map[string][]byte{
		"empty":             {},
		"zeros":             make([]byte, 100),
		"cut off":           good[:len(good)-1],
		"another packet":    literal,
		"something follows": append(bytes.Clone(good), literal...),
		"a key":             mustRead(t, k.Public),
		"many":              bytes.Repeat(good, 17),
		"large":             make([]byte, sign.MaxOpenPGP+1),
	} {
		all, err := signtest.Keys(t, k).Check(t.Context(), b, func() io.Reader { return bytes.NewReader(message) })
		if err != nil {
			t.Fatal(err)
		}
		if got := sign.Verdict(all); got != sign.Bad && got != sign.Unsupported {
			t.Errorf("%s: %q, want bad", name, got)
		}
	}
	all, err := signtest.Keys(t, k).Check(t.Context(), bytes.Repeat(good, 2), func() io.Reader { return bytes.NewReader(message) })
	if err != nil || len(all) != 2 || all[1].Status != sign.Good {
		t.Errorf("two signatures in one place: %+v, %v", all, err)
	}
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCheckReadError(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{})
	b := signMessage(t, k.Signer(t), signedOn)
	broken := errors.New("broken")
	_, err := signtest.Keys(t, k).Check(t.Context(), b, func() io.Reader { return io.MultiReader(bytes.NewReader(message), errorReader{broken}) })
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := signtest.Keys(t, k).Check(ctx, b, func() io.Reader { return bytes.NewReader(message) }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that the context is done", err)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// TestGPG has gpg check ours, and signs with gpg.
func TestGPG(t *testing.T) {
	keys := []*signtest.Key{signtest.New(t, "Rsa", signtest.Options{RSA: true}), signtest.New(t, "Ed", signtest.Options{}), signtest.New(t, "Sub", signtest.Options{Subkey: true})}
	signtest.GPG(t, nil, keys...)
	data := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(data, message, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		text, err := sign.Armor(signMessage(t, k.Signer(t), signedOn))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(data+".asc", text, 0o600); err != nil {
			t.Fatal(err)
		}
		out := signtest.Run(t, "gpg", "--batch", "--status-fd", "1", "--verify", data+".asc", data)
		if want := fmt.Sprintf("GOODSIG %s %s", k.Signer(t).KeyID(), k.User); !strings.Contains(out, want) {
			t.Errorf("gpg says\n%swant %s", out, want)
		}
		signtest.Run(t, "gpg", "--batch", "--yes", "--local-user", k.User, "--digest-algo", "SHA512", "--output", data+".sig", "--detach-sign", data)
		if got := check(t, signtest.Keys(t, k), mustRead(t, data+".sig"), message); got.Status != sign.Good || got.Signer != k.User || !strings.HasSuffix(got.Algorithm, "/SHA512") {
			t.Errorf("gpg's signature is %+v", got)
		}
	}
	// gpg's own secret key, with a passphrase.
	signtest.Run(t, "gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "open sesame", "--quick-gen-key", "Own <own@example.org>", "ed25519", "sign", "never")
	secret, public := data+".secret", data+".public"
	signtest.Run(t, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "open sesame", "--output", secret, "--export-secret-keys", "own@example.org")
	signtest.Run(t, "gpg", "--batch", "--output", public, "--export", "own@example.org")
	o, err := sign.LoadOpenPGP(secret, []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := sign.LoadKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	if got := check(t, own, signMessage(t, o, signedOn), message); got.Status != sign.Good || got.Signer != "Own <own@example.org>" {
		t.Errorf("signature with gpg's key is %+v", got)
	}
}

// TestOpenPGPCommand has openssl sign digests.
func TestOpenPGPCommand(t *testing.T) {
	signtest.Need(t, "openssl", "sh")
	for _, test := range []struct {
		name   string
		rsa    bool
		script string
		want   string // in the error; empty for none
	}{
		{"RSA", true, `exec openssl pkeyutl -sign -inkey key.pem -pkeyopt digest:sha256`, ""},
		{"Ed25519", false, `cat >digest && exec openssl pkeyutl -sign -rawin -in digest -inkey key.pem`, ""},
		{"fails", true, `echo no card >&2; exit 3`, "no card"},
		{"something else", true, `cat`, "is no signature by this key"},
		{"something else with Ed25519", false, `cat`, "is no signature by this key"},
		{"nothing", false, `cat >/dev/null`, "is no signature by this key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := signtest.New(t, "Card", signtest.Options{RSA: test.rsa})
			dir := t.TempDir()
			key := k.Entity.PrivateKey.PrivateKey
			if e, ok := key.(*eddsa.PrivateKey); ok {
				key = ed25519.NewKeyFromSeed(e.MarshalByteSecret())
			}
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			for name, content := range map[string][]byte{
				"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
				"sign.sh": []byte("cd " + dir + " && " + test.script + "\n"),
			} {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			o, err := sign.LoadOpenPGPCommand([]string{"sh", filepath.Join(dir, "sign.sh")}, k.Public)
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			h.Write(message)
			b, err := o.Sign(t.Context(), h, signedOn)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b, signMessage(t, k.Signer(t), signedOn)) {
				t.Error("it is not the signature that the key itself makes")
			}
		})
	}
}

// FuzzCheck has signatures of data that nobody signed: none of them is good.
func FuzzCheck(f *testing.F) {
	k, r := signtest.New(f, "Maker", signtest.Options{}), signtest.New(f, "Rsa", signtest.Options{RSA: true})
	keys := signtest.Keys(f, k, r)
	for _, b := range [][]byte{
		signMessage(f, k.Signer(f), signedOn),
		signMessage(f, r.Signer(f), signedOn),
		version3(f, r, crypto.SHA256),
		version3(f, r, crypto.SHA1),
	} {
		f.Add(b)
		text, err := sign.Armor(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := keys.Check(t.Context(), b, func() io.Reader { return strings.NewReader("nobody signed this") })
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Status == sign.Good || s.Status == sign.Unsigned || s.Signer != "" {
				t.Errorf("it is %+v", s)
			}
		}
	})
}

// version3 gives a signature of message in the form of Red Hat's packages.
func version3(t testing.TB, k *signtest.Key, hash crypto.Hash) []byte {
	t.Helper()
	covered := binary.BigEndian.AppendUint32([]byte{0}, uint32(signedOn.Unix()))
	h := hash.New()
	h.Write(message)
	h.Write(covered)
	digest := h.Sum(nil)
	raw, err := k.Entity.PrivateKey.PrivateKey.(crypto.Signer).Sign(nil, digest, hash)
	if err != nil {
		t.Fatal(err)
	}
	body := append([]byte{3, 5}, covered...)
	body = binary.BigEndian.AppendUint64(body, k.Entity.PrimaryKey.KeyId)
	body = append(body, byte(packet.PubKeyAlgoRSA), map[crypto.Hash]byte{crypto.SHA1: 2, crypto.SHA256: 8}[hash], digest[0], digest[1])
	body = binary.BigEndian.AppendUint16(body, uint16(8*len(raw))) // rpm and gpg count the bits exactly; readers need not
	body = append(body, raw...)
	b := binary.BigEndian.AppendUint16([]byte{0x89}, uint16(len(body)))
	return append(b, body...)
}

func TestVersion3(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{RSA: true})
	b, keys := version3(t, k, crypto.SHA256), signtest.Keys(t, k)
	want := sign.OpenPGPSignature{Status: sign.Good, Signer: k.User, KeyID: k.ID, Algorithm: "RSA/SHA256", Created: signedOn}
	if got := check(t, keys, b, message); got != want {
		t.Errorf("signature is\n%+v, want\n%+v", got, want)
	}
	if got := check(t, keys, b, []byte("another")); got.Status != sign.Bad {
		t.Errorf("of something else it is %q, want bad", got.Status)
	}
	if got := check(t, keys, version3(t, k, crypto.SHA1), message); got.Status != sign.Weak || got.Reason != "SHA-1 can be forged" {
		t.Errorf("with SHA-1 it is %q: %q, want weak", got.Status, got.Reason)
	}
	for n := 4; n < len(b); n++ {
		cut := binary.BigEndian.AppendUint16([]byte{0x89}, uint16(n-3))
		cut = append(cut, b[3:n]...)
		if got := check(t, keys, cut, message); got.Status != sign.Unsupported {
			t.Errorf("cut off after %d bytes it is %q, want unsupported", n, got.Status)
		}
	}
}
