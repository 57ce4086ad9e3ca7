package rpm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/rpmpack"

	"github.com/vpkg/vpkg/packaging"
)

// Senses: what the flags of a relation mean (RPMSENSE_* in rpmds.h).
const (
	senseLess         uint32 = 1 << 1
	senseGreater      uint32 = 1 << 2
	senseEqual        uint32 = 1 << 3
	sensePostTrans    uint32 = 1 << 5
	sensePreReq       uint32 = 1 << 6
	sensePreTrans     uint32 = 1 << 7
	senseInterp       uint32 = 1 << 8 // a scriptlet's interpreter
	senseScriptPre    uint32 = 1 << 9
	senseScriptPost   uint32 = 1 << 10
	senseScriptPreUn  uint32 = 1 << 11
	senseScriptPostUn uint32 = 1 << 12
	senseScriptVerify uint32 = 1 << 13
	senseFindRequires uint32 = 1 << 14 // found in an ELF file
	senseFindProvides uint32 = 1 << 15
	sensePreUnTrans   uint32 = 1 << 20
	sensePostUnTrans  uint32 = 1 << 21
	senseRPMLib       uint32 = 1 << 24

	senseCompare = senseLess | senseGreater | senseEqual
)

// A dependency is one relation of a package.
type dependency struct {
	name    string // a capability, a file, or a rich dependency in parentheses
	version string // [EPOCH:]VERSION[-RELEASE]; empty without a comparison
	flags   uint32 // senses
}

func (d dependency) rich() bool { return strings.HasPrefix(d.name, "(") }

// comparisons are the signs that a spec file has for senses.
var comparisons = map[uint32]string{
	senseLess:                 "<",
	senseLess | senseEqual:    "<=",
	senseEqual:                "=",
	senseGreater | senseEqual: ">=",
	senseGreater:              ">",
	senseLess | senseGreater:  "<>", // not in spec files, but in old packages
}

// String gives the relation as a spec file has it.
func (d dependency) String() string {
	op, ok := comparisons[d.flags&senseCompare]
	if !ok {
		return d.name
	}
	return d.name + " " + op + " " + d.version
}

// A relationKind says where a header has the relations of a kind.
type relationKind struct {
	kind                 packaging.RelationKind
	name, version, flags tag
	weak                 bool // rpm 4.12
	rich                 bool // may be a rich dependency
}

var relationKinds = []relationKind{
	{packaging.Provides, tagProvideName, tagProvideVersion, tagProvideFlags, false, false},
	{packaging.Requires, tagRequireName, tagRequireVersion, tagRequireFlags, false, true},
	{packaging.Conflicts, tagConflictName, tagConflictVersion, tagConflictFlags, false, true},
	{packaging.Replaces, tagObsoleteName, tagObsoleteVersion, tagObsoleteFlags, false, false},
	{packaging.Recommends, tagRecommendName, tagRecommendVersion, tagRecommendFlags, true, true},
	{packaging.Suggests, tagSuggestName, tagSuggestVersion, tagSuggestFlags, true, true},
	{packaging.Supplements, tagSupplementName, tagSupplementVersion, tagSupplementFlags, true, true},
	{packaging.Enhances, tagEnhanceName, tagEnhanceVersion, tagEnhanceFlags, true, true},
}

// phaseSenses gives the sense of Requires(pre) and the like.
var phaseSenses = []struct {
	phase packaging.Phase
	sense uint32
}{
	{packaging.PreInstall, senseScriptPre},
	{packaging.PostInstall, senseScriptPost},
	{packaging.PreRemove, senseScriptPreUn},
	{packaging.PostRemove, senseScriptPostUn},
	{packaging.PreTrans, sensePreTrans},
	{packaging.PostTrans, sensePostTrans},
	{packaging.PreUnTrans, sensePreUnTrans},
	{packaging.PostUnTrans, sensePostUnTrans},
	{packaging.VerifyScript, senseScriptVerify},
}

func phaseSense(ph packaging.Phase) uint32 {
	for _, s := range phaseSenses {
		if s.phase == ph {
			return s.sense
		}
	}
	return 0
}

// dependencies are all relations of a package by the name's tag.
type dependencies map[tag][]dependency

func (ds dependencies) add(t tag, d dependency) { ds[t] = append(ds[t], d) }

// addRelation adds what r says.
func (ds dependencies) addRelation(r packaging.Relation, n *needs) error {
	kind, sense := r.Kind, uint32(0)
	if kind == packaging.PreRequires {
		kind, sense = packaging.Requires, senseScriptPre
	}
	i := slices.IndexFunc(relationKinds, func(k relationKind) bool { return k.kind == kind })
	if i < 0 {
		return fmt.Errorf("%s %q: RPM has no such relation", r.Kind, r.Text)
	}
	k := relationKinds[i]
	for _, ph := range r.For {
		s := phaseSense(ph)
		if s == 0 || kind != packaging.Requires {
			return fmt.Errorf("%s %q: cannot be for the %s script", r.Kind, r.Text, ph)
		}
		sense |= s
	}
	list, err := parseRelations(r.Text)
	if err != nil {
		return fmt.Errorf("%s %q: %w", r.Kind, r.Text, err)
	}
	for _, d := range list {
		reason := fmt.Sprintf("%s %q", r.Kind, d)
		if d.rich() && !k.rich {
			return fmt.Errorf("%s: cannot be a rich dependency", reason)
		}
		if k.weak {
			n.add(WeakDependencies, reason)
		}
		d.flags |= sense
		ds.add(k.name, d)
	}
	return nil
}

// noteFeatures notes what the relations need of the target's rpm.
func (ds dependencies) noteFeatures(n *needs) {
	for _, k := range relationKinds {
		for _, d := range ds[k.name] {
			reason := fmt.Sprintf("%s %q", k.kind, d)
			if d.rich() {
				n.add(featRichDependencies, reason)
			}
			// A rich dependency's versions are within its name.
			if strings.Contains(d.version, "~") || d.rich() && strings.Contains(d.name, "~") {
				n.add(featTildeInVersions, reason)
			}
			if strings.Contains(d.version, "^") || d.rich() && strings.Contains(d.name, "^") {
				n.add(featCaretInVersions, reason)
			}
		}
	}
}

// appendTo adds the relations to a header.
func (ds dependencies) appendTo(h *header) {
	for _, k := range relationKinds {
		if len(ds[k.name]) == 0 {
			continue
		}
		names, versions, flags := splitDependencies(ds[k.name])
		h.addStrings(k.name, names)
		h.addStrings(k.version, versions)
		h.addUint32s(k.flags, flags...)
	}
}

// sort sorts the relations of each kind and leaves each there once, as rpmbuild
// has them.
func (ds dependencies) sort() {
	for t, list := range ds {
		ds[t] = slices.Compact(sortedDependencies(list))
	}
}

func sortedDependencies(list []dependency) []dependency {
	return slices.SortedStableFunc(slices.Values(list), compareDependencies)
}

func compareDependencies(a, b dependency) int {
	return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.version, b.version), cmp.Compare(a.flags, b.flags))
}

func splitDependencies(list []dependency) (names, versions []string, flags []uint32) {
	for _, d := range list {
		names = append(names, d.name)
		versions = append(versions, d.version)
		flags = append(flags, d.flags)
	}
	return names, versions, flags
}

// parseRelations parses what follows a tag such as Requires in a spec file: one
// relation, or several separated by commas or spaces.
func parseRelations(text string) ([]dependency, error) {
	var list []dependency
	for rest := text; ; {
		rest = strings.TrimLeft(rest, " \t\n\r,")
		if rest == "" {
			break
		}
		item, after, err := cutRelation(rest)
		if err != nil {
			return nil, err
		}
		r, err := rpmpack.NewRelation(item)
		if err != nil {
			return nil, fmt.Errorf("%q: want <, <=, =, >= or > between name and version", item)
		}
		d := dependency{r.Name, r.Version, uint32(r.Sense)}
		if err := d.validate(); err != nil {
			return nil, err
		}
		list, rest = append(list, d), after
	}
	if list == nil {
		return nil, errors.New("is empty")
	}
	return list, nil
}

// cutRelation cuts the first relation off text, which starts with it.
func cutRelation(text string) (item, rest string, err error) {
	if text[0] == '(' {
		n, err := richLength(text)
		if err != nil {
			return "", "", err
		}
		return strings.Join(strings.Fields(text[:n]), " "), text[n:], nil
	}
	name, rest := cutWord(text)
	item = name
	op, after := cutWord(strings.TrimLeft(rest, " \t\n\r"))
	if op != "" && strings.Trim(op, "<=>") == "" {
		version, after := cutWord(strings.TrimLeft(after, " \t\n\r"))
		item, rest = name+" "+op+" "+version, after
	}
	return item, rest, nil
}

// cutWord cuts text before its first space or comma.
func cutWord(text string) (word, rest string) {
	if i := strings.IndexAny(text, " \t\n\r,"); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// validate checks what rpm's parser would.
func (d dependency) validate() error {
	if d.rich() {
		return nil // richLength did
	}
	if c := d.name; c == "" || !isAlnum(c[0]) && c[0] != '_' && c[0] != '/' && c[0] < 0x80 {
		return fmt.Errorf("name %q does not start with a letter, a digit, _ or /", d.name)
	}
	if i := strings.IndexFunc(d.name, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return fmt.Errorf("name %q has a control character", d.name)
	}
	switch {
	case d.flags&senseCompare == 0 && d.version != "":
		return fmt.Errorf("%q: version without a comparison", d.name+" "+d.version)
	case d.flags&senseCompare != 0 && d.version == "":
		return fmt.Errorf("%q: comparison without a version", d.name)
	case d.flags&senseCompare != 0 && d.name[0] == '/':
		return fmt.Errorf("%q: a file cannot have a version", d)
	}
	return validateEVR(d.version)
}

func validateEVR(v string) error {
	for i := range len(v) {
		if !isAlnum(v[i]) && !strings.ContainsRune("._+-~^:", rune(v[i])) {
			return fmt.Errorf("version %q: want letters, digits and any of ._+-~^: in it", v)
		}
	}
	if epoch, _, ok := strings.Cut(v, ":"); ok && strings.Trim(epoch, "0123456789") != "" {
		return fmt.Errorf("version %q: epoch is not a number", v)
	}
	if strings.Count(v, "-") > 1 {
		return fmt.Errorf("version %q has more than one release", v)
	}
	return nil
}

func isAlnum(c byte) bool { return isDigit(c) || isAlpha(c) }
