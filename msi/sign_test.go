package msi

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/msi/internal/cfb"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// newSigner has a key of its own, and a certificate by itself.
func newSigner(t *testing.T, name string) *sign.Authenticode {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &sign.Authenticode{Signer: key, Chain: []*x509.Certificate{certificate}}
}

func rootsOf(a *sign.Authenticode) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(a.Chain[0])
	return roots
}

// Of a signed package a reader says who signed it, and of one in which a bit differs
// that it was changed. The signature alone can be the same for two builds.
func TestSignature(t *testing.T) {
	by := newSigner(t, "Tests")
	f := Format{Signer: by}
	file := written(t, f, packagingtest.Small("msi", "x64", 50_000))
	roots := rootsOf(by)
	s, err := contentsOf(t, file).Signature(t.Context(), roots)
	if err != nil || s.Signer.Subject.CommonName != "Tests" {
		t.Fatalf("signature %+v, %v", s, err)
	}
	if _, err := contentsOf(t, file).Signature(t.Context(), x509.NewCertPool()); err == nil {
		t.Error("a stranger's signature is good")
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(whole) / 4; i < len(whole)/2; i += 5000 { // in the cabinet
		whole[i] ^= 1
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := contentsOf(t, file).Signature(t.Context(), roots); !errors.Is(err, sign.ErrChanged) {
			t.Errorf("with a bit of byte %d changed: %v, want %v", i, err, sign.ErrChanged)
		}
		whole[i] ^= 1
	}
}

// signed signs a package in a file and gives the file that comes of it.
func signed(t *testing.T, file string, o SignOptions) (string, error) {
	t.Helper()
	in, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Sign(t.Context(), bytes.NewReader(in), int64(len(in)), &b, o); err != nil {
		if b.Len() > 0 {
			t.Errorf("%d bytes are written, and then: %v", b.Len(), err)
		}
		return "", err
	}
	out := filepath.Join(t.TempDir(), "signed.msi")
	if err := os.WriteFile(out, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return out, nil
}

// streamsOf are the streams of a package but for a signature's, with their content.
func streamsOf(t *testing.T, file string) (cfb.Root, []string) {
	t.Helper()
	c := contentsOf(t, file)
	var all []string
	for _, s := range unsigned(c.db.File.Streams) {
		b, err := readStream(&s, s.Size)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d %d %d %d\x00%s", s.Name, s.State, s.Created, s.Modified, b))
	}
	return c.db.File.Root, all
}

// Packages of every maker are signed, and signed anew.
func TestSign(t *testing.T) {
	a, b := newSigner(t, "One"), newSigner(t, "Two")
	for _, maker := range []struct {
		name string
		file func(t *testing.T) string
	}{
		{"vpkg", func(t *testing.T) string { return written(t, Format{}, packagingtest.Small("msi", "x64", 50_000)) }},
		{"wixl", madeByWixl},
		{"msibuild", madeByMsibuild},
		{"Windows", func(t *testing.T) string {
			return filepath.Join(oracle.Module(t, "github.com/sassoftware/relic/v8@v8.2.0"), "functest/packages/dummy.msi")
		}},
	} {
		t.Run(maker.name, func(t *testing.T) {
			file := maker.file(t)
			root, want := streamsOf(t, file)
			first, err := signed(t, file, SignOptions{Signer: a})
			if err != nil {
				t.Fatal(err)
			}
			checkSigned(t, first, a)
			if gotRoot, got := streamsOf(t, first); gotRoot != root || !slices.Equal(got, want) {
				t.Error("what the package has besides is another")
			}
			if _, err := signed(t, first, SignOptions{Signer: b}); !errors.Is(err, sign.ErrSigned) {
				t.Errorf("a signed one: %v, want %v", err, sign.ErrSigned)
			}
			second, err := signed(t, first, SignOptions{Signer: b, Replace: true})
			if err != nil {
				t.Fatal(err)
			}
			checkSigned(t, second, b)
			if _, err := contentsOf(t, second).Signature(t.Context(), rootsOf(a)); err == nil {
				t.Error("the older signature is still good")
			}
			again, err := signed(t, second, SignOptions{Signer: a, Replace: true})
			if err != nil {
				t.Fatal(err)
			}
			if !sameFile(t, again, first) {
				t.Error("the same signer makes another file of a file that was signed in between")
			}
		})
	}
}

// A package is the same whether it is signed when it is written or later.
func TestSignIsWrite(t *testing.T) {
	a := newSigner(t, "Tests")
	p := packagingtest.Rich("msi", "x64")
	got, err := signed(t, written(t, Format{}, p), SignOptions{Signer: a})
	if err != nil {
		t.Fatal(err)
	}
	if !sameFile(t, got, written(t, Format{Signer: a}, p)) {
		t.Error("the files differ")
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

// checkSigned has our reader and osslsigncode check a signature.
func checkSigned(t *testing.T, file string, by *sign.Authenticode) {
	t.Helper()
	s, err := contentsOf(t, file).Signature(t.Context(), rootsOf(by))
	if err != nil || !s.Signer.Equal(by.Chain[0]) {
		t.Fatalf("signature %+v, %v", s, err)
	}
	oracle.Need(t, "osslsigncode", "msiinfo")
	dir := t.TempDir()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: by.Chain[0].Raw})
	if err := os.WriteFile(filepath.Join(dir, "root.pem"), root, 0o600); err != nil {
		t.Fatal(err)
	}
	said := output(t, dir, "osslsigncode", "verify", "-CAfile", "root.pem", "-in", file)
	if !strings.Contains(said, "Signature verification: ok") || strings.Contains(said, "MISMATCH") || !strings.Contains(said, by.Chain[0].Subject.CommonName) {
		t.Errorf("osslsigncode says:\n%s", said)
	}
	if said := output(t, dir, "msiinfo", "tables", file); !strings.Contains(said, "Property\n") {
		t.Errorf("msiinfo lists the tables\n%s", said)
	}
}

func madeByMsibuild(t *testing.T) string {
	t.Helper()
	oracle.Need(t, "msibuild")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stream"), packagingtest.Noise(1, 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, dir, "msibuild", "x.msi", "-s", "small", "vpkg tests", "x64;1033", "{00000000-0000-4000-8000-000000000001}")
	output(t, dir, "msibuild", "x.msi", "-q", "CREATE TABLE `Property` (`Property` CHAR(72) NOT NULL, `Value` LONGCHAR NOT NULL LOCALIZABLE PRIMARY KEY `Property`)")
	output(t, dir, "msibuild", "x.msi", "-q", "INSERT INTO `Property` (`Property`, `Value`) VALUES ('ProductName', 'small')")
	output(t, dir, "msibuild", "x.msi", "-a", "Binary.large", "stream")
	return filepath.Join(dir, "x.msi")
}

// What is inside a storage is not read, and so there is no signature of it.
func TestSignStorages(t *testing.T) {
	a := newSigner(t, "Tests")
	for _, f := range []Format{{}, {Signer: a}} {
		b, err := os.ReadFile(written(t, f, packagingtest.Small("msi", "x64", 10)))
		if err != nil {
			t.Fatal(err)
		}
		file, err := cfb.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		cabinet := slices.IndexFunc(file.Streams, func(s cfb.Stream) bool {
			start, err := readStream(&s, s.Size)
			return err == nil && bytes.HasPrefix(start, []byte("MSCF"))
		})
		directory := 512 * (1 + int(binary.LittleEndian.Uint32(b[48:])))
		b[directory+128*int(file.Streams[cabinet].Entry)+66] = 1 // a storage
		if err := Sign(t.Context(), bytes.NewReader(b), int64(len(b)), io.Discard, SignOptions{Signer: a, Replace: true}); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("signing: %v", err)
		}
		c, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		want := sign.ErrUnsigned
		if f.Signer != nil {
			want = errors.ErrUnsupported
		}
		if _, err := c.Signature(t.Context(), nil); !errors.Is(err, want) {
			t.Errorf("checking: %v, want %v", err, want)
		}
	}
}

// What is damaged so that it is no package is not signed.
func TestSignDamaged(t *testing.T) {
	b, err := os.ReadFile(written(t, Format{}, packagingtest.Small("msi", "x64", 10)))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 512, len(b) - 512} {
		if err := Sign(t.Context(), bytes.NewReader(b[:n]), int64(n), io.Discard, SignOptions{Signer: newSigner(t, "Tests")}); err == nil {
			t.Errorf("the first %d bytes are signed", n)
		}
	}
}

// A large package is signed in as much memory as a small one.
func TestSignLarge(t *testing.T) {
	small, err := os.ReadFile(written(t, Format{}, packagingtest.Small("msi", "x64", 10)))
	if err != nil {
		t.Fatal(err)
	}
	file, err := cfb.Open(bytes.NewReader(small), int64(len(small)))
	if err != nil {
		t.Fatal(err)
	}
	a := newSigner(t, "Tests")
	const size = 500 << 20
	used := make(map[int64]uint64) // bytes allocated, by the size of a stream
	for _, n := range []int64{5000, size} {
		large := new(beginning)
		streams := append(slices.Clone(file.Streams), cfb.Stream{
			Name: utf16.Encode([]rune("large.cab")), Size: n,
			Open: func() (io.ReadCloser, error) { return io.NopCloser(io.LimitReader(zeros{}, n)), nil },
		})
		if err := cfb.Write(large, file.Root, streams); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := Sign(t.Context(), large, large.size, io.Discard, SignOptions{Signer: a}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		used[n] = after.TotalAlloc - before.TotalAlloc
	}
	if used[size] > used[5000]+1<<20 {
		t.Errorf("%d bytes were allocated for one of 500 MB, %d for a small one", used[size], used[5000])
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// A beginning keeps the first 16 MiB that are written to it. The rest is zeros.
type beginning struct {
	kept []byte
	size int64
}

func (f *beginning) Write(b []byte) (int, error) {
	f.size += int64(len(b))
	f.kept = append(f.kept, b[:min(len(b), 16<<20-len(f.kept))]...)
	return len(b), nil
}

func (f *beginning) ReadAt(b []byte, at int64) (int, error) {
	n := int(min(int64(len(b)), f.size-at))
	clear(b[:n])
	if at < int64(len(f.kept)) {
		copy(b[:n], f.kept[at:])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// A signer that fails is told of, and nothing is written.
func TestSignerFails(t *testing.T) {
	dir := t.TempDir()
	_, err := packaging.Build(t.Context(), dir, packagingtest.Small("msi", "x64", 10), Format{Signer: failingSigner{}})
	if err == nil || !strings.Contains(err.Error(), "signing: no card") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

type failingSigner struct{}

func (failingSigner) SignMSI(context.Context, [32]byte) ([]byte, error) {
	return nil, errors.New("no card")
}
