package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

func inspectCommand() *cobra.Command {
	var asJSON bool
	var table string
	cmd := &cobra.Command{
		Use:   "inspect PKG",
		Short: "Show what a package says and carries",
		Long: `Show the name, version, architecture, relations, scripts and entries of a
package. Every digest that the package carries is checked. Of an MSI it also shows
the summary, the properties, the tables and the actions in their order.`,
		Example: `  vpkg inspect dist/illumio-ven-25.2.20-10.el8.x86_64.rpm
  vpkg inspect --json x.deb | jq -r .layout.entries[].path
  vpkg inspect --table CustomAction x.msi`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("inspect: want one package file, found %d", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := openPackage(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			if table != "" {
				return f.writeTable(cmd.OutOrStdout(), table)
			}
			p, err := f.read(cmd.Context())
			if err != nil {
				return err
			}
			in := inspection(f.format.Name(), p)
			if in.MSI, err = f.msiContents(); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), in)
			}
			return printPackage(cmd.OutOrStdout(), in, p)
		},
	}
	cmd.Flags().StringVar(&table, "table", "", "write the table `NAME` of an MSI in the form of msidb and msidump (IDT)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

// A packageFile is an open package of any format that vpkg writes.
type packageFile struct {
	*os.File
	size   int64
	format packaging.Format
}

func openPackage(name string) (*packageFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	p := &packageFile{File: f}
	if err := p.identify(); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", name, err), f.Close())
	}
	return p, nil
}

// identify tells the format by how the file begins.
func (f *packageFile) identify() error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	f.size = fi.Size()
	var magic [8]byte
	n, err := f.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF { //nolint:errorlint // ReadAt returns io.EOF itself
		return err
	}
	switch s := string(magic[:n]); {
	case strings.HasPrefix(s, "\xed\xab\xee\xdb"):
		f.format = rpm.Format{}
	case s == "!<arch>\n":
		f.format = deb.Format{}
	case s == "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
		f.format = msi.Format{}
	default:
		return fmt.Errorf("it is neither an RPM nor a DEB nor an MSI: it starts with %q", s)
	}
	return nil
}

// read reads all of it.
func (f *packageFile) read(ctx context.Context) (*packaging.Package, error) {
	p, err := f.format.Read(ctx, f, f.size, packaging.Payload)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	return p, nil
}

// open gives the tables of an MSI; nil for another format.
func (f *packageFile) open() (*msi.Contents, error) {
	if f.format.Name() != "msi" {
		return nil, nil
	}
	c, err := msi.Open(f, f.size)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	return c, nil
}

func (f *packageFile) writeTable(w io.Writer, table string) error {
	c, err := f.open()
	switch {
	case err != nil:
		return err
	case c == nil:
		return usageError{fmt.Errorf("--table is for an MSI, and %s is none", f.Name())}
	}
	return c.WriteTable(w, table)
}

// msiContents is what an MSI has besides what all packages have; nil for others.
func (f *packageFile) msiContents() (*inspectedMSI, error) {
	c, err := f.open()
	if c == nil {
		return nil, err
	}
	in := &inspectedMSI{}
	for _, p := range c.Summary() {
		in.Summary = append(in.Summary, inspectedPair(p))
	}
	for _, t := range c.Tables() {
		in.Tables = append(in.Tables, inspectedTable(t))
	}
	for _, s := range c.Streams() {
		in.Streams = append(in.Streams, inspectedStream(s))
	}
	for _, a := range c.Actions("InstallExecuteSequence") {
		in.Actions = append(in.Actions, inspectedAction(a))
	}
	return in, nil
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
	MSI         *inspectedMSI       `json:"msi,omitempty"`
}

// inspectedMSI is what an MSI has besides.
type inspectedMSI struct {
	Summary []inspectedPair   `json:"summary"`
	Tables  []inspectedTable  `json:"tables"`
	Streams []inspectedStream `json:"streams"`
	Actions []inspectedAction `json:"actions"` // in the order in which they run
}

type inspectedPair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type inspectedTable struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
}

type inspectedStream struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

type inspectedAction struct {
	Number    int    `json:"number"`
	Name      string `json:"name"`
	Condition string `json:"condition,omitempty"`
	Does      string `json:"does,omitempty"`
	Target    string `json:"target,omitempty"`
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

func printPackage(w io.Writer, in inspected, p *packaging.Package) error {
	b := new(strings.Builder)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "%-13s %s\n", name, value)
		}
	}
	line("Format", in.Format)
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
	if x := p.Windows; x != nil {
		line("Product", x.ProductName)
		line("Upgrade code", x.UpgradeCode)
	}
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
	if in.MSI != nil {
		printMSI(b, in.MSI, p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printMSI(b *strings.Builder, in *inspectedMSI, p *packaging.Package) {
	b.WriteString("\nSummary\n")
	for _, s := range in.Summary {
		fmt.Fprintf(b, "  %-13s %s\n", s.Name, s.Value)
	}
	if len(p.Windows.Services) > 0 {
		b.WriteString("\nServices\n")
	}
	for _, s := range p.Windows.Services {
		fmt.Fprintf(b, "  %-22s %-8s %s %s\n", s.Name, s.Start, s.Program, strings.Join(s.Arguments, " "))
	}
	b.WriteString("\nActions (InstallExecuteSequence)\n")
	for _, a := range in.Actions {
		fmt.Fprintf(b, "  %5d %s", a.Number, a.Name)
		if a.Condition != "" {
			fmt.Fprintf(b, "  if %s", a.Condition)
		}
		b.WriteString("\n")
		if a.Does != "" {
			fmt.Fprintf(b, "        %s %s\n", a.Does, a.Target)
		}
	}
	b.WriteString("\nTables\n")
	for _, t := range in.Tables {
		fmt.Fprintf(b, "  %6d %s\n", t.Rows, t.Name)
	}
	b.WriteString("\nStreams\n")
	for _, s := range in.Streams {
		fmt.Fprintf(b, "  %10d %s\n", s.Size, s.Name)
	}
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
