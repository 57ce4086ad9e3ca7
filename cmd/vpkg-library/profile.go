package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vpkg/vpkg/library"
)

func profileCommand() *cobra.Command {
	return group("profile", "Pairing profiles: what machines become",
		profileListCommand(), profileShowCommand(), profileCreateCommand(), profileSetCommand(), profileRemoveCommand())
}

// parseID reads the id of a profile or key.
func parseID(what, s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, usageError{fmt.Errorf("%s %.40q is not a number from 1", what, s)}
	}
	return id, nil
}

// A shownProfile is the form of profile show --json: names are added, never changed.
type shownProfile struct {
	ID int64 `json:"id"`
	library.Profile
}

func profileListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the profiles",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			ps, err := d.Profiles(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				all := []shownProfile{}
				for _, p := range ps {
					all = append(all, shownProfile{p.ID, p})
				}
				return writeJSON(cmd.OutOrStdout(), all)
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "ID\tNAME\tENABLED\tMODE\tUSES PER KEY\tKEY LIFESPAN\tVERSION\tPAIRED")
				for _, p := range ps {
					fmt.Fprintf(w, "%d\t%s\t%t\t%s\t%s\t%s\t%s\t%d\n", p.ID, p.Name, p.Enabled, p.Mode,
						p.UsesPerKey, lifespan{&p.KeyLifespan}, or(p.Version, "default"), p.UseCount)
				}
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func profileShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show PROFILE",
		Short: "Show a profile as JSON",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID("profile", args[0])
			if err != nil {
				return err
			}
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			p, err := d.Profile(cmd.Context(), id)
			if err != nil {
				return fmt.Errorf("profile %d: %w", id, err)
			}
			return writeJSON(cmd.OutOrStdout(), shownProfile{p.ID, p})
		},
	}
}

const profileFlagsHelp = `
What the flags say can be one JSON object, too, in a file or on standard input (-):
{"key_lifespan": 3600, "allowed_uses_per_key": "unlimited"}. Flags count more.`

func profileCreateCommand() *cobra.Command {
	var o profileOptions
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a profile, and print its id",
		Long: `Make a profile, and print its id. What is not said has the documented default:
visibility_only, everything locked, keys without a limit.
` + profileFlagsHelp,
		Example: `  vpkg-library profile create web --enforcement-mode visibility_only --role web --env prod
  vpkg-library profile create batch --allowed-uses-per-key 5 --key-lifespan 24h`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openData(cmd, true)
			if err != nil {
				return err
			}
			defer d.Close()
			change, err := o.read(cmd)
			if err != nil {
				return err
			}
			p := library.NewProfile(args[0])
			if err := change(&p); err != nil {
				return err
			}
			if p, err = d.SaveProfile(cmd.Context(), p); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), p.ID)
			return err
		},
	}
	o.flags(cmd, new(library.NewProfile("")))
	return cmd
}

func profileSetCommand() *cobra.Command {
	var o profileOptions
	cmd := &cobra.Command{
		Use:   "set PROFILE",
		Short: "Change a profile",
		Long: `Change what is said of a profile, and leave the rest. Keys that there are keep their
uses and their lifespan.
` + profileFlagsHelp,
		Example: `  vpkg-library profile set 1 --enforcement-mode full
  vpkg-library profile set 1 --agent-software-release 25.2.20-10`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID("profile", args[0])
			if err != nil {
				return err
			}
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			change, err := o.read(cmd)
			if err != nil {
				return err
			}
			_, err = d.UpdateProfile(cmd.Context(), id, change)
			return err
		},
	}
	o.flags(cmd, new(library.Profile))
	return cmd
}

func profileRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove PROFILE",
		Short: "Remove a profile and its keys; what was paired with it stays",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID("profile", args[0])
			if err != nil {
				return err
			}
			d, err := openData(cmd, false)
			if err != nil {
				return err
			}
			defer d.Close()
			return d.RemoveProfile(cmd.Context(), id)
		},
	}
}

// profileOptions are the flags that say what a profile is.
type profileOptions struct{ json string }

func (o *profileOptions) flags(cmd *cobra.Command, p *library.Profile) {
	cmd.Flags().StringVar(&o.json, "json", "", "take a JSON object from `FILE`; - is standard input")
	profileFlags(cmd.Flags(), p)
}

// read reads the JSON object, and gives what it and the flags change.
func (o *profileOptions) read(cmd *cobra.Command) (func(*library.Profile) error, error) {
	var b []byte
	if o.json != "" {
		var err error
		if b, err = readInput(cmd, o.json, maxSettings); err != nil {
			return nil, err
		}
	}
	return func(p *library.Profile) (err error) {
		if o.json != "" {
			if *p, err = library.ParseProfile(*p, b); err != nil {
				return fmt.Errorf("%s: %w", o.json, err)
			}
		}
		onto := new(pflag.FlagSet)
		profileFlags(onto, p)
		var errs []error
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if onto.Lookup(f.Name) != nil {
				errs = append(errs, onto.Set(f.Name, f.Value.String()))
			}
		})
		if err := errors.Join(errs...); err != nil {
			return usageError{err}
		}
		return nil
	}, nil
}

// profileFlags has a flag for every field of a profile that people set.
func profileFlags(fl *pflag.FlagSet, p *library.Profile) {
	fl.StringVar(&p.Name, "name", p.Name, "its `NAME`")
	fl.StringVar(&p.Description, "description", p.Description, "`TEXT` for people")
	fl.BoolVar(&p.Enabled, "enabled", p.Enabled, "whether its keys pair machines")
	fl.StringVar(&p.Mode, "enforcement-mode", p.Mode, "`MODE`: idle, visibility_only, selective or full")
	fl.BoolVar(&p.ModeLock, "enforcement-mode-lock", p.ModeLock, "whether a machine's wish does not count")
	fl.StringVar(&p.Visibility, "visibility-level", p.Visibility, "`LEVEL`: flow_summary, flow_full_detail, flow_drops, flow_off or enhanced_data_collection")
	fl.BoolVar(&p.VisibilityLock, "visibility-level-lock", p.VisibilityLock, "kept for clients")
	for _, l := range []struct {
		name  string
		value *string
		lock  *bool
	}{
		{"role", &p.Labels.Role, &p.RoleLock},
		{"app", &p.Labels.App, &p.AppLock},
		{"env", &p.Labels.Env, &p.EnvLock},
		{"loc", &p.Labels.Loc, &p.LocLock},
	} {
		fl.StringVar(l.value, l.name, *l.value, "the `LABEL`")
		fl.BoolVar(l.lock, l.name+"-label-lock", *l.lock, "whether a machine's wish does not count")
	}
	fl.Var(limit{&p.UsesPerKey}, "allowed-uses-per-key", "machines that a key pairs: `N` or unlimited")
	fl.Var(lifespan{&p.KeyLifespan}, "key-lifespan", "how long a key pairs machines: `SECONDS`, 24h, or unlimited")
	fl.StringVar(&p.Version, "agent-software-release", p.Version, "the `VERSION` that machines get; empty means the default")
	fl.StringVar(&p.VENType, "ven-type", p.VENType, "`TYPE`: server, endpoint, containerized or specified_during_activation")
	fl.StringVar(&p.ExternalDataSet, "external-data-set", p.ExternalDataSet, "`TEXT` for other programs")
	fl.StringVar(&p.ExternalDataReference, "external-data-reference", p.ExternalDataReference, "`TEXT` for other programs")
}

// limit is a flag that is a library.Limit.
type limit struct{ *library.Limit }

func (v limit) String() string {
	if v.Limit == nil {
		return ""
	}
	return v.Limit.String()
}

func (v limit) Set(s string) (err error) {
	*v.Limit, err = library.ParseLimit(s)
	return err
}

func (limit) Type() string { return "limit" }

// lifespan is a flag that is a library.Limit in seconds. It may be a duration, too.
type lifespan struct{ *library.Limit }

func (v lifespan) String() string { return limit(v).String() }

func (v lifespan) Set(s string) error {
	if d, err := time.ParseDuration(s); err == nil && d%time.Second == 0 {
		s = strconv.FormatInt(int64(d/time.Second), 10)
	}
	return limit(v).Set(s)
}

func (lifespan) Type() string { return "seconds" }

// readInput reads a file that a command was given, or standard input.
func readInput(cmd *cobra.Command, name string, most int64) (_ []byte, err error) {
	r := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return b, err
}
