//go:build linux

package pairing

import (
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/agent/agenttest"
	"github.com/vpkg/vpkg/internal/testbed"
)

// A system is a root file system, what it says that it is, and the programs that it
// does not have.
type system struct {
	name, manager string
	suite         testbed.Suite
	release       string // os-release; empty means Debian's own
	without       []string
}

const (
	el9    = "NAME=\"Rocky Linux\"\nID=rocky\nVERSION_ID=\"9.4\"\n"
	el10   = "NAME=\"Oracle Linux Server\"\nID=ol\nVERSION_ID=\"10.0\"\n"
	sles15 = "NAME=SLES\nVERSION=\"15-SP5\"\nVERSION_ID=\"15.5\"\nID=sles\nID_LIKE=suse\n"
)

var systems = []system{
	{"rpm 4.16", "rpm -U", testbed.Bullseye, el9, nil},
	{"rpm 4.18", "rpm -U", testbed.Bookworm, el9, []string{"dnf", "zypper"}},
	{"rpm 4.20", "rpm -U", testbed.Trixie, el10, nil},
	{"dnf", "dnf -y", testbed.Bookworm, el9, nil},
	{"zypper", "zypper --non-interactive", testbed.Bookworm, sles15, []string{"dnf"}},
	{"apt", "apt-get -y", testbed.Bookworm, "", nil},
	{"dpkg", "dpkg -i", testbed.Trixie, "", []string{"apt-get"}},
}

// paired is how a line ends that has paired the machine.
const paired = "\n" + agenttest.PairingStatus

// pairs runs a line that has to pair the machine, and checks that it did, and that the
// server hears from it.
func pairs(t *testing.T, b *testbed.Box, l library, line string) string {
	t.Helper()
	out := b.Sh(t, line).OK(t)
	if !strings.HasSuffix(out, paired) {
		t.Errorf("it does not end as it should:\n%s", out)
	}
	if mode := b.Run(t, "stat", "-c", "%a %U %G", "/var/log/illumio_install.log").OK(t); mode != "600 root root\n" {
		t.Errorf("the log is %s", mode)
	}
	id := agentID(t, b)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		w := l.workload(t, id)
		if w.Status == "active" && w.Heartbeat.After(w.Paired) {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server has workload %d as %+v", id, w)
		}
	}
}

func agentID(t *testing.T, b *testbed.Box) int64 {
	t.Helper()
	for line := range strings.Lines(b.Read(t, "/opt/illumio_ven_data/etc/agent_id.cfg")) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "agent_id: "); ok {
			id, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
	}
	t.Fatal("the machine has no identity")
	return 0
}

// A workload is a machine as the server has it.
type workload struct {
	ID        int64
	Status    string
	Labels    map[string]string
	Paired    time.Time `json:"paired_at"`
	Heartbeat time.Time `json:"last_heartbeat_at"`
}

func (l library) workload(t *testing.T, id int64) workload {
	t.Helper()
	var all []workload
	parse(t, l.run(t, "workload", "list", "--json"), &all)
	for _, w := range all {
		if w.ID == id {
			return w
		}
	}
	t.Fatalf("the server has no workload %d", id)
	return workload{}
}

// clean searches the machine for a code: files that were written, the journal, and
// what processes show of themselves.
func clean(t *testing.T, b *testbed.Box, code string) {
	t.Helper()
	if log := b.Read(t, "/var/log/illumio_install.log"); !strings.Contains(log, "exit status 0") {
		t.Errorf("the log has no end:\n%s", log)
	}
	search := func(text string) string {
		b.Write(t, "/secret/code", text)
		return b.Sh(t, `grep -rlaF -D skip -f /secret/code /etc /opt /var /run /tmp /dev/shm /root /home 2>/dev/null
			for p in /proc/[0-9]*; do grep -qaF -f /secret/code $p/cmdline $p/environ 2>/dev/null && echo $p; done
			journalctl --no-pager -o export | grep -aF -f /secret/code
			rm -r /secret`).OK(t)
	}
	if found := search(code); found != "" {
		t.Errorf("the code is in\n%s", found)
	}
	// That what is there is found: the server in the configuration, the agent among the
	// processes, and a line in the journal.
	b.Sh(t, "echo venAgentMgr | systemd-cat; journalctl --sync").OK(t)
	if found := search("masterconfig_server"); !strings.Contains(found, "/opt/illumio_ven_data/etc/agent_activation.cfg\n") {
		t.Errorf("the search does not find the server: %s", found)
	}
	if found := search("venAgentMgr"); !strings.Contains(found, "\n/proc/") || !strings.Contains(found, "\nMESSAGE=venAgentMgr\n") {
		t.Errorf("the search does not find the agent: %.2000s", found)
	}
}

func TestPair(t *testing.T) {
	for _, s := range systems {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			l := one(t)
			b := boot(t, s)
			line, code := l.line(t, l.profile(t))
			pairs(t, b, l, line)
			if log := b.Read(t, "/var/log/illumio_install.log"); !strings.Contains(log, "+ "+s.manager) {
				t.Errorf("it was not installed with %s:\n%s", s.manager, log)
			}
			vpkg := b.Copy(t, "/root", filepath.Join(testbed.Dir(t), "vpkg"))[0]
			if r := b.Sh(t, "chmod 755 "+vpkg+"; "+vpkg+" verify --installed "+product); r.Code != 0 || r.Stdout+r.Stderr != "" {
				t.Errorf("vpkg verify --installed: %s", r)
			}
			const unchanged = there + `; find /opt/illumio_ven /opt/illumio_ven_data/etc /etc /usr -xdev -type f -printf '%p %s %T@\n' | sort; /opt/illumio_ven/bin/init_Platform status`
			id, before := agentID(t, b), b.Sh(t, unchanged).OK(t)
			if out := b.Sh(t, line).OK(t); out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:] != "The VEN is already paired with "+l.server+"\n" {
				t.Errorf("the line again says\n%s", out)
			}
			if again := agentID(t, b); again != id {
				t.Errorf("the line again makes workload %d of %d", again, id)
			}
			if after := b.Sh(t, unchanged).OK(t); after != before {
				t.Errorf("the line again changes %s", difference(before, after))
			}
			clean(t, b, code)
		})
	}
}

// there lists everything that an installation would change.
const there = `find /opt /etc /usr /var/lib /home /root -xdev ! -path '*/apt/*' ! -path '/var/lib/systemd*' ! -path '/var/lib/dpkg/lock*' ! -path '/var/lib/dpkg/*-old' \
	! -name '*-' ! -name '.pwd.lock' -printf '%p %y %m %U %G\n' | sort; getent passwd; systemctl list-unit-files --no-legend; nft list ruleset`

// failing makes a function that runs a line, wants a status and a sentence of it, and
// the machine as it is now.
func failing(t *testing.T, b *testbed.Box) func(name, line string, status int, says string) {
	t.Helper()
	before := b.Sh(t, there).OK(t)
	return func(name, line string, status int, says string) {
		t.Helper()
		r := b.Sh(t, line)
		if r.Code != status || !strings.Contains(r.Stdout+r.Stderr, says) {
			t.Errorf("%s: want status %d and %q: %s", name, status, says, r)
		}
		// What the line itself makes.
		b.Sh(t, "rm -rf /opt/illumio_ven_data/tmp; rmdir /opt/illumio_ven_data 2>/dev/null; true").OK(t)
		if after := b.Sh(t, there).OK(t); after != before {
			t.Errorf("%s: the machine is not as it was: %s", name, difference(before, after))
		}
	}
}

// TestFailures: each failure has its status and its sentence, and the machine is as it
// was; then it is paired after all, with a connection that is cut on the way.
func TestFailures(t *testing.T) {
	t.Parallel()
	l := one(t)
	b := boot(t, system{suite: testbed.Bookworm})
	profile := l.profile(t)
	line, code := l.line(t, profile)
	trusting, _ := l.line(t, profile, "--trusted")
	fails := failing(t, b)
	fails("the line without a CA", trusting, 60, "curl: (60)")
	sum := line[strings.Index(line, `echo "`)+6:][:64]
	fails("another CA", strings.Replace(line, sum, strings.Repeat("0", 64), 1), 1, "ca.crt: FAILED")
	fails("the script without a CA", strings.Replace(line, " --ca-file /opt/illumio_ven_data/tmp/ca.crt", "", 1), 8, "is not trusted")
	mine := "mount --bind /srv/release /usr/lib/os-release; "
	b.Write(t, "/srv/release", "NAME=Fedora\nID=fedora\nVERSION_ID=40\n")
	b.Sh(t, mine).OK(t)
	fails("another system", line, 4, "Fedora 40 on "+unameMachine[runtime.GOARCH]+" is not supported. Packages are there for: debian12 (")
	b.Sh(t, "umount /usr/lib/os-release").OK(t)

	other := corrupted(t)
	spoiled, _ := other.line(t, other.profile(t))
	fails("a corrupt package", spoiled, 12, "The package has another SHA-256 than the server announced")

	p := cut(t, l.server, 1<<20)
	out := pairs(t, b, l, strings.ReplaceAll(line, l.server, p))
	if !strings.Contains(out, "Download interrupted at ") {
		t.Errorf("nothing was cut:\n%s", out)
	}
	clean(t, b, code)
	if log, err := os.ReadFile(l.log); err != nil || !strings.Contains(string(log), "status=206") {
		t.Errorf("the server has sent no part of a file: %v", err)
	}

	// To another address, which is another server as far as the machine knows.
	line, code = l.line(t, profile)
	out = pairs(t, b, l, line)
	if !strings.Contains(out, "Detected PCE fqdn/port change\n") {
		t.Errorf("it does not say that the server is another one:\n%s", out)
	}
	clean(t, b, code)
}

var unameMachine = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

func difference(before, after string) string {
	old := map[string]bool{}
	for line := range strings.Lines(before) {
		old[line] = true
	}
	var b strings.Builder
	for line := range strings.Lines(after) {
		if !old[line] {
			b.WriteString("\n+ " + strings.TrimSuffix(line, "\n"))
		}
		delete(old, line)
	}
	for line := range old {
		b.WriteString("\n- " + strings.TrimSuffix(line, "\n"))
	}
	return b.String()
}

// TestTrusted: the machine trusts the server already, so that the line is as it is
// documented. Looking changes nothing, nor does an installation that goes wrong.
func TestTrusted(t *testing.T) {
	t.Parallel()
	l := one(t)
	b := boot(t, system{suite: testbed.Trixie})
	line, code := l.line(t, l.profile(t), "--trusted")
	if strings.Contains(line, "ca.crt") {
		t.Errorf("the line has a step that is not documented: %s", line)
	}
	b.Write(t, "/usr/local/share/ca-certificates/library.crt", run(t, "curl", "-fsk", "https://"+l.server+"/ca.crt"))
	b.Run(t, "update-ca-certificates").OK(t)
	fails := failing(t, b)
	fails("a look", line+" --dry-run", 0, "\nNothing was changed\n")
	b.Sh(t, "mount --bind /bin/false /usr/sbin/useradd").OK(t)
	fails("no account can be made", line, 13, "apt-get could not install the package (exit status 100): see above and /var/log/illumio_install.log.\nTaking the installation back\n")
	b.Sh(t, "umount /usr/sbin/useradd").OK(t)
	pairs(t, b, l, line)
	clean(t, b, code)
}

// TestCodes: codes that pair nothing leave a good installation, which another pairs.
func TestCodes(t *testing.T) {
	t.Parallel()
	l := one(t)
	b := boot(t, system{suite: testbed.Trixie})
	expired, expiredCode := l.line(t, l.profile(t, "--key-lifespan", "1"))
	time.Sleep(1100 * time.Millisecond) // the key's whole life
	usedProfile := l.profile(t, "--allowed-uses-per-key", "1")
	used, usedCode := l.line(t, usedProfile)
	if status, said := l.activate(t, usedProfile, usedCode, "another", 1, net.IPv4(127, 0, 0, 2)); status != http.StatusCreated {
		t.Errorf("the first use: %d %s", status, said)
	}
	good, goodCode := l.line(t, l.profile(t, "--role-label-lock=false", "--app-label-lock=false", "--env-label-lock=false", "--loc-label-lock=false"))
	for name, line := range map[string]string{
		"expired": expired, "used up": used,
		"unknown":            strings.ReplaceAll(good, goodCode, strings.Repeat("1", 80)),
		"of another profile": strings.ReplaceAll(expired, expiredCode, goodCode),
	} {
		const says = "The activation code was refused: make a new one in the console and run its line; the VEN stays installed.\n"
		if r := b.Sh(t, line); r.Code != 17 || !strings.HasSuffix(r.Stderr, says) {
			t.Errorf("%s: want status 17: %s", name, r)
		}
	}
	pairs(t, b, l, good+` --role 'it'\''s a "role" of $HOME' --app 'a  b\c' --env=--env --loc '`+"`id`"+` *'`)
	want := map[string]string{"role": `it's a "role" of $HOME`, "app": `a  b\c`, "env": "--env", "loc": "`id` *"}
	if w := l.workload(t, agentID(t, b)); !maps.Equal(w.Labels, want) {
		t.Errorf("the labels are %q, want %q", w.Labels, want)
	}
	for _, code := range []string{expiredCode, usedCode, goodCode} {
		clean(t, b, code)
	}
}

// TestProxy: a proxy is the only way to the server.
func TestProxy(t *testing.T) {
	t.Parallel()
	l := one(t)
	b := boot(t, system{suite: testbed.Bookworm})
	port, count := connectProxy(t)
	proxy := strings.Fields(b.Run(t, "ip", "route", "show", "default").OK(t))[2] + ":" + port
	line, code := l.line(t, l.profile(t))
	b.Sh(t, "ip route add unreachable "+address).OK(t)
	if r := b.Sh(t, line); r.Code != 7 || !strings.Contains(r.Stderr, "curl: (7)") {
		t.Errorf("the server can be reached without a proxy: %s", r)
	}
	// What the proxy itself answers is not the server's.
	b.Sh(t, "curl -sS --insecure -x http://"+proxy+" 'https://"+l.server+"/api/v18/software/ven/image?pair_script=pair.sh' -o /root/pair.sh").OK(t)
	for _, refused := range []struct {
		server string
		status int
		says   string
	}{
		{l.server, 8, "The certificate of " + l.server + " is not trusted ("},
		{"nowhere.invalid:8443", 9, "nowhere.invalid:8443 cannot be reached ("},
	} {
		for _, hide := range []string{"wget", "curl"} {
			r := b.Sh(t, "mv /usr/bin/"+hide+" /root; sh /root/pair.sh --dry-run --management-server "+refused.server+" --proxy-server "+proxy+"; code=$?; mv /root/"+hide+" /usr/bin; exit $code")
			if r.Code != refused.status || !strings.Contains(r.Stderr, refused.says) {
				t.Errorf("without %s, want status %d and %q: %s", hide, refused.status, refused.says, r)
			}
		}
	}
	pairs(t, b, l, "export https_proxy=http://"+proxy+"; "+line+" --proxy-server "+proxy)
	if n := count.Load(); n < 5 {
		t.Errorf("the proxy was asked for %d connections", n)
	}
	clean(t, b, code)
}

// TestFullDisk: there is no room where the product would be.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	l := one(t)
	b := testbed.New(t, testbed.Bookworm)
	b.Tmpfs(t, "/opt", 6<<20)
	b.Sh(t, "true").OK(t)
	b.Link(t, int(links.Add(1)))
	line, _ := l.line(t, l.profile(t))
	if r := b.Sh(t, line); r.Code != 6 || !strings.Contains(r.Stderr, "/opt has ") || !strings.Contains(r.Stderr, "make room there.") {
		t.Errorf("want status 6: %s", r)
	}
	b.Sh(t, "[ ! -e /opt/illumio_ven ] && ! dpkg-query -W "+product).OK(t)
}
