package verify

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

// Fields and records of the query below end with these.
const fieldEnd, recordEnd = "<=>\n", "<==>\n"

var (
	queried     = []packaging.Phase{packaging.PreInstall, packaging.PostInstall, packaging.PreRemove, packaging.PostRemove, packaging.PostTrans}
	queryFormat = strings.Join([]string{
		"%{NAME}", "%{EPOCHNUM}", "%{VERSION}", "%{RELEASE}", "%{BUILDHOST}", "%{SOURCERPM}",
		"%{PREINPROG}", "%{PREIN}", "%{POSTINPROG}", "%{POSTIN}", "%{PREUNPROG}", "%{PREUN}", "%{POSTUNPROG}", "%{POSTUN}", "%{POSTTRANSPROG}", "%{POSTTRANS}",
		`[%{REQUIRES}\n]`, `[%{CHANGELOGNAME}\n]`,
		`[%{FILENAMES}\t%{FILEMODES}\t%{FILEUSERNAME}\t%{FILEGROUPNAME}\t%{FILELINKTOS}\t%{FILEFLAGS}\t%{FILECAPS}\n]`,
	}, strings.ReplaceAll(fieldEnd, "\n", `\n`)) + strings.ReplaceAll(recordEnd, "\n", `\n`)
)

// TestCentOS applies the rules to the headers of the 518 packages of a real CentOS 8:
// their scriptlets, files, owners and modes. Who wrote them knew what they did, so that
// nearly nothing is to be found.
func TestCentOS(t *testing.T) {
	oracle.Need(t, "rpm")
	dir := oracle.Module(t, "github.com/knqyf263/go-rpmdb@v0.0.0-20210911072402-73bd0ce46c49")
	db := t.TempDir()
	b, err := os.ReadFile(filepath.Join(dir, "pkg/testdata/centos8-modularitylabel/Packages"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(db, "Packages"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "rpm", "--define", "_db_backend bdb_ro", "--dbpath", db, "-qa", "--qf", queryFormat).Output()
	if err != nil {
		t.Fatal(err)
	}
	packages, scripts := 0, 0
	count := map[string]int{}
	for record := range strings.SplitSeq(strings.TrimSuffix(string(out), recordEnd), recordEnd) {
		s := queriedPackage(t, strings.Split(record, fieldEnd))
		packages++
		scripts += len(s.Package.Scripts)
		for _, f := range Check(s) {
			if f.Severity > Info {
				count[f.Rule]++
			}
			script := strings.HasPrefix(f.Rule, "script-") || f.Rule == "service-left-stopped"
			// auditd may not be stopped by systemctl: the scriptlet is right, and would be better with || :.
			known := s.Package.Name == "audit" && f.Where == "%preun:8" && f.Rule == "script-removal-fails"
			if f.Severity == Error || script && !known {
				t.Errorf("%s: %s", s.Package.Name, f)
			}
		}
	}
	t.Logf("%d packages, %d scriptlets: %v", packages, scripts, count)
	if packages != 518 || scripts < 150 {
		t.Errorf("%d packages with %d scriptlets were read", packages, scripts)
	}
	all := 0
	for _, n := range count {
		all += n
	}
	if all > 80 {
		t.Errorf("there are %d findings, more than anybody reads: %v", all, count)
	}
}

// queriedPackage is what the query tells of a package.
func queriedPackage(t *testing.T, f []string) *Subject {
	t.Helper()
	if len(f) != 19 {
		t.Fatalf("a package has %d fields: %q", len(f), f[0])
	}
	epoch, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	p := &packaging.Package{Name: f[0], Epoch: uint32(epoch), Version: f[2], Release: f[3]}
	for i, ph := range queried {
		if body := f[7+2*i]; body != "(none)" {
			p.Scripts = append(p.Scripts, packaging.Script{Phase: ph, Interpreter: []string{f[6+2*i]}, Body: body})
		}
	}
	for r := range strings.Lines(f[16]) {
		p.Relations = append(p.Relations, packaging.Relation{Kind: packaging.Requires, Text: strings.TrimSpace(r)})
	}
	if newest, _, _ := strings.Cut(f[17], "\n"); newest != "" && newest != "(none)" {
		p.Changelog = []packaging.Change{{Author: newest}}
	}
	for l := range strings.Lines(f[18]) {
		w := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		if len(w) != 7 || w[0] == "(none)" {
			continue
		}
		mode, errMode := strconv.Atoi(w[1])
		flags, errFlags := strconv.Atoi(w[5])
		if errMode != nil || errFlags != nil {
			t.Fatalf("%s: %q", p.Name, l)
		}
		const flagConfig, flagGhost = 1, 64
		e := packaging.Entry{Path: w[0], Mode: packaging.FileMode(uint32(mode) & 0xffff), Owner: w[2], Group: w[3], Target: w[4], Ghost: flags&flagGhost != 0}
		if flags&flagConfig != 0 {
			e.Config = packaging.ConfigNoReplace
		}
		if w[6] != "(none)" {
			e.Caps = w[6]
		}
		p.Layout = append(p.Layout, e)
	}
	p.Layout.Sort()
	p.Layout = slices.CompactFunc(p.Layout, func(a, b packaging.Entry) bool { return a.Path == b.Path })
	return &Subject{Format: "rpm", Package: p, Compare: rpm.CompareEVR, BuildHost: f[4], Source: f[5]}
}
