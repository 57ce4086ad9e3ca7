package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

const unitFolder = "/usr/lib/systemd/system"

// hookPath is where the hook is in the program folder.
const hookPath = "/bin/vpkg-hook"

// hookConfig is what the hook has to do for a package of the given version. In
// the payload that is the manifest's, without a target's label, so that all
// targets have the same payload; beside a DEB's scripts it is the one that dpkg
// will tell the next version's.
func (m *Manifest) hookConfig(version string) hooks.Config {
	c := hooks.Config{
		Format:  hooks.ConfigVersion,
		Name:    m.Name,
		Version: version,
		Program: m.Folders.Program,
		Data:    m.Folders.Data,
		Log:     m.Log,
		Account: hooks.Account(m.Account),
		Start:   m.Start,

		Settings: m.Settings,
	}
	if m.EnvPrefix != "" {
		c.EnvPrefix = m.EnvPrefix + "_"
	}
	if m.Folders.Data != "" {
		c.Folders = append(c.Folders, hookFolder(Folder{m.Folders.Data, m.Folders.DataMode, m.Account.User, m.Account.Group}))
	}
	for _, f := range m.Folders.Extra {
		c.Folders = append(c.Folders, hookFolder(f))
	}
	slices.SortFunc(c.Folders, func(a, b hooks.Folder) int { return cmp.Compare(a.Path, b.Path) })
	for _, s := range m.Services {
		c.Units = append(c.Units, hooks.Unit{Name: s.Name, Enable: s.Enable, Start: s.Start, AtBoot: s.AtBoot, RunAs: m.runsAsAccount(s.Name)})
	}
	for _, x := range m.Components {
		c.Components = append(c.Components, hooks.Component(x))
	}
	for _, x := range m.Modules {
		c.Modules = append(c.Modules, hooks.Module(x))
	}
	for _, x := range m.Sysctls {
		c.Sysctls = append(c.Sysctls, hooks.Setting(x))
	}
	if m.Firewall.Takeover != "" {
		c.Firewall = &hooks.Firewall{Services: m.Firewall.Services, OnActivation: m.Firewall.Takeover == OnActivation}
	}
	return c
}

// runsAsAccount reports whether a unit is that of a component which is not root's.
func (m *Manifest) runsAsAccount(unit string) bool {
	return m.Account.User != "" && slices.ContainsFunc(m.Components, func(c Component) bool {
		return c.Name+".service" == unit && !c.Root
	})
}

func hookFolder(f Folder) hooks.Folder {
	return hooks.Folder{Path: f.Path, Mode: hooks.Mode(packaging.UnixMode(f.Mode.Bits) & 0o7777), Owner: f.Owner, Group: f.Group}
}

// release is RPM's Release and DEB's revision. The label makes the packages of
// two systems differ in version, so that they can stand in one repository, and
// makes the one for a newer system newer.
func (m *Manifest) release(t Target) string { return m.Version.Build + "." + t.ReleaseLabel }

// unit gives the text of a service's unit file.
func (m *Manifest) unit(i int) ([]byte, error) {
	s := &m.Services[i]
	at := fmt.Sprintf("services[%d].source", i)
	if s.Source != "" {
		b, err := m.folder.read(s.Source)
		if err != nil {
			return nil, m.problem(at, "%s: %w", at, err)
		}
		return b, nil
	}
	return m.fill(fmt.Sprintf("services[%d].template", i), s.Template)
}

// fill reads a template, which the manifest names at a place, and fills it in.
func (m *Manifest) fill(at, file string) ([]byte, error) {
	b, err := m.folder.read(file)
	if err != nil {
		return nil, m.problem(at, "%s: %w", at, err)
	}
	t, err := template.New(file).Parse(string(b))
	if err != nil {
		return nil, m.problem(at, "%s: %w", at, err)
	}
	var out strings.Builder
	if err := t.Execute(&out, m.places()); err != nil {
		return nil, m.problem(at, "%s: %w", at, err)
	}
	return []byte(out.String()), nil
}

// places is what templates can name.
type places struct{ Name, Version, Summary, Homepage, Program, Data, User, Group string }

func (m *Manifest) places() places {
	or := func(s string) string { return cmp.Or(s, "root") }
	return places{
		Name: m.Name, Version: m.Version.String(), Summary: m.Summary, Homepage: m.Homepage,
		Program: m.Folders.Program, Data: m.Folders.Data, User: or(m.Account.User), Group: or(m.Account.Group),
	}
}
