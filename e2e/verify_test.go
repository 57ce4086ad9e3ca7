//go:build linux

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestVerify installs, upgrades and removes on each kind of system, once with the
// package's own account and once with another one: what is freshly installed is as
// it is to be, for vpkg as for the hook.
func TestVerify(t *testing.T) {
	for _, g := range generations {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			v := newVerified(t, g, true)
			g.install(t, v.Box, g.bring(t, v.Box, oldVersion)).OK(t)
			v.clean(t, "the installation")
			g.upgrade(t, v.Box, g.bring(t, v.Box, newVersion)).OK(t)
			v.clean(t, "the upgrade")
			g.remove(t, v.Box).OK(t)
			v.notInstalled(t)

			v.Sh(t, "rm -rf "+data+" "+stateDir+"; useradd -r -U agent").OK(t)
			g.install(t, v.Box, g.bring(t, v.Box, oldVersion), "VEN_NONPRIV_USER=agent").OK(t)
			v.clean(t, "the installation for another account")
			g.upgrade(t, v.Box, g.bring(t, v.Box, newVersion)).OK(t)
			v.clean(t, "its upgrade")
		})
	}
}

// TestVerifyContainer verifies where no systemd runs: as installed, when somebody
// has started the product, and when that has stopped.
func TestVerifyContainer(t *testing.T) {
	for _, name := range []string{"rpm 4.18", "dpkg 1.22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, name)
			v := newVerified(t, g, false)
			g.install(t, v.Box, g.bring(t, v.Box, oldVersion)).OK(t)
			v.clean(t, "the installation")
			v.Run(t, program+"/bin/init_Platform", "start").OK(t)
			v.clean(t, "the start")
			v.Run(t, "chmod", "700", program+"/admin").OK(t)
			v.finds(t, "mode "+program+"/admin")
			v.Run(t, "chmod", "750", program+"/admin").OK(t)
			v.Run(t, program+"/bin/init_Platform", "stop").OK(t)
			v.clean(t, "the stop")
		})
	}
}

// TestVerifyImage verifies an image from the machine on which it is made.
func TestVerifyImage(t *testing.T) {
	const image = "/image"
	for _, c := range []struct {
		generation string
		install    []string // the file's name follows
	}{
		{"rpm 4.18", []string{"rpm", "--root", image, "-i"}},
		{"dpkg 1.21", []string{"dpkg", "--root=" + image, "-i"}},
	} {
		t.Run(c.generation, func(t *testing.T) {
			t.Parallel()
			g := pick(t, c.generation)
			b := testbed.New(t, g.suite)
			b.Nest(t, g.suite, image)
			v := bringVerify(t, b)
			if _, ok := g.manager.(rpm); ok {
				b.Run(t, "rpm", "--root", image, "-i", b.Copy(t, "/packages", base(t))[0]).OK(t)
			}
			b.Run(t, append(c.install, b.Copy(t, image+"/packages", built(t, oldVersion, g.target))[0])...).OK(t)
			for _, c := range []struct{ name, do, undo, want string }{
				{"fresh", "true", "true", ""},
				{"mode", "chmod 700 " + image + program + "/admin", "chmod 750 " + image + program + "/admin", "mode " + program + "/admin"},
				{"disabled", "systemctl -q --root=" + image + " disable " + unit, "systemctl -q --root=" + image + " enable " + unit, "unit-disabled " + unit},
				{"masked", "systemctl -q --root=" + image + " mask " + flow, "systemctl -q --root=" + image + " unmask " + flow, "unit-masked " + flow},
				{"failed", "echo {} >" + image + stateDir + "/failed", "rm " + image + stateDir + "/failed", "failed " + stateDir + "/failed"},
				{"all is undone", "true", "true", ""},
			} {
				b.Sh(t, c.do).OK(t)
				if got := v.byVpkg(t, "--root", image); got != c.want {
					t.Errorf("%s: vpkg finds\n%s\nwant\n%s", c.name, got, c.want)
				}
				b.Sh(t, c.undo).OK(t)
			}
		})
	}
}

// A tamper is one change of a host.
type tamper struct {
	name     string
	do, undo string // shell
	want     string // lines RULE WHERE, in order
	byHook   string // the same for the hook, where it cannot know; "-" for nothing
}

const (
	script  = program + "/bin/agent_status.sh"
	flow    = "venVtapServer.service"
	dropIns = "/etc/systemd/system/" + flow + ".d"
	reload  = "\nsystemctl daemon-reload"
	timeout = "net.netfilter.nf_conntrack_tcp_timeout_established"
)

// tampers have each attribute, and each thing that is no file, changed in turn. A
// saved copy of the program folder is in /saved.
var tampers = []tamper{
	{"a byte", "printf X | dd of=" + script + " bs=1 seek=100 conv=notrunc status=none", "cp -a /saved/bin/agent_status.sh " + script, "content " + script, ""},
	{"a byte more", "echo >>" + script, "cp -a /saved/bin/agent_status.sh " + script, "content " + script, ""},
	{"mode", "chmod 4750 " + script, "chmod 750 " + script, "mode " + script, ""},
	{"mode of a folder", "chmod 777 " + program + "/admin", "chmod 750 " + program + "/admin", "mode " + program + "/admin", ""},
	{"owner", "chown daemon " + script, "chown root " + script, "owner " + script, ""},
	{"owner of nobody's", "chown 54321 " + script, "chown root " + script, "owner " + script, ""},
	{"group", "chgrp daemon " + script, "chgrp " + account + " " + script, "group " + script, ""},
	{"link", "ln -sfn /bin/true " + program + "/bin/venVtapServer", "ln -sfn vpkg-agent " + program + "/bin/venVtapServer", "link " + program + "/bin/venVtapServer", ""},
	{"file in a link's place", "cd " + program + "/bin && rm venVtapServer && cp init_Platform venVtapServer", "ln -sfn vpkg-agent " + program + "/bin/venVtapServer", "type " + program + "/bin/venVtapServer", ""},
	{"missing file", "rm " + script, "cp -a /saved/bin/agent_status.sh " + script, "missing " + script, ""},
	{"missing folder", "rmdir " + program + "/admin", "cp -a /saved/admin " + program, "missing " + program + "/admin", ""},
	{"extra file", "touch " + program + "/bin/more", "rm " + program + "/bin/more", "extra " + program + "/bin/more", ""},
	{"data folder", "chmod 777 " + data, "chmod 750 " + data, "mode " + data, ""},
	{"data folder's owner", "chown daemon " + data + "/log", "chown " + account + " " + data + "/log", "owner " + data + "/log", ""},
	{
		"replaced record", "echo '# more' >>" + script + "; cp /record " + recordLoc, "cp -a /saved/bin/agent_status.sh " + script + "; cp -a /saved/etc/layout.json " + recordLoc,
		"record " + recordLoc, "-",
	},
	{"stopped", "systemctl stop " + unit, "systemctl start " + unit, "unit-stopped " + unit, ""},
	{"a component stopped", "systemctl stop " + flow, "systemctl start " + flow, "unit-stopped " + flow, ""},
	{"disabled", "systemctl -q disable " + unit, "systemctl -q enable " + unit, "unit-disabled " + unit, ""},
	{"masked", "systemctl -q mask " + flow, "systemctl -q unmask " + flow, "unit-masked " + flow, ""},
	{"masked and stopped", "systemctl -q mask --now " + flow, "systemctl -q unmask " + flow + "; systemctl start " + flow, "unit-masked " + flow, ""},
	{"drop-in", "mkdir " + dropIns + "; printf '[Service]\\nNice=5\\n' >" + dropIns + "/x.conf" + reload, "rm -r " + dropIns + reload, "unit-overridden " + flow, ""},
	{"drop-in that waits", "mkdir " + dropIns + "; printf '[Service]\\nNice=5\\n' >" + dropIns + "/x.conf", "rm -r " + dropIns + reload, "unit-overridden " + flow, ""},
	{
		"another unit", "cp $(systemctl show -p FragmentPath --value " + flow + ") /etc/systemd/system/" + reload, "rm /etc/systemd/system/" + flow + reload,
		"unit-overridden " + flow, "",
	},
	{
		"another account", "mkdir " + dropIns + "; printf '[Service]\\nUser=root\\n' >" + dropIns + "/x.conf" + reload + "\nsystemctl restart " + flow + "\nrm -r " + dropIns + reload,
		"systemctl restart " + flow, "process-account venVtapServer", "",
	},
	{"setting", "sysctl -qw " + timeout + "=432000", "sysctl -qw " + timeout + "=28800", "sysctl " + timeout, ""},
	{"rules flushed", hold + "nft flush ruleset", letGo, "firewall packet filter", ""},
	{"a rule more", hold + "nft insert rule inet ILO-FILTER input tcp dport 23 accept", letGo, "firewall packet filter", ""},
	{"rules of the host's own", hold + "iptables -A INPUT -s 198.51.100.1/32 -j ACCEPT", letGo, "firewall packet filter", ""},
	{"the host's service", "systemctl -q enable nftables", "systemctl -q disable nftables", "firewall nftables.service", ""},
	{"failed", `echo '{"event":{"phase":"post-install","action":"install"},"error":"no space"}' >` + stateDir + "/failed", "rm " + stateDir + "/failed", "failed " + stateDir + "/failed", ""},
	{"recovery file", "echo x >" + stateDir + "/recovery.txt", "rm " + stateDir + "/recovery.txt", "recovery " + stateDir + "/recovery.txt", ""},
	{"journal", `echo '{"format":1,"event":{"phase":"pre-install","action":"upgrade"}}' >` + stateDir + "/journal.json", "rm " + stateDir + "/journal.json", "unfinished " + stateDir + "/journal.json", ""},
}

// The component that puts rules back is stopped in its tracks while they are changed,
// but not while it puts them back: others would wait for it.
const (
	hold = "handler=$(systemctl show -p MainPID --value venPlatformHandler); kill -STOP $handler; " +
		"until flock -n " + stateDir + "/platform.lock true; do kill -CONT $handler; sleep 0.2; kill -STOP $handler; done; "
	letGo = "kill -CONT $(systemctl show -p MainPID --value venPlatformHandler)"
)

// TestVerifyTamper changes a host in one way at a time. Each is found, and nothing
// else is.
func TestVerifyTamper(t *testing.T) {
	for _, name := range []string{"rpm 4.18", "dpkg 1.22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := pick(t, name)
			v := newVerified(t, g, true)
			v.Run(t, "systemctl", "-q", "enable", "--now", "nftables").OK(t)
			g.install(t, v.Box, g.bring(t, v.Box, oldVersion)).OK(t)
			v.Sh(t, "cp -a "+program+" /saved").OK(t)
			v.Write(t, "/record", v.otherRecord(t))
			v.clean(t, "the installation, without a policy")
			enforce(t, v.Box, policy("7", "22"))
			v.clean(t, "a policy has come")
			for _, c := range tampers {
				v.Sh(t, c.do).OK(t)
				v.holds(t, c.name, c.want, c.byHook)
				v.Sh(t, c.undo).OK(t)
				if c.undo == letGo {
					awaitRules(t, v.Box)
				}
			}
			file := v.Path(script)
			caps := []byte("\x01\x00\x00\x02\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00") // cap_net_admin=ep
			if err := unix.Setxattr(file, "security.capability", caps, 0); err != nil {
				t.Fatal(err)
			}
			v.holds(t, "capability", "capabilities "+script, "")
			if err := unix.Removexattr(file, "security.capability"); err != nil {
				t.Fatal(err)
			}
			v.Run(t, control, "suspend").OK(t)
			v.clean(t, "it was suspended")
			v.Run(t, control, "unsuspend").OK(t)
			v.clean(t, "all is undone")
		})
	}
}

// awaitRules waits until the policy's rules, and they alone, are in force again.
func awaitRules(t *testing.T, b *testbed.Box) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		r := b.Run(t, program+"/bin/vpkg-hook", "verify")
		if !strings.Contains(r.Stdout, "firewall: ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the rules are not put back: %v", r)
		}
	}
}

// A verified is a box with vpkg in it.
type verified struct{ *testbed.Box }

func newVerified(t *testing.T, g generation, boot bool) *verified {
	t.Helper()
	b := testbed.New(t, g.suite)
	if boot {
		b.Boot(t)
	}
	g.seed(t, b)
	return bringVerify(t, b)
}

func bringVerify(t *testing.T, b *testbed.Box) *verified {
	t.Helper()
	b.Copy(t, "/vpkg", filepath.Join(testbed.Dir(t), "vpkg"))
	b.Sh(t, "chmod 755 /vpkg/vpkg").OK(t)
	return &verified{b}
}

// byVpkg is what `vpkg verify --installed` finds, lines RULE WHERE.
func (v *verified) byVpkg(t *testing.T, options ...string) string {
	t.Helper()
	r := v.Run(t, append([]string{"/vpkg/vpkg", "verify", "--installed", product, "--json"}, options...)...)
	var results []struct {
		Trust     string
		Unchecked []struct{ Path, Why string }
		Findings  []struct{ Rule, Where, Text string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &results); err != nil || len(results) != 1 {
		t.Fatalf("%v: want one result: %v", err, r)
	}
	var lines []string
	for _, f := range results[0].Findings {
		lines = append(lines, f.Rule+" "+f.Where)
	}
	for _, u := range results[0].Unchecked {
		lines = append(lines, "unchecked "+u.Path+": "+u.Why)
	}
	if wrong := len(lines) > 0; wrong != (r.Code != 0) {
		t.Errorf("the exit status does not fit: %v", r)
	}
	if want := "database"; results[0].Trust != want && !strings.Contains(strings.Join(lines, "\n"), "record ") {
		t.Errorf("the record is trusted by %q, want %q", results[0].Trust, want)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// byHook is what `vpkg-hook verify` finds.
func (v *verified) byHook(t *testing.T) string {
	t.Helper()
	r := v.Run(t, program+"/bin/vpkg-hook", "verify")
	if r.Stderr != "" || r.Code > 1 || (r.Code == 1) != (r.Stdout != "") {
		t.Errorf("the hook's verify is not in order: %v", r)
	}
	var lines []string
	for line := range strings.Lines(r.Stdout) {
		rule, rest, _ := strings.Cut(line, ": ")
		where, _, _ := strings.Cut(rest, ": ")
		lines = append(lines, rule+" "+where)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// finds checks what both find.
func (v *verified) finds(t *testing.T, want string) {
	t.Helper()
	v.holds(t, "a change", want, "")
}

func (v *verified) holds(t *testing.T, name, want, byHook string) {
	t.Helper()
	if got := v.byVpkg(t); got != want {
		t.Errorf("%s: vpkg finds\n%s\nwant\n%s", name, got, want)
	}
	switch byHook {
	case "":
		byHook = want
	case "-":
		byHook = ""
	}
	if got := v.byHook(t); got != byHook {
		t.Errorf("%s: the hook finds\n%s\nwant\n%s\n%v", name, got, byHook, v.Run(t, program+"/bin/vpkg-hook", "verify"))
	}
}

// clean checks that nothing is found, and nothing said.
func (v *verified) clean(t *testing.T, after string) {
	t.Helper()
	v.holds(t, "after "+after, "", "")
	if r := v.Run(t, "/vpkg/vpkg", "verify", "--installed"); r.Code != 0 || r.Stdout+r.Stderr != "" {
		t.Errorf("after %s: want exit status 0 and no output: %v", after, r)
	}
	if r := v.Run(t, control, "verify", "--json"); r.Code != 0 || strings.TrimSpace(r.Stdout) != "[]" {
		t.Errorf("after %s: want exit status 0 and an empty list: %v", after, r)
	}
}

func (v *verified) notInstalled(t *testing.T) {
	t.Helper()
	r := v.Run(t, "/vpkg/vpkg", "verify", "--installed", product)
	if r.Code == 0 || !strings.Contains(r.Stderr, "not installed") {
		t.Errorf("after the removal: want that it is not installed: %v", r)
	}
}

// otherRecord is a record that says of a script with a line more that it is as it is
// to be.
func (v *verified) otherRecord(t *testing.T) string {
	t.Helper()
	was := v.Read(t, script)
	is := was + "# more\n"
	sum := func(text string) string {
		s := sha256.Sum256([]byte(text))
		return hex.EncodeToString(s[:])
	}
	record := []byte(v.Read(t, recordLoc))
	for _, change := range [][2]string{
		{sum(was), sum(is)},
		{fmt.Sprintf(`"size":%d,"sha256":"%s"`, len(was), sum(is)), fmt.Sprintf(`"size":%d,"sha256":"%s"`, len(is), sum(is))},
	} {
		if !bytes.Contains(record, []byte(change[0])) {
			t.Fatalf("the record does not have %s:\n%s", change[0], record)
		}
		record = bytes.Replace(record, []byte(change[0]), []byte(change[1]), 1)
	}
	return string(record)
}
