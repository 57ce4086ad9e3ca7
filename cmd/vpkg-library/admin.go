package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/vpkg/vpkg/library/authority"
)

func passwordCommand() *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use:   "password",
		Short: "Set the administrator's password for the console",
		Long: `Set the administrator's password for the console, and end all sessions of it. On a
terminal it is asked for; with --stdin it is the first line of standard input.
Otherwise a new one is made, and printed.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := openData(cmd, true)
			if err != nil {
				return err
			}
			defer d.Close()
			password, made, err := newPassword(cmd, stdin)
			if err != nil {
				return err
			}
			if err := d.SetAdmin(cmd.Context(), password); err != nil {
				return err
			}
			if made {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), password)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&stdin, "stdin", false, "read it from standard input")
	return cmd
}

// newPassword gives the password that is to be set, and whether nobody knows it yet.
func newPassword(cmd *cobra.Command, stdin bool) (_ string, made bool, err error) {
	if stdin {
		b, err := readInput(cmd, "-", 4096)
		line, _, _ := strings.Cut(string(b), "\n")
		return strings.TrimSuffix(line, "\r"), false, err
	}
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return rand.Text(), true, nil // 128 bits
	}
	var typed [2]string
	for i, ask := range []string{"New password (empty: make one): ", "Again: "} {
		fmt.Fprint(cmd.ErrOrStderr(), ask)
		b, err := term.ReadPassword(in)
		fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			return "", false, err
		}
		if typed[i] = string(b); typed[0] == "" {
			return rand.Text(), true, nil
		}
	}
	if typed[0] != typed[1] {
		return "", false, errors.New("the passwords differ")
	}
	return typed[0], false, nil
}

func caCommand() *cobra.Command {
	var fingerprint, renew bool
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Print the certificate of the authority that machines are to trust",
		Long: `Print what the server offers at /ca.crt, PEM: the certificate of the authority that it
made for itself, or of the one that it was given by --tls-ca.`,
		Example: `  vpkg-library ca >library-ca.crt
  vpkg-library ca --fingerprint`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir := cmd.Flags().Lookup("data").Value.String()
			ca, err := authority.ReadCA(filepath.Join(dir, offeredFile))
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("library %s: there is no authority: serve makes one when it first starts, unless it has --plain-http or --tls-cert; for the latter, --tls-ca names it", dir)
			}
			if err != nil {
				return err
			}
			if renew {
				a, err := authority.Read(filepath.Join(dir, tlsFolder))
				if err != nil {
					return err
				}
				if a == nil {
					return fmt.Errorf("library %s: its certificate is not its own to renew: serve was given it by --tls-cert", dir)
				}
				if err := a.Renew(); err != nil {
					return err
				}
			}
			out := cmd.OutOrStdout()
			if !fingerprint {
				_, err = out.Write(ca)
				return err
			}
			writeFingerprints(out, ca)
			return nil
		},
	}
	cmd.Flags().BoolVar(&fingerprint, "fingerprint", false, "print its SHA-256, of the file and of the certificate")
	cmd.Flags().BoolVar(&renew, "renew", false, "first replace the server's certificate; a server that runs takes it over within a minute")
	return cmd
}
