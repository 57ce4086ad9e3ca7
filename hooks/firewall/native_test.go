package firewall

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listed is what `nft -s list table inet t` of nft 1.0.6 printed.
const listed = `table inet t {
	comment "own table"
	counter c1 {
	}

	set dyn {
		type ipv4_addr
		size 100
		flags dynamic,timeout
		timeout 1h
		elements = { 192.0.2.1,
			     192.0.2.2 }
	}

	set iv {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8, 192.168.0.1-192.168.0.9 }
	}

	chain reg {
		tcp dport 22 accept
	}

	chain input {
		comment "hi there"
		type filter hook input priority filter + 5; policy drop;
		ct state established,related accept
		tcp dport { 1, 2 } jump reg
	}

	chain pre {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 99 redirect to :22
	}

	chain sec {
		type filter hook input priority security; policy drop;
	}
}
`

func TestStrip(t *testing.T) {
	const want = `flush chain inet t input
table inet t {
	chain input {
		comment "hi there"
		type filter hook input priority filter + 5; policy accept;
	}
}
`
	l := parseListing(listed)
	if diff := cmp.Diff(want, l.strip().filterText("inet", "t")); diff != "" {
		t.Errorf("emptying (-want +got):\n%s", diff)
	}
	if got, want := l.filterText("inet", "t"), "policy drop;\n\t\tct state established,related accept\n\t\ttcp dport { 1, 2 } jump reg\n\t}\n}\n"; !strings.HasSuffix(got, want) {
		t.Errorf("putting back is\n%s\nwant it to end with\n%s", got, want)
	}
	if got := l.rules(); got != 4 {
		t.Errorf("%d rules, want 3 and a policy", got)
	}
	if got := l.strip().rules(); got != 0 {
		t.Errorf("%d rules after emptying, want none", got)
	}
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		base string
		want bool
	}{
		{"type filter hook input priority filter; policy drop;", true},
		{"type filter hook output priority 0; policy accept;", true},
		{"type filter hook forward priority filter - 10; policy accept;", true},
		{"type filter hook input priority mangle + 1; policy accept;", true},
		{"type filter hook input priority mangle; policy accept;", false},
		{"type filter hook input priority raw; policy accept;", false},
		{"type filter hook input priority -150; policy accept;", false},
		{"type filter hook input priority security; policy accept;", false},
		{"type filter hook input priority 50; policy accept;", false},
		{"type filter hook input priority filter + 50; policy accept;", false},
		{"type filter hook input priority 51; policy accept;", true},
		{"type filter hook prerouting priority filter; policy accept;", false},
		{"type filter hook ingress device \"eth0\" priority filter; policy accept;", false},
		{"type nat hook input priority filter; policy accept;", false},
		{"type route hook output priority filter; policy accept;", false},
		{"tcp dport 22 accept", false},
	} {
		b := parseListing("table inet t {\n\tchain c {\n\t\t" + c.base + "\n\t}\n}\n").blocks[0]
		if got := b.filters(); got != c.want {
			t.Errorf("%s filters: %v, want %v", c.base, got, c.want)
		}
	}
}

func TestNativeNormal(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		same           bool
	}{
		{"learned elements", "\n\t\telements = { 192.0.2.1,\n\t\t\t     192.0.2.2 }", "", true},
		{"elements", "elements = { 10.0.0.0/8,", "elements = {", false},
		{"nat", "redirect to :22", "redirect to :23", true},
		{"security", "priority security; policy drop", "priority security; policy accept", true},
		{"a rule", "{ 1, 2 } jump reg", "{ 1, 3 } jump reg", false},
		{"a regular chain", "dport 22 accept", "dport 23 accept", false},
		{"a policy", "+ 5; policy drop", "+ 5; policy accept", false},
		{"a warning", "table inet t {", "# Warning: do not touch!\ntable inet t {", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.Replace(listed, c.old, c.new, 1)
			if changed == listed {
				t.Fatal("nothing is changed")
			}
			a, b := parseListing(listed), parseListing(changed)
			if got := a.normal() == b.normal(); got != c.same {
				t.Errorf("the same is %v, want %v:\n%s", got, c.same, cmp.Diff(a.normal(), b.normal()))
			}
		})
	}
}

func TestOwned(t *testing.T) {
	for _, c := range []struct {
		flags string
		want  bool
	}{{"flags owner", true}, {"flags owner,persist", true}, {"flags dormant", false}, {"comment \"flags owner\"", false}} {
		if got := parseListing("table inet t { # progname firewalld\n\t" + c.flags + "\n}\n").owned(); got != c.want {
			t.Errorf("%s: owned is %v, want %v", c.flags, got, c.want)
		}
	}
}

func TestNatives(t *testing.T) {
	const mixed = `table ip nat {
	set s {
		type ipv4_addr
	}
	chain mine {
		tcp dport vmap { 1 : goto one, 2 : jump two }
	}
	chain one {
		masquerade
	}
	chain two {
	}
	chain DOCKER {
		iifname "docker0" counter return
	}
	chain PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		counter jump DOCKER
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @s jump mine
	}
}
`
	l := parseListing(mixed)
	got, some := l.natives()
	before, rest, _ := strings.Cut(mixed, "\tchain DOCKER")
	_, after, _ := strings.Cut(rest, "\tchain PREROUTING {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\t\tcounter jump DOCKER\n\t}\n")
	if diff := cmp.Diff(before+after, got.text()); diff != "" || !some {
		t.Errorf("there is something: %v (-want +got):\n%s", some, diff)
	}
	l.blocks = l.blocks[:len(l.blocks)-1]
	if _, some := l.natives(); some {
		t.Error("a table of iptables-nft's has something of nft's")
	}
}

// TestTablesOf has what versions of nft print around tables: warnings before those of
// iptables-nft, the program that owns one, a table without anything.
func TestTablesOf(t *testing.T) {
	const (
		nat   = "table ip nat {\n\tchain POSTROUTING {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t}\n}\n"
		owned = "table inet firewalld { # progname firewalld\n\tflags owner,persist\n\n\tchain a {\n\t\tcomment \"table ip x {\"\n\t}\n}\n"
		empty = "table ip6 filter {\n}\n"
	)
	for _, c := range []struct {
		name, ruleset string
		want          []string
	}{
		{"nothing", "", nil},
		{"one", nat, []string{nat}},
		{"warnings", "# Warning: table ip nat is managed by iptables-nft, do not touch!\n" + nat +
			"# Warning: table ip6 filter is managed by iptables-nft, do not touch!\n" + empty, []string{nat, empty}},
		{"all", empty + owned + "\n" + nat, []string{empty, owned, nat}},
		{"broken off", nat + "table ip x {\n\tchain", []string{nat}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, tablesOf(c.ruleset)); diff != "" {
				t.Errorf("tables (-want +got):\n%s", diff)
			}
		})
	}
}
