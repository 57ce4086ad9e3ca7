//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestEveryPackage has rpm, dpkg-deb and msitools read the packages of all targets
// and architectures, and builds them again elsewhere: the bytes are the same.
func TestEveryPackage(t *testing.T) {
	testbed.Need(t, "rpm2cpio", "cpio", "rpmkeys", "dpkg-deb", "msiinfo", "msiextract")
	dir, as := artifacts(t, oldVersion)
	if len(as) < 30 {
		t.Errorf("%d packages, want at least 30", len(as))
	}
	for _, a := range as {
		check := map[string]string{
			"deb": "dpkg-deb --info \"$1\" && dpkg-deb --contents \"$1\" && dpkg-deb --fsys-tarfile \"$1\" | tar -t",
			"rpm": "rpmkeys -Kv \"$1\" && rpm2cpio \"$1\" >\"$2\" && cpio -t --quiet <\"$2\"",
			"msi": "msiinfo tables \"$1\" && msiextract -C \"$2\" \"$1\"",
		}
		cmd := exec.Command("sh", "-ec", check[a.Format], "sh", filepath.Join(dir, a.Name), filepath.Join(t.TempDir(), "payload"))
		if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("BAD")) {
			t.Errorf("%s: %v\n%s", a.Name, err, out)
		}
	}

	again := filepath.Join(t.TempDir(), "again")
	cmd := exec.Command("sh", "-ec", `umask 077; exec "$@"`, "sh",
		filepath.Join(testbed.Dir(t), "vpkg"), "build", "--os", "all", "--arch", "all", "--version", oldVersion, "--out", again, "--no-cache", "--jobs", "1")
	cmd.Env = append(os.Environ(), "TZ=Asia/Kolkata", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first, err1 := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	second, err2 := os.ReadFile(filepath.Join(again, "SHA256SUMS"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("another build differs; the first:\n%s\nthe second:\n%s", first, second)
	}
}

// TestLinters runs the distributions' own checks. What they find and is meant so
// is filtered, each with its reason, in lint/.
func TestLinters(t *testing.T) {
	for _, c := range []struct {
		target  string
		command []string
	}{
		{"el9", []string{"rpmlint", "--config", "../lint/rpmlint.toml"}},
		{"sles15", []string{"rpmlint", "--config", "../lint/rpmlint.toml"}},
		{"debian12", []string{"lintian", "--allow-root", "--fail-on", "error,warning,info", "--suppress-tags-from-file", "../lint/lintian.tags"}},
	} {
		t.Run(c.target, func(t *testing.T) {
			t.Parallel()
			testbed.Need(t, c.command[0])
			argv := append(c.command, built(t, oldVersion, c.target))
			out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("$ %s\n%s%v", strings.Join(argv, " "), out, err)
			}
		})
	}
}
