package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/internal/pe"
)

func signPE(t testing.TB, a *Authenticode, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := a.SignPE(t.Context(), bytes.NewReader(b), int64(len(b)), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func verifyBytes(b []byte, roots *x509.CertPool) (*Signature, error) {
	return VerifyPE(bytes.NewReader(b), int64(len(b)), roots)
}

// TestSignPE signs with both kinds of keys, a stamped program too, and asks
// osslsigncode and 7-Zip, which checks the sum, as well as VerifyPE.
func TestSignPE(t *testing.T) {
	p := newPKI(t)
	plain := newProgram(t)
	var stamped bytes.Buffer
	if err := pe.Stamp(bytes.NewReader(plain), int64(len(plain)), &stamped, pe.Resources{Version: [4]uint16{1, 2, 3, 4}, Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	root := writeFile(t, "root.pem", certPEM(p.root))
	for _, test := range []struct {
		name    string
		id      identity
		program []byte
	}{
		{"rsa", p.rsa, plain},
		{"ecdsa", p.ecdsa, plain},
		{"stamped", p.rsa, stamped.Bytes()},
		{"odd size", p.ecdsa, append(bytes.Clone(plain), "overlay"...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := p.authenticode(test.id)
			signed := signPE(t, a, test.program)
			if !bytes.Equal(signed, signPE(t, a, test.program)) {
				t.Error("two runs give different bytes")
			}
			sig, err := verifyBytes(signed, p.roots())
			if err != nil {
				t.Fatal(err)
			}
			if !sig.Signer.Equal(test.id.cert) || sig.Description != a.Description || sig.URL != a.URL || !sig.Timestamp.IsZero() {
				t.Errorf("%+v", sig)
			}
			if err := a.SignPE(t.Context(), bytes.NewReader(signed), int64(len(signed)), io.Discard); !errors.Is(err, pe.ErrSigned) {
				t.Errorf("signing it again: %v", err)
			}

			name := writeFile(t, "signed.exe", signed)
			t.Run("7z", func(t *testing.T) {
				oracle.Need(t, "7z")
				if got := output(t, "7z", "l", "-slt", name); strings.Contains(got, "WARNING") || !strings.Contains(got, "Checksum = ") {
					t.Errorf("7z says:\n%s", got)
				}
			})
			t.Run("osslsigncode", func(t *testing.T) {
				oracle.Need(t, "osslsigncode")
				got := output(t, "osslsigncode", "verify", "-CAfile", root, "-in", name)
				for _, want := range []string{"Signature verification: ok", "Illumio VEN", a.URL} {
					if !strings.Contains(got, want) {
						t.Errorf("osslsigncode says:\n%swithout %q", got, want)
					}
				}
				if strings.Contains(got, "invalid PE checksum") || strings.Contains(got, "MISMATCH") {
					t.Errorf("osslsigncode says:\n%s", got)
				}
			})
		})
	}
}

// TestVerifyForeign verifies what osslsigncode signed, with its own time stamps.
func TestVerifyForeign(t *testing.T) {
	oracle.Need(t, "osslsigncode")
	p := newPKI(t)
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "in.exe"), newProgram(t))
	certs := writeFile(t, filepath.Join(dir, "certs.pem"), certPEM(p.rsa.cert, p.middle))
	key := writeFile(t, filepath.Join(dir, "key.pem"), keyPEM(t, p.rsa.key))
	tsaCerts := writeFile(t, filepath.Join(dir, "tsa.pem"), certPEM(p.tsa.cert, p.middle))
	tsaKey := writeFile(t, filepath.Join(dir, "tsakey.pem"), keyPEM(t, p.tsa.key))
	for _, test := range []struct {
		name string
		args []string
		want string // of the error
	}{
		{"sha256", []string{"-h", "sha256"}, ""},
		{"sha384", []string{"-h", "sha384"}, ""},
		{"sha512", []string{"-h", "sha512", "-ph"}, ""},
		{"sha1", []string{"-h", "sha1"}, "SHA-1"},
		{"time stamp", []string{"-h", "sha256", "-TSA-certs", tsaCerts, "-TSA-key", tsaKey}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.exe")
			output(t, "osslsigncode", slices.Concat([]string{"sign", "-certs", certs, "-key", key, "-n", "named", "-i", "https://example.com/"}, test.args, []string{"-in", in, "-out", out})...)
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := verifyBytes(b, p.roots())
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !sig.Signer.Equal(p.rsa.cert) || sig.Description != "named" || sig.URL != "https://example.com/" {
				t.Errorf("%+v", sig)
			}
			if stamped := !sig.Timestamp.IsZero(); stamped != (test.name == "time stamp") {
				t.Errorf("time stamp %v", sig.Timestamp)
			}
		})
	}
}

// TestVerifyPEWindows verifies what Microsoft's own tools signed, with a time stamp
// by a public authority: a test file of golang.org/x/sys.
func TestVerifyPEWindows(t *testing.T) {
	dir := strings.TrimSpace(output(t, "go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys"))
	b, err := os.ReadFile(filepath.Join(dir, "windows", "testdata", "ev-signed-file.exe"))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := verifyBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sig.Signer.Subject.CommonName, "WireGuard LLC"; got != want {
		t.Errorf("signer %q, want %q", got, want)
	}
	if got, want := sig.Description, "Go Project EV Signing Test"; got != want {
		t.Errorf("description %q, want %q", got, want)
	}
	if got, want := sig.Timestamp, time.Date(2021, 11, 23, 17, 4, 26, 0, time.UTC); !got.Equal(want) {
		t.Errorf("time stamp %v, want %v", got, want)
	}
	b[len(b)/10] ^= 1
	if _, err := verifyBytes(b, nil); !errors.Is(err, ErrChanged) {
		t.Errorf("changed: %v", err)
	}
}

// TestVerifyPETampered changes single bytes of a signed program: each is found, but
// in the checksum, which no signature covers.
func TestVerifyPETampered(t *testing.T) {
	p := newPKI(t)
	signed := signPE(t, p.authenticode(p.rsa), newProgram(t))
	h, err := pe.ReadHeaders(bytes.NewReader(signed))
	if err != nil {
		t.Fatal(err)
	}
	offset, size := h.Directory(pe.DirectoryCertificate)
	directory, _ := h.DirectoryOffset(pe.DirectoryCertificate)
	places := []int{10, 70, h.Checksum - 1, h.Checksum + 4, len(h.Raw) + 1, int(offset) - 1, directory, directory + 4}
	for i := len(h.Raw); i < int(offset); i += int(offset) / 50 {
		places = append(places, i)
	}
	// Of the signature what says something: not the list of algorithms, and not the
	// certificate of the issuer, which is for those who ask for trust.
	table := signed[offset:]
	der, err := firstEntry(table)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMessage(der)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{m.content, m.attributes, m.signature, m.signer.PublicKey.(*rsa.PublicKey).N.Bytes()} {
		at := int(offset) + bytes.Index(table, part)
		for i := range part {
			places = append(places, at+i)
		}
	}
	for _, i := range places {
		signed[i] ^= 0x10
		if _, err := verifyBytes(signed, nil); err == nil {
			t.Errorf("byte %d changed: good", i)
		}
		signed[i] ^= 0x10
	}
	for _, test := range []struct {
		name string
		make func(b []byte) []byte
		is   error
	}{
		{"body", func(b []byte) []byte { b[offset/2] ^= 1; return b }, ErrChanged},
		{"padding", func(b []byte) []byte { b[len(b)-1] = 1; return b }, nil},
		{"appended", func(b []byte) []byte { return append(b, 0, 0, 0, 0, 0, 0, 0, 0) }, nil},
		{"cut off", func(b []byte) []byte { return b[:len(b)-8] }, nil},
		{"more in the table", func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[directory+4:], size+16)
			return append(b, make([]byte, 16)...)
		}, nil},
		{"empty table", func(b []byte) []byte {
			clear(b[directory : directory+8])
			return b
		}, ErrUnsigned},
		{"of another program", func(b []byte) []byte {
			other := append(newProgram(t), "another"...)
			other = signPE(t, p.authenticode(p.rsa), other)
			at := len(other) - int(size)
			return append(other[:at], b[offset:]...)
		}, ErrChanged},
		{"not signed", func([]byte) []byte { return newProgram(t) }, ErrUnsigned},
		{"not a program", func([]byte) []byte { return []byte("#!/bin/sh") }, pe.ErrNotPE},
	} {
		_, err := verifyBytes(test.make(bytes.Clone(signed)), nil)
		if err == nil || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.is)
		}
	}
}

func TestVerifyPETrust(t *testing.T) {
	p := newPKI(t)
	leafOnly := p.authenticode(p.rsa)
	leafOnly.Chain = leafOnly.Chain[:1]
	for _, test := range []struct {
		name   string
		a      *Authenticode
		roots  *x509.CertPool
		want   string // of the error; empty means good
		status Status
	}{
		{"good", p.authenticode(p.rsa), p.roots(), "", Good},
		{"no roots asked for", p.authenticode(p.rsa), nil, "", Good},
		{"another root", p.authenticode(p.rsa), x509.NewCertPool(), "unknown authority", UnknownKey},
		{"certificate between is missing", leafOnly, p.roots(), "unknown authority", UnknownKey},
		{"expired", p.authenticode(p.expired), p.roots(), "expired", Expired},
		{"expired, of another root", p.authenticode(p.expired), x509.NewCertPool(), "unknown authority", UnknownKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := verifyBytes(signPE(t, test.a, newProgram(t)), test.roots)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if got := StatusOf(err); got != test.status {
				t.Errorf("status %q, want %q", got, test.status)
			}
		})
	}
}

type wrongSigner struct{ crypto.Signer }

func (wrongSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 256), nil
}

func TestSignPERefuses(t *testing.T) {
	p := newPKI(t)
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := p.authenticode(p.rsa)
	b := newProgram(t)
	with := func(change func(a *Authenticode)) *Authenticode {
		a := *good
		change(&a)
		return &a
	}
	for _, test := range []struct {
		name    string
		a       *Authenticode
		program []byte
		want    string
	}{
		{"no key", &Authenticode{}, b, "a key and its certificate are needed"},
		{"another key", with(func(a *Authenticode) { a.Signer = p.ecdsa.key }), b, "is for another key"},
		{"kind of key", with(func(a *Authenticode) { a.Signer = ed }), b, "RSA or ECDSA"},
		{"use of key", p.authenticode(p.forServer), b, "not one for code signing"},
		{"signature", with(func(a *Authenticode) { a.Signer = wrongSigner{p.rsa.key} }), b, "does not fit"},
		{"URL", with(func(a *Authenticode) { a.URL = "https://ü" }), b, "ASCII"},
		{"cut off", good, b[:len(b)-1], "cut off"},
		{"not a program", good, []byte("no"), pe.ErrNotPE.Error()},
	} {
		var out bytes.Buffer
		err := test.a.SignPE(t.Context(), bytes.NewReader(test.program), int64(len(test.program)), &out)
		if err == nil || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
			t.Errorf("%s: error %v, %d bytes written, want %q", test.name, err, out.Len(), test.want)
		}
	}
}

func FuzzVerifyPE(f *testing.F) {
	p := newPKI(f)
	// Headers without sections, signed.
	b := make([]byte, 328)
	copy(b, "MZ")
	b[60] = 64
	copy(b[64:], "PE\x00\x00\x64\x86")
	b[64+20] = 240
	b[88], b[89], b[88+108] = 0x0b, 0x02, 16
	a := p.authenticode(p.ecdsa)
	var signed bytes.Buffer
	if err := a.SignPE(context.Background(), bytes.NewReader(b), int64(len(b)), &signed); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(signed.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := verifyBytes(b, nil)
		var out bytes.Buffer
		if signErr := a.SignPE(t.Context(), bytes.NewReader(b), int64(len(b)), &out); signErr == nil {
			if !errors.Is(err, ErrUnsigned) {
				t.Errorf("what could be signed was: %v", err)
			}
			if _, err := verifyBytes(out.Bytes(), p.roots()); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzVerifyMSI(f *testing.F) {
	p := newPKI(f)
	imprint := sha256.Sum256([]byte("package"))
	// Small: what is new is made smaller byte by byte, which takes the time of many
	// tries.
	a := p.authenticode(p.ecdsa)
	a.Chain = a.Chain[:1]
	sig, err := a.SignMSI(context.Background(), imprint)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sig)
	f.Fuzz(func(t *testing.T, b []byte) {
		if sig, err := VerifyMSI(b, imprint, nil); err == nil && sig.Signer == nil {
			t.Error("good, without a signer")
		}
		_, _ = parseAnswer(b, nil, nil)
	})
}
