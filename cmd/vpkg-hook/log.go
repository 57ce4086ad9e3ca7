package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

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
func openLog(file string, codes map[string]string, stderr io.Writer) (log *slog.Logger, closeLog func()) {
	warnings := console{w: stderr}
	if os.Geteuid() > 0 { // who may not write it only looks
		return slog.New(warnings), func() {}
	}
	f, err := openPrivate(file)
	if err != nil {
		log := slog.New(warnings)
		log.Warn("there is no log", "error", err)
		return log, func() {}
	}
	everything := slog.NewTextHandler(redacted(f, codes), nil)
	return slog.New(slog.NewMultiHandler(everything, warnings)), func() { f.Close() }
}

// A console shows warnings as a person reads them.
type console struct{ w io.Writer }

// Enabled says that warnings are shown.
func (console) Enabled(_ context.Context, l slog.Level) bool { return l == slog.LevelWarn }

// Handle writes one line.
func (c console) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "vpkg-hook: warning: %s", r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, ", %s %v", a.Key, a.Value)
		return true
	})
	_, err := io.WriteString(c.w, b.String()+"\n")
	return err
}

// WithAttrs is not used: the hook's messages have all their attributes.
func (c console) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup is not used.
func (c console) WithGroup(string) slog.Handler { return c }
