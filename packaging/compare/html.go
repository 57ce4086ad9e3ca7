package compare

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path"
	"strings"

	"github.com/vpkg/vpkg/internal/printable"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Parse(page))

// A page stays readable, and small, whatever packages hold.
const (
	itemsShown = 300 // of a heading
	linesShown = 400 // of a text
	openLines  = 30  // texts up to this length are shown without being asked for
)

type htmlPage struct {
	Title, Verdict string
	Equal          bool
	Sides          []htmlSide
	Groups         []htmlGroup
	Tables         []htmlTable
	Rules          []htmlGroup
	Expected       int
}

type htmlSide struct {
	Side, File, Format, Name, Version, Arch, Packed, Installed string
	Entries                                                    int
}

type htmlGroup struct {
	Title, Slug, Means, Reason string
	Heavy                      bool
	Count, Left                int
	Items                      []htmlItem
}

type htmlItem struct {
	Subject, SubjectB, Attribute, A, B, Note string
	Below                                    []string
	Lines                                    []htmlLine
	Open                                     bool
}

type htmlLine struct{ Class, Text string }

type htmlTable struct {
	Title string
	Rows  []htmlSize
}

type htmlSize struct{ Path, A, B, Growth, Class string }

// WriteHTML writes the report as one page, without scripts, that needs nothing but
// itself.
func (r *Report) WriteHTML(w io.Writer) error {
	verdict := r.Verdict()
	p := htmlPage{
		Verdict: strings.ToUpper(verdict[:1]) + verdict[1:], Equal: r.Equal, Expected: len(r.Expected),
		Title: title(r.A, r.B),
	}
	for i, f := range []Facts{r.A, r.B} {
		p.Sides = append(p.Sides, htmlSide{
			Side: "AB"[i : i+1], File: printable.String(path.Base(f.File)), Format: strings.ToUpper(f.Format), Name: printable.String(f.Name),
			Version: printable.String(f.Version), Arch: printable.String(f.Arch), Packed: human(f.Packed), Installed: human(f.Installed), Entries: f.Entries,
		})
	}
	for ds := r.Differences; len(ds) > 0; {
		n := leading(ds, func(d *Difference) string { return d.Weight.String() })
		g := newGroup(ds[:n])
		w := ds[0].Weight
		g.Title, g.Slug, g.Means, g.Heavy = w.Title(), w.String(), weights[w].means, w <= Rights
		p.Groups, ds = append(p.Groups, g), ds[n:]
	}
	for ds := r.Expected; len(ds) > 0; {
		n := leading(ds, func(d *Difference) string { return d.Rule })
		g := newGroup(ds[:n])
		g.Reason = strings.ToUpper(ds[0].Reason[:1]) + ds[0].Reason[1:]
		for i := range g.Items {
			g.Items[i].Open = false
		}
		p.Rules, ds = append(p.Rules, g), ds[n:]
	}
	p.Tables = append(p.Tables, newTable("Package", []Size{{"Package file", r.A.Packed, r.B.Packed}, {"Installed", r.A.Installed, r.B.Installed}}))
	if len(r.Sizes.Folders) > 0 {
		p.Tables = append(p.Tables, newTable("Files of each folder", r.Sizes.Folders), newTable("Files", r.Sizes.Files))
	}
	return pageTemplate.Execute(w, p)
}

// title names both packages, and only once what they have in common.
func title(a, b Facts) string {
	from, to := a.Version, b.Version
	if a.Name != b.Name {
		to = b.Name + " " + to
	}
	if a.Format != b.Format {
		from, to = from+" "+strings.ToUpper(a.Format), to+" "+strings.ToUpper(b.Format)
	}
	return printable.String(a.Name + " " + from + " → " + to)
}

// leading counts the differences at the start that have the same key.
func leading(ds []Difference, key func(*Difference) string) int {
	n := 1
	for n < len(ds) && key(&ds[n]) == key(&ds[0]) {
		n++
	}
	return n
}

func newGroup(ds []Difference) htmlGroup {
	g := htmlGroup{Count: len(ds)}
	if len(ds) > itemsShown {
		ds, g.Left = ds[:itemsShown], len(ds)-itemsShown
	}
	for i := range ds {
		g.Items = append(g.Items, newItem(&ds[i]))
	}
	return g
}

func newItem(d *Difference) htmlItem {
	it := htmlItem{
		Subject: d.subjectA(), SubjectB: printable.String(d.SubjectB), Attribute: d.Attribute,
		Note: printable.String(d.Note), Open: len(d.Lines) <= openLines,
	}
	it.A, it.B = d.values()
	switch {
	case d.Attribute == "missing" || d.Attribute == "extra" || d.Attribute == "text":
		it.Attribute = d.what()
	case d.Attribute == "value" || d.Kind == "package" || d.Kind == "relation":
		it.Attribute = d.Kind
	}
	switch {
	case d.Attribute == "missing" || d.Attribute == "extra":
	case it.A == "" && it.B == "":
	case it.A == "":
		it.A = "none"
	case it.B == "":
		it.B = "none"
	}
	for i, p := range d.Below {
		if i == linesShown {
			it.Below = append(it.Below, fmt.Sprintf("… and %d more", len(d.Below)-i))
			break
		}
		it.Below = append(it.Below, printable.String(strings.TrimPrefix(p, d.Subject+"/")))
	}
	for i, l := range d.Lines {
		if i == linesShown {
			it.Lines = append(it.Lines, htmlLine{"h", fmt.Sprintf("… and %d more lines", len(d.Lines)-i)})
			break
		}
		class := ""
		if l != "" {
			class = map[byte]string{'+': "i", '-': "d", '@': "h"}[l[0]]
		}
		it.Lines = append(it.Lines, htmlLine{class, printable.String(l)})
	}
	return it
}

func newTable(title string, sizes []Size) htmlTable {
	t := htmlTable{Title: title}
	for _, s := range sizes {
		row := htmlSize{printable.String(s.Path), human(s.A), human(s.B), growth(s), ""}
		switch {
		case s.Growth() > 0:
			row.Class = "more"
		case s.Growth() < 0:
			row.Class = "less"
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
