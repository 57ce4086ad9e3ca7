package ice

import (
	"slices"
	"strings"

	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// The bits of Component.Attributes.
const (
	componentRegistryKey = 0x0004
	componentODBC        = 0x0020
	componentPermanent   = 0x0010
	component64Bit       = 0x0100
	componentSuperseded  = 0x0400 // UninstallOnSupersedence
)

// keyTable is the table that a component's key path is a row of.
func keyTable(component msidb.Record) string {
	switch a := component.Int("Attributes"); {
	case a&componentRegistryKey != 0:
		return "Registry"
	case a&componentODBC != 0:
		return "ODBCDataSource"
	}
	return "File"
}

// checkICE02 finds key paths of another component.
func checkICE02(c *checker) {
	for r := range c.db.Rows("Component") {
		if r.IsNull("KeyPath") {
			continue
		}
		table, key := keyTable(r), r.Text("KeyPath")
		k, ok := c.index(table)[key]
		switch {
		case !ok:
			c.error(r.Key()+".KeyPath", "%q is in no row of %s, where the component's attributes say that it is", key, table)
		case k.Text("Component_") != r.Text("Component"):
			c.error(r.Key()+".KeyPath", "%q is of the component %q, so it does not show that this one is there", key, k.Text("Component_"))
		}
	}
}

// checkICE04 finds files beyond the last medium.
func checkICE04(c *checker) {
	last := 0
	for r := range c.db.Rows("Media") {
		last = max(last, r.Int("LastSequence"))
	}
	for r := range c.db.Rows("File") {
		if n := r.Int("Sequence"); n > last {
			c.error(r.Key()+".Sequence", "%d is more than %d, the largest LastSequence of Media", n, last)
		}
	}
}

func checkICE08(c *checker) {
	first := map[string]string{}
	for r := range c.db.Rows("Component") {
		if r.IsNull("ComponentId") {
			continue
		}
		id := strings.ToUpper(r.Text("ComponentId"))
		if other, ok := first[id]; ok {
			c.error(r.Key()+".ComponentId", "%s is that of the component %q too", id, other)
		} else {
			first[id] = r.Text("Component")
		}
	}
}

func checkICE09(c *checker) {
	for r := range c.db.Rows("Component") {
		switch d := r.Text("Directory_"); d {
		case "SystemFolder", "System64Folder", "System16Folder":
			if r.Int("Attributes")&componentPermanent == 0 {
				c.warn(r.Key()+".Attributes", "the component is in %s and not permanent", d)
			}
		}
	}
}

// checkICE14 looks at the tree of features.
func checkICE14(c *checker) {
	const followParent = 0x2
	for r := range c.db.Rows("Feature") {
		name, parent := r.Text("Feature"), r.Text("Feature_Parent")
		if parent == "" && r.Int("Attributes")&followParent != 0 {
			c.error(r.Key()+".Attributes", "a root is to run from where its parent does")
		}
		if parent == name {
			c.error(r.Key()+".Feature_Parent", "the feature is its own parent")
			continue
		}
		// A longer circle; it is reported at each of its members. Windows Installer
		// allows 16 levels.
		for level := 0; parent != "" && parent != name && level < 64; level++ {
			parent = c.lookup("Feature", parent, "Feature_Parent")
		}
		if parent == name {
			c.error(r.Key()+".Feature_Parent", "the feature is below itself")
		}
	}
}

// checkICE18 finds directories as key paths that nothing creates.
func checkICE18(c *checker) {
	type place struct{ component, directory string }
	created, other := map[place]bool{}, map[place]bool{}
	for r := range c.db.Rows("CreateFolder") {
		created[place{r.Text("Component_"), r.Text("Directory_")}] = true
	}
	hasFile := map[string]bool{}
	for r := range c.db.Rows("File") {
		hasFile[r.Text("Component_")] = true
	}
	for table, column := range map[string]string{"RemoveFile": "DirProperty", "DuplicateFile": "DestFolder", "MoveFile": "DestFolder"} {
		for r := range c.db.Rows(table) {
			other[place{r.Text("Component_"), r.Text(column)}] = true
		}
	}
	for r := range c.db.Rows("Component") {
		p := place{r.Text("Component"), r.Text("Directory_")}
		if r.IsNull("KeyPath") && !hasFile[p.component] && !other[p] && !created[p] {
			c.error(r.Key()+".KeyPath", "it is null, and CreateFolder does not make %q for the component", p.directory)
		}
	}
}

func checkICE21(c *checker) {
	for r := range c.db.Rows("Component") {
		if name := r.Text("Component"); len(c.featuresOf[name]) == 0 {
			c.error(r.Key(), "the component is part of no feature")
		}
	}
}

func checkICE22(c *checker) {
	for r := range c.db.Rows("PublishComponent") {
		if f, comp := r.Text("Feature_"), r.Text("Component_"); !slices.Contains(c.featuresOf[comp], f) {
			c.error(r.Key(), "the component %q is no part of the feature %q", comp, f)
		}
	}
}

// A directory is a resolved row of Directory.
type directory struct {
	root        string // key of the outermost row, or of the folder that is a property
	short, long string // below root, in small letters
}

// maxPath bounds a path that is put together, in bytes. Windows allows 260 characters.
const maxPath = 4096

// directories resolves all rows. The names of folders that are properties end a
// path: where they are is not known here.
func (c *checker) directories() map[string]directory {
	resolved := map[string]directory{}
	var resolve func(key string, depth int) directory
	resolve = func(key string, depth int) directory {
		if d, ok := resolved[key]; ok {
			return d
		}
		r, ok := c.index("Directory")[key]
		parent := ""
		if ok {
			parent = r.Text("Directory_Parent")
		}
		d := directory{root: key}
		_, user := userFolders[key]
		_, bits := folders64[key]
		if parent != "" && parent != key && depth < 1000 && !user && !bits && !slices.Contains(systemFolders, key) {
			d = resolve(parent, depth+1)
			if len(d.long) > maxPath {
				d = directory{root: key}
			}
			target, _, _ := strings.Cut(r.Text("DefaultDir"), ":")
			if target != "." {
				short, long, both := strings.Cut(strings.ToLower(target), "|")
				if !both {
					long = short
				}
				d.short += `\` + short
				d.long += `\` + long
			}
		}
		resolved[key] = d
		return d
	}
	for r := range c.db.Rows("Directory") {
		resolve(r.Text("Directory"), 0)
	}
	return resolved
}

// checkICE30 finds files of two components that would overwrite each other.
func checkICE30(c *checker) {
	dirs := c.directories()
	type owner struct {
		component   string
		conditional bool
	}
	for _, form := range [...]string{"short", "long"} {
		first := map[string]owner{}
		for r := range c.db.Rows("File") {
			component := r.Text("Component_")
			comp, ok := c.index("Component")[component]
			if !ok {
				continue
			}
			d := dirs[comp.Text("Directory_")]
			short, long, both := strings.Cut(strings.ToLower(r.Text("FileName")), "|")
			path, name := d.short, short
			if form == "long" {
				path = d.long
				if both {
					name = long
				}
			}
			path = d.root + path + `\` + name
			o := owner{component, !comp.IsNull("Condition")}
			other, taken := first[path]
			switch {
			case !taken:
				first[path] = o
			case other.component == component:
			case other.conditional && o.conditional:
				c.warn(r.Key()+".FileName", "the components %q and %q both have %q there, by its %s name, unless their conditions exclude each other", other.component, component, name, form)
			default:
				c.error(r.Key()+".FileName", "the component %q has %q there too, by its %s name", other.component, name, form)
			}
		}
	}
}

// userKey says what is wrong with the key path of a component that each user must
// get: it has to be a value below HKEY_CURRENT_USER.
func (c *checker) userKey(component msidb.Record) string {
	if component.IsNull("KeyPath") {
		return "its key path is null"
	}
	if keyTable(component) != "Registry" {
		return "its key path is no registry value"
	}
	key, ok := c.index("Registry")[component.Text("KeyPath")]
	if !ok {
		return "its key path does not exist"
	}
	if root := key.Int("Root"); root != 1 && root != -1 {
		return "its key path is not below HKEY_CURRENT_USER"
	}
	if key.Text("Component_") != component.Text("Component") {
		return "its key path is another component's"
	}
	return ""
}

func checkICE38(c *checker) {
	dirs := c.directories()
	for r := range c.db.Rows("Component") {
		root := dirs[r.Text("Directory_")].root
		if _, user := userFolders[root]; !user {
			continue
		}
		if text := c.userKey(r); text != "" {
			c.error(r.Key()+".KeyPath", "the component is in a user's %s, and %s", root, text)
		}
	}
}

func checkICE43(c *checker) {
	for r := range c.db.Rows("Shortcut") {
		if c.has("Feature", r.Text("Target")) {
			continue // advertised
		}
		comp, ok := c.index("Component")[r.Text("Component_")]
		if !ok {
			continue
		}
		if text := c.userKey(comp); text != "" {
			c.error(comp.Key()+".KeyPath", "the component has the shortcut %q, and %s", r.Text("Shortcut"), text)
		}
	}
}

func checkICE54(c *checker) {
	for r := range c.db.Rows("Component") {
		if r.IsNull("KeyPath") || keyTable(r) != "File" {
			continue
		}
		file, ok := c.index("File")[r.Text("KeyPath")]
		if ok && !file.IsNull("Version") && c.has("File", file.Text("Version")) {
			c.warn(file.Key()+".Version", "the file is a key path, and its version is that of %q", file.Text("Version"))
		}
	}
}

func checkICE56(c *checker) {
	used := map[string]bool{}
	for r := range c.db.Rows("Component") {
		for d := r.Text("Directory_"); d != "" && !used[d]; d = c.lookup("Directory", d, "Directory_Parent") {
			used[d] = true
		}
	}
	for r := range c.db.Rows("Directory") {
		key, parent := r.Text("Directory"), r.Text("Directory_Parent")
		if parent != "" && parent != key {
			continue
		}
		switch name := r.Text("DefaultDir"); {
		case key == "TARGETDIR":
			if name != "SourceDir" && name != "SOURCEDIR" {
				c.error(r.Key()+".DefaultDir", "%q is not SourceDir, which that of TARGETDIR must be", name)
			}
		case used[key]:
			c.error(r.Key()+".Directory_Parent", "the directory is a root, and only TARGETDIR may be one")
		}
	}
}

// checkICE57 finds components with what is each user's and what is the machine's.
func checkICE57(c *checker) {
	dirs := c.directories()
	perUser, either, perMachine := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for r := range c.db.Rows("Registry") {
		switch comp := r.Text("Component_"); r.Int("Root") {
		case 1:
			perUser[comp] = true
		case -1:
			either[comp] = true
		default:
			perMachine[comp] = true
		}
	}
	folder := func(component, dir string) {
		if _, user := userFolders[dirs[dir].root]; user {
			perUser[component] = true
		} else {
			perMachine[component] = true
		}
	}
	for r := range c.db.Rows("File") {
		if comp, ok := c.index("Component")[r.Text("Component_")]; ok {
			folder(comp.Text("Component"), comp.Text("Directory_"))
		}
	}
	for r := range c.db.Rows("CreateFolder") {
		folder(r.Text("Component_"), r.Text("Directory_"))
	}
	for r := range c.db.Rows("Shortcut") {
		if !c.has("Feature", r.Text("Target")) {
			folder(r.Text("Component_"), r.Text("Directory_"))
		}
	}
	for r := range c.db.Rows("Component") {
		name := r.Text("Component")
		userKey := c.userKey(r) == ""
		switch {
		case perUser[name] && perMachine[name] && userKey:
			c.warn(r.Key(), "the component has what is each user's and what is the machine's, with a key path of the user")
		case perUser[name] && perMachine[name]:
			c.error(r.Key(), "the component has what is each user's and what is the machine's")
		case either[name] && perMachine[name] && !userKey:
			c.error(r.Key(), "the component has a registry value that may be each user's, and a key path that is the machine's")
		}
	}
}

func checkICE58(c *checker) {
	n := 0
	for range c.db.Rows("Media") {
		n++
	}
	if n > 80 && c.db.Summary.Schema < 150 {
		c.warn("Media", "it has %d rows, of which Windows Installer before 2.0 knows 80", n)
	}
}

func checkICE60(c *checker) {
	for r := range c.db.Rows("File") {
		file, v := r.Text("File"), r.Text("Version")
		if v == "" || c.has("File", v) {
			continue
		}
		if r.IsNull("Language") && !c.has("Font", file) {
			c.warn(r.Key()+".Language", "the file has a version and no language, so that each repair copies it again")
		}
		if c.has("MsiFileHash", file) {
			c.error("MsiFileHash."+file, "the file has a version, so it must have no hash")
		}
	}
}

func checkICE64(c *checker) {
	removed := map[string]bool{}
	for r := range c.db.Rows("RemoveFile") {
		if r.IsNull("FileName") && r.Int("InstallMode")&2 != 0 {
			removed[r.Text("DirProperty")] = true
		}
	}
	dirs := c.directories()
	for r := range c.db.Rows("Directory") {
		key := r.Text("Directory")
		d := dirs[key]
		if _, user := userFolders[d.root]; user && key != d.root && d.long != "" && !removed[key] {
			c.error(r.Key(), "the directory is in a user's %s, and RemoveFile does not remove it", d.root)
		}
	}
}

// componentTables are the tables that ICE69 looks at; their rows come with a
// component.
var componentTables = []string{
	"Class", "Environment", "IniFile", "MsiServiceConfig", "MsiServiceConfigFailureActions", "Registry", "RemoveIniFile",
	"RemoveRegistry", "ServiceControl", "ServiceInstall", "Shortcut",
}

// checkICE69 finds references to files and directories of other components.
func checkICE69(c *checker) {
	for _, l := range c.formattedTexts {
		if !slices.Contains(componentTables, l.record.Table.Name) {
			continue
		}
		own := l.record.Text("Component_")
		for _, ref := range references(l.text) {
			switch ref.kind {
			case '#', '!':
				if f, ok := c.index("File")[ref.name]; ok && f.Text("Component_") != own {
					c.error(l.where(), "%q is a file of the component %q, and the row is of %q", "["+ref.text+"]", f.Text("Component_"), own)
				}
			case '$':
				if ref.name == own || !c.has("Component", ref.name) {
					continue
				}
				if c.shareFeature(own, ref.name) {
					c.warn(l.where(), "%q is another component than %q, of which the row is", "["+ref.text+"]", own)
				} else {
					c.error(l.where(), "%q is a component of another feature than %q, of which the row is", "["+ref.text+"]", own)
				}
			}
		}
	}
}

// shareFeature reports whether two components are parts of one feature. Of those
// with more features than anybody has use for, it looks at the first.
func (c *checker) shareFeature(a, b string) bool {
	const most = 100
	x, y := c.featuresOf[a], c.featuresOf[b]
	return slices.ContainsFunc(x[:min(most, len(x))], func(f string) bool { return slices.Contains(y[:min(most, len(y))], f) })
}

func checkICE71(c *checker) {
	first := 0
	for r := range c.db.Rows("Media") {
		switch id := r.Int("DiskId"); {
		case id == 1:
			return
		case first == 0 || id < first:
			first = id
		}
	}
	if first != 0 {
		c.error("Media", "no row has the DiskId 1, which the package itself is on; the first is %d", first)
	}
}

// checkICE91 finds files in folders that stay one user's even when all users are to
// get them.
func checkICE91(c *checker) {
	dirs := c.directories()
	look := func(r msidb.Record, dir string) {
		if root := dirs[dir].root; userFolders[root] {
			c.warn(r.Key(), "it goes to the %s of the user who installs, and to no other's", root)
		}
	}
	for r := range c.db.Rows("File") {
		look(r, c.lookup("Component", r.Text("Component_"), "Directory_"))
	}
	for r := range c.db.Rows("IniFile") {
		look(r, r.Text("DirProperty"))
	}
	for r := range c.db.Rows("Shortcut") {
		look(r, r.Text("Directory_"))
	}
}

func checkICE92(c *checker) {
	for r := range c.db.Rows("Component") {
		permanent := r.Int("Attributes")&componentPermanent != 0
		if permanent && r.IsNull("ComponentId") {
			c.error(r.Key()+".ComponentId", "it is null, and the component is permanent")
		}
		if permanent && r.Int("Attributes")&componentSuperseded != 0 {
			c.warn(r.Key()+".Attributes", "the component is permanent and to go when superseded, which it will not")
		}
	}
}

// checkICE99 finds directories with the name of a property that means something
// else.
func checkICE99(c *checker) {
	for r := range c.db.Rows("Directory") {
		switch key := r.Text("Directory"); {
		case key == "TARGETDIR", key == "SourceDir", key == "PRIMARYFOLDER":
		case slices.Contains(systemProperties, key):
			c.error(r.Key(), "%s is a property of Windows Installer", key)
		}
	}
}
