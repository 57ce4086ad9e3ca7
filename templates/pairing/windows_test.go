package pairing

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vpkg/vpkg/internal/oracle"
)

const wantWindows = `PowerShell -Command "& {Set-ExecutionPolicy -Scope process remotesigned -Force; Start-Sleep -s 3; ` +
	`Set-Variable -Name ErrorActionPreference -Value SilentlyContinue; ` +
	`[System.Net.ServicePointManager]::SecurityProtocol=[Enum]::ToObject([System.Net.SecurityProtocolType], 3072); ` +
	`Set-Variable -Name ErrorActionPreference -Value Stop; ` +
	`if (Test-Path $env:windir\temp\pair.ps1) {Remove-Item -Force $env:windir\temp\pair.ps1}; ` +
	`[void](New-Item -ItemType File $env:windir\temp\pair.ps1); ` +
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
		"SHA256]::Create()", " -ne '" + sum + "') {throw ", "X509Store('Root', 'LocalMachine')", ".Add(", ".Close(); if (Test-Path ", "(New-Object System.Net.WebClient).DownloadFile(",
	} {
		_, after, ok := strings.Cut(rest, step)
		if !ok {
			t.Fatalf("there is no %q where it should be in\n%s", step, got)
		}
		rest = after
	}
	// A dollar is for the paths, which are the same in both PowerShells; a second
	// pair of double quotes, a percent sign or a line's end would end the line.
	if n := strings.Count(got, "$"); n != strings.Count(got, `$env:windir\temp\pair.ps1`) || n != 5 || strings.Count(got, `"`) != 2 || strings.ContainsAny(got, "%`\n^!") {
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
	if !strings.Contains(text, "    ,@('x64', 'illumio-ven-25.2.20-10.windows.x64.msi', 4000016, '"+strings.Repeat("0123456789abcdef", 4)+"')\n)\n") || strings.Contains(text, ".rpm") {
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

// notPowerShell says of each text where the PowerShell in it is none. It is
// tree-sitter's grammar: a second opinion, not PowerShell's own.
func notPowerShell(t *testing.T, texts map[string]string) (said map[string]string) {
	t.Helper()
	parser, err := fetchParser(t.Context())
	if err != nil {
		oracle.Skip(t, err.Error())
	}
	program, err := filepath.Abs("testdata/powershell/check.js")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	argv := []string{program}
	for name, text := range texts {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		argv = append(argv, file)
	}
	node := exec.CommandContext(t.Context(), "node", argv...) // takes seconds to start
	node.Dir = parser
	out, err := node.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said = map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, text, _ := strings.Cut(strings.TrimPrefix(line, dir+"/"), ":")
		said[name] += text
	}
	return said
}

func TestWindowsSyntax(t *testing.T) {
	script := string(example().Windows())
	head, _, _ := strings.Cut(script, "function Say(")
	broken := strings.Replace(head, "function Note([string]$text) {", "function Note([string]$text)", 1)
	if broken == head {
		t.Fatal("there is no function Note")
	}
	said := notPowerShell(t, map[string]string{
		"pair.ps1":           script,
		"a refusal":          string(Refusal("pair.ps1", "it's no 'profile'")),
		"the line":           inner(Line{API: 18, Server: "a:1", Profile: 1, Code: "1abc"}),
		"the line with a CA": inner(Line{API: 18, Server: "a:1", Code: "1", CA: strings.Repeat("a", 64)}),
		"broken":             broken,
	})
	if said["broken"] == "" {
		t.Error("a script with a brace less goes through")
	}
	delete(said, "broken")
	for name, text := range said {
		t.Errorf("%s is not PowerShell:\n%s", name, text)
	}
}

// TestWindowsOptions: pair.ps1 takes the options of pair.sh and ends in its ways, but
// for what Windows has nothing of.
func TestWindowsOptions(t *testing.T) {
	linux, windows := string(example().Linux()), string(example().Windows())
	options := func(text, pattern string) (found []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(usage(t, text), -1) {
			found = append(found, strings.ReplaceAll(m[1], "_", "-"))
		}
		return slices.Compact(slices.Sorted(slices.Values(found)))
	}
	want := options(linux, `(?: {2}| )--([a-z][a-z_-]*)`)
	want = slices.DeleteFunc(want, func(name string) bool {
		return name == "option" || name == "insecure" // the product has that on Linux alone
	})
	got := options(windows, `(?m)(?:^ {2}| )-([a-z][a-z_-]*)`)
	got = slices.DeleteFunc(got, func(name string) bool { return name == "option" })
	if !slices.Equal(got, want) || len(got) < 12 {
		t.Errorf("pair.ps1 tells of the options %q, pair.sh of %q", got, want)
	}
	for _, name := range got {
		if !strings.Contains(windows, "'"+name+"'") {
			t.Errorf("pair.ps1 tells of -%s and does not take it", name)
		}
	}

	statuses := func(text string) map[string]bool {
		found := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^ {2,3}([0-9]+) {2}[A-Za-z]`).FindAllStringSubmatch(usage(t, text), -1) {
			found[m[1]] = true
		}
		return found
	}
	ends := statuses(windows)
	for status := range statuses(linux) {
		if none := status == "5" || status == "14"; ends[status] == none { // programs and packages that are missing
			t.Errorf("status %s of pair.sh: pair.ps1 has it: %t, want %t", status, ends[status], !none)
		}
	}
	for status := range ends {
		if status != "0" && !regexp.MustCompile(`(Fail|Problem) `+status+` `).MatchString(windows) {
			t.Errorf("pair.ps1 tells of the status %s and never ends with it", status)
		}
	}
	for _, m := range regexp.MustCompile(`(?:Fail|Problem) ([0-9]+) `).FindAllStringSubmatch(windows, -1) {
		if !ends[m[1]] {
			t.Errorf("pair.ps1 ends with %s and does not tell", m[1])
		}
	}
}

// usage is what a script prints for help.
func usage(t *testing.T, script string) string {
	t.Helper()
	_, text, ok := strings.Cut(script, "\nUsage: ")
	if !ok {
		t.Fatal("there is no usage")
	}
	text, _, ok = strings.Cut(text, "taken back.\n")
	if !ok {
		t.Fatal("the usage has no end")
	}
	return text
}

// TestWindowsColons: "$name:" in double quotes is a mistake, which the parser of the
// tests does not find, unless it is the name of a drive or a scope.
func TestWindowsColons(t *testing.T) {
	text := string(example().Windows())
	before, rest, _ := strings.Cut(text, "@'\n") // the usage, which is in single quotes
	_, after, _ := strings.Cut(rest, "\n'@")
	for _, m := range regexp.MustCompile(`\$(\w+):`).FindAllStringSubmatch(before+after, -1) {
		if m[1] != "script" && m[1] != "env" {
			t.Errorf("%s has to be ${%s}:", m[0], m[1])
		}
	}
}

// TestWindowsNames: an alias of PowerShell's counts more than a function, and its own
// variables cannot be set.
func TestWindowsNames(t *testing.T) {
	text := string(example().Windows())
	aliases := strings.Fields("ac asnp cat cd chdir clc clear clhy cli clp cls clv cnsn compare copy cp cpi cpp curl cvpa dbp del diff dir dnsn " +
		"ebp echo epal epcsv epsn erase etsn exsn fc fhx fl foreach ft fw gal gbp gc gci gcm gcs gdr ghy gi gjb gl gm gmo gp gps group gsn gsnp " +
		"gsv gu gv gwmi h history icm iex ihy ii ipal ipcsv ipmo ipsn irm ise iwmi iwr kill lp ls man md measure mi mount move mp mv nal ndr ni " +
		"nmo npssc nsn nv ogv oh popd ps pushd pwd r rbp rcjb rcsn rd rdr ren ri rjb rm rmdir rmo rni rnp rp rsn rsnp rujb rv rvpa rwmi sajb sal " +
		"saps sasv sbp sc select set shcm si sl sleep sls sort sp spjb spps spsv start sujb sv swmi tee trcm type wget where wjb write")
	for _, m := range regexp.MustCompile(`(?m)^function (\w+)`).FindAllStringSubmatch(text, -1) {
		if slices.Contains(aliases, strings.ToLower(m[1])) {
			t.Errorf("the function %s is an alias", m[1])
		}
		if n := len(regexp.MustCompile(`\b`+m[1]+`\b`).FindAllString(text, -1)); n < 2 {
			t.Errorf("nobody calls %s", m[1])
		}
	}
	own := regexp.MustCompile(`(?i)\$(args|error|event|executioncontext|false|foreach|home|host|input|lastexitcode|matches|myinvocation|nestedpromptlevel|pid|profile|psitem|pwd|sender|shellid|stacktrace|switch|this|true) = `)
	if m := own.FindString(text); m != "" {
		t.Errorf("%q sets a variable of PowerShell's", m)
	}
}

// inner is what the PowerShell that the line starts is given.
func inner(l Line) string {
	text := strings.TrimPrefix(l.Windows(), `PowerShell -Command "`)
	return strings.ReplaceAll(strings.TrimSuffix(text, `"`), "$env:windir", `C:\Windows`)
}
