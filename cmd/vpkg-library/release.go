package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/library"
)

// defaultProduct is the built-in product's package.
const defaultProduct = "illumio-ven"

func listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what is offered: systems and versions",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			rs, err := d.Releases(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), listed(rs))
			}
			return writeReleases(cmd.OutOrStdout(), rs)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func jsonFlag(cmd *cobra.Command, v *bool) { cmd.Flags().BoolVar(v, "json", false, "write JSON") }

// A listedRelease is the form of list --json: names are added, never changed.
type listedRelease struct {
	Product string          `json:"package"`
	Version string          `json:"release"`
	Default bool            `json:"default"`
	Images  []library.Image `json:"images"`
}

func listed(rs []library.Release) []listedRelease {
	all := []listedRelease{}
	for _, r := range rs {
		all = append(all, listedRelease{r.Product, r.Version, r.Default, r.Images})
	}
	return all
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table gives w the columns of lines that are separated by tabs.
func table(w io.Writer, write func(io.Writer)) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	write(t)
	return t.Flush()
}

// writeReleases writes a table for each product: a line for a system, a column for a
// version.
func writeReleases(w io.Writer, rs []library.Release) error {
	for len(rs) > 0 {
		n := 1
		for n < len(rs) && rs[n].Product == rs[0].Product {
			n++
		}
		err := table(w, func(t io.Writer) { writeProduct(t, rs[:n]) })
		if rs = rs[n:]; err != nil {
			return err
		}
		if len(rs) > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeProduct(w io.Writer, rs []library.Release) {
	var systems []string
	fmt.Fprint(w, rs[0].Product)
	for _, r := range rs {
		note := ""
		if r.Default {
			note = " (default)"
		}
		fmt.Fprintf(w, "\t%s%s", r.Version, note)
		for _, image := range r.Images {
			systems = append(systems, image.OS)
		}
	}
	fmt.Fprintln(w)
	slices.Sort(systems)
	for _, system := range slices.Compact(systems) {
		fmt.Fprint(w, system)
		for _, r := range rs {
			var archs []string
			for _, image := range r.Images {
				if image.OS == system {
					archs = append(archs, image.Arch)
				}
			}
			fmt.Fprint(w, "\t", strings.Join(archs, " "))
		}
		fmt.Fprintln(w)
	}
}

func productFlag(cmd *cobra.Command, v *string) {
	cmd.Flags().StringVar(v, "product", defaultProduct, "the package's `NAME`")
}

func removeCommand() *cobra.Command {
	var product string
	cmd := &cobra.Command{
		Use:   "remove VERSION",
		Short: "Remove a release and its packages",
		Long: `Remove a release and its packages. One that a profile names is not removed, and neither
is the default, which set-default names or which is the newest, as long as there are
others. Downloads that are under way are finished.`,
		Example: "  vpkg-library remove 25.2.20-9",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			return d.Remove(cmd.Context(), product, args[0])
		},
	}
	productFlag(cmd, &product)
	return cmd
}

func setDefaultCommand() *cobra.Command {
	var product string
	var newest bool
	cmd := &cobra.Command{
		Use:   "set-default VERSION|--newest",
		Short: "Say which release machines get whose profile names none",
		Args: func(cmd *cobra.Command, args []string) error {
			if newest == (len(args) == 1 && args[0] != "") {
				return usageError{errors.New("set-default: want a version or --newest")}
			}
			return usageArgs(cobra.MaximumNArgs(1))(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			version := ""
			if !newest {
				version = args[0]
			}
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			return d.SetDefault(cmd.Context(), product, version)
		},
	}
	productFlag(cmd, &product)
	cmd.Flags().BoolVar(&newest, "newest", false, "the newest, whichever that is")
	return cmd
}
