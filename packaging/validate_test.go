package packaging_test

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func TestValidate(t *testing.T) {
	for _, format := range []string{"rpm", "deb"} {
		if err := packaging.Validate(packagingtest.Rich(format, "any")); err != nil {
			t.Errorf("the rich %s package is refused: %v", format, err)
		}
	}
	file := func(path string) packaging.Entry { return packagingtest.File(path, 0o644, nil) }
	for _, tt := range []struct {
		name   string
		change func(*packaging.Package)
		want   string // in the error
	}{
		{"no name", func(p *packaging.Package) { p.Name = "" }, `package name ""`},
		{"name with a slash", func(p *packaging.Package) { p.Name = "../x" }, `package name "../x"`},
		{"name like an option", func(p *packaging.Package) { p.Name = "-x" }, `package name "-x"`},
		{"no version", func(p *packaging.Package) { p.Version = "" }, `version ""`},
		{"version with a hyphen", func(p *packaging.Package) { p.Version = "1-2" }, `version "1-2"`},
		{"release", func(p *packaging.Package) { p.Release = "1 2" }, `release "1 2"`},
		{"no architecture", func(p *packaging.Package) { p.Arch = "" }, "no architecture"},
		{"no summary", func(p *packaging.Package) { p.Summary = "" }, "summary"},
		{"two lines", func(p *packaging.Package) { p.Summary = "a\nb" }, "one line"},
		{"file name", func(p *packaging.Package) { p.FileName = "../x.rpm" }, `file name "../x.rpm"`},
		{"hidden file name", func(p *packaging.Package) { p.FileName = ".x.rpm" }, `file name ".x.rpm"`},
		{"no date", func(p *packaging.Package) { p.Date = time.Time{} }, "no date"},
		{"NUL in a script", func(p *packaging.Package) { p.Scripts[0].Body = "a\x00b" }, "NUL"},
		{"relative path", func(p *packaging.Package) { p.Layout[0].Path = "a" }, `path "a"`},
		{"path that is not clean", func(p *packaging.Package) { p.Layout[0].Path = "/a/../b" }, `path "/a/../b"`},
		{"root", func(p *packaging.Package) { p.Layout[0].Path = "/" }, `path "/"`},
		{"new line in a path", func(p *packaging.Package) { p.Layout[0].Path = "/a\nb" }, "new line"},
		{"twice", func(p *packaging.Package) { p.Layout = packaging.Layout{file("/a"), file("/a")} }, "/a is in the layout twice"},
		{"not sorted", func(p *packaging.Package) { p.Layout = packaging.Layout{file("/b"), file("/a")} }, "not sorted: /a after /b"},
		{"owner", func(p *packaging.Package) { p.Layout[0].Owner = "a:b" }, `"a:b" is not an account's name`},
		{"group", func(p *packaging.Package) { p.Layout[0].Group = "1000" }, `"1000" is not an account's name`},
		{"link without a target", func(p *packaging.Package) { p.Layout[0].Mode = fs.ModeSymlink }, "without a target"},
		{"device", func(p *packaging.Package) { p.Layout[0].Mode = fs.ModeDevice }, "neither file, folder nor link"},
		{"hard link to nothing", func(p *packaging.Package) { p.Layout[1].HardLink = "/a" }, "no earlier file"},
		{"hard link to a folder", func(p *packaging.Package) { p.Layout[1].HardLink = p.Layout[0].Path }, "no earlier file"},
		{"hard link to a later file", func(p *packaging.Package) {
			l := packaging.Layout{file("/a"), file("/b")}
			l[0].HardLink = "/b"
			p.Layout = l
		}, "no earlier file"},
		{"size", func(p *packaging.Package) { p.Layout[1].Size = -1 }, "size -1 is negative"},
	} {
		p := packagingtest.Small("rpm", "any", 1)
		tt.change(p)
		if err := packaging.Validate(p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want it to say %q", tt.name, err, tt.want)
		}
	}
}
