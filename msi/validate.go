package msi

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/vpkg/vpkg/msi/internal/cab"
	"github.com/vpkg/vpkg/packaging"
)

var (
	versionRE = regexp.MustCompile(`^(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,4})$`)
	buildRE   = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)
	guidRE    = regexp.MustCompile(`^\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}$`)
)

// maxPath is how long a path may be on a host where programs do not ask for longer
// ones, MAX_PATH, with its drive and without the terminating zero.
const maxPath = 259

// A problems collects what is wrong with a package.
type problems struct{ errs []error }

func (e *problems) bad(format string, args ...any) {
	e.errs = append(e.errs, fmt.Errorf(format, args...))
}

// validate reports everything about a package that cannot be written.
func validate(p *packaging.Package) error {
	e := &problems{}
	if err := packaging.Validate(p); err != nil {
		e.errs = append(e.errs, err)
	}
	if p.Windows == nil {
		e.bad("package %s says nothing about Windows", p.Name)
		return errors.Join(e.errs...)
	}
	e.identity(p)
	e.refused(p)
	e.layout(p)
	e.services(p)
	e.settings(p.Windows)
	return errors.Join(e.errs...)
}

func (e *problems) identity(p *packaging.Package) {
	w := p.Windows
	m := versionRE.FindStringSubmatch(p.Version)
	if m == nil || number(m[1]) > 255 || number(m[2]) > 255 || number(m[3]) > 65535 {
		e.bad("version %q: want X.Y.Z with X and Y at most 255 and Z at most 65535", p.Version)
	}
	if !buildRE.MatchString(p.Release) {
		e.bad("release %q: want a whole number", p.Release)
	}
	if !slices.ContainsFunc(archs, func(a arch) bool { return a.name == p.Arch }) {
		e.bad("architecture %q: want x64 or arm64", p.Arch)
	}
	if n := len(utf16.Encode([]rune(w.ProductName))); n < 1 || n > 63 || strings.ContainsAny(w.ProductName, "\r\n\t[]{}") {
		e.bad("product name %q: want 1 to 63 characters without brackets", w.ProductName)
	}
	if !guidRE.MatchString(w.UpgradeCode) {
		e.bad("upgrade code %q: want a GUID in capitals with braces", w.UpgradeCode)
	}
	if c := p.Compression; c.Codec != "" && c.Codec != "mszip" || c.Level < 0 || c.Level > 9 {
		e.bad("compression %s of level %d: want mszip of level 1 to 9", c.Codec, c.Level)
	}
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // a regular expression has seen to it
	return n
}

// refused names what Windows Installer has no form for.
func (e *problems) refused(p *packaging.Package) {
	for _, r := range p.Relations {
		e.bad("relation %s %q: Windows Installer has no relations between packages", r.Kind, r.Text)
	}
	for _, s := range p.Scripts {
		e.bad("%s script: Windows Installer runs no shell", s.Phase)
	}
	if p.Epoch != 0 {
		e.bad("epoch %d: Windows Installer has no epochs", p.Epoch)
	}
	for _, v := range []struct {
		what  string
		given bool
	}{
		{"triggers", len(p.Triggers) > 0},
		{"control fields", len(p.Fields) > 0},
		{"control members", len(p.Members) > 0},
		{"relocation", len(p.Prefixes) > 0},
		{"accounts", len(p.Accounts) > 0},
		{"ELF requirements", p.RequiresELF},
	} {
		if v.given {
			e.bad("Windows Installer has no %s", v.what)
		}
	}
}

func (e *problems) layout(p *packaging.Package) {
	w := p.Windows
	for _, v := range []struct{ what, path, below string }{{"program folder", w.Program, "/Program Files/"}, {"data folder", w.Data, "/ProgramData/"}} {
		if v.path == "" && v.what == "data folder" {
			continue
		}
		if !strings.HasPrefix(v.path, v.below) || path.Clean(v.path) != v.path || isStandard(v.path) {
			e.bad("%s %q: want a clean path below %s", v.what, v.path, v.below)
		}
	}
	names := make(map[string]string) // paths in lower case
	files := 0
	for i := range p.Layout {
		x := &p.Layout[i]
		e.entry(x)
		if within(x.Path, w.Data) {
			e.bad("%s lies in the data folder, which is made at install", x.Path)
		}
		if other, twice := names[strings.ToLower(x.Path)]; twice {
			e.bad("%s and %s are the same on Windows", other, x.Path)
		}
		names[strings.ToLower(x.Path)] = x.Path
		if up := path.Dir(x.Path); !isStandard(up) {
			if d, ok := p.Layout.Lookup(up); !ok || !d.Mode.IsDir() {
				e.bad("%s: its folder is not in the layout", x.Path)
			}
		}
		if x.Mode.IsRegular() {
			files++
		}
	}
	if _, ok := p.Layout.Lookup(w.Program); !ok {
		e.bad("program folder %s is not in the layout", w.Program)
	}
}

func (e *problems) entry(x *packaging.Entry) {
	bad := func(format string, args ...any) { e.bad(x.Path+": "+format, args...) }
	if _, ok := standard(x.Path); !ok {
		bad("want a path below /Program Files, /ProgramData or /Windows")
	}
	if n := len(utf16.Encode([]rune(x.Path))) + len("C:"); n > maxPath {
		bad("has %d characters, and Windows takes %d", n, maxPath)
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(x.Path, "/"), "/") {
		if why := badName(name); why != "" {
			bad("%q cannot be a name on Windows: %s", name, why)
			break
		}
	}
	want := packaging.FileMode(0o644)
	if x.Mode.IsDir() {
		want = packaging.FileMode(0o040755)
	}
	switch {
	case !x.Mode.IsDir() && !x.Mode.IsRegular():
		bad("is a link, which Windows Installer has no form for")
	case x.Mode != want:
		bad("mode %v: Windows has access lists instead, want %v", x.Mode, want)
	case x.HardLink != "":
		bad("is a hard link, which Windows Installer has no form for")
	case x.Ghost:
		bad("is a ghost, which Windows Installer has no form for")
	case x.OwnerName() != "root" || x.GroupName() != "root" || x.Caps != "":
		bad("has an owner or capabilities of Linux")
	case x.Config != packaging.NotConfig && x.Config != packaging.ConfigNoReplace:
		bad("is %s: Windows Installer has no form for it", x.Config)
	case x.Size > cab.MaxFileSize:
		bad("has %d bytes, and a cabinet takes %d", x.Size, int64(cab.MaxFileSize))
	}
}

// badName says why a file cannot have a name; empty means that it can.
func badName(name string) string {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	switch {
	case strings.ContainsAny(name, `\:*?"<>|`) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		return `it has one of \ : * ? " < > |`
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		return "it ends in a dot or a space"
	case slices.Contains(devices, stem) || len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '1' && stem[3] <= '9':
		return "it is that of a device"
	}
	return ""
}

var devices = []string{"CON", "PRN", "AUX", "NUL"}

func (e *problems) services(p *packaging.Package) {
	for _, s := range p.Windows.Services {
		if x, ok := p.Layout.Lookup(s.Program); !ok || !x.HasBody() {
			e.bad("service %s: its program %s is not in the layout", s.Name, s.Program)
		}
		for _, a := range s.Arguments {
			if strings.ContainsAny(a, "\"\r\n") || strings.HasSuffix(a, `\`) {
				e.bad("service %s: argument %q has a quotation mark, a new line or a backslash at its end", s.Name, a)
			}
		}
		for _, v := range append([]string{s.Name, s.DisplayName, s.Description, s.Account}, s.Dependencies...) {
			if strings.ContainsAny(v, "\r\n[]") { // a property, or what parts a list
				e.bad("service %s: %q has a new line or a bracket", s.Name, v)
			}
		}
		switch s.Start {
		case packaging.StartAuto, packaging.StartDelayed, packaging.StartDemand, packaging.StartDisabled:
		default:
			e.bad("service %s: start %q is not auto, delayed, demand or disabled", s.Name, s.Start)
		}
	}
}

func (e *problems) settings(w *packaging.Windows) {
	seen := make(map[string]bool)
	for _, v := range w.Registry {
		if !slices.Contains([]string{"string", "expand", "dword", "multi"}, v.Type) {
			e.bad("registry value %s: type %q is not string, expand, dword or multi", v.Name, v.Type)
		}
		k := strings.ToLower(v.Key + "|" + v.Name)
		if v.Key == "" || seen[k] {
			e.bad("registry value %q of key %q: want a key, and each value once", v.Name, v.Key)
		}
		seen[k] = true
	}
	for _, v := range w.Environment {
		if v.Name == "" || v.Value == "" || !slices.Contains([]string{"", "set", "append", "prepend"}, v.Action) {
			e.bad("environment variable %q: want a name, a value, and set, append or prepend", v.Name)
		}
	}
}
