// Command look does on Windows what a test of package wine cannot do from outside,
// and writes what it found as JSON:
//
//	look run COMMAND LINE     runs a program: its exit code, as Windows has it
//	look services NAME...     what services are doing
//	look values KEY           the values of a key below HKEY_LOCAL_MACHINE
//	look keys KEY             the names of the keys in it
//	look configure NAME WHAT  makes a service something else, by start=NUMBER,
//	                          command=LINE and account=NAME: nothing is found
//	look stay                 true, and then nothing until it is ended
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "look: %v\n", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(args []string) error {
	if slices.Equal(args, []string{"stay"}) {
		fmt.Fprintln(os.Stdout, true)
		for {
			time.Sleep(time.Hour)
		}
	}
	if len(args) < 2 {
		return errors.New("want what to look at, and its name")
	}
	var (
		found any
		err   error
	)
	switch args[0] {
	case "run":
		found, err = command(args[1])
	case "services":
		found, err = services(args[1:])
	case "values":
		found, err = values(args[1])
	case "keys":
		found, err = keys(args[1])
	case "configure":
		err = configure(args[1], args[2:])
	default:
		return fmt.Errorf("%q: want run, services, values, keys or configure", args[0])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

// command runs a command line as it is: msiexec does not take quotes where Go
// would put them.
func command(line string) (code int, err error) {
	name, _, _ := strings.Cut(line, " ")
	cmd := exec.Command(name) //nolint:gosec // the program that was asked for
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: line}
	err = cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		err = nil
	}
	return cmd.ProcessState.ExitCode(), err
}

// A service is one of the service control manager's.
type service struct {
	State   string // "running", …; empty if there is no such service
	Process uint32
}

func services(names []string) (map[string]service, error) {
	m, err := mgr.Connect()
	if err != nil {
		return nil, fmt.Errorf("opening the service control manager: %w", err)
	}
	defer m.Disconnect() //nolint:errcheck // only asked
	found := make(map[string]service)
	for _, name := range names {
		s, err := ask(m, name)
		if err != nil && !errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
		found[name] = s
	}
	return found, nil
}

func ask(m *mgr.Mgr, name string) (service, error) {
	s, err := m.OpenService(name)
	if err != nil {
		return service{}, err
	}
	defer s.Close()
	status, err := s.Query()
	states := map[svc.State]string{svc.Stopped: "stopped", svc.StartPending: "starting", svc.StopPending: "stopping", svc.Running: "running"}
	return service{states[status.State], status.ProcessId}, err
}

// configure changes what it is told of a service, and nothing else.
func configure(name string, what []string) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("opening the service control manager: %w", err)
	}
	defer m.Disconnect() //nolint:errcheck // as below
	s, err := m.OpenService(name)
	if err != nil {
		return err
	}
	defer s.Close()
	start := uint32(windows.SERVICE_NO_CHANGE)
	var command, account *uint16
	for _, w := range what {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "start":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return err
			}
			start = uint32(n)
		case "command":
			command, err = windows.UTF16PtrFromString(value)
		case "account":
			account, err = windows.UTF16PtrFromString(value)
		default:
			err = fmt.Errorf("%q: want start, command or account", w)
		}
		if err != nil {
			return err
		}
	}
	const same = windows.SERVICE_NO_CHANGE
	return windows.ChangeServiceConfig(s.Handle, same, start, same, command, nil, nil, nil, account, nil, nil)
}

// values gives the values of a key, numbers in decimal; nil if there is no such
// key.
func values(key string) (map[string]string, error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, key, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer k.Close()
	names, err := k.ReadValueNames(0)
	if err != nil {
		return nil, err
	}
	found := make(map[string]string)
	for _, name := range names {
		if found[name], err = text(k, name); err != nil {
			return nil, fmt.Errorf("%s: value %s: %w", key, name, err)
		}
	}
	return found, nil
}

func text(k registry.Key, name string) (string, error) {
	_, kind, err := k.GetValue(name, nil)
	if err != nil {
		return "", err
	}
	switch kind {
	case registry.SZ, registry.EXPAND_SZ:
		s, _, err := k.GetStringValue(name)
		return s, err
	case registry.MULTI_SZ:
		s, _, err := k.GetStringsValue(name)
		return strings.Join(s, "\n"), err
	case registry.DWORD, registry.QWORD:
		n, _, err := k.GetIntegerValue(name)
		return fmt.Sprint(n), err
	}
	return "", nil
}

func keys(key string) ([]string, error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, key, registry.ENUMERATE_SUB_KEYS|registry.WOW64_64KEY)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer k.Close()
	return k.ReadSubKeyNames(0)
}
