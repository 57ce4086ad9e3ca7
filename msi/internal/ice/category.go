package ice

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// categories are the forms that a text may have to have: the SDK's page "Column
// Data Types". Each function says what is wrong, or nothing. What a value refers
// to is not its business. Text, Binary and the numbers have no form.
var categories = map[string]func(string) string{
	"Text":              anyText,
	"Binary":            anyText,
	"Integer":           anyText, // the column's type says it
	"DoubleInteger":     anyText,
	"TimeDate":          anyText,
	"UpperCase":         upperCase,
	"LowerCase":         lowerCase,
	"Identifier":        identifier,
	"Property":          property,
	"GUID":              guid,
	"Version":           version,
	"Language":          languages,
	"Filename":          filename,
	"WildCardFilename":  wildCardFilename,
	"Path":              path,
	"Paths":             path,
	"AnyPath":           anyPath,
	"DefaultDir":        defaultDir,
	"RegPath":           regPath,
	"Formatted":         formatted,
	"KeyFormatted":      formatted,
	"Template":          template,
	"FormattedSDDLText": sddl,
	"Condition":         conditional,
	"CustomSource":      customSource,
	"Cabinet":           cabinet,
	"Shortcut":          shortcut,
	"URL":               url,
}

func anyText(string) string { return "" }

func upperCase(s string) string {
	if strings.IndexFunc(s, unicode.IsLower) >= 0 {
		return "has small letters"
	}
	return ""
}

func lowerCase(s string) string {
	if strings.IndexFunc(s, unicode.IsUpper) >= 0 {
		return "has capital letters"
	}
	return ""
}

// identifier is letters, digits, underscores and periods, of which the first is a
// letter or an underscore.
func identifier(s string) string {
	if nameLen(s) != len(s) || s == "" {
		return "is no identifier"
	}
	return ""
}

// property is an identifier, with a percent sign before that of an environment
// variable.
func property(s string) string {
	if identifier(strings.TrimPrefix(s, "%")) != "" {
		return "is no name of a property"
	}
	return ""
}

// guid is {8-4-4-4-12} in capital hexadecimal digits.
func guid(s string) string {
	const form = "{00000000-0000-0000-0000-000000000000}"
	if len(s) != len(form) {
		return "is no GUID in braces"
	}
	for i := range len(form) {
		switch b := s[i]; {
		case form[i] != '0':
			if b != form[i] {
				return "is no GUID in braces"
			}
		case 'a' <= b && b <= 'f':
			return "is a GUID with small letters"
		case !isDigit(b) && (b < 'A' || b > 'F'):
			return "is no GUID in braces"
		}
	}
	return ""
}

// version is one to four numbers of 16 bits with periods between.
func version(s string) string {
	if _, ok := parseVersion(s); !ok {
		return "is no version"
	}
	return ""
}

// parseVersion gives the four numbers of a version; those that are not there are 0.
func parseVersion(s string) ([4]uint16, bool) {
	var v [4]uint16
	parts := strings.Split(s, ".")
	if len(parts) > len(v) {
		return v, false
	}
	for i, p := range parts {
		n, ok := number(p, 65535)
		if !ok {
			return v, false
		}
		v[i] = uint16(n)
	}
	return v, true
}

// number is a decimal number without a sign, up to most.
func number(s string, most int64) (int64, bool) {
	if s == "" || strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) >= 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= most
}

// languages is numbers of languages, with commas between.
func languages(s string) string {
	for l := range strings.SplitSeq(s, ",") {
		if _, ok := number(strings.TrimSpace(l), 65535); !ok {
			return "is no number of a language, nor several with commas between"
		}
	}
	return ""
}

// filename is "short.ext", or "short.ext|long name" where the name has no short
// form that is its own.
func filename(s string) string { return filenameBut(s, "") }

// wildCardFilename may also have the wild cards * and ?.
func wildCardFilename(s string) string { return filenameBut(s, "*?") }

func filenameBut(s, allowed string) string {
	short, long, both := strings.Cut(s, "|")
	if text := shortName(short, allowed); text != "" {
		return text
	}
	if both {
		return longName(long, allowed)
	}
	return ""
}

func longName(s, allowed string) string {
	if s == "" {
		return "has an empty long name"
	}
	if n := utf8.RuneCountInString(s); n > 255 {
		return "has a long name of more than 255 characters"
	}
	return noneOf(s, `\/?|><:*"`, allowed)
}

func shortName(s, allowed string) string {
	if s == "" {
		return "has an empty short name"
	}
	base, ext, dot := strings.Cut(s, ".")
	if strings.Contains(ext, ".") || base == "" || dot && ext == "" {
		return "has no short name of the form NAME.EXT"
	}
	// With wild cards there is no saying how long the name will be.
	if strings.Contains(s, "*") {
		base, ext = "", ""
	}
	if utf8.RuneCountInString(base) > 8 || utf8.RuneCountInString(ext) > 3 {
		return "has no short name: it must be 8.3, then a bar and the long name"
	}
	return noneOf(s, `\/?|><:*"+,;=[] `, allowed)
}

// noneOf says which character of a set is in s.
func noneOf(s, set, allowed string) string {
	for _, r := range s {
		if (strings.ContainsRune(set, r) || r < ' ') && !strings.ContainsRune(allowed, r) {
			return fmt.Sprintf("is no file name: it has %q", r)
		}
	}
	return ""
}

// path is a full path, or begins with a property that is one; several have
// semicolons between.
func path(s string) string {
	for p := range strings.SplitSeq(s, ";") {
		switch {
		case p == "" || strings.HasPrefix(p, "[") || strings.HasPrefix(p, `\\`):
		case len(p) >= 2 && isNameStart(p[0]) && p[1] == ':':
		default:
			return "is no full path"
		}
	}
	return formatted(s)
}

// anyPath is a full or a relative path, or a name of the form short|long.
func anyPath(s string) string {
	if short, long, ok := strings.Cut(s, "|"); ok {
		if strings.ContainsAny(s, `\/:`) || strings.Contains(long, "|") || short == "" || long == "" {
			return "is a path with a long name, which only a single name may have"
		}
	}
	rest := s
	if len(s) >= 2 && s[1] == ':' {
		rest = s[2:]
	}
	if text := noneOf(rest, `?><:*"`, ""); text != "" && !strings.Contains(s, "[") {
		return "is no path"
	}
	return formatted(s)
}

// defaultDir is a file name, or two with a colon between, the target's and the
// source's, or a period for the parent; an identifier for a root.
func defaultDir(s string) string {
	parts := strings.Split(s, ":")
	if len(parts) > 2 {
		return "has more than a target and a source"
	}
	for _, p := range parts {
		if p == "." || identifier(p) == "" {
			continue // a name longer than 8 letters may be a root's: ICE56 knows
		}
		if text := filename(p); text != "" {
			return text
		}
	}
	return ""
}

// regPath is a path in the registry.
func regPath(s string) string {
	if strings.HasPrefix(s, `\`) || strings.HasSuffix(s, `\`) {
		return "is a registry path that begins or ends with a backslash"
	}
	return formatted(s)
}

// formatted is a text with references in brackets.
func formatted(s string) string {
	for _, r := range references(s) {
		if !r.valid() {
			return fmt.Sprintf("has %q, which is replaced by nothing", "["+r.text+"]")
		}
	}
	return ""
}

// template is like formatted, with numbers of fields besides.
func template(s string) string {
	for _, r := range references(s) {
		if _, field := number(r.text, 1<<15); !field && !r.valid() {
			return fmt.Sprintf("has %q, which is replaced by nothing", "["+r.text+"]")
		}
	}
	return ""
}

// A reference is what formatted text has between brackets.
type reference struct {
	kind       byte   // 0 for a property; %, #, $, !, ~ or \ otherwise
	name       string // without the kind
	text       string // as written
	start, end int    // of the brackets in the text around it
}

// references finds those of a text, the inner ones of nested brackets alone: what
// an outer pair names is not known before the installation.
func references(s string) []reference {
	var refs []reference
	open := -1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			// [\[] and [\]] stand for a bracket.
			if i+3 < len(s) && s[i+1] == '\\' && s[i+3] == ']' {
				refs = append(refs, reference{'\\', s[i+2 : i+3], s[i+1 : i+3], i, i + 4})
				i += 3
				open = -1
				continue
			}
			open = i
		case ']':
			if open < 0 {
				continue
			}
			text := s[open+1 : i]
			r := reference{name: text, text: text, start: open, end: i + 1}
			if text != "" && strings.IndexByte(`%#$!~\`, text[0]) >= 0 {
				r.kind, r.name = text[0], text[1:]
			}
			refs = append(refs, r)
			open = -1
		}
	}
	return refs
}

// expand gives a text with each of its references replaced.
func expand(s string, refs []reference, by func(reference) string) string {
	var b strings.Builder
	at := 0
	for _, r := range refs {
		b.WriteString(s[at:r.start])
		b.WriteString(by(r))
		at = r.end
	}
	b.WriteString(s[at:])
	return b.String()
}

// valid reports whether the reference can name something.
func (r reference) valid() bool {
	switch r.kind {
	case '~':
		return r.name == ""
	case '\\':
		return r.name != ""
	case '%':
		return r.name != "" // ProgramFiles(x86) is the name of an environment variable
	}
	return identifier(r.name) == ""
}

// sddl is a security descriptor: owner, group, and lists of (…;…;…;…;…;…) after
// D: and S:. What the six fields say is not looked at.
func sddl(s string) string {
	if text := formatted(s); text != "" {
		return text
	}
	depth, fields := 0, 0
	for _, r := range s {
		switch r {
		case '(':
			depth, fields = depth+1, 1
		case ')':
			if depth != 1 || fields < 6 {
				return "is no security descriptor: an entry has less than six fields"
			}
			depth--
		case ';':
			fields++
		}
	}
	hasPart := false
	for _, p := range [...]string{"O:", "G:", "D:", "S:"} {
		hasPart = hasPart || strings.Contains(s, p)
	}
	if depth != 0 || !hasPart {
		return "is no security descriptor"
	}
	return ""
}

func conditional(s string) string {
	if _, err := parseCondition(s); err != nil {
		return "is no condition: " + err.Error()
	}
	return ""
}

// customSource is a key whose table the action's type names, or a property.
func customSource(s string) string { return identifier(s) }

// cabinet is #stream, or a file beside the package.
func cabinet(s string) string {
	if name, ok := strings.CutPrefix(s, "#"); ok {
		if identifier(name) != "" {
			return "is no # with the identifier of a stream"
		}
		return ""
	}
	if strings.Contains(s, "|") {
		return "is a cabinet's file name with a long form"
	}
	return longName(s, "")
}

// shortcut is the key of a feature, or formatted text with a reference.
func shortcut(s string) string {
	if strings.ContainsAny(s, "[]") {
		return formatted(s)
	}
	return identifier(s)
}

func url(s string) string {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" || rest == "" || strings.ContainsAny(s, " \t\r\n") {
		return "is no URL"
	}
	return ""
}
