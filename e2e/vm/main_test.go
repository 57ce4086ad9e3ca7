//go:build linux

package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

func TestMain(m *testing.M) {
	testbed.Main(m, testbed.Setup{VM: true, Before: build})
}

// build makes what the machines get: the product, programs of the tests, and a
// package without files that stands for the system in rpm's database, for the
// machines are Debian.
func build(ctx context.Context, dir string) error {
	spec := filepath.Join(dir, "base.spec")
	if err := os.WriteFile(spec, []byte(baseSpec), 0o644); err != nil {
		return err
	}
	vpkg := filepath.Join(dir, "vpkg")
	for _, argv := range [][]string{
		{"go", "build", "-buildvcs=false", "-o", vpkg, "github.com/vpkg/vpkg/cmd/vpkg"},
		// Static: with a slash at its end -o names a folder.
		{
			"env", "CGO_ENABLED=0", "go", "build", "-buildvcs=false", "-o", dir + "/",
			"github.com/vpkg/vpkg/e2e/pce", "github.com/vpkg/vpkg/e2e/probe",
		},
		{vpkg, "build", "--os", "el9,debian12", "--arch", "amd64", "--out", filepath.Join(dir, "dist")},
		{"rpmbuild", "-bb", "--quiet", "--define", "_topdir " + dir, spec},
	} {
		out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// baseRPM is what rpmbuild makes of baseSpec.
const baseRPM = "RPMS/noarch/base-1-1.noarch.rpm"

const baseSpec = `
Name: base
Version: 1
Release: 1
Summary: What every system of the target has
License: none
BuildArch: noarch
Provides: /bin/sh, /usr/sbin/useradd, /usr/sbin/groupadd
Provides: iptables = 1.8.7, ipset = 7.11, kmod = 28, nftables = 1.0.4, systemd = 250
%description
%files
`

// built is a file that build made.
func built(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(testbed.Dir(t), name)
}

// product is the package for that target.
func product(t testing.TB, target string) string {
	t.Helper()
	b, err := os.ReadFile(built(t, "dist/artifacts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var artifacts []struct{ Name, OS string }
	if err := json.Unmarshal(b, &artifacts); err != nil {
		t.Fatal(err)
	}
	for _, a := range artifacts {
		if a.OS == target {
			return built(t, "dist/"+a.Name)
		}
	}
	t.Fatalf("no package for %s in %s", target, b)
	return ""
}

// inside is where a machine has a file that it was given.
func inside(file string) string { return "/run/packages/" + filepath.Base(file) }
