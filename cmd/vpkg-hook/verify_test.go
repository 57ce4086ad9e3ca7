package main

import (
	"os"
	"strings"
	"testing"
)

// TestVerify looks at a product that is not there, which changes nothing.
func TestVerify(t *testing.T) {
	h := newHost(t)
	if status, stdout, stderr := h.call(t, "verify --all"); status != 2 || stdout != "" || !strings.Contains(stderr, "vpkg-hook verify [--json]") {
		t.Errorf("with a wrong option: %d, %q, %q", status, stdout, stderr)
	}
	status, stdout, stderr := h.call(t, "verify")
	if os.Geteuid() != 0 {
		if status != 2 || !strings.Contains(stderr, "root") {
			t.Errorf("as another user than root: %d, %q, %q", status, stdout, stderr)
		}
		return
	}
	var rules []string
	for line := range strings.Lines(stdout) {
		rule, _, _ := strings.Cut(line, ":")
		rules = append(rules, rule)
	}
	if got := strings.Join(rules, " "); status != 1 || got != "record unfinished" || stderr != "" {
		t.Errorf("what is not installed: %d, %q, %q, want record and unfinished", status, stdout, stderr)
	}
	if calls := h.read("calls"); calls != "" {
		t.Errorf("it has called %q", calls)
	}
}
