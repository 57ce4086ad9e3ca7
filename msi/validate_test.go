package msi

import (
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func TestValidate(t *testing.T) {
	const file = "/Program Files/Small/file"
	tests := []struct {
		name   string
		change func(*packaging.Package)
		want   string // the first line
	}{
		{"no Windows", func(p *packaging.Package) { p.Windows = nil }, "package small says nothing about Windows"},
		{"version", func(p *packaging.Package) { p.Version = "256.0.0" }, `version "256.0.0": want X.Y.Z with X and Y at most 255 and Z at most 65535`},
		{"version of four", func(p *packaging.Package) { p.Version = "1.2.3.4" }, `version "1.2.3.4": want X.Y.Z with X and Y at most 255 and Z at most 65535`},
		{"release", func(p *packaging.Package) { p.Release = "1.win" }, `release "1.win": want a whole number`},
		{"architecture", func(p *packaging.Package) { p.Arch = "x86" }, `architecture "x86": want x64 or arm64`},
		{"product name", func(p *packaging.Package) { p.Windows.ProductName = "[X]" }, `product name "[X]": want 1 to 63 characters without brackets`},
		{"upgrade code", func(p *packaging.Package) { p.Windows.UpgradeCode = "{x}" }, `upgrade code "{x}": want a GUID in capitals with braces`},
		{"compression", func(p *packaging.Package) { p.Compression.Codec = "zstd" }, "compression zstd of level 0: want mszip of level 1 to 9"},
		{"relation", func(p *packaging.Package) {
			p.Relations = []packaging.Relation{{Kind: packaging.Requires, Text: "x"}}
		}, `relation requires "x": Windows Installer has no relations between packages`},
		{"script", func(p *packaging.Package) {
			p.Scripts = []packaging.Script{{Phase: packaging.PreInstall}}
		}, "pre-install script: Windows Installer runs no shell"},
		{"epoch", func(p *packaging.Package) { p.Epoch = 1 }, "epoch 1: Windows Installer has no epochs"},
		{"program folder", func(p *packaging.Package) { p.Windows.Program = "/opt/x" }, `program folder "/opt/x": want a clean path below /Program Files/`},
		{"data folder", func(p *packaging.Package) { p.Windows.Data = "/ProgramData" }, `data folder "/ProgramData": want a clean path below /ProgramData/`},
		{"place", func(p *packaging.Package) { p.Layout[1].Path = "/Users/x" }, "/Users/x: want a path below /Program Files, /ProgramData or /Windows"},
		{"folder is missing", func(p *packaging.Package) { p.Layout[1].Path = "/Program Files/Small/a/b" }, "/Program Files/Small/a/b: its folder is not in the layout"},
		{"mode", func(p *packaging.Package) { p.Layout[1].Mode = 0o755 }, file + ": mode -rwxr-xr-x: Windows has access lists instead, want -rw-r--r--"},
		{"owner", func(p *packaging.Package) { p.Layout[1].Owner = "svc" }, file + ": has an owner or capabilities of Linux"},
		{"link", func(p *packaging.Package) {
			p.Layout[1].Mode, p.Layout[1].Target = fs.ModeSymlink|0o777, "x"
		}, file + ": is a link, which Windows Installer has no form for"},
		{"large", func(p *packaging.Package) { p.Layout[1].Size = 1 << 31 }, file + ": has 2147483648 bytes, and a cabinet takes 2146500608"},
		{"name", func(p *packaging.Package) { p.Layout[1].Path = "/Program Files/Small/a:b" }, `/Program Files/Small/a:b: "a:b" cannot be a name on Windows: it has one of \ : * ? " < > |`},
		{"device", func(p *packaging.Package) { p.Layout[1].Path = "/Program Files/Small/nul.txt" }, `/Program Files/Small/nul.txt: "nul.txt" cannot be a name on Windows: it is that of a device`},
		{"dot", func(p *packaging.Package) { p.Layout[1].Path = "/Program Files/Small/a." }, `/Program Files/Small/a.: "a." cannot be a name on Windows: it ends in a dot or a space`},
		{"length", func(p *packaging.Package) { p.Layout[1].Path = "/Program Files/Small/" + strings.Repeat("x", 240) }, "/Program Files/Small/" + strings.Repeat("x", 240) + ": has 263 characters, and Windows takes 259"},
		{"case", func(p *packaging.Package) {
			e := p.Layout[1]
			p.Layout[1].Path = "/Program Files/Small/FILE"
			p.Layout = append(p.Layout, e)
		}, "/Program Files/Small/FILE and /Program Files/Small/file are the same on Windows"},
		{"service", func(p *packaging.Package) {
			p.Windows.Services = []packaging.WindowsService{{Name: "s", Program: "/x.exe", Start: packaging.StartAuto}}
		}, "service s: its program /x.exe is not in the layout"},
		{"service's argument", func(p *packaging.Package) {
			p.Windows.Services = []packaging.WindowsService{{Name: "s", Program: file, Start: packaging.StartAuto, Arguments: []string{`a\`}}}
		}, `service s: argument "a\\" has a quotation mark, a new line or a backslash at its end`},
		{"service's description", func(p *packaging.Package) {
			p.Windows.Services = []packaging.WindowsService{{Name: "s", Program: file, Start: packaging.StartAuto, Description: "[x]"}}
		}, `service s: "[x]" has a new line or a bracket`},
		{"registry", func(p *packaging.Package) {
			p.Windows.Registry = []packaging.RegistryValue{{Key: "k", Type: "qword"}}
		}, `registry value : type "qword" is not string, expand, dword or multi`},
		{"variable", func(p *packaging.Package) {
			p.Windows.Environment = []packaging.EnvironmentVariable{{Name: "X", Value: "1", Action: "add"}}
		}, `environment variable "X": want a name, a value, and set, append or prepend`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := packagingtest.Small("msi", "x64", 1)
			tt.change(p)
			_, err := Format{}.Write(t.Context(), io.Discard, p)
			if err == nil {
				t.Fatal("no error")
			}
			if got, _, _ := strings.Cut(err.Error(), "\n"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
