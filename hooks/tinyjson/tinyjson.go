// Package tinyjson reads and writes JSON as encoding/json does, for the few types
// that the hook's own files have, in a seventh of the space.
//
// The types are structs, slices, map[string]string, pointers, strings, bools,
// integers, and whatever is an [encoding.TextMarshaler] or
// [encoding.TextUnmarshaler]. Tags have a name, omitempty and omitzero.
//
// Everything else is an error, not something similar: floats, interfaces, arrays,
// other maps, slices of bytes, pointers to pointers, embedded fields and the
// option "string". What differs from encoding/json besides:
//
//   - Names of fields are compared exactly, and those in tags taken as they are:
//     go vet finds one that is there twice.
//   - Methods MarshalJSON and UnmarshalJSON are not known.
//   - Of the methods IsZero, only that of [time.Time] is known.
//   - Values are nested at most 100 deep.
//   - Reading stops at the first error.
package tinyjson

import (
	"fmt"
	"reflect"
	"strings"
)

// maxDepth ends values that point at themselves, and texts that are to use up the
// stack.
const maxDepth = 100

// Marshal gives what json.MarshalIndent(v, "", "  ") does.
func Marshal(v any) ([]byte, error) {
	var e encoder
	e.value(reflect.ValueOf(v))
	if e.err != nil {
		return nil, fmt.Errorf("writing JSON: %w", e.err)
	}
	return e.text, nil
}

// Unmarshal reads the one value that b is into what v points at, as json.Unmarshal
// does: what b does not name stays as it was. After an error a part may have been
// read.
func Unmarshal(b []byte, v any) error { return decode(&decoder{text: b}, v) }

// Strict is Unmarshal, but a field that v does not have is an error.
func Strict(b []byte, v any) error { return decode(&decoder{text: b, strict: true}, v) }

func decode(d *decoder, v any) error {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("reading JSON into a %T: want a pointer that is not nil", v)
	}
	d.value(p.Elem())
	if d.next(); d.off < len(d.text) {
		d.want("the end")
	}
	return d.err
}

// A field is one of a struct.
type field struct {
	name    string // empty for one that is not written or read
	options string // "omitempty,omitzero"
	err     error
}

// fieldOf reads the tag without reflect.StructTag, which unquotes it: eight
// kilobytes.
func fieldOf(t reflect.Type, i int) (f field) {
	sf := t.Field(i)
	_, tag, _ := strings.Cut(string(sf.Tag), `json:"`)
	tag, _, _ = strings.Cut(tag, `"`)
	if tag == "-" || sf.PkgPath != "" && !sf.Anonymous {
		return f
	}
	f.name, f.options, _ = strings.Cut(tag, ",")
	if sf.Anonymous || strings.Contains(f.options, "string") {
		f.err = fmt.Errorf("field %s of %s: embedded fields and the option string are not supported", sf.Name, t)
	}
	if f.name == "" {
		f.name = sf.Name
	}
	return f
}

func unsupported(v reflect.Value) error { return fmt.Errorf("type %s is not supported", v.Type()) }

// What is written as a backslash and a letter. A slash is only read so.
const (
	escaped = "\"\\\b\f\n\r\t/"
	letters = `"\bfnrt/`
)
