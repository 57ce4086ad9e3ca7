package msidb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A Rule is what a column may hold: a row of the table _Validation.
type Rule struct {
	Column   string
	Nullable bool
	// Min and Max are the least and largest number, where Bounded says that there are
	// bounds.
	Bounded  bool
	Min, Max int
	// KeyTables are the tables of which one has the value in its column KeyColumn; that
	// counts from 1.
	KeyTables   []string
	KeyColumn   int
	Category    string   // "Identifier", "Formatted" and so on; empty for numbers
	Set         []string // the only values; nil for any
	Description string
}

// Schema gives the columns of a table that Windows Installer knows; false for any
// other. The slice is the caller's.
//
// Source: the SDK's database schema 5.0, with File.Sequence and Media.LastSequence of
// four bytes, as they must be for more than 32,767 files.
func Schema(table string) ([]Column, bool) {
	d, ok := definitions()[table]
	return slices.Clone(d.columns), ok
}

// Validation gives what the columns of a table of the catalogue may hold, in their
// order; nothing for any other.
func Validation(table string) []Rule { return slices.Clone(definitions()[table].rules) }

// Catalogue gives the names of the tables that [Schema] knows, sorted.
func Catalogue() []string {
	var names []string
	for name := range definitions() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// AddValidation fills the table _Validation with the rules for all tables that the
// database has, and for itself.
func AddValidation(d *Database) {
	names := []string{"_Validation"}
	for _, t := range d.Tables {
		if t.Name != "_Validation" {
			names = append(names, t.Name)
		}
	}
	for _, name := range names {
		for _, r := range Validation(name) {
			nullable := "N"
			if r.Nullable {
				nullable = "Y"
			}
			var least, most, keyColumn any
			if r.Bounded {
				least, most = r.Min, r.Max
			}
			if r.KeyColumn != 0 {
				keyColumn = r.KeyColumn
			}
			d.Add("_Validation", name, r.Column, nullable, least, most,
				strings.Join(r.KeyTables, ";"), keyColumn, r.Category, strings.Join(r.Set, ";"), r.Description)
		}
	}
}

// A definition is a table of the catalogue.
type definition struct {
	columns []Column
	rules   []Rule
}

// definitions parses the catalogue, once.
var definitions = sync.OnceValue(func() map[string]definition {
	all := make(map[string]definition)
	table := ""
	for line := range strings.Lines(catalogue) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "":
		case line[0] != '\t':
			table = line
		default:
			c, r := parseColumn(line[1:])
			d := all[table]
			d.columns, d.rules = append(d.columns, c), append(d.rules, r)
			all[table] = d
		}
	}
	return all
})

// parseColumn parses a line of the catalogue. A mistake in it panics, and so fails
// every test.
func parseColumn(line string) (Column, Rule) {
	line, description, ok := strings.Cut(line, " | ")
	words := strings.Fields(line)
	if !ok || len(words) < 2 {
		panic("msidb: catalogue: " + line)
	}
	notation, key := strings.CutSuffix(words[1], "*")
	t, err := parseType(notation)
	if err != nil {
		panic("msidb: catalogue: " + line + ": " + err.Error())
	}
	if key {
		t |= TypeKey
	}
	r := Rule{Column: words[0], Nullable: t&TypeNullable != 0, Description: description}
	for _, w := range words[2:] {
		switch {
		case w[0] == '{':
			r.Set = strings.Split(strings.Trim(w, "{}"), ";")
		case w[0] == '>':
			tables, column, _ := strings.Cut(w[1:], "/")
			r.KeyTables, r.KeyColumn = strings.Split(tables, ";"), 1
			if column != "" {
				r.KeyColumn = number(column)
			}
		case strings.Contains(w, ".."):
			least, most, _ := strings.Cut(w, "..")
			r.Bounded, r.Min, r.Max = true, number(least), number(most)
		default:
			r.Category = w
		}
	}
	return Column{words[0], t}, r
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("msidb: catalogue: " + err.Error())
	}
	return n
}

// parseType parses a type in the notation of IDT files: a letter, in upper case if
// the column may be null, and a size.
func parseType(s string) (Type, error) {
	if len(s) < 2 {
		return 0, fmt.Errorf("column type %q", s)
	}
	size, err := strconv.ParseUint(s[1:], 10, 8)
	if err != nil {
		return 0, fmt.Errorf("column type %q", s)
	}
	t := TypeValid
	lower := s[0] | 0x20
	if lower != s[0] {
		t |= TypeNullable
	}
	switch {
	case lower == 's':
		t |= TypeString | typeShort
	case lower == 'l':
		t |= TypeString | typeShort | TypeLocalized
	case lower == 'i' && size == 2:
		t |= typeShort
	case lower == 'i' && size == 4:
	case lower == 'v' && size == 0:
		t |= TypeString
	default:
		return 0, fmt.Errorf("column type %q", s)
	}
	return t | Type(size), nil
}
