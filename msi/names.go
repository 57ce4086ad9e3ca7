package msi

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // names, not secrets
	"fmt"
	"path"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// key makes the primary key of a row from a path: its last element, so that logs
// can be read, and a digest. Identifiers have letters, digits, underscores and
// dots, a letter or underscore first, and here at most 50 characters: a Binary's
// name with its table's is the name of a stream.
func key(kind, target string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			return r
		}
		return '_'
	}, target[strings.LastIndexAny(strings.TrimRight(target, `/`), `/\`)+1:])
	const most = 32
	if len(name) > most {
		name = name[len(name)-most:]
	}
	sum := sha1.Sum([]byte(strings.ToLower(target))) //nolint:gosec // a name, not a secret
	return fmt.Sprintf("%s_%s_%x", kind, name, sum[:4])
}

// shortNames gives names their 8.3 forms, of which each folder has every one once.
type shortNames map[string]bool // by folder and upper-cased short name

// newShortNames keeps the names that are short themselves from being given to
// others.
func newShortNames(l packaging.Layout) shortNames {
	s := make(shortNames)
	for i := range l {
		if folder, name := path.Split(l[i].Path); isShort(name) {
			s.take(path.Clean(folder), strings.ToUpper(name))
		}
	}
	return s
}

// fileName is what the columns of category Filename hold: "SHORT~1.EXT|long name",
// or the name alone where it is short itself. The same calls in the same order give
// the same names.
func (s shortNames) fileName(target string) string {
	folder, name := path.Split(target)
	folder = path.Clean(folder)
	if isShort(name) {
		return name
	}
	stem, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		stem, ext = name[:i], name[i:]
	}
	stem, ext = cmp.Or(shorten(stem, 6), "_"), shorten(ext, 3)
	if ext != "" {
		ext = "." + ext
	}
	for n := 1; ; n++ {
		tail := fmt.Sprintf("~%d", n)
		head := stem
		if n > 4 { // as Windows does, so that a folder of like names is not slow
			sum := sha1.Sum(fmt.Appendf(nil, "%s|%d", strings.ToLower(name), n/10)) //nolint:gosec // a name, not a secret
			head, tail = fmt.Sprintf("%s%04X", stem[:min(2, len(stem))], uint(sum[0])<<8|uint(sum[1])), fmt.Sprintf("~%d", n%9+1)
		}
		if short := head[:min(len(head), 8-len(tail))] + tail + ext; s.take(folder, short) {
			return short + "|" + name
		}
	}
}

// take reports whether the folder did not have the name.
func (s shortNames) take(folder, short string) bool {
	k := folder + "/" + short
	if s[k] {
		return false
	}
	s[k] = true
	return true
}

// shortMarks are the characters of a short name besides letters and digits.
const shortMarks = "!#$%&'()-@^_`{}~"

// isShort reports whether a name is one of MS-DOS: 8 characters, a dot, 3 characters.
func isShort(name string) bool {
	stem, ext, dotted := strings.Cut(name, ".")
	if stem == "" || len(stem) > 8 || len(ext) > 3 || dotted && ext == "" {
		return false
	}
	return strings.IndexFunc(stem+ext, func(r rune) bool { return !isShortRune(r) }) < 0
}

func isShortRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(shortMarks, r)
}

func shorten(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '.' || r > 127:
			return -1
		case isShortRune(r):
			return r
		}
		return '_'
	}, s)
	return strings.ToUpper(s[:min(n, len(s))])
}
