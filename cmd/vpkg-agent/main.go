//go:build linux || windows

// Command vpkg-agent is the reference agent of the built-in product. Every
// component of the product is a link to it:
//
//	NAME                      runs the component NAME, for a link of that name
//	vpkg-agent component NAME runs the component NAME, on Windows also as a service
//	vpkg-agent monitor FOLDER supervises the components, where there is no systemd;
//	                          its lock and their states are in FOLDER
//	vpkg-agent report         writes the support report
//	vpkg-agent version        prints the version of the product
//	vpkg-agent activate       makes the host an agent of a server, with the options
//	                          that --help lists
//	vpkg-agent deactivate     ends that; with --no-apply it leaves the firewall as it
//	                          is, for those who are about to change it themselves
//	vpkg-agent connectivity-test
//	                          tries to reach the server
//
// What it has to know it reads from the hook's configuration, etc/hook.json
// beside the folder of the program.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/vpkg/vpkg/hooks"
)

const usage = "Usage: vpkg-agent {activate [OPTIONS]|connectivity-test|deactivate [--no-apply]|component NAME|monitor FOLDER|report|version}\n"

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	os.Exit(run(ctx, os.Args, console{os.Stdin, os.Stdout, os.Stderr}))
}

// run returns the exit status: 0 done, 1 failed, 2 called wrongly.
func run(ctx context.Context, args []string, c console) int {
	name, args := strings.TrimSuffix(filepath.Base(args[0]), ".exe"), args[1:]
	if name != "vpkg-agent" && len(args) == 0 {
		args = []string{"component", name}
	}
	if len(args) == 1 && (args[0] == "--help" || args[0] == "help") {
		fmt.Fprint(c.out, usage)
		return 0
	}
	do, err := parse(args)
	if err == nil {
		err = start(ctx, do, c)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(c.err, "vpkg-agent: %v\n", err)
	if _, ok := errors.AsType[misuse](err); ok {
		return 2
	}
	return 1
}

// A command is one of the program's, with its arguments.
type command func(ctx context.Context, config hooks.Config, v variables, c console) error

// parse reads the command line.
func parse(args []string) (command, error) {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch {
	case name == "activate":
		return parseActivate(args)
	case name == "deactivate" && (len(args) == 0 || slices.Equal(args, []string{"--no-apply"})):
		return func(ctx context.Context, config hooks.Config, _ variables, c console) error {
			return deactivate(ctx, config, len(args) == 0, c)
		}, nil
	case name == "connectivity-test" && len(args) == 0:
		return reach, nil
	case name == "component" && len(args) == 1:
		return func(ctx context.Context, config hooks.Config, _ variables, _ console) error {
			return runComponent(ctx, config, args[0])
		}, nil
	case name == "monitor" && len(args) == 1:
		return func(ctx context.Context, config hooks.Config, _ variables, _ console) error {
			return runMonitor(ctx, config, args[0])
		}, nil
	case name == "report" && len(args) == 0:
		return report, nil
	case name == "version" && len(args) == 0:
		return func(_ context.Context, config hooks.Config, _ variables, c console) error {
			_, err := fmt.Fprintln(c.out, config.Version)
			return err
		}, nil
	}
	return nil, misuse{"called wrongly\n" + strings.TrimSuffix(usage, "\n")}
}

// start runs a command, once it is known for which product.
func start(ctx context.Context, do command, c console) error {
	config, err := readConfig()
	if err != nil {
		return err
	}
	v, err := takeVariables(config.EnvPrefix) // before there is any child
	if err != nil {
		return err
	}
	return do(ctx, config, v, c)
}

// readConfig reads etc/hook.json beside the folder of this program.
func readConfig() (hooks.Config, error) {
	exe, err := os.Executable() // where links lead to
	if err != nil {
		return hooks.Config{}, err
	}
	name := filepath.Join(filepath.Dir(filepath.Dir(exe)), hooks.ConfigFile)
	b, err := os.ReadFile(name)
	if err != nil {
		return hooks.Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	config, err := hooks.ParseConfig(b)
	if err != nil {
		return hooks.Config{}, fmt.Errorf("%s: %w", name, err)
	}
	return config, nil
}
