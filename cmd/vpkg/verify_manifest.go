package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/manifest"
	"github.com/vpkg/vpkg/packaging/verify"
)

// meantOptions say what packages were meant to be.
type meantOptions struct {
	manifest string
	os       string
	payload  string
}

func (o *meantOptions) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&o.manifest, "manifest", "m", "", "compare with what this manifest `FILE` makes")
	fl.StringVar(&o.os, "os", "", "with --manifest, the system by its `LABEL` (default what the package's release says)")
	fl.StringVar(&o.payload, "payload", "", "with --manifest, a `DIR` or archive that took the place of the manifest's payload")
}

// A meant is a manifest that packages are compared with.
type meant struct {
	meantOptions
	cache   string
	cleanup func() error
	single  *manifest.Manifest // nil for an nfpm.yaml

	mu sync.Mutex // one package is resolved at a time: programs are compiled into the cache
}

// open gives nil without a manifest.
func (o *meantOptions) open() (*meant, error) {
	switch {
	case o.manifest == "" && (o.os != "" || o.payload != ""):
		return nil, usageError{errors.New("--os and --payload are for --manifest")}
	case o.manifest == "":
		return nil, nil
	}
	m := &meant{meantOptions: *o}
	if !manifest.IsNFPM(o.manifest) {
		var err error
		if m.single, err = manifest.Open(o.manifest); err != nil {
			return nil, troubleError{err}
		}
	}
	var err error
	m.cache, m.cleanup, err = cacheDir()
	return m, err
}

func (m *meant) close() error { return m.cleanup() }

// target is the system that a package is for.
func (m *meant) target(format string, p *packaging.Package) (manifest.Target, error) {
	label := m.os
	if label == "" {
		for _, t := range manifest.Targets() {
			if t.Format == format && t.Arch == p.Arch && (format == "msi" || strings.HasSuffix(p.Release, "."+t.ReleaseLabel)) {
				return t, nil
			}
		}
		return manifest.Target{}, usageError{fmt.Errorf("the release %q of %s does not say for which system it is: --os does", p.Release, p.Name)}
	}
	arch := p.Arch
	if arch == "noarch" || arch == "all" {
		arch = "x86_64"
	}
	targets, err := manifest.Select([]string{label}, []string{arch})
	if err != nil {
		return manifest.Target{}, usageError{err}
	}
	if t := targets[0]; t.Format != format {
		return manifest.Target{}, usageError{fmt.Errorf("--os %s is a system with %s packages, and %s is a %s", label, t.Format, p.Name, format)}
	}
	return targets[0], nil
}

// compare gives what of a package is not what the manifest makes.
func (m *meant) compare(ctx context.Context, format string, p *packaging.Package, signed bool) ([]verify.Finding, error) {
	t, err := m.target(format, p)
	if err != nil {
		return nil, err
	}
	// A DEB has its date in its changelog, too.
	o := buildOptions{manifest: m.manifest, payload: m.payload, date: p.Date}
	var found []verify.Finding
	if m.single != nil {
		v := p.Version + "-" + strings.TrimSuffix(p.Release, "."+t.ReleaseLabel)
		if _, err := manifest.ParseVersion(v); err == nil {
			o.version = v
		}
		if v != m.single.Version.String() {
			f := verify.NewFinding("manifest", "version", "it is "+v+", and the manifest's is "+m.single.Version.String())
			f.Severity = verify.Info
			found = append(found, f)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	src, err := o.source(m.cache, nil)
	if err != nil {
		return nil, err
	}
	want, err := src.resolve(ctx, t)
	if err := errors.Join(err, src.close()); err != nil {
		return nil, fmt.Errorf("resolving %s: %w", m.manifest, err)
	}
	found = append(found, compareLayouts(format, want.Layout, p.Layout, signed)...)
	return append(found, compareRest(format, want, p)...), nil
}

// compareLayouts gives a finding for each difference.
func compareLayouts(format string, want, got packaging.Layout, signed bool) []verify.Finding {
	var found []verify.Finding
	for _, d := range packaging.Diff(want, got) {
		switch {
		case d.Attribute == "extra" && verify.IsImplicit(format, got, d.Path):
			continue // dpkg wants it
		case format == "msi" && signed && packaging.IsWindowsProgram(d.Path) && (d.Attribute == "sha256" || d.Attribute == "size"):
			continue // its signature is in it
		}
		text := verify.MismatchText(d, "the manifest")
		if isVpkgProgram(d.Path) && d.Attribute == "sha256" {
			text += "; it is vpkg's own, and another version of vpkg has another one"
		}
		f := verify.NewFinding("layout", d.Path, text)
		f.Want, f.Got = d.Want, d.Got
		found = append(found, f)
	}
	if len(found) > 1 { // the record of other files is another one
		found = slices.DeleteFunc(found, func(f verify.Finding) bool { return strings.HasSuffix(f.Where, hooks.RecordFile) })
	}
	return found
}

// isVpkgProgram reports whether a path is of a program that comes with vpkg.
func isVpkgProgram(p string) bool {
	return slices.Contains([]string{"vpkg-hook", "vpkg-agent"}, strings.TrimSuffix(path.Base(p), ".exe"))
}

// compareRest compares what is no file.
func compareRest(format string, want, got *packaging.Package) []verify.Finding {
	var found []verify.Finding
	value := func(where, w, g string) {
		if w != g {
			f := verify.NewFinding("manifest", where, "it is not what the manifest says")
			f.Want, f.Got = w, g
			found = append(found, f)
		}
	}
	value("name", want.Name, got.Name)
	value("epoch", fmt.Sprint(want.Epoch), fmt.Sprint(got.Epoch))
	value("architecture", want.Arch, got.Arch)
	list := func(where string, w, g []string) {
		for _, s := range w {
			if !slices.Contains(g, s) {
				found = append(found, verify.NewFinding("manifest", where, "the manifest has "+s+", and the package does not"))
			}
		}
		for _, s := range g {
			if !slices.Contains(w, s) {
				found = append(found, verify.NewFinding("manifest", where, "the package has "+s+", and the manifest does not"))
			}
		}
	}
	list("relations", relationTexts(want, want.RequiresELF), relationTexts(got, want.RequiresELF))
	if format == "rpm" { // the others make them in scriptlets
		list("accounts", accountNames(want), accountNames(got))
	}
	list("triggers", triggerTexts(want), triggerTexts(got))
	for _, ph := range phases(want, got) {
		w, _ := want.Script(ph)
		g, _ := got.Script(ph)
		if strings.TrimRight(w.Body, "\n") != strings.TrimRight(g.Body, "\n") || !slices.Equal(w.Interpreter, g.Interpreter) {
			found = append(found, verify.NewFinding("manifest", string(ph), "the scriptlet is not the manifest's"))
		}
	}
	if want.Windows != nil && got.Windows != nil {
		list("services", serviceTexts(want.Windows), serviceTexts(got.Windows))
		value("upgrade code", want.Windows.UpgradeCode, got.Windows.UpgradeCode)
		value("data folder", want.Windows.Data, got.Windows.Data)
	}
	return found
}

// relationTexts leaves out the record's digest, which follows from the files, and
// sonames where they follow from programs.
func relationTexts(p *packaging.Package, sonames bool) []string {
	var texts []string
	for _, r := range p.Relations {
		if strings.HasPrefix(r.Text, "vpkg-layout(") || strings.HasPrefix(r.Text, "config("+p.Name+")") || sonames && strings.Contains(r.Text, ".so") {
			continue
		}
		texts = append(texts, fmt.Sprintf("%s %s %v", r.Kind, r.Text, r.For))
	}
	return texts
}

func accountNames(p *packaging.Package) []string {
	var names []string
	for _, a := range p.Accounts {
		if a.User != "" {
			names = append(names, "user "+a.User)
		}
	}
	return names
}

func triggerTexts(p *packaging.Package) []string {
	var texts []string
	for _, t := range p.Triggers {
		texts = append(texts, t.Kind+" "+strings.Join(t.On, " "))
	}
	return texts
}

func serviceTexts(w *packaging.Windows) []string {
	var texts []string
	for _, s := range w.Services {
		texts = append(texts, fmt.Sprintf("%s, %s, which runs %s %s", s.Name, s.Start, s.Program, strings.Join(s.Arguments, " ")))
	}
	return texts
}

func phases(ps ...*packaging.Package) []packaging.Phase {
	var all []packaging.Phase
	for _, p := range ps {
		for _, s := range p.Scripts {
			if !slices.Contains(all, s.Phase) {
				all = append(all, s.Phase)
			}
		}
	}
	return all
}

// folders are those that the manifest puts files into.
func (m *meant) folders(p *packaging.Package) []string {
	if m.single == nil {
		return nil
	}
	if p.Windows != nil {
		return []string{m.single.Windows.Program, m.single.Windows.Data}
	}
	folders := []string{
		m.single.Folders.Program, "/usr/lib/systemd/system", "/usr/share/doc/" + m.single.Name, "/usr/share/licenses/" + m.single.Name,
	}
	contents := slices.Concat(m.single.Contents, m.single.Payload.Contents)
	for _, o := range m.single.Overrides {
		contents = append(contents, o.Contents...)
	}
	for _, c := range contents {
		folders = append(folders, path.Clean(c.Destination))
	}
	return append(folders, m.single.Payload.Destination)
}
