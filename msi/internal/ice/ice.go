// Package ice checks a Windows Installer database before it is installed anywhere.
//
// The rules with the prefix ICE are Microsoft's internal consistency evaluators, of
// which this package does what can be said of a database alone. Their meaning is
// that of the SDK's [ICE Reference]; their programs (darice.cub) run on Windows only
// and were not looked at. Those with the prefix VPKG are the project's own.
//
// Left out are the evaluators
//   - of merge modules and patches: no package is made of them;
//   - of fonts, COM and file type registration, assemblies, ODBC, isolated components,
//     shortcuts' looks and INI files (07, 10, 15, 19, 36, 49 to 53, 59, 62, 67, 76, 81,
//     83, 85, 87 to 90, 94, 97, 98, 100): an agent's package has none of it;
//   - of what another rule says: 101, as the column of a feature's name holds no more
//     than ICE03 lets through;
//   - of dialogs, whatever needs a text to be measured: 17 and 20 look at what stops an
//     installation, not at the form of each control.
//
// Time is bounded for hostile databases: what a file can make long, as the path of a
// directory, is looked at once or up to a limit.
//
// [ICE Reference]: https://learn.microsoft.com/en-us/windows/win32/msi/ice-reference
package ice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// Severity is how bad a finding is. The zero Severity is Error.
type Severity int

// The severities.
const (
	Error   Severity = iota // the package does not install, or does wrong
	Warning                 // the package may do other than what is wanted
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// A Finding is what is wrong at one place.
type Finding struct {
	Rule     string // "ICE03", "VPKG02"
	Severity Severity
	Where    string // table, key and column: "File.f_agent.Version"; empty for all of the database
	Text     string // one line
}

func (f Finding) String() string {
	s := f.Rule + " " + f.Severity.String() + ": "
	if f.Where != "" {
		s += f.Where + ": "
	}
	return s + f.Text
}

// A Rule is what Check looks at.
type Rule struct {
	Number   string   // "ICE03", "VPKG02"
	Severity Severity // of its worst finding
	Title    string   // what must be so, a sentence
	Help     string   // what to do about a finding, a sentence

	check func(*checker)
}

// Contents is what the caller knows of a package's cabinets. The zero Contents
// leaves out the rules that ask for it.
type Contents struct {
	Cabinets []Cabinet
}

// A Cabinet is one of a package's.
type Cabinet struct {
	Name  string // as in Media.Cabinet, without a #
	Files []CabinetFile
	// IncompleteTrees is the numbers of the frames, from 0, that have a Huffman tree
	// with unused codes. The first alone is enough.
	IncompleteTrees []int
}

// A CabinetFile is a file of a cabinet, in the order in which it has them.
type CabinetFile struct {
	Name string
	Size int64 // bytes
}

// Rules gives all rules, by number, the project's own last.
func Rules() []Rule { return slices.Clone(rules) }

// Check applies all rules. The findings are in the order of the rules, and those of
// one rule in the order of the tables' rows.
func Check(db *msidb.Database, contents Contents) []Finding {
	c := newChecker(db, contents)
	for _, r := range rules {
		c.rule = r.Number
		r.check(c)
	}
	return c.findings
}

// A checker is the state of one Check.
type checker struct {
	db       *msidb.Database
	contents Contents
	rule     string // whose turn it is
	findings []Finding

	validation     map[string][]columnRule // by table; without the tables that have no rules
	ownValidation  bool                    // it is the database's, not the catalogue's
	properties     map[string]string
	indexes        map[string]map[string]msidb.Record
	featuresOf     map[string][]string // by component, the features that it is part of
	upgrades       map[string]bool     // properties that Upgrade sets, true where the products are removed
	conditions     []located
	formattedTexts []located
}

// located is a text of a row.
type located struct {
	record msidb.Record
	column string
	text   string
}

func (l located) where() string { return l.record.Key() + "." + l.column }

func newChecker(db *msidb.Database, contents Contents) *checker {
	c := &checker{
		db: db, contents: contents,
		properties: map[string]string{},
		indexes:    map[string]map[string]msidb.Record{},
		featuresOf: map[string][]string{},
		upgrades:   map[string]bool{},
	}
	for r := range db.Rows("Property") {
		c.properties[r.Text("Property")] = r.Text("Value")
	}
	for r := range db.Rows("FeatureComponents") {
		component := r.Text("Component_")
		c.featuresOf[component] = append(c.featuresOf[component], r.Text("Feature_"))
	}
	for r := range db.Rows("Upgrade") {
		p := r.Text("ActionProperty")
		c.upgrades[p] = c.upgrades[p] || r.Int("Attributes")&upgradeOnlyDetect == 0
	}
	c.loadValidation()
	for _, t := range db.Tables {
		for _, rule := range c.validation[t.Name] {
			var list *[]located
			switch strings.ToLower(rule.category) {
			case "condition":
				list = &c.conditions
			case "formatted", "keyformatted", "template", "regpath", "path", "paths", "anypath", "shortcut", "formattedsddltext":
				list = &c.formattedTexts
			default:
				continue
			}
			for _, row := range t.Rows {
				r := msidb.Record{Table: t, Row: row}
				if s := r.Text(rule.column); s != "" && !isScript(r) {
					*list = append(*list, located{r, rule.column, s})
				}
			}
		}
	}
	return c
}

// isScript reports whether a row of CustomAction has a program text, in which
// brackets mean something else.
func isScript(r msidb.Record) bool {
	return r.Table.Name == "CustomAction" && slices.Contains([]int{5, 6, 21, 22, 37, 38, 53, 54}, r.Int("Type")&caSourceMask)
}

// index gives the rows of a table by the first column.
func (c *checker) index(table string) map[string]msidb.Record {
	if m, ok := c.indexes[table]; ok {
		return m
	}
	m := map[string]msidb.Record{}
	if t := c.db.Table(table); t != nil && len(t.Columns) > 0 {
		for _, row := range t.Rows {
			r := msidb.Record{Table: t, Row: row}
			m[r.Text(t.Columns[0].Name)] = r
		}
	}
	c.indexes[table] = m
	return m
}

// has reports whether a table has a row with a value in its first column.
func (c *checker) has(table, key string) bool {
	_, ok := c.index(table)[key]
	return ok
}

// lookup is the text of a column in the row with a key; empty if there is none.
func (c *checker) lookup(table, key, column string) string {
	r, ok := c.index(table)[key]
	if !ok {
		return ""
	}
	return r.Text(column)
}

// error and warn report a finding of the rule whose turn it is.
func (c *checker) error(where, format string, args ...any) { c.report(Error, where, format, args) }

func (c *checker) warn(where, format string, args ...any) { c.report(Warning, where, format, args) }

func (c *checker) report(s Severity, where, format string, args []any) {
	oneLine := func(r rune) rune { // whatever the database has
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}
	c.findings = append(c.findings, Finding{c.rule, s, strings.Map(oneLine, where), strings.Map(oneLine, fmt.Sprintf(format, args...))})
}
