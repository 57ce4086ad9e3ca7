package manifest

import (
	_ "embed" // for types.go
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// The text of types.go, whose comments are the reference of vpkg.yaml.
//
//go:embed types.go
var typesSource string

// comments gives the comment of each type and field of types.go: "Content" and
// "Content.Mode".
func comments() (map[string]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), "types.go", typesSource, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	texts := make(map[string]string)
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		t := g.Specs[0].(*ast.TypeSpec)
		texts[t.Name.Name] = oneParagraph(g.Doc.Text())
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range s.Fields.List {
			for _, n := range field.Names {
				texts[t.Name.Name+"."+n.Name] = oneParagraph(field.Doc.Text())
			}
		}
	}
	return texts, nil
}

// oneParagraph joins the lines of each paragraph.
func oneParagraph(s string) string {
	paragraphs := strings.Split(strings.TrimSpace(s), "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.Join(strings.Fields(p), " ")
	}
	return strings.Join(paragraphs, "\n\n")
}

// Schema gives the JSON Schema of vpkg.yaml, made from the types and comments of
// this package, for editors that complete and check as one types.
func Schema() ([]byte, error) {
	texts, err := comments()
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	r := jsonschema.Reflector{
		FieldNameTag:   "yaml",
		ExpandedStruct: true,
		Anonymous:      true,
		Mapper:         textSchema,
		LookupComment: func(t reflect.Type, field string) string {
			if field == "" {
				return texts[t.Name()]
			}
			return texts[t.Name()+"."+field]
		},
	}
	s := r.Reflect(&Manifest{})
	s.ID = "https://github.com/vpkg/vpkg/vpkg.schema.json"
	s.Title = "vpkg.yaml"
	limitKeys(s, "dependencies", append([]string{"common", "rpm", "deb"}, Labels()...))
	limitKeys(s, "overrides", append([]string{"rpm", "deb", "msi"}, Labels()...))
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return append(b, '\n'), nil
}

// textSchema describes the types that are text in YAML.
func textSchema(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string, examples ...any) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: pattern, Examples: examples}
	}
	enum := func(values ...any) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Enum: values}
	}
	switch t {
	case reflect.TypeFor[Version]():
		return text(`^[0-9]+\.[0-9]+\.[0-9]+-[0-9]+$`, "24.2.1-10")
	case reflect.TypeFor[Date]():
		return text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.+)?$`, "2026-01-31")
	case reflect.TypeFor[Mode]():
		return text(`^[0-7]{3,4}$`, "0644")
	case reflect.TypeFor[Compression]():
		return text(`^((zstd|gzip|xz|mszip)(:[0-9]+)?|none)$`, "zstd", "gzip:9")
	case reflect.TypeFor[ContentType]():
		return enum(TypeFile, TypeDir, TypeSymlink, TypeTree, TypeGhost)
	case reflect.TypeFor[ServiceStart]():
		return enum(StartAuto, StartDelayed, StartDemand, StartDisabled)
	case reflect.TypeFor[RegistryType]():
		return enum(RegistryString, RegistryExpand, RegistryDword, RegistryMulti)
	case reflect.TypeFor[EnvironmentAction]():
		return enum(EnvironmentSet, EnvironmentAppend, EnvironmentPrepend)
	case reflect.TypeFor[Seconds]():
		return text(`^[0-9]+[smh]([0-9]+[smh])*$`, "1m")
	case reflect.TypeFor[Takeover]():
		return enum(OnStart, OnActivation)
	}
	return nil
}

// limitKeys says which keys a mapping may have.
func limitKeys(s *jsonschema.Schema, property string, keys []string) {
	p, ok := s.Properties.Get(property)
	if !ok {
		return
	}
	names := &jsonschema.Schema{}
	for _, k := range keys {
		names.Enum = append(names.Enum, k)
	}
	p.PropertyNames = names
}
