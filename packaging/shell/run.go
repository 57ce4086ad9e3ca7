package shell

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A context says what becomes of a command's failure.
type context struct {
	handled bool
	last    bool // the command may be the last one of the script
}

// A flow says where a script goes on after a command: the larger, the farther away.
type flow int8

const (
	next flow = iota
	continues
	breaks
	returns
	exits
)

// A runner follows a script.
type runner struct {
	call      Call
	t         *Trace
	args      []word // nil if nothing is known of them
	vars      map[string]word
	funcs     map[string]*syntax.Stmt
	errexit   bool
	maybe     bool // it depends on the host whether this is reached
	flow      flow
	mayReturn bool   // the function may have ended before, with another status
	result    Status // of the last command
	line      uint   // of it
	depth     int
}

// branch runs f on a copy of what is known, and gives that back.
func (r *runner) branch(f func(*runner)) *runner {
	c := *r
	c.vars = maps.Clone(r.vars)
	f(&c)
	return &c
}

// either goes all of several ways, and on with what they have in common.
func (r *runner) either(ways ...func(*runner)) {
	if len(ways) == 1 {
		ways[0](r)
		return
	}
	var all *runner
	for _, f := range ways {
		way := r.branch(func(r *runner) {
			r.maybe = true
			f(r)
		})
		if all == nil {
			all = way
		} else {
			all = all.merge(way)
		}
	}
	all.maybe = r.maybe
	*r = *all
}

// perhaps runs what may run or not.
func (r *runner) perhaps(f func(*runner)) {
	r.either(f, func(*runner) {})
	r.result = Uncertain
}

// merge gives what is known after one of two ways. One that ends the script says
// nothing of what follows. One that leaves a loop or function does: of what follows that,
// and so what both have in common is all that is known from here on.
func (r *runner) merge(o *runner) *runner {
	if r.flow > o.flow {
		r, o = o, r
	}
	if o.flow == exits && r.flow != exits {
		r.t.mayEnd = true
		r.mayReturn = r.mayReturn || o.mayReturn
		return r
	}
	for k, v := range r.vars {
		if o.vars[k] != v {
			r.vars[k] = word{Unknown, "$" + k}
		}
	}
	for k := range o.vars {
		if _, ok := r.vars[k]; !ok {
			r.vars[k] = word{Unknown, "$" + k}
		}
	}
	if o.args == nil || !slices.Equal(r.args, o.args) {
		r.args = nil
	}
	r.errexit = r.errexit && o.errexit
	r.mayReturn = r.mayReturn || o.mayReturn || o.flow == returns && r.flow != returns
	if r.flow == o.flow && r.result != o.result {
		r.result = Uncertain
	}
	return r
}

func (r *runner) list(stmts []*syntax.Stmt, c context) {
	for i, s := range stmts {
		if r.flow != next {
			return
		}
		r.stmt(s, context{handled: c.handled, last: c.last && i == len(stmts)-1})
	}
}

func (r *runner) stmt(s *syntax.Stmt, c context) {
	if r.t.steps++; r.t.steps > maxSteps || r.t.bytes > maxWords || r.depth >= maxDepth {
		r.t.Whole = false
	}
	if !r.t.Whole {
		r.flow, r.result = exits, Uncertain
		return
	}
	if s.Negated || s.Background {
		c.handled = true
	}
	r.line = s.Pos().Line()
	r.depth++
	r.command(s.Cmd, c)
	r.depth--
	if r.flow != next {
		return
	}
	if s.Negated {
		r.result = r.result.not()
	}
	if s.Background {
		r.result = Succeeds
	}
}

func (r *runner) command(cmd syntax.Command, c context) {
	switch x := cmd.(type) {
	case nil: // a redirection alone
		r.result = Succeeds
	case *syntax.CallExpr:
		r.simple(x, c)
	case *syntax.Block:
		r.list(x.Stmts, c)
	case *syntax.Subshell:
		r.result = r.branch(func(r *runner) { r.list(x.Stmts, c) }).result
		r.failed(c)
	case *syntax.BinaryCmd:
		r.binary(x, c)
	case *syntax.IfClause:
		r.conditional(x, c)
	case *syntax.CaseClause:
		r.choice(x, c)
	case *syntax.WhileClause:
		r.list(x.Cond, context{handled: true})
		if r.flow == next {
			r.perhaps(func(r *runner) { r.body(x.Do, c) })
		}
	case *syntax.ForClause:
		r.each(x, c)
	case *syntax.FuncDecl:
		r.funcs[x.Name.Value] = x.Body
		r.result = Succeeds
	case *syntax.TestClause:
		r.result = r.testExpr(x.X)
		r.failed(c)
	case *syntax.ArithmCmd:
		r.result = r.arithm(x.X)
		r.failed(c)
	case *syntax.DeclClause:
		for _, a := range x.Args {
			r.assign(a)
		}
		r.result = Succeeds
	case *syntax.TimeClause:
		if x.Stmt != nil {
			r.stmt(x.Stmt, c)
		}
	default:
		r.result = Uncertain
	}
}

// failed ends the script where a command fails for sure under set -e.
func (r *runner) failed(c context) {
	if r.result == Fails && r.errexit && !c.handled {
		r.flow = exits
		if !r.maybe {
			r.t.FailsAt = r.line
		}
	}
}

func (r *runner) binary(x *syntax.BinaryCmd, c context) {
	if x.Op != syntax.AndStmt && x.Op != syntax.OrStmt { // pipes: each side is a shell of its own
		r.branch(func(r *runner) { r.stmt(x.X, context{handled: true}) })
		r.result = r.branch(func(r *runner) { r.stmt(x.Y, c) }).result
		r.failed(c)
		return
	}
	r.stmt(x.X, context{handled: true})
	if r.flow != next {
		return
	}
	runs, skipped := r.result, Fails // and what the list ends with without the second command
	if x.Op == syntax.OrStmt {
		runs, skipped = runs.not(), Succeeds
	}
	second := func(r *runner) { r.stmt(x.Y, c) }
	switch runs {
	case Succeeds:
		second(r)
	case Uncertain:
		r.either(second, func(r *runner) { r.result = skipped })
	case Fails: // it ends with the status of the first one, which set -e does not mind
	}
}

func (r *runner) conditional(x *syntax.IfClause, c context) {
	r.list(x.Cond, context{handled: true})
	if r.flow != next {
		return
	}
	then := func(r *runner) { r.list(x.Then, c) }
	otherwise := func(r *runner) {
		switch {
		case x.Else == nil:
			r.result = Succeeds
		case len(x.Else.Cond) > 0: // elif
			r.conditional(x.Else, c)
		default:
			r.list(x.Else.Then, c)
		}
	}
	switch r.result {
	case Succeeds:
		then(r)
	case Fails:
		otherwise(r)
	case Uncertain:
		r.either(then, otherwise)
	}
}

func (r *runner) choice(x *syntax.CaseClause, c context) {
	value := r.expand(x.Word)
	var ways []func(*runner)
	for _, item := range x.Items {
		fits := Fails
		for _, p := range item.Patterns {
			fits = max(fits, matches(r.expand(p).text, value.text))
		}
		if fits == Fails {
			continue
		}
		ways = append(ways, func(r *runner) {
			r.result = Succeeds
			r.list(item.Stmts, c)
		})
		if fits == Succeeds {
			r.either(ways...)
			return
		}
	}
	r.either(append(ways, func(r *runner) { r.result = Succeeds })...)
}

func (r *runner) each(x *syntax.ForClause, c context) {
	in, ok := x.Loop.(*syntax.WordIter)
	if !ok {
		r.perhaps(func(r *runner) { r.body(x.Do, c) })
		return
	}
	words := r.args
	if in.InPos.IsValid() {
		words = nil
		for _, t := range in.Items {
			words = append(words, r.fields(t)...)
		}
	} else if words == nil {
		words = []word{{Unknown, "$@"}}
	}
	r.result = Succeeds
	for _, w := range words {
		again := true
		round := func(r *runner) {
			r.vars[in.Name.Value] = w
			again = r.body(x.Do, c)
		}
		if globbed := strings.NewReplacer("*", Unknown, "?", Unknown, "[", Unknown).Replace(w.text); strings.Contains(globbed, Unknown) {
			w.text = globbed
			r.perhaps(round)
			again = true
		} else {
			round(r)
		}
		if r.flow != next {
			return
		}
		r.result = Uncertain
		if !again {
			return
		}
	}
}

// body goes once through a loop, and says whether that can be repeated.
func (r *runner) body(stmts []*syntax.Stmt, c context) bool {
	r.list(stmts, context{handled: c.handled})
	again := r.flow != breaks
	if r.flow == breaks || r.flow == continues {
		r.flow = next
	}
	return again
}

// simple runs a simple command.
func (r *runner) simple(x *syntax.CallExpr, c context) {
	if len(x.Args) == 0 { // else they are the command's alone
		for _, a := range x.Assigns {
			r.assign(a)
		}
	}
	var words []word
	for _, t := range x.Args {
		words = append(words, r.fields(t)...)
	}
	replaced := false // the shell, by the command
	for len(words) > 1 && slices.Contains([]string{"exec", "command", "builtin", "env", "nohup", "sudo", "eval"}, words[0].text) && !strings.HasPrefix(words[1].text, "-") {
		replaced = replaced || words[0].text == "exec"
		words = words[1:]
	}
	if len(words) == 0 {
		r.result = Succeeds
		return
	}
	r.line = x.Pos().Line()
	if body, ok := r.funcs[words[0].text]; ok {
		r.function(body, words[1:], c)
		return
	}
	s := Step{Line: r.line, Maybe: r.maybe, Handled: c.handled, Strict: r.errexit, Last: c.last}
	for _, w := range words {
		r.t.bytes += len(w.text) + len(w.shown)
		s.Words = append(s.Words, w.text)
		s.Shown = append(s.Shown, w.shown)
	}
	r.result = Uncertain
	own := r.builtin(&s, words[1:])
	if !own && r.call.Status != nil {
		r.result = r.call.Status(&s)
	}
	r.t.Steps = append(r.t.Steps, s)
	if replaced {
		r.flow, r.result = exits, Uncertain
	}
	if r.flow == next {
		r.failed(c)
	}
}

func (r *runner) function(body *syntax.Stmt, args []word, c context) {
	saved, mayReturn := r.args, r.mayReturn
	r.args, r.mayReturn = append([]word{}, args...), false
	r.stmt(body, c)
	if r.flow == returns {
		r.flow = next
	}
	if r.mayReturn && r.flow == next {
		r.result = Uncertain
	}
	r.args, r.mayReturn = saved, mayReturn
}

// builtin runs what the shell does itself, and says whether the command is that.
func (r *runner) builtin(s *Step, args []word) bool {
	switch s.Words[0] {
	case "true", ":", "echo", "printf", "umask", "export", "trap":
		r.result = Succeeds
	case "false":
		r.result = Fails
	case "exec": // with redirections only
		r.result = Succeeds
	case "exit":
		r.leave(s, exits)
		s.Exits = r.result == Fails && len(args) > 0
	case "return":
		r.leave(s, returns)
	case "break":
		r.leave(s, breaks)
	case "continue":
		r.leave(s, continues)
	case "set":
		r.set(args)
	case "shift":
		r.shift(args)
	case "unset":
		for _, a := range args {
			r.vars[a.text] = word{}
		}
		r.result = Succeeds
	case "read":
		for _, a := range args {
			r.vars[a.text] = word{Unknown, "$" + a.text}
		}
	case "test":
		r.result = r.test(args)
	case "[":
		r.result = r.test(args[:max(len(args)-1, 0)]) // without the last ]
	case "command", "which", "type", "hash": // -v
		if len(args) == 0 || r.exists(args[len(args)-1].text) == Uncertain {
			return false
		}
		r.result = r.exists(args[len(args)-1].text)
	default:
		return false
	}
	return true
}

// leave does exit, return and the like.
func (r *runner) leave(s *Step, f flow) {
	r.flow = f
	switch {
	case f < returns:
		r.result = Succeeds
	case len(s.Words) == 1:
		r.result = Uncertain
	default:
		if code, err := strconv.Atoi(s.Words[1]); err == nil {
			r.result = of(code == 0)
		}
	}
}

func (r *runner) set(args []word) {
	r.result = Succeeds
	for i, a := range args {
		switch o := a.text; {
		case o == "--":
			r.args = append([]word{}, args[i+1:]...)
			return
		case o == "-o" || o == "+o":
			if i+1 < len(args) && args[i+1].text == "errexit" {
				r.errexit = o == "-o"
			}
		case strings.HasPrefix(o, "-") && strings.Contains(o, "e"):
			r.errexit = true
		case strings.HasPrefix(o, "+") && strings.Contains(o, "e"):
			r.errexit = false
		}
	}
}

func (r *runner) shift(args []word) {
	k, err := 1, error(nil)
	if len(args) > 0 {
		k, err = strconv.Atoi(args[0].text)
	}
	switch {
	case err != nil || r.args == nil:
		r.args = nil
	case k < 0 || k > len(r.args):
		r.result = Fails
		return
	default:
		r.args = r.args[k:]
	}
	r.result = Succeeds
}

func (r *runner) assign(a *syntax.Assign) {
	switch {
	case a.Name == nil || a.Naked:
	case a.Append || a.Array != nil || a.Index != nil:
		r.vars[a.Name.Value] = word{Unknown, "$" + a.Name.Value}
	default:
		r.vars[a.Name.Value] = r.expand(a.Value)
	}
}
