package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/goreleaser/chglog"
	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"

	"github.com/vpkg/vpkg/packaging"
)

// addContents adds the files that nfpm would add, and the package's date.
func (n *NFPM) addContents(ctx context.Context, p *packaging.Package, t Target, i *nfpm.Info) error {
	// nfpm gives a file that has no time of its own that of the package. Which of
	// them that were shows only from the second time.
	contents, err := prepare(i, t.Format, time.Time{})
	if err != nil {
		return err
	}
	var newest time.Time
	for _, c := range contents {
		if hasSource(c) {
			f, err := n.source(ctx, c.Source)
			if err != nil {
				return fmt.Errorf("contents: %s: %w", c.Destination, err)
			}
			if f.modTime.After(newest) {
				newest = f.modTime
			}
		}
	}
	for _, d := range []time.Time{i.MTime, n.Date, newest} {
		if !d.IsZero() {
			p.Date = d.UTC().Truncate(time.Second)
			break
		}
	}
	if p.Date.IsZero() {
		return errors.New("mtime: want one, or SOURCE_DATE_EPOCH: no file in the package gives a date")
	}
	if contents, err = prepare(i, t.Format, p.Date); err != nil {
		return err
	}
	for _, c := range contents {
		if c.Type == files.TypeImplicitDir && (t.Format == "rpm" || slices.Contains(systemFolders, path.Clean(c.Destination))) {
			continue // nfpm's RPMs have none, its DEBs have the system's too
		}
		e, err := n.entry(ctx, c, t)
		if err != nil {
			return fmt.Errorf("contents: %s: %w", c.Destination, err)
		}
		if hasTime := e.Regular() || e.Target != ""; hasTime && !c.FileInfo.MTime.Equal(p.Date) {
			e.ModTime = c.FileInfo.MTime.UTC().Truncate(time.Second)
		}
		p.Layout = append(p.Layout, e)
	}
	p.Layout.Sort()
	return nil
}

// prepare expands globs and trees as nfpm does. It works on a copy, for nfpm
// fills in what its contents leave out.
func prepare(i *nfpm.Info, format string, mtime time.Time) (files.Contents, error) {
	raw := make(files.Contents, 0, len(i.Contents))
	for k, c := range i.Contents {
		if c == nil {
			return nil, fmt.Errorf("contents[%d] is empty", k)
		}
		c := *c
		if c.FileInfo != nil {
			info := *c.FileInfo
			c.FileInfo = &info
		}
		raw = append(raw, &c)
	}
	contents, err := files.PrepareForPackager(raw, i.Umask, format, i.DisableGlobbing, mtime)
	if err != nil {
		return nil, fmt.Errorf("contents: %w", err)
	}
	return contents, nil
}

// hasSource reports whether a content is a file that has its bytes from a file.
func hasSource(c *files.Content) bool {
	switch c.Type {
	case files.TypeDir, files.TypeImplicitDir, files.TypeSymlink, files.TypeRPMGhost:
		return false
	}
	return true
}

// source reads a file, once for all targets.
func (n *NFPM) source(ctx context.Context, name string) (sourceFile, error) {
	if f, ok := n.files[name]; ok {
		return f, nil
	}
	if err := ctx.Err(); err != nil {
		return sourceFile{}, err
	}
	f, err := folder{}.file(name)
	if err == nil {
		n.files[name] = f
	}
	return f, err
}

// entry makes an entry of a prepared content.
func (n *NFPM) entry(ctx context.Context, c *files.Content, t Target) (packaging.Entry, error) {
	e := packaging.Entry{Path: path.Clean(c.Destination), Owner: c.FileInfo.Owner, Group: c.FileInfo.Group}
	u := uint32(c.FileInfo.Mode & 0o7777)
	for bit, m := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if c.FileInfo.Mode&m != 0 {
			u |= bit
		}
	}
	e.Mode = packaging.FileMode(u)
	switch c.Type {
	case files.TypeDir, files.TypeImplicitDir:
		e.Mode |= fs.ModeDir
		return e, nil
	case files.TypeSymlink:
		e.Mode, e.Target = fs.ModeSymlink|0o777, c.Source
		return e, nil
	case files.TypeRPMGhost:
		e.Ghost = true
		if e.Mode == 0 {
			e.Mode = 0o644
		}
		return e, nil
	case files.TypeConfig:
		e.Config = packaging.ConfigReplace
	case files.TypeConfigNoReplace:
		e.Config = packaging.ConfigNoReplace
	case files.TypeConfigMissingOK:
		e.Config = packaging.ConfigMissingOK
	case files.TypeRPMDoc:
		e.Doc = true
	case files.TypeRPMLicence, files.TypeRPMLicense:
		e.Lic = true
	case files.TypeRPMReadme:
		e.Readme = true
	}
	if t.Format == "deb" && e.Config != packaging.NotConfig {
		e.Config = packaging.ConfigNoReplace // conffiles are of one kind
	}
	f, err := n.source(ctx, c.Source)
	e.Body, e.Size, e.SHA256 = f.body, f.size, f.digest
	return e, err
}

type nfpmScript struct {
	key   string
	phase packaging.Phase
	file  string
}

// addScripts reads the scripts. An RPM's runs with the program of its #! line;
// nfpm runs all with /bin/sh.
func (n *NFPM) addScripts(p *packaging.Package, format string, scripts []nfpmScript) error {
	for _, s := range scripts {
		if s.file == "" {
			continue
		}
		b, err := folder{}.read(s.file)
		if err != nil {
			return fmt.Errorf("%s: %w", s.key, err)
		}
		script := packaging.Script{Phase: s.phase, Body: string(b)}
		line, rest, _ := strings.Cut(script.Body, "\n")
		program, hasProgram := strings.CutPrefix(line, "#!")
		switch {
		case format == "deb" && !hasProgram:
			script.Body = "#!/bin/sh\n" + script.Body
		case format == "rpm" && hasProgram:
			script.Body = rest
			if words := strings.Fields(program); len(words) > 0 && !slices.Equal(words, []string{"/bin/sh"}) {
				script.Interpreter = words
			}
		}
		p.Scripts = append(p.Scripts, script)
	}
	return nil
}

// addDebMembers adds what nfpm puts into a control archive beside the scripts.
func (n *NFPM) addDebMembers(p *packaging.Package, i *nfpm.Info) error {
	for _, m := range []struct {
		key, name, file string
		mode            uint32
	}{
		{"deb.scripts.rules", "rules", i.Deb.Scripts.Rules, 0o755},
		{"deb.scripts.templates", "templates", i.Deb.Scripts.Templates, 0o644},
	} {
		if m.file == "" {
			continue
		}
		b, err := os.ReadFile(m.file)
		if err != nil {
			return fmt.Errorf("%s: %w", m.key, err)
		}
		p.Members = append(p.Members, packaging.Member{Name: m.name, Mode: m.mode, Body: bytesBody(b), Size: int64(len(b))})
	}
	return nil
}

// rpmChanges gives the changelog as nfpm writes it into RPMs.
func rpmChanges(l *chglog.PackageChangeLog) []packaging.Change {
	var out []packaging.Change
	for _, entry := range l.Entries {
		var lines []string
		for _, c := range entry.Changes {
			for k, line := range strings.Split(strings.TrimSpace(c.Note), "\n") {
				switch {
				case k == 0:
					lines = append(lines, "- "+line)
				case strings.TrimSpace(line) != "":
					lines = append(lines, line)
				}
			}
		}
		out = append(out, packaging.Change{
			Date: entry.Date.UTC(), Author: entry.Packager + " - " + entry.Semver, Text: strings.Join(lines, "\n"),
		})
	}
	return out
}

// addDebChangelog adds the file that nfpm makes of the changelog.
func (n *NFPM) addDebChangelog(p *packaging.Package, l *chglog.PackageChangeLog) error {
	if l == nil {
		return nil
	}
	tpl, err := chglog.DebTemplate()
	if err != nil {
		return fmt.Errorf("changelog: %w", err)
	}
	text, err := chglog.FormatChangelog(l, tpl)
	if err != nil {
		return fmt.Errorf("changelog: %w", err)
	}
	f := made(gzipped(append(bytes.TrimSpace([]byte(text)), '\n')))
	dir := "/usr/share/doc/" + p.Name
	add := func(e packaging.Entry) {
		if _, ok := p.Layout.Lookup(e.Path); !ok {
			p.Layout = append(p.Layout, e)
			p.Layout.Sort()
		}
	}
	add(packaging.Entry{Path: dir, Mode: fs.ModeDir | 0o755})
	add(packaging.Entry{Path: dir + "/changelog.Debian.gz", Mode: 0o644, Body: f.body, Size: f.size, SHA256: f.digest})
	return nil
}
