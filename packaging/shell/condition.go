package shell

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// test is the status of test(1).
func (r *runner) test(args []word) Status {
	t := tester{args: args, r: r}
	v := t.or(0)
	if t.at < len(t.args) {
		return Uncertain
	}
	return v
}

// A tester evaluates an expression of test(1).
type tester struct {
	args []word
	at   int
	r    *runner
}

func (t *tester) peek() string {
	if t.at < len(t.args) {
		return t.args[t.at].text
	}
	return ""
}

func (t *tester) or(depth int) Status {
	v := t.and(depth)
	for t.peek() == "-o" {
		t.at++
		v = max(v, t.and(depth))
	}
	return v
}

func (t *tester) and(depth int) Status {
	v := t.not(depth)
	for t.peek() == "-a" {
		t.at++
		v = min(v, t.not(depth))
	}
	return v
}

func (t *tester) not(depth int) Status {
	rest := t.args[t.at:]
	binary := len(rest) >= 3 && isOperator(rest[1].text)
	switch {
	case depth > maxDepth:
		return Uncertain
	case len(rest) == 0:
		return Fails
	case rest[0].text == "!" && len(rest) > 1 && !binary:
		t.at++
		return t.not(depth + 1).not()
	case rest[0].text == "(" && len(rest) > 2 && !binary:
		t.at++
		v := t.or(depth + 1)
		if t.peek() == ")" {
			t.at++
		}
		return v
	case binary:
		t.at += 3
		return compare(rest[1].text, rest[0].text, rest[2].text)
	case len(rest) >= 2 && len(rest[0].text) == 2 && rest[0].text[0] == '-':
		t.at += 2
		return t.r.unary(rest[0].text, rest[1].text)
	}
	t.at++
	return t.r.unary("-n", rest[0].text)
}

func isOperator(s string) bool {
	return slices.Contains([]string{"=", "==", "!=", "-eq", "-ne", "-gt", "-ge", "-lt", "-le", "-nt", "-ot", "-ef", "<", ">"}, s)
}

func (r *runner) unary(op, arg string) Status {
	switch op {
	case "-n":
		if strings.Trim(arg, Unknown) == "" && arg != "" {
			return Uncertain
		}
		return of(arg != "")
	case "-z":
		return r.unary("-n", arg).not()
	case "-d", "-e", "-f", "-r", "-s", "-S", "-x":
		return r.exists(arg)
	}
	return Uncertain
}

func (r *runner) exists(name string) Status {
	if r.call.Exists == nil {
		return Uncertain
	}
	return r.call.Exists(name)
}

// compare is a comparison of test(1).
func compare(op, a, b string) Status {
	if strings.Contains(a+b, Unknown) {
		return Uncertain
	}
	switch op {
	case "=", "==":
		return of(a == b)
	case "!=":
		return of(a != b)
	case "-eq", "-ne", "-lt", "-le", "-gt", "-ge":
	default:
		return Uncertain
	}
	x, errX := strconv.Atoi(strings.TrimSpace(a))
	y, errY := strconv.Atoi(strings.TrimSpace(b))
	if errX != nil || errY != nil {
		return Fails // test says that it is no number, and ends with 2
	}
	switch op {
	case "-eq":
		return of(x == y)
	case "-ne":
		return of(x != y)
	case "-lt":
		return of(x < y)
	case "-le":
		return of(x <= y)
	case "-gt":
		return of(x > y)
	}
	return of(x >= y)
}

// matches says whether a value fits a pattern of case.
func matches(pattern, value string) Status {
	if pattern == "*" {
		return Succeeds
	}
	slashes := strings.NewReplacer("/", "\x02") // are as any other character in case
	ok, err := path.Match(slashes.Replace(pattern), slashes.Replace(value))
	if err != nil || strings.Contains(pattern+value, Unknown) {
		return Uncertain
	}
	return of(ok)
}

// testExpr is the status of [[ … ]].
func (r *runner) testExpr(x syntax.TestExpr) Status {
	switch x := x.(type) {
	case *syntax.Word:
		return r.unary("-n", r.expand(x).text)
	case *syntax.ParenTest:
		return r.testExpr(x.X)
	case *syntax.UnaryTest:
		if x.Op == syntax.TsNot {
			return r.testExpr(x.X).not()
		}
		if w, ok := x.X.(*syntax.Word); ok {
			return r.unary(x.Op.String(), r.expand(w).text)
		}
	case *syntax.BinaryTest:
		switch x.Op {
		case syntax.AndTest:
			return min(r.testExpr(x.X), r.testExpr(x.Y))
		case syntax.OrTest:
			return max(r.testExpr(x.X), r.testExpr(x.Y))
		}
		a, okA := x.X.(*syntax.Word)
		b, okB := x.Y.(*syntax.Word)
		if !okA || !okB {
			return Uncertain
		}
		value, other := r.expand(a).text, r.expand(b).text
		switch x.Op {
		case syntax.TsMatchShort, syntax.TsMatch:
			return matches(other, value)
		case syntax.TsNoMatch:
			return matches(other, value).not()
		}
		return compare(x.Op.String(), value, other)
	}
	return Uncertain
}

// arithm is the status of (( … )).
func (r *runner) arithm(x syntax.ArithmExpr) Status {
	c, ok := x.(*syntax.BinaryArithm)
	if !ok {
		return Uncertain
	}
	a, okA := c.X.(*syntax.Word)
	b, okB := c.Y.(*syntax.Word)
	op, ok := map[syntax.BinAritOperator]string{
		syntax.Eql: "-eq", syntax.Neq: "-ne", syntax.Lss: "-lt", syntax.Leq: "-le", syntax.Gtr: "-gt", syntax.Geq: "-ge",
	}[c.Op]
	if !ok || !okA || !okB {
		return Uncertain
	}
	return compare(op, r.expand(a).text, r.expand(b).text)
}
