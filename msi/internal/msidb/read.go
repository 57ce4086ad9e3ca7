package msidb

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"

	"github.com/vpkg/vpkg/msi/internal/cfb"
)

// The most bytes that Read takes from a file into memory: for all tables together,
// for the string pool, and for its strings. In memory they take up to twenty times
// that. A package with 100,000 files has about 10 MB of each.
const (
	maxTables  = 32 << 20
	maxStrings = 64 << 20
)

// Read reads a package of size bytes. Streams that are no tables stay in r, which
// must be open for as long as they are used. Tables that the catalogue does not know
// are read like the others; what contradicts itself is an error.
func Read(r io.ReaderAt, size int64) (*Database, error) {
	file, err := cfb.Open(r, size)
	if err != nil {
		return nil, err
	}
	rd := &reader{file: file, tables: make(map[string]cfb.Stream), left: maxTables}
	d := &Database{File: file}
	if err := rd.read(d); err != nil {
		return nil, fmt.Errorf("reading an installer database: %w", err)
	}
	return d, nil
}

// A reader reads a database.
type reader struct {
	file    *cfb.Reader
	tables  map[string]cfb.Stream // by the name of the table
	left    int64                 // bytes of tables that may still be read
	strings []any                 // from 1; a Null where there is none
	wide    bool                  // numbers of strings have three bytes
}

func (r *reader) read(d *Database) error {
	if r.file.Root.CLSID != Root().CLSID {
		return fmt.Errorf("the compound file is not a package: its class is %X", r.file.Root.CLSID)
	}
	if err := r.sort(d); err != nil {
		return err
	}
	if err := r.readStrings(d); err != nil {
		return err
	}
	names, err := r.readTable("_Tables", tablesColumns())
	if err != nil {
		return err
	}
	schemas, err := r.readColumns()
	if err != nil {
		return err
	}
	for rec := range records(names) {
		name := rec.Text("Name")
		columns, ok := schemas[name]
		if !ok {
			return fmt.Errorf("table %q has no columns", name)
		}
		t, err := r.readTable(name, columns)
		if err != nil {
			return err
		}
		d.Tables = append(d.Tables, t)
	}
	slices.SortFunc(d.Tables, func(a, b *Table) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(d.Tables); i++ {
		if d.Tables[i-1].Name == d.Tables[i].Name {
			return fmt.Errorf("there are two tables %q", d.Tables[i].Name)
		}
	}
	return nil
}

// records gives the rows of a table.
func records(t *Table) func(func(Record) bool) {
	d := Database{Tables: []*Table{t}}
	return d.Rows(t.Name)
}

// sort tells the streams of tables from others.
func (r *reader) sort(d *Database) error {
	seen := make(map[string]bool)
	for _, s := range r.file.Streams {
		name, table := unpack(s.Name)
		if table {
			if _, ok := r.tables[name]; ok {
				return fmt.Errorf("two streams for the table %q", name)
			}
			r.tables[name] = s
			continue
		}
		if seen[name] {
			return fmt.Errorf("two streams %q", name)
		}
		seen[name] = true
		if name != summaryName {
			d.Streams = append(d.Streams, Stream{Name: name, Size: s.Size, Open: s.Open, At: s.At})
			continue
		}
		b, err := r.content(s, 1<<20)
		if err == nil {
			d.Summary, err = decodeSummary(b)
		}
		if err != nil {
			return fmt.Errorf("summary information: %w", err)
		}
	}
	slices.SortFunc(d.Streams, func(a, b Stream) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// content reads a stream into memory.
func (r *reader) content(s cfb.Stream, most int64) ([]byte, error) {
	if s.Size > most {
		return nil, fmt.Errorf("%d bytes are more than the %d that vpkg reads", s.Size, most)
	}
	b := make([]byte, s.Size)
	if len(b) == 0 {
		return b, nil
	}
	if n, err := s.At.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return b, nil
}

// readStrings reads the string pool; encoder.pool draws it.
func (r *reader) readStrings(d *Database) error {
	stream, ok := r.tables["_StringPool"]
	if !ok {
		return errors.New("there is no string pool")
	}
	pool, err := r.content(stream, maxStrings)
	if err != nil {
		return fmt.Errorf("string pool: %w", err)
	}
	data, err := r.content(r.tables["_StringData"], maxStrings)
	if err != nil {
		return fmt.Errorf("string data: %w", err)
	}
	if len(pool) < 4 {
		return errors.New("the string pool has no header")
	}
	le := binary.LittleEndian
	high := le.Uint16(pool[2:])
	r.wide = high&0x8000 != 0
	d.Codepage = int(le.Uint16(pool)) | int(high&0x7fff)<<16
	if err := checkCodepage(d.Codepage); err != nil {
		return err
	}
	r.strings = make([]any, 1, len(pool)/4)
	r.strings[0] = Null{}
	for pool = pool[4:]; len(pool) >= 4; pool = pool[4:] {
		n, refs := uint64(le.Uint16(pool)), le.Uint16(pool[2:])
		if n == 0 && refs != 0 && len(pool) >= 8 {
			n = uint64(le.Uint32(pool[4:]))
			pool = pool[4:]
		}
		if n > uint64(len(data)) {
			return fmt.Errorf("string %d has %d bytes, and %d are left", len(r.strings), n, len(data))
		}
		if n == 0 {
			r.strings = append(r.strings, Null{})
			continue
		}
		r.strings = append(r.strings, decodeText(d.Codepage, data[:n]))
		data = data[n:]
	}
	return nil
}

// readColumns gives the columns of all tables.
func (r *reader) readColumns() (map[string][]Column, error) {
	t, err := r.readTable("_Columns", columnsColumns())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(t.Rows, func(a, b Row) int { return compareKeys(a, b, 2) })
	schemas := make(map[string][]Column)
	for rec := range records(t) {
		table, name := rec.Text("Table"), rec.Text("Name")
		if got, want := rec.Int("Number"), len(schemas[table])+1; got != want {
			return nil, fmt.Errorf("table %q: its column %d has the number %d", table, want, got)
		}
		c := Column{name, Type(rec.Int("Type"))}
		if err := checkType(c.Type); err != nil {
			return nil, fmt.Errorf("table %q, column %q: %w", table, name, err)
		}
		schemas[table] = append(schemas[table], c)
	}
	return schemas, nil
}

// readTable reads the rows of a table; one without a stream has none.
func (r *reader) readTable(name string, columns []Column) (*Table, error) {
	t := &Table{Name: name, Columns: columns}
	b, err := r.content(r.tables[name], r.left)
	if err != nil {
		return nil, fmt.Errorf("table %q: %w", name, err)
	}
	r.left -= int64(len(b))
	size := 0
	for _, c := range columns {
		size += width(c.Type, r.wide)
	}
	rows := len(b) / size
	if len(b)%size != 0 {
		return nil, fmt.Errorf("table %q: %d bytes are no number of rows of %d bytes", name, len(b), size)
	}
	cells := make([]any, rows*len(columns))
	for i, c := range columns {
		w := width(c.Type, r.wide)
		for row := range rows {
			v, err := r.cell(c.Type, b[:w])
			if err != nil {
				return nil, fmt.Errorf("table %q, row %d, column %s: %w", name, row+1, c.Name, err)
			}
			cells[row*len(columns)+i] = v
			b = b[w:]
		}
	}
	t.Rows = make([]Row, rows)
	for i := range t.Rows {
		t.Rows[i], cells = cells[:len(columns):len(columns)], cells[len(columns):]
	}
	return t, nil
}

// cell is the value that encoder.cell gave a number.
func (r *reader) cell(t Type, b []byte) (any, error) {
	var n uint32
	for i, c := range b {
		n |= uint32(c) << (8 * i)
	}
	switch {
	case n == 0:
		return Null{}, nil
	case t.Stream():
		return true, nil
	case t&TypeString == 0 && len(b) == 2:
		return int32(n) - 0x8000, nil
	case t&TypeString == 0:
		return int32(n ^ 0x80000000), nil
	case uint64(n) >= uint64(len(r.strings)):
		return nil, fmt.Errorf("string %d of %d", n, len(r.strings)-1)
	}
	return r.strings[n], nil
}

// rawName is a name for the compound file that is not packed.
func rawName(s string) []uint16 { return utf16.Encode([]rune(s)) }
