package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// A Kind says what a step makes so.
type Kind string

// The kinds of steps.
const (
	Known   Kind = "known"   // the user Name exists, whoever made it; otherwise the step fails
	Group   Kind = "group"   // the group Name exists
	User    Kind = "user"    // the user of Account exists
	Dir     Kind = "folder"  // the folder Path exists, with Mode, Owner and Group
	File    Kind = "file"    // the file Path holds Text
	Purged  Kind = "purged"  // the folder Path is gone with all that was in it
	Owners  Kind = "owners"  // files of the record Path that fell to root are their owners'
	Synced  Kind = "synced"  // what was written below Path is on disk
	Reload  Kind = "reload"  // systemd has read its units again
	Enabled Kind = "enabled" // the units start at boot
	Active  Kind = "active"  // the units run
	Restart Kind = "restart" // those of the units that run are started anew
	Command Kind = "command" // the program Argv has run and ended with 0
	Sysctl  Kind = "sysctl"  // the kernel's setting Name is Text
	Service Kind = "service" // the service Name of another package is what Text says, "enabled", "active" or both
	Rules   Kind = "rules"   // the packet filter is the product's; a Ledger's alone
)

// A Step is one thing that a hook makes so, or with Absent makes not so. It is a
// value: what undoes a step is a step as well, and stands in the journal.
type Step struct {
	Kind   Kind `json:"kind"`
	Absent bool `json:"absent,omitempty"` // Group, User, Dir (if empty), File, Enabled, Active, Service, Rules

	Name    string   `json:"name,omitempty"`
	Account *Account `json:"account,omitempty"`
	Made    string   `json:"made,omitempty"` // Group, User: the file that lists what was made

	Path  string `json:"path,omitempty"`
	Mode  Mode   `json:"mode,omitempty"`
	Owner string `json:"owner,omitempty"` // name or number; empty means root
	Group string `json:"group,omitempty"`
	AsIs  bool   `json:"as_is,omitempty"` // Dir: one that is there is left as it is
	Text  string `json:"text,omitempty"`

	// Only is for File and Sysctl: whoever it belongs to has changed it, and it is
	// left as it is, unless it is one of these now.
	Only []string `json:"only,omitempty"`

	Units []string `json:"units,omitempty"` // Command: it runs only if none of them is masked
	Argv  []string `json:"argv,omitempty"`

	// Optional and Tell are for Command: its failure is a warning; what it says, a
	// line each, is for who called.
	Optional bool `json:"optional,omitempty"`
	Tell     bool `json:"tell,omitempty"`
}

// live reports whether the step runs programs of the product, which call the
// hook again.
func (s Step) live() bool { return s.Kind == Active || s.Kind == Restart || s.Kind == Command }

// check refuses a step that lacks what its kind needs: a journal may be damaged.
func (s Step) check() error {
	var ok bool
	switch s.Kind {
	case Known, Sysctl, Service, Rules:
		ok = s.Name != ""
	case Group:
		ok = s.Name != "" && s.Made != ""
	case User:
		ok = s.Account != nil && s.Account.User != "" && s.Made != ""
	case Dir, File, Purged, Owners, Synced:
		ok = strings.HasPrefix(s.Path, "/")
	case Enabled, Active, Restart:
		ok = len(s.Units) > 0
	case Command:
		ok = len(s.Argv) > 0
	default: // Reload, and what only a later version knows
		ok = true
	}
	if !ok {
		return fmt.Errorf("step %q does not say what", s.Kind)
	}
	for _, p := range []string{s.Path, s.Made} {
		if p != "" && p[0] != '/' {
			return fmt.Errorf("step %q: path %q is not absolute", s.Kind, p)
		}
	}
	return nil
}

// String says what the step makes so: "user ilo-ven", "no active a.service".
func (s Step) String() string {
	words := []string{string(s.Kind)}
	if s.Absent {
		words = []string{"no", string(s.Kind)}
	}
	if s.Account != nil {
		words = append(words, s.Account.User)
	}
	for _, w := range []string{s.Name, s.Path} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(append(append(words, s.Units...), s.Argv...), " ")
}

// A host is a System with what every step needs.
type host struct {
	System
	exec func(argv ...string) (string, error) // System's Run
	log  Logger
	ids  map[string]int // of accounts, by database and name, that were looked up
}

func newHost(ctx context.Context, sys System, log Logger) *host {
	exec := func(argv ...string) (string, error) { return sys.Run(ctx, argv...) }
	return &host{System: sys, exec: exec, log: log, ids: map[string]int{}}
}

// look finds out whether the step has anything to do, and what would undo it:
// the step that makes it so again as it is now. A kind without anything to undo
// gives the zero Step. The step to be done can be a part of s.
func (h *host) look(s Step) (do, undo Step, need bool, err error) {
	undo = s
	undo.Absent = !s.Absent
	switch s.Kind {
	case Known:
		_, ok, err := h.lookup("passwd", s.Name)
		if err == nil && !ok {
			err = fmt.Errorf("there is no user %q on this host, which is chosen for the services", s.Name)
		}
		return s, Step{}, false, err
	case Group:
		_, ok, err := h.lookup("group", s.Name)
		return s, undo, ok == s.Absent, err
	case User:
		_, ok, err := h.lookup("passwd", s.Account.User)
		return s, undo, ok == s.Absent, err
	case Dir:
		undo, need, err = h.lookDir(s)
		return s, undo, need, err
	case File:
		undo, need, err = h.lookFile(s)
		return s, undo, need, err
	case Purged:
		_, err := h.Stat(s.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return s, Step{}, false, nil
		}
		return s, Step{}, true, err
	case Owners:
		wrong, err := h.fallenToRoot(s.Path)
		return s, Step{}, len(wrong) > 0, err
	case Enabled, Active, Restart:
		s, undo = h.lookUnits(s)
		return s, undo, len(s.Units) > 0, nil
	case Sysctl:
		undo, need, err = h.lookSysctl(s)
		return s, undo, need, err
	case Service:
		undo, need, err = h.lookService(s)
		return s, undo, need, err
	case Command:
		return s, Step{}, len(s.Units) == 0 || len(h.unmasked(s.Units)) == len(s.Units), nil
	default: // Synced, Reload
		return s, Step{}, true, nil
	}
}

// act makes it so. The caller has looked.
func (h *host) act(s Step) error {
	switch s.Kind {
	case Group:
		return h.setGroup(s)
	case User:
		return h.setUser(s)
	case Dir:
		return h.setDir(s)
	case File:
		if s.Absent {
			return h.Remove(s.Path)
		}
		return h.WriteFile(s.Path, []byte(s.Text), fs.FileMode(s.Mode))
	case Purged:
		return h.RemoveAll(s.Path)
	case Owners:
		return h.giveBack(s.Path)
	case Synced:
		return h.Sync(s.Path)
	case Reload:
		return h.systemctl("daemon-reload")
	case Enabled:
		if s.Absent {
			return h.systemctl("disable", s.Units...)
		}
		return h.systemctl("enable", s.Units...)
	case Active:
		if s.Absent {
			return h.systemctl("stop", s.Units...)
		}
		return h.systemctl("start", s.Units...)
	case Restart:
		return h.systemctl("restart", s.Units...)
	case Command:
		out, err := h.exec(s.Argv...)
		if s.Tell {
			for line := range strings.Lines(out) {
				h.log.Warn(strings.TrimSpace(line))
			}
		}
		if err != nil && s.Optional {
			h.log.Warn(path.Base(s.Argv[0]) + ": " + err.Error())
			return nil
		}
		return err
	case Sysctl:
		return h.setSysctl(s)
	case Service:
		return h.setService(s)
	}
	return fmt.Errorf("step %q: %w", s.Kind, ErrUnknown)
}
