package platform

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// The kernel's settings about the size of the connection table.
const (
	conntrackMax   = "net.netfilter.nf_conntrack_max"
	conntrackCount = "net.netfilter.nf_conntrack_count"
	conntrackHash  = "/sys/module/nf_conntrack/parameters/hashsize"
)

// Settings are what the administrator's file says, /etc/default/illumio-agent.
type Settings struct {
	ConntrackMax  int  // CONNTRACK_MAX: connections; 0 leaves the kernel's
	ConntrackHash int  // CONNTRACK_HASH_SIZE: buckets; 0 leaves the kernel's
	AutoResize    bool // FW_STATE_TABLE_AUTO_RESIZE: a table that fills up is doubled
}

// readSettings reads the file, which must be root's or the account's and closed
// to others: who can write it decides what the kernel keeps in memory. A file
// that is not there is no error.
func readSettings(sys hooks.System, file string, account int) (Settings, error) {
	a, err := sys.Stat(file)
	if err != nil {
		if isMissing(err) {
			return Settings{}, nil
		}
		return Settings{}, err
	}
	switch {
	case a.Mode&fs.ModeType != 0:
		return Settings{}, fmt.Errorf("%s is refused: it is not a regular file", file)
	case a.UID != 0 && a.UID != account:
		return Settings{}, fmt.Errorf("%s is refused: it belongs to user %d, want root or the product's account", file, a.UID)
	case a.Mode.Perm()&0o027 != 0:
		return Settings{}, fmt.Errorf("%s is refused: its mode is %04o, want it closed to others and not writable for its group (chmod 0640)", file, a.Mode.Perm())
	}
	b, err := sys.ReadFile(file)
	if err != nil {
		return Settings{}, err
	}
	s, err := parseSettings(string(b))
	if err != nil {
		return Settings{}, fmt.Errorf("%s:%w", file, err)
	}
	return s, nil
}

// parseSettings reads KEY=VALUE lines without spaces; a # begins a comment. Keys
// that others use are passed over.
func parseSettings(text string) (Settings, error) {
	var s Settings
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		if line == "" || line[0] == '#' {
			continue
		}
		if !ok || strings.ContainsAny(line, " \t") {
			return Settings{}, fmt.Errorf("%d: %q: want KEY=VALUE without spaces", n, line)
		}
		value = strings.Trim(value, `"'`)
		var err error
		switch key {
		case "CONNTRACK_MAX":
			s.ConntrackMax, err = size(value)
		case "CONNTRACK_HASH_SIZE":
			s.ConntrackHash, err = size(value)
		case "FW_STATE_TABLE_AUTO_RESIZE":
			if s.AutoResize, err = strconv.ParseBool(value); err != nil {
				err = fmt.Errorf("%q: want True or False", value)
			}
		}
		if err != nil {
			return Settings{}, fmt.Errorf("%d: %s: %w", n, key, err)
		}
	}
	return s, nil
}

// size reads a number of entries; the kernel's own limit is that of an int.
func size(value string) (int, error) {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < 1024 {
		return 0, fmt.Errorf("%q: want a number from 1024 to 2147483647", value)
	}
	return int(n), nil
}

// steps are the settings as steps: the buckets first, for the kernel derives the
// other number from them.
func (s Settings) steps() []hooks.Step {
	var steps []hooks.Step
	if s.ConntrackHash != 0 {
		steps = append(steps, hooks.Step{Kind: hooks.Sysctl, Name: conntrackHash, Text: strconv.Itoa(s.ConntrackHash)})
	}
	if s.ConntrackMax != 0 {
		steps = append(steps, hooks.Step{Kind: hooks.Sysctl, Name: conntrackMax, Text: strconv.Itoa(s.ConntrackMax)})
	}
	return steps
}
