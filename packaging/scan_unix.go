//go:build unix

package packaging

import (
	"io/fs"
	"strconv"
	"syscall"
)

// openFlags keep what has taken a file's place meanwhile from waiting for somebody,
// and from becoming the terminal of this process.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

// foldsNames says that names which differ in case alone are the same.
const foldsNames = false

// attributes sets owner and group.
func (s *Scan) attributes(e, want *Entry, fi fs.FileInfo) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	name := func(names func(uint32, string) string, number uint32, want string) string {
		switch {
		case names != nil:
			return names(number, want)
		case number == 0:
			return "root"
		}
		return strconv.FormatUint(uint64(number), 10)
	}
	e.Owner, e.Group = name(s.User, st.Uid, want.OwnerName()), name(s.Group, st.Gid, want.GroupName())
}
