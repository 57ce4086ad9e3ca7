package pe_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/vpkg/vpkg/internal/pe"
)

// TestWindowsOwnResource compares the test's own program's resource with a file,
// where it is asked to.
func TestWindowsOwnResource(t *testing.T) {
	name := os.Getenv("PE_TEST_RESOURCE")
	if name == "" {
		t.Skip("TestWindowsResource runs it")
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := windows.FindResource(0, windows.ResourceID(1), windows.RT_RCDATA)
	if err != nil {
		t.Fatal(err)
	}
	got, err := windows.LoadResourceData(0, info)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want other %d", len(got), len(want))
	}
}

// TestWindowsResource stamps this program and runs it: it finds its own data.
func TestWindowsResource(t *testing.T) {
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: Wine 8 cannot remove a program that has just run.
	dir, err := os.MkdirTemp("", "") //nolint:usetesting // as said
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	large := example
	large.Data = bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for i, res := range []pe.Resources{example, large} {
		name := filepath.Join(dir, fmt.Sprintf("stamped%d.exe", i))
		if err := os.WriteFile(name, stamp(t, b, res), 0o755); err != nil {
			t.Fatal(err)
		}
		want := filepath.Join(dir, "want")
		if err := os.WriteFile(want, res.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(name, "-test.run=^TestWindowsOwnResource$", "-test.v")
		cmd.Env = append(os.Environ(), "PE_TEST_RESOURCE="+want)
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Errorf("%v:\n%s", err, out)
		}
		// What Windows itself says of the version.
		var zero windows.Handle
		size, err := windows.GetFileVersionInfoSize(name, &zero)
		if err != nil {
			t.Fatal(err)
		}
		info := make([]byte, size)
		if err := windows.GetFileVersionInfo(name, 0, size, unsafe.Pointer(&info[0])); err != nil {
			t.Fatal(err)
		}
		var fixed *windows.VS_FIXEDFILEINFO
		var length uint32
		if err := windows.VerQueryValue(unsafe.Pointer(&info[0]), `\`, unsafe.Pointer(&fixed), &length); err != nil {
			t.Fatal(err)
		}
		if fixed.FileVersionMS != 24<<16|2 || fixed.FileVersionLS != 10<<16|65535 {
			t.Errorf("version %#x %#x", fixed.FileVersionMS, fixed.FileVersionLS)
		}
		var text *uint16
		if err := windows.VerQueryValue(unsafe.Pointer(&info[0]), `\StringFileInfo\040904b0\FileDescription`, unsafe.Pointer(&text), &length); err != nil {
			t.Fatal(err)
		}
		if got := windows.UTF16PtrToString(text); got != res.Description {
			t.Errorf("description %q, want %q", got, res.Description)
		}
	}
}
