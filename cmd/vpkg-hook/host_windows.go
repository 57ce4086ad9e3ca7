package main

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"

	"github.com/vpkg/vpkg/hooks"
)

// hostFor is this host. Where program and data are, the arguments say, which are
// properties of Windows Installer: INSTALLFOLDER=… and DATAFOLDER=….
func hostFor(c hooks.Config, args []string) hooks.Host {
	return hooks.FindHost(c, folder(args, "INSTALLFOLDER"), folder(args, "DATAFOLDER"))
}

// property finds a property among the arguments; one that is not set is empty.
func property(args []string, name string) string {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, name+"="); ok && value != "" {
			return value
		}
	}
	return ""
}

// folder finds a folder among the arguments. Windows Installer's end in a
// backslash, before which a quotation mark would not end the argument: packages
// put a dot there.
func folder(args []string, name string) string {
	value := property(args, name)
	if value == "" || value == "." {
		return ""
	}
	return filepath.Clean(value)
}

// openPrivate opens a log for appending that ordinary users cannot read. Where it
// cannot be written, one of its name in %TEMP% has to do.
func openPrivate(host hooks.Host, file string) (*os.File, error) {
	f, err := host.OpenLog(file)
	if err == nil {
		return f, nil
	}
	if f, terr := host.OpenLog(filepath.Join(os.TempDir(), filepath.Base(file))); terr == nil {
		return f, nil
	}
	return nil, err
}

// embeddedConfig is the configuration that is in this program as a resource, of the
// type RCDATA and with the number 1, or nil. A custom action's program has it there:
// Windows Installer unpacks the program alone.
func embeddedConfig() []byte {
	found, err := windows.FindResource(0, windows.ResourceID(1), windows.RT_RCDATA)
	if err != nil {
		return nil
	}
	b, err := windows.LoadResourceData(0, found)
	if err != nil {
		return nil
	}
	return b
}
