package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
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
	msi      signOptions
}

// msiPassphraseVariable has the passphrase of the key for an MSI, where it is another
// than that of the key for RPM and DEB.
const msiPassphraseVariable = "VPKG_SIGN_MSI_PASSPHRASE" //nolint:gosec // the name of a variable, not a passphrase

func signCommand() *cobra.Command {
	var o signPackageOptions
	cmd := &cobra.Command{
		Use:   "sign PKG...",
		Short: "Sign packages",
		Long: `Sign packages: with an OpenPGP key of RSA or Ed25519 an RPM in its signature header,
a DEB in a member _gpgorigin, as debsigs does it, or with --detached in a file
PKG.asc; with a key and certificate for code an MSI, by Authenticode. What the
packages carry stays as it is. A package that is signed already is refused, but for
--replace. If something fails the older file stays. rpm knows Ed25519 since 4.17:
take RSA for RHEL 9 and before.

The key comes from a file, --key, with its passphrase in ` + passphraseVariable + `;
or another program has it, --sign-command, which reads the 32 bytes of a SHA-256
digest on its standard input and writes the signature on its standard output. Its
public key is in --cert. For an MSI these are --msi-key, --msi-command and --msi-cert;
a passphrase that is another than that of --key is in
` + msiPassphraseVariable + `. Keys of both kinds may be given at once.

The date of an OpenPGP signature is SOURCE_DATE_EPOCH, or else that of the package, so
that signing it again gives the same bytes. An MSI has the time that --msi-timestamp
is asked for, or none. The programs in an MSI are signed only where vpkg build
--sign-key does it. See docs/signing.md.`,
		Example: `  vpkg sign --key release.asc dist/*.rpm dist/*.deb
  vpkg sign --key release.asc --detached x.deb
  vpkg sign --sign-command 'hsm-sign release' --cert release.pub x.rpm
  vpkg sign --msi-key code.pfx --msi-timestamp http://timestamp.example.com x.msi
  vpkg sign --key release.asc --msi-key code.pfx dist/*.rpm dist/*.deb dist/*.msi`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.key, "key", "", "a `FILE` with an OpenPGP secret key, armored or binary")
	fl.StringVar(&o.command, "sign-command", "", "a `COMMAND` that signs, in place of --key")
	fl.StringVar(&o.cert, "cert", "", "a `FILE` with the OpenPGP public key of --sign-command")
	fl.BoolVar(&o.detached, "detached", false, "write the signature of a DEB to PKG.asc, and leave PKG as it is")
	fl.BoolVar(&o.replace, "replace", false, "put the signature in the place of those that a package has")
	fl.BoolVar(&o.legacy, "rpmv3", false, "sign header and payload of an RPM together, too: for rpm before 4.14")
	o.msi.flags(fl, "msi", "an MSI")
	return cmd
}

func (o *signPackageOptions) run(ctx context.Context, w io.Writer, names []string) error {
	s, err := o.load()
	if err != nil {
		return err
	}
	// Nothing is signed before it is known that all can be.
	for _, name := range names {
		f, err := openPackage(name)
		if err != nil {
			return fmt.Errorf("signing %s: %w", name, err)
		}
		if err := errors.Join(s.can(f.Format.Name()), f.Close()); err != nil {
			return fmt.Errorf("signing %s: %w", name, err)
		}
	}
	for _, name := range names {
		written, by, err := s.sign(ctx, name)
		if errors.Is(err, sign.ErrSigned) {
			err = fmt.Errorf("%w: --replace puts the new signature in the place of the old one", err)
		}
		if err != nil {
			return fmt.Errorf("signing %s: %w", name, err)
		}
		if _, err := fmt.Fprintf(w, "%s: signed by %s\n", written, by); err != nil {
			return err
		}
	}
	return nil
}

// A packageSigner signs packages of every format that it has a key for.
type packageSigner struct {
	*signPackageOptions
	openPGP      *sign.OpenPGP      // for RPM and DEB; may be nil
	authenticode *sign.Authenticode // for MSI; may be nil
	date         time.Time          // of OpenPGP signatures; zero means that of each package
}

// load reads the keys, of which there is one at least.
func (o *signPackageOptions) load() (*packageSigner, error) {
	s := &packageSigner{signPackageOptions: o}
	var err error
	if e := os.Getenv("SOURCE_DATE_EPOCH"); e != "" {
		if s.date, err = manifest.ParseEpoch(e); err != nil {
			return nil, err
		}
	}
	passphrase := os.Getenv(passphraseVariable)
	if s.authenticode, err = o.msi.signer(cmp.Or(os.Getenv(msiPassphraseVariable), passphrase)); err != nil {
		return nil, err
	}
	switch {
	case o.key != "" && o.command != "":
		return nil, usageError{errors.New("--key and --sign-command: want one of them")}
	case o.key == "" && o.command == "" && o.cert == "" && s.authenticode == nil:
		return nil, usageError{errors.New("sign needs a key: --key or --sign-command, for an MSI --msi-key or --msi-command")}
	case o.command != "" && o.cert == "":
		return nil, usageError{errors.New("--sign-command needs the public key of its key, --cert")}
	case o.command == "" && o.cert != "":
		return nil, usageError{errors.New("--cert is for --sign-command: --key has the public key, too")}
	case o.command != "":
		s.openPGP, err = sign.LoadOpenPGPCommand(strings.Fields(o.command), o.cert)
	case o.key != "":
		s.openPGP, err = sign.LoadOpenPGP(o.key, []byte(passphrase))
		if errors.Is(err, sign.ErrNoPassphrase) {
			err = fmt.Errorf("%w: it is taken from the environment, %s", err, passphraseVariable)
		}
	}
	return s, err
}

// can tells why a package of that format cannot be signed with what was given.
func (s *packageSigner) can(format string) error {
	switch {
	case s.detached && format != "deb":
		return usageError{errors.New("--detached is for a DEB: signatures of others are looked for in the package only")}
	case s.legacy && format != "rpm":
		return usageError{errors.New("--rpmv3 is for an RPM")}
	case format == "msi" && s.authenticode == nil:
		return usageError{errors.New("an MSI needs a key for code: --msi-key or --msi-command")}
	case format != "msi" && s.openPGP == nil:
		return usageError{errors.New("an RPM or a DEB needs an OpenPGP key: --key or --sign-command")}
	}
	return nil
}

// sign signs a package and gives the name of the file that it wrote, and who signed.
func (s *packageSigner) sign(ctx context.Context, name string) (written, by string, err error) {
	// What a link points to is signed, and the link stays.
	file, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", "", err
	}
	f, err := openPackage(file)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if s.openPGP != nil {
		by = s.openPGP.User + ", key " + s.openPGP.KeyID()
	}
	if s.detached {
		name += ".asc" // where who knows the package by that name looks for it
		return name, by, s.signDetached(ctx, f, name)
	}
	var content func(w io.Writer) error
	switch f.Format.Name() {
	case "deb":
		content = func(w io.Writer) error {
			return deb.Sign(ctx, f, f.Size, w, deb.SignOptions{Key: s.openPGP, Date: s.date, Replace: s.replace})
		}
	case "rpm":
		content = func(w io.Writer) error {
			return rpm.Sign(ctx, f, f.Size, w, rpm.SignOptions{Key: s.openPGP, Date: s.date, Replace: s.replace, Legacy: s.legacy})
		}
	default:
		a, err := s.describe(ctx, f)
		if err != nil {
			return "", "", err
		}
		by = a.Chain[0].Subject.String()
		content = func(w io.Writer) error {
			return msi.Sign(ctx, f, f.Size, w, msi.SignOptions{Signer: a, Replace: s.replace})
		}
	}
	info, err := f.Stat()
	if err != nil {
		return "", "", err
	}
	return name, by, writeFile(ctx, file, info.Mode().Perm(), func(w io.Writer) error {
		return errors.Join(content(w), f.Close()) // Windows replaces no file that is open
	})
}

// signDetached writes the signature of a DEB to a file.
func (s *packageSigner) signDetached(ctx context.Context, f *packageFile, name string) error {
	text, err := deb.SignDetached(ctx, f, f.Size, deb.SignOptions{Key: s.openPGP, Date: s.date})
	if err != nil {
		return err
	}
	if _, err := os.Lstat(name); err == nil && !s.replace {
		return fmt.Errorf("%s: %w", name, sign.ErrSigned)
	}
	return writeFile(ctx, name, 0o644, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// describe gives what signs an MSI in the name of its product, as vpkg build does.
func (s *packageSigner) describe(ctx context.Context, f *packageFile) (*sign.Authenticode, error) {
	p, err := f.Package(ctx, packaging.Headers)
	if err != nil {
		return nil, err
	}
	a := *s.authenticode
	a.Description, a.URL = p.Windows.ProductName, p.Homepage
	if strings.ContainsFunc(a.URL, func(r rune) bool { return r > unicode.MaxASCII }) {
		a.URL = "" // a signature has no place for it
	}
	return &a, nil
}

// writeFile writes a file that appears under its name when it is complete; until then
// an older one of that name stays. The new one gets its owner, where that is allowed.
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
	if older, err := os.Lstat(name); err == nil {
		keepOwner(tmp, older)
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
