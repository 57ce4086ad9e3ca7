package progress

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpkg/vpkg/packaging"
)

type text string

func (s text) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(s))), nil }

func layout() packaging.Layout {
	return packaging.Layout{{Path: "/a", Size: 5, Body: text("hello")}, {Path: "/b", Size: 3, Body: text("you")}}
}

func TestPlainLines(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := New(f, 8)
	l := layout()
	p.Task("a.rpm", l).Done()
	p.Close()
	if _, wrapped := l[0].Body.(body); wrapped {
		t.Error("without a bar the bodies are wrapped")
	}
	b, err := os.ReadFile(f.Name())
	if err != nil || string(b) != "built a.rpm\n" {
		t.Errorf("the log is %q (%v)", b, err)
	}
}

func TestBarOnATerminal(t *testing.T) {
	master, terminal := pty(t)
	p := New(terminal, 8)
	l := layout()
	task := p.Task("a.rpm", l)
	r, err := l[0].Body.Open()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "hello" {
		t.Fatalf("the body is %q (%v)", b, err)
	}
	r.Close()
	if got := task.left.Load(); got != 3 {
		t.Errorf("%d bytes are left after 5 of 8, want 3", got)
	}
	time.Sleep(100 * time.Millisecond) // more often than that the bar is not drawn
	task.Done()
	if got := task.left.Load(); got != 0 {
		t.Errorf("%d bytes are left at the end", got)
	}
	p.Close()
	seen := make([]byte, 1<<16)
	if err := master.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := master.Read(seen)
	if err != nil || !strings.Contains(string(seen[:n]), "building") {
		t.Errorf("the terminal shows %q (%v)", seen[:n], err)
	}
}

func TestNilReportsNothing(_ *testing.T) {
	var p *Progress
	p.Task("a.rpm", layout()).Done()
	p.Close()
}

// pty opens a pseudo-terminal.
func pty(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}
