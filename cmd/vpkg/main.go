// Command vpkg makes RPM, DEB and MSI packages from one manifest.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit statuses.
const (
	exitFailed = 1 // the thing itself failed or differs
	exitUsage  = 2 // the command was used wrongly
)

// usageError marks an error as wrong usage of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// troubleError marks an error of a command whose exit status 1 says something else, as
// that of diff(1) does.
type troubleError struct{ error }

func (e troubleError) Unwrap() error { return e.error }

// run runs vpkg with the given arguments and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "vpkg: interrupted")
		return 130 // 128 + SIGINT, as shells report it
	}
	fmt.Fprintf(stderr, "vpkg: %v\n", err)
	if _, ok := errors.AsType[troubleError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintln(stderr, "Try 'vpkg --help'.")
		return exitUsage
	}
	return exitFailed
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "vpkg",
		Short: "Make RPM, DEB and MSI packages from one manifest",
		Long: `vpkg makes RPM, DEB and MSI packages from one manifest, on any build host.

Every package carries one small program, vpkg-hook, that its scriptlets call, so
that installing, upgrading and removing mean the same thing on every system.
Without a manifest it builds the built-in product, the Illumio VEN.`,
		Example: `  vpkg build --os el8 --arch x86_64            the built-in product, or ./vpkg.yaml
  vpkg build --os all --arch all               every target there is
  vpkg inspect dist/illumio-ven-*.el8.x86_64.rpm`,
		Version:           version(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(buildCommand(), targetsCommand(), schemaCommand(), inspectCommand(), catCommand(), extractCommand(), verifyCommand(), diffCommand(), simulateCommand(), signCommand())
	return root
}

// version is the module's version, as go install and releases set it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// usageArgs makes the errors of an argument check usage errors.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
