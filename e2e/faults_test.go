//go:build linux

package e2e

import (
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestDiskFull installs where /opt has no room. Nothing of the payload stays, and
// once there is room, the same command works.
func TestDiskFull(t *testing.T) {
	for _, name := range []string{"rpm 4.16", "rpm 4.20", "dpkg 1.20", "dpkg 1.22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, name)
			b := testbed.New(t, g.suite)
			b.Tmpfs(t, "/opt", 1<<20)
			g.seed(t, b)
			file := g.bring(t, b, oldVersion)
			g.install(t, b, file).Fails(t)
			if v := g.version(t, b); v != "" {
				t.Errorf("%s counts as installed", v)
			}
			if left := b.Run(t, "find", "/opt", "-type", "f"); left.Stdout != "" {
				t.Errorf("the failed installation leaves\n%s", left.Stdout)
			}
			b.Run(t, "mount", "-o", "remount,size=256M", "/opt").OK(t)
			g.install(t, b, file).OK(t)
			checkInstalled(t, g, b, oldVersion)
			checkHookWork(t, b)
		})
	}
}

// TestNoOpt installs where there is no /opt, which no package owns.
func TestNoOpt(t *testing.T) {
	for _, name := range []string{"rpm 4.18", "dpkg 1.20", "dpkg 1.21"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, name)
			b := g.box(t)
			b.Run(t, "rmdir", "/opt").OK(t)
			g.install(t, b, g.bring(t, b, oldVersion)).OK(t)
			checkInstalled(t, g, b, oldVersion)
			if got := status(t, b, "/opt"); got != "755 root:root" {
				t.Errorf("/opt is %q, want 755 root:root", got)
			}
		})
	}
}
