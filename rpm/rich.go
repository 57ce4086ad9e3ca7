package rpm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxRichDepth bounds the nesting of rich dependencies. rpm's limit is 20.
const maxRichDepth = 20

// richLength checks the rich dependency that text starts with, such as
// "(a >= 1 if (b or c) else d)", and gives its length.
func richLength(text string) (int, error) {
	p := richParser{text: text}
	if err := p.group(0); err != nil {
		return 0, err
	}
	return p.pos, nil
}

type richParser struct {
	text string
	pos  int
}

// group parses "(" operand { operator operand } ")".
func (p *richParser) group(depth int) error {
	if depth > maxRichDepth {
		return fmt.Errorf("rich dependency is nested more than %d deep", maxRichDepth)
	}
	p.pos++ // the parenthesis
	if err := p.operand(depth); err != nil {
		return err
	}
	var ops []string
	for {
		word, err := p.word()
		switch {
		case err != nil:
			return err
		case word == ")":
			return nil
		case !slices.Contains([]string{"and", "or", "if", "unless", "else", "with", "without"}, word):
			return fmt.Errorf("%q: want and, or, if, unless, else, with or without", word)
		}
		if err := checkChain(ops, word); err != nil {
			return err
		}
		ops = append(ops, word)
		if err := p.operand(depth); err != nil {
			return err
		}
	}
}

// checkChain checks that an operator may follow the others of its group.
func checkChain(ops []string, op string) error {
	if len(ops) == 0 {
		if op == "else" {
			return errors.New(`"else" without "if" or "unless"`)
		}
		return nil
	}
	switch prev := ops[len(ops)-1]; {
	case op == "else" && len(ops) == 1 && (prev == "if" || prev == "unless"):
		return nil
	case op == prev && (op == "and" || op == "or" || op == "with"):
		return nil
	default:
		return fmt.Errorf("%q after %q needs parentheses", op, prev)
	}
}

// operand parses a group or a relation.
func (p *richParser) operand(depth int) error {
	p.space()
	if strings.HasPrefix(p.text[p.pos:], "(") {
		return p.group(depth + 1)
	}
	name, err := p.word()
	if err != nil {
		return err
	}
	d := dependency{name: name}
	start := p.pos
	op, err := p.word()
	if err != nil {
		return err
	}
	if strings.Trim(op, "<=>") != "" {
		p.pos = start // no comparison, but an operator or the end
		return d.validate()
	}
	if !slices.Contains([]string{"<", "<=", "=", ">=", ">"}, op) {
		return fmt.Errorf("%q: want <, <=, =, >= or >", op)
	}
	if d.version, err = p.word(); err != nil {
		return err
	}
	d.flags = senseEqual
	return d.validate()
}

// word gives what stands before the next space or closing parenthesis that does
// not belong to it, as in "perl(strict)"; or that parenthesis.
func (p *richParser) word() (string, error) {
	p.space()
	start, open := p.pos, 0
loop:
	for ; p.pos < len(p.text); p.pos++ {
		switch p.text[p.pos] {
		case ' ', '\t', '\n', '\r', ',':
			break loop
		case '(':
			open++
		case ')':
			if open == 0 {
				break loop
			}
			open--
		}
	}
	switch {
	case p.pos == len(p.text):
		return "", errors.New("rich dependency without its closing parenthesis")
	case p.pos == start && p.text[p.pos] == ')':
		p.pos++
		return ")", nil
	case p.pos == start:
		return "", fmt.Errorf("%q in a rich dependency", p.text[p.pos:p.pos+1])
	}
	return p.text[start:p.pos], nil
}

func (p *richParser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\n\r", p.text[p.pos]) >= 0 {
		p.pos++
	}
}
