//go:build !windows

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/packaging/verify"
	"github.com/vpkg/vpkg/rpm"
)

// linted verifies a small package with a mistake in its scriptlet, under a name that
// says nothing of its format.
func linted(t *testing.T, format packaging.Format, arch string) verification {
	t.Helper()
	p := packagingtest.Small(format.Name(), arch, 100)
	p.Scripts[0].Body = strings.Replace(p.Scripts[0].Body, "exit 0", "for f in $(ls $1); do echo $f; done\nif then", 1)
	name := filepath.Join(t.TempDir(), "-package")
	if err := os.WriteFile(name, written(t, format, p), 0o600); err != nil {
		t.Fatal(err)
	}
	v := &verifier{verifyOptions: new(verifyOptions), policy: new(verify.Policy)}
	x, err := v.one(t.Context(), name, true)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestLinters: the findings of real linters stand under their names, and do not fail.
func TestLinters(t *testing.T) {
	for _, tt := range []struct {
		format packaging.Format
		arch   string
		linter string
		rules  []string
	}{
		{rpm.Format{}, "noarch", "rpmlint", []string{"rpmlint:no-documentation", "shellcheck:SC1072"}},
		{deb.Format{}, "all", "lintian", []string{"lintian:no-copyright-file", "shellcheck:SC1072"}},
	} {
		t.Run(tt.linter, func(t *testing.T) {
			oracle.Need(t, tt.linter, "shellcheck")
			x := linted(t, tt.format, tt.arch)
			for _, rule := range tt.rules {
				if !slices.ContainsFunc(x.Findings, func(f verify.Finding) bool { return f.Rule == rule }) {
					t.Errorf("%s is not found: %v", rule, x.Findings)
				}
			}
			want := []linterRun{{tt.linter, ran}, {"shellcheck", ran}}
			if !slices.Equal(x.Linters, want) || x.failed {
				t.Errorf("linters are %v, want %v; failed is %v", x.Linters, want, x.failed)
			}
		})
	}
}

// fakeLinter puts a shell script in the place of all programs.
func fakeLinter(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

func TestLinterOutput(t *testing.T) {
	const flood = "i=0\nwhile [ $i -lt 3000 ]; do echo 'x.noarch: W: tag /a/b text'; i=$((i + 1)); done\n"
	for _, tt := range []struct{ name, script, status string }{
		{"too much", flood, "it found more than 1000 mistakes"},
		{"nothing", "exit 0\n", ran},
		{"failure", "echo no python >&2\nexit 3\n", "exit status 3: no python"},
		{"failure with findings", "echo 'x.noarch: E: tag /a/b text'\nexit 64\n", ran},
		{"noise", "echo ===== rpmlint session starts; echo; printf 'x: W: \\033[1m'\n", ran},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fakeLinter(t, "rpmlint", tt.script)
			x := linted(t, rpm.Format{}, "noarch")
			if want := []linterRun{{"rpmlint", tt.status}, {"shellcheck", notInstalled}}; !slices.Equal(x.Linters, want) {
				t.Errorf("linters are %v, want %v", x.Linters, want)
			}
			for _, f := range x.Findings {
				if f.Rule == "rpmlint:tag" && (f.Where != "/a/b" || f.Text != "text") {
					t.Errorf("finds %+v", f)
				}
			}
		})
	}
}

// TestLinterEnds: a linter is ended with all that it started.
func TestLinterEnds(t *testing.T) {
	fakeLinter(t, "rpmlint", "/bin/sleep 300 &\n/bin/sleep 300\n")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := runLinter(ctx, nil, "rpmlint"); err == nil {
		t.Error("it ended by itself")
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}
