package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/vpkg/vpkg/platform"
)

// verify compares the host with what the package and the running product want of it.
// Nothing is written, not even a log. Where it cannot look, that is as if it was
// called wrongly.
func verify(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	const misused = 2
	if len(args) > 0 && !slices.Equal(args, []string{"--json"}) {
		fmt.Fprint(stderr, platform.Usage)
		return misused
	}
	c, err := readConfig()
	if err == nil && os.Geteuid() > 0 {
		err = fmt.Errorf("verify: must be run as root")
	}
	if err != nil {
		fmt.Fprintf(stderr, "vpkg-hook: %v\n", err)
		return misused
	}
	log := logger{file: io.Discard, console: stderr}
	p := platform.Product{Config: c, Sys: system(hostFor(c, nil)), Log: log, Stdout: stdout, Stderr: stderr}
	return p.Verify(ctx, len(args) > 0)
}
