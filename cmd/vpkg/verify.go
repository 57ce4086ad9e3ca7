package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/packaging/verify"
)

// verifyOptions are the flags of vpkg verify.
type verifyOptions struct {
	roots   string
	keys    []string
	strict  bool
	verbose bool
	json    bool

	policy    string
	disable   []string
	explain   string
	rules     bool
	noLinters bool
	meant     meantOptions

	installed installedOptions
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify PKG... | --installed [NAME...]",
		Short: "Check packages and installed hosts for damage and mistakes",
		Long: `Check packages: every digest that they carry, their signatures, and the mistakes that
docs/verify.md lists, of an MSI also the rules of Windows Installer that can be
checked without Windows. Each finding names its rule, which --explain explains.

Signatures of an RPM, of a DEB and of a DEB in a file PKG.asc beside it are checked
with --keys, those of an MSI with --roots; without these they are only named. A
package is unsigned, or its signature is good, bad, expired, weak (of SHA-1), by an
unknown key, unsupported, or not checked.

With --manifest the package is also compared with what the manifest makes for its
system. A policy takes rules away, gives them another severity and lists exceptions:
.vpkg-verify.yaml in this folder, or the file that --policy names.

rpmlint, lintian and shellcheck are run where they are installed, and their findings
are listed under their own names. They unpack the package: see docs/verify.md before
you let them see one that you do not trust.

With --installed it is this host, or the one whose files are below --root, that is
checked against what packages laid down and set up; docs/installed.md says how. One
that is as it is to be gets no line.

The exit status is 1 if a package is damaged or has an error, and with --strict
also if it has a warning; with --keys, for an RPM or a DEB, also if it does not have a
good signature, and with --roots if an MSI does not. It is 2 if the command was used
wrongly, or a package or the policy cannot be read.`,
		Example: `  vpkg verify --keys release.asc dist/*.rpm dist/*.deb
  vpkg verify --roots ca.pem --strict other.msi
  vpkg verify --manifest vpkg.yaml dist/agent-1.4.0-7.el9.x86_64.rpm
  vpkg verify --explain script-deletes-data
  vpkg verify --installed illumio-ven --verbose
  vpkg verify --installed --root /mnt`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.installed.on:
				return nil
			case o.rules:
				return usageArgs(cobra.NoArgs)(cmd, args)
			case cmd.Flags().Changed("explain"):
				return usageArgs(cobra.MaximumNArgs(1))(cmd, args)
			}
			return usageArgs(cobra.MinimumNArgs(1))(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.rules:
				return listRules(cmd.OutOrStdout())
			case o.explain == everyRule && len(args) == 1:
				return explainRule(cmd.OutOrStdout(), args[0])
			case cmd.Flags().Changed("explain") && o.explain != everyRule:
				return explainRule(cmd.OutOrStdout(), o.explain)
			case cmd.Flags().Changed("explain"):
				return listRules(cmd.OutOrStdout())
			case o.installed.on:
				return o.runInstalled(cmd.Context(), cmd.OutOrStdout(), args)
			}
			return o.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.roots, "roots", "", "a `FILE` of certificates, PEM, of which one has to vouch for the signer")
	fl.StringSliceVar(&o.keys, "keys", nil, "a `FILE` of OpenPGP public keys, armored or binary, of which one has to have signed; may be repeated")
	fl.BoolVar(&o.strict, "strict", false, "fail for warnings too")
	fl.BoolVarP(&o.verbose, "verbose", "v", false, "show information too, and which linters are not installed")
	fl.BoolVar(&o.json, "json", false, "write JSON")
	fl.StringVar(&o.policy, "policy", "", "the policy `FILE` (default "+verify.PolicyFile+", where there is one)")
	fl.StringSliceVar(&o.disable, "disable", nil, "a `RULE` that finds nothing; may be repeated")
	fl.StringVar(&o.explain, "explain", "", "explain a `RULE`, or without one list all")
	fl.Lookup("explain").NoOptDefVal = everyRule // --explain RULE then has the rule as an argument
	fl.BoolVar(&o.rules, "rules", false, "list all rules")
	fl.BoolVar(&o.noLinters, "no-linters", false, "do not run rpmlint, lintian and shellcheck")
	o.meant.flags(cmd)
	o.installed.flags(cmd)
	return cmd
}

// Errors for packages that were checked.
var (
	errFindings = errors.New("mistakes were found")
	errUnsigned = errors.New("a package has no good signature")
)

func (o *verifyOptions) run(ctx context.Context, w io.Writer, names []string) error {
	frugal()
	policy, err := o.loadPolicy()
	if err != nil {
		return err
	}
	roots, err := readRoots(o.roots)
	if err != nil {
		return troubleError{err}
	}
	keys, err := sign.LoadKeys(o.keys...)
	if err != nil {
		return troubleError{err}
	}
	v := &verifier{verifyOptions: o, policy: policy, roots: roots, keys: keys}
	if err := v.open(); err != nil {
		return err
	}
	all, trouble := v.packages(ctx, w, names)
	if err := errors.Join(trouble, v.close()); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return troubleError{err} // 1 would say that the packages were looked at
	}
	switch {
	case slices.ContainsFunc(all, func(v verification) bool { return v.failed }):
		return errFindings
	case slices.ContainsFunc(all, func(v verification) bool { return v.unsigned }):
		return errUnsigned
	}
	return nil
}

// loadPolicy reads the policy and adds what the command line disables.
func (o *verifyOptions) loadPolicy() (*verify.Policy, error) {
	rules := allRules()
	policy := new(verify.Policy)
	name := o.policy
	if name == "" {
		name = verify.PolicyFile
	}
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist) && o.policy == "":
	case err != nil:
		return nil, troubleError{fmt.Errorf("reading the policy: %w", err)}
	default:
		if policy, err = verify.ParsePolicy(name, text, rules); err != nil {
			return nil, troubleError{err}
		}
	}
	for _, rule := range o.disable {
		if err := verify.CheckName(rule, rules); err != nil {
			return nil, usageError{fmt.Errorf("--disable: %w", err)}
		}
	}
	policy.Disable = append(policy.Disable, o.disable...)
	return policy, nil
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

// A verifier verifies packages one by one.
type verifier struct {
	*verifyOptions
	policy *verify.Policy
	roots  *x509.CertPool
	keys   *sign.Keys
	meant  *meant // nil without a manifest
}

func (v *verifier) open() error {
	var err error
	v.meant, err = v.verifyOptions.meant.open()
	return err
}

func (v *verifier) close() error {
	if v.meant == nil {
		return nil
	}
	return v.meant.close()
}

// packages verifies two packages at a time, and writes about each when those before
// it were written. What cannot be read is no obstacle to the others.
func (v *verifier) packages(ctx context.Context, w io.Writer, names []string) ([]verification, error) {
	type result struct {
		v   verification
		err error
	}
	results := make([]chan result, len(names))
	slots := make(chan struct{}, 2)
	for i := range results {
		results[i] = make(chan result, 1)
	}
	go func() {
		for i, name := range names {
			slots <- struct{}{}
			go func() {
				x, err := v.one(ctx, name, len(names) == 1)
				results[i] <- result{x, err}
				<-slots
			}()
		}
	}()
	all := []verification{}
	var errs []error
	used := make([]int, len(v.policy.Except))
	for i := range results {
		r := <-results[i]
		if r.err != nil {
			errs = append(errs, r.err)
			continue
		}
		for k, n := range r.v.used {
			used[k] += n
		}
		all = append(all, r.v)
		if !v.json {
			var b bytes.Buffer
			r.v.print(&b, v.verbose)
			if _, err := (printable{w}).Write(b.Bytes()); err != nil {
				return all, err
			}
		}
	}
	var unused []verify.Finding
	if len(errs) == 0 { // or those that could not be read may have used them
		unused = unusedExceptions(v.policy, used)
	}
	switch {
	case v.json:
		if len(all) > 0 {
			all[len(all)-1].Findings = append(all[len(all)-1].Findings, unused...)
		}
		errs = append(errs, writeJSON(w, all))
	case v.verbose:
		for _, f := range unused {
			fmt.Fprintf(w, "%s\n", inLine(f.String()))
		}
	}
	return all, errors.Join(errs...)
}

// unusedExceptions gives a finding for each exception that passed over nothing.
func unusedExceptions(p *verify.Policy, used []int) []verify.Finding {
	var findings []verify.Finding
	for i, x := range p.Except {
		if used[i] == 0 {
			text := fmt.Sprintf("the exception from %s passes over nothing: %s", x.Rule, x.Reason)
			findings = append(findings, verify.NewFinding("unused-exception", x.Paths[0], text))
		}
	}
	findings, _ = (&verify.Policy{Disable: p.Disable, Severity: p.Severity}).Apply(findings)
	return findings
}
