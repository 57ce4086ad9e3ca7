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
	strict bool
	json   bool
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify PKG...",
		Short: "Check packages for damage and mistakes",
		Long: `Check packages: every digest that they carry, and of an MSI also its signature, and
the rules of Windows Installer that can be checked without Windows. Each finding
names its rule; docs/msi-rules.md says what to do about it.

The exit status is 1 if a package is damaged or has an error, and with --strict
also if it has a warning.`,
		Example: `  vpkg verify dist/*.msi
  vpkg verify --roots ca.pem --strict other.msi`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	cmd.Flags().StringVar(&o.roots, "roots", "", "a `FILE` of certificates, PEM, of which one has to vouch for the signer")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "fail for warnings too")
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	return cmd
}

// A verification is what was found about one package.
type verification struct {
	Package   string    `json:"package"`
	Format    string    `json:"format"`
	Digests   string    `json:"digests"`             // "good"
	Signature string    `json:"signature,omitempty"` // "unsigned", "good" or "bad"
	Signer    string    `json:"signer,omitempty"`
	Findings  []finding `json:"findings"`

	failed bool
}

type finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"` // "error" or "warning"
	Where    string `json:"where,omitempty"`
	Text     string `json:"text"`
}

// errFindings is returned when packages were checked, and have mistakes.
var errFindings = errors.New("mistakes were found")

func (o *verifyOptions) run(ctx context.Context, w io.Writer, names []string) error {
	roots, err := readRoots(o.roots)
	if err != nil {
		return err
	}
	var all []verification
	failed := false
	for _, name := range names {
		v, err := o.verify(ctx, name, roots)
		if err != nil {
			return err
		}
		all = append(all, v)
		failed = failed || v.failed
	}
	if o.json {
		err = writeJSON(w, all)
	} else {
		err = printVerifications(w, all)
	}
	if err == nil && failed {
		err = errFindings
	}
	return err
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

func (o *verifyOptions) verify(ctx context.Context, name string, roots *x509.CertPool) (verification, error) {
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
	if c == nil {
		return v, err
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
