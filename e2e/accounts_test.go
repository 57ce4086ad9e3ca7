//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// TestAccounts installs on systems on which something of the account or of the
// data folder is there already.
func TestAccounts(t *testing.T) {
	for _, name := range []string{"rpm 4.16", "rpm 4.20", "dpkg 1.21"} {
		for _, c := range []struct {
			name    string
			prepare string // shell, before the installation
		}{
			{"group without user", "groupadd -r " + account},
			{"user and group", "useradd -r -U " + account},
			{"user with another group", "groupadd -r other; useradd -r -g other " + account},
			{"all system numbers taken", `
				for f in UID GID; do sed -i "/^#*SYS_${f}_M/d" /etc/login.defs; printf "SYS_${f}_MIN 990\nSYS_${f}_MAX 999\n" >>/etc/login.defs; done
				i=990; while [ $i -le 999 ]; do
					getent group $i >/dev/null || groupadd -g $i taken$i
					getent passwd $i >/dev/null || useradd -M -u $i -g $i taken$i
					i=$((i + 1))
				done`},
			{"data folder made by the pairing command", "umask 026; mkdir -p " + data + "/tmp; chmod 751 " + data + "/tmp; echo x >" + data + "/tmp/pair.sh"},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				g := pick(t, name)
				b := g.box(t)
				b.Sh(t, c.prepare).OK(t)
				g.install(t, b, g.bring(t, b, oldVersion)).OK(t)
				checkInstalled(t, g, b, oldVersion)
				checkHookWork(t, b)
				if _, ok := g.manager.(dpkg); !ok {
					return
				}
				b.Run(t, "dpkg", "--purge", product).OK(t)
				// What was there before the package stays after it.
				if had := strings.Contains(c.prepare, "useradd -r"); had != hasAccount(t, b, account) {
					t.Errorf("after the purge the account exists: %t, before the installation: %t", !had, had)
				}
			})
		}
	}
}

// TestOwnAccount installs with VEN_NONPRIV_USER: the data folder is that user's,
// the payload stays the package's own account's, so that nothing is altered.
func TestOwnAccount(t *testing.T) {
	for _, name := range []string{"rpm 4.16", "rpm 4.20", "dpkg 1.21"} {
		t.Run(name+"/known", func(t *testing.T) {
			t.Parallel()
			g := pick(t, name)
			b := g.box(t)
			b.Run(t, "useradd", "-r", "-U", "agent").OK(t)
			g.install(t, b, g.bring(t, b, oldVersion), "VEN_NONPRIV_USER=agent").OK(t)
			checkInstalled(t, g, b, oldVersion)
			if got := status(t, b, data); !strings.HasPrefix(got, "750 agent:") {
				t.Errorf("the data folder is %q, want agent's", got)
			}
			// It is remembered: the upgrade is not told.
			g.upgrade(t, b, g.bring(t, b, newVersion)).OK(t)
			checkInstalled(t, g, b, newVersion)
			if got := status(t, b, data); !strings.HasPrefix(got, "750 agent:") {
				t.Errorf("after the upgrade the data folder is %q, want agent's", got)
			}
			if got := b.Read(t, stateDir+"/installed.json"); !strings.Contains(got, `"agent"`) {
				t.Errorf("the installed state does not name the user:\n%s", got)
			}
		})
		t.Run(name+"/unknown", func(t *testing.T) {
			t.Parallel()
			g := pick(t, name)
			b := g.box(t)
			stderr := g.install(t, b, g.bring(t, b, oldVersion), "VEN_NONPRIV_USER=nobody-of-that-name").Fails(t)
			if !strings.Contains(stderr, "nobody-of-that-name") {
				t.Errorf("the message does not name the user: %s", stderr)
			}
			if v := g.version(t, b); v != "" {
				t.Errorf("%s is installed all the same", v)
			}
			for _, path := range []string{program, data} {
				if exists(t, b, path) {
					t.Errorf("the refused installation leaves %s", path)
				}
			}
			// rpm 4.20 makes the account itself, from user() provides, before %pre.
			if name != "rpm 4.20" && hasAccount(t, b, account) {
				t.Errorf("the refused installation leaves the account %s", account)
			}
		})
	}
}
