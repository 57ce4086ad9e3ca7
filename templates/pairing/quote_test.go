package pairing

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
)

var shells = [][]string{{"dash"}, {"bash", "--posix"}, {"bash"}, {"busybox", "sh"}}

// hostile are values that would get out of a quotation that is not one.
var hostile = []string{
	"a b", "'", `"`, `\`, "`id`", "$(id)", "${HOME}", `a\`, "a;id", "a&&id", "a|id", "*", "~", "#", "!x", "-e", "--", "a\nb", "a\tb", "{a,b}", "ü", "\x80",
}

// words has a shell read a command and tell its words.
func words(t *testing.T, shell []string, text string) []string {
	t.Helper()
	out, err := exec.Command(shell[0], append(slices.Clone(shell[1:]), "-c", "printf '%s\\0' "+text)...).Output()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func installed(t *testing.T) (found [][]string) {
	t.Helper()
	for _, shell := range shells {
		if _, err := exec.LookPath(shell[0]); err == nil {
			found = append(found, shell)
		}
	}
	if len(found) == 0 {
		oracle.Skip(t, "neither dash nor bash nor busybox is installed")
	}
	return found
}

func TestQuote(t *testing.T) {
	for _, shell := range installed(t) {
		for _, s := range append(hostile, "") {
			if got := words(t, shell, quote(s)); len(got) != 1 || got[0] != s {
				t.Errorf("%q: %q is read as %q", shell, s, got)
			}
			if got := words(t, shell, doubleQuote(s)); len(got) != 1 || got[0] != s {
				t.Errorf("%q: %q in double quotes is read as %q", shell, s, got)
			}
		}
	}
}

func FuzzQuote(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\x00") {
			t.Skip("a shell has no such word")
		}
		shell := installed(t)[0]
		for _, q := range []string{quote(s), doubleQuote(s)} {
			if got := words(t, shell, q); len(got) != 1 || got[0] != s {
				t.Errorf("%q is quoted as %q and read as %q", s, q, got)
			}
		}
	})
}

// noServers are none, to the programs and to pair.sh.
var noServers = []string{
	"https://pce:8443", "pce", "pce:0", "pce:65536", "pce:08443", "p ce:1", "h_ü:1", "-pce:1", "p..ce:1", "$(id):1", "::1:1", "[x]:1", "[1]:1",
	strings.Repeat("p", 254) + ":1",
}

func TestIsServer(t *testing.T) {
	for _, s := range append(noServers, "", ":1", "pce:1\n") {
		if IsServer(s) {
			t.Errorf("%q is taken for a server", s)
		}
	}
	for _, s := range []string{"my-p_ce.x.test:65535", "p:1", "192.0.2.1:8443", "[::1]:8443", "[::ffff:192.0.2.1]:443", strings.Repeat("p", 253) + ":1"} {
		if !IsServer(s) {
			t.Errorf("%q is not taken for a server", s)
		}
	}
}

const wantLine = `rm -fr /opt/illumio_ven_data/tmp && umask 026 && mkdir -p /opt/illumio_ven_data/tmp && ` +
	`curl --tlsv1 "https://example.com:8443/api/v18/software/ven/image?pair_script=pair.sh&profile_id=2" -o /opt/illumio_ven_data/tmp/pair.sh && ` +
	`chmod +x /opt/illumio_ven_data/tmp/pair.sh && /opt/illumio_ven_data/tmp/pair.sh --management-server example.com:8443 --activation-code 1a2b`

// The line is the installation guide's, letter by letter.
func TestLineLinux(t *testing.T) {
	l := Line{API: 18, Server: "example.com:8443", Profile: 2, Code: "1a2b"}
	if got := l.Linux(); got != wantLine {
		t.Errorf("got\n%s\nwant\n%s", got, wantLine)
	}
	l.API, l.Profile, l.Server = 27, 0, "[::1]:443"
	if got := l.Linux(); !strings.Contains(got, `"https://[::1]:443/api/v27/software/ven/image?pair_script=pair.sh" -o`) ||
		!strings.Contains(got, ` --management-server '[::1]:443' `) {
		t.Errorf("another server: %s", got)
	}
	l.CA = strings.Repeat("0a", 32)
	steps := strings.Split(l.Linux(), " && ")
	want := []string{
		`curl --tlsv1 --insecure "https://[::1]:443/ca.crt" -o /opt/illumio_ven_data/tmp/ca.crt`,
		`echo "` + l.CA + `  /opt/illumio_ven_data/tmp/ca.crt" | sha256sum -c`,
		`curl --tlsv1 --cacert /opt/illumio_ven_data/tmp/ca.crt "https://[::1]:443/api/v27/software/ven/image?pair_script=pair.sh" -o /opt/illumio_ven_data/tmp/pair.sh`,
	}
	if len(steps) != 8 || !slices.Equal(steps[3:6], want) || !strings.HasSuffix(steps[7], " --ca-file /opt/illumio_ven_data/tmp/ca.crt") {
		t.Errorf("with an authority: %q", steps)
	}
}

// Whatever the values are, the line has the words that it is to have.
func TestLineHostile(t *testing.T) {
	for _, s := range hostile {
		l := Line{API: 18, Server: s, Profile: 2, Code: s, CA: s}.Linux()
		_, last, _ := strings.Cut(l, " && chmod +x /opt/illumio_ven_data/tmp/pair.sh && ")
		want := []string{tmp + "/pair.sh", "--management-server", s, "--activation-code", s, "--ca-file", tmp + "/ca.crt"}
		if got := words(t, installed(t)[0], last); !slices.Equal(got, want) {
			t.Errorf("%q: the last command is %q", s, got)
		}
	}
}

// A script that is refused does nothing but say so, also if a shell gets it by a pipe.
func TestRefusal(t *testing.T) {
	for _, s := range append(hostile, "there is no profile 7") {
		for _, shell := range installed(t) {
			cmd := exec.Command(shell[0], shell[1:]...)
			cmd.Stdin = strings.NewReader(string(Refusal("pair.sh", s)) + "echo went on\n")
			out, err := cmd.CombinedOutput()
			ee := new(exec.ExitError)
			want := "pair.sh: " + strings.Map(func(r rune) rune {
				if r < ' ' || r > '~' {
					return '?'
				}
				return r
			}, s) + "\n"
			if !errors.As(err, &ee) || ee.ExitCode() != 1 || string(out) != want {
				t.Errorf("%q, %q: %v\n%s", shell, s, err, out)
			}
		}
		// In PowerShell, '' is the only thing that is special within single quotes.
		form := regexp.MustCompile(`^# error: [ -~]*\n\[Console\]::Error\.WriteLine\('pair\.ps1: ([ -&(-~]|'')*'\)\nexit 1\n$`)
		if got := Refusal("pair.ps1", s); !form.Match(got) {
			t.Errorf("%q: %s", s, got)
		}
	}
}

// Nothing that is not what it stands for gets into a script.
func TestScriptHostile(t *testing.T) {
	for _, s := range append(hostile, "", "END", "x\nEND\nid", "-x", "a/b", strings.Repeat("x", 256)) {
		for name, set := range map[string]func(*Script){
			"product": func(p *Script) { p.Product = s },
			"version": func(p *Script) { p.Version = s },
			"system":  func(p *Script) { p.Images[3].OS = s },
			"arch":    func(p *Script) { p.Images[3].Arch = s },
			"package": func(p *Script) { p.Images[3].Version = s },
			"file":    func(p *Script) { p.Images[3].FileName = s },
			"sha256":  func(p *Script) { p.Images[3].SHA256 = s },
		} {
			if s == "END" && name != "sha256" { // a word as any other: no line begins and ends with it
				continue
			}
			script := example()
			set(&script)
			if got := string(script.Linux()); !strings.HasPrefix(got, "#!/bin/sh\n# error: this server cannot make the script: ") {
				t.Errorf("%s %q: it is rendered", name, s)
			}
		}
	}
}

// A download that was cut off anywhere does nothing: the shell stops at an error, or
// finds functions that nobody calls.
func TestCutScript(t *testing.T) {
	text := string(example().Linux())
	for _, shell := range installed(t) {
		for n := 0; n < len(text)-len("main \"$@\"\n"); n += 997 {
			cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), "-s", "--", "--help")...)
			cmd.Stdin = strings.NewReader(text[:n])
			if out, _ := cmd.Output(); len(out) > 0 {
				t.Fatalf("%q: of %d bytes something is run: %s", shell, n, out)
			}
		}
		cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), "-s", "--", "--help")...)
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", shell, err)
		}
		golden(t, "pair.sh.help", out)
	}
}

func TestShellcheck(t *testing.T) {
	oracle.Need(t, "shellcheck")
	cmd := exec.Command("shellcheck", "--shell=sh", "-")
	cmd.Stdin = strings.NewReader(string(example().Linux()))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The help and docs/pairing.md tell the same about how the script ends, and what they
// tell of are the statuses that it ends with.
func TestExitStatuses(t *testing.T) {
	text := string(example().Linux())
	doc, err := os.ReadFile("../../docs/pairing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, help, _ := strings.Cut(text, "\nExit status:\n")
	help, _, _ = strings.Cut(help, "\nIf the installation fails")
	var told []string
	for line := range strings.Lines(help) {
		status, means, _ := strings.Cut(strings.TrimSpace(line), "  ")
		told = append(told, strings.Split(status, ", ")...)
		if row := "| " + status + " | " + strings.TrimSpace(means) + " |"; !strings.Contains(strings.ReplaceAll(string(doc), "`", ""), row) {
			t.Errorf("docs/pairing.md has no row %q", row)
		}
	}
	used := map[string]bool{"0": true}
	for _, m := range regexp.MustCompile(`(?m)(?:fail|problem|exit) ([0-9]+)\b`).FindAllStringSubmatch(text, -1) {
		used[m[1]] = true
		if !slices.Contains(told, m[1]) {
			t.Errorf("it ends with %s, of which the help does not tell", m[1])
		}
	}
	for _, s := range told {
		if !used[s] {
			t.Errorf("the help tells of %s, with which it never ends", s)
		}
	}
}
