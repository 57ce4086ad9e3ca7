// Package dist builds a matrix of packages into one folder, with SHA256SUMS and
// artifacts.json beside them.
package dist

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/vpkg/vpkg/packaging"
)

// A Job is one package to be built.
type Job struct {
	OS      string // the target's label, such as "el8"
	Package *packaging.Package
	Format  packaging.Format
}

// An Artifact describes a package file in artifacts.json.
type Artifact struct {
	Name    string           `json:"name"` // of the file
	Format  string           `json:"format"`
	Package string           `json:"package"`
	Version string           `json:"version"` // with epoch and release
	OS      string           `json:"os"`
	Arch    string           `json:"arch"`
	Size    int64            `json:"size"` // bytes
	SHA256  packaging.Digest `json:"sha256"`
}

// Options of a Build.
type Options struct {
	Dir  string // where the packages go; made when it is missing
	Jobs int    // packages written at once; at least 1

	// Begin, if not nil, is called before a package is written; what it returns is
	// called when it has been written and read back.
	Begin func(j Job) (done func())
}

const (
	sumsFile      = "SHA256SUMS"
	artifactsFile = "artifacts.json"
)

// Build builds all jobs or none: packages appear in the folder when all of them
// were written and read back. SHA256SUMS and artifacts.json then list these and
// what earlier builds left in the folder.
func Build(ctx context.Context, o Options, jobs []Job) (_ []Artifact, err error) {
	if err := checkNames(jobs); err != nil {
		return nil, err
	}
	made, err := mkdir(o.Dir)
	if err != nil {
		return nil, err
	}
	stage, err := os.MkdirTemp(o.Dir, ".vpkg-build-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(stage))
		if err != nil && made {
			os.Remove(o.Dir) // only when it is empty
		}
	}()
	artifacts, err := buildAll(ctx, stage, o, jobs)
	if err != nil {
		return nil, err
	}
	for _, a := range artifacts {
		if err := os.Rename(filepath.Join(stage, a.Name), filepath.Join(o.Dir, a.Name)); err != nil {
			return nil, err
		}
	}
	all, err := merge(o.Dir, artifacts)
	if err != nil {
		return nil, err
	}
	if err := writeLists(o.Dir, stage, all); err != nil {
		return nil, err
	}
	return artifacts, nil
}

// mkdir makes dir and reports whether it was missing.
func mkdir(dir string) (made bool, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		made = true
	}
	return made, os.MkdirAll(dir, 0o755)
}

func checkNames(jobs []Job) error {
	seen := map[string]string{}
	for _, j := range jobs {
		name := j.Format.FileName(j.Package)
		if other, ok := seen[name]; ok {
			return fmt.Errorf("%s for %s and for %s would be the same file", name, other, j.OS)
		}
		seen[name] = j.OS
	}
	return nil
}

// buildAll writes the packages into dir. Of packages that share a payload the
// first is written by itself, so that the others find it compressed.
func buildAll(ctx context.Context, dir string, o Options, jobs []Job) ([]Artifact, error) {
	artifacts := make([]Artifact, len(jobs))
	errs := make([]error, len(jobs))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	one := func(i int) {
		artifacts[i], errs[i] = build(ctx, dir, o, jobs[i])
		if errs[i] != nil {
			cancel()
		}
	}

	type payload struct{ format, codec, arch string }
	first := map[payload]bool{}
	var later []int
	for i, j := range jobs {
		p := payload{j.Format.Name(), j.Package.Compression.Codec, j.Package.Arch}
		if first[p] {
			later = append(later, i)
			continue
		}
		first[p] = true
		one(i)
	}
	var wg sync.WaitGroup
	free := make(chan struct{}, max(1, o.Jobs))
	for _, i := range later {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			one(i)
		})
	}
	wg.Wait()
	if err := firstCause(errs); err != nil {
		return nil, err
	}
	return artifacts, nil
}

// firstCause picks the error that made the others be cancelled.
func firstCause(errs []error) error {
	var cancelled error
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, context.Canceled):
			cancelled = err
		default:
			return err
		}
	}
	return cancelled
}

func build(ctx context.Context, dir string, o Options, j Job) (Artifact, error) {
	if err := ctx.Err(); err != nil {
		return Artifact{}, err
	}
	done := func() {}
	if o.Begin != nil {
		done = o.Begin(j)
	}
	a, err := packaging.Build(ctx, dir, j.Package, j.Format)
	if err != nil {
		return Artifact{}, err
	}
	done()
	return Artifact{
		Name: filepath.Base(a.Path), Format: j.Format.Name(), Package: j.Package.Name, Version: j.Package.EVR(),
		OS: j.OS, Arch: j.Package.Arch, Size: a.Size, SHA256: a.SHA256,
	}, nil
}

// merge joins the new artifacts with those of earlier builds that are still in
// dir with their size, sorted by name.
func merge(dir string, artifacts []Artifact) ([]Artifact, error) {
	all := slices.Clone(artifacts)
	b, err := os.ReadFile(filepath.Join(dir, artifactsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var old []Artifact
	if len(b) > 0 && json.Unmarshal(b, &old) != nil {
		old = nil // not ours, or broken: it is written anew
	}
	for _, a := range old {
		fi, err := os.Stat(filepath.Join(dir, filepath.Base(a.Name)))
		if err != nil || fi.Size() != a.Size {
			continue
		}
		if !slices.ContainsFunc(all, func(b Artifact) bool { return b.Name == a.Name }) {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b Artifact) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// lists gives SHA256SUMS, in the form that sha256sum -c reads, and artifacts.json.
func lists(artifacts []Artifact) (map[string][]byte, error) {
	var sums bytes.Buffer
	for _, a := range artifacts {
		fmt.Fprintf(&sums, "%s  %s\n", a.SHA256, a.Name)
	}
	b, err := json.MarshalIndent(artifacts, "", "  ")
	if err != nil {
		return nil, err
	}
	return map[string][]byte{sumsFile: sums.Bytes(), artifactsFile: append(b, '\n')}, nil
}

func writeLists(dir, stage string, artifacts []Artifact) error {
	files, err := lists(artifacts)
	if err != nil {
		return err
	}
	for name, b := range files {
		tmp := filepath.Join(stage, name)
		if err := os.WriteFile(tmp, b, 0o644); err != nil {
			return err
		}
		if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
