package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// scm is the service control manager of this host. Each call asks for the rights
// that it needs and no others, so that an ordinary account can ask questions.
type scm struct{}

// open opens a service, and a connection for it.
func (scm) open(name string, access uint32) (s *mgr.Service, done func(), err error) {
	h, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the service control manager: %w", err)
	}
	m := &mgr.Mgr{Handle: h}
	text, err := windows.UTF16PtrFromString(name)
	if err == nil {
		if h, err = windows.OpenService(m.Handle, text, access); err == nil {
			s := &mgr.Service{Name: name, Handle: h}
			return s, func() {
				s.Close()
				m.Disconnect() //nolint:errcheck // as with s, there is nothing to lose
			}, nil
		}
	}
	m.Disconnect() //nolint:errcheck // err says what went wrong already
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) || errors.Is(err, windows.ERROR_INVALID_NAME) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return nil, nil, fmt.Errorf("service %q: %w", name, err)
}

// Service tells about a service.
func (m scm) Service(name string) (service, error) {
	s, done, err := m.open(name, windows.SERVICE_QUERY_STATUS|windows.SERVICE_QUERY_CONFIG|windows.SERVICE_ENUMERATE_DEPENDENTS)
	if err != nil {
		return service{}, err
	}
	defer done()
	status, err := s.Query()
	if err != nil {
		return service{}, fmt.Errorf("asking for the state of %s: %w", name, err)
	}
	start, err := startType(s.Handle)
	if err != nil {
		return service{}, fmt.Errorf("asking for the configuration of %s: %w", name, err)
	}
	// EnumDependentServices gives them in the reverse order of starting.
	dependents, err := s.ListDependentServices(svc.Active)
	if err != nil {
		return service{}, fmt.Errorf("asking which services need %s: %w", name, err)
	}
	return service{state: uint32(status.State), exit: status.Win32ExitCode, start: start, dependents: dependents}, nil
}

// startType is when a service is started.
func startType(s windows.Handle) (uint32, error) {
	var start uint32
	err := configuration(s, func(c *windows.QUERY_SERVICE_CONFIG) { start = c.StartType })
	return start, err
}

// configuration asks for less than Config of package mgr, whose other questions Wine
// 8 does not answer.
func configuration(s windows.Handle, use func(*windows.QUERY_SERVICE_CONFIG)) error {
	size := uint32(1024) // bytes; the texts are behind the struct
	for {
		buf := make([]uint64, (size+7)/8)                             // aligned as the struct is
		c := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buf[0])) //nolint:gosec // as the call wants it
		err := windows.QueryServiceConfig(s, c, size, &size)
		if err == nil {
			use(c)
			return nil
		}
		if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) || size <= uint32(len(buf)*8) {
			return err
		}
	}
}

// Start has a service started.
func (m scm) Start(name string) error {
	s, done, err := m.open(name, windows.SERVICE_START)
	if err != nil {
		return err
	}
	defer done()
	switch err := s.Start(); {
	case errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING):
		return nil
	case errors.Is(err, windows.ERROR_SERVICE_DATABASE_LOCKED):
		return fmt.Errorf("%w: %w", errBusy, err)
	default:
		return err
	}
}

// Stop has a service stopped. A process that is the service's alone has ended when
// it returns: Windows Installer could not replace its program before that, and
// would ask for a restart of the machine.
func (m scm) Stop(name string) error {
	s, done, err := m.open(name, windows.SERVICE_STOP|windows.SERVICE_QUERY_STATUS)
	if err != nil {
		return err
	}
	defer done()
	process, err := ownProcess(s.Handle)
	if err != nil {
		return err
	}
	if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		closeHandle(process)
		return err
	}
	if process == 0 {
		return nil
	}
	defer closeHandle(process)
	event, err := windows.WaitForSingleObject(process, uint32(serviceLimit/time.Millisecond))
	if err == nil && event == uint32(windows.WAIT_TIMEOUT) {
		err = fmt.Errorf("its process still runs after %v", serviceLimit)
	}
	return err
}

// ownProcess opens the process of a service to wait for it, unless there is none
// or other services run in it.
func ownProcess(s windows.Handle) (windows.Handle, error) {
	var st windows.SERVICE_STATUS_PROCESS
	size := uint32(unsafe.Sizeof(st))
	err := windows.QueryServiceStatusEx(s, windows.SC_STATUS_PROCESS_INFO, (*byte)(unsafe.Pointer(&st)), size, &size) //nolint:gosec // as the call wants it
	if err != nil {
		return 0, err
	}
	if st.ServiceType&windows.SERVICE_WIN32_OWN_PROCESS == 0 || st.ProcessId == 0 {
		return 0, nil
	}
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, st.ProcessId)
	if err != nil {
		return 0, nil //nolint:nilerr // it ended just now, or we may not wait for it: its state has to do
	}
	return h, nil
}

// SetStart sets the start type and nothing else.
func (m scm) SetStart(name string, automatic bool) error {
	s, done, err := m.open(name, windows.SERVICE_CHANGE_CONFIG)
	if err != nil {
		return err
	}
	defer done()
	start := uint32(windows.SERVICE_DEMAND_START)
	if automatic {
		start = windows.SERVICE_AUTO_START
	}
	const same = windows.SERVICE_NO_CHANGE
	return windows.ChangeServiceConfig(s.Handle, same, start, same, nil, nil, nil, nil, nil, nil, nil)
}

func closeHandle(h windows.Handle) {
	if h != 0 {
		windows.CloseHandle(h) //nolint:errcheck // nothing was written to it
	}
}
