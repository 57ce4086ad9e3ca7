// Command vpkg-library is a library server: it offers packages, and the scripts with
// which machines fetch and pair themselves.
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
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit statuses.
const (
	exitFailed = 1 // the thing itself failed
	exitUsage  = 2 // the command was used wrongly
)

// usageError marks an error as wrong usage of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run runs vpkg-library with the given arguments and returns its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		fmt.Fprintln(stderr, "vpkg-library: interrupted")
		return 130 // 128 + SIGINT, as shells report it
	}
	fmt.Fprintf(stderr, "vpkg-library: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintln(stderr, "Try 'vpkg-library --help'.")
		return exitUsage
	}
	return exitFailed
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "vpkg-library",
		Short: "Offer packages to machines, and pair them",
		Long: `vpkg-library serves packages that vpkg built, and the scripts with which a machine
fetches the one for it, installs it and is paired: one line, copied from the console.

Everything is in one folder, --data. The other commands work on that folder, whether
a server runs on it or not.

Settings are flags, or else VPKG_LIBRARY_DATA and so on in the environment, or else
lines of the YAML file that --config names, such as
  data: /var/lib/vpkg-library
  host: [library.example.com, 192.0.2.7]`,
		Example: `  vpkg build --os all --arch all
  vpkg-library import dist
  vpkg-library serve`,
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
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return loadSettings(cmd, os.LookupEnv)
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	pf := root.PersistentFlags()
	pf.String("data", "library", "the `DIR` that holds everything")
	pf.String("config", "", "a `FILE` of settings, YAML")
	root.AddCommand(serveCommand(), importCommand(), listCommand(), removeCommand(), setDefaultCommand(),
		profileCommand(), keyCommand(), apiKeyCommand(), workloadCommand(), eventCommand(), policyCommand(),
		passwordCommand(), caCommand())
	return root
}

// group is a command that has others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("%s: there is no command %q", cmd.Name(), args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
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
			return usageError{fmt.Errorf("%s: %w", cmd.Name(), err)}
		}
		return nil
	}
}
