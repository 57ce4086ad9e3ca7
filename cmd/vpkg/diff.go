package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/compare"
	"github.com/vpkg/vpkg/packaging/installed"
)

// diffOptions are the flags of vpkg diff.
type diffOptions struct {
	json      bool
	html      string
	installed bool
	root      string
}

func diffCommand() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff A B | PKG --installed",
		Short: "Show how two packages differ, or a package and a host",
		Long: `Show how two packages of any formats differ: what they say, their relations, scripts,
accounts and services, every file with its mode, owner and content, and their sizes.
What matters most stands first: lost data, rights, scripts, missing files.

Of an RPM, a DEB and an MSI of one release, what differs because the formats do is
listed apart with the reason, and not counted; see docs/diff.md.

With --installed a package is compared with what this host has of it, or the host
whose files are below --root. Configuration files and others that the policy in
.vpkg-verify.yaml lets differ are listed apart, too.

The exit status is 0 if nothing differs, 1 if something does, and 2 if the command
was used wrongly or a package cannot be read.`,
		Example: `  vpkg diff old.rpm new.rpm
  vpkg diff agent-1.4.0-7.el8.x86_64.rpm agent-1.4.0-7.win.x64.msi
  vpkg diff --html report.html old.deb new.deb
  vpkg diff --json old.msi new.msi | jq .summary
  vpkg diff agent-1.4.0-7.el8.x86_64.rpm --installed`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.root != "" && !o.installed {
				return usageError{errors.New("diff: --root is for --installed")}
			}
			if o.installed {
				return usageArgs(cobra.ExactArgs(1))(cmd, args)
			}
			return usageArgs(cobra.ExactArgs(2))(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	cmd.Flags().BoolVar(&o.installed, "installed", false, "compare with what is installed")
	cmd.Flags().StringVar(&o.root, "root", "", "with --installed: the `DIR` that holds the files of another host, such as an image")
	cmd.Flags().StringVar(&o.html, "html", "", "also write the report as one web page into `FILE`")
	return cmd
}

// Errors for what was compared, and differs.
var (
	errDiffer     = errors.New("the packages differ")
	errHostDiffer = errors.New("the host differs from the package")
)

func (o *diffOptions) run(ctx context.Context, w io.Writer, names []string) error {
	var sides []compare.Side
	for _, name := range names {
		s, err := readSide(ctx, name)
		if err != nil {
			return troubleError{err} // 1 would say that they differ
		}
		sides = append(sides, s)
	}
	if o.installed {
		s, err := o.host(ctx, sides[0])
		if err != nil {
			return troubleError{err}
		}
		sides = append(sides, s)
	}
	r := compare.Packages(sides[0], sides[1])
	if o.html != "" {
		if err := writeFile(ctx, o.html, 0o644, r.WriteHTML); err != nil {
			return troubleError{fmt.Errorf("writing %s: %w", o.html, err)}
		}
	}
	write := r.WriteText
	if o.json {
		write = func(w io.Writer) error { return writeJSON(w, r) }
	}
	if err := write(w); err != nil {
		return troubleError{err}
	}
	switch {
	case r.Equal:
		return nil
	case o.installed:
		return errHostDiffer
	}
	return errDiffer
}

func readSide(ctx context.Context, name string) (compare.Side, error) {
	f, err := openPackage(name)
	if err != nil {
		return compare.Side{}, err
	}
	defer f.Close()
	p, err := f.Package(ctx, packaging.Payload)
	if err != nil {
		return compare.Side{}, err
	}
	s := compare.Side{File: name, Format: f.Format.Name(), Size: f.Size, Package: p}
	s.Texts, err = f.texts()
	return s, err
}

// host is the side that is what a host has of the package.
func (o *diffOptions) host(ctx context.Context, of compare.Side) (compare.Side, error) {
	policy, err := new(verifyOptions).loadPolicy()
	if err != nil {
		return compare.Side{}, err
	}
	snap, err := (&installed.Host{Root: o.root}).Snapshot(ctx, of.Package, of.Format, policy.Installed)
	if err != nil {
		return compare.Side{}, fmt.Errorf("%s: %w", of.Package.Name, err)
	}
	s := of
	s.File, s.Package = "what this host has of it", snap.Package
	if o.root != "" {
		s.File = "what the host in " + o.root + " has of it"
	}
	s.Host = &compare.Allowed{Differ: snap.Differ, Miss: snap.Miss}
	return s, nil
}

// texts gives what of an MSI is not in a Package: what it does, in order, and the
// tables that say more than the layout and the services.
func (f *packageFile) texts() ([]compare.Text, error) {
	c, err := f.MSI()
	if c == nil {
		return nil, err
	}
	b := new(strings.Builder)
	for _, a := range c.Actions("InstallExecuteSequence") {
		fmt.Fprintf(b, "%d %s", a.Number, a.Name)
		if a.Condition != "" {
			fmt.Fprintf(b, " if %s", a.Condition)
		}
		b.WriteString("\n")
		if a.Does != "" {
			fmt.Fprintf(b, "    %s %s\n", a.Does, a.Target)
		}
	}
	texts := []compare.Text{{Name: compare.Actions, Weight: compare.Scripts, Body: b.String()}}
	for _, t := range c.Tables() {
		switch t.Name {
		case "MsiServiceConfigFailureActions", "MsiLockPermissionsEx", "LockPermissions", "LaunchCondition", "Shortcut":
			b := new(strings.Builder)
			if err := c.WriteTable(b, t.Name); err != nil {
				return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
			}
			texts = append(texts, compare.Text{Name: "table " + t.Name, Weight: compare.Services, Body: rows(b.String())})
		}
	}
	return texts, nil
}

// rows gives the rows of a table in IDT, without the three lines of its heading.
func rows(idt string) string {
	parts := strings.SplitN(strings.ReplaceAll(idt, "\r\n", "\n"), "\n", 4)
	return parts[len(parts)-1]
}
