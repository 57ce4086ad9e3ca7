package compare_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/compare"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

var update = flag.Bool("update", false, "write the golden files")

// versions are two versions of a package of no maker in particular, which differ in
// every way that there is, and have names that no report may obey.
func versions() (a, b compare.Side) {
	config := file("/etc/app/app.conf", 0o640, "key = value\n")
	config.Config = packaging.ConfigNoReplace
	gone := file("/etc/app/old.conf", 0o644, "old\n")
	gone.Config = packaging.ConfigReplace
	other := config
	other.Config = packaging.NotConfig
	caps := file("/usr/bin/ping", 0o755, "ping")
	caps.Caps = "cap_net_raw=ep"
	timed, doc := file("/usr/share/app/same", 0o644, "same"), file("/usr/share/app/readme", 0o644, "readme")
	timed.ModTime = date.Add(-48 * time.Hour)
	undoc := doc
	doc.Doc = true
	owned := file("/usr/bin/tool", 0o755, "tool")
	ours := owned
	ours.Owner = "app"
	a = compare.Side{File: "dist/app-1.0-1.el8.x86_64.rpm", Format: "rpm", Size: 1_234_567, Package: &packaging.Package{
		Name: "app", Version: "1.0", Release: "1.el8", Arch: "x86_64", Summary: "An app", License: "MIT", Date: date,
		Description: "What it does.\n\nAnd what not.", Maintainer: "Jo Doe <jo@example.com>",
		Compression: packaging.Compression{Codec: "gzip"},
		Relations: []packaging.Relation{
			{Kind: packaging.Requires, Text: "glibc >= 2.28"},
			{Kind: packaging.Requires, Text: "kmod"},
			{Kind: packaging.Conflicts, Text: "app-old < 1"},
		},
		Scripts: []packaging.Script{
			{Phase: packaging.PostInstall, Body: "systemctl daemon-reload\nexit 0\n"},
			{Phase: packaging.PreRemove, Body: "systemctl stop app\n"},
		},
		Triggers:  []packaging.Trigger{{Kind: "triggerin", On: []string{"bash"}, Script: packaging.Script{Body: "echo bash\n"}}},
		Accounts:  []packaging.Account{{User: "app", Home: "/var/lib/app"}},
		Changelog: []packaging.Change{{Date: date, Author: "Jo Doe <jo@example.com> - 1.0-1", Text: "- First"}},
		Layout: packaging.Layout{
			config, gone,
			packagingtest.Dir("/opt/app/plugins", 0o755),
			file("/opt/app/plugins/one", 0o644, "one"),
			file("/opt/app/plugins/two", 0o644, "two"),
			packagingtest.Dir("/usr/lib/app", 0o755),
			file("/usr/lib/app/big", 0o644, strings.Repeat("x", 20_000)),
			packagingtest.Dir("/usr/lib/app/data", 0o755),
			packagingtest.Symlink("/usr/lib/app/lib.so", "lib.so.1"),
			file("/usr/sbin/app", 0o755, "app"),
			file("/usr/share/app/secret", 0o600, "secret"),
			timed, doc, owned,
		},
	}}
	b = compare.Side{File: "dist/app-1.1-1.el8.x86_64.rpm", Format: "rpm", Size: 1_334_567, Package: &packaging.Package{
		Name: "app", Version: "1.1", Release: "1.el8", Arch: "x86_64", Summary: `An app "<script>alert(1)</script>"`, License: "MIT",
		Date: date.Add(24 * time.Hour), Description: "What it does.\n\nAnd what it does not.", Maintainer: "Jo Doe <jo@example.com>",
		Compression: packaging.Compression{Codec: "zstd"},
		Relations: []packaging.Relation{
			{Kind: packaging.Requires, Text: "glibc >= 2.34"},
			{Kind: packaging.Requires, Text: "kmod"},
			{Kind: packaging.Recommends, Text: "ipset"},
		},
		Scripts: []packaging.Script{
			{Phase: packaging.PostInstall, Body: "systemctl daemon-reload\nsystemctl restart app\nexit 0\n"},
			{Phase: packaging.PostRemove, Body: "[ \"$1\" != 0 ] || rm -rf /var/lib/app\n"},
		},
		Accounts: []packaging.Account{{User: "app", Home: "/var/lib/app", Shell: "/bin/bash"}},
		Layout: packaging.Layout{
			other,
			file("/opt/</pre><script>alert(1)</script>", 0o644, "markup"),
			file("/opt/\x1b[2Jclear\u202e", 0o644, "a terminal would obey"),
			packagingtest.Dir("/tmp/app", 0o777),
			caps,
			packagingtest.Dir("/usr/lib/app", 0o755),
			file("/usr/lib/app/big", 0o644, strings.Repeat("x", 45_000)),
			packagingtest.Symlink("/usr/lib/app/data", "/srv/app"),
			packagingtest.Symlink("/usr/lib/app/lib.so", "lib.so.2"),
			file("/usr/sbin/app", 0o755|fs.ModeSetuid, "APP"),
			in("app", file("/usr/share/app/secret", 0o640, "secret")),
			func() packaging.Entry { e := timed; e.ModTime = date; return e }(), undoc, ours,
		},
	}}
	a.Package.Layout.Sort()
	b.Package.Layout.Sort()
	return a, b
}

// msis are two versions of an MSI.
func msis(t *testing.T) (a, b compare.Side) {
	a, b = release(t, "msi"), release(t, "msi")
	w := *b.Package.Windows
	w.UpgradeCode, w.Data, w.DataAccess = "{00000000-5C5B-4C2E-9E7B-1D5A0C3B9F10}", "/ProgramData/Other", "D:P(A;OICI;FA;;;WD)"
	w.Services = []packaging.WindowsService{
		{Name: "agentMgrSvc", Program: w.Services[0].Program, Start: packaging.StartDelayed, AtInstall: true, Dependencies: []string{"Tcpip"}},
		{Name: "newSvc", Program: w.Services[0].Program, DisplayName: "New", Description: "Is new"},
	}
	w.Registry = []packaging.RegistryValue{{Key: `Software\Agent`, Name: "Path", Type: "expand", Value: "x"}, {Key: `Software\Agent`, Name: "New", Type: "dword", Value: "1"}}
	w.Environment = []packaging.EnvironmentVariable{{Name: "AGENT", Value: "1"}}
	w.HelpLink = "https://example.com/help"
	b.Package.Windows, b.Package.Version = &w, "1.2.4"
	b.Texts = []compare.Text{
		{Name: compare.Actions, Weight: compare.Scripts, Body: a.Texts[0].Body + "6580 HookCommit\n"},
		{Name: "table Shortcut", Weight: compare.Services, Body: "a shortcut\n"},
	}
	return a, b
}

func TestGolden(t *testing.T) {
	a, b := versions()
	x, y := msis(t)
	text := (*compare.Report).WriteText
	page := (*compare.Report).WriteHTML
	asJSON := func(r *compare.Report, w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	for _, tc := range []struct {
		name  string
		a, b  compare.Side
		write func(*compare.Report, io.Writer) error
	}{
		{"versions.txt", a, b, text},
		{"versions.json", a, b, asJSON},
		{"versions.html", a, b, page},
		{"msi.txt", x, y, text},
		{"formats.txt", release(t, "rpm"), release(t, "msi"), text},
		{"formats.json", release(t, "rpm"), release(t, "deb"), asJSON},
		{"formats.html", release(t, "rpm"), release(t, "msi"), page},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got bytes.Buffer
			if err := tc.write(compare.Packages(tc.a, tc.b), &got); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join("testdata", tc.name)
			if *update {
				if err := os.WriteFile(name, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("it is not as %s; look at what -update changes", name)
			}
		})
	}
}

// TestPage: whatever a package holds, the page runs nothing and fetches nothing.
func TestPage(t *testing.T) {
	a, b := versions()
	var page strings.Builder
	if err := compare.Packages(a, b).WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "src=", "@import", "url(", "http://", "https://", "javascript:", "\x1b", "\u202e", "ZgotmplZ"} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}
	if !strings.Contains(page.String(), "&lt;script&gt;alert(1)") {
		t.Error("the name with markup is not shown as it is")
	}
	checkPage(t, page.String())
}

// TestOrder: the heaviest stands first, and the summary counts what is listed.
func TestOrder(t *testing.T) {
	a, b := versions()
	r := compare.Packages(a, b)
	if r.Equal || !slices.IsSortedFunc(r.Differences, func(x, y compare.Difference) int { return int(x.Weight - y.Weight) }) {
		t.Errorf("differences are not sorted by weight: %q", lines(r.Differences))
	}
	n := 0
	for _, c := range r.Summary {
		n += c.Count
	}
	if n != len(r.Differences) {
		t.Errorf("the summary counts %d of %d differences", n, len(r.Differences))
	}
	back := compare.Packages(b, a)
	for _, w := range []compare.Weight{compare.Rights, compare.Relations, compare.Metadata, compare.Access} {
		count := func(r *compare.Report) (n int) {
			for _, d := range r.Differences {
				if d.Weight == w {
					n++
				}
			}
			return n
		}
		if count(r) != count(back) {
			t.Errorf("%s: %d differences one way, %d the other: %q, %q", w, count(r), count(back), lines(r.Differences), lines(back.Differences))
		}
	}
}

// TestUnchanged: comparing changes neither package, and a package is equal to itself
// however its lists are ordered.
func TestUnchanged(t *testing.T) {
	a, b := versions()
	wantA, wantB := fmt.Sprintf("%+v", a.Package), fmt.Sprintf("%+v", b.Package)
	compare.Packages(a, b)
	if fmt.Sprintf("%+v", a.Package) != wantA || fmt.Sprintf("%+v", b.Package) != wantB {
		t.Error("a package was changed")
	}
	for _, format := range []string{"rpm", "deb", "msi"} {
		x, y := release(t, format), release(t, format)
		slices.Reverse(y.Package.Relations)
		slices.Reverse(y.Package.Scripts)
		slices.Reverse(y.Package.Members)
		if r := compare.Packages(x, y); !r.Equal || len(r.Expected) > 0 {
			t.Errorf("%s: %q, %q", format, lines(r.Differences), lines(r.Expected))
		}
	}
}

// TestTriggerPriority: a trigger that runs at another time is another one.
func TestTriggerPriority(t *testing.T) {
	a, b := release(t, "rpm"), release(t, "rpm")
	trigger := packaging.Trigger{Kind: "filetriggerin", On: []string{"/usr/lib"}, Priority: 1_000_000}
	a.Package.Triggers = []packaging.Trigger{trigger}
	trigger.Priority = 1
	b.Package.Triggers = []packaging.Trigger{trigger}
	ds := compare.Packages(a, b).Differences
	if len(ds) != 1 || ds[0].Kind != "trigger" || !slices.Contains(ds[0].Lines, "+# priority 1") {
		t.Errorf("told: %q", lines(ds))
	}
}

// TestMany: a page of a package with very many differences stays small, and says so.
func TestMany(t *testing.T) {
	a, b := versions()
	for i := range 5000 {
		put(b.Package, file(fmt.Sprintf("/srv/%04d", i), 0o644, "x"))
	}
	r := compare.Packages(a, b)
	var page strings.Builder
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if page.Len() > 500_000 || !strings.Contains(page.String(), " more: <code>vpkg diff</code>") {
		t.Errorf("the page has %d bytes", page.Len())
	}
	if len(r.Differences) < 5000 {
		t.Errorf("the report has only %d differences", len(r.Differences))
	}
}

// TestEmpty: packages that say nothing are equal, and a side without a layout has
// only missing files.
func TestEmpty(t *testing.T) {
	empty := compare.Side{Format: "deb", Package: &packaging.Package{}}
	if r := compare.Packages(empty, empty); !r.Equal {
		t.Errorf("%q", lines(r.Differences))
	}
	for _, format := range []string{"rpm", "deb", "msi"} {
		for _, pair := range [][2]compare.Side{{empty, release(t, format)}, {release(t, format), empty}} {
			r := compare.Packages(pair[0], pair[1])
			if r.Equal {
				t.Errorf("%s is equal to nothing", format)
			}
			if err := r.WriteHTML(io.Discard); err != nil {
				t.Error(err)
			}
		}
	}
}
