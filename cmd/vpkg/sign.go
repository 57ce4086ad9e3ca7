package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/packaging/manifest"
	"github.com/vpkg/vpkg/rpm"
)

// signPackageOptions are the flags of vpkg sign.
type signPackageOptions struct {
	key      string
	command  string
	cert     string
	detached bool
	replace  bool
	legacy   bool
}

func signCommand() *cobra.Command {
	var o signPackageOptions
	cmd := &cobra.Command{
		Use:   "sign PKG...",
		Short: "Sign RPM and DEB packages",
		Long: `Sign packages with an OpenPGP key of RSA or Ed25519: an RPM in its signature header,
a DEB in a member _gpgorigin, as debsigs does it, or with --detached in a file
PKG.asc. What the packages carry stays as it is. A package that is signed already is
refused, but for --replace. If something fails the older file stays. rpm knows Ed25519
since 4.17: take RSA for RHEL 9 and before.

The key comes from a file, --key, with its passphrase in ` + passphraseVariable + `;
or another program has it, --sign-command, which reads the 32 bytes of a SHA-256
digest on its standard input and writes the signature on its standard output. Its
public key is in --cert.

The date of a signature is SOURCE_DATE_EPOCH, or else that of the package, so that
signing it again gives the same bytes. See docs/signing.md.

An MSI is signed while it is built: vpkg build --sign-key.`,
		Example: `  vpkg sign --key release.asc dist/*.rpm dist/*.deb
  vpkg sign --key release.asc --detached x.deb
  vpkg sign --sign-command 'hsm-sign release' --cert release.pub x.rpm`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	cmd.Flags().StringVar(&o.key, "key", "", "a `FILE` with an OpenPGP secret key, armored or binary")
	cmd.Flags().StringVar(&o.command, "sign-command", "", "a `COMMAND` that signs, in place of --key")
	cmd.Flags().StringVar(&o.cert, "cert", "", "a `FILE` with the OpenPGP public key of --sign-command")
	cmd.Flags().BoolVar(&o.detached, "detached", false, "write the signature of a DEB to PKG.asc, and leave PKG as it is")
	cmd.Flags().BoolVar(&o.replace, "replace", false, "put the signature in the place of those that a package has")
	cmd.Flags().BoolVar(&o.legacy, "rpmv3", false, "sign header and payload of an RPM together, too: for rpm before 4.14")
	return cmd
}

func (o *signPackageOptions) run(ctx context.Context, w io.Writer, names []string) error {
	key, err := o.load()
	if err != nil {
		return err
	}
	var date time.Time // of the packages themselves
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		if date, err = manifest.ParseEpoch(s); err != nil {
			return err
		}
	}
	for _, name := range names {
		written, err := o.sign(ctx, name, key, date)
		if errors.Is(err, sign.ErrSigned) {
			err = fmt.Errorf("%w: --replace puts the new signature in the place of the old one", err)
		}
		if err != nil {
			return fmt.Errorf("signing %s: %w", name, err)
		}
		if _, err := fmt.Fprintf(w, "%s: signed by %s, key %s\n", written, key.User, key.KeyID()); err != nil {
			return err
		}
	}
	return nil
}

func (o *signPackageOptions) load() (*sign.OpenPGP, error) {
	switch {
	case o.key != "" && o.command != "":
		return nil, usageError{errors.New("--key and --sign-command: want one of them")}
	case o.key == "" && o.command == "":
		return nil, usageError{errors.New("sign needs a key: --key or --sign-command")}
	case o.command != "" && o.cert == "":
		return nil, usageError{errors.New("--sign-command needs the public key of its key, --cert")}
	case o.command == "" && o.cert != "":
		return nil, usageError{errors.New("--cert is for --sign-command: --key has the public key, too")}
	}
	if o.command != "" {
		return sign.LoadOpenPGPCommand(strings.Fields(o.command), o.cert)
	}
	key, err := sign.LoadOpenPGP(o.key, []byte(os.Getenv(passphraseVariable)))
	if errors.Is(err, sign.ErrNoPassphrase) {
		err = fmt.Errorf("%w: it is taken from the environment, %s", err, passphraseVariable)
	}
	return key, err
}

// sign signs a package and gives the name of the file that it wrote.
func (o *signPackageOptions) sign(ctx context.Context, name string, key *sign.OpenPGP, date time.Time) (string, error) {
	// What a link points to is signed, and the link stays.
	file, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", err
	}
	f, err := openPackage(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	debian := deb.SignOptions{Key: key, Date: date, Replace: o.replace}
	switch format := f.format.Name(); {
	case format == "msi":
		return "", errors.New("an MSI is signed while it is built: vpkg build --sign-key")
	case o.detached && format != "deb":
		return "", usageError{errors.New("--detached is for a DEB: rpm looks for signatures in the package only")}
	case o.legacy && format != "rpm":
		return "", usageError{errors.New("--rpmv3 is for an RPM")}
	case o.detached:
		text, err := deb.SignDetached(ctx, f, f.size, debian)
		if err != nil {
			return "", err
		}
		name += ".asc" // where who knows the package by that name looks for it
		if _, err := os.Lstat(name); err == nil && !o.replace {
			return "", fmt.Errorf("%s: %w", name, sign.ErrSigned)
		}
		return name, writeFile(ctx, name, 0o644, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	return name, writeFile(ctx, file, info.Mode().Perm(), func(w io.Writer) error {
		if f.format.Name() == "deb" {
			err = deb.Sign(ctx, f, f.size, w, debian)
		} else {
			err = rpm.Sign(ctx, f, f.size, w, rpm.SignOptions{Key: key, Date: date, Replace: o.replace, Legacy: o.legacy})
		}
		return errors.Join(err, f.Close()) // Windows replaces no file that is open
	})
}

// writeFile writes a file that appears under its name when it is complete; until then
// an older one of that name stays.
func writeFile(ctx context.Context, name string, mode os.FileMode, content func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".vpkg-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close() // err says what went wrong already
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if err := content(tmp); err != nil {
		return err
	}
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
