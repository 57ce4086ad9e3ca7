package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

// ErrNotYet is returned for a target that is known but cannot be built.
var ErrNotYet = errors.New("Windows Installer packages cannot be built yet") //nolint:revive,staticcheck // a proper name

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

	// Programs gives the program of a name, such as vpkg-hook, compiled for Linux
	// on goarch.
	Programs func(ctx context.Context, name, goarch string) (Program, error)

	// Date is SOURCE_DATE_EPOCH's (see ParseEpoch); zero means the manifest's date,
	// or the newest time in the payload.
	Date time.Time

	files  map[string]sourceFile
	trees  map[string]*payload.Tree
	newest time.Time // of what was read of the payload and the contents
}

// Resolve makes the package for a target: the manifest's contents with the hook,
// its configuration, the units and the record added to them, the scriptlets that
// call the hook, accounts and dependencies.
//
// Everything that is missing is reported at once. The package's Features are
// left to the caller, who knows the format.
func (r *Resolver) Resolve(ctx context.Context, t Target) (*packaging.Package, error) {
	if t.Format == "msi" {
		return nil, fmt.Errorf("%s: %w", t, ErrNotYet)
	}
	p, err := r.resolve(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	return p, nil
}

func (r *Resolver) resolve(ctx context.Context, t Target) (*packaging.Package, error) {
	m := r.Manifest
	b := &layoutBuilder{m: m, entries: make(map[string]packaging.Entry)}
	r.addPayload(ctx, b, t)
	r.addContents(ctx, b, t, "contents", m.Contents)
	for _, k := range []string{t.Format, t.Label} {
		r.addContents(ctx, b, t, "overrides."+k+".contents", m.Overrides[k].Contents)
	}
	r.addUnits(b)
	r.addHook(ctx, b, t)
	date := r.date()
	if date.IsZero() {
		b.errs = append(b.errs, m.problem("", "manifest has no date, and neither SOURCE_DATE_EPOCH nor the payload gives one"))
	}
	if t.Format == "deb" {
		r.addDebDocs(b, t, date)
	}
	b.parents()
	layout, errs := b.layout()
	scripts, err := m.scripts(t)
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return nil, errors.Join(errs...)
	}
	p := r.identity(t)
	p.Date, p.Layout, p.Scripts = date, layout, scripts
	if err := r.addRecord(p, t); err != nil {
		return nil, err
	}
	if t.Format == "deb" {
		if err := r.addMembers(p); err != nil {
			return nil, err
		}
	}
	if p.Triggers, err = m.triggers(t); err != nil {
		return nil, err
	}
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

// date is that of the package and of all its files.
func (r *Resolver) date() time.Time {
	for _, d := range []time.Time{r.Date, r.Manifest.Date.Time, r.newest} {
		if !d.IsZero() {
			return d.UTC().Truncate(time.Second)
		}
	}
	return time.Time{}
}

func (r *Resolver) addPayload(ctx context.Context, b *layoutBuilder, t Target) {
	m := r.Manifest
	source, at := r.Payload, ""
	if source == "" {
		source, at = m.Payload.Source, "payload.source"
		defer r.addContents(ctx, b, t, "payload.contents", m.Payload.Contents)
	}
	if source == "" {
		return
	}
	tree, err := r.tree(ctx, source, at != "")
	if err != nil {
		if at == "" {
			b.errs = append(b.errs, fmt.Errorf("payload: %w", err))
		} else {
			b.errs = append(b.errs, m.problem(at, "%s: %w", at, err))
		}
		return
	}
	files := slices.DeleteFunc(entries(tree), func(e packaging.Entry) bool {
		rel, ok := relative(m.Payload.Destination, m.Folders.Program)
		return ok && rel == "." && slices.Contains([]string{hookPath, configPath, recordPath}, "/"+e.Path) // vpkg's own, of an installed folder
	})
	b.tree(at, m.Payload.Destination, files, m.Payload.Attributes)
}

func (r *Resolver) addContents(ctx context.Context, b *layoutBuilder, t Target, at string, cs []Content) {
	m := r.Manifest
	own := []string{m.Folders.Program + hookPath, m.Folders.Program + configPath, m.Folders.Program + recordPath}
	for i := range cs {
		c := &cs[i]
		p := fmt.Sprintf("%s[%d]", at, i)
		if slices.Contains(own, c.Destination) {
			b.errs = append(b.errs, m.problem(p+".destination", "%s is added by vpkg itself", c.Destination))
			continue
		}
		if err := r.addContent(ctx, b, t, p, c); err != nil {
			if _, ok := errors.AsType[*Problem](err); !ok {
				err = m.problem(p+".source", "%s: %w", p, err)
			}
			b.errs = append(b.errs, err)
		}
	}
}

func (r *Resolver) addContent(ctx context.Context, b *layoutBuilder, t Target, at string, c *Content) error {
	e := packaging.Entry{Path: c.Destination, Owner: c.Owner, Group: c.Group, Caps: c.Caps}
	if c.Config {
		e.Config = packaging.ConfigNoReplace
	}
	switch c.Type {
	case TypeDir:
		e.Mode = fs.ModeDir | c.Mode.or(0o755)
	case TypeSymlink:
		e.Mode, e.Target = fs.ModeSymlink|0o777, c.Target
	case TypeGhost:
		if t.Format != "rpm" {
			return nil
		}
		e.Mode, e.Ghost = c.Mode.or(0o644), true
	case TypeTree:
		tree, err := r.tree(ctx, c.Source, true)
		if err != nil {
			return err
		}
		files := entries(tree)
		for i, a := range c.Attributes {
			if !slices.ContainsFunc(files, func(e packaging.Entry) bool { return match(a.Match, e.Path) }) {
				return fmt.Errorf("attributes[%d].match %q fits nothing in %s", i, a.Match, c.Source)
			}
		}
		b.tree(at, c.Destination, files, c.Attributes)
		return nil
	default:
		f, err := r.content(ctx, t, at, c)
		if err != nil {
			return err
		}
		e.Mode = 0o644
		if f.executable {
			e.Mode = 0o755
		}
		e.Mode = c.Mode.or(e.Mode)
		e.Body, e.Size, e.SHA256 = f.body, f.size, f.digest
	}
	b.lay(at, e)
	return nil
}

// content gives a file of the manifest's folder, a filled-in template, or a
// program.
func (r *Resolver) content(ctx context.Context, t Target, at string, c *Content) (sourceFile, error) {
	switch {
	case c.Program != "":
		return r.program(ctx, c.Program, t.GOARCH)
	case c.Template != "":
		text, err := r.Manifest.fill(at+".template", c.Template)
		return made(text), err
	}
	if f, ok := r.files[c.Source]; ok {
		return f, nil
	}
	f, err := r.Manifest.folder.file(c.Source)
	if err != nil {
		return sourceFile{}, err
	}
	if r.files == nil {
		r.files = make(map[string]sourceFile)
	}
	r.files[c.Source] = f
	r.see(f.modTime)
	return f, nil
}

func (r *Resolver) program(ctx context.Context, name, goarch string) (sourceFile, error) {
	p, err := r.Programs(ctx, name, goarch)
	if err != nil {
		return sourceFile{}, err
	}
	return sourceFile{body: p.Body, size: p.Size, digest: p.SHA256, executable: true}, nil
}

// see remembers the newest time of the product's files.
func (r *Resolver) see(t time.Time) {
	if t.Unix() > 0 && t.After(r.newest) {
		r.newest = t
	}
}

func (r *Resolver) addUnits(b *layoutBuilder) {
	for i, s := range r.Manifest.Services {
		text, err := r.Manifest.unit(i)
		if err != nil {
			b.errs = append(b.errs, err)
			continue
		}
		b.add(unitFolder+"/"+s.Name, 0o644, made(text))
	}
}

// addHook adds the hook and its configuration. The payload's attributes hold for
// them as for what is beside them.
func (r *Resolver) addHook(ctx context.Context, b *layoutBuilder, t Target) {
	m := r.Manifest
	hook, err := r.program(ctx, "vpkg-hook", t.GOARCH)
	if err != nil {
		b.errs = append(b.errs, fmt.Errorf("vpkg-hook for %s: %w", t.GOARCH, err))
	}
	b.add(m.Folders.Program+hookPath, 0o755, hook)
	config, err := m.hookConfig(m.Version.String()).Marshal()
	if err != nil {
		b.errs = append(b.errs, err)
	}
	b.add(m.Folders.Program+configPath, 0o644, made(config))
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

// add lays a file that vpkg makes.
func (b *layoutBuilder) add(p string, mode fs.FileMode, f sourceFile) {
	e := packaging.Entry{Path: p, Mode: mode, Body: f.body, Size: f.size, SHA256: f.digest}
	b.m.generated(&e)
	b.entries[p] = e
}

// generated gives a file that vpkg makes the owner, group and mode that the
// payload's attributes have for its place. A program stays executable.
func (m *Manifest) generated(e *packaging.Entry) {
	rel, ok := relative(e.Path, m.Payload.Destination)
	if !ok || m.Payload.Destination == "" {
		return
	}
	with := *e
	applyAttributes(&with, rel, m.Payload.Attributes)
	e.Owner, e.Group = with.Owner, with.Group
	if e.Mode&0o100 == with.Mode&0o100 {
		e.Mode = with.Mode.Perm()
	}
}

// addRecord adds the layout of everything but itself, and its digest to the
// package's metadata.
func (r *Resolver) addRecord(p *packaging.Package, t Target) error {
	text, err := json.Marshal(p.Layout)
	if err != nil {
		return err
	}
	record := made(append(text, '\n'))
	e := packaging.Entry{
		Path: r.Manifest.Folders.Program + recordPath, Mode: 0o644,
		Body: record.body, Size: record.size, SHA256: record.digest,
	}
	r.Manifest.generated(&e)
	p.Layout = append(p.Layout, e)
	p.Layout.Sort()
	if t.Format == "deb" {
		p.Fields = append(p.Fields, packaging.Field{Name: "Vpkg-Layout-Sha256", Value: record.digest.String()})
		return nil
	}
	p.Relations = append(p.Relations, packaging.Relation{
		Kind: packaging.Provides, Text: "vpkg-layout(sha256) = " + record.digest.String(),
	})
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
		ts = append(ts, packaging.Trigger{Kind: x.Kind, On: x.On, Script: packaging.Script{Body: string(b)}})
	}
	return ts, nil
}
