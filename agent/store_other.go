//go:build !unix

package agent

import (
	"io/fs"
	"os"
)

// tryLock does nothing: there is one process there, the service.
func tryLock(*os.File) (busy bool, err error) { return false, nil }

func owner(fs.FileInfo) int { return -1 }

func links(fs.FileInfo) uint64 { return 1 }
