package packaging

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Capabilities are the names of Linux' capabilities, in order of their numbers
// (capabilities(7)).
var Capabilities = []string{
	"cap_chown", "cap_dac_override", "cap_dac_read_search", "cap_fowner", "cap_fsetid", "cap_kill", "cap_setgid",
	"cap_setuid", "cap_setpcap", "cap_linux_immutable", "cap_net_bind_service", "cap_net_broadcast", "cap_net_admin",
	"cap_net_raw", "cap_ipc_lock", "cap_ipc_owner", "cap_sys_module", "cap_sys_rawio", "cap_sys_chroot",
	"cap_sys_ptrace", "cap_sys_pacct", "cap_sys_admin", "cap_sys_boot", "cap_sys_nice", "cap_sys_resource",
	"cap_sys_time", "cap_sys_tty_config", "cap_mknod", "cap_lease", "cap_audit_write", "cap_audit_control",
	"cap_setfcap", "cap_mac_override", "cap_mac_admin", "cap_syslog", "cap_wake_alarm", "cap_block_suspend",
	"cap_audit_read", "cap_perfmon", "cap_bpf", "cap_checkpoint_restore",
}

// FileCaps are the capabilities that a file gives to the program in it, as sets in
// which bit n stands for the capability of number n.
type FileCaps struct {
	Effective, Inheritable, Permitted uint64

	RootID uint32 // user whose namespace they hold for; 0 means the host's own
}

// capFlags are the sets as texts name them, in the order in which they stand.
const capFlags = "eip"

func (c *FileCaps) set(flag byte) *uint64 {
	switch flag {
	case 'e':
		return &c.Effective
	case 'i':
		return &c.Inheritable
	default:
		return &c.Permitted
	}
}

// ParseCaps reads what cap_from_text(3) reads: clauses separated by spaces, each of
// names, and operators with flags.
func ParseCaps(text string) (FileCaps, error) {
	var c FileCaps
	clauses := strings.Fields(text)
	if len(clauses) == 0 {
		return c, errors.New("is empty")
	}
	for _, clause := range clauses {
		i := strings.IndexAny(clause, "=+-")
		if i < 0 {
			return c, fmt.Errorf("%q has no =, + or -", clause)
		}
		var named uint64
		for name := range strings.SplitSeq(clause[:i], ",") {
			name = strings.ToLower(name)
			n := slices.Index(Capabilities, name)
			switch {
			case name == "" && clause[i] == '=', name == "all":
				named |= 1<<len(Capabilities) - 1
			case n < 0:
				return c, fmt.Errorf("%q is not a capability", name)
			default:
				named |= 1 << n
			}
		}
		op := byte(0)
		for _, b := range []byte(clause[i:]) {
			switch {
			case b == '=':
				for _, f := range []byte(capFlags) {
					*c.set(f) &^= named
				}
				op = b
			case b == '+' || b == '-':
				op = b
			case strings.IndexByte(capFlags, b) < 0:
				return c, fmt.Errorf("%q: want e, i and p after the operator", clause)
			case op == '-':
				*c.set(b) &^= named
			default:
				*c.set(b) |= named
			}
		}
	}
	return c, nil
}

// DecodeCaps reads the extended attribute security.capability: struct vfs_cap_data
// and vfs_ns_cap_data of linux/capability.h, all little-endian.
//
//	 0  4  revision in the highest byte: 1, 2 or 3; bit 0: the permitted are effective
//	 4  8  permitted and inheritable, capabilities 0 to 31
//	12  8  the same, capabilities 32 to 63; not in revision 1
//	20  4  user whose namespace they hold for; in revision 3 alone
func DecodeCaps(b []byte) (FileCaps, error) {
	le := binary.LittleEndian
	if len(b) < 4 {
		return FileCaps{}, fmt.Errorf("attribute of %d bytes has no revision", len(b))
	}
	magic := le.Uint32(b)
	sizes := map[uint32]int{1: 12, 2: 20, 3: 24} // bytes
	if size, known := sizes[magic>>24]; !known || len(b) != size {
		return FileCaps{}, fmt.Errorf("attribute has revision %d and %d bytes", magic>>24, len(b))
	}
	c := FileCaps{Permitted: uint64(le.Uint32(b[4:])), Inheritable: uint64(le.Uint32(b[8:]))}
	if len(b) >= 20 {
		c.Permitted |= uint64(le.Uint32(b[12:])) << 32
		c.Inheritable |= uint64(le.Uint32(b[16:])) << 32
	}
	if len(b) == 24 {
		c.RootID = le.Uint32(b[20:])
	}
	if magic&1 != 0 {
		c.Effective = c.Permitted | c.Inheritable
	}
	return c, nil
}

// String gives the text of cap_to_text(3), and of getcap -n where they hold for
// another user's namespace: "cap_net_admin,cap_net_raw=ep".
func (c FileCaps) String() string {
	var clauses []string
	for flags := 1<<len(capFlags) - 1; flags > 0; flags-- {
		set := ^uint64(0)
		text := "="
		if len(clauses) > 0 {
			text = "+" // as libcap has it
		}
		for i, f := range []byte(capFlags) { // e is the highest bit, as in libcap's order of clauses
			if flags&(4>>i) != 0 {
				set &= *c.set(f)
				text += string(f)
			} else {
				set &^= *c.set(f)
			}
		}
		if names := capNames(set); names != "" {
			clauses = append(clauses, names+text)
		}
	}
	text := strings.Join(clauses, " ")
	if strings.HasPrefix(text, "all=") {
		text = text[len("all"):]
	}
	if text == "" {
		text = "="
	}
	if c.RootID != 0 {
		text += fmt.Sprintf(" [rootid=%d]", c.RootID)
	}
	return text
}

// capNames lists the capabilities in a set, separated by commas.
func capNames(set uint64) string {
	if set == 1<<len(Capabilities)-1 {
		return "all"
	}
	var names []string
	for ; set != 0; set &= set - 1 {
		n := bits.TrailingZeros64(set)
		if n < len(Capabilities) {
			names = append(names, Capabilities[n])
		} else {
			names = append(names, fmt.Sprint(n))
		}
	}
	return strings.Join(names, ",")
}
