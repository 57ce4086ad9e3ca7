// Package hookstest has a host in memory, for tests of what hooks do to one:
// what it ends up as, in which order, and what a crash in between leaves.
package hookstest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// A System is a host in memory. Its zero value is an empty root folder.
type System struct {
	Files  map[string]File // by path; "/" is always there
	Users  map[string]int  // numbers, by name
	Groups map[string]int
	Units  map[string]Unit // that systemd knows

	// Programs that are not installed.
	Missing map[string]bool

	// Start are programs that start units: by their path, the unit.
	Start map[string]string

	// Unpacked is the version of the payload on disk: what a unit runs that is
	// started now.
	Unpacked string

	// Calls are the effects that there were, in order.
	Calls []string

	// Before is called before an effect, After after it, with its place in Calls;
	// an error from Before is the effect's. A panic stands for the end of the
	// process.
	Before func(n int, call string) error
	After  func(n int, call string)

	locked map[string]bool
}

// A File is a file, folder or link.
type File struct {
	hooks.Attr
	Text string
}

// A Unit is what systemd knows about a unit.
type Unit struct {
	Enabled, Masked bool
	Type            string // oneshot; empty means a daemon
	Runs            string // version; empty means that it is stopped

	Fragment string // its file; empty means the one below /usr/lib/systemd/system
	DropIns  string // files, with spaces between them
	PID      int    // of its process
}

// Clone is a host of its own that is as s is now.
func (s *System) Clone() *System {
	c := *s
	c.Files, c.Users, c.Groups, c.Units = maps.Clone(s.Files), maps.Clone(s.Users), maps.Clone(s.Groups), maps.Clone(s.Units)
	c.Calls, c.locked = nil, nil
	return &c
}

// Dump shows the whole host, but for locks.
func (s *System) Dump() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		if f := s.Files[name]; path.Base(name) != "lock" {
			fmt.Fprintf(&b, "%v %d:%d %s %q\n", f.Mode, f.UID, f.GID, name, f.Text)
		}
	}
	for _, m := range []map[string]int{s.Users, s.Groups} {
		fmt.Fprintln(&b, slices.Sorted(maps.Keys(m)))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Units)) {
		fmt.Fprintf(&b, "%s %+v\n", name, s.Units[name])
	}
	return b.String()
}

// Reboot gives up all locks, as the end of a process does.
func (s *System) Reboot() { s.locked = nil }

// effect does something to the host.
func (s *System) effect(do func() error, format string, args ...any) error {
	n, call := len(s.Calls), fmt.Sprintf(format, args...)
	if s.Before != nil {
		if err := s.Before(n, call); err != nil {
			return err
		}
	}
	s.Calls = append(s.Calls, call)
	if err := do(); err != nil {
		return err
	}
	if s.After != nil {
		s.After(n, call)
	}
	return nil
}

// Run knows getent, shadow's programs, systemctl and the programs of Start.
func (s *System) Run(_ context.Context, argv ...string) (string, error) {
	if s.Missing[argv[0]] {
		return "", fmt.Errorf("%s: %w", argv[0], exec.ErrNotFound)
	}
	name := argv[len(argv)-1]
	switch argv[0] {
	case "getent":
		id, ok := s.accounts(argv[1])[name]
		if !ok {
			return "", &hooks.ExitError{Status: 2}
		}
		return fmt.Sprintf("%s:x:%d:\n", name, id), nil
	case "useradd", "groupadd", "userdel", "groupdel":
		return "", s.effect(func() error { return s.account(argv[0], name) }, "%s", strings.Join(argv, " "))
	case "systemctl":
		return s.systemctl(argv[1], argv[2:])
	}
	unit, ok := s.Start[argv[0]]
	if !ok {
		return "", fmt.Errorf("%s: %w", argv[0], exec.ErrNotFound)
	}
	return "", s.effect(func() error { return s.change("start", unit) }, "%s", strings.Join(argv, " "))
}

// Feed is Run: none of the programs reads anything.
func (s *System) Feed(ctx context.Context, _ string, argv ...string) (string, error) {
	return s.Run(ctx, argv...)
}

func (s *System) accounts(database string) map[string]int {
	if database == "passwd" {
		return s.Users
	}
	return s.Groups
}

func (s *System) account(program, name string) error {
	m := &s.Users
	if strings.HasPrefix(program, "group") {
		m = &s.Groups
	}
	_, there := (*m)[name]
	switch add := strings.HasSuffix(program, "add"); {
	case add && there:
		return &hooks.ExitError{Status: 9, Text: name + " already exists"}
	case !add && !there:
		return &hooks.ExitError{Status: 6, Text: name + " does not exist"}
	case !add:
		delete(*m, name)
	default:
		if *m == nil {
			*m = map[string]int{}
		}
		(*m)[name] = 900 + len(*m)
	}
	return nil
}

func (s *System) systemctl(verb string, units []string) (string, error) {
	switch verb {
	case "is-enabled":
		switch u, ok := s.Units[units[0]]; {
		case !ok:
			return "", &hooks.ExitError{Status: 1, Text: "Failed to get unit file state for " + units[0]}
		case u.Masked:
			return "masked\n", &hooks.ExitError{Status: 1}
		case u.Enabled:
			return "enabled\n", nil
		}
		return "disabled\n", &hooks.ExitError{Status: 1}
	case "show":
		return s.show(units), nil
	case "is-active":
		if s.Units[units[0]].Runs != "" {
			return "active\n", nil
		}
		return "inactive\n", &hooks.ExitError{Status: 3}
	}
	return "", s.effect(func() error {
		for _, u := range units {
			if err := s.change(verb, u); err != nil {
				return err
			}
		}
		return nil
	}, "systemctl %s", strings.Join(append([]string{verb}, units...), " "))
}

// show gives the properties of units that "--property=NAME,…" asks for.
func (s *System) show(args []string) string {
	list, _ := strings.CutPrefix(args[0], "--property=")
	var b strings.Builder
	for i, name := range args[1:] {
		u, ok := s.Units[name]
		is := map[string]string{
			"Id": name, "LoadState": "loaded", "ActiveState": "active", "Type": u.Type, "MainPID": strconv.Itoa(u.PID),
			"RemainAfterExit": "yes", "FragmentPath": u.Fragment, "DropInPaths": u.DropIns,
		}
		switch {
		case !ok:
			is["LoadState"] = "not-found"
		case u.Masked:
			is["LoadState"] = "masked"
		case u.Fragment == "":
			is["FragmentPath"] = "/usr/lib/systemd/system/" + name
		}
		if u.Runs == "" {
			is["ActiveState"] = "inactive"
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		for property := range strings.SplitSeq(list, ",") {
			if value, ok := is[property]; ok {
				fmt.Fprintf(&b, "%s=%s\n", property, value)
			}
		}
	}
	return b.String()
}

// change does to one unit what a verb of systemctl says.
func (s *System) change(verb, name string) error {
	u, ok := s.Units[name]
	if !ok && verb != "disable" { // which removes links only
		return &hooks.ExitError{Status: 5, Text: "Unit " + name + " not found."}
	}
	if u.Masked && verb != "stop" && verb != "disable" {
		return &hooks.ExitError{Status: 1, Text: "Unit " + name + " is masked."}
	}
	switch verb {
	case "enable", "disable":
		u.Enabled = verb == "enable"
	case "start", "stop", "restart":
		if len(s.locked) > 0 {
			return fmt.Errorf("%s of %s while %v is locked: the unit calls the hook again", verb, name, s.locked)
		}
		switch {
		case verb == "stop":
			u.Runs = ""
		case verb == "restart" || u.Runs == "":
			u.Runs = s.Unpacked
		}
	default:
		return &hooks.ExitError{Status: 1, Text: "Unknown command verb " + verb + "."}
	}
	if ok {
		s.Units[name] = u
	}
	return nil
}

// Stat looks at a file.
func (s *System) Stat(name string) (hooks.Attr, error) {
	if name == "/" || name == "/run/systemd/system" && !s.Missing["systemctl"] { // it runs
		return hooks.Attr{Mode: fs.ModeDir | 0o755}, nil
	}
	f, ok := s.Files[name]
	if !ok {
		return hooks.Attr{}, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return f.Attr, nil
}

// ReadFile reads a file.
func (s *System) ReadFile(name string) ([]byte, error) {
	a, err := s.Stat(name)
	if err == nil && !a.Mode.IsRegular() {
		err = &fs.PathError{Op: "read", Path: name, Err: errors.New("is not a file")}
	}
	return []byte(s.Files[name].Text), err
}

// WriteFile writes a file.
func (s *System) WriteFile(name string, b []byte, perm fs.FileMode) error {
	return s.effect(func() error {
		s.mkdirAll(path.Dir(name))
		s.Files[name] = File{hooks.Attr{Mode: perm}, string(b)}
		return nil
	}, "write %s", name)
}

// Set writes a file that is there.
func (s *System) Set(name, text string) error {
	if _, err := s.ReadFile(name); err != nil {
		return err
	}
	return s.effect(func() error {
		f := s.Files[name]
		f.Text = text + "\n" // as the kernel shows it
		s.Files[name] = f
		return nil
	}, "set %s %s", name, text)
}

func (s *System) mkdirAll(dir string) {
	if s.Files == nil {
		s.Files = map[string]File{}
	}
	for ; dir != "/"; dir = path.Dir(dir) {
		if _, ok := s.Files[dir]; !ok {
			s.Files[dir] = File{Attr: hooks.Attr{Mode: fs.ModeDir | 0o755}}
		}
	}
}

// SetAttr sets owner and mode.
func (s *System) SetAttr(name string, a hooks.Attr) error {
	return s.effect(func() error {
		f, ok := s.Files[name]
		switch _, err := s.Stat(path.Dir(name)); {
		case err != nil:
			return err
		case !ok && !a.Mode.IsDir():
			return &fs.PathError{Op: "chown", Path: name, Err: fs.ErrNotExist}
		case ok && f.Mode.Type() != a.Mode.Type():
			return &fs.PathError{Op: "chown", Path: name, Err: fs.ErrInvalid}
		case s.Files == nil:
			s.Files = map[string]File{}
		}
		f.Attr = a
		s.Files[name] = f
		return nil
	}, "chown %d:%d %04o %s", a.UID, a.GID, a.Mode.Perm(), name)
}

// Remove removes a file or an empty folder.
func (s *System) Remove(name string) error {
	if _, err := s.Stat(name); err != nil {
		return err
	}
	for other := range s.Files {
		if strings.HasPrefix(other, name+"/") {
			return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrExist}
		}
	}
	return s.effect(func() error {
		delete(s.Files, name)
		return nil
	}, "remove %s", name)
}

// RemoveAll removes a folder and what is in it.
func (s *System) RemoveAll(name string) error {
	return s.effect(func() error {
		maps.DeleteFunc(s.Files, func(other string, _ File) bool { return other == name || strings.HasPrefix(other, name+"/") })
		return nil
	}, "remove all of %s", name)
}

// Sync does nothing but stand in Calls.
func (s *System) Sync(name string) error {
	return s.effect(func() error { return nil }, "sync %s", name)
}

// Lock fails where a real lock would wait for ever.
func (s *System) Lock(name string) (unlock func(), err error) {
	if s.locked[name] {
		return nil, fmt.Errorf("%s is locked already", name)
	}
	if s.locked == nil {
		s.locked = map[string]bool{}
	}
	s.mkdirAll(path.Dir(name))
	s.Files[name] = File{Attr: hooks.Attr{Mode: 0o600}}
	s.locked[name] = true
	return func() { delete(s.locked, name) }, nil
}
