//go:build linux

package e2e

import (
	"runtime"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging/manifest"
)

// nearest is the generation on which each target's package is installed: the
// target's own, or the one that comes closest.
var nearest = map[string]string{
	"el7": "rpm 4.16", "el8": "rpm 4.16", "el9": "rpm 4.16", "el10": "rpm 4.20",
	"amzn2": "rpm 4.16", "amzn2023": "rpm 4.16", "sles12": "rpm 4.16", "sles15": "rpm 4.16",
	"debian10": "dpkg 1.20", "debian11": "dpkg 1.20", "debian12": "dpkg 1.21", "debian13": "dpkg 1.22",
	"ubuntu18": "dpkg 1.21", "ubuntu20": "dpkg 1.21", "ubuntu22": "dpkg 1.21", "ubuntu24": "dpkg 1.22",
}

// TestTargets installs the package of every target, and checks that `vpkg
// targets` says no more about what that proves than is so.
func TestTargets(t *testing.T) {
	for _, target := range manifest.Targets() {
		if target.Format == "msi" || target.GOARCH != runtime.GOARCH {
			continue
		}
		t.Run(target.Label, func(t *testing.T) {
			t.Parallel()
			g := pick(t, nearest[target.Label])
			if want := proof(target, g); target.ProvedBy != want {
				t.Errorf("%s with %s is said to be proved by %q, it is by %q", target, target.PackageManager, target.ProvedBy, want)
			}
			g.target = target.Label
			b := g.box(t)
			g.install(t, b, g.bring(t, b, oldVersion)).OK(t)
			checkInstalled(t, g, b, oldVersion)
			checkHookWork(t, b)
			g.remove(t, b).OK(t)
		})
	}
}

// proof is what installing the target's package on g proves.
func proof(target manifest.Target, g generation) string {
	if g.suite.Name == map[string]string{"debian11": "bullseye", "debian12": "bookworm", "debian13": "trixie"}[target.Label] {
		return manifest.RealInstall
	}
	// EL10's 4.19 and 4.20 both make accounts by themselves; 4.18 does not.
	version := strings.Replace(target.PackageManager, "rpm 4.19.", "rpm 4.20.", 1)
	switch {
	case !strings.HasPrefix(version, g.name+"."):
		return manifest.TableOnly
	case target.Format == "rpm":
		return manifest.SameRPM
	default:
		return manifest.SameDpkg
	}
}
