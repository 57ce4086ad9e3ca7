package manifest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/vpkg/vpkg/packaging"
)

var update = flag.Bool("update", false, "write golden files anew")

// fakeProgram stands for a compiled program.
func fakeProgram(_ context.Context, name, goos, goarch string) (Program, error) {
	b := []byte(name + " for " + goos + " on " + goarch)
	return Program{Body: bytesBody(b), Size: int64(len(b)), SHA256: sha256.Sum256(b)}, nil
}

// fakeStamp stands for the one that writes versions and signatures.
func fakeStamp(_ context.Context, x Executable) (Program, error) {
	b := fmt.Appendf(nil, "%s, finished", path.Base(x.Path))
	if x.Stamp != nil {
		b = fmt.Appendf(b, " for %s %v, %d bytes of data", x.Stamp.Product, x.Stamp.Version, len(x.Stamp.Data))
	}
	return Program{Body: bytesBody(b), Size: int64(len(b)), SHA256: sha256.Sum256(b)}, nil
}

// archiveFS gives the files of a txtar archive.
func archiveFS(a *txtar.Archive) fstest.MapFS {
	fsys := make(fstest.MapFS)
	for _, f := range a.Files {
		mode := os.FileMode(0o664) // as under umask 002
		if bytes.HasPrefix(f.Data, []byte("#!")) {
			mode = 0o775
		}
		fsys[f.Name] = &fstest.MapFile{Data: f.Data, Mode: mode, ModTime: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	}
	return fsys
}

func targetFor(t *testing.T, label, arch string) Target {
	t.Helper()
	ts, err := Select([]string{label}, []string{arch})
	if err != nil || len(ts) != 1 {
		t.Fatalf("Select(%s, %s): %v, %v", label, arch, ts, err)
	}
	return ts[0]
}

func TestResolve(t *testing.T) {
	inputs, err := filepath.Glob("testdata/resolve/*.txtar")
	if err != nil || len(inputs) == 0 {
		t.Fatal(inputs, err)
	}
	for _, in := range inputs {
		a, err := txtar.ParseFile(in)
		if err != nil {
			t.Fatal(err)
		}
		m, err := OpenFS(archiveFS(a), "vpkg.yaml")
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		r := &Resolver{Manifest: m, Programs: fakeProgram, Executable: fakeStamp}
		labels := []string{"el8", "debian12"}
		if m.Windows.UpgradeCode != "" {
			labels = append(labels, "windows")
		}
		for _, label := range labels {
			name := strings.TrimSuffix(in, ".txtar") + "." + label
			t.Run(name, func(t *testing.T) {
				p, err := r.Resolve(t.Context(), targetFor(t, label, "amd64"))
				if err != nil {
					t.Fatal(err)
				}
				if err := packaging.Validate(p); err != nil {
					t.Error(err)
				}
				checkGolden(t, name+".golden", dump(t, p))
			})
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The targets of a format have one payload, but for one with contents of its own
// (debian12 in agent.txtar).
func TestResolveSharesPayload(t *testing.T) {
	a, err := txtar.ParseFile("testdata/resolve/agent.txtar")
	if err != nil {
		t.Fatal(err)
	}
	m, err := OpenFS(archiveFS(a), "vpkg.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := &Resolver{Manifest: m, Programs: fakeProgram}
	defer r.Close()
	firsts := make(map[string]packaging.Layout)
	for _, x := range Targets() {
		if x.Format == "msi" || x.GOARCH != "amd64" {
			continue
		}
		p, err := r.Resolve(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		first, ok := firsts[x.Format]
		if !ok {
			firsts[x.Format] = p.Layout
			continue
		}
		switch same := &first[0] == &p.Layout[0]; {
		case x.Label == "debian12" && (same || len(packaging.Diff(first, p.Layout)) == 0):
			t.Errorf("%s has the contents of %s.deb's, want its own", x, m.Name)
		case x.Label != "debian12" && !same:
			t.Errorf("%s does not share its layout", x)
		}
	}
}

func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (-want +got); go test -update writes it anew:\n%s", file, d)
	}
}

// dump writes a package as text, with what vpkg makes spelt out.
func dump(t *testing.T, p *packaging.Package) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s %s %s\nfile %s\ndate %s\ncompression %+v\ngroup %s\nsummary %s\ndescription %q\nlicense %s\nvendor %s\nmaintainer %s\nhomepage %s\n",
		p.Name, p.Version, p.Release, p.Arch, p.FileName, p.Date.Format(time.RFC3339), p.Compression, p.Group, p.Summary, p.Description, p.License, p.Vendor, p.Maintainer, p.Homepage)
	for _, a := range p.Accounts {
		fmt.Fprintf(&s, "account %+v\n", a)
	}
	for _, r := range p.Relations {
		fmt.Fprintf(&s, "%s %s %v\n", r.Kind, r.Text, r.For)
	}
	for _, f := range p.Fields {
		fmt.Fprintf(&s, "field %s: %s\n", f.Name, f.Value)
	}
	for _, c := range p.Changelog {
		fmt.Fprintf(&s, "change %s %s %q\n", c.Date.Format(time.DateOnly), c.Author, c.Text)
	}
	for _, x := range p.Triggers {
		fmt.Fprintf(&s, "trigger %s %s %q\n", x.Kind, x.On, x.Script.Body)
	}
	if w := p.Windows; w != nil {
		fmt.Fprintf(&s, "windows %q %s %s, data %s %s, hook of %d bytes, record %s, help %s, update %s\n", w.ProductName, w.UpgradeCode, w.Program, w.Data, w.DataAccess, w.HookSize, w.Record, w.HelpLink, w.UpdateLink)
		for _, x := range w.Services {
			fmt.Fprintf(&s, "service %+v\n", x)
		}
		for _, x := range w.Registry {
			fmt.Fprintf(&s, "registry %+v\n", x)
		}
		for _, x := range w.Environment {
			fmt.Fprintf(&s, "environment %+v\n", x)
		}
	}
	s.WriteString("\n")
	for i := range p.Layout {
		e := &p.Layout[i]
		if e.Regular() && strings.HasSuffix(e.Path, ".exe") {
			fmt.Fprintf(&s, "%s is %q\n", e.Path, content(t, e.Body))
		}
		fmt.Fprintf(&s, "%v %s:%s %d %s", e.Mode, e.OwnerName(), e.GroupName(), e.Size, e.Path)
		if e.Target != "" {
			fmt.Fprintf(&s, " -> %s", e.Target)
		}
		if e.Config != 0 {
			fmt.Fprintf(&s, " %s", e.Config)
		}
		if e.Ghost {
			s.WriteString(" ghost")
		}
		s.WriteString("\n")
		if !e.HasBody() {
			continue
		}
		b := content(t, e.Body)
		if int64(len(b)) != e.Size || sha256.Sum256(b) != e.SHA256 {
			t.Errorf("%s: body has %d bytes and another digest than the entry says", e.Path, len(b))
		}
	}
	for _, m := range p.Members {
		fmt.Fprintf(&s, "member %s %04o %d\n", m.Name, m.Mode, m.Size)
	}
	for _, sc := range p.Scripts {
		fmt.Fprintf(&s, "\n== %s %v\n%s", sc.Phase, sc.Interpreter, sc.Body)
	}
	for i := range p.Layout {
		if e := &p.Layout[i]; strings.HasSuffix(e.Path, "/hook.json") || strings.HasSuffix(e.Path, ".service") || strings.HasSuffix(e.Path, "/copyright") {
			fmt.Fprintf(&s, "\n== %s\n%s", e.Path, content(t, e.Body))
		}
	}
	return s.String()
}

func content(t *testing.T, b packaging.Body) []byte {
	t.Helper()
	f, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestResolveProblems(t *testing.T) {
	tests := []struct {
		name, yaml string
		files      map[string]string
		want       string
	}{
		{"no date", "", nil, "el8/x86_64: vpkg.yaml:1:1: manifest has no date, and neither SOURCE_DATE_EPOCH nor the payload gives one"},
		{"no payload", "date: 2026-01-01\npayload: {source: there}\n", nil, "el8/x86_64: vpkg.yaml:9:19: payload.source: open there: file does not exist"},
		{"data folder", "date: 2026-01-01\npayload: {source: p, destination: /opt}\n", map[string]string{"p/agent_data/x": ""}, "el8/x86_64: vpkg.yaml:9:19: /opt/agent_data lies in the data folder, which is made by the hook and not by the package\nvpkg.yaml:9:19: /opt/agent_data/x lies in the data folder, which is made by the hook and not by the package"},
		{"vpkg's own", "date: 2026-01-01\ncontents: [{source: a, destination: /opt/agent/bin/vpkg-hook}]\n", map[string]string{"a": ""}, "el8/x86_64: vpkg.yaml:9:37: /opt/agent/bin/vpkg-hook is added by vpkg itself"},
		{"in a file", "date: 2026-01-01\ncontents: [{source: a, destination: /opt/agent/a}, {source: a, destination: /opt/agent/a/b}]\n", map[string]string{"a": ""}, "el8/x86_64: /opt/agent/a/b lies in /opt/agent/a, which is no folder"},
		{"pattern", "date: 2026-01-01\ncontents: [{type: tree, source: p, destination: /opt/agent, attributes: [{match: nowhere}]}]\n", map[string]string{"p/a": ""}, "el8/x86_64: vpkg.yaml:9:33: contents[0]: attributes[0].match \"nowhere\" fits nothing in p"},
		{"template", "date: 2026-01-01\nservices: [{name: a.service, template: a}]\n", map[string]string{"a": "{{.Nowhere}}"}, "el8/x86_64: vpkg.yaml:9:40: services[0].template: template: a:1:2: executing \"a\" at <.Nowhere>: can't evaluate field Nowhere in type manifest.places"},
		{"unit twice", "date: 2026-01-01\nservices: [{name: a.service, source: a}]\ncontents: [{source: a, destination: /usr/lib/systemd/system/a.service}]\n", map[string]string{"a": ""}, "el8/x86_64: vpkg.yaml:9:19: /usr/lib/systemd/system/a.service is among the contents too"},
		{"no program", "date: 2026-01-01\nstart: [bin/ctl]\ncomponents: [{name: a}, {name: b}]\ncontents: [{source: a, destination: /opt/agent/bin/a}]\n", map[string]string{"a": ""}, "el8/x86_64: vpkg.yaml:9:8: /opt/agent/bin/ctl is not in the package\nvpkg.yaml:10:14: /opt/agent/bin/a is not executable\nvpkg.yaml:10:25: /opt/agent/bin/b is not in the package"},
		{"script", "date: 2026-01-01\nscripts: {post_install: a}\n", map[string]string{"a": "#!/usr/bin/perl\n"}, "el8/x86_64: vpkg.yaml:9:25: scripts.post_install: a: starts with \"#!/usr/bin/perl\", want a script for /bin/sh"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := fstest.MapFS{"vpkg.yaml": {Data: []byte(small + tt.yaml)}}
			if tt.name == "data folder" {
				fsys["vpkg.yaml"].Data = bytes.Replace(fsys["vpkg.yaml"].Data, []byte("folders:\n  program: /opt/agent\n"), []byte("folders: {program: /opt/agent,\n  data: /opt/agent_data}\n"), 1)
			}
			for n, b := range tt.files {
				fsys[n] = &fstest.MapFile{Data: []byte(b)}
			}
			m, err := OpenFS(fsys, "vpkg.yaml")
			if err != nil {
				t.Fatal(err)
			}
			_, err = (&Resolver{Manifest: m, Programs: fakeProgram}).Resolve(t.Context(), targetFor(t, "el8", "x86_64"))
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestMissingSources(t *testing.T) {
	yaml := small + "vendor: 5\ncontents: [{source: a, destination: /a}, {source: d, destination: /b}]\nservices: [{name: a.service, source: b}]\nscripts: {pre_install: c}\n"
	_, err := OpenFS(fstest.MapFS{"vpkg.yaml": {Data: []byte(yaml)}, "d/x": {}}, "vpkg.yaml")
	if err == nil {
		t.Fatal("no error")
	}
	want := `vpkg.yaml:8:9: vendor is the number 5, want text: put it in quotes
vpkg.yaml:9:21: contents[0].source: open a: file does not exist
vpkg.yaml:9:51: contents[1].source: d is a folder: want type: tree
vpkg.yaml:10:38: services[0].source: open b: file does not exist
vpkg.yaml:11:24: scripts.pre_install: open c: file does not exist`
	if got := err.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A manifest that says nothing about Windows makes no package for it.
func TestResolveNoWindows(t *testing.T) {
	m, err := Parse("vpkg.yaml", []byte(small+"date: 2026-01-01\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&Resolver{Manifest: m, Programs: fakeProgram}).Resolve(t.Context(), targetFor(t, "windows", "x64"))
	if !errors.Is(err, ErrNoWindows) {
		t.Errorf("got %v, want ErrNoWindows", err)
	}
}
