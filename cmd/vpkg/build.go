package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/dist"
	"github.com/vpkg/vpkg/internal/programs"
	"github.com/vpkg/vpkg/internal/progress"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/manifest"
	"github.com/vpkg/vpkg/packaging/payload"
	"github.com/vpkg/vpkg/rpm"
	"github.com/vpkg/vpkg/templates/ven"
)

// buildOptions are the flags of vpkg build.
type buildOptions struct {
	manifest    string
	os, arch    []string
	payload     string
	version     string
	date        time.Time // in place of SOURCE_DATE_EPOCH, unless it is zero
	out         string
	jobs        int
	noCache     bool
	cacheLimit  int64 // MB
	compression string
	bundle      bool
	json        bool
	sign        signOptions
}

func buildCommand() *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build --os LABEL,...|all [--arch ARCH,...|all]",
		Short: "Build packages",
		Long: `Build packages of a manifest for the systems that --os names.

Without --manifest it is vpkg.yaml in this folder, and where there is none the
built-in product, the Illumio VEN with a reference payload. An nfpm.yaml is read
as it is. All systems include Windows where the manifest has a windows section.

The packages appear in the output folder when all of them were written and read
back, with SHA256SUMS and artifacts.json beside them. Times in them come from
SOURCE_DATE_EPOCH, else from the manifest's date, else from the payload.

Compressed pieces of payloads are kept in $XDG_CACHE_HOME/vpkg, so that what was
compressed once is not compressed again.`,
		Example: `  vpkg build --os el8 --arch x86_64
  vpkg build --os all --arch all --bundle
  vpkg build --os ubuntu22,debian12 --arch arm64 --payload build/root.tar.gz --version 1.4.0-8
  vpkg build --os windows --arch x64,arm64 --sign-key key.pfx
  vpkg build --manifest nfpm.yaml --os el9 --compression zstd:19`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.manifest, "manifest", "m", "", "the manifest `FILE`: a vpkg.yaml or an nfpm.yaml")
	f.StringSliceVar(&o.os, "os", nil, "the systems, by `LABEL`, or all; see vpkg targets")
	f.StringSliceVar(&o.arch, "arch", nil, "the architectures, in any format's spelling, or all (default x86_64)")
	f.StringVar(&o.payload, "payload", "", "a `DIR` or archive that takes the place of the manifest's payload")
	f.StringVar(&o.version, "version", "", "the version, `X.Y.Z-BUILD`, that takes the place of the manifest's")
	f.StringVarP(&o.out, "out", "o", "dist", "the `DIR` that the packages go to")
	f.IntVarP(&o.jobs, "jobs", "j", runtime.GOMAXPROCS(0), "how many `N` pieces are compressed at once")
	f.BoolVar(&o.noCache, "no-cache", false, "keep compressed pieces for this run only")
	f.Int64Var(&o.cacheLimit, "cache-limit", 8000, "how many `MB` of compressed pieces are kept; those longest unused go first")
	f.StringVar(&o.compression, "compression", "", "`CODEC`[:LEVEL] of the payload: zstd, gzip, xz or none; mszip for Windows")
	o.sign.flags(f, "sign", "Windows packages and their programs")
	f.BoolVar(&o.bundle, "bundle", false, "also write one .tar.bz2 of the packages")
	f.BoolVar(&o.json, "json", false, "write what was built as JSON")
	for flag, values := range map[string]func() []string{"os": osValues, "arch": archValues, "compression": codecValues} {
		complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return values(), cobra.ShellCompDirectiveNoFileComp
		}
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

func osValues() []string    { return append(manifest.Labels(), "all") }
func archValues() []string  { return []string{"x86_64", "aarch64", "ppc64le", "s390x", "all"} }
func codecValues() []string { return []string{"zstd", "gzip", "xz", "mszip", "none"} }

func (o *buildOptions) run(ctx context.Context, stdout io.Writer) (err error) {
	// Buffers are reused; a small heap is worth more than a little less collecting.
	debug.SetGCPercent(20)

	if o.jobs < 1 {
		return usageError{fmt.Errorf("--jobs %d: want 1 or more", o.jobs)}
	}
	cache, cleanup, err := cacheDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	signer, err := o.sign.signer(os.Getenv(passphraseVariable))
	if err != nil {
		return err
	}
	src, err := o.source(cache, signer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	targets, err := o.targets(src)
	if err != nil {
		return err
	}
	store, err := o.store(cache)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	jobs, err := o.resolve(ctx, src, store, signer, targets)
	if err != nil {
		return err
	}
	artifacts, err := o.build(ctx, jobs)
	if err != nil {
		return err
	}
	var bundle string
	if o.bundle {
		p := jobs[0].Package
		if bundle, err = dist.Bundle(o.out, p.Name, cmp.Or(src.version, p.EVR()), p.Date, artifacts); err != nil {
			return err
		}
	}
	return o.report(stdout, artifacts, bundle)
}

// cacheDir is where vpkg keeps what it can make again, and what removes it where
// there is no place to keep it.
func cacheDir() (dir string, cleanup func() error, err error) {
	if dir, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(dir, "vpkg")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", nil, fmt.Errorf("making the cache folder (XDG_CACHE_HOME): %w", err)
		}
		return dir, func() error { return nil }, nil
	}
	dir, err = os.MkdirTemp("", "vpkg-*")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// A source is a manifest that was read.
type source struct {
	resolve func(context.Context, manifest.Target) (*packaging.Package, error)
	close   func() error
	version string   // of all packages; empty means the first one's
	arch    []string // what --arch says, or the manifest
	windows bool     // it says what the product is on Windows
	spool   string   // folder for temporary files
}

// targets are those that --os and --arch name. Windows is among all of them where
// the manifest has it.
func (o *buildOptions) targets(src *source) ([]manifest.Target, error) {
	targets, err := manifest.Select(o.os, src.arch)
	if err != nil {
		return nil, usageError{err}
	}
	isMSI := func(t manifest.Target) bool { return t.Format == "msi" }
	named := slices.ContainsFunc(o.os, func(s string) bool { // and not only among all
		each, err := manifest.Select([]string{s}, src.arch)
		return s != "all" && err == nil && slices.ContainsFunc(each, isMSI)
	})
	targets = slices.DeleteFunc(targets, func(t manifest.Target) bool { return isMSI(t) && !src.windows && !named })
	if o.sign.given() && !slices.ContainsFunc(targets, isMSI) {
		return nil, usageError{errors.New("--sign-key and --sign-command are for Windows packages, and none is built")}
	}
	return targets, nil
}

// source reads the manifest.
func (o *buildOptions) source(cache string, signer *sign.Authenticode) (*source, error) {
	date := o.date
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" && date.IsZero() {
		var err error
		if date, err = manifest.ParseEpoch(s); err != nil {
			return nil, err
		}
	}
	if o.manifest != "" && manifest.IsNFPM(o.manifest) {
		return o.nfpm(date)
	}
	m, err := openManifest(o.manifest)
	if err != nil {
		return nil, err
	}
	if o.version != "" {
		if m.Version, err = manifest.ParseVersion(o.version); err != nil {
			return nil, usageError{fmt.Errorf("--version: %w", err)}
		}
	}
	if signer != nil {
		signer.Description, signer.URL = m.Windows.ProductName, m.Homepage
	}
	f := &finisher{parent: cache, signer: signer}
	programs := programs.Source{Dir: filepath.Join(cache, "programs")}
	r := &manifest.Resolver{
		Manifest: m, Payload: o.payload, Spool: cache, Date: date,
		Programs: func(ctx context.Context, name, goos, goarch string) (manifest.Program, error) {
			p, err := programs.Get(ctx, name, goos, goarch)
			return manifest.Program{Body: p, Size: p.Size, SHA256: p.SHA256}, err
		},
		Executable: f.finish,
	}
	return &source{
		resolve: r.Resolve, close: func() error { return errors.Join(r.Close(), f.close()) },
		version: m.Version.String(), arch: o.arch, windows: m.Windows.UpgradeCode != "", spool: cache,
	}, nil
}

// nfpm reads an nfpm.yaml, which says its version, files and architecture itself.
func (o *buildOptions) nfpm(date time.Time) (*source, error) {
	if o.version != "" || o.payload != "" {
		return nil, usageError{errors.New("--version and --payload are for a vpkg.yaml; an nfpm.yaml says them itself")}
	}
	n, err := manifest.OpenNFPM(o.manifest, os.Getenv)
	if err != nil {
		return nil, err
	}
	n.Date = date
	arch := o.arch
	if len(arch) == 0 && n.Arch() != "" {
		arch = []string{n.Arch()}
	}
	return &source{resolve: n.Resolve, close: func() error { return nil }, arch: arch}, nil
}

// openManifest reads the named manifest, or vpkg.yaml, or the built-in product's.
func openManifest(name string) (*manifest.Manifest, error) {
	if name != "" {
		return manifest.Open(name)
	}
	if _, err := os.Stat(ven.Manifest); err == nil {
		return manifest.Open(ven.Manifest)
	}
	return manifest.OpenFS(ven.Files, ven.Manifest)
}

func (o *buildOptions) store(cache string) (*payload.Store, error) {
	if o.noCache {
		return payload.TempStore()
	}
	return payload.OpenStore(filepath.Join(cache, "frames"), o.cacheLimit*1e6)
}

// resolve makes the package of each target.
func (o *buildOptions) resolve(ctx context.Context, src *source, store *payload.Store, signer *sign.Authenticode, targets []manifest.Target) ([]dist.Job, error) {
	compression, err := manifest.ParseCompression(o.compression)
	if o.compression != "" && err != nil {
		return nil, usageError{fmt.Errorf("--compression: %w", err)}
	}
	var jobs []dist.Job
	used := compression.Codec == ""
	for _, t := range targets {
		p, err := src.resolve(ctx, t)
		if err != nil {
			return nil, err
		}
		if fits := (compression.Codec == "mszip") == (t.Format == "msi"); compression.Codec != "" && fits {
			used = true
			p.Compression = packaging.Compression(compression)
		}
		job := dist.Job{OS: t.Label, Package: p}
		switch t.Format {
		case "rpm":
			job.Format = rpm.Format{Store: store, Jobs: o.jobs}
			p.Features = rpm.Features(t.RPMVersion())
		case "deb":
			job.Format = deb.Format{Store: store, Jobs: o.jobs}
			p.Features = deb.Features(strings.TrimPrefix(t.PackageManager, "dpkg "), strings.HasPrefix(t.Label, "ubuntu"))
		case "msi":
			format := msi.Format{Jobs: o.jobs, Spool: src.spool}
			if signer != nil {
				format.Signer = signer
			}
			job.Format = format
		}
		jobs = append(jobs, job)
	}
	if !used {
		return nil, usageError{fmt.Errorf("--compression %s: mszip is for Windows, and Windows has no other", o.compression)}
	}
	return jobs, nil
}

func (o *buildOptions) build(ctx context.Context, jobs []dist.Job) ([]dist.Artifact, error) {
	var total int64
	for _, j := range jobs {
		total += j.Package.Layout.Size()
	}
	bar := progress.New(os.Stderr, total)
	defer bar.Close()
	return dist.Build(ctx, dist.Options{
		Dir: o.out, Jobs: o.jobs,
		Begin: func(j dist.Job) func() {
			return bar.Task(j.Format.FileName(j.Package), j.Package.Layout).Done
		},
	}, jobs)
}

func (o *buildOptions) report(w io.Writer, artifacts []dist.Artifact, bundle string) error {
	if o.json {
		return writeJSON(w, artifacts)
	}
	var b strings.Builder
	for _, a := range artifacts {
		fmt.Fprintf(&b, "%s  %.1f MB  sha256:%s\n", filepath.Join(o.out, a.Name), float64(a.Size)/1e6, a.SHA256)
	}
	if bundle != "" {
		fmt.Fprintln(&b, bundle)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
