package firewall

import (
	"slices"
	"strconv"
	"strings"
)

// A listing is what `nft -s list table` prints, cut into the blocks of the table.
type listing struct {
	head   []string // "table inet filter {", and lines outside of blocks
	blocks []block
}

// A block is a chain, a set or another object of the table, with its first and
// last line.
type block struct {
	kind, name string
	lines      []string
}

func parseListing(text string) listing {
	var l listing
	var open *block
	for _, line := range lines(text) {
		switch {
		case open != nil:
			open.lines = append(open.lines, line)
			if line == "\t}" { // what is nested is further in
				open = nil
			}
		case line == "" || line == "}" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "\t") && strings.HasSuffix(line, " {"):
			f := strings.Fields(line)
			l.blocks = append(l.blocks, block{kind: f[0], name: f[len(f)-2], lines: []string{line}})
			open = &l.blocks[len(l.blocks)-1]
		default:
			l.head = append(l.head, line)
		}
	}
	return l
}

// owned says that the table belongs to a process, which alone may change it and
// with which it goes: nft(8), table flags.
func (l listing) owned() bool {
	return slices.ContainsFunc(l.head, func(s string) bool {
		s, ok := strings.CutPrefix(strings.TrimSpace(s), "flags ")
		return ok && strings.Contains(s, "owner")
	})
}

// base is the line that makes a chain a base chain: "type filter hook input
// priority filter; policy drop;".
func (b block) base() string {
	if b.kind != "chain" {
		return ""
	}
	for _, line := range b.lines[1:] {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "type ") && strings.Contains(line, " hook ") {
			return line
		}
		if !strings.HasPrefix(line, "comment ") {
			return ""
		}
	}
	return ""
}

// The priorities that have names, nft(8).
var priorities = map[string]int{"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}

const mangle, security = -150, 50

// filters says that the block is a base chain of the kind that a takeover
// empties: one that filters what comes in, goes out or is passed on, and not one
// at the place of the tables raw, mangle or security.
func (b block) filters() bool {
	f := strings.Fields(strings.ReplaceAll(b.base(), ";", " "))
	if len(f) < 6 || f[1] != "filter" || f[4] != "priority" || !has(builtin, strings.ToUpper(f[3])) {
		return false
	}
	p, named := priorities[f[5]]
	if !named {
		var err error
		if p, err = strconv.Atoi(f[5]); err != nil {
			return false
		}
	}
	if len(f) > 7 && (f[6] == "+" || f[6] == "-") { // "filter - 10"
		n, err := strconv.Atoi(f[7])
		if err != nil {
			return false
		}
		if f[6] == "-" {
			n = -n
		}
		p += n
	}
	return p > mangle && p != security
}

func (l listing) hasFilter() bool { return slices.ContainsFunc(l.blocks, block.filters) }

// emptied is the chain without rules and with the policy accept.
func (b block) emptied() block {
	out := block{kind: b.kind, name: b.name, lines: []string{b.lines[0]}}
	base := b.base()
	for _, line := range b.lines[1:] {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == base:
			out.lines = append(out.lines, strings.Replace(line, "policy drop", "policy accept", 1))
			base = "" // a rule may look like it
		case base != "": // the comment before it
			out.lines = append(out.lines, line)
		}
	}
	out.lines = append(out.lines, "\t}")
	return out
}

// strip is the listing with emptied filter chains.
func (l listing) strip() listing {
	out := listing{head: l.head, blocks: slices.Clone(l.blocks)}
	for i, b := range out.blocks {
		if b.filters() {
			out.blocks[i] = b.emptied()
		}
	}
	return out
}

// text is the listing as nft reads it.
func (l listing) text() string {
	var out script
	for _, line := range l.head {
		out.add(line)
	}
	for _, b := range l.blocks {
		out.add(strings.Join(b.lines, "\n"))
	}
	out.add("}")
	return out.text
}

// natives is what nft made of a table that is iptables-nft's too: base chains of
// other names, the chains that those jump to, and what is no chain. A program such
// as Docker makes its chains with iptables-nft also where nft made the table.
func (l listing) natives() (out listing, some bool) {
	keep := map[string]bool{}
	var visit func(b block)
	visit = func(b block) {
		if keep[b.name] {
			return
		}
		keep[b.name] = true
		for _, line := range b.lines {
			w := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t,;{}", r) })
			for i, word := range w[:max(len(w)-1, 0)] {
				to := slices.IndexFunc(l.blocks, func(b block) bool { return b.kind == "chain" && b.name == w[i+1] })
				if to >= 0 && (word == "jump" || word == "goto") {
					visit(l.blocks[to])
				}
			}
		}
	}
	for _, b := range l.blocks {
		native := b.base() != "" && strings.ToUpper(b.name) != b.name
		some = some || native
		if native || b.kind != "chain" {
			visit(b)
		}
	}
	out.head = l.head
	for _, b := range l.blocks {
		if keep[b.name] {
			out.blocks = append(out.blocks, b)
		}
	}
	return out, some
}

// filterText is the transaction that gives the filter chains of the table the
// rules and policies that they have in l. Only those chains are touched, so that
// sets keep what they learned, and chains their place in the list.
func (l listing) filterText(family, name string) string {
	var out script
	for _, c := range l.blocks {
		if c.filters() {
			out.add("flush chain", family, name, c.name)
		}
	}
	out.add("table", family, name, "{")
	for _, c := range l.blocks {
		if c.filters() {
			out.add(strings.Join(c.lines, "\n"))
		}
	}
	out.add("}")
	return out.text
}

// normal is the listing's text without what changes by itself and without base
// chains that do not filter.
func (l listing) normal() string {
	out := slices.Clone(l.head)
	for _, c := range l.blocks {
		if c.base() == "" || c.filters() {
			out = append(out, c.stable()...)
		}
	}
	return strings.Join(out, "\n")
}

// stable is the block without elements that rules add and time removes.
func (b block) stable() []string {
	if b.kind != "set" && b.kind != "map" {
		return b.lines
	}
	moving := false
	for i, line := range b.lines {
		line = strings.TrimSpace(line)
		if flags, ok := strings.CutPrefix(line, "flags "); ok {
			moving = strings.Contains(flags, "dynamic") || strings.Contains(flags, "timeout")
		}
		if moving && strings.HasPrefix(line, "elements = ") {
			return append(b.lines[:i:i], "\t}")
		}
	}
	return b.lines
}

// rules counts the rules of the filter chains, the policies that let not all
// pass, and where there are any the rules of the chains that they may jump to.
func (l listing) rules() int {
	filter, other := 0, 0
	for _, b := range l.blocks {
		base := b.base()
		if b.kind != "chain" || base != "" && !b.filters() {
			continue
		}
		for _, line := range b.lines[1 : len(b.lines)-1] {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "comment ") || line == base && !strings.Contains(line, "policy drop"):
			case base != "":
				filter++
			default:
				other++
			}
		}
	}
	if filter == 0 {
		return 0
	}
	return filter + other
}

// foreignTable says that a table is one of other programs.
func foreignTable(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"docker", "libvirt", "kube", "cni", "cali", "cilium", "netavark"},
		func(p string) bool { return strings.HasPrefix(name, p) })
}
