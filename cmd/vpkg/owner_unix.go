//go:build !windows

package main

import (
	"os"
	"syscall"
)

// keepOwner gives f the owner and the group of a file, if it may.
func keepOwner(f *os.File, of os.FileInfo) {
	if st, ok := of.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(st.Uid), int(st.Gid)) // only root gives files away
	}
}
