package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// An xtool is the programs for one view of iptables.
type xtool struct {
	view          string // "iptables-nft"
	family        string // "ip" or "ip6", as nft calls it
	legacy        bool
	save, restore string
}

// A view is one place of the kernel that filter rules stand in.
type view struct {
	name string // "iptables-nft", "nft inet filter"
	tool *xtool // nil for a native table
	text string // of the filter table, or the listing

	x table   // of an iptables view
	n listing // of a native table
}

// table is a native view's family and name.
func (v *view) table() (family, name string) {
	f := strings.Fields(v.name)
	return f[1], f[2]
}

// normal is what is compared to tell whether somebody changed the view.
func (v *view) normal() string {
	if v.tool != nil {
		return v.x.normal(false)
	}
	return v.n.normal()
}

// parse takes what the view's tool printed.
func (v *view) parse(text string) {
	v.text = text
	if v.tool != nil {
		v.x, _ = parseSave(text)
	} else {
		v.n = parseListing(text)
	}
}

// A host is what was found in the kernel.
type host struct {
	format  string
	tools   []xtool
	saves   []*xtool          // those whose views have tables of any kind
	views   []*view           // with filter rules of the host's, or a place for them
	others  []*view           // native tables that are not touched
	tables  []string          // all of nft's, iptables-nft's too: "ip nat"
	own     []string          // our native tables: "inet ILO-FILTER"
	texts   map[string]string // of our native tables
	foreign []string          // chains and tables of other programs
	mixed   []string          // tables that cannot be saved, each as a sentence
	owned   bool              // a native table goes with the program that made it
}

func (h *host) view(name string) *view { return find(h.views, name) }

func find(views []*view, name string) *view {
	for _, v := range views {
		if v.name == name {
			return v
		}
	}
	return nil
}

func (h *host) tool(view string) *xtool {
	if i := slices.IndexFunc(h.tools, func(t xtool) bool { return t.view == view }); i >= 0 {
		return &h.tools[i]
	}
	return nil
}

// look reads everything that filters.
func (f *Firewall) look(ctx context.Context) (*host, error) {
	h := &host{format: FormatNft, texts: map[string]string{}}
	ruleset, nft := f.Sys.Run(ctx, "nft", "-s", "list", "ruleset")
	if nft != nil {
		var err error
		if h.format, err = f.form(ctx); err != nil {
			return nil, err
		}
		// What nft cannot list can be a table for bridges, which is none of ours.
		ruleset = ""
		for _, family := range []string{"inet", "ip", "ip6"} {
			if h.format == FormatNft {
				text, err := f.Sys.Run(ctx, "nft", "-s", "list", "ruleset", family)
				if err != nil {
					return nil, fmt.Errorf("listing nft's rules: %w", err)
				}
				ruleset += "\n" + text
			}
		}
	}
	var err error
	if h.tools, err = f.tools(ctx); err != nil {
		return nil, err
	}
	var managed map[string]bool // nil means that nft cannot say
	if h.format == FormatNft {
		managed = h.lookNative(ruleset)
	}
	for i := range h.tools {
		if err := f.lookXtables(ctx, h, &h.tools[i], managed); err != nil {
			return nil, err
		}
	}
	for _, view := range []string{"iptables-legacy", "ip6tables-legacy"} {
		if tables, err := f.legacyTables(view); err == nil && has(tables, "filter") && h.tool(view) == nil {
			h.foreign = append(h.foreign, "table filter of "+view+", whose programs are not installed")
		}
	}
	slices.Sort(h.foreign)
	h.foreign = slices.Compact(h.foreign)
	return h, nil
}

// tools finds out which programs there are for which view. Distributions that
// have one kind only do not name it.
func (f *Firewall) tools(ctx context.Context) ([]xtool, error) {
	if f.programs != nil {
		return f.programs, nil
	}
	out := []xtool{}
	for _, program := range []struct{ name, family string }{{"iptables", "ip"}, {"ip6tables", "ip6"}} {
		for _, kind := range []string{"nft", "legacy"} {
			view := program.name + "-" + kind
			base := view
			_, err := f.Sys.Run(ctx, view, "-V")
			if errors.Is(err, exec.ErrNotFound) {
				base = program.name
				var version string
				version, err = f.Sys.Run(ctx, base, "-V")
				if err == nil && isLegacy(version) != (kind == "legacy") {
					continue
				}
			}
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err == nil:
				out = append(out, xtool{view, program.family, kind == "legacy", base + "-save", base + "-restore"})
			}
		}
	}
	f.programs = out
	return out, nil
}

// isLegacy reads what `iptables -V` prints: "iptables v1.8.9 (nf_tables)", or
// "(legacy)", or before there were two kinds nothing.
func isLegacy(version string) bool { return !strings.Contains(version, "nf_tables") }

// lookNative sorts nft's tables, and says which are those of iptables-nft.
func (h *host) lookNative(ruleset string) (managed map[string]bool) {
	managed = map[string]bool{}
	for _, text := range tablesOf(ruleset) {
		w := strings.Fields(text)
		if w[1] != "inet" && w[1] != "ip" && w[1] != "ip6" {
			continue // arp, bridge and netdev tables filter no packets of ours
		}
		name := w[1] + " " + w[2]
		h.tables = append(h.tables, name)
		v := &view{name: "nft " + name}
		v.parse(text)
		switch {
		case isOwn(w[2]):
			h.own = append(h.own, name)
			h.texts[name] = text
		case w[1] != "inet" && has(xtablesTables, w[2]) && v.n.xtables() && (w[2] == "filter" || h.manages(w[1])):
			managed[name] = true
			h.lookManaged(v, w[1], w[2])
		case foreignTable(w[2]):
			h.foreign = append(h.foreign, "table "+name)
			h.others = append(h.others, v)
		case v.n.owned():
			h.owned = true
			h.foreign = append(h.foreign, "table "+name+" (owned by a running program)")
			h.others = append(h.others, v)
		case v.n.hasFilter():
			h.views = append(h.views, v)
		default:
			h.others = append(h.others, v)
		}
	}
	return managed
}

// tablesOf cuts what `nft list ruleset` prints into what `nft list table` does of
// each: what is in a table is further in.
func tablesOf(ruleset string) []string {
	var tables []string
	for _, text := range strings.Split("\n"+ruleset, "\ntable ")[1:] {
		// After the table's end can be a warning about the next one.
		if end := strings.LastIndex(text, "\n}"); end >= 0 && len(strings.Fields(text[:end])) >= 3 {
			tables = append(tables, "table "+text[:end]+"\n}\n")
		}
	}
	return tables
}

var xtablesTables = []string{"filter", "nat", "mangle", "raw", "security"}

// xtables says that a table of such a name is one that iptables-nft made: it is
// native only if it has base chains, and all with other names.
func (l listing) xtables() bool {
	base := 0
	for _, b := range l.blocks {
		if b.base() != "" {
			base++
			if strings.ToUpper(b.name) == b.name {
				return true
			}
		}
	}
	return base == 0
}

// manages says that there is an iptables-nft for the family.
func (h *host) manages(family string) bool {
	return slices.ContainsFunc(h.tools, func(t xtool) bool { return !t.legacy && t.family == family })
}

// lookManaged notes what nobody could save of an iptables-nft table that filters,
// and of another one what is nft's.
func (h *host) lookManaged(v *view, family, table string) {
	if table != "filter" {
		if native, some := v.n.natives(); some { // for LoadOthers
			v.n, v.text = native, native.text()
			h.others = append(h.others, v)
		}
		return
	}
	if !h.manages(family) {
		h.mixed = append(h.mixed, fmt.Sprintf("the table %s is that of iptables-nft, which is not installed", v.name[4:]))
		return
	}
	for _, b := range v.n.blocks {
		if b.base() != "" && !has(builtin, b.name) {
			h.mixed = append(h.mixed, fmt.Sprintf("the table %s has chains of iptables-nft and, in %s, of nft: no tool saves both", v.name[4:], b.name))
			return
		}
	}
}

// lookXtables reads the filter table of an iptables view, unless it is not
// there: some versions make the tables that they print.
func (f *Firewall) lookXtables(ctx context.Context, h *host, tool *xtool, managed map[string]bool) error {
	present := managed == nil || managed[tool.family+" filter"]
	some := managed == nil || slices.ContainsFunc(xtablesTables, func(t string) bool { return managed[tool.family+" "+t] })
	if tool.legacy {
		tables, err := f.legacyTables(tool.view)
		if err != nil {
			return err
		}
		present, some = has(tables, "filter"), len(tables) > 0
	}
	if !some {
		return nil
	}
	h.saves = append(h.saves, tool)
	if !present {
		return nil
	}
	text, err := f.Sys.Run(ctx, tool.save, "-t", "filter")
	if err != nil {
		if tool.legacy || managed != nil {
			return fmt.Errorf("%s: %w", tool.save, err)
		}
		h.saves = h.saves[:len(h.saves)-1]
		return nil // no nf_tables in this kernel
	}
	v := &view{name: tool.view, tool: tool}
	v.parse(text)
	if managed == nil && !tool.legacy && strings.Contains(text, "incompatible") {
		h.mixed = append(h.mixed, "there are chains of nft, which is not installed, in the table filter of "+tool.view)
	}
	h.foreign = append(h.foreign, v.x.foreignNames()...)
	h.views = append(h.views, v)
	return nil
}

// legacyTables are the tables that a legacy view has.
func (f *Firewall) legacyTables(view string) ([]string, error) {
	names := "/proc/net/ip_tables_names"
	if view == "ip6tables-legacy" {
		names = "/proc/net/ip6_tables_names"
	}
	b, err := f.Sys.ReadFile(names)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // the module is not loaded
	}
	return strings.Fields(string(b)), err
}

// restore runs a restore program of iptables. The legacy ones share a lock, for
// which old versions cannot wait.
func (f *Firewall) restore(ctx context.Context, tool *xtool, text string, options ...string) error {
	for try := 0; ; try++ {
		err := f.load(ctx, text, append([]string{tool.restore}, options...)...)
		if err == nil || !strings.Contains(err.Error(), "xtables lock") || try == 25 {
			return err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// savable is an error if there are rules that no tool can save.
func (h *host) savable() error {
	if len(h.mixed) == 0 {
		return nil
	}
	return fmt.Errorf("the host's rules cannot be saved: %s", strings.Join(h.mixed, "; "))
}
