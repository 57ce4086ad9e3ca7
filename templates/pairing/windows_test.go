package pairing

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vpkg/vpkg/internal/oracle"
)

const wantWindows = `PowerShell -Command "& {Set-ExecutionPolicy -Scope process remotesigned -Force; Start-Sleep -s 3; ` +
	`Set-Variable -Name ErrorActionPreference -Value SilentlyContinue; ` +
	`[System.Net.ServicePointManager]::SecurityProtocol=[Enum]::ToObject([System.Net.SecurityProtocolType], 3072); ` +
	`Set-Variable -Name ErrorActionPreference -Value Continue; ` +
	`(New-Object System.Net.WebClient).DownloadFile('https://example.com:8443/api/v18/software/ven/image?pair_script=pair.ps1&profile_id=1', (echo $env:windir\temp\pair.ps1)); ` +
	`& $env:windir\temp\pair.ps1 -management-server example.com:8443 -activation-code 1abc }"`

func TestWindowsLine(t *testing.T) {
	l := Line{API: 18, Server: "example.com:8443", Profile: 1, Code: "1abc"}
	if got := l.Windows(); got != wantWindows {
		t.Errorf("the line is\n%s\nwant\n%s", got, wantWindows)
	}
	for _, hostile := range append([]string{"", "a'b", "%PATH%", "$x", "a^b", "a\u2019b", "\u201c", "a`b", "a,b", "@a", "{1}"}, hostile...) {
		if hostile == "--" || hostile == "-e" {
			continue // plain, and in quotes
		}
		for _, l := range []Line{{API: 18, Server: hostile, Code: "1"}, {API: 18, Server: "a:1", Code: hostile}} {
			if got := l.Windows(); got != "" {
				t.Errorf("%q gets the line %s", hostile, got)
			}
		}
	}
	// What PowerShell would read as a number, an option or a type.
	for _, code := range []string{"0123", "12e4", "1kb", "0x12", "-e", "--", "[int]"} {
		if got := (Line{API: 18, Server: "a:1", Code: code}).Windows(); !strings.HasSuffix(got, " -activation-code '"+code+"' }\"") {
			t.Errorf("%q is not in quotes: %s", code, got)
		}
	}
}

// TestWindowsLineTrust: the steps of the line with a CA are in an order in which
// nothing is trusted that was not checked.
func TestWindowsLineTrust(t *testing.T) {
	sum := strings.Repeat("0123456789abcdef", 4)
	got := Line{API: 18, Server: "example.com:8443", Profile: 1, Code: "1abc", CA: sum}.Windows()
	rest := got
	for _, step := range []string{
		"ErrorActionPreference -Value Stop; ", ".ConnectionLeaseTimeout=0; ", "ServerCertificateValidationCallback={1}; ",
		".DownloadData('https://example.com:8443/ca.crt')", "ServerCertificateValidationCallback=(Get-Variable -Name null -ValueOnly); ",
		"SHA256]::Create()", " -ne '" + sum + "') {throw ", "X509Store('Root', 'LocalMachine')", ".Add(", ".Close(); (New-Object System.Net.WebClient).DownloadFile(",
	} {
		_, after, ok := strings.Cut(rest, step)
		if !ok {
			t.Fatalf("there is no %q where it should be in\n%s", step, got)
		}
		rest = after
	}
	// A dollar is for the two paths, which are the same in both PowerShells; a second
	// pair of double quotes, a percent sign or a line's end would end the line.
	if n := strings.Count(got, "$"); n != strings.Count(got, `$env:windir\temp\pair.ps1`) || n != 2 || strings.Count(got, `"`) != 2 || strings.ContainsAny(got, "%`\n^!") {
		t.Errorf("a shell would change the line\n%s", got)
	}
	if (Line{API: 18, Server: "a:1", Code: "1", CA: "x' -ne 'x"}).Windows() != "" {
		t.Error("a hostile sum gets a line")
	}
}

func TestWindowsGolden(t *testing.T) { golden(t, "pair.ps1", example().Windows()) }

// TestWindowsScript: PowerShell 5.1 reads a file without a mark in the code page of the
// machine, and pair.ps1 has names and values that get in from outside.
func TestWindowsScript(t *testing.T) {
	text := string(example().Windows())
	if !regexp.MustCompile(`\A[\t\n -~]*\z`).MatchString(text) {
		t.Error("it is not ASCII")
	}
	if !strings.Contains(text, "    ,@('x64', '25.2.20-10.windows', 'illumio-ven-25.2.20-10.windows.x64.msi', 4000016, '"+strings.Repeat("0123456789abcdef", 4)+"')\n)\n") || strings.Contains(text, ".rpm") {
		t.Error("its list is not of the packages for Windows")
	}
	s := example()
	s.Version = "1'; exit"
	if got := string(s.Windows()); !strings.HasPrefix(got, "# error: ") || !strings.HasSuffix(got, "exit 1\n") {
		t.Errorf("a version that is none gets\n%s", got)
	}
}

// readPS reads a literal in single quotes as PowerShell does, and gives what follows:
// it ends with any of its single quotes that is not there twice.
func readPS(text string) (value, rest string, ok bool) {
	single := func(s string) int {
		for _, q := range []string{"'", "\u2018", "\u2019", "\u201a", "\u201b"} {
			if strings.HasPrefix(s, q) {
				return len(q)
			}
		}
		return 0
	}
	n := single(text)
	if n == 0 {
		return "", text, false
	}
	text = text[n:]
	for text != "" {
		if n := single(text); n > 0 {
			if single(text[n:]) == 0 {
				return value, text[n:], true
			}
			value += text[:n] // of the two it keeps the first
			text = text[n+single(text[n:]):]
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		value, text = value+text[:size], text[size:]
	}
	return value, "", false
}

func FuzzQuotePS(f *testing.F) {
	for _, s := range append([]string{"", "''", "a\u2018; exit \u2019", "\u201a\u201b'", "'\u2019"}, hostile...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		value, rest, ok := readPS(quotePS(s))
		if !ok || value != s || rest != "" {
			t.Errorf("%q is quoted as %q and read as %q, with %q left", s, quotePS(s), value, rest)
		}
	})
}

// fetchParser returns the folder in the cache that has the parser of PowerShell, which
// npm fills if it is not there. The tests themselves have no network.
func fetchParser(ctx context.Context) (string, error) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("%s is not installed", tool)
		}
	}
	cache := os.Getenv("VPKG_TEST_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(user, "vpkg-test")
	}
	list, err := os.ReadFile("testdata/powershell/package.json")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tree-sitter-powershell")
	if old, err := os.ReadFile(filepath.Join(dir, "package.json")); err == nil && string(old) == string(list) {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	// Whole or not at all, for others may do the same.
	made, err := os.MkdirTemp(cache, "npm-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(made)
	if err := os.WriteFile(filepath.Join(made, "package.json"), list, 0o644); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--legacy-peer-deps", "--fetch-retries=1")
	npm.Dir, npm.WaitDelay = made, time.Second
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm cannot get the parser of PowerShell: %w\n%s", err, out)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.Rename(made, dir)
}

// parser gives a function that says where the PowerShell in a text is none. It is
// tree-sitter's grammar: a second opinion, not PowerShell's own.
func parser(t *testing.T) func(text string) string {
	t.Helper()
	dir, err := fetchParser(t.Context())
	if err != nil {
		oracle.Skip(t, err.Error())
	}
	program, err := filepath.Abs("testdata/powershell/check.js")
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "text.ps1")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		node := exec.CommandContext(t.Context(), "node", program, file)
		node.Dir = dir
		out, err := node.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.ReplaceAll(string(out), file, "pair.ps1")
	}
}

func TestWindowsSyntax(t *testing.T) {
	check := parser(t)
	script := string(example().Windows())
	for name, text := range map[string]string{
		"pair.ps1":           script,
		"a refusal":          string(Refusal("pair.ps1", "it's no 'profile'")),
		"the line":           inner(Line{API: 18, Server: "a:1", Profile: 1, Code: "1abc"}),
		"the line with a CA": inner(Line{API: 18, Server: "a:1", Code: "1", CA: strings.Repeat("a", 64)}),
	} {
		if said := check(text); said != "" {
			t.Errorf("%s is not PowerShell:\n%s", name, said)
		}
	}
	// The parser is slow, so it is the beginning of the script that is broken.
	head, _, _ := strings.Cut(script, "function Say(")
	broken := strings.Replace(head, "function Note([string]$text) {", "function Note([string]$text)", 1)
	if broken == head || check(head) != "" || check(broken) == "" {
		t.Error("a script with a brace less goes through")
	}
}

// inner is what the PowerShell that the line starts is given.
func inner(l Line) string {
	text := strings.TrimPrefix(l.Windows(), `PowerShell -Command "`)
	return strings.ReplaceAll(strings.TrimSuffix(text, `"`), "$env:windir", `C:\Windows`)
}
