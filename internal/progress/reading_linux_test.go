package progress

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReading(t *testing.T) {
	master, terminal := pty(t)
	r, p := Reading(terminal, "extracting", strings.NewReader("0123456789"), 10)
	if b, err := io.ReadAll(io.NewSectionReader(r, 0, 8)); err != nil || string(b) != "01234567" {
		t.Fatalf("read %q (%v)", b, err)
	}
	if got := p.bar.State().CurrentNum; got != 8 {
		t.Errorf("the bar is at %d, want 8", got)
	}
	if _, err := io.ReadAll(io.NewSectionReader(r, 0, 10)); err != nil { // more than there is
		t.Fatal(err)
	}
	p.Close()
	seen := make([]byte, 1<<16)
	if err := master.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := master.Read(seen)
	if err != nil || !strings.Contains(string(seen[:n]), "extracting") {
		t.Errorf("the terminal shows %q (%v)", seen[:n], err)
	}
}

func TestReadingWithoutTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := strings.NewReader("0123456789")
	r, p := Reading(f, "extracting", in, 10)
	p.Close()
	if r != io.ReaderAt(in) {
		t.Error("the reader is wrapped")
	}
	if b, err := os.ReadFile(f.Name()); err != nil || len(b) > 0 {
		t.Errorf("the log is %q (%v)", b, err)
	}
}
