package ice

import (
	"fmt"
	"strconv"
	"strings"
)

// A condition is a parsed conditional statement. The grammar is that of the SDK's
// page "Conditional Statement Syntax":
//
//	expression  equivalence { IMP equivalence }
//	equivalence exclusive { EQV exclusive }
//	exclusive   alternative { XOR alternative }
//	alternative conjunction { OR conjunction }
//	conjunction factor { AND factor }
//	factor      NOT factor | "(" expression ")" | value [ [~] operator value ]
//	value       [ "%" | "$" | "?" | "&" | "!" ] symbol | "literal" | integer
//
// An empty statement is true.
type condition struct {
	root    node
	symbols []symbol // each time that one is named, in order
}

// A symbol is what a condition asks for: a property, or, by its prefix, an
// environment variable (%), the action or installed state of a component ($ and ?)
// or of a feature (& and !).
type symbol struct {
	prefix byte // 0 for a property
	name   string
}

// A node is a part of a condition that is true or false.
type node interface {
	holds(value func(symbol) string) bool
}

// holds evaluates the condition with the values that symbols have; a property that
// does not exist has an empty one.
func (c condition) holds(value func(symbol) string) bool {
	return c.root == nil || c.root.holds(value)
}

type (
	not    struct{ of node }
	binary struct {
		op          string // AND, OR, XOR, EQV, IMP
		left, right node
	}
	// A comparison without an operator asks whether the left operand has a value.
	comparison struct {
		op          string // "" or an operator without its tilde
		fold        bool   // upper and lower case are equal
		left, right operand
	}
)

func (n not) holds(value func(symbol) string) bool { return !n.of.holds(value) }

func (n binary) holds(value func(symbol) string) bool {
	l, r := n.left.holds(value), n.right.holds(value)
	switch n.op {
	case "AND":
		return l && r
	case "OR":
		return l || r
	case "XOR":
		return l != r
	case "EQV":
		return l == r
	}
	return !l || r // IMP
}

// An operand is a symbol, or a text that stands for itself.
type operand struct {
	symbol  symbol // no name for a literal and an integer
	text    string
	integer bool
}

func (o operand) value(value func(symbol) string) string {
	if o.symbol.name != "" {
		return value(o.symbol)
	}
	return o.text
}

func (n comparison) holds(value func(symbol) string) bool {
	l := n.left.value(value)
	if n.op == "" {
		if n.left.integer {
			return strings.Trim(l, "-0") != ""
		}
		return l != ""
	}
	r := n.right.value(value)
	li, lerr := strconv.ParseInt(l, 10, 32)
	ri, rerr := strconv.ParseInt(r, 10, 32)
	if lerr == nil && rerr == nil {
		return compareInts(n.op, int32(li), int32(ri))
	}
	if n.fold {
		l, r = strings.ToLower(l), strings.ToLower(r)
	}
	switch n.op {
	case "=":
		return l == r
	case "<>":
		return l != r
	case "<":
		return l < r
	case ">":
		return l > r
	case "<=":
		return l <= r
	case ">=":
		return l >= r
	case "><":
		return strings.Contains(l, r)
	case "<<":
		return strings.HasPrefix(l, r)
	}
	return strings.HasSuffix(l, r) // >>
}

// compareInts compares numbers, of which the substring operators compare bits.
func compareInts(op string, l, r int32) bool {
	switch op {
	case "=":
		return l == r
	case "<>":
		return l != r
	case "<":
		return l < r
	case ">":
		return l > r
	case "<=":
		return l <= r
	case ">=":
		return l >= r
	case "><":
		return l&r != 0
	case "<<":
		return l>>16 == r
	}
	return l&0xffff == r // >>
}

// maxDepth bounds the nesting of a condition, and with it the parser's stack. What
// people write has less than ten levels.
const maxDepth = 200

// parseCondition parses a conditional statement.
func parseCondition(s string) (condition, error) {
	p := conditionParser{rest: s}
	p.next()
	var c condition
	if p.token != "" {
		c.root = p.expression(0, 0)
	}
	if p.err == nil && p.token != "" {
		p.fail("%q does not belong there", p.token)
	}
	c.symbols = p.symbols
	return c, p.err
}

// A conditionParser remembers its first error, after which it sees no more tokens.
type conditionParser struct {
	rest    string // what follows token
	token   string // the one to be looked at: "" at the end
	kind    tokenKind
	symbols []symbol
	err     error
}

type tokenKind int

const (
	kindEnd tokenKind = iota
	kindSymbol
	kindLiteral
	kindInteger
	kindWord     // NOT, AND, OR, XOR, EQV, IMP, in capitals
	kindOperator // with its tilde
	kindParen
)

func (p *conditionParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.rest, p.token, p.kind = "", "", kindEnd
}

// next reads the next token.
func (p *conditionParser) next() {
	s := strings.TrimLeft(p.rest, " \t\r\n")
	if s == "" {
		p.rest, p.token, p.kind = "", "", kindEnd
		return
	}
	take := func(n int, kind tokenKind) { p.token, p.rest, p.kind = s[:n], s[n:], kind }
	switch b := s[0]; {
	case b == '(' || b == ')':
		take(1, kindParen)
	case b == '"':
		end := strings.IndexByte(s[1:], '"')
		if end < 0 {
			p.fail("the literal %s has no closing quotation mark", s)
			return
		}
		take(end+2, kindLiteral)
	case b == '~' || b == '=' || b == '<' || b == '>':
		p.operator(s)
	case b == '-' || isDigit(b):
		n := 1
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		if _, err := strconv.ParseInt(s[:n], 10, 32); err != nil || n < len(s) && isNameByte(s[n]) {
			p.fail("%q is not a whole number of 32 bits", word(s))
			return
		}
		take(n, kindInteger)
	case isNameStart(b):
		n := nameLen(s)
		take(n, kindSymbol)
		switch w := strings.ToUpper(p.token); w {
		case "NOT", "AND", "OR", "XOR", "EQV", "IMP":
			p.token, p.kind = w, kindWord
		}
	case strings.IndexByte("%$?&!", b) >= 0:
		n := nameLen(s[1:])
		if n == 0 {
			p.fail("nothing is named after %q", string(b))
			return
		}
		take(n+1, kindSymbol)
	default:
		p.fail("%q begins nothing that a condition can have", word(s))
	}
}

// operator reads a comparison operator, the longest that fits.
func (p *conditionParser) operator(s string) {
	rest := strings.TrimPrefix(s, "~")
	for _, op := range [...]string{"<=", ">=", "<>", "><", "<<", ">>", "=", "<", ">"} {
		if strings.HasPrefix(rest, op) {
			n := len(s) - len(rest) + len(op)
			p.token, p.rest, p.kind = s[:n], s[n:], kindOperator
			return
		}
	}
	p.fail("a tilde stands before a comparison operator only")
}

// levels are the operators between terms from the weakest.
var levels = [...]string{"IMP", "EQV", "XOR", "OR", "AND"}

func (p *conditionParser) expression(level, depth int) node {
	if depth > maxDepth {
		p.fail("it is nested deeper than %d levels", maxDepth)
		return nil
	}
	if level == len(levels) {
		return p.factor(depth)
	}
	left := p.expression(level+1, depth)
	for p.kind == kindWord && p.token == levels[level] {
		p.next()
		left = binary{levels[level], left, p.expression(level+1, depth)}
	}
	return left
}

func (p *conditionParser) factor(depth int) node {
	switch {
	case depth > maxDepth:
		p.fail("it is nested deeper than %d levels", maxDepth)
		return nil
	case p.kind == kindWord && p.token == "NOT":
		p.next()
		return not{p.factor(depth + 1)}
	case p.kind == kindParen && p.token == "(":
		p.next()
		n := p.expression(0, depth+1)
		if p.token != ")" {
			p.fail("a parenthesis is not closed")
			return nil
		}
		p.next()
		return n
	}
	c := comparison{left: p.operand()}
	if p.kind == kindOperator {
		c.op = strings.TrimPrefix(p.token, "~")
		c.fold = p.token[0] == '~'
		p.next()
		c.right = p.operand()
	}
	return c
}

func (p *conditionParser) operand() operand {
	t := p.token
	switch p.kind {
	case kindSymbol:
		s := symbol{name: t}
		if !isNameStart(t[0]) {
			s = symbol{t[0], t[1:]}
		}
		p.symbols = append(p.symbols, s)
		p.next()
		return operand{symbol: s}
	case kindLiteral:
		p.next()
		return operand{text: t[1 : len(t)-1]}
	case kindInteger:
		p.next()
		return operand{text: t, integer: true}
	case kindEnd:
		p.fail("a value is missing at the end")
	default:
		p.fail("a value is missing before %q", t)
	}
	return operand{}
}

// word is the beginning of s for an error's text.
func word(s string) string {
	if i := strings.IndexAny(s, " \t\r\n"); i > 0 {
		s = s[:i]
	}
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most])
	}
	return s
}

// nameLen is the length of the identifier that s begins with; 0 if with none.
func nameLen(s string) int {
	if s == "" || !isNameStart(s[0]) {
		return 0
	}
	n := 1
	for n < len(s) && isNameByte(s[n]) {
		n++
	}
	return n
}

func isDigit(b byte) bool     { return '0' <= b && b <= '9' }
func isNameStart(b byte) bool { return b == '_' || 'a' <= b|0x20 && b|0x20 <= 'z' }
func isNameByte(b byte) bool  { return isNameStart(b) || isDigit(b) || b == '.' }
