//go:build linux

package e2e

import ("testing"; "github.com/vpkg/vpkg/internal/testbed")
var _ = build
func TestScratch(t *testing.T) {
	for _, g := range generations {
		t.Run(g.name, func(t *testing.T) { 
			b := g.box(t)
			t.Log(b.Run(t, "rpm", "-qa"))
			t.Log(b.Run(t, "rpm", "-q", "--whatprovides", "/bin/sh"))
			if g.name=="rpm 6" {
				t.Log(b.Run(t, "rpm", "-U","--replacepkgs", "/packages/base-1-1.noarch.rpm"))
				t.Log(b.Run(t, "rpm", "--eval", "%_pkgverify_level %_pkgverify_flags %_rpmformat"))
			}
			if g.name=="rpm 4.20" {
			t.Log(b.Run(t, "cat", "/usr/lib/rpm/sysusers.sh"))
			t.Log(b.Run(t, "rpm", "--eval", "%__systemd_sysusers"))
			}
		})
	}
	b := testbed.New(t, testbed.Bookworm)
	b.SeedCentOS8(t)
	t.Log(b.Sh(t, "rpm -qa | wc -l; rpm -q nftables kmod iptables systemd shadow-utils; rpm -q --whatprovides /bin/sh /usr/sbin/useradd /usr/sbin/groupadd nftables"))
}
