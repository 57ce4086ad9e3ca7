package msi

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/msi/internal/msidb"
	"github.com/vpkg/vpkg/packaging"
)

// feature is the only one: a package is installed as a whole.
const feature = "Complete"

// Attributes of a component, SDK "Component table".
const (
	registryKeyPath = 0x004 // KeyPath is a row of Registry
	permanent       = 0x010 // stays when the product is removed
	neverOverwrite  = 0x080 // what is there stays as it is
	component64     = 0x100 // 64-bit folders and registry
)

// maxComponents is how many Windows Installer takes: beyond that an installation
// fails with 2709. A package with more than manyFiles has one for the files of a folder
// that do not need one of their own; what is left is for values and folders.
const (
	maxComponents = 1 << 16
	manyFiles     = 60_000
)

// A builder makes the tables of a package.
type builder struct {
	p       *packaging.Package
	db      *msidb.Database
	ids     identities
	folders map[string]string // keys of Directory by path
	short   shortNames
	// programs are the keys of the components of files, by path.
	programs map[string]string
	// shared are the components that have several files, by folder; nil means that
	// each file has one.
	shared map[string]string
}

// A fileFact is what is known of a file only once it was read.
type fileFact struct {
	version   string // "1.2.3.4" of a program that has one; empty for other files
	languages string // "1033"
	md5       [16]byte
}

// tables makes everything of a package's database but what depends on its
// cabinets. files lists the layout's files in the order in which cabinets have
// them, and facts what was found out about each.
func tables(p *packaging.Package, files []*packaging.Entry, facts []fileFact) (*msidb.Database, error) {
	ids, err := newIdentities(p)
	if err != nil {
		return nil, err
	}
	b := &builder{
		p: p, db: &msidb.Database{}, ids: ids, folders: make(map[string]string),
		short: newShortNames(p.Layout), programs: make(map[string]string),
	}
	if len(files) > manyFiles {
		b.shared = make(map[string]string)
	}
	b.db.Add("Feature", feature, nil, p.Windows.ProductName, nil, 2, 1, b.folder(p.Windows.Program), 0)
	for i, e := range files {
		b.file(i, e, facts[i])
	}
	b.emptyFolders()
	b.programFolders()
	b.data()
	b.services()
	b.registry()
	b.environment()
	b.properties()
	b.search()
	b.upgrade()
	b.conditions()
	b.actions()
	b.sequences()
	if n := len(b.db.Table("Component").Rows); n > maxComponents {
		return nil, fmt.Errorf("%d components: Windows Installer takes %d, so there are too many folders, programs or values", n, maxComponents)
	}
	return b.db, nil
}

// component adds a component, whose identity is its target, and gives its key.
func (b *builder) component(kind, target, folder, keyPath string, attributes int) string {
	k := key("c", kind+target)
	b.db.Add("Component", k, b.ids.component(kind+target), folder, attributes|component64, nil, keyPath)
	b.db.Add("FeatureComponents", feature, k)
	return k
}

// file adds a file, with a component of its own unless there are too many.
func (b *builder) file(i int, e *packaging.Entry, f fileFact) {
	k := key("f", e.Path)
	c := b.fileComponent(k, e, f)
	b.programs[e.Path] = c
	const vital = 0x200 // an installation without the file fails
	b.db.Add("File", k, c, b.short.fileName(e.Path), int(e.Size), f.version, f.languages, vital, i+1)
	if f.version == "" { // a file with a version is compared by it alone
		part := func(i int) int { return int(int32(binary.LittleEndian.Uint32(f.md5[i:]))) }
		b.db.Add("MsiFileHash", k, 0, part(0), part(4), part(8), part(12))
	}
}

func (b *builder) fileComponent(k string, e *packaging.Entry, f fileFact) string {
	dir := path.Dir(e.Path)
	if e.Config == packaging.ConfigNoReplace {
		return b.component("", e.Path, b.folder(dir), k, neverOverwrite|permanent)
	}
	runs := func(s packaging.WindowsService) bool { return s.Program == e.Path }
	if b.shared == nil || f.version != "" || slices.ContainsFunc(b.p.Windows.Services, runs) {
		return b.component("", e.Path, b.folder(dir), k, 0)
	}
	if _, ok := b.shared[dir]; !ok {
		b.shared[dir] = b.component("files|", dir, b.folder(dir), k, 0)
	}
	return b.shared[dir]
}

// emptyFolders has folders made in which there is nothing. RemoveFolders would take
// them away after RemoveFiles has tried to remove the folder above, in vain: so
// RemoveFiles does.
func (b *builder) emptyFolders() {
	for i := range b.p.Layout {
		e := &b.p.Layout[i]
		if !e.Mode.IsDir() || i+1 < len(b.p.Layout) && within(b.p.Layout[i+1].Path, e.Path) {
			continue
		}
		d := b.folder(e.Path)
		c := b.component("", e.Path+"/", d, "", 0)
		b.db.Add("CreateFolder", d, c)
		b.removeFolder(e.Path, c)
	}
}

// removeFolder has a folder removed with the component, if it is empty then.
func (b *builder) removeFolder(p, component string) {
	const atRemoval = 2
	b.db.Add("RemoveFile", key("x", p), component, nil, b.folder(p), atRemoval) // without the name of a file
}

// programFolders has the program folder and those above it removed. Windows Installer
// takes away by itself only what it has made, and the hook makes them before.
func (b *builder) programFolders() {
	c := key("c", "registry|"+stateKey(b.p.Name)+"|InstallFolder")
	for p := b.p.Windows.Program; !isStandard(p); p = path.Dir(p) {
		b.removeFolder(p, c)
	}
}

// data has the data folder made, with its access list. It stays: what is in it is
// not the package's.
func (b *builder) data() {
	w := b.p.Windows
	if w.Data == "" {
		return
	}
	d := b.folder(w.Data)
	b.db.Add("CreateFolder", d, b.component("", w.Data+"/", d, "", permanent))
	if w.DataAccess != "" {
		b.db.Add("MsiLockPermissionsEx", "data_access", d, "CreateFolder", w.DataAccess, nil)
	}
}

// stateKey is the key in which every product of vpkg says what is installed where.
func stateKey(name string) string { return `Software\vpkg\` + name }

// stateNames are the values of that key that registry adds.
var stateNames = []string{"InstallFolder", "Version", "Build", "ProductCode", "DataFolder"}

// registry adds the product's values and vpkg's own. Each is a component, so that
// none has another one's identity when there are more of them.
func (b *builder) registry() {
	p := b.p
	own := stateKey(p.Name)
	values := []packaging.RegistryValue{
		{Key: own, Name: "InstallFolder", Type: "string", Value: "[" + programFolder + "]"},
		{Key: own, Name: "Version", Type: "string", Value: p.Version},
		{Key: own, Name: "Build", Type: "string", Value: p.Release},
		{Key: own, Name: "ProductCode", Type: "string", Value: "[ProductCode]"},
	}
	if p.Windows.Data != "" {
		values = append(values, packaging.RegistryValue{Key: own, Name: "DataFolder", Type: "string", Value: "[" + dataFolder + "]"})
	}
	for _, v := range append(values, p.Windows.Registry...) {
		const localMachine = 2
		target := v.Key + "|" + v.Name
		k := key("r", target)
		c := b.component("registry|", target, programFolder, k, registryKeyPath)
		b.db.Add("Registry", k, localMachine, v.Key, v.Name, registryText(v), c)
	}
}

// registryText gives a value in the form of the column Registry.Value, whose first
// characters say its type.
func registryText(v packaging.RegistryValue) string {
	switch v.Type {
	case "dword":
		return "#" + v.Value
	case "expand":
		return "#%" + v.Value
	case "multi":
		return "[~]" + strings.Join(strings.Split(strings.TrimSuffix(v.Value, "\n"), "\n"), "[~]") + "[~]"
	}
	if strings.HasPrefix(v.Value, "#") {
		return "#" + v.Value
	}
	return v.Value
}

func (b *builder) environment() {
	for _, v := range b.p.Windows.Environment {
		value := v.Value
		switch v.Action {
		case "append":
			value = "[~];" + v.Value
		case "prepend":
			value = v.Value + ";[~]"
		}
		c := b.component("environment|", v.Name+"|"+v.Value, programFolder, "", 0)
		b.db.Add("CreateFolder", programFolder, c) // a component without a file needs its folder
		// =: set at installation, -: take away at removal, *: of the system
		b.db.Add("Environment", key("e", v.Name+"|"+v.Value), "=-*"+v.Name, value, c)
	}
}

// Services' numbers, SDK "ServiceInstall table" and "ServiceControl table".
const (
	ownProcess    = 0x10
	errorNormal   = 0x1
	errorVital    = 0x8000 // an installation without the service fails
	startInstall  = 0x01
	stopInstall   = 0x02
	stopUninstall = 0x20
	deleteService = 0x80

	configInstall   = 1 // MsiServiceConfig's Event
	configReinstall = 4
	configDelayed   = 3 // SERVICE_CONFIG_DELAYED_AUTO_START
)

func (b *builder) services() {
	for _, s := range b.p.Windows.Services {
		k, c := key("s", s.Name), b.programs[s.Program]
		start := map[packaging.ServiceStart]int{
			packaging.StartAuto: 2, packaging.StartDelayed: 2, packaging.StartDemand: 3, packaging.StartDisabled: 4,
		}[s.Start]
		var needs string
		for _, n := range s.Dependencies {
			needs += n + "[~]"
		}
		if needs != "" {
			needs += "[~]"
		}
		b.db.Add("ServiceInstall", k, s.Name, cmp.Or(s.DisplayName, s.Name), ownProcess, start, errorNormal|errorVital,
			nil, needs, s.Account, nil, commandLine(s.Arguments), c, s.Description)
		event := stopInstall | stopUninstall | deleteService
		if s.AtInstall {
			event |= startInstall
		}
		const wait = 1
		b.db.Add("ServiceControl", k, s.Name, event, nil, wait, c)
		// Not in MsiServiceConfigFailureActions: Windows Installer is refused a row there
		// that restarts a service, and the installation fails with 1939. The hook does it.
		if s.Start == packaging.StartDelayed {
			b.db.Add("MsiServiceConfig", k, s.Name, configInstall|configReinstall, configDelayed, "1", c)
		}
	}
}

// commandLine joins arguments as CommandLineToArgvW splits them. None has a
// quotation mark or ends in a backslash: see validate.
func commandLine(args []string) string {
	var quoted []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t") {
			a = `"` + a + `"`
		}
		quoted = append(quoted, a)
	}
	return strings.Join(quoted, " ")
}
