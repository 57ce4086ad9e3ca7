package tinyjson

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

type decoder struct {
	text   []byte // nothing after an error, which so ends everything
	off    int
	strict bool
	depth  int
	first  bool   // member of an object or array that was just opened
	path   []byte // of the value that is read: ".units[2].name"
	err    error  // the first one
}

// value reads the next one into v.
func (d *decoder) value(v reflect.Value) {
	kind := v.Kind()
	d.next()
	if d.word("null") {
		switch kind {
		case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
			v.SetZero()
		default: // it stays as it was
		}
		return
	}
	if kind == reflect.Pointer && v.Type().Elem().Kind() != reflect.Pointer {
		if v.IsNil() {
			// v is a pointer of this type. Value.Set compares types: eleven kilobytes.
			*(*unsafe.Pointer)(v.Addr().UnsafePointer()) = reflect.New(v.Type().Elem()).UnsafePointer()
		}
		d.value(v.Elem())
		return
	}
	switch p := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		d.unmarshalText(p)
		return
	case *map[string]string:
		d.dict(p)
		return
	}
	switch {
	case kind == reflect.String:
		v.SetString(d.string("a string"))
	case kind == reflect.Bool:
		v.SetBool(d.bool())
	case kind >= reflect.Int && kind <= reflect.Uintptr:
		d.integer(v)
	case kind == reflect.Struct:
		d.object(v)
	case kind == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8: // encoding/json has base64 for that
		d.array(v)
	default:
		d.fail(unsupported(v))
	}
}

func (d *decoder) unmarshalText(u encoding.TextUnmarshaler) {
	start := d.off
	s := d.string("a string")
	if d.err != nil {
		return
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		d.off = start
		d.fail(err)
	}
}

func (d *decoder) bool() bool {
	yes := d.word("true")
	if !yes && !d.word("false") {
		d.want("true or false")
	}
	return yes
}

func (d *decoder) integer(v reflect.Value) {
	start := d.off
	s := d.number("a number")
	if d.err != nil {
		return
	}
	var err error
	bits := int(v.Type().Size()) * 8
	if v.Kind() <= reflect.Int64 {
		var n int64
		n, err = strconv.ParseInt(s, 10, bits)
		v.SetInt(n)
	} else {
		var n uint64
		n, err = strconv.ParseUint(s, 10, bits)
		v.SetUint(n)
	}
	if err != nil {
		d.off = start
		d.fail(fmt.Errorf("want a number of type %s, got %s", v.Kind(), s))
	}
}

func (d *decoder) object(v reflect.Value) {
	path := len(d.path)
	for d.open('{'); d.more('}'); d.path = d.path[:path] {
		d.next()
		start := d.off
		d.member(v, d.name(), start)
	}
}

// member reads the field of that name, or drops its value.
func (d *decoder) member(v reflect.Value, name string, start int) {
	for i := range v.NumField() {
		f := fieldOf(v.Type(), i)
		if f.err != nil {
			d.fail(f.err)
		}
		if f.name != "" && f.name == name {
			d.value(v.Field(i))
			return
		}
	}
	if d.strict {
		d.off = start
		d.fail(errors.New("unknown field"))
	}
	d.skip()
}

func (d *decoder) dict(p *map[string]string) {
	if d.next() == '{' && *p == nil {
		*p = map[string]string{}
	}
	path := len(d.path)
	for d.open('{'); d.more('}'); d.path = d.path[:path] {
		var s string
		name := d.name()
		d.value(reflect.ValueOf(&s).Elem())
		if d.err == nil {
			(*p)[name] = s
		}
	}
}

// array reads into the elements that are there, as encoding/json does.
func (d *decoder) array(v reflect.Value) {
	path, n := len(d.path), 0
	for d.open('['); d.more(']'); d.path = d.path[:path] {
		if n == v.Len() {
			v.Grow(1)
			v.SetLen(n + 1)
		}
		d.path = fmt.Appendf(d.path, "[%d]", n)
		d.value(v.Index(n))
		n++
	}
	if n == 0 { // not nil, and with nothing of what was there
		v.SetZero()
		v.Grow(1)
	}
	v.SetLen(n)
}

// skip reads a value and drops it.
func (d *decoder) skip() {
	switch c := d.next(); c {
	case '"':
		d.string("")
	case '{', '[':
		for d.open(c); d.more(c + 2); { // the closing ones in ASCII
			if c == '{' {
				d.name()
			}
			d.skip()
		}
	case 't', 'f':
		d.bool()
	default:
		if !d.word("null") {
			d.number("a value")
		}
	}
}

// open reads the first byte of an object or array.
func (d *decoder) open(c byte) {
	if d.next() != c {
		what := "an object"
		if c == '[' {
			what = "an array"
		}
		d.want(what)
		return
	}
	d.off++
	d.first = true
	if d.depth++; d.depth > maxDepth {
		d.fail(fmt.Errorf("nested more than %d deep", maxDepth))
	}
}

// more reads what is before the next member of it, or its end.
func (d *decoder) more(end byte) bool {
	c, first := d.next(), d.first
	d.first = false
	switch {
	case c == end:
		d.off++
		d.depth--
		return false
	case c == ',' && !first:
		d.off++
	case !first:
		d.want(fmt.Sprintf("',' or %q", end))
	}
	return d.err == nil
}

// name reads that of a member.
func (d *decoder) name() string {
	d.next()
	s := d.string("a name")
	d.path = append(d.path, '.')
	d.path = append(d.path, s...)
	if d.next() != ':' {
		d.want("':'")
	}
	d.off++
	return s
}

// string reads one. What is not UTF-8 becomes U+FFFD.
func (d *decoder) string(what string) string {
	if d.peek() != '"' {
		d.want(what)
		return ""
	}
	var b []byte
	for d.off++; ; {
		r, n := utf8.DecodeRune(d.text[d.off:])
		switch {
		case n == 0, r < ' ':
			d.want(`a character or '"'`)
			return ""
		case r == '"':
			d.off++
			return string(b)
		case r == '\\':
			r = d.escape()
		default:
			d.off += n
		}
		b = utf8.AppendRune(b, r)
	}
}

// escape reads what a backslash begins.
func (d *decoder) escape() rune {
	r := d.hex()
	if r < 0 {
		d.off++
		i := strings.IndexByte(letters, d.peek())
		if i < 0 {
			d.want("an escape")
			return 0
		}
		d.off++
		return rune(escaped[i])
	}
	d.off += len(`\u1234`)
	if utf16.IsSurrogate(r) {
		r = utf16.DecodeRune(r, d.hex())
		if r != utf8.RuneError {
			d.off += len(`\u1234`)
		}
	}
	return r
}

// hex is the number of the \u escape that is next, or -1.
func (d *decoder) hex() rune {
	s := d.text[d.off:]
	if len(s) >= len(`\u1234`) && string(s[:2]) == `\u` {
		if n, err := strconv.ParseUint(string(s[2:6]), 16, 16); err == nil {
			return rune(n)
		}
	}
	return -1
}

func (d *decoder) number(what string) string {
	start := d.off
	if d.peek() == '-' {
		d.off++
		what = "a digit"
	}
	if d.peek() == '0' {
		d.off++
	} else {
		d.digits(what)
	}
	if d.peek() == '.' {
		d.off++
		d.digits("a digit")
	}
	if d.peek()|0x20 == 'e' {
		d.off++
		if c := d.peek(); c == '+' || c == '-' {
			d.off++
		}
		d.digits("a digit")
	}
	if d.err != nil {
		return ""
	}
	return string(d.text[start:d.off])
}

func (d *decoder) digits(what string) {
	start := d.off
	for c := d.peek(); c >= '0' && c <= '9'; c = d.peek() {
		d.off++
	}
	if d.off == start {
		d.want(what)
	}
}

// peek is the next byte, 0 at the end.
func (d *decoder) peek() byte {
	if d.off < len(d.text) {
		return d.text[d.off]
	}
	return 0
}

// next skips space first.
func (d *decoder) next() byte {
	for d.off < len(d.text) && strings.IndexByte(" \t\r\n", d.text[d.off]) >= 0 {
		d.off++
	}
	return d.peek()
}

// word reads s, if it is next.
func (d *decoder) word(s string) bool {
	if len(d.text)-d.off < len(s) || string(d.text[d.off:d.off+len(s)]) != s {
		return false
	}
	d.off += len(s)
	return true
}

// want is the error that something else is next.
func (d *decoder) want(what string) {
	got := "the end"
	if d.off < len(d.text) {
		r, _ := utf8.DecodeRune(d.text[d.off:])
		got = strconv.QuoteRune(r)
	}
	d.fail(fmt.Errorf("want %s, got %s", what, got))
}

func (d *decoder) fail(err error) {
	if d.err != nil {
		return
	}
	path := strconv.Quote(strings.TrimPrefix(string(d.path), "."))
	if len(path) > len(`""`) {
		err = fmt.Errorf("%s: %w", path[1:len(path)-1], err)
	}
	d.err = fmt.Errorf("byte %d: %w", d.off, err)
	d.text, d.off = nil, 0
}
