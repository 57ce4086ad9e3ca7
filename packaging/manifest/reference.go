package manifest

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

// Reference gives the reference of vpkg.yaml in Markdown, made from the types
// and comments of this package: docs/manifest.md.
func Reference() (string, error) {
	texts, err := comments()
	if err != nil {
		return "", fmt.Errorf("reference: %w", err)
	}
	w := &referenceWriter{texts: texts, seen: make(map[reflect.Type]bool)}
	w.line("# vpkg.yaml\n\n<!-- Made from packaging/manifest/types.go by `go test ./packaging/manifest -update`. -->\n")
	w.line(referenceHead)
	w.structure("The manifest", reflect.TypeFor[Manifest]())
	w.targets()
	return strings.TrimRight(w.out.String(), "\n") + "\n", nil
}

const referenceHead = `A manifest says once what a product is, what it installs and what it needs;
` + "`vpkg build`" + ` makes an RPM or a DEB of it for every target. ` + "`vpkg schema`" + ` prints the same as
a JSON Schema: with ` + "`# yaml-language-server: $schema=vpkg.schema.json`" + ` as the manifest's first line, editors
complete and check it.

Reading is strict: an unknown key, a value of the wrong type or a missing file is an error with line and column, and all
errors are shown at once. Text that YAML would read as a number, such as a mode, stands in quotes. Anchors and aliases
work; merging with ` + "`<<`" + ` and tags do not. Nothing is expanded: a ` + "`$`" + ` is a ` + "`$`" + `. Paths of files are relative to the
manifest's folder.

The smallest manifest:

` + "```yaml" + `
name: agent
version: 1.2.3-4
date: 2026-01-31
summary: an agent
license: Apache-2.0
maintainer: Ann Example <ann@example.com>
folders: {program: /opt/agent}
payload: {source: build/agent}
` + "```" + `

What vpkg adds to every package: its hook (` + "`PROGRAM/bin/vpkg-hook`" + `) with its configuration (` + "`PROGRAM/etc/hook.json`" + `), the
record of what is installed (` + "`PROGRAM/etc/layout.json`" + `), the scriptlets that call the hook, the units of the
services, and the dependencies of all these: ` + "`useradd`" + ` and ` + "`groupadd`" + ` for an account, the firewall's tools for
` + "`firewall`" + `, ` + "`kmod`" + ` for ` + "`modules`" + `. Folders inside the program folder belong to the package; system folders such as
` + "`/opt`" + ` never do.
`

// markdown keeps the text of comments from being read as Markdown.
var markdown = strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`, "_", `\_`, "\n", " ")

type referenceWriter struct {
	out   strings.Builder
	texts map[string]string
	seen  map[reflect.Type]bool
}

func (w *referenceWriter) line(s string) { w.out.WriteString(s + "\n") }

// structure writes a table of a type's keys, and then the types that they have.
func (w *referenceWriter) structure(title string, t reflect.Type) {
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	w.line("## " + title + "\n")
	if t != reflect.TypeFor[Manifest]() {
		w.line(markdown.Replace(w.texts[t.Name()]) + "\n")
	}
	w.line("| key | value | meaning |\n|---|---|---|")
	type section struct {
		title string
		t     reflect.Type
	}
	var next []section
	fields, keys := fieldsOf(t)
	for _, k := range keys {
		f := t.FieldByIndex(fields[k].index)
		kind, inner := kindOf(f.Type)
		if inner != nil {
			next = append(next, section{sectionName(inner), inner})
			kind = strings.Replace(kind, "{}", fmt.Sprintf("[%s](#%s)", sectionName(inner), strings.ToLower(sectionName(inner))), 1)
		}
		shown := "`" + k + "`"
		if fields[k].required {
			shown = "**" + shown + "**"
		}
		w.line(fmt.Sprintf("| %s | %s | %s |", shown, kind, markdown.Replace(w.texts[t.Name()+"."+f.Name])))
	}
	w.line("")
	for _, s := range next {
		w.structure(s.title, s.t)
	}
}

func sectionName(t reflect.Type) string { return t.Name() }

// kindOf says in words what a value is; {} stands for the structure within.
func kindOf(t reflect.Type) (string, reflect.Type) {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return strings.ToLower(t.Name()), nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false", nil
	case reflect.Slice:
		kind, inner := kindOf(t.Elem())
		if inner == nil {
			return "list", nil
		}
		return "list of " + kind, inner
	case reflect.Map:
		kind, inner := kindOf(t.Elem())
		return "per family or target, " + kind, inner
	case reflect.Struct:
		return "{}", t
	}
	return "text", nil
}

// targets writes the table of targets.
func (w *referenceWriter) targets() {
	w.line("## Targets\n\nLabels are what `--os` takes, by these names or by an alias.\n")
	w.line("| label | systems | architectures | package manager | compression | aliases | proved by |\n|---|---|---|---|---|---|---|")
	for _, label := range Labels() {
		var first Target
		for _, t := range Targets() {
			if t.Label == label {
				first = t
				break
			}
		}
		w.line(fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s | %s |", label, first.System, strings.Join(archsOf(label), " "),
			first.PackageManager, first.Compression.Codec, strings.Join(Aliases(label), " "), first.ProvedBy))
	}
}
