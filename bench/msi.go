//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const windowsManifest = vpkgManifest + `windows:
  product_name: Benchmark
  upgrade_code: "{3F2E9C1A-6B7D-4E58-9A0C-1D2B3C4D5E6F}"
  program: /Program Files/Benchmark
  payload: {source: %[1]s}
`

// msi measures a package for Windows beside wixl, which packs the very files that
// vpkg's package has, the hook among them.
func (b *bench) msi(ctx context.Context, mb int) error {
	for _, t := range []string{"wixl", "msiextract"} {
		if _, err := exec.LookPath(t); err != nil {
			return fmt.Errorf("%s is not installed", t)
		}
	}
	tree, out := filepath.Join(b.dir, "windows"), filepath.Join(b.dir, "out")
	if err := makePayload(ctx, "windows", tree, int64(mb)*1e6); err != nil {
		return err
	}
	manifest, err := b.write("windows.yaml", windowsManifest, tree)
	if err != nil {
		return err
	}
	vpkg := []string{b.vpkg, "build", "--manifest", manifest, "--os", "windows", "--out"}
	first := filepath.Join(b.dir, "first-msi")
	if err := b.run(ctx, append(vpkg, first)...); err != nil { // the hook is compiled once and kept
		return err
	}
	files := filepath.Join(b.dir, "files")
	if err := b.run(ctx, "msiextract", "-C", files, filepath.Join(first, "benchmark-1.0.0-1.win.x64.msi")); err != nil {
		return err
	}
	wxs, err := wixSource(b.dir, files)
	if err != nil {
		return err
	}
	source, err := b.write("windows.wxs", "%s", wxs)
	if err != nil {
		return err
	}
	rows, err := b.rows(ctx, out, []peer{
		{"vpkg", append(vpkg, out), nil},
		{"vpkg, mszip:7", append(vpkg, out, "--compression", "mszip:7"), nil},
		{"wixl", []string{"wixl", "-a", "x64", "-o", filepath.Join(out, "w.msi"), source}, nil},
	})
	if err != nil {
		return err
	}
	b.table(fmt.Sprintf("MSI, %d MB", mb), rows)
	return nil
}

func (b *bench) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+b.cache, "SOURCE_DATE_EPOCH=1700000000")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, msg)
	}
	return nil
}

// wixSource is the WiX source, in the folder base, of a package with the files of a
// folder, and the hook among them also in the table Binary, as vpkg's has it.
func wixSource(base, dir string) (string, error) {
	var s strings.Builder
	s.WriteString(`<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="*" Name="Benchmark" Version="1.0.0" Manufacturer="vpkg" Language="1033" UpgradeCode="3F2E9C1A-6B7D-4E58-9A0C-1D2B3C4D5E6F">
<Package InstallerVersion="500" Compressed="yes" InstallScope="perMachine" Platform="x64"/>
<Media Id="1" Cabinet="cab1.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFiles64Folder"><Directory Id="INSTALLFOLDER" Name="Benchmark">
`)
	n, hook := 0, ""
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if path, err = filepath.Rel(base, path); err != nil { // wixl takes no absolute paths
			return err
		}
		if n++; d.Name() == "vpkg-hook.exe" {
			hook = path
		}
		fmt.Fprintf(&s, "<Component Id=\"c%[1]d\" Guid=\"*\" Win64=\"yes\"><File Id=\"f%[1]d\" Name=\"%[2]s\" Source=\"%[3]s\" KeyPath=\"yes\"/></Component>\n", n, d.Name(), path)
		return nil
	})
	if err == nil && hook == "" {
		err = errors.New("the package has no vpkg-hook.exe")
	}
	s.WriteString("</Directory></Directory></Directory>\n<Binary Id=\"hook\" SourceFile=\"" + hook + "\"/>\n<Feature Id=\"Complete\" Level=\"1\">\n")
	for i := range n {
		fmt.Fprintf(&s, "<ComponentRef Id=\"c%d\"/>\n", i+1)
	}
	s.WriteString("</Feature>\n</Product></Wix>\n")
	return s.String(), err
}
