package verify

import (
	"flag"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

var update = flag.Bool("update", false, "write docs/verify.md anew")

// FuzzPolicy: a policy is read or refused, with a place.
func FuzzPolicy(f *testing.F) {
	f.Add("disable: [setuid]\nseverity: {setuid: error}\n")
	f.Add("except:\n  - {rule: setuid, paths: [/a/**], reason: so}\n")
	f.Add("installed: {config: ignore, ignore: [/a]}\n")
	f.Add("disable: &a [*a]\n")
	f.Add("folders: [\n")
	rules := Rules()
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy("p", []byte(text), rules)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "p:") {
				t.Errorf("%q: the error has no place: %v", text, err)
			}
			return
		}
		p.Apply([]Finding{{Rule: "setuid", Where: "/a/b"}})
	})
}

// FuzzScriptlet: whatever a scriptlet is, what it does is found out in bounds, and all
// rules live with it.
func FuzzScriptlet(f *testing.F) {
	for _, tt := range ruleTests {
		p := agent(tt.format)
		if tt.format == "msi" {
			continue
		}
		tt.bad(p)
		for _, s := range p.Scripts {
			f.Add(s.Body)
		}
	}
	f.Add("f() { f; f; }; f")
	f.Add("for a in 1 2 3 4; do for b in 1 2 3 4; do case $a in $b) exit $a;; esac; done; done")
	f.Add("while [ $1 -gt 0 ]; do shift; set -- \"$@\" x; done; exec ${2:+$3} || (exit 3) && { return; }")
	f.Add("[[ $1 == 0 || ( -n $2 && ! -d /run/systemd/system ) ]] && ((1 < 2)) && x | y & wait")
	f.Fuzz(func(t *testing.T, body string) {
		for _, format := range []string{"rpm", "deb"} {
			p := agent(format)
			for _, ph := range []packaging.Phase{packaging.PreInstall, packaging.PostInstall, packaging.PreRemove, packaging.PostRemove, packaging.PostTrans} {
				withScript(ph, body)(p)
			}
			for _, x := range Check(&Subject{Format: format, Package: p}) {
				if x.Rule == "" || x.Text == "" {
					t.Errorf("%+v", x)
				}
			}
		}
	})
}

// FuzzScan: whatever files hold, all of it is looked at.
func FuzzScan(f *testing.F) {
	f.Add("/usr/lib/systemd/system/a.service", []byte("[Service]\nExecStart=\\\n/opt/agent/x\nUser=\n"))
	f.Add("/opt/agent/etc/hook.json", []byte(hookText))
	f.Add("/opt/agent/etc/layout.json", []byte(`{"version":1,"entries":[{"path":"/a","type":"file"}]}`))
	f.Add("/usr/share/doc/agent/changelog.gz", []byte(gzipped("agent (1) x", date)))
	f.Add("/opt/agent/bin/x", []byte(elfWith("/home/a/b/c.go Jan  1 2026 00:00:00 -----BEGIN PRIVATE KEY-----")))
	f.Add("/usr/lib/sysusers.d/x", []byte("u a\n"))
	f.Fuzz(func(t *testing.T, path string, content []byte) {
		for _, format := range []string{"rpm", "deb"} {
			p := agent(format)
			add(packagingtest.File("/"+strings.TrimLeft(path, "/"), 0o755, content))(p)
			check(t, format, p, nil)
		}
	})
}

// TestHostileScriptlets: none of these takes time or memory that a package of its size
// may not.
func TestHostileScriptlets(t *testing.T) {
	doubling := "a=x\n" + strings.Repeat("a=$a$a\n", 60) + "rm -rf \"/etc/$a\"\n"
	for name, body := range map[string]string{
		"brackets":   strings.Repeat("(", 60_000),
		"nested":     strings.Repeat("$(", 60_000),
		"arithmetic": "$((" + strings.Repeat("-", 60_000),
		"negations":  strings.Repeat("! ", 30_000) + "true",
		"doubling":   doubling,
		"recursion":  "f() { f; g; f; }; g() { f; g; }; f; g\n",
		"loops":      strings.Repeat("for a in 1 2 3 4 5 6 7 8; do ", 30) + "rm $a" + strings.Repeat("; done", 30),
		"branches":   strings.Repeat("if x; then a=1; else a=2; fi\n", 1000),
		"large":      strings.Repeat("true\n", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			p := agent("rpm")
			for range map[string]int{"brackets": 100, "large": 100}[name] + 2 {
				p.Triggers = append(p.Triggers, packaging.Trigger{Kind: "triggerin", Script: packaging.Script{Body: body}})
			}
			withScript(packaging.PostRemove, body)(p)
			if got := Check(&Subject{Format: "rpm", Package: p}); len(got) > 10_000 {
				t.Errorf("%d findings", len(got))
			}
		})
	}
}
