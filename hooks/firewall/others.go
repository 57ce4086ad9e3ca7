package firewall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// LoadOthers puts in force what of a saved set is not filter rules, where the host
// has none: after a boot the service that did so is disabled. It comes after Load,
// and before an Enforce that empties what filters.
//
// What is there is left alone, and so is what belongs to other programs, which make
// it anew. A rule of theirs in a chain that is not, such as Docker's masquerading,
// they look for first and find. What cannot be loaded does not keep the rest from
// being.
func (f *Firewall) LoadOthers(ctx context.Context, set Set) error {
	h, err := f.look(ctx)
	if err != nil {
		return err
	}
	ipsets, err := f.savedSets(set)
	if err != nil {
		return err
	}
	var errs error
	for _, p := range set.Parts {
		text, err := f.read(set, p)
		switch {
		case err != nil:
		case p.View == ipsetView:
		case !isNative(p):
			err = f.loadXtables(ctx, h, h.tool(p.View), text, ipsets)
		case p.Kept: // Load has loaded the others
			err = f.loadNative(ctx, h, p.View, text)
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("loading %s: %w", p.View, err))
		}
	}
	return errs
}

func isNative(p Part) bool { return strings.HasPrefix(p.View, "nft ") }

// savedSets are the ipsets of a set.
func (f *Firewall) savedSets(set Set) (string, error) {
	i := slices.IndexFunc(set.Parts, func(p Part) bool { return p.View == ipsetView })
	if i < 0 {
		return "", nil
	}
	return f.read(set, set.Parts[i])
}

// loadNative loads a native table that is not there.
func (f *Firewall) loadNative(ctx context.Context, h *host, name, text string) error {
	v := view{name: name, n: parseListing(text)}
	family, table := v.table()
	if has(h.tables, family+" "+table) || foreignTable(table) || v.n.owned() {
		return nil
	}
	return f.nft(ctx, Policy{}, text)
}

// loadXtables loads those tables of an iptables view, but for filter, that do
// something in its saved text and nothing now.
func (f *Firewall) loadXtables(ctx context.Context, h *host, tool *xtool, text, ipsets string) error {
	var errs error
	for _, name := range xtablesTables {
		want, _ := parseSection(text, name)
		want = want.withoutForeign()
		if name == "filter" || !want.acts() {
			continue
		}
		if tool == nil {
			return errors.Join(errs, errors.New("its programs are not installed any more"))
		}
		there, err := f.does(ctx, h, tool, name)
		if err == nil && !there {
			err = f.restoreSets(ctx, want, ipsets)
			if err == nil {
				err = f.restore(ctx, tool, want.section(name), "--noflush")
			}
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("table %s: %w", name, err))
		}
	}
	return errs
}

// does says that a table of an iptables view did something when h was looked at.
func (f *Firewall) does(ctx context.Context, h *host, tool *xtool, name string) (bool, error) {
	table := tool.family + " " + name
	absent := h.format == FormatNft && !has(h.tables, table)
	if tool.legacy {
		tables, err := f.legacyTables(tool.view)
		if err != nil {
			return false, err
		}
		absent = !has(tables, name)
	} else if find(h.others, "nft "+table) != nil {
		return true, nil // nft's: printing it by the other tool would make chains in it
	}
	if absent {
		return false, nil
	}
	text, err := f.Sys.Run(ctx, tool.save, "-t", name)
	if err != nil {
		return false, fmt.Errorf("%s: %w", tool.save, err)
	}
	is, _ := parseSection(text, name)
	// "# Table `nat' contains incompatible base-chains, use 'nft' tool to list them."
	return is.acts() || strings.Contains(text, " incompatible "), nil
}

// acts says that the table does something: it has a rule, or a policy that lets
// not all pass.
func (t *table) acts() bool {
	return slices.ContainsFunc(t.chains, func(c chain) bool {
		return len(c.rules) > 0 || c.policy != "-" && c.policy != "ACCEPT"
	})
}

// withoutForeign is the table without other programs' chains and the jumps to them.
func (t *table) withoutForeign() table {
	var out table
	for _, c := range t.chains {
		if !isForeign(c.name) {
			c.rules = slices.DeleteFunc(slices.Clone(c.rules), func(r string) bool { return jumpsTo(r, isForeign) })
			out.chains = append(out.chains, c)
		}
	}
	return out
}
