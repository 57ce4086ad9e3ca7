package firewall

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// A flow is an established TCP connection of this host.
type flow struct {
	client, server endpoint
}

type endpoint struct {
	v6   bool
	addr [16]byte // the first four for IPv4
	port uint16
}

// track prepares connection tracking for rules that ask it what belongs to a
// connection. Where no rule asked before, the kernel did not track: what is
// established would be unknown, and its next packet new in mid-stream, which a
// policy drops.
//
// So the host's TCP sockets are entered. With a table of ours whose chains ask
// and decide nothing, tracking begins, and what else is going on (UDP, what the
// host passes on) is seen before the policy is loaded, if it sends within a
// second. What can not be done is a warning: the policy matters more.
func (f *Firewall) track(ctx context.Context, table bool) error {
	if table {
		text := `
table ` + trackTable + ` {
	chain input {
		type filter hook input priority 0; policy accept;
		ct state established
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		ct state established
	}
	chain output {
		type filter hook output priority 0; policy accept;
		ct state established
	}
}
`
		if err := f.nft(ctx, Policy{}, replaceTables([]string{trackTable}, nil, text)); err != nil {
			f.warn("connection tracking is not started before the policy", "error", err)
			table = false
		}
	}
	var flows []flow
	tcp, err := f.Sys.ReadFile("/proc/self/net/tcp")
	tcp6, err6 := f.Sys.ReadFile("/proc/self/net/tcp6")
	if errors.Is(err6, fs.ErrNotExist) { // no IPv6 in this kernel
		err6 = nil
	}
	if err == nil && err6 == nil {
		flows = parseSockets(string(tcp), string(tcp6))
		err = enterFlows(flows)
	}
	if err = errors.Join(err, err6); err != nil {
		f.warn("established connections are not entered into connection tracking, and may be cut", "error", err)
	}
	if table && len(flows) > 0 { // none are at boot, which need not wait
		return pause(ctx, time.Second)
	}
	return nil
}

// Socket states in /proc/net/tcp: include/net/tcp_states.h.
const (
	tcpEstablished = 0x01
	tcpFinWait1    = 0x04
	tcpFinWait2    = 0x05
	tcpCloseWait   = 0x08
	tcpListen      = 0x0a
)

// parseSockets reads /proc/net/tcp and tcp6: proc_net_tcp in the kernel's
// documentation. The host is the server of a connection to a port that it
// listens on.
func parseSockets(tcp, tcp6 string) []flow {
	type socket struct{ local, remote endpoint }
	var sockets []socket
	listen := map[uint16]bool{}
	for _, text := range []string{tcp, tcp6} {
		for _, line := range lines(text) {
			w := strings.Fields(line)
			if len(w) < 4 {
				continue
			}
			local, ok := parseEndpoint(w[1])
			remote, ok2 := parseEndpoint(w[2])
			state, err := strconv.ParseUint(w[3], 16, 8)
			if !ok || !ok2 || err != nil {
				continue // the heading
			}
			switch state {
			case tcpListen:
				listen[local.port] = true
			case tcpEstablished, tcpFinWait1, tcpFinWait2, tcpCloseWait:
				sockets = append(sockets, socket{local, remote})
			}
		}
	}
	var out []flow
	for _, s := range sockets {
		if listen[s.local.port] {
			out = append(out, flow{client: s.remote, server: s.local})
		} else {
			out = append(out, flow{client: s.local, server: s.remote})
		}
	}
	return out
}

// parseEndpoint reads "0100007F:0016": words of 32 bits as the machine has them,
// and the port.
func parseEndpoint(s string) (endpoint, bool) {
	addr, port, _ := strings.Cut(s, ":")
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil || len(addr) != 8 && len(addr) != 32 {
		return endpoint{}, false
	}
	e := endpoint{v6: len(addr) == 32, port: uint16(p)}
	for i := 0; i < len(addr); i += 8 {
		word, err := strconv.ParseUint(addr[i:i+8], 16, 32)
		if err != nil {
			return endpoint{}, false
		}
		binary.NativeEndian.PutUint32(e.addr[i/2:], uint32(word))
	}
	// An IPv4 connection of an IPv6 socket, ::ffff:192.0.2.1.
	if mapped := [12]byte{10: 0xff, 11: 0xff}; e.v6 && [12]byte(e.addr[:12]) == mapped {
		e = endpoint{addr: [16]byte(append(e.addr[12:], e.addr[:12]...)), port: e.port}
		clear(e.addr[4:])
	}
	return e, true
}
