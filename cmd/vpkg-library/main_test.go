package main

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/dist"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	if os.Getenv("VPKG_TEST_AS_LIBRARY") != "" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"vpkg-library": main})
}

// noWait is GORACE for programs that end soon: the race detector waits a second then.
const noWait = "atexit_sleep_ms=0"

// TestScripts runs testdata/script: what vpkg-library promises on the command line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"pack": pack},
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", noWait)
			e.Setenv("USER", "tester")
			e.Setenv("SUDO_USER", "tester")
			return nil
		},
	})
}

// pack VERSION DIR OS... writes small packages of a version as vpkg build does, and
// a bundle of them.
func pack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: pack VERSION DIR OS...")
	}
	_, err := packDist(ts.MkAbs(args[1]), args[0], args[2:])
	ts.Check(err)
}

// packDist gives the bundle's name.
func packDist(dir, version string, systems []string) (string, error) {
	var jobs []dist.Job
	for _, system := range systems {
		j := dist.Job{OS: system, Format: rpm.Format{}}
		arch := "x86_64"
		switch {
		case system == "windows":
			j.Format, arch = msi.Format{}, "x64"
		case strings.HasPrefix(system, "debian"), strings.HasPrefix(system, "ubuntu"):
			j.Format, arch = deb.Format{}, "amd64"
		}
		format := j.Format.Name()
		j.Package = named(packagingtest.Small(format, arch, 5000), version, system, format)
		jobs = append(jobs, j)
	}
	built, err := dist.Build(context.Background(), dist.Options{Dir: dir, Jobs: 1}, jobs)
	if err != nil {
		return "", err
	}
	return dist.Bundle(dir, defaultProduct, version, time.Unix(0, 0), built)
}

func named(p *packaging.Package, version, system, format string) *packaging.Package {
	p.Name = defaultProduct
	p.Version, p.Release, _ = strings.Cut(version, "-")
	label := "win"
	if format != "msi" {
		p.Release += "." + system
		label = system
	}
	p.FileName = strings.Join([]string{p.Name, version}, "-") + "." + label + "." + p.Arch + "." + format
	return p
}
