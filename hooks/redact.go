package hooks

import (
	"io"
	"strconv"
	"strings"
)

// A Redactor is a writer that replaces secrets. Each Write has to hold whole
// lines, as a log has them.
type Redactor struct {
	W       io.Writer
	Secrets []string // such as the activation code's value; an empty one is none
}

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// Write writes b without the secrets and what follows an "activation code".
func (r Redactor) Write(b []byte) (int, error) {
	line := string(b)
	for _, s := range r.Secrets {
		if s == "" {
			continue
		}
		line = strings.ReplaceAll(line, s, Redacted)
		quoted := strconv.Quote(s)
		line = strings.ReplaceAll(line, quoted[1:len(quoted)-1], Redacted)
	}
	if _, err := io.WriteString(r.W, redactCodes(line)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// redactCodes replaces what stands after "activation-code", however that is
// spelt, as in an option, a variable, a configuration file or JSON.
func redactCodes(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(lower(s), "activation")
		if i < 0 {
			return b.String() + s
		}
		i += len("activation")
		b.WriteString(s[:i])
		s = s[i:]
		name := strings.TrimLeft(s, "-_ ")
		if len(name) < len("code") || !strings.EqualFold(name[:len("code")], "code") {
			continue
		}
		rest := name[len("code"):]
		value := strings.TrimLeft(rest, `\"' =:`)
		word, _, _ := strings.Cut(value, " ")
		prose := strings.HasPrefix(s, " ") && strings.HasPrefix(rest, " ") && !strings.ContainsAny(word, "0123456789") // "the activation code is not valid"
		if value == rest || prose || strings.HasPrefix(value, "-") {                                                   // another word, or option
			continue
		}
		b.WriteString(s[:len(s)-len(value)])
		end := strings.IndexAny(value, " \t\n\"'\\")
		if end < 0 {
			end = len(value)
		}
		if end > 0 {
			b.WriteString(Redacted)
		}
		s = value[end:]
	}
}

// lower gives ASCII in lower case, byte for byte.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
