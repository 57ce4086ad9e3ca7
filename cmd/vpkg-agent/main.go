//go:build linux

// Command vpkg-agent is the reference agent of the built-in product. Every
// component of the product is a link to it:
//
//	NAME                      runs the component NAME, for a link of that name
//	vpkg-agent component NAME runs the component NAME
//	vpkg-agent monitor FOLDER supervises the components, where there is no systemd;
//	                          its lock and their states are in FOLDER
//	vpkg-agent version        prints the version of the product
//	vpkg-agent activate       makes the host an agent of a server, with the options
//	                          that --help lists
//	vpkg-agent deactivate     ends that
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
	"syscall"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/platform"
)

const usage = "Usage: vpkg-agent {activate [OPTIONS]|deactivate|component NAME|monitor FOLDER|version}\n"

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	os.Exit(run(ctx, os.Args, console{os.Stdin, os.Stdout, os.Stderr}))
}

// run returns the exit status: 0 done, 1 failed, 2 called wrongly.
func run(ctx context.Context, args []string, c console) int {
	name, args := filepath.Base(args[0]), args[1:]
	if name != "vpkg-agent" && len(args) == 0 {
		args = []string{"component", name}
	}
	if len(args) == 1 && (args[0] == "--help" || args[0] == "help") {
		fmt.Fprint(c.out, usage)
		return 0
	}
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	want, known := map[string]int{"activate": len(args), "deactivate": 0, "component": 1, "monitor": 1, "version": 0}[command]
	if !known || len(args) != want {
		fmt.Fprint(c.err, usage)
		return 2
	}
	if err := do(ctx, command, args, c); err != nil {
		fmt.Fprintf(c.err, "vpkg-agent: %v\n", err)
		if _, ok := errors.AsType[misuse](err); ok {
			return 2
		}
		return 1
	}
	return 0
}

func do(ctx context.Context, command string, args []string, c console) error {
	var o activateOptions
	if command == "activate" {
		var err error
		if o, err = parseActivate(args); err != nil {
			return err
		}
		if o.help {
			_, err := fmt.Fprint(c.out, activateUsage)
			return err
		}
	}
	config, err := readConfig()
	if err != nil {
		return err
	}
	v, err := takeVariables(config.EnvPrefix) // before there is any child
	if err != nil {
		return err
	}
	switch command {
	case "activate":
		return activate(ctx, config, o, v, c)
	case "deactivate":
		return deactivate(ctx, config, c)
	case "component":
		return runComponent(ctx, config, args[0])
	case "monitor":
		return runMonitor(ctx, config, platform.Runtime(args[0]))
	default:
		_, err := fmt.Fprintln(c.out, config.Version)
		return err
	}
}

// readConfig reads etc/hook.json beside the folder of this program.
func readConfig() (hooks.Config, error) {
	exe, err := os.Executable() // where links lead to
	if err != nil {
		return hooks.Config{}, err
	}
	name := filepath.Join(filepath.Dir(filepath.Dir(exe)), "etc", "hook.json")
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
