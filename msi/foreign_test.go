package msi

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func read(t *testing.T, file string) *packaging.Package {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Format{}.Read(t.Context(), f, fi.Size(), packaging.Payload)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return p
}

func paths(l packaging.Layout) string {
	var all []string
	for i := range l {
		all = append(all, l[i].Path)
	}
	return strings.Join(all, "\n")
}

// A package that wixl made: without short names, with zlib's trees.
func TestReadWixl(t *testing.T) {
	oracle.Need(t, "wixl")
	dir := t.TempDir()
	noise := packagingtest.Noise(1, 100_000)
	for name, text := range map[string]string{"noise.bin": string(noise), "config.txt": "a = b\n", "x.wxs": wxs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output(t, dir, "wixl", "-a", "x64", "-o", "x.msi", "x.wxs")
	p := read(t, filepath.Join(dir, "x.msi"))
	if p.Name != "Other Product" || p.Version != "3.2.1" || p.Arch != "x64" || p.Vendor != "Someone" || p.Windows.UpgradeCode != "{87D3C9A4-4D5E-4B6F-8A7C-9B0D1E2F3A45}" {
		t.Errorf("package %+v", p)
	}
	want := "/Program Files/Other Product\n/Program Files/Other Product/data\n/Program Files/Other Product/data/noise.bin\n/ProgramData/Other\n/ProgramData/Other/config.txt"
	if got := paths(p.Layout); got != want {
		t.Errorf("layout\n%s\nwant\n%s", got, want)
	}
	e, _ := p.Layout.Lookup("/Program Files/Other Product/data/noise.bin")
	if want := packagingtest.File("", 0, noise); e.SHA256 != want.SHA256 || e.Size != want.Size {
		t.Errorf("entry %+v", e)
	}
	if s := p.Windows.Services; len(s) != 1 || s[0].Name != "otherSvc" || s[0].Program != e.Path || s[0].Start != packaging.StartDemand {
		t.Errorf("services %+v", s)
	}
	found, err := contentsOf(t, filepath.Join(dir, "x.msi")).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Error("nothing is found in a package without _Validation")
	}
}

const wxs = `<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="*" Name="Other Product" Version="3.2.1" Manufacturer="Someone" Language="1033" UpgradeCode="87D3C9A4-4D5E-4B6F-8A7C-9B0D1E2F3A45">
<Package InstallerVersion="500" Compressed="yes"/>
<Media Id="1" Cabinet="a.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir">
<Directory Id="ProgramFiles64Folder"><Directory Id="INSTALLDIR" Name="Other Product"><Directory Id="sub" Name="data">
<Component Id="c1" Guid="*" Win64="yes"><File Id="f1" Name="noise.bin" Source="noise.bin" KeyPath="yes"/>
<ServiceInstall Id="s" Name="otherSvc" Type="ownProcess" Start="demand" ErrorControl="normal"/></Component>
</Directory></Directory></Directory>
<Directory Id="CommonAppDataFolder"><Directory Id="d" Name="Other">
<Component Id="c2" Guid="*" Win64="yes"><File Id="f2" Name="config.txt" Source="config.txt" KeyPath="yes"/></Component>
</Directory></Directory>
</Directory>
<Feature Id="F" Level="1"><ComponentRef Id="c1"/><ComponentRef Id="c2"/></Feature>
</Product></Wix>
`

// A package that WiX made with Windows' own library.
func TestReadWindowsOwn(t *testing.T) {
	file := filepath.Join(oracle.Module(t, "github.com/sassoftware/relic/v8@v8.2.0"), "functest/packages/dummy.msi")
	p := read(t, file)
	if p.Name == "" || p.Version == "" || p.Windows.UpgradeCode == "" {
		t.Errorf("package %+v", p)
	}
	if _, err := contentsOf(t, file).Signature(t.Context(), nil); !errors.Is(err, sign.ErrUnsigned) {
		t.Errorf("signature: %v, want %v", err, sign.ErrUnsigned)
	}
}

// Of a signed package a reader says who signed it, and of one in which a bit differs
// that it was changed. The signature alone can be the same for two builds.
func TestSignature(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Tests"}, NotBefore: time.Now().Add(-time.Hour),
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
	f := Format{Signer: &sign.Authenticode{Signer: key, Chain: []*x509.Certificate{certificate}}}
	file := written(t, f, packagingtest.Small("msi", "x64", 50_000))
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
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
