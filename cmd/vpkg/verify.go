package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/msi"
)

// verifyOptions are the flags of vpkg verify.
type verifyOptions struct {
	roots  string
	keys   []string
	strict bool
	json   bool

	installed installedOptions
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify PKG...",
		Short: "Check packages for damage and mistakes",
		Long: `Check packages: every digest that they carry, their signatures, and of an MSI also
the rules of Windows Installer that can be checked without Windows. Each finding
names its rule; docs/msi-rules.md says what to do about it.

Signatures of an RPM, of a DEB and of a DEB in a file PKG.asc beside it are checked
with --keys; without it they are only named. A package is unsigned, or its signature
is good, bad, expired, weak (of SHA-1), by an unknown key, or unsupported.

The exit status is 1 if a package is damaged or has an error, and with --strict
also if it has a warning; with --keys, for an RPM or a DEB, also if it does not have a
good signature, and with --roots if an MSI does not.`,
		Example: `  vpkg verify --keys release.asc dist/*.rpm dist/*.deb
  vpkg verify --roots ca.pem --strict other.msi`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.installed.on {
				return nil
			}
			return usageArgs(cobra.MinimumNArgs(1))(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.installed.on {
				return o.runInstalled(cmd.Context(), cmd.OutOrStdout(), args)
			}
			return o.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	cmd.Flags().StringVar(&o.roots, "roots", "", "a `FILE` of certificates, PEM, of which one has to vouch for the signer")
	cmd.Flags().StringSliceVar(&o.keys, "keys", nil, "a `FILE` of OpenPGP public keys, armored or binary, of which one has to have signed; may be repeated")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "fail for warnings too")
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	o.installed.flags(cmd)
	return cmd
}

// A verification is what was found about one package.
type verification struct {
	Package   string `json:"package"`
	Format    string `json:"format"`
	Digests   string `json:"digests"`             // "good"
	Signature string `json:"signature,omitempty"` // a sign.Status, or "not checked" without keys
	Signer    string `json:"signer,omitempty"`
	// Signatures has each OpenPGP signature.
	Signatures []openPGPSignature `json:"signatures,omitempty"`
	Findings   []finding          `json:"findings"`

	failed   bool
	unsigned bool // it has no good signature, where one is wanted
}

type finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"` // "error" or "warning"
	Where    string `json:"where,omitempty"`
	Text     string `json:"text"`
}

// Errors for packages that were checked.
var (
	errFindings = errors.New("mistakes were found")
	errUnsigned = errors.New("a package has no good signature")
)

func (o *verifyOptions) run(ctx context.Context, w io.Writer, names []string) error {
	roots, err := readRoots(o.roots)
	if err != nil {
		return err
	}
	keys, err := sign.LoadKeys(o.keys...)
	if err != nil {
		return err
	}
	var all []verification
	failed, unsigned := false, false
	for _, name := range names {
		v, err := o.verify(ctx, name, roots, keys)
		if err != nil {
			return err
		}
		all = append(all, v)
		failed, unsigned = failed || v.failed, unsigned || v.unsigned
	}
	if o.json {
		err = writeJSON(w, all)
	} else {
		err = printVerifications(w, all)
	}
	switch {
	case err != nil:
		return err
	case failed:
		return errFindings
	case unsigned:
		return errUnsigned
	}
	return nil
}

// readRoots reads certificates; without a file there are none, and nobody has to
// vouch for a signer.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading --roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("reading --roots: %s has no certificate in PEM", file)
	}
	return pool, nil
}

func (o *verifyOptions) verify(ctx context.Context, name string, roots *x509.CertPool, keys *sign.Keys) (verification, error) {
	f, err := openPackage(name)
	if err != nil {
		return verification{}, err
	}
	defer f.Close()
	if _, err := f.read(ctx); err != nil {
		return verification{}, err
	}
	v := verification{Package: name, Format: f.format.Name(), Digests: "good", Findings: []finding{}}
	c, err := f.open()
	if err != nil {
		return v, err
	}
	if c == nil {
		all, err := f.signatures(ctx, keys)
		if err != nil {
			return v, fmt.Errorf("checking %s: %w", name, err)
		}
		v.openPGP(all, len(o.keys) > 0)
		return v, nil
	}
	found, err := c.Check(ctx)
	if err != nil {
		return v, fmt.Errorf("checking %s: %w", name, err)
	}
	for _, x := range found {
		severity := "error"
		if x.Warning {
			severity = "warning"
		}
		v.failed = v.failed || !x.Warning || o.strict
		v.Findings = append(v.Findings, finding{x.Rule, severity, x.Where, x.Text})
	}
	return v, v.signature(ctx, c, roots)
}

// signature finds out about the signature of an MSI.
func (v *verification) signature(ctx context.Context, c *msi.Contents, roots *x509.CertPool) error {
	switch s, err := c.Signature(ctx, roots); {
	case errors.Is(err, sign.ErrUnsigned):
		v.Signature = "unsigned"
		v.failed = v.failed || roots != nil
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		v.Signature, v.failed = "bad", true
		v.Findings = append(v.Findings, finding{Rule: "signature", Severity: "error", Text: err.Error()})
	default:
		v.Signature, v.Signer = "good", s.Signer.Subject.String()
	}
	return nil
}

func printVerifications(w io.Writer, all []verification) error {
	for _, v := range all {
		if v.Signature != string(sign.Unsigned) && v.Format != "msi" {
			if err := v.printOpenPGP(w); err != nil {
				return err
			}
			continue
		}
		text := v.Package + ": digests good"
		switch {
		case v.Signer != "":
			text += ", signature good, by " + v.Signer
		case v.Signature != "":
			text += ", signature " + v.Signature
			if v.Signature == "unsigned" {
				text = v.Package + ": digests good, unsigned"
			}
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
		for _, f := range v.Findings {
			where := ""
			if f.Where != "" {
				where = f.Where + ": "
			}
			if _, err := fmt.Fprintf(w, "  %s %s: %s%s\n", f.Rule, f.Severity, where, f.Text); err != nil {
				return err
			}
		}
	}
	return nil
}
