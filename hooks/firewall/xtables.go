package firewall

import (
	"slices"
	"strings"
)

// A table is one section of what iptables-save prints.
type table struct {
	chains []chain // in the order of the text
}

type chain struct {
	name   string
	policy string   // "-" for all but the built-in chains
	rules  []string // without the "-A NAME " before them
}

var builtin = []string{"INPUT", "FORWARD", "OUTPUT"}

// foreign are the prefixes of chains that belong to programs which make their own
// again when they miss them, and break when others change them.
var foreign = []string{"DOCKER", "LIBVIRT", "KUBE", "CNI-", "NETAVARK", "cali", "CILIUM"}

func isForeign(chain string) bool {
	return slices.ContainsFunc(foreign, func(p string) bool { return strings.HasPrefix(chain, p) })
}

func isOwn(chain string) bool { return strings.HasPrefix(chain, ownPrefix) }

// parseSave finds the table filter in the output of iptables-save.
func parseSave(text string) (t table, found bool) { return parseSection(text, "filter") }

// parseSection finds a table in the output of iptables-save.
func parseSection(text, name string) (t table, found bool) {
	in := false
	for _, line := range lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			in = line == "*"+name
			found = found || in
		case !in:
		case line == "COMMIT":
			in = false
		case strings.HasPrefix(line, ":"):
			f := strings.Fields(line[1:])
			if len(f) >= 2 {
				t.chain(f[0]).policy = f[1]
			}
		default:
			if strings.HasPrefix(line, "[") { // counters, of iptables-save -c
				_, line, _ = strings.Cut(line, "] ")
			}
			if rest, ok := strings.CutPrefix(line, "-A "); ok {
				name, rule, _ := strings.Cut(rest, " ")
				c := t.chain(name)
				c.rules = append(c.rules, rule)
			}
		}
	}
	return t, found
}

// chain is the chain of that name, made if it is not there.
func (t *table) chain(name string) *chain {
	if i := t.index(name); i >= 0 {
		return &t.chains[i]
	}
	t.chains = append(t.chains, chain{name: name, policy: "-"})
	return &t.chains[len(t.chains)-1]
}

func (t *table) index(name string) int {
	return slices.IndexFunc(t.chains, func(c chain) bool { return c.name == name })
}

// words splits a rule as iptables-restore does: at blanks and after a closing
// quote; in double quotes a backslash escapes.
func words(rule string) []string {
	var out []string
	var word []byte
	quoted := false
	for i := 0; i < len(rule); i++ {
		c := rule[i]
		end := !quoted && (c == ' ' || c == '\t') || quoted && c == '"'
		switch {
		case end:
			if len(word) > 0 || c == '"' {
				out = append(out, string(word))
			}
			word, quoted = nil, false
		case c == '"':
			quoted = true
		case c == '\\' && quoted && i+1 < len(rule):
			i++
			word = append(word, rule[i])
		default:
			word = append(word, c)
		}
	}
	if len(word) > 0 {
		out = append(out, string(word))
	}
	return out
}

// targets are the arguments of a rule's -j and -g, in each way to write them that
// scanIPTables allows.
func targets(rule string) []string {
	var out []string
	w := words(rule)
	for i, word := range w {
		name, value, attached := strings.Cut(word, "=")
		switch {
		case (abbreviates(name, "--jump") || abbreviates(name, "--goto")) && attached:
			out = append(out, value)
		case (abbreviates(name, "--jump") || abbreviates(name, "--goto") || word == "-j" || word == "-g") && i+1 < len(w):
			out = append(out, w[i+1])
		}
	}
	return out
}

// abbreviates says that getopt_long(3) may take a word for a long option.
func abbreviates(word, option string) bool {
	return len(word) > 2 && strings.HasPrefix(option, word)
}

func jumpsTo(rule string, is func(string) bool) bool { return slices.ContainsFunc(targets(rule), is) }

// kept are the chains of other programs, and what they jump to.
func (t *table) kept() map[string]bool {
	kept := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if kept[name] || has(builtin, name) {
			return
		}
		i := t.index(name)
		if i < 0 {
			return
		}
		kept[name] = true
		for _, r := range t.chains[i].rules {
			for _, target := range targets(r) {
				visit(target)
			}
		}
	}
	for _, c := range t.chains {
		if isForeign(c.name) {
			visit(c.name)
		}
	}
	return kept
}

// foreignNames are the chains of other programs.
func (t *table) foreignNames() []string {
	var names []string
	for _, c := range t.chains {
		if isForeign(c.name) {
			names = append(names, c.name)
		}
	}
	return names
}

// rebuild is the input of `iptables-restore --noflush` that makes the filter
// table cur into want, but for what belongs to other programs, which stays as it
// is in cur. It does not name the chains of others: what they change between the
// reading of cur and the commit is not lost.
//
// Jumps to such chains come where want has them, as far as they still exist, the
// others first, where their programs insert them, or last if want is ours: what
// ours decides is not left to others.
func rebuild(cur, want table, ours bool) string {
	kept := cur.kept()
	var out script
	out.add("*filter")
	for _, name := range builtin {
		policy := "ACCEPT"
		if i := want.index(name); i >= 0 && want.chains[i].policy != "-" {
			policy = want.chains[i].policy
		}
		out.add(":"+name, policy, "[0:0]")
	}
	own := func(c chain) bool { return !has(builtin, c.name) && !isForeign(c.name) && !kept[c.name] }
	for _, c := range want.chains {
		if own(c) {
			out.add(":"+c.name, "- [0:0]") // makes or empties it
		}
	}
	for _, name := range builtin {
		out.add("-F", name)
	}
	var gone []string
	for _, c := range cur.chains {
		if own(c) && want.index(c.name) < 0 {
			gone = append(gone, c.name)
			out.add("-F", c.name)
		}
	}
	for _, name := range builtin {
		for _, r := range mergeForeign(want.chain(name).rules, cur.chain(name).rules, ours) {
			out.add("-A", name, r)
		}
	}
	for _, c := range want.chains {
		if own(c) {
			for _, r := range c.rules {
				// A manager that went took its chains with it.
				if !jumpsTo(r, func(name string) bool { return isForeign(name) && cur.index(name) < 0 }) {
					out.add("-A", c.name, r)
				}
			}
		}
	}
	for _, name := range gone {
		out.add("-X", name)
	}
	out.add("COMMIT")
	return out.text
}

// mergeForeign is want's rules with the jumps to other programs' chains that cur
// has.
func mergeForeign(want, cur []string, last bool) []string {
	var have []string
	for _, r := range cur {
		if jumpsTo(r, isForeign) {
			have = append(have, r)
		}
	}
	var out []string
	for _, r := range want {
		if jumpsTo(r, isForeign) {
			i := slices.Index(have, r)
			if i < 0 {
				continue
			}
			have = slices.Delete(have, i, i+1)
		}
		out = append(out, r)
	}
	if last {
		return append(out, have...)
	}
	return append(have, out...)
}

// normal is the filter table's text without counters, order of chains, and what
// is other programs' or, unless own, ours, which policies are beside our chains.
// An empty table is the same as none.
func (t *table) normal(own bool) string {
	x := *t
	if !own {
		x = t.withoutOwn()
	}
	var chains []string
	for _, c := range x.chains {
		if isForeign(c.name) {
			continue
		}
		var out script
		if c.policy != "ACCEPT" {
			out.add(":"+c.name, c.policy)
		}
		for _, r := range c.rules {
			if !jumpsTo(r, isForeign) {
				out.add("-A", c.name, r)
			}
		}
		chains = append(chains, out.text)
	}
	slices.Sort(chains)
	return strings.Join(chains, "")
}

// rules counts the host's own rules, and the policies that let not all pass.
func (t *table) rules() int {
	n := 0
	for _, line := range lines(t.normal(false)) {
		if strings.HasPrefix(line, "-A ") || strings.HasSuffix(strings.TrimSpace(line), " DROP") {
			n++
		}
	}
	return n
}

// render is the filter table in the form of iptables-save.
func (t *table) render() string { return t.section("filter") }

// section is the table of that name in the form of iptables-save.
func (t *table) section(name string) string {
	var out script
	out.add("*" + name)
	for _, c := range t.chains {
		out.add(":"+c.name, c.policy, "[0:0]")
	}
	for _, c := range t.chains {
		for _, r := range c.rules {
			out.add("-A", c.name, r)
		}
	}
	out.add("COMMIT")
	return out.text
}

// stripped is the table without the host's rules and without ours.
func (t *table) stripped() table {
	kept := t.kept()
	var out table
	for _, c := range t.chains {
		switch {
		case has(builtin, c.name):
			out.chains = append(out.chains, chain{c.name, "ACCEPT", mergeForeign(nil, c.rules, false)})
		case kept[c.name]:
			out.chains = append(out.chains, c)
		}
	}
	return out
}

// hasOwn says that chains of ours are in the table.
func (t *table) hasOwn() bool {
	return slices.ContainsFunc(t.chains, func(c chain) bool { return isOwn(c.name) })
}

// withoutOwn is the table as it is without us, which sets policies too.
func (t *table) withoutOwn() table {
	if !t.hasOwn() {
		return *t
	}
	var out table
	for _, c := range t.chains {
		if isOwn(c.name) {
			continue
		}
		if c.policy != "-" {
			c.policy = "ACCEPT"
		}
		c.rules = slices.DeleteFunc(slices.Clone(c.rules), func(r string) bool { return jumpsTo(r, isOwn) })
		out.chains = append(out.chains, c)
	}
	return out
}
