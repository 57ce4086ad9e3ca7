package installed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/verify"
)

// A Snapshot is what a host has of a package.
type Snapshot struct {
	// Package is the one that was asked about, with the version that the database has,
	// the entries that are there, and the accounts that exist. What a host cannot tell,
	// such as scripts, is the package's.
	Package *packaging.Package

	Differ map[string]bool // paths of files whose content the policy lets differ
	Miss   map[string]bool // paths of what the policy lets be missing
}

// Snapshot looks at what a host has of a package of the given format. Where there is a
// database, and it does not have the package, the error is ErrNotInstalled.
func (h *Host) Snapshot(ctx context.Context, p *packaging.Package, format string, policy verify.Installed) (*Snapshot, error) {
	known, err := h.Lookup(ctx, p.Name)
	if err == nil && known.problem != nil {
		err = known.problem
	}
	if err != nil {
		return nil, err
	}
	var state hooks.Installed
	if at := slices.IndexFunc(p.Layout, func(e packaging.Entry) bool { return strings.HasSuffix(e.Path, hooks.RecordFile) }); at >= 0 {
		state.Program = strings.TrimSuffix(p.Layout[at].Path, hooks.RecordFile)
	}
	x := expect(p.Layout, hooks.Config{}, state, policy)
	s := h.scan(hooks.Config{Name: p.Name, Program: state.Program})
	users, groups := h.accounts(ctx, s, "passwd"), h.accounts(ctx, s, "group")
	s.User, s.Group, s.Whole = users.name, groups.name, x.whole
	got, errs, err := s.Read(ctx, p.Layout)
	if err != nil {
		return nil, err
	}
	if len(errs) > 0 {
		err := fmt.Errorf("%d entries cannot be read, the first of them: %w", len(errs), errs[0])
		return nil, err
	}
	copied := *p
	snap := &Snapshot{Package: &copied, Differ: map[string]bool{}, Miss: map[string]bool{}}
	for i := range p.Layout {
		e := &p.Layout[i]
		switch x.treatment(e) {
		case verify.MayDiffer:
			snap.Differ[e.Path] = true
		case verify.Ignore:
			snap.Differ[e.Path], snap.Miss[e.Path] = true, true
		}
		if isDoc(e) || e.Config == packaging.ConfigMissingOK {
			snap.Miss[e.Path] = true
		}
	}
	d := differences{check: &check{host: h, known: known, o: Options{Package: p, Format: format}}, x: x, scan: s}
	copied.Layout = d.visible(p.Layout, got)
	copied.Accounts = slices.DeleteFunc(slices.Clone(p.Accounts), func(a packaging.Account) bool {
		return a.User != "" && !users.has(a.User) || a.Group != "" && !groups.has(a.Group)
	})
	if known.Format == "" {
		return snap, nil
	}
	if err := setVersion(&copied, known); err != nil {
		return nil, err
	}
	return snap, nil
}

// visible leaves out what the policy ignores, and takes folders that dpkg leaves alone
// as they are to be.
func (d *differences) visible(want, got packaging.Layout) packaging.Layout {
	var l packaging.Layout
	for _, e := range got {
		w, ok := want.Lookup(e.Path)
		switch {
		case !ok && d.x.treatment(&e) == verify.Ignore:
			continue
		case ok && w.Mode.IsDir() && d.isShared(&w) && (e.Mode.IsDir() || d.linked(e.Path, w, e)):
			e = w
		}
		l = append(l, e)
	}
	return l
}

// setVersion gives a package the version that a database has.
func setVersion(p *packaging.Package, k Known) error {
	evr := k.EVR
	p.Epoch, p.Release = 0, ""
	if epoch, rest, ok := strings.Cut(evr, ":"); ok {
		n, err := strconv.ParseUint(epoch, 10, 32)
		if err != nil {
			return errors.New("the package database has a version " + k.EVR)
		}
		p.Epoch, evr = uint32(n), rest
	}
	p.Version = evr
	if i := strings.LastIndexByte(evr, '-'); i >= 0 {
		p.Version, p.Release = evr[:i], evr[i+1:]
	}
	p.Arch = k.Arch
	return nil
}
