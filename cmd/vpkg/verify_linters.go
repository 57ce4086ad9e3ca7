package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/shell"
	"github.com/vpkg/vpkg/packaging/verify"
)

// What a linter may take of a package.
const (
	linterTime     = 3 * time.Minute
	linterOutput   = 4 << 20 // bytes that are read
	linterFindings = 1000    // of one linter
)

// Words for what became of a linter.
const (
	ran          = "ran"
	notInstalled = "not installed"
)

// A linterRun says what became of a linter.
type linterRun struct {
	Name   string `json:"name"`
	Status string `json:"status"` // "ran", "not installed", or why it did not finish
}

// lint runs the linters that are installed and that the package is for. What they call
// an error is a warning, and all else information: they are made for distributions.
func (v *verifier) lint(ctx context.Context, x *verification, f *packageFile, p *packaging.Package) {
	note := func(name string, found []verify.Finding, err error) {
		status := ran
		switch {
		case errors.Is(err, exec.ErrNotFound):
			status = notInstalled
		case err != nil:
			status = err.Error()
		}
		x.Linters = append(x.Linters, linterRun{name, status})
		x.Findings = append(x.Findings, found...)
	}
	switch f.Format.Name() {
	case "rpm":
		found, err := lintFile(ctx, f.Name(), "rpmlint", nil, rpmlintLine)
		note("rpmlint", found, err)
	case "deb":
		args := []string{"--display-info", "--color", "never", "--tag-display-limit", "0"}
		if os.Geteuid() == 0 {
			args = append(args, "--allow-root")
		}
		found, err := lintFile(ctx, f.Name(), "lintian", args, lintianLine)
		note("lintian", found, err)
	}
	if len(p.Scripts) > 0 {
		found, err := shellcheck(ctx, f.Format.Name(), p)
		note("shellcheck", found, err)
	}
}

// A linterLine is how a line of a linter's output looks: its severity, name and text.
type linterLine struct {
	re                   *regexp.Regexp
	severity, name, text int // groups
}

var (
	// illumio-ven.x86_64: W: no-documentation
	rpmlintLine = linterLine{regexp.MustCompile(`^[^ :]+: ([EWI]): ([a-zA-Z0-9:_.-]+)(?: (.*))?$`), 1, 2, 3}
	// W: illumio-ven: no-manual-page [usr/bin/agent]
	lintianLine = linterLine{regexp.MustCompile(`^([EWIP]): [^ :]+(?: [a-z]+)?: ([a-z0-9/._-]+)(?: (.*))?$`), 1, 2, 3}
)

// lintFile runs a linter on a package file and reads its lines.
func lintFile(ctx context.Context, name, linter string, args []string, line linterLine) ([]verify.Finding, error) {
	path, err := filepath.Abs(name) // never one that looks like an option
	if err != nil {
		return nil, err
	}
	if ext := map[string]string{"rpmlint": ".rpm", "lintian": ".deb"}[linter]; filepath.Ext(path) != ext {
		dir, err := os.MkdirTemp("", "vpkg-lint-*")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		if err := os.Symlink(path, filepath.Join(dir, "package"+ext)); err != nil {
			return nil, err
		}
		path = filepath.Join(dir, "package"+ext)
	}
	out, err := runLinter(ctx, nil, linter, append(args, path)...)
	if err != nil && len(out) == 0 {
		return nil, err
	}
	var found []verify.Finding
	for l := range strings.Lines(string(out)) {
		m := line.re.FindStringSubmatch(strings.TrimRight(l, "\r\n"))
		if m == nil {
			continue
		}
		severity := verify.Info
		if m[line.severity] == "E" {
			severity = verify.Warning
		}
		if len(found) == linterFindings {
			return found, fmt.Errorf("it found more than %d mistakes", linterFindings)
		}
		found = append(found, linterFinding(linter, m[line.name], severity, m[line.text]))
	}
	if len(found) == 0 {
		return nil, err
	}
	return found, nil
}

// linterFinding is one of a linter's. What begins with a path is at that path.
func linterFinding(linter, name string, severity verify.Severity, text string) verify.Finding {
	f := verify.Finding{Rule: linter + ":" + name, Severity: severity, Text: strings.TrimSpace(text)}
	if strings.HasPrefix(f.Text, "/") {
		where, rest, _ := strings.Cut(f.Text, " ")
		f.Where, f.Text = where, rest
	}
	if i := strings.LastIndexByte(f.Text, '['); i >= 0 && strings.HasSuffix(f.Text, "]") {
		f.Where, f.Text = "/"+f.Text[i+1:len(f.Text)-1], strings.TrimSpace(f.Text[:i])
	}
	if f.Text == "" {
		f.Text = name
	}
	return f
}

// shellcheck runs it over the scriptlets that a shell runs.
func shellcheck(ctx context.Context, format string, p *packaging.Package) ([]verify.Finding, error) {
	var found []verify.Finding
	for _, s := range p.Scripts {
		dialect, _ := shell.Dialect(shell.Argv(s))
		if dialect == "" || s.Body == "" {
			continue
		}
		out, err := runLinter(ctx, []byte(s.Body), "shellcheck", "--format", "json1", "--shell", dialect, "-")
		if err != nil && len(out) == 0 {
			return found, err
		}
		var report struct {
			Comments []struct {
				Line    int    `json:"line"`
				Level   string `json:"level"`
				Code    int    `json:"code"`
				Message string `json:"message"`
			} `json:"comments"`
		}
		if err := json.Unmarshal(out, &report); err != nil {
			return found, fmt.Errorf("its output cannot be read: %w", err)
		}
		for _, c := range report.Comments {
			if len(found) == linterFindings {
				return found, fmt.Errorf("it found more than %d mistakes", linterFindings)
			}
			severity := verify.Info
			if c.Level == "error" {
				severity = verify.Warning
			}
			found = append(found, verify.Finding{
				Rule: fmt.Sprintf("shellcheck:SC%d", c.Code), Severity: severity,
				Where: fmt.Sprintf("%s:%d", verify.ScriptName(format, s.Phase), c.Line), Text: c.Message,
			})
		}
	}
	return found, nil
}

// runLinter runs a program and gives the beginning of its output. That it ends with
// another status than 0 is no error if it wrote something.
func runLinter(ctx context.Context, stdin []byte, program string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, exec.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, linterTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs limited
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "NO_COLOR=1")
	cmd.WaitDelay = 5 * time.Second
	killAll(cmd)
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("it did not finish in %v", linterTime)
	case err != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		return out.Bytes(), fmt.Errorf("%w: %s", err, line)
	}
	return out.Bytes(), nil
}

// limited keeps the beginning of what is written.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if left := linterOutput - l.Len(); left > 0 {
		l.Buffer.Write(p[:min(left, len(p))])
	}
	return len(p), nil
}
