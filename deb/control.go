package deb

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// Defaults of fields that Policy asks for.
const (
	defaultSection  = "misc"
	defaultPriority = "optional"
)

// standard lists the fields that a Package has places of its own for.
var standard = []string{
	"Package", "Version", "Architecture", "Maintainer", "Installed-Size", "Section", "Priority",
	"Homepage", "License", "Vendor", "Description",
	"Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances", "Conflicts", "Breaks", "Replaces", "Provides",
}

func isStandard(name string) bool {
	return slices.ContainsFunc(standard, func(s string) bool { return strings.EqualFold(s, name) })
}

// control gives the text of the control file, its fields in dpkg's order and the
// package's own ones at the end. The size is in KiB.
func control(p *packaging.Package, installedSize int64) string {
	var b strings.Builder
	add := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + fold(value) + "\n")
		}
	}
	add("Package", p.Name)
	add("Version", p.EVR())
	add("Architecture", p.Arch)
	add("Maintainer", p.Maintainer)
	add("Installed-Size", strconv.FormatInt(installedSize, 10))
	for _, r := range relations {
		add(r.field, joinRelations(p.Relations, r.kind))
	}
	add("Section", orDefault(p.Group, defaultSection))
	add("Priority", orDefault(p.Priority, defaultPriority))
	add("Homepage", p.Homepage)
	add("License", p.License)
	add("Vendor", p.Vendor)
	description := p.Summary
	if long := strings.Trim(p.Description, "\n"); long != "" {
		description += "\n" + long
	}
	add("Description", description)
	for _, f := range p.Fields {
		add(f.Name, f.Value)
	}
	return b.String()
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// fold gives a value its continuation lines: each begins with a space, and an
// empty one is " .".
func fold(value string) string {
	lines := strings.Split(value, "\n")
	for i, l := range lines {
		l = strings.TrimRight(l, " \t\r")
		if i > 0 {
			if l == "" {
				l = "."
			}
			l = " " + l
		}
		lines[i] = l
	}
	return strings.Join(lines, "\n")
}

// joinRelations gives the value of a kind's field. What a preinst needs must be
// configured before the package is unpacked.
func joinRelations(rs []packaging.Relation, kind packaging.RelationKind) string {
	var texts []string
	for _, r := range rs {
		if relationKind(r) == kind {
			texts = append(texts, r.Text)
		}
	}
	return strings.Join(texts, ", ")
}

func relationKind(r packaging.Relation) packaging.RelationKind {
	if r.Kind == packaging.Requires && slices.Contains(r.For, packaging.PreInstall) {
		return packaging.PreRequires
	}
	return r.Kind
}

// What is read of a control file, so that it costs no more memory than it should.
const (
	maxFields    = 1000   // some 30 have a meaning
	maxRelations = 65_536 // together
)

// parseParagraph reads the one paragraph of a control file. Lines after a
// field's first are joined by new lines, without the space before them, and "."
// is an empty line.
func parseParagraph(text string) ([]packaging.Field, error) {
	var fields []packaging.Field
	var values [][]string // the lines of each field
	seen := map[string]bool{}
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		line = strings.TrimRight(line, " \t\r")
		bad := func(format string, args ...any) error {
			return fmt.Errorf("control, line %d: %w", i+1, fmt.Errorf(format, args...))
		}
		switch {
		case line == "":
			if len(fields) > 0 {
				return nil, bad("empty line inside the paragraph")
			}
		case line[0] == ' ' || line[0] == '\t':
			if len(fields) == 0 {
				return nil, bad("continues a field, and there is none before it")
			}
			line = line[1:]
			if line == "." {
				line = ""
			}
			values[len(values)-1] = append(values[len(values)-1], line)
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok || !fieldNameRE.MatchString(name) {
				return nil, bad("%q is no field", line)
			}
			key := strings.ToLower(name)
			if seen[key] {
				return nil, bad("field %s stands there twice", name)
			}
			seen[key] = true
			if len(fields) >= maxFields {
				return nil, bad("control has more than %d fields", maxFields)
			}
			fields = append(fields, packaging.Field{Name: name})
			values = append(values, []string{strings.TrimLeft(value, " \t")})
		}
	}
	for i := range fields {
		fields[i].Value = strings.Join(values[i], "\n")
	}
	return fields, nil
}

// fill sets what the fields say of a package.
func fill(p *packaging.Package, fields []packaging.Field) error {
	for _, f := range fields {
		switch i := slices.IndexFunc(standard, func(s string) bool { return strings.EqualFold(s, f.Name) }); {
		case i < 0:
			p.Fields = append(p.Fields, f)
		default:
			if err := set(p, standard[i], f.Value); err != nil {
				return fmt.Errorf("control, field %s: %w", f.Name, err)
			}
		}
	}
	for _, f := range []struct{ name, value string }{{"Package", p.Name}, {"Version", p.Version}, {"Architecture", p.Arch}} {
		if f.value == "" {
			return fmt.Errorf("control has no field %s", f.name)
		}
	}
	return nil
}

func set(p *packaging.Package, field, value string) error {
	switch field {
	case "Package":
		p.Name = value
	case "Version":
		return setVersion(p, value)
	case "Architecture":
		p.Arch = value
	case "Maintainer":
		p.Maintainer = value
	case "Section":
		p.Group = value
	case "Priority":
		p.Priority = value
	case "Homepage":
		p.Homepage = value
	case "License":
		p.License = value
	case "Vendor":
		p.Vendor = value
	case "Description":
		p.Summary, p.Description, _ = strings.Cut(value, "\n")
	case "Installed-Size": // follows from the layout
	default:
		for _, r := range relations {
			if r.field == field {
				if len(p.Relations)+strings.Count(value, ",") >= maxRelations {
					return fmt.Errorf("package has more than %d relations", maxRelations)
				}
				p.Relations = appendRelations(p.Relations, r.kind, value)
			}
		}
	}
	return nil
}

func appendRelations(rs []packaging.Relation, kind packaging.RelationKind, value string) []packaging.Relation {
	for text := range strings.SplitSeq(value, ",") {
		if text = strings.Join(strings.Fields(text), " "); text != "" {
			rs = append(rs, packaging.Relation{Kind: kind, Text: text})
		}
	}
	return rs
}

func setVersion(p *packaging.Package, s string) error {
	if epoch, rest, ok := cutEpoch(s); ok {
		n, err := strconv.ParseUint(epoch, 10, 31) // dpkg's limit
		if err != nil {
			return fmt.Errorf("version %q: epoch %q is not a number below 2³¹", s, epoch)
		}
		p.Epoch, s = uint32(n), rest
	}
	p.Version, p.Release = s, ""
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		p.Version, p.Release = s[:i], s[i+1:]
	}
	if p.Version == "" {
		return errors.New("version is empty")
	}
	return nil
}
