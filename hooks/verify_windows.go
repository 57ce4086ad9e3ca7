package hooks

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// ServiceCommand is what a service runs, as a command line, and as which account.
func ServiceCommand(name string) (command, account string, err error) {
	s, done, err := scm{}.open(serviceName(name), windows.SERVICE_QUERY_CONFIG)
	if err != nil {
		return "", "", err
	}
	defer done()
	err = configuration(s.Handle, func(c *windows.QUERY_SERVICE_CONFIG) {
		command, account = windows.UTF16PtrToString(c.BinaryPathName), windows.UTF16PtrToString(c.ServiceStartName)
	})
	if err != nil {
		return "", "", fmt.Errorf("asking for the configuration of %s: %w", name, err)
	}
	return command, account, nil
}
