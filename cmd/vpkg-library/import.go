package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/internal/printable"
	"github.com/vpkg/vpkg/library"
)

func importCommand() *cobra.Command {
	var limit int64
	cmd := &cobra.Command{
		Use:   "import DIR|BUNDLE|PKG...",
		Short: "Offer packages",
		Long: `Offer the packages of a folder that vpkg build wrote, of the bundle that it writes with
--bundle, or single package files.

Every package is read as a whole and all digests in it are checked, and those of
artifacts.json and SHA256SUMS, before machines can have it. One that fails is not
offered, which is said, and does not keep the others from it. What is offered already
stays as it is. The exit status is 1 if any package was refused.

A server that runs on the folder offers them from then on.`,
		Example: `  vpkg-library import dist
  vpkg-library import illumio-ven-bundle-25.2.20-10.tar.bz2
  vpkg-library import --data /var/lib/vpkg-library illumio-ven-25.2.20-10.el8.x86_64.rpm`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usageError{errors.New("import: --max-package is not positive")}
			}
			d, err := openData(cmd, true)
			if err != nil {
				return err
			}
			defer d.Close()
			d.MaxPackage = limit
			return d.importAll(cmd, args)
		},
	}
	cmd.Flags().Int64Var(&limit, "max-package", library.DefaultMaxPackage, "the largest package, in `BYTES`")
	return cmd
}

func (d *data) importAll(cmd *cobra.Command, names []string) error {
	var errs []error
	all, refused := 0, 0
	for _, name := range names {
		done, err := d.Import(cmd.Context(), name)
		for _, i := range done {
			all++
			if i.Err != nil {
				refused++
			}
			if err := writeImported(cmd.OutOrStdout(), i); err != nil {
				return err
			}
		}
		errs = append(errs, err)
		if cmd.Context().Err() != nil {
			break
		}
	}
	if refused > 0 {
		errs = append(errs, fmt.Errorf("%d of %d packages were refused", refused, all))
	}
	return errors.Join(errs...)
}

func writeImported(w io.Writer, i library.Imported) error {
	var err error
	switch {
	case i.Err != nil:
		_, err = fmt.Fprintf(w, "refused   %s: %s\n", printable.String(i.FileName), printable.String(i.Err.Error()))
	case i.New:
		_, err = fmt.Fprintf(w, "imported  %s  %s %s for %s/%s\n", i.FileName, i.Image.Product, i.Image.Release, i.Image.OS, i.Image.Arch)
	default:
		_, err = fmt.Fprintf(w, "present   %s  %s %s for %s/%s\n", i.FileName, i.Image.Product, i.Image.Release, i.Image.OS, i.Image.Arch)
	}
	return err
}
