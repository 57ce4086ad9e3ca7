package payload

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs f without the rights of root.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		const nobody = 65534
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Setfsuid(0); err != nil {
				t.Fatal(err)
			}
		}()
	}
	f()
}

// openTemp is a folder that others may look into, unlike t.TempDir.
func openTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "vpkg-test-*") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestUnreadable(t *testing.T) {
	dir := openTemp(t)
	file, folder := filepath.Join(dir, "secret"), filepath.Join(dir, "folder")
	if err := os.WriteFile(file, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		_, err := ReadDir(t.Context(), dir, 1)
		if want := file + ": permission denied"; err == nil || err.Error() != want {
			t.Errorf("unreadable file: got error %v, want %q", err, want)
		}
	})
	if err := os.Mkdir(folder, 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		_, err := ReadDir(t.Context(), dir, 1)
		if want := folder + ": permission denied"; err == nil || err.Error() != want {
			t.Errorf("unreadable folder: got error %v, want %q", err, want)
		}
	})
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		_, err := OpenStore(filepath.Join(dir, "store"), 0)
		if err == nil || !strings.HasPrefix(err.Error(), "opening frame store "+dir) || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("unwritable store: got error %v", err)
		}
	})
}

// TestFullDisk has a store on a disk of 2 MB.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a disk needs root")
	}
	dir := t.TempDir()
	child := childCommand(t, "fast", dir)
	cmd := exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs -o size=2m tmpfs "$1" || exit 77; "$0" "$1"; s=$?; ls "$1"/v*/tmp; exit $s`, child.Path, dir)
	cmd.Env = child.Env
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 77 {
		t.Skipf("cannot mount a disk: %v\n%s", err, out)
	}
	if err == nil || !strings.Contains(string(out), "frame store: write ") || !strings.Contains(string(out), "no space left on device") {
		t.Errorf("got %v, want an error of the frame store that says what is missing\n%s", err, out)
	}
	if lines := strings.Split(strings.TrimSpace(string(out)), "\n"); len(lines) > 1 {
		t.Errorf("left in tmp/: %q", lines[1:])
	}
}
