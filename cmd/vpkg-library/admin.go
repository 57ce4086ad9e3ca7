package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/library/authority"
)

func caCommand() *cobra.Command {
	var fingerprint, renew bool
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Print the certificate of the library's own authority",
		Long: `Print the certificate of the authority that serve makes when it is given no other:
what machines are to trust, PEM. It is what the server offers at /ca.crt.`,
		Example: `  vpkg-library ca >library-ca.crt
  vpkg-library ca --fingerprint`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir := filepath.Join(cmd.Flags().Lookup("data").Value.String(), tlsFolder)
			a, err := authority.Read(dir)
			if err != nil {
				return err
			}
			if a == nil {
				return fmt.Errorf("%s: there is no authority; serve makes one", dir)
			}
			if renew {
				if err := a.Renew(); err != nil {
					return err
				}
			}
			out := cmd.OutOrStdout()
			if !fingerprint {
				_, err = out.Write(a.PEM())
				return err
			}
			writeFingerprints(out, a)
			return nil
		},
	}
	cmd.Flags().BoolVar(&fingerprint, "fingerprint", false, "print its SHA-256, of the file and of the certificate")
	cmd.Flags().BoolVar(&renew, "renew", false, "first replace the server's certificate; a server that runs takes it over within a minute")
	return cmd
}
