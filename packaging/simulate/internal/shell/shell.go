// Package shell says which commands a shell script runs when it is called with given
// arguments, without running any of them.
//
// It understands the language of POSIX.1-2017, "Shell Command Language", as far as
// scriptlets use it: lists, if, case, loops, functions, tests and variables. What
// depends on the host, such as whether a file is there, is not known: then both
// ways are followed, and what is on them may run. Arithmetic, what commands print,
// and here-documents are not looked into.
package shell

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Command is a simple command that the script runs.
type Command struct {
	Words []string // the program and its arguments; what is not known of one stands as it was written
	Maybe bool     // it depends on the host whether it runs
	Line  int      // in the script, from 1
}

// Bounds on what is followed of a script, which may be anybody's.
const (
	maxScript   = 1 << 20 // bytes
	maxTokens   = 100_000
	maxDepth    = 60      // levels of nesting, and of functions that call each other
	maxCommands = 5000    // that are run
	maxSteps    = 100_000 // nodes that are looked at
	maxWord     = 64 << 10
)

// A Call is how a script is called, and what is known of the host.
type Call struct {
	Name string            // $0
	Args []string          // $1, $2, …
	Env  map[string]string // variables of the environment; others may have any value

	// Exists says whether there is a file or folder, and whether that is known; nil
	// means that nothing is.
	Exists func(name string) (exists, known bool)
}

// Run gives the commands of a script. whole is false where the script could not be
// understood from some line on, or has more than is followed; the commands before
// that are given.
func (c Call) Run(script string) (cmds []Command, whole bool) {
	if len(script) > maxScript {
		return nil, false
	}
	tokens, ok := lex(script)
	p := parser{tokens: tokens}
	list := p.list(0)
	if p.failed || p.at < len(p.tokens) {
		ok = false
	}
	r := runner{vars: map[string]word{"0": known(c.Name)}, funcs: map[string]node{}, args: c.Args, exists: c.Exists}
	for n, value := range c.Env {
		r.vars[n] = known(value)
	}
	r.run(list, false, 0)
	return r.cmds, ok && !r.tooMuch
}

// A truth is what is known of a command's status.
type truth int

const (
	no truth = iota
	yes
	unknown
)

func (t truth) not() truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

func of(b bool) truth {
	if b {
		return yes
	}
	return no
}

// A word is what one becomes when the shell has expanded it.
type word struct {
	text  string
	known bool // else text is what is to be shown for it
}

func known(s string) word { return word{s, true} }

// A runner follows a script.
type runner struct {
	vars    map[string]word
	funcs   map[string]node
	args    []string
	exists  func(string) (exists, known bool)
	cmds    []Command
	steps   int
	tooMuch bool
	ended   bool // exit, for certain
	back    bool // return, for certain

	// before has, for each branch that may be followed, the values of the variables
	// that were set in it.
	before []map[string]word
}

// perhaps follows a node that may be reached. Variables that it sets to something
// else may be either afterwards.
func (r *runner) perhaps(n node, depth int) truth {
	args := r.args
	defer func() { r.args = args }()
	r.before = append(r.before, map[string]word{})
	t := r.run(n, true, depth)
	last := len(r.before) - 1
	before := r.before[last]
	r.before = r.before[:last]
	for name, old := range before {
		if r.vars[name] != old {
			r.set(name, word{"$" + name, false})
		}
	}
	return t
}

// run follows a node. maybe says that it depends on the host whether it is reached.
func (r *runner) run(n node, maybe bool, depth int) truth {
	if r.steps++; r.steps > maxSteps || depth > maxDepth {
		r.tooMuch = true
	}
	if r.tooMuch || r.ended || r.back || n == nil {
		return unknown
	}
	switch n := n.(type) {
	case sequence:
		status := yes
		for _, c := range n {
			status = r.run(c, maybe, depth+1)
		}
		return status
	case andOr:
		return r.andOr(n, maybe, depth)
	case inverted:
		return r.run(n.of, maybe, depth+1).not()
	case conditional:
		return r.conditional(n, maybe, depth)
	case loop:
		r.run(n.test, maybe, depth+1)
		r.perhaps(n.body, depth+1)
		return unknown
	case each:
		return r.each(n, maybe, depth)
	case choice:
		return r.choice(n, maybe, depth)
	case function:
		r.funcs[n.name] = n.body
		return yes
	case subshell:
		status := r.run(n.body, maybe, depth+1)
		r.ended = false
		return status
	case simple:
		return r.simple(n, maybe, depth)
	}
	return unknown
}

func (r *runner) andOr(n andOr, maybe bool, depth int) truth {
	left := r.run(n.left, maybe, depth+1)
	goes, skip := yes, no
	if n.or {
		goes, skip = no, yes
	}
	switch left {
	case skip:
		return left
	case goes:
		return r.run(n.right, maybe, depth+1)
	}
	right := r.perhaps(n.right, depth+1)
	if right == skip { // either way
		return skip
	}
	return unknown
}

func (r *runner) conditional(n conditional, maybe bool, depth int) truth {
	open := false // an earlier branch may be the one
	for _, b := range n.branches {
		switch t := r.run(b.test, maybe, depth+1); t {
		case yes:
			if open {
				r.perhaps(b.body, depth+1)
				return unknown
			}
			return r.run(b.body, maybe, depth+1)
		case unknown:
			r.perhaps(b.body, depth+1)
			open, maybe = true, true
		}
	}
	switch {
	case open:
		r.perhaps(n.otherwise, depth+1)
		return unknown
	case n.otherwise == nil:
		return yes
	}
	return r.run(n.otherwise, maybe, depth+1)
}

func (r *runner) each(n each, maybe bool, depth int) truth {
	var words []word
	if !n.hasIn {
		for _, a := range r.args {
			words = append(words, known(a))
		}
	}
	for _, t := range n.words {
		w := r.expand(t)
		if !w.known || strings.ContainsAny(w.text, "*?[") {
			r.set(n.name, word{w.text, false})
			r.perhaps(n.body, depth+1)
			continue
		}
		for f := range strings.FieldsSeq(w.text) {
			words = append(words, known(f))
		}
	}
	for _, w := range words {
		r.set(n.name, w)
		r.run(n.body, maybe, depth+1)
	}
	return unknown
}

func (r *runner) choice(n choice, maybe bool, depth int) truth {
	w := r.expand(n.word)
	open := false // an earlier branch may be the one
	for _, b := range n.branches {
		match := no
		for _, t := range b.patterns {
			p := r.expand(t)
			switch {
			case p.text == "*":
				match = yes
			case !w.known || !p.known:
				if match == no {
					match = unknown
				}
			default:
				if ok, err := path.Match(globPath(p.text), globPath(w.text)); err != nil && match == no {
					match = unknown
				} else if ok {
					match = yes
				}
			}
		}
		switch match {
		case yes:
			if open {
				r.perhaps(b.body, depth+1)
				return unknown
			}
			return r.run(b.body, maybe, depth+1)
		case unknown:
			r.perhaps(b.body, depth+1)
			open = true
		}
	}
	if open {
		return unknown
	}
	return yes
}

// globPath lets path.Match treat a slash as any other character, as case does.
func globPath(s string) string { return strings.ReplaceAll(s, "/", "\x01") }

func (r *runner) set(name string, w word) {
	if n := len(r.before); n > 0 {
		if _, ok := r.before[n-1][name]; !ok {
			r.before[n-1][name] = r.vars[name]
		}
	}
	r.vars[name] = w
}

func (r *runner) simple(n simple, maybe bool, depth int) truth {
	for _, a := range n.assigns {
		r.set(a.name, r.expand(a.value))
	}
	var words []word
	for _, t := range n.words {
		w := r.expand(t)
		if !t.quoted() && w.known {
			for f := range strings.FieldsSeq(w.text) {
				words = append(words, known(f))
			}
			continue
		}
		if t.isArgs() { // "$@"
			for _, a := range r.args {
				words = append(words, known(a))
			}
			continue
		}
		words = append(words, w)
	}
	replaced := false // the shell, by the command
	for len(words) > 1 && slices.Contains([]string{"exec", "command", "nohup", "builtin"}, words[0].text) && !strings.HasPrefix(words[1].text, "-") {
		replaced = replaced || words[0].text == "exec"
		words = words[1:]
	}
	if len(words) == 0 {
		return yes
	}
	t := r.command(words, n.line, maybe, depth)
	r.ended = r.ended || replaced && !maybe
	return t
}

// command runs a command whose words are expanded.
func (r *runner) command(words []word, line int, maybe bool, depth int) truth {
	if f, ok := r.funcs[words[0].text]; ok {
		return r.call(f, words[1:], maybe, depth)
	}
	if t, ok := r.builtin(words, maybe); ok {
		return t
	}
	if len(r.cmds) >= maxCommands {
		r.tooMuch = true
		return unknown
	}
	c := Command{Maybe: maybe, Line: line}
	for _, w := range words {
		c.Words = append(c.Words, w.text)
	}
	r.cmds = append(r.cmds, c)
	return unknown
}

func (r *runner) call(f node, words []word, maybe bool, depth int) truth {
	saved := r.args
	r.args = nil
	for _, w := range words {
		r.args = append(r.args, w.text)
	}
	status := r.run(f, maybe, depth+4) // so that functions do not call each other for long
	r.args, r.back = saved, false
	return status
}

// builtin runs what the shell does itself, and says whether the command is one.
func (r *runner) builtin(words []word, maybe bool) (truth, bool) {
	args := words[1:]
	switch words[0].text {
	case ":", "true", "echo", "printf", "umask", "trap", "cd", "wait":
		return yes, true
	case "false":
		return no, true
	case "export", "readonly", "local", "declare", "typeset":
		for _, w := range args {
			if n, v, ok := strings.Cut(w.text, "="); ok {
				r.set(n, word{v, w.known})
			}
		}
		return yes, true
	case "unset":
		for _, w := range args {
			r.set(w.text, known(""))
		}
		return yes, true
	case "read":
		for _, w := range args {
			r.set(w.text, word{"$" + w.text, false})
		}
		return unknown, true
	case "set":
		if len(args) > 0 && args[0].text == "--" {
			r.args = nil
			for _, w := range args[1:] {
				r.args = append(r.args, w.text)
			}
		}
		return yes, true
	case "shift":
		k := 1
		if len(args) > 0 {
			k, _ = strconv.Atoi(args[0].text)
		}
		r.args = r.args[min(max(k, 0), len(r.args)):]
		return yes, true
	case "exit":
		r.ended = r.ended || !maybe
		return status(args), true
	case "return":
		r.back = r.back || !maybe
		return status(args), true
	case "break", "continue":
		return yes, true
	case "command": // -v
		if r.exists != nil && len(args) == 2 && args[0].text == "-v" && args[1].known {
			if exists, known := r.exists(args[1].text); known {
				return of(exists), true
			}
		}
		return unknown, true
	case "test":
		return r.test(args), true
	case "[", "[[":
		if n := len(args); n > 0 && (args[n-1].text == "]" || args[n-1].text == "]]") {
			return r.test(args[:n-1]), true
		}
		return unknown, true
	}
	return unknown, false
}

func status(args []word) truth {
	if len(args) == 0 || !args[0].known {
		return unknown
	}
	return of(args[0].text == "0")
}

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
