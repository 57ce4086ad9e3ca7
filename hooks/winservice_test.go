package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

// services is a service control manager in memory, whose services need as many
// looks as they have delay to get from one state to another.
type services struct {
	all   map[string]*fakeService
	calls []string
	slept time.Duration
}

type fakeService struct {
	service
	delay  int
	target uint32 // state to which it is on its way
	looks  int
	dies   bool     // instead of running
	hangs  bool     // in a pending state
	busy   int      // so often the manager is, when it is to be started
	needs  []string // which run when it does
}

func (f *services) Service(name string) (service, error) {
	s, ok := f.all[name]
	if name == "lockedSvc" {
		return service{}, errors.New("access is denied")
	}
	if !ok {
		return service{}, fmt.Errorf("service %q: %w", name, fs.ErrNotExist)
	}
	if s.target != 0 && !s.hangs {
		if s.looks++; s.looks > s.delay {
			s.state, s.target, s.looks = s.target, 0, 0
		}
	}
	out := s.service
	for other, o := range f.all {
		if slices.Contains(o.needs, name) && o.state != stopped {
			out.dependents = append(out.dependents, other)
		}
	}
	slices.Sort(out.dependents)
	return out, nil
}

func (f *services) Start(name string) error {
	f.calls = append(f.calls, "start "+name)
	s := f.all[name]
	if s.busy--; s.busy >= 0 {
		return fmt.Errorf("%w: error 1055", errBusy)
	}
	if s.state != stopped {
		return fmt.Errorf("start of a service in state %d", s.state)
	}
	s.state, s.target = startPending, running
	if s.dies {
		s.target, s.exit = stopped, 1066
	}
	return nil
}

func (f *services) Stop(name string) error {
	f.calls = append(f.calls, "stop "+name)
	s := f.all[name]
	for other, o := range f.all {
		if slices.Contains(o.needs, name) && o.state != stopped {
			return errors.New(other + " runs and needs it") // ERROR_DEPENDENT_SERVICES_RUNNING
		}
	}
	if s.state != running {
		return fmt.Errorf("stop of a service in state %d", s.state) // ERROR_SERVICE_CANNOT_ACCEPT_CTRL
	}
	s.state, s.target = stopPending, stopped
	return nil
}

func (f *services) SetStart(name string, automatic bool) error {
	f.calls = append(f.calls, fmt.Sprintf("automatic %s %t", name, automatic))
	f.all[name].start = 3
	if automatic {
		f.all[name].start = startsAuto
	}
	return nil
}

func (f *services) pause(ctx context.Context, d time.Duration) error {
	f.slept += d
	return ctx.Err()
}

func newServices() *services {
	return &services{all: map[string]*fakeService{
		"runsSvc":     {service: service{state: running, start: startsAuto}, delay: 3},
		"standsSvc":   {service: service{state: stopped, start: 3}, delay: 3},
		"newSvc":      {service: service{state: stopped, start: startsAuto, exit: neverStarted}},
		"failedSvc":   {service: service{state: stopped, start: startsAuto, exit: 1066}},
		"pausedSvc":   {service: service{state: 7, start: startsAuto}},
		"disabledSvc": {service: service{state: stopped, start: startsDisabled}},
		"offSvc":      {service: service{state: running, start: startsDisabled}},
		"diesSvc":     {service: service{state: stopped, start: startsAuto}, dies: true, delay: 2},
		"busySvc":     {service: service{state: stopped, start: startsAuto}, busy: 2},
		"lostSvc":     {service: service{state: stopped, start: startsAuto}, busy: 1e6},
		"hangsSvc":    {service: service{state: stopped, start: startsAuto}, hangs: true},
		"startsSvc":   {service: service{state: startPending, start: startsAuto}, target: running, delay: 2},
		"stopsSvc":    {service: service{state: stopPending, start: startsAuto}, target: stopped, delay: 2},
		"baseSvc":     {service: service{state: running, start: startsAuto}, delay: 1},
		"midSvc":      {service: service{state: running, start: startsAuto}, delay: 1, needs: []string{"baseSvc"}},
		"topSvc":      {service: service{state: running, start: startsAuto}, delay: 1, needs: []string{"midSvc"}},
		"idleSvc":     {service: service{state: stopped, start: startsAuto}, needs: []string{"baseSvc"}},
	}}
}

func TestSystemctl(t *testing.T) {
	for _, tc := range []struct {
		args   string
		out    string
		status int
		text   string // of the error
		calls  string
	}{
		{args: "daemon-reload"},
		{args: "is-active runs.service", out: "active\n"},
		{args: "is-active stands.service", out: "inactive\n", status: 3},
		{args: "is-active new.service", out: "inactive\n", status: 3},
		{args: "is-active failed.service", out: "failed\n", status: 3},
		{args: "is-active paused.service", out: "active\n"},
		{args: "is-active starts.service", out: "activating\n", status: 3},
		{args: "is-active stops.service", out: "deactivating\n", status: 3},
		{args: "is-active none.service", out: "inactive\n", status: 4},
		{args: "is-active runs.service locked.service", status: 1, text: "access is denied"},
		{args: "start locked.service", status: 1, text: "start lockedSvc: access is denied"},
		{args: "is-active stands.service runs.service", out: "inactive\nactive\n"},
		{args: "is-enabled runs.service", out: "enabled\n"},
		{args: "is-enabled stands.service", out: "disabled\n", status: 1},
		{args: "is-enabled disabled.service", out: "masked\n", status: 1},
		{args: "is-enabled none.service", out: "not-found\n", status: 4},
		{args: "is-enabled runs.timer", out: "not-found\n", status: 4},
		{args: "is-enabled runsSvc", out: "enabled\n"},

		{args: "start stands.service", calls: "start standsSvc"},
		{args: "start runs.service"},
		{args: "start paused.service"},
		{args: "start starts.service"},
		{args: "start stops.service", calls: "start stopsSvc"},
		{args: "start none.service", status: 5, text: "Unit none.service not found."},
		{args: "start disabled.service", status: 1, text: "Unit disabled.service is masked."},
		{args: "start dies.service", status: 1, text: "start diesSvc: the service ended with status 1066 instead of running", calls: "start diesSvc"},
		{args: "start hangs.service", status: 1, text: "start hangsSvc: still activating after 1m0s", calls: "start hangsSvc"},
		{args: "start busy.service", calls: "start busySvc, start busySvc, start busySvc"},
		{args: "start none.service stands.service", status: 5, text: "Unit none.service not found.", calls: "start standsSvc"},

		{args: "stop runs.service", calls: "stop runsSvc"},
		{args: "stop stands.service"},
		{args: "stop starts.service", calls: "stop startsSvc"},
		{args: "stop stops.service"},
		{args: "stop off.service", calls: "stop offSvc"},
		{args: "stop base.service", calls: "stop topSvc, stop midSvc, stop baseSvc"},
		{args: "stop none.service", status: 5, text: "Unit none.service not found."},

		{args: "restart runs.service", calls: "stop runsSvc, start runsSvc"},
		{args: "restart stands.service", calls: "start standsSvc"},
		{args: "restart base.service", calls: "stop topSvc, stop midSvc, stop baseSvc, start baseSvc, start midSvc, start topSvc"},

		{args: "enable stands.service", calls: "automatic standsSvc true"},
		{args: "enable disabled.service", status: 1, text: "Unit disabled.service is masked."},
		{args: "disable runs.service", calls: "automatic runsSvc false"},
		{args: "disable disabled.service"},
		{args: "enable none.service", status: 1, text: "Unit file none.service does not exist."},

		{args: "--root / enable runs.service", status: 1, text: "unrecognized option '--root'"},
		{args: "isolate runs.service", status: 1, text: "Unknown command verb isolate."},
		{args: "", status: 1, text: "Too few arguments."},
	} {
		f := newServices()
		out, err := control{f, f.pause}.systemctl(t.Context(), strings.Fields(tc.args))
		e, _ := errors.AsType[*ExitError](err)
		if e == nil {
			e = &ExitError{}
		}
		if out != tc.out || e.Status != tc.status || e.Text != tc.text || (err == nil) != (tc.status == 0) {
			t.Errorf("systemctl %s gives %q, %v, want %q, status %d: %s", tc.args, out, err, tc.out, tc.status, tc.text)
		}
		if calls := strings.Join(f.calls, ", "); calls != tc.calls {
			t.Errorf("systemctl %s calls %q, want %q", tc.args, calls, tc.calls)
		}
		if f.slept > serviceLimit {
			t.Errorf("systemctl %s waits %v", tc.args, f.slept)
		}
	}
}

func TestStartWhileManagerIsBusy(t *testing.T) {
	f := newServices()
	_, err := control{f, f.pause}.systemctl(t.Context(), []string{"start", "lost.service"})
	if err == nil || !strings.Contains(err.Error(), errBusy.Error()) || f.slept != serviceLimit {
		t.Errorf("after %v: %v", f.slept, err)
	}
}

// What a service was stopped for is started again although the service hangs.
func TestRestartStartsDependentsAgain(t *testing.T) {
	f := newServices()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (control{f, f.pause}).systemctl(ctx, []string{"start", "stands.service"}); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("a start under a cancelled context gives %v", err)
	}
	f = newServices()
	f.all["baseSvc"].hangs = true
	_, err := control{f, f.pause}.systemctl(t.Context(), []string{"restart", "base.service"})
	if err == nil {
		t.Error("the restart of a service that does not stop is no error")
	}
	for _, name := range []string{"midSvc", "topSvc"} {
		if s, _ := f.Service(name); s.state != running {
			t.Errorf("%s is left in state %d: %v", name, s.state, err)
		}
	}
}

func TestGetent(t *testing.T) {
	lookup := func(name string) (string, error) {
		switch name {
		case "bob":
			return "S-1-5-21-1-2-3-1001", nil
		case "broken":
			return "", errors.New("the server is not there")
		}
		return "", fmt.Errorf("account %q: %w", name, fs.ErrNotExist)
	}
	svc := serviceSID("venAgentMgrSvc")
	for _, tc := range []struct {
		args   string
		out    string
		status int
	}{
		{"passwd root", "root:x:0:0:S-1-5-18::\n", 0},
		{"passwd localservice", "localservice:x:19:19:S-1-5-19::\n", 0},
		{"passwd venAgentMgrSvc", fmt.Sprintf("venAgentMgrSvc:x:%d:%d:%s::\n", number(svc), number(svc), svc), 0},
		{"group venAgentMgrSvc", fmt.Sprintf("venAgentMgrSvc:x:%d:\n", number(svc)), 0},
		{"passwd bob", "bob:x:1001:1001:S-1-5-21-1-2-3-1001::\n", 0},
		{"passwd alice", "", 2},
		{"passwd broken", "", 1},
		{"hosts bob", "", 1},
		{"passwd", "", 1},
	} {
		out, err := getent(strings.Fields(tc.args), lookup)
		e, _ := errors.AsType[*ExitError](err)
		if e == nil {
			e = &ExitError{}
		}
		if out != tc.out || e.Status != tc.status {
			t.Errorf("getent %s gives %q, %v, want %q, status %d", tc.args, out, err, tc.out, tc.status)
		}
	}
}
