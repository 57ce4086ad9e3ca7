package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/internal/pkgfile"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

// inspectOptions are the flags of vpkg inspect.
type inspectOptions struct {
	files, scripts, deps, changelog, signatures bool

	json  bool
	table string
}

// all reports whether everything is to be shown.
func (o *inspectOptions) all() bool {
	return !o.files && !o.scripts && !o.deps && !o.changelog && !o.signatures
}

func inspectCommand() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect PKG",
		Short: "Show what a package says and carries",
		Long: `Show the name, version, architecture, relations, scripts, entries and signatures of a
package. Every digest that the package carries is checked. Of an MSI it also shows
the summary, the properties, the tables and the actions in their order. An RPM's
changelog may be long, and is shown with --changelog and in JSON.

With --files, --scripts, --deps, --changelog or --signatures it shows those parts
alone, and reads the headers alone, so that a package of any size is shown at once;
digests of the payload are then not checked, which the last line says. A DEB lists its
files in the payload, so that --files reads all of it. Signatures are listed, not
checked.`,
		Example: `  vpkg inspect dist/illumio-ven-25.2.20-10.el8.x86_64.rpm
  vpkg inspect --scripts --deps x.rpm
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
			if o.table != "" {
				return f.writeTable(cmd.OutOrStdout(), o.table)
			}
			return o.run(cmd.Context(), cmd.OutOrStdout(), f)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&o.files, "files", false, "show the entries")
	fl.BoolVar(&o.scripts, "scripts", false, "show scripts, triggers and control members, of an MSI its actions")
	fl.BoolVar(&o.deps, "deps", false, "show relations to other packages, and of an RPM the accounts that it provides")
	fl.BoolVar(&o.changelog, "changelog", false, "show the changelog of an RPM")
	fl.BoolVar(&o.signatures, "signatures", false, "list signatures")
	fl.StringVar(&o.table, "table", "", "write the table `NAME` of an MSI in the form of msidb and msidump (IDT)")
	fl.BoolVar(&o.json, "json", false, "write JSON: what all packages have, and the parts that are asked for")
	return cmd
}

func (o *inspectOptions) run(ctx context.Context, w io.Writer, f *packageFile) error {
	depth := packaging.Headers
	if o.all() || o.files && f.Format.Name() == "deb" {
		depth = packaging.Payload
	}
	p, err := f.Package(ctx, depth)
	if err != nil {
		return err
	}
	in := inspection(f.Format.Name(), p)
	if depth == packaging.Headers {
		in.Checked = "headers"
	}
	if o.all() || o.scripts {
		if in.MSI, err = f.msiContents(p); err != nil {
			return err
		}
	}
	if _, ok := f.Format.(rpm.Format); ok {
		origin, err := rpm.ReadOrigin(f, f.Size)
		if err != nil {
			return fmt.Errorf("reading %s: %w", f.Name(), err)
		}
		in.BuildHost, in.SourceRPM = origin.Host, origin.Source
	}
	if in.Signatures, err = f.listSignatures(); err != nil {
		return err
	}
	if o.json {
		return writeJSON(w, o.parts(in))
	}
	return o.print(w, in, p)
}

// parts leaves out what was not asked for.
func (o *inspectOptions) parts(in inspected) inspected {
	if o.all() {
		return in
	}
	if !o.files {
		in.Layout = nil
	}
	if !o.deps {
		in.Relations, in.Accounts = nil, nil
	}
	if !o.changelog {
		in.Changelog = nil
	}
	if !o.signatures {
		in.Signatures = nil
	}
	switch {
	case !o.scripts:
		in.Scripts, in.Triggers, in.Members, in.MSI = nil, nil, nil, nil
	case in.MSI != nil:
		in.MSI = &inspectedMSI{Actions: in.MSI.Actions}
	}
	return in
}

// frugal trades some time for memory, which a package of another maker may want a lot
// of: the collector runs when the heap has grown by a tenth.
func frugal() { debug.SetGCPercent(10) }

// A packageFile is an open package of any format that vpkg writes.
type packageFile struct{ *pkgfile.File }

// openPackage opens a package that may be of any maker: the memory that it takes to
// read it is bounded.
func openPackage(name string) (*packageFile, error) {
	frugal()
	f, err := pkgfile.Open(name)
	if err != nil {
		return nil, err
	}
	return &packageFile{f}, nil
}

func (f *packageFile) writeTable(w io.Writer, table string) error {
	c, err := f.MSI()
	switch {
	case err != nil:
		return err
	case c == nil:
		return usageError{fmt.Errorf("--table is for an MSI, and %s is none", f.Name())}
	}
	return c.WriteTable(w, table)
}

// msiContents is what an MSI has besides what all packages have; nil for others.
func (f *packageFile) msiContents(p *packaging.Package) (*inspectedMSI, error) {
	c, err := f.MSI()
	if c == nil {
		return nil, err
	}
	in := &inspectedMSI{Summary: []inspectedPair{}, Properties: []inspectedPair{}, Tables: []inspectedTable{}, Streams: []inspectedStream{}}
	for _, p := range c.Summary() {
		in.Summary = append(in.Summary, inspectedPair(p))
	}
	for _, p := range c.Properties() {
		in.Properties = append(in.Properties, inspectedPair(p))
	}
	for _, s := range p.Windows.Services {
		in.Services = append(in.Services, inspectedService(s))
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
	Format      string    `json:"format"`
	Name        string    `json:"name"`
	Epoch       uint32    `json:"epoch,omitempty"`
	Version     string    `json:"version"`
	Release     string    `json:"release,omitempty"`
	Arch        string    `json:"arch"`
	Summary     string    `json:"summary"`
	Description string    `json:"description,omitempty"`
	License     string    `json:"license,omitempty"`
	Vendor      string    `json:"vendor,omitempty"`
	Maintainer  string    `json:"maintainer,omitempty"`
	Homepage    string    `json:"homepage,omitempty"`
	Group       string    `json:"group,omitempty"`    // of a DEB its section
	Priority    string    `json:"priority,omitempty"` // of a DEB
	BuildHost   string    `json:"buildHost,omitempty"`
	SourceRPM   string    `json:"sourceRPM,omitempty"`
	Prefixes    []string  `json:"prefixes,omitempty"`
	Date        time.Time `json:"date,omitzero"`
	Compression string    `json:"compression,omitempty"`
	Checked     string    `json:"checked"` // digests of all of the package: "all", or "headers"

	// Parts that were not asked for are nil.
	Relations  []inspectedRelation  `json:"relations,omitzero"`
	Accounts   []inspectedAccount   `json:"accounts,omitempty"`
	Scripts    []inspectedScript    `json:"scripts,omitzero"`
	Triggers   []inspectedTrigger   `json:"triggers,omitempty"`
	Fields     []inspectedPair      `json:"fields,omitempty"`
	Members    []string             `json:"members,omitempty"`
	Layout     packaging.Listing    `json:"layout,omitzero"`
	Changelog  []inspectedChange    `json:"changelog,omitempty"`
	Signatures []inspectedSignature `json:"signatures,omitzero"`
	MSI        *inspectedMSI        `json:"msi,omitempty"`
}

// inspectedMSI is what an MSI has besides. Parts that were not asked for are nil.
type inspectedMSI struct {
	Summary    []inspectedPair    `json:"summary,omitzero"`
	Properties []inspectedPair    `json:"properties,omitzero"`
	Services   []inspectedService `json:"services,omitempty"`
	Tables     []inspectedTable   `json:"tables,omitzero"`
	Streams    []inspectedStream  `json:"streams,omitzero"`
	Actions    []inspectedAction  `json:"actions"` // in the order in which they run
}

type inspectedPair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type inspectedService struct {
	Name         string                 `json:"name"`
	DisplayName  string                 `json:"displayName,omitempty"`
	Description  string                 `json:"description,omitempty"`
	Program      string                 `json:"program"`
	Arguments    []string               `json:"arguments,omitempty"`
	Start        packaging.ServiceStart `json:"start"`
	Account      string                 `json:"account,omitempty"`
	Dependencies []string               `json:"dependencies,omitempty"`
	AtInstall    bool                   `json:"atInstall,omitempty"`
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

type inspectedAccount struct {
	User    string `json:"user,omitempty"`
	Group   string `json:"group,omitempty"`
	Home    string `json:"home,omitempty"`
	Shell   string `json:"shell,omitempty"`
	Comment string `json:"comment,omitempty"`
}

type inspectedTrigger struct {
	Kind     string           `json:"kind"`
	On       []string         `json:"on"`
	Script   *inspectedScript `json:"script,omitempty"` // without a phase; a DEB's triggers have none
	Priority uint32           `json:"priority,omitempty"`
}

type inspectedScript struct {
	Phase       packaging.Phase `json:"phase,omitempty"`
	Interpreter []string        `json:"interpreter,omitempty"`
	Body        string          `json:"body"`
}

type inspectedChange struct {
	Date   time.Time `json:"date"`
	Author string    `json:"author"`
	Text   string    `json:"text"`
}

type inspectedSignature struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Covers string `json:"covers"`
	Size   int64  `json:"size"`
	Files  int    `json:"files,omitempty"`
}

// listSignatures lists those of the package, never nil.
func (f *packageFile) listSignatures() ([]inspectedSignature, error) {
	c, err := f.MSI()
	if err != nil {
		return nil, err
	}
	var all []packaging.Signature
	if c != nil {
		all = c.ListSignatures()
	} else if l, ok := f.Format.(packaging.SignatureLister); ok {
		if all, err = l.ListSignatures(f, f.Size); err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
		}
	}
	list := []inspectedSignature{}
	for _, s := range all {
		list = append(list, inspectedSignature(s))
	}
	return list, nil
}

func inspection(format string, p *packaging.Package) inspected {
	in := inspected{
		Format: format, Name: p.Name, Epoch: p.Epoch, Version: p.Version, Release: p.Release, Arch: p.Arch,
		Summary: p.Summary, Description: p.Description, License: p.License, Vendor: p.Vendor,
		Maintainer: p.Maintainer, Homepage: p.Homepage, Group: p.Group, Priority: p.Priority, Prefixes: p.Prefixes,
		Date: p.Date.UTC(), Compression: p.Compression.Codec,
		Checked: "all", Relations: []inspectedRelation{}, Scripts: []inspectedScript{}, Layout: packaging.Listing(p.Layout),
	}
	if in.Layout == nil {
		in.Layout = packaging.Listing{}
	}
	for _, r := range p.Relations {
		in.Relations = append(in.Relations, inspectedRelation(r))
	}
	for _, a := range p.Accounts {
		in.Accounts = append(in.Accounts, inspectedAccount(a))
	}
	for _, s := range p.Scripts {
		in.Scripts = append(in.Scripts, inspectedScript(s))
	}
	for _, t := range p.Triggers {
		it := inspectedTrigger{Kind: t.Kind, On: t.On, Priority: t.Priority}
		if t.Script.Body != "" || t.Script.Interpreter != nil {
			it.Script = new(inspectedScript(t.Script))
		}
		in.Triggers = append(in.Triggers, it)
	}
	for _, f := range p.Fields {
		in.Fields = append(in.Fields, inspectedPair(f))
	}
	for _, m := range p.Members {
		in.Members = append(in.Members, m.Name)
	}
	for _, c := range p.Changelog {
		in.Changelog = append(in.Changelog, inspectedChange(c))
	}
	return in
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
