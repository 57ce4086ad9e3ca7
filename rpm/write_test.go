package rpm_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestWriteErrors(t *testing.T) {
	entry := func(e packaging.Entry) func(*packaging.Package) {
		return func(p *packaging.Package) { p.Layout = append(p.Layout, e); p.Layout.Sort() }
	}
	for _, c := range []struct {
		name   string
		change func(p *packaging.Package)
		want   string
	}{
		{"no release", func(p *packaging.Package) { p.Release = "" }, "package small has no release, which RPM needs"},
		{"architecture", func(p *packaging.Package) { p.Arch = "amd64" }, `architecture "amd64": RPM has aarch64, `},
		{"date", func(p *packaging.Package) { p.Date = time.Unix(-1, 0) }, "is not between 1970 and 2106"},
		{"field", func(p *packaging.Package) { p.Fields = []packaging.Field{{Name: "X", Value: "y"}} }, `field "X"`},
		{"member", func(p *packaging.Package) { p.Members = []packaging.Member{{Name: "hook"}} }, `member "hook"`},
		{"prefix", func(p *packaging.Package) { p.Prefixes = []string{"opt/"} }, `prefix "opt/"`},
		{"codec", func(p *packaging.Package) { p.Compression.Codec = "lzip" }, `compression "lzip": want zstd`},
		{"NUL", func(p *packaging.Package) { p.Description = "a\x00b" }, "description: has a NUL byte"},
		{"encoding", func(p *packaging.Package) { p.Vendor = "\xff" }, "vendor: is not UTF-8"},
		{"changelog", func(p *packaging.Package) { p.Changelog = []packaging.Change{{Text: "x"}} }, "changelog entry 1: date 0001-01-01"},
		{"two scripts", func(p *packaging.Package) { p.Scripts = append(p.Scripts, p.Scripts[0]) }, "%post: there are two"},
		{"script", func(p *packaging.Package) { p.Scripts[0].Phase = packaging.DebConfig }, "config script: RPM has no such scriptlet"},
		{"interpreter", func(p *packaging.Package) { p.Scripts[0].Interpreter = []string{"sh"} }, `%post: interpreter "sh" is neither an absolute path nor <lua>`},
		{"trigger", func(p *packaging.Package) { p.Triggers = []packaging.Trigger{{Kind: "interest", On: []string{"x"}}} }, `trigger "interest"`},
		{"trigger on nothing", func(p *packaging.Package) { p.Triggers = []packaging.Trigger{{Kind: "triggerin"}} }, "%triggerin: says not what on"},
		{"trigger's interpreter", func(p *packaging.Package) {
			p.Triggers = []packaging.Trigger{{Kind: "triggerin", On: []string{"x"}, Script: packaging.Script{Interpreter: []string{"/bin/sh", "-e"}}}}
		}, "RPM has no arguments for those of triggers"},
		{"file trigger", func(p *packaging.Package) {
			p.Triggers = []packaging.Trigger{{Kind: "filetriggerin", On: []string{"lib"}}}
		}, `%filetriggerin: "lib" is not an absolute path`},
		{"priority of a trigger on a package", func(p *packaging.Package) {
			p.Triggers = []packaging.Trigger{{Kind: "triggerin", On: []string{"x"}, Priority: 1}}
		}, "%triggerin: only file triggers have a priority"},
		{"rich trigger", func(p *packaging.Package) {
			p.Triggers = []packaging.Trigger{{Kind: "triggerin", On: []string{"(a or b)"}}}
		}, "cannot be a rich dependency"},
		{"relation", func(p *packaging.Package) {
			p.Relations = []packaging.Relation{{Kind: packaging.Requires, Text: "a >"}}
		}, `requires "a >"`},
		{"account", func(p *packaging.Package) { p.Accounts = []packaging.Account{{User: "a", Comment: `"`}} }, `account "a"`},
		{"no body", entry(packaging.Entry{Path: "/x", Mode: 0o644, Size: 1, SHA256: packaging.Digest{1}}), "/x: has no body"},
		{"no digest", entry(packaging.Entry{Path: "/x", Mode: 0o644, Size: 1, Body: packagingtest.Bytes("x")}), "/x: has no digest"},
		{"long name", entry(packagingtest.File("/"+strings.Repeat("n", 247), 0o644, nil)), "name has 247 bytes, and rpm can install at most 246"},
		{"file's time", func(p *packaging.Package) { p.Layout[1].ModTime = time.Unix(1<<32, 0) }, "/usr/share/small/file: time 2106-02-07"},
		{"verification", func(p *packaging.Package) { p.Layout[1].NoVerify = []string{"sha"} }, `there is no attribute "sha"`},
		{"capability", func(p *packaging.Package) { p.Layout[1].Caps = "cap_net=ep" }, `"cap_net" is not a capability`},
		{"capabilities", func(p *packaging.Package) { p.Layout[1].Caps = "cap_net_raw" }, "has no =, + or -"},
		{"capability's flags", func(p *packaging.Package) { p.Layout[1].Caps = "cap_net_raw=x" }, "want e, i and p"},
		{"capability of a folder", func(p *packaging.Package) { p.Layout[0].Caps = "=ep" }, "is no file, but has capabilities"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := packagingtest.Small("rpm", "x86_64", 100)
			c.change(p)
			var b bytes.Buffer
			_, err := rpm.Format{}.Write(t.Context(), &b, p)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if b.Len() > 0 {
				t.Errorf("%d bytes were written", b.Len())
			}
		})
	}
}

func TestFeatures(t *testing.T) {
	relation := func(kind packaging.RelationKind, text string) func(*packaging.Package) {
		return func(p *packaging.Package) { p.Relations = []packaging.Relation{{Kind: kind, Text: text}} }
	}
	for _, c := range []struct {
		name     string
		change   func(p *packaging.Package)
		has, not string // versions of rpm
		want     string
	}{
		{"rich", relation(packaging.Requires, "(a or b)"), "4.13", "4.12", `requires "(a or b)": needs RichDependencies, which the target's rpm does not have`},
		{"weak", relation(packaging.Suggests, "a"), "4.12", "4.11", `suggests "a": needs WeakDependencies`},
		{"tilde", relation(packaging.Requires, "a >= 1~rc1"), "4.11", "4.9", `requires "a >= 1~rc1": needs TildeInVersions`},
		{"caret", relation(packaging.Conflicts, "a < 1^git"), "4.15", "4.14.3", `conflicts "a < 1^git": needs CaretInVersions`},
		{"own caret", func(p *packaging.Package) { p.Version = "1^git" }, "4.15", "4.14.3", `provides "small = 1^git-1": needs CaretInVersions`},
		{"file trigger", func(p *packaging.Package) {
			p.Triggers = []packaging.Trigger{{Kind: "transfiletriggerin", On: []string{"/usr"}}}
		}, "4.13", "4.12", "%transfiletriggerin: needs FileTriggers"},
		{"scriptlet", func(p *packaging.Package) { p.Scripts[0].Phase = packaging.PreUnTrans }, "4.19", "4.18", "%preuntrans: needs UninstallTransaction"},
		{"zstd", func(p *packaging.Package) { p.Compression.Codec = "zstd" }, "4.14.3", "4.14.2", "compression zstd: needs PayloadIsZstd"},
		{"large", func(p *packaging.Package) {
			p.Layout = append(p.Layout, packaging.Entry{Path: "/z", Mode: 0o644, Size: 1 << 32, Ghost: true})
		}, "4.12", "4.11", "/z, of 4294967296 bytes: needs LargeFiles"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := packagingtest.Small("rpm", "x86_64", 100)
			c.change(p)
			p.Features = rpm.Features(c.has)
			if _, err := (rpm.Format{}).Write(t.Context(), io.Discard, p); err != nil {
				t.Errorf("for rpm %s: %v", c.has, err)
			}
			p.Features = rpm.Features(c.not)
			_, err := rpm.Format{}.Write(t.Context(), io.Discard, p)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("for rpm %s: error is %v, want %q", c.not, err, c.want)
			}
		})
	}
	if f := rpm.Features("6.0"); f != nil {
		t.Errorf("rpm 6 has only %v", f)
	}
}

// TestDefaults checks what depends on the target's rpm without being asked for.
func TestDefaults(t *testing.T) {
	for version, want := range map[string]string{"4.11.3": "gzip with MD5", "4.14.2": "gzip", "4.16": "zstd", "4.20": "zstd", "6": "zstd with MD5"} {
		p := packagingtest.Small("rpm", "x86_64", 100)
		p.Features = rpm.Features(version)
		name := writeFile(t, p)
		got := run(t, "rpm", "-qp", "--qf", "%{PAYLOADCOMPRESSOR}", name)
		if strings.Contains(run(t, "rpm", "-Kv", name), "MD5") {
			got += " with MD5"
		}
		if got != want {
			t.Errorf("for rpm %s: %s, want %s", version, got, want)
		}
	}
}

// TestGolden compares a dump of a package that has everything, and the digest of
// the whole file, with testdata. Run with -update to write it anew.
func TestGolden(t *testing.T) {
	p := packagingtest.Rich("rpm", "x86_64")
	p.Accounts = []packaging.Account{
		{User: "agent", Home: "/opt/conformance", Comment: "The Agent"},
		{User: "other", Group: "shared", Shell: "/bin/sh"},
		{Group: "shared"},
	}
	p.Compression.Codec = "none" // its bytes are no library's
	var b bytes.Buffer
	if _, err := (rpm.Format{}).Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	got := rpm.Dump(t, b.Bytes())
	const name = "testdata/rich.golden"
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("dump differs (-want +got):\n%s", d)
	}
}

func TestAccounts(t *testing.T) {
	p := packagingtest.Small("rpm", "x86_64", 100)
	p.Accounts = []packaging.Account{
		{User: "agent", Home: "/opt/agent", Shell: "/bin/sh", Comment: "The Agent - of ours"},
		{User: "other", Group: "shared"},
		{User: "plain"},
		{Group: "alone"},
	}
	var b bytes.Buffer
	if _, err := (rpm.Format{}).Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	got, err := rpm.Format{}.Read(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), packaging.Headers)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(p.Accounts)
	slices.SortFunc(want, func(a, b packaging.Account) int {
		return strings.Compare(fmt.Sprint(a.User == "", a.User), fmt.Sprint(b.User == "", b.User))
	})
	if d := cmp.Diff(want, got.Accounts); d != "" {
		t.Errorf("accounts differ (-want +got):\n%s", d)
	}
	if len(got.Relations) > 0 {
		t.Errorf("relations are %q, want none", got.Relations)
	}
	// base64 of "g alone -", padded to a multiple of three.
	if out := run(t, "rpm", "-qp", "--provides", writeFile(t, p)); !strings.Contains(out, "group(alone) = ZyBhbG9uZSAt\n") {
		t.Errorf("rpm -qp --provides says\n%s", out)
	}
}

// small is a small package with something of everything that Read looks at, whose
// digests are gone, so that what is changed in it is read.
func small(t testing.TB, codec string) []byte {
	t.Helper()
	p := packagingtest.Small("rpm", "x86_64", 100)
	p.Compression.Codec = codec
	p.Triggers = []packaging.Trigger{
		{Kind: "filetriggerin", On: []string{"/usr"}},
		{Kind: "triggerin", On: []string{"a > 1", "b"}},
	}
	p.Accounts = []packaging.Account{{User: "a"}}
	p.Changelog = []packaging.Change{{Date: p.Date, Author: "A", Text: "- b"}}
	hard := p.Layout[1]
	hard.Path, hard.HardLink, hard.Body = "/usr/share/small/hard", hard.Path, nil
	p.Layout = append(p.Layout, hard, packagingtest.Symlink("/usr/share/small/link", "file"))
	var b bytes.Buffer
	if _, err := (rpm.Format{}).Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	return rpm.Resign(b.Bytes())
}

// TestChanged changes every byte of a package, in one of three ways. Reading it may
// fail or not, but ends, and the error says where.
func TestChanged(t *testing.T) {
	good := small(t, "none")
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= [...]byte{0x01, 0x80, 0xff}[i%3]
		readBoth(t, rpm.Resign(bad))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(small(f, "none"))
	f.Add(small(f, "gzip"))
	for _, name := range []string{"none", "zstd", "signed"} { // of rpm 6
		b, err := os.ReadFile(filepath.Join("testdata", "v6", name+".rpm"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { readBoth(t, rpm.Resign(b)) })
}

// readBoth reads at both depths, which agree.
func readBoth(t *testing.T, b []byte) {
	t.Helper()
	q, headersErr := rpm.Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Headers)
	p, err := rpm.Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Payload)
	for _, err := range []error{headersErr, err} {
		if fe, ok := errors.AsType[*rpm.FormatError](err); err != nil && (!ok || fe.Offset < 0 || fe.Offset > int64(len(b))) {
			t.Fatalf("error is %v, want a FormatError within %d bytes", err, len(b))
		}
	}
	given := 0
	eachErr := rpm.Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(e *packaging.Entry, body io.Reader) error {
		if given++; body != nil && !e.HasBody() {
			return fmt.Errorf("%s has a body", e.Path)
		}
		return nil
	})
	if (err == nil) != (eachErr == nil) {
		t.Fatalf("read with error %v, and file by file with %v", err, eachErr)
	}
	if err == nil {
		for i := range p.Layout {
			if !p.Layout[i].Ghost {
				given--
			}
		}
		if given != 0 {
			t.Fatalf("%d more files are given than there are", given)
		}
	}
	if _, err := (rpm.Format{}).ListSignatures(bytes.NewReader(b), int64(len(b))); headersErr == nil && err != nil {
		if _, ok := errors.AsType[*rpm.FormatError](err); !ok {
			t.Fatalf("listing signatures: %v", err)
		}
	}
	switch {
	case err == nil && headersErr != nil:
		t.Fatalf("can be read whole, but not its headers: %v", headersErr)
	case err == nil && (p.Name != q.Name || len(p.Layout) != len(q.Layout)):
		t.Errorf("reads as %v and as %v", p, q)
	}
}

// TestQuery compares what rpm finds in a package with what Read does.
func TestQuery(t *testing.T) {
	oracle.Need(t, "rpm")
	names := append(foreignRPMs(t), writeFile(t, packagingtest.Rich("rpm", "x86_64")))
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			p, err := rpm.Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Headers)
			if err != nil {
				t.Fatal(err)
			}
			query := func(format string) string { return run(t, "rpm", "-qp", "--nosignature", "--qf", format, name) }
			got := fmt.Sprintf("%s %s %s %s %d %s", p.Name, p.EVR(), p.Arch, p.Summary, p.Date.Unix(), p.License)
			want := query("%{NAME} %{EVR} %{ARCH} %{SUMMARY} %{BUILDTIME} %{LICENSE}")
			if want = strings.Replace(want, " 0:", " ", 1); got != want {
				t.Errorf("it is %s, want %s", got, want)
			}
			var files strings.Builder
			for i := range p.Layout {
				e := &p.Layout[i]
				size := e.Size
				if !e.Regular() {
					size = 0
				}
				fmt.Fprintf(&files, "%s|%o|%s|%s|%s|%d|%d\n", e.Path, packaging.UnixMode(e.Mode), e.Owner, e.Group, e.Target, e.ModTime.Unix(), size)
			}
			lines := strings.SplitAfter(query("[%{FILENAMES}|%{FILEMODES:octal}|%{FILEUSERNAME}|%{FILEGROUPNAME}|%{FILELINKTOS}|%{FILEMTIMES}|%{FILESIZES}\n]"), "\n")
			for i, l := range lines { // what is no file has a size there, but none here
				if f := strings.Split(l, "|"); len(f) > 1 && !strings.HasPrefix(f[1], "10") {
					lines[i] = l[:strings.LastIndexByte(l, '|')] + "|0\n"
				}
			}
			slices.Sort(lines)
			got = files.String()
			gotLines := strings.SplitAfter(got, "\n")
			slices.Sort(gotLines)
			if d := cmp.Diff(lines, gotLines); d != "" && !strings.HasPrefix(strings.Join(lines, ""), "(none)") {
				t.Errorf("files differ (-want +got):\n%s", d)
			}
			requires := strings.Split(run(t, "rpm", "-qp", "--nosignature", "--requires", name), "\n")
			for _, r := range p.Relations {
				if r.Kind == packaging.Requires && !slices.Contains(requires, r.Text) {
					t.Errorf("rpm does not say that it requires %q, but\n%s", r.Text, strings.Join(requires, "\n"))
				}
			}
			scripts := run(t, "rpm", "-qp", "--nosignature", "--scripts", "--triggers", "--filetriggers", name)
			for _, s := range p.Scripts {
				if !strings.Contains(scripts, s.Body) {
					t.Errorf("rpm does not say that there is the %s script\n%s\nbut\n%s", s.Phase, s.Body, scripts)
				}
			}
			for _, s := range p.Triggers {
				if !strings.Contains(scripts, s.Script.Body) || !strings.Contains(scripts, s.On[0]) {
					t.Errorf("rpm does not say that there is the %s on %q\n%s\nbut\n%s", s.Kind, s.On, s.Script.Body, scripts)
				}
			}
		})
	}
}
