package main

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// A printable writes text for people that comes from a package, which may be
// hostile: what a terminal would act on is written as Go would quote it. New lines
// and tabs stay. Each Write has whole characters.
type printable struct{ w io.Writer }

func (t printable) Write(p []byte) (int, error) {
	var out []byte
	done := 0 // of p, in out
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRune(p[i:])
		var quoted string
		switch {
		case r == '\n' || r == '\t':
		case r == '\r':
			quoted = `\r`
		case r == utf8.RuneError && n == 1 || r < utf8.RuneSelf && unicode.IsControl(r):
			quoted = fmt.Sprintf(`\x%02x`, p[i])
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			quoted = fmt.Sprintf(`\u%04x`, r)
		}
		if quoted != "" {
			out = append(append(out, p[done:i]...), quoted...)
			done = i + n
		}
		i += n
	}
	if done == 0 {
		return t.w.Write(p)
	}
	if _, err := t.w.Write(append(out, p[done:]...)); err != nil {
		return 0, err
	}
	return len(p), nil
}
