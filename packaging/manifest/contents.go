package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// installed is what a package lays down.
type installed struct {
	layout packaging.Layout
	record packaging.Digest // of etc/layout.json
	date   time.Time        // of the package and of all its files
}

// install gives what the package for a target lays down. Targets share it, and
// with it a payload, where the manifest has no contents for just one of them.
func (r *Resolver) install(ctx context.Context, t Target) (installed, error) {
	key := t.Format + " " + t.GOARCH
	if r.Manifest.Overrides[t.Label].Contents != nil {
		key += " " + t.Label
	}
	if in, ok := r.installed[key]; ok {
		return in, nil
	}
	in, err := r.lay(ctx, t)
	if err != nil {
		return installed{}, err
	}
	if r.installed == nil {
		r.installed = make(map[string]installed)
	}
	r.installed[key] = in
	return in, nil
}

func (r *Resolver) lay(ctx context.Context, t Target) (installed, error) {
	m := r.Manifest
	b := &layoutBuilder{m: m, entries: make(map[string]packaging.Entry), stamps: make(map[string]*Stamp)}
	if t.Format == "msi" {
		m = m.forWindows()
		b.m, b.at = m, "windows."
	}
	r.addPayload(ctx, b, t)
	r.addContents(ctx, b, t, b.at+"contents", m.Contents)
	for _, k := range []string{t.Format, t.Label} {
		r.addContents(ctx, b, t, "overrides."+k+".contents", m.Overrides[k].Contents)
	}
	r.addUnits(b)
	r.addHook(ctx, b, t)
	in := installed{date: r.date(b.newest)}
	if in.date.IsZero() {
		b.errs = append(b.errs, m.problem("", "manifest has no date, and neither SOURCE_DATE_EPOCH nor the payload gives one"))
	}
	switch t.Format {
	case "deb":
		r.addDebDocs(b, in.date)
	case "msi":
		r.finishWindows(ctx, b)
	}
	b.parents()
	b.checkPrograms()
	b.checkFolders()
	layout, errs := b.layout()
	if err := errors.Join(errs...); err != nil {
		return installed{}, err
	}
	in.layout = layout
	return in, m.addRecord(&in)
}

// date is that of the package and of all its files.
func (r *Resolver) date(newest time.Time) time.Time {
	for _, d := range []time.Time{r.Date, r.Manifest.Date.Time, newest} {
		if !d.IsZero() {
			return d.UTC().Truncate(time.Second)
		}
	}
	return time.Time{}
}

func (r *Resolver) addPayload(ctx context.Context, b *layoutBuilder, t Target) {
	m := b.m
	source, at := r.Payload, ""
	if source == "" {
		source, at = m.Payload.Source, b.at+"payload.source"
		defer r.addContents(ctx, b, t, b.at+"payload.contents", m.Payload.Contents)
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
	b.see(tree.Newest)
	files := slices.DeleteFunc(entries(tree), func(e packaging.Entry) bool {
		rel, ok := relative(m.Payload.Destination, m.Folders.Program)
		return ok && rel == "." && slices.Contains([]string{t.exe(hookPath), hooks.ConfigFile, hooks.RecordFile}, "/"+e.Path) // vpkg's own, of an installed folder
	})
	b.tree(at, m.Payload.Destination, files, m.Payload.Attributes)
}

func (r *Resolver) addContents(ctx context.Context, b *layoutBuilder, t Target, at string, cs []Content) {
	m := b.m
	own := []string{m.Folders.Program + t.exe(hookPath), m.Folders.Program + hooks.ConfigFile, m.Folders.Program + hooks.RecordFile}
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
		b.see(tree.Newest)
		files := entries(tree)
		for i, a := range c.Attributes {
			if !slices.ContainsFunc(files, func(e packaging.Entry) bool { return match(a.Match, e.Path) }) {
				return fmt.Errorf("attributes[%d].match %q fits nothing in %s", i, a.Match, c.Source)
			}
		}
		b.tree(at, c.Destination, files, c.Attributes)
		return nil
	default:
		f, err := r.content(ctx, b.m, t, at, c)
		if err != nil {
			return err
		}
		if c.Program != "" {
			b.stamps[c.Destination] = r.Manifest.stamp(c.Program)
		}
		b.see(f.modTime)
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
func (r *Resolver) content(ctx context.Context, m *Manifest, t Target, at string, c *Content) (sourceFile, error) {
	switch {
	case c.Program != "":
		return r.program(ctx, c.Program, t)
	case c.Template != "":
		text, err := m.fill(at+".template", c.Template)
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
	return f, nil
}

func (r *Resolver) program(ctx context.Context, name string, t Target) (sourceFile, error) {
	p, err := r.Programs(ctx, name, t.goos(), t.GOARCH)
	if err != nil {
		return sourceFile{}, err
	}
	return sourceFile{body: p.Body, size: p.Size, digest: p.SHA256, executable: true}, nil
}

func (r *Resolver) addUnits(b *layoutBuilder) {
	for i, s := range b.m.Services {
		text, err := r.Manifest.unit(i)
		if err != nil {
			b.errs = append(b.errs, err)
			continue
		}
		p := path.Join(unitFolder, s.Name)
		if _, ok := b.entries[p]; ok {
			b.errs = append(b.errs, b.m.problem(fmt.Sprintf("services[%d].name", i), "%s is among the contents too", p))
			continue
		}
		b.add(p, 0o644, made(text))
	}
}

// addHook adds the hook and its configuration. The payload's attributes hold for
// them as for what is beside them.
func (r *Resolver) addHook(ctx context.Context, b *layoutBuilder, t Target) {
	m := b.m
	hook, err := r.program(ctx, "vpkg-hook", t)
	if err != nil {
		b.errs = append(b.errs, fmt.Errorf("vpkg-hook for %s: %w", t.GOARCH, err))
	}
	at := m.Folders.Program + t.exe(hookPath)
	b.add(at, 0o755, hook)
	b.stamps[at] = r.Manifest.stamp("vpkg-hook")
	c := r.Manifest.hookConfig(m.Version.String())
	if t.Format == "msi" {
		c = r.Manifest.windowsConfig()
	}
	config, err := c.Marshal()
	if err != nil {
		b.errs = append(b.errs, err)
	}
	b.add(m.Folders.Program+hooks.ConfigFile, 0o644, made(config))
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

// addRecord adds the layout of everything but itself.
func (m *Manifest) addRecord(in *installed) error {
	text, err := json.Marshal(in.layout)
	if err != nil {
		return err
	}
	record := made(append(text, '\n'))
	e := packaging.Entry{
		Path: m.Folders.Program + hooks.RecordFile, Mode: 0o644,
		Body: record.body, Size: record.size, SHA256: record.digest,
	}
	m.generated(&e)
	in.layout = append(in.layout, e)
	in.layout.Sort()
	in.record = record.digest
	return nil
}
