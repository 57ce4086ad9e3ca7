package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/packaging/compare"
)

// diffOptions are the flags of vpkg diff.
type diffOptions struct {
	json bool
	html string
}

func diffCommand() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show how two packages differ",
		Long: `Show how two packages of any formats differ: what they say, their relations, scripts,
accounts and services, every file with its mode, owner and content, and their sizes.
What matters most stands first: lost data, rights, scripts, missing files.

Of an RPM, a DEB and an MSI of one release, what differs because the formats do is
listed apart with the reason, and not counted; see docs/diff.md.

The exit status is 0 if nothing differs, 1 if something does, and 2 if the command
was used wrongly or a package cannot be read.`,
		Example: `  vpkg diff old.rpm new.rpm
  vpkg diff agent-1.4.0-7.el8.x86_64.rpm agent-1.4.0-7.win.x64.msi
  vpkg diff --html report.html old.deb new.deb
  vpkg diff --json old.msi new.msi | jq .summary`,
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), args[0], args[1])
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	cmd.Flags().StringVar(&o.html, "html", "", "also write the report as one web page into `FILE`")
	return cmd
}

// errDiffer is returned when two packages were compared, and differ.
var errDiffer = errors.New("the packages differ")

func (o *diffOptions) run(ctx context.Context, w io.Writer, nameA, nameB string) error {
	var sides [2]compare.Side
	for i, name := range []string{nameA, nameB} {
		var err error
		if sides[i], err = readSide(ctx, name); err != nil {
			return troubleError{err} // 1 would say that they differ
		}
	}
	r := compare.Packages(sides[0], sides[1])
	if o.html != "" {
		if err := writeHTML(o.html, r); err != nil {
			return troubleError{err}
		}
	}
	write := r.WriteText
	if o.json {
		write = func(w io.Writer) error { return writeJSON(w, r) }
	}
	if err := write(w); err != nil {
		return troubleError{err}
	}
	if !r.Equal {
		return errDiffer
	}
	return nil
}

func readSide(ctx context.Context, name string) (compare.Side, error) {
	f, err := openPackage(name)
	if err != nil {
		return compare.Side{}, err
	}
	defer f.Close()
	p, err := f.read(ctx)
	if err != nil {
		return compare.Side{}, err
	}
	s := compare.Side{File: name, Format: f.format.Name(), Size: f.size, Package: p}
	s.Texts, err = f.texts()
	return s, err
}

// texts gives what of an MSI is not in a Package: what it does, in order, and the
// tables that say more than the layout and the services.
func (f *packageFile) texts() ([]compare.Text, error) {
	c, err := f.open()
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

func writeHTML(name string, r *compare.Report) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	if err := r.WriteHTML(f); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), f.Close())
	}
	return f.Close()
}
