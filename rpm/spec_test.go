package rpm

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
)

// specWriter makes the spec file and the %install script from which rpmbuild
// builds the package that p is.
type specWriter struct {
	strings.Builder
	p *packaging.Package
}

func (w *specWriter) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// spec gives the spec file. The bodies of p's files are in the folder bodies,
// each under the number of its entry.
func spec(p *packaging.Package, bodies string) string {
	w := &specWriter{p: p}
	w.preamble()
	w.line("%%description\n%s", p.Description)
	for _, s := range p.Scripts {
		w.line("%s%s\n%s", specScripts[s.Phase], specInterpreter(s), s.Body)
	}
	for _, t := range p.Triggers {
		separator := ", "
		if strings.Contains(t.Kind, "file") {
			separator = " "
		}
		priority := ""
		if t.Priority != 0 {
			priority = fmt.Sprintf(" -P %d", t.Priority)
		}
		w.line("%%%s%s%s -- %s\n%s", t.Kind, specInterpreter(t.Script), priority, strings.Join(t.On, separator), t.Script.Body)
	}
	w.line("%%install")
	for i := range p.Layout {
		w.install(i, bodies)
	}
	for _, e := range slices.Backward(p.Layout) { // a folder's time, after what is in it
		w.line("touch -h -d @%d %%{buildroot}%s", modTime(p, &e).Unix(), e.Path)
	}
	w.line("%%files")
	for i := range p.Layout {
		w.file(&p.Layout[i])
	}
	w.line("%%changelog")
	for _, c := range p.Changelog {
		w.line("* %s %s\n%s\n", c.Date.UTC().Format("Mon Jan 02 2006"), c.Author, c.Text)
	}
	return w.String()
}

func (w *specWriter) preamble() {
	p := w.p
	for _, f := range []struct{ tag, value string }{
		{"Name", p.Name},
		{"Version", p.Version},
		{"Release", p.Release},
		{"Summary", p.Summary},
		{"License", p.License},
		{"Vendor", p.Vendor},
		{"Packager", p.Maintainer},
		{"URL", p.Homepage},
		{"Group", p.Group},
	} {
		if f.value != "" {
			w.line("%s: %s", f.tag, f.value)
		}
	}
	if p.Epoch != 0 {
		w.line("Epoch: %d", p.Epoch)
	}
	if p.Arch == noArch {
		w.line("BuildArch: noarch")
	}
	if !p.RequiresELF {
		w.line("AutoReqProv: no")
	}
	for _, f := range p.Prefixes {
		w.line("Prefix: %s", f)
	}
	for _, r := range p.Relations {
		tag := map[packaging.RelationKind]string{
			packaging.PreRequires: "Requires(pre)", packaging.Replaces: "Obsoletes",
		}[r.Kind]
		if tag == "" {
			tag = strings.ToUpper(string(r.Kind[0])) + string(r.Kind[1:])
		}
		if len(r.For) > 0 {
			var phases []string
			for _, ph := range r.For {
				phases = append(phases, strings.TrimSuffix(strings.TrimPrefix(specScripts[ph], "%"), "script"))
			}
			tag += "(" + strings.Join(phases, ",") + ")"
		}
		w.line("%s: %s", tag, r.Text)
	}
}

var specScripts = map[packaging.Phase]string{
	packaging.PreInstall: "%pre", packaging.PostInstall: "%post", packaging.PreRemove: "%preun",
	packaging.PostRemove: "%postun", packaging.PreTrans: "%pretrans", packaging.PostTrans: "%posttrans",
	packaging.VerifyScript: "%verifyscript",
}

func specInterpreter(s packaging.Script) string {
	switch len(s.Interpreter) {
	case 0:
		return ""
	case 1:
		return " -p " + s.Interpreter[0]
	}
	return ` -p "` + strings.Join(s.Interpreter, " ") + `"`
}

// install writes the commands that make entry i.
func (w *specWriter) install(i int, bodies string) {
	e := &w.p.Layout[i]
	to := "%{buildroot}" + e.Path
	w.line("mkdir -p %s", filepath.Dir(to))
	switch {
	case e.Mode.IsDir():
		w.line("mkdir -p %s", to)
	case e.Target != "":
		w.line("ln -s %s %s", e.Target, to)
	case e.HardLink != "":
		w.line("ln %%{buildroot}%s %s", e.HardLink, to)
	case e.Ghost:
		w.line("truncate -s %d %s", e.Size, to)
	default:
		w.line("cp %s/%d %s", bodies, i, to)
		w.line("chmod %o %s", packaging.UnixMode(e.Mode)&0o7777, to) // elfdeps looks at it
	}
}

// file writes e's line of %files.
func (w *specWriter) file(e *packaging.Entry) {
	var d []string
	if e.Target == "" {
		d = append(d, fmt.Sprintf("%%attr(%04o,%s,%s)", packaging.UnixMode(e.Mode)&0o7777, e.OwnerName(), e.GroupName()))
	}
	if e.Mode.IsDir() {
		d = append(d, "%dir")
	}
	if c := e.Config.String(); c != "" {
		d = append(d, "%"+c)
	}
	for _, f := range []struct {
		set  bool
		word string
	}{
		{e.Ghost, "%ghost"},
		{e.Doc, "%doc"},
		{e.Lic, "%license"},
		{e.Readme, "%readme"},
		{e.Caps != "", "%caps(" + e.Caps + ")"},
		{e.Lang != "", "%lang(" + e.Lang + ")"},
		{len(e.NoVerify) > 0, "%verify(not " + strings.Join(e.NoVerify, " ") + ")"},
	} {
		if f.set {
			d = append(d, f.word)
		}
	}
	w.line("%s %s", strings.Join(d, " "), e.Path)
}

// rpmbuild builds p and gives the package's name. It skips the test if there is
// no rpmbuild.
func rpmbuild(t *testing.T, p *packaging.Package) string {
	t.Helper()
	oracle.Need(t, "rpmbuild")
	top := t.TempDir()
	bodies := filepath.Join(top, "bodies")
	if err := os.Mkdir(bodies, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range p.Layout {
		if e := &p.Layout[i]; e.HasBody() {
			copyBody(t, e.Body, fmt.Sprintf("%s/%d", bodies, i))
		}
	}
	name := filepath.Join(top, "test.spec")
	if err := os.WriteFile(name, []byte(spec(p, bodies)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "rpmbuild", "-bb", "--target", p.Arch,
		"--define", "_topdir "+top, "--define", "_tmppath "+top,
		"--define", "_buildhost "+buildHost, "--define", "use_source_date_epoch_as_buildtime 1",
		"--define", "_binary_payload w.ufdio", "--define", "__os_install_post %{nil}",
		"--define", "debug_package %{nil}", "--define", "_build_id_links none", name)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+top, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", p.Date.Unix()))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v\n%s\n%s", err, out, spec(p, bodies))
	}
	names, err := filepath.Glob(filepath.Join(top, "RPMS", "*", "*.rpm"))
	if err != nil || len(names) != 1 {
		t.Fatalf("rpmbuild made %q", names)
	}
	return names[0]
}

func copyBody(t *testing.T, b packaging.Body, name string) {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
