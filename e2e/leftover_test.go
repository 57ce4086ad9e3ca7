//go:build linux

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestLeavesNothing compares the whole file system before the installation and
// after the removal or purge, as piuparts does: type, mode, owner and group of
// every path.
func TestLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		generation
		remove []string
		left   []string // what has to stay, beside what the package manager notes for itself
	}{
		{pick(t, "rpm 4.18"), []string{"rpm", "-e", product}, append(slices.Clone(removed), stateDir+"/made -rw-r--r-- root:root")},
		{pick(t, "rpm 4.20"), []string{"rpm", "-e", product}, removed}, // which makes the account itself
		{pick(t, "dpkg 1.20"), []string{"dpkg", "--purge", product}, nil},
		{pick(t, "dpkg 1.22"), []string{"dpkg", "--purge", product}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := c.box(t)
			file := c.bring(t, b, oldVersion)
			before := everything(t, b)
			c.install(t, b, file).OK(t)
			if slices.Equal(before, everything(t, b)) {
				t.Fatal("the installation cannot be seen in the file system")
			}
			b.Run(t, c.remove...).OK(t)
			after := everything(t, b)
			left := slices.Sorted(slices.Values(c.left))
			var more []string
			for _, line := range after {
				if _, found := slices.BinarySearch(before, line); !found {
					more = append(more, line)
				}
			}
			if !slices.Equal(more, left) {
				t.Errorf("it leaves\n%s\nwant\n%s", strings.Join(more, "\n"), strings.Join(left, "\n"))
			}
			for _, line := range before {
				if _, found := slices.BinarySearch(after, line); !found {
					t.Errorf("it takes away or changes %s", line)
				}
			}
		})
	}
}

// removed is what a removal leaves: the data, the log, and what a later
// installation has to know.
var removed = []string{
	data + " drwxr-x--- ilo-ven:ilo-ven",
	data + "/etc drwxr-x--- ilo-ven:ilo-ven",
	data + "/log drwxr-x--- ilo-ven:ilo-ven",
	data + "/tmp drwxr-x--- ilo-ven:ilo-ven",
	"/var/lib/vpkg drwxr-xr-x root:root",
	stateDir + " drwxr-xr-x root:root",
	stateDir + "/installed.json -rw-r--r-- root:root",
	stateDir + "/lock -rw------- root:root",
	stateDir + "/platform.lock -rw------- root:root",
	logFile + " -rw------- root:root",
}

// notes are the files in which package managers and the shadow tools keep track
// of what they do, such as /etc/passwd-.
var notes = regexp.MustCompile(`^/(etc/(passwd|group|shadow|gshadow|subuid|subgid)-|etc/\.pwd\.lock|` +
	`var/lib/(rpm|dpkg)/|var/log/(dpkg|lastlog|faillog|alternatives)|var/cache/|usr/lib/sysimage/)`)

// everything lists the box's files, sorted.
func everything(t testing.TB, b *testbed.Box) []string {
	t.Helper()
	out := b.Run(t, "find", "/", "-xdev", "-printf", `%p %M %u:%g\n`).OK(t)
	var lines []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); !notes.MatchString(line) {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}
