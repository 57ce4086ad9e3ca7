//go:build unix

package payload

import (
	"io/fs"
	"syscall"
)

// An inode is what the names of a hard-linked file have in common.
type inode struct{ dev, ino uint64 }

// inodeOf reports whether a file has several names, and what they have in common.
func inodeOf(fi fs.FileInfo) (inode, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink < 2 {
		return inode{}, false
	}
	return inode{uint64(st.Dev), uint64(st.Ino)}, true //nolint:unconvert // types differ between systems
}
