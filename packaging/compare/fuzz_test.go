package compare_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/compare"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// FuzzReport: whatever packages say, reports are well-formed, and a terminal or a
// browser has nothing to obey.
func FuzzReport(f *testing.F) {
	f.Add("name", "/opt/x", "kmod >= 1", "exit 0\n", uint8(1))
	f.Add("<b>", "/\x1b[2J\u202e\xff", "a | b (>= 1)", "rm -rf /\n\x00</pre><script>", uint8(5))
	f.Add("'\"`{{.}}", "/Program Files/Agent/bin/x.exe", "|", "user=a group=b state=c", uint8(6))
	f.Add("", "/", "", "", uint8(8))
	formats := []string{"rpm", "deb", "msi"}
	f.Fuzz(func(t *testing.T, name, path, relation, script string, pair uint8) {
		a, b := release(t, formats[pair%3]), release(t, formats[pair/3%3])
		p := b.Package
		b.File, p.Name, p.Summary, p.Arch, p.Description, p.Release = name, name, script, relation, script, name
		p.Relations = append(p.Relations, packaging.Relation{Kind: packaging.Requires, Text: relation}, packaging.Relation{Kind: packaging.Provides, Text: name})
		p.Scripts = append(p.Scripts, packaging.Script{Phase: packaging.Phase(name), Interpreter: []string{path}, Body: script})
		p.Triggers = []packaging.Trigger{{Kind: name, On: []string{path}, Script: packaging.Script{Body: script}}}
		p.Accounts = append(p.Accounts, packaging.Account{User: name, Home: path})
		p.Fields = append(p.Fields, packaging.Field{Name: name, Value: script})
		p.Members = append(p.Members, packaging.Member{Name: name, Body: packagingtest.Bytes(script)}, packaging.Member{Name: path})
		e := file(path, 0o755, script)
		e.Owner, e.Caps = name, script
		p.Layout = append(p.Layout, e, packagingtest.Symlink(path+"/x", script))
		p.Layout.Sort()
		b.Texts = append(b.Texts, compare.Text{Name: path, Body: script})
		if p.Windows != nil {
			p.Windows.Program, p.Windows.Data = path, name
			p.Windows.Services = append(p.Windows.Services, packaging.WindowsService{Name: name, Program: path, Arguments: []string{script}})
		}
		for range 2 {
			a, b = b, a
			r := compare.Packages(a, b)
			var text, page bytes.Buffer
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if i := strings.IndexFunc(text.String(), func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("the text has %q", text.String()[i:min(i+8, text.Len())])
			}
			if err := r.WriteHTML(&page); err != nil {
				t.Fatal(err)
			}
			checkPage(t, page.String())
			j, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var back map[string]any
			if err := json.Unmarshal(j, &back); err != nil {
				t.Fatal(err)
			}
			if r.Equal != (len(r.Differences) == 0) || slices.ContainsFunc(r.Expected, func(d compare.Difference) bool { return d.Rule == "" }) {
				t.Error("the report contradicts itself")
			}
		}
	})
}

// checkPage finds markup in a page that a report has not.
func checkPage(t *testing.T, page string) {
	t.Helper()
	for _, bad := range []string{"<script", "<img", "<iframe", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}
	for _, tag := range []string{"details", "summary", "section", "ul", "li", "table", "div", "span", "p", "pre", "del", "ins"} {
		open, closed := strings.Count(page, "<"+tag+" ")+strings.Count(page, "<"+tag+">"), strings.Count(page, "</"+tag+">")
		if open != closed {
			t.Errorf("%d %s are opened and %d closed", open, tag, closed)
		}
	}
}
