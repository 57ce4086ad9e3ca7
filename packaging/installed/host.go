// Package installed says whether what is on a host is what a package laid down: its
// files by the record that the package carries, or by the package file itself, and
// what is in force by what the product says of itself.
//
// Findings are of the kind that package verify gives about packages. The host may be
// hostile: see packaging.Scan, which reads it.
package installed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/tinyjson"
	"github.com/vpkg/vpkg/packaging"
)

// A Host is a system on which packages are installed.
type Host struct {
	// Root is the folder that holds its files, of an image or a disk that is mounted;
	// empty means this host.
	Root string

	// Run runs a program of this host with LC_ALL=C, and gives what it wrote to its
	// standard output, even with an error. nil means that it is really run.
	Run func(ctx context.Context, argv ...string) (string, error)
}

// Errors for names that nothing can be said about.
var (
	// ErrNotInstalled is given for a package that is not there.
	ErrNotInstalled = errors.New("is not installed")
	// ErrNoRecord is given for a package that is installed and has no record of what
	// it laid down: another maker's.
	ErrNoRecord = errors.New("has no record of what it laid down")
)

// stateFolder has a folder for each product that was made by vpkg.
const stateFolder = "/var/lib/vpkg"

// stateFile is the installed state of a product.
func stateFile(name string) string { return path.Join(stateFolder, name, "installed.json") }

// The most that is read of them, in bytes.
const (
	maxState  = 1 << 20
	maxRecord = 64 << 20
)

// scan gives what reads the host's files, those of a product in their places.
func (h *Host) scan(c hooks.Config) *packaging.Scan {
	s := &packaging.Scan{Root: h.Root}
	if h.Root == "" {
		s.Places = places(c)
	}
	return s
}

func (h *Host) run(ctx context.Context, argv ...string) (string, error) {
	if h.Run != nil {
		return h.Run(ctx, argv...)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); ok && errs.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, strings.ReplaceAll(strings.TrimSpace(errs.String()), "\n", "; "))
	}
	if err != nil {
		err = fmt.Errorf("running %s: %w", argv[0], err)
	}
	return out.String(), err
}

// Names lists the products in order: those that have an installed state, and those of
// whose record a package database has the digest. With an error some may be left out.
func (h *Host) Names(ctx context.Context) ([]string, error) {
	s := h.scan(hooks.Config{})
	all, err := s.Names(stateFolder)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	var names []string
	for _, n := range all {
		in, err := readState(s, n)
		if err == nil && in.Version == "" { // it was removed, or nothing has been set up yet
			continue
		}
		if !errors.Is(err, ErrNotInstalled) {
			names = append(names, n)
		}
	}
	known, _, problem := h.ask(ctx, "")
	if problem != nil {
		err = errors.Join(err, fmt.Errorf("the package database could not be asked for its products: %w", problem))
	}
	for _, k := range known {
		names = append(names, k.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// A product is one that is installed.
type product struct {
	name    string
	state   hooks.Installed
	config  hooks.Config // zero where it cannot be read
	record  packaging.Layout
	digest  packaging.Digest // of the record's text
	problem error            // why there is no config
}

// program is the program's folder; empty where no state says it, as of another maker's
// package.
func (p *product) program() string { return p.state.Program }

// lost is the finding that nothing says where the record is.
func (p *product) lost(why string) finding {
	return finding{rule: ruleRecord, where: stateFile(p.name), text: why + ": nothing says what is to be there"}
}

// checkName refuses what cannot be a package's name: it becomes a path, and an
// argument of a program.
func checkName(name string) error {
	for i, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', i > 0 && strings.ContainsRune("+._-", r):
		default:
			return fmt.Errorf("%q is not a package's name", name)
		}
	}
	if name == "" {
		return errors.New("a package's name is empty")
	}
	return nil
}

// readState reads the installed state of a product. Of one that has none the error is
// ErrNotInstalled.
func readState(s *packaging.Scan, name string) (hooks.Installed, error) {
	if err := checkName(name); err != nil {
		return hooks.Installed{}, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	b, err := s.ReadFile(stateFile(name), maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return hooks.Installed{}, ErrNotInstalled
	}
	if err != nil {
		return hooks.Installed{}, err
	}
	var in hooks.Installed
	if err := tinyjson.Unmarshal(b, &in); err != nil {
		return hooks.Installed{}, err
	}
	if in.Format > 1 {
		return hooks.Installed{}, fmt.Errorf("format %d: %w", in.Format, hooks.ErrUnknown)
	}
	return in, nil
}

// find reads what a host has of a product of that name. What is damaged is not an
// error: a state or a record that cannot be read is a finding.
func (h *Host) find(ctx context.Context, name string) (*product, []finding, error) {
	in, err := readState(h.scan(hooks.Config{}), name)
	p := &product{name: name, state: in}
	switch {
	case errors.Is(err, ErrNotInstalled):
		return nil, nil, err
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, fmt.Errorf("the installed state cannot be read: %w", err)
	case err != nil:
		return p, []finding{p.lost("the installed state is damaged: " + err.Error())}, nil
	case in.Version == "":
		return nil, nil, fmt.Errorf("%w: it was removed", ErrNotInstalled)
	case !isClean(in.Program):
		p.state.Program = ""
		return p, []finding{p.lost("the installed state does not say where the program is")}, nil
	}
	s := h.scan(hooks.Config{Name: name, Program: in.Program})
	if b, err := s.ReadFile(in.Program+hooks.ConfigFile, maxState); err != nil {
		p.problem = err
	} else if p.config, p.problem = hooks.ParseConfig(b); p.problem == nil && (p.config.Name != name || p.config.Program != in.Program) {
		p.config, p.problem = hooks.Config{}, fmt.Errorf("%s is of another product", in.Program+hooks.ConfigFile)
	}
	found, err := p.readRecord(ctx, s)
	return p, found, err
}

func isClean(p string) bool {
	return path.IsAbs(p) && path.Clean(p) == p && !strings.Contains(p, "\x00")
}
