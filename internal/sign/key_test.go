package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/vpkg/vpkg/internal/oracle"
)

func TestLoad(t *testing.T) {
	p := newPKI(t)
	dir := t.TempDir()
	file := func(name string, parts ...[]byte) string {
		return writeFile(t, filepath.Join(dir, name), slices.Concat(parts...))
	}
	block := func(kind string, der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	certs := certPEM(p.root, p.rsa.cert, p.ecdsa.cert, p.middle) // in no order, with others
	rsaKey, ecdsaKey := p.rsa.key.(*rsa.PrivateKey), p.ecdsa.key.(*ecdsa.PrivateKey)
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil)
	sec1der, err := x509.MarshalECPrivateKey(ecdsaKey)
	sec1 := block("EC PRIVATE KEY", sec1der, err)
	pfx, err := pkcs12.Modern.Encode(rsaKey, p.rsa.cert, []*x509.Certificate{p.root, p.middle}, "secret")
	if err != nil {
		t.Fatal(err)
	}
	both := file("certs.pem", certs)
	for _, test := range []struct {
		name       string
		file, cert string
		passphrase string
		leaf       *x509.Certificate
	}{
		{"PKCS #8 and certificates", file("a.pem", keyPEM(t, rsaKey), certs), "", "", p.rsa.cert},
		{"certificates first", file("b.pem", certs, keyPEM(t, ecdsaKey)), "", "", p.ecdsa.cert},
		{"certificates in another file", file("c.pem", keyPEM(t, rsaKey)), both, "", p.rsa.cert},
		{"PKCS #1", file("d.pem", pkcs1), both, "", p.rsa.cert},
		{"SEC 1", file("e.pem", []byte("some text\n"), block("EC PARAMETERS", []byte{6, 1, 0}, nil), sec1), both, "", p.ecdsa.cert},
		{"PKCS #12", file("f.pfx", pfx), "", "secret", p.rsa.cert},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := Load(test.file, test.cert, []byte(test.passphrase))
			if err != nil {
				t.Fatal(err)
			}
			if want := []*x509.Certificate{test.leaf, p.middle, p.root}; !slices.EqualFunc(a.Chain, want, (*x509.Certificate).Equal) {
				t.Errorf("chain of %d, first %q", len(a.Chain), a.Chain[0].Subject)
			}
			if _, err := a.SignMSI(t.Context(), [32]byte{}); err != nil {
				t.Error(err)
			}
		})
	}
	for _, test := range []struct {
		name       string
		file, cert string
		passphrase string
		want       string
	}{
		{"passphrase", file("x.pfx", pfx), "", "other", "its passphrase is another"},
		{"no certificate", file("x1.pem", keyPEM(t, rsaKey)), "", "", "no certificate"},
		{"no key", both, "", "", "no private key"},
		{"another's certificate", file("x2.pem", keyPEM(t, rsaKey), certPEM(p.ecdsa.cert)), "", "", "is for another key"},
		{"use", file("x3.pem", keyPEM(t, rsaKey), certPEM(p.forServer.cert)), "", "", "not one for code signing"},
		{"two keys", file("x4.pem", pkcs1, sec1, certs), "", "", "more than one"},
		{"encrypted", file("x5.pem", block("ENCRYPTED PRIVATE KEY", []byte("x"), nil)), "", "", "encrypted key is broken"},
		{"other file", file("x6", []byte("hello")), "", "", "neither PEM nor PKCS #12"},
		{"absent", filepath.Join(dir, "absent"), "", "", "no such file"},
		{"absent certificate", file("x7.pem", pkcs1), filepath.Join(dir, "absent"), "", "its certificate"},
		{"broken", file("x8.pem", block("PRIVATE KEY", []byte("x"), nil)), both, "", "x8.pem"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Load(test.file, test.cert, []byte(test.passphrase)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestLoadOpenSSL reads PKCS #12 files as OpenSSL writes them, with new and old
// algorithms.
func TestLoadOpenSSL(t *testing.T) {
	oracle.Need(t, "openssl")
	p := newPKI(t)
	dir := t.TempDir()
	key := writeFile(t, filepath.Join(dir, "key.pem"), keyPEM(t, p.ecdsa.key))
	cert := writeFile(t, filepath.Join(dir, "cert.pem"), certPEM(p.ecdsa.cert))
	more := writeFile(t, filepath.Join(dir, "more.pem"), certPEM(p.middle))
	for _, args := range [][]string{nil, {"-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"}} {
		out := filepath.Join(dir, "out.pfx")
		output(t, "openssl", slices.Concat([]string{"pkcs12", "-export", "-inkey", key, "-in", cert, "-certfile", more, "-passout", "pass:sécret", "-out", out}, args)...)
		a, err := Load(out, "", []byte("sécret"))
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		if len(a.Chain) != 2 {
			t.Errorf("%q: chain of %d", args, len(a.Chain))
		}
	}
}

// TestLoadEncrypted reads encrypted PEM keys as OpenSSL writes them.
func TestLoadEncrypted(t *testing.T) {
	oracle.Need(t, "openssl")
	p := newPKI(t)
	dir := t.TempDir()
	key := writeFile(t, filepath.Join(dir, "key.pem"), keyPEM(t, p.rsa.key))
	cert := writeFile(t, filepath.Join(dir, "cert.pem"), certPEM(p.rsa.cert, p.middle))
	for _, test := range []struct {
		args []string
		want string // of the error
	}{
		{[]string{"pkcs8", "-topk8"}, ""},
		{[]string{"pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"}, ""},
		{[]string{"pkcs8", "-topk8", "-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512", "-iter", "10000"}, ""},
		{[]string{"pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"}, "openssl pkcs8"},
		{[]string{"pkcs8", "-topk8", "-v2", "des3"}, "openssl pkcs8"},
		{[]string{"pkcs8", "-topk8", "-scrypt"}, "openssl pkcs8"},
		{[]string{"rsa", "-aes256", "-traditional"}, "openssl pkcs8"},
	} {
		out := filepath.Join(dir, "out.pem")
		output(t, "openssl", append(test.args, "-in", key, "-passout", "pass:secret", "-out", out)...)
		_, err := Load(out, cert, []byte("secret"))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %q", test.args, err, test.want)
		}
		if test.want > "" {
			continue
		}
		for _, wrong := range []string{"", "Secret"} {
			if _, err := Load(out, cert, []byte(wrong)); err == nil || !strings.Contains(err.Error(), "passphrase") {
				t.Errorf("%q with passphrase %q: %v", test.args, wrong, err)
			}
		}
	}
}

func TestLoadCertificates(t *testing.T) {
	p := newPKI(t)
	want := []*x509.Certificate{p.rsa.cert, p.middle}
	for _, b := range [][]byte{
		certPEM(p.rsa.cert, p.ecdsa.cert, p.middle),
		slices.Concat(p.rsa.cert.Raw, p.middle.Raw),
	} {
		got, err := LoadCertificates(writeFile(t, "certs", b))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
			t.Errorf("%d certificates, first %q", len(got), got[0].Subject)
		}
	}
	if _, err := LoadCertificates(writeFile(t, "key", keyPEM(t, p.rsa.key))); err == nil {
		t.Error("a key is no certificate")
	}
}

// TestCommand signs with openssl as the program that has the key.
func TestCommand(t *testing.T) {
	oracle.Need(t, "openssl")
	p := newPKI(t)
	for name, id := range map[string]identity{"rsa": p.rsa, "ecdsa": p.ecdsa} {
		t.Run(name, func(t *testing.T) {
			key := writeFile(t, "key.pem", keyPEM(t, id.key))
			a := p.authenticode(id)
			a.Signer = &Command{
				Argv:        []string{"openssl", "pkeyutl", "-sign", "-inkey", key, "-pkeyopt", "digest:sha256"},
				Certificate: id.cert,
			}
			signed := signPE(t, a, newProgram(t))
			if _, err := verifyBytes(signed, p.roots()); err != nil {
				t.Error(err)
			}
			if name == "rsa" && !bytes.Equal(signed, signPE(t, p.authenticode(id), newProgram(t))) {
				t.Error("with the key itself the bytes are others")
			}
		})
	}
}

func TestCommandRefuses(t *testing.T) {
	p := newPKI(t)
	digest := sha256.Sum256([]byte("x"))
	for _, test := range []struct {
		name string
		argv []string
		want string
	}{
		{"empty", nil, "empty"},
		{"absent", []string{"/nonexistent/signer"}, "/nonexistent/signer"},
		{"failing", []string{"sh", "-c", "echo wrong PIN >&2; exit 3"}, `signing command "sh": exit status 3: wrong PIN`},
		{"echo", []string{"cat"}, `32 bytes, is no signature by the key of certificate "CN=rsa signer,O=vpkg tests"`},
		{"endless", []string{"sh", "-c", "head -c 100000 /dev/zero; cat >/dev/null"}, "more than 16384 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &Command{Argv: test.argv, Certificate: p.rsa.cert}
			if _, err := c.Sign(nil, digest[:], crypto.SHA256); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	c := &Command{Argv: []string{"cat"}, Certificate: p.rsa.cert}
	if _, err := c.Sign(nil, digest[:], crypto.SHA512); err == nil {
		t.Error("signs a digest of another kind")
	}

	// One that waits for a finger on a token is ended with the build.
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	a := p.authenticode(p.rsa)
	a.Signer = &Command{Argv: []string{"sleep", "600"}, Certificate: p.rsa.cert}
	if _, err := a.SignMSI(ctx, digest); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
