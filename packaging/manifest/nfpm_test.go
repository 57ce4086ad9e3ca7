package manifest

import (
	"archive/tar"
	"bytes"
	stdcmp "cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/goreleaser/nfpm/v2"
	nfpmdeb "github.com/goreleaser/nfpm/v2/deb"
	nfpmrpm "github.com/goreleaser/nfpm/v2/rpm"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
)

// nfpmEnv stands for the environment.
func nfpmEnv(name string) string {
	return map[string]string{"GOARCH": "arm64", "WHO": "Ann Example <ann@example.com>"}[name]
}

// unpackNFPM writes the files of a txtar archive into a new folder, which becomes
// the current one, for nfpm reads what is in it.
func unpackNFPM(t *testing.T, file string) {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := txtar.Write(a, dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		p := filepath.Join(dir, f.Name)
		mode := fs.FileMode(0o664)
		if bytes.HasPrefix(f.Data, []byte("#!")) {
			mode = 0o775
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		when := time.Date(2025, 2, 3, 4, 5, 6, 0, time.UTC)
		if err := os.Chtimes(p, when, when); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

// nfpmPackage lets nfpm itself make the package, and gives its file.
func nfpmPackage(t *testing.T, format string) string {
	t.Helper()
	c, err := nfpm.ParseFileWithEnvMapping("nfpm.yaml", nfpmEnv)
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.Get(format)
	if err != nil {
		t.Fatal(err)
	}
	var packager nfpm.Packager = nfpmrpm.DefaultRPM
	if format == "deb" {
		packager = nfpmdeb.Default
	}
	name := packager.ConventionalFileName(info)
	f, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := packager.Package(info, f); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func resolveNFPM(t *testing.T, label string) *packaging.Package {
	t.Helper()
	n, err := OpenNFPM("nfpm.yaml", nfpmEnv)
	if err != nil {
		t.Fatal(err)
	}
	arch := n.Arch()
	if arch == "" {
		arch = "x86_64"
	}
	p, err := n.Resolve(t.Context(), targetFor(t, label, arch))
	if err != nil {
		t.Fatal(err)
	}
	if err := packaging.Validate(p); err != nil {
		t.Error(err)
	}
	return p
}

// What rpm reads in the package that nfpm makes is what our package says.
func TestNFPMRPM(t *testing.T) {
	for _, in := range nfpmInputs(t) {
		t.Run(filepath.Base(in), func(t *testing.T) {
			oracle.Need(t, "rpm")
			unpackNFPM(t, in)
			p := resolveNFPM(t, "el9")
			theirs := nfpmPackage(t, "rpm")
			if got, want := p.FileName, filepath.Base(theirs); got != want {
				t.Errorf("file name: got %s, want %s", got, want)
			}
			query := func(format string) string {
				t.Helper()
				out, err := exec.Command("rpm", "--nosignature", "-qp", "--qf", format, theirs).Output()
				if err != nil {
					t.Fatal(err)
				}
				return string(out)
			}
			want := query("%{NAME} %{EPOCH} %{VERSION} %{RELEASE} %{ARCH}\n%{SUMMARY}\n%{DESCRIPTION}|%{LICENSE}|%{VENDOR}|%{PACKAGER}|%{URL}|%{GROUP}\n[prefix %{PREFIXES}\n][%{CHANGELOGTIME} %{CHANGELOGNAME} %{CHANGELOGTEXT}\n]")
			if d := cmp.Diff(strings.Replace(want, "\n|", "|", 1), rpmIdentity(p)); d != "" { // but for the description's end
				t.Errorf("-nfpm +vpkg:\n%s", d)
			}
			want = query("[requires %{REQUIRENEVRS}\n][recommends %{RECOMMENDNEVRS}\n][suggests %{SUGGESTNEVRS}\n][provides %{PROVIDENEVRS}\n][conflicts %{CONFLICTNEVRS}\n][replaces %{OBSOLETENEVRS}\n]")
			if d := cmp.Diff(relationLines(want, p), relationsOf(p)); d != "" {
				t.Errorf("-nfpm +vpkg:\n%s", d)
			}
			want = query("[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags} %{FILEMTIMES} %{FILEDIGESTS} %{FILELINKTOS}\n]")
			if d := cmp.Diff(rpmFileLines(want), rpmFiles(p)); d != "" {
				t.Errorf("-nfpm +vpkg:\n%s", d)
			}
			for phase, tag := range map[packaging.Phase]string{
				packaging.PreInstall: "PREIN", packaging.PostInstall: "POSTIN", packaging.PreRemove: "PREUN", packaging.PostRemove: "POSTUN",
				packaging.PreTrans: "PRETRANS", packaging.PostTrans: "POSTTRANS", packaging.VerifyScript: "VERIFYSCRIPT",
			} {
				theirs := query("%{" + tag + "}")
				if line, rest, ok := strings.Cut(theirs, "\n"); ok && strings.HasPrefix(line, "#!") {
					theirs = rest
				}
				s, _ := p.Script(phase)
				if ours := s.Body; ours != strings.TrimPrefix(theirs, "(none)") {
					t.Errorf("%s: got %q, want %q", phase, ours, theirs)
				}
			}
		})
	}
}

func nfpmInputs(t *testing.T) []string {
	t.Helper()
	inputs, err := filepath.Glob("testdata/nfpm/*.txtar")
	if err != nil || len(inputs) == 0 {
		t.Fatal(inputs, err)
	}
	for i, in := range inputs {
		if inputs[i], err = filepath.Abs(in); err != nil {
			t.Fatal(err)
		}
	}
	return inputs
}

func none(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func rpmIdentity(p *packaging.Package) string {
	var s strings.Builder
	epoch := "(none)"
	if p.Epoch != 0 {
		epoch = fmt.Sprint(p.Epoch)
	}
	fmt.Fprintf(&s, "%s %s %s %s %s\n%s\n%s", p.Name, epoch, p.Version, p.Release, p.Arch, p.Summary, p.Description)
	fmt.Fprintf(&s, "|%s|%s|%s|%s|%s\n", p.License, none(p.Vendor), none(p.Maintainer), none(p.Homepage), none(p.Group))
	for _, x := range p.Prefixes {
		fmt.Fprintf(&s, "prefix %s\n", x)
	}
	for _, c := range p.Changelog {
		fmt.Fprintf(&s, "%d %s %s\n", c.Date.Unix(), c.Author, c.Text)
	}
	return s.String()
}

// relationLines sorts rpm's lines without those that every RPM has, which a
// Package leaves to its format.
func relationLines(text string, p *packaging.Package) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "provides "+p.Name+" ") && !strings.HasPrefix(line, "provides "+p.Name+"(") &&
			!strings.HasPrefix(line, "requires rpmlib(") && line != "requires /bin/sh" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

func relationsOf(p *packaging.Package) []string {
	var lines []string
	for _, r := range p.Relations {
		lines = append(lines, string(r.Kind)+" "+r.Text)
	}
	slices.Sort(lines)
	return lines
}

// rpmFileLines are rpm's lines, without the digest that nfpm gives ghosts, and
// without the time of links, which nfpm's clock gives.
func rpmFileLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), " ")
		switch {
		case strings.HasPrefix(f[1], "12"):
			f[4] = "-"
		case strings.Contains(f[3], "g"):
			f = f[:5]
		}
		lines = append(lines, strings.TrimSpace(strings.Join(f, " ")))
	}
	return lines
}

func rpmFiles(p *packaging.Package) []string {
	var lines []string
	for i := range p.Layout {
		e := &p.Layout[i]
		flags := map[packaging.Config]string{packaging.ConfigReplace: "c", packaging.ConfigNoReplace: "cn", packaging.ConfigMissingOK: "cm"}[e.Config]
		for _, f := range []struct {
			set  bool
			name string
		}{{e.Doc, "d"}, {e.Ghost, "g"}, {e.Lic, "l"}, {e.Readme, "r"}} {
			if f.set {
				flags += f.name
			}
		}
		mode, when, digest := packaging.UnixMode(e.Mode), fmt.Sprint(timeOf(p, e).Unix()), ""
		if e.Mode&fs.ModeSymlink != 0 {
			mode, when = mode&^0o777, "-" // nfpm's links have no mode
		}
		if e.HasBody() {
			digest = e.SHA256.String()
		}
		line := fmt.Sprintf("%s %o %s:%s %s %s %s %s", e.Path, mode, e.OwnerName(), e.GroupName(), flags, when, digest, e.Target)
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

func timeOf(p *packaging.Package, e *packaging.Entry) time.Time {
	if e.ModTime.IsZero() {
		return p.Date
	}
	return e.ModTime
}

// What dpkg-deb reads in the package that nfpm makes is what our package says.
func TestNFPMDeb(t *testing.T) {
	for _, in := range nfpmInputs(t) {
		t.Run(filepath.Base(in), func(t *testing.T) {
			oracle.Need(t, "dpkg-deb")
			unpackNFPM(t, in)
			p := resolveNFPM(t, "debian12")
			theirs := nfpmPackage(t, "deb")
			if got, want := p.FileName, filepath.Base(theirs); got != want {
				t.Errorf("file name: got %s, want %s", got, want)
			}
			run := func(args ...string) []byte {
				t.Helper()
				out, err := exec.Command("dpkg-deb", append(args, theirs)...).Output()
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			if d := cmp.Diff(debFields(string(run("--field"))), debIdentity(p)); d != "" {
				t.Errorf("-nfpm +vpkg:\n%s", d)
			}
			if d := cmp.Diff(tarLines(t, run("--fsys-tarfile"), false), debFiles(t, p)); d != "" {
				t.Errorf("-nfpm +vpkg:\n%s", d)
			}
			if d := cmp.Diff(tarLines(t, run("--ctrl-tarfile"), true), debControl(t, p)); d != "" {
				t.Errorf("-nfpm +vpkg:\n%s", d)
			}
		})
	}
}

// debFields gives the fields of a control file, sorted, without its size and
// empty ones.
func debFields(text string) []string {
	var fields []string
	for line := range strings.Lines(text) {
		switch line = strings.TrimRight(line, "\n"); {
		case strings.HasPrefix(line, " "):
			fields[len(fields)-1] += "\n" + line
		case !strings.HasPrefix(line, "Installed-Size:") && !strings.HasSuffix(line, ":") && !strings.HasSuffix(line, ": "):
			fields = append(fields, line)
		}
	}
	slices.Sort(fields)
	return fields
}

func debIdentity(p *packaging.Package) []string {
	var fields []string
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, name+": "+value)
		}
	}
	add("Package", p.Name)
	add("Version", p.EVR())
	add("Architecture", p.Arch)
	add("Maintainer", p.Maintainer)
	add("Section", p.Group)
	add("Priority", p.Priority)
	add("Homepage", p.Homepage)
	description := p.Summary
	if p.Description != "" {
		for line := range strings.SplitSeq(p.Description, "\n") {
			if line == "" {
				line = "."
			}
			description += "\n " + line
		}
	}
	add("Description", description)
	names := map[packaging.RelationKind]string{
		packaging.Requires: "Depends", packaging.PreRequires: "Pre-Depends", packaging.Recommends: "Recommends", packaging.Suggests: "Suggests",
		packaging.Provides: "Provides", packaging.Conflicts: "Conflicts", packaging.Replaces: "Replaces", packaging.Breaks: "Breaks",
	}
	for kind, name := range names {
		var texts []string
		for _, r := range p.Relations {
			if r.Kind == kind {
				texts = append(texts, r.Text)
			}
		}
		add(name, strings.Join(texts, ", "))
	}
	for _, f := range p.Fields {
		add(f.Name, f.Value)
	}
	for i, f := range fields {
		if strings.HasPrefix(f, "Priority: ") && p.Priority == "" {
			fields[i] = ""
		}
	}
	if p.Priority == "" {
		fields = append(fields, "Priority: optional") // the format's default, as nfpm's
	}
	slices.Sort(fields)
	return fields
}

// tarLines lists a tar. The system's folders are left out: a Package has none.
// Of what nfpm writes into a control archive only what a Package gives is kept.
func tarLines(t *testing.T, b []byte, control bool) []string {
	t.Helper()
	var lines []string
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := path.Join("/", h.Name)
		if slices.Contains(systemFolders, name) || control && slices.Contains([]string{"/control", "/md5sums"}, name) {
			continue
		}
		if control {
			text := string(body)
			if path.Base(name) != "triggers" && path.Base(name) != "templates" && path.Base(name) != "conffiles" && !strings.HasPrefix(text, "#!") {
				text = "#!/bin/sh\n" + text // a script without that line is sh's to execvp
			}
			lines = append(lines, fmt.Sprintf("%s %q", name, text))
			continue
		}
		lines = append(lines, tarLine(name, h.Linkname, h.Mode, stdcmp.Or(h.Uname, "root"), stdcmp.Or(h.Gname, "root"), h.ModTime, h.Typeflag == tar.TypeDir, unzipped(t, name, body)))
	}
	slices.Sort(lines)
	return lines
}

func tarLine(name, target string, mode int64, owner, group string, when time.Time, dir bool, body []byte) string {
	kind := "file"
	switch {
	case dir:
		kind, when = "dir", time.Time{} // nfpm's are the clock's where there is no mtime
	case target != "":
		kind, mode, when = "link", 0, time.Time{} // likewise
	}
	return fmt.Sprintf("%s %s %04o %s:%s %d %s %q", name, kind, mode, owner, group, when.Unix(), target, body)
}

// unzipped looks into the changelog: its compressed form is its compressor's.
func unzipped(t *testing.T, name string, b []byte) []byte {
	t.Helper()
	if !strings.HasSuffix(name, ".gz") {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	b, err = io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func debFiles(t *testing.T, p *packaging.Package) []string {
	t.Helper()
	var lines []string
	for i := range p.Layout {
		e := &p.Layout[i]
		var body []byte
		if e.HasBody() {
			body = unzipped(t, e.Path, content(t, e.Body))
		}
		lines = append(lines, tarLine(e.Path, e.Target, int64(packaging.UnixMode(e.Mode)&0o7777), e.OwnerName(), e.GroupName(), timeOf(p, e), e.Mode.IsDir(), body))
	}
	slices.Sort(lines)
	return lines
}

func debControl(t *testing.T, p *packaging.Package) []string {
	t.Helper()
	names := map[packaging.Phase]string{
		packaging.PreInstall: "preinst", packaging.PostInstall: "postinst", packaging.PreRemove: "prerm", packaging.PostRemove: "postrm", packaging.DebConfig: "config",
	}
	files := make(map[string]string)
	for _, s := range p.Scripts {
		files[names[s.Phase]] = s.Body
	}
	for _, m := range p.Members {
		files[m.Name] = string(content(t, m.Body))
	}
	for i := range p.Layout {
		if p.Layout[i].Config != 0 {
			files["conffiles"] += p.Layout[i].Path + "\n"
		}
	}
	for _, x := range p.Triggers {
		files["triggers"] += x.Kind + " " + x.On[0] + "\n"
	}
	var lines []string
	for name, text := range files {
		lines = append(lines, fmt.Sprintf("/%s %q", name, text))
	}
	slices.Sort(lines)
	return lines
}

func TestNFPMProblems(t *testing.T) {
	const head = "name: a\narch: amd64\nversion: 1.0.0\n"
	tests := []struct{ name, yaml, want string }{
		{"unknown key", head + "colour: b\n", "nfpm.yaml: yaml: unmarshal errors:\n  line 4: field colour not found in type nfpm.Config (read as nfpm 2.45 does)"},
		{"signature", head + "rpm: {signature: {key_file: k}}\noverrides: {deb: {deb: {signature: {key_file: k}}}}\n", "nfpm.yaml: rpm.signature.key_file: vpkg does not sign while it builds: leave it out and sign the file with rpmsign\nnfpm.yaml: overrides.deb.deb.signature.key_file: vpkg does not sign while it builds: leave it out and sign the file or its repository"},
		{"platform", head + "platform: darwin\n", `nfpm.yaml: platform: "darwin" is not linux`},
		{"override", head + "overrides: {debian: {}}\n", `nfpm.yaml: overrides: unknown packager "debian" (did you mean "deb"?)`},
		{"decimal mode", head + "contents: [{src: a, dst: /a, file_info: {mode: 4755}}]\n", "nfpm.yaml: contents[0].file_info.mode: 4755 has more than four octal digits: write it as 011223 or 0o11223"},
		{"architecture", strings.Replace(head, "amd64", "386", 1), "el9/x86_64: nfpm.yaml: its arch 386 is i386, not the target's"},
		{"compression", head + "mtime: 2024-01-01T00:00:00Z\nrpm: {compression: lzma}\n", `el9/x86_64: nfpm.yaml: rpm.compression: compression "lzma" is not zstd, gzip, xz, mszip or none`},
		{"no date", head, "el9/x86_64: nfpm.yaml: mtime: want one, or SOURCE_DATE_EPOCH: no file in the package gives a date"},
		{"no file", head + "contents: [{src: nowhere, dst: /a}]\n", "el9/x86_64: nfpm.yaml: contents: matching \"./nowhere\": file does not exist"},
		{"no script", head + "mtime: 2024-01-01T00:00:00Z\nscripts: {preinstall: nowhere}\n", "el9/x86_64: nfpm.yaml: scripts.preinstall: open nowhere: no such file or directory"},
		{"twice", head + "contents: [{dst: /a, type: dir}, {dst: /a, type: dir}]\n", "el9/x86_64: nfpm.yaml: contents: adding dir at destination /a: dir with source . is already present at this destination: content collision"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.WriteFile("nfpm.yaml", []byte(tt.yaml), 0o644); err != nil {
				t.Fatal(err)
			}
			n, err := OpenNFPM("nfpm.yaml", nfpmEnv)
			if err == nil {
				_, err = n.Resolve(t.Context(), targetFor(t, "el9", "x86_64"))
			}
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
