package deb

import (
	"cmp"
	"strings"
)

// CompareVersion compares two versions, [EPOCH:]UPSTREAM[-REVISION], in dpkg's
// order: it is negative if a is older than b. Versions that dpkg would refuse
// are ordered too: what stands before a colon and is no number is part of the
// upstream version.
//
// The order is that of deb-version(7): a tilde sorts before everything, even
// before the end; letters before other characters; runs of digits by value.
func CompareVersion(a, b string) int {
	ae, au, ar := splitVersion(a)
	be, bu, br := splitVersion(b)
	return cmp.Or(compareText(ae, be), compareText(au, bu), compareText(ar, br))
}

// splitVersion gives the epoch's digits, the upstream version and the revision.
// A part that is missing is empty, which compares like 0.
func splitVersion(s string) (epoch, upstream, revision string) {
	s = strings.TrimSpace(s)
	if e, rest, ok := cutEpoch(s); ok && e != "" && strings.Trim(e, "0123456789") == "" {
		epoch, s = e, rest
	}
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		s, revision = s[:i], s[i+1:]
	}
	return epoch, s, revision
}

// compareText is dpkg's verrevcmp: it compares a run of other characters, then a
// run of digits, and so on.
func compareText(a, b string) int {
	for a != "" || b != "" {
		for (a != "" && !isDigit(a[0])) || (b != "" && !isDigit(b[0])) {
			if c := cmp.Compare(weight(a), weight(b)); c != 0 {
				return c
			}
			a, b = a[1:], b[1:] // equal weights that are not 0: neither is at its end
		}
		var an, bn string
		an, a = cutDigits(a)
		bn, b = cutDigits(b)
		if c := cmp.Or(cmp.Compare(len(an), len(bn)), strings.Compare(an, bn)); c != 0 {
			return c
		}
	}
	return 0
}

// weight is the place of a string's first character in the order of those that
// are no digits.
func weight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

// cutDigits cuts a number off the front of s and drops its leading zeros.
func cutDigits(s string) (number, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return strings.TrimLeft(s[:i], "0"), s[i:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
