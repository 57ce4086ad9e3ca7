package manifest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

// A Program is a compiled program that comes with vpkg.
type Program struct {
	Body   packaging.Body
	Size   int64 // bytes
	SHA256 packaging.Digest
}

// A Resolver makes packages of one manifest for any number of targets. What it
// reads, it reads once. It is for one goroutine; its zero value but for Manifest
// and Programs is ready for use.
type Resolver struct {
	Manifest *Manifest

	// Payload is a folder or an archive that takes the place of the manifest's
	// payload; empty means the manifest's.
	Payload string

	// Programs gives the program of a name, such as vpkg-hook, compiled for goos on
	// goarch.
	Programs func(ctx context.Context, name, goos, goarch string) (Program, error)

	// Executable finishes a program for Windows: it puts vpkg's stamp in, if there is
	// one, and signs it. Nil means that programs stay as they are.
	Executable func(context.Context, Executable) (Program, error)

	// Spool is the folder for a temporary file with what archives hold; empty means
	// os.TempDir, which on many systems is memory.
	Spool string

	// Date is SOURCE_DATE_EPOCH's (see ParseEpoch); zero means the manifest's date,
	// or the newest time in the payload.
	Date time.Time

	files     map[string]sourceFile
	trees     map[string]*payload.Tree
	installed map[string]installed // by what it depends on
}

// Resolve makes the package for a target: the manifest's contents with the hook,
// its configuration, the units and the record added to them, the scriptlets that
// call the hook, accounts and dependencies.
//
// Everything that is missing is reported at once. The package's Features are
// left to the caller, who knows the format.
func (r *Resolver) Resolve(ctx context.Context, t Target) (*packaging.Package, error) {
	resolve := r.resolve
	if t.Format == "msi" {
		resolve = r.resolveWindows
	}
	p, err := resolve(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	return p, nil
}

func (r *Resolver) resolve(ctx context.Context, t Target) (*packaging.Package, error) {
	in, err := r.install(ctx, t)
	scripts, scriptsErr := r.Manifest.scripts(t)
	triggers, triggersErr := r.Manifest.triggers(t)
	if err := errors.Join(err, scriptsErr, triggersErr); err != nil {
		return nil, err
	}
	p := r.identity(t)
	p.Date, p.Layout, p.Scripts, p.Triggers = in.date, in.layout, scripts, triggers
	if t.Format == "deb" {
		p.Fields = append(p.Fields, packaging.Field{Name: "Vpkg-Layout-Sha256", Value: in.record.String()})
		return p, r.addMembers(p)
	}
	p.Relations = append(p.Relations, packaging.Relation{
		Kind: packaging.Provides, Text: "vpkg-layout(sha256) = " + in.record.String(),
	})
	return p, nil
}

// identity gives everything but files and scripts.
func (r *Resolver) identity(t Target) *packaging.Package {
	m := r.Manifest
	p := &packaging.Package{
		Name: m.Name, Version: m.Version.Number, Release: m.release(t), Arch: t.Arch,
		FileName: fmt.Sprintf("%s-%s.%s.%s.%s", m.Name, m.Version, t.ReleaseLabel, t.Arch, t.Format),
		Summary:  m.Summary, Description: strings.TrimRight(m.Description, "\n"),
		License: m.License, Vendor: m.Vendor, Maintainer: m.Maintainer, Homepage: m.Homepage, Group: m.Section,
		Relations:   m.relations(t),
		RequiresELF: m.RequiresELF && t.Format == "rpm",
		Compression: t.Compression,
	}
	for _, c := range []Compression{m.Compression, m.Overrides[t.Format].Compression, m.Overrides[t.Label].Compression} {
		if c.Codec != "" {
			p.Compression = packaging.Compression(c)
		}
	}
	if t.Format == "deb" && p.Description == p.Summary {
		p.Description = "" // what follows the summary, which is part of the description there
	}
	if m.Account.User != "" {
		p.Accounts = []packaging.Account{packaging.Account(m.Account)}
	}
	for _, c := range m.Changelog {
		p.Changelog = append(p.Changelog, packaging.Change{
			Date:   c.Date.Time,
			Author: c.Author + " - " + c.Version.String() + "." + t.ReleaseLabel,
			Text:   "- " + strings.Join(c.Changes, "\n- "),
		})
	}
	return p
}

// addMembers adds the hook and its configuration to a DEB's control archive, for
// the scripts that run before the payload is there or after it has gone.
func (r *Resolver) addMembers(p *packaging.Package) error {
	hook, _ := p.Layout.Lookup(r.Manifest.Folders.Program + hookPath)
	config, err := r.Manifest.hookConfig(p.EVR()).Marshal()
	if err != nil {
		return err
	}
	p.Members = []packaging.Member{
		{Name: "hook", Mode: 0o755, Body: hook.Body, Size: hook.Size},
		{Name: "hook-config", Mode: 0o644, Body: bytesBody(config), Size: int64(len(config))},
	}
	return nil
}

// triggers gives those of the target's format.
func (m *Manifest) triggers(t Target) ([]packaging.Trigger, error) {
	var ts []packaging.Trigger
	if t.Format == "deb" {
		for _, s := range m.Triggers.DEB {
			f := strings.Fields(s)
			ts = append(ts, packaging.Trigger{Kind: f[0], On: f[1:]})
		}
		return ts, nil
	}
	for i, x := range m.Triggers.RPM {
		b, err := m.folder.read(x.Script)
		if err != nil {
			at := fmt.Sprintf("triggers.rpm[%d].script", i)
			return nil, m.problem(at, "%s: %w", at, err)
		}
		ts = append(ts, packaging.Trigger{Kind: x.Kind, On: x.Names, Script: packaging.Script{Body: string(b)}})
	}
	return ts, nil
}
