// Package shell says which commands a shell script runs when it is called with given
// arguments, without running any of them.
//
// Lists, if, case, loops, functions, tests and variables are followed. What depends on
// the host, such as whether a file is there, is not known: then both ways are followed,
// and what is on them may run. Arithmetic, what commands print, and here-documents are
// not looked into.
package shell

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A Command is a simple command that the script runs.
type Command struct {
	Words []string // the program and its arguments; what is not known of one stands as it was written
	Maybe bool     // it depends on the host whether it runs
	Line  int      // in the script, from 1
}

// Bounds on what is followed of a script, which may be anybody's.
const (
	maxScript   = 64 << 10 // bytes
	maxOpeners  = 4000     // signs and words in which something can be nested
	maxDepth    = 60       // levels of nesting, and of functions that call each other
	maxCommands = 5000     // that are run
	maxSteps    = 100_000  // nodes that are looked at
	maxWord     = 16 << 10 // bytes
)

// parse parses a script; nil if it cannot be. The parser calls itself for what is
// nested, and so gets no script in which too much could be.
func parse(script string) *syntax.File {
	if len(script) > maxScript {
		return nil
	}
	openers := 0
	for i := range len(script) {
		if strings.IndexByte("({[`!-+~?", script[i]) >= 0 && (i == 0 || strings.IndexByte("({[`!-+~?$ \t\n", script[i-1]) >= 0) {
			openers++
		}
	}
	for w := range strings.FieldsFuncSeq(script, func(r rune) bool { return r < 'a' || r > 'z' }) {
		if slices.Contains([]string{"if", "elif", "else", "for", "while", "until", "case", "select", "time", "do", "then"}, w) {
			openers++
		}
	}
	if openers > maxOpeners {
		return nil
	}
	script = strings.ToValidUTF8(script, "?")
	for _, v := range []syntax.LangVariant{syntax.LangBash, syntax.LangPOSIX} {
		if f, err := syntax.NewParser(syntax.Variant(v)).Parse(strings.NewReader(script), ""); err == nil {
			return f
		}
	}
	return nil
}

// A Call is how a script is called, and what is known of the host.
type Call struct {
	Name string            // $0
	Args []string          // $1, $2, …
	Env  map[string]string // variables of the environment; others may have any value

	// Exists says whether there is a file or folder, and whether that is known; nil
	// means that nothing is.
	Exists func(name string) (exists, known bool)
}

// Run gives the commands of a script. whole is false where the script cannot be
// understood, or has more than is followed.
func (c Call) Run(script string) (cmds []Command, whole bool) {
	f := parse(script)
	if f == nil {
		return nil, false
	}
	r := runner{vars: map[string]word{"0": known(c.Name)}, funcs: map[string]*syntax.Stmt{}, args: c.Args, exists: c.Exists}
	for n, value := range c.Env {
		r.vars[n] = known(value)
	}
	r.list(f.Stmts, false, 0)
	return r.cmds, !r.tooMuch
}

// A truth is what is known of a command's status.
type truth int

const (
	no truth = iota
	unknown
	yes
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
	funcs   map[string]*syntax.Stmt
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

// perhaps follows statements that may be reached. Variables that they set to something
// else may be either afterwards.
func (r *runner) perhaps(list []*syntax.Stmt, depth int) truth {
	args := r.args
	r.before = append(r.before, map[string]word{})
	t := r.list(list, true, depth)
	last := len(r.before) - 1
	before := r.before[last]
	r.before, r.args = r.before[:last], args
	for name, old := range before {
		if r.vars[name] != old {
			r.set(name, word{"$" + name, false})
		}
	}
	return t
}

// list follows statements. maybe says that it depends on the host whether they are
// reached.
func (r *runner) list(list []*syntax.Stmt, maybe bool, depth int) truth {
	t := yes
	for _, s := range list {
		t = r.stmt(s, maybe, depth+1)
	}
	return t
}

func (r *runner) stmt(s *syntax.Stmt, maybe bool, depth int) truth {
	if r.steps++; r.steps > maxSteps || depth > maxDepth {
		r.tooMuch = true
	}
	if r.tooMuch || r.ended || r.back {
		return unknown
	}
	t := r.clause(s.Cmd, maybe, depth)
	if s.Negated {
		return t.not()
	}
	return t
}

func (r *runner) clause(c syntax.Command, maybe bool, depth int) truth {
	switch c := c.(type) {
	case nil:
		return yes // a redirection alone
	case *syntax.CallExpr:
		return r.simple(c, maybe, depth)
	case *syntax.Block:
		return r.list(c.Stmts, maybe, depth)
	case *syntax.Subshell:
		t := r.list(c.Stmts, maybe, depth)
		r.ended = false
		return t
	case *syntax.BinaryCmd:
		return r.binary(c, maybe, depth)
	case *syntax.IfClause:
		return r.conditional(c, maybe, depth)
	case *syntax.CaseClause:
		return r.choice(c, maybe, depth)
	case *syntax.WhileClause:
		r.list(c.Cond, maybe, depth)
		r.perhaps(c.Do, depth)
	case *syntax.ForClause:
		r.each(c, maybe, depth)
	case *syntax.FuncDecl:
		r.funcs[c.Name.Value] = c.Body
		return yes
	case *syntax.TestClause:
		return r.test(r.testWords(c.X, depth))
	case *syntax.DeclClause:
		for _, a := range c.Args {
			r.assign(a)
		}
		return yes
	case *syntax.TimeClause:
		if c.Stmt != nil {
			return r.stmt(c.Stmt, maybe, depth+1)
		}
	}
	return unknown
}

func (r *runner) binary(c *syntax.BinaryCmd, maybe bool, depth int) truth {
	left := r.stmt(c.X, maybe, depth+1)
	goes, skip := yes, no
	switch c.Op {
	case syntax.AndStmt:
	case syntax.OrStmt:
		goes, skip = no, yes
	default: // a pipe, whose status is the last one's
		return r.stmt(c.Y, maybe, depth+1)
	}
	switch left {
	case skip:
		return left
	case goes:
		return r.stmt(c.Y, maybe, depth+1)
	}
	if r.perhaps([]*syntax.Stmt{c.Y}, depth) == skip { // either way
		return skip
	}
	return unknown
}

// conditional follows an if, whose elif and else hang on it as others.
func (r *runner) conditional(c *syntax.IfClause, maybe bool, depth int) truth {
	open := false // an earlier branch may be the one
	for ; c != nil; c = c.Else {
		t := yes // else
		if len(c.Cond) > 0 {
			t = r.list(c.Cond, maybe || open, depth)
		}
		switch {
		case t == yes && !open:
			return r.list(c.Then, maybe, depth)
		case t == yes:
			r.perhaps(c.Then, depth)
			return unknown
		case t == unknown:
			r.perhaps(c.Then, depth)
			open = true
		}
	}
	if open {
		return unknown
	}
	return yes
}

func (r *runner) each(c *syntax.ForClause, maybe bool, depth int) {
	in, ok := c.Loop.(*syntax.WordIter)
	if !ok {
		r.perhaps(c.Do, depth)
		return
	}
	var words []word
	if !in.InPos.IsValid() {
		for _, a := range r.args {
			words = append(words, known(a))
		}
	}
	for _, t := range in.Items {
		w := r.expand(t)
		if !w.known || strings.ContainsAny(w.text, "*?[") {
			r.set(in.Name.Value, word{w.text, false})
			r.perhaps(c.Do, depth)
			continue
		}
		for f := range strings.FieldsSeq(w.text) {
			words = append(words, known(f))
		}
	}
	for _, w := range words {
		r.set(in.Name.Value, w)
		r.list(c.Do, maybe, depth)
	}
}

func (r *runner) choice(c *syntax.CaseClause, maybe bool, depth int) truth {
	w := r.expand(c.Word)
	open := false // an earlier branch may be the one
	for _, b := range c.Items {
		match := no
		for _, t := range b.Patterns {
			match = max(match, matches(r.expand(t), w))
		}
		switch {
		case match == yes && !open:
			return r.list(b.Stmts, maybe, depth)
		case match == yes:
			r.perhaps(b.Stmts, depth)
			return unknown
		case match == unknown:
			r.perhaps(b.Stmts, depth)
			open = true
		}
	}
	if open {
		return unknown
	}
	return yes
}

// matches reports whether a pattern of case matches.
func matches(pattern, w word) truth {
	if pattern.text == "*" && pattern.known {
		return yes
	}
	if !w.known || !pattern.known {
		return unknown
	}
	slashes := strings.NewReplacer("/", "\x01") // are as any other character in case
	ok, err := path.Match(slashes.Replace(pattern.text), slashes.Replace(w.text))
	if err != nil {
		return unknown
	}
	return of(ok)
}

func (r *runner) set(name string, w word) {
	if n := len(r.before); n > 0 {
		if _, ok := r.before[n-1][name]; !ok {
			r.before[n-1][name] = r.vars[name]
		}
	}
	r.vars[name] = w
}

func (r *runner) assign(a *syntax.Assign) {
	switch {
	case a.Name == nil || a.Naked:
	case a.Append || a.Array != nil || a.Index != nil:
		r.set(a.Name.Value, word{"$" + a.Name.Value, false})
	case a.Value == nil:
		r.set(a.Name.Value, known(""))
	default:
		r.set(a.Name.Value, r.expand(a.Value))
	}
}

func (r *runner) simple(c *syntax.CallExpr, maybe bool, depth int) truth {
	for _, a := range c.Assigns {
		if len(c.Args) == 0 { // else they are the command's alone
			r.assign(a)
		}
	}
	var words []word
	for _, t := range c.Args {
		words = append(words, r.fields(t)...)
	}
	replaced := false // the shell, by the command
	for len(words) > 1 && slices.Contains([]string{"exec", "command", "nohup", "builtin"}, words[0].text) && !strings.HasPrefix(words[1].text, "-") {
		replaced = replaced || words[0].text == "exec"
		words = words[1:]
	}
	if len(words) == 0 {
		return yes
	}
	t := r.command(words, int(c.Pos().Line()), maybe, depth)
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

func (r *runner) call(f *syntax.Stmt, words []word, maybe bool, depth int) truth {
	saved := r.args
	r.args = nil
	for _, w := range words {
		r.args = append(r.args, w.text)
	}
	status := r.stmt(f, maybe, depth+4) // so that functions do not call each other for long
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
	case "[":
		if n := len(args); n > 0 && args[n-1].text == "]" {
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
