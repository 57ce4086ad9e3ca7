package msi

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
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

func output(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", argv, err, out, errs.Bytes())
	}
	return string(out)
}

// written is a package in a file.
func written(t *testing.T, f Format, p *packaging.Package) string {
	t.Helper()
	a, err := packaging.Build(t.Context(), t.TempDir(), p, f)
	if err != nil {
		t.Fatal(err)
	}
	return a.Path
}

// The package of everything, read by others.
func TestReaders(t *testing.T) {
	p := packagingtest.Rich("msi", "x64")
	p.Description = "msitools 0.101 cannot import the several lines of text that they export"
	p.Summary = "everything, 全部"
	file := written(t, Format{}, p)
	dir := filepath.Dir(file)

	t.Run("msiinfo", func(t *testing.T) {
		oracle.Need(t, "msiinfo")
		summary := output(t, dir, "msiinfo", "suminfo", file)
		for _, want := range []string{"Subject: Conformance Gr\xfc\xdfe\n", "Comments: everything, ??\n", "Author: Vpkg Project\n", "Template: x64;1033\n", "Version: 500 (1f4)\n", "Source: 2 (2)\n", "Security: 2 (2)\n"} {
			if !strings.Contains(summary, want) {
				t.Errorf("summary has no %q:\n%s", want, summary)
			}
		}
		c := contentsOf(t, file)
		for _, table := range c.Tables() {
			var own bytes.Buffer
			if err := c.WriteTable(&own, table.Name); err != nil {
				t.Fatal(err)
			}
			// Their rows are in the order of the strings' numbers, ours in that of Add.
			theirs := strings.Replace(output(t, dir, "msiinfo", "export", file, table.Name), "Binary.hook", "hook.ibd", 1) // as the SDK's msidb has it
			if got, want := sortedLines(own.String()), sortedLines(theirs); got != want {
				t.Errorf("%s is\n%s\nand msiinfo says\n%s", table.Name, got, want)
			}
		}
		lines := strings.Split(output(t, dir, "msiinfo", "export", file, "Property"), "\n")[3:] // behind the head
		for _, x := range c.Properties() {
			if !slices.Contains(lines, x.Name+"\t"+x.Value+"\r") && !slices.Contains(lines, x.Name+"\t"+x.Value) {
				t.Errorf("property %s is %q, and msiinfo says\n%q", x.Name, x.Value, lines)
			}
		}
		if got, want := len(c.Properties()), len(lines)-1; got != want {
			t.Errorf("there are %d properties, and msiinfo says %d", got, want)
		}
	})
	t.Run("msiextract", func(t *testing.T) {
		oracle.Need(t, "msiextract")
		to := t.TempDir()
		output(t, dir, "msiextract", "-C", to, file)
		checkFiles(t, p, to)
	})
	t.Run("cabextract", func(t *testing.T) {
		oracle.Need(t, "cabextract")
		oracle.Need(t, "msiinfo")
		cabinet := filepath.Join(t.TempDir(), "x.cab")
		if err := os.WriteFile(cabinet, []byte(output(t, dir, "msiinfo", "extract", file, "cab1.cab")), 0o600); err != nil {
			t.Fatal(err)
		}
		output(t, dir, "cabextract", "-t", cabinet)
	})
	t.Run("7z", func(t *testing.T) {
		oracle.Need(t, "7z")
		output(t, dir, "7z", "t", file)
	})
	t.Run("msidump and msibuild", func(t *testing.T) {
		oracle.Need(t, "msidump")
		oracle.Need(t, "msibuild")
		roundTrip(t, file)
	})
}

// roundTrip has msidump and msibuild make the package anew, and compares all tables.
func roundTrip(t *testing.T, file string) {
	dir := t.TempDir()
	output(t, dir, "msidump", "-t", file)
	idts, err := filepath.Glob(filepath.Join(dir, "*.idt"))
	if err != nil || len(idts) == 0 {
		t.Fatal(idts, err)
	}
	// What defines the others comes first.
	slices.SortFunc(idts, func(a, b string) int {
		return strings.Compare(strings.ReplaceAll(a, "_ForceCodepage", " "), strings.ReplaceAll(b, "_ForceCodepage", " "))
	})
	if err := os.MkdirAll(filepath.Join(dir, "Binary"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, as := range map[string]string{"Binary.hook": "Binary/hook"} {
		if err := os.WriteFile(filepath.Join(dir, as), []byte(output(t, dir, "msiinfo", "extract", file, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := filepath.Join(dir, "again.msi")
	output(t, dir, append([]string{"msibuild", again, "-i"}, idts...)...)
	a, b := contentsOf(t, file), contentsOf(t, again)
	if got, want := fmt.Sprint(b.Tables()), fmt.Sprint(a.Tables()); got != want {
		t.Errorf("tables %s, want %s", got, want)
	}
	for _, table := range a.Tables() {
		var want, got bytes.Buffer
		if err := a.WriteTable(&want, table.Name); err != nil {
			t.Fatal(err)
		}
		if err := b.WriteTable(&got, table.Name); err != nil {
			t.Error(err)
			continue
		}
		if g, w := sortedLines(got.String()), sortedLines(want.String()); g != w {
			t.Errorf("%s is made anew as\n%s\nand was\n%s", table.Name, g, w)
		}
	}
}

func contentsOf(t *testing.T, file string) *Contents {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(f, fi.Size())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sortedLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// checkFiles compares the files of a package with those in a folder, by name and
// content: msiextract lays out the source tree, without standard folders.
func checkFiles(t *testing.T, p *packaging.Package, dir string) {
	t.Helper()
	found := make(map[string]packaging.Digest)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		found[strings.TrimPrefix(name, dir)] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Layout {
		e := &p.Layout[i]
		if !e.HasBody() {
			continue
		}
		folder, _ := standard(e.Path)
		name := strings.TrimPrefix(e.Path, folder.path)
		sum, ok := found[name]
		if !ok {
			t.Errorf("%s is not unpacked", name)
		} else if sum != e.SHA256 {
			t.Errorf("%s is unpacked with another content", name)
		}
		delete(found, name)
	}
	for name := range found {
		t.Errorf("%s is unpacked too", name)
	}
}

// Every build of the same package is the same, and the linter finds in it what is
// known.
func TestCheckOwn(t *testing.T) {
	for _, p := range []*packaging.Package{packagingtest.Rich("msi", "x64"), packagingtest.Rich("msi", "arm64"), packagingtest.Small("msi", "x64", 1)} {
		found, err := contentsOf(t, written(t, Format{}, p)).Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.Rule == "ICE61" && f.Warning && strings.HasSuffix(f.Where, ".VersionMax") {
				continue // another build of the same version is to be removed
			}
			t.Errorf("%s %s: %+v", p.Name, p.Arch, f)
		}
	}
}
