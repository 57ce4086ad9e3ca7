//go:build linux

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/agent"
)

func TestParseOptions(t *testing.T) {
	for _, tt := range []struct {
		name, args string // words are separated by |
		want       activateOptions
		err        string
	}{
		{name: "none", want: activateOptions{timeout: time.Minute}},
		{name: "all", args: "--management-server|a:1|--activation-code-file|-|--ca-file|/c|--proxy-server|p:2|--profile-id|2|--insecure|--enforcement-mode|full|--role|Web Server|--app|a|--env|-e|--loc|l|--timeout|90", want: activateOptions{
			config: agent.ActivationConfig{
				Server: "a:1", CAFile: "/c", Proxy: "p:2", Profile: "2", Insecure: true, Mode: "full",
				Labels: agent.Labels{Role: "Web Server", App: "a", Env: "-e", Loc: "l"},
			},
			codeFile: "-", timeout: 90 * time.Second,
		}},
		{name: "underscores, = and one dash", args: "--management_server=a:1|-activation_code_file=/my_code|--enforcement_mode|visibility_only|--role=my_role", want: activateOptions{
			config:   agent.ActivationConfig{Server: "a:1", Mode: "visibility_only", Labels: agent.Labels{Role: "my_role"}},
			codeFile: "/my_code", timeout: time.Minute,
		}},
		{name: "short", args: "-m|a:1|--timeout=2m", want: activateOptions{config: agent.ActivationConfig{Server: "a:1"}, timeout: 2 * time.Minute}},
		{name: "code", args: "--activation-code|1secret", err: "pass it by --activation-code-file or standard input"},
		{name: "code with =", args: "--activation_code=1secret", err: "pass it by --activation-code-file or standard input"},
		{name: "code, short", args: "-a|1secret", err: "pass it by --activation-code-file or standard input"},
		{name: "code, shorter", args: "-a1secret", err: "pass it by --activation-code-file or standard input"},
		{name: "code alone", args: "1secret", err: "takes only options"},
		{name: "dash alone", args: "--|1secret", err: "takes only options"},
		{name: "unknown", args: "--mode|idle", err: `unknown option "--mode"`},
		{name: "no value", args: "--role", err: "--role wants a value"},
		{name: "empty value", args: "--role=|--insecure", err: "--role wants a value"},
		{name: "value for a switch", args: "--insecure=false", err: "--insecure takes no value"},
		{name: "twice", args: "--role|a|--role|b", err: "--role is there twice"},
		{name: "no time", args: "--timeout|soon", err: `--timeout "soon": want a time from 1s to 1h`},
		{name: "no time at all", args: "--timeout|0", err: "want a time from 1s to 1h"},
		{name: "for ever", args: "--timeout|2h", err: "want a time from 1s to 1h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var args []string
			if tt.args != "" {
				args = strings.Split(tt.args, "|")
			}
			got, err := parseOptions(args)
			if tt.err == "" {
				if err != nil || !reflect.DeepEqual(got, tt.want) {
					t.Errorf("got  %+v, %v\nwant %+v", got, err, tt.want)
				}
				return
			}
			if _, ok := errors.AsType[misuse](err); !ok || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "1secret") {
				t.Errorf("error is %v, want %q", err, tt.err)
			}
		})
	}
	if o, err := parseOptions([]string{"--ca-file", "ca.pem"}); err != nil || !filepath.IsAbs(o.config.CAFile) {
		t.Errorf("relative file: %q, %v", o.config.CAFile, err)
	}
}

func TestNewCode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(file, []byte("  1file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, file, variable, stdin, want, err string }{
		{name: "nowhere", stdin: "1stdin"},
		{name: "file", file: file, variable: "1variable", want: "1file"},
		{name: "standard input", file: "-", variable: "1variable", stdin: "1stdin\n", want: "1stdin"},
		{name: "variable", variable: "1variable", want: "1variable"},
		{name: "empty", file: "-", err: "is empty"},
		{name: "two words", file: "-", stdin: "1stdin 2", err: "is not one word"},
		{name: "endless", file: "/dev/zero", err: "is not one word"},
		{name: "no file", file: "/nonexistent", err: "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newCode(tt.file, tt.variable, strings.NewReader(tt.stdin))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error is %v, want %q", err, tt.err)
			}
			if got != tt.want {
				t.Errorf("code is %q, want %q", got, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "1stdin") {
				t.Errorf("the code is in the error %v", err)
			}
		})
	}
}

func TestTakeVariables(t *testing.T) {
	t.Setenv("VEN_ACTIVATION_CODE", "1secret")
	t.Setenv("VEN_MANAGEMENT_SERVER", "a:1")
	v, err := takeVariables("VEN_")
	if err != nil || v != (variables{"a:1", "1secret"}) {
		t.Errorf("got %v, %v", v, err)
	}
	if s := os.Getenv("VEN_ACTIVATION_CODE"); s != "" {
		t.Error("a child would have the code")
	}
}

// net/http reads the variables once in a process, so there is one case for each.
func TestProxyOf(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"} {
		t.Setenv(name, "")
	}
	t.Setenv("HTTPS_PROXY", "http://user:1secret@proxy.example:3128")
	t.Setenv("NO_PROXY", ".direct.example")
	if proxy, err := proxyOf("pce.direct.example:8443"); proxy != "" || err != nil {
		t.Errorf("excepted server: %q, %v", proxy, err)
	}
	if _, err := proxyOf("pce.example.com:8443"); err == nil || strings.Contains(err.Error(), "1secret") {
		t.Errorf("proxy with a password: %v", err)
	}
}

func TestOSID(t *testing.T) {
	for _, tt := range []struct{ name, release, arch, want string }{
		{"Debian", "PRETTY_NAME=\"Debian GNU/Linux 13\"\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\nID=debian\n", "amd64", "debian-x86_64-13"},
		{"Alma", "ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID='8.10'\n", "arm64", "almalinux-aarch64-8.10"},
		{"no version", "ID=arch\n", "riscv64", "arch-riscv64"},
		{"codename alone", "ID=debian\nVERSION_CODENAME=sid\n", "386", "debian-i686-sid"},
		{"nothing", "", "amd64", "linux-x86_64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := osID(strings.NewReader(tt.release), tt.arch); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	if got := formats(a, b); got != nil {
		t.Errorf("without tools: %q", got)
	}
	for _, file := range []string{filepath.Join(a, "iptables-restore"), filepath.Join(b, "iptables-restore"), filepath.Join(b, "nft")} {
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got := formats(a, b); !reflect.DeepEqual(got, []string{"nftables", "iptables"}) {
		t.Errorf("got %q", got)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range []string{"", "nonsense", "activate 1secret", "deactivate --now", "component", "component a b", "monitor", "version now"} {
		var stderr strings.Builder
		if status := run(t.Context(), append([]string{"/x/vpkg-agent"}, strings.Fields(args)...), console{strings.NewReader(""), io.Discard, &stderr}); status != 2 || strings.Contains(stderr.String(), "1secret") {
			t.Errorf("%q: status %d, %s", args, status, &stderr)
		}
	}
}
