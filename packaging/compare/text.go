package compare

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/vpkg/vpkg/internal/printable"
)

// WriteText writes the report for a terminal: lines of plain text, the verdict and
// a summary first. Characters that a terminal would obey are escaped.
func (r *Report) WriteText(w io.Writer) error {
	b := new(strings.Builder)
	for _, s := range []struct {
		name string
		f    Facts
	}{{"A", r.A}, {"B", r.B}} {
		fmt.Fprintf(b, "%s  %s %s (%s, %s)\n   %s\n   %s packed, %s installed, %d entries\n", s.name, printable.String(s.f.Name), printable.String(s.f.Version),
			s.f.Format, printable.String(s.f.Arch), printable.String(s.f.File), human(s.f.Packed), human(s.f.Installed), s.f.Entries)
	}
	b.WriteString("\n" + r.Verdict() + "\n")
	for _, c := range r.Summary {
		fmt.Fprintf(b, "  %4d %s\n", c.Count, strings.ToLower(c.Weight.Title()[:1])+c.Weight.Title()[1:])
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		if i == 0 || d.Weight != r.Differences[i-1].Weight {
			fmt.Fprintf(b, "\n%s\n", d.Weight.Title())
		}
		textDifference(b, d)
	}
	r.textSizes(b)
	for i := range r.Expected {
		d := &r.Expected[i]
		if i == 0 {
			b.WriteString("\nExpected between these formats or systems, and not counted\n")
		}
		if i == 0 || d.Rule != r.Expected[i-1].Rule {
			fmt.Fprintf(b, "  %s: %s\n", d.Rule, d.Reason)
		}
		textLine(b, "    ", d)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Verdict says in a few words what was found: "3 differences; 40 expected".
func (r *Report) Verdict() string {
	v := "no differences"
	switch n := len(r.Differences); {
	case n == 1:
		v = "1 difference"
	case n > 1:
		v = fmt.Sprintf("%d differences", n)
	}
	if n := len(r.Expected); n > 0 {
		v += fmt.Sprintf("; %d expected", n)
	}
	return v
}

func textDifference(b *strings.Builder, d *Difference) {
	textLine(b, "  ", d)
	if d.Note != "" {
		fmt.Fprintf(b, "      ! %s\n", printable.String(d.Note))
	}
	for _, p := range d.Below {
		fmt.Fprintf(b, "      %s\n", printable.String(strings.TrimPrefix(p, d.Subject+"/")))
	}
	for _, l := range d.Lines {
		fmt.Fprintf(b, "      %s\n", printable.String(l))
	}
}

// textLine writes a difference in one line, or in two or more where that would be
// long.
func textLine(b *strings.Builder, indent string, d *Difference) {
	const width = 80
	fits := func(s string) bool { return utf8.RuneCountInString(s) <= width }
	if l := indent + d.Line(); fits(l) {
		fmt.Fprintf(b, "%s\n", l)
		return
	}
	fmt.Fprintf(b, "%s%s\n", indent, d.subject())
	indent += "    "
	if l := indent + d.rest(); fits(l) || d.Attribute == "missing" || d.Attribute == "extra" || d.A == "" && d.B == "" {
		fmt.Fprintf(b, "%s\n", l)
		return
	}
	if what := d.what(); what != "" {
		fmt.Fprintf(b, "%s%s\n", indent, what)
	}
	x, y := d.values()
	fmt.Fprintf(b, "%s- %s\n%s+ %s\n", indent, orNone(x), indent, orNone(y))
}

// Line is the difference in one line, without its text.
func (d *Difference) Line() string { return d.subject() + ": " + d.rest() }

// rest is what follows the subject.
func (d *Difference) rest() string {
	value, between := "", " "
	switch x, y := d.values(); {
	case d.Attribute == "missing" || d.Attribute == "extra":
		value, between = x+y, ": "
	case x != "" || y != "":
		value = orNone(x) + " -> " + orNone(y)
	}
	what := d.what()
	if value == "" || what == "" {
		between = ""
	}
	return what + between + value
}

// subject names what differs.
func (d *Difference) subject() string {
	if d.SubjectB != "" {
		return d.subjectA() + " (B: " + printable.String(d.SubjectB) + ")"
	}
	return d.subjectA()
}

func (d *Difference) subjectA() string {
	switch d.Kind {
	case "script", "service", "registry", "environment", "account", "control":
		return d.Kind + " " + printable.String(d.Subject)
	}
	return printable.String(d.Subject)
}

// what says which attribute differs; "" where the subject tells.
func (d *Difference) what() string {
	switch {
	case d.Attribute == "missing" || d.Attribute == "extra":
		s := map[string]string{"missing": "only in A", "extra": "only in B"}[d.Attribute]
		if n := len(d.Below); n > 0 {
			s += fmt.Sprintf(", with %d in it", n)
		}
		return s
	case d.Attribute == "text":
		plus, minus := d.changed()
		return fmt.Sprintf("text changed, +%d -%d lines", plus, minus)
	case d.Kind == "package" || d.Kind == "relation" || d.Attribute == "value":
		return ""
	}
	return d.Attribute
}

// changed counts the lines that B has more and less.
func (d *Difference) changed() (plus, minus int) {
	for _, l := range d.Lines {
		switch {
		case strings.HasPrefix(l, "+"):
			plus++
		case strings.HasPrefix(l, "-"):
			minus++
		}
	}
	return plus, minus
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (r *Report) textSizes(b *strings.Builder) {
	row := func(x Size) {
		fmt.Fprintf(b, "  %9s -> %9s %10s  %s\n", human(x.A), human(x.B), growth(x), printable.String(x.Path))
	}
	b.WriteString("\nSizes\n")
	row(Size{"package file", r.A.Packed, r.B.Packed})
	row(Size{"installed", r.A.Installed, r.B.Installed})
	if len(r.Sizes.Folders) > 0 {
		b.WriteString("  files of each folder, largest change first\n")
	}
	for _, s := range r.Sizes.Folders {
		row(s)
	}
	if len(r.Sizes.Files) > 0 {
		b.WriteString("  files, largest change first\n")
	}
	for _, s := range r.Sizes.Files {
		row(s)
	}
}

// growth is a change of size with its sign.
func growth(s Size) string {
	switch n := s.Growth(); {
	case n > 0:
		return "+" + human(n)
	case n < 0:
		return "-" + human(-n)
	}
	return "0"
}

// human gives bytes with a unit: "9.8 MB" of 1,000,000 bytes each.
func human(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
