package firewall

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testRefused loads bad policies over a good one.
func testRefused(t *testing.T) {
	filter := func(lines string) string { return "*filter\n:INPUT DROP [0:0]\n" + lines + "COMMIT\n" }
	good := filter("-A INPUT -i lo -j ACCEPT\n")
	for _, c := range []struct {
		name string
		hide []string
		p    Policy
		want []string // in the message
	}{
		{"nft: a syntax error", nil, Policy{Nft: "table inet ILO-FILTER {\n\tchain in {\n\t\ttype filter hook input priority 0;\n\t\ttcp dprt 22 accept\n\t}\n}\n"}, []string{`policy "8"`, "line 4"}},
		{"nft: no such set", nil, Policy{Nft: "table inet ILO-FILTER {\n\tchain in {\n\t\ttype filter hook input priority 0;\n\t\tip saddr @nix accept\n\t}\n}\n"}, []string{"line 4", "No such file"}},
		{"nft: no such chain", nil, Policy{Nft: "table inet ILO-FILTER {\n\tchain in {\n\t\ttype filter hook input priority 0;\n\t\tjump nix\n\t}\n}\n"}, []string{"line 4"}},
		{"nft: another's table", nil, Policy{Nft: "table inet host { }"}, []string{"line 1"}},
		{"nft: the other form", nil, Policy{IPv4: good, IPv6: good}, []string{"nftables form"}},
		{"iptables: the other form", []string{"nft"}, Policy{Nft: policy}, []string{"iptables form"}},
		{"iptables: no IPv6", []string{"nft"}, Policy{IPv4: good}, []string{"IPv6"}},
		{"iptables: a bad port", []string{"nft"}, Policy{IPv4: filter("-A INPUT -p tcp --dport abc -j DROP\n"), IPv6: good}, []string{"IPv4", "line: 3"}},
		{"iptables: bad only in IPv6", []string{"nft"}, Policy{IPv4: good, IPv6: filter("-A INPUT -p icmp -s 192.0.2.1 -j DROP\n")}, []string{"IPv6"}},
		{"iptables: a chain that is not there", []string{"nft"}, Policy{IPv4: filter("-A INPUT -j ILO-NIX\n"), IPv6: good}, []string{"IPv4"}},
		{"iptables: the kernel refuses IPv6", []string{"nft"}, Policy{IPv4: good, IPv6: filter("-A INPUT -m set --match-set nix src -j DROP\n")}, []string{"nix"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			f, l := newFirewall(t)
			l.hide = c.hide
			sh(t, "iptables-nft -A INPUT -s 192.0.2.1 -j DROP; ip6tables-nft -A INPUT -s 2001:db8::1 -j DROP")
			if err := f.Enforce(t.Context(), Policy{Nft: policy, IPv4: good, IPv6: good}); err != nil {
				t.Fatal(err)
			}
			before := rules(t)
			c.p.Version = "8"
			for what, do := range map[string]func() error{
				"Check":   func() error { return f.Check(t.Context(), c.p) },
				"Enforce": func() error { return f.Enforce(t.Context(), c.p) },
			} {
				err := do()
				if err == nil {
					t.Errorf("%s takes it", what)
					continue
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: got %v, want %q in it", what, err, want)
					}
				}
				if strings.Contains(err.Error(), f.Dir) {
					t.Errorf("%s: the message names a file of ours: %v", what, err)
				}
				if diff := cmp.Diff(before, rules(t)); diff != "" {
					t.Errorf("%s changed (-before +after):\n%s", what, diff)
				}
			}
			if err := f.Check(t.Context(), Policy{Nft: policy, IPv4: good, IPv6: good}); err != nil {
				t.Errorf("the good one: %v", err)
			}
		})
	}
}

// testLateFailure lets IPv6 fail at last, when IPv4 is in force.
func testLateFailure(t *testing.T) {
	f, l := newFirewall(t)
	l.hide = []string{"nft"}
	old := "*filter\n:INPUT DROP [0:0]\n:ILO-A - [0:0]\n-A INPUT -j ILO-A\n-A ILO-A -i lo -j ACCEPT\nCOMMIT\n"
	sh(t, "iptables-nft -N DOCKER; iptables-nft -A FORWARD -j DOCKER")
	if err := f.Enforce(t.Context(), Policy{IPv4: old, IPv6: old}); err != nil {
		t.Fatal(err)
	}
	before := rules(t)
	l.fail = "ip6tables-nft-restore --noflush"
	err := f.Enforce(t.Context(), Policy{IPv4: strings.ReplaceAll(old, "-i lo", "-i eth9"), IPv6: old})
	if err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff(before, rules(t)); diff != "" {
		t.Errorf("rules (-before +after):\n%s", diff)
	}
}

// testEnds tries the other ends of a takeover.
func testEnds(t *testing.T) {
	for _, form := range []string{FormatNft, FormatIPTables} {
		t.Run(form, func(t *testing.T) {
			clean(t)
			f, l := newFirewall(t)
			ctx := t.Context()
			host := mixedHost
			p := Policy{Nft: policy, IPv4: trafficPolicy.IPv4, IPv6: trafficPolicy.IPv6}
			if form == FormatIPTables {
				l.hide = []string{"nft"}
				host, _, _ = strings.Cut(mixedHost, "nft -f -")
			}
			got, err := f.Formats(ctx)
			if err != nil || !cmp.Equal(got, []string{form}) {
				t.Errorf("formats are %q, %v", got, err)
			}
			set, before := settle(t, f, host, p)

			if err := f.Recommended(ctx); err != nil {
				t.Fatal(err)
			}
			r := rules(t)
			if strings.Contains(r, "ILO-FILTER") || strings.Contains(r, "7000") || !strings.Contains(r, "dport 22 ") || !strings.Contains(r, "DOCKER-USER") {
				t.Errorf("recommended:\n%s", r)
			}
			if err := f.Enforce(ctx, p); err != nil {
				t.Fatal(err)
			}
			if err := f.Drop(ctx); err != nil {
				t.Fatal(err)
			}
			rep, err := f.HostRules(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(rep.Own) > 0 || !slices.Contains(rep.Foreign, "DOCKER-USER") {
				t.Errorf("after Drop: %+v", rep)
			}
			for _, v := range rep.Views {
				if v.Rules > 0 {
					t.Errorf("after Drop %s has %d rules", v.View, v.Rules)
				}
			}
			back(t, f, set, before)

			if err := f.Open(ctx); err != nil {
				t.Fatal(err)
			}
			r = rules(t)
			if strings.Contains(r, "ILO-") || strings.Contains(r, "22") && strings.Contains(r, "multiport") || !strings.Contains(r, "DOCKER-USER") {
				t.Errorf("open:\n%s", r)
			}
			back(t, f, set, before)
			back(t, f, set, before)
		})
	}
}

// testBoot loads a set on a host that has just started.
func testBoot(t *testing.T) {
	f, _ := newFirewall(t)
	ctx := t.Context()
	set, before := settle(t, f, mixedHost, Policy{Nft: policy})
	clean(t)
	if set, err := f.LoadSet(set.ID); err != nil {
		t.Fatal(err)
	} else if err := f.Load(ctx, set); err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		now := rules(t)
		for _, view := range []string{"iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy", "nft inet host"} {
			want := filterOf(before, view)
			if strings.HasPrefix(view, "iptables-") {
				want = withoutDocker(want)
			}
			if diff := cmp.Diff(want, filterOf(now, view)); diff != "" {
				t.Errorf("%s: %s (-saved +now):\n%s", what, view, diff)
			}
		}
		if strings.Contains(now, "ILO-") || strings.Contains(now, "docker") || strings.Contains(now, "create unused") {
			t.Errorf("%s: more than the host's filter rules is there:\n%s", what, now)
		}
	}
	check("at boot")
	if f.Replaced() {
		t.Error("the host's rules are in force, and count as replaced")
	}
	if err := f.Load(ctx, set); err != nil {
		t.Fatal(err)
	}
	check("again")

	// An enforced host that was started again is given back as it was saved.
	clean(t)
	if err := f.Enforce(ctx, Policy{Nft: policy}); err != nil {
		t.Fatal(err)
	}
	if !f.Replaced() {
		t.Error("the host's rules do not count as replaced under our policy")
	}
	if left, err := f.PutBack(ctx, set); err != nil || len(left) > 0 {
		t.Fatalf("left %q, %v", left, err)
	}
	check("given back after a start")
	// And loaded over what differs.
	sh(t, "iptables-nft -A INPUT -j ACCEPT; nft add rule inet host out accept; nft add chain inet host more")
	if err := f.Load(ctx, set); err != nil {
		t.Fatal(err)
	}
	check("over other rules")
}

// testUnsavable is about hosts that no tool can save. Nothing may be changed.
func testUnsavable(t *testing.T) {
	for _, c := range []struct {
		name, host string
		hide       []string
		want       string
	}{
		{"no iptables", "iptables-nft -A INPUT -j ACCEPT", []string{"iptables", "iptables-nft", "iptables-legacy"}, "table ip filter is that of iptables-nft, which is not installed"},
		{"a mixed table", "iptables-nft -A INPUT -j ACCEPT; nft add chain ip filter native '{ type filter hook input priority 5; }'", nil, "no tool saves both"},
		{"what nft cannot load", "nft add table inet host; nft add chain inet host native '{ type filter hook input priority 5; }'", nil, "cannot be loaded again"},
		{"no ipset", "ipset create a hash:ip; iptables-nft -A INPUT -m set --match-set a src -j ACCEPT", []string{"ipset"}, "they use ipsets"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			f, l := newFirewall(t)
			sh(t, c.host)
			l.hide = c.hide
			if c.name == "what nft cannot load" {
				l.fail = "nft -c" // as old versions do with what they print of newer ones' rules
			}
			before := rules(t)
			_, err := f.Save(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "cannot be saved") {
				t.Errorf("Save gave %v, want %q", err, c.want)
			}
			if ids, err := f.Sets(); err != nil || len(ids) > 0 {
				t.Errorf("there are sets %q, %v", ids, err)
			}
			if diff := cmp.Diff(before, rules(t)); diff != "" {
				t.Errorf("rules (-before +after):\n%s", diff)
			}
		})
	}
	t.Run("a native table ip filter", func(t *testing.T) {
		clean(t)
		f, _ := newFirewall(t)
		set, before := settle(t, f, "nft add table ip6 filter; nft add chain ip6 filter native '{ type filter hook input priority 5; policy drop; }'; nft add rule ip6 filter native tcp dport 22 accept", Policy{Nft: policy})
		if r := rules(t); strings.Contains(r, "tcp dport 22 accept") {
			t.Errorf("the rule is still there:\n%s", r)
		}
		back(t, f, set, before)
	})
	t.Run("no packet filter", func(t *testing.T) {
		f, l := newFirewall(t)
		l.hide = []string{"nft", "iptables"}
		if _, err := f.Formats(t.Context()); !errors.Is(err, ErrNoFilter) {
			t.Errorf("got %v", err)
		}
		if _, err := f.Save(t.Context()); !errors.Is(err, ErrNoFilter) {
			t.Errorf("Save gave %v", err)
		}
	})
}

// testSets saves more often than sets are kept.
func testSets(t *testing.T) {
	f, _ := newFirewall(t)
	first := ""
	for i := range 13 {
		sh(t, fmt.Sprintf("iptables-nft -A INPUT -s 192.0.2.%d -j DROP", i+1))
		s, err := f.Save(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = s.ID
		}
		if again, err := f.Save(t.Context(), first); err != nil || again.ID != s.ID {
			t.Fatalf("a second Save gave %q, %v, want %q", again.ID, err, s.ID)
		}
	}
	ids, err := f.Sets()
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 10 || ids[0] != first || !slices.IsSorted(ids) || ids[1] != "000005" {
		t.Errorf("sets are %q", ids)
	}
	found, err := filepath.Glob(filepath.Join(f.Dir, "0*"))
	if err != nil || len(found) != 10 {
		t.Errorf("the folder has %q, %v", found, err)
	}
	for _, id := range ids {
		s, err := f.LoadSet(id)
		if err != nil || len(s.Parts) == 0 {
			t.Errorf("set %s: %+v, %v", id, s, err)
		}
	}
	if _, err := f.LoadSet("../000005"); err == nil {
		t.Error("a name that leads out of the folder is taken")
	}
}

// testWatch changes tables of each kind.
func testWatch(t *testing.T) {
	f, _ := newFirewall(t)
	changes, err := f.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	heard := func(wait time.Duration) bool {
		select {
		case <-changes:
			return true
		case <-time.After(wait):
			return false
		}
	}
	if err := f.Enforce(t.Context(), Policy{Nft: policy}); err != nil {
		t.Fatal(err)
	}
	if !heard(time.Second) {
		t.Error("nothing is heard of our own tables")
	}
	for heard(100 * time.Millisecond) {
	}
	state, err := f.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if heard(100 * time.Millisecond) {
		t.Error("a look is heard as a change")
	}
	for _, change := range []string{
		"nft add rule inet ILO-FILTER input accept", "nft add table inet new; nft add chain inet new x '{ type filter hook input priority 0; policy drop; }'",
		"iptables-nft -A INPUT -j ACCEPT", "ip6tables-nft -P FORWARD DROP",
	} {
		sh(t, change)
		if !heard(time.Second) {
			t.Errorf("nothing is heard of %s", change)
		}
		for heard(50 * time.Millisecond) {
		}
		now, err := f.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if now == state {
			t.Errorf("the state does not tell of %s", change)
		}
		if err := f.Enforce(t.Context(), Policy{Nft: policy}); err != nil {
			t.Fatal(err)
		}
		if now, err := f.State(t.Context()); err != nil || strings.Contains(change, "ILO-") && now != state {
			t.Errorf("after %s and Enforce the state is %s, %v, want %s", change, now, err, state)
		}
		if state, err = f.State(t.Context()); err != nil {
			t.Fatal(err)
		}
		for heard(50 * time.Millisecond) {
		}
	}
}
