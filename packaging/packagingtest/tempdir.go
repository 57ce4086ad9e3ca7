package packagingtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// TempDir is t.TempDir, but in Wine 8 os.RemoveAll always fails, and there the test
// with it.
func TempDir(t testing.TB) string {
	t.Helper()
	if runtime.GOOS != "windows" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("", "vpkg") //nolint:usetesting // as said
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var all []string
		filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error { //nolint:errcheck // what is left is in a folder for such
			all = append(all, p)
			return err
		})
		for _, p := range slices.Backward(all) {
			os.Remove(p)
		}
	})
	return dir
}
