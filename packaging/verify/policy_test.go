package verify

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestParsePolicy(t *testing.T) {
	p, err := ParsePolicy("p.yaml", []byte(`# ours
disable: [link-absolute, "rpmlint:no-documentation", "shellcheck:SC2086"]
severity:
  setuid: error
  "lintian:no-manual-page": info
except:
  - rule: world-writable
    paths: [/opt/agent/spool/**, /opt/agent/drop]
    reason: everybody drops jobs there
folders: [/opt/agent]
installed:
  config: must-match
  ignore: [/opt/agent/cache/**]
`), Rules())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Disable) != 3 || p.Severity["setuid"] != Error || p.Except[0].Paths[1] != "/opt/agent/drop" || p.Installed.Config != MustMatch || p.Folders[0] != "/opt/agent" {
		t.Errorf("the policy is %+v", p)
	}
	for _, text := range []string{"", "# nothing\n\n"} {
		if p, err := ParsePolicy("p.yaml", []byte(text), Rules()); err != nil || len(p.Disable) > 0 {
			t.Errorf("%q gives %v, %v", text, p, err)
		}
	}
}

func TestParsePolicyErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "disabel: [setuid]\n", `p.yaml:1:1: unknown key "disabel" (did you mean "disable"?)`},
		{"unknown rule", "disable:\n  - setiud\n", `p.yaml:2:5: there is no rule "setiud" (did you mean "setuid"?)`},
		{"unknown rule of a severity", "severity:\n  setid: error\n", `p.yaml:2:3: there is no rule "setid" (did you mean "setuid"?)`},
		{"severity", "severity:\n  setuid: fatal\n", `p.yaml:2:11: severity "fatal": want info, warning or error`},
		{"no reason", "except:\n  - rule: setuid\n    paths: [/a]\n", "p.yaml:2:5: except[0] has no reason"},
		{"empty reason", "except:\n  - rule: setuid\n    paths: [/a]\n    reason: ' '\n", "p.yaml:4:13: except[0].reason is empty: say why the rule does not hold there"},
		{"no path", "except:\n  - rule: setuid\n    paths: []\n    reason: so\n", "p.yaml:3:12: except[0].paths is empty: disable takes a rule away for all paths"},
		{"relative folder", "folders: [opt/agent]\n", `p.yaml:1:11: folders: "opt/agent" is a relative path, want an absolute one`},
		{"treatment", "installed: {config: differ}\n", `p.yaml:1:21: installed.config is "differ", want must-match, may-differ or ignore`},
		{"all at once", "disable: [x1234567]\nfolders: [opt]\n", "p.yaml:1:11: there is no rule \"x1234567\"\np.yaml:2:11: folders: \"opt\" is a relative path, want an absolute one"},
		{"no mapping", "- a\n", "p.yaml:1:1: policy is a list, want keys and values"},
		{"syntax", "disable: [\n", "p.yaml:1:10: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParsePolicy("p.yaml", []byte(tt.text), Rules())
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("gives %v, want %s", err, tt.want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	p := &Policy{
		Disable:  []string{"link-absolute", "shellcheck:SC2086"},
		Severity: map[string]Severity{"setuid": Error},
		Except: []Exception{
			{Rule: "world-writable", Paths: []string{"/opt/a/**"}},
			{Rule: "script-network", Paths: []string{"%post"}},
			{Rule: "capabilities", Paths: []string{"/opt/a/x"}},
			{Rule: "version-below-changelog", Paths: []string{"**"}},
		},
	}
	got, used := p.Apply([]Finding{
		{Rule: "link-absolute", Where: "/opt/a/l"},
		{Rule: "shellcheck:SC2086", Where: "%post:1"},
		{Rule: "setuid", Severity: Warning, Where: "/opt/a/s"},
		{Rule: "world-writable", Where: "/opt/a/w/x"},
		{Rule: "world-writable", Where: "/opt/b/w"},
		{Rule: "script-network", Where: "%post:7"},
		{Rule: "version-below-changelog"},
	})
	want := []Finding{{Rule: "setuid", Severity: Error, Where: "/opt/a/s"}, {Rule: "world-writable", Where: "/opt/b/w"}}
	if !slices.Equal(got, want) {
		t.Errorf("what is left is %v, want %v", got, want)
	}
	if !slices.Equal(used, []int{1, 1, 0, 1}) {
		t.Errorf("exceptions were used %v times", used)
	}
	if got, _ := (*Policy)(nil).Apply(want); !slices.Equal(got, want) {
		t.Errorf("no policy gives %v", got)
	}
}

// TestRulesAreExplained: each rule has all of its texts, and docs/verify.md has them;
// -update writes that part of it anew.
func TestRulesAreExplained(t *testing.T) {
	var b strings.Builder
	b.WriteString("| rule | | what is wrong |\n|---|---|---|\n")
	seen := map[string]bool{}
	for _, r := range Rules() {
		b.WriteString("| [`" + r.Name + "`](#" + r.Name + ") | " + r.Severity.String() + " | " + r.What + " |\n")
		if seen[r.Name] {
			t.Errorf("there are two rules %s", r.Name)
		}
		seen[r.Name] = true
		if r.Explain == "" || !strings.HasSuffix(r.What, ".") || strings.Contains(r.What, "\n") || strings.Contains(r.Do, "\n") || r.Do == "" {
			t.Errorf("%s: texts are to be sentences in a line", r.Name)
		}
	}
	for _, r := range Rules() {
		b.WriteString("\n### " + r.Name + "\n\n" + r.What + " *" + r.Do + "*\n\n" + r.Explain + "\n")
	}
	const name, begin, end = "../../docs/verify.md", "<!-- rules: written by go test ./packaging/verify -update -->\n\n", "\n<!-- end of rules -->\n"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the rules", name)
	}
	if *update {
		if err := os.WriteFile(name, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != b.String() {
		t.Errorf("%s has other rules; go test ./packaging/verify -update writes it anew", name)
	}
}
