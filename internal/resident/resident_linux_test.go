package resident

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
)

// TestMeter measures from a process in which 300 MB are resident.
func TestMeter(t *testing.T) {
	const size = 300 << 20
	own := bytes.Repeat([]byte{1}, size)
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil || u.Maxrss<<10 < size {
		t.Fatalf("%d KiB are resident, want %d bytes: %v", u.Maxrss, size, err)
	}
	m := NewMeter(t)
	for _, tt := range []struct {
		name        string
		least, most int64 // bytes
		args        []string
	}{
		{"small", 1, 30e6, []string{"true"}},
		{"large", 100 << 20, 130e6, []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var errs bytes.Buffer
			got, err := m.Run(t.Context(), nil, &errs, tt.args[0], tt.args[1:]...)
			if err != nil {
				t.Fatalf("%v\n%s", err, &errs)
			}
			if got < tt.least || got > tt.most {
				t.Errorf("got %d bytes, want %d to %d", got, tt.least, tt.most)
			}
		})
	}
	if own[size-1] != 1 {
		t.Error("the test's own memory was not kept")
	}

	var out, errs bytes.Buffer
	got, err := m.Run(t.Context(), &out, &errs, "sh", "-c", "echo out; echo errors >&2; exit 3")
	if err == nil || err.Error() != "exit status 3" || out.String() != "out\n" || errs.String() != "errors\n" || got == 0 {
		t.Errorf("got %d bytes, %v, %q, %q; want what the program wrote and exit status 3", got, err, &out, &errs)
	}
	if _, err := m.Run(t.Context(), nil, &errs, "/nonexistent"); err == nil || !strings.Contains(errs.String(), "no such file") {
		t.Errorf("a program that is not there: got %v, %q", err, &errs)
	}
}
