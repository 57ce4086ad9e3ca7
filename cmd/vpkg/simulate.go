package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/simulate"
	"github.com/vpkg/vpkg/rpm"
)

// simulateOptions are the flags of vpkg simulate.
type simulateOptions struct {
	install, remove, purge bool
	json                   bool
	root                   string
}

func simulateCommand() *cobra.Command {
	var o simulateOptions
	cmd := &cobra.Command{
		Use:   "simulate OLD NEW",
		Short: "Show what an upgrade, a downgrade or a removal would do",
		Long: `Show what rpm, dpkg or Windows Installer would do to replace one package by another
of the same name and format, or to install or remove one: scriptlets and actions in
their order with their arguments, files, configuration that was changed locally, and
services. Whether it is an upgrade or a downgrade, the order of versions says.
Nothing is run.

With --root the host below that folder is looked at, so that each configuration file
has one outcome; without it all are shown. See docs/simulate.md.

The exit status is 0 if there is nothing to warn of; 1 if data is lost, a service stays
down, something fails or is left undone, or the version does not sort higher; and 2 if
the command was used wrongly or a package cannot be read.`,
		Example: `  vpkg simulate agent-1.0-1.x86_64.rpm agent-2.0-1.x86_64.rpm
  vpkg simulate --root / agent_1.0_amd64.deb agent_2.0_amd64.deb
  vpkg simulate --install agent.msi
  vpkg simulate --remove agent.rpm
  vpkg simulate --purge agent.deb
  vpkg simulate --json old.msi new.msi | jq .warnings`,
		Args: usageArgs(func(_ *cobra.Command, args []string) error { return o.check(args) }),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&o.install, "install", false, "of one package: it is installed where there is none")
	fl.BoolVar(&o.remove, "remove", false, "of one package: it is removed")
	fl.BoolVar(&o.purge, "purge", false, "of one DEB or MSI: it is removed with its configuration and data")
	fl.BoolVar(&o.json, "json", false, "write JSON")
	fl.StringVar(&o.root, "root", "", "look at the configuration files of the host below `DIR`")
	return cmd
}

func (o *simulateOptions) check(args []string) error {
	chosen := 0
	for _, b := range []bool{o.install, o.remove, o.purge} {
		if b {
			chosen++
		}
	}
	switch {
	case chosen > 1:
		return errors.New("--install, --remove and --purge exclude each other")
	case chosen == 1 && len(args) != 1:
		return fmt.Errorf("want one package file, found %d", len(args))
	case chosen == 0 && len(args) == 1:
		return errors.New("want two package files, or --install, --remove or --purge with one")
	case chosen == 0 && len(args) != 2:
		return fmt.Errorf("want two package files, found %d", len(args))
	}
	return nil
}

// errWarned is returned when a simulation has something to warn of.
var errWarned = errors.New("there is something to warn of")

func (o *simulateOptions) run(ctx context.Context, w io.Writer, args []string) error {
	r, err := o.simulate(ctx, args)
	if err != nil {
		return troubleError{err} // 1 would say that there are warnings
	}
	write := r.WriteText
	if o.json {
		write = func(w io.Writer) error { return writeJSON(w, r) }
	}
	if err := write(w); err != nil {
		return troubleError{err}
	}
	if len(r.Warnings) > 0 {
		return errWarned
	}
	return nil
}

func (o *simulateOptions) simulate(ctx context.Context, args []string) (*simulate.Report, error) {
	frugal()
	var sides []*simulate.Side
	var formats []string
	for _, name := range args {
		side, format, err := readSimulated(ctx, name)
		if err != nil {
			return nil, err
		}
		sides, formats = append(sides, side), append(formats, format)
	}
	if last := formats[len(formats)-1]; formats[0] != last {
		return nil, fmt.Errorf("%s has the format %s and %s has %s: a package takes the place of one of its own format only; vpkg diff compares them",
			args[0], formats[0], args[1], last)
	}
	c := simulate.Case{Format: formats[0], Old: sides[0], New: sides[len(sides)-1], Purge: o.purge}
	switch {
	case o.install:
		c.Old = nil
	case o.remove || o.purge:
		c.New = nil
	}
	if o.purge && c.Format == "rpm" {
		return nil, errors.New("rpm has no purge: use --remove")
	}
	c.Compare = map[string]func(a, b string) int{"rpm": rpm.CompareEVR, "deb": deb.CompareVersion, "msi": rpm.CompareEVR}[c.Format]
	if o.root != "" {
		root, err := os.OpenRoot(o.root)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		c.Host = func(path string) (simulate.Found, error) { return lookAt(root, path) }
	}
	r, err := simulate.Run(c)
	if errors.Is(err, simulate.ErrUnlike) {
		return nil, fmt.Errorf("%s and %s: %w; vpkg diff compares them, and --install and --remove take one", args[0], args[1], err)
	}
	return r, err
}

// readSimulated reads a package with its payload, and its format's name.
func readSimulated(ctx context.Context, name string) (*simulate.Side, string, error) {
	f, err := openPackage(name)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	s := &simulate.Side{File: name}
	if s.Package, err = f.Package(ctx, packaging.Payload); err != nil {
		return nil, "", err
	}
	// What may be large and does not matter here is not held while the other package is read.
	s.Package.Members, s.Package.Changelog = nil, nil
	for i := range s.Package.Layout {
		s.Package.Layout[i].NoVerify = nil
	}
	if s.Hook, err = f.hook(ctx, s.Package.Layout); err != nil {
		return nil, "", err
	}
	c, err := f.MSI()
	if err == nil && c != nil {
		s.Installer, err = installer(c)
	}
	if err != nil {
		return nil, "", err
	}
	return s, f.Format.Name(), nil
}

// maxHook bounds the configuration of a hook, in bytes.
const maxHook = 1 << 20

// hook reads the hook's configuration out of the payload; nil for a package that has
// none, or one of a later version of vpkg.
func (f *packageFile) hook(ctx context.Context, l packaging.Layout) (*hooks.Config, error) {
	want := ""
	for i := range l {
		if l[i].Size <= maxHook && l[i].HasBody() && strings.HasSuffix(l[i].Path, hooks.ConfigFile) {
			program, _ := strings.CutSuffix(l[i].Path, hooks.ConfigFile)
			_, linux := l.Lookup(program + "/bin/vpkg-hook")
			if linux || f.Format.Name() == "msi" {
				want = l[i].Path
			}
		}
	}
	if want == "" {
		return nil, nil
	}
	var text bytes.Buffer
	each, ok := f.Format.(packaging.Extractor)
	if !ok {
		return nil, nil
	}
	err := each.Each(ctx, f, f.Size, func(e *packaging.Entry, body io.Reader) error {
		if e.Path != want {
			return nil
		}
		_, err := io.Copy(&text, io.LimitReader(body, maxHook))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	c, err := hooks.ParseConfig(text.Bytes())
	if err != nil {
		return nil, nil //nolint:nilerr // it is another program's file, or a later version's: its scripts are looked at instead
	}
	return &c, nil
}

// lookAt says what is at a path of a host. Links above it are followed within the root.
func lookAt(root *os.Root, path string) (simulate.Found, error) {
	name := strings.TrimPrefix(path, "/")
	fi, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return simulate.Found{Missing: true}, nil
	case err != nil:
		return simulate.Found{}, err
	}
	found := simulate.Found{Mode: fi.Mode()}
	switch {
	case fi.Mode().Type() == fs.ModeSymlink:
		found.Target, err = root.Readlink(name)
	case fi.Mode().IsRegular():
		found.SHA256, err = digest(root, name)
	}
	return found, err
}

func digest(root *os.Root, name string) (packaging.Digest, error) {
	f, err := root.Open(name)
	if err != nil {
		return packaging.Digest{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return packaging.Digest{}, err
	}
	return packaging.Digest(h.Sum(nil)), nil
}

// Types of custom actions, SDK "Custom Action Types".
const (
	msiKind     = 0x3f
	msiProperty = 51
	msiInScript = 0x400
	msiRollback = 0x100
	msiCommit   = 0x200
)

// installer gives what Windows Installer's rules need of an MSI's tables.
func installer(c *msi.Contents) (*simulate.Installer, error) {
	x := &simulate.Installer{Properties: map[string]string{}, Holds: msi.Holds}
	for r := range c.Rows("Property") {
		x.Properties[r.Text("Property")] = r.Text("Value")
	}
	x.ProductCode, x.UpgradeCode, x.Version = x.Properties["ProductCode"], x.Properties["UpgradeCode"], x.Properties["ProductVersion"]
	for _, p := range c.Summary() {
		if p.Name == "Package code" {
			x.PackageCode = p.Value
		}
	}
	custom := map[string]msi.Row{}
	for r := range c.Rows("CustomAction") {
		custom[r.Text("Action")] = r
	}
	for _, a := range c.Actions("InstallExecuteSequence") {
		y := simulate.InstallAction{Number: a.Number, Name: a.Name, Condition: a.Condition, Does: a.Does, Target: a.Target}
		if r, ok := custom[a.Name]; ok {
			kind := r.Int("Type")
			y.Deferred, y.Rollback, y.Commit = kind&msiInScript != 0, kind&(msiInScript|msiRollback) == msiInScript|msiRollback, kind&(msiInScript|msiCommit) == msiInScript|msiCommit
			if kind&msiKind == msiProperty {
				y.Sets = r.Text("Source")
			}
		}
		x.Sequence = append(x.Sequence, y)
	}
	for r := range c.Rows("Upgrade") {
		x.Upgrades = append(x.Upgrades, simulate.UpgradeRow{
			UpgradeCode: r.Text("UpgradeCode"), VersionMin: r.Text("VersionMin"), VersionMax: r.Text("VersionMax"),
			Attributes: r.Int("Attributes"), Remove: r.Text("Remove"), ActionProperty: r.Text("ActionProperty"),
		})
	}
	for r := range c.Rows("LaunchCondition") {
		x.Conditions = append(x.Conditions, simulate.LaunchCondition{Condition: r.Text("Condition"), Description: r.Text("Description")})
	}
	locators := map[string]msi.Row{}
	for r := range c.Rows("RegLocator") {
		locators[r.Text("Signature_")] = r
	}
	for r := range c.Rows("AppSearch") {
		s := simulate.Search{Property: r.Text("Property")}
		if l, ok := locators[r.Text("Signature_")]; ok {
			s.Key, s.Name = l.Text("Key"), l.Text("Name")
		}
		x.Searches = append(x.Searches, s)
	}
	for r := range c.Rows("Registry") {
		x.Registry = append(x.Registry, simulate.RegistryValue{Key: r.Text("Key"), Name: r.Text("Name"), Value: r.Text("Value")})
	}
	for r := range c.Rows("ServiceControl") {
		x.Controls = append(x.Controls, simulate.ServiceControl{Name: r.Text("Name"), Event: r.Int("Event")})
	}
	for r := range c.Rows("ServiceInstall") {
		x.Services = append(x.Services, r.Text("Name"))
	}
	return x, installerFiles(c, x)
}

func installerFiles(c *msi.Contents, x *simulate.Installer) error {
	paths, err := c.Paths()
	if err != nil {
		return err
	}
	for r := range c.Rows("File") {
		x.Files = append(x.Files, simulate.InstallerFile{Path: paths[r.Text("File")], Component: r.Text("Component_"), Version: r.Text("Version")})
	}
	for r := range c.Rows("Component") {
		x.Components = append(x.Components, simulate.Component{
			Key: r.Text("Component"), ID: r.Text("ComponentId"), Condition: r.Text("Condition"),
			Attributes: r.Int("Attributes"), KeyPath: paths[r.Text("KeyPath")],
		})
	}
	return nil
}
