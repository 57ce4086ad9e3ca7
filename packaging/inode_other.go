//go:build !unix

package packaging

import "io/fs"

// An Inode is what the names of a hard-linked file have in common.
type Inode struct{}

// InodeOf would find hard links: without inodes each is a file of its own.
func InodeOf(fs.FileInfo) (Inode, bool) { return Inode{}, false }
