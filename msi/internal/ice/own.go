package ice

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// secretNames are parts of names that secrets have; fileNames are endings of names
// that have a secret's path in them, which is none.
var (
	secretNames = []string{"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "ACTIVATION_CODE", "ACTIVATIONCODE", "API_KEY", "APIKEY", "PRIVATE_KEY", "PRIVATEKEY", "CREDENTIAL"}
	fileNames   = []string{"FILE", "PATH", "DIR", "FOLDER", "URL"}
)

// soundsSecret reports whether a property has the name of a secret.
func soundsSecret(name string) bool {
	upper := strings.ToUpper(name)
	for _, end := range fileNames {
		if strings.HasSuffix(upper, end) {
			return false
		}
	}
	return slices.ContainsFunc(secretNames, func(s string) bool { return strings.Contains(upper, s) })
}

// checkSecrets finds places where the value of a secret would be logged, shown, or
// left behind. A secret is a property that MsiHiddenProperties lists or whose name
// says it.
func checkSecrets(c *checker) {
	hidden, secure := listed(c.properties["MsiHiddenProperties"]), listed(c.properties["SecureCustomProperties"])

	// In the order of the tables, so that findings are.
	var secrets []string
	secret := map[string]bool{}
	add := func(p string) {
		if p != "" && !secret[p] {
			secret[p] = true
			secrets = append(secrets, p)
		}
	}
	for _, p := range split(c.properties["MsiHiddenProperties"]) {
		add(p)
	}
	for _, p := range split(c.properties["SecureCustomProperties"]) {
		if soundsSecret(p) {
			add(p)
		}
	}
	for r := range c.db.Rows("Property") {
		if p := r.Text("Property"); soundsSecret(p) && !isSystemProperty(p) {
			add(p)
		}
	}
	c.propertyReferences(func(_ located, p string) {
		if soundsSecret(p) && !isSystemProperty(p) {
			add(p)
		}
	})
	names := func(text string) string {
		for _, r := range references(text) {
			if r.kind == 0 && secret[r.name] {
				return r.name
			}
		}
		return ""
	}
	// An action that sets a property to a secret makes one more of it; and once more
	// for what is set from that.
	for range 8 {
		before := len(secrets)
		for r := range c.db.Rows("CustomAction") {
			if r.Int("Type")&caSourceMask == caSetProperty && names(r.Text("Target")) != "" {
				add(r.Text("Source"))
			}
		}
		if len(secrets) == before {
			break
		}
	}

	setHere := map[string]bool{}
	for r := range c.db.Rows("CustomAction") {
		if r.Int("Type")&caSourceMask == caSetProperty {
			setHere[r.Text("Source")] = true
		}
	}
	for _, p := range secrets {
		where := "Property." + p
		if !hidden[p] {
			c.error("Property.MsiHiddenProperties.Value", "%s is a secret, and not in it, so that a log shows it", p)
		}
		if upperCase(p) == "" && !c.has("CustomAction", p) && !secure[p] && !setHere[p] && !c.has("AppSearch", p) {
			c.error("Property.SecureCustomProperties.Value", "%s is a secret from the command line, and not in it, so that the installation's elevated half does not get it", p)
		}
		if _, ok := c.properties[p]; ok {
			c.error(where, "%s is a secret, and has a value in the package", p)
		}
	}
	for r := range c.db.Rows("CustomAction") {
		t := r.Int("Type")
		p := names(r.Text("Target"))
		if p == "" && secret[r.Text("Action")] && t&caInScript != 0 {
			p = r.Text("Action") // it is given as CustomActionData
		}
		if p != "" && t&caHideTarget == 0 && t&caSourceMask != caSetProperty {
			c.error(r.Key()+".Type", "the action gets the secret %s, and has no bit to hide it from the log (%#x)", p, caHideTarget)
		}
	}
	for _, l := range c.formattedTexts {
		switch l.record.Table.Name + "." + l.column {
		case "CustomAction.Target", "Control.Text", "ControlEvent.Argument", "ServiceInstall.Password":
		default:
			if p := names(l.text); p != "" {
				c.error(l.where(), "the secret %s is written to the system, and logged when it is", p)
			}
		}
	}
}

// listed is a list with semicolons as a set.
func listed(s string) map[string]bool {
	m := map[string]bool{}
	for _, p := range split(s) {
		m[p] = true
	}
	return m
}

// commandLines are the columns with the arguments of programs.
var commandLines = []struct{ table, column string }{
	{"CustomAction", "Target"},
	{"MsiServiceConfigFailureActions", "Command"},
	{"ServiceControl", "Arguments"},
	{"ServiceInstall", "Arguments"},
	{"Shortcut", "Arguments"},
}

// checkBackslashes finds quoted directories: they end in a backslash, after which a
// quotation mark ends nothing.
func checkBackslashes(c *checker) {
	for _, cl := range commandLines {
		for r := range c.db.Rows(cl.table) {
			if cl.table == "CustomAction" && r.Int("Type")&0x7 != 2 {
				continue // no program: 2, 18, 34 and 50
			}
			text := r.Text(cl.column)
			where := r.Key() + "." + cl.column
			reported := false
			line := expand(text, references(text), func(ref reference) string {
				if ref.kind != '$' && (ref.kind != 0 || !c.isDirectory(ref.name)) {
					return "x"
				}
				if strings.HasPrefix(text[ref.end:], `"`) && !reported {
					reported = true
					in := text[ref.start:ref.end]
					c.error(where, `%q ends in a backslash, so that the quotation mark after it is part of the argument; write "%s."`, in, in)
				}
				return `d\`
			})
			if !reported && unbalanced(line) {
				c.error(where, "%q ends within quotation marks", text)
			}
		}
	}
}

// isDirectory reports whether a property has the path of a directory, which Windows
// Installer ends with a backslash.
func (c *checker) isDirectory(property string) bool {
	_, user := userFolders[property]
	_, bits := folders64[property]
	return user || bits || slices.Contains(systemFolders, property) || c.has("Directory", property)
}

// unbalanced reports whether a command line ends within quotation marks, by the
// rules of CommandLineToArgvW: one after an odd number of backslashes stands for
// itself.
func unbalanced(s string) bool {
	quoted, slashes := false, 0
	for _, r := range s {
		if r == '"' && slashes%2 == 0 {
			quoted = !quoted
		}
		if r == '\\' {
			slashes++
		} else {
			slashes = 0
		}
	}
	return quoted
}

// isRollback and isDeferred tell the actions of the script apart.
func (s step) isRollback() bool { return s.caType()&(caInScript|caRollback) == caInScript|caRollback }

func (s step) isDeferred() bool {
	return s.caType()&(caInScript|caRollback|caCommit) == caInScript
}

// checkRollbackTwins finds deferred actions whose effect nothing takes back. Each
// needs a rollback action of its own before it, that runs whenever it does.
func checkRollbackTwins(c *checker) {
	// Rollback actions that are not yet a twin, the latest last, by the situations in
	// which they run; and by their conditions, where those hold in no situation.
	var free [1 << (2 * scenarios)][]step
	never := map[string]int{}
	for _, s := range c.sequence(installExecute) {
		runs, condition := c.runsIn(s), s.Text("Condition")
		switch {
		case s.isRollback() && runs == 0:
			never[condition]++
			continue
		case s.isRollback():
			free[runs] = append(free[runs], s)
			continue
		case !s.isDeferred():
			continue
		case runs == 0 && never[condition] > 0:
			never[condition]--
			continue
		}
		var twin *[]step // the list that it is the last of
		for in := range free {
			list := &free[in]
			n := len(*list)
			if runs == 0 || runs&^uint(in) != 0 || n == 0 || (*list)[n-1].sequence >= s.sequence {
				continue
			}
			if twin == nil || later((*list)[n-1], (*twin)[len(*twin)-1]) {
				twin = list
			}
		}
		if twin == nil {
			c.error(s.Key(), "the action changes the system, and no rollback action before it takes that back")
			continue
		}
		*twin = (*twin)[:len(*twin)-1]
	}
}

// later orders steps of a sequence for good.
func later(a, b step) bool {
	return cmp.Or(cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.action, b.action)) > 0
}

// runsIn has a bit for each situation in which a step runs.
func (c *checker) runsIn(s step) uint {
	cond, err := parseCondition(s.Text("Condition"))
	if err != nil {
		return 0
	}
	var bits, bit uint = 0, 1
	for in := range situations {
		if cond.holds(func(sym symbol) string { return c.value(sym, in) }) {
			bits |= bit
		}
		bit <<= 1
	}
	return bits
}

func checkRollbackSources(c *checker) {
	for r := range c.db.Rows("CustomAction") {
		t := r.Int("Type")
		if t&(caInScript|caRollback) == caInScript|caRollback && t&0x30 != 0 {
			c.error(r.Key()+".Type", "%d is for rollback and not in Binary; an installed file may be gone by then", t)
		}
	}
}

// checkUninstallConditions finds actions that are for the end of a product and run
// when a later version takes its place too.
func checkUninstallConditions(c *checker) {
	for _, s := range c.sequence(installExecute) {
		if !s.isCustom || slices.Contains(setsOnly, s.caType()&caSourceMask) {
			continue
		}
		installs := c.mayRun(s, fresh) || c.mayRun(s, upgrade) || c.mayRun(s, repair)
		if !installs && c.mayRun(s, uninstall) && c.mayRun(s, replaced) {
			c.error(s.Key()+".Condition", "the action is for removal, and has no NOT UPGRADINGPRODUCTCODE, so that an upgrade runs it too")
		}
	}
}

func checkTrees(c *checker) {
	for _, cab := range c.contents.Cabinets {
		if len(cab.IncompleteTrees) > 0 {
			c.error(cab.Name, "the frame %d, from 0, has an incomplete Huffman tree, which cabextract and Windows refuse", cab.IncompleteTrees[0])
		}
	}
}

// checkServices finds services whose program is not the key path of their
// component, and rows about a service that come with another component than it.
func checkServices(c *checker) {
	component := map[string]string{}
	for r := range c.db.Rows("ServiceInstall") {
		name := r.Text("Name")
		if _, ok := component[name]; ok {
			c.error(r.Key()+".Name", "the service %q is another row's too", name)
		}
		component[name] = r.Text("Component_")
		comp, ok := c.index("Component")[r.Text("Component_")]
		if !ok {
			continue
		}
		where := r.Key() + ".Component_"
		switch file, ok := c.index("File")[comp.Text("KeyPath")]; {
		case keyTable(comp) != "File" || !ok:
			c.error(where, "the key path of the component %q is no file, so that the service has no program", comp.Text("Component"))
		case !strings.HasSuffix(strings.ToLower(file.Text("FileName")), ".exe"):
			c.error(where, "the key path of the component %q is %q, which is no program", comp.Text("Component"), file.Text("FileName"))
		}
	}
	for _, table := range [...]string{"ServiceControl", "MsiServiceConfig", "MsiServiceConfigFailureActions"} {
		for r := range c.db.Rows(table) {
			if own, ok := component[r.Text("Name")]; ok && own != r.Text("Component_") {
				c.error(r.Key()+".Component_", "the service %q is of the component %q, and the row of %q", r.Text("Name"), own, r.Text("Component_"))
			}
		}
	}
}

// checkCabinets compares Media and File with what the cabinets have.
func checkCabinets(c *checker) {
	const fileNotCompressed = 0x2000
	var media []msidb.Record
	for r := range c.db.Rows("Media") {
		media = append(media, r)
	}
	slices.SortStableFunc(media, func(a, b msidb.Record) int { return cmp.Compare(a.Int("DiskId"), b.Int("DiskId")) })
	streams := map[string]bool{}
	for _, s := range c.db.Streams {
		streams[s.Name] = true
	}
	cabinets := map[string]Cabinet{}
	for _, cab := range c.contents.Cabinets {
		cabinets[cab.Name] = cab
	}
	var files []msidb.Record
	for r := range c.db.Rows("File") {
		if r.Int("Attributes")&fileNotCompressed == 0 {
			files = append(files, r)
		}
	}
	slices.SortStableFunc(files, func(a, b msidb.Record) int { return cmp.Compare(a.Int("Sequence"), b.Int("Sequence")) })

	after := func(sequence int) int {
		i, _ := slices.BinarySearchFunc(files, sequence+1, func(r msidb.Record, n int) int { return cmp.Compare(r.Int("Sequence"), n) })
		return i
	}
	previous := 0
	for _, m := range media {
		last := m.Int("LastSequence")
		if last < previous {
			c.error(m.Key()+".LastSequence", "%d is less than %d, that of the medium before", last, previous)
		}
		name, inside := strings.CutPrefix(m.Text("Cabinet"), "#")
		if inside && !streams[name] {
			c.error(m.Key()+".Cabinet", "the package has no stream %q", name)
		}
		if cab, ok := cabinets[name]; ok {
			delete(cabinets, name) // a second medium with the cabinet would find all files of it missing
			c.checkCabinet(m, cab, files[after(previous):max(after(previous), after(last))])
		}
		previous = max(previous, last)
	}
}

// checkCabinet compares a cabinet with its rows of File in the order of their
// sequences.
func (c *checker) checkCabinet(m msidb.Record, cab Cabinet, files []msidb.Record) {
	const most = 65535
	where := m.Key() + ".Cabinet"
	if len(cab.Files) > most {
		c.error(where, "%q has %d files, of which a cabinet can number %d", cab.Name, len(cab.Files), most)
	}
	place := map[string]int{}
	for i, f := range cab.Files {
		if _, ok := place[f.Name]; ok {
			c.error(where, "%q has the file %q twice", cab.Name, f.Name)
		}
		place[f.Name] = i
		if !c.has("File", f.Name) {
			c.error(where, "%q has the file %q, and File has no such row", cab.Name, f.Name)
		}
	}
	at := -1
	for i, r := range files {
		key := r.Text("File")
		j, ok := place[key]
		if !ok {
			c.error(r.Key(), "the cabinet %q does not have the file", cab.Name)
			continue
		}
		if size := int64(r.Int("FileSize")); size != cab.Files[j].Size {
			c.error(r.Key()+".FileSize", "it is %d, and the cabinet %q has %d bytes", size, cab.Name, cab.Files[j].Size)
		}
		if j < at {
			c.error(r.Key()+".Sequence", "the cabinet %q has the file in another place", cab.Name)
		}
		at = max(at, j)
		if i > 0 && files[i-1].Int("Sequence") == r.Int("Sequence") {
			c.error(r.Key()+".Sequence", "%d is that of %q too", r.Int("Sequence"), files[i-1].Text("File"))
		}
	}
}

// checkPrivileges finds actions that change the system as the user who installs,
// when the package is for the machine.
func checkPrivileges(c *checker) {
	if c.properties["ALLUSERS"] != "1" {
		return
	}
	for r := range c.db.Rows("CustomAction") {
		t := r.Int("Type")
		if t&caInScript != 0 && t&caNoImpersonate == 0 {
			c.error(r.Key()+".Type", "%d is deferred, and without the bit to run as the system (%#x)", t, caNoImpersonate)
		}
	}
}
