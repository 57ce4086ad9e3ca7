//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const vpkgManifest = `name: benchmark
version: 1.0.0-1
summary: executables
license: Apache-2.0
maintainer: vpkg <vpkg@example.com>
folders: {program: /opt/benchmark}
payload: {source: %s}
`

const nfpmManifest = `name: benchmark
arch: amd64
version: 1.0.0
release: "1"
maintainer: vpkg <vpkg@example.com>
description: executables
license: Apache-2.0
rpm: {compression: "%[2]s", buildhost: localhost}
deb: {compression: %[2]s}
contents:
  - {src: %[1]s, dst: /opt/benchmark, type: tree}
`

const spec = `Name: benchmark
Version: 1.0.0
Release: 1
Summary: executables
License: Apache-2.0
AutoReqProv: no
%%define __os_install_post %%{nil}
%%define _build_id_links none
%%define debug_package %%{nil}
%%define _binary_payload %[2]s
%%description
executables
%%install
mkdir -p %%{buildroot}/opt
cp -al %[1]s %%{buildroot}/opt/benchmark
%%files
/opt/benchmark
`

// write puts a text into a file of the bench's folder and returns its path.
func (b *bench) write(name, format string, args ...any) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o644)
}

// single measures one package of each kind and codec. vpkg reads nfpm's own
// manifest, so that both make the same package.
func (b *bench) single(ctx context.Context, tree string, mb int) error {
	out := filepath.Join(b.dir, "out")
	for _, codec := range []struct{ name, rpmbuild, rpmTarget, debTarget string }{
		{"zstd", "w3.zstdio", "el9", "ubuntu22"},
		{"gzip", "w6.gzdio", "el8", "debian11"},
	} {
		if !strings.Contains(b.codecs, codec.name) {
			continue
		}
		nfpm, err := b.write("nfpm.yaml", nfpmManifest, tree, codec.name)
		if err != nil {
			return err
		}
		specFile, err := b.write("bench.spec", spec, tree, codec.rpmbuild)
		if err != nil {
			return err
		}
		vpkg := []string{b.vpkg, "build", "--manifest", nfpm, "--out", out, "--no-cache"}
		rows, err := b.rows(ctx, out, []peer{
			{"vpkg", append(vpkg, "--os", codec.rpmTarget), nil},
			{"nfpm 2.45.2", []string{b.nfpm, "package", "-f", nfpm, "-p", "rpm", "-t", out}, nil},
			{"rpmbuild " + codec.rpmbuild, []string{
				"rpmbuild", "-bb", "--quiet", "--define", "_topdir " + filepath.Join(b.dir, "rpmbuild"), "--define", "_rpmdir " + out, specFile,
			}, nil},
		})
		if err != nil {
			return err
		}
		b.table(fmt.Sprintf("RPM, %s, %d MB", codec.name, mb), rows)

		control := filepath.Join(b.dir, "debroot")
		rows, err = b.rows(ctx, out, []peer{
			{"vpkg", append(vpkg, "--os", codec.debTarget), nil},
			{"nfpm 2.45.2", []string{b.nfpm, "package", "-f", nfpm, "-p", "deb", "-t", out}, nil},
			{"dpkg-deb -Z" + codec.name, []string{"dpkg-deb", "--root-owner-group", "-Z" + codec.name, "-b", control, filepath.Join(out, "b.deb")}, func() error {
				return debRoot(control, tree)
			}},
		})
		if err != nil {
			return err
		}
		b.table(fmt.Sprintf("DEB, %s, %d MB", codec.name, mb), rows)
	}
	return nil
}

// debRoot makes the folder that dpkg-deb packs, with hard links to the payload.
func debRoot(dir, tree string) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, "DEBIAN"), 0o755), os.MkdirAll(filepath.Join(dir, "opt/benchmark"), 0o755)); err != nil {
		return err
	}
	files, err := os.ReadDir(tree)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.Link(filepath.Join(tree, f.Name()), filepath.Join(dir, "opt/benchmark", f.Name())); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "DEBIAN/control"),
		[]byte("Package: benchmark\nVersion: 1.0.0-1\nArchitecture: amd64\nMaintainer: vpkg <vpkg@example.com>\nDescription: executables\n"), 0o644)
}

type peer struct {
	name    string
	args    []string
	prepare func() error
}

func (b *bench) rows(ctx context.Context, out string, peers []peer) ([]row, error) {
	var rows []row
	for _, p := range peers {
		c, err := b.measure(ctx, out, p.prepare, p.args...)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{p.name, c})
	}
	return rows, nil
}

// matrix measures all targets of one architecture beside as many runs of nfpm,
// from cold and again.
func (b *bench) matrix(ctx context.Context, tree string, mb int) error {
	manifest, err := b.write("vpkg.yaml", vpkgManifest, tree)
	if err != nil {
		return err
	}
	out := filepath.Join(b.dir, "out")
	vpkg := []string{b.vpkg, "build", "--manifest", manifest, "--out", out, "--os", "all", "--arch", "x86_64"}
	script := new(strings.Builder)
	script.WriteString("set -e\n")
	for codec, n := range map[string]int{"gzip": 5, "zstd": 3} { // the RPM targets of each codec
		f, err := b.write("nfpm-"+codec+".yaml", nfpmManifest, tree, codec)
		if err != nil {
			return err
		}
		for i := range n {
			fmt.Fprintf(script, "mkdir -p %[1]s/%[2]s%[3]d; %[4]s package -f %[5]s -p rpm -t %[1]s/%[2]s%[3]d\n", out, codec, i, b.nfpm, f)
		}
	}
	for codec, n := range map[string]int{"gzip": 2, "zstd": 6} { // and of the DEB targets
		for i := range n {
			fmt.Fprintf(script, "mkdir -p %[1]s/d%[2]s%[3]d; %[4]s package -f %[5]s/nfpm-%[2]s.yaml -p deb -t %[1]s/d%[2]s%[3]d\n", out, codec, i, b.nfpm, b.dir)
		}
	}
	cold := func() error { return os.RemoveAll(filepath.Join(b.cache, "vpkg", "frames")) }
	once := *b
	once.runs = 1 // sixteen packages are enough of an average
	rows, err := once.rows(ctx, out, []peer{
		{"vpkg, from cold", vpkg, cold},
		{"vpkg, again", vpkg, nil},
		{"16 runs of nfpm", []string{"sh", "-c", script.String()}, nil},
	})
	if err != nil {
		return err
	}
	b.table(fmt.Sprintf("16 packages (all systems, x86_64), %d MB", mb), rows)
	return nil
}
