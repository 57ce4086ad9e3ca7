package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/hooks"
)

// codeVariable is what the names of variables that hold an activation code end
// with. What comes before it is the product's prefix.
const codeVariable = "ACTIVATION_CODE"

// takeCodes takes the activation codes out of the environment, by variable, before
// any other program is started, which would show them to who can look at it.
func takeCodes() map[string]string {
	codes := map[string]string{}
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasSuffix(name, codeVariable) {
			codes[name] = value
			os.Unsetenv(name)
		}
	}
	return codes
}

// redacted writes to w without the activation codes.
func redacted(w io.Writer, codes map[string]string) io.Writer {
	return hooks.Redactor{W: w, Secrets: slices.Collect(maps.Values(codes))}
}

// openLog gives a log that writes everything to the file, without the activation
// code, and warnings to stderr. Errors are main's to show. Where the file cannot
// be written, stderr alone has to do.
func openLog(host hooks.Host, file string, codes map[string]string, stderr io.Writer) (log logger, closeLog func()) {
	log = logger{file: io.Discard, console: stderr}
	if os.Geteuid() > 0 { // who may not write it only looks
		return log, func() {}
	}
	f, err := openPrivate(host, file)
	if err != nil {
		log.Warn("there is no log", "error", err)
		return log, func() {}
	}
	log.file = redacted(f, codes)
	return log, func() { f.Close() }
}

// A logger is the hook's.
type logger struct{ file, console io.Writer }

// Info writes to the file alone.
func (l logger) Info(msg string, args ...any) { l.write("INFO", msg, args) }

// Warn also shows it to who called.
func (l logger) Warn(msg string, args ...any) {
	l.write("WARN", msg, args)
	b := fmt.Appendf(nil, "vpkg-hook: warning: %s", msg)
	for i := 0; i+1 < len(args); i += 2 {
		b = fmt.Appendf(b, ", %v %v", args[i], args[i+1])
	}
	fmt.Fprintf(l.console, "%s\n", b)
}

// Error writes to the file: the error itself is shown where it ends up.
func (l logger) Error(msg string, args ...any) { l.write("ERROR", msg, args) }

// write writes a line as slog.TextHandler does.
func (l logger) write(level, msg string, args []any) {
	b := fmt.Appendf(nil, "time=%s level=%s msg=%s", time.Now().Format("2006-01-02T15:04:05.000Z07:00"), level, quoted(msg))
	for i := 0; i+1 < len(args); i += 2 {
		b = fmt.Appendf(b, " %v=%s", args[i], quoted(fmt.Sprint(args[i+1])))
	}
	fmt.Fprintf(l.file, "%s\n", b) // there is nobody to tell if the log cannot be written
}

// quoted quotes what would not be one word.
func quoted(s string) string {
	odd := func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || !strconv.IsPrint(r) }
	if s == "" || strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}
