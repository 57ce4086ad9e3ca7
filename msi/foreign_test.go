package msi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/msi/internal/msidb"
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

// Settings are read in the form in which a manifest has them.
func TestReadSettings(t *testing.T) {
	p := packagingtest.Rich("msi", "x64")
	got := read(t, written(t, Format{}, p)).Windows
	wantRegistry := []packaging.RegistryValue{p.Windows.Registry[3], p.Windows.Registry[2], p.Windows.Registry[0], p.Windows.Registry[1]}
	if !slices.Equal(got.Registry, wantRegistry) {
		t.Errorf("registry %+v, want %+v", got.Registry, wantRegistry)
	}
	wantEnvironment := []packaging.EnvironmentVariable{{Name: "CONFORMANCE", Value: "1", Action: "set"}, p.Windows.Environment[0]}
	if !slices.Equal(got.Environment, wantEnvironment) {
		t.Errorf("environment %+v, want %+v", got.Environment, wantEnvironment)
	}
	if got.Program != p.Windows.Program || got.Data != p.Windows.Data {
		t.Errorf("folders %q and %q", got.Program, got.Data)
	}
}

// Settings of another maker may be of kinds that a manifest has not.
func TestReadForeignSettings(t *testing.T) {
	oracle.Need(t, "wixl", "msibuild")
	dir := t.TempDir()
	settings := `<Component Id="c3" Guid="*" Win64="yes"><CreateFolder/>
<RegistryValue Root="HKLM" Key="Software\Other" Type="string" Value="default" KeyPath="yes"/>
</Component>
<Component Id="c2"`
	text := strings.Replace(strings.Replace(wxs, `<Component Id="c2"`, settings, 1), `<ComponentRef Id="c2"/>`, `<ComponentRef Id="c2"/><ComponentRef Id="c3"/>`, 1)
	for name, text := range map[string]string{"noise.bin": "x", "config.txt": "a = b\n", "x.wxs": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output(t, dir, "wixl", "-a", "x64", "-o", "x.msi", "x.wxs")
	output(t, dir, "msibuild", "x.msi", "-q", "CREATE TABLE `Environment` (`Environment` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL LOCALIZABLE, `Value` CHAR(255) LOCALIZABLE, `Component_` CHAR(72) NOT NULL PRIMARY KEY `Environment`)")
	for i, row := range []string{"2, 'Software\\Other', 'binary', '#x0aff'", "2, 'Software\\Other', 'hash', '##1'", "2, 'Software\\Other', 'list', '[~]a[~]b[~]'", "2, 'Software\\Other', 'number', '#7'", "2, 'Software\\Other', 'path', '#%%windir%'", "1, 'Software\\Other', 'user', 'x'"} {
		output(t, dir, "msibuild", "x.msi", "-q", fmt.Sprintf("INSERT INTO `Registry` (`Registry`, `Root`, `Key`, `Name`, `Value`, `Component_`) VALUES ('r%d', %s, 'c3')", i, row))
	}
	for i, row := range []string{"'=-*OTHER', 'v'", "'*=-PATH', '[~];p'", "'*-=INCLUDE', 'i;[~]'", "'=-MINE', 'm'", "'!*GONE', ''"} {
		output(t, dir, "msibuild", "x.msi", "-q", fmt.Sprintf("INSERT INTO `Environment` (`Environment`, `Name`, `Value`, `Component_`) VALUES ('e%d', %s, 'c3')", i, row))
	}
	got := read(t, filepath.Join(dir, "x.msi")).Windows
	wantRegistry := []packaging.RegistryValue{
		{Key: `HKCU\Software\Other`, Name: "user", Type: "string", Value: "x"},
		{Key: `Software\Other`, Type: "string", Value: "default"},
		{Key: `Software\Other`, Name: "binary", Type: "binary", Value: "0aff"},
		{Key: `Software\Other`, Name: "hash", Type: "string", Value: "#1"},
		{Key: `Software\Other`, Name: "list", Type: "multi", Value: "a\nb"},
		{Key: `Software\Other`, Name: "number", Type: "dword", Value: "7"},
		{Key: `Software\Other`, Name: "path", Type: "expand", Value: "%windir%"},
	}
	if !slices.Equal(got.Registry, wantRegistry) {
		t.Errorf("registry %+v, want %+v", got.Registry, wantRegistry)
	}
	wantEnvironment := []packaging.EnvironmentVariable{
		{Name: "!*GONE", Action: "set"},
		{Name: "=-MINE", Value: "m", Action: "set"},
		{Name: "INCLUDE", Value: "i", Action: "prepend"},
		{Name: "OTHER", Value: "v", Action: "set"},
		{Name: "PATH", Value: "p", Action: "append"},
	}
	if !slices.Equal(got.Environment, wantEnvironment) {
		t.Errorf("environment %+v, want %+v", got.Environment, wantEnvironment)
	}
}

// A row of the registry that is about strings that are there already, or about the key.
func TestRegistryValue(t *testing.T) {
	for _, tt := range []struct {
		row  []any
		want packaging.RegistryValue
	}{
		{[]any{"r", 2, "K", "n", "[~]a", "c"}, packaging.RegistryValue{Key: "K", Name: "n", Type: "multi append", Value: "a"}},
		{[]any{"r", 0, "K", "n", "a[~]", "c"}, packaging.RegistryValue{Key: `HKCR\K`, Name: "n", Type: "multi prepend", Value: "a"}},
		{[]any{"r", -1, "K", "*", nil, "c"}, packaging.RegistryValue{Key: `HKMU\K`, Name: "*", Type: "key"}},
		{[]any{"r", 3, "K", nil, nil, "c"}, packaging.RegistryValue{Key: `HKU\K`, Type: "string"}},
	} {
		db := new(msidb.Database)
		db.Add("Registry", tt.row...)
		for r := range db.Rows("Registry") {
			if got := registryValue(r); got != tt.want {
				t.Errorf("%v is %+v, want %+v", tt.row, got, tt.want)
			}
		}
	}
}

// What a package is read for, its layout, its mistakes and its signatures, takes one
// reading of it.
func TestReadOnce(t *testing.T) {
	b, err := os.ReadFile(written(t, Format{}, packagingtest.Small("msi", "x64", 1_000_000)))
	if err != nil {
		t.Fatal(err)
	}
	r := &countingAt{r: bytes.NewReader(b)}
	c, err := Open(r, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Package(t.Context(), packaging.Payload); err != nil {
		t.Fatal(err)
	}
	found, err := c.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := contentsOf(t, written(t, Format{}, packagingtest.Small("msi", "x64", 1_000_000))).Check(t.Context())
	if err != nil || !slices.Equal(found, again) {
		t.Errorf("%+v, and without the package %+v: %v", found, again, err)
	}
	if c.ListSignatures() != nil {
		t.Error("it has signatures")
	}
	if most := int64(len(b)) * 3 / 2; r.n > most {
		t.Errorf("%d bytes were read of %d", r.n, len(b))
	}
}

type countingAt struct {
	r io.ReaderAt
	n int64 // bytes
}

func (r *countingAt) ReadAt(b []byte, at int64) (int, error) {
	n, err := r.r.ReadAt(b, at)
	r.n += int64(n)
	return n, err
}
