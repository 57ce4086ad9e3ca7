package library_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mholt/archives"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/dist"
	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/folder"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// fake is a package file that readFake reads, and what artifacts.json says of it.
func fake(version, system, arch string) (map[string]any, string) {
	format := "rpm"
	build := "1." + system
	switch system {
	case "windows":
		format, build = "msi", "1"
	case "debian13":
		format = "deb"
	}
	body := fmt.Sprintf("fake %s agent %s %s %s", format, version, build, arch)
	return map[string]any{
		"name": fmt.Sprintf("agent-%s-%s.%s.%s", version, build, arch, format), "format": format, "package": "agent",
		"version": version + "-" + build, "os": system, "arch": arch, "size": len(body), "sha256": fmt.Sprintf("%x", sha256.Sum256([]byte(body))),
	}, body
}

// writeDist writes a folder as vpkg build does.
func writeDist(t *testing.T, entries []map[string]any, bodies []string) string {
	t.Helper()
	dir := t.TempDir()
	var sums strings.Builder
	for i, e := range entries {
		name := e["name"].(string)
		fmt.Fprintf(&sums, "%s  %s\n", e["sha256"], name)
		name = filepath.Base(name)
		if name == "." || name == ".." {
			continue // no file can have such a name
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(bodies[i]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"artifacts.json": b, "SHA256SUMS": []byte(sums.String())} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// add imports fake packages of one version, each "SYSTEM/ARCH".
func add(t *testing.T, l *library.Library, version string, targets ...string) {
	t.Helper()
	var es []map[string]any
	var bodies []string
	for _, target := range targets {
		system, arch, _ := strings.Cut(target, "/")
		e, body := fake(version, system, arch)
		es, bodies = append(es, e), append(bodies, body)
	}
	done, err := l.Import(t.Context(), writeDist(t, es, bodies))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range done {
		if d.Err != nil {
			t.Fatalf("%s: %v", d.FileName, d.Err)
		}
	}
}

// releases gives what is offered, one line each.
func releases(t *testing.T, l *library.Library) []string {
	t.Helper()
	rs, err := l.Releases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rs {
		s := r.Product + " " + r.Version
		if r.Default {
			s += " (default)"
		}
		for _, i := range r.Images {
			s += " " + i.OS + "/" + i.Arch
		}
		got = append(got, s)
	}
	return got
}

// What vpkg build writes is what is read here: real packages, folder, bundle and file.
func TestImportWhatBuildWrites(t *testing.T) {
	dir := t.TempDir()
	var jobs []dist.Job
	for _, system := range []string{"debian12", "debian13"} {
		p := packagingtest.Small("deb", "amd64", 5000)
		p.Release = "1." + system
		p.FileName = "small-1.0-1." + system + ".amd64.deb"
		jobs = append(jobs, dist.Job{OS: system, Package: p, Format: deb.Format{}})
	}
	built, err := dist.Build(t.Context(), dist.Options{Dir: dir, Jobs: 1}, jobs)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := dist.Bundle(dir, "small", "1.0-1", time.Unix(0, 0), built)
	if err != nil {
		t.Fatal(err)
	}
	l, c := newLibrary(t)
	l.Read = func(ctx context.Context, r io.ReaderAt, size int64) (*packaging.Package, string, error) {
		p, err := deb.Format{}.Read(ctx, r, size, packaging.Payload)
		return p, "deb", err
	}
	first := filepath.Join(dir, built[0].Name)
	for _, tt := range []struct {
		name, path string
		isNew      []bool
	}{
		{"file", first, []bool{true}},
		{"bundle", bundle, []bool{false, true}},
		{"folder", dir, []bool{false, false}},
	} {
		done, err := l.Import(t.Context(), tt.path)
		if err != nil || len(done) != len(tt.isNew) {
			t.Fatalf("%s: %+v, %v", tt.name, done, err)
		}
		for i, d := range done {
			want := library.Image{
				FileName: built[i].Name, Product: "small", Release: "1.0-1", Version: built[i].Version, OS: built[i].OS,
				Arch: "amd64", Format: "deb", Size: built[i].Size, SHA256: built[i].SHA256, Imported: c.t,
			}
			if d.Err != nil || d.New != tt.isNew[i] {
				t.Errorf("%s: %s: new %t, %v", tt.name, d.FileName, d.New, d.Err)
			}
			if diff := cmp.Diff(want, d.Image); diff != "" {
				t.Errorf("%s: image (-want +got):\n%s", tt.name, diff)
			}
		}
	}
	want, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	_, f, err := l.Open(t.Context(), built[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the package that is served differs from the one that was built (%v)", err)
	}
	if got := lastEvents(t, l, 10); len(got) != 2 {
		t.Errorf("events %q, want 2: what is there already is none", got)
	}
}

func TestImportRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(e map[string]any, body *string)
		whole bool   // the import as a whole is refused
		want  string // in the error
	}{
		{"other bytes", func(_ map[string]any, body *string) { *body = strings.ToUpper(*body) }, false, "SHA-256"},
		{"too short", func(_ map[string]any, body *string) { *body = (*body)[1:] }, false, "bytes"},
		{"too long", func(_ map[string]any, body *string) { *body += " " }, false, "bytes"},
		{"not a package", func(e map[string]any, body *string) {
			*body = strings.Replace(*body, "fake", "xxxx", 1)
			e["sha256"] = fmt.Sprintf("%x", sha256.Sum256([]byte(*body)))
		}, false, "digest is wrong"},
		{"another product", func(e map[string]any, _ *string) { e["package"] = "other" }, false, "it is rpm agent"},
		{"another version", func(e map[string]any, _ *string) { e["version"] = "9-1.el9" }, false, "it is rpm agent"},
		{"another format", func(e map[string]any, _ *string) { e["format"] = "deb" }, false, "it is rpm agent"},
		{"over the limit", func(e map[string]any, body *string) {
			*body += strings.Repeat(" ", 2000)
			e["size"] = len(*body)
		}, false, "limit"},
		{"path", func(e map[string]any, _ *string) { e["name"] = "../agent.rpm" }, true, "file name"},
		{"path of Windows", func(e map[string]any, _ *string) { e["name"] = `..\agent.rpm` }, true, "file name"},
		{"folder", func(e map[string]any, _ *string) { e["name"] = ".." }, true, "file name"},
		{"stream", func(e map[string]any, _ *string) { e["name"] = "agent.rpm:x" }, true, "file name"},
		{"option", func(e map[string]any, _ *string) { e["name"] = "-rf" }, true, "file name"},
		{"no name", func(e map[string]any, _ *string) { e["name"] = "" }, true, "file name"},
		{"quotes", func(e map[string]any, _ *string) { e["os"] = `el9";` }, true, "plain word"},
		{"no digest", func(e map[string]any, _ *string) { delete(e, "sha256") }, true, "SHA256SUMS"},
		{"no size", func(e map[string]any, _ *string) { e["size"] = 0 }, true, "size"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := newLibrary(t)
			l.MaxPackage = 1000
			good, goodBody := fake("1.0", "el8", "x86_64")
			bad, badBody := fake("1.0", "el9", "x86_64")
			tt.spoil(bad, &badBody)
			done, err := l.Import(t.Context(), writeDist(t, []map[string]any{bad, good}, []string{badBody, goodBody}))
			want := []string{"agent 1.0-1 (default) el8/x86_64"}
			if tt.whole {
				want = nil
			} else if len(done) == 2 {
				if err != nil {
					t.Errorf("import: %v", err)
				}
				err = done[0].Err
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if d := cmp.Diff(want, releases(t, l)); d != "" {
				t.Errorf("offered (-want +got):\n%s", d)
			}
			wantFiles(t, l, len(want))
		})
	}
}

// wantFiles wants that many files in the folder of packages, and nothing unfinished.
func wantFiles(t *testing.T, l *library.Library, n int) {
	t.Helper()
	es, err := os.ReadDir(string(l.Packages.(folder.Packages)))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if len(es) != n {
		t.Errorf("there are %d package files, want %d: %v", len(es), n, es)
	}
}

// A package that is offered is never replaced by another of the same name or system.
func TestImportAnother(t *testing.T) {
	l, _ := newLibrary(t)
	add(t, l, "1.0", "el8/x86_64")
	_, body := fake("1.0", "el8", "x86_64")
	dir := t.TempDir()
	for _, name := range []string{"agent-1.0-1.el8.x86_64.rpm", "other.rpm"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(body+" "), 0o644); err != nil {
			t.Fatal(err)
		}
		done, err := l.Import(t.Context(), path)
		if err != nil || len(done) != 1 || !errors.Is(done[0].Err, library.ErrExists) {
			t.Errorf("%s: %+v, %v; want %v", name, done, err, library.ErrExists)
		}
	}
	wantFiles(t, l, 1)
	path := filepath.Join(dir, "plain.rpm")
	if err := os.WriteFile(path, []byte("fake rpm agent 1.0 7 x86_64"), 0o644); err != nil {
		t.Fatal(err)
	}
	done, err := l.Import(t.Context(), path)
	if err != nil || done[0].Err == nil || !strings.Contains(done[0].Err.Error(), "system") {
		t.Errorf("a package that names no system: %+v, %v", done, err)
	}
}

// bundle writes a .tar.bz2 of these, in pairs of name and content.
func bundle(t *testing.T, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	bz, err := archives.Bz2{}.OpenWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(bz)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}
		if target, ok := strings.CutPrefix(files[i+1], "-> "); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(tw, files[i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(tw.Close(), bz.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.tar.bz2")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHostileBundles(t *testing.T) {
	e, body := fake("1.0", "el8", "x86_64")
	name := e["name"].(string)
	dir := writeDist(t, []map[string]any{e}, []string{body})
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	index, sums := read("artifacts.json"), read("SHA256SUMS")
	lists := []string{"b/SHA256SUMS", sums, "b/artifacts.json", index}
	for _, tt := range []struct {
		name  string
		files []string
		want  string // in the error of the import or of the only package; empty means none
	}{
		{"good", append(lists[:4:4], "b/"+name, body), ""},
		{"package twice", append(lists[:4:4], "b/"+name, body, "b/"+name, body), "twice"},
		{"package before the lists", []string{"b/" + name, body, lists[0], lists[1], lists[2], lists[3]}, "begins with"},
		{"no lists", nil, "bundle"},
		{"list twice", []string{lists[0], lists[1], lists[0], lists[1]}, "not in one folder"},
		{"lists outside", []string{"../SHA256SUMS", sums, "../artifacts.json", index}, "not in one folder"},
		{"lists without a folder", []string{"SHA256SUMS", sums, "artifacts.json", index}, "not in one folder"},
		{"lists in two folders", []string{"a/SHA256SUMS", sums, "b/artifacts.json", index}, "begins with"},
		{"outside", append(lists[:4:4], "b/../../"+name, body), "no package"},
		{"absolute", append(lists[:4:4], "/b/"+name, body), "no package"},
		{"link", append(lists[:4:4], "b/"+name, "-> /etc/passwd"), "no package"},
		{"not listed", append(lists[:4:4], "b/x.rpm", body), "no package"},
		{"another size", append(lists[:4:4], "b/"+name, body+" "), "bytes"},
		{"missing", lists, "not in the bundle"},
		{"sums differ", []string{lists[0], strings.Repeat("ab", 32) + "  " + name + "\n", lists[2], index}, "has sum"},
		{"sums of others", []string{lists[0], "", lists[2], index}, "does not list"},
		{"sums are none", []string{lists[0], "hello\n", lists[2], index}, "sha256sum"},
		{"index is none", []string{lists[0], sums, lists[2], "[{]"}, "artifacts.json"},
		{"index is empty", []string{lists[0], sums, lists[2], "[]"}, "0 packages"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := newLibrary(t)
			done, err := l.Import(t.Context(), bundle(t, tt.files...))
			if err == nil && len(done) == 1 {
				err = done[0].Err
			}
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	whole, err := os.ReadFile(bundle(t, append(lists[:4:4], "b/"+name, body)...))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 13 {
		l, _ := newLibrary(t)
		path := filepath.Join(t.TempDir(), "cut.tar.bz2")
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if done, err := l.Import(t.Context(), path); err == nil && done[0].Err == nil {
			t.Errorf("a bundle of which %d of %d bytes are there was imported", n, len(whole))
		}
	}
}

func TestVersionChoice(t *testing.T) {
	l, _ := newLibrary(t)
	add(t, l, "1.9", "el8/x86_64", "debian13/amd64", "windows/x64")
	add(t, l, "1.10", "el8/x86_64", "debian13/amd64")
	add(t, l, "1.2", "el8/x86_64")
	if got := releases(t, l); got[0] != "agent 1.10-1 (default) debian13/amd64 el8/x86_64" || len(got) != 3 {
		t.Errorf("releases %q, want 1.10 first", got)
	}
	p := newProfile(t, l, func(p *library.Profile) { p.Version = "1.2-1" })
	q := library.NewProfile("default")
	q, err := l.SaveProfile(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	choose := func(profile int64, system, arch, want string) {
		t.Helper()
		i, err := l.Choose(t.Context(), profile, "agent", system, arch)
		if want == "" {
			if !errors.Is(err, library.ErrNotFound) {
				t.Errorf("profile %d, %s: %+v, %v; want %v", profile, system, i, err, library.ErrNotFound)
			}
			return
		}
		if err != nil || i.Release != want {
			t.Errorf("profile %d, %s: release %q, %v; want %s", profile, system, i.Release, err, want)
		}
	}
	choose(0, "el8", "x86_64", "1.10-1") // the newest
	choose(q.ID, "el8", "x86_64", "1.10-1")
	choose(p.ID, "el8", "x86_64", "1.2-1")
	choose(0, "windows", "x64", "") // an older one is not taken instead
	choose(99, "el8", "x86_64", "")
	if err := l.SetDefault(t.Context(), "agent", "1.9-1"); err != nil {
		t.Fatal(err)
	}
	choose(0, "windows", "x64", "1.9-1")
	choose(q.ID, "debian13", "amd64", "1.9-1")
	choose(p.ID, "el8", "x86_64", "1.2-1") // the profile's wins
	choose(p.ID, "debian13", "amd64", "")

	for version, want := range map[string]error{"1.9-1": library.ErrInUse, "1.2-1": library.ErrInUse, "7": library.ErrNotFound} {
		if err := l.Remove(t.Context(), "agent", version); !errors.Is(err, want) {
			t.Errorf("removing %s: %v, want %v", version, err, want)
		}
	}
	if err := l.SetDefault(t.Context(), "agent", "7"); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("default 7: %v, want %v", err, library.ErrNotFound)
	}
	if err := l.SetDefault(t.Context(), "agent", ""); err != nil {
		t.Fatal(err)
	}
	choose(0, "el8", "x86_64", "1.10-1")
	if err := l.Remove(t.Context(), "agent", "1.10-1"); !errors.Is(err, library.ErrInUse) {
		t.Errorf("removing the newest, which machines get: %v, want %v", err, library.ErrInUse)
	}
	wantFiles(t, l, 6)
	if err := l.Remove(t.Context(), "agent", "1.9-1"); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, l, 3)
	choose(0, "windows", "x64", "")
	if _, _, err := l.Open(t.Context(), "agent-1.9-1.x64.msi"); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("opening a removed package: %v, want %v", err, library.ErrNotFound)
	}
}

// The last release can be removed, and what was said of it goes with it.
func TestRemoveLast(t *testing.T) {
	l, _ := newLibrary(t)
	add(t, l, "1.0", "el8/x86_64")
	if err := l.SetDefault(t.Context(), "agent", "1.0-1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Remove(t.Context(), "agent", "1.0-1"); err != nil {
		t.Fatal(err)
	}
	add(t, l, "1.0", "el8/x86_64")
	add(t, l, "2.0", "el8/x86_64")
	if d := cmp.Diff([]string{"agent 2.0-1 (default) el8/x86_64", "agent 1.0-1 el8/x86_64"}, releases(t, l)); d != "" {
		t.Errorf("releases (-want +got):\n%s", d)
	}
}
