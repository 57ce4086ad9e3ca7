package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/packaging"
)

func catCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cat PKG PATH",
		Short: "Write a file that is in a package to standard output",
		Long: `Write the content of one file of an RPM, DEB or MSI to standard output. Nothing is
read behind it, so that of the package's digests only those of the file are checked;
where they are wrong, the exit status is 1. A symbolic link is an error that names
its target.`,
		Example: `  vpkg cat agent-1.4.0-7.el9.x86_64.rpm /etc/agent.conf
  vpkg cat agent.msi "/Program Files/Agent/agent.conf"`,
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := openPackage(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			if err := f.cat(cmd.Context(), cmd.OutOrStdout(), path.Clean("/"+args[1])); err != nil {
				return fmt.Errorf("%s: %w", f.Name(), err)
			}
			return nil
		},
	}
}

// each gives the entries of the package with their content.
func (f *packageFile) each(ctx context.Context, r io.ReaderAt, give func(e *packaging.Entry, body io.Reader) error) error {
	x, ok := f.Format.(packaging.Extractor)
	if !ok {
		return fmt.Errorf("files of %s packages cannot be read", f.Format.Name())
	}
	return x.Each(ctx, r, f.Size, give)
}

// errDone ends the reading of a package.
var errDone = errors.New("done")

// cat writes the content of a file.
func (f *packageFile) cat(ctx context.Context, w io.Writer, name string) error {
	if err := f.lookup(ctx, name); err != nil {
		return err
	}
	for range 2 {
		hardLink := ""
		err := f.each(ctx, f, func(e *packaging.Entry, body io.Reader) error {
			if e.Path != name {
				return nil
			}
			if err := isFile(e); err != nil {
				return err
			}
			if e.HardLink != "" {
				hardLink = e.HardLink
				return errDone
			}
			if body == nil {
				return fmt.Errorf("content of %q is not in the package file", name)
			}
			if _, err := io.Copy(w, body); err != nil {
				return fmt.Errorf("reading %q: %w", name, err)
			}
			return errDone
		})
		switch {
		case err == nil:
			return noEntry(name)
		case !errors.Is(err, errDone):
			return err
		case hardLink == "":
			return nil
		}
		name = hardLink // its file, which came before
	}
	return nil
}

// lookup fails if the package's list of files has no such file. A DEB has no list
// before its payload, and is not read for one.
func (f *packageFile) lookup(ctx context.Context, name string) error {
	if f.Format.Name() == "deb" {
		return nil
	}
	p, err := f.Format.Read(ctx, f, f.Size, packaging.Headers)
	if err != nil {
		return err
	}
	e, ok := p.Layout.Lookup(name)
	if !ok {
		return noEntry(name)
	}
	return isFile(&e)
}

func noEntry(name string) error {
	return fmt.Errorf("the package has no %q", name)
}

// isFile fails unless an entry is a file with content.
func isFile(e *packaging.Entry) error {
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		return fmt.Errorf("%q is a symbolic link to %q", e.Path, e.Target)
	case e.Mode.IsDir():
		return fmt.Errorf("%q is a folder", e.Path)
	case !e.Regular():
		return fmt.Errorf("%q is a device or a pipe", e.Path)
	case e.Ghost:
		return fmt.Errorf("%q is a ghost, which has no content in the package", e.Path)
	}
	return nil
}
