package main

import (
	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/packaging/manifest"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of vpkg.yaml",
		Long: `Print the JSON Schema of vpkg.yaml, with which an editor completes and checks
manifests while they are written.`,
		Example: `  vpkg schema > vpkg.schema.json
  # first line of vpkg.yaml, for editors with the YAML language server:
  # yaml-language-server: $schema=vpkg.schema.json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := manifest.Schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
}
