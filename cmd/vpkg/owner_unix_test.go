//go:build !windows

package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
)

// What root writes in the place of somebody's file stays that somebody's.
func TestWriteFileOwner(t *testing.T) {
	if os.Getuid() != 0 {
		oracle.Skip(t, "only root gives files away")
	}
	name := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(name, 12, 13); err != nil {
		t.Fatal(err)
	}
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, "new")
		return err
	}
	if err := writeFile(t.Context(), name, 0o600, write); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if st.Uid != 12 || st.Gid != 13 || info.Mode() != 0o600 || info.Size() != 3 {
		t.Errorf("%d:%d with mode %v has %d bytes, want 12:13 with -rw------- and 3", st.Uid, st.Gid, info.Mode(), info.Size())
	}
}
