package msi

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// madeByWixl is a package without short names, with zlib's trees.
func madeByWixl(t *testing.T) string {
	t.Helper()
	oracle.Need(t, "wixl")
	dir := t.TempDir()
	for name, text := range map[string]string{"noise.bin": string(packagingtest.Noise(1, 100_000)), "config.txt": "a = b\n", "x.wxs": wxs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output(t, dir, "wixl", "-a", "x64", "-o", "x.msi", "x.wxs")
	return filepath.Join(dir, "x.msi")
}

func TestReadWixl(t *testing.T) {
	file := madeByWixl(t)
	p := read(t, file)
	if p.Name != "Other Product" || p.Version != "3.2.1" || p.Arch != "x64" || p.Vendor != "Someone" || p.Windows.UpgradeCode != "{87D3C9A4-4D5E-4B6F-8A7C-9B0D1E2F3A45}" {
		t.Errorf("package %+v", p)
	}
	want := "/Program Files/Other Product\n/Program Files/Other Product/data\n/Program Files/Other Product/data/noise.bin\n/ProgramData/Other\n/ProgramData/Other/config.txt"
	if got := paths(p.Layout); got != want {
		t.Errorf("layout\n%s\nwant\n%s", got, want)
	}
	e, _ := p.Layout.Lookup("/Program Files/Other Product/data/noise.bin")
	if want := packagingtest.File("", 0, packagingtest.Noise(1, 100_000)); e.SHA256 != want.SHA256 || e.Size != want.Size {
		t.Errorf("entry %+v", e)
	}
	if s := p.Windows.Services; len(s) != 1 || s[0].Name != "otherSvc" || s[0].Program != e.Path || s[0].Start != packaging.StartDemand {
		t.Errorf("services %+v", s)
	}
	found, err := contentsOf(t, file).Check(t.Context())
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
