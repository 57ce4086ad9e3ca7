package hooks

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// asService among the arguments makes the test program be a service that does
// nothing until it is stopped.
const asService = "-vpkg-test-service"

func TestMain(m *testing.M) {
	if i := slices.Index(os.Args, asService); i >= 0 {
		if err := svc.Run(os.Args[i+1], idle{}); err != nil {
			panic(err)
		}
		return
	}
	m.Run() // whose result is the program's
}

type idle struct{}

func (idle) Execute(_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status) (specific bool, code uint32) {
	changes <- svc.Status{State: svc.StartPending}
	changes <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop}
	for r := range requests {
		switch r.Cmd {
		case svc.Interrogate:
			changes <- r.CurrentStatus
		case svc.Stop:
			changes <- svc.Status{State: svc.StopPending}
			return false, 0
		}
	}
	return false, 0
}

// Real services, of which one needs the other.
func TestWindowsServices(t *testing.T) {
	m, err := mgr.Connect()
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		t.Skipf("not an administrator: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Disconnect() }) //nolint:errcheck // there is nothing to lose
	h := Host{}
	systemctl := func(want string, argv ...string) {
		t.Helper()
		out, err := h.Run(t.Context(), append([]string{"systemctl"}, argv...)...)
		got := strings.TrimSpace(out)
		if err != nil {
			got = strings.TrimSpace(got + " " + err.Error())
		}
		if got != want {
			t.Errorf("systemctl %s: %q, want %q", strings.Join(argv, " "), got, want)
		}
	}
	systemctl("not-found exit status 4", "is-enabled", "vpkgTestBase.service")
	for _, s := range []struct {
		name  string
		start uint32
		needs []string
	}{
		{"vpkgTestBaseSvc", mgr.StartManual, nil},
		{"vpkgTestTopSvc", mgr.StartManual, []string{"vpkgTestBaseSvc"}},
		{"vpkgTestOffSvc", mgr.StartDisabled, nil},
	} {
		s2, err := m.CreateService(s.name, os.Args[0], mgr.Config{StartType: s.start, Dependencies: s.needs}, asService, s.name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			s2.Control(svc.Stop) //nolint:errcheck // it may have stopped
			if err := s2.Delete(); err != nil {
				t.Error(err)
			}
			s2.Close()
		})
	}
	const base, top, off = "vpkgTestBase.service", "vpkgTestTop.service", "vpkgTestOff.service"
	systemctl("disabled exit status 1", "is-enabled", base)
	systemctl("", "enable", base)
	systemctl("enabled", "is-enabled", base)
	systemctl("", "disable", base)
	systemctl("disabled exit status 1", "is-enabled", base)
	systemctl("masked exit status 1", "is-enabled", off)
	systemctl("exit status 1: Unit "+off+" is masked.", "start", off)

	systemctl("inactive exit status 3", "is-active", base)
	systemctl("", "start", base)
	systemctl("active", "is-active", base)
	before := process(t, m, "vpkgTestBaseSvc")
	systemctl("", "restart", base)
	if after := process(t, m, "vpkgTestBaseSvc"); after == before || after == 0 {
		t.Errorf("the process of %s was %d and is %d", base, before, after)
	}
	systemctl("", "stop", base)
	systemctl("", "stop", base)
	systemctl("inactive exit status 3", "is-active", base)

	if isWine() {
		t.Skip("Wine 8 neither starts what a service needs nor knows what needs it")
	}
	systemctl("", "start", top) // and what it needs
	systemctl("active\nactive", "is-active", base, top)
	before = process(t, m, "vpkgTestTopSvc")
	systemctl("", "restart", base)
	systemctl("active\nactive", "is-active", base, top)
	if after := process(t, m, "vpkgTestTopSvc"); after == before || after == 0 {
		t.Errorf("the process of %s was %d and is %d", top, before, after)
	}
	systemctl("", "stop", base)
	systemctl("inactive\ninactive exit status 3", "is-active", base, top)
}

func process(t *testing.T, m *mgr.Mgr, name string) uint32 {
	t.Helper()
	s, err := m.OpenService(name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	status, err := s.Query()
	if err != nil {
		t.Fatal(err)
	}
	return status.ProcessId
}
