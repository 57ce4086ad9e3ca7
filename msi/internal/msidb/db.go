// Package msidb is the relational database inside a Windows Installer package:
// its string pool, its tables with their schemas, and the summary information.
// Package cfb keeps the streams that it makes and reads.
//
// The format is not published. The sources are the documentation of Windows
// Installer's SDK for what tables mean, and the independent implementations of
// msitools (libmsi) and Wine (dlls/msi) for how they are kept.
package msidb

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/msi/internal/cfb"
)

// A Database is a package without its payload.
type Database struct {
	// Codepage is that of all strings: 0 (ASCII alone), 1252, 65001 and so on.
	Codepage int
	Tables   []*Table // sorted by name; _Tables, _Columns and _Streams are not among them
	Summary  Summary
	Streams  []Stream // cabinets, Binary.NAME and so on, sorted by name
	// File is what Read read: all its streams under the names of the file, and its
	// CLSID, as its signature covers them. Nil for a database that was not read, and
	// of no meaning to Encode.
	File *cfb.Reader
}

// A Stream is what is kept beside the tables.
type Stream struct {
	Name string // as the SDK names it: "product.cab", "Binary.hook", "\x05DigitalSignature"
	Size int64  // bytes
	// Open gives the content, any number of times and to several goroutines at once.
	Open func() (io.ReadCloser, error)
	// At is the content of a stream of a database that Read read, and nil in others.
	At io.ReaderAt
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

// A Type is a column's, in the form in which the table _Columns keeps it.
type Type uint16

// The bits of a Type, as libmsi and Wine name them, except the last.
const (
	TypeSize      Type = 0x00ff // longest string in UTF-16 code units, 0 for any length; bytes of a number, 2 or 4
	TypeValid     Type = 0x0100 // set for all
	TypeLocalized Type = 0x0200 // a string that a translation changes
	TypeString    Type = 0x0800 // a string, or a stream: see Type.Stream
	TypeNullable  Type = 0x1000
	TypeKey       Type = 0x2000

	// typeShort is set for strings and numbers of two bytes, so that a string of any
	// length is not a stream. The readers above have no name for it; the SDK's schema
	// has it in all such columns, as msilib's numbers for the same show.
	typeShort Type = 0x0400
)

// Stream reports whether a column has streams beside the table: a "v0" or "V0".
func (t Type) Stream() bool { return t&^TypeNullable == TypeString|TypeValid }

// IsString reports whether a column has strings.
func (t Type) IsString() bool { return t&TypeString != 0 && !t.Stream() }

// String is the type in the notation of IDT files: a letter, in upper case if the
// column may be null, and a size. "s72" is a string of up to 72 characters, "L0" a
// translatable one of any length or null, "i2" a number of two bytes, "v0" a stream.
func (t Type) String() string {
	letter := "i"
	switch {
	case t.Stream():
		letter = "v"
	case t&TypeLocalized != 0:
		letter = "l"
	case t&TypeString != 0:
		letter = "s"
	}
	if t&TypeNullable != 0 {
		letter = strings.ToUpper(letter)
	}
	return fmt.Sprintf("%s%d", letter, t&TypeSize)
}

// A Row holds one value a column: a string, an int32, a Null, or, in a column of
// streams, the true that says that there is one.
type Row []any

// Null is the value of an empty cell. An empty string is the same as Null.
type Null struct{}

// Table finds a table; nil means that the database does not have it.
func (d *Database) Table(name string) *Table {
	i, ok := slices.BinarySearchFunc(d.Tables, name, func(t *Table, name string) int { return cmp.Compare(t.Name, name) })
	if !ok {
		return nil
	}
	return d.Tables[i]
}

// Stream finds a stream; nil means that the database does not have it.
func (d *Database) Stream(name string) *Stream {
	i := slices.IndexFunc(d.Streams, func(s Stream) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &d.Streams[i]
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

// Key is the row's primary key as people write it: "TABLE.KEY1.KEY2". That is also
// the name of the stream of a row that has one.
func (r Record) Key() string {
	parts := []string{r.Table.Name}
	for i, c := range r.Table.Columns {
		if c.Type&TypeKey == 0 || i >= len(r.Row) {
			continue
		}
		part := ""
		if _, null := r.Row[i].(Null); !null {
			part = fmt.Sprint(r.Row[i])
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ".")
}

// Add appends a row to a table of the catalogue, which it makes where the database
// does not have it. Values are string, int, bool (for a stream) or nil, and those that
// are left out at the end are nil. Wrong names, numbers of values or types are
// mistakes of the program, and panic; Encode reports what a column cannot hold.
func (d *Database) Add(table string, values ...any) {
	t := d.Table(table)
	if t == nil {
		columns, ok := Schema(table)
		if !ok {
			panic("msidb: the catalogue has no table " + table)
		}
		t = &Table{Name: table, Columns: columns}
		d.Tables = append(d.Tables, t)
		slices.SortFunc(d.Tables, func(a, b *Table) int { return cmp.Compare(a.Name, b.Name) })
	}
	if len(values) > len(t.Columns) {
		panic(fmt.Sprintf("msidb: %s has %d columns, not %d", table, len(t.Columns), len(values)))
	}
	row := make(Row, len(t.Columns))
	for i, c := range t.Columns {
		row[i] = Null{}
		if i >= len(values) {
			continue
		}
		ok := true
		switch v := values[i].(type) {
		case nil:
		case bool:
			if ok = c.Type.Stream(); v {
				row[i] = v
			}
		case int:
			row[i] = int32(v)
			ok = c.Type&TypeString == 0 && int(int32(v)) == v
		case string:
			if ok = c.Type.IsString(); v != "" {
				row[i] = v
			}
		default:
			ok = false
		}
		if !ok {
			panic(fmt.Sprintf("msidb: %s.%s, of type %v, cannot hold %v", table, c.Name, c.Type, values[i]))
		}
	}
	t.Rows = append(t.Rows, row)
}
