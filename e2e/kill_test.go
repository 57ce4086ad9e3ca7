//go:build linux

package e2e

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// An operation is one call of the hook, which is killed before and after each of
// its effects on the host.
type operation struct {
	name    string
	prepare string // shell: from the state after the installation to where the operation begins
	run     string // the hook's arguments
	again   string // those that people call it with after a kill, if others
	back    string // those that give the host back; "platform restore" if empty
	noNft   bool   // the host has iptables alone
	wide    bool   // it has rules in every view
}

const erase = "pre-remove --format rpm -- 0"

// Where there is iptables alone the views are there from the beginning: that it
// makes an empty one of what it is asked about is its own doing.
var operations = []operation{
	{name: "start", run: "platform start"},
	{name: "start with a policy", wide: true, prepare: "policy a", run: "platform start"},
	{name: "apply a policy", prepare: "$hook platform start && policy a", run: "platform apply"},
	{name: "apply another policy", prepare: "enforced a && policy b", run: "platform apply"},
	{name: "apply none", prepare: "enforced a && rm $data/etc/policy.json", run: "platform apply"},
	{name: "suspend", prepare: "enforced a", run: "suspend"},
	{name: "unsuspend", prepare: "suspended", run: "unsuspend"},
	{name: "restore when idle", prepare: "$hook platform start", run: "platform restore"},
	{name: "restore when enforced", wide: true, prepare: "enforced a", run: "platform restore"},
	{name: "restore when suspended", prepare: "suspended", run: "platform restore"},
	{name: "start with a policy, iptables alone", noNft: true, wide: true, prepare: "policy x", run: "platform start"},
	{name: "restore when enforced, iptables alone", noNft: true, wide: true, prepare: "enforced x", run: "platform restore"},
	{name: "post-install", prepare: "unsetUp", run: "post-install --format rpm -- 1", again: "post-install --format rpm -- 2", back: erase},
	{name: "pre-remove when enforced", prepare: "enforced a", run: erase, back: erase},
}

// TestKilledPlatform kills the hook before its first and after each of its effects,
// and then calls it again, or gives the host back instead. The one ends as if nothing
// had happened, the other as the host was before the product. That to be killed after
// an effect is to be killed before the next is shown by the operation start.
func TestKilledPlatform(t *testing.T) {
	for _, o := range operations {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			b := newKillBox(t, killBox{noNft: o.noNft, wide: o.wide})
			want, effects := b.whole(t, o)
			b.dies(t, o, "before:0", effects[0], want)
			for n, effect := range effects {
				if n > 0 && o.name == "start" {
					b.dies(t, o, fmt.Sprintf("before:%d", n), effect, want)
				}
				b.dies(t, o, fmt.Sprintf("after:%d", n), effect, want)
			}
			t.Logf("%d effects", len(effects))
		})
	}
}

// dies has the operation killed, and checks what comes of calling it again, and
// of giving the host back instead.
func (b *killBox) dies(t *testing.T, o operation, at, effect, want string) {
	t.Helper()
	again, back := cmp.Or(o.again, o.run), cmp.Or(o.back, "platform restore")
	// Before its first effect nothing tells rpm's second call from a first one.
	if o.again == "" || at != "before:0" {
		got := b.do(t, o, at, "$hook "+again)
		if got != want {
			t.Fatalf("%s: killed %s (%s), and called again, it ends with\n%s", o.name, at, effect, difference(want, got))
		}
		if again == back && hostPart(got) == b.before {
			return
		}
	}
	if got := hostPart(b.do(t, o, at, "$hook "+back)); got != b.before {
		t.Fatalf("%s: killed %s (%s), and given back, the host has\n%s", o.name, at, effect, difference(b.before, got))
	}
}

// TestKilledVersions kills the hook of one version and goes on with the one of
// another, as after an upgrade or a downgrade that broke off. What they leave differs
// in the version alone: every third effect, beginning with another one in each, does.
func TestKilledVersions(t *testing.T) {
	for i, c := range []struct{ name, first, second string }{
		{"older then newer", oldVersion, newVersion},
		{"newer then older", newVersion, oldVersion},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newKillBox(t, killBox{})
			b.configure(t, "mortal", c.first)
			b.configure(t, "hook", c.second)
			for _, o := range []operation{operations[1], operations[8]} { // start and restore, with a policy
				want, effects := b.whole(t, o)
				for n := i; n < len(effects); n += 3 {
					b.dies(t, o, fmt.Sprintf("after:%d", n), effects[n], want)
				}
			}
		})
	}
}

// TestOtherLedgers gives the hook what a version of tomorrow, or of yesterday, left:
// it does nothing to the host where it does not understand, and goes on where it
// does.
func TestOtherLedgers(t *testing.T) {
	const (
		sysctl  = `{"kind":"sysctl","name":"net.netfilter.nf_conntrack_tcp_timeout_established","text":"432000","only":["28800"]}`
		unknown = `{"kind":"teleport","name":"somewhere"}`
	)
	b := newKillBox(t, killBox{})
	for _, c := range []struct {
		name, ledger string
		known        bool
	}{
		{"of today", `{"format":1,"undo":[` + sysctl + `]}`, true},
		{"with a word more", `{"format":1,"made_by":"25.2.19","undo":[` + sysctl + `]}`, true},
		{"with an unknown step", `{"format":1,"undo":[` + sysctl + `,` + unknown + `]}`, false},
		{"of another format", `{"format":2,"undo":[` + sysctl + `]}`, false},
		{"of another shape", `{"format":2,"steps":{"sysctl":[]}}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, verb := range []string{"platform start", "platform apply", "suspend", "platform restore"} {
				b.Sh(t, ". /kill/lib.sh; reset; echo 28800 >$timeout; policy a").OK(t)
				b.Write(t, stateDir+"/platform.json", c.ledger)
				before := hostPart(b.look(t))
				r := b.Sh(t, "/kill/hook "+verb)
				after := hostPart(b.look(t))
				if c.known {
					r.OK(t)
					if verb == "platform restore" && after != b.before {
						t.Errorf("after %s the host has\n%s", verb, difference(b.before, after))
					}
					continue
				}
				if stderr := r.Fails(t); !strings.Contains(stderr, "platform.json") || !strings.Contains(stderr, "not known to this version") {
					t.Errorf("%s does not say what it does not know: %s", verb, stderr)
				}
				if after != before {
					t.Errorf("%s changed\n%s", verb, difference(before, after))
				}
				if got := b.Read(t, stateDir+"/platform.json"); got != c.ledger {
					t.Errorf("%s has written\n%s", verb, got)
				}
			}
		})
	}
}

// TestKilledServices is the same with systemd, and a service of the host that
// loads its rules, for the effects about the service. In a booted box a case takes
// seconds; that to be killed after an effect is to be killed before the next is
// shown by the table without systemd.
func TestKilledServices(t *testing.T) {
	for _, o := range []operation{
		{name: "apply a policy", prepare: "policy a", run: "platform apply"},
		{name: "restore when enforced", prepare: "policy a && $hook platform apply", run: "platform restore"},
	} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			b := newKillBox(t, killBox{booted: true})
			want, effects := b.whole(t, o)
			ours := func(e string) bool { return strings.Contains(e, "iptables.service") }
			first := slices.IndexFunc(effects, ours)
			if first < 0 {
				t.Fatalf("no effect is about the service:\n%s", strings.Join(effects, "\n"))
			}
			last := len(effects) - 1
			for !ours(effects[last]) {
				last--
			}
			var points []string
			for n := first; n <= min(last+2, len(effects)-1); n++ { // with systemd's reload, and the journal
				points = append(points, fmt.Sprintf("before:%d", n))
			}
			for _, at := range points {
				if got := b.do(t, o, at, "$hook "+o.run); got != want {
					t.Errorf("killed %s of\n%s\nand called again, it ends with\n%s", at, strings.Join(effects, "\n"), difference(want, got))
				}
				if got := hostPart(b.do(t, o, at, "$hook platform restore")); got != b.before {
					t.Errorf("killed %s of\n%s\nand given back, the host has\n%s", at, strings.Join(effects, "\n"), difference(b.before, got))
				}
			}
			at := fmt.Sprintf("before:%d", (first+last+1)/2)
			if got := hostPart(b.do(t, o, at, "rpm -e "+product)); got != b.before {
				t.Errorf("killed %s of\n%s\nand removed, it leaves\n%s", at, strings.Join(effects, "\n"), difference(b.before, got))
			}
		})
	}
}

// A killBox has the installed product, and beside it two hooks for the same
// product but with two modules and no components: what is left of a start is what
// it does to the host. It has host rules; not booted, it has no services.
type killBox struct {
	*testbed.Box

	booted, noNft, wide bool
	before              string // the host before the installation
}

//go:embed testdata/kill.sh
var killLib string

func newKillBox(t *testing.T, as killBox) *killBox {
	t.Helper()
	g := pick(t, "rpm 4.18")
	b := &as
	b.Box = testbed.New(t, g.suite)
	if b.booted {
		b.Boot(t)
	}
	g.seed(t, b.Box)
	b.furnish(t)
	g.install(t, b.Box, g.bring(t, b.Box, oldVersion)).OK(t)
	b.Copy(t, "/kill", filepath.Join(testbed.Dir(t), mortalHook))
	b.Sh(t, `set -e
		cp `+program+`/bin/vpkg-hook /kill/hook
		mv /kill/`+mortalHook+` /kill/mortal
		chmod 755 /kill/mortal`).OK(t)
	b.configure(t, "hook", oldVersion)
	b.configure(t, "mortal", oldVersion)
	if b.booted {
		b.Sh(t, "systemctl stop "+unit+" && /kill/hook platform restore").OK(t)
	}
	b.Sh(t, `set -e
		ln -sf /bin/true /usr/sbin/modprobe
		ln -sf /bin/true `+program+`/bin/vpkg-agent
		cp -a /etc/systemd/system /kill/system
		cp -a /var/lib/vpkg /kill/vpkg
		cp -a `+data+` /kill/data`).OK(t)
	return b
}

// furnish gives the box host rules and, if it is booted, the service that loads
// some of them, and notes what the host is then.
func (b *killBox) furnish(t *testing.T) {
	t.Helper()
	for name, text := range killFiles {
		b.Write(t, "/kill/"+name, text)
	}
	b.Write(t, "/kill/lib.sh", killLib)
	b.Sh(t, "cp /usr/sbin/nft /kill/nft; cp -a /etc/systemd/system /kill/before.system").OK(t)
	if b.noNft {
		b.Sh(t, "rm /usr/sbin/nft; : >/kill/noNft").OK(t)
	}
	if b.wide {
		b.Write(t, "/kill/wide", "")
	}
	b.Sh(t, ". /kill/lib.sh; setRules").OK(t)
	if b.booted {
		b.Write(t, "/etc/systemd/system/iptables.service", rulesService)
		b.Sh(t, "systemctl daemon-reload && systemctl enable -q --now iptables").OK(t)
	}
	b.before = hostPart(b.look(t))
}

// rulesService is a service like the one of iptables-services: what stops it opens
// the host.
const rulesService = `[Unit]
Description=Rules of the host
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables-restore /kill/host.v4
ExecStop=/usr/sbin/iptables -P INPUT ACCEPT
ExecStop=/usr/sbin/iptables -F
[Install]
WantedBy=multi-user.target
`

// configure writes the configuration of one of the hooks.
func (b *killBox) configure(t *testing.T, hook, version string) {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal([]byte(b.Read(t, program+"/etc/hook.json")), &c); err != nil {
		t.Fatal(err)
	}
	modules, ok := c["modules"].([]any)
	if !ok || len(modules) < 2 {
		t.Fatalf("the configuration has the modules %v", c["modules"])
	}
	c["modules"], c["version"] = modules[:2], version
	delete(c, "components")
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(t, "/kill/"+hook+"-config", string(text))
}

// whole does the operation to its end, and lists the effects on the way.
func (b *killBox) whole(t *testing.T, o operation) (end string, effects []string) {
	t.Helper()
	b.Sh(t, "rm -f /kill/effects").OK(t)
	end = b.do(t, o, "", "VPKG_EFFECTS=/kill/effects /kill/mortal "+o.run)
	effects = strings.Split(strings.TrimSpace(b.Read(t, "/kill/effects")), "\n")
	if len(effects) < 3 {
		t.Fatalf("%s has the effects %q, want more", o.name, effects)
	}
	return end, effects
}

// do has the operation killed at that effect, if there is one, does the rest, and
// looks at host and state.
func (b *killBox) do(t *testing.T, o operation, at, rest string) string {
	t.Helper()
	var script strings.Builder
	script.WriteString(". /kill/lib.sh; exec 3>&1 >/kill/log 2>&1; set -x; reset; { ")
	script.WriteString(cmp.Or(o.prepare, ":") + "; } || exit 11\n")
	if at != "" {
		script.WriteString("VPKG_KILL=" + at + " /kill/mortal " + o.run + "; [ $? -eq 137 ] || exit 12\n")
	}
	script.WriteString(rest + " || exit 13\nset +x; look >&3")
	r := b.Sh(t, script.String())
	if r.Code != 0 {
		what := map[int]string{11: "the preparation fails", 12: "it is not killed", 13: "what comes after fails"}[r.Code]
		t.Fatalf("%s %s: %s\n%s%s", o.name, at, what, r, b.Read(t, "/kill/log"))
	}
	return settled(r.Stdout)
}

func (b *killBox) look(t *testing.T) string {
	t.Helper()
	return settled(b.Sh(t, ". /kill/lib.sh; look").OK(t))
}

// settled is what look prints with nft's tables in the order of their names, and
// without the times.
func settled(look string) string {
	rules, rest, _ := strings.Cut(look, "== settings\n")
	sections := strings.Split(strings.TrimSpace(rules), "\n== ")
	slices.Sort(sections)
	return volatile.ReplaceAllString(strings.Join(sections, "\n== ")+"\n== settings\n"+rest, "$1 TIME")
}

// volatile are the times in what is compared.
var volatile = regexp.MustCompile(`("time":|"at":) "[^"]*"`)

// hostPart is what is the host's in what look prints.
func hostPart(look string) string {
	text, _, _ := strings.Cut(look, "== state\n")
	return text
}

// difference are the lines that are in one text alone, each under the last
// heading.
func difference(want, got string) string {
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out strings.Builder
	for _, side := range []struct {
		sign       string
		lines, not []string
	}{{"- ", wants, gots}, {"+ ", gots, wants}} {
		left := map[string]int{}
		for _, line := range side.not {
			left[line]++
		}
		heading := ""
		for _, line := range side.lines {
			if strings.HasPrefix(line, "==") {
				heading = line
			}
			if left[line]--; left[line] < 0 {
				out.WriteString(side.sign + heading + ": " + line + "\n")
			}
		}
	}
	if out.Len() == 0 {
		return "the same lines in another order:\n" + got
	}
	return out.String()
}

// policyJSON is what the manager puts into the data folder.
func policyJSON(version, format, rules string) string {
	p := map[string]string{"version": version, "enforcement_mode": "full", "format": format}
	if format == "nftables" {
		p["nftables"] = rules
	} else {
		p["ipv4"], p["ipv6"] = rules, rules
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // a map of strings always has a text
	}
	return string(b)
}

// killFiles are the files of the folder /kill: policies, of which the second has
// a table of another name, and the rules of the host.
var killFiles = map[string]string{
	"box": "kill\n",
	"a.json": policyJSON("7", "nftables", `table inet ILO-FILTER {
	chain input {
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		iif "lo" accept
		tcp dport 80 accept
	}
}
`),
	"b.json": policyJSON("8", "nftables", `table inet ILO-OTHER {
	chain output {
		type filter hook output priority 0; policy accept;
		tcp dport 25 reject
	}
}
`),
	"x.json": policyJSON("9", "iptables", `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT
`),
	"host.v4": `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:mine - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT
-A INPUT -m set --match-set friends src -j mine
-A FORWARD -j DOCKER
-A DOCKER -d 172.17.0.2/32 -j ACCEPT
-A mine -m comment --comment "two words" -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
COMMIT
`,
	"host.v6": `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -s 2001:db8::/32 -j DROP
COMMIT
`,
	"host.legacy": `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A OUTPUT -d 192.0.2.99/32 -j DROP
COMMIT
`,
	"host.nft": `table inet mine {
	set ports {
		type inet_service
		elements = { 25, 110 }
	}
	chain input {
		type filter hook input priority 10; policy drop;
		tcp dport @ports accept
		jump more
	}
	chain more {
		ip saddr 192.0.2.1 counter accept
	}
	chain nat {
		type nat hook output priority -100; policy accept;
		tcp dport 8080 redirect to :80
	}
}
`,
}
