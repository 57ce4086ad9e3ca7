//go:build !windows

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/vpkg/vpkg/hooks"
)

// hostFor is this host, whose files are where the configuration says.
func hostFor(hooks.Config, []string) hooks.Host { return hooks.Host{} }

// takeArgumentCodes does nothing: where shells keep what was typed, there is no
// code among the arguments.
func takeArgumentCodes([]string, map[string]string) {}

// systemCommand knows no command that only this system has.
func systemCommand(context.Context, []string, map[string]string, io.Writer, io.Writer) (status int, done bool) {
	return 0, false
}

// embeddedConfig is for Windows.
func embeddedConfig() []byte { return nil }

// openPrivate opens a log for appending. What the pairing script wrote there
// before may be readable for all: it no longer is.
func openPrivate(host hooks.Host, file string) (*os.File, error) {
	file = host.Root + file
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		f.Close() // err says what went wrong already
		return nil, err
	}
	return f, nil
}
