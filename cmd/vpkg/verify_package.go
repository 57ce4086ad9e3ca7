package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/progress"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/verify"
	"github.com/vpkg/vpkg/rpm"
)

// A verification is what was found about one package. Names and forms of its JSON are
// for programs to rely on: they are added to, never changed.
type verification struct {
	Package   string `json:"package"`
	Format    string `json:"format"`
	Digests   string `json:"digests"`             // "good", "bad", "partial" where some files have none, or "none" where all do
	Signature string `json:"signature,omitempty"` // a sign.Status, or "not checked" without keys or roots
	Signer    string `json:"signer,omitempty"`    // of a good signature
	Reason    string `json:"reason,omitempty"`    // why that of an MSI is neither good nor bad
	// Signatures has each OpenPGP signature.
	Signatures []openPGPSignature `json:"signatures,omitempty"`
	Findings   []verify.Finding   `json:"findings"`
	Linters    []linterRun        `json:"linters,omitempty"`

	failed   bool
	unsigned bool  // it has no good signature, where one is wanted
	used     []int // how often each exception of the policy passed over a finding
}

// find notes a finding about the package as a whole.
func (v *verification) find(rule, text string) {
	v.Findings = append(v.Findings, verify.NewFinding(rule, "", text))
}

// isDamage reports whether an error of reading a package is about its content: other
// ones are of the host, or say that a package is of a kind that is not read.
func isDamage(err error) bool {
	_, host := errors.AsType[*fs.PathError](err)
	return !host && !errors.Is(err, context.Canceled) && !errors.Is(err, packaging.ErrUnsupported)
}

// one verifies a package.
func (v *verifier) one(ctx context.Context, name string, alone bool) (verification, error) {
	f, err := openPackage(name)
	if err != nil {
		return verification{}, err
	}
	defer f.Close()
	x := verification{Package: name, Format: f.Format.Name(), Digests: "good", Findings: []verify.Finding{}}
	p, err := v.contents(ctx, &x, f, alone)
	if err != nil {
		return x, err
	}
	if err := v.signed(ctx, &x, f); err != nil {
		return x, err
	}
	if p != nil && v.meant != nil {
		found, err := v.meant.compare(ctx, f.Format.Name(), p, x.Signature != string(sign.Unsigned))
		if err != nil {
			return x, err
		}
		x.Findings = append(x.Findings, found...)
	}
	if p != nil && !v.noLinters {
		v.lint(ctx, &x, f, p)
	}
	if err := ctx.Err(); err != nil {
		return x, err
	}
	x.Findings, x.used = v.policy.Apply(x.Findings)
	verify.Sort(x.Findings)
	if x.Findings == nil {
		x.Findings = []verify.Finding{}
	}
	for _, found := range x.Findings {
		x.failed = x.failed || found.Severity == verify.Error || found.Severity >= verify.Warning && v.strict
	}
	return x, nil
}

// contents reads all of a package and applies the rules. The package is nil if it is
// damaged, which is a finding.
func (v *verifier) contents(ctx context.Context, x *verification, f *packageFile, alone bool) (*packaging.Package, error) {
	damaged := func(err error) (*packaging.Package, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !isDamage(err) {
			return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
		}
		x.Digests = "bad"
		x.find("damaged", err.Error())
		return nil, nil
	}
	var r io.ReaderAt = f
	if alone {
		var bar *progress.Progress
		r, bar = progress.Reading(os.Stderr, "verifying", f, f.Size)
		defer bar.Close()
	}
	p, err := f.Format.Read(ctx, r, f.Size, packaging.Headers)
	if err != nil {
		return damaged(err)
	}
	subject := verify.Subject{Format: f.Format.Name(), Package: p, Folders: v.folders(p)}
	switch f.Format.(type) {
	case rpm.Format:
		origin, err := rpm.ReadOrigin(f, f.Size)
		if err != nil {
			return damaged(err)
		}
		subject.Compare = rpm.CompareEVR
		subject.BuildHost, subject.Source = origin.Host, origin.Source
	case deb.Format:
		subject.Compare = deb.CompareVersion
	}
	scan := verify.NewScan(f.Format.Name(), p, subject.BuildHost)
	if err := f.each(ctx, r, scan.File); err != nil {
		return damaged(err)
	}
	p.Layout = scan.Layout(p.Layout)
	if err := x.summed(ctx, f, p.Layout); err != nil {
		return damaged(err)
	}
	subject.Scan = scan
	x.Findings = append(x.Findings, verify.Check(&subject)...)
	if err := v.ice(ctx, x, f); err != nil {
		return damaged(err)
	}
	return p, nil
}

// summed finds out which files of a DEB have digests. Other packages have one of each.
func (v *verification) summed(ctx context.Context, f *packageFile, l packaging.Layout) error {
	if f.Format.Name() != "deb" {
		return nil
	}
	named, others, err := deb.Summed(ctx, f, f.Size, l)
	switch {
	case err != nil:
		return err
	case named == 0:
		v.Digests = "none"
	case len(others) > 0:
		v.Digests = "partial"
		text := fmt.Sprintf("md5sums names %d of %d files: not %s", named, named+len(others), others[0])
		if n := len(others) - 1; n > 0 {
			text += fmt.Sprintf(", and %d more", n)
		}
		v.find("no-digest", text)
	}
	return nil
}

// folders are those in which the files of a package belong; nil if nobody says it.
func (v *verifier) folders(p *packaging.Package) []string {
	if len(v.policy.Folders) > 0 || v.meant == nil {
		return v.policy.Folders
	}
	return v.meant.folders(p)
}

// ice applies the rules of Windows Installer.
func (v *verifier) ice(ctx context.Context, x *verification, f *packageFile) error {
	c, err := f.MSI()
	if c == nil {
		return err
	}
	found, err := c.Check(ctx)
	if err != nil {
		return err
	}
	help := map[string]string{}
	for _, r := range msi.Rules() {
		help[r.Name] = r.Help
	}
	for _, y := range found {
		severity := verify.Error
		if y.Warning {
			severity = verify.Warning
		}
		x.Findings = append(x.Findings, verify.Finding{Rule: y.Rule, Severity: severity, Where: y.Where, Text: y.Text, Do: help[y.Rule]})
	}
	return nil
}

// signed finds out about the signatures of a package. Those of one that is damaged so
// that they cannot be found are none.
func (v *verifier) signed(ctx context.Context, x *verification, f *packageFile) error {
	if f.Format.Name() == "msi" {
		return v.authenticode(ctx, x, f)
	}
	all, err := f.signatures(ctx, v.keys)
	switch {
	case err == nil:
		x.openPGP(all, len(v.verifyOptions.keys) > 0)
	case ctx.Err() != nil:
		return ctx.Err()
	case !isDamage(err):
		return fmt.Errorf("checking %s: %w", f.Name(), err)
	case x.Digests != "bad":
		x.Signature = string(sign.Bad)
		x.find("signature", err.Error())
	}
	if x.Signature == string(sign.Unsigned) {
		x.find("unsigned", "it has no signature")
	}
	return nil
}

// authenticode finds out about the signature of an MSI.
func (v *verifier) authenticode(ctx context.Context, x *verification, f *packageFile) error {
	c, err := f.MSI()
	if err != nil {
		return nil //nolint:nilerr // a finding says already that it is damaged
	}
	s, err := c.Signature(ctx, v.roots)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	status := sign.StatusOf(err)
	x.Signature = string(status)
	x.unsigned = v.roots != nil && status != sign.Good
	switch {
	case status == sign.Unsigned:
		x.find("unsigned", "it has no signature")
	case status == sign.Bad:
		x.find("signature", err.Error())
	case status != sign.Good:
		x.Reason = err.Error()
	case v.roots == nil:
		x.Signature = notChecked
		x.Reason = fmt.Sprintf("unchanged since it was signed by %q, for whom no --roots vouch", s.Signer.Subject)
	default:
		x.Signer = s.Signer.Subject.String()
	}
	return nil
}
