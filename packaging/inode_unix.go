//go:build unix

package packaging

import (
	"io/fs"
	"syscall"
)

// An Inode is what the names of a hard-linked file have in common.
type Inode struct{ dev, ino uint64 }

// InodeOf reports whether a file has several names, and what they have in common.
func InodeOf(fi fs.FileInfo) (Inode, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink < 2 {
		return Inode{}, false
	}
	return Inode{uint64(st.Dev), uint64(st.Ino)}, true //nolint:unconvert // types differ between systems
}
