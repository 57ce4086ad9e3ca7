package shell

import (
	"slices"
	"strconv"
	"strings"
)

// test evaluates the arguments of test(1).
func (r *runner) test(args []word) truth {
	t := tester{args: args, exists: r.exists}
	v := t.or(0)
	if t.at < len(t.args) {
		return unknown
	}
	return v
}

// A tester evaluates an expression of test(1). Beside what POSIX has, && and || of
// [[ are understood.
type tester struct {
	args   []word
	at     int
	exists func(string) (exists, known bool)
}

func (t *tester) peek() string {
	if t.at < len(t.args) {
		return t.args[t.at].text
	}
	return ""
}

func (t *tester) or(depth int) truth {
	v := t.and(depth)
	for t.peek() == "-o" || t.peek() == "||" {
		t.at++
		w := t.and(depth)
		switch {
		case v == yes || w == yes:
			v = yes
		case v == unknown || w == unknown:
			v = unknown
		}
	}
	return v
}

func (t *tester) and(depth int) truth {
	v := t.not(depth)
	for t.peek() == "-a" || t.peek() == "&&" {
		t.at++
		w := t.not(depth)
		switch {
		case v == no || w == no:
			v = no
		case v == unknown || w == unknown:
			v = unknown
		}
	}
	return v
}

func (t *tester) not(depth int) truth {
	rest := t.args[min(t.at, len(t.args)):]
	if depth > maxDepth || len(rest) == 0 {
		return no // test without an argument is false
	}
	binary := len(rest) >= 3 && isOperator(rest[1].text)
	switch {
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
		return compare(rest[0], rest[1].text, rest[2])
	case len(rest) >= 2 && len(rest[0].text) == 2 && rest[0].text[0] == '-':
		t.at += 2
		switch {
		case !rest[1].known:
			return unknown
		case rest[0].text == "-n":
			return of(rest[1].text != "")
		case rest[0].text == "-z":
			return of(rest[1].text == "")
		case t.exists != nil && strings.Contains("-d -e -f -r -s -x", rest[0].text):
			if exists, known := t.exists(rest[1].text); known {
				return of(exists)
			}
		}
		return unknown // about a file
	}
	t.at++
	if !rest[0].known {
		return unknown
	}
	return of(rest[0].text != "")
}

func isOperator(s string) bool {
	return slices.Contains([]string{"=", "==", "!=", "-eq", "-ne", "-gt", "-ge", "-lt", "-le", "=~", "-nt", "-ot", "-ef", "<", ">"}, s)
}

func compare(a word, op string, b word) truth {
	if !a.known || !b.known {
		return unknown
	}
	switch op {
	case "=", "==":
		return of(a.text == b.text)
	case "!=":
		return of(a.text != b.text)
	}
	x, errX := strconv.Atoi(strings.TrimSpace(a.text))
	y, errY := strconv.Atoi(strings.TrimSpace(b.text))
	if errX != nil || errY != nil {
		return unknown
	}
	switch op {
	case "-eq":
		return of(x == y)
	case "-ne":
		return of(x != y)
	case "-gt":
		return of(x > y)
	case "-ge":
		return of(x >= y)
	case "-lt":
		return of(x < y)
	case "-le":
		return of(x <= y)
	}
	return unknown
}
