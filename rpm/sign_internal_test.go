package rpm

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/internal/sign/signtest"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// rebuilt gives a package anew with its headers changed, and the digests of the main
// header as they should be then.
func rebuilt(t testing.TB, b []byte, change func(signature, main *header)) []byte {
	t.Helper()
	f, err := open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	s, m := mustWhole(t, f.signature), mustWhole(t, f.main)
	change(&s, &m)
	raw := m.encode(tagRegionImmutable)
	sum := sha1.Sum(raw)
	s = slices.DeleteFunc(s, func(e entry) bool { return e.tag == sigSHA1 || e.tag == sigSHA256 || e.tag == sigSize })
	s.addString(sigSHA1, hex.EncodeToString(sum[:]))
	s.addString(sigSHA256, hexSHA256(raw))
	payload := b[f.main.end():]
	s.addUint32s(sigSize, uint32(len(raw)+len(payload)))
	out := append(bytes.Clone(b[:leadSize]), s.encode(tagRegionSignatures)...)
	out = append(out, make([]byte, -len(out)&7)...)
	return append(append(out, raw...), payload...)
}

func without(h *header, tags ...tag) {
	*h = slices.DeleteFunc(*h, func(e entry) bool { return slices.Contains(tags, e.tag) })
}

func describe(t testing.TB, b []byte, keys *sign.Keys) string {
	t.Helper()
	all, err := Signatures(t.Context(), bytes.NewReader(b), int64(len(b)), keys)
	if err != nil {
		return err.Error()
	}
	var texts []string
	for _, s := range all {
		texts = append(texts, fmt.Sprintf("payload %v %s", s.Payload, s.Status))
	}
	return strings.Join(texts, ", ")
}

func TestSignaturesOfChanged(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{})
	keys := signtest.Keys(t, k)
	var unsigned bytes.Buffer
	if _, err := (Format{}).Write(t.Context(), &unsigned, packagingtest.Small("rpm", "x86_64", 1000)); err != nil {
		t.Fatal(err)
	}
	signed := func(b []byte, o SignOptions) []byte {
		t.Helper()
		var out bytes.Buffer
		o.Key = k.Signer(t)
		if err := Sign(t.Context(), bytes.NewReader(b), int64(len(b)), &out, o); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	b := unsigned.Bytes()
	both := signed(b, SignOptions{Legacy: true})
	const good = "payload false good"

	// What only stands elsewhere is good still.
	if got := describe(t, rebuilt(t, both, func(_, _ *header) {}), keys); got != good+", payload true good" {
		t.Errorf("as it was: %s", got)
	}
	if got := describe(t, rebuilt(t, both, func(_, m *header) { m.addString(tagVendor, "Evil") }), keys); got != "payload false bad, payload true bad" {
		t.Errorf("with another header: %s", got)
	}
	changed := bytes.Clone(both)
	changed[len(changed)-1] ^= 1
	if got := describe(t, changed, keys); got != good+", payload true bad" {
		t.Errorf("with another payload: %s", got)
	}
	other := rebuilt(t, both, func(s, _ *header) {
		for i, e := range *s {
			if e.tag.isOpenPGP() {
				(*s)[i].data = bytes.Clone(e.data)
				(*s)[i].data[len(e.data)-1] ^= 1
			}
		}
	})
	if got := describe(t, other, keys); got != "payload false bad, payload true bad" {
		t.Errorf("with other signatures: %s", got)
	}
	// A signature of the header does not do for that of both.
	swapped := rebuilt(t, both, func(s, _ *header) {
		i := slices.IndexFunc(*s, func(e entry) bool { return e.tag == sigDSA })
		j := slices.IndexFunc(*s, func(e entry) bool { return e.tag == sigGPG })
		(*s)[j].data, (*s)[j].count = (*s)[i].data, (*s)[i].count
	})
	if got := describe(t, swapped, keys); got != good+", payload true bad" {
		t.Errorf("with one signature twice: %s", got)
	}

	// Too little space, and none: the file grows.
	for _, space := range []int{0, 10, 100, 144, 145, 4096} {
		small := rebuilt(t, b, func(s, _ *header) {
			without(s, sigReservedSpace)
			if space > 0 {
				s.addBytes(sigReservedSpace, make([]byte, space))
			}
		})
		got := signed(small, SignOptions{})
		if describe(t, got, keys) != good {
			t.Errorf("with %d bytes of space: %s", space, describe(t, got, keys))
		}
		if grown := len(got) - len(small); space == 4096 && grown != 0 || space == 0 && grown <= 0 || grown < 0 {
			t.Errorf("with %d bytes of space it grows by %d", space, grown)
		}
		if !bytes.Equal(got[mustOpen(t, got).main.offset:], small[mustOpen(t, small).main.offset:]) {
			t.Errorf("with %d bytes of space header or payload were changed", space)
		}
	}

	// Before rpm 4.14 the header had no digest of the payload.
	old := rebuilt(t, b, func(_, m *header) { without(m, tagPayloadDigest, tagPayloadDigestAlgo, tagPayloadDigestAlt) })
	err := Sign(t.Context(), bytes.NewReader(old), int64(len(old)), io.Discard, SignOptions{Key: k.Signer(t)})
	if err == nil || !strings.Contains(err.Error(), "payload has digest") { // its MD5 sum is of the other header
		t.Errorf("with another MD5 sum: error %v", err)
	}
	none := rebuilt(t, old, func(s, _ *header) { without(s, sigMD5) })
	err = Sign(t.Context(), bytes.NewReader(none), int64(len(none)), io.Discard, SignOptions{Key: k.Signer(t)})
	if err == nil || !strings.Contains(err.Error(), "no digest of its payload") {
		t.Errorf("without a digest of the payload: error %v", err)
	}
}

// TestSignRPM6 signs packages of rpm 6.1, one with two signatures of rpmsign's.
func TestSignRPM6(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{})
	keys := signtest.Keys(t, k)
	for name, want := range map[string]string{
		"zstd":    "",
		"nofiles": "",
		"signed":  "payload false unknown key, payload false unknown key",
	} {
		b, err := os.ReadFile("testdata/v6/" + name + ".rpm")
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(t, b, keys); got != want {
			t.Errorf("%s: signatures are %q, want %q", name, got, want)
		}
		var out bytes.Buffer
		o := SignOptions{Key: k.Signer(t), Replace: name == "signed"}
		if err := Sign(t.Context(), bytes.NewReader(b), int64(len(b)), &out, o); err != nil {
			t.Fatal(err)
		}
		if got := describe(t, out.Bytes(), keys); got != "payload false good" || out.Len() != len(b) {
			t.Errorf("%s: signed it has %q and %d bytes, want a good signature and %d", name, got, out.Len(), len(b))
		}
		if _, err := (Format{}).Read(t.Context(), bytes.NewReader(out.Bytes()), int64(out.Len()), packaging.Payload); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSignV6 has a header of rpm 6, whose signatures stand elsewhere.
func TestSignV6(t *testing.T) {
	k := signtest.New(t, "Maker", signtest.Options{RSA: true})
	keys := signtest.Keys(t, k)
	var unsigned, out bytes.Buffer
	if _, err := (Format{}).Write(t.Context(), &unsigned, packagingtest.Small("rpm", "x86_64", 1000)); err != nil {
		t.Fatal(err)
	}
	b := rebuilt(t, unsigned.Bytes(), func(s, m *header) {
		m.addUint32s(tagRPMFormat, 6)
		without(s, sigReservedSpace, sigMD5)
		s.addBytes(sigReserved, make([]byte, 1000))
	})
	if err := Sign(t.Context(), bytes.NewReader(b), int64(len(b)), &out, SignOptions{Key: k.Signer(t), Legacy: true}); err != nil {
		t.Fatal(err)
	}
	if out.Len() != len(b) {
		t.Errorf("it has %d bytes, want %d as before", out.Len(), len(b))
	}
	var tags []tag
	for _, e := range mustOpen(t, out.Bytes()).signature.header {
		if e.tag.isOpenPGP() {
			tags = append(tags, e.tag)
		}
	}
	if len(tags) != 1 || tags[0] != sigOpenPGP {
		t.Errorf("signatures are in %v, want %d alone", tags, sigOpenPGP)
	}
	if got := describe(t, out.Bytes(), keys); got != "payload false good" {
		t.Errorf("signatures: %s", got)
	}
	for name, c := range map[string]struct {
		values []string
		want   string
	}{
		"not base64": {[]string{"?"}, "signature is not base64"},
		"nothing":    {[]string{""}, "payload false bad"},
		"many":       {make([]string, maxSignatures+1), "33 signatures, want at most 32"},
	} {
		bad := rebuilt(t, b, func(s, _ *header) { s.addStrings(sigOpenPGP, c.values) })
		if got := describe(t, bad, keys); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	bad := rebuilt(t, b, func(s, _ *header) { s.addString(sigRSA, "x") })
	if got := describe(t, bad, keys); !strings.Contains(got, "tag 268: type 6 is not binary data") {
		t.Errorf("a string as signature: %s", got)
	}
	bad = rebuilt(t, b, func(s, _ *header) {
		for range maxSignatures + 1 {
			s.addBytes(sigRSA, []byte("x"))
		}
	})
	if got := describe(t, bad, keys); !strings.Contains(got, "more than 32 signatures") {
		t.Errorf("many signatures: %s", got)
	}
}
