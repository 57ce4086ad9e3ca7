package platform

import (
	"context"
	"io/fs"

	"github.com/vpkg/vpkg/hooks"
)

// at is where a path of the record is on this host.
func (p Product) at(name string) string { return p.locate(name) }

// attributes compares nothing: access is decided by lists, which Windows Installer
// gives the files.
func (v *recordVerification) attributes(context.Context, *hooks.RecordEntry, fs.FileInfo) error {
	return nil
}
