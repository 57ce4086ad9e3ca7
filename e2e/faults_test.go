//go:build linux

package e2e

import (
	"slices"
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

// TestKilled kills the package manager and the hook while the hook waits for
// systemd, at the first installation and in an upgrade. What administrators do
// then (see the manuals) ends in an installed and running product.
func TestKilled(t *testing.T) {
	for _, c := range []struct {
		generation
		repair []string // the file follows, for rpm
	}{
		{pick(t, "rpm 4.18"), []string{"rpm", "-U", "--replacepkgs"}},
		{pick(t, "dpkg 1.21"), []string{"dpkg", "--configure", "-a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := testbed.New(t, c.suite)
			b.Boot(t)
			c.seed(t, b)
			for _, version := range []string{oldVersion, newVersion} {
				file := c.bring(t, b, version)
				b.Sh(t, `set -e
					mv /usr/bin/systemctl /usr/bin/systemctl.real
					printf '#!/bin/sh\ntouch /run/waiting\nexec sleep 100\n' >/usr/bin/systemctl
					chmod 755 /usr/bin/systemctl`).OK(t)
				// timeout kills its whole process group: the scriptlets too.
				_, isRPM := c.manager.(rpm)
				install := "dpkg -i"
				if isRPM {
					install = "rpm -U"
				}
				b.Sh(t, "timeout --signal=KILL 8 "+install+" "+file+"; exit 1").Fails(t)
				if !exists(t, b, "/run/waiting") {
					t.Fatal("the hook was not killed while it waited for systemd")
				}
				b.Sh(t, "rm /run/waiting; mv /usr/bin/systemctl.real /usr/bin/systemctl").OK(t)

				repair := c.repair
				if isRPM {
					repair = append(slices.Clone(repair), file)
				}
				b.Run(t, repair...).OK(t)
				checkInstalled(t, c.generation, b, version)
				checkHookWork(t, b)
				checkRunning(t, b)
				if t.Failed() {
					t.Fatalf("after the repair of version %s; log:\n%s", version, b.Read(t, logFile))
				}
			}
		})
	}
}
