package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging/installed"
	"github.com/vpkg/vpkg/packaging/manifest"
	"github.com/vpkg/vpkg/packaging/verify"
)

// allRules lists the rules for packages, those for hosts and those of Windows
// Installer. Of a name that two kinds have, a policy means both.
func allRules() []verify.Rule {
	rules := append(verify.Rules(), installed.Rules()...)
	for _, r := range msi.Rules() {
		severity := verify.Error
		if r.Warning {
			severity = verify.Warning
		}
		maker := "It is one of the project's own for packages of Windows Installer."
		if strings.HasPrefix(r.Name, "ICE") {
			maker = "It is the rule of that name in Microsoft's ICE Reference, as far as it can be checked without Windows."
		}
		rules = append(rules, verify.Rule{
			Name: r.Name, Severity: severity, What: "Wanted: " + r.Title, Do: r.Help,
			Explain: r.Title + "\n\n" + maker + " docs/msi-rules.md has all of them, and what they do not look at.",
		})
	}
	return rules
}

// everyRule is the value of --explain without one.
const everyRule = "all"

func listRules(w io.Writer) error {
	for _, r := range allRules() {
		if _, err := fmt.Fprintf(w, "%-24s %-8s %s\n", r.Name, r.Severity, r.What); err != nil {
			return err
		}
	}
	return nil
}

// explainRule writes about a rule.
func explainRule(w io.Writer, name string) error {
	rules := allRules()
	found := false
	for _, r := range rules {
		if r.Name != name {
			continue
		}
		if found {
			fmt.Fprintln(w)
		}
		found = true
		if _, err := fmt.Fprintf(w, "%s, %s\n\n%s\n%s\n\n%s\n", r.Name, r.Severity, r.What, r.Do, wrap(r.Explain, 88)); err != nil {
			return err
		}
	}
	if found {
		return nil
	}
	if l := verify.Linter(name); l != "" {
		tag := strings.TrimPrefix(name, l+":")
		how := map[string]string{
			"rpmlint": "rpmlint --explain " + tag, "lintian": "lintian-explain-tags " + tag,
			"shellcheck": "https://www.shellcheck.net/wiki/" + tag,
		}[l]
		_, err := fmt.Fprintf(w, "%s is %s's own: %s\n", name, l, how)
		return err
	}
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.Name
	}
	return usageError{fmt.Errorf("--explain: there is no rule %q%s", name, manifest.DidYouMean(name, names))}
}

// wrap breaks the paragraphs of a text into lines of at most so many characters.
func wrap(text string, width int) string {
	var out []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		var lines []string
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			if line != "" && len(line)+1+len(word) > width {
				lines = append(lines, line)
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		out = append(out, strings.Join(append(lines, line), "\n"))
	}
	return strings.Join(out, "\n\n")
}
