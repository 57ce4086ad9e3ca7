//go:build linux

package e2e

import (
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// repository makes /repository in the box, with both versions for the target.
func repository(t testing.TB, b *testbed.Box, target string) {
	t.Helper()
	b.Copy(t, "/repository", built(t, oldVersion, target), built(t, newVersion, target))
	b.Run(t, "createrepo_c", "--quiet", "/repository").OK(t)
}

// full is the version and release of that version for that target, as RPM
// spells it: X.Y.Z-BUILD.label.
func full(version, target string) string { return version + "." + target }

func TestDNF(t *testing.T) {
	t.Parallel()
	const target = "el9"
	b := testbed.New(t, testbed.Bookworm)
	g := generation{"dnf", testbed.Bookworm, target, rpm{}}
	g.seed(t, b)
	repository(t, b, target)
	b.Write(t, "/etc/yum.repos.d/local.repo", "[local]\nname=local\nbaseurl=file:///repository\ngpgcheck=0\n")
	dnf := func(args ...string) {
		t.Helper()
		b.Run(t, append([]string{"dnf", "--assumeyes", "--releasever=9"}, args...)...).OK(t)
	}
	for _, step := range []struct{ command, argument, version string }{
		{"install", product + "-" + full(oldVersion, target), oldVersion},
		{"upgrade", product, newVersion},
		{"downgrade", product, oldVersion},
		{"reinstall", product, oldVersion},
	} {
		dnf(step.command, step.argument)
		checkInstalled(t, g, b, step.version)
		checkHookWork(t, b)
	}
	b.Write(t, data+"/etc/kept", "by the administrator")
	dnf("remove", product)
	checkRemoved(t, g, b)
	dnf("check")
}

func TestZypper(t *testing.T) {
	t.Parallel()
	const target = "sles15"
	b := testbed.New(t, testbed.Bookworm)
	g := generation{"zypper", testbed.Bookworm, target, rpm{}}
	g.seed(t, b)
	repository(t, b, target)
	b.Write(t, "/etc/os-release", "NAME=SLES\nVERSION=\"15-SP5\"\nVERSION_ID=\"15.5\"\nID=sles\nID_LIKE=suse\n")
	zypper := func(args ...string) {
		t.Helper()
		b.Run(t, append([]string{"zypper", "--non-interactive", "--no-gpg-checks"}, args...)...).OK(t)
	}
	zypper("addrepo", "file:///repository", "local")
	zypper("install", "--allow-unsigned-rpm", product+"="+full(oldVersion, target))
	checkInstalled(t, g, b, oldVersion)
	zypper("update", product)
	checkInstalled(t, g, b, newVersion)
	checkHookWork(t, b)
	zypper("install", "--allow-unsigned-rpm", "--oldpackage", product+"="+full(oldVersion, target))
	checkInstalled(t, g, b, oldVersion)
	b.Write(t, data+"/etc/kept", "by the administrator")
	zypper("remove", product)
	checkRemoved(t, g, b)
}

// TestAPT installs the file itself, as an administrator who got it by mail.
func TestAPT(t *testing.T) {
	for _, g := range generations {
		if _, ok := g.manager.(dpkg); !ok {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			b := g.box(t)
			apt := func(args ...string) {
				t.Helper()
				b.Run(t, append([]string{"apt-get", "--yes"}, args...)...).OK(t)
			}
			apt("install", g.bring(t, b, oldVersion))
			checkInstalled(t, g, b, oldVersion)
			apt("install", g.bring(t, b, newVersion))
			checkInstalled(t, g, b, newVersion)
			checkHookWork(t, b)
			apt("purge", product)
			checkPurged(t, b)
		})
	}
}

// TestCentOS8 resolves the el8 package's dependencies against the packages of a
// real CentOS 8.2, which is an old one: what it lacks is refused by name.
func TestCentOS8(t *testing.T) {
	t.Parallel()
	const target = "el8"
	b := testbed.New(t, testbed.Bookworm)
	b.SeedCentOS8(t)
	g := generation{"CentOS 8", testbed.Bookworm, target, rpm{}}
	if n := strings.Count(b.Run(t, "rpm", "-qa").OK(t), "\n"); n < 500 {
		t.Fatalf("the database has %d packages, want CentOS's 518", n)
	}
	old := g.bring(t, b, oldVersion)
	b.Run(t, "rpm", "--dbpath", "/without", "--initdb").OK(t)
	if r := b.Run(t, "rpm", "--dbpath", "/without", "-i", "--test", old); !strings.Contains(r.Stderr, "nftables is needed by "+product) {
		t.Errorf("want a refusal by name where nftables is missing: %v", r)
	}
	g.install(t, b, old).OK(t)
	checkInstalled(t, g, b, oldVersion)
	// What it depends on must not be removed under it.
	if r := b.Run(t, "rpm", "-e", "--test", "kmod"); r.Code == 0 || !strings.Contains(r.Stderr, product) {
		t.Errorf("want rpm to refuse the removal of kmod because of %s: %v", product, r)
	}
	g.upgrade(t, b, g.bring(t, b, newVersion)).OK(t)
	checkInstalled(t, g, b, newVersion)
	b.Run(t, "dnf", "--assumeyes", "--releasever=8", "--disablerepo=*", "check").OK(t)
}

// TestUnsigned proves that rpm 6 refuses the package without the switch that
// the other tests use, because it has no signature.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	g := pick(t, "rpm 6")
	b := g.box(t)
	stderr := rpm{}.install(t, b, g.bring(t, b, oldVersion)).Fails(t)
	if !strings.Contains(strings.ToLower(stderr), "signature") {
		t.Errorf("want a refusal for the missing signature, got %s", stderr)
	}
}
