package extract

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOwnersSet gives a file and a link to numbers that have no names.
func TestOwnersSet(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	dir := t.TempDir()
	f, l := fileAt("/f", ""), linkTo("/l", "f")
	f.Owner, f.Group, l.Owner, l.Group = "54321", "54322", "54323", "54324"
	f.Mode |= os.ModeSetuid
	if _, err := To(dir, each(f, l), Options{Owners: true, Preserve: true}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][3]uint32{"f": {54321, 54322, 0o104644}, "l": {54323, 54324, 0o120777}} {
		var st syscall.Stat_t
		if err := syscall.Lstat(filepath.Join(dir, name), &st); err != nil {
			t.Fatal(err)
		}
		if got := [3]uint32{st.Uid, st.Gid, st.Mode}; got != want {
			t.Errorf("%s has owner, group and mode %o, want %o", name, got, want)
		}
	}
}
