package ice

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// A columnRule is a row of _Validation: what a column may hold.
type columnRule struct {
	column    string
	nullable  bool
	min, max  *int     // of numbers; nil for no bound
	keyTables []string // tables that the value is a key of
	keyColumn int      // column of those tables, from 1
	category  string
	set       []string // the only values, beside those of the category
}

// loadValidation takes the rules from the database's own _Validation table, or, if
// it has none, from the catalogue.
func (c *checker) loadValidation() {
	c.validation = map[string][]columnRule{}
	c.ownValidation = c.db.Table("_Validation") != nil
	if !c.ownValidation {
		for _, t := range c.db.Tables {
			c.validation[t.Name] = catalogueRules(t.Name)
		}
		return
	}
	seen := map[string]bool{}
	for r := range c.db.Rows("_Validation") {
		rule := columnRule{
			column:    r.Text("Column"),
			nullable:  r.Text("Nullable") == "Y" || r.Text("Nullable") == "@",
			keyTables: some(split(r.Text("KeyTable"))),
			keyColumn: r.Int("KeyColumn"),
			category:  r.Text("Category"),
			set:       some(split(r.Text("Set"))),
		}
		if !r.IsNull("MinValue") {
			n := r.Int("MinValue")
			rule.min = &n
		}
		if !r.IsNull("MaxValue") {
			n := r.Int("MaxValue")
			rule.max = &n
		}
		key := primaryKey(r)
		if seen[key] {
			continue
		}
		seen[key] = true
		t := r.Text("Table")
		c.validation[t] = append(c.validation[t], rule)
	}
}

// some bounds a list of _Validation, whose columns have 255 characters for it.
func some(list []string) []string { return list[:min(128, len(list))] }

// split takes a list with semicolons apart; nil if it is empty.
func split(s string) []string {
	if s == "" {
		return nil
	}
	list := strings.Split(s, ";")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// checkICE03 checks each cell by its column's type and by _Validation.
func checkICE03(c *checker) {
	if !c.ownValidation {
		c.warn("_Validation", "the database has no such table, so it is checked by what the SDK's schema says")
	}
	keys := c.keyColumns()
	for _, t := range c.db.Tables {
		if t.Name == "_Validation" {
			continue
		}
		rules := make([]*columnRule, len(t.Columns))
		for i, col := range t.Columns {
			if j := slices.IndexFunc(c.validation[t.Name], func(r columnRule) bool { return r.column == col.Name }); j >= 0 {
				rules[i] = &c.validation[t.Name][j]
			} else if c.ownValidation {
				c.error(t.Name+"."+col.Name, "_Validation does not say what the column may hold")
			}
		}
		seen := map[string]bool{}
		for _, row := range t.Rows {
			r := msidb.Record{Table: t, Row: row}
			if key := primaryKey(r); key != "" {
				if seen[key] {
					c.error(r.Key(), "two rows have this primary key")
				}
				seen[key] = true
			}
			for i, col := range t.Columns {
				c.checkCell(r, i, col, rules[i], keys)
			}
		}
	}
	checkCustomSources(c)
}

// primaryKey is something that two rows have in common only if their keys are the
// same.
func primaryKey(r msidb.Record) string {
	var b strings.Builder
	for i, col := range r.Table.Columns {
		if col.Type&msidb.TypeKey != 0 && i < len(r.Row) {
			s := fmt.Sprint(r.Row[i])
			fmt.Fprintf(&b, "%d:%s", len(s), s)
		}
	}
	return b.String()
}

// keyColumns gives the values of each column that another one refers to, by
// "TABLE/NUMBER".
func (c *checker) keyColumns() map[string]map[string]bool {
	keys := map[string]map[string]bool{}
	for _, t := range c.db.Tables {
		for _, rule := range c.validation[t.Name] {
			for _, table := range rule.keyTables {
				name := keyName(table, rule.keyColumn)
				if keys[name] != nil {
					continue
				}
				values := map[string]bool{}
				keys[name] = values
				to := c.db.Table(table)
				if to == nil {
					continue
				}
				i := max(rule.keyColumn, 1) - 1
				for _, row := range to.Rows {
					if i < len(row) {
						values[fmt.Sprint(row[i])] = true
					}
				}
			}
		}
	}
	return keys
}

func keyName(table string, column int) string { return table + "/" + strconv.Itoa(max(column, 1)) }

func (c *checker) checkCell(r msidb.Record, i int, col msidb.Column, rule *columnRule, keys map[string]map[string]bool) {
	cell := located{record: r, column: col.Name} // whose place is put into words for a finding alone
	if i >= len(r.Row) {
		c.error(cell.where(), "the row ends before this column")
		return
	}
	var value string
	switch v := r.Row[i].(type) {
	case msidb.Null:
	case string:
		value = v
		if col.Type&msidb.TypeString == 0 {
			c.error(cell.where(), "%q stands in a column of numbers", v)
			return
		}
		if n, most := len(utf16.Encode([]rune(v))), int(col.Type&msidb.TypeSize); most > 0 && n > most {
			c.error(cell.where(), "it has %d characters, of which the column holds %d", n, most)
		}
	case int32:
		if col.Type&msidb.TypeString != 0 {
			c.error(cell.where(), "%d stands in a column of text", v)
			return
		}
		if col.Type&msidb.TypeSize == 2 && (v < -32767 || v > 32767) {
			c.error(cell.where(), "%d does not fit in the 16 bits of the column", v)
		}
		c.checkNumber(cell, int(v), rule, keys)
		return
	default:
		return // a stream
	}
	if value == "" {
		if rule != nil && !rule.nullable || rule == nil && col.Type&msidb.TypeNullable == 0 && col.Type&msidb.TypeString != 0 {
			c.error(cell.where(), "it is null, which the column may not be")
		}
		return
	}
	if rule != nil {
		c.checkText(cell, value, rule, keys)
	}
}

func (c *checker) checkNumber(cell located, n int, rule *columnRule, keys map[string]map[string]bool) {
	if rule == nil {
		return
	}
	bounded := rule.min != nil || rule.max != nil
	inSet := slices.Contains(rule.set, strconv.Itoa(n))
	switch {
	case inSet:
	case rule.min != nil && rule.max != nil && *rule.min > *rule.max: // says that the column is a key
	case rule.min != nil && n < *rule.min:
		c.error(cell.where(), "%d is less than %d", n, *rule.min)
	case rule.max != nil && n > *rule.max:
		c.error(cell.where(), "%d is more than %d", n, *rule.max)
	case !bounded && rule.set != nil:
		c.error(cell.where(), "%d is none of %s", n, strings.Join(rule.set, ", "))
	}
	if rule.keyTables != nil && !refers(rule, strconv.Itoa(n), keys) {
		c.error(cell.where(), "%d is in no row of %s", n, strings.Join(rule.keyTables, ", "))
	}
}

func (c *checker) checkText(cell located, s string, rule *columnRule, keys map[string]map[string]bool) {
	if slices.Contains(rule.set, s) {
		return
	}
	text := ""
	switch f := category(rule.category); {
	case rule.category != "" && f == nil:
		if c.ownValidation {
			text = fmt.Sprintf("is of the category %q, which does not exist", rule.category)
		}
	case isScript(cell.record) && rule.column == "Target":
	case f != nil:
		text = f(s)
	}
	if text == "" && rule.set != nil && (rule.category == "" || strings.EqualFold(rule.category, "Text") || strings.EqualFold(rule.category, "Identifier")) {
		text = "is none of " + strings.Join(rule.set, ", ")
	}
	switch {
	case rule.keyTables == nil:
	case strings.EqualFold(rule.category, "Version"):
		// A version, or a key.
		if text != "" && refers(rule, s, keys) {
			text = ""
		}
	case strings.EqualFold(rule.category, "Shortcut") && strings.ContainsAny(s, "[]"):
	case text == "" && !refers(rule, s, keys):
		text = "is in no row of " + strings.Join(rule.keyTables, ", ")
	}
	if text != "" {
		c.error(cell.where(), "%q %s", s, text)
		return
	}
	for _, ref := range c.dangling(rule, s) {
		c.error(cell.where(), "%q names what no row of the database does", "["+ref.text+"]")
	}
}

// category finds a category; _Validation spells GUID as Guid.
func category(name string) func(string) string {
	if strings.EqualFold(name, "GUID") {
		name = "GUID"
	}
	return categories[name]
}

// dangling gives the references of formatted text to files and components that do
// not exist.
func (c *checker) dangling(rule *columnRule, s string) []reference {
	switch strings.ToLower(rule.category) {
	case "formatted", "keyformatted", "template", "regpath", "path", "paths", "anypath", "shortcut":
	default:
		return nil
	}
	return slices.DeleteFunc(references(s), func(r reference) bool {
		switch r.kind {
		case '#', '!':
			return c.has("File", r.name)
		case '$':
			return c.has("Component", r.name)
		}
		return true
	})
}

func refers(rule *columnRule, value string, keys map[string]map[string]bool) bool {
	return slices.ContainsFunc(rule.keyTables, func(table string) bool {
		return keys[keyName(table, rule.keyColumn)][value]
	})
}

// checkCustomSources checks the column that _Validation cannot describe: what
// CustomAction.Source is a key of depends on the type.
func checkCustomSources(c *checker) {
	for r := range c.db.Rows("CustomAction") {
		table := map[int]string{0: "Binary", 16: "File", 32: "Directory"}[r.Int("Type")&0x30]
		switch r.Int("Type") & caSourceMask {
		case 19, 37, 38: // the target has the text or the program
			continue
		}
		if table == "" {
			continue // a property, which may come into being later
		}
		if source := r.Text("Source"); !c.has(table, source) {
			c.error(r.Key()+".Source", "%q is in no row of %s", source, table)
		}
	}
}

// checkICE06 finds columns that _Validation describes and the table lacks.
func checkICE06(c *checker) {
	if !c.ownValidation {
		return
	}
	for _, t := range c.db.Tables {
		for _, rule := range c.validation[t.Name] {
			if !slices.ContainsFunc(t.Columns, func(col msidb.Column) bool { return col.Name == rule.column }) {
				c.error(t.Name+"."+rule.column, "_Validation has the column, and the table does not")
			}
		}
	}
}

// checkICE32 compares the types of columns with those that they are keys of.
func checkICE32(c *checker) {
	const kind = msidb.TypeString | msidb.TypeSize
	for _, t := range c.db.Tables {
		for _, rule := range c.validation[t.Name] {
			i := slices.IndexFunc(t.Columns, func(col msidb.Column) bool { return col.Name == rule.column })
			if i < 0 || strings.EqualFold(rule.category, "Shortcut") {
				continue // which is a key or a path, so its column is wide
			}
			for _, table := range rule.keyTables {
				to := c.db.Table(table)
				k := max(rule.keyColumn, 1) - 1
				if to == nil || k >= len(to.Columns) {
					continue
				}
				from, key := t.Columns[i], to.Columns[k]
				if from.Type&kind != key.Type&kind {
					c.error(t.Name+"."+rule.column, "it is %s, and %s.%s, which it refers to, is %s", typeName(from.Type), table, key.Name, typeName(key.Type))
				}
			}
		}
	}
}

func typeName(t msidb.Type) string {
	if t&msidb.TypeString != 0 {
		return fmt.Sprintf("a text of %d characters", t&msidb.TypeSize)
	}
	return fmt.Sprintf("a number of %d bytes", t&msidb.TypeSize)
}

// reservedBits has the bits that a column may have; the page ICE45 names the
// tables, theirs the bits.
var reservedBits = []struct {
	table, column string
	allowed       int
}{
	{"Component", "Attributes", 0x0fff},
	{"Dialog", "Attributes", 0x103ff},
	{"Feature", "Attributes", 0x003f},
	{"File", "Attributes", 0x7607},
	{"MoveFile", "Options", 0x0001},
	{"MsiServiceConfig", "Event", 0x0007},
	{"MsiServiceConfigFailureActions", "Event", 0x0007},
	{"ODBCDataSource", "Registration", 0x0001},
	{"Patch", "Attributes", 0x0001},
	{"RemoveFile", "InstallMode", 0x0003},
	{"ServiceControl", "Event", 0x00bb},
	{"ServiceInstall", "ServiceType", 0x0133},
	{"ServiceInstall", "ErrorControl", 0x8003},
	{"TextStyle", "StyleBits", 0x000f},
}

func checkICE45(c *checker) {
	for _, b := range reservedBits {
		for r := range c.db.Rows(b.table) {
			if n := r.Int(b.column); n&^b.allowed != 0 {
				c.error(r.Key()+"."+b.column, "it has the bits %#x, which are reserved", n&^b.allowed)
			}
		}
	}
}

// checkICE29 finds names that are too long for a stream, which holds 31 units of
// UTF-16. Windows Installer packs two letters, digits, periods or underscores into
// one.
func checkICE29(c *checker) {
	const most = 31
	seen := map[string]bool{}
	for _, s := range c.db.Streams {
		if strings.HasPrefix(s.Name, "\x05") {
			continue // not packed
		}
		if n := packedLen(s.Name); n > most {
			c.error(s.Name, "the stream's name takes %d units, and a compound file has %d for it", n, most)
		}
		if seen[s.Name] {
			c.error(s.Name, "two streams have this name")
		}
		seen[s.Name] = true
	}
}

// packedLen is the number of units that a stream's name takes.
func packedLen(s string) int {
	packable := func(u uint16) bool { return u < 0x80 && isNameByte(byte(u)) }
	n := 0
	units := utf16.Encode([]rune(s))
	for i := 0; i < len(units); i++ {
		n++
		if packable(units[i]) && i+1 < len(units) && packable(units[i+1]) {
			i++
		}
	}
	return n
}

// catalogueRules is what the catalogue says of a table's columns.
func catalogueRules(table string) []columnRule {
	var rules []columnRule
	for _, v := range msidb.Validation(table) {
		r := columnRule{
			column: v.Column, nullable: v.Nullable,
			keyTables: v.KeyTables, keyColumn: v.KeyColumn,
			category: v.Category, set: v.Set,
		}
		if v.Bounded {
			r.min, r.max = &v.Min, &v.Max
		}
		rules = append(rules, r)
	}
	return rules
}
