package firewall

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
)

// LoadRest puts in force what a saved set has besides filter rules, where there is
// nothing of it: the tables nat, mangle, raw and security of iptables, and tables
// of nft that do such work. It is called after a start of the host, where the
// services that load them are stopped.
//
// The chains of other programs are left out, which make their own again. Rules of
// theirs in the chains of all they look for first and find.
func (f *Firewall) LoadRest(ctx context.Context, set Set) error {
	h, err := f.look(ctx)
	if err != nil {
		return err
	}
	var errs error
	var ipsets string
	for _, p := range set.Parts {
		text, err := f.read(set, p)
		switch {
		case err != nil:
		case p.View == ipsetView:
			ipsets = text // the first part
		case !strings.HasPrefix(p.View, "nft "):
			err = f.loadRestXtables(ctx, h.tool(p.View), text, ipsets)
		case p.Kept && find(h.views, p.View) == nil && find(h.others, p.View) == nil:
			err = f.loadRestNative(ctx, text)
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("loading what does not filter of %s: %w", p.View, err))
		}
	}
	return errs
}

func (f *Firewall) loadRestNative(ctx context.Context, text string) error {
	l := parseListing(text)
	if len(l.head) == 0 || l.owned() {
		return nil
	}
	if w := strings.Fields(l.head[0]); len(w) < 3 || foreignTable(w[2]) {
		return nil
	}
	return f.nft(ctx, Policy{}, text)
}

func (f *Firewall) loadRestXtables(ctx context.Context, tool *xtool, saved, ipsets string) error {
	var rest script
	var all table
	now := ""
	for _, name := range xtablesTables {
		t, found := parseSection(saved, name)
		if name == "filter" || !found {
			continue
		}
		if tool == nil {
			return errors.New("its programs are not installed any more")
		}
		if now == "" {
			var err error
			if now, err = f.Sys.Run(ctx, tool.save); err != nil {
				return fmt.Errorf("%s: %w", tool.save, err)
			}
			now += "\n" // so that it is known
		}
		t = t.withoutForeign()
		if is, _ := parseSection(now, name); is.used() || !t.used() {
			continue
		}
		rest.text += strings.Replace(t.render(), "*filter", "*"+name, 1)
		all.chains = append(all.chains, t.chains...)
	}
	if rest.text == "" {
		return nil
	}
	if err := f.restoreSets(ctx, all, ipsets); err != nil {
		return err
	}
	return f.restore(ctx, tool, path.Join(f.Dir, "load.rules"), rest.text, "--noflush")
}

// used says that there is more in the table than empty built-in chains.
func (t *table) used() bool {
	for _, c := range t.chains {
		if len(c.rules) > 0 || c.policy == "-" {
			return true
		}
	}
	return false
}

// withoutForeign is the table without the chains of other programs and without
// the jumps to them.
func (t *table) withoutForeign() table {
	var out table
	for _, c := range t.chains {
		if isForeign(c.name) {
			continue
		}
		kept := chain{name: c.name, policy: c.policy}
		for _, r := range c.rules {
			if !jumpsTo(r, isForeign) {
				kept.rules = append(kept.rules, r)
			}
		}
		out.chains = append(out.chains, kept)
	}
	return out
}
