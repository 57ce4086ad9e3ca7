package rpm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/internal/sign/signtest"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

func smallBytes(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := (rpm.Format{}).Write(t.Context(), &b, packagingtest.Small("rpm", "x86_64", 1000)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func signBytes(t testing.TB, b []byte, o rpm.SignOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := rpm.Sign(t.Context(), bytes.NewReader(b), int64(len(b)), &out, o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// signatures describes those of b, each as "header good".
func signatures(t testing.TB, b []byte, keys *sign.Keys) []string {
	t.Helper()
	all, err := rpm.Signatures(t.Context(), bytes.NewReader(b), int64(len(b)), keys)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, s := range all {
		what := "header"
		if s.Payload {
			what = "payload"
		}
		texts = append(texts, what+" "+string(s.Status))
	}
	return texts
}

// rpmkeys gives what rpmkeys says about a package with only one key known.
func rpmkeys(t testing.TB, b []byte, k *signtest.Key) (string, error) {
	t.Helper()
	signtest.Need(t, "rpmkeys")
	dir := t.TempDir()
	name := filepath.Join(dir, "x.rpm")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(dir, "db")
	signtest.Run(t, "rpmkeys", "--dbpath", db, "--import", k.Public)
	return signtest.Try(t, "rpmkeys", "--dbpath", db, "-Kv", name)
}

// headersEnd is where the main header starts in a small package.
const headersEnd = 96 + 16 + 7*16 + 4276 + 4

func TestSignOpenPGP(t *testing.T) {
	b := smallBytes(t)
	other := signtest.New(t, "Other", signtest.Options{})
	for _, test := range []struct {
		name, algorithm string
		options         signtest.Options
	}{
		{"RSA", "RSA", signtest.Options{RSA: true}},
		{"Ed25519", "EdDSA", signtest.Options{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := signtest.New(t, "Maker", test.options)
			o := rpm.SignOptions{Key: k.Signer(t)}
			signed := signBytes(t, b, o)
			if len(signed) != len(b) || !bytes.Equal(signed[:96], b[:96]) || !bytes.Equal(signed[headersEnd:], b[headersEnd:]) {
				t.Error("lead, header or payload were moved or changed")
			}
			if !bytes.Equal(signBytes(t, b, o), signed) {
				t.Error("signing it again gives other bytes")
			}
			if _, err := (rpm.Format{}).Read(t.Context(), bytes.NewReader(signed), int64(len(signed)), packaging.Payload); err != nil {
				t.Error(err)
			}
			all, err := rpm.Signatures(t.Context(), bytes.NewReader(signed), int64(len(signed)), signtest.Keys(t, k))
			want := rpm.Signature{OpenPGPSignature: sign.OpenPGPSignature{
				Status: sign.Good, Signer: k.User, KeyID: k.ID, Algorithm: test.algorithm + "/SHA256",
				Created: packagingtest.Small("rpm", "x86_64", 1).Date,
			}}
			if err != nil || len(all) != 1 || all[0] != want {
				t.Errorf("signatures are %+v (%v), want %+v", all, err, want)
			}
			if got := fmt.Sprint(signatures(t, signed, signtest.Keys(t, other))); got != "[header unknown key]" {
				t.Errorf("with another key it is %s", got)
			}

			// Of another key, in its place: as if it had been the first.
			if err := rpm.Sign(t.Context(), bytes.NewReader(signed), int64(len(signed)), io.Discard, o); !errors.Is(err, sign.ErrSigned) {
				t.Errorf("error %v for a signed package, want %v", err, sign.ErrSigned)
			}
			second := rpm.SignOptions{Key: other.Signer(t), Replace: true}
			if !bytes.Equal(signBytes(t, signed, second), signBytes(t, b, second)) {
				t.Error("in the place of another signature it has other bytes")
			}

			id := strings.ToLower(k.ID[8:])
			out, err := rpmkeys(t, signed, k)
			if want := fmt.Sprintf("Header V4 %s/SHA256 Signature, key ID %s: OK", test.algorithm, id); err != nil || !strings.Contains(out, want) {
				t.Errorf("rpmkeys says (%v)\n%swant %s", err, out, want)
			}
			if out, err := rpmkeys(t, signed, other); err == nil || !strings.Contains(out, "NOKEY") {
				t.Errorf("with another key rpmkeys says (%v)\n%s", err, out)
			}

			o.Legacy = true
			legacy := signBytes(t, b, o)
			if len(legacy) != len(b) || !bytes.Equal(legacy[headersEnd:], b[headersEnd:]) {
				t.Error("with two signatures, header or payload were moved or changed")
			}
			if got := fmt.Sprint(signatures(t, legacy, signtest.Keys(t, k))); got != "[header good payload good]" {
				t.Errorf("with the legacy signature it is %s", got)
			}
			out, err = rpmkeys(t, legacy, k)
			if want := fmt.Sprintf("    V4 %s/SHA256 Signature, key ID %s: OK", test.algorithm, id); err != nil || !strings.Contains(out, want) {
				t.Errorf("rpmkeys says (%v)\n%swant %s", err, out, want)
			}
		})
	}
}

func TestSignDate(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{})
	b, date := smallBytes(t), time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	signed := signBytes(t, b, rpm.SignOptions{Key: k.Signer(t), Date: date})
	all, err := rpm.Signatures(t.Context(), bytes.NewReader(signed), int64(len(signed)), signtest.Keys(t, k))
	if err != nil || len(all) != 1 || !all[0].Created.Equal(date) {
		t.Errorf("signatures are %+v (%v), want one of %v", all, err, date)
	}
}

// TestSignForeign signs what many rpmbuilds made, in the place of older signatures,
// with and without reserved space, with and without a digest of the payload.
func TestSignForeign(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{RSA: true})
	for _, name := range foreignRPMs(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			signed := signBytes(t, b, rpm.SignOptions{Key: k.Signer(t), Replace: true})
			if _, err := (rpm.Format{}).Read(t.Context(), bytes.NewReader(signed), int64(len(signed)), packaging.Payload); err != nil {
				t.Error(err)
			}
			got := fmt.Sprint(signatures(t, signed, signtest.Keys(t, k)))
			if got != "[header good]" && got != "[header good payload good]" {
				t.Errorf("its signatures are %s", got)
			}
			if strings.HasPrefix(filepath.Base(name), "centos-") != strings.Contains(got, "payload") && !strings.HasPrefix(filepath.Base(name), "epel") && !strings.HasPrefix(filepath.Base(name), "simple") {
				t.Errorf("its signatures are %s: one of the payload is for packages of before rpm 4.14", got)
			}
			if out, err := rpmkeys(t, signed, k); err != nil {
				t.Errorf("rpmkeys: %v\n%s", err, out)
			}
		})
	}
}

// TestForeignSignatures compares with what rpm 4.18 says; it does not take the keys
// of the first four.
func TestForeignSignatures(t *testing.T) {
	keys := map[string]*sign.Keys{}
	want := map[string]string{
		"centos-release-as-2.1AS-4.noarch.rpm":               "2 [payload expired]",
		"centos-release-3.1-1.i386.rpm":                      "3 [header expired payload expired]",
		"centos-release-4-0.1.x86_64.rpm":                    "4 [header expired payload expired]",
		"centos-release-5-0.0.el5.centos.2.i386.rpm":         "5 [header expired payload expired]",
		"centos-release-6-0.el6.centos.5.x86_64.rpm":         "6 [header expired payload expired]",
		"centos-release-7-2.1511.el7.centos.2.10.x86_64.rpm": "7 [header good payload good]",
		"epel-release-7-5.noarch.rpm":                        "7 [header good payload good]",
	}
	found := 0
	for _, name := range foreignRPMs(t) {
		text, ok := want[filepath.Base(name)]
		if !ok {
			continue
		}
		found++
		release, want, _ := strings.Cut(text, " ")
		if keys[release] == nil {
			var err error
			if keys[release], err = sign.LoadKeys(filepath.Join(filepath.Dir(name), "RPM-GPG-KEY-CentOS-"+release)); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(signatures(t, b, keys[release])); got != want {
			t.Errorf("%s: %s, want %s", filepath.Base(name), got, want)
		}
		// In another payload, nothing is right.
		b[len(b)-100] ^= 1
		for _, s := range signatures(t, b, keys[release]) {
			if strings.HasPrefix(s, "payload") && s != "payload bad" {
				t.Errorf("%s with another payload: %s", filepath.Base(name), s)
			}
		}
	}
	if found != len(want) {
		t.Errorf("%d of %d packages are there", found, len(want))
	}
}

// TestRPMSign reads what rpmsign signed.
func TestRPMSign(t *testing.T) {
	for _, rsa := range []bool{true, false} {
		k := signtest.New(t, "Maker", signtest.Options{RSA: rsa})
		signtest.GPG(t, []string{"rpmsign"}, k)
		gpg, err := exec.LookPath("gpg")
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "x.rpm")
		for _, args := range [][]string{nil, {"--rpmv3"}} {
			if err := os.WriteFile(name, smallBytes(t), 0o600); err != nil {
				t.Fatal(err)
			}
			signtest.Run(t, "rpmsign", append(args, "--define", "__gpg "+gpg, "--define", "_gpg_name "+k.ID, "--addsign", name)...)
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want := "[header good]"
			if args != nil {
				want = "[header good payload good]"
			}
			if got := fmt.Sprint(signatures(t, b, signtest.Keys(t, k))); got != want {
				t.Errorf("rpmsign %q made %s, want %s", args, got, want)
			}
		}
	}
}

type fullWriter struct{ left int }

var errFull = errors.New("no space left")

func (w *fullWriter) Write(p []byte) (int, error) {
	if w.left < len(p) {
		return 0, errFull
	}
	w.left -= len(p)
	return len(p), nil
}

func TestSignFails(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{})
	b, o := smallBytes(t), rpm.SignOptions{Key: k.Signer(t)}
	for _, n := range []int{0, 200, len(b) - 1} {
		if err := rpm.Sign(t.Context(), bytes.NewReader(b), int64(len(b)), &fullWriter{n}, o); !errors.Is(err, errFull) {
			t.Errorf("error %v, want %v", err, errFull)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rpm.Sign(ctx, bytes.NewReader(b), int64(len(b)), io.Discard, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that the context is done", err)
	}
	// No damaged package is signed, wherever it is damaged.
	for _, at := range []int{0, 200, headersEnd + 100, len(b) - 1} {
		damaged := bytes.Clone(b)
		damaged[at] ^= 1
		var fe *rpm.FormatError
		if err := rpm.Sign(t.Context(), bytes.NewReader(damaged), int64(len(b)), io.Discard, o); !errors.As(err, &fe) {
			t.Errorf("with byte %d changed: error %v, want a FormatError", at, err)
		}
	}
}

// FuzzSign has signature headers of any kind before a header and a payload that are
// right. Where they can be read the package can be signed, and has that signature.
func FuzzSign(f *testing.F) {
	k := signtest.New(f, "Maker", signtest.Options{})
	o := rpm.SignOptions{Key: k.Signer(f), Replace: true}
	keys := signtest.Keys(f, k)
	b := smallBytes(f)
	f.Add(b[96:headersEnd])
	f.Add(signBytes(f, b, rpm.SignOptions{Key: k.Signer(f), Legacy: true})[96:headersEnd])
	f.Fuzz(func(t *testing.T, signature []byte) {
		file := append(bytes.Clone(b[:96]), signature...)
		file = append(file, make([]byte, -len(file)&7)...)
		file = append(file, b[headersEnd:]...)
		size := int64(len(file))
		all, err := rpm.Signatures(t.Context(), bytes.NewReader(file), size, keys)
		if err == nil && len(all) > 32+16 { // the last entry may have 16
			t.Errorf("%d signatures", len(all))
		}
		var out bytes.Buffer
		if rpm.Sign(t.Context(), bytes.NewReader(file), size, &out, o) != nil {
			return
		}
		if got := fmt.Sprint(signatures(t, out.Bytes(), keys)); got != "[header good]" {
			t.Errorf("after it was signed it has %s", got)
		}
		if !bytes.HasSuffix(out.Bytes(), b[headersEnd:]) {
			t.Error("header or payload were changed")
		}
	})
}
