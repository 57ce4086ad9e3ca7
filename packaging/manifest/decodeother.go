package manifest

import (
	"errors"
	"reflect"
	"slices"
)

// Places is where the values of a file are that Decode read.
type Places struct{ m Manifest }

// Decode reads the text of another YAML file than a manifest, as strictly, into what
// v points to: a struct whose fields have yaml tags. A key is wanted unless its tag
// says omitempty. Messages name the file, and call all of it by what: "policy". All
// that is wrong is reported at once: the error joins a *Problem for each.
func Decode(file, what string, data []byte, v any) (*Places, error) {
	p := &Places{Manifest{file: file, pos: make(map[string]pos)}}
	d := newDecoder(file, what, p.m.pos)
	if len(data) > maxManifest {
		return nil, d.problemAt(pos{1, 1}, "%s has more than %d bytes", what, maxManifest)
	}
	body, err := d.document(data)
	if err != nil {
		return nil, err
	}
	d.value("", body, reflect.ValueOf(v).Elem(), 0)
	slices.SortStableFunc(d.errs, comparePlaces)
	return p, errors.Join(d.errs...)
}

// Problem is an error with the place of the value at path, such as "except[2].rule",
// or of the nearest one around it.
func (p *Places) Problem(path, format string, args ...any) error {
	return p.m.problem(path, format, args...)
}

// Match reports whether a path fits a pattern as those of a manifest's attributes:
// * and ? stay within an element, ** stands for any number of them. Both are relative,
// or both absolute.
func Match(pattern, path string) bool { return match(pattern, path) }

// DidYouMean gives ` (did you mean "NAME"?)` with the name nearest to s, or nothing if
// none is near.
func DidYouMean(s string, names []string) string { return didYouMean(s, names) }
