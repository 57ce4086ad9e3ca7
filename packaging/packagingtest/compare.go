package packagingtest

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/vpkg/vpkg/packaging"
)

// Compare lists how a package that was read differs from the one that was
// written. What a format adds by itself, such as RPM's rpmlib() requires, is no
// difference, and neither is what it has no place for: a DEB keeps no changelog
// and no file name. A nil layout, which a format may give at depth Headers, is
// not compared.
func Compare(format string, want, got *packaging.Package) []string {
	var diffs []string
	add := func(what string, want, got any) {
		if w, g := fmt.Sprintf("%q", want), fmt.Sprintf("%q", got); w != g {
			diffs = append(diffs, fmt.Sprintf("%s is %s, want %s", what, g, w))
		}
	}
	add("name", want.Name, got.Name)
	add("version", want.EVR(), got.EVR())
	add("architecture", want.Arch, got.Arch)
	add("summary", want.Summary, got.Summary)
	add("description", want.Description, got.Description)
	add("license", want.License, got.License)
	add("vendor", want.Vendor, got.Vendor)
	add("maintainer", want.Maintainer, got.Maintainer)
	add("homepage", want.Homepage, got.Homepage)
	if want.Group != "" {
		add("group", want.Group, got.Group)
	}
	if want.Priority != "" {
		add("priority", want.Priority, got.Priority)
	}
	if !want.Date.Equal(got.Date) {
		diffs = append(diffs, fmt.Sprintf("date is %v, want %v", got.Date, want.Date))
	}
	diffs = append(diffs, compareRelations(want.Relations, got.Relations)...)
	add("scripts", texts(want.Scripts), texts(got.Scripts))
	add("number of triggers", fmt.Sprint(len(want.Triggers)), fmt.Sprint(len(got.Triggers)))
	for i := range min(len(want.Triggers), len(got.Triggers)) {
		w, g := want.Triggers[i], got.Triggers[i]
		add("trigger", append([]string{w.Kind, w.Script.Body}, w.On...), append([]string{g.Kind, g.Script.Body}, g.On...))
	}
	if format == "rpm" {
		add("changelog", changes(want.Changelog), changes(got.Changelog))
	}
	add("fields", fmt.Sprint(want.Fields), fmt.Sprint(got.Fields))
	add("members", members(want.Members), members(got.Members))
	if got.Layout != nil {
		for _, m := range packaging.Diff(want.Layout, got.Layout) {
			diffs = append(diffs, m.String())
		}
		diffs = append(diffs, compareTimes(want, got)...)
	}
	return diffs
}

// compareRelations wants every relation that was written to be there, in the
// order in which it stands among its kind.
func compareRelations(want, got []packaging.Relation) []string {
	var diffs []string
	rest := map[packaging.RelationKind][]packaging.Relation{}
	for _, r := range got {
		rest[r.Kind] = append(rest[r.Kind], r)
	}
	for _, w := range want {
		i := slices.IndexFunc(rest[w.Kind], func(g packaging.Relation) bool {
			return g.Text == w.Text && slices.Equal(g.For, w.For)
		})
		if i < 0 {
			diffs = append(diffs, fmt.Sprintf("relation %s %q for %q is missing in %q", w.Kind, w.Text, w.For, rest[w.Kind]))
			continue
		}
		rest[w.Kind] = slices.Delete(rest[w.Kind], i, i+1)
	}
	return diffs
}

func compareTimes(want, got *packaging.Package) []string {
	var diffs []string
	for i := range want.Layout {
		w := &want.Layout[i]
		g, ok := got.Layout.Lookup(w.Path)
		wt, gt := w.ModTime, g.ModTime
		if wt.IsZero() {
			wt = want.Date
		}
		if gt.IsZero() {
			gt = got.Date
		}
		if ok && !wt.Equal(gt) {
			diffs = append(diffs, fmt.Sprintf("%s: time is %v, want %v", w.Path, gt, wt))
		}
		if g.Body != nil {
			diffs = append(diffs, w.Path+": has a body after reading")
		}
	}
	return diffs
}

// texts gives phase, interpreter and body of each script, by phase.
func texts(ss []packaging.Script) []string {
	var out []string
	for _, s := range ss {
		with := s.Interpreter
		if len(with) == 0 {
			with = []string{"/bin/sh"}
		}
		out = append(out, fmt.Sprintf("%s %q: %s", s.Phase, with, s.Body))
	}
	slices.Sort(out)
	return out
}

func changes(cs []packaging.Change) []string {
	var out []string
	for _, c := range cs {
		out = append(out, fmt.Sprintf("%s %s: %s", c.Date.UTC(), c.Author, c.Text))
	}
	return out
}

func members(ms []packaging.Member) []string {
	var out []string
	for _, m := range ms {
		out = append(out, fmt.Sprintf("%s %o %d: %x", m.Name, m.Mode, m.Size, content(m.Body)))
	}
	return out
}

// SameContent reads all of got and compares it with the content of an entry that was
// written.
func SameContent(want *packaging.Entry, got io.Reader) error {
	r, err := want.Body.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if g, err := io.ReadAll(got); err != nil || !bytes.Equal(g, w) {
		return fmt.Errorf("%s has %d bytes that are not the %d that were written: %w", want.Path, len(g), len(w), err)
	}
	return nil
}

func content(b packaging.Body) []byte {
	if b == nil {
		return nil
	}
	r, err := b.Open()
	if err != nil {
		return []byte(err.Error())
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	if err != nil {
		return []byte(err.Error())
	}
	return all
}
