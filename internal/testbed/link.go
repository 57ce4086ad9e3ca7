//go:build linux

package testbed

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Link connects the box, which must have started, with the network namespace of the
// tests: there it is box10.N and has the address 10.55.N.1, in the box it is uplink
// and has 10.55.N.2, with a default route. n is from 1 to 254, and one box's alone.
func (b *Box) Link(t testing.TB, n int) {
	t.Helper()
	if b.pid1 == 0 {
		t.Fatal("testbed: Link of a box that has not started")
	}
	name, net := "box10."+strconv.Itoa(n), "10.55."+strconv.Itoa(n)
	for _, args := range []string{
		"link set lo up",
		"link add " + name + " type veth peer name uplink netns " + strconv.Itoa(b.pid1),
		"addr add " + net + ".1/24 dev " + name,
		"link set " + name + " up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	b.Sh(t, "ip addr add "+net+".2/24 dev uplink && ip link set uplink up && ip link set lo up && ip route add default via "+net+".1").OK(t)
}
