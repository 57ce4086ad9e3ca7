package shell

import (
	"strconv"
	"strings"
)

// expand gives what a word becomes. Fields are not split, and names of files are
// not looked for.
func (r *runner) expand(t token) word {
	w := known("")
	for _, p := range t.parts {
		x := word{p.text, true}
		switch p.kind {
		case variable, bound:
			x = r.variable(p.text)
		case opaque:
			x.known = false
		}
		w.text += x.text
		w.known = w.known && x.known
		if len(w.text) > maxWord {
			return word{w.text[:maxWord], false}
		}
	}
	return w
}

// variable expands what is between the braces of ${…}.
func (r *runner) variable(s string) word {
	n := 0
	for n < len(s) && isName(s[n]) {
		n++
	}
	if n == 0 && s != "" && strings.IndexByte("@*#?$!-", s[0]) >= 0 {
		n = 1
	}
	name, op := s[:n], s[n:]
	v, set := r.value(name)
	asWritten := word{"$" + s, false}
	if op != "" {
		asWritten.text = "${" + s + "}"
	}
	if !v.known && set {
		if op == "" && v.text != "" {
			return v
		}
		return asWritten
	}
	colon := strings.HasPrefix(op, ":")
	op = strings.TrimPrefix(op, ":")
	switch {
	case op == "" && !colon:
		if !set {
			return asWritten
		}
		return v
	case op == "":
		return asWritten
	case op[0] == '-' || op[0] == '=':
		if set && (v.text != "" || !colon) {
			return v
		}
		if !set && !isDigit(name[0]) {
			return asWritten // the environment may have it
		}
		return r.inner(op[1:])
	case op[0] == '+':
		if !set && !isDigit(name[0]) {
			return asWritten
		}
		if !set || v.text == "" && colon {
			return known("")
		}
		return r.inner(op[1:])
	case op[0] == '?' && set:
		return v
	case set && (op[0] == '#' || op[0] == '%') && name != "#":
		return trim(v, op, asWritten)
	}
	return asWritten
}

// inner expands the word after an operator of ${…}; only a text or one variable.
func (r *runner) inner(s string) word {
	s = strings.Trim(s, `"`)
	if !strings.ContainsAny(s, "$`\"'\\") {
		return known(s)
	}
	return word{s, false}
}

// trim does # ## % and %% with patterns that are a text with one star at an end.
func trim(v word, op string, asWritten word) word {
	long := len(op) > 1 && op[0] == op[1]
	pattern := strings.TrimLeft(op, op[:1])
	text := strings.Trim(pattern, "*")
	if strings.ContainsAny(text, "*?[$`\"'\\") || text == "" {
		return asWritten
	}
	var i int
	switch {
	case op[0] == '#' && strings.HasPrefix(pattern, "*"):
		if i = strings.Index(v.text, text); long {
			i = strings.LastIndex(v.text, text)
		}
		if i >= 0 {
			return known(v.text[i+len(text):])
		}
	case op[0] == '#':
		return known(strings.TrimPrefix(v.text, text))
	case strings.HasSuffix(pattern, "*"):
		if i = strings.LastIndex(v.text, text); long {
			i = strings.Index(v.text, text)
		}
		if i >= 0 {
			return known(v.text[:i])
		}
	default:
		return known(strings.TrimSuffix(v.text, text))
	}
	return v
}

// value gives a variable's or an argument's value, and whether it is set. What is
// neither known nor unknown may be in the environment.
func (r *runner) value(name string) (word, bool) {
	switch name {
	case "":
		return word{}, true
	case "#":
		return known(strconv.Itoa(len(r.args))), true
	case "@", "*":
		return known(strings.Join(r.args, " ")), true
	case "?", "$", "!", "-":
		return word{}, true
	}
	if isDigit(name[0]) {
		if v, ok := r.vars[name]; ok { // $0
			return v, true
		}
		if i, err := strconv.Atoi(name); err == nil && i <= len(r.args) && i > 0 {
			return known(r.args[i-1]), true
		}
		return known(""), false
	}
	v, ok := r.vars[name]
	return v, ok
}
