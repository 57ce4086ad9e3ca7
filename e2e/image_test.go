//go:build linux

package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestImage installs into an image from outside: `rpm --root`, `dpkg --root` and
// a chroot, on a booted box with a firewall, which stands for the machine that
// builds the image. The image gets account, folders and an enabled unit; the
// machine keeps its rules, settings, units and processes as they are.
func TestImage(t *testing.T) {
	const image = "/image"
	for _, c := range []struct {
		name string
		generation
		install, remove []string // run on the machine; the file's or the package's name follows
	}{
		{"rpm --root", pick(t, "rpm 4.18"), []string{"rpm", "--root", image, "-i"}, []string{"rpm", "--root", image, "-e"}},
		{"rpm in a chroot", pick(t, "rpm 4.18"), []string{"chroot", image, "rpm", "-i"}, []string{"chroot", image, "rpm", "-e"}},
		{"dpkg --root", pick(t, "dpkg 1.21"), []string{"dpkg", "--root=" + image, "-i"}, []string{"dpkg", "--root=" + image, "--purge"}},
		{"dpkg in a chroot", pick(t, "dpkg 1.21"), []string{"chroot", image, "dpkg", "-i"}, []string{"chroot", image, "dpkg", "--purge"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := testbed.New(t, c.suite)
			b.Nest(t, c.suite, image)
			b.Boot(t)
			// What image builders mount, and what would betray the machine's systemd.
			b.Sh(t, `set -e
				mount --bind /proc /image/proc
				mount --bind /sys /image/sys
				mkdir -p /image/run/systemd
				mount --bind /run/systemd /image/run/systemd
				iptables -P INPUT DROP
				iptables -A INPUT -i lo -j ACCEPT
				nft add table inet mine
				nft add chain inet mine c
				nft add rule inet mine c ip saddr 192.0.2.1 drop`).OK(t)
			file := b.Copy(t, image+"/packages", built(t, oldVersion, c.target))[0]
			if c.install[0] == "chroot" {
				file = strings.TrimPrefix(file, image)
			}
			if _, ok := c.manager.(rpm); ok {
				b.Run(t, "rpm", "--root", image, "-i", b.Copy(t, "/packages", base(t))[0]).OK(t)
			}
			// systemctl itself ignores requests from a chroot. The hook must not make any.
			b.Sh(t, `cd /image && for tool in usr/bin/systemctl usr/sbin/modprobe usr/sbin/sysctl usr/sbin/iptables usr/sbin/nft; do
				if [ -e "$tool" ]; then mv "$tool" "$tool.real"; fi
				printf '#!/bin/sh\necho "${0##*/} $*" >>/calls\n[ ! -x "$0.real" ] || exec "$0.real" "$@"\n' >"$tool"
				chmod 755 "$tool"
			done`).OK(t)
			before := machine(t, b)
			b.Run(t, append(c.install, file)...).OK(t)
			if after := machine(t, b); after != before {
				t.Errorf("the installation into an image changed the machine\nfrom\n%s\nto\n%s", before, after)
			}
			if got, want := b.Run(t, "chroot", image, "stat", "-c", "%a %U:%G", data).OK(t), "750 "+account+":"+account+"\n"; got != want {
				t.Errorf("the image's data folder is %q, want %q", got, want)
			}
			if r := b.Run(t, "sh", "-c", "ls "+image+"/etc/systemd/system/*.wants/"+unit); r.Code != 0 {
				t.Errorf("the unit is not enabled in the image: %v", r)
			}
			if exists(t, b, image+stateDir+"/failed") {
				t.Error("the hook has failed in the image")
			}

			before = machine(t, b)
			b.Run(t, append(c.remove, product)...).OK(t)
			for call := range strings.Lines(b.Sh(t, "touch /image/calls; cat /image/calls").OK(t)) {
				if !harmless.MatchString(strings.TrimSpace(call)) {
					t.Errorf("in the image the hook calls %q", call)
				}
			}
			if after := machine(t, b); after != before {
				t.Errorf("the removal from the image changed the machine\nfrom\n%s\nto\n%s", before, after)
			}
		})
	}
}

// harmless are the calls that change or read links in /etc/systemd only, and the
// one that %postun makes, which is shell and as good as systemd's own macros for
// spec files.
var harmless = regexp.MustCompile(`^systemctl ((-[-a-z=/]+ )*(enable|disable|is-enabled)( |$)|daemon-reload$)`)

// machine is everything of the machine that a scriptlet must not change.
func machine(t testing.TB, b *testbed.Box) string {
	t.Helper()
	return b.Sh(t, `
		echo "== rules"; iptables-save | grep -v '^#'; ip6tables-save | grep -v '^#'; nft list ruleset
		echo "== settings"; cat /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established 2>&1
		echo "== units"; systemctl list-units --all --plain --no-legend --type=service | awk '{ print $1, $3, $4 }' | sort
		systemctl list-unit-files --no-legend | grep -i -e illumio -e '^ven'
		echo "== accounts"; cat /etc/passwd /etc/group
		echo "== files"; ls -A /opt /var/lib/vpkg /var/log/illumio_install.log 2>&1
		echo "== processes"; ps -e -o args= | grep -e '^/opt' -e vpkg -e '[v]en[A-Z]' | grep -v grep
		true`).OK(t)
}
