package firewall

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// PutBack puts the host's saved filter rules in force again, and then removes
// ours. What belongs to other programs stays as it is now. A view that somebody
// changed since we emptied it is left as it is, and its name is in left.
//
// Called again after a crash, or after it was done, it ends the same.
func (f *Firewall) PutBack(ctx context.Context, set Set) (left []string, err error) {
	alone, err := f.leftAlone()
	if err != nil {
		return nil, err
	}
	if left, err = f.putBack(ctx, set, alone); err != nil {
		return left, err
	}
	if err := f.Drop(ctx); err != nil {
		return left, err
	}
	return left, f.remove("after.json")
}

// Load puts a saved set's filter rules in force whatever is there, as after a
// start of the host, and then removes ours.
func (f *Firewall) Load(ctx context.Context, set Set) error {
	if _, err := f.putBack(ctx, set, func(string, string) bool { return true }); err != nil {
		return err
	}
	if err := f.Drop(ctx); err != nil {
		return err
	}
	return f.remove("after.json") // from here on a change is somebody's
}

// putBack restores the views of a set that alone allows, and leaves ours.
func (f *Firewall) putBack(ctx context.Context, set Set, alone func(name, normal string) bool) (left []string, err error) {
	h, err := f.look(ctx)
	if err != nil {
		return nil, err
	}
	ipsets, err := f.savedSets(set)
	if err != nil {
		return nil, err
	}
	var errs error
	for _, p := range set.Parts {
		if p.Kept {
			continue
		}
		text, err := f.read(set, p)
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		v := h.view(p.View)
		if v == nil { // a table of that name which is none of the host's filters now
			v = find(h.others, p.View)
		}
		if v == nil {
			v = &view{name: p.View, tool: h.tool(p.View)}
		}
		changed := false
		if isNative(p) {
			changed, err = f.putBackNative(ctx, v, text, alone)
		} else {
			changed, err = f.putBackXtables(ctx, h, v, text, ipsets, alone)
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("putting back %s: %w", p.View, err))
		}
		if changed {
			left = append(left, p.View)
		}
	}
	return left, errs
}

func (f *Firewall) putBackXtables(ctx context.Context, h *host, v *view, text, ipsets string, alone func(name, normal string) bool) (changed bool, err error) {
	if v.tool == nil {
		return false, errors.New("its programs are not installed any more")
	}
	want, _ := parseSave(text)
	switch now := v.normal(); {
	case now == want.normal(false) && !v.x.hasOwn():
		return false, nil
	case !alone(v.name, now) && now != want.normal(false):
		return true, nil
	}
	if err := f.restoreSets(ctx, want, ipsets); err != nil {
		return false, err
	}
	return false, f.replace(ctx, h, v.tool, want, false)
}

func (f *Firewall) putBackNative(ctx context.Context, v *view, text string, alone func(name, normal string) bool) (changed bool, err error) {
	want := parseListing(text)
	family, name := v.table()
	now := v.normal()
	switch {
	case now == want.normal():
		return false, nil
	case !alone(v.name, now):
		return true, nil
	case now == want.strip().normal():
		return false, f.nft(ctx, Policy{}, want.filterText(family, name))
	}
	return false, f.nft(ctx, Policy{}, replaceTables([]string{family + " " + name}, nil, text))
}

// restoreSets makes those ipsets again that the rules need and that are gone,
// with the sets that are members of them.
func (f *Firewall) restoreSets(ctx context.Context, t table, saved string) error {
	needed := neededSets(t)
	if len(needed) == 0 {
		return nil
	}
	out, err := f.Sys.Run(ctx, "ipset", "list", "-n")
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return errors.New("the rules use ipsets, and ipset is not installed any more")
		}
		return fmt.Errorf("listing ipsets: %w", err)
	}
	text := missingSets(needed, strings.Fields(out), saved)
	if text == "" {
		return nil
	}
	return f.load(ctx, text, "ipset", "-exist", "restore")
}

// missingSets are the lines of an `ipset save` that make the needed sets that
// are not there: first all sets, then their entries.
func missingSets(needed, have []string, saved string) string {
	lists := map[string]bool{}
	for again := true; again; { // lists of lists
		again = false
		for _, line := range lines(saved) {
			w := strings.Fields(line)
			switch {
			case len(w) < 3 || !has(needed, w[1]):
			case w[0] == "create" && w[2] == "list:set":
				lists[w[1]] = true
			case w[0] == "add" && lists[w[1]] && !has(needed, w[2]):
				needed = append(needed, w[2])
				again = true
			}
		}
	}
	var creates, adds string
	for _, line := range lines(saved) {
		w := strings.Fields(line)
		switch {
		case len(w) < 3 || !has(needed, w[1]) || has(have, w[1]):
		case w[0] == "create":
			creates += line + "\n"
		case w[0] == "add":
			adds += line + "\n"
		}
	}
	return creates + adds
}
