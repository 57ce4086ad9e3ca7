package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/packaging/verify"
)

// headline is what the digests and the signature of a package are, in a line.
func (v *verification) headline() string {
	text := v.Package + ": digests " + v.Digests
	switch {
	case v.Signature == string(sign.Unsigned):
		text += ", unsigned"
	case v.Signature != "":
		text += ", signature " + v.Signature
	}
	if v.Format == "msi" && v.Signer != "" {
		text += ", by " + v.Signer
	}
	if v.Reason != "" {
		text += ": " + v.Reason
	}
	return text
}

// print writes about a package. Information is left out unless verbose.
func (v *verification) print(w io.Writer, verbose bool) {
	fmt.Fprintln(w, inLine(v.headline()))
	v.printOpenPGP(w)
	printFindings(w, v.Findings, verbose)
	for _, l := range v.Linters {
		if l.Status != ran && (verbose || l.Status != notInstalled) {
			fmt.Fprintf(w, "  %s: %s\n", l.Name, inLine(l.Status))
		}
	}
}

// How many findings of a rule are printed. JSON has all, and verbose more of a
// linter's, which are of little weight and many.
const (
	maxShown       = 10
	maxLinterShown = 1
)

// printFindings writes findings that are sorted, what to do after those of a rule, and
// a line that counts them. Information is left out unless verbose.
func printFindings(w io.Writer, findings []verify.Finding, verbose bool) {
	var count [3]int
	for i := 0; i < len(findings); {
		f := findings[i]
		n := i
		for n < len(findings) && findings[n].Rule == f.Rule && findings[n].Severity == f.Severity {
			n++
		}
		group := findings[i:n]
		i = n
		if f.Rule == "unsigned" && f.Severity == verify.Info {
			continue // the headline says it
		}
		count[f.Severity] += len(group)
		if f.Severity == verify.Info && !verbose {
			continue
		}
		shown := maxShown
		if strings.Contains(f.Rule, ":") && !verbose {
			shown = maxLinterShown
		}
		for k, g := range group {
			if k == shown && len(group) > shown+1 {
				fmt.Fprintf(w, "  %s %s: and %d more, which --json lists\n", f.Rule, f.Severity, len(group)-k)
				break
			}
			fmt.Fprintf(w, "  %s\n", inLine(g.String()))
			if g.Want != "" || g.Got != "" {
				fmt.Fprintf(w, "      want %s, got %s\n", inLine(g.Want), inLine(g.Got))
			}
			if g.Do != f.Do {
				fmt.Fprintf(w, "      %s\n", inLine(g.Do))
			}
		}
		if f.Do != "" {
			fmt.Fprintf(w, "      %s\n", inLine(f.Do))
		}
	}
	if s := summary(count, verbose); s != "" {
		fmt.Fprintf(w, "  %s\n", s)
	}
}

// summary counts findings: "2 errors, 1 warning"; empty if there are none.
func summary(count [3]int, verbose bool) string {
	var parts []string
	add := func(n int, one, more string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, map[bool]string{true: one, false: more}[n == 1]))
		}
	}
	add(count[verify.Error], "error", "errors")
	add(count[verify.Warning], "warning", "warnings")
	hint := ""
	if !verbose && count[verify.Info] > 0 {
		hint = " that --verbose shows"
	}
	add(count[verify.Info], "piece of information"+hint, "pieces of information"+hint)
	return strings.Join(parts, ", ")
}

// maxLine is how many characters of a text of a package stand in a line.
const maxLine = 500

// inLine keeps what comes from a package in its line.
func inLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	return s
}
