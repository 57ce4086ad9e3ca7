package agent

import (
	"strings"
	"testing"
)

func TestParseActivationConfig(t *testing.T) {
	all := ActivationConfig{
		Server: "pce.example.com:8443", Proxy: "[fe80::1]:3128", Profile: "9223372036854775807", CAFile: "/etc/ca.pem", Insecure: true, Mode: ModeVisibility,
		Labels: Labels{Role: "Web Server", App: "a: b # c", Env: "Prüfung", Loc: "x"},
	}
	for _, tt := range []struct {
		name, text string
		want       ActivationConfig
		unknown    string
		err        []string // what the error says
	}{
		{name: "all", text: all.String(), want: all},
		{name: "least", text: "masterconfig_server: a:1", want: ActivationConfig{Server: "a:1"}},
		{name: "spaces, comments and DOS lines", text: "# c\r\n\r\n  masterconfig_server :  10.0.0.1:443 \r\n#x: y\r\n", want: ActivationConfig{Server: "10.0.0.1:443"}},
		{name: "unknown key", text: "masterconfig_server: a:1\n\nactivation_code: 1secret\n", want: ActivationConfig{Server: "a:1"}, unknown: "line 3: unknown key"},
		{name: "no colon", text: "masterconfig_server: a:1\n1secret\n", err: []string{"line 2: want key: value"}},
		{name: "twice", text: "masterconfig_server: a:1\nmasterconfig_server: b:1\n", err: []string{"line 2: masterconfig_server is there twice"}},
		{name: "nothing", text: "", err: []string{"masterconfig_server: no server is named"}},
		{name: "everything wrong", text: "masterconfig_server: https://a\nproxy_server: b\nprofile_id: 02\nca_file: ca.pem\ninsecure: yes\nenforcement_mode: enforced\n", err: []string{
			"masterconfig_server: \"https://a\": want HOST:PORT, without https://", "proxy_server: \"b\": want HOST:PORT",
			`profile_id: "02" is not the number of a profile`,
			"ca_file: \"ca.pem\" is not an absolute path", "insecure: \"yes\"", "enforcement_mode: \"enforced\" is none of idle,",
		}},
		{name: "control character", text: "masterconfig_server: a:1\nrole: a\x1b[2Jb\n", err: []string{`role: "a\x1b[2Jb" has a character`}},
		{name: "too long", text: "masterconfig_server: a:1\nrole: " + strings.Repeat("x", 1025), err: []string{"role: 1025 bytes"}},
		{name: "not UTF-8", text: "masterconfig_server: a:1\nrole: \xff", err: []string{"role: is not UTF-8"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, unknown, err := ParseActivationConfig([]byte(tt.text))
			for _, want := range tt.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v, want one with %q", err, want)
				}
			}
			if tt.err == nil && (err != nil || c != tt.want) {
				t.Errorf("got %+v, %v, want %+v", c, err, tt.want)
			}
			if got := strings.Join(unknown, ","); got != tt.unknown {
				t.Errorf("unknown is %q, want %q", got, tt.unknown)
			}
			if err != nil && strings.Contains(err.Error(), "1secret") {
				t.Errorf("a line that is no setting is in the error: %v", err)
			}
		})
	}
}

func TestActivationConfigString(t *testing.T) {
	const want = `# Written when the agent is activated: the server it belongs to and as what.
# One "key: value" a line. The activation code is never in this file.
masterconfig_server: pce.example.com:8443
insecure: true
role: Web Server
`
	c := ActivationConfig{Server: "pce.example.com:8443", Insecure: true, Labels: Labels{Role: "Web Server"}}
	if got := c.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCheckHostPort(t *testing.T) {
	for s, good := range map[string]bool{
		"a:1": true, "a-b.c_d.example:65535": true, "127.0.0.1:8443": true, "[::1]:443": true, "[fe80::1%eth0]:1": true,
		"": false, "a": false, "a:": false, ":1": false, "a:0": false, "a:65536": false, "a:+1": false, "a:01": false, "a:http": false,
		"::1:443": false, "a b:1": false, "-a:1": false, ".a:1": false, "a..b:1": false, "a/b:1": false, "u@a:1": false, "a:1/x": false,
		"http://a:1": false, strings.Repeat("a", 254) + ":1": false,
	} {
		if err := checkHostPort(s); (err == nil) != good {
			t.Errorf("%q: error %v", s, err)
		}
	}
}

// What is read is written so that it is read as the same, and holds what was checked.
func FuzzParseActivationConfig(f *testing.F) {
	f.Add([]byte("masterconfig_server: a:1\nrole: x y\ninsecure: true\n"))
	f.Add([]byte("masterconfig_server: [::1]:443\nproxy_server: b:2\nca_file: /c\nenforcement_mode: full\nloc: \xc3\xa4\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, _, err := ParseActivationConfig(text)
		if err != nil {
			return
		}
		again, unknown, err := ParseActivationConfig([]byte(c.String()))
		if err != nil || again != c || len(unknown) > 0 {
			t.Errorf("%+v is read back as %+v, %q, %v", c, again, unknown, err)
		}
	})
}

func TestPolicyValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    Policy
		err  string
	}{
		{"nftables", Policy{Version: "7", Mode: ModeFull, Format: FormatNftables, Nftables: "table inet a {}"}, ""},
		{"iptables, IPv6 alone", Policy{Version: "7", Mode: ModeSelective, Format: FormatIptables, IPv6: "*filter\nCOMMIT\n"}, ""},
		{"idle", Policy{Version: "7", Mode: ModeIdle}, ""},
		{"visibility without rules", Policy{Version: "7", Mode: ModeVisibility}, ""},
		{"no version", Policy{Mode: ModeIdle}, "version"},
		{"version of two words", Policy{Version: "7 8", Mode: ModeIdle}, "version"},
		{"unknown mode", Policy{Version: "7", Mode: "enforced"}, "none of idle"},
		{"unknown format", Policy{Version: "7", Mode: ModeFull, Format: "pf"}, "neither"},
		{"idle with rules", Policy{Version: "7", Mode: ModeIdle, Format: FormatNftables, Nftables: "x"}, "idle"},
		{"full without rules", Policy{Version: "7", Mode: ModeFull}, "has no rules"},
		{"format without rules", Policy{Version: "7", Mode: ModeFull, Format: FormatNftables}, "not of the format"},
		{"rules of the other format", Policy{Version: "7", Mode: ModeFull, Format: FormatNftables, IPv4: "x"}, "not of the format"},
		{"rules of both", Policy{Version: "7", Mode: ModeFull, Format: FormatNftables, Nftables: "x", IPv4: "x"}, "not of the format"},
		{"rules without format", Policy{Version: "7", Mode: ModeFull, IPv4: "x"}, "not of the format"},
		{"NUL", Policy{Version: "7", Mode: ModeFull, Format: FormatNftables, Nftables: "a\x00b"}, "not text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.p.Validate()
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error is %v, want %q", err, tt.err)
			}
		})
	}
}

func TestIdentityValidate(t *testing.T) {
	good := Identity{AgentID: "12", OrgID: "1", WorkloadUUID: "0f-a", Token: "t"}
	if err := good.validate(); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"", "..", ".", "a/b", "a?b", "a%2f", "a b", "a\nb", "a:b", strings.Repeat("a", 129)} {
		bad := good
		bad.AgentID = id
		if bad.validate() == nil {
			t.Errorf("agent id %q is taken", id)
		}
	}
	for _, token := range []string{"", "a b", "a\r\nX: y", "ä"} {
		bad := good
		bad.Token = token
		if bad.validate() == nil {
			t.Errorf("token %q is taken", token)
		}
	}
}
