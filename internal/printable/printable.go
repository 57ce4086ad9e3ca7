// Package printable makes text of packages, which may be hostile, fit to be looked at.
package printable

import (
	"strconv"
	"strings"
	"unicode"
)

// String escapes what would not be seen, or would change how the rest is seen:
// a name in a package may be anything.
func String(s string) string {
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) && r != '\t' }
