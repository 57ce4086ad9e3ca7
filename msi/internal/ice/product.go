package ice

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

func checkICE05(c *checker) {
	for _, p := range [...]string{"ProductName", "ProductLanguage", "ProductVersion", "ProductCode", "Manufacturer"} {
		if _, ok := c.properties[p]; !ok {
			c.error("Property."+p, "there is no such row")
		}
	}
}

func checkICE16(c *checker) {
	if n := utf8.RuneCountInString(c.properties["ProductName"]); n > 63 {
		c.error("Property.ProductName.Value", "it has %d characters, of which 63 are allowed", n)
	}
}

func checkICE24(c *checker) {
	for _, p := range [...]string{"ProductCode", "UpgradeCode"} {
		if v, ok := c.properties[p]; ok && guid(v) != "" {
			c.error("Property."+p+".Value", "%q %s", v, guid(v))
		}
	}
	if v, ok := c.properties["ProductVersion"]; ok && !isProductVersion(v) {
		c.error("Property.ProductVersion.Value", "%q is not x.y.z up to 255.255.65535", v)
	}
	if v, ok := c.properties["ProductLanguage"]; ok {
		if _, number := number(v, 65535); !number {
			c.error("Property.ProductLanguage.Value", "%q is no number of a language", v)
		}
	}
}

// isProductVersion reports whether s is a version that upgrades can compare: the
// page ProductVersion.
func isProductVersion(s string) bool {
	v, ok := parseVersion(s)
	return ok && v[0] <= 255 && v[1] <= 255
}

// The bits of the summary's word count.
const (
	sourceCompressed = 0x2
	sourceNoElevate  = 0x8
	sourceBits       = 0xf
)

// platforms are the first halves that a template may have, in small letters, with
// the least schema of each.
var platforms = map[string]int{"": 0, "intel": 0, "intel64": 150, "x64": 200, "amd64": 200, "arm": 500, "arm64": 500}

// template splits the summary's template: "x64;1033,1031".
func (c *checker) template() (platform string, languages []string) {
	p, l, _ := strings.Cut(c.db.Summary.Template, ";")
	for lang := range strings.SplitSeq(l, ",") {
		languages = append(languages, strings.TrimSpace(lang))
	}
	return strings.ToLower(strings.TrimSpace(p)), languages
}

func checkICE39(c *checker) {
	s := c.db.Summary
	platform, langs := c.template()
	if _, known := platforms[platform]; !known || !strings.Contains(s.Template, ";") || languages(strings.Join(langs, ",")) != "" {
		c.error("Summary.Template", "%q is not a platform, a semicolon, and languages", s.Template)
	}
	if text := guid(s.PackageCode); text != "" {
		c.error("Summary.PackageCode", "%q %s", s.PackageCode, text)
	}
	if s.Schema < 100 {
		c.error("Summary.Schema", "%d is no version of Windows Installer times 100", s.Schema)
	}
	if s.Source&^sourceBits != 0 || s.Source < 0 {
		c.error("Summary.Source", "%#x has bits other than 1, 2, 4 and 8", s.Source)
	}
	if !s.Saved.IsZero() && s.Saved.Before(s.Created) {
		c.error("Summary.Saved", "the package was saved before it was created")
	}
	const fileCompressed = 0x4000
	if s.Source&sourceCompressed != 0 {
		for r := range c.db.Rows("File") {
			if r.Int("Attributes")&fileCompressed != 0 {
				c.warn(r.Key()+".Attributes", "the file is said to be compressed, as the summary says of all")
			}
		}
	}
	for range c.db.Rows("MsiPackageCertificate") {
		if s.Source&sourceNoElevate != 0 {
			c.warn("MsiPackageCertificate", "the table has no use in a package that asks for no privileges")
			break
		}
	}
}

// propertyReferences gives every property that a condition or a formatted text names.
func (c *checker) propertyReferences(use func(l located, property string)) {
	for _, l := range c.conditions {
		cond, err := parseCondition(l.text)
		if err != nil {
			continue
		}
		for _, s := range cond.symbols {
			if s.prefix == 0 {
				use(l, s.name)
			}
		}
	}
	for _, l := range c.formattedTexts {
		for _, r := range references(l.text) {
			if r.kind == 0 && identifier(r.name) == "" {
				use(l, r.name)
			}
		}
	}
}

// checkICE46 finds properties that differ from known ones in case alone.
func checkICE46(c *checker) {
	known := map[string][]string{} // by small letters
	exact := map[string]bool{}
	add := func(p string) {
		if !exact[p] {
			exact[p] = true
			known[strings.ToLower(p)] = append(known[strings.ToLower(p)], p)
		}
	}
	for _, p := range systemProperties {
		add(p)
	}
	for _, p := range systemFolders {
		add(p)
	}
	for p := range folders64 {
		add(p)
	}
	for p := range userFolders {
		add(p)
	}
	for r := range c.db.Rows("Property") {
		p := r.Text("Property")
		if like := known[strings.ToLower(p)]; len(like) > 0 && !exact[p] {
			c.warn(r.Key(), "the property differs from %s in small and capital letters alone", like[0])
		}
	}
	for r := range c.db.Rows("Property") {
		add(r.Text("Property"))
	}
	for r := range c.db.Rows("Directory") {
		add(r.Text("Directory"))
	}
	for r := range c.db.Rows("AppSearch") {
		add(r.Text("Property"))
	}
	for r := range c.db.Rows("Upgrade") {
		add(r.Text("ActionProperty"))
	}
	for r := range c.db.Rows("CustomAction") {
		if r.Int("Type")&caSourceMask == caSetProperty {
			add(r.Text("Source"))
		}
	}
	c.propertyReferences(func(l located, p string) {
		if like := known[strings.ToLower(p)]; len(like) > 0 && !exact[p] {
			c.warn(l.where(), "the property %q differs from %s in small and capital letters alone", p, like[0])
		}
	})
}

func checkICE48(c *checker) {
	for r := range c.db.Rows("Property") {
		p, v := r.Text("Property"), r.Text("Value")
		if c.has("Directory", p) && len(v) > 2 && isNameStart(v[0]) && v[0] != '_' && v[1] == ':' && v[2] == '\\' {
			c.warn(r.Key()+".Value", "the directory %q is fixed to the local path %q", p, v)
		}
	}
}

// The bits of Upgrade.Attributes.
const (
	upgradeOnlyDetect   = 0x2
	upgradeMaxInclusive = 0x200
)

func checkICE61(c *checker) {
	secure := listed(c.properties["SecureCustomProperties"])
	used := map[string]bool{}
	current, hasVersion := parseVersion(c.properties["ProductVersion"])
	for r := range c.db.Rows("Upgrade") {
		p := r.Text("ActionProperty")
		where := r.Key() + ".ActionProperty"
		if _, ok := c.properties[p]; ok {
			c.error(where, "%s has a value in Property already", p)
		}
		if upperCase(p) != "" {
			c.error(where, "%s is no public property, whose name has capital letters alone", p)
		}
		if !secure[p] {
			c.error(where, "%s is not in SecureCustomProperties", p)
		}
		if used[p] {
			c.error(where, "%s is another row's too", p)
		}
		used[p] = true

		least, minOK := parseVersion(r.Text("VersionMin"))
		most, maxOK := parseVersion(r.Text("VersionMax"))
		for _, column := range [...]string{"VersionMin", "VersionMax"} {
			if v := r.Text(column); v != "" && !isProductVersion(v) {
				c.error(r.Key()+"."+column, "%q is not x.y.z up to 255.255.65535", v)
			}
		}
		if r.IsNull("VersionMin") && r.IsNull("VersionMax") {
			c.error(r.Key(), "the row has neither a least nor a largest version")
		}
		if minOK && maxOK && compareVersions(most, least) < 0 {
			c.error(r.Key()+".VersionMax", "%s is less than %s, the least version", r.Text("VersionMax"), r.Text("VersionMin"))
		}
		a := r.Int("Attributes")
		if a&upgradeOnlyDetect != 0 || !hasVersion || r.Text("UpgradeCode") != c.properties["UpgradeCode"] {
			continue
		}
		switch cmp := compareVersions(most, current); {
		case r.IsNull("VersionMax"):
			c.warn(r.Key()+".VersionMax", "it is null, so that newer versions are removed too")
		case maxOK && (cmp > 0 || cmp == 0 && a&upgradeMaxInclusive != 0):
			c.warn(r.Key()+".VersionMax", "%s is not less than this version, %s, so that the same or a newer version is removed too", r.Text("VersionMax"), c.properties["ProductVersion"])
		}
	}
}

// compareVersions compares three fields, as Windows Installer does.
func compareVersions(a, b [4]uint16) int { return slices.Compare(a[:3], b[:3]) }

// schemas is the least version of Windows Installer, times 100, that knows a table.
var schemas = []struct {
	schema int
	tables []string
}{
	{110, []string{"IsolatedComponent"}},
	{120, []string{"MsiPatchHeaders"}},
	{200, []string{"MsiAssembly", "MsiAssemblyName", "MsiDigitalCertificate", "MsiDigitalSignature", "MsiFileHash", "MsiPatchCertificate"}},
	{300, []string{"MsiPatchMetadata", "MsiPatchOldAssemblyFile", "MsiPatchOldAssemblyName", "MsiPatchSequence"}},
	{405, []string{"MsiPackageCertificate"}},
	{450, []string{"MsiEmbeddedChainer", "MsiEmbeddedUI"}},
	{500, []string{"MsiLockPermissionsEx", "MsiServiceConfig", "MsiServiceConfigFailureActions", "MsiShortcutProperty"}},
}

func checkICE66(c *checker) {
	for _, s := range schemas {
		for _, name := range s.tables {
			if t := c.db.Table(name); t != nil && len(t.Rows) > 0 && c.db.Summary.Schema < s.schema {
				c.warn(name, "Windows Installer knows the table from version %s, and the package is said to need %s", schemaName(s.schema), schemaName(c.db.Summary.Schema))
			}
		}
	}
}

func schemaName(n int) string { return fmt.Sprintf("%d.%d", n/100, n%100/10) }

func checkICE74(c *checker) {
	if _, ok := c.properties["FASTOEM"]; ok {
		c.error("Property.FASTOEM", "the property is for the first installation's command line alone")
	}
	switch code, ok := c.properties["UpgradeCode"]; {
	case !ok:
		c.warn("Property.UpgradeCode", "there is no such row, so that no later version finds this one")
	case code == "{00000000-0000-0000-0000-000000000000}":
		c.error("Property.UpgradeCode.Value", "it is all zeros")
	}
}

// caScript64 marks a script of 64 bits in CustomAction.Type.
const caScript64 = 0x1000

func checkICE80(c *checker) {
	platform, langs := c.template()
	s := c.db.Summary.Schema
	is64 := platform == "x64" || platform == "amd64" || platform == "intel64" || platform == "arm64"
	if least := platforms[platform]; s < least {
		c.error("Summary.Schema", "%d is less than %d, which a package for %s must have", s, least, platform)
	}
	// ICE24 says whether it is a language.
	if l := c.properties["ProductLanguage"]; languages(l) == "" && !slices.Contains(langs, l) {
		c.error("Property.ProductLanguage.Value", "%q is not in the summary's template %q", l, c.db.Summary.Template)
	}
	dirs := c.directories()
	for r := range c.db.Rows("Component") {
		comp64 := r.Int("Attributes")&component64Bit != 0
		if comp64 && !is64 {
			c.error(r.Key()+".Attributes", "the component is of 64 bits, and the package for %q", c.db.Summary.Template)
		}
		root := dirs[r.Text("Directory_")].root
		if dir64, known := folders64[root]; known && dir64 != comp64 {
			if comp64 {
				c.error(r.Key()+".Directory_", "the component is of 64 bits, and %s of 32", root)
			} else {
				c.error(r.Key()+".Directory_", "the component is of 32 bits, and %s of 64", root)
			}
		}
	}
	if is64 {
		return
	}
	for r := range c.db.Rows("CustomAction") {
		if r.Int("Type")&caScript64 != 0 && isScript(r) {
			c.error(r.Key()+".Type", "the script is of 64 bits, and the package for %q", c.db.Summary.Template)
		}
	}
	for r := range c.db.Rows("RegLocator") {
		if r.Int("Type")&0x10 != 0 {
			c.error(r.Key()+".Type", "the key is of 64 bits, and the package for %q", c.db.Summary.Template)
		}
	}
	c.propertyReferences(func(l located, p string) {
		if folders64[p] {
			c.error(l.where(), "%s is of 64 bits, and the package for %q", p, c.db.Summary.Template)
		}
	})
}
