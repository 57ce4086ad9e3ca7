package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// The steps of hooks speak systemd's language. This file is the interpreter: what
// systemctl(1) and getent(1) would answer, said by the service control manager of
// Windows. It runs wherever Go does, so that it is tested there too.
//
//	systemd                     Windows
//	enabled                     start type automatic, also delayed
//	disabled                    start type manual: anybody who may can start it
//	masked                      start type disabled: nobody can
//	active                      running or paused
//	start of what it requires   done by the service control manager
//	stop of what requires it    done here first, for it refuses otherwise
//	daemon-reload               nothing: it reads nothing

// Values of winsvc.h.
const (
	stopped        = 1 // SERVICE_STOPPED
	startPending   = 2
	stopPending    = 3
	running        = 4
	startsAtBoot   = 0 // SERVICE_BOOT_START: a driver
	startsSystem   = 1 // SERVICE_SYSTEM_START: a driver
	startsAuto     = 2 // SERVICE_AUTO_START
	startsDisabled = 4 // SERVICE_DISABLED
)

// A service is what the service control manager says about one.
type service struct {
	state uint32
	exit  uint32 // status of its last end, a Windows error code; 0 is a good one
	start uint32 // type

	// dependents are the services that need it and are not stopped, in the order in
	// which they have to be.
	dependents []string
}

// A serviceManager is the service control manager.
type serviceManager interface {
	// Service tells about a service. One that is not there is an error that wraps
	// fs.ErrNotExist.
	Service(name string) (service, error)
	// Start has a service started, which is not waited for. That it runs already is
	// no error. While another program holds the manager's database, as at boot, it is
	// errBusy.
	Start(name string) error
	// Stop is the same for stopping.
	Stop(name string) error
	// SetStart sets the start type to automatic or to manual.
	SetStart(name string, automatic bool) error
}

var errBusy = errors.New("the service database is locked")

// A control answers as systemctl.
type control struct {
	serviceManager
	pause func(context.Context, time.Duration) error // time.Sleep, until the context is done
}

// How long a service may take to start or stop. Windows Installer gives it 30
// seconds; one that is slower is not to make the hook fail where that did not.
const serviceLimit = 60 * time.Second

const poll = 100 * time.Millisecond // between two looks

// serviceName is the Windows service that a unit stands for: venAgentMgr.service is
// venAgentMgrSvc, and what has no kind is a service's name already. A unit of
// another kind has none.
func serviceName(unit string) string {
	name, ok := strings.CutSuffix(unit, ".service")
	switch {
	case !ok && strings.Contains(unit, "."):
		return ""
	case !ok:
		return unit
	}
	return strings.TrimSuffix(name, "Svc") + "Svc"
}

// systemctl does VERB UNIT... and returns what systemctl would write to its
// standard output, with its status.
func (c control) systemctl(ctx context.Context, args []string) (string, error) {
	if len(args) == 0 {
		return "", &ExitError{Status: 1, Text: "Too few arguments."}
	}
	verb, units := args[0], args[1:]
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			return "", &ExitError{Status: 1, Text: "unrecognized option '" + a + "'"}
		}
	}
	switch verb {
	case "daemon-reload":
		return "", nil
	case "is-active", "is-enabled":
		return c.ask(verb, units)
	case "start", "stop", "restart", "enable", "disable":
	default:
		return "", &ExitError{Status: 1, Text: "Unknown command verb " + verb + "."}
	}
	var errs []error
	for _, u := range units {
		if err := c.change(ctx, verb, u); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		return "", nil
	}
	first, _ := errors.AsType[*ExitError](errs[0]) // which change gives always
	return "", &ExitError{Status: first.Status, Text: errText(errs)}
}

func errText(errs []error) string {
	var texts []string
	for _, err := range errs {
		if e, ok := errors.AsType[*ExitError](err); ok {
			texts = append(texts, e.Text)
		}
	}
	return strings.Join(texts, "; ")
}

// ask answers a question about each unit. The status is that of one unit that is
// so, if there is one.
func (c control) ask(verb string, units []string) (string, error) {
	var b strings.Builder
	status := -1
	for _, u := range units {
		answer, code, err := c.answer(verb, u)
		if err != nil {
			return "", &ExitError{Status: 1, Text: err.Error()}
		}
		b.WriteString(answer + "\n")
		if status != 0 {
			status = code
		}
	}
	if status == 0 {
		return b.String(), nil
	}
	return b.String(), &ExitError{Status: status}
}

func (c control) answer(verb, unit string) (text string, status int, err error) {
	s, err := c.Service(serviceName(unit))
	switch {
	case errors.Is(err, fs.ErrNotExist) && verb == "is-active":
		return "inactive", 4, nil
	case errors.Is(err, fs.ErrNotExist):
		return "not-found", 4, nil
	case err != nil:
		return "", 0, err
	case verb == "is-active":
		text, status = activity(s)
		return text, status, nil
	}
	switch s.start {
	case startsDisabled:
		return "masked", 1, nil
	case startsAuto, startsAtBoot, startsSystem:
		return "enabled", 0, nil
	}
	return "disabled", 1, nil
}

func activity(s service) (text string, status int) {
	switch s.state {
	case stopped:
		if s.exit != 0 && s.exit != neverStarted {
			return "failed", 3
		}
		return "inactive", 3
	case startPending:
		return "activating", 3
	case stopPending:
		return "deactivating", 3
	}
	return "active", 0
}

const neverStarted = 1077 // ERROR_SERVICE_NEVER_STARTED

// change does to one unit what a verb says. Its errors are ExitErrors.
func (c control) change(ctx context.Context, verb, unit string) error {
	name := serviceName(unit)
	s, err := c.Service(name)
	if errors.Is(err, fs.ErrNotExist) {
		if verb == "enable" || verb == "disable" {
			return &ExitError{Status: 1, Text: "Unit file " + unit + " does not exist."}
		}
		return &ExitError{Status: 5, Text: "Unit " + unit + " not found."}
	}
	if err == nil && s.start == startsDisabled && verb != "stop" && verb != "disable" {
		return &ExitError{Status: 1, Text: "Unit " + unit + " is masked."} // also enable must not take that away
	}
	if err == nil {
		switch verb {
		case "enable":
			err = c.SetStart(name, true)
		case "disable":
			if s.start != startsDisabled { // which is more than is asked for
				err = c.SetStart(name, false)
			}
		case "start":
			err = c.started(ctx, name)
		case "stop":
			_, err = c.halted(ctx, name)
		case "restart":
			err = c.restarted(ctx, name)
		}
	}
	if err != nil {
		return &ExitError{Status: 1, Text: fmt.Sprintf("%s %s: %v", verb, name, err)}
	}
	return nil
}

// started makes the service run.
func (c control) started(ctx context.Context, name string) error {
	s, err := c.until(ctx, name, func(s service) bool { return s.state != stopPending })
	if err != nil || s.state != stopped && s.state != startPending {
		return err
	}
	if s.state == stopped {
		if err := c.begin(ctx, name); err != nil {
			return err
		}
	}
	s, err = c.until(ctx, name, func(s service) bool { return s.state != startPending && s.state != stopPending })
	if err == nil && s.state == stopped {
		err = fmt.Errorf("the service ended with status %d instead of running", s.exit)
	}
	return err
}

// begin is Start, again and again while the manager is busy.
func (c control) begin(ctx context.Context, name string) error {
	for waited := time.Duration(0); ; waited += poll {
		err := c.Start(name)
		if !errors.Is(err, errBusy) || waited >= serviceLimit {
			return err
		}
		if err := c.pause(ctx, poll); err != nil {
			return err
		}
	}
}

// halted stops the service, after those that need it, and returns which it
// stopped, in order.
func (c control) halted(ctx context.Context, name string) (names []string, err error) {
	// A service that is starting takes no order.
	s, err := c.until(ctx, name, func(s service) bool { return s.state != startPending })
	if err != nil || s.state == stopped {
		return nil, err
	}
	for _, d := range s.dependents {
		more, err := c.halted(ctx, d)
		names = append(names, more...)
		if err != nil {
			return names, fmt.Errorf("stopping %s, which needs it: %w", d, err)
		}
	}
	if s.state != stopPending {
		if err := c.Stop(name); err != nil {
			return names, err
		}
	}
	_, err = c.until(ctx, name, func(s service) bool { return s.state == stopped })
	return append(names, name), err
}

// restarted starts the service anew, and what had to be stopped for it. What was
// stopped is started again even if something did not stop.
func (c control) restarted(ctx context.Context, name string) error {
	names, err := c.halted(ctx, name)
	errs := []error{err}
	if !slices.Contains(names, name) {
		names = append(names, name)
	}
	for _, n := range slices.Backward(names) {
		errs = append(errs, c.started(ctx, n))
	}
	return errors.Join(errs...)
}

// until waits until what the service is satisfies ok.
func (c control) until(ctx context.Context, name string, ok func(service) bool) (service, error) {
	for waited := time.Duration(0); ; waited += poll {
		s, err := c.Service(name)
		if err != nil || ok(s) {
			return s, err
		}
		if waited >= serviceLimit {
			text, _ := activity(s)
			return s, fmt.Errorf("still %s after %v", text, serviceLimit)
		}
		if err := c.pause(ctx, poll); err != nil {
			return s, err
		}
	}
}

// accountSID finds the account that a configuration names: one of Windows itself,
// the virtual account of a service, which is named as the service and need not be
// there yet, or one that lookup knows.
func accountSID(name string, lookup func(string) (string, error)) (string, error) {
	for known, sid := range map[string]string{
		"root": sidSystem, "SYSTEM": sidSystem, "LocalSystem": sidSystem, "Administrators": sidAdministrators,
		"LocalService": sidLocalService, "NetworkService": sidNetworkService,
	} {
		if strings.EqualFold(name, known) {
			return sid, nil
		}
	}
	if strings.HasSuffix(name, "Svc") {
		return serviceSID(name), nil
	}
	return lookup(name)
}

// getent answers as getent(1) for the databases passwd and group.
func getent(args []string, lookup func(string) (string, error)) (string, error) {
	if len(args) != 2 || args[0] != "passwd" && args[0] != "group" {
		return "", &ExitError{Status: 1, Text: fmt.Sprintf("getent %q is not known here", args)}
	}
	sid, err := accountSID(args[1], lookup)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &ExitError{Status: 2}
	}
	if err != nil {
		return "", &ExitError{Status: 1, Text: err.Error()}
	}
	n := number(sid)
	if args[0] == "group" {
		return fmt.Sprintf("%s:x:%d:\n", args[1], n), nil
	}
	return fmt.Sprintf("%s:x:%d:%d:%s::\n", args[1], n, n, sid), nil
}
