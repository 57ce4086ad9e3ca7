//go:build linux

package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The module whose test data has the package databases of real CentOS images.
const (
	rpmdbModule = "github.com/knqyf263/go-rpmdb@v0.0.0-20210911072402-73bd0ce46c49"
	rpmdbSum    = "h1:QazJZdFn/ApQh8OHepQiCKXGZ0QE08Bu8BnS10aHgvE="
	rpmdbFile   = "pkg/testdata/centos8-modularitylabel/Packages"
)

// fetchCentOS8 returns the Berkeley DB file of a CentOS 8.2's package database:
// 518 packages, their headers only.
func fetchCentOS8(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", rpmdbModule)
	cmd.Dir = os.TempDir() // outside any module, so that no go.mod is changed
	out, err := cmd.Output()
	var mod struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &mod); err != nil || jsonErr != nil {
		return "", fmt.Errorf("downloading %s: %s: %w", rpmdbModule, mod.Error, errors.Join(err, jsonErr))
	}
	if mod.Sum != rpmdbSum {
		return "", fmt.Errorf("%s has sum %s, want %s", rpmdbModule, mod.Sum, rpmdbSum)
	}
	return filepath.Join(mod.Dir, filepath.FromSlash(rpmdbFile)), nil
}

// SeedCentOS8 replaces the box's package database by that of a real CentOS 8.2,
// so that dependencies are resolved against genuine packages. Only the database
// is CentOS's: the files stay Debian's. The box must be a Bookworm: its rpm reads
// the Berkeley DB and writes its own format.
func (b *Box) SeedCentOS8(t testing.TB) {
	t.Helper()
	if current.CentOS8 == "" {
		t.Fatal("testbed.Setup does not ask for CentOS8")
	}
	in, err := os.Open(current.CentOS8)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.Mkdir(b.Path("/centos"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(b.Path("/centos/Packages"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	b.Sh(t, `set -e
		rpmdb --define '_db_backend bdb_ro' --dbpath /centos --exportdb >/centos.headers
		rm -rf /var/lib/rpm/*
		rpmdb --initdb
		rpmdb --importdb </centos.headers
		rm -rf /centos /centos.headers`).OK(t)
}
