package firewall

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var scenarios = []scenario{
	{"life", testLife},
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
