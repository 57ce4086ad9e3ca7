package msi

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

var large = flag.Bool("large", false, "write and read a package with more files than one cabinet can have")

// More files than a cabinet can have, with more strings than two bytes can count.
func TestLarge(t *testing.T) {
	if !*large {
		t.Skip("-large is not set")
	}
	const files = 70_000
	p := packagingtest.Small("msi", "x64", 1)
	p.Layout = p.Layout[:1]
	for i := range files {
		if i%1000 == 0 {
			p.Layout = append(p.Layout, packagingtest.Dir(fmt.Sprintf("/Program Files/Small/%02d", i/1000), 0o755))
		}
		p.Layout = append(p.Layout, packagingtest.File(fmt.Sprintf("/Program Files/Small/%02d/%05d", i/1000, i), 0o644, fmt.Append(nil, i)))
	}
	p.Layout.Sort()
	file := written(t, Format{}, p)
	got := read(t, file)
	if diffs := packaging.Diff(p.Layout, got.Layout); len(diffs) > 0 {
		t.Errorf("%d differences, the first %s", len(diffs), diffs[0])
	}
	c := contentsOf(t, file)
	found, err := c.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if !f.Warning {
			t.Fatalf("%+v", f)
		}
	}
	for _, x := range c.Tables() {
		if x.Name == "Component" && x.Rows > 100 { // of folders and values; Windows Installer takes 65,536
			t.Errorf("%d components", x.Rows)
		}
	}
	if s := c.Streams(); len(s) != 2 || s[0].Name != "cab1.cab" || s[1].Name != "cab2.cab" {
		t.Errorf("streams %+v, want two cabinets", s)
	}
	oracle.Need(t, "msiinfo")
	if n := strings.Count(output(t, t.TempDir(), "msiinfo", "export", file, "File"), "\n"); n != files+3 {
		t.Errorf("msiinfo sees %d rows, want %d", n-3, files)
	}
	oracle.Need(t, "cabextract")
	for i, want := range []int{65535, files - 65535} {
		cabinet := filepath.Join(t.TempDir(), "x.cab")
		if err := os.WriteFile(cabinet, []byte(output(t, t.TempDir(), "msiinfo", "extract", file, cabinetName(i))), 0o600); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(output(t, t.TempDir(), "cabextract", "-t", cabinet), " OK "); n != want {
			t.Errorf("cabextract finds %d good files in cabinet %d, want %d", n, i+1, want)
		}
	}
}
