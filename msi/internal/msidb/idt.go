package msidb

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteIDT writes a table in the archive format of the SDK's tools, which people and
// their tools can read: three lines with the columns' names, their types, and the
// table and its key, and a line for each row, all with tabs between and CR LF at the
// end. The cell of a stream is the name of a file, KEY.ibd.
//
// A string's own tabs and ends of lines become the control characters that the
// SDK gives for them: \x10, \x11 for CR and \x19 for LF.
func WriteIDT(w io.Writer, t *Table) error {
	bw := bufio.NewWriter(w)
	line := func(cells []string) { fmt.Fprintf(bw, "%s\r\n", strings.Join(cells, "\t")) } // Flush gives the error
	var names, types []string
	keys := []string{t.Name}
	for _, c := range t.Columns {
		names, types = append(names, c.Name), append(types, c.Type.String())
		if c.Type&TypeKey != 0 {
			keys = append(keys, c.Name)
		}
	}
	line(names)
	line(types)
	line(keys)
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			switch v := v.(type) {
			case string:
				cells[i] = idtEscapes.Replace(v)
			case int32:
				cells[i] = fmt.Sprint(v)
			case bool:
				cells[i] = strings.TrimPrefix(Record{t, row}.Key(), t.Name+".") + ".ibd"
			}
		}
		line(cells)
	}
	return bw.Flush()
}

var idtEscapes = strings.NewReplacer("\t", "\x10", "\r", "\x11", "\n", "\x19")
