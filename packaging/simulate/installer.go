package simulate

import (
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// An Installer is what the tables of an MSI say besides what all packages do. Names
// are those of the tables' columns where there are any.
type Installer struct {
	ProductCode string
	UpgradeCode string
	Version     string // ProductVersion
	PackageCode string // of the summary information

	Properties map[string]string // of the table Property
	Sequence   []InstallAction   // InstallExecuteSequence, in order
	Upgrades   []UpgradeRow
	Conditions []LaunchCondition
	Searches   []Search
	Registry   []RegistryValue // that an installation writes

	Components []Component
	Files      []InstallerFile
	Controls   []ServiceControl
	Services   []string // names of those that InstallServices registers

	// Holds evaluates a condition with the values of properties and of what has a
	// prefix.
	Holds func(condition string, value func(name string) string) (bool, error)
}

// An InstallAction is a row of InstallExecuteSequence, with what it does if it is a
// custom action.
type InstallAction struct {
	Number    int
	Name      string
	Condition string // empty means always
	Does      string // in words; empty for a standard action
	Target    string
	Sets      string // the property that it gives the value Target; empty means none

	Deferred, Rollback, Commit bool
}

// An UpgradeRow is a row of Upgrade.
type UpgradeRow struct {
	UpgradeCode, VersionMin, VersionMax string
	Attributes                          int
	Remove                              string // features; empty means all
	ActionProperty                      string
}

// Attributes of an UpgradeRow.
const (
	onlyDetect   = 0x002
	minInclusive = 0x100
	maxInclusive = 0x200
)

// A LaunchCondition is what has to hold for an installation.
type LaunchCondition struct{ Condition, Description string }

// A Search is a row of AppSearch. Key and Name are of the registry, and empty for
// what is looked for elsewhere.
type Search struct{ Property, Key, Name string }

// A RegistryValue is a row of Registry.
type RegistryValue struct{ Key, Name, Value string }

// A Component is a row of Component.
type Component struct {
	Key, ID, Condition string
	Attributes         int
	KeyPath            string // path of the file that is the key path; empty means none
}

// Attributes of a Component.
const (
	permanent      = 0x010
	neverOverwrite = 0x080
)

// An InstallerFile is a row of File.
type InstallerFile struct {
	Path, Component string
	Version         string // of a program; empty for others
}

// A ServiceControl is a row of ServiceControl.
type ServiceControl struct {
	Name  string
	Event int
}

// Events of a ServiceControl.
const (
	startAtInstall  = 0x01
	stopAtInstall   = 0x02
	deleteAtInstall = 0x08
	startAtRemoval  = 0x10
	stopAtRemoval   = 0x20
	deleteAtRemoval = 0x80
)

// number is the place of an action in the sequence; 0 if it is not in it.
func (x *Installer) number(action string) int {
	for _, a := range x.Sequence {
		if a.Name == action {
			return a.Number
		}
	}
	return 0
}

// compareProducts compares product versions, of which Windows Installer looks at
// three fields.
func compareProducts(a, b string) int { return compareFields(a, b, 3) }

// compareFields compares versions of numbers with dots between them.
func compareFields(a, b string, most int) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range most {
		var m, n int
		if i < len(x) {
			m, _ = strconv.Atoi(x[i])
		}
		if i < len(y) {
			n, _ = strconv.Atoi(y[i])
		}
		if m != n {
			return m - n
		}
	}
	return 0
}

// matches reports whether a row is about the installed product.
func (r UpgradeRow) matches(old *Installer) bool {
	if !strings.EqualFold(r.UpgradeCode, old.UpgradeCode) {
		return false
	}
	if c := compareProducts(old.Version, r.VersionMin); r.VersionMin != "" && (c < 0 || c == 0 && r.Attributes&minInclusive == 0) {
		return false
	}
	c := compareProducts(old.Version, r.VersionMax)
	return r.VersionMax == "" || c < 0 || c == 0 && r.Attributes&maxInclusive != 0
}

// setting reports whether people change a file of that name by hand.
func setting(e *packaging.Entry) bool {
	p := strings.ToLower(e.Path)
	for _, ext := range []string{".conf", ".cfg", ".cnf", ".ini", ".config", ".yaml", ".yml", ".toml", ".properties"} {
		if strings.HasSuffix(p, ext) {
			return true
		}
	}
	return false
}
