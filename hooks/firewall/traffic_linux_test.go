package firewall

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The host is 10.77.0.1 and fd77::1, its peer in another namespace .2 and ::2.
const (
	hostAddr4, peerAddr4 = "10.77.0.1", "10.77.0.2"
	hostAddr6, peerAddr6 = "fd77::1", "fd77::2"

	openPort   = 7000 // by the host's rules and by ours
	closedPort = 7001 // by both
	hostPort   = 7002 // open by the host's rules alone
	peerPort   = 9000 // a server on the peer
)

// A peer is another host on a cable.
type peer struct{ ns *os.File }

func newPeer(t *testing.T) *peer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", "-n", "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it sleeps for longer than the test
		_ = cmd.Wait()
	})
	name := fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if link, err := os.Readlink(name); err == nil && link != own {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no namespace for the peer")
		}
	}
	ns, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	sh(t, fmt.Sprintf(`
		ip link add host type veth peer name peer netns %[1]d
		ip addr add %[2]s/24 dev host; ip addr add %[3]s/64 dev host nodad; ip link set host up
		in="nsenter -t %[1]d -n"
		$in ip link set lo up
		$in ip addr add %[4]s/24 dev peer; $in ip addr add %[5]s/64 dev peer nodad; $in ip link set peer up`,
		cmd.Process.Pid, hostAddr4, hostAddr6, peerAddr4, peerAddr6))
	return &peer{ns}
}

// do runs a function in the peer's namespace. Sockets stay there.
func (p *peer) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := unix.Setns(int(p.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

func (p *peer) dial(addr string, port int, wait time.Duration) (conn net.Conn, err error) {
	err = p.do(func() error {
		conn, err = net.DialTimeout("tcp", net.JoinHostPort(addr, strconv.Itoa(port)), wait)
		return err
	})
	return conn, err
}

// serve accepts and echoes on all addresses of the namespace that it is called in.
func serve(t *testing.T, port int, accepted chan<- net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if accepted != nil {
				accepted <- c
				continue
			}
			go func() {
				_, _ = io.Copy(c, c) // until the client goes
				c.Close()
			}()
		}
	}()
}

// reaches fails the test unless ports are open and closed as said.
func (p *peer) reaches(t *testing.T, what, addr string, port int, want bool) {
	t.Helper()
	wait := 500 * time.Millisecond
	if want {
		wait = 5 * time.Second // a busy machine
	}
	c, err := p.dial(addr, port, wait)
	if err == nil {
		c.Close()
	}
	if (err == nil) != want {
		t.Errorf("%s: port %d of %s open is %v (%v), want %v", what, port, addr, err == nil, err, want)
	}
}

// say sends a word over one end of a connection and waits for it at the other.
func say(from, to net.Conn) error {
	deadline := time.Now().Add(3 * time.Second)
	if err := errors.Join(from.SetDeadline(deadline), to.SetDeadline(deadline)); err != nil {
		return err
	}
	if _, err := from.Write([]byte("word")); err != nil {
		return err
	}
	buf := make([]byte, 4)
	_, err := io.ReadFull(to, buf)
	return err
}

// A probe tries one open and one closed port of the host every millisecond.
type probe struct {
	stop, done chan struct{}
	tries      int
	opened     []time.Duration // of the closed port
	failed     []time.Duration // of the open port
}

type try struct {
	fd    int
	port  int
	start time.Time
}

func (p *peer) probe(t *testing.T) *probe {
	t.Helper()
	pr := &probe{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(pr.done)
		if err := p.do(pr.run); err != nil {
			t.Error(err)
		}
	}()
	return pr
}

func (pr *probe) run() error {
	const limit = 400 * time.Millisecond // before a SYN is sent again
	begin := time.Now()
	var open []try
	stop := pr.stop
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		select {
		case <-stop:
			stop = nil
		default:
		}
		if stop != nil {
			for _, port := range []int{openPort, closedPort} {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // no TIME_WAIT
				err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{10, 77, 0, 1}})
				if err != nil && !errors.Is(err, unix.EINPROGRESS) {
					return err
				}
				pr.tries++
				open = append(open, try{fd, port, time.Now()})
			}
		}
		var still []try
		for _, c := range open {
			fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}
			n, err := unix.Poll(fds, 0)
			if err != nil && !errors.Is(err, unix.EINTR) {
				return err
			}
			late := time.Since(c.start) > limit
			if n == 0 && !late {
				still = append(still, c)
				continue
			}
			code, _ := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
			connected := n > 0 && code == 0
			switch {
			case connected && c.port == closedPort:
				pr.opened = append(pr.opened, c.start.Sub(begin))
			case !connected && c.port == openPort:
				pr.failed = append(pr.failed, c.start.Sub(begin))
			}
			unix.Close(c.fd)
		}
		open = still
		if stop == nil && len(open) == 0 {
			return nil
		}
	}
}

// end stops the probe and judges.
func (pr *probe) end(t *testing.T, what string) {
	t.Helper()
	close(pr.stop)
	<-pr.done
	if pr.tries < 200 {
		t.Errorf("%s: only %d tries", what, pr.tries)
	}
	if len(pr.opened) > 0 {
		t.Errorf("%s: the closed port was open %d times, first after %v", what, len(pr.opened), pr.opened[0])
	}
	if len(pr.failed) > 0 {
		t.Errorf("%s: the open port was closed %d times, first after %v", what, len(pr.failed), pr.failed[0])
	}
	t.Logf("%s: %d tries", what, pr.tries)
}

// The host's rules of each kind, none of which asks connection tracking.
var hosts = []struct {
	name, rules string
	only        bool // the host has no nft
	legacy      bool // its iptables is the legacy one
}{
	{"nft", `nft -f - <<N
table inet host {
	chain in {
		type filter hook input priority filter; policy drop;
		iif lo accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		tcp dport { 7000, 7002 } accept
		tcp sport 9000 accept
	}
}
N`, false, false},
	{"iptables-nft", xtablesHost("nft"), false, false},
	{"iptables-legacy", xtablesHost("legacy"), false, true},
	{"iptables-nft alone", xtablesHost("nft"), true, false},
	{"iptables-legacy alone", xtablesHost("legacy"), true, true},
}

func xtablesHost(kind string) string {
	rule := func(s string) string {
		return "iptables-" + kind + " " + s + "; ip6tables-" + kind + " " + s + "\n"
	}
	return rule("-P INPUT DROP") + rule("-A INPUT -i lo -j ACCEPT") + rule("-A INPUT -p tcp -m multiport --dports 7000,7002 -j ACCEPT") +
		rule("-A INPUT -p tcp --sport 9000 -j ACCEPT") + "ip6tables-" + kind + " -A INPUT -p icmpv6 -j ACCEPT\n"
}

const (
	trafficNft = `table inet ILO-FILTER {
	chain input {
		type filter hook input priority 0; policy drop;
		iif "lo" accept
		ct state established,related accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		tcp dport 7000 accept
	}
}
`
	trafficIPTables = `*filter
:INPUT DROP [0:0]
:ILO-OPEN - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -j ILO-OPEN
-A ILO-OPEN -p tcp --dport 7000 -j ACCEPT
COMMIT
`
)

var trafficPolicy = Policy{
	Version: "traffic",
	Nft:     trafficNft, IPv4: trafficIPTables,
	IPv6: strings.Replace(trafficIPTables, "-A INPUT -i lo", "-A INPUT -p ipv6-icmp -j ACCEPT\n-A INPUT -i lo", 1),
}

// testTraffic takes a host over and gives it back under a probe of each
// millisecond, with connections that only the host's rules would let in anew and
// that connection tracking has never seen.
func testTraffic(t *testing.T, rules string, only, legacy bool) {
	f, l := newFirewall(t)
	ctx := t.Context()
	if legacy {
		sh(t, "update-alternatives --set iptables /usr/sbin/iptables-legacy >/dev/null; update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy >/dev/null")
	}
	if only {
		l.hide = []string{"nft"}
	}
	p := newPeer(t)
	sh(t, rules)
	serve(t, openPort, nil)
	serve(t, closedPort, nil)
	accepted := make(chan net.Conn)
	serve(t, hostPort, accepted)
	if err := p.do(func() error { serve(t, peerPort, nil); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{hostAddr4, hostAddr6} {
		p.reaches(t, "before", addr, openPort, true)
		p.reaches(t, "before", addr, closedPort, false)
	}

	type pair struct {
		what    string
		speaker net.Conn
		other   net.Conn
	}
	connect := func(what, addr string, hostFirst bool) pair {
		c, err := p.dial(addr, hostPort, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		s := <-accepted
		t.Cleanup(func() { c.Close(); s.Close() })
		if hostFirst {
			c, s = s, c
		}
		return pair{what, c, s}
	}
	idle := []pair{
		connect("IPv4, the peer speaks", hostAddr4, false),
		connect("IPv4, the host speaks", hostAddr4, true),
		connect("IPv6, the peer speaks", hostAddr6, false),
		connect("IPv6, the host speaks", hostAddr6, true),
	}
	out, err := net.DialTimeout("tcp", net.JoinHostPort(peerAddr4, strconv.Itoa(peerPort)), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	idle = append(idle, pair{"of the host to the peer", out, out}) // which echoes
	busy := connect("busy", hostAddr4, false)
	if b, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count"); err != nil || strings.TrimSpace(string(b)) != "0" {
		t.Fatalf("connections are tracked already: %q, %v", b, err)
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if err := say(busy.speaker, busy.other); err != nil {
				ended <- err
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()

	set, err := f.Save(ctx)
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, do func() error) {
		t.Helper()
		pr := p.probe(t)
		time.Sleep(200 * time.Millisecond)
		start := time.Now()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		t.Logf("%s: %v", what, time.Since(start))
		time.Sleep(200 * time.Millisecond)
		pr.end(t, what)
	}
	step("Enforce", func() error { return f.Enforce(ctx, trafficPolicy) })
	for _, c := range idle {
		if err := say(c.speaker, c.other); err != nil {
			t.Errorf("the idle connection (%s) was cut: %v", c.what, err)
		}
	}
	for _, addr := range []string{hostAddr4, hostAddr6} {
		p.reaches(t, "under our policy", addr, openPort, true)
		p.reaches(t, "under our policy", addr, closedPort, false)
		p.reaches(t, "under our policy", addr, hostPort, false)
	}
	step("Enforce again", func() error { return f.Enforce(ctx, trafficPolicy) })
	step("PutBack", func() error {
		left, err := f.PutBack(ctx, set)
		if len(left) > 0 {
			err = fmt.Errorf("left %q", left)
		}
		return err
	})
	close(stop)
	if err := <-ended; err != nil {
		t.Errorf("the busy connection was cut: %v", err)
	}
	for _, c := range idle {
		if err := say(c.speaker, c.other); err != nil {
			t.Errorf("the idle connection (%s) was cut at last: %v", c.what, err)
		}
	}
}
