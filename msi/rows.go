package msi

import (
	"fmt"
	"iter"

	"github.com/vpkg/vpkg/msi/internal/ice"
	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// A Row is one of a table's. A column that the table does not have is empty.
type Row struct{ record msidb.Record }

// Text is the string of a column; empty for a null and for numbers.
func (r Row) Text(column string) string { return r.record.Text(column) }

// Int is the number of a column; 0 for a null and for strings.
func (r Row) Int(column string) int { return r.record.Int(column) }

// Rows gives the rows of a table; none if the package does not have it.
func (c *Contents) Rows(table string) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for r := range c.db.Rows(table) {
			if !yield(Row{r}) {
				return
			}
		}
	}
}

// Paths gives the paths in the layout of the rows of File, by their keys.
func (c *Contents) Paths() (map[string]string, error) {
	d := &describer{db: c.db, property: properties(c.db)}
	d.p = d.identity()
	if err := d.layout(); err != nil {
		return nil, fmt.Errorf("msi: %w", err)
	}
	return d.files, nil
}

// Holds evaluates a condition. value gives the values of properties, and of what has
// a prefix: an environment variable (%), the action or state of a component ($, ?) or
// of a feature (&, !). What does not exist has an empty one.
func Holds(condition string, value func(name string) string) (bool, error) {
	return ice.Holds(condition, value)
}
