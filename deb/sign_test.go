package deb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/deb/internal/ar"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/internal/sign/signtest"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func signBytes(t testing.TB, b []byte, o SignOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Sign(t.Context(), bytes.NewReader(b), int64(len(b)), &out, o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// describe gives the signatures of b, each as "origin good".
func describe(t testing.TB, b []byte, keys *sign.Keys) string {
	t.Helper()
	all, err := Signatures(t.Context(), bytes.NewReader(b), int64(len(b)), keys)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, s := range all {
		texts = append(texts, s.Role+" "+string(s.Status))
	}
	return strings.Join(texts, ", ")
}

func smallBytes(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := (Format{}).Write(t.Context(), &b, packagingtest.Small("deb", "amd64", 1001)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// debsigVerify has debsig-verify check a package by a policy that asks for a
// signature of the origin by k.
func debsigVerify(t testing.TB, b []byte, k *signtest.Key) (string, error) {
	t.Helper()
	dir := t.TempDir()
	policies, rings := filepath.Join(dir, "policies", k.ID), filepath.Join(dir, "rings", k.ID)
	var public bytes.Buffer
	if err := k.Entity.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	policy := fmt.Sprintf(`<?xml version="1.0"?>
<!DOCTYPE Policy SYSTEM "https://www.debian.org/debsig/1.0/policy.dtd">
<Policy xmlns="https://www.debian.org/debsig/1.0/">
  <Origin Name="Tests" id="%[1]s" Description="Tests"/>
  <Selection><Required Type="origin" File="key.gpg" id="%[1]s"/></Selection>
  <Verification MinOptional="0"><Required Type="origin" File="key.gpg" id="%[1]s"/></Verification>
</Policy>
`, k.ID)
	for name, content := range map[string][]byte{
		filepath.Join(policies, "tests.pol"): []byte(policy),
		filepath.Join(rings, "key.gpg"):      public.Bytes(),
		filepath.Join(dir, "x.deb"):          b,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return signtest.Try(t, "debsig-verify", "--verbose", "--policies-dir", filepath.Dir(policies), "--keyrings-dir", filepath.Dir(rings), filepath.Join(dir, "x.deb"))
}

func TestSign(t *testing.T) {
	b := smallBytes(t)
	other := signtest.New(t, "Other", signtest.Options{})
	for _, test := range []struct {
		name    string
		options signtest.Options
	}{
		{"RSA", signtest.Options{RSA: true}},
		{"Ed25519", signtest.Options{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := signtest.New(t, "Maker", test.options)
			keys := signtest.Keys(t, k)
			o := SignOptions{Key: k.Signer(t)}
			signed := signBytes(t, b, o)
			if !bytes.HasPrefix(signed, b) {
				t.Error("what was there was changed")
			}
			if !bytes.Equal(signBytes(t, b, o), signed) {
				t.Error("signing it again gives other bytes")
			}
			if _, err := (Format{}).Read(t.Context(), bytes.NewReader(signed), int64(len(signed)), packaging.Payload); err != nil {
				t.Error(err)
			}
			all, err := Signatures(t.Context(), bytes.NewReader(signed), int64(len(signed)), keys)
			if err != nil || len(all) != 1 || all[0].Role != "origin" || all[0].Status != sign.Good || all[0].Signer != k.User ||
				!all[0].Created.Equal(packagingtest.Small("deb", "amd64", 1).Date) {
				t.Errorf("signatures are %+v (%v), want a good one of the package's date by %s", all, err, k.User)
			}
			if got := describe(t, signed, signtest.Keys(t, other)); got != "origin unknown key" {
				t.Errorf("with another key it is %s", got)
			}
			if err := Sign(t.Context(), bytes.NewReader(signed), int64(len(signed)), io.Discard, o); !errors.Is(err, sign.ErrSigned) {
				t.Errorf("error %v for a signed package, want %v", err, sign.ErrSigned)
			}
			second := SignOptions{Key: other.Signer(t), Replace: true}
			if !bytes.Equal(signBytes(t, signed, second), signBytes(t, b, second)) {
				t.Error("in the place of another signature it has other bytes")
			}

			signtest.Need(t, "debsig-verify", "dpkg-deb")
			if out, err := debsigVerify(t, signed, k); err != nil || !strings.Contains(out, "Verified package from 'Tests'") {
				t.Errorf("debsig-verify says (%v)\n%s", err, out)
			}
			if out, err := debsigVerify(t, signed, other); err == nil {
				t.Errorf("with another key debsig-verify says\n%s", out)
			}
			name := filepath.Join(t.TempDir(), "x.deb")
			if err := os.WriteFile(name, signed, 0o600); err != nil {
				t.Fatal(err)
			}
			signtest.Run(t, "dpkg-deb", "--info", name)
			signtest.Run(t, "dpkg-deb", "--contents", name)
		})
	}
}

func TestSignaturesOfChanged(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{})
	keys := signtest.Keys(t, k)
	signed := signBytes(t, smallBytes(t), SignOptions{Key: k.Signer(t)})
	members, err := ar.Read(bytes.NewReader(signed), int64(len(signed)), maxArchive)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		for _, at := range []int64{m.Offset + 3, m.Offset + m.Size/2, m.Offset + m.Size - 1} {
			if m.Name == originMember && at < m.Offset+m.Size-1 {
				continue // some of it is not covered
			}
			changed := bytes.Clone(signed)
			changed[at] ^= 1
			if got := describe(t, changed, keys); got != "origin bad" {
				t.Errorf("with byte %d of %s changed: %s", at-m.Offset, m.Name, got)
			}
		}
	}
	// Members put together otherwise, each with its own content.
	build := func(names ...string) []byte {
		t.Helper()
		var b bytes.Buffer
		w := ar.NewWriter(&b)
		for _, name := range names {
			from, as, renamed := strings.Cut(name, "=")
			i := slices.IndexFunc(members, func(m ar.Member) bool { return strings.HasPrefix(m.Name, from) })
			content, err := io.ReadAll(io.NewSectionReader(members[i].Content, 0, members[i].Size))
			if err != nil {
				t.Fatal(err)
			}
			h := members[i].Header
			if renamed {
				h.Name = as
			}
			if err := w.Next(h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"debian-binary", "control", "data", "_gpgorigin"}, "origin good"},
		{[]string{"debian-binary", "_gpgorigin", "control", "data"}, "origin good"},
		{[]string{"debian-binary", "control", "data", "_gpgorigin", "_gpgorigin=_gpgmaint"}, "origin good, maint good"},
		{[]string{"debian-binary", "control", "data"}, ""},
	} {
		if got := describe(t, build(c.names...), keys); got != c.want {
			t.Errorf("%q: %q, want %q", c.names, got, c.want)
		}
	}
	// Signatures of others stay.
	b := build("debian-binary", "control", "data", "_gpgorigin", "_gpgorigin=_gpgmaint")
	other := signtest.New(t, "Other", signtest.Options{})
	b = signBytes(t, b, SignOptions{Key: other.Signer(t), Replace: true})
	if got := describe(t, b, signtest.Keys(t, other)); got != "maint unknown key, origin good" {
		t.Errorf("with the origin's replaced: %s", got)
	}
	// Of two archives dpkg takes the first, and others one by its name.
	for _, names := range [][]string{
		{"debian-binary", "control", "control=data.tar", "data", "_gpgorigin"},
		{"debian-binary", "control", "data", "_gpgorigin", "control=data.tar"},
	} {
		b := build(names...)
		if _, err := Signatures(t.Context(), bytes.NewReader(b), int64(len(b)), keys); err == nil {
			t.Errorf("%q: signatures of a package with two archives of files", names)
		}
		signtest.Need(t, "debsig-verify")
		if out, err := debsigVerify(t, b, k); err == nil {
			t.Errorf("%q: debsig-verify says\n%s", names, out)
		}
	}
}

func TestSignDetached(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{RSA: true})
	b := smallBytes(t)
	date := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	text, err := SignDetached(t.Context(), bytes.NewReader(b), int64(len(b)), SignOptions{Key: k.Signer(t), Date: date})
	if err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]sign.Status{string(b): sign.Good, string(b) + "x": sign.Bad} {
		all, err := signtest.Keys(t, k).Check(t.Context(), text, func() io.Reader { return strings.NewReader(data) })
		if err != nil || len(all) != 1 || all[0].Status != want || !all[0].Created.Equal(date) {
			t.Errorf("of %d bytes it is %+v (%v), want %s", len(data), all, err, want)
		}
	}
	signtest.GPG(t, nil, k)
	name := filepath.Join(t.TempDir(), "x.deb")
	for n, content := range map[string][]byte{name: b, name + ".asc": text} {
		if err := os.WriteFile(n, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out := signtest.Run(t, "gpg", "--batch", "--verify", name+".asc", name); !strings.Contains(out, "Good signature from \""+k.User) {
		t.Errorf("gpg says\n%s", out)
	}
}

// TestDebsigs reads what debsigs signed: with SHA-1, where the key allows it.
func TestDebsigs(t *testing.T) {
	for _, c := range []struct {
		rsa  bool
		want string
	}{
		{true, "origin weak"},
		{false, "origin good"},
	} {
		k := signtest.New(t, "Maker", signtest.Options{RSA: c.rsa})
		signtest.GPG(t, []string{"debsigs"}, k)
		name := filepath.Join(t.TempDir(), "x.deb")
		b := smallBytes(t)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		signtest.Run(t, "debsigs", "--sign=origin", "--default-key="+k.ID, name)
		signed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(t, signed, signtest.Keys(t, k)); got != c.want {
			t.Errorf("debsigs with a key of RSA (%v) made %s, want %s", c.rsa, got, c.want)
		}
		// Ours takes its place.
		if !bytes.Equal(signBytes(t, signed, SignOptions{Key: k.Signer(t), Replace: true})[:len(b)], b) {
			t.Error("what was there was changed")
		}
	}
}

func TestSignFails(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{})
	b, o := smallBytes(t), SignOptions{Key: k.Signer(t)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Sign(ctx, bytes.NewReader(b), int64(len(b)), io.Discard, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that the context is done", err)
	}
	for _, cut := range []int{0, 7, 80, len(b) - 1} {
		var fe *FormatError
		if err := Sign(t.Context(), bytes.NewReader(b[:cut]), int64(cut), io.Discard, o); !errors.As(err, &fe) {
			t.Errorf("cut off after %d bytes: error %v, want a FormatError", cut, err)
		}
	}
	for name, c := range map[string]struct {
		content string
		want    string
	}{
		"dpkg-sig": {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nVersion: 4\n", "builder unsupported"},
		"empty":    {"", "builder bad"},
		"text":     {"hello", "builder bad"},
	} {
		var more bytes.Buffer
		w := ar.NewAppender(&more)
		if err := w.Next(ar.Header{Name: "_gpgbuilder", ModTime: time.Unix(1, 0), Size: int64(len(c.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, c.content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := describe(t, slices.Concat(b, more.Bytes()), signtest.Keys(t, k)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// FuzzSign signs any package whose members can be found, and finds the signature.
func FuzzSign(f *testing.F) {
	k := signtest.New(f, "Maker", signtest.Options{})
	o := SignOptions{Key: k.Signer(f), Replace: true}
	keys := signtest.Keys(f, k)
	f.Add(foreign{}.bytes(f))
	f.Add(signBytes(f, foreign{}.bytes(f), o))
	f.Add(foreign{before: []string{"_gpgorigin"}, after: []string{"_gpgmaint", "_gpgorigin"}}.bytes(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		if Sign(t.Context(), bytes.NewReader(b), int64(len(b)), &out, o) != nil {
			return
		}
		// Large members with signatures of others are refused when they are read.
		all, err := Signatures(t.Context(), bytes.NewReader(out.Bytes()), int64(out.Len()), keys)
		if err == nil && (len(all) == 0 || all[len(all)-1].Role != "origin" || all[len(all)-1].Status != sign.Good) {
			t.Errorf("after it was signed it has %+v", all)
		}
	})
}
