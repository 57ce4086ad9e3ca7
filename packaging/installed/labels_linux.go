package installed

import (
	"strings"

	"golang.org/x/sys/unix"
)

// labelOf gives the SELinux context of a file or a link itself; "" if it has none.
func labelOf(path string) string {
	var b [256]byte
	n, err := unix.Lgetxattr(path, "security.selinux", b[:])
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(b[:n]), "\x00")
}
