package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
)

// installedOptions are the flags of vpkg verify --installed.
type installedOptions struct {
	on bool
}

func (o *installedOptions) flags(*cobra.Command) {}

// runInstalled verifies what is installed on this host: products by name, or all.
func (o *verifyOptions) runInstalled(context.Context, io.Writer, []string) error {
	return errors.ErrUnsupported
}
