package main

import (
	"flag"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vpkg": main})
}

// TestScripts runs testdata/script: what vpkg promises on the command line.
func TestScripts(t *testing.T) {
	cache := t.TempDir() // shared, so that the hook is compiled once
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CACHE_HOME", cache)
			out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE", "GOMODCACHE", "GOPROXY").Output()
			if err != nil {
				return err
			}
			values := strings.Split(strings.TrimSpace(string(out)), "\n")
			for i, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY"} {
				e.Setenv(name, values[i])
			}
			return nil
		},
	})
}
