package ven_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/manifest"
	"github.com/vpkg/vpkg/templates/ven"
)

func parse(t *testing.T) *manifest.Manifest {
	t.Helper()
	m, err := manifest.OpenFS(ven.Files, ven.Manifest)
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

// Every Linux target can be made of the built-in product, and lays down what is
// documented.
func TestResolve(t *testing.T) {
	m := parse(t)
	m.Version.Build = "11" // as with --version
	r := manifest.Resolver{Manifest: m, Programs: func(_ context.Context, name, _, goarch string) (manifest.Program, error) {
		b := program(name + " for " + goarch)
		return manifest.Program{Body: b, Size: int64(len(b)), SHA256: sha256.Sum256([]byte(b))}, nil
	}}
	for _, target := range manifest.Targets() {
		if target.Format == "msi" {
			continue
		}
		p, err := r.Resolve(t.Context(), target)
		if err == nil {
			err = packaging.Validate(p)
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if target.Label == "el8" && target.GOARCH == "amd64" {
			checkGolden(t, "layout.el8", dump(t, p.Layout))
		}
	}
}

// program is a packaging.Body.
type program string

func (p program) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(p))), nil
}

// dump lists a layout, and shows the files that are made of the manifest.
func dump(t *testing.T, l packaging.Layout) []byte {
	t.Helper()
	var out []byte
	for i := range l {
		e := &l[i]
		out = fmt.Appendf(out, "%s %-4s %-7s %s", e.Mode, e.OwnerName(), e.GroupName(), e.Path)
		if e.Target != "" {
			out = fmt.Appendf(out, " -> %s", e.Target)
		}
		out = append(out, '\n')
		if base := path.Base(e.Path); base == "agent_version" || base == "hook.json" {
			f, err := e.Body.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, text...)
		}
	}
	return out
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	golden := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
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
