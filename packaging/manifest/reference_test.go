package manifest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestReference(t *testing.T) {
	got, err := Reference()
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "../../docs/manifest.md", got)
}

func TestReferenceExample(t *testing.T) {
	text, err := Reference()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = strings.Cut(text, "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	if _, err := Parse("manifest.md", []byte(text)); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

// Every key of every type has a comment: the reference and the schema are made
// of them.
func TestEveryFieldIsDescribed(t *testing.T) {
	texts, err := comments()
	if err != nil {
		t.Fatal(err)
	}
	var visit func(reflect.Type)
	seen := make(map[reflect.Type]bool)
	visit = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Slice, reflect.Map:
			visit(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if _, inner := kindOf(typ); inner == nil || seen[typ] {
			return
		}
		seen[typ] = true
		fields, keys := fieldsOf(typ)
		for _, k := range keys {
			f := typ.FieldByIndex(fields[k].index)
			if text := texts[typ.Name()+"."+f.Name]; !strings.HasSuffix(text, ".") {
				t.Errorf("%s.%s: comment %q is not a sentence", typ.Name(), f.Name, text)
			}
			visit(f.Type)
		}
	}
	visit(reflect.TypeFor[Manifest]())
	if len(seen) < 15 {
		t.Errorf("saw %d types only", len(seen))
	}
}

func TestSchema(t *testing.T) {
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Required             []string
		AdditionalProperties bool
		Properties           map[string]struct{ Description, Ref, Type string }
		Defs                 map[string]struct {
			Properties map[string]struct{ Type, Pattern, Description string }
		} `json:"$defs"`
	}
	s.AdditionalProperties = true
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	_, keys := fieldsOf(reflect.TypeFor[Manifest]())
	for _, k := range keys {
		if s.Properties[k].Description == "" {
			t.Errorf("property %s has no description", k)
		}
	}
	if len(s.Properties) != len(keys) || s.AdditionalProperties {
		t.Errorf("got %d properties, want %d and no others", len(s.Properties), len(keys))
	}
	if got := strings.Join(s.Required, " "); got != "name version summary license maintainer folders" {
		t.Errorf("required: %s", got)
	}
	if m := s.Defs["Content"].Properties["mode"]; m.Type != "string" || m.Pattern == "" {
		t.Errorf("mode: %+v", m)
	}
}
