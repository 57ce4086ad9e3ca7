package manifest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// ErrNoWindows is returned for a Windows target of a manifest that says nothing
// about Windows.
var ErrNoWindows = errors.New("the manifest has no windows section")

// dataAccess is the access list of a data folder, which the hook gives it too: the
// system and administrators, and nobody who can use the folder above it.
const dataAccess = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"

var (
	guidRE           = regexp.MustCompile(`^\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}$`)
	windowsServiceRE = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,79}$`)
	windowsPathRE    = regexp.MustCompile(`^(/[A-Za-z0-9][A-Za-z0-9 ()._+-]*)+$`) // it stands in command lines, in quotes
	windowsAccountRE = regexp.MustCompile(`^(LocalSystem|[^\\/\[\]\r\n]+\\[^\\/\[\]\r\n]+)$`)
	variableRE       = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_()]*$`)
)

// windows checks what the manifest says about Windows.
func (c *checker) windows() {
	w := &c.m.Windows
	if _, given := c.m.pos["windows"]; !given {
		return
	}
	if w.ProductName == "" || len(w.ProductName) > 63 || strings.ContainsAny(w.ProductName, "\n\r[]{}") {
		c.bad("windows.product_name", "windows.product_name %q: want 1 to 63 characters without brackets", w.ProductName)
	}
	c.matches("windows.upgrade_code", w.UpgradeCode, guidRE, "a GUID in capitals with braces, such as {12345678-1234-1234-1234-123456789ABC}")
	if w.UpgradeCode == "" {
		c.bad("windows.upgrade_code", "windows.upgrade_code is empty")
	}
	c.windowsFolders()
	for _, v := range []struct{ at, value string }{{"windows.help", w.Help}, {"windows.update", w.Update}} {
		if v.value != "" && !strings.HasPrefix(v.value, "http://") && !strings.HasPrefix(v.value, "https://") {
			c.bad(v.at, "%s %q: want an address that begins with https:// or http://", v.at, v.value)
		}
	}
	c.attributes("windows.payload", w.Payload.Attributes)
	c.contents("windows.payload.contents", w.Payload.Contents)
	c.contents("windows.contents", w.Contents)
	c.windowsVersion()
	c.windowsServices()
	c.windowsSettings()
}

// windowsVersion sees to it that the version fits in Windows Installer's numbers,
// 255.255.65535, and in those of a program's version.
func (c *checker) windowsVersion() {
	if c.failed("version") || c.m.Version.Number == "" {
		return
	}
	if err := c.m.Version.checkWindows(); err != nil {
		c.bad("version", "%w", err)
	}
}

func (v Version) checkWindows() error {
	for i, n := range append(strings.Split(v.Number, "."), v.Build) {
		most := [...]int{255, 255, 65535, 65535}[i]
		if x, err := strconv.Atoi(n); err != nil || x > most {
			return fmt.Errorf("version %s: on Windows X and Y are at most 255, Z and BUILD at most 65535", v)
		}
	}
	return nil
}

// windowsNumbers gives the four numbers of the version of a Windows program.
func (v Version) windowsNumbers() [4]uint16 {
	var n [4]uint16
	for i, s := range append(strings.Split(v.Number, "."), v.Build) {
		x, _ := strconv.ParseUint(s, 10, 16) // checkWindows has seen to it
		n[i] = uint16(x)
	}
	return n
}

func (c *checker) windowsFolders() {
	w := &c.m.Windows
	const want = "letters, digits, spaces and . _ + - ( ) /"
	for _, v := range []struct {
		at, value, below string
		needed           bool
	}{
		{"windows.program", w.Program, "/Program Files/", true},
		{"windows.data", w.Data, "/ProgramData/", false},
		{"windows.log", w.Log, "/", false},
	} {
		switch {
		case v.value == "" && !v.needed:
		case !strings.HasPrefix(v.value, v.below) || path.Clean(v.value) != v.value:
			c.bad(v.at, "%s %q: want a path below %s", v.at, v.value, v.below)
		default:
			c.matches(v.at, v.value, windowsPathRE, want)
		}
	}
	for i, f := range w.Folders {
		at := fmt.Sprintf("windows.folders[%d]", i)
		if w.Data == "" || !within(f, w.Data) || f == w.Data || path.Clean(f) != f {
			c.bad(at, "%s %q: want a path in windows.data", at, f)
		}
		c.matches(at, f, windowsPathRE, want)
	}
}

func (c *checker) windowsServices() {
	seen := make(map[string]bool)
	for i, s := range c.m.Windows.Services {
		at := fmt.Sprintf("windows.services[%d]", i)
		c.matches(at+".name", s.Name, windowsServiceRE, "letters, digits and . _ -, a letter first, at most 80")
		if lower := strings.ToLower(s.Name); seen[lower] {
			c.bad(at+".name", "service %s is given twice", s.Name)
		} else {
			seen[lower] = true
		}
		if !cleanRelative(s.Program) || !strings.HasSuffix(strings.ToLower(s.Program), ".exe") {
			c.bad(at+".program", "%s.program %q: want a .exe relative to the program folder", at, s.Program)
		}
		for j, a := range s.Args {
			if strings.ContainsAny(a, "\"\n\r") || strings.HasSuffix(a, `\`) {
				c.bad(fmt.Sprintf("%s.args[%d]", at, j), "%s.args[%d] %q: has a quote, a new line or a backslash at its end", at, j, a)
			}
		}
		for _, v := range []struct{ at, value string }{{"display_name", s.DisplayName}, {"description", s.Description}} {
			c.oneLine(at+"."+v.at, v.value)
		}
		c.matches(at+".account", s.Account, windowsAccountRE, `LocalSystem, or a domain and a name, such as NT AUTHORITY\LocalService`)
	}
}

func (c *checker) windowsSettings() {
	for i, r := range c.m.Windows.Registry {
		at := fmt.Sprintf("windows.registry[%d]", i)
		if r.Key == "" || strings.Trim(r.Key, `\`) != r.Key || strings.HasPrefix(strings.ToUpper(r.Key), "HK") {
			c.bad(at+".key", `%s.key %q: want a key below HKEY_LOCAL_MACHINE, such as Software\Example`, at, r.Key)
		}
		if _, err := strconv.ParseUint(r.Value, 10, 32); r.Type == RegistryDword && err != nil {
			c.bad(at+".value", "%s.value %q is not a whole number of 32 bits", at, r.Value)
		}
		if r.Type != RegistryMulti {
			c.oneLine(at+".value", r.Value)
		}
	}
	for i, e := range c.m.Windows.Environment {
		at := fmt.Sprintf("windows.environment[%d]", i)
		c.matches(at+".name", e.Name, variableRE, "letters, digits and _")
		if e.Value == "" {
			c.bad(at+".value", "%s.value is empty", at)
		}
		c.oneLine(at+".value", e.Value)
	}
}

// forWindows is the manifest in which Windows' folders and files stand in the
// place of Linux's, so that both are laid in the same way.
func (m *Manifest) forWindows() *Manifest {
	w := *m
	w.Folders = Folders{Program: m.Windows.Program, Data: m.Windows.Data}
	w.Account, w.Services, w.Start, w.Components = Account{}, nil, nil, nil
	w.Payload, w.Contents = m.Windows.Payload, m.Windows.Contents
	w.Payload.Destination = cmp.Or(w.Payload.Destination, w.Folders.Program)
	w.Payload.Attributes = slices.Clone(w.Payload.Attributes)
	for i, a := range w.Payload.Attributes { // nothing else means something there
		w.Payload.Attributes[i] = Attributes{Match: a.Match, Config: a.Config, Exclude: a.Exclude}
	}
	return &w
}

// An Executable is a program in a package for Windows.
type Executable struct {
	Path string // in the layout: "/Program Files/Illumio/bin/vpkg-hook.exe"
	Program
	Stamp *Stamp // what is to be put into it; nil for one that is not vpkg's
}

// A Stamp is what one of vpkg's programs for Windows says about itself.
type Stamp struct {
	Version     [4]uint16
	Product     string
	Company     string
	Description string
	Data        []byte // the hook's configuration; nil for other programs
}

// resolveWindows makes the package for a Windows target.
func (r *Resolver) resolveWindows(ctx context.Context, t Target) (*packaging.Package, error) {
	m := r.Manifest
	if m.Windows.UpgradeCode == "" {
		return nil, ErrNoWindows
	}
	if err := m.Version.checkWindows(); err != nil {
		return nil, err // --version's
	}
	in, err := r.install(ctx, t)
	if err != nil {
		return nil, err
	}
	p := r.identity(t)
	p.Release, p.Relations, p.Accounts, p.Group = m.Version.Build, nil, nil, ""
	p.Date, p.Layout = in.date, in.layout
	p.Windows, err = m.windowsPackage(in)
	return p, err
}

func (m *Manifest) windowsPackage(in installed) (*packaging.Windows, error) {
	w := &m.Windows
	hook, _ := in.layout.Lookup(w.Program + hookPath + ".exe")
	p := &packaging.Windows{
		ProductName: w.ProductName, UpgradeCode: w.UpgradeCode, Program: w.Program, Data: w.Data,
		DataAccess: dataAccess, Hook: hook.Body, HookSize: hook.Size,
		HelpLink: w.Help, UpdateLink: w.Update, Record: in.record,
	}
	var errs []error
	for i, s := range w.Services {
		program := path.Join(w.Program, s.Program)
		if _, ok := in.layout.Lookup(program); !ok {
			at := fmt.Sprintf("windows.services[%d].program", i)
			errs = append(errs, m.problem(at, "%s is not in the package", program))
		}
		p.Services = append(p.Services, packaging.WindowsService{
			Name: s.Name, DisplayName: s.DisplayName, Description: s.Description, Program: program,
			Arguments: s.Args, Start: packaging.ServiceStart(cmp.Or(s.Start, StartAuto)), Account: s.Account,
			Dependencies: s.Needs, AtInstall: s.AtInstall,
		})
	}
	for _, v := range w.Registry {
		p.Registry = append(p.Registry, packaging.RegistryValue{Key: v.Key, Name: v.Name, Type: string(cmp.Or(v.Type, RegistryString)), Value: v.Value})
	}
	for _, v := range w.Environment {
		p.Environment = append(p.Environment, packaging.EnvironmentVariable{Name: v.Name, Value: v.Value, Action: string(cmp.Or(v.Action, EnvironmentSet))})
	}
	return p, errors.Join(errs...)
}

// windowsConfig is what the hook has to do on Windows.
func (m *Manifest) windowsConfig() hooks.Config {
	w := &m.Windows
	c := hooks.Config{
		Format: hooks.ConfigVersion, Windows: true, Name: m.Name, Version: m.Version.String(),
		Program: w.Program, Data: w.Data, Log: cmp.Or(w.Log, "/Windows/Temp/"+m.Name+"-install.log"),
		EnvPrefix: m.EnvPrefix + "_",
	}
	folders := slices.Clone(w.Folders)
	if w.Data != "" {
		folders = append(folders, w.Data)
	}
	slices.Sort(folders)
	for _, f := range folders {
		c.Folders = append(c.Folders, hooks.Folder{Path: f, Mode: 0o750})
	}
	for _, s := range w.Services {
		auto := s.Start == "" || s.Start == StartAuto || s.Start == StartDelayed
		u := hooks.Unit{Name: s.Name, Enable: auto, Start: s.AtInstall, Program: path.Join(w.Program, s.Program), Args: s.Args, Account: s.Account}
		for _, n := range s.Restart {
			u.Restart = append(u.Restart, int(n))
		}
		c.Units = append(c.Units, u)
	}
	for _, x := range m.Components {
		c.Components = append(c.Components, hooks.Component(x))
	}
	return c
}

// stamp is what the program of the given name says about itself.
func (m *Manifest) stamp(program string) *Stamp {
	s := &Stamp{Version: m.Version.windowsNumbers(), Product: m.Windows.ProductName, Company: cmp.Or(m.Vendor, m.Maintainer), Description: m.Summary}
	if program == "vpkg-hook" {
		s.Data, _ = m.windowsConfig().Marshal() // addHook tells of its error
	}
	return s
}

// finishWindows gives files and folders the modes that all have on Windows, where
// there are none, adds the folders above them, and has programs finished.
func (r *Resolver) finishWindows(ctx context.Context, b *layoutBuilder) {
	for _, p := range slices.Sorted(maps.Keys(b.entries)) {
		e := b.entries[p]
		if e.HardLink != "" { // another name of a file is a file of its own
			first := b.entries[e.HardLink]
			e.Body, e.Size, e.SHA256, e.HardLink = first.Body, first.Size, first.SHA256, ""
		}
		e.Owner, e.Group, e.Caps = "", "", ""
		switch {
		case e.Mode.IsDir():
			e.Mode = fs.ModeDir | 0o755
		case e.Mode.IsRegular():
			e.Mode = 0o644
			if r.Executable != nil && packaging.IsWindowsProgram(p) {
				if err := r.finish(ctx, &e, b.stamps[p]); err != nil {
					b.errs = append(b.errs, fmt.Errorf("%s: %w", p, err))
				}
			}
		default:
			b.errs = append(b.errs, fmt.Errorf("%s is a link, which Windows Installer has no form for", p))
		}
		b.entries[p] = e
		for up := path.Dir(p); !slices.Contains(windowsFolders, up); up = path.Dir(up) {
			if _, ok := b.entries[up]; !ok {
				b.entries[up] = packaging.Entry{Path: up, Mode: fs.ModeDir | 0o755}
			}
		}
	}
}

func (r *Resolver) finish(ctx context.Context, e *packaging.Entry, s *Stamp) error {
	done, err := r.Executable(ctx, Executable{e.Path, Program{e.Body, e.Size, e.SHA256}, s})
	if err != nil {
		return err
	}
	e.Body, e.Size, e.SHA256 = done.Body, done.Size, done.SHA256
	return nil
}
