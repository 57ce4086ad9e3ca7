// Package msidb is the relational database inside a Windows Installer package:
// its string pool, its tables with their schemas, and the summary information.
// Package cfb keeps the streams that it makes and reads.
//
// The format is not published. The sources are the documentation of Windows
// Installer's SDK for what tables mean, and the independent implementations of
// msitools (libmsi) and Wine (dlls/msi) for how they are kept.
package msidb

import (
	"fmt"
	"io"
	"iter"
	"slices"
)

// A Database is a package without its payload.
type Database struct {
	// Codepage is that of all strings: 0 (ASCII alone), 1252, 65001 and so on.
	Codepage int
	Tables   []*Table // sorted by name; _Tables, _Columns and _Streams are not among them
	Summary  Summary
	Streams  []Stream // cabinets, Binary.NAME and so on, sorted by name
}

// A Stream is what is kept beside the tables.
type Stream struct {
	Name string // as the SDK names it: "product.cab", "Binary.hook", "\x05DigitalSignature"
	Size int64  // bytes
	// Open gives the content, any number of times and to several goroutines at once.
	Open func() (io.ReadCloser, error)
}

// A Table has rows of the columns of its schema.
type Table struct {
	Name    string
	Columns []Column
	Rows    []Row // each as long as Columns
}

// A Column is one of a table's. The first ones are its primary key.
type Column struct {
	Name string
	Type Type
}

// A Type is a column's, in the form in which _Columns keeps it: bits of libmsi's
// MSITYPE_*.
type Type uint16

// The bits of a Type.
const (
	TypeSize      Type = 0x00ff // longest string in characters, 0 for any length; width of a number in bytes, 2 or 4
	TypeValid     Type = 0x0100
	TypeLocalized Type = 0x0200
	TypeUnknown   Type = 0x0400 // set for numbers and short strings
	TypeString    Type = 0x0800 // TypeString without TypeValid's company is a stream: see Type.Stream
	TypeNullable  Type = 0x1000
	TypeKey       Type = 0x2000
)

// A Row holds one value a column: a string, an int32, a Null, or, in a column of
// streams, the true that says that there is one.
type Row []any

// Null is the value of an empty cell. An empty string is the same as Null.
type Null struct{}

// Table finds a table; nil means that the database does not have it.
func (d *Database) Table(name string) *Table {
	i, ok := slices.BinarySearchFunc(d.Tables, name, func(t *Table, name string) int {
		switch {
		case t.Name < name:
			return -1
		case t.Name > name:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return d.Tables[i]
}

// Rows gives the rows of a table; none if the database does not have it.
func (d *Database) Rows(name string) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		t := d.Table(name)
		if t == nil {
			return
		}
		for _, r := range t.Rows {
			if !yield(Record{t, r}) {
				return
			}
		}
	}
}

// A Record is a row with the names of its columns.
type Record struct {
	Table *Table
	Row   Row
}

// value is that of a column; Null where the table has no such column, as older
// schemas lack some.
func (r Record) value(column string) any {
	i := slices.IndexFunc(r.Table.Columns, func(c Column) bool { return c.Name == column })
	if i < 0 || i >= len(r.Row) {
		return Null{}
	}
	return r.Row[i]
}

// Text is the string of a column; empty for Null and numbers.
func (r Record) Text(column string) string {
	s, _ := r.value(column).(string)
	return s
}

// Int is the number of a column; 0 for Null and strings.
func (r Record) Int(column string) int {
	n, _ := r.value(column).(int32)
	return int(n)
}

// IsNull reports whether a column is empty.
func (r Record) IsNull(column string) bool {
	v := r.value(column)
	_, null := v.(Null)
	return null || v == ""
}

// Key is the row's primary key as people write it: "TABLE.KEY1.KEY2".
func (r Record) Key() string {
	s := r.Table.Name
	for i, c := range r.Table.Columns {
		if c.Type&TypeKey != 0 && i < len(r.Row) {
			s += fmt.Sprintf(".%v", r.Row[i])
		}
	}
	return s
}

// Add appends a row to a table of the catalogue, which it makes where the database
// does not have it. Values are string, int, bool (for a stream) or nil. Wrong
// names, numbers of values or types are mistakes of the program, and panic.
func (d *Database) Add(table string, values ...any) {
	t := d.Table(table)
	if t == nil {
		columns, ok := Schema(table)
		if !ok {
			panic("msidb: the catalogue has no table " + table)
		}
		t = &Table{Name: table, Columns: columns}
		d.Tables = append(d.Tables, t)
		slices.SortFunc(d.Tables, func(a, b *Table) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		})
	}
	if len(values) != len(t.Columns) {
		panic(fmt.Sprintf("msidb: %s has %d columns, not %d", table, len(t.Columns), len(values)))
	}
	row := make(Row, len(values))
	for i, v := range values {
		isString := t.Columns[i].Type&TypeString != 0
		switch v := v.(type) {
		case nil:
			row[i] = Null{}
		case bool:
			row[i] = v
		case int:
			if isString {
				panic(fmt.Sprintf("msidb: %s.%s is no number", table, t.Columns[i].Name))
			}
			row[i] = int32(v) //nolint:gosec // what the catalogue's tables hold fits
		case string:
			if !isString {
				panic(fmt.Sprintf("msidb: %s.%s is no string", table, t.Columns[i].Name))
			}
			row[i] = any(v)
			if v == "" {
				row[i] = Null{}
			}
		default:
			panic(fmt.Sprintf("msidb: %s.%s cannot be a %T", table, t.Columns[i].Name, v))
		}
	}
	t.Rows = append(t.Rows, row)
}
