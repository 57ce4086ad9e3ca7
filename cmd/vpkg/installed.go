package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/internal/progress"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/installed"
	"github.com/vpkg/vpkg/packaging/verify"
	"github.com/vpkg/vpkg/platform"
)

// installedOptions are the flags of vpkg verify --installed.
type installedOptions struct {
	on    bool
	root  string
	file  string
	trust string
}

func (o *installedOptions) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&o.on, "installed", false, "check what is installed on this host: the packages that are named, or all that vpkg made")
	fl.StringVar(&o.root, "root", "", "with --installed: the `DIR` that holds the files of another host, such as an image")
	fl.StringVar(&o.file, "package", "", "with --installed: the package `FILE` that it was installed from, to compare with in place of the record")
	fl.StringVar(&o.trust, "require-trust", "", "with --installed: fail unless this vouches for what is compared with: `LEVEL` record, database, package or signed-package")
}

// errDeviates is returned when a host was looked at, and is not what it is to be.
var errDeviates = errors.New("what is installed is not what the packages laid down")

// runInstalled verifies what is installed on this host: products by name, or all.
func (o *verifyOptions) runInstalled(ctx context.Context, w io.Writer, names []string) error {
	i := &o.installed
	if i.trust != "" && !slices.Contains(installed.Trusts, installed.Trust(i.trust)) {
		return usageError{fmt.Errorf("--require-trust: %q is not one of %v", i.trust, installed.Trusts)}
	}
	policy, err := o.loadPolicy()
	if err != nil {
		return err
	}
	host := &installed.Host{Root: i.root}
	options := installed.Options{Policy: policy, State: i.state, Reading: reading}
	if i.file != "" {
		if len(names) > 1 {
			return usageError{errors.New("--package is the file of one package: name that one, or none")}
		}
		if err := o.readExpected(ctx, &options); err != nil {
			return err
		}
		if len(names) == 0 {
			names = []string{options.Package.Name}
		}
	}
	var trouble []error
	if len(names) == 0 {
		names, err = host.Names(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			trouble = append(trouble, err)
		case len(names) == 0:
			return errors.New("no package that vpkg made is installed; another maker's is checked with --package FILE")
		}
	}
	results := []*installed.Result{}
	for _, name := range names {
		r, err := host.Verify(ctx, name, options)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, installed.ErrNoRecord):
			trouble = append(trouble, fmt.Errorf("%s: %w: --package FILE names the package that it was installed from", name, err))
		case err != nil:
			trouble = append(trouble, fmt.Errorf("%s: %w", name, err))
		default:
			results = append(results, r)
		}
	}
	if o.json {
		err = writeJSON(w, results)
	} else {
		err = o.printInstalled(w, results)
	}
	if err != nil {
		return err
	}
	return o.verdict(results, trouble)
}

// readExpected reads the package file.
func (o *verifyOptions) readExpected(ctx context.Context, to *installed.Options) error {
	keys, err := sign.LoadKeys(o.keys...)
	if err != nil {
		return troubleError{err}
	}
	roots, err := readRoots(o.roots)
	if err != nil {
		return troubleError{err}
	}
	f, err := openPackage(o.installed.file)
	if err != nil {
		return troubleError{err}
	}
	defer f.Close()
	if to.Package, err = f.Package(ctx, packaging.Payload); err != nil {
		return troubleError{err}
	}
	to.Format = f.Format.Name()
	c, err := f.MSI()
	if err != nil {
		return troubleError{err}
	}
	if c != nil {
		_, err := c.Signature(ctx, roots)
		to.Signed = err == nil && roots != nil
		if err != nil && (roots != nil || !errors.Is(err, sign.ErrUnsigned)) {
			return fmt.Errorf("%s has no good signature: %w", f.Name(), err)
		}
		return nil
	}
	all, err := f.signatures(ctx, keys)
	if err != nil {
		return fmt.Errorf("checking %s: %w", f.Name(), err)
	}
	var each []sign.OpenPGPSignature
	for _, s := range all {
		each = append(each, s.OpenPGPSignature)
	}
	verdict := sign.Verdict(each)
	to.Signed = verdict == sign.Good && len(o.keys) > 0
	if verdict == sign.Bad || len(o.keys) > 0 && !to.Signed {
		return fmt.Errorf("%s has no good signature: %s", f.Name(), verdict)
	}
	return nil
}

// reading shows how far the reading of files is.
func reading(total int64) (read func(n int), done func()) {
	read, bar := progress.Counting(os.Stderr, "verifying", total)
	return read, bar.Close
}

// state asks the product what else is not as it is to be.
func (o *installedOptions) state(ctx context.Context, c hooks.Config) ([]installed.Deviation, error) {
	sys := hostOf(c)
	if o.root != "" {
		sys = (&installed.Host{Root: o.root}).Image()
	}
	p := platform.Product{Config: c, Sys: sys, Log: slog.New(slog.DiscardHandler), Stdout: io.Discard, Stderr: io.Discard}
	all, err := p.Deviations(ctx, o.root)
	var list []installed.Deviation
	for _, d := range all {
		list = append(list, installed.Deviation(d))
	}
	return list, err
}

// printInstalled writes about products. About one that is healthy there is nothing to
// write, but what vouches for that, for people who look.
func (o *verifyOptions) printInstalled(w io.Writer, results []*installed.Result) error {
	out := printable{w}
	for _, r := range results {
		name := strings.TrimSuffix(r.Name+" "+r.Version, " ") // a damaged state has no version
		head := fmt.Sprintf("%s: %s, compared with %s", name, entries(r.Checked), trustText(r))
		if len(r.Findings) == 0 && len(r.Unchecked) == 0 {
			if o.verbose || term.IsTerminal(int(os.Stderr.Fd())) {
				fmt.Fprintln(printable{os.Stderr}, oneLine(head+": as it is to be"))
			}
			continue
		}
		if _, err := fmt.Fprintln(out, oneLine(head)); err != nil {
			return err
		}
		printFindings(out, r.Findings, true)
		for n, u := range r.Unchecked {
			if n == maxShown && !o.verbose {
				fmt.Fprintf(out, "  and %d more that were not checked, which --verbose shows\n", len(r.Unchecked)-n)
				break
			}
			fmt.Fprintf(out, "  not checked: %s\n", oneLine(u.Path+": "+u.Why))
		}
	}
	return nil
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// trustText says what vouches for what was compared with.
func trustText(r *installed.Result) string {
	text := map[installed.Trust]string{
		installed.ByRecord:        "the record alone",
		installed.ByDatabase:      "the record, which the package database vouches for",
		installed.ByPackage:       "the package file",
		installed.BySignedPackage: "the package file, whose signature is good",
	}[r.Trust]
	if r.Note != "" {
		text += " (" + r.Note + ")"
	}
	return text
}

// verdict is the error about what was found, if it is one, after those about what
// could not be done.
func (o *verifyOptions) verdict(results []*installed.Result, errs []error) error {
	unchecked, permission := 0, false
	for _, r := range results {
		unchecked += len(r.Unchecked)
		permission = permission || slices.ContainsFunc(r.Unchecked, func(u installed.Unchecked) bool { return u.Permission })
		if t := o.installed.trust; t != "" && !r.Trust.Reaches(installed.Trust(t)) {
			errs = append(errs, fmt.Errorf("%s is compared with %s, and --require-trust wants %s", r.Name, trustText(r), t))
		}
	}
	if slices.ContainsFunc(results, func(r *installed.Result) bool {
		return slices.ContainsFunc(r.Findings, func(f verify.Finding) bool {
			return f.Severity == verify.Error || f.Severity == verify.Warning && o.strict
		})
	}) {
		errs = append(errs, errDeviates)
	}
	if unchecked > 0 {
		text := entries(unchecked) + " could not be checked"
		if permission {
			text += ": run vpkg as root to check all"
		}
		errs = append(errs, errors.New(text))
	}
	if len(errs) > 1 { // one line
		var texts []string
		for _, err := range errs {
			texts = append(texts, err.Error())
		}
		return errors.New(strings.Join(texts, "; "))
	}
	return errors.Join(errs...)
}
