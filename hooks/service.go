package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"strings"
)

// takenOver is a drop-in that is there while a service of the host is stopped or
// started on the product's behalf. Its name makes it the last one: the others'
// settings come first, whatever folder they are in (systemd.unit(5)).
const takenOver = "zzz-vpkg-takeover.conf"

// What stops a firewall's service flushes its rules: the ExecStop of iptables,
// nftables and ufw, and firewalld when it is asked to end. Without the one, and
// ended by a signal that it cannot catch, they stay in force.
const stopQuietly = `[Service]
ExecStop=
ExecStopPost=
KillSignal=SIGKILL
SuccessExitStatus=SIGKILL
`

// The start of a service that loads rules and ends would load them again, over
// those that have just been given back.
const startQuietly = `[Service]
ExecCondition=
ExecStartPre=
ExecStart=
ExecStart=/bin/true
ExecStartPost=
`

// A serviceState is how a service stands.
type serviceState struct{ Enabled, Active, Masked, Missing bool }

func (s serviceState) String() string {
	var words []string
	if s.Enabled {
		words = append(words, "enabled")
	}
	if s.Active {
		words = append(words, "active")
	}
	return strings.Join(words, " ")
}

func (h *host) serviceState(name string) serviceState {
	out, err := h.exec("systemctl", "is-enabled", name) // its status says the same as its answer
	if errors.Is(err, exec.ErrNotFound) {
		return serviceState{Missing: true}
	}
	var s serviceState
	switch strings.TrimSpace(out) {
	case "enabled", "enabled-runtime":
		s.Enabled = true
	case "masked", "masked-runtime":
		s.Masked = true
	case "", "not-found": // an older systemd says so on its standard error
		s.Missing = true
	}
	if _, err := h.Stat(systemdUnits); err != nil {
		return s // systemd does not run
	}
	out, _ = h.exec("systemctl", "is-active", name) // as above
	switch strings.TrimSpace(out) {
	case "active", "activating", "reloading":
		s.Active, s.Missing = true, false
	}
	return s
}

// lookService looks at a service of another package. With Absent it is to be
// stopped and disabled; else the one that we stopped is to be as Text says, and
// what somebody else did with it since stays.
func (h *host) lookService(s Step) (undo Step, need bool, err error) {
	is := h.serviceState(s.Name)
	_, err = h.Stat(path.Dir(dropIn(s.Name)))
	left := err == nil // by an earlier call that broke off, or by somebody else's drop-in
	if s.Absent {
		return Step{Kind: Service, Name: s.Name, Text: is.String()}, left || is.Enabled || is.Active, nil
	}
	switch want := s.want(); {
	case want == (serviceState{}):
		return Step{}, left, nil
	case is.Missing:
		return Step{}, false, errors.New("there is no such service any more")
	case is.Masked:
		return Step{}, false, errors.New("somebody has masked it since")
	default:
		return Step{}, left || want.Enabled && !is.Enabled || want.Active && !is.Active, nil
	}
}

func (s Step) want() serviceState {
	return serviceState{Enabled: strings.Contains(s.Text, "enabled"), Active: strings.Contains(s.Text, "active")}
}

// setService stops or starts a service without its own effect on the rules.
func (h *host) setService(s Step) error {
	is, want := h.serviceState(s.Name), s.want()
	var err error
	switch {
	case s.Absent && is.Active:
		err = h.quietly(s.Name, stopQuietly, "stop")
	case !s.Absent && want.Active && !is.Active && h.loadsRules(s.Name):
		err = h.quietly(s.Name, startQuietly, "start")
	case !s.Absent && want.Active && !is.Active:
		err = h.systemctl("start", s.Name)
	}
	switch {
	case err != nil:
	case s.Absent && is.Enabled:
		err = h.systemctl("disable", s.Name)
	case !s.Absent && want.Enabled && !is.Enabled:
		err = h.systemctl("enable", s.Name)
	}
	return errors.Join(err, h.removeDropIn(s.Name))
}

// loadsRules reports whether the service loads its rules and ends, as all but
// firewalld do, which has to run in earnest.
func (h *host) loadsRules(name string) bool {
	out, err := h.exec("systemctl", "show", "--property=Type", name)
	return err == nil && strings.TrimSpace(out) == "Type=oneshot"
}

// quietly has systemctl do something to a service under a drop-in.
func (h *host) quietly(name, text, verb string) error {
	if err := h.WriteFile(dropIn(name), []byte(text), 0o644); err != nil {
		return fmt.Errorf("%s %s without changing the rules: %w", verb, name, err)
	}
	if err := h.systemctl("daemon-reload"); err != nil {
		return err
	}
	return h.systemctl(verb, name)
}

// systemdUnits are those that a reboot forgets; the folder is there where systemd
// runs (sd_booted(3)).
const systemdUnits = "/run/systemd/system"

func dropIn(service string) string { return systemdUnits + "/" + service + ".d/" + takenOver }

// removeDropIn ends what quietly began. The folder goes last, for as long as it is
// there systemd may not have read its units again.
func (h *host) removeDropIn(service string) error {
	file := dropIn(service)
	if _, err := h.Stat(path.Dir(file)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := h.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := h.systemctl("daemon-reload"); err != nil {
		return err
	}
	if err := h.Remove(path.Dir(file)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// ServiceState says how a service of the host stands: "enabled", "active", both,
// "masked", or nothing.
func ServiceState(ctx context.Context, sys System, name string) string {
	s := newHost(ctx, sys, nil).serviceState(name)
	if s.Masked {
		return "masked"
	}
	return s.String()
}
