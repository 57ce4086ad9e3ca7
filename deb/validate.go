package deb

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// Rules of the Debian Policy, 5.6.1, 5.6.12 and 5.1, and deb-triggers(5).
var (
	nameRE      = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	upstreamRE  = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~]*$`)
	revisionRE  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~]*$`)
	archRE      = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	fieldNameRE = regexp.MustCompile(`^[!"$-,.-9;-~][!-9;-~]*$`) // printable but colons, and # and - at the start
	triggerRE   = regexp.MustCompile(`^[!-~]+$`)
	memberRE    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

	// relationRE is one alternative. dpkg takes names with capitals and underscores
	// in relations, so we do.
	relationRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]+(:[a-z0-9-]+)?\s*(\(\s*(<<|<=|=|>=|>>)\s*[A-Za-z0-9.+~:-]+\s*\))?$`)
)

// Architectures as other systems spell them, which dpkg would take for unknown.
var debianArch = map[string]string{
	"noarch": "all", "x86_64": "amd64", "x64": "amd64", "aarch64": "arm64",
	"i686": "i386", "ppc64le": "ppc64el", "armv7hl": "armhf",
}

var triggerKinds = []string{
	"interest", "interest-await", "interest-noawait",
	"activate", "activate-await", "activate-noawait",
}

// reserved are the names of control members that have meanings of their own and
// places of their own in a Package.
var reserved = []string{"control", "md5sums", "conffiles", "triggers", "preinst", "postinst", "prerm", "postrm", "config"}

// problems collects what is wrong.
type problems []error

func (ps *problems) add(format string, args ...any) { *ps = append(*ps, fmt.Errorf(format, args...)) }

// validate checks what every format asks for and what dpkg does, and reports
// everything it finds at once.
func validate(p *packaging.Package) error {
	var ps problems
	if err := packaging.Validate(p); err != nil {
		ps = append(ps, err)
	}
	ps.identity(p)
	ps.relations(p.Relations)
	ps.scripts(p)
	ps.members(p.Members)
	for i := range p.Layout {
		ps.entry(&p.Layout[i])
	}
	return errors.Join(ps...)
}

func (ps *problems) identity(p *packaging.Package) {
	if !nameRE.MatchString(p.Name) {
		ps.add("package name %q: Debian wants at least two lower-case letters, digits and + - ., a letter or digit first", p.Name)
	}
	if !upstreamRE.MatchString(p.Version) {
		ps.add("version %q: Debian wants letters, digits and . + ~, a digit first", p.Version)
	}
	if p.Release != "" && !revisionRE.MatchString(p.Release) {
		ps.add("release %q: Debian wants letters, digits and . + ~", p.Release)
	}
	if a, ok := debianArch[p.Arch]; ok {
		ps.add("architecture %q is called %q in Debian", p.Arch, a)
	} else if !archRE.MatchString(p.Arch) || p.Arch == "any" || p.Arch == "source" {
		ps.add("architecture %q: want one of Debian's, such as amd64, arm64 or all", p.Arch)
	}
	if p.Maintainer == "" {
		ps.add("package %s has no maintainer, which Debian asks for", p.Name)
	}
	for _, f := range []packaging.Field{
		{Name: "maintainer", Value: p.Maintainer},
		{Name: "homepage", Value: p.Homepage},
		{Name: "license", Value: p.License},
		{Name: "vendor", Value: p.Vendor},
		{Name: "section", Value: p.Group},
		{Name: "priority", Value: p.Priority},
	} {
		if strings.ContainsAny(f.Value, "\n\r\x00") {
			ps.add("%s %q: want one line", f.Name, f.Value)
		}
	}
	if strings.ContainsRune(p.Description, 0) {
		ps.add("description has a NUL byte")
	}
	seen := map[string]bool{}
	for _, f := range p.Fields {
		key := strings.ToLower(f.Name)
		switch {
		case !fieldNameRE.MatchString(f.Name):
			ps.add("field name %q: want printable ASCII without spaces and colons", f.Name)
		case isStandard(f.Name):
			ps.add("field %s is written from the package's own values", f.Name)
		case seen[key]:
			ps.add("field %s is there twice", f.Name)
		case strings.ContainsRune(f.Value, 0):
			ps.add("field %s has a NUL byte", f.Name)
		}
		seen[key] = true
	}
	if len(p.Prefixes) > 0 {
		ps.add("relocation to other folders than %q: DEB has none", p.Prefixes)
	}
	if p.RequiresELF {
		ps.add("requires from ELF files: RPM only")
	}
	ps.compression(p)
}

func (ps *problems) compression(p *packaging.Package) {
	_, err := writeCodec(p.Compression)
	if err != nil {
		*ps = append(*ps, err)
		return
	}
	for name, feature := range map[string]string{"zstd": FeatureZstd, "xz": FeatureXZ} {
		if p.Compression.Codec == name && p.Features != nil && !p.Features[feature] {
			ps.add("compression %s: the target's dpkg does not read %s", name, feature)
		}
	}
}

// writeCodec is the codec that Write uses: gzip, which every dpkg reads, where
// the package names none.
func writeCodec(c packaging.Compression) (codec, error) {
	name := orDefault(c.Codec, "gzip")
	for _, k := range codecs[:4] {
		if k.name == name {
			return k, nil
		}
	}
	return codec{}, fmt.Errorf("compression %q: want gzip, zstd, xz or none", c.Codec)
}

func (ps *problems) relations(rs []packaging.Relation) {
	for _, r := range rs {
		kind := relationKind(r)
		i := slices.IndexFunc(relations, func(f relationField) bool { return f.kind == kind })
		if i < 0 {
			ps.add("relation %s %q: DEB has no such kind", r.Kind, r.Text)
			continue
		}
		field := relations[i]
		for text := range strings.SplitSeq(r.Text, ",") {
			alternatives := strings.Split(text, "|")
			if len(alternatives) > 1 && !field.alternatives {
				ps.add("relation %s %q: %s has no alternatives", r.Kind, r.Text, field.field)
			}
			for _, a := range alternatives {
				switch m := relationRE.FindStringSubmatch(strings.TrimSpace(a)); {
				case m == nil:
					ps.add("relation %s %q: want NAME or NAME (<<, <=, =, >=, >> VERSION)", r.Kind, r.Text)
				case r.Kind == packaging.Provides && m[3] != "" && m[3] != "=":
					ps.add("relation provides %q: want NAME or NAME (= VERSION)", r.Text)
				}
			}
		}
	}
}

func (ps *problems) scripts(p *packaging.Package) {
	seen := map[packaging.Phase]bool{}
	for _, s := range p.Scripts {
		name := scriptName(s.Phase)
		switch {
		case name == "":
			ps.add("%s script: dpkg has no such script", s.Phase)
		case seen[s.Phase]:
			ps.add("%s script: there are two", name)
		case !strings.HasPrefix(s.Body, "#!"):
			ps.add("%s script: it begins without a #! line", name)
		case s.Interpreter != nil && shebang(s.Body) != strings.Join(s.Interpreter, " "):
			ps.add("%s script: its #! line is %q, and its interpreter %q", name, shebang(s.Body), s.Interpreter)
		}
		seen[s.Phase] = true
	}
	for _, t := range p.Triggers {
		switch {
		case !slices.Contains(triggerKinds, t.Kind):
			ps.add("trigger %q: dpkg has no such kind", t.Kind)
		case len(t.On) != 1 || !triggerRE.MatchString(t.On[0]):
			ps.add("trigger %s %q: want one name, in printable ASCII without spaces", t.Kind, t.On)
		case t.Script.Body != "":
			ps.add("trigger %s %s: dpkg calls postinst, not a script of the trigger's own", t.Kind, t.On[0])
		case t.Priority != 0:
			ps.add("trigger %s %s: dpkg has no priorities of triggers", t.Kind, t.On[0])
		}
	}
}

// shebang gives what stands behind "#!" in the first line.
func shebang(body string) string {
	line, _, _ := strings.Cut(body, "\n")
	return strings.TrimSpace(strings.TrimPrefix(line, "#!"))
}

func (ps *problems) members(ms []packaging.Member) {
	seen := map[string]bool{}
	var size int64
	for _, m := range ms {
		switch {
		case !memberRE.MatchString(m.Name):
			ps.add("control member %q: want letters, digits, _ and -: dpkg leaves others behind", m.Name)
		case slices.Contains(reserved, m.Name):
			ps.add("control member %q is written from the package's own values", m.Name)
		case seen[m.Name]:
			ps.add("control member %q is there twice", m.Name)
		case m.Mode&^0o777 != 0:
			ps.add("control member %s: mode %o has more than permission bits", m.Name, m.Mode)
		case m.Body == nil || m.Size < 0:
			ps.add("control member %s has no content", m.Name)
		}
		seen[m.Name] = true
		size += m.Size
	}
	if size > maxMembers {
		ps.add("control members have %d bytes together, want at most %d", size, int64(maxMembers))
	}
}

func (ps *problems) entry(e *packaging.Entry) {
	switch {
	case e.Ghost:
		ps.add("%s: DEB has no ghosts: a file that is not in the payload belongs into postrm", e.Path)
	case e.Caps != "":
		ps.add("%s: DEB keeps no file capabilities (%s): set them in postinst", e.Path, e.Caps)
	case e.Config == packaging.ConfigReplace || e.Config == packaging.ConfigMissingOK:
		ps.add("%s: DEB has no %s: its conffiles are config(noreplace)", e.Path, e.Config)
	case e.Config != packaging.NotConfig && (!e.Regular() || e.HardLink != ""):
		ps.add("%s: only a file of its own can be a conffile", e.Path)
	case e.Config != packaging.NotConfig && e.Path != strings.TrimSpace(e.Path):
		ps.add("%q: a conffile's name cannot end in a space", e.Path)
	case e.HasBody() && e.Body == nil:
		ps.add("%s has no content", e.Path)
	case e.Path == "/opt":
		ps.add("/opt: dpkg would remove it with the package; leave it out, preinst makes it where it is missing")
	}
}
