//go:build linux

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// A faultBox is a booted box with rules of the host's and the service that loads
// them, on which a package file waits.
type faultBox struct {
	generation
	*killBox
	file string
}

func newFaultBox(t *testing.T, g generation) *faultBox {
	t.Helper()
	b := &faultBox{generation: g, killBox: &killBox{Box: testbed.New(t, g.suite), booted: true, wide: true}}
	b.Boot(t)
	g.seed(t, b.Box)
	b.furnish(t)
	b.file = g.bring(t, b.Box, oldVersion)
	return b
}

// sees fails the test unless the host is what it was.
func (b *faultBox) unchanged(t *testing.T, when string) {
	t.Helper()
	if got := hostPart(b.look(t)); got != b.before {
		t.Errorf("%s the host has\n%s", when, difference(b.before, got))
	}
}

// removed removes the package and checks that the host is what it was.
func (b *faultBox) removed(t *testing.T) {
	t.Helper()
	b.remove(t, b.Box).OK(t)
	b.unchanged(t, "after the removal")
}

// says fails the test unless the text has all the words.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("it does not say %q:\n%s", w, text)
		}
	}
}

// A fault is something that is wrong with the host at an installation.
type fault struct {
	name    string
	prepare string // shell
	run     func(t *testing.T, b *faultBox)
}

// working is an installation that succeeds and runs all the same, and gives
// everything back.
func working(warning ...string) func(*testing.T, *faultBox) {
	return func(t *testing.T, b *faultBox) {
		t.Helper()
		r := b.install(t, b.Box, b.file)
		r.OK(t)
		says(t, r.Stderr+b.Read(t, logFile), warning...)
		checkInstalled(t, b.generation, b.Box, oldVersion)
		checkHookWork(t, b.Box)
		checkRunning(t, b.Box)
		b.removed(t)
	}
}

// refused is an installation after which the package is in the database and
// nothing of the host is changed: rpm makes a warning of a failed %post. It says
// why, and once the cause is gone the way to go on works.
func refused(repair string, why ...string) func(*testing.T, *faultBox) {
	return func(t *testing.T, b *faultBox) {
		t.Helper()
		r := b.install(t, b.Box, b.file)
		r.OK(t)
		says(t, r.Stderr+b.Run(t, "journalctl", "--no-pager", "-u", unit).Stdout, why...)
		if !exists(t, b.Box, stateDir+"/failed") {
			t.Error("the installation is not marked as failed")
		}
		b.Sh(t, repair).OK(t)
		b.unchanged(t, "after the refusal")
		b.reinstall(t, b.Box, b.file).OK(t)
		checkHookWork(t, b.Box)
		checkRunning(t, b.Box)
		b.removed(t)
	}
}

var faults = []fault{
	// Without modprobe what is there is used, and each module that is not is a
	// warning.
	{"no modprobe", "rm -f /usr/sbin/modprobe /sbin/modprobe", working("nf_conntrack_ftp is not there")},

	// The package's own scripts and programs do not run from /tmp or /var/tmp.
	{"noexec", "for d in /tmp /var/tmp; do mount -t tmpfs -o noexec,mode=1777 tmpfs $d; done", working()},

	// In most containers the kernel's settings cannot be set.
	{"read-only /proc/sys", "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys", working("nf_conntrack_tcp_timeout_established")},

	// The data folder is the agent's: that nothing can be written to it is the
	// agent's trouble, and the host's rules are in force.
	{"data folder full", "mkdir " + data + " && mount -t tmpfs -o size=4k tmpfs " + data + " && { head -c 8192 /dev/zero >" + data + "/ballast || :; }", func(t *testing.T, b *faultBox) {
		b.install(t, b.Box, b.file).OK(t)
		if got := unitState(t, b.Box); got != "enabled active" {
			t.Errorf("the service is %s", got)
		}
		if rules := b.Run(t, "iptables-save").OK(t); !strings.Contains(rules, "--dport 22") {
			t.Errorf("the host's rules are not in force:\n%s", rules)
		}
		b.removed(t)
	}},

	// Where nothing can be noted nothing is changed.
	{
		"state folder full", "mkdir /var/lib/vpkg && mount -t tmpfs -o size=8k tmpfs /var/lib/vpkg",
		func(t *testing.T, b *faultBox) {
			b.install(t, b.Box, b.file).OK(t)
			b.unchanged(t, "without room for the state")
			b.Run(t, "mount", "-o", "remount,size=16M", "/var/lib/vpkg").OK(t)
			b.reinstall(t, b.Box, b.file).OK(t)
			checkRunning(t, b.Box)
			b.removed(t)
		},
	},

	// One sentence, and nothing changed.
	{
		"no packet filter", "mkdir /hidden && mv /usr/sbin/nft /usr/sbin/*tables* /hidden/",
		func(t *testing.T, b *faultBox) {
			r := b.install(t, b.Box, b.file)
			r.OK(t)
			why := r.Stderr + b.Run(t, "journalctl", "--no-pager", "-u", unit).Stdout
			says(t, why, "this host has no packet filter")
			b.Sh(t, "mv /hidden/* /usr/sbin/").OK(t)
			b.unchanged(t, "without a packet filter")
			b.reinstall(t, b.Box, b.file).OK(t)
			checkRunning(t, b.Box)
			b.removed(t)
		},
	},

	// Rules that could not be given back are not taken.
	{
		"rules that no tool can save", `/kill/nft add chain ip filter native '{ type filter hook input priority 20; policy accept; }'`,
		refused("/kill/nft delete chain ip filter native", "the host's rules cannot be saved", "native"),
	},

	// Without systemd's program nothing can be enabled or started. That is a warning,
	// for a container has none; whoever puts it there enables the service.
	{
		"no systemctl", "mv /usr/bin/systemctl /usr/bin/hidden",
		func(t *testing.T, b *faultBox) {
			r := b.install(t, b.Box, b.file)
			r.OK(t)
			says(t, r.Stderr, "systemctl is not installed", unit)
			checkInstalled(t, b.generation, b.Box, oldVersion)
			checkHookWork(t, b.Box)
			b.Run(t, "mv", "/usr/bin/hidden", "/usr/bin/systemctl").OK(t)
			b.unchanged(t, "without systemctl")
			b.Sh(t, "systemctl daemon-reload && systemctl enable -q --now "+unit).OK(t)
			checkRunning(t, b.Box)
			b.removed(t)
		},
	},

	// What others can read is not believed; it is a warning, with the way out.
	{
		"settings that others can read", "printf 'CONNTRACK_MAX=65536\n' >/etc/default/illumio-agent; chmod 644 /etc/default/illumio-agent",
		working("/etc/default/illumio-agent is refused", "chmod 0640"),
	},

	// The table of connections is the first namespace's: elsewhere the kernel
	// refuses the value, which is a warning.
	{
		"settings", "printf 'CONNTRACK_MAX=65536\nCONNTRACK_HASH_SIZE=16384\n' >/etc/default/illumio-agent; chmod 600 /etc/default/illumio-agent",
		working("nf_conntrack_max", "hashsize"),
	},
	{
		"settings with a mistake", "printf 'CONNTRACK_MAX=lots\n' >/etc/default/illumio-agent; chmod 600 /etc/default/illumio-agent",
		working("/etc/default/illumio-agent:1: CONNTRACK_MAX"),
	},

	// An /opt that cannot be written: rpm itself refuses, and nothing is changed.
	{
		"read-only /opt", "mount --bind /opt /opt && mount -o remount,ro,bind /opt",
		func(t *testing.T, b *faultBox) {
			b.install(t, b.Box, b.file).Fails(t)
			if v := b.version(t, b.Box); v != "" {
				t.Errorf("%s is installed", v)
			}
			b.unchanged(t, "after the refusal")
			b.Run(t, "umount", "/opt").OK(t)
			working()(t, b)
		},
	},

	// One that becomes so later: a start needs to write nothing there.
	{
		"read-only /opt later", "", func(t *testing.T, b *faultBox) {
			b.install(t, b.Box, b.file).OK(t)
			b.Sh(t, "mount --bind /opt /opt && mount -o remount,ro,bind /opt").OK(t)
			b.Run(t, "systemctl", "restart", unit).OK(t)
			b.Run(t, program+"/bin/vpkg-hook", "platform", "apply").OK(t)
			b.Run(t, "umount", "-l", "/opt").OK(t)
			b.Run(t, "systemctl", "restart", unit).OK(t)
			b.removed(t)
		},
	},

	// Neither a system account nor an ordinary one can be made: refused before
	// anything is unpacked.
	{
		"no number for the account", `
		sed -i '/^#*\(SYS_\)*[UG]ID_M/d' /etc/login.defs
		printf 'SYS_UID_MIN 990\nSYS_UID_MAX 990\nSYS_GID_MIN 990\nSYS_GID_MAX 990\nUID_MIN 1000\nUID_MAX 1000\nGID_MIN 1000\nGID_MAX 1000\n' >>/etc/login.defs
		i=1; while [ $i -le 1000 ]; do echo "g$i:x:$i:" >>/etc/group; echo "u$i:x:$i:$i::/:/bin/false" >>/etc/passwd; i=$((i + 1)); done`,
		func(t *testing.T, b *faultBox) {
			r := b.install(t, b.Box, b.file)
			says(t, r.Fails(t), account)
			if v := b.version(t, b.Box); v != "" {
				t.Errorf("%s is installed", v)
			}
			if exists(t, b.Box, program) {
				t.Errorf("the refused installation leaves %s", program)
			}
			b.unchanged(t, "after the refusal")
		},
	},
}

// TestFaults installs on hosts with which something is wrong.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			b := newFaultBox(t, pick(t, "rpm 4.18"))
			if f.prepare != "" {
				b.Sh(t, "set -e\n"+f.prepare).OK(t)
			}
			f.run(t, b)
		})
	}
}

// TestNoRoom fills the disk of the state folder but for some blocks. A policy is
// then put in force whole, or the host is as it was; and from what there is it is
// given back.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	b := newKillBox(t, killBox{wide: true})
	const page = 4096
	b.Sh(t, "mkdir -p /room && mount -t tmpfs -o size=128k tmpfs /room").OK(t)
	done, undone := 0, 0
	for free := range 16 {
		fill := fmt.Sprintf(`{ dd if=/dev/zero of=/room/ballast bs=%d count=1000 2>/dev/null; truncate -s -%d /room/ballast; }`, page, free*page)
		r := b.Sh(t, `. /kill/lib.sh
			umount /var/lib/vpkg 2>/dev/null
			reset; policy a
			rm -rf /room/*; cp -a /var/lib/vpkg /room/vpkg; mount --bind /room/vpkg /var/lib/vpkg
			`+fill+`
			$hook platform apply`)
		got := hostPart(b.look(t))
		switch inForce := strings.Contains(got, "ILO-FILTER"); {
		case r.Code == 0 && inForce:
			done++
		case r.Code != 0 && got == b.before:
			undone++
		default:
			t.Errorf("with %d free blocks: %v\nthe host has\n%s", free, r, difference(b.before, got))
		}
		// As full as it gets, it is given back.
		r = b.Sh(t, "dd if=/dev/zero of=/room/more bs=4096 count=1000 2>/dev/null; /kill/hook platform restore")
		if got := hostPart(b.look(t)); got != b.before {
			t.Errorf("with %d free blocks, given back without any: %v\nthe host has\n%s", free, r, difference(b.before, got))
		}
	}
	b.Sh(t, "umount /var/lib/vpkg").OK(t)
	if done == 0 || undone == 0 {
		t.Errorf("the policy was put in force %d times and %d times not, want both", done, undone)
	}
}

// TestBadServer installs with VEN_INSTALL_ACTION=activate where the server is not
// what it should be. The installation succeeds and says what is wrong.
func TestBadServer(t *testing.T) {
	for _, c := range []struct {
		name    string
		options string // of the server; without, there is none
		trusted bool
		code    string
		says    []string
		paired  bool
	}{
		{"good", "", true, "good-code", nil, true},
		{"unreachable", "none", true, "good-code", []string{"127.0.0.1:8443", "refused"}, false},
		{"unknown authority", "", false, "good-code", []string{"certificate", "--ca-file"}, false},
		{"clock wrong, certificate of tomorrow", "--not-before=24h", true, "good-code", []string{"is not valid yet", "the clock of this host says"}, false},
		{"certificate of yesterday", "--not-before=-48h --not-after=-24h", true, "good-code", []string{"has expired", "the clock of this host says"}, false},
		{"wrong code", "", true, "wrong-code", []string{"127.0.0.1:8443 refuses", "the code is erased"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, "rpm 4.18")
			b := testbed.New(t, g.suite)
			b.Boot(t)
			g.seed(t, b)
			if c.options != "none" {
				b.Copy(t, "/", filepath.Join(testbed.Dir(t), "pce"))
				b.Write(t, "/codes", "good-code\n")
				b.Sh(t, "chmod 755 /pce; (setsid /pce --listen 127.0.0.1:8443 --code-file /codes --ca-out /ca.pem "+c.options+" >/pce.log 2>&1 &); until grep -q listening /pce.log; do sleep 0.1; done").OK(t)
			}
			if c.trusted {
				b.Sh(t, "mkdir -p /etc/ssl/certs; [ ! -e /ca.pem ] || cp /ca.pem /etc/ssl/certs/ca-certificates.crt").OK(t)
			}
			r := g.install(t, b, g.bring(t, b, oldVersion), "VEN_INSTALL_ACTION=activate", "VEN_MANAGEMENT_SERVER=127.0.0.1:8443", "VEN_ACTIVATION_CODE="+c.code)
			r.OK(t)
			checkInstalled(t, g, b, oldVersion)
			checkHookWork(t, b)
			checkRunning(t, b)
			says(t, r.Stderr, c.says...)
			if paired := exists(t, b, data+"/etc/agent_id.cfg"); paired != c.paired {
				t.Errorf("paired: %t, want %t\n%v", paired, c.paired, r)
			}
			if strings.Contains(r.Stdout+r.Stderr+b.Read(t, logFile), c.code) {
				t.Error("the activation code is in the output or the log")
			}
			g.remove(t, b).OK(t)
		})
	}
}

// TestAtOnce has two of everything at the same time. One may be refused; the end
// is one product that is whole and runs, and a host that can be given back.
func TestAtOnce(t *testing.T) {
	for _, name := range []string{"rpm 4.18", "dpkg 1.22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFaultBox(t, pick(t, name))
			install := "dpkg -i " + b.file
			if _, ok := b.manager.(rpm); ok {
				install = "rpm -i " + b.file
			}
			r := b.Sh(t, install+" & p=$!; "+install+"; a=$?; wait $p; b=$?; [ $a -eq 0 ] || [ $b -eq 0 ]")
			r.OK(t)
			checkInstalled(t, b.generation, b.Box, oldVersion)
			checkHookWork(t, b.Box)
			checkRunning(t, b.Box)

			const start = program + "/bin/init_Platform start"
			b.Run(t, program+"/bin/init_Platform", "stop").OK(t)
			b.Sh(t, start+" & p=$!; "+start+" && wait $p").OK(t)
			checkRunning(t, b.Box)

			b.Write(t, data+"/etc/policy.json", killFiles["a.json"])
			const apply = program + "/bin/vpkg-hook platform apply"
			b.Sh(t, apply+" & p=$!; "+apply+" && wait $p").OK(t)
			if rules := b.Run(t, "nft", "list", "tables").OK(t); strings.Count(rules, "ILO-") != 1 {
				t.Errorf("want the policy's table in force, once:\n%s", rules)
			}
			b.removed(t)
		})
	}
}
