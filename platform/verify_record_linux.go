package platform

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vpkg/vpkg/hooks"
)

// at is where a path of the record is for us.
func (p Product) at(name string) string {
	if h, ok := p.Sys.(hooks.Host); ok {
		return h.Root + name
	}
	return name
}

// attributes compares what a file system keeps about a file.
func (v *recordVerification) attributes(ctx context.Context, e *hooks.RecordEntry, info fs.FileInfo) error {
	is := hooks.ModeOf(info.Mode())
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: no owner can be read", e.Path)
	}
	if e.Type != "symlink" && is != e.Mode {
		v.differ(RuleMode, e.Path, octal(e.Mode), octal(is))
	}
	v.owner(ctx, RuleOwner, "passwd", e.Path, e.Owner, int(st.Uid))
	v.owner(ctx, RuleGroup, "group", e.Path, e.Group, int(st.Gid))
	switch e.Type {
	case "symlink":
		target, err := os.Readlink(v.at(e.Path))
		if err != nil {
			return err
		}
		if target != e.Target {
			v.differ(RuleLink, e.Path, e.Target, target)
		}
	case "file":
		if first, err := os.Lstat(v.at(e.HardLink)); e.HardLink != "" && err == nil && !os.SameFile(first, info) {
			v.add(RuleHardLink, e.Path, "is another file than "+e.HardLink)
		}
		return v.capabilities(e)
	}
	return nil
}

// owner compares an owner or a group. A record has few.
func (v *recordVerification) owner(ctx context.Context, rule, database, where, want string, is int) {
	key := database + " " + want
	n, known := v.numbers[key]
	if !known {
		if n, known = v.number(ctx, database, want); known {
			v.numbers[key] = n
		}
	}
	if !known || n != is {
		v.differ(rule, where, want, v.name(ctx, database, is))
	}
}

// capabilities compares the attribute security.capability: capabilities(7), section
// "File capabilities".
func (v *recordVerification) capabilities(e *hooks.RecordEntry) error {
	buf := make([]byte, 24)
	n, err := unix.Lgetxattr(v.at(e.Path), "security.capability", buf)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM):
		n = 0
	case err != nil:
		return &fs.PathError{Op: "getxattr", Path: e.Path, Err: err}
	}
	is := fileCaps(buf[:max(n, 0)])
	want, ok := parseCaps(e.Caps)
	if ok && is != want {
		v.differ(RuleCapabilities, e.Path, orNone(e.Caps), is.String())
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// A capSet is what a file has of each capability, a bit each.
type capSet struct {
	permitted, inheritable uint64
	effective              bool // of the file: all that are permitted or none
}

func (c capSet) String() string {
	if c == (capSet{}) {
		return "none"
	}
	return fmt.Sprintf("permitted %x, inheritable %x, effective %t", c.permitted, c.inheritable, c.effective)
}

// fileCaps reads a vfs_cap_data, include/uapi/linux/capability.h, of revision 2 or 3:
//
//	0 4 revision in the highest byte, VFS_CAP_FLAGS_EFFECTIVE is 1
//	4 4 permitted, bits 0 to 31
//	8 4 inheritable, bits 0 to 31
//	12  the same for bits 32 to 63
func fileCaps(b []byte) capSet {
	if len(b) < 20 {
		return capSet{}
	}
	le := binary.LittleEndian
	return capSet{
		permitted:   uint64(le.Uint32(b[4:])) | uint64(le.Uint32(b[12:]))<<32,
		inheritable: uint64(le.Uint32(b[8:])) | uint64(le.Uint32(b[16:]))<<32,
		effective:   b[0]&1 != 0,
	}
}

// capNames are the names of the capabilities by number, without cap_.
const capNames = "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service " +
	"net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot " +
	"sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog " +
	"wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"

// parseCaps reads clauses such as "cap_net_admin,cap_net_raw=ep", cap_from_text(3).
// What it does not know is not compared: ok is false.
func parseCaps(text string) (c capSet, ok bool) {
	names := strings.Fields(capNames)
	for clause := range strings.FieldsSeq(text) {
		at := strings.IndexAny(clause, "=+")
		if at < 0 {
			return c, false
		}
		list, flags := clause[:at], clause[at+1:]
		var bits uint64
		for name := range strings.SplitSeq(list, ",") {
			i := slices.Index(names, strings.TrimPrefix(strings.ToLower(name), "cap_"))
			if i < 0 {
				return c, false
			}
			bits |= 1 << i
		}
		for _, f := range flags {
			switch f {
			case 'p':
				c.permitted |= bits
			case 'i':
				c.inheritable |= bits
			case 'e':
				c.effective = true
			default:
				return c, false
			}
		}
	}
	return c, true
}
