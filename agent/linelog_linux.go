package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"unicode"
)

// maxLine is how much of a line is kept, in bytes.
const maxLine = 1 << 10

// A lineLog puts what a component writes to its standard error into a log.
type lineLog struct {
	log       *slog.Logger
	component string
	part      []byte // of a line whose end is still to come
	last      string // line that is not empty, as printable gives it
}

// Write logs the lines that p ends.
func (l *lineLog) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		l.part = append(l.part, line[:min(len(line), maxLine-len(l.part))]...)
		if !ended {
			return n, nil
		}
		if len(l.part) > 0 {
			l.last = printable(string(l.part))
			l.log.Error("says", "component", l.component, "line", string(l.part))
		}
		l.part, p = l.part[:0], rest
	}
}

// printable puts ? for what would control a terminal, where s may end up.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
