package manifest

import (
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A Problem is one thing that is wrong with a manifest.
type Problem struct {
	File         string // as it was given to Parse
	Line, Column int    // from 1
	Err          error
}

func (p *Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Err)
}

func (p *Problem) Unwrap() error { return p.Err }

type pos struct{ line, column int } // from 1

// The bounds of a manifest, which keep aliases within aliases from growing.
const (
	maxManifest = 1 << 20 // bytes
	maxNodes    = 100_000
	maxDepth    = 50
)

// Parse reads the text of a vpkg.yaml. All that is wrong with it is reported at
// once: the error joins a *Problem for each. file is how messages name it, and
// files that the manifest names are relative to its folder.
func Parse(file string, data []byte) (*Manifest, error) {
	m, errs := parse(file, data)
	if m == nil {
		return nil, errors.Join(errs...)
	}
	return m.finish(errs)
}

// parse gives what could be read, for further checks, and what is wrong with it;
// nil if nothing could be read.
func parse(file string, data []byte) (*Manifest, []error) {
	m := &Manifest{file: file, folder: folder{dir: filepath.Dir(file)}, pos: make(map[string]pos)}
	d := newDecoder(file, "manifest", m.pos)
	if len(data) > maxManifest {
		return nil, []error{d.problemAt(pos{1, 1}, "%s has more than %d bytes", d.what, maxManifest)}
	}
	body, err := d.document(data)
	if err != nil {
		return nil, []error{err}
	}
	d.value("", body, reflect.ValueOf(m).Elem(), 0)
	return m, append(d.errs, m.check(d.failed)...)
}

func (m *Manifest) finish(errs []error) (*Manifest, error) {
	if len(errs) > 0 {
		slices.SortStableFunc(errs, comparePlaces)
		return nil, errors.Join(errs...)
	}
	m.setDefaults()
	return m, nil
}

func comparePlaces(a, b error) int {
	pa, oka := errors.AsType[*Problem](a)
	pb, okb := errors.AsType[*Problem](b)
	if !oka || !okb {
		return 0
	}
	if pa.Line != pb.Line {
		return pa.Line - pb.Line
	}
	return pa.Column - pb.Column
}

// A decoder fills Go values from YAML nodes, guided by their types, and goes on
// after an error.
type decoder struct {
	file    string
	what    string // how messages call all of it: "manifest"
	pos     map[string]pos
	anchors map[string]ast.Node
	nodes   int // visited so far
	errs    []error
	bad     map[string]bool // paths that have an error already
}

func newDecoder(file, what string, places map[string]pos) *decoder {
	return &decoder{file: file, what: what, pos: places, anchors: make(map[string]ast.Node), bad: make(map[string]bool)}
}

func (d *decoder) document(data []byte) (ast.Node, error) {
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, d.syntaxError(err)
	}
	var docs []ast.Node
	for _, doc := range f.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			docs = append(docs, doc.Body)
		}
	}
	switch len(docs) {
	case 0:
		return nil, d.problemAt(pos{1, 1}, "%s is empty", d.what)
	case 1:
		return docs[0], nil
	}
	return nil, d.problemAt(place(docs[1]), "%s has %d documents, want one", d.what, len(docs))
}

// syntaxError gives the parser's error its place.
func (d *decoder) syntaxError(err error) error {
	type positioned interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if p, ok := errors.AsType[interface {
		error
		positioned
	}](err); ok && p.GetToken() != nil {
		return d.problemAt(tokenPlace(p.GetToken()), "%s", p.GetMessage())
	}
	return &Problem{d.file, 1, 1, err}
}

func (d *decoder) problemAt(p pos, format string, args ...any) error {
	return &Problem{d.file, p.line, p.column, fmt.Errorf(format, args...)}
}

func (d *decoder) fail(path string, n ast.Node, format string, args ...any) {
	d.errs = append(d.errs, d.problemAt(place(n), format, args...))
	d.bad[path] = true
}

// failed reports whether the value at path, or one that it is in, had an error.
func (d *decoder) failed(path string) bool {
	for path != "" {
		if d.bad[path] {
			return true
		}
		path = around(path)
	}
	return false
}

// around is the path of what the value at path is in: contents[2] for
// contents[2].mode, contents for contents[2].
func around(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

func place(n ast.Node) pos {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return place(n.Values[0].Key) // its own token is the first colon
		}
	case *ast.MappingValueNode:
		return place(n.Key)
	}
	return tokenPlace(n.GetToken())
}

func tokenPlace(t *token.Token) pos {
	if t == nil || t.Position == nil {
		return pos{1, 1}
	}
	return pos{t.Position.Line, t.Position.Column}
}

// resolve follows anchors, aliases and tags to the node that has the content.
func (d *decoder) resolve(path string, n ast.Node) (ast.Node, bool) {
	for range maxDepth {
		switch x := n.(type) {
		case *ast.AnchorNode:
			d.anchors[x.Name.GetToken().Value] = x.Value
			n = x.Value
		case *ast.AliasNode:
			name := x.Value.GetToken().Value
			target, ok := d.anchors[name]
			if !ok {
				d.fail(path, x, "alias *%s has no anchor before it", name)
				return nil, false
			}
			n = target
		case *ast.TagNode:
			d.fail(path, x, "tag %s: tags have no meaning here", x.GetToken().Value)
			return nil, false
		case nil:
			return nil, false
		default:
			return n, true
		}
	}
	d.fail(path, n, "an alias stands for itself")
	return nil, false
}

// value decodes n into v. An empty value leaves v as it is.
func (d *decoder) value(path string, n ast.Node, v reflect.Value, depth int) {
	if d.nodes++; d.nodes > maxNodes || depth > maxDepth {
		if d.nodes <= maxNodes+1 || depth == maxDepth+1 {
			d.fail(path, n, "%s is nested too deep or has too many values", d.what)
		}
		return
	}
	at := place(n)
	n, ok := d.resolve(path, n)
	if !ok || n.Type() == ast.NullType {
		return
	}
	d.pos[path] = at
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		d.text(path, n, v, u)
		return
	}
	switch v.Kind() {
	case reflect.String:
		if s, ok := d.scalar(path, n); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			d.fail(path, n, "%s is %s, want true or false", d.name(path), describe(n))
			return
		}
		v.SetBool(b.Value)
	case reflect.Slice:
		d.slice(path, n, v, depth)
	case reflect.Map:
		d.mapOf(path, n, v, depth)
	case reflect.Struct:
		d.structure(path, n, v, depth)
	default:
		panic("manifest: no decoder for " + v.Type().String()) // a mistake in types.go, which its test finds
	}
}

func (d *decoder) text(path string, n ast.Node, v reflect.Value, u encoding.TextUnmarshaler) {
	if i, ok := n.(*ast.IntegerNode); ok && v.Type() == reflect.TypeFor[Mode]() {
		d.fail(path, n, "mode %s is a bare number, want it in quotes: %q", i.GetToken().Value, i.GetToken().Value)
		return
	}
	s, ok := d.scalar(path, n)
	if !ok {
		return
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		d.fail(path, n, "%w", err)
	}
}

// scalar gives the text of a string node. Numbers and booleans are refused: YAML
// reads them in ways that surprise (010, 1e3, 1.10, no).
func (d *decoder) scalar(path string, n ast.Node) (string, bool) {
	var s string
	switch x := n.(type) {
	case *ast.StringNode:
		s = x.Value
	case *ast.LiteralNode:
		s = x.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		d.fail(path, n, "%s is %s, want text: put it in quotes", d.name(path), describe(n))
		return "", false
	default:
		d.fail(path, n, "%s is %s, want text", d.name(path), describe(n))
		return "", false
	}
	if strings.ContainsRune(s, 0) {
		d.fail(path, n, "%s has a NUL byte", d.name(path))
		return "", false
	}
	return s, true
}

func (d *decoder) slice(path string, n ast.Node, v reflect.Value, depth int) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(path, n, "%s is %s, want a list", d.name(path), describe(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, item := range seq.Values {
		p := fmt.Sprintf("%s[%d]", path, i)
		if item.Type() == ast.NullType {
			d.fail(p, seq, "%s has an empty item", d.name(path))
			continue
		}
		d.value(p, item, v.Index(i), depth+1)
	}
}

func (d *decoder) mapOf(path string, n ast.Node, v reflect.Value, depth int) {
	pairs, ok := d.pairs(path, n)
	if !ok {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(pairs)))
	for _, kv := range pairs {
		p := join(path, kv.key)
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(p, kv.value, item, depth+1)
		v.SetMapIndex(reflect.ValueOf(kv.key), item)
		d.pos[p] = kv.at
	}
}

func (d *decoder) structure(path string, n ast.Node, v reflect.Value, depth int) {
	pairs, ok := d.pairs(path, n)
	if !ok {
		return
	}
	fields, keys := fieldsOf(v.Type())
	given := make(map[string]bool, len(pairs))
	for _, kv := range pairs {
		f, ok := fields[kv.key]
		if !ok {
			d.errs = append(d.errs, d.problemAt(kv.at, "unknown key %q%s", kv.key, didYouMean(kv.key, keys)))
			continue
		}
		given[kv.key] = kv.value.Type() != ast.NullType
		d.value(join(path, kv.key), kv.value, v.FieldByIndex(f.index), depth+1)
	}
	for _, k := range keys {
		if fields[k].required && !given[k] {
			d.fail(join(path, k), n, "%s has no %s", d.name(path), k)
		}
	}
}

type pair struct {
	key   string
	at    pos
	value ast.Node
}

// pairs lists a mapping's keys and values, those of merged mappings (<<) last
// and only where the mapping itself has no such key.
func (d *decoder) pairs(path string, n ast.Node) ([]pair, bool) {
	var values []*ast.MappingValueNode
	switch x := n.(type) {
	case *ast.MappingNode:
		values = x.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{x}
	default:
		d.fail(path, n, "%s is %s, want keys and values", d.name(path), describe(n))
		return nil, false
	}
	seen := make(map[string]pos)
	var pairs []pair
	for _, kv := range values {
		if kv.Key.IsMergeKey() {
			d.fail(path, kv, "merging with << is not supported: repeat the keys, or use an alias for each value")
			continue
		}
		key, ok := kv.Key.(*ast.StringNode)
		if !ok {
			d.fail(path, kv.Key, "key %s is %s, want text", kv.Key.GetToken().Value, describe(kv.Key))
			continue
		}
		at := place(key)
		if first, twice := seen[key.Value]; twice {
			d.fail(path, key, "key %q is given twice, first in line %d", key.Value, first.line)
			continue
		}
		seen[key.Value] = at
		if kv.Value == nil {
			continue
		}
		pairs = append(pairs, pair{key.Value, at, kv.Value})
	}
	return pairs, true
}

type field struct {
	index    []int
	required bool
}

// fieldsOf lists the keys of a struct type, in the order of its fields. A field
// whose tag has no omitempty is required.
func fieldsOf(t reflect.Type) (map[string]field, []string) {
	fields := make(map[string]field)
	var keys []string
	for _, f := range reflect.VisibleFields(t) {
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || key == "" || key == "-" {
			continue
		}
		fields[key] = field{f.Index, options != "omitempty"}
		keys = append(keys, key)
	}
	return fields, keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// name is how messages call the value at path.
func (d *decoder) name(path string) string {
	if path == "" {
		return d.what
	}
	return path
}

func describe(n ast.Node) string {
	switch n.Type() {
	case ast.StringType, ast.LiteralType:
		return "text"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "the number " + n.GetToken().Value
	case ast.BoolType:
		return n.GetToken().Value
	case ast.SequenceType:
		return "a list"
	case ast.MappingType, ast.MappingValueType:
		return "keys and values"
	}
	return "a " + strings.ToLower(n.Type().String())
}
