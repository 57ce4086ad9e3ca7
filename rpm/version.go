package rpm

import "strings"

// CompareEVR compares two versions of the form [EPOCH:]VERSION[-RELEASE] as rpm
// does when it installs: -1 if a is the older, 0 if rpm takes them for the same,
// and 1 if a is the newer. A version without an epoch has epoch 0, and one without
// a release is older than the same with one.
func CompareEVR(a, b string) int {
	ea, va, ra := splitEVR(a)
	eb, vb, rb := splitEVR(b)
	if c := compareVersion(ea, eb); c != 0 {
		return c
	}
	if c := compareVersion(va, vb); c != 0 {
		return c
	}
	return compareVersion(ra, rb)
}

func splitEVR(s string) (epoch, version, release string) {
	if e, rest, ok := strings.Cut(s, ":"); ok && strings.Trim(e, "0123456789") == "" {
		epoch, s = e, rest
	}
	if epoch == "" {
		epoch = "0"
	}
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		return epoch, s[:i], s[i+1:]
	}
	return epoch, s, ""
}

// compareVersion is rpm's rpmvercmp: it compares runs of digits as numbers and
// runs of letters as text, and ignores what separates them. A tilde sorts before
// everything, even the end: 1.0~rc1 < 1.0. A caret sorts after the end, and
// before everything else: 1.0 < 1.0^git1 < 1.0.1.
func compareVersion(a, b string) int {
	for a != "" || b != "" {
		a, b = strings.TrimLeftFunc(a, separates), strings.TrimLeftFunc(b, separates)
		switch at, bt := strings.HasPrefix(a, "~"), strings.HasPrefix(b, "~"); {
		case at && bt:
			a, b = a[1:], b[1:]
			continue
		case at:
			return -1
		case bt:
			return 1
		}
		switch ac, bc := strings.HasPrefix(a, "^"), strings.HasPrefix(b, "^"); {
		case ac && bc:
			a, b = a[1:], b[1:]
			continue
		case ac && b == "", bc && a != "":
			return 1
		case bc && a == "", ac && b != "":
			return -1
		}
		if a == "" || b == "" {
			break
		}
		var c int
		if c, a, b = compareRun(a, b); c != 0 {
			return c
		}
	}
	switch { // whoever has something left is the newer
	case a != "":
		return 1
	case b != "":
		return -1
	}
	return 0
}

// compareRun compares the runs of digits or letters that a and b start with, and
// gives what follows. Which kind it is, a says: digits are newer than letters.
func compareRun(a, b string) (c int, restA, restB string) {
	if !isDigit(a[0]) {
		la, lb := runLength(a, isAlpha), runLength(b, isAlpha)
		if lb == 0 {
			return -1, "", ""
		}
		return strings.Compare(a[:la], b[:lb]), a[la:], b[lb:]
	}
	la, lb := runLength(a, isDigit), runLength(b, isDigit)
	if lb == 0 {
		return 1, "", ""
	}
	na, nb := strings.TrimLeft(a[:la], "0"), strings.TrimLeft(b[:lb], "0")
	switch {
	case len(na) > len(nb):
		return 1, "", ""
	case len(na) < len(nb):
		return -1, "", ""
	}
	return strings.Compare(na, nb), a[la:], b[lb:]
}

func runLength(s string, in func(byte) bool) int {
	for i := range len(s) {
		if !in(s[i]) {
			return i
		}
	}
	return len(s)
}

func separates(r rune) bool { return r > 0x7f || !isAlnum(byte(r)) && r != '~' && r != '^' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
