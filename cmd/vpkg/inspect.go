package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

func inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect PKG",
		Short: "Show what a package says and carries",
		Long: `Show the name, version, architecture, relations, scripts and entries of a
package. Every digest that the package carries is checked.`,
		Example: `  vpkg inspect dist/illumio-ven-25.2.20-10.el8.x86_64.rpm
  vpkg inspect --json x.deb | jq -r .entries[].path`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("inspect: want one package file, found %d", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			format, p, err := readPackage(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), inspection(format, p))
			}
			return printPackage(cmd.OutOrStdout(), format, p)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

// readPackage reads a package file of any format that vpkg writes.
func readPackage(ctx context.Context, name string) (string, *packaging.Package, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", nil, err
	}
	var magic [8]byte
	n, err := f.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF { //nolint:errorlint // ReadAt returns io.EOF itself
		return "", nil, fmt.Errorf("reading %s: %w", name, err)
	}
	var format packaging.Format
	switch s := string(magic[:n]); {
	case strings.HasPrefix(s, "\xed\xab\xee\xdb"):
		format = rpm.Format{}
	case s == "!<arch>\n":
		format = deb.Format{}
	default:
		return "", nil, fmt.Errorf("reading %s: it is neither an RPM nor a DEB: it starts with %q", name, s)
	}
	p, err := format.Read(ctx, f, fi.Size(), packaging.Payload)
	if err != nil {
		return "", nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return format.Name(), p, nil
}

// inspected is the form of `vpkg inspect --json`: names are added, never changed.
type inspected struct {
	Format      string              `json:"format"`
	Name        string              `json:"name"`
	Epoch       uint32              `json:"epoch,omitempty"`
	Version     string              `json:"version"`
	Release     string              `json:"release,omitempty"`
	Arch        string              `json:"arch"`
	Summary     string              `json:"summary"`
	Description string              `json:"description,omitempty"`
	License     string              `json:"license,omitempty"`
	Vendor      string              `json:"vendor,omitempty"`
	Maintainer  string              `json:"maintainer,omitempty"`
	Homepage    string              `json:"homepage,omitempty"`
	Date        time.Time           `json:"date,omitzero"`
	Compression string              `json:"compression,omitempty"`
	Relations   []inspectedRelation `json:"relations"`
	Scripts     []inspectedScript   `json:"scripts"`
	Triggers    []packaging.Trigger `json:"triggers,omitempty"`
	Fields      []packaging.Field   `json:"fields,omitempty"`
	Members     []string            `json:"members,omitempty"`
	Layout      packaging.Layout    `json:"layout"`
}

type inspectedRelation struct {
	Kind packaging.RelationKind `json:"kind"`
	Text string                 `json:"text"`
	For  []packaging.Phase      `json:"for,omitempty"`
}

type inspectedScript struct {
	Phase       packaging.Phase `json:"phase"`
	Interpreter []string        `json:"interpreter,omitempty"`
	Body        string          `json:"body"`
}

func inspection(format string, p *packaging.Package) inspected {
	in := inspected{
		Format: format, Name: p.Name, Epoch: p.Epoch, Version: p.Version, Release: p.Release, Arch: p.Arch,
		Summary: p.Summary, Description: p.Description, License: p.License, Vendor: p.Vendor,
		Maintainer: p.Maintainer, Homepage: p.Homepage, Date: p.Date.UTC(), Compression: p.Compression.Codec,
		Relations: []inspectedRelation{}, Scripts: []inspectedScript{}, Triggers: p.Triggers, Fields: p.Fields, Layout: p.Layout,
	}
	for _, r := range p.Relations {
		in.Relations = append(in.Relations, inspectedRelation(r))
	}
	for _, s := range p.Scripts {
		in.Scripts = append(in.Scripts, inspectedScript(s))
	}
	for _, m := range p.Members {
		in.Members = append(in.Members, m.Name)
	}
	return in
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printPackage(w io.Writer, format string, p *packaging.Package) error {
	b := new(strings.Builder)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "%-13s %s\n", name, value)
		}
	}
	line("Format", format)
	line("Name", p.Name)
	line("Version", p.EVR())
	line("Architecture", p.Arch)
	line("Summary", p.Summary)
	line("License", p.License)
	line("Vendor", p.Vendor)
	line("Maintainer", p.Maintainer)
	line("Homepage", p.Homepage)
	if !p.Date.IsZero() {
		line("Date", p.Date.UTC().Format(time.RFC3339))
	}
	line("Compression", p.Compression.Codec)
	for _, f := range p.Fields {
		line(f.Name, f.Value)
	}
	if p.Description != "" {
		fmt.Fprintf(b, "\nDescription\n%s\n", indent(p.Description))
	}
	printRelations(b, p)
	printScripts(b, p)
	fmt.Fprintf(b, "\nEntries (%d, %d bytes)\n", len(p.Layout), p.Layout.Size())
	for i := range p.Layout {
		b.WriteString(entryLine(&p.Layout[i]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printRelations(b *strings.Builder, p *packaging.Package) {
	if len(p.Relations) > 0 {
		b.WriteString("\nRelations\n")
	}
	for _, r := range p.Relations {
		kind := string(r.Kind)
		if len(r.For) > 0 {
			var phases []string
			for _, ph := range r.For {
				phases = append(phases, string(ph))
			}
			kind += "(" + strings.Join(phases, ",") + ")"
		}
		fmt.Fprintf(b, "  %-12s %s\n", kind, r.Text)
	}
}

func printScripts(b *strings.Builder, p *packaging.Package) {
	for _, s := range p.Scripts {
		fmt.Fprintf(b, "\n%s script", s.Phase)
		if len(s.Interpreter) > 0 {
			fmt.Fprintf(b, " (%s)", strings.Join(s.Interpreter, " "))
		}
		fmt.Fprintf(b, "\n%s\n", indent(s.Body))
	}
	for _, t := range p.Triggers {
		fmt.Fprintf(b, "\n%s on %s\n", t.Kind, strings.Join(t.On, ", "))
		if t.Script.Body != "" {
			fmt.Fprintf(b, "%s\n", indent(t.Script.Body))
		}
	}
	if len(p.Members) > 0 {
		b.WriteString("\nControl members\n")
		for _, m := range p.Members {
			fmt.Fprintf(b, "  %04o %9d %s\n", m.Mode, m.Size, m.Name)
		}
	}
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}

// entryLine shows an entry as ls -l would.
func entryLine(e *packaging.Entry) string {
	mode := strings.ToLower(e.Mode.String()[:1]) + e.Mode.String()[1:] // a link is l
	s := new(strings.Builder)
	fmt.Fprintf(s, "  %s %-16s %10d %s", mode, e.OwnerName()+":"+e.GroupName(), e.Size, e.Path)
	if e.Target != "" {
		s.WriteString(" -> " + e.Target)
	}
	if e.HardLink != "" {
		s.WriteString(" = " + e.HardLink)
	}
	for _, note := range []struct {
		on   bool
		text string
	}{{e.Config != packaging.NotConfig, e.Config.String()}, {e.Ghost, "ghost"}, {e.Doc, "doc"}, {e.Lic, "license"}, {e.Caps != "", e.Caps}} {
		if note.on {
			s.WriteString(" [" + note.text + "]")
		}
	}
	return s.String() + "\n"
}
