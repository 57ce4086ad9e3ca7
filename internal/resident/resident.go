// Package resident is for tests that bound the memory of a program.
//
// What wait(2) says of a program is not enough. Linux starts a program in the memory
// of the process that asked for it and remembers how much that was: a program of 5 MB
// that a test of 300 MB starts is reported with 300 MB. A small program stands between
// the two here.
package resident

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Meter runs programs. It is of the test that it was made for.
type Meter struct{ program string }

// NewMeter builds the program that stands between. Only Linux is measured.
func NewMeter(t testing.TB) *Meter {
	t.Helper()
	m := &Meter{filepath.Join(t.TempDir(), "measure")}
	// As a test's own binary it would be as large as the test, with the race detector.
	cmd := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", m.program, "github.com/vpkg/vpkg/internal/resident/measure")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the program that measures: %v\n%s", err, out)
	}
	return m
}

// Run runs a program to its end, as [exec.Cmd.Run] does, and returns the most memory
// that was resident in it, in bytes. That of the program that measures, some 5 MB, is
// the least.
func (m *Meter) Run(ctx context.Context, stdout, stderr io.Writer, program string, args ...string) (bytes int64, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, m.program, append([]string{program}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = stdout, stderr, []*os.File{w}
	err = cmd.Run()
	w.Close()
	said, readErr := io.ReadAll(r)
	if readErr != nil {
		return 0, readErr
	}
	kib, parseErr := strconv.ParseInt(strings.TrimSpace(string(said)), 10, 64)
	if parseErr != nil {
		return 0, fmt.Errorf("measuring %s: %w: said %q", program, err, said)
	}
	return kib << 10, err
}
