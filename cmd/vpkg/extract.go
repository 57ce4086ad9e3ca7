package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/internal/extract"
	"github.com/vpkg/vpkg/internal/progress"
	"github.com/vpkg/vpkg/packaging"
)

func extractCommand() *cobra.Command {
	var o extract.Options
	var out string
	cmd := &cobra.Command{
		Use:   "extract PKG --out DIR [PATH...]",
		Short: "Lay the files of a package down in a folder",
		Long: `Lay the files of an RPM, DEB or MSI down in a folder, all of them or those at PATH
and below. Digests are checked as by inspect. No script runs.

Whatever a package has, nothing lands outside of the folder: symbolic links are made
as they are, but never followed. Files have the modes and times of the package, setuid
and setgid bits only with --preserve, owners only with --owners. Devices and pipes are
not made, which is told. What is there already is an error without --force. Where
anything fails, all that was extracted is removed, and what it replaced is back.`,
		Example: `  vpkg extract agent-1.4.0-7.el9.x86_64.rpm --out tree
  vpkg extract agent_1.4.0-7_amd64.deb --out tree /etc /opt/agent/bin/agent`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case out == "":
				return usageError{errors.New("extract: --out is needed")}
			case o.Owners && os.Geteuid() != 0:
				return usageError{errors.New("extract: --owners is for root alone")}
			}
			o.Paths = args[1:]
			f, err := openPackage(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			r, err := f.extract(cmd.Context(), out, o)
			if err != nil {
				return fmt.Errorf("extracting %s: %w", f.Name(), err)
			}
			for _, p := range r.Skipped {
				fmt.Fprintf(cmd.ErrOrStderr(), "vpkg: %q is a device or a pipe, and was not made\n", p)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d files, %d folders, %d symbolic links, %d bytes\n", r.Files, r.Folders, r.Links, r.Bytes)
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&out, "out", "o", "", "the `DIR` to extract into; it is made if need be")
	fl.BoolVar(&o.Force, "force", false, "replace files that are there already")
	fl.BoolVar(&o.Preserve, "preserve", false, "keep setuid and setgid bits")
	fl.BoolVar(&o.Owners, "owners", false, "give files their owners (root only)")
	return cmd
}

// extract lays the files of the package down in a folder.
func (f *packageFile) extract(ctx context.Context, dir string, o extract.Options) (extract.Result, error) {
	p, err := f.Format.Read(ctx, f, f.Size, packaging.Headers)
	if err != nil {
		return extract.Result{}, err
	}
	o.Date = p.Date
	r, bar := progress.Reading(os.Stderr, "extracting", f, f.Size)
	defer bar.Close()
	return extract.To(dir, func(give func(e *packaging.Entry, body io.Reader) error) error {
		return f.each(ctx, r, give)
	}, o)
}
