package manifest

import (
	"fmt"
	"strings"
	"testing"
)

// small is the least that a manifest can be.
const small = `name: agent
version: 1.2.3-4
summary: an agent
license: Apache-2.0
maintainer: Ann Example <ann@example.com>
folders:
  program: /opt/agent
`

func TestParseSmall(t *testing.T) {
	m, err := Parse("vpkg.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(m.Name, " ", m.Version, " ", m.Description, " ", m.EnvPrefix, " ", m.Payload.Destination)
	if want := "agent 1.2.3-4 an agent AGENT /opt/agent"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseProblems(t *testing.T) {
	tests := []struct {
		name, add string
		want      string // one line each
	}{
		{"unknown key", "sumari: x", `vpkg.yaml:8:1: unknown key "sumari" (did you mean "summary"?)`},
		{"unknown key within", "contents:\n- destinasion: /a", "vpkg.yaml:9:3: unknown key \"destinasion\" (did you mean \"destination\"?)\nvpkg.yaml:9:3: contents[0] has no destination\nvpkg.yaml:9:3: contents[0] is a file and has no source"},
		{"wrong type", "requires_elf: maybe", "vpkg.yaml:8:15: requires_elf is text, want true or false"},
		{"number for text", "vendor: 5", "vpkg.yaml:8:9: vendor is the number 5, want text: put it in quotes"},
		{"list for text", "vendor: [a]", "vpkg.yaml:8:9: vendor is a list, want text"},
		{"text for list", "contents: x", "vpkg.yaml:8:11: contents is text, want a list"},
		{"text for mapping", "account: x", "vpkg.yaml:8:10: account is text, want keys and values"},
		{"bare mode", "contents:\n- {type: dir, destination: /a/b, mode: 0755}", `vpkg.yaml:9:40: mode 0755 is a bare number, want it in quotes: "0755"`},
		{"bad mode", "contents:\n- {type: dir, destination: /a/b, mode: '0789'}", `vpkg.yaml:9:40: mode "0789" is not three or four octal digits, such as "0644"`},
		{"destination twice", "contents:\n- {type: dir, destination: /a/b}\n- {type: dir, destination: /a/b}", "vpkg.yaml:10:28: contents[1].destination /a/b is that of contents[0] too"},
		{"relative path", "contents:\n- {type: dir, destination: a/b}", `vpkg.yaml:9:28: contents[0].destination "a/b" is a relative path, want an absolute one`},
		{"unclean path", "contents:\n- {type: dir, destination: /a/../b}", `vpkg.yaml:9:28: contents[0].destination "/a/../b": want a path without . and .. and without a slash at its end`},
		{"unknown label", "overrides:\n  ell8: {}", `vpkg.yaml:9:3: overrides: unknown target "ell8" (did you mean "el8"?)`},
		{"unknown family", "dependencies:\n  debian: {}", `vpkg.yaml:9:3: dependencies: unknown family "debian" (did you mean "debian10"?)`},
		{"key twice", "vendor: a\nvendor: b", `vpkg.yaml:9:1: key "vendor" is given twice, first in line 8`},
		{"syntax", "vendor: [a", "vpkg.yaml:8:9: sequence end token ']' not found"},
		{"two documents", "---\nname: b", "vpkg.yaml:9:1: manifest has 2 documents, want one"},
		{"alias without anchor", "vendor: *a", "vpkg.yaml:8:9: alias *a has no anchor before it"},
		{"alias of itself", "changelog: &a [*a]", "vpkg.yaml:8:15: changelog[0] is a list, want keys and values"},
		{"tag", "vendor: !!str 5", "vpkg.yaml:8:9: tag !!str: tags have no meaning here"},
		{"merge", "account: {<<: {user: x}}", "vpkg.yaml:8:10: account has no user\nvpkg.yaml:8:11: merging with << is not supported: repeat the keys, or use an alias for each value"},
		{"data in program", "account: {user: root}", "vpkg.yaml:8:10: account is root, which the system makes itself"},
		{"system folder", "contents:\n- {type: dir, destination: /usr/bin}", "vpkg.yaml:9:28: contents[0].destination /usr/bin is a system folder"},
		{"owner", "account: {user: svc}\ncontents:\n- {type: dir, destination: /a, owner: scv}", `vpkg.yaml:10:39: contents[0].owner "scv" is neither root nor the package's account nor one that every system has (did you mean "svc"?)`},
		{"link without target", "contents:\n- {type: symlink, destination: /a}", "vpkg.yaml:9:3: contents[0] is a symlink and has no target"},
		{"target of a file", "contents:\n- {source: a, destination: /a, target: b}", "vpkg.yaml:9:40: contents[0] is a file, for which target means nothing"},
		{"two sources", "contents:\n- {source: a, template: b, destination: /a}", "vpkg.yaml:9:12: contents[0]: want only one of source, template and program"},
		{"mode of a tree", "contents:\n- {type: tree, source: a, destination: /a, mode: '0755'}", "vpkg.yaml:9:50: contents[0] is a tree, for which mode means nothing: use attributes"},
		{"unit", "services: [{name: agent, source: a}]", `vpkg.yaml:8:19: services[0].name "agent" is not a unit's name with its suffix, such as agent.service`},
		{"unit without a file", "services: [{name: agent.service}]", "vpkg.yaml:8:12: services[0]: want either source or template"},
		{"sysctl", "sysctls: [{name: x, value: '1'}]", `vpkg.yaml:8:18: sysctls[0].name "x": want words with dots between them, such as net.ipv4.ip_forward, each name once`},
		{"common relation", "dependencies: {common: {requires: ['a | b']}}", `vpkg.yaml:8:36: dependencies.common.requires[0]: relation "a | b" is not NAME, or NAME >= VERSION, as common ones are`},
		{"pattern", "payload: {attributes: [{match: '/bin'}]}", `vpkg.yaml:8:32: payload.attributes[0].match "/bin": want a path relative to the tree, in its shortest form`},
		{"compression", "compression: zip", `vpkg.yaml:8:14: compression "zip" is not zstd, gzip, xz or none`},
		{"level", "compression: gzip:11", `vpkg.yaml:8:14: compression "gzip:11": the levels of gzip are 1 to 9`},
		{"date", "date: yesterday", `vpkg.yaml:8:7: date "yesterday" is neither YYYY-MM-DD nor YYYY-MM-DDTHH:MM:SSZ`},
		{"date too late", "date: 2200-01-01", "vpkg.yaml:8:7: date 2200-01-01T00:00:00Z does not fit in the 32 bits that packages have for it"},
		{"takeover", "firewall: {takeover: now}", `vpkg.yaml:8:22: takeover "now" is neither on-start nor on-activation`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("vpkg.yaml", []byte(small+tt.add+"\n"))
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got  %s\nwant %s", strings.ReplaceAll(got, "\n", "\n     "), strings.ReplaceAll(tt.want, "\n", "\n     "))
			}
		})
	}
}
