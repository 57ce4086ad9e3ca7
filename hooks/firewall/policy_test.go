package firewall

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScanNft(t *testing.T) {
	const chain = "chain in { type filter hook input priority 0; policy drop; tcp dport { 22, 80 } accept; }"
	for _, c := range []struct {
		name, text string
		want       []string
		err        string // part of the message
	}{
		{"one table", "table inet ILO-FILTER { " + chain + " }", []string{"inet ILO-FILTER"}, ""},
		{"two tables, comments and quotes", "#!/usr/sbin/nft -f\n# flush ruleset }\ntable ip ILO-A {\n" + chain + "\n}\ntable ip6 ILO-B { comment \"} flush ruleset\"; set s { type ipv4_addr; elements = { 192.0.2.1 }; } }\n", []string{"ip ILO-A", "ip6 ILO-B"}, ""},
		{"a line goes on", "table inet ILO-F { chain in {\ntype filter hook input \\\npriority 0; } }", []string{"inet ILO-F"}, ""},
		{"a map and a verdict map", "table inet ILO-F { map m { type inet_service : verdict; elements = { 22 : accept }; }\n chain in { type filter hook input priority 0; tcp dport vmap @m\n tcp dport vmap { 1 : drop, 2 : jump x } }\n chain x { } }", []string{"inet ILO-F"}, ""},
		{"nothing", " \n", nil, "does not have"},
		{"comments only", "# nothing\n", nil, "no chain has a hook"},
		{"no base chain", "table inet ILO-F {\n chain x {\n tcp dport 22 accept\n }\n}", nil, "no chain has a hook"},
		{"flush", "table inet ILO-F { " + chain + " }\nflush ruleset\n", nil, `line 2: "flush" is not allowed`},
		{"flush behind a semicolon", "table inet ILO-F { " + chain + " }; flush ruleset", nil, `"flush" is not allowed`},
		{"delete", "delete table inet host", nil, `line 1: "delete"`},
		{"add", "\n\nadd table inet ILO-F", nil, `line 3: "add"`},
		{"include", "table inet ILO-F {\ninclude \"/etc/shadow\"\n" + chain + "}", nil, `line 2: "include"`},
		{"define", "define x = 1\n", nil, `line 1: "define"`},
		{"define in a chain", "table inet ILO-F { chain in { type filter hook input priority 0;\ndefine x = 1\n} }", nil, `line 2: "define"`},
		{"another's table", "table inet host { " + chain + " }", nil, `line 1: the name of a table begins with ILO-, letters`},
		{"a quoted name", `table inet "ILO-F" { }`, nil, "the name of a table"},
		{"the name of tracking", "table inet ILO-TRACK { " + chain + " }", nil, "is taken"},
		{"the same twice", "table inet ILO-F { " + chain + " }\ntable inet ILO-F { }", nil, "line 2: table inet ILO-F is there twice"},
		{"bridge", "table bridge ILO-F { }", nil, "the family of a table"},
		{"nat", "table inet ILO-F {\nchain in {\ntype nat hook prerouting priority 0;\n} }", nil, `line 3: chain "in"`},
		{"nat behind a comment", "table inet ILO-F { chain in { comment \"x\"; type nat hook prerouting priority 0; } }", nil, `not "nat"`},
		{"dormant", "table inet ILO-F { flags dormant; " + chain + " }", nil, `"flags" is not allowed`},
		{"a flow table", "table inet ILO-F { flowtable f { } }", nil, `"flowtable"`},
		{"an open table", "table inet ILO-F {\n" + chain + "\n", nil, "is not closed"},
		{"an open chain", "table inet ILO-F { chain in {\n type filter hook input priority 0;\n", nil, `chain "in" is not closed`},
		{"an open quote", "table inet ILO-F { comment \"x }", nil, "a quote is not closed"},
		{"a brace too many", "table inet ILO-F { " + chain + " }\n}", nil, `line 2: "}"`},
		{"a control character", "table inet ILO-F {\x00}", nil, "control character"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := scanNft(Policy{Version: "7", Nft: c.text})
			checkError(t, err, strings.TrimSuffix(c.err, ", letters"))
			if !cmp.Equal(got, c.want) {
				t.Errorf("tables are %q, want %q", got, c.want)
			}
		})
	}
}

// checkError compares a message with a part of it, or with no error at all.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

func FuzzScanNft(f *testing.F) {
	f.Add("table inet ILO-FILTER { chain in { type filter hook input priority 0; } }")
	f.Add("table ip ILO-A {\n set s { type ipv4_addr; }\n}\n# \"\n")
	f.Fuzz(func(t *testing.T, text string) {
		names, err := scanNft(Policy{Nft: text})
		if err == nil && len(names) == 0 {
			t.Error("a policy without a table is taken")
		}
		tokens, err := scanTokens(text)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, tok := range tokens {
			b.WriteString(tok.text + " ")
		}
		again, err := scanTokens(b.String())
		if err != nil || len(again) != len(tokens) {
			t.Errorf("%d tokens, written and read again %d, %v", len(tokens), len(again), err)
		}
	})
}

func TestScanIPTables(t *testing.T) {
	filter := func(lines string) string { return "*filter\n:INPUT DROP [0:0]\n:ILO-A - [0:0]\n" + lines + "COMMIT\n" }
	for _, c := range []struct{ name, text, err string }{
		{"rules", filter("-A INPUT -i lo -j ACCEPT\n[1:2] -A ILO-A -p tcp -m comment --comment \"a -j DOCKER\" -g ILO-A\n# x\n\n"), ""},
		{"nothing", "", "there is no section *filter"},
		{"no commit", "*filter\n:INPUT ACCEPT [0:0]\n", "does not end with COMMIT"},
		{"another table", "*nat\nCOMMIT\n", "line 1: "},
		{"two sections", filter("") + "*nat\n", "line 5: "},
		{"another's chain", "*filter\n:DOCKER - [0:0]\nCOMMIT\n", "line 2: the name of a chain"},
		{"a chain twice", filter(":ILO-A - [0:0]\n"), "line 4: chain \"ILO-A\" is there twice"},
		{"the name of a chain of ours", filter(":ILO-INPUT - [0:0]\n"), "the name of the chain ILO-INPUT is taken"},
		{"a policy of a chain", filter(":ILO-B DROP [0:0]\n"), "cannot have the policy"},
		{"a chain that is not declared", filter("-A FORWARD -j DROP\n"), "line 4: chain \"FORWARD\" is not declared"},
		{"insert", filter("-I INPUT -j DROP\n"), "only -A is"},
		{"flush", filter("-F INPUT\n"), "only -A is"},
		{"a jump to another's", filter("-A INPUT -j DOCKER\n"), "line 4: the target \"DOCKER\""},
		{"a long jump", filter("-A INPUT --jump DOCKER\n"), "the target \"DOCKER\""},
		{"a jump with =", filter("-A INPUT --jump=DOCKER\n"), "the target \"DOCKER\""},
		{"a short long jump", filter("-A INPUT --go DOCKER\n"), "the target \"DOCKER\""},
		{"a jump behind quotes", filter("-A INPUT \"--jump\"DOCKER\n"), "the target \"DOCKER\""},
		{"an attached jump", filter("-A INPUT -jDOCKER\n"), "as two words"},
		{"a jump behind a flag", filter("-A INPUT -fj DOCKER\n"), "as two words"},
		{"a table", filter("-A INPUT -t nat -j ACCEPT\n"), "cannot name its table"},
		{"a program", filter("-A INPUT --modprobe=/bin/sh -j ACCEPT\n"), "it runs a program"},
		{"a program, short", filter("-A INPUT -M /bin/sh -j ACCEPT\n"), "it runs a program"},
		{"matches", filter("-A INPUT -p tcp -m multiport --dports 22,80 -m mark --mark 1 -m mac --mac-source 00:11:22:33:44:55 -j DROP\n"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := scanIPTables(c.text)
			checkError(t, err, c.err)
		})
	}
}

func FuzzScanIPTables(f *testing.F) {
	f.Add("*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n")
	f.Fuzz(func(t *testing.T, text string) {
		policy, err := scanIPTables(text)
		if err != nil {
			return
		}
		again, err := scanIPTables(policy.render())
		if err != nil {
			t.Fatalf("what was written of it is refused: %v\n%s", err, policy.render())
		}
		if policy.render() != again.render() {
			t.Errorf("%q became %q", policy.render(), again.render())
		}
	})
}

// TestOurs checks that a policy's built-in chains become chains of ours.
func TestOurs(t *testing.T) {
	p, err := scanIPTables("*filter\n:INPUT DROP [0:0]\n:ILO-A - [0:0]\n-A INPUT -j ILO-A\n-A ILO-A -j ACCEPT\nCOMMIT\n")
	if err != nil {
		t.Fatal(err)
	}
	ours := p.ours()
	const want = `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ILO-INPUT - [0:0]
:ILO-A - [0:0]
:ILO-FORWARD - [0:0]
:ILO-OUTPUT - [0:0]
-A INPUT -j ILO-INPUT
-A FORWARD -j ILO-FORWARD
-A OUTPUT -j ILO-OUTPUT
-A ILO-INPUT -j ILO-A
-A ILO-A -j ACCEPT
COMMIT
`
	if diff := cmp.Diff(want, ours.render()); diff != "" {
		t.Errorf("the table (-want +got):\n%s", diff)
	}
}
