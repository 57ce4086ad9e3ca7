package shell

import "strings"

// The nodes of a script's tree.
type (
	node     any    // nil for nothing
	sequence []node // one after the other
	andOr    struct {
		or          bool
		left, right node
	}
	inverted    struct{ of node }
	conditional struct {
		branches  []branch
		otherwise node
	}
	branch struct{ test, body node }
	loop   struct{ test, body node } // while and until
	each   struct {
		name  string
		hasIn bool // else over the arguments
		words []token
		body  node
	}
	choice struct {
		word     token
		branches []caseBranch
	}
	caseBranch struct {
		patterns []token
		body     node
	}
	function struct {
		name string
		body node
	}
	subshell struct{ body node }
	simple   struct {
		assigns []assign
		words   []token
		line    int
	}
	assign struct {
		name  string
		value token
	}
)

// A parser makes the tree. Where it fails it gives what it has.
type parser struct {
	tokens []token
	at     int
	failed bool
}

func (p *parser) peek() (token, bool) {
	if p.failed || p.at >= len(p.tokens) {
		return token{}, false
	}
	return p.tokens[p.at], true
}

func (p *parser) op(ops ...string) bool {
	t, ok := p.peek()
	if !ok || t.op == "" {
		return false
	}
	for _, o := range ops {
		if t.op == o {
			p.at++
			return true
		}
	}
	return false
}

func (p *parser) isWord(words ...string) bool {
	t, ok := p.peek()
	if !ok {
		return false
	}
	for _, w := range words {
		if t.word(w) {
			return true
		}
	}
	return false
}

func (p *parser) want(word string) {
	if !p.isWord(word) {
		p.failed = true
		return
	}
	p.at++
}

// list parses up to a word or an operator that ends one.
func (p *parser) list(depth int) node {
	var seq sequence
	for !p.failed {
		for p.op("\n", ";", "&") {
		}
		t, ok := p.peek()
		if !ok || t.op == ")" || t.op == ";;" || p.isWord("then", "else", "elif", "fi", "do", "done", "esac", "}") {
			break
		}
		if depth > maxDepth {
			p.failed = true
			break
		}
		before := p.at
		seq = append(seq, p.andOr(depth))
		if p.at == before {
			p.failed = true
		}
	}
	return seq
}

func (p *parser) andOr(depth int) node {
	left := p.pipeline(depth)
	for {
		or := false
		switch {
		case p.op("&&"):
		case p.op("||"):
			or = true
		default:
			return left
		}
		for p.op("\n") {
		}
		left = andOr{or, left, p.pipeline(depth)}
	}
}

// pipeline gives the commands of a pipeline, of which all run, and its status is
// the last one's.
func (p *parser) pipeline(depth int) node {
	not := false
	for p.isWord("!") {
		p.at++
		not = !not
	}
	if not {
		return inverted{p.pipeline(depth)}
	}
	var seq sequence
	for {
		seq = append(seq, p.command(depth+1))
		if !p.op("|") {
			break
		}
		for p.op("\n") {
		}
	}
	if len(seq) == 1 {
		return seq[0]
	}
	return seq
}

func (p *parser) command(depth int) node {
	if depth > maxDepth {
		p.failed = true
		return nil
	}
	var n node
	switch {
	case p.op("("):
		n = subshell{p.list(depth)}
		if !p.op(")") {
			p.failed = true
		}
	case p.isWord("{"):
		p.at++
		n = p.list(depth)
		p.want("}")
	case p.isWord("if"):
		n = p.conditional(depth)
	case p.isWord("while", "until"):
		p.at++
		l := loop{test: p.list(depth)}
		p.want("do")
		l.body = p.list(depth)
		p.want("done")
		n = l
	case p.isWord("for"):
		n = p.each(depth)
	case p.isWord("case"):
		n = p.choice(depth)
	default:
		return p.simple(depth)
	}
	p.redirections()
	return n
}

func (p *parser) conditional(depth int) node {
	var c conditional
	for p.isWord("if", "elif") {
		p.at++
		b := branch{test: p.list(depth)}
		p.want("then")
		b.body = p.list(depth)
		c.branches = append(c.branches, b)
		if p.failed {
			return c
		}
	}
	if p.isWord("else") {
		p.at++
		c.otherwise = p.list(depth)
	}
	p.want("fi")
	return c
}

func (p *parser) each(depth int) node {
	p.at++
	var e each
	if t, ok := p.peek(); ok {
		e.name = plain(t)
		p.at++
	}
	for p.op("\n") {
	}
	if p.isWord("in") {
		p.at++
		e.hasIn = true
		for {
			t, ok := p.peek()
			if !ok || t.op != "" {
				break
			}
			e.words = append(e.words, t)
			p.at++
		}
	}
	for p.op("\n", ";") {
	}
	p.want("do")
	e.body = p.list(depth)
	p.want("done")
	return e
}

func (p *parser) choice(depth int) node {
	p.at++
	var c choice
	if t, ok := p.peek(); ok {
		c.word = t
		p.at++
	}
	for p.op("\n") {
	}
	p.want("in")
	for !p.failed {
		for p.op("\n") {
		}
		if p.isWord("esac") {
			break
		}
		p.op("(")
		var b caseBranch
		for {
			t, ok := p.peek()
			if !ok || t.op != "" {
				p.failed = true
				return c
			}
			b.patterns = append(b.patterns, t)
			p.at++
			if !p.op("|") {
				break
			}
		}
		if !p.op(")") {
			p.failed = true
			return c
		}
		b.body = p.list(depth)
		c.branches = append(c.branches, b)
		if !p.op(";;") && !p.isWord("esac") {
			p.failed = true
		}
	}
	p.want("esac")
	return c
}

// simple parses a simple command, or a function's definition.
func (p *parser) simple(depth int) node {
	var s simple
	if t, ok := p.peek(); ok {
		s.line = t.line
	}
	if p.isWord("function") {
		p.at++
		return p.function(depth)
	}
	for {
		if p.redirections() {
			continue
		}
		t, ok := p.peek()
		if !ok || t.op != "" {
			break
		}
		p.at++
		if len(s.words) == 0 {
			if a, ok := assignment(t); ok {
				s.assigns = append(s.assigns, a)
				continue
			}
			if n := plain(t); n != "" && p.op("(") {
				if !p.op(")") {
					p.failed = true
					return s
				}
				for p.op("\n") {
				}
				return function{n, p.command(depth + 1)}
			}
		}
		// In [[ ]] operators of lists are words.
		if t.word("[[") {
			s.words = append(s.words, t)
			p.doubleBracket(&s)
			continue
		}
		s.words = append(s.words, t)
	}
	return s
}

// function parses what follows the word function, which not all shells have.
func (p *parser) function(depth int) node {
	t, ok := p.peek()
	if !ok || plain(t) == "" {
		p.failed = true
		return nil
	}
	p.at++
	if p.op("(") && !p.op(")") {
		p.failed = true
	}
	for p.op("\n") {
	}
	return function{plain(t), p.command(depth + 1)}
}

func (p *parser) doubleBracket(s *simple) {
	for {
		t, ok := p.peek()
		if !ok || t.op == "\n" || t.op == ";" {
			p.failed = true
			return
		}
		if t.op != "" {
			t = token{parts: []part{{quoted, t.op}}, line: t.line}
		}
		s.words = append(s.words, t)
		p.at++
		if t.word("]]") {
			return
		}
	}
}

// redirections skips them, and says whether there were any.
func (p *parser) redirections() bool {
	any := false
	for {
		t, ok := p.peek()
		if !ok {
			return any
		}
		at := p.at
		if t.op == "" && len(t.parts) == 1 && t.parts[0].kind == literal && strings.Trim(t.parts[0].text, "0123456789") == "" {
			p.at++ // a descriptor's number, if an operator follows
		}
		if !p.op("<", ">", "<<", "<<-", ">>", "<&", ">&", "<>", ">|") {
			p.at = at
			return any
		}
		if t, ok := p.peek(); ok && t.op == "" {
			p.at++
		}
		any = true
	}
}

// plain is the text of a word without quotes and variables; "" for another.
func plain(t token) string {
	if t.op == "" && len(t.parts) == 1 && t.parts[0].kind == literal {
		return t.parts[0].text
	}
	return ""
}

// assignment parses NAME=value.
func assignment(t token) (assign, bool) {
	if len(t.parts) == 0 || t.parts[0].kind != literal {
		return assign{}, false
	}
	name, rest, ok := strings.Cut(t.parts[0].text, "=")
	if !ok || name == "" || isDigit(name[0]) || strings.IndexFunc(name, func(r rune) bool { return r > 0x7f || !isName(byte(r)) }) >= 0 {
		return assign{}, false
	}
	value := token{line: t.line, parts: append([]part{{quoted, rest}}, t.parts[1:]...)}
	return assign{name, value}, true
}
