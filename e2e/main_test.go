//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/programs"
	"github.com/vpkg/vpkg/internal/testbed"
)

// The two versions of the product that are built. The older one is the built-in
// manifest's own, whose changelog ends with it.
const (
	oldVersion = "25.2.20-10"
	newVersion = "25.2.30-5"
)

// Names of the built-in product.
const (
	product   = "illumio-ven"
	account   = "ilo-ven"
	program   = "/opt/illumio_ven"
	data      = "/opt/illumio_ven_data"
	stateDir  = "/var/lib/vpkg/illumio-ven"
	logFile   = "/var/log/illumio_install.log"
	unit      = "illumio-ven.service"
	recordLoc = program + "/etc/layout.json"
)

// A generation is a package manager of some age, on a system that has it, and
// the target that vpkg builds for it.
type generation struct {
	name   string
	suite  testbed.Suite
	target string // --os
	manager
}

var generations = []generation{
	{"rpm 4.16", testbed.Bullseye, "el9", rpm{}},
	{"rpm 4.18", testbed.Bookworm, "el9", rpm{}},
	{"rpm 4.20", testbed.Trixie, "el10", rpm{}},
	{"rpm 6", testbed.Sid, "el10", rpm{signatures: true}},
	{"dpkg 1.20", testbed.Bullseye, "debian11", dpkg{}},
	{"dpkg 1.21", testbed.Bookworm, "debian12", dpkg{}},
	{"dpkg 1.22", testbed.Trixie, "debian13", dpkg{}},
}

// installed are the targets whose packages are installed by a test, and so are
// built in a second version too.
const installed = "el8,el9,el10,sles15,debian11,debian12,debian13"

func TestMain(m *testing.M) {
	testbed.Main(m, testbed.Setup{
		Suites:  []testbed.Suite{testbed.Bullseye, testbed.Bookworm, testbed.Trixie, testbed.Sid},
		CentOS8: true,
		Before:  build,
	})
}

// mortalHook is the file of the hook that ends where it is told to: killpoints.go
// of cmd/vpkg-hook.
const mortalHook = "vpkg-hook-killpoints"

// build makes the older version for all targets and architectures, and the newer
// one for what is installed, each into a folder of its own, and the mortal hook.
func build(ctx context.Context, dir string) error {
	vpkg := filepath.Join(dir, "vpkg")
	// Static, as the others, for they run in boxes.
	if err := command(ctx, "env", "CGO_ENABLED=0", "go", "build", "-buildvcs=false", "-o", vpkg, "github.com/vpkg/vpkg/cmd/vpkg"); err != nil {
		return err
	}
	// With a slash at its end -o names a folder.
	if err := command(ctx, "env", "CGO_ENABLED=0", "go", "build", "-buildvcs=false", "-o", dir+"/",
		"github.com/vpkg/vpkg/e2e/pce", "github.com/vpkg/vpkg/e2e/probe"); err != nil {
		return err
	}
	if err := command(ctx, vpkg, "build", "--os", "all", "--arch", "all", "--version", oldVersion, "--out", filepath.Join(dir, oldVersion)); err != nil {
		return err
	}
	if err := command(ctx, vpkg, "build", "--os", installed, "--arch", runtime.GOARCH, "--version", newVersion, "--out", filepath.Join(dir, newVersion)); err != nil {
		return err
	}
	hook := append([]string{"env", "CGO_ENABLED=0", "go"}, programs.BuildArgs()...)
	return command(ctx, append(hook, "-tags", "killpoints", "-o", filepath.Join(dir, mortalHook), "github.com/vpkg/vpkg/cmd/vpkg-hook")...)
}

func command(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// An artifact is an entry of artifacts.json.
type artifact struct{ Name, Format, OS, Arch string }

func artifacts(t testing.TB, version string) (dir string, as []artifact) {
	t.Helper()
	dir = filepath.Join(testbed.Dir(t), version)
	b, err := os.ReadFile(filepath.Join(dir, "artifacts.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &as); err != nil {
		t.Fatal(err)
	}
	return dir, as
}

// built is the package file of that version for that target and this machine's
// architecture.
func built(t testing.TB, version, target string) string {
	t.Helper()
	dir, as := artifacts(t, version)
	for _, a := range as {
		if a.OS == target && (a.Arch == runtime.GOARCH || a.Arch == unameMachine[runtime.GOARCH]) {
			return filepath.Join(dir, a.Name)
		}
	}
	t.Fatalf("no package of version %s for %s on %s in %s", version, target, runtime.GOARCH, dir)
	return ""
}

// unameMachine is RPM's name of an architecture, by Go's.
var unameMachine = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// bring copies the package of that version into the box.
func (g generation) bring(t testing.TB, b *testbed.Box, version string) string {
	t.Helper()
	return b.Copy(t, "/packages", built(t, version, g.target))[0]
}

// box is a new system of the generation with what the package depends on.
func (g generation) box(t testing.TB) *testbed.Box {
	t.Helper()
	b := testbed.New(t, g.suite)
	g.seed(t, b)
	return b
}
