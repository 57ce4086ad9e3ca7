package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/packaging/manifest"
)

func targetsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "targets",
		Short: "List the systems that packages can be built for",
		Long: `List the systems that packages can be built for, with the architectures and
default compression of each, other names that --os takes for it, and how its
packages were proved to work.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), systems())
			}
			return printTargets(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

// A system is one label with all its architectures.
type system struct {
	Label          string   `json:"label"`
	Format         string   `json:"format"`
	Archs          []string `json:"archs"`
	Codec          string   `json:"codec"`
	PackageManager string   `json:"packageManager"`
	ProvedBy       string   `json:"provedBy"`
	Systems        string   `json:"systems"`
	Aliases        []string `json:"aliases"`
}

func systems() []system {
	var all []system
	for _, t := range manifest.Targets() {
		if len(all) == 0 || all[len(all)-1].Label != t.Label {
			all = append(all, system{
				Label: t.Label, Format: t.Format, Codec: t.Compression.Codec, PackageManager: t.PackageManager,
				ProvedBy: t.ProvedBy, Systems: t.System, Aliases: manifest.Aliases(t.Label),
			})
		}
		s := &all[len(all)-1]
		s.Archs = append(s.Archs, t.Arch)
	}
	return all
}

func printTargets(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "OS\tFORMAT\tARCHITECTURES\tCODEC\tOLDEST\tPROVED BY\tALSO")
	for _, s := range systems() {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Label, s.Format, strings.Join(s.Archs, " "), s.Codec,
			s.PackageManager, s.ProvedBy, strings.Join(s.Aliases, " "))
	}
	return tw.Flush()
}
