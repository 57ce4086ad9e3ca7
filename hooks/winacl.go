package hooks

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Windows has access lists where System speaks of owner, group and permission
// bits. This file is the translation, a plain function each way, so that it is
// tested wherever Go runs; host_windows.go does what it says.
//
// What an Attr of a folder stands for is one list of up to five entries, which
// takes nothing from the folder above and hands itself on:
//
//	SYSTEM           everything
//	Attr.GID         as the group's bits say, if any; the descriptor's group too
//	Administrators   everything
//	Attr.UID         as the owner's bits say, unless it is 0
//	Users            as the others' bits say, if any; they never may write
//
// The owner of the file is Administrators: who owns a file can change its access
// list, and a service is not to open its data to others.

// Well-known security identifiers: [MS-DTYP] 2.4.2.4.
const (
	sidSystem           = "S-1-5-18"
	sidLocalService     = "S-1-5-19"
	sidNetworkService   = "S-1-5-20"
	sidAdministrators   = "S-1-5-32-544"
	sidUsers            = "S-1-5-32-545"
	sidOwnerRights      = "S-1-3-4"
	sidCreatorOwner     = "S-1-3-0"
	sidTrustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
	sidServices         = "S-1-5-80-" // virtual accounts, NT SERVICE\NAME
)

// Access masks of files: [MS-DTYP] 2.4.3 and winnt.h.
const (
	accessFull   = 0x1f01ff // FILE_ALL_ACCESS
	accessModify = 0x1301bf // what Windows calls "modify": all but the owner, the list and deleting what is below
	accessRun    = 0x1200a9 // FILE_GENERIC_READ | FILE_GENERIC_EXECUTE
	accessRead   = 0x120089 // FILE_GENERIC_READ
	accessWrites = 0x10000000 | 0x40000000 | 0x000d0156
	// GENERIC_ALL, GENERIC_WRITE; WRITE_OWNER, WRITE_DAC, DELETE,
	// FILE_WRITE_ATTRIBUTES, FILE_DELETE_CHILD, FILE_WRITE_EA, FILE_APPEND_DATA, FILE_WRITE_DATA
)

// Header of an access control entry: [MS-DTYP] 2.4.4.1.
const (
	aceAllowed   = 0x00 // ACCESS_ALLOWED_ACE_TYPE
	aceDenied    = 0x01 // ACCESS_DENIED_ACE_TYPE
	aceInherit   = 0x03 // OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE
	aceInherited = 0x10 // INHERITED_ACE
)

// ownList marks the mode of a file whose access list is none that an Attr stands
// for. Setting a mode with it leaves the list as it is.
const ownList = fs.ModeSticky

// A descriptor is a security descriptor without its audit list.
type descriptor struct {
	owner, group string // security identifiers
	protected    bool   // takes nothing from the folder above
	open         bool   // there is no list at all, and everybody may do everything
	list         []ace
}

// An ace is an access control entry.
type ace struct {
	kind, flags byte
	mask        uint32
	sid         string
}

// accounts are those that numbers stand for besides 0, by their security
// identifiers.
type accounts []string

// number is what Attr has for an account. SYSTEM, Administrators and
// TrustedInstaller, who can do everything, are 0 as root is; any other is the last
// part of its identifier, which is that of a domain or a hash before it: two
// accounts can have one number, but no account has that of another by accident
// and is also named in a configuration.
func number(sid string) int {
	switch sid {
	case sidSystem, sidAdministrators, sidTrustedInstaller:
		return 0
	}
	var n uint32
	for _, c := range []byte(sid[strings.LastIndexByte(sid, '-')+1:]) {
		if !isDigit(c) {
			break
		}
		n = n*10 + uint32(c-'0')
	}
	return int(max(n&0x7fffffff, 1)) // an int has 32 bits on some systems
}

// sid finds the account that a number stands for.
func (a accounts) sid(n int) (string, error) {
	if n == 0 {
		return sidSystem, nil
	}
	for _, sid := range append(a, sidLocalService, sidNetworkService) {
		if number(sid) == n {
			return sid, nil
		}
	}
	return "", fmt.Errorf("account %d is none of the configuration's", n)
}

// mayOwn reports whether the account can have made a file that the hook trusts:
// it is a part of Windows or a service, not an ordinary user.
func mayOwn(sid string) bool {
	return number(sid) == 0 || sid == sidLocalService || sid == sidNetworkService || strings.HasPrefix(sid, sidServices)
}

// rights gives the access mask of three permission bits.
func rights(perm fs.FileMode) uint32 {
	switch perm &= 7; {
	case perm&2 != 0:
		return accessModify
	case perm&1 != 0:
		return accessRun
	case perm != 0:
		return accessRead
	}
	return 0
}

// descriptor gives the security descriptor that an Attr stands for.
func (a accounts) descriptor(attr Attr) (descriptor, error) {
	if attr.Mode&0o002 != 0 {
		return descriptor{}, fmt.Errorf("mode %v: nothing is made that every user can write", attr.Mode)
	}
	user, err := a.sid(attr.UID)
	if err != nil {
		return descriptor{}, err
	}
	group, err := a.sid(attr.GID)
	if err != nil {
		return descriptor{}, err
	}
	d := descriptor{owner: sidAdministrators, group: group, protected: true}
	add := func(mask uint32, sid string) {
		if mask == 0 {
			return
		}
		e := ace{kind: aceAllowed, mask: mask, sid: sid}
		if attr.Mode.IsDir() {
			e.flags = aceInherit
		}
		d.list = append(d.list, e)
	}
	add(accessFull, sidSystem)
	add(rights(attr.Mode>>3), group)
	add(accessFull, sidAdministrators)
	if attr.UID != 0 {
		add(rights(attr.Mode>>6), user)
	}
	add(rights(attr.Mode), sidUsers)
	return d, nil
}

// private is the descriptor of a file that only its owner and administrators may
// read, whoever the owner is.
func private() descriptor {
	return descriptor{owner: "", protected: true, list: []ace{
		{mask: accessFull, sid: sidSystem}, {mask: accessFull, sid: sidAdministrators}, {mask: accessFull, sid: sidOwnerRights},
	}}
}

// attr gives the Attr that the descriptor of a file of that type stands for. One
// that stands for none has the mark ownList, its owner's number, and the bits that
// come nearest.
func (a accounts) attr(d descriptor, kind fs.FileMode) Attr {
	if attr, ok := a.exact(d, kind); ok {
		return attr
	}
	attr := Attr{Mode: kind | ownList | 0o600, UID: number(d.owner), GID: number(d.group)}
	if kind.IsDir() {
		attr.Mode |= 0o100
	}
	if d.open {
		attr.Mode |= 0o077
	}
	for _, e := range d.list {
		switch {
		case e.kind == aceDenied || number(e.sid) == 0 || e.sid == d.owner || e.sid == sidOwnerRights || e.sid == sidCreatorOwner:
		case strings.HasPrefix(e.sid, sidServices) || e.sid == sidLocalService || e.sid == sidNetworkService:
			attr.Mode |= permission(e.mask) << 3
		default:
			attr.Mode |= permission(e.mask)
		}
	}
	return attr
}

func permission(mask uint32) fs.FileMode {
	if mask&accessWrites != 0 {
		return 7
	}
	return 5
}

// exact finds the Attr whose descriptor it is.
func (a accounts) exact(d descriptor, kind fs.FileMode) (Attr, bool) {
	attr := Attr{Mode: kind | 0o600, GID: number(d.group)}
	if kind.IsDir() {
		attr.Mode |= 0o100
	}
	list := d.list
	next := func(sid string) (bits fs.FileMode) { // of the next entry, if it is that account's
		if len(list) == 0 || sid != "" && list[0].sid != sid {
			return 0
		}
		bits = map[uint32]fs.FileMode{accessModify: 7, accessRun: 5, accessRead: 4}[list[0].mask]
		list = list[1:]
		return bits
	}
	next(sidSystem)
	if len(list) > 0 && list[0].sid != sidAdministrators {
		attr.Mode |= next(d.group) << 3
	}
	next(sidAdministrators)
	if len(list) > 0 && list[0].sid != sidUsers {
		attr.UID = number(list[0].sid)
		attr.Mode = attr.Mode&^0o700 | next("")<<6
	}
	attr.Mode |= next(sidUsers)
	want, err := a.descriptor(attr)
	same := err == nil && d.owner == want.owner && d.group == want.group && d.protected && slices.Equal(d.list, want.list)
	return attr, same
}

// planted says why a file may be an ordinary user's, who may have made it for the
// hook to find, or returns nil. The folder that it is in is open if every user can
// make files there. A link is trusted only if it is an administrator's.
func (d descriptor) planted(link, open bool) error {
	switch {
	case link && number(d.owner) != 0:
		return fmt.Errorf("is a link of %s and %w", d.owner, ErrPlanted)
	case open && !mayOwn(d.owner):
		return fmt.Errorf("belongs to %s and %w", d.owner, ErrPlanted)
	}
	return nil
}

// sddl is the descriptor in the language of ConvertStringSecurityDescriptor-
// ToSecurityDescriptor: [MS-DTYP] 2.5.1.
func (d descriptor) sddl() string {
	var b strings.Builder
	for _, who := range []struct{ mark, sid string }{{"O:", d.owner}, {"G:", d.group}} {
		if who.sid != "" {
			b.WriteString(who.mark + who.sid)
		}
	}
	b.WriteString("D:")
	if d.protected {
		b.WriteString("P")
	}
	for _, e := range d.list {
		flags := ""
		if e.flags&aceInherit == aceInherit {
			flags = "OICI"
		}
		fmt.Fprintf(&b, "(A;%s;0x%x;;;%s)", flags, e.mask, e.sid)
	}
	return b.String()
}

// ErrPlanted is the error for a file or folder that stands where the product's is
// to be and that an ordinary user may have put there. In C:\ProgramData every user
// can make a folder, and what a program that runs as SYSTEM reads or writes in it
// is that user's to choose.
var ErrPlanted = fmt.Errorf("may have been put there by an ordinary user: %w", fs.ErrPermission)

// serviceSID is the identifier of the virtual account of a service, whether it is
// installed or not: its name in capitals, hashed, as RtlCreateServiceSid does it.
func serviceSID(service string) string {
	var name []byte
	for _, c := range []byte(strings.ToUpper(service)) { // ASCII: see isUnit and isAccount
		name = append(name, c, 0) // UTF-16, little endian
	}
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(sidServices, "-"))
	for _, word := range sha1(name) {
		// The words of the hash, which is big endian, are read as little endian.
		fmt.Fprintf(&b, "-%d", word<<24|word<<8&0xff0000|word>>8&0xff00|word>>24)
	}
	return b.String()
}
