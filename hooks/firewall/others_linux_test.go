package firewall

import (
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// othersHost has rules of each kind in each view, and something of Docker's.
const othersHost = `
ipset create marked hash:ip
ipset add marked 192.0.2.8
ipset create unused hash:ip
for t in iptables-nft iptables-legacy ip6tables-nft ip6tables-legacy; do
	$t -P INPUT DROP
	$t -A INPUT -i lo -j ACCEPT
	$t -A INPUT -p tcp -m multiport --dports 22,7000 -j ACCEPT
	$t -t nat -N DOCKER
	$t -t nat -A DOCKER -i docker0 -j RETURN
	$t -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
	$t -t nat -N mine
	$t -t nat -A PREROUTING -p tcp -m comment --comment 'not "-j DOCKER"' -j mine
	$t -t nat -A mine -p tcp --dport 80 -j REDIRECT --to-ports 8080
	$t -t nat -A POSTROUTING -o eth9 -j MASQUERADE
	$t -t mangle -P FORWARD DROP
	$t -t mangle -A PREROUTING -p udp --dport 53 -j MARK --set-mark 7
	$t -t raw -A PREROUTING -p udp --dport 53 -j CT --notrack
done
iptables-nft -t mangle -A PREROUTING -m set --match-set marked src -j MARK --set-mark 8
iptables-legacy -t raw -P OUTPUT DROP
iptables-legacy -t raw -A OUTPUT -m set --match-set marked dst -j ACCEPT
`

const othersNative = `
nft -f - <<N
table inet host {
	set nets {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8 }
	}
	chain allowed {
		tcp dport 22 accept
	}
	chain early {
		type filter hook prerouting priority raw; policy accept;
		ip saddr @nets meta mark set 5
	}
	chain in {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		tcp dport 7000 jump allowed
	}
	chain pre {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 99 redirect to :22
	}
}
table ip masq {
	chain post {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 192.0.2.0/24 masquerade
	}
}
table ip docker-nat {
	chain post {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 172.17.0.0/16 masquerade
	}
}
N
`

// boots is a start of the host for all that the kernel keeps of a packet filter:
// the test goes on in a new network namespace. It must be on a thread of its own.
func boots(t *testing.T) {
	t.Helper()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	sh(t, "ip link set lo up")
	if now := sh(t, "nft list tables") + legacyNames(t); now != "ip\nip6\n" {
		t.Fatalf("a new namespace has tables:\n%s", now)
	}
}

// legacyNames are the tables that the legacy views have.
func legacyNames(t *testing.T) string {
	t.Helper()
	return sh(t, "for n in ip ip6; do echo $n $(sort /proc/net/${n}_tables_names 2>/dev/null); done")
}

// hostOnly is the output of rules, without what another program makes anew, what is
// empty, and ipsets that no rule needs. Tables of iptables are sorted: their order is
// that in which they were made.
func hostOnly(all string) string {
	var out []string
	for part := range strings.SplitSeq("\n"+all, "\n== ") {
		name, text, _ := strings.Cut(part, "\n")
		if strings.Contains(name, "docker") {
			continue
		}
		var kept []string
		for line := range strings.Lines(text) {
			if !strings.Contains(line, "DOCKER") && !strings.Contains(line, " unused ") || strings.Contains(line, "not \\\"-j DOCKER") {
				kept = append(kept, line)
			}
		}
		tables := []string{strings.Join(kept, "")}
		if strings.HasSuffix(name, "-save") {
			tables = strings.SplitAfter(tables[0]+"\n", "COMMIT\n") // the last line has lost its end
			slices.Sort(tables)
			tables = slices.DeleteFunc(tables, func(s string) bool { return !strings.Contains(s, "\n-A ") && !strings.Contains(s, " DROP\n") })
		}
		if text = strings.Join(tables, ""); text != "" {
			out = append(out, "== "+name+"\n"+text)
		}
	}
	return strings.Join(out, "")
}

// othersStates are how a host can be started again: the rules and the work.
var othersStates = map[string]struct {
	host   string
	hide   []string
	policy Policy // none when idle
}{
	"idle":                {othersHost + othersNative, nil, Policy{}},
	"policy":              {othersHost + othersNative, nil, Policy{Nft: policy}},
	"idle without nft":    {othersHost, []string{"nft"}, Policy{}},
	"policy for iptables": {othersHost, []string{"nft"}, trafficPolicy},
}

// started is a host that was saved, was under the policy if there is one, and was
// started again with the host's own filter in force; first is before the product
// came, and last before the start.
func started(t *testing.T, state string) (f *Firewall, l *local, set Set, first, last string) {
	t.Helper()
	s := othersStates[state]
	runtime.LockOSThread() // for good: the thread ends with the test
	boots(t)
	f, l = newFirewall(t)
	l.hide = s.hide
	sh(t, s.host)
	first = rules(t)
	set, err := f.Save(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.policy != (Policy{}) {
		if err := f.Enforce(t.Context(), s.policy); err != nil {
			t.Fatal(err)
		}
	}
	last = rules(t)
	boots(t)
	if err := f.Load(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	return f, l, set, first, last
}

// testOthers starts hosts again, and compares.
func testOthers(t *testing.T) {
	for _, state := range slices.Sorted(maps.Keys(othersStates)) {
		t.Run(state, func(t *testing.T) {
			f, _, set, first, last := started(t, state)
			if err := f.LoadOthers(t.Context(), set); err != nil {
				t.Fatal(err)
			}
			replaced := othersStates[state].policy != Policy{}
			if replaced {
				if err := f.Enforce(t.Context(), othersStates[state].policy); err != nil {
					t.Fatal(err)
				}
			}
			now := rules(t)
			if diff := cmp.Diff(hostOnly(last), hostOnly(now)); diff != "" {
				t.Errorf("not as before the start (-before +after):\n%s", diff)
			}
			for _, want := range []string{"MASQUERADE", "REDIRECT", "--notrack", "--set-xmark", "add marked 192.0.2.8"} {
				if !strings.Contains(now, want) {
					t.Errorf("%q is not there:\n%s", want, now)
				}
			}
			for _, not := range []string{":DOCKER", "-j DOCKER\n", "docker-nat", "create unused"} {
				if strings.Contains(now, not) {
					t.Errorf("%q is loaded:\n%s", not, now)
				}
			}
			if f.Replaced() != replaced {
				t.Errorf("the host's rules count as replaced: %v", f.Replaced())
			}

			exact := func() string {
				return sh(t, "nft -a -s list ruleset 2>/dev/null; iptables-legacy-save; ip6tables-legacy-save") + legacyNames(t)
			}
			before := plain(exact())
			if err := f.LoadOthers(t.Context(), set); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(before, plain(exact())); diff != "" {
				t.Errorf("a second call changes something (-before +after):\n%s", diff)
			}

			left, err := f.PutBack(t.Context(), set)
			if err != nil || len(left) > 0 {
				t.Errorf("giving back left %q, %v", left, err)
			}
			if diff := cmp.Diff(hostOnly(first), hostOnly(rules(t))); diff != "" {
				t.Errorf("not given back as it was (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("tables that do nothing", func(t *testing.T) {
		othersStates := `
			iptables-legacy -t nat -A POSTROUTING -o eth9 -j MASQUERADE
			iptables-legacy -t mangle -L
			iptables-legacy -t raw -N DOCKER
			ip6tables-legacy -t nat -L
			iptables-nft -t raw -N DOCKER`
		runtime.LockOSThread()
		boots(t)
		f, _ := newFirewall(t)
		sh(t, othersStates)
		set, err := f.Save(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		boots(t)
		if err := f.Load(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		if err := f.LoadOthers(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff("ip nat\nip6\n", legacyNames(t)); diff != "" {
			t.Errorf("legacy tables (-want +got):\n%s", diff)
		}
		if tables := sh(t, "nft list tables"); tables != "" {
			t.Errorf("nft has the tables\n%s", tables)
		}
	})
	t.Run("a table of both tools", func(t *testing.T) {
		runtime.LockOSThread()
		boots(t)
		f, _ := newFirewall(t)
		sh(t, `nft -f - <<N
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 192.0.2.9 masquerade
	}
}
N
			iptables-nft -t nat -N DOCKER
			iptables-nft -t nat -A PREROUTING -j DOCKER
			iptables-nft -t nat -A POSTROUTING -o eth9 -j MASQUERADE`)
		set, err := f.Save(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		boots(t)
		for range 2 {
			if err := f.LoadOthers(t.Context(), set); err != nil {
				t.Fatal(err)
			}
			now := sh(t, "nft -s list table ip nat")
			for _, want := range []string{"ip saddr 192.0.2.9 masquerade\n", `oifname "eth9"`} {
				if strings.Count(now, want) != 1 {
					t.Errorf("%q is not there once:\n%s", want, now)
				}
			}
			if strings.Contains(now, "DOCKER") {
				t.Errorf("what Docker makes is there:\n%s", now)
			}
		}
	})
	t.Run("nft alone", func(t *testing.T) {
		runtime.LockOSThread()
		boots(t)
		f, l := newFirewall(t)
		for _, program := range []string{"iptables", "ip6tables"} {
			for _, kind := range []string{"", "-nft", "-legacy"} {
				l.hide = append(l.hide, program+kind)
			}
		}
		// As in what a person kept of `nft list ruleset` when iptables-nft was there.
		sh(t, "nft add table ip nat; nft add chain ip nat POSTROUTING '{ type nat hook postrouting priority srcnat; }'; nft add rule ip nat POSTROUTING oifname eth9 masquerade")
		before := sh(t, "nft -s list ruleset")
		set, err := f.Save(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		boots(t)
		if err := f.LoadOthers(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, sh(t, "nft -s list ruleset")); diff != "" {
			t.Errorf("rules (-before +after):\n%s", diff)
		}
	})
}

// testOthersThere calls LoadOthers where some tables are there, and where something
// cannot be loaded.
func testOthersThere(t *testing.T) {
	for _, c := range []struct {
		name, there string
		fail        string // a command
		want        string // in the error
		kept        map[string]string
		loaded      []string
	}{
		{
			name: "tables with something in them",
			there: `iptables-nft -t nat -A PREROUTING -p tcp --dport 5 -j ACCEPT
				iptables-legacy -t mangle -P INPUT DROP
				nft add table inet host; nft add table ip masq`,
			kept: map[string]string{
				"iptables-nft-save -t nat | grep ^-A":            "-A PREROUTING -p tcp -m tcp --dport 5 -j ACCEPT\n",
				"iptables-legacy-save -t mangle | grep -e DROP":  ":INPUT DROP [0:0]\n",
				"iptables-legacy-save -t mangle | grep -c ^-A":   "0\n",
				"nft list table inet host":                       "table inet host {\n}\n",
				"nft list table ip masq":                         "table ip masq {\n}\n",
				"iptables-legacy-save -t nat | grep MASQUERADE":  "-A POSTROUTING -o eth9 -j MASQUERADE\n",
				"ip6tables-nft-save -t nat | grep MASQUERADE":    "-A POSTROUTING -o eth9 -j MASQUERADE\n",
				"ip6tables-legacy-save -t mangle | grep -c MARK": "1\n",
			},
		},
		{
			name:  "a native table of the name",
			there: "nft add table ip nat; nft add chain ip nat native '{ type nat hook prerouting priority filter + 5; }'",
			kept:  map[string]string{"nft -s list table ip nat": "table ip nat {\n\tchain native {\n\t\ttype nat hook prerouting priority filter + 5; policy accept;\n\t}\n}\n"},
			loaded: []string{
				"ip6tables-nft-save -t nat | grep MASQUERADE", "iptables-nft-save -t raw | grep notrack", "nft list table ip masq",
			},
		},
		{
			name: "a view that cannot be written", fail: "iptables-nft-restore", want: "loading iptables-nft: table nat",
			kept: map[string]string{"iptables-nft-save | grep -c MASQUERADE": "0\n"},
			loaded: []string{
				"ip6tables-nft-save -t nat | grep MASQUERADE", "iptables-legacy-save -t nat | grep MASQUERADE", "nft list table ip masq",
			},
		},
		{
			name: "an ipset that cannot be made", fail: "ipset -exist", want: "loading iptables-nft: table mangle",
			kept:   map[string]string{"iptables-nft-save -t mangle | grep -c MARK": "0\n"},
			loaded: []string{"iptables-nft-save -t nat | grep MASQUERADE", "ip6tables-nft-save -t mangle | grep MARK", "nft list table ip masq"},
		},
		{
			name: "native tables that cannot be written", fail: "nft -f", want: "loading nft ip masq",
			loaded: []string{"iptables-nft-save -t nat | grep MASQUERADE", "ip6tables-legacy-save -t mangle | grep MARK"},
		},
	} {
		for _, state := range []string{"idle", "policy"} {
			t.Run(state+"/"+c.name, func(t *testing.T) {
				f, l, set, _, _ := started(t, state)
				sh(t, "nft delete table inet host 2>/dev/null || true\n"+c.there)
				l.fail = c.fail
				err := f.LoadOthers(t.Context(), set)
				l.fail = ""
				switch {
				case c.want == "" && err != nil:
					t.Error(err)
				case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
					t.Errorf("the error is %v, want one about %q", err, c.want)
				}
				for command, want := range c.kept {
					if diff := cmp.Diff(want, sh(t, "{ "+command+"; } || true")); diff != "" {
						t.Errorf("%s (-want +got):\n%s", command, diff)
					}
				}
				for _, command := range c.loaded {
					if sh(t, "{ "+command+"; } || true") == "" {
						t.Errorf("%s prints nothing:\n%s", command, rules(t))
					}
				}
			})
		}
	}
}
