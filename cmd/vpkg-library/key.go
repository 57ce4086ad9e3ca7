package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/authority"
	"github.com/vpkg/vpkg/templates/pairing"
)

func keyCommand() *cobra.Command {
	return group("key", "Keys: the activation codes of profiles", keyCreateCommand(), keyListCommand(), keyRevokeCommand())
}

// defaultAPI is the N of /api/vN in lines that are made here.
const defaultAPI = 18

// keyOptions are the flags of key create.
type keyOptions struct {
	oneLiner string
	server   string
	trusted  bool
	api      int
}

func keyCreateCommand() *cobra.Command {
	var o keyOptions
	cmd := &cobra.Command{
		Use:   "create PROFILE",
		Short: "Make a key, and print its activation code",
		Long: `Make a key of a profile, with the uses and the lifespan that the profile says, and
print its activation code, or the line that pairs a machine with it. The code is
not kept: it is printed this once.`,
		Example: `  vpkg-library key create 1
  vpkg-library key create 1 --one-liner linux --server library.example.com:8443`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID("profile", args[0])
			if err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return usageError{fmt.Errorf("key create: %w", err)}
			}
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			line := pairing.Line{API: o.api, Server: o.server, Profile: id}
			if o.oneLiner != "" && !o.trusted {
				if line.CA, err = d.caSum(); err != nil {
					return err
				}
				if line.CA == "" {
					fmt.Fprintln(cmd.ErrOrStderr(), "vpkg-library: serve offers no authority, or has not run yet: the line is for machines that trust the server already; --trusted says that they do")
				}
			}
			_, code, err := d.NewKey(cmd.Context(), id)
			if err != nil {
				return err
			}
			line.Code = code
			text := code
			switch o.oneLiner {
			case "linux":
				text = line.Linux()
			case "windows":
				text = line.Windows()
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.oneLiner, "one-liner", "", "print the line for a `SYSTEM`: linux or windows")
	fl.StringVar(&o.server, "server", "", "this server, as machines call it: `HOST:PORT`")
	fl.BoolVar(&o.trusted, "trusted", false, "machines trust the server: leave out the step that makes them")
	fl.IntVar(&o.api, "api", defaultAPI, "the `N` of /api/vN")
	return cmd
}

func (o *keyOptions) check() error {
	switch o.oneLiner {
	case "":
		return nil
	case "linux", "windows":
	default:
		return fmt.Errorf("--one-liner %.40q is neither linux nor windows", o.oneLiner)
	}
	if !pairing.IsServer(o.server) {
		return fmt.Errorf("--one-liner needs --server HOST:PORT, found %.80q", o.server)
	}
	if o.api < 1 || o.api > 9999 {
		return errors.New("--api is not 1 to 9999")
	}
	return nil
}

// caSum is the SHA-256 of /ca.crt; empty if the server offers none.
func (d *data) caSum() (string, error) {
	ca, err := authority.ReadCA(filepath.Join(d.dir, offeredFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return authority.SHA256(ca), nil
}

// A listedKey is the form of key list --json: names are added, never changed.
type listedKey struct {
	ID      int64         `json:"id"`
	Profile int64         `json:"pairing_profile"`
	Created time.Time     `json:"created_at"`
	Expires time.Time     `json:"expires_at,omitzero"`
	Allowed library.Limit `json:"allowed_uses"`
	Used    int64         `json:"used"`
	Revoked time.Time     `json:"revoked_at,omitzero"`
}

func keyListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [PROFILE]",
		Short: "List the keys of a profile, or all",
		Args:  usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			var ids []int64
			if len(args) == 1 {
				id, err := parseID("profile", args[0])
				if err != nil {
					return err
				}
				if _, err := d.Profile(cmd.Context(), id); err != nil {
					return fmt.Errorf("profile %d: %w", id, err)
				}
				ids = []int64{id}
			} else {
				ps, err := d.Profiles(cmd.Context())
				if err != nil {
					return err
				}
				for _, p := range ps {
					ids = append(ids, p.ID)
				}
			}
			all := []listedKey{}
			for _, id := range ids {
				ks, err := d.Keys(cmd.Context(), id)
				if err != nil {
					return err
				}
				for _, k := range ks {
					all = append(all, listedKey{k.ID, k.Profile, k.Created, k.Expires, k.Allowed, k.Used, k.Revoked})
				}
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			return writeKeys(cmd.OutOrStdout(), all)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func writeKeys(w io.Writer, ks []listedKey) error {
	return table(w, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tPROFILE\tCREATED\tEXPIRES\tUSED\tALLOWED\tREVOKED")
		for _, k := range ks {
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%d\t%s\t%s\n", k.ID, k.Profile, at(k.Created), or(at(k.Expires), "never"), k.Used, k.Allowed, at(k.Revoked))
		}
	})
}

// at is a time for people; empty if it is zero.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func keyRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke KEY",
		Short: "Make a key pair nothing any more; what was paired with it stays",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID("key", args[0])
			if err != nil {
				return err
			}
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			return d.RevokeKey(cmd.Context(), id)
		},
	}
}

func apiKeyCommand() *cobra.Command {
	return group("api-key", "API keys: how programs get in", apiKeyCreateCommand(), apiKeyListCommand(), apiKeyRemoveCommand())
}

func apiKeyCreateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API key, and print it: ID:SECRET",
		Long: `Make an API key, and print it in the form of curl's --user: ID:SECRET. The secret is
not kept: it is printed this once.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			k, secret, err := d.NewAPIKey(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s:%s\n", k.ID, secret)
			return err
		},
	}
}

func apiKeyListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the API keys",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			ks, err := d.APIKeys(cmd.Context())
			if err != nil {
				return err
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "ID\tCREATED\tNAME")
				for _, k := range ks {
					fmt.Fprintf(w, "%s\t%s\t%s\n", k.ID, at(k.Created), k.Name)
				}
			})
		},
	}
}

func apiKeyRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove an API key",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			return d.RemoveAPIKey(cmd.Context(), args[0])
		},
	}
}
