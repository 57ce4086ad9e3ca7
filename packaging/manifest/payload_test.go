package manifest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// writeTar writes a .tar.gz whose entries are "NAME MODE [-> TARGET | = FIRST NAME]".
func writeTar(t *testing.T, file string, entries ...string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		f := strings.Fields(e)
		h := &tar.Header{Name: f[0], Typeflag: tar.TypeReg, ModTime: time.Unix(1_700_000_000, 0), Uname: "builder", Gname: "builder"}
		if _, err := fmt.Sscanf(f[1], "%o", &h.Mode); err != nil {
			t.Fatal(err)
		}
		body := "content of " + f[0] + "\n"
		switch {
		case len(f) > 2 && f[2] == "->":
			h.Typeflag, h.Linkname, body = tar.TypeSymlink, f[3], ""
		case len(f) > 2 && f[2] == "=":
			h.Typeflag, h.Linkname, body = tar.TypeLink, f[3], ""
		case strings.HasSuffix(f[0], "/"):
			h.Typeflag, body = tar.TypeDir, ""
		}
		h.Size = int64(len(body))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// project writes files below a new folder and gives it.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// programFiles lists what lies in the program folder, without what vpkg adds.
func programFiles(p *packaging.Package) string {
	var s strings.Builder
	for i := range p.Layout {
		e := &p.Layout[i]
		rel, ok := relative(e.Path, "/opt/agent")
		if !ok || strings.HasSuffix(rel, ".json") || rel == "bin/vpkg-hook" {
			continue
		}
		fmt.Fprintf(&s, "%s %v %s:%s", rel, e.Mode, e.OwnerName(), e.GroupName())
		switch {
		case e.HardLink != "":
			s.WriteString(" = " + e.HardLink)
		case e.Target != "":
			s.WriteString(" -> " + e.Target)
		}
		s.WriteString("\n")
	}
	return s.String()
}

func resolveIn(t *testing.T, dir, yaml, payload string) (*packaging.Package, error) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "sub", "vpkg.yaml")
	if err := os.WriteFile(file, []byte(small+yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Open(file)
	if err != nil {
		return nil, err
	}
	r := &Resolver{Manifest: m, Payload: payload, Programs: fakeProgram}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r.Resolve(t.Context(), targetFor(t, "el9", "aarch64"))
}

// Modes and owners are neither the build host's nor the archive's, and the date
// is that of the newest file.
func TestPayloadArchive(t *testing.T) {
	dir := project(t, nil)
	writeTar(t, filepath.Join(dir, "agent.tar.gz"), "bin/ 0700", "bin/agentd 4711", "lib/x 0600", "lib/y 0600 = lib/x", "lib/link 0777 -> x", "bin/vpkg-hook 0755")
	p, err := resolveIn(t, dir, "payload: {source: ../agent.tar.gz, attributes: [{match: lib, dir_mode: '2775'}]}\n", "")
	if err != nil {
		t.Fatal(err)
	}
	const want = `. drwxr-xr-x root:root
bin drwxr-xr-x root:root
bin/agentd -rwxr-xr-x root:root
etc drwxr-xr-x root:root
lib dgrwxrwxr-x root:root
lib/link Lrwxrwxrwx root:root -> x
lib/x -rw-r--r-- root:root
lib/y -rw-r--r-- root:root = /opt/agent/lib/x
`
	if got := programFiles(p); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if want := time.Unix(1_700_000_000, 0); !p.Date.Equal(want) {
		t.Errorf("date %v, want %v", p.Date, want)
	}
	hook, _ := p.Layout.Lookup("/opt/agent/bin/vpkg-hook")
	if got, want := string(content(t, hook.Body)), "vpkg-hook for linux on arm64"; got != want {
		t.Errorf("the hook is %q, want vpkg's own: %q", got, want)
	}
	if got, want := string(content(t, mustLookup(t, p, "/opt/agent/lib/x").Body)), "content of lib/x\n"; got != want {
		t.Errorf("lib/x is %q, want %q", got, want)
	}
}

func mustLookup(t *testing.T, p *packaging.Package, path string) packaging.Entry {
	t.Helper()
	e, ok := p.Layout.Lookup(path)
	if !ok {
		t.Fatalf("%s is not in the layout", path)
	}
	return e
}

// A hard link whose first name is replaced, left out or changed gets the file.
func TestHardLinks(t *testing.T) {
	dir := project(t, map[string]string{"other": "another"})
	archive := filepath.Join(dir, "agent.tar.gz")
	writeTar(t, archive, "a 0644", "b 0644 = a", "c 0644 = a", "d 0644 = a")
	tests := []struct{ name, yaml, want string }{
		{"left out", "payload: {attributes: [{match: a, exclude: true}]}\n", "b -rw-r--r-- root:root\nc -rw-r--r-- root:root = /opt/agent/b\nd -rw-r--r-- root:root = /opt/agent/b\n"},
		{"changed", "payload: {attributes: [{match: c, mode: '0600'}]}\n", "a -rw-r--r-- root:root\nb -rw-r--r-- root:root = /opt/agent/a\nc -rw------- root:root\nd -rw-r--r-- root:root = /opt/agent/a\n"},
		{"replaced", "contents: [{source: ../other, destination: /opt/agent/a}]\n", "a -rw-r--r-- root:root\nb -rw-r--r-- root:root\nc -rw-r--r-- root:root\nd -rw-r--r-- root:root\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := resolveIn(t, dir, "date: 2026-01-01\n"+tt.yaml, archive)
			if err != nil {
				t.Fatal(err)
			}
			if err := packaging.Validate(p); err != nil {
				t.Error(err)
			}
			var got strings.Builder
			for line := range strings.Lines(programFiles(p)) {
				if f := strings.Fields(line); len(f[0]) == 1 && f[0] != "." {
					got.WriteString(line)
				}
			}
			if got.String() != tt.want {
				t.Errorf("got\n%swant\n%s", got.String(), tt.want)
			}
			for i := range p.Layout {
				if e := &p.Layout[i]; e.HasBody() && e.Body == nil {
					t.Errorf("%s has no body", e.Path)
				}
			}
		})
	}
}

// --payload takes the place of the payload's contents, but not of the
// manifest's, and its attributes hold for it.
func TestPayloadOption(t *testing.T) {
	dir := project(t, map[string]string{"old/bin/a": "a", "new/bin/b": "b", "extra": "x"})
	const yaml = `date: 2026-01-01
account: {user: svc}
payload:
  source: ../old
  contents: [{source: ../extra, destination: /opt/agent/bin/extra}]
  attributes: [{match: "bin/**", mode: "0640", group: svc}]
contents: [{source: ../extra, destination: /opt/agent/x}]
`
	const always = "etc drwxr-xr-x root:root\nx -rw-r--r-- root:root\n"
	for payload, want := range map[string]string{
		"":                        "bin/a -rw-r----- root:svc\nbin/extra -rw-r--r-- root:root\n" + always,
		filepath.Join(dir, "new"): "bin/b -rw-r----- root:svc\n" + always,
	} {
		p, err := resolveIn(t, dir, yaml, payload)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := programFiles(p), ". drwxr-xr-x root:root\nbin drwxr-xr-x root:svc\n"+want; got != want {
			t.Errorf("--payload %q: got\n%swant\n%s", payload, got, want)
		}
		if hook := mustLookup(t, p, "/opt/agent/bin/vpkg-hook"); hook.Mode != 0o755 || hook.Group != "svc" {
			t.Errorf("hook is %v of group %s, want it executable and svc's", hook.Mode, hook.Group)
		}
	}
}

func TestPayloadProblems(t *testing.T) {
	dir := project(t, map[string]string{"file": "no archive"})
	_, err := resolveIn(t, dir, "date: 2026-01-01\n", filepath.Join(dir, "nowhere"))
	if err == nil || !strings.Contains(err.Error(), "payload: ") || !strings.Contains(err.Error(), fs.ErrNotExist.Error()[:4]) {
		t.Errorf("missing payload: %v", err)
	}
	_, err = resolveIn(t, dir, "date: 2026-01-01\npayload: {source: ../file}\n", "")
	if err == nil || !strings.Contains(err.Error(), "vpkg.yaml:9:19: payload.source: ") {
		t.Errorf("payload that is no archive: %v", err)
	}
}
