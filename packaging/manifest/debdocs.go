package manifest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// addDebDocs adds the two files that Debian's policy (12.5, 12.7) asks of every
// package: who may use it, and what changed.
func (r *Resolver) addDebDocs(b *layoutBuilder, date time.Time) {
	dir := "/usr/share/doc/" + r.Manifest.Name
	docs := map[string][]byte{
		"copyright":           r.Manifest.copyright(date),
		"changelog.Debian.gz": gzipped(r.Manifest.debChangelog(date)),
	}
	for name, text := range docs {
		if _, ok := b.entries[dir+"/"+name]; !ok { // the product's own comes first
			b.add(dir+"/"+name, 0o644, made(text))
		}
	}
	if _, ok := b.entries[dir]; !ok {
		b.entries[dir] = packaging.Entry{Path: dir, Mode: fs.ModeDir | 0o755}
	}
}

// copyright is a machine-readable debian/copyright, version 1.0.
func (m *Manifest) copyright(date time.Time) []byte {
	var s strings.Builder
	s.WriteString("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n")
	fmt.Fprintf(&s, "Upstream-Name: %s\n", m.Name)
	if m.Homepage != "" {
		fmt.Fprintf(&s, "Source: %s\n", m.Homepage)
	}
	fmt.Fprintf(&s, "\nFiles: *\nCopyright: %d %s\nLicense: %s\n", date.Year(), cmp.Or(m.Vendor, m.Maintainer), m.License)
	return []byte(s.String())
}

// debChangelog is the changelog in Debian's form, with an entry for this version
// in any case. Versions are the manifest's, so that all targets have the same.
func (m *Manifest) debChangelog(date time.Time) []byte {
	var s strings.Builder
	entry := func(version, author string, date time.Time, changes []string) {
		fmt.Fprintf(&s, "%s (%s) stable; urgency=medium\n\n", m.Name, version)
		for _, c := range changes {
			fmt.Fprintf(&s, "  * %s\n", strings.ReplaceAll(strings.TrimSpace(c), "\n", "\n    "))
		}
		fmt.Fprintf(&s, "\n -- %s  %s\n\n", author, date.Format(time.RFC1123Z))
	}
	if len(m.Changelog) == 0 || m.Changelog[0].Version != m.Version {
		entry(m.Version.String(), m.Maintainer, date, []string{"New version."})
	}
	for _, c := range m.Changelog {
		entry(c.Version.String(), c.Author, c.Date.Time, c.Changes)
	}
	return []byte(strings.TrimSuffix(s.String(), "\n"))
}

// gzipped compresses without name and time, as policy asks.
func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return out.Bytes()
}
