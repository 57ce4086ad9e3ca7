package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// All problems are told at once, in the order of their places, and what is
// wrong in one value is not told again for what depends on it.
func TestParseProblemsTogether(t *testing.T) {
	const text = `name: Agent
version: 1.2
summary: two
  lines.
license: ""
maintainer: nobody
homepage: example.com
folders:
  program: /opt
  data: /opt/agent
  extra: [{path: /var/log}, {path: /opt/agent}, {path: var}]
account: {user: Svc, home: /}
date: [1]
env_prefix: agent
contents:
- {source: a, destination: /opt/agent/x, mode: 420}
`
	const want = `vpkg.yaml:1:7: name "Agent": want lower case letters, digits and + - ., a letter or digit first, at least two
vpkg.yaml:2:10: version is the number 1.2, want text: put it in quotes
vpkg.yaml:3:10: summary "two lines.": want no final period
vpkg.yaml:5:10: license is empty
vpkg.yaml:6:13: maintainer "nobody": want NAME <MAIL>
vpkg.yaml:7:11: homepage "example.com": want an address that begins with https:// or http://
vpkg.yaml:9:12: folders.program /opt is a system folder
vpkg.yaml:10:9: folders.data /opt/agent and folders.program /opt lie in one another
vpkg.yaml:11:18: folders.extra[0].path /var/log is a system folder
vpkg.yaml:11:36: folders.extra[1].path /opt/agent lies in the program folder, where the package owns everything: use contents
vpkg.yaml:11:36: folder /opt/agent is given twice
vpkg.yaml:11:56: folders.extra[2].path "var" is a relative path, want an absolute one
vpkg.yaml:12:17: account.user "Svc": want lower case letters, digits, _ and -, at most 31, a letter or _ first
vpkg.yaml:13:7: date is a list, want text
vpkg.yaml:14:13: env_prefix "agent": want upper case letters, digits and _
vpkg.yaml:16:28: contents[0].destination /opt/agent/x lies in the data folder, which is made by the hook and not by the package
vpkg.yaml:16:48: mode 420 is a bare number, want it in quotes: "420"`
	_, err := Parse("vpkg.yaml", []byte(text))
	if err == nil {
		t.Fatal("no error")
	}
	if d := cmp.Diff(want, err.Error()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// The beginning of a manifest's Windows, and what has to be in it.
const (
	windows  = "windows:\n  program: /Program Files/A\n"
	identity = "  product_name: A\n  upgrade_code: '{12345678-1234-1234-1234-123456789ABC}'\n"
)

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
		{"bad version", "changelog: [{version: 1.2, date: 2026-01-01, changes: [a]}]", "vpkg.yaml:8:23: changelog[0].version is the number 1.2, want text: put it in quotes"},
		{"changelog order", "changelog: [{version: 1.2.3-4, date: 2026-01-01, changes: [a]}, {version: 1.2.3-3, date: 2026-01-02, changes: [a]}]", "vpkg.yaml:8:90: changelog[1].date is later than the one before: want the newest first"},
		{"component", "components: [{name: 1a}, {name: a, program: ../a}]", "vpkg.yaml:8:21: components[0].name \"1a\": want letters, digits and _ -, a letter first, each name once\nvpkg.yaml:8:45: components[1].program \"../a\": want a path relative to the program folder"},
		{"account is root", "account: {user: root}", "vpkg.yaml:8:10: account is root, which the system makes itself"},
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
		{"compression", "compression: zip", `vpkg.yaml:8:14: compression "zip" is not zstd, gzip, xz, mszip or none`},
		{"level", "compression: gzip:11", `vpkg.yaml:8:14: compression "gzip:11": the levels of gzip are 1 to 9`},
		{"date", "date: yesterday", `vpkg.yaml:8:7: date "yesterday" is neither YYYY-MM-DD nor YYYY-MM-DDTHH:MM:SSZ`},
		{"date too late", "date: 2200-01-01", "vpkg.yaml:8:7: date 2200-01-01T00:00:00Z does not fit in the 32 bits that packages have for it"},
		{"windows without", "windows: {product_name: A}", "vpkg.yaml:8:10: windows has no upgrade_code\nvpkg.yaml:8:10: windows has no program"},
		{"windows names", windows + "  product_name: '[A]'\n  upgrade_code: '{1}'", "vpkg.yaml:10:17: windows.product_name \"[A]\": want 1 to 63 characters without brackets\nvpkg.yaml:11:17: windows.upgrade_code \"{1}\": want a GUID in capitals with braces, such as {12345678-1234-1234-1234-123456789ABC}"},
		{"windows folders", windows + identity + "  data: /Data\n  folders: [/ProgramData/x]", "vpkg.yaml:12:9: windows.data \"/Data\": want a path below /ProgramData/\nvpkg.yaml:13:13: windows.folders[0] \"/ProgramData/x\": want a path in windows.data"},
		{"windows services", windows + identity + "  services:\n  - {name: a b, program: a, args: ['\"'], start: soon, restart: [1ms]}\n  - {name: A, program: a.exe, account: LocalService}\n  - {name: a, program: a.exe}", "vpkg.yaml:13:12: windows.services[0].name \"a b\": want letters, digits and . _ -, a letter first, at most 80\nvpkg.yaml:13:26: windows.services[0].program \"a\": want a .exe relative to the program folder\nvpkg.yaml:13:36: windows.services[0].args[0] \"\\\"\": has a quote, a new line or a backslash at its end\nvpkg.yaml:13:49: start \"soon\" is not auto, delayed, demand or disabled\nvpkg.yaml:13:65: time \"1ms\" is not whole seconds of at most a day, such as 90s or 1m\nvpkg.yaml:14:40: windows.services[1].account \"LocalService\": want LocalSystem, or a domain and a name, such as NT AUTHORITY\\LocalService\nvpkg.yaml:15:12: service a is given twice"},
		{"windows registry", windows + identity + "  registry:\n  - {key: HKLM\\x, type: dword, value: x}\n  environment:\n  - {name: 1, value: '', action: add}", `vpkg.yaml:13:11: windows.registry[0].key "HKLM\\x": want a key below HKEY_LOCAL_MACHINE, such as Software\Example
vpkg.yaml:13:39: windows.registry[0].value "x" is not a whole number of 32 bits
vpkg.yaml:15:12: windows.environment[0].name is the number 1, want text: put it in quotes
vpkg.yaml:15:22: windows.environment[0].value is empty
vpkg.yaml:15:34: action "add" is not set, append or prepend`},
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
