package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Numbers of the kernel's linux/netfilter/nfnetlink_conntrack.h,
// nf_conntrack_common.h and nf_conntrack_tcp.h, which x/sys does not have.
const (
	ctNew = unix.NFNL_SUBSYS_CTNETLINK << 8 // IPCTNL_MSG_CT_NEW is 0

	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaStatus     = 3
	ctaProtoinfo  = 4
	ctaTimeout    = 7

	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaIPv4Src    = 1
	ctaIPv4Dst    = 2
	ctaIPv6Src    = 3
	ctaIPv6Dst    = 4
	ctaProtoNum   = 1
	ctaProtoSrc   = 2
	ctaProtoDst   = 3

	ctaProtoinfoTCP  = 1
	ctaTCPState      = 1
	ctaTCPFlagsOrig  = 4
	ctaTCPFlagsReply = 5

	statusKnown   = 1<<1 | 1<<2 | 1<<3 // IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED
	established   = 3                  // TCP_CONNTRACK_ESTABLISHED
	beLiberal     = 0x08               // the windows were not seen
	flowTimeout   = 28800              // seconds; the first packet sets the host's own
	ctReceiveWait = 2                  // seconds
)

// enterFlows tells the kernel's connection tracking about connections. What it
// knows already stays as it is.
func enterFlows(flows []flow) error {
	if len(flows) == 0 {
		return nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	defer unix.Close(fd) // nothing is left in it
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: ctReceiveWait}); err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	bad, first := 0, error(nil)
	for i, fl := range flows {
		err := enterFlow(fd, uint32(i+1), fl)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			if bad++; first == nil {
				first = err
			}
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d connections: %w", bad, len(flows), first)
	}
	return nil
}

func enterFlow(fd int, seq uint32, fl flow) error {
	if err := unix.Sendto(fd, flowMessage(seq, fl), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		// struct nlmsghdr {u32 len; u16 type; u16 flags; u32 seq; u32 pid}, s32 error.
		ne := binary.NativeEndian
		if n < unix.SizeofNlMsghdr+4 || ne.Uint16(buf[4:]) != unix.NLMSG_ERROR || ne.Uint32(buf[8:]) != seq {
			continue
		}
		if code := int32(ne.Uint32(buf[unix.SizeofNlMsghdr:])); code != 0 {
			return unix.Errno(-code)
		}
		return nil
	}
}

// flowMessage is the request to make an entry, and not to change one.
func flowMessage(seq uint32, fl flow) []byte {
	ne, be := binary.NativeEndian, binary.BigEndian
	family := byte(unix.AF_INET)
	if fl.client.v6 {
		family = unix.AF_INET6
	}
	b := make([]byte, 4, 256)
	b = ne.AppendUint16(b, ctNew)
	b = ne.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	b = ne.AppendUint32(b, seq)
	b = ne.AppendUint32(b, 0)      // the kernel
	b = append(b, family, 0, 0, 0) // struct nfgenmsg: family, version, resource
	b = appendTuple(b, ctaTupleOrig, fl.client, fl.server)
	b = appendTuple(b, ctaTupleReply, fl.server, fl.client)
	b = appendAttr(b, ctaStatus, be.AppendUint32(nil, statusKnown))
	b = appendAttr(b, ctaTimeout, be.AppendUint32(nil, flowTimeout))
	var tcp []byte
	tcp = appendAttr(tcp, ctaTCPState, []byte{established})
	tcp = appendAttr(tcp, ctaTCPFlagsOrig, []byte{beLiberal, beLiberal}) // flags, mask
	tcp = appendAttr(tcp, ctaTCPFlagsReply, []byte{beLiberal, beLiberal})
	b = appendAttr(b, ctaProtoinfo|unix.NLA_F_NESTED, appendAttr(nil, ctaProtoinfoTCP|unix.NLA_F_NESTED, tcp))
	ne.PutUint32(b, uint32(len(b)))
	return b
}

func appendTuple(b []byte, kind uint16, from, to endpoint) []byte {
	src, dst, size := uint16(ctaIPv4Src), uint16(ctaIPv4Dst), 4
	if from.v6 {
		src, dst, size = ctaIPv6Src, ctaIPv6Dst, 16
	}
	be := binary.BigEndian
	ip := appendAttr(appendAttr(nil, src, from.addr[:size]), dst, to.addr[:size])
	proto := appendAttr(nil, ctaProtoNum, []byte{unix.IPPROTO_TCP})
	proto = appendAttr(proto, ctaProtoSrc, be.AppendUint16(nil, from.port))
	proto = appendAttr(proto, ctaProtoDst, be.AppendUint16(nil, to.port))
	tuple := appendAttr(nil, ctaTupleIP|unix.NLA_F_NESTED, ip)
	return appendAttr(b, kind|unix.NLA_F_NESTED, appendAttr(tuple, ctaTupleProto|unix.NLA_F_NESTED, proto))
}

// appendAttr appends a struct nlattr {u16 len; u16 type}, its data and padding
// to 4 bytes.
//
//go:noinline
func appendAttr(b []byte, kind uint16, data []byte) []byte {
	ne := binary.NativeEndian
	b = ne.AppendUint16(b, uint16(unix.SizeofNlAttr+len(data)))
	b = ne.AppendUint16(b, kind)
	b = append(b, data...)
	for len(b)%unix.NLA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}
