package deb

import (
	"bytes"
	"context"
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
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// mirrorDEBs are some packages of Debian: with conffiles, links, scripts, triggers and
// none of these.
func mirrorDEBs(t *testing.T) []string {
	t.Helper()
	oracle.Need(t, "apt-get")
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "apt-get", "-q", "download", "base-files", "debianutils", "hostname", "mailcap", "media-types")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		oracle.Skip(t, fmt.Sprintf("packages of Debian cannot be downloaded: %v\n%s", err, out))
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(names) < 5 {
		t.Fatalf("%q, %v", names, err)
	}
	return names
}

// recompressed are the same package with every compression of its members that dpkg reads.
func recompressed(t *testing.T, name string) []string {
	t.Helper()
	programs := map[string]string{"gz": "gzip -n", "xz": "xz", "zst": "zstd -q", "bz2": "bzip2", "lzma": "xz --format=lzma"}
	oracle.Need(t, "ar", "gzip", "xz", "zstd", "bzip2")
	var names []string
	for extension, program := range programs {
		dir := t.TempDir()
		run(t, "sh", "-euc", `cd "$1"; ar x "$2"; for m in control data; do
			case $(echo $m.tar.*) in *.xz) xz -d $m.tar.xz ;; *.zst) zstd -q -d --rm $m.tar.zst ;; *.gz) gzip -d $m.tar.gz ;; esac
			done
			gzip -n control.tar # dpkg reads the older compressions of data only
			$3 <data.tar >data.tar.$4
			ar rc x.deb debian-binary control.tar.gz data.tar.$4`, "sh", dir, name, program, extension)
		names = append(names, filepath.Join(dir, "x.deb"))
	}
	return names
}

func readFile(ctx context.Context, name string) (*packaging.Package, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return Format{}.Read(ctx, bytes.NewReader(b), int64(len(b)), packaging.Payload)
}

// TestAgreesWithDpkg reads packages of Debian and of ours, and compares what they have
// with what dpkg-deb says: docs/inspect.md has the differences.
func TestAgreesWithDpkg(t *testing.T) {
	oracle.Need(t, "dpkg-deb")
	names := mirrorDEBs(t)
	names = append(names, recompressed(t, names[0])...)
	p := packagingtest.Rich("deb", "amd64")
	p.Layout = slices.DeleteFunc(p.Layout, func(e packaging.Entry) bool { return e.Size > 1<<20 })
	names = append(names, build(t, p))
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			p, err := readFile(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			checkControl(t, p, name)
			checkList(t, name)
		})
	}
}

// checkControl compares the fields and the members of the control archive.
func checkControl(t *testing.T, p *packaging.Package, name string) {
	t.Helper()
	theirs, err := parseParagraph(run(t, "dpkg-deb", "-f", name))
	if err != nil {
		t.Fatal(err)
	}
	own, err := parseParagraph(control(p, 0))
	if err != nil {
		t.Fatal(err)
	}
	value := func(fields []packaging.Field, name string) string {
		for _, f := range fields {
			if strings.EqualFold(f.Name, name) {
				return strings.Join(strings.Fields(strings.ReplaceAll(f.Value, " .\n", "\n")), " ")
			}
		}
		return ""
	}
	for _, f := range theirs {
		if f.Name == "Installed-Size" { // made anew from the files
			continue
		}
		if got, want := value(own, f.Name), value(theirs, f.Name); got != want {
			t.Errorf("%s is %q, and dpkg-deb says %q", f.Name, got, want)
		}
	}
	dir := t.TempDir()
	run(t, "dpkg-deb", "-e", name, dir)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		want, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(scripts, func(s scriptFile) bool { return s.name == f.Name() })
		if i < 0 {
			continue
		}
		if got, ok := p.Script(scripts[i].phase); !ok || got.Body != string(want) {
			t.Errorf("%s is %q, and dpkg-deb says %q", f.Name(), got.Body, want)
		}
	}
}

// checkList compares the files with what dpkg-deb -c lists.
func checkList(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	date := ""
	var own []string
	p, err := Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Headers)
	if err != nil {
		t.Fatal(err)
	}
	err = Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(e *packaging.Entry, _ io.Reader) error {
		when := e.ModTime
		if when.IsZero() {
			when = p.Date
		}
		date = when.UTC().Format("2006-01-02 15:04")
		mode, size, target, file := packaging.ModeText(e.Mode), e.Size, "", "."+e.Path
		switch {
		case e.Target != "":
			target = " -> " + e.Target
		case e.HardLink != "":
			mode, target, size = "h"+mode[1:], " link to ."+e.HardLink, 0
		}
		own = append(own, fmt.Sprintf("%s %s/%s %d %s %s%s", mode, e.OwnerName(), e.GroupName(), size, date, file, target))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var theirs []string
	for l := range strings.Lines(run(t, "dpkg-deb", "-c", name)) {
		f := strings.SplitN(strings.Join(strings.Fields(l[:min(len(l), 40)]), " ")+l[min(len(l), 40):], " ", 6)
		l = strings.TrimSuffix(strings.Join(f, " "), "\n")
		if !strings.HasSuffix(l, " ./") { // the root is no entry of ours
			theirs = append(theirs, strings.TrimSuffix(l, "/")) // most makers write folders so
		}
	}
	slices.Sort(own)
	slices.Sort(theirs)
	for i := range max(len(own), len(theirs)) {
		if i >= len(own) || i >= len(theirs) || own[i] != theirs[i] {
			t.Fatalf("%d files, and dpkg-deb lists %d; from the first that differs they are\n%s\nand\n%s",
				len(own), len(theirs), strings.Join(own[min(i, len(own)):], "\n"), strings.Join(theirs[min(i, len(theirs)):], "\n"))
		}
	}
}

// TestVerdict changes bits of files, and asks md5sum, as debsums does, and us.
func TestVerdict(t *testing.T) {
	oracle.Need(t, "dpkg-deb", "md5sum")
	p := packagingtest.Small("deb", "amd64", 10_000)
	p.Compression.Codec = "none"
	whole, err := os.ReadFile(build(t, p))
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Index(whole, packagingtest.Noise(1, 10_000))
	for name, at := range map[string]int{"as it is": -1, "its first byte": content, "its last byte": content + 9_999} {
		b := bytes.Clone(whole)
		if at >= 0 {
			b[at] ^= 1
		}
		file := filepath.Join(t.TempDir(), "x.deb")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, own := readFile(t.Context(), file)
		dir := t.TempDir()
		run(t, "dpkg-deb", "-R", file, dir)
		cmd := exec.CommandContext(t.Context(), "md5sum", "--quiet", "-c", "DEBIAN/md5sums")
		cmd.Dir = dir
		if theirs := cmd.Run(); (own == nil) != (theirs == nil) || (own == nil) != (at < 0) {
			t.Errorf("%s changed: we say %v, and md5sum %v", name, own, theirs)
		}
	}
}
