package simulate

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vpkg/vpkg/internal/printable"
)

// mostFiles is how many lines the text has for each kind of change: a release
// manager reads what is different, and --json has all.
const mostFiles = 40

// WriteText writes the report for a terminal: lines of plain text, what is dangerous
// first. Characters that a terminal would obey are escaped.
func (r *Report) WriteText(w io.Writer) error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%s\n", r.title())
	for _, x := range []struct {
		name string
		f    *Facts
	}{{"old", r.Old}, {"new", r.New}} {
		if x.f != nil {
			fmt.Fprintf(b, "  %s  %s\n", x.name, printable.String(x.f.File))
		}
	}
	r.textSummary(b)
	textWarnings(b, "Warnings", "! ", r.Warnings)
	textWarnings(b, "Notes", "", r.Notes)
	b.WriteString("\nOrder\n")
	textSteps(b, "  ", r.Steps)
	r.textServices(b)
	r.textConfig(b)
	r.textFiles(b)
	_, err := io.WriteString(w, b.String())
	return err
}

// title is the first line: "Upgrade of x (rpm, x86_64) from 1.0-1 to 2.0-1".
func (r *Report) title() string {
	f := r.New
	if f == nil {
		f = r.Old
	}
	name := printable.String(fmt.Sprintf("%s (%s, %s)", f.Name, r.Format, f.Arch))
	switch r.Action {
	case Install:
		return "Installation of " + name + " " + printable.String(f.Version)
	case Remove:
		return "Removal of " + name + " " + printable.String(f.Version)
	case Purge:
		return "Purge of " + name + " " + printable.String(f.Version)
	case Reinstall:
		return "Reinstallation of " + name + " " + printable.String(f.Version)
	case Downgrade:
		return "Downgrade of " + name + " from " + printable.String(r.Old.Version) + " to " + printable.String(f.Version)
	}
	return "Upgrade of " + name + " from " + printable.String(r.Old.Version) + " to " + printable.String(f.Version)
}

func (r *Report) textSummary(b *strings.Builder) {
	b.WriteString("\n")
	if len(r.Warnings) == 0 {
		b.WriteString("Nothing to warn of.\n")
	} else {
		fmt.Fprintf(b, "%s: %s.\n", plural(len(r.Warnings), "warning"), countKinds(r.Warnings))
	}
	if r.Refused != "" {
		fmt.Fprintf(b, "It is refused, and nothing changes.\n")
		return
	}
	n := map[string]int{}
	for _, f := range r.Files {
		n[f.Change]++
	}
	fmt.Fprintf(b, "Files and folders: %d added, %d changed, %d removed, %d kept, %d the same.\n", n["added"], n["changed"], n["removed"], n["kept"], r.Same)
	if len(r.Config) > 0 {
		fmt.Fprintf(b, "%s to decide about.\n", plural(len(r.Config), "configuration file"))
	}
	var outcomes []string
	count := map[string]int{}
	for _, v := range r.Services {
		if count[v.Outcome]++; count[v.Outcome] == 1 {
			outcomes = append(outcomes, v.Outcome)
		}
	}
	for i, o := range outcomes {
		outcomes[i] = fmt.Sprintf("%d %s", count[o], o)
	}
	if len(outcomes) > 0 {
		wrap(b, "Services: ", "  ", strings.Join(outcomes, ", ")+".")
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func countKinds(ws []Warning) string {
	var parts []string
	for _, k := range []struct{ kind, text string }{
		{DataLoss, "data is lost"}, {Failure, "refused or left undone"}, {Stopped, "a service does not run"}, {Order, "the version does not sort higher"},
	} {
		n := 0
		for _, w := range ws {
			if w.Kind == k.kind {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k.text))
		}
	}
	return strings.Join(parts, ", ")
}

func textWarnings(b *strings.Builder, title, mark string, ws []Warning) {
	if len(ws) > 0 {
		fmt.Fprintf(b, "\n%s\n", title)
	}
	for _, w := range ws {
		line := mark + w.Kind + ": "
		if w.About != "" {
			line += w.About + ": "
		}
		wrap(b, "  ", "      ", printable.String(line+w.Text))
	}
}

// wrap writes a text in lines of some 100 characters.
func wrap(b *strings.Builder, first, more, text string) {
	const width = 100
	line := first
	empty := true
	for word := range strings.FieldsSeq(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line, empty = more, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	b.WriteString(line + "\n")
}

// textSteps writes the steps. Actions of Windows Installer that do nothing special
// stand in one line.
func textSteps(b *strings.Builder, indent string, steps []Step) {
	var idle []string
	flush := func() {
		if len(idle) > 0 {
			wrap(b, indent, indent+"  ", strings.Join(idle, ", "))
		}
		idle = nil
	}
	for i := range steps {
		t := &steps[i]
		if t.Kind == "action" && len(t.Does) == 0 && len(t.Steps) == 0 && t.If == "" {
			idle = append(idle, printable.String(t.Name))
			continue
		}
		flush()
		wrap(b, indent, indent+"    ", printable.String(t.line()))
		if t.Kind == "script" && len(t.Does) == 0 {
			fmt.Fprintf(b, "%s    nothing that is known to matter\n", indent)
		}
		textEffects(b, indent+"    ", t.Does)
		textSteps(b, indent+"    ", t.Steps)
	}
	flush()
}

// textEffects writes effects, those of one kind on several services in one line.
func textEffects(b *strings.Builder, indent string, effects []Effect) {
	last := ""
	for i := 0; i < len(effects); i++ {
		e := effects[i]
		text := e.Text
		for text == e.Verb+" "+e.Name && i+1 < len(effects) && effects[i+1].Verb == e.Verb && effects[i+1].Text == e.Verb+" "+effects[i+1].Name {
			i++
			e.Name += ", " + effects[i].Name
			e.Text = e.Verb + " " + e.Name
			text = e.Text
		}
		if e.Maybe {
			text = "maybe: " + text
		}
		if text != last { // a command can do several things
			wrap(b, indent, indent+"  ", printable.String(text))
		}
		last = text
	}
}

// line is the step in one line: "new %post 2".
func (t *Step) line() string {
	words := []string{t.Name}
	if t.Kind != "action" && t.Of != "" && t.Kind != "config" {
		words = []string{t.Of, t.Name}
	}
	if t.Kind == "files" && t.Name == "unpack" {
		words = []string{"files of the new package are unpacked"}
	}
	if t.Kind == "files" && t.Name == "erase" {
		words = []string{"files that only the old package has are removed"}
	}
	if t.Kind == "config" {
		words = []string{"configuration: see below"}
	}
	for _, a := range t.Args {
		if a == "" || strings.ContainsAny(a, " \t'\"") {
			a = strconv.Quote(a)
		}
		words = append(words, a)
	}
	s := strings.Join(words, " ")
	if t.If != "" {
		s += ", if " + t.If
	}
	return s
}

func (r *Report) textServices(b *strings.Builder) {
	if len(r.Services) > 0 {
		b.WriteString("\nServices\n")
	}
	for _, v := range r.Services {
		does := strings.Join(v.Does, ", ")
		if does != "" {
			does = " (" + does + ")"
		}
		fmt.Fprintf(b, "  %s: %s%s\n", printable.String(v.Name), v.Outcome, printable.String(does))
	}
}

func (r *Report) textConfig(b *strings.Builder) {
	if len(r.Config) > 0 {
		b.WriteString("\nConfiguration\n")
	}
	for i, d := range r.Config {
		if i == mostFiles {
			fmt.Fprintf(b, "  … and %d more: see --json\n", len(r.Config)-i)
			break
		}
		fmt.Fprintf(b, "  %s (%s)\n", printable.String(d.Path), d.Kind)
		for _, o := range d.Outcomes {
			fmt.Fprintf(b, "      %-28s %s\n", localText(o.Local, r.Old != nil)+":", printable.String(o.text()))
		}
	}
}

func localText(l Local, old bool) string {
	switch l {
	case Unchanged:
		return "unchanged"
	case AsNew:
		return "already as the new one"
	case Changed:
		return either(old, "changed", "another one is there")
	}
	return "not there"
}

// text is the outcome in words.
func (o Outcome) text() string {
	var s string
	switch o.Result {
	case Kept:
		s = "stays as it is"
		if o.Local == Missing {
			s = "stays away"
		}
	case Replaced:
		s = "replaced by the new one"
	case Created:
		s = "created"
	case Removed:
		s = "removed"
	}
	if o.Beside != "" {
		whose := "the local one"
		if o.Result == Kept {
			whose = "the new one"
		}
		s += ", " + whose + " becomes " + path.Base(o.Beside)
	}
	if o.Asks {
		s = "dpkg asks; by default it " + strings.Replace(s, "the new one becomes", "and the new one becomes", 1)
	}
	return s
}

// textFiles lists what changes, and folds what is in a folder that comes or goes as
// a whole.
func (r *Report) textFiles(b *strings.Builder) {
	for _, change := range []string{"added", "removed", "changed", "kept"} {
		var list []File
		for _, f := range r.Files {
			if f.Change == change {
				list = append(list, f)
			}
		}
		if len(list) == 0 {
			continue
		}
		lines := foldFiles(list)
		fmt.Fprintf(b, "\nFiles %s (%d)\n", change, len(list))
		for i, l := range lines {
			if i == mostFiles && len(lines) > mostFiles+1 {
				fmt.Fprintf(b, "  … and %d more lines: see --json\n", len(lines)-i)
				break
			}
			wrap(b, "  ", "      ", printable.String(l))
		}
	}
}

// foldFiles gives a line for each file, or one for a folder with all that is in it
// if all of that changes alike.
func foldFiles(list []File) []string {
	var lines []string
	for i := 0; i < len(list); i++ {
		f := &list[i]
		line := f.Path
		if f.Type == "folder" {
			line += "/"
		}
		if len(f.What) > 0 {
			line += ": " + strings.Join(f.What, ", ")
		}
		if f.Type == "folder" && len(f.What) == 0 {
			n := 0
			for i+1+n < len(list) && within(list[i+1+n].Path, f.Path) && len(list[i+1+n].What) == 0 && slices.Contains([]string{"", "unless something else is in it"}, list[i+1+n].Note) {
				n++
			}
			if n > 0 {
				line += fmt.Sprintf(", with %d in it", n)
				i += n
			}
		}
		if f.Note != "" {
			line += " (" + f.Note + ")"
		}
		lines = append(lines, line)
	}
	return lines
}
