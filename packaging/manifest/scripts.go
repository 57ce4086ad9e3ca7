package manifest

import (
	"fmt"
	"strings"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/templates/scriptlets"
)

type scriptFile struct {
	key   string
	phase packaging.Phase
	file  string
}

func (s *Scripts) list() []scriptFile {
	return []scriptFile{
		{"pre_install", packaging.PreInstall, s.PreInstall},
		{"post_install", packaging.PostInstall, s.PostInstall},
		{"pre_remove", packaging.PreRemove, s.PreRemove},
		{"post_remove", packaging.PostRemove, s.PostRemove},
	}
}

// scripts gives the package's scriptlets: what calls the hook, with the
// manifest's own scripts before it.
func (m *Manifest) scripts(t Target) ([]packaging.Script, error) {
	c := m.hookConfig(m.Version.String())
	p := scriptlets.Product{
		Name: c.Name, Program: c.Program, Data: c.Data, State: c.State(), Log: c.LogFile(), EnvPrefix: c.EnvPrefix,
		User: c.Account.User, Group: c.Account.Group, Home: c.Account.Home, Shell: c.Account.Shell, Comment: c.Account.Comment,
	}
	var scripts []packaging.Script
	add := func(phase packaging.Phase, body string) {
		if body != "" {
			scripts = append(scripts, packaging.Script{Phase: phase, Body: body})
		}
	}
	switch t.Format {
	case "rpm":
		r, err := scriptlets.RenderRPM(p)
		if err != nil {
			return nil, err
		}
		add(packaging.PreInstall, r.Pre)
		add(packaging.PostInstall, r.Post)
		add(packaging.PreRemove, r.PreUn)
		add(packaging.PostRemove, r.PostUn)
		add(packaging.PostTrans, r.PostTrans)
	case "deb":
		d, err := scriptlets.RenderDeb(p)
		if err != nil {
			return nil, err
		}
		add(packaging.PreInstall, d.PreInst)
		add(packaging.PostInstall, d.PostInst)
		add(packaging.PreRemove, d.PreRm)
		add(packaging.PostRemove, d.PostRm)
	}
	for i := range scripts {
		at, file := m.scriptFor(t, scripts[i].Phase)
		if file == "" {
			continue
		}
		b, err := m.folder.read(file)
		if err != nil {
			return nil, m.problem(at, "%s: %w", at, err)
		}
		if scripts[i].Body, err = before(string(b), scripts[i]); err != nil {
			return nil, m.problem(at, "%s: %s: %w", at, file, err)
		}
	}
	return scripts, nil
}

// scriptFor gives the manifest's script of a phase, and where it is named.
func (m *Manifest) scriptFor(t Target, phase packaging.Phase) (at, file string) {
	find := func(prefix string, s Scripts) {
		for _, x := range s.list() {
			if x.phase == phase && x.file != "" {
				at, file = prefix+"."+x.key, x.file
			}
		}
	}
	find("scripts", m.Scripts)
	for _, k := range []string{t.Format, t.Label} {
		find("overrides."+k+".scripts", m.Overrides[k].Scripts)
	}
	return at, file
}

// before puts the product's own script before what vpkg does in that phase. It
// runs in a subshell, so that its exit ends only itself.
func before(own string, s packaging.Script) (string, error) {
	first, _, _ := strings.Cut(own, "\n")
	if interpreter, ok := strings.CutPrefix(first, "#!"); ok {
		f := strings.Fields(interpreter)
		if len(f) == 0 || f[len(f)-1] != "/bin/sh" && f[len(f)-1] != "sh" {
			return "", fmt.Errorf("starts with %q, want a script for /bin/sh", first)
		}
	}
	after := `vpkg_status=$?; [ "$vpkg_status" = 0 ] || exit "$vpkg_status"`
	if s.Phase == packaging.PreRemove || s.Phase == packaging.PostRemove {
		after = ": # whatever it said, or the package could never be removed"
	}
	head, rest := "", s.Body
	if strings.HasPrefix(rest, "#!") {
		head, rest, _ = strings.Cut(rest, "\n")
		head += "\n"
	}
	return head + "(\n" + strings.TrimSuffix(own, "\n") + "\n)\n" + after + "\n" + rest, nil
}
