//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const verifyManifest = `name: benchmark
version: 1.0.0-1
summary: many files
license: Apache-2.0
maintainer: vpkg <vpkg@example.com>
folders: {program: /opt/benchmark}
payload: {source: %s}
`

// verify measures how long it takes to check the files of an installed package, which
// are in the page cache, beside rpm and beside what it takes to read them at all.
func (b *bench) verify(ctx context.Context, files int) error {
	if os.Geteuid() != 0 {
		return errors.New("-verify installs a package below a folder with rpm --root, which is for root alone")
	}
	tree, host := filepath.Join(b.dir, "many"), filepath.Join(b.dir, "host")
	bytes, err := makeMany(tree, files)
	if err != nil {
		return err
	}
	manifest, err := b.write("many.yaml", verifyManifest, tree)
	if err != nil {
		return err
	}
	pkgs := filepath.Join(b.dir, "many-rpm")
	if err := b.do(ctx, b.vpkg, "build", "--manifest", manifest, "--os", "el9", "--out", pkgs); err != nil {
		return err
	}
	rpms, err := filepath.Glob(filepath.Join(pkgs, "*.rpm"))
	if err != nil || len(rpms) != 1 {
		return fmt.Errorf("the package is missing: %q, %w", rpms, err)
	}
	// The scripts are left out: the state that they write down is written here.
	state := filepath.Join(host, "var/lib/vpkg/benchmark")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(state, "installed.json"), []byte(`{"format":1,"version":"1.0.0-1","program":"/opt/benchmark"}`), 0o644); err != nil {
		return err
	}
	rpm := []string{"rpm", "--root", host, "--dbpath", "/var/lib/rpm"} // Debian's own is elsewhere
	if err := b.do(ctx, append(rpm, "-i", "--noscripts", "--nodeps", "--nosignature", rpms[0])...); err != nil {
		return err
	}
	list, err := b.write("many.list", "%s", strings.Join(regular(filepath.Join(host, "opt")), "\x00")+"\x00")
	if err != nil {
		return err
	}
	rows, err := b.rows(ctx, filepath.Join(b.dir, "out"), []peer{
		{"vpkg verify --installed", []string{b.vpkg, "verify", "--installed", "--root", host, "--require-trust", "database", "benchmark"}, nil},
		{"rpm -V", append(rpm, "-V", "--nodeps", "--noscripts", "benchmark"), nil},
		{"sha256sum", []string{"sh", "-c", "xargs -0 sha256sum <" + list + " >/dev/null"}, nil},
	})
	if err != nil {
		return err
	}
	b.timings(fmt.Sprintf("An installed package of %d files, %d MB", files, bytes/1e6), rows)
	return os.RemoveAll(host)
}

// makeMany fills a folder with files of noise: most of some KB, and one in a hundred
// of 2 MB.
func makeMany(dir string, files int) (size int64, err error) {
	r := rand.NewChaCha8([32]byte{})
	b := make([]byte, 2<<20)
	for i := range files {
		name := filepath.Join(dir, fmt.Sprintf("d%03d", i/100), fmt.Sprintf("f%05d", i))
		n := 1 + (i*7919)%20000 // bytes
		if i%100 == 0 {
			n = len(b)
		}
		r.Read(b[:n]) //nolint:errcheck // it never fails
		if i%100 == 0 {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				return 0, err
			}
		}
		if err := os.WriteFile(name, b[:n], 0o644); err != nil {
			return 0, err
		}
		size += int64(n)
	}
	return size, nil
}

func regular(dir string) (names []string) {
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error { //nolint:errcheck // it has just been made
		if err == nil && d.Type().IsRegular() {
			names = append(names, p)
		}
		return nil
	})
	return names
}

// inspect measures how long it takes to list what is in a large package.
func (b *bench) inspect(ctx context.Context, mb int) error {
	tree, pkgs := filepath.Join(b.dir, "large"), filepath.Join(b.dir, "large-pkgs")
	if err := makePayload(ctx, "linux", tree, int64(mb)*1e6); err != nil {
		return err
	}
	manifest, err := b.write("large.yaml", vpkgManifest, tree)
	if err != nil {
		return err
	}
	if err := b.do(ctx, b.vpkg, "build", "--manifest", manifest, "--os", "el9,ubuntu22", "--out", pkgs); err != nil {
		return err
	}
	rpms, _ := filepath.Glob(filepath.Join(pkgs, "*.rpm")) // the pattern is good
	debs, _ := filepath.Glob(filepath.Join(pkgs, "*.deb")) // as above
	if len(rpms) != 1 || len(debs) != 1 {
		return fmt.Errorf("packages are missing: %q, %q", rpms, debs)
	}
	rows, err := b.rows(ctx, filepath.Join(b.dir, "out"), []peer{
		{"vpkg inspect --files", []string{b.vpkg, "inspect", "--files", rpms[0]}, nil},
		{"rpm -qpl", []string{"rpm", "-qpl", "--nosignature", rpms[0]}, nil},
		{"vpkg inspect, all digests", []string{b.vpkg, "inspect", rpms[0]}, nil},
	})
	if err != nil {
		return err
	}
	b.timings(fmt.Sprintf("An RPM of %d MB, zstd", mb), rows)
	rows, err = b.rows(ctx, filepath.Join(b.dir, "out"), []peer{
		{"vpkg inspect --files", []string{b.vpkg, "inspect", "--files", debs[0]}, nil},
		{"dpkg-deb -c", []string{"dpkg-deb", "-c", debs[0]}, nil},
		{"vpkg inspect --deps", []string{b.vpkg, "inspect", "--deps", debs[0]}, nil},
		{"dpkg-deb -f", []string{"dpkg-deb", "-f", debs[0]}, nil},
	})
	if err != nil {
		return err
	}
	b.timings(fmt.Sprintf("A DEB of %d MB, zstd", mb), rows)
	return errors.Join(os.RemoveAll(tree), os.RemoveAll(pkgs))
}

// do runs a command that is not measured.
func (b *bench) do(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), "XDG_CACHE_HOME="+b.cache)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out.Bytes())
	}
	return nil
}

// timings is table for commands that make nothing.
func (b *bench) timings(title string, rows []row) {
	fmt.Fprintf(b.w, "\n## %s\n\n| | seconds | MiB |\n|---|---|---|\n", title)
	base := rows[0].cost
	for i, r := range rows {
		if i == 0 {
			fmt.Fprintf(b.w, "| %s | %.3f | %.0f |\n", r.name, r.cost.seconds, r.cost.mib)
			continue
		}
		fmt.Fprintf(b.w, "| %s | %.3f (%.2f×) | %.0f (%.1f×) |\n", r.name, r.cost.seconds, r.cost.seconds/base.seconds, r.cost.mib, r.cost.mib/base.mib)
	}
}
