//go:build linux

package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// A manager is the command line of a package manager.
type manager interface {
	// seed makes the package database of a fresh box such that the product's
	// dependencies are there.
	seed(t testing.TB, b *testbed.Box)

	install(t testing.TB, b *testbed.Box, file string, env ...string) testbed.Result
	upgrade(t testing.TB, b *testbed.Box, file string) testbed.Result
	downgrade(t testing.TB, b *testbed.Box, file string) testbed.Result
	reinstall(t testing.TB, b *testbed.Box, file string) testbed.Result
	remove(t testing.TB, b *testbed.Box) testbed.Result

	// version is what the database says is installed, "VERSION-RELEASE", or nothing.
	version(t testing.TB, b *testbed.Box) string
	// altered are the manager's own findings about installed files.
	altered(t testing.TB, b *testbed.Box) string
	// recordDigest is the digest of the layout record that the metadata declare.
	recordDigest(t testing.TB, b *testbed.Box) string
}

// rpm is rpm(8).
type rpm struct {
	// signatures says that rpm refuses packages without a signature, as upstream's
	// rpm 6 does by default; Debian's does not. Installing then needs the
	// documented switch, --nosignature. TestUnsigned proves the refusal.
	signatures bool
}

func (m rpm) seed(t testing.TB, b *testbed.Box) {
	t.Helper()
	if m.signatures {
		b.Write(t, "/etc/rpm/macros", "%_dbpath /var/lib/rpm\n%_pkgverify_level all\n")
	}
	m.run(t, b, []string{"-i"}, b.Copy(t, "/packages", base(t))[0]).OK(t)
}

func (m rpm) run(t testing.TB, b *testbed.Box, args []string, file string, env ...string) testbed.Result {
	t.Helper()
	argv := append([]string{"rpm"}, args...)
	if m.signatures {
		argv = append(argv, "--nosignature")
	}
	return b.Env(t, env, append(argv, file)...)
}

func (m rpm) install(t testing.TB, b *testbed.Box, file string, env ...string) testbed.Result {
	t.Helper()
	return m.run(t, b, []string{"-i"}, file, env...)
}

func (m rpm) upgrade(t testing.TB, b *testbed.Box, file string) testbed.Result {
	t.Helper()
	return m.run(t, b, []string{"-U"}, file)
}

func (m rpm) downgrade(t testing.TB, b *testbed.Box, file string) testbed.Result {
	t.Helper()
	return m.run(t, b, []string{"-U", "--oldpackage"}, file)
}

func (m rpm) reinstall(t testing.TB, b *testbed.Box, file string) testbed.Result {
	t.Helper()
	return m.run(t, b, []string{"-U", "--replacepkgs"}, file)
}

func (m rpm) remove(t testing.TB, b *testbed.Box) testbed.Result {
	t.Helper()
	return b.Run(t, "rpm", "-e", product)
}

func (m rpm) version(t testing.TB, b *testbed.Box) string {
	t.Helper()
	r := b.Run(t, "rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}\n", product)
	if r.Code != 0 {
		return ""
	}
	return strings.TrimSpace(r.Stdout)
}

func (m rpm) altered(t testing.TB, b *testbed.Box) string {
	t.Helper()
	r := b.Run(t, "rpm", "-V", "--nodeps", product)
	return r.Stdout + r.Stderr
}

var provided = regexp.MustCompile(`(?m)^vpkg-layout\(sha256\) = ([0-9a-f]{64})$`)

func (m rpm) recordDigest(t testing.TB, b *testbed.Box) string {
	t.Helper()
	out := b.Run(t, "rpm", "-q", "--provides", product).OK(t)
	match := provided.FindStringSubmatch(out)
	if match == nil {
		t.Fatalf("no digest of the record among what it provides:\n%s", out)
	}
	return match[1]
}

// dpkg is dpkg(1).
type dpkg struct{}

func (dpkg) seed(testing.TB, *testbed.Box) {} // Debian's own packages are there

func (dpkg) install(t testing.TB, b *testbed.Box, file string, env ...string) testbed.Result {
	t.Helper()
	return b.Env(t, env, "dpkg", "--install", file)
}

func (m dpkg) upgrade(t testing.TB, b *testbed.Box, file string) testbed.Result {
	t.Helper()
	return m.install(t, b, file)
}

func (m dpkg) downgrade(t testing.TB, b *testbed.Box, file string) testbed.Result {
	t.Helper()
	return m.install(t, b, file)
}

func (m dpkg) reinstall(t testing.TB, b *testbed.Box, file string) testbed.Result {
	t.Helper()
	return m.install(t, b, file)
}

func (dpkg) remove(t testing.TB, b *testbed.Box) testbed.Result {
	t.Helper()
	return b.Run(t, "dpkg", "--remove", product)
}

func (dpkg) version(t testing.TB, b *testbed.Box) string {
	t.Helper()
	r := b.Run(t, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", product)
	v, ok := strings.CutPrefix(r.Stdout, "installed ")
	if !ok {
		return ""
	}
	return v
}

// altered asks dpkg and debsums: dpkg -V exits 0 also when files differ.
func (dpkg) altered(t testing.TB, b *testbed.Box) string {
	t.Helper()
	r := b.Run(t, "dpkg", "--verify", product)
	s := b.Run(t, "debsums", "--all", "--silent", product)
	return r.Stdout + r.Stderr + s.Stdout + s.Stderr
}

func (dpkg) recordDigest(t testing.TB, b *testbed.Box) string {
	t.Helper()
	return b.Run(t, "dpkg-query", "-W", "-f", "${Vpkg-Layout-Sha256}", product).OK(t)
}

// base is an RPM without files that provides what the product's dependencies
// find on the systems that the boxes stand for: a box has Debian's files, but its
// rpm database is empty.
func base(t testing.TB) string {
	t.Helper()
	baseOnce.Do(func() {
		b := testbed.New(t, testbed.Bookworm)
		b.Write(t, "/root/base.spec", baseSpec)
		b.Run(t, "rpmbuild", "-bb", "--quiet", "/root/base.spec").OK(t)
		dir := filepath.Join(testbed.Dir(t), "base")
		baseFile = fetch(t, b, "/root/rpmbuild/RPMS/noarch/base-1-1.noarch.rpm", dir)
	})
	if baseFile == "" {
		t.Fatal("the package of the base system could not be built")
	}
	return baseFile
}

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
