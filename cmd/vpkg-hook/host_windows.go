package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/windows"

	"github.com/vpkg/vpkg/hooks"
)

// hostFor is this host. Where program and data are, the arguments say, which are
// properties of Windows Installer: INSTALLFOLDER=… and DATAFOLDER=…. Without them
// the program is where the hook is, and its data in a folder of the same name in
// ProgramData.
func hostFor(c hooks.Config, args []string) hooks.Host {
	h := hooks.Host{Places: map[string]string{}}
	program := property(args, "INSTALLFOLDER")
	if exe, err := os.Executable(); err == nil && program == "" {
		program = filepath.Dir(filepath.Dir(exe))
	}
	data := property(args, "DATAFOLDER")
	if all, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, windows.KF_FLAG_DEFAULT); err == nil && data == "" {
		data = filepath.Join(all, filepath.Base(program))
	}
	if program != "" {
		h.Places[c.Program] = program
	}
	if c.Data != "" && data != "" {
		h.Places[c.Data] = data
	}
	for _, f := range c.Folders {
		for _, name := range []string{f.Owner, f.Group} {
			if name != "" && !slices.Contains(h.Accounts, name) {
				h.Accounts = append(h.Accounts, name)
			}
		}
	}
	return h
}

// property finds a folder among the arguments. Windows Installer's end in a
// backslash, before which a quotation mark would not end the argument: packages
// put a dot there.
func property(args []string, name string) string {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, name+"="); ok && value != "" && value != "." {
			return filepath.Clean(value)
		}
	}
	return ""
}

// openPrivate opens a log for appending that ordinary users cannot read.
func openPrivate(file string) (*os.File, error) { return hooks.Host{}.OpenLog(file) }
