package firewall

import (
	"errors"
	"fmt"
	"strings"
)

// A token of the nftables language, as far as it tells blocks and statements
// apart.
type token struct {
	text string // a word, a quoted string with its quotes, or one of { } ; and newline
	line int    // from 1
}

// scanTokens cuts a ruleset into tokens: nft(8), "Lexical conventions". In
// quotes nothing is escaped.
func scanTokens(text string) ([]token, error) {
	var out []token
	line := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\n' || c == ';' || c == '{' || c == '}':
			out = append(out, token{text[i : i+1], line})
			if c == '\n' {
				line++
			}
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '\\' && strings.HasPrefix(text[i+1:], "\n"):
			line++
			i += 2
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '"':
			n := strings.IndexByte(text[i+1:], '"')
			if n < 0 {
				return nil, fmt.Errorf("line %d: a quote is not closed", line)
			}
			quoted := text[i : i+n+2]
			out = append(out, token{quoted, line})
			line += strings.Count(quoted, "\n")
			i += len(quoted)
		case c < ' ' || c == 0x7f:
			return nil, fmt.Errorf("line %d: a control character %q", line, c)
		default:
			n := i
			for i < len(text) && !strings.ContainsRune(" \t\r\n;{}\"#", rune(text[i])) && text[i] != '\\' && text[i] >= ' ' {
				i++
			}
			if i == n { // a backslash that continues nothing
				i++
			}
			out = append(out, token{text[n:i], line})
		}
	}
	return out, nil
}

// A scanner walks over the tokens of a policy.
type scanner struct {
	tokens []token
	i      int
	line   int  // of the last token
	hooked bool // there is a base chain
}

func (s *scanner) next() string {
	if s.i == len(s.tokens) {
		return ""
	}
	t := s.tokens[s.i]
	s.i++
	s.line = t.line
	return t.text
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{s.line}, args...)...)
}

// scanNft says what tables a policy makes. A policy is a list of tables of ours
// and nothing else, so that what it may do to the host is known.
func scanNft(p Policy) ([]string, error) {
	wrap := func(err error) error { return fmt.Errorf("policy %q: %w", p.Version, err) }
	if strings.TrimSpace(p.Nft) == "" {
		return nil, wrap(errors.New("this host takes the nftables form, which the policy does not have"))
	}
	tokens, err := scanTokens(p.Nft)
	if err != nil {
		return nil, wrap(err)
	}
	for _, t := range tokens {
		switch t.text {
		case "include", "define", "redefine", "undefine":
			return nil, wrap(fmt.Errorf("line %d: %q is not allowed", t.line, t.text))
		}
	}
	s := scanner{tokens: tokens}
	var names []string
	for s.i < len(s.tokens) {
		switch word := s.next(); word {
		case "\n", ";":
		case "table":
			name, err := s.table()
			if err != nil {
				return nil, wrap(err)
			}
			if has(names, name) {
				return nil, wrap(s.errorf("table %s is there twice", name))
			}
			names = append(names, name)
		default:
			return nil, wrap(s.errorf("%q is not allowed, only tables are", word))
		}
	}
	if !s.hooked {
		return nil, wrap(errors.New("no chain has a hook: it would filter nothing"))
	}
	return names, nil
}

// table is "FAMILY NAME { … }".
func (s *scanner) table() (string, error) {
	family, name := s.next(), s.next()
	if family != "inet" && family != "ip" && family != "ip6" {
		return "", s.errorf("the family of a table is inet, ip or ip6, not %q", family)
	}
	if !isOwn(name) || strings.Trim(name[len(ownPrefix):], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return "", s.errorf("the name of a table begins with %s and has letters, digits, - _ and . only, not %q", ownPrefix, name)
	}
	if brace := s.next(); brace != "{" {
		return "", s.errorf("want { after the name of a table, not %q", brace)
	}
	table := family + " " + name
	if table == trackTable {
		return "", s.errorf("the name of the table %s is taken", table)
	}
	for {
		switch word := s.next(); word {
		case "\n", ";":
		case "}":
			return table, nil
		case "chain":
			if err := s.chain(); err != nil {
				return "", err
			}
		case "set", "map", "counter", "quota", "limit", "ct", "comment":
			if err := s.skip(); err != nil {
				return "", err
			}
		case "":
			return "", s.errorf("table %s is not closed", table)
		default:
			return "", s.errorf("%q is not allowed in a table", word)
		}
	}
}

// skip ends behind the block of an object, or at the end of the statement.
func (s *scanner) skip() error {
	for depth := 0; ; {
		switch s.next() {
		case "{":
			depth++
		case "}":
			if depth == 0 {
				s.i-- // the table's
				return nil
			}
			if depth--; depth == 0 {
				return nil
			}
		case "\n", ";":
			if depth == 0 {
				return nil
			}
		case "":
			return s.errorf("a block is not closed")
		}
	}
}

// chain is "NAME { … }", with filter chains as the only base chains.
func (s *scanner) chain() error {
	name := s.next()
	if brace := s.next(); brace != "{" {
		return s.errorf("want { after the name of chain %q, not %q", name, brace)
	}
	depth, first := 1, true
	for depth > 0 {
		word := s.next()
		switch {
		case word == "":
			return s.errorf("chain %q is not closed", name)
		case word == "{":
			depth++
		case word == "}":
			depth--
		case depth == 1 && first && word == "type":
			if kind := s.next(); kind != "filter" {
				return s.errorf("chain %q: chains of the type filter are allowed, not %q", name, kind)
			}
			if hook := s.next(); hook != "hook" {
				return s.errorf("chain %q: want hook after the type, not %q", name, hook)
			}
			s.hooked = true
		}
		first = word == "\n" || word == ";" || first && word == "{"
	}
	return nil
}

// builtinTargets are those of iptables' own targets that a policy may use. Every
// other name could be a chain of somebody else's.
var builtinTargets = []string{"ACCEPT", "DROP", "RETURN", "REJECT", "LOG", "NFLOG", "NFQUEUE", "SET", "AUDIT"}

// scanIPTables reads a policy in the form of iptables-restore.
func scanIPTables(text string) (table, error) {
	var t table
	const (
		before = iota
		inside
		after
	)
	state, n := before, 0
	for _, line := range lines(text) {
		n++
		line = strings.TrimSpace(line)
		var err error
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case state == before && line == "*filter":
			state = inside
		case state != inside:
			err = fmt.Errorf("%q is not allowed, only one section *filter is", line)
		case line == "COMMIT":
			state = after
		case strings.HasPrefix(line, ":"):
			err = t.declare(strings.Fields(line[1:]))
		default:
			if strings.HasPrefix(line, "[") { // counters
				_, line, _ = strings.Cut(line, "] ")
			}
			err = t.add(line)
		}
		if err != nil {
			return table{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	switch state {
	case before:
		return table{}, errors.New("there is no section *filter")
	case inside:
		return table{}, errors.New("the section *filter does not end with COMMIT")
	}
	return t, nil
}

// declare takes a line ":NAME POLICY [0:0]".
func (t *table) declare(f []string) error {
	if len(f) < 2 {
		return errors.New("want :CHAIN POLICY")
	}
	name, policy := f[0], f[1]
	base := has(builtin, name)
	switch {
	case t.index(name) >= 0:
		return fmt.Errorf("chain %q is there twice", name)
	case !base && !isOwn(name):
		return fmt.Errorf("the name of a chain is INPUT, FORWARD, OUTPUT or begins with %s, not %q", ownPrefix, name)
	case !base && has(builtin, strings.TrimPrefix(name, ownPrefix)):
		return fmt.Errorf("the name of the chain %s is taken", name)
	case base && policy != "ACCEPT" && policy != "DROP", !base && policy != "-":
		return fmt.Errorf("chain %q cannot have the policy %q", name, policy)
	}
	t.chain(name).policy = policy
	return nil
}

// add takes a line "-A NAME rule".
func (t *table) add(line string) error {
	w := words(line)
	if len(w) < 2 || w[0] != "-A" && w[0] != "--append" {
		return fmt.Errorf("%q is not allowed, only -A is", line)
	}
	if t.index(w[1]) < 0 {
		return fmt.Errorf("chain %q is not declared above", w[1])
	}
	_, rule, _ := strings.Cut(line, " ")
	_, rule, _ = strings.Cut(strings.TrimSpace(rule), " ")
	for _, word := range words(rule) {
		if err := plainOption(word); err != nil {
			return err
		}
	}
	for _, target := range targets(rule) {
		if isOwn(target) && t.index(target) < 0 {
			return fmt.Errorf("chain %q is not declared above", target)
		}
		if !has(builtinTargets, target) && !isOwn(target) {
			return fmt.Errorf("the target %q is neither built in nor a chain whose name begins with %s", target, ownPrefix)
		}
	}
	c := t.chain(w[1])
	c.rules = append(c.rules, strings.TrimSpace(rule))
	return nil
}

// plainOption refuses the ways to write a word of a rule that hide another
// option, and the options that are none of a rule's.
func plainOption(word string) error {
	long, _, _ := strings.Cut(word, "=")
	switch {
	case word == "-t" || abbreviates(long, "--table"):
		return errors.New("a rule cannot name its table")
	case word == "-M" || abbreviates(long, "--modprobe") && len(long) > len("--m"):
		return fmt.Errorf("%q is not allowed: it runs a program", word)
	case len(word) > 2 && word[0] == '-' && word[1] != '-' && strings.Trim(word[1:], "0123456789") != "":
		return fmt.Errorf("%q is not allowed: write an option and its value as two words", word)
	}
	return nil
}

// ours is the policy with the rules of each built-in chain in one of our own, so
// that they can be told from others' later. A packet that falls through meets
// those of other programs, and then the policy.
func (t *table) ours() table {
	var out table
	for _, name := range builtin {
		c := out.chain(name)
		c.policy = "ACCEPT"
		if i := t.index(name); i >= 0 {
			c.policy = t.chains[i].policy
		}
		c.rules = []string{"-j " + ownPrefix + name}
	}
	for _, c := range t.chains {
		if has(builtin, c.name) {
			c.name = ownPrefix + c.name
		}
		c.policy = "-"
		out.chains = append(out.chains, c)
	}
	for _, name := range builtin {
		out.chain(ownPrefix + name)
	}
	return out
}
