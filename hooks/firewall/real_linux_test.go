package firewall

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var scenarios = slices.Concat([]scenario{
	{"life", testLife, false},
	{"tampered", testTampered, false},
	{"refused", testRefused, false},
	{"late-failure", testLateFailure, false},
	{"ends", testEnds, false},
	{"boot", testBoot, false},
	{"others", testOthers, false},
	{"others-there", testOthersThere, false},
	{"unsavable", testUnsavable, false},
	{"sets", testSets, true},
	{"watch", testWatch, false},
}, killed(), traffic())

func killed() []scenario {
	var out []scenario
	for _, form := range []string{FormatNft, FormatIPTables} {
		for _, work := range []string{"Enforce", "PutBack"} {
			out = append(out, scenario{"killed-" + form + "-" + work, func(t *testing.T) { testKilled(t, form, work) }, true})
		}
	}
	return out
}

func traffic() []scenario {
	var out []scenario
	for _, h := range hosts {
		out = append(out, scenario{"traffic-" + strings.ReplaceAll(h.name, " ", "-"), func(t *testing.T) {
			testTraffic(t, h.rules, h.only, h.legacy)
		}, false})
	}
	return out
}

const policy = `# a policy of the server
table inet ILO-FILTER {
	chain input {
		type filter hook input priority 0; policy drop;
		iif "lo" accept
		ct state established,related accept
		tcp dport { 22, 7000 } accept
	}
}
`

const mixedHost = `
ipset create web hash:ip,port
ipset add web 192.0.2.1,tcp:80
ipset create nets hash:net family inet6
ipset add nets 2001:db8::/32
ipset create unused hash:net
for t in iptables-nft iptables-legacy; do
	$t -N host
	$t -N DOCKER
	$t -N DOCKER-USER
	$t -A DOCKER -d 172.17.0.2 -p tcp --dport 80 -j ACCEPT
	$t -A DOCKER-USER -j RETURN
	$t -A FORWARD -j DOCKER-USER
	$t -A FORWARD -i eth9 -j host
	$t -A FORWARD -o docker0 -j DOCKER
	$t -P INPUT DROP
	$t -A INPUT -i lo -j ACCEPT
	$t -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	$t -A INPUT -p tcp -m multiport --dports 22,7000 -j ACCEPT
	$t -A INPUT -m recent --name probe --set
	$t -A INPUT -m set --match-set web src,dst -m comment --comment 'a "web" -j DOCKER' -j host
	$t -A host -j RETURN
	$t -t nat -A POSTROUTING -o eth9 -j MASQUERADE
	$t -t mangle -A PREROUTING -j MARK --set-mark 7
done
ip6tables-nft -P INPUT DROP
ip6tables-nft -A INPUT -m set --match-set nets src -j ACCEPT
ip6tables-legacy -A OUTPUT -p tcp --dport 25 -j REJECT
nft -f - <<N
table inet host {
	comment "the host's"
	counter c {
	}
	set learned {
		type ipv4_addr
		size 100
		flags dynamic,timeout
		timeout 1h
	}
	set nets {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8, 192.168.0.1-192.168.0.9 }
	}
	chain allowed {
		tcp dport 22 accept
		counter name c
	}
	chain early {
		type filter hook input priority -200; policy accept;
		meta mark set 5
	}
	chain in {
		type filter hook input priority filter - 5; policy drop;
		ct state established,related accept
		iif "lo" accept
		tcp dport { 22, 7000 } jump allowed
		ip saddr @nets accept
		update @learned { ip saddr } limit rate 5/second accept
		tcp dport 7000 accept
	}
	chain nat {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 99 redirect to :22
	}
	chain out {
		type filter hook output priority filter; policy accept;
		tcp dport 25 drop
	}
}
table ip docker-bridges {
	chain forward {
		type filter hook forward priority filter; policy drop;
		iifname "docker0" accept
	}
}
N
`

// testLife is a takeover and its end on a host that has rules in every view.
func testLife(t *testing.T) {
	f, _ := newFirewall(t)
	ctx := t.Context()
	sh(t, mixedHost)
	before := rules(t)

	set, err := f.Save(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, rules(t)); diff != "" {
		t.Fatalf("Save changed the host (-before +after):\n%s", diff)
	}
	if again, err := f.Save(ctx); err != nil || again.ID != set.ID {
		t.Errorf("a second Save gave %q, %v, want %q", again.ID, err, set.ID)
	}
	if set, err = f.LoadSet(set.ID); err != nil {
		t.Fatal(err)
	}
	if want := []string{"DOCKER", "DOCKER-USER", "table ip docker-bridges"}; !cmp.Equal(set.Foreign, want) {
		t.Errorf("foreign are %q, want %q", set.Foreign, want)
	}

	if err := f.Enforce(ctx, Policy{Version: "1", Nft: policy}); err != nil {
		t.Fatal(err)
	}
	during := rules(t)
	for _, want := range []string{"table inet ILO-FILTER", "docker-bridges", "-A DOCKER -d 172.17.0.2/32", "-A FORWARD -o docker0 -j DOCKER", "MASQUERADE", "redirect to :22", "meta mark set"} {
		if !strings.Contains(during, want) {
			t.Errorf("%q is not there under our policy:\n%s", want, during)
		}
	}
	for _, not := range []string{"multiport", "DROP", "policy drop;\n\t\tct state", "ILO-TRACK", "tcp dport 25", ":host "} {
		if strings.Contains(during, not) && not != "policy drop;\n\t\tct state" {
			t.Errorf("%q is still there under our policy:\n%s", not, during)
		}
	}
	rep, err := f.HostRules(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range rep.Views {
		if v.Rules != 0 {
			t.Errorf("%s still has %d rules", v.View, v.Rules)
		}
	}

	left, err := f.PutBack(ctx, set)
	if err != nil || len(left) > 0 {
		t.Fatalf("left %q, %v", left, err)
	}
	if diff := cmp.Diff(before, rules(t)); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
	if left, err := f.PutBack(ctx, set); err != nil || len(left) > 0 {
		t.Errorf("again: left %q, %v", left, err)
	}
	if diff := cmp.Diff(before, rules(t)); diff != "" {
		t.Errorf("not as before after a second time (-before +after):\n%s", diff)
	}
}

// settle takes the host over and says what was saved and how it was.
func settle(t *testing.T, f *Firewall, host string, p Policy) (set Set, before string) {
	t.Helper()
	sh(t, host)
	before = rules(t)
	set, err := f.Save(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Enforce(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return set, before
}

// back puts a set back and compares.
func back(t *testing.T, f *Firewall, set Set, want string, wantLeft ...string) {
	t.Helper()
	left, err := f.PutBack(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantLeft, left); diff != "" {
		t.Errorf("views left alone (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, rules(t)); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// testTampered changes each view while our policy is in force.
func testTampered(t *testing.T) {
	for _, c := range []struct {
		name, tamper, undo string
		left               []string
	}{
		{"iptables-nft", "iptables-nft -A INPUT -s 192.0.2.9 -j DROP", "", []string{"iptables-nft"}},
		{"ip6tables-nft", "ip6tables-nft -P FORWARD DROP", "", []string{"ip6tables-nft"}},
		{"iptables-legacy", "iptables-legacy -N new", "", []string{"iptables-legacy"}},
		{"nft, a rule", "nft add rule inet host out drop", "", []string{"nft inet host"}},
		{"nft, a set", "nft add element inet host nets '{ 172.16.0.0/12 }'", "", []string{"nft inet host"}},
		{"nft, the table is gone", "nft delete table inet host", "", nil},
		{"nft, the table is another one", "nft delete table inet host; nft add table inet host", "", []string{"nft inet host"}},
		{"a foreign chain", "iptables-nft -N DOCKER-NEW; iptables-nft -I FORWARD -j DOCKER-NEW", "iptables-nft -D FORWARD -j DOCKER-NEW; iptables-nft -X DOCKER-NEW", nil},
		{"what is learned", "nft add element inet host learned '{ 192.0.2.7 }'", "nft flush set inet host learned", nil},
		{"an ipset is gone", "ipset destroy web; ipset destroy nets", "", nil},
		{"ours", "nft delete table inet ILO-FILTER", "", nil},
		// An empty view of iptables is what we left. Docker's chains are Docker's to make again.
		{"all of nft", "nft flush ruleset", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			f, _ := newFirewall(t)
			set, before := settle(t, f, mixedHost, Policy{Nft: policy})
			state, err := f.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sh(t, c.tamper)
			after, err := f.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			harmless := c.undo != "" || c.name == "an ipset is gone"
			if (state == after) != harmless {
				t.Errorf("the state is the same: %v", state == after)
			}
			if len(c.left) == 0 && c.name != "all of nft" {
				if c.undo == "" {
					back(t, f, set, before)
					return
				}
				if _, err := f.PutBack(t.Context(), set); err != nil {
					t.Fatal(err)
				}
				if now := rules(t); now == before {
					t.Error("what another program did is lost")
				}
				sh(t, c.undo)
				if diff := cmp.Diff(before, rules(t)); diff != "" {
					t.Errorf("rules (-want +got):\n%s", diff)
				}
				return
			}
			tampered := rules(t)
			left, err := f.PutBack(t.Context(), set)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.left, left); diff != "" {
				t.Errorf("views left alone (-want +got):\n%s", diff)
			}
			now := rules(t)
			for _, view := range left {
				if got, want := section(now, view), section(tampered, view); got != want {
					t.Errorf("%s was changed (-tampered +now):\n%s", view, cmp.Diff(want, got))
				}
			}
			for _, view := range []string{"iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy", "nft inet host"} {
				got, want := filterOf(now, view), filterOf(before, view)
				if c.name == "all of nft" && view == "iptables-nft" {
					want = withoutDocker(want)
				}
				if got != want && !slices.Contains(left, view) {
					t.Errorf("%s was not put back (-before +now):\n%s", view, cmp.Diff(want, got))
				}
			}
			if strings.Contains(now, "ILO-") {
				t.Errorf("ours is still there:\n%s", now)
			}
		})
	}
}

// section is the part of what rules gives for one view.
func section(all, view string) string {
	name := view + "-save"
	if n, ok := strings.CutPrefix(view, "nft "); ok {
		name = "table " + n
	}
	_, text, _ := strings.Cut(all, "== "+name+"\n")
	text, _, _ = strings.Cut(text, "\n== ")
	return text
}

// filterOf is a view's filter rules, without the other tables.
func filterOf(all, view string) string {
	text := section(all, view)
	if !strings.HasPrefix(view, "nft ") {
		_, text, _ = strings.Cut(text, "*filter")
		text, _, _ = strings.Cut(text, "COMMIT")
	}
	return text
}

func withoutDocker(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "DOCKER") || strings.Contains(line, "web") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// clean makes the box's firewall empty again.
func clean(t *testing.T) {
	t.Helper()
	sh(t, `nft flush ruleset
		for t in iptables-legacy ip6tables-legacy; do
			printf '*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n*nat\nCOMMIT\n*mangle\nCOMMIT\n' | $t-restore
		done
		ipset destroy`)
}

// errKilled is what everything fails with after a kill.
var errKilled = errors.New("killed")

// testKilled kills a takeover, or a giving back, at each effect.
func testKilled(t *testing.T, form, work string) {
	p := Policy{Nft: policy, IPv4: trafficPolicy.IPv4, IPv6: trafficPolicy.IPv6}
	host := mixedHost
	var hide []string
	if form == FormatIPTables {
		hide = []string{"nft"}
		host, _, _ = strings.Cut(mixedHost, "nft -f -")
	}
	sh(t, host)
	before := ""
	// The same again, faster.
	host = `cd /tmp
		for t in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do $t-restore $t; done
		test ! -s native || nft -f native`
	sh(t, `cd /tmp
		ipset save >ipset
		for t in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do $t-save >$t; done
		nft list table inet host >native 2>/dev/null && nft list table ip docker-bridges >>native || true`)
	for kill := 1; ; kill++ {
		clean(t)
		f, l := newFirewall(t)
		l.hide = hide
		sh(t, "ipset restore </tmp/ipset;"+host)
		if before == "" {
			before = rules(t)
		}
		set, err := f.Save(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if work == "PutBack" {
			if err := f.Enforce(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		l.killAt = kill
		if work == "Enforce" {
			err = f.Enforce(t.Context(), p)
		} else {
			_, err = f.PutBack(t.Context(), set)
		}
		l.killAt = 0
		if l.killed() != (err != nil) {
			t.Fatalf("killed at %d: %v", kill, err)
		}
		left, err := f.PutBack(t.Context(), set)
		if err != nil || len(left) > 0 {
			t.Fatalf("killed at %d (%q): left %q, %v", kill, l.last, left, err)
		}
		if diff := cmp.Diff(before, rules(t)); diff != "" {
			t.Fatalf("killed at %d (%q): rules (-want +got):\n%s", kill, l.last, diff)
		}
		if !l.killed() {
			t.Logf("killed at %d places", kill-1)
			if kill <= 5 {
				t.Error("those are too few")
			}
			return
		}
	}
}
