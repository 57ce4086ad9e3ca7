package tinyjson

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

type encoder struct {
	text  []byte
	depth int
	err   error // the first one; nothing is written after it
}

func (e *encoder) put(s string) { e.text = append(e.text, s...) }

func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

func (e *encoder) value(v reflect.Value) {
	if e.err != nil {
		return
	}
	kind := v.Kind()
	p := v
	switch {
	case kind == reflect.Invalid, kind == reflect.Pointer && v.IsNil():
		e.put("null")
		return
	case kind != reflect.Pointer && v.CanAddr():
		p = v.Addr()
	}
	switch m := p.Interface().(type) { // reflect.TypeAssert has a copy for each type
	case encoding.TextMarshaler:
		b, err := m.MarshalText()
		if err != nil {
			e.fail(err)
		}
		e.string(string(b))
		return
	}
	switch {
	case kind == reflect.String:
		e.string(v.String())
	case kind == reflect.Bool:
		e.text = strconv.AppendBool(e.text, v.Bool())
	case kind >= reflect.Int && kind <= reflect.Int64:
		e.text = strconv.AppendInt(e.text, v.Int(), 10)
	case kind >= reflect.Uint && kind <= reflect.Uintptr:
		e.text = strconv.AppendUint(e.text, v.Uint(), 10)
	case kind == reflect.Pointer && v.Elem().Kind() != reflect.Pointer:
		e.value(v.Elem())
	case kind == reflect.Struct:
		e.object(v)
	case kind == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8: // encoding/json has base64 for that
		e.array(v)
	default:
		switch m := v.Interface().(type) {
		case map[string]string:
			e.dict(m)
		default:
			e.fail(unsupported(v))
		}
	}
}

// open begins an object or array.
func (e *encoder) open(c string) {
	e.put(c)
	if e.depth++; e.depth > maxDepth {
		e.fail(fmt.Errorf("nested more than %d deep", maxDepth))
	}
}

// isOpen reports whether nothing is in it yet: no value ends so.
func (e *encoder) isOpen() bool {
	c := e.text[len(e.text)-1]
	return c == '{' || c == '['
}

func (e *encoder) member() {
	if !e.isOpen() {
		e.put(",")
	}
	e.line()
}

func (e *encoder) line() {
	e.put("\n")
	for range e.depth {
		e.put("  ")
	}
}

func (e *encoder) name(s string) {
	e.member()
	e.string(s)
	e.put(": ")
}

// end ends it; an empty one is on one line.
func (e *encoder) end(c string) {
	e.depth--
	if !e.isOpen() {
		e.line()
	}
	e.put(c)
}

func (e *encoder) object(v reflect.Value) {
	e.open("{")
	for i := range v.NumField() {
		f, fv := fieldOf(v.Type(), i), v.Field(i)
		if f.err != nil {
			e.fail(f.err)
		}
		if f.name != "" && !f.omits(fv) {
			e.name(f.name)
			e.value(fv)
		}
	}
	e.end("}")
}

func (e *encoder) array(v reflect.Value) {
	if v.IsNil() {
		e.put("null")
		return
	}
	e.open("[")
	for i := range v.Len() {
		e.member()
		e.value(v.Index(i))
	}
	e.end("]")
}

func (e *encoder) dict(m map[string]string) {
	if m == nil {
		e.put("null")
		return
	}
	var keys []string
	for k := range m { // few: package slices would sort them in more space than this file has
		keys = append(keys, k)
		for i := len(keys) - 1; i > 0 && keys[i] < keys[i-1]; i-- {
			keys[i], keys[i-1] = keys[i-1], keys[i]
		}
	}
	e.open("{")
	for _, k := range keys {
		e.name(k)
		e.string(m[k])
	}
	e.end("}")
}

// omits reports whether the tag leaves v out. To ask for an interface with IsZero
// would bring all methods of that name into the program, and reflect.Value has a
// large one.
func (f field) omits(v reflect.Value) bool {
	if strings.Contains(f.options, "omitempty") && isZero(v, true) {
		return true
	}
	if !strings.Contains(f.options, "omitzero") {
		return false
	}
	switch t := v.Interface().(type) {
	case time.Time:
		return t.IsZero()
	default:
		return isZero(v, false)
	}
}

// isZero is what omitzero asks for, or with empty what omitempty does: an empty
// slice or map is, and a struct never.
func isZero(v reflect.Value, empty bool) bool {
	kind := v.Kind()
	switch {
	case kind == reflect.Bool:
		return !v.Bool()
	case kind >= reflect.Int && kind <= reflect.Int64:
		return v.Int() == 0
	case kind >= reflect.Uint && kind <= reflect.Uintptr:
		return v.Uint() == 0
	case kind == reflect.String:
		return v.Len() == 0
	case kind == reflect.Pointer:
		return v.IsNil()
	case kind == reflect.Slice, kind == reflect.Map:
		return v.IsNil() || empty && v.Len() == 0
	case kind == reflect.Struct && !empty:
		for i := range v.NumField() {
			if !isZero(v.Field(i), false) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// string quotes s. As encoding/json does it, the text may stand in HTML and
// JavaScript, and U+FFFD is for what is not UTF-8.
func (e *encoder) string(s string) {
	e.put(`"`)
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		i := strings.IndexByte(escaped[:len(escaped)-1], s[0])
		switch {
		case i >= 0:
			e.put(`\`)
			e.put(letters[i : i+1])
		case r < ' ', r == '<', r == '>', r == '&', r == '\u2028', r == '\u2029', r == utf8.RuneError && n == 1:
			e.text = fmt.Appendf(e.text, `\u%04x`, r)
		default:
			e.put(s[:n])
		}
		s = s[n:]
	}
	e.put(`"`)
}
