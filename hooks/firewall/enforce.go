package firewall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Enforce puts a policy in force and then empties the host's own filter rules. A
// policy that the host does not take leaves what is in force.
func (f *Firewall) Enforce(ctx context.Context, p Policy) error {
	h, err := f.look(ctx)
	if err != nil {
		return err
	}
	if err := h.savable(); err != nil {
		return err
	}
	if h.format == FormatIPTables {
		return f.enforceIPTables(ctx, p)
	}
	names, err := scanNft(p)
	if err != nil {
		return err
	}
	if err := f.enforceNft(ctx, h, p, names); err != nil {
		return err
	}
	return inForceBut(f.strip(ctx, false))
}

func inForceBut(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the policy is in force, but rules of the host's are too: %w", err)
}

func (f *Firewall) enforceNft(ctx context.Context, h *host, p Policy, names []string) error {
	stale := slices.DeleteFunc(slices.Clone(h.own), func(name string) bool { return has(names, name) })
	if err := f.nft(ctx, p, replaceTables(names, stale, p.Nft), "-c"); err != nil {
		return err
	}
	tracked := has(stale, trackTable)
	if len(h.own) == 0 || tracked && len(h.own) == 1 {
		if err := f.track(ctx, true); err != nil {
			return err
		}
		if !tracked {
			stale = append(stale, trackTable)
		}
	}
	return f.nft(ctx, p, replaceTables(names, stale, p.Nft))
}

// A load is a filter table of ours for a view of iptables.
type load struct {
	tool *xtool
	want table
}

// checkIPTables is the policy for each view that the host's own iptables
// programs write, after a look at it by them.
func (f *Firewall) checkIPTables(ctx context.Context, p Policy) ([]load, error) {
	tools, err := f.tools(ctx)
	if err != nil {
		return nil, err
	}
	version, err := f.Sys.Run(ctx, "iptables", "-V")
	if err != nil {
		return nil, fmt.Errorf("iptables: %w", err)
	}
	legacy := isLegacy(version)
	var out []load
	for _, part := range []struct{ family, program, name, text string }{
		{"ip", "iptables", "IPv4", p.IPv4}, {"ip6", "ip6tables", "IPv6", p.IPv6},
	} {
		i := slices.IndexFunc(tools, func(t xtool) bool { return t.family == part.family && t.legacy == legacy })
		_, err := f.Sys.Run(ctx, part.program, "-w", "-S")
		if i < 0 || err != nil {
			if part.family == "ip" {
				return nil, ErrNoFilter
			}
			f.warn("IPv6 is not filtered: ip6tables does not work here", "error", err)
			continue
		}
		wrap := func(err error) error { return fmt.Errorf("policy %q: %s: %w", p.Version, part.name, err) }
		if strings.TrimSpace(part.text) == "" {
			return nil, wrap(errors.New("this host takes the iptables form, which the policy does not have"))
		}
		t, err := scanIPTables(part.text)
		if err != nil {
			return nil, wrap(err)
		}
		if err := f.restore(ctx, &tools[i], part.text, "--test"); err != nil {
			return nil, wrap(err)
		}
		out = append(out, load{&tools[i], t.ours()})
	}
	return out, nil
}

// enforceIPTables replaces the filter tables of IPv4 and IPv6 by ours, each in
// one commit, and empties those of other views.
//
// Sockets are entered into connection tracking before. A rule that only turns
// tracking on would have to stand in the host's own table, where a crash would
// leave it.
func (f *Firewall) enforceIPTables(ctx context.Context, p Policy) error {
	loads, err := f.checkIPTables(ctx, p)
	if err != nil {
		return err
	}
	h, err := f.look(ctx) // again: looking has made tables that were not there
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(h.views, func(v *view) bool { return v.x.hasOwn() }) {
		if err := f.track(ctx, false); err != nil {
			return err
		}
	}
	if err := f.record(h, h.emptied()); err != nil {
		return err
	}
	for i, l := range loads {
		if err := f.replace(ctx, h, l.tool, l.want, true); err != nil {
			if i > 0 { // the policy as a whole is refused
				err = errors.Join(err, f.undo(ctx, h, loads[0].tool))
			}
			return fmt.Errorf("policy %q: %w", p.Version, err)
		}
	}
	return inForceBut(f.strip(ctx, true))
}

// replace makes the filter table of an iptables view into want.
func (f *Firewall) replace(ctx context.Context, h *host, tool *xtool, want table, ours bool) error {
	var cur table
	if v := h.view(tool.view); v != nil {
		cur = v.x
	}
	return f.restore(ctx, tool, rebuild(cur, want, ours), "--noflush")
}

// undo gives a view the table again that it had in h.
func (f *Firewall) undo(ctx context.Context, h *host, tool *xtool) error {
	now, err := f.look(ctx)
	if err != nil {
		return err
	}
	var old table
	if v := h.view(tool.view); v != nil {
		old = v.x
	}
	return f.replace(ctx, now, tool, old, false)
}

// emptied is what is compared of each view when the host's rules are gone.
func (h *host) emptied() map[string]string {
	out := map[string]string{}
	for _, v := range h.views {
		if v.tool == nil {
			out[v.name] = v.n.strip().normal()
			continue
		}
		t := v.x.stripped()
		out[v.name] = t.normal(false)
	}
	return out
}

// strip empties the host's filter rules in all views, after writing down what
// will be left; those of iptables that are ours are left out on demand.
// Everything is read again just before: other programs may have added to their
// chains since.
func (f *Firewall) strip(ctx context.Context, keepOurs bool) error {
	for try := 0; ; try++ {
		h, err := f.look(ctx)
		if err != nil {
			return err
		}
		expected := h.emptied()
		if err := f.record(h, expected); err != nil {
			return err
		}
		clean := true
		var errs error
		for _, v := range h.views {
			ours := v.tool != nil && v.x.hasOwn()
			if ours && keepOurs || !ours && v.normal() == expected[v.name] {
				continue
			}
			clean = false
			if err := f.stripView(ctx, h, v); err != nil {
				errs = errors.Join(errs, fmt.Errorf("emptying %s: %w", v.name, err))
			}
		}
		switch {
		case clean:
			return nil // also what was read again after the last change
		case try < 3:
		case errs != nil:
			return errs
		default:
			return errors.New("the host's filter rules come back: another program sets them again")
		}
	}
}

func (f *Firewall) stripView(ctx context.Context, h *host, v *view) error {
	if v.tool != nil {
		return f.replace(ctx, h, v.tool, table{}, false)
	}
	return f.nft(ctx, Policy{}, v.n.strip().filterText(v.table()))
}

// Drop removes our tables and chains and nothing else.
func (f *Firewall) Drop(ctx context.Context) error {
	h, err := f.look(ctx)
	if err != nil {
		return err
	}
	if len(h.own) > 0 {
		if err := f.nft(ctx, Policy{}, replaceTables(nil, h.own, "")); err != nil {
			return err
		}
	}
	for _, v := range h.views {
		if v.tool != nil && v.x.hasOwn() {
			if err := f.replace(ctx, h, v.tool, v.x.withoutOwn(), false); err != nil {
				return err
			}
		}
	}
	return nil
}

// Open lets everything pass: no filter rules of the host's and none of ours.
func (f *Firewall) Open(ctx context.Context) error {
	if err := f.strip(ctx, false); err != nil {
		return err
	}
	return f.Drop(ctx)
}

// Recommended lets in what belongs to connections, SSH and ICMP, lets out
// everything and passes nothing on, until the host starts again.
func (f *Firewall) Recommended(ctx context.Context) error {
	return f.Enforce(ctx, Policy{
		Version: "recommended",
		Nft: `table inet ILO-RECOMMENDED {
	chain input {
		type filter hook input priority 0; policy drop;
		iif "lo" accept
		ct state established,related accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport 22 accept
	}
	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state established,related accept
	}
}
`,
		IPv4: recommendedIPTables("icmp"),
		IPv6: recommendedIPTables("ipv6-icmp"),
	})
}

func recommendedIPTables(icmp string) string {
	return `*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p ` + icmp + ` -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`
}
