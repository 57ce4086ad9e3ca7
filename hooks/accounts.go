package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// lookup finds a line of the databases passwd and group.
func (h *host) lookup(database, name string) (fields []string, ok bool, err error) {
	line, err := h.exec("getent", database, name)
	if e, isExit := errors.AsType[*ExitError](err); isExit && e.Status == 2 { // getent(1): not found
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("looking up %q in %s: %w", name, database, err)
	}
	fields = strings.Split(strings.TrimSpace(line), ":")
	if len(fields) < 3 {
		return nil, false, fmt.Errorf("looking up %q in %s: %q is not a line of it", name, database, line)
	}
	return fields, true, nil
}

// id is the number of an account; a number is its own, and empty is root.
func (h *host) id(database, name string) (int, error) {
	if name == "" || name == "root" {
		return 0, nil
	}
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	key := database + " " + name
	if n, ok := h.ids[key]; ok {
		return n, nil
	}
	fields, ok, err := h.lookup(database, name)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("%q is not in %s", name, database)
	}
	n, err := strconv.Atoi(fields[2])
	if err == nil {
		h.ids[key] = n
	}
	return n, err
}

func (h *host) setGroup(s Step) error {
	clear(h.ids)
	if s.Absent {
		return errors.Join(h.ignore(6, "groupdel", s.Name), h.setMade(s.Made, "group "+s.Name, false))
	}
	if err := h.setMade(s.Made, "group "+s.Name, true); err != nil {
		return err
	}
	return h.withSystemNumber([]string{"groupadd"}, s.Name)
}

func (h *host) setUser(s Step) error {
	clear(h.ids)
	a := s.Account
	if s.Absent {
		return errors.Join(h.ignore(6, "userdel", a.User), h.setMade(s.Made, "user "+a.User, false))
	}
	if err := h.setMade(s.Made, "user "+a.User, true); err != nil {
		return err
	}
	home, shell := a.Home, a.Shell
	if home == "" {
		home = "/"
	}
	if shell == "" {
		shell = "/sbin/nologin"
		if _, err := h.Stat("/usr/sbin/nologin"); err == nil {
			shell = "/usr/sbin/nologin"
		}
	}
	return h.withSystemNumber([]string{"useradd"}, "-M", "-g", a.GroupName(), "-d", home, "-s", shell, "-c", a.Comment, a.User)
}

// withSystemNumber makes an account with -r. Where all system numbers are taken,
// an ordinary one serves as well.
func (h *host) withSystemNumber(program []string, args ...string) error {
	_, err := h.exec(append(append(program, "-r"), args...)...)
	if e, ok := errors.AsType[*ExitError](err); ok && e.Status == 4 { // no unique number
		h.log.Warn("all numbers for system accounts are taken: using an ordinary one", "name", args[len(args)-1])
		_, err = h.exec(append(program, args...)...)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", program[0], err)
	}
	return nil
}

// ignore runs a program that may end with the status, for what is not there.
func (h *host) ignore(status int, argv ...string) error {
	_, err := h.exec(argv...)
	if e, ok := errors.AsType[*ExitError](err); ok && e.Status == status {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}

// setMade adds a line to the list of what the package made, or takes it away.
func (h *host) setMade(file, line string, there bool) error {
	lines, err := readLines(h, file)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, l := range lines {
		if l != line {
			b.WriteString(l + "\n")
		}
	}
	if there {
		b.WriteString(line + "\n")
	}
	if b.Len() == 0 {
		if err := h.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return h.WriteFile(file, []byte(b.String()), 0o644)
}
