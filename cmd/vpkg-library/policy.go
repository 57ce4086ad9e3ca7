package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/library"
)

func policyCommand() *cobra.Command {
	return group("policy", "Policies: the rules that machines have in force", policySetCommand(), policyListCommand())
}

func policySetCommand() *cobra.Command {
	var p library.Policy
	var v4, v6 string
	cmd := &cobra.Command{
		Use:   "set --mode MODE [--format FORMAT] [FILE]",
		Short: "Set the rules of a mode",
		Long: `Set the rules that machines of an enforcement mode have in force, in the place of those
of the same mode and format. Machines fetch them after their next heartbeat.

Rules of nftables are in FILE, those of iptables in the files of --ipv4 and --ipv6, as
iptables-restore reads them. Without a format there are no rules, which is for
visibility_only alone. The rules are not looked into; machines check them.`,
		Example: `  vpkg-library policy set --mode full --format nftables rules.nft
  vpkg-library policy set --mode full --format iptables --ipv4 v4.rules --ipv6 v6.rules
  vpkg-library policy set --mode visibility_only`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || (p.Format == "nftables") != (len(args) == 1) {
				return usageError{errors.New("policy set: a file is for --format nftables, which needs one")}
			}
			files := map[*string]string{&p.IPv4: v4, &p.IPv6: v6}
			if len(args) == 1 {
				files[&p.Nftables] = args[0]
			}
			for to, name := range files {
				if name == "" {
					continue
				}
				b, err := readInput(cmd, name, library.MaxRules)
				if err != nil {
					return err
				}
				*to = string(b)
			}
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			set, err := d.SetPolicy(cmd.Context(), p)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "policy %s\n", set.Version)
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&p.Mode, "mode", "", "`MODE`: visibility_only, selective or full")
	fl.StringVar(&p.Format, "format", "", "`FORMAT`: nftables or iptables")
	fl.StringVar(&v4, "ipv4", "", "rules of iptables, from `FILE`")
	fl.StringVar(&v6, "ipv6", "", "rules of ip6tables, from `FILE`")
	return cmd
}

func policyListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the policies",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			var ps []library.Policy
			err = d.Store.View(cmd.Context(), func(tx library.Tx) error {
				ps, err = tx.Policies()
				return err
			})
			if err != nil {
				return err
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "MODE\tFORMAT\tVERSION\tBYTES\tCHANGED")
				for _, p := range ps {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", p.Mode, or(p.Format, "no rules"), p.Version, len(p.Nftables)+len(p.IPv4)+len(p.IPv6), at(p.Changed))
				}
			})
		},
	}
}
