package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/internal/printable"
	"github.com/vpkg/vpkg/library"
)

func workloadCommand() *cobra.Command {
	return group("workload", "Machines that were paired", workloadListCommand())
}

// A listedWorkload is the form of workload list --json: names are added, never changed.
type listedWorkload struct {
	ID     int64  `json:"id"`
	UUID   string `json:"uuid"`
	Status string `json:"status"`
	library.Workload
}

func workloadListCommand() *cobra.Command {
	var asJSON bool
	var after int64
	var most int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List machines, by the order in which they were paired",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(most); err != nil {
				return err
			}
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			ws, err := d.Workloads(cmd.Context(), after, most)
			if err != nil {
				return err
			}
			if asJSON {
				all := []listedWorkload{}
				for _, w := range ws {
					all = append(all, listedWorkload{w.ID, w.UUID, w.Status, w})
				}
				return writeJSON(cmd.OutOrStdout(), all)
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "ID\tHOSTNAME\tSTATUS\tOS\tVERSION\tMODE\tPROFILE\tPAIRED\tHEARTBEAT")
				for _, m := range ws {
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.ID, printable.String(m.Hostname), m.Status, m.OS, m.Version,
						m.Mode, m.Profile, at(m.Paired), at(m.Heartbeat))
				}
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	limitFlag(cmd, &most, 1000)
	cmd.Flags().Int64Var(&after, "after", 0, "only those after the machine with this `ID`")
	return cmd
}

func limitFlag(cmd *cobra.Command, v *int, most int) {
	cmd.Flags().IntVar(v, "limit", most, "at most `N`")
}

func checkLimit(n int) error {
	if n < 1 {
		return usageError{errors.New("--limit is not positive")}
	}
	return nil
}

func eventCommand() *cobra.Command {
	return group("event", "The audit log", eventListCommand())
}

func eventListCommand() *cobra.Command {
	var asJSON bool
	var before int64
	var most int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what was done, the newest first",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(most); err != nil {
				return err
			}
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			es, err := d.Events(cmd.Context(), before, most)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), append([]library.Event{}, es...))
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				for _, e := range es {
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, at(e.Time), e.Kind, printable.String(e.Actor),
						printable.String(e.Subject), e.Reason, printable.String(e.Detail))
				}
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	limitFlag(cmd, &most, 50)
	cmd.Flags().Int64Var(&before, "before", 0, "only those before the one with this `ID`")
	return cmd
}
