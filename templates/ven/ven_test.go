package ven_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging/manifest"
	"github.com/vpkg/vpkg/templates/ven"
)

func parse(t *testing.T) *manifest.Manifest {
	t.Helper()
	b, err := fs.ReadFile(ven.Files, ven.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Parse(ven.Manifest, b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Everything that the manifest names is embedded, and everything that is
// embedded is named.
func TestFiles(t *testing.T) {
	m := parse(t)
	unused := map[string]bool{}
	err := fs.WalkDir(ven.Files, "units", func(path string, d fs.DirEntry, err error) error {
		unused[path] = !d.IsDir()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Services {
		if !unused[s.Source] {
			t.Errorf("service %s: no file %q, or named twice", s.Name, s.Source)
		}
		delete(unused, s.Source)
	}
	for path, file := range unused {
		if file {
			t.Errorf("%s belongs to no service", path)
		}
	}
	if info, err := fs.Stat(ven.Files, m.Payload.Source); err != nil || !info.IsDir() {
		t.Errorf("payload %q: %v, want a folder", m.Payload.Source, err)
	}
}

// Each component has a unit and a link, so that systemd and the monitor start the
// same program.
func TestComponents(t *testing.T) {
	m := parse(t)
	links, units := map[string]string{}, map[string]string{}
	for _, c := range m.Payload.Contents {
		links[c.Destination] = c.Target
	}
	for _, s := range m.Services {
		units[s.Name] = s.Source
	}
	wants := ""
	for _, c := range m.Components {
		if got := links["/opt/illumio_ven/bin/"+c.Name]; got != "vpkg-agent" {
			t.Errorf("link %s leads to %q, want vpkg-agent", c.Name, got)
		}
		unit := readUnit(t, units[c.Name+".service"])
		if got, want := unit["ExecStart"], "/opt/illumio_ven/bin/"+c.Name; got != want {
			t.Errorf("%s.service: ExecStart=%s, want %s", c.Name, got, want)
		}
		if got, want := unit["User"] != m.Account.User, c.Root; got != want {
			t.Errorf("%s.service: User=%s, and the manifest says root: %t", c.Name, unit["User"], c.Root)
		}
		for _, key := range []string{"Requires", "After"} {
			if !strings.HasPrefix(unit[key]+" ", "illumio-ven.service ") {
				t.Errorf("%s.service: %s=%s, want illumio-ven.service", c.Name, key, unit[key])
			}
		}
		wants += " " + c.Name + ".service"
	}
	if got := readUnit(t, units["illumio-ven.service"])["Wants"]; got != wants[1:] {
		t.Errorf("illumio-ven.service: Wants=%s, want%s", got, wants)
	}
}

func TestAgentVersion(t *testing.T) {
	m := parse(t)
	got, err := fs.ReadFile(ven.Files, "payload/etc/agent_version")
	if err != nil {
		t.Fatal(err)
	}
	if want := "Illumio VEN " + m.Version.Number + "-" + m.Version.Build + "\n"; string(got) != want {
		t.Errorf("agent_version is %q, want %q", got, want)
	}
}

func readUnit(t *testing.T, source string) map[string]string {
	t.Helper()
	b, err := fs.ReadFile(ven.Files, source)
	if err != nil {
		t.Fatal(err)
	}
	unit := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(k, "#") {
			unit[k] = v
		}
	}
	return unit
}
