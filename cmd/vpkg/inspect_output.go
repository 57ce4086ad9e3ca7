package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// print shows the package, or the parts of it that were asked for.
func (o *inspectOptions) print(w io.Writer, in inspected, p *packaging.Package) error {
	out := bufio.NewWriter(&blankTrimmer{w: w})
	b := printable{out}
	all := o.all()
	if all {
		printFacts(b, in, p)
	}
	if all || o.deps {
		printRelations(b, p)
		printAccounts(b, p)
	}
	if all || o.scripts {
		printScripts(b, p)
	}
	if all || o.files {
		fmt.Fprintf(b, "\nEntries (%d, %d bytes)\n", len(p.Layout), p.Layout.Size())
		for i := range p.Layout {
			fmt.Fprint(b, entryLine(&p.Layout[i]))
		}
	}
	if all && in.MSI != nil {
		printMSI(b, in.MSI, p)
	}
	if in.MSI != nil {
		printActions(b, in.MSI)
	}
	if all && in.MSI != nil {
		printStreams(b, in.MSI)
	}
	if o.changelog {
		printChangelog(b, p)
	}
	if o.signatures || all && len(in.Signatures) > 0 {
		printSignatures(b, in.Signatures)
	}
	if in.Checked != "all" {
		fmt.Fprintf(b, "\nDigests of the payload were not checked.\n")
	}
	return out.Flush()
}

// A blankTrimmer leaves out an empty line at the start: parts begin with one.
type blankTrimmer struct {
	w     io.Writer
	begun bool
}

func (t *blankTrimmer) Write(p []byte) (int, error) {
	if !t.begun && len(p) > 0 {
		t.begun = true
		if p[0] == '\n' {
			n, err := t.w.Write(p[1:])
			return n + 1, err
		}
	}
	return t.w.Write(p)
}

// printFacts shows what is not in any of the parts.
func printFacts(b io.Writer, in inspected, p *packaging.Package) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "%-13s %s\n", oneLine(name), oneLine(value))
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
	if in.Format == "deb" {
		line("Section", p.Group)
	} else {
		line("Group", p.Group)
	}
	line("Priority", p.Priority)
	line("Source RPM", in.SourceRPM)
	line("Build host", in.BuildHost)
	line("Prefixes", strings.Join(p.Prefixes, " "))
	if !p.Date.IsZero() {
		line("Date", p.Date.UTC().Format(time.RFC3339))
	}
	line("Compression", p.Compression.Codec)
	if n := len(p.Changelog); n > 0 {
		line("Changelog", fmt.Sprintf("%d changes, the newest of %s", n, p.Changelog[0].Date.UTC().Format(time.DateOnly)))
	}
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
}

func printSignatures(b io.Writer, list []inspectedSignature) {
	fmt.Fprint(b, "\nSignatures, not checked\n")
	if len(list) == 0 {
		fmt.Fprint(b, "  none: the package is unsigned\n")
	}
	for _, s := range list {
		covers := s.Covers
		if s.Files > 0 {
			covers = fmt.Sprintf("%d files", s.Files)
		}
		fmt.Fprintf(b, "  %-16s %-12s %6d bytes, of %s\n", s.Name, s.Kind, s.Size, covers)
	}
}

func printMSI(b io.Writer, in *inspectedMSI, p *packaging.Package) {
	fmt.Fprint(b, "\nSummary\n")
	for _, s := range in.Summary {
		fmt.Fprintf(b, "  %-13s %s\n", s.Name, oneLine(s.Value))
	}
	fmt.Fprint(b, "\nProperties\n")
	for _, x := range in.Properties {
		fmt.Fprintf(b, "  %-24s %s\n", oneLine(x.Name), oneLine(x.Value))
	}
	if len(p.Windows.Services) > 0 {
		fmt.Fprint(b, "\nServices\n")
	}
	for _, s := range p.Windows.Services {
		fmt.Fprintf(b, "  %-22s %-8s %s %s\n", s.Name, s.Start, s.Program, strings.Join(s.Arguments, " "))
	}
}

func printActions(b io.Writer, in *inspectedMSI) {
	fmt.Fprint(b, "\nActions (InstallExecuteSequence)\n")
	for _, a := range in.Actions {
		fmt.Fprintf(b, "  %5d %s", a.Number, a.Name)
		if a.Condition != "" {
			fmt.Fprintf(b, "  if %s", a.Condition)
		}
		fmt.Fprint(b, "\n")
		if a.Does != "" {
			fmt.Fprintf(b, "        %s %s\n", a.Does, a.Target)
		}
	}
}

func printStreams(b io.Writer, in *inspectedMSI) {
	fmt.Fprint(b, "\nTables\n")
	for _, t := range in.Tables {
		fmt.Fprintf(b, "  %6d %s\n", t.Rows, t.Name)
	}
	fmt.Fprint(b, "\nStreams\n")
	for _, s := range in.Streams {
		fmt.Fprintf(b, "  %10d %s\n", s.Size, s.Name)
	}
}

func printRelations(b io.Writer, p *packaging.Package) {
	if len(p.Relations) > 0 {
		fmt.Fprint(b, "\nRelations\n")
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
		fmt.Fprintf(b, "  %-12s %s\n", kind, oneLine(r.Text))
	}
}

func printAccounts(b io.Writer, p *packaging.Package) {
	if len(p.Accounts) > 0 {
		fmt.Fprint(b, "\nAccounts\n")
	}
	for _, a := range p.Accounts {
		if a.User == "" {
			fmt.Fprintf(b, "  %-12s %s\n", "group", oneLine(a.Group))
			continue
		}
		facts := []string{a.User}
		for _, f := range []struct{ name, value string }{{"group", a.Group}, {"home", a.Home}, {"shell", a.Shell}, {"comment", a.Comment}} {
			if f.value != "" {
				facts = append(facts, f.name+" "+f.value)
			}
		}
		fmt.Fprintf(b, "  %-12s %s\n", "user", oneLine(strings.Join(facts, ", ")))
	}
}

func printChangelog(b io.Writer, p *packaging.Package) {
	fmt.Fprint(b, "\nChangelog\n")
	if len(p.Changelog) == 0 {
		fmt.Fprint(b, "  none in the headers\n")
	}
	for _, c := range p.Changelog {
		fmt.Fprintf(b, "  %s %s\n%s\n", c.Date.UTC().Format(time.DateOnly), oneLine(c.Author), indent(indent(c.Text)))
	}
}

func printScripts(b io.Writer, p *packaging.Package) {
	for _, s := range p.Scripts {
		fmt.Fprintf(b, "\n%s script", s.Phase)
		if len(s.Interpreter) > 0 {
			fmt.Fprintf(b, " (%s)", strings.Join(s.Interpreter, " "))
		}
		fmt.Fprintf(b, "\n%s\n", indent(s.Body))
	}
	for _, t := range p.Triggers {
		fmt.Fprintf(b, "\n%s on %s", t.Kind, oneLine(strings.Join(t.On, ", ")))
		if t.Priority != 0 {
			fmt.Fprintf(b, ", priority %d", t.Priority)
		}
		if len(t.Script.Interpreter) > 0 {
			fmt.Fprintf(b, " (%s)", strings.Join(t.Script.Interpreter, " "))
		}
		fmt.Fprint(b, "\n")
		if t.Script.Body != "" {
			fmt.Fprintf(b, "%s\n", indent(t.Script.Body))
		}
	}
	if len(p.Members) > 0 {
		fmt.Fprint(b, "\nControl members\n")
		for _, m := range p.Members {
			fmt.Fprintf(b, "  %04o %9d %s\n", m.Mode, m.Size, oneLine(m.Name))
		}
	}
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}

// entryLine shows an entry as ls -l would, but for its time.
func entryLine(e *packaging.Entry) string {
	s := new(strings.Builder)
	fmt.Fprintf(s, "  %s %-16s %10d %s", packaging.ModeText(e.Mode), e.OwnerName()+":"+e.GroupName(), e.Size, e.Path)
	if e.Target != "" {
		s.WriteString(" -> " + e.Target)
	}
	if e.HardLink != "" {
		s.WriteString(" = " + e.HardLink)
	}
	for _, note := range []struct {
		on   bool
		text string
	}{
		{e.Config != packaging.NotConfig, e.Config.String()},
		{e.Ghost, "ghost"},
		{e.Doc, "doc"},
		{e.Lic, "license"},
		{e.Readme, "readme"},
		{e.Lang != "", "lang " + e.Lang},
		{len(e.NoVerify) > 0, "not verified: " + strings.Join(e.NoVerify, " ")},
		{e.Caps != "", e.Caps},
	} {
		if note.on {
			s.WriteString(" [" + note.text + "]")
		}
	}
	return oneLine(s.String()) + "\n"
}

// oneLine quotes new lines, so that a name cannot look like two.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }
