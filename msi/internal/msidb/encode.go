package msidb

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/vpkg/vpkg/msi/internal/cfb"
)

// Root is the root of a package's compound file: its CLSID says that the file is a
// database of Windows Installer, {000C1084-0000-0000-C000-000000000046}.
func Root() cfb.Root {
	return cfb.Root{CLSID: [16]byte{0x84, 0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46}}
}

// Encode gives the streams of a package: the summary information, the tables, and
// those of d, in their order there. Equal databases give equal bytes, in whatever
// order their rows are.
//
// What the format cannot hold is an error: a null where there must be none, a string
// too long or not of the code page, a number out of range, two rows of one key, a row
// whose stream is not there. All of them are reported, with table, row and column.
// References between tables are not looked at: see [CheckReferences].
func Encode(d *Database) ([]cfb.Stream, error) {
	e := &encoder{codepage: d.Codepage, ids: make(map[string]int)}
	if err := checkCodepage(d.Codepage); err != nil {
		return nil, fmt.Errorf("encoding an installer database: %w", err)
	}
	summary, err := d.Summary.encode()
	if err != nil {
		e.errs = append(e.errs, fmt.Errorf("summary information: %w", err))
	}
	tables := e.encodeTables(d.Tables)
	named := e.checkStreams(d)
	if len(e.errs) > 0 {
		return nil, fmt.Errorf("encoding an installer database: %w", errors.Join(e.errs...))
	}

	streams := []cfb.Stream{
		memory(rawName(summaryName), summary),
		memory(tableStreamName("_StringData"), e.data),
		memory(tableStreamName("_StringPool"), e.pool()),
	}
	for _, t := range tables {
		if t.rows > 0 { // no rows have no stream
			streams = append(streams, memory(tableStreamName(t.name), t.bytes(e.wide())))
		}
	}
	return append(streams, named...), nil
}

// memory is a stream of bytes.
func memory(name []uint16, b []byte) cfb.Stream {
	return cfb.Stream{
		Name: name, Size: int64(len(b)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	}
}

// An encoder collects the strings of a database.
type encoder struct {
	codepage int
	ids      map[string]int // of strings, from 1
	refs     []int          // of string i+1: how many cells have it
	lens     []int          // of string i+1: bytes
	data     []byte         // all strings
	errs     []error
}

// id is the number of a string, and counts one more cell with it.
func (e *encoder) id(s string) (int, error) {
	id, ok := e.ids[s]
	if !ok {
		b, err := encodeText(e.codepage, s)
		if err != nil {
			return 0, err
		}
		e.data = append(e.data, b...)
		e.refs, e.lens = append(e.refs, 0), append(e.lens, len(b))
		id = len(e.refs)
		e.ids[s] = id
	}
	e.refs[id-1]++
	return id, nil
}

// wide reports whether a string's number takes three bytes, not two.
func (e *encoder) wide() bool { return len(e.refs) >= 0xffff }

// pool is the stream _StringPool. It has four bytes for each string, whose bytes
// follow one another in _StringData:
//
//	0  2  code page
//	2  2  0, or 8000 if numbers of strings have three bytes
//
//	0  2  bytes of the string
//	2  2  cells that have it
//
// A string of 64 KiB or more has length 0 there, and four bytes of length follow.
func (e *encoder) pool() []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, uint16(e.codepage))
	flag := uint16(e.codepage>>16) & 0x7fff
	if e.wide() {
		flag |= 0x8000
	}
	b = le.AppendUint16(b, flag)
	for i, n := range e.lens {
		refs := uint16(min(e.refs[i], 0xffff))
		if n > 0xffff {
			b = le.AppendUint16(b, 0)
			b = le.AppendUint16(b, refs)
			b = le.AppendUint32(b, uint32(n))
			continue
		}
		b = le.AppendUint16(b, uint16(n))
		b = le.AppendUint16(b, refs)
	}
	return b
}

// A grid is a table as numbers: those of strings, and biased ones.
type grid struct {
	name    string
	columns []Column
	keys    int
	rows    int
	cells   []uint32 // row by row
}

// width is how many bytes a cell of a column takes.
func width(t Type, wide bool) int {
	switch {
	case t.Stream():
		return 2
	case t&TypeString != 0 && wide:
		return 3
	case t&TypeString == 0 && t&TypeSize == 4:
		return 4
	}
	return 2
}

// bytes is the table's stream: the first column's cells, the second's and so on.
func (g *grid) bytes(wide bool) []byte {
	g.sort()
	var b []byte
	for i, c := range g.columns {
		w := width(c.Type, wide)
		for at := i; at < len(g.cells); at += len(g.columns) {
			v := g.cells[at]
			b = append(b, byte(v), byte(v>>8))
			if w > 2 {
				b = append(b, byte(v>>16))
			}
			if w > 3 {
				b = append(b, byte(v>>24))
			}
		}
	}
	return b
}

// sort brings the rows into the order of their keys' numbers, in which readers look
// for them.
func (g *grid) sort() {
	n := len(g.columns)
	order := make([]int, g.rows)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return slices.Compare(g.cells[a*n:a*n+g.keys], g.cells[b*n:b*n+g.keys])
	})
	sorted := make([]uint32, 0, len(g.cells))
	for _, i := range order {
		sorted = append(sorted, g.cells[i*n:(i+1)*n]...)
	}
	g.cells = sorted
}

// The tables that describe the tables, which no table describes.
func tablesColumns() []Column { return []Column{{"Name", mustType("s64") | TypeKey}} }

func columnsColumns() []Column {
	return []Column{
		{"Table", mustType("s64") | TypeKey},
		{"Number", mustType("i2") | TypeKey},
		{"Name", mustType("s64")},
		{"Type", mustType("i2")},
	}
}

func mustType(s string) Type {
	t, err := parseType(s)
	if err != nil {
		panic(err)
	}
	return t
}

// encodeTables gives _Tables, _Columns and all tables.
func (e *encoder) encodeTables(tables []*Table) []*grid {
	tables = slices.SortedFunc(slices.Values(tables), func(a, b *Table) int { return cmp.Compare(a.Name, b.Name) })
	names := &Table{Name: "_Tables", Columns: tablesColumns()}
	columns := &Table{Name: "_Columns", Columns: columnsColumns()}
	for _, t := range tables {
		e.checkTable(t)
		names.Rows = append(names.Rows, Row{t.Name})
		for i, c := range t.Columns {
			columns.Rows = append(columns.Rows, Row{t.Name, int32(i + 1), c.Name, int32(c.Type)})
		}
	}
	var out []*grid
	for _, t := range slices.Concat([]*Table{names, columns}, tables) {
		out = append(out, e.encodeTable(t))
	}
	return out
}

// checkTable reports a schema that cannot be.
func (e *encoder) checkTable(t *Table) {
	fail := func(format string, args ...any) {
		e.errs = append(e.errs, fmt.Errorf("table %q: "+format, append([]any{t.Name}, args...)...))
	}
	switch {
	case t.Name == "" || slices.Contains([]string{"_Tables", "_Columns", "_StringPool", "_StringData", "_Streams"}, t.Name):
		fail("the name is taken")
	case len(tableStreamName(t.Name)) > cfb.MaxName:
		fail("the name is too long")
	case len(t.Columns) == 0 || len(t.Columns) > 0x7fff || t.Columns[0].Type&TypeKey == 0:
		fail("it has no columns, or the first is no key")
	}
	keys := true
	seen := make(map[string]bool)
	for _, c := range t.Columns {
		isKey := c.Type&TypeKey != 0
		if isKey && !keys {
			fail("the key %q follows a column that is none", c.Name)
		}
		keys = isKey
		if seen[c.Name] || c.Name == "" {
			fail("two columns are named %q, or one has no name", c.Name)
		}
		seen[c.Name] = true
		if err := checkType(c.Type); err != nil {
			fail("column %q: %w", c.Name, err)
		}
	}
}

// checkType refuses a type that readers would take for another one.
func checkType(t Type) error {
	if t&TypeValid == 0 || t > TypeKey<<1-1 || t&TypeString == 0 && t&TypeSize != 2 && t&TypeSize != 4 {
		return fmt.Errorf("type %#x", uint16(t))
	}
	return nil
}

func (e *encoder) encodeTable(t *Table) *grid {
	g := &grid{name: t.Name, columns: t.Columns, rows: len(t.Rows)}
	for _, c := range t.Columns {
		if c.Type&TypeKey != 0 {
			g.keys++
		}
	}
	// Strings get their numbers in the order of the keys, so the order of the rows here
	// does not show in the file.
	rows := slices.Clone(t.Rows)
	slices.SortStableFunc(rows, func(a, b Row) int { return compareKeys(a, b, g.keys) })
	for i, row := range rows {
		key := Record{t, row}.Key()
		if len(row) != len(t.Columns) {
			e.errs = append(e.errs, fmt.Errorf("row %q: %d values for %d columns", key, len(row), len(t.Columns)))
			continue
		}
		if i > 0 && compareKeys(rows[i-1], row, g.keys) == 0 {
			e.errs = append(e.errs, fmt.Errorf("row %q: there are two of this key", key))
		}
		for j, c := range t.Columns {
			v, err := e.cell(c.Type, row[j])
			if err != nil {
				e.errs = append(e.errs, fmt.Errorf("row %q, column %s: %w", key, c.Name, err))
			}
			g.cells = append(g.cells, v)
		}
	}
	return g
}

// compareKeys orders rows by their first cells.
func compareKeys(a, b Row, keys int) int {
	return slices.CompareFunc(a[:min(keys, len(a))], b[:min(keys, len(b))], compareCells)
}

// compareCells orders nulls first, then numbers, then strings.
func compareCells(a, b any) int {
	rank := func(v any) int {
		switch v := v.(type) {
		case int32:
			return 1
		case string:
			if v != "" {
				return 2
			}
		}
		return 0
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case int32:
		return cmp.Compare(a, b.(int32))
	case string:
		b, _ := b.(string)
		return cmp.Compare(a, b)
	}
	return 0
}

// cell is the number that stands for a value. 0 is null, and numbers are biased so
// that none of them is 0.
func (e *encoder) cell(t Type, v any) (uint32, error) {
	if v == "" {
		v = Null{}
	}
	switch v := v.(type) {
	case Null:
		if t&TypeNullable == 0 {
			return 0, errors.New("it must not be null")
		}
		return 0, nil
	case string:
		if !t.IsString() {
			break
		}
		// A code unit for each byte is the most that a string has.
		if most := int(t & TypeSize); most > 0 && len(v) > most {
			if n := len(utf16.Encode([]rune(v))); n > most {
				return 0, fmt.Errorf("%q has %d characters, and may have %d", shorten(v), n, most)
			}
		}
		id, err := e.id(v)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", shorten(v), err)
		}
		return uint32(id), nil
	case int32:
		if t&TypeString != 0 {
			break
		}
		if t&TypeSize == 2 {
			if v < -0x7fff || v > 0x7fff {
				return 0, fmt.Errorf("%d is not within ±32767", v)
			}
			return uint32(v + 0x8000), nil
		}
		if v == -0x80000000 {
			return 0, fmt.Errorf("%d is not within ±2147483647", v)
		}
		return uint32(v) ^ 0x80000000, nil
	case bool:
		if !t.Stream() || !v {
			break
		}
		return 1, nil
	}
	return 0, fmt.Errorf("a column of type %v cannot hold %v", t, v)
}

// shorten is the beginning of a long string.
func shorten(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}

// checkStreams gives the database's streams, and compares them with the cells that
// say where one is.
func (e *encoder) checkStreams(d *Database) []cfb.Stream {
	var out []cfb.Stream
	have := make(map[string]bool)
	for _, s := range d.Streams {
		name, err := StreamName(s.Name)
		switch {
		case err != nil:
			e.errs = append(e.errs, err)
		case s.Name == summaryName || name[0] == tableMark:
			e.errs = append(e.errs, fmt.Errorf("stream name %q is taken", s.Name))
		}
		have[s.Name] = true
		out = append(out, cfb.Stream{Name: name, Size: s.Size, Open: s.Open, At: s.At})
	}
	for _, t := range d.Tables {
		for i, c := range t.Columns {
			if !c.Type.Stream() {
				continue
			}
			for _, row := range t.Rows {
				if key := (Record{t, row}).Key(); i < len(row) && row[i] == true && !have[key] {
					e.errs = append(e.errs, fmt.Errorf("row %q, column %s: there is no stream of this name", key, c.Name))
				}
			}
		}
	}
	return out
}

// CheckReferences reports every cell that names a row of another table that is not
// there, by the rules of the catalogue. Cells that may be something else than a
// reference are left alone: the version of a file, and what is searched for.
func CheckReferences(d *Database) error {
	var errs []error
	for _, t := range d.Tables {
		for _, r := range Validation(t.Name) {
			if len(r.KeyTables) == 0 || r.Category == "Version" || t.Name == "AppSearch" {
				continue
			}
			known := make(map[string]bool)
			for _, name := range r.KeyTables {
				for rec := range d.Rows(name) {
					if r.KeyColumn <= len(rec.Row) {
						known[reference(rec.Row, r.KeyColumn, rec.Row[r.KeyColumn-1])] = true
					}
				}
			}
			for rec := range d.Rows(t.Name) {
				if v := rec.value(r.Column); !rec.IsNull(r.Column) && !known[reference(rec.Row, r.KeyColumn, v)] {
					errs = append(errs, fmt.Errorf("row %q, column %s: %q is not in the table %s",
						rec.Key(), r.Column, fmt.Sprint(v), strings.Join(r.KeyTables, " or ")))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// reference is what a cell and the cell that it refers to have in common. One to a
// second column, a control's, is to one of the same dialog, in the first column of
// both rows.
func reference(row Row, column int, v any) string {
	if column == 2 {
		return fmt.Sprint(row[0], "\x00", v)
	}
	return fmt.Sprint(v)
}
