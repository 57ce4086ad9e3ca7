package sign

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/richardlehane/mscfb"

	"github.com/vpkg/vpkg/internal/oracle"
)

// newMSI is a small package made by msibuild.
func newMSI(t testing.TB) string {
	t.Helper()
	oracle.Need(t, "msibuild")
	name := filepath.Join(t.TempDir(), "small.msi")
	file := writeFile(t, "stream", bytes.Repeat([]byte("stream "), 1000))
	output(t, "msibuild", name, "-s", "small", "vpkg tests", "x64;1033", "{00000000-0000-4000-8000-000000000001}")
	output(t, "msibuild", name, "-q", "CREATE TABLE `Property` (`Property` CHAR(72) NOT NULL, `Value` LONGCHAR NOT NULL LOCALIZABLE PRIMARY KEY `Property`)")
	output(t, "msibuild", name, "-q", "INSERT INTO `Property` (`Property`, `Value`) VALUES ('ProductName', 'small')")
	output(t, "msibuild", name, "-a", "Abc", file)
	output(t, "msibuild", name, "-a", "Abcd", file)
	return name
}

// imprintOf computes the imprint of a package as Windows does. It is the oracle of
// osslsigncode that says whether it is right.
func imprintOf(t testing.TB, name string) [sha256.Size]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := mscfb.New(f)
	if err != nil {
		t.Fatal(err)
	}
	type stream struct {
		name []byte // UTF-16, the lowest byte first
		data []byte
	}
	h := sha256.New()
	var streams []stream
	for entry, err := doc.Next(); !errors.Is(err, io.EOF); entry, err = doc.Next() {
		if err != nil {
			t.Fatal(err)
		}
		full := []rune(entry.Name)
		if entry.Initial > 0 && entry.Initial < 32 {
			full = append([]rune{rune(entry.Initial)}, full...)
		}
		if string(full) == "\x05DigitalSignature" {
			continue
		}
		var raw []byte
		for _, u := range utf16.Encode(full) {
			raw = append(raw, byte(u), byte(u>>8))
		}
		data, err := io.ReadAll(entry)
		if err != nil {
			t.Fatal(err)
		}
		if string(full) == "\x05MsiDigitalSignatureEx" {
			// The digest of names, sizes and dates, where a package has it, comes first.
			h.Write(data)
			continue
		}
		streams = append(streams, stream{raw, data})
	}
	slices.SortFunc(streams, func(a, b stream) int { return bytes.Compare(a.name, b.name) })
	for _, s := range streams {
		h.Write(s.data)
	}
	// The root's class, {000C1084-0000-0000-C000-000000000046}.
	h.Write([]byte{0x84, 0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46})
	return [sha256.Size]byte(h.Sum(nil))
}

// TestSignMSI puts a signature into a package and asks osslsigncode.
func TestSignMSI(t *testing.T) {
	oracle.Need(t, "osslsigncode")
	p := newPKI(t)
	msi := newMSI(t)
	imprint := imprintOf(t, msi)
	root := writeFile(t, "root.pem", certPEM(p.root))
	for name, id := range map[string]identity{"rsa": p.rsa, "ecdsa": p.ecdsa} {
		t.Run(name, func(t *testing.T) {
			sig, err := p.authenticode(id).SignMSI(t.Context(), imprint)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := p.authenticode(id).SignMSI(t.Context(), imprint); err != nil || !bytes.Equal(sig, again) {
				t.Errorf("two runs give different bytes, or %v", err)
			}
			out := filepath.Join(t.TempDir(), "signed.msi")
			output(t, "osslsigncode", "attach-signature", "-CAfile", root, "-sigin", writeFile(t, "sig.der", sig), "-in", msi, "-out", out)
			got := output(t, "osslsigncode", "verify", "-CAfile", root, "-in", out)
			if !strings.Contains(got, "Signature verification: ok") || strings.Contains(got, "MISMATCH") {
				t.Errorf("osslsigncode says:\n%s", got)
			}
			info, err := VerifyMSI(sig, imprintOf(t, out), p.roots())
			if err != nil {
				t.Fatal(err)
			}
			if !info.Signer.Equal(id.cert) {
				t.Errorf("signer %q", info.Signer.Subject)
			}
		})
	}
}

// TestVerifyMSIForeign verifies what osslsigncode signed, with and without the
// stream "\x05MsiDigitalSignatureEx".
func TestVerifyMSIForeign(t *testing.T) {
	oracle.Need(t, "osslsigncode")
	p := newPKI(t)
	msi := newMSI(t)
	certs := writeFile(t, "certs.pem", certPEM(p.rsa.cert, p.middle))
	key := writeFile(t, "key.pem", keyPEM(t, p.rsa.key))
	for _, args := range [][]string{nil, {"-add-msi-dse"}} {
		out := filepath.Join(t.TempDir(), "signed.msi")
		sigFile := filepath.Join(t.TempDir(), "sig.der")
		output(t, "osslsigncode", slices.Concat([]string{"sign", "-h", "sha256", "-certs", certs, "-key", key}, args, []string{"-in", msi, "-out", out})...)
		output(t, "osslsigncode", "extract-signature", "-in", out, "-out", sigFile)
		sig, err := os.ReadFile(sigFile)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyMSI(sig, imprintOf(t, out), p.roots()); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestVerifyMSITampered(t *testing.T) {
	p := newPKI(t)
	imprint := sha256.Sum256([]byte("package"))
	sig, err := p.authenticode(p.rsa).SignMSI(t.Context(), imprint)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyMSI(append(sig, 0, 0), imprint, p.roots()); err != nil {
		t.Errorf("filled up with zeros: %v", err)
	}
	if _, err := VerifyMSI(append(bytes.Clone(sig), 1), imprint, p.roots()); err == nil {
		t.Error("good with a byte behind it")
	}
	other := imprint
	other[31] ^= 1
	if _, err := VerifyMSI(sig, other, p.roots()); !errors.Is(err, ErrChanged) {
		t.Errorf("another package: %v", err)
	}
	if _, err := VerifyMSI(nil, imprint, nil); err == nil {
		t.Error("good without a signature")
	}
	// That of a program with the same digest is none of a package.
	pe, err := p.authenticode(p.rsa).sign(t.Context(), peData, imprint[:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyMSI(pe, imprint, nil); err == nil || !strings.Contains(err.Error(), "another kind of file") {
		t.Errorf("signature of a program: %v", err)
	}
}
