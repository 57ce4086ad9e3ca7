//go:build unix

package packagingtest

import "syscall"

func umask(mask int) int { return syscall.Umask(mask) }
