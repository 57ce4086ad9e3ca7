package verify

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// What a Scan keeps, whatever a package has.
const (
	window       = 256 << 10 // bytes of a file that are looked at at once
	overlap      = 1 << 10   // bytes of it that are looked at again with the next ones: the longest thing looked for
	maxUnit      = 64 << 10  // bytes of a unit or of a file of sysusers.d
	maxUnits     = 4 << 20   // bytes of all of them
	maxRecord    = 16 << 20  // bytes of etc/layout.json
	maxHookFile  = 1 << 20   // bytes of etc/hook.json
	maxChangelog = 64 << 10  // bytes of the beginning of a changelog, compressed
	maxPerFile   = 5         // findings of a rule in a file
	maxFound     = 2000      // findings of all files
)

// A kind is what a file is, by its content.
type kind uint8

const (
	data    kind = iota
	text         // no NUL byte at its beginning
	elf          // a program or library of Linux
	windows      // a program or library of Windows
	script       // it begins with #!
	empty
)

// A Scan looks into the files of a package while they are read, once, in memory that
// does not depend on their sizes. Its findings are Check's.
type Scan struct {
	format  string
	pkg     *packaging.Package
	host    string // of the build; empty if it is unknown or none
	entries packaging.Layout
	kinds   map[string]kind   // of programs and scripts, and of what is in a folder of programs
	scripts map[string]string // the first line of those that can be run
	units   map[string][]byte // units and files of sysusers.d
	kept    int               // bytes of units
	record  []byte            // etc/layout.json
	inFile  string            // its path
	config  []byte            // etc/hook.json
	changes []byte            // the beginning of DEB's changelog
	found   []located
	buffer  []byte
}

// located is a finding without what its rule says.
type located struct {
	rule, where, text string
	mild              bool // it matters less than the rule says
}

// NewScan prepares to look into the files of a package, of which the headers were
// read. buildHost is the host that an RPM says it was built on.
func NewScan(format string, p *packaging.Package, buildHost string) *Scan {
	s := &Scan{
		format: format, pkg: p,
		kinds: map[string]kind{}, scripts: map[string]string{}, units: map[string][]byte{},
		buffer: make([]byte, window),
	}
	if len(buildHost) >= 5 && strings.ContainsAny(buildHost, ".-0123456789") && !strings.HasPrefix(buildHost, "localhost") {
		s.host = buildHost
	}
	return s
}

// File takes an entry with its content, in the order of the payload: it is for the
// Each of a packaging.Extractor.
func (s *Scan) File(e *packaging.Entry, body io.Reader) error {
	c := *e
	if body != nil {
		var sum hash.Hash
		if c.SHA256.IsZero() {
			sum = sha256.New()
		}
		if err := s.content(&c, body, sum); err != nil {
			return err
		}
		if sum != nil {
			c.SHA256 = packaging.Digest(sum.Sum(nil))
		}
	}
	s.entries = append(s.entries, c)
	return nil
}

// Layout gives the package's, with the digests of the files that were read. headers
// is what the headers of the package have; nil where only its payload has a list.
func (s *Scan) Layout(headers packaging.Layout) packaging.Layout {
	s.entries.Sort()
	if headers == nil {
		firstNames(s.entries)
		return s.entries
	}
	for i := range headers {
		if e, ok := s.entries.Lookup(headers[i].Path); ok && headers[i].SHA256.IsZero() {
			headers[i].SHA256 = e.SHA256
		}
	}
	return headers
}

// firstNames makes of each file with several names the first by path the one that has
// the content: in a payload it is the first by place.
func firstNames(l packaging.Layout) {
	linked := map[string]bool{}
	for i := range l {
		if l[i].HardLink != "" {
			linked[l[i].HardLink] = true
		}
	}
	if len(linked) == 0 {
		return
	}
	first := map[string]string{} // by the name that had the content
	digest := map[string]packaging.Digest{}
	for i := range l {
		if linked[l[i].Path] {
			digest[l[i].Path] = l[i].SHA256
		}
	}
	for i := range l {
		e := &l[i]
		file := e.HardLink
		if file == "" {
			file = e.Path
		}
		if !linked[file] {
			continue
		}
		e.SHA256 = digest[file]
		if name, ok := first[file]; ok {
			e.HardLink = name
		} else {
			first[file], e.HardLink = e.Path, ""
		}
	}
}

// A fileScan is the look into one file.
type fileScan struct {
	*Scan
	e     *packaging.Entry
	kind  kind
	keep  *bytes.Buffer  // what is kept of it
	most  int            // bytes that are kept
	count map[string]int // findings by rule
}

func (s *Scan) content(e *packaging.Entry, body io.Reader, sum hash.Hash) error {
	f := &fileScan{Scan: s, e: e, count: map[string]int{}}
	f.choose()
	kept := 0 // of the window before
	for first := true; ; first = false {
		n, err := io.ReadFull(body, s.buffer[kept:])
		final := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !final {
			return err
		}
		if sum != nil {
			sum.Write(s.buffer[kept : kept+n])
		}
		if f.keep != nil && f.keep.Len() < f.most {
			f.keep.Write(s.buffer[kept:min(kept+n, kept+f.most-f.keep.Len())])
		}
		b := s.buffer[:kept+n]
		if first {
			f.head(b)
		}
		from, to := 0, len(b)
		if !first {
			from = 1 // the byte before, which is not looked for
		}
		if !final {
			to -= overlap
		}
		f.look(b, from, to)
		if final {
			break
		}
		kept = copy(s.buffer, b[to-1:])
	}
	f.store()
	return nil
}

// choose decides what of a file is kept.
func (f *fileScan) choose() {
	switch p := f.e.Path; {
	case isUnit(p), strings.Contains(p, "/sysusers.d/"):
		f.most = min(maxUnit, maxUnits-f.kept)
	case strings.HasSuffix(p, hooks.RecordFile):
		f.most = maxRecord + 1
	case strings.HasSuffix(p, hooks.ConfigFile):
		f.most = maxHookFile
	case f.isChangelog():
		f.most = maxChangelog
	}
	if f.most > 0 {
		f.keep = new(bytes.Buffer)
	}
}

func (f *fileScan) isChangelog() bool {
	dir, name := path.Split(f.e.Path)
	return f.format == "deb" && dir == "/usr/share/doc/"+f.pkg.Name+"/" && strings.HasPrefix(strings.TrimSuffix(name, ".gz"), "changelog") &&
		(f.changes == nil || strings.HasPrefix(name, "changelog.Debian"))
}

func (f *fileScan) store() {
	if f.keep == nil {
		return
	}
	b := f.keep.Bytes()
	switch p := f.e.Path; {
	case isUnit(p), strings.Contains(p, "/sysusers.d/"):
		f.kept += len(b)
		f.units[p] = b
	case strings.HasSuffix(p, hooks.RecordFile):
		if f.inFile == "" {
			f.record, f.inFile = b, p
		}
	case strings.HasSuffix(p, hooks.ConfigFile):
		if f.config == nil {
			f.config = b
		}
	case f.isChangelog():
		f.changes = b
	}
}

// head finds out what the file is by its beginning.
func (f *fileScan) head(b []byte) {
	switch {
	case len(b) == 0:
		f.kind = empty
	case bytes.HasPrefix(b, []byte("\x7fELF")):
		f.kind = elf
	case bytes.HasPrefix(b, []byte("MZ")) && len(b) >= 64:
		f.kind = windows
	case bytes.HasPrefix(b, []byte("#!")):
		f.kind = script
	case bytes.IndexByte(b[:min(len(b), 4096)], 0) < 0:
		f.kind = text
	}
	if f.kind == elf || f.kind == script || isProgramFolder(path.Dir(f.e.Path)) {
		f.kinds[f.e.Path] = f.kind
	}
	if f.kind == script && f.e.Mode.Perm()&0o111 != 0 {
		line, _, _ := bytes.Cut(b[2:min(len(b), 256)], []byte("\n"))
		f.scripts[f.e.Path] = strings.TrimSpace(string(line))
	}
	if bytes.HasPrefix(b, []byte("\x1f\x8b\x08")) && len(b) >= 10 { // RFC 1952
		if at := binary.LittleEndian.Uint32(b[4:]); at != 0 {
			f.time(time.Unix(int64(at), 0).UTC(), "its gzip header has the time ")
		}
	}
}

func (f *fileScan) add(rule, text string, mild bool) {
	if f.count[rule]++; f.count[rule] > maxPerFile || len(f.found) >= maxFound {
		return
	}
	f.found = append(f.found, located{rule, f.e.Path, text, mild})
}

// look looks for what begins in b from the place from on and before to.
func (f *fileScan) look(b []byte, from, to int) {
	each := func(what string, found func(at int)) {
		for i := from; i < to; {
			k := bytes.Index(b[i:], []byte(what))
			if k < 0 || i+k >= to {
				return
			}
			found(i + k)
			i += k + len(what)
		}
	}
	each("-----BEGIN ", func(at int) {
		if label := privateKey(b[at:]); label != "" {
			f.add("private-key", "it has a private key: "+label, isExample(f.e.Path))
		}
	})
	for _, t := range tokens {
		each(t.prefix, func(at int) {
			m := t.re.Find(b[at:min(len(b), at+overlap)])
			if m == nil || at > 0 && isWord(b[at-1]) || at+len(m) < len(b) && isWord(b[at+len(m)]) || bytes.Contains(m, []byte("EXAMPLE")) || dull(m[len(t.prefix):]) {
				return
			}
			f.add("secret", "it has "+t.name+", "+string(m[:len(t.prefix)+4])+"…", isExample(f.e.Path))
		})
	}
	if f.host != "" {
		each(f.host, func(int) {
			if f.count["build-host"] == 0 {
				f.add("build-host", "it has the name of the build's host, "+f.host, false)
			}
		})
	}
	f.paths(b, each)
	if f.kind == elf && !f.pkg.Date.IsZero() {
		for _, y := range []string{f.pkg.Date.UTC().Format(" 2006"), f.pkg.Date.UTC().AddDate(1, 0, 0).Format(" 2006")} {
			each(y, func(at int) { f.compileDate(b, at) })
		}
	}
}

// isWord reports whether a character can be part of a token.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// dull reports whether what should be random is not: it has few different characters.
func dull(b []byte) bool {
	seen := map[byte]bool{}
	for _, c := range b {
		seen[c] = true
	}
	return len(seen) < min(len(b)/3, 12)
}

// isExample reports whether a file is one to learn or to test with.
func isExample(p string) bool {
	return strings.HasPrefix(p, "/usr/share/doc/") || slices.ContainsFunc(strings.Split(p, "/"), func(e string) bool {
		return slices.Contains([]string{"test", "tests", "testdata", "testing", "example", "examples", "demo", "demos", "samples"}, e)
	})
}

// tokens are secrets that are known by how they look. Each has a part that is
// random, so that a text about them is none.
var tokens = []struct {
	prefix, name string
	re           *regexp.Regexp
}{
	{"AKIA", "the name of a key of AWS", regexp.MustCompile(`^AKIA[A-Z2-7]{16}`)},
	{"ghp_", "a token of GitHub", regexp.MustCompile(`^ghp_[A-Za-z0-9]{36}`)},
	{"ghs_", "a token of GitHub", regexp.MustCompile(`^ghs_[A-Za-z0-9]{36}`)},
	{"github_pat_", "a token of GitHub", regexp.MustCompile(`^github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}`)},
	{"glpat-", "a token of GitLab", regexp.MustCompile(`^glpat-[A-Za-z0-9_-]{20}`)},
	{"xoxb-", "a token of Slack", regexp.MustCompile(`^xoxb-[0-9]{10,13}-[0-9]{10,13}-[A-Za-z0-9]{24}`)},
	{"xoxp-", "a token of Slack", regexp.MustCompile(`^xoxp-[0-9]{10,13}-[0-9]{10,13}-[0-9]{10,13}-[a-f0-9]{32}`)},
	{"sk_live_", "a key of Stripe", regexp.MustCompile(`^sk_live_[A-Za-z0-9]{24,99}`)},
	{"npm_", "a token of npm", regexp.MustCompile(`^npm_[A-Za-z0-9]{36}`)},
	{"dckr_pat_", "a token of Docker Hub", regexp.MustCompile(`^dckr_pat_[A-Za-z0-9_-]{27}`)},
	{"AGE-SECRET-KEY-1", "a key of age", regexp.MustCompile(`^AGE-SECRET-KEY-1[0-9A-Z]{58}`)},
}

// pemKey is the beginning of a private key in PEM (RFC 7468) or in OpenPGP's armor,
// also where a JSON text has \n for a new line. What only names the label, as
// programs do that read keys, has no key after it.
var pemKey = regexp.MustCompile(`^-----BEGIN ((?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----(?:\r?\n|\\n)((?:[A-Za-z-]+: [^\n]{0,100}\r?\n){0,4}(?:\r?\n)?)([A-Za-z0-9+/]{40})`)

// privateKey gives the label of the private key that b begins with, or nothing.
func privateKey(b []byte) string {
	m := pemKey.FindSubmatch(b[:min(len(b), overlap)])
	if m == nil || dull(m[3]) {
		return ""
	}
	label := string(m[1])
	if bytes.Contains(m[2], []byte("ENCRYPTED")) {
		label += ", encrypted"
	}
	return label
}

// sourcePath is a path of a source file, as compilers put it into programs.
var sourcePath = regexp.MustCompile(`^[A-Za-z0-9_.+@~/\\:-]+\.(?:c|cc|cpp|cxx|h|hh|hpp|go|rs|s|S|java|kt|cs|py|pyx|d|zig|f90|swift|m|mm)\b`)

// homes are where people and services build.
var homes = []string{"/home/", "/root/", "/Users/", `C:\Users\`, "/builddir/", "/var/tmp/", "/tmp/"}

// buildRoots stand in files where a build put the path of its own folder for the
// installed one.
var buildRoots = []string{"/builddir/build/BUILD", "/rpmbuild/BUILD", "/BUILDROOT/"}

// paths looks for folders of the build.
func (f *fileScan) paths(b []byte, each func(string, func(int))) {
	if f.count["build-path"] > 0 {
		return // one for each file says it
	}
	found := func(p []byte) {
		if f.count["build-path"] == 0 {
			f.add("build-path", "it has a path of the build: "+string(p[:min(len(p), 120)]), false)
		}
	}
	if f.kind == elf || f.kind == windows {
		for _, h := range homes {
			each(h, func(at int) {
				if at > 0 && (isWord(b[at-1]) || strings.IndexByte("./-~}", b[at-1]) >= 0) {
					return
				}
				line, _, _ := bytes.Cut(b[at:min(len(b), at+300)], []byte{0})
				if m := sourcePath.Find(line); m != nil && bytes.Count(m, []byte(h[len(h)-1:])) >= 3 {
					found(m)
				}
			})
		}
		each("/pkg/mod/", func(at int) { // GOPATH's, without -trimpath
			start := at
			for start > 0 && at-start < 200 && (isWord(b[start-1]) || strings.IndexByte("./-+@", b[start-1]) >= 0) {
				start--
			}
			if m := sourcePath.Find(b[start:min(len(b), at+300)]); m != nil && b[start] == '/' && bytes.IndexByte(m, '@') > 0 {
				found(m)
			}
		})
		return
	}
	if f.kind != text && f.kind != script || isExample(f.e.Path) {
		return
	}
	for _, r := range buildRoots {
		each(r, func(at int) {
			m, _, _ := bytes.Cut(b[at:min(len(b), at+120)], []byte("\n"))
			found(m)
		})
	}
}

var (
	dateBefore = regexp.MustCompile(`(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-3][0-9]$`)
	clock      = regexp.MustCompile(`\b[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\b`)
)

// compileDate looks at what may be the expansion of __DATE__, with a __TIME__ near it.
// year is the place of the space before the year.
func (f *fileScan) compileDate(b []byte, year int) {
	m := dateBefore.Find(b[max(year-6, 0):year])
	if m == nil || year+5 > len(b) {
		return
	}
	around := b[max(year-40, 0):min(year+40, len(b))]
	t := clock.Find(around)
	if t == nil {
		return
	}
	at, err := time.Parse("Jan _2 2006 15:04:05", string(m)+string(b[year:year+5])+" "+string(t))
	if err == nil {
		f.time(at, "it has the time ")
	}
}

// time notes a time in a file, if it is one of the build. What is older is the
// source's, and what is the package's own time was fixed for the build.
func (f *fileScan) time(at time.Time, what string) {
	date := f.pkg.Date
	if date.IsZero() || at.Before(date.Add(-24*time.Hour)) || at.Equal(date) || at.Year() > 2100 {
		return
	}
	f.add("build-time", what+at.Format(time.DateTime), false)
}

// changelogVersion is that of the newest entry of DEB's changelog; empty if there is
// none.
func (s *Scan) changelogVersion() string {
	b := s.changes
	if bytes.HasPrefix(b, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return ""
		}
		head := make([]byte, 4096)
		n, err := io.ReadFull(z, head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return ""
		}
		b = head[:n]
	}
	m := changelogHead.FindSubmatch(b)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// changelogHead is the first line of an entry: deb-changelog(5).
var changelogHead = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]* \(([^()\s]+)\) `)
