package verify

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// What of a script is looked at, so that a hostile one can cost little: the parser and
// the trace call themselves for what is inside of something.
const (
	maxScript  = 64 << 10  // bytes
	maxOpeners = 4000      // brackets and keywords that something is inside of
	maxSteps   = 2000      // commands of a trace
	maxWords   = 128 << 10 // bytes of them
	maxWord    = 4 << 10   // bytes of a value
	maxDepth   = 40        // functions within functions
)

// parseShell parses a script of sh or bash.
func parseShell(body string) (*syntax.File, error) {
	if len(body) > maxScript {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are looked at", len(body), maxScript)
	}
	openers := strings.Count(body, "(") + strings.Count(body, "{") + strings.Count(body, "`") + strings.Count(body, "[[")
	for w := range strings.FieldsFuncSeq(body, func(r rune) bool { return r < 'a' || r > 'z' }) {
		switch w {
		case "if", "elif", "for", "while", "until", "case", "select", "do", "then", "else", "time":
			openers++
		}
	}
	// Signs that stand before something, one after the other.
	for _, s := range []string{"--", "++", "~~", "!!", "! !", "??", "- -", "+ +", "~ ~"} {
		openers += strings.Count(body, s)
	}
	if openers > maxOpeners {
		return nil, errors.New("it has too many brackets")
	}
	body = strings.ToValidUTF8(body, "?") // comments have other encodings, too
	var first error
	for _, v := range []syntax.LangVariant{syntax.LangBash, syntax.LangPOSIX} {
		f, err := syntax.NewParser(syntax.Variant(v), syntax.KeepComments(true)).Parse(strings.NewReader(body), "")
		if err == nil {
			return f, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// unknown stands in a value for what is known when the script runs only.
const unknown = "\x00"

// A status is what a command ends with.
type status int8

const (
	uncertain status = iota
	succeeds
	fails
)

func (s status) not() status {
	switch s {
	case succeeds:
		return fails
	case fails:
		return succeeds
	case uncertain:
	}
	return uncertain
}

// A scene is what a script runs in.
type scene struct {
	args    []string // $1 and so on; unknown stands for any value
	systemd status   // whether systemd runs on the host, and is installed
}

// A step is a command that a script runs in a scene, or may run.
type step struct {
	words   []string
	line    uint
	handled bool // its failure is no failure of the script: it is a condition, or something is done about it
	strict  bool // set -e is in force
	last    bool // its status may become the script's
	exits   bool // it is an exit with a status that is no success
}

// name is the command without its folder.
func (s *step) name() string {
	if len(s.words) == 0 {
		return ""
	}
	return path.Base(s.words[0])
}

// options gives the arguments with a dash before --, and operands the others.
func (s *step) options() []string {
	var out []string
	for _, w := range s.words[1:] {
		if w == "--" {
			break
		}
		if strings.HasPrefix(w, "-") && len(w) > 1 {
			out = append(out, w)
		}
	}
	return out
}

func (s *step) operands() []string {
	return slices.DeleteFunc(slices.Clone(s.words[1:]), func(w string) bool { return strings.HasPrefix(w, "-") })
}

// has reports whether one of the short options is there, also among several in one
// word, or a long one.
func (s *step) has(short string, long ...string) bool {
	return slices.ContainsFunc(s.options(), func(o string) bool {
		return slices.Contains(long, o) || !strings.HasPrefix(o, "--") && short != "" && strings.ContainsAny(o[1:], short)
	})
}

// A trace is what a script does in a scene, as far as that can be told without the
// host: conditions on the script's arguments are decided, of the others both ways are
// gone.
type trace struct {
	scene  scene
	steps  []step
	result status // of the script
	mayEnd bool   // it may have ended before, with another status
	// failsAt is the line of the command that surely ends the script with a failure.
	failsAt uint
}

// run traces a script. errexit says that it begins with set -e.
func run(f *syntax.File, errexit bool, sc scene) *trace {
	r := &runner{t: &trace{scene: sc}, args: sc.args, vars: map[string]string{}, funcs: map[string]*syntax.Stmt{}, errexit: errexit, result: succeeds}
	r.list(f.Stmts, context{last: true})
	r.t.result = r.result
	if r.t.mayEnd && r.t.result != succeeds {
		r.t.result = uncertain
	}
	return r.t
}

// A context says what becomes of a command's failure.
type context struct {
	handled bool
	last    bool // the command may be the last one of the script
}

type runner struct {
	t       *trace
	args    []string // nil if nothing is known of them
	vars    map[string]string
	funcs   map[string]*syntax.Stmt
	errexit bool
	ended   bool   // what follows does not run
	result  status // of the last command
	line    uint   // of it
	depth   int
	steps   int
	words   int // bytes of the commands so far
}

// branch runs f on a copy of what is known, and gives that back.
func (r *runner) branch(f func(*runner)) *runner {
	c := *r
	c.vars = maps.Clone(r.vars)
	f(&c)
	r.steps, r.words = c.steps, c.words
	return &c
}

// merge takes over what both ways have in common.
func (r *runner) merge(a, b *runner) {
	switch {
	case a.ended && b.ended:
		r.ended = true
		r.result = a.result
		if a.result != b.result {
			r.result = uncertain
		}
		return
	case a.ended:
		a, r.t.mayEnd = b, true
	case b.ended:
		b, r.t.mayEnd = a, true
	}
	for k, v := range a.vars {
		if b.vars[k] != v {
			v = unknown
		}
		r.vars[k] = v
	}
	for k := range b.vars {
		if _, ok := a.vars[k]; !ok {
			r.vars[k] = unknown
		}
	}
	r.errexit = a.errexit && b.errexit
	r.args = a.args
	if !slices.Equal(a.args, b.args) {
		r.args = nil
	}
	r.result = a.result
	if a.result != b.result {
		r.result = uncertain
	}
}

func (r *runner) list(stmts []*syntax.Stmt, c context) {
	for i, s := range stmts {
		if r.ended {
			return
		}
		inner := c
		inner.last = c.last && i == len(stmts)-1
		r.stmt(s, inner)
	}
}

func (r *runner) stmt(s *syntax.Stmt, c context) {
	if r.steps++; r.steps > maxSteps || r.words > maxWords {
		r.ended, r.result = true, uncertain
		return
	}
	if s.Negated || s.Background {
		c.handled = true
	}
	r.line = s.Pos().Line()
	if s.Cmd == nil {
		r.result = succeeds
		return
	}
	r.command(s.Cmd, c)
	if r.ended {
		return
	}
	if s.Negated {
		r.result = r.result.not()
	}
	if s.Background {
		r.result = succeeds
	}
}

func (r *runner) command(cmd syntax.Command, c context) {
	switch x := cmd.(type) {
	case *syntax.CallExpr:
		r.call(x, c)
	case *syntax.Block:
		r.list(x.Stmts, c)
	case *syntax.Subshell:
		sub := r.branch(func(r *runner) { r.list(x.Stmts, c) })
		r.result = sub.result
		r.failed(c)
	case *syntax.BinaryCmd:
		r.binary(x, c)
	case *syntax.IfClause:
		r.ifClause(x, c)
	case *syntax.CaseClause:
		r.caseClause(x, c)
	case *syntax.WhileClause:
		r.list(x.Cond, context{handled: true})
		if r.ended {
			return
		}
		r.maybe(func(r *runner) { r.list(x.Do, context{handled: c.handled}) })
		r.result = uncertain
	case *syntax.ForClause:
		r.forClause(x, c)
	case *syntax.FuncDecl:
		r.funcs[x.Name.Value] = x.Body
		r.result = succeeds
	case *syntax.TestClause:
		r.result = r.testExpr(x.X)
		r.failed(c)
	case *syntax.ArithmCmd:
		r.result = uncertain
		if b, ok := x.X.(*syntax.BinaryArithm); ok {
			r.result = r.arithm(b)
		}
		r.failed(c)
	case *syntax.DeclClause:
		for _, a := range x.Args {
			r.assign(a)
		}
		r.result = succeeds
	case *syntax.TimeClause:
		if x.Stmt != nil {
			r.stmt(x.Stmt, c)
		}
	default:
		r.result = uncertain
	}
}

// maybe runs what may run or not.
func (r *runner) maybe(f func(*runner)) {
	r.either(f, func(r *runner) { r.result = uncertain })
}

// failed ends the script where a command fails for sure under set -e.
func (r *runner) failed(c context) {
	if r.result == fails && r.errexit && !c.handled {
		r.ended = true
		r.t.failsAt = r.line
	}
}

func (r *runner) binary(x *syntax.BinaryCmd, c context) {
	switch x.Op {
	case syntax.AndStmt, syntax.OrStmt:
		r.stmt(x.X, context{handled: true})
		if r.ended {
			return
		}
		runs, skipped := r.result, fails // and what the list ends with without the second command
		if x.Op == syntax.OrStmt {
			runs, skipped = runs.not(), succeeds
		}
		switch runs {
		case succeeds:
			r.stmt(x.Y, c)
		case fails: // it ends with the status of the first one, which set -e does not mind
		case uncertain:
			r.either(func(r *runner) { r.stmt(x.Y, c) }, func(r *runner) { r.result = skipped })
		}
	default: // pipes: each side is a shell of its own
		r.branch(func(r *runner) { r.stmt(x.X, context{handled: true}) })
		sub := r.branch(func(r *runner) { r.stmt(x.Y, c) })
		r.result = sub.result
		r.failed(c)
	}
}

// either goes both ways.
func (r *runner) either(f, g func(*runner)) {
	a := r.branch(f)
	b := r.branch(g)
	r.merge(a, b)
}

func (r *runner) ifClause(x *syntax.IfClause, c context) {
	if len(x.Cond) > 0 {
		r.list(x.Cond, context{handled: true})
	}
	if r.ended {
		return
	}
	otherwise := func(r *runner) {
		switch {
		case x.Else == nil:
			r.result = succeeds
		case len(x.Else.Cond) > 0: // elif
			r.ifClause(x.Else, c)
		default:
			r.list(x.Else.Then, c)
		}
	}
	switch r.result {
	case succeeds:
		r.list(x.Then, c)
	case fails:
		otherwise(r)
	case uncertain:
		r.either(func(r *runner) { r.list(x.Then, c) }, otherwise)
	}
}

func (r *runner) caseClause(x *syntax.CaseClause, c context) {
	value := r.word(x.Word)
	var ways []*runner
	for _, item := range x.Items {
		m := fails
		for _, p := range item.Patterns {
			switch matches(r.word(p), value) {
			case succeeds:
				m = succeeds
			case uncertain:
				if m == fails {
					m = uncertain
				}
			case fails:
			}
		}
		if m == fails {
			continue
		}
		ways = append(ways, r.branch(func(r *runner) {
			r.result = succeeds
			r.list(item.Stmts, c)
		}))
		if m == succeeds {
			r.mergeAll(ways)
			return
		}
	}
	ways = append(ways, r.branch(func(r *runner) { r.result = succeeds }))
	r.mergeAll(ways)
}

func (r *runner) mergeAll(ways []*runner) {
	all := ways[0]
	for _, w := range ways[1:] {
		next := r.branch(func(*runner) {})
		next.vars = map[string]string{}
		next.merge(all, w)
		all = next
	}
	*r = runner{
		t: r.t, funcs: r.funcs, depth: r.depth, steps: r.steps, words: r.words, line: r.line,
		args: all.args, vars: all.vars, errexit: all.errexit, ended: all.ended, result: all.result,
	}
}

func (r *runner) forClause(x *syntax.ForClause, c context) {
	iter, ok := x.Loop.(*syntax.WordIter)
	values := []string{unknown}
	if ok && len(iter.Items) > 0 && len(iter.Items) <= 8 {
		values = nil
		for _, w := range iter.Items {
			values = append(values, r.word(w))
		}
	}
	for _, v := range values {
		if r.ended {
			return
		}
		r.maybe(func(r *runner) {
			if ok {
				r.vars[iter.Name.Value] = v
			}
			r.list(x.Do, context{handled: c.handled})
		})
	}
}

// call runs a simple command.
func (r *runner) call(x *syntax.CallExpr, c context) {
	for _, a := range x.Assigns {
		if len(x.Args) == 0 {
			r.assign(a)
		}
	}
	if len(x.Args) == 0 {
		r.result = succeeds
		return
	}
	var words []string
	for _, w := range x.Args {
		words = append(words, r.word(w))
		r.words += len(words[len(words)-1])
	}
	for len(words) > 1 && slices.Contains([]string{"command", "builtin", "env", "nohup", "sudo", "eval"}, words[0]) && !strings.HasPrefix(words[1], "-") {
		words = words[1:]
	}
	r.line = x.Pos().Line()
	if body, ok := r.funcs[words[0]]; ok && r.depth < maxDepth {
		r.function(body, words[1:], c)
		return
	}
	s := step{words: words, line: r.line, handled: c.handled, strict: r.errexit, last: c.last}
	switch words[0] {
	case "exit", "return":
		r.exit(&s)
		return
	case "exec":
		if len(words) > 1 {
			s.words = words[1:]
			r.t.steps = append(r.t.steps, s)
			r.ended, r.result = true, uncertain
			return
		}
		r.result = succeeds
	case "set":
		r.set(words[1:])
	case "shift":
		r.args = nil
		r.result = succeeds
	case "test":
		r.result = r.test(words[1:])
	case "[":
		r.result = r.test(words[1:max(len(words)-1, 1)]) // without the last ]
	case "true", ":", "echo", "printf", "umask", "unset", "export":
		r.result = succeeds
	case "false":
		r.result = fails
	default:
		r.result = r.external(&s)
	}
	r.t.steps = append(r.t.steps, s)
	r.failed(c)
}

// external is the status of a program, as far as it can be told.
func (r *runner) external(s *step) status {
	asks := slices.Contains([]string{"command", "which", "type", "hash"}, s.name())
	for _, w := range s.words {
		if s.handled && strings.Contains(w, "systemd") || asks && path.Base(w) == "systemctl" {
			if r.t.scene.systemd != uncertain {
				return r.t.scene.systemd
			}
		}
	}
	if s.handled && s.name() == "systemctl" && r.t.scene.systemd == fails {
		return fails
	}
	return uncertain
}

func (r *runner) function(body *syntax.Stmt, args []string, c context) {
	saved := r.args
	r.args = args
	r.depth++
	r.stmt(body, context{handled: c.handled, last: c.last})
	r.depth--
	r.args = saved
}

func (r *runner) exit(s *step) {
	// A return ends its function only; what follows it is looked at as if it ran.
	if s.words[0] == "return" && r.depth > 0 {
		r.result = uncertain
		return
	}
	r.ended = true
	if len(s.words) == 1 {
		return
	}
	code, err := strconv.Atoi(s.words[1])
	switch {
	case err != nil:
		r.result = uncertain
	case code == 0:
		r.result = succeeds
	default:
		r.result = fails
		s.exits = true
		r.t.steps = append(r.t.steps, *s)
	}
}

func (r *runner) set(args []string) {
	r.result = succeeds
	for i, a := range args {
		switch {
		case a == "--":
			r.args = args[i+1:]
			return
		case a == "-o" || a == "+o":
			if i+1 < len(args) && args[i+1] == "errexit" {
				r.errexit = a == "-o"
			}
		case strings.HasPrefix(a, "-") && strings.Contains(a, "e"):
			r.errexit = true
		case strings.HasPrefix(a, "+") && strings.Contains(a, "e"):
			r.errexit = false
		}
	}
}

func (r *runner) assign(a *syntax.Assign) {
	if a.Name == nil {
		return
	}
	v := unknown
	switch {
	case a.Append, a.Array != nil, a.Index != nil, a.Naked:
	case a.Value == nil:
		v = ""
	default:
		v = r.word(a.Value)
	}
	r.vars[a.Name.Value] = v
}

// word gives the value of a word, with unknown for what cannot be told.
func (r *runner) word(w *syntax.Word) string {
	var b strings.Builder
	for _, p := range w.Parts {
		if r.part(&b, p); b.Len() > maxWord {
			return unknown
		}
	}
	return b.String()
}

func (r *runner) part(b *strings.Builder, p syntax.WordPart) {
	switch x := p.(type) {
	case *syntax.Lit:
		b.WriteString(strings.ReplaceAll(x.Value, `\`, ""))
	case *syntax.SglQuoted:
		b.WriteString(x.Value)
	case *syntax.DblQuoted:
		for _, q := range x.Parts {
			if r.part(b, q); b.Len() > maxWord {
				return
			}
		}
	case *syntax.ParamExp:
		b.WriteString(r.param(x))
	default:
		b.WriteString(unknown)
	}
}

func (r *runner) param(x *syntax.ParamExp) string {
	if x.Param == nil || x.Length || x.Width || x.Excl || x.Index != nil || x.Slice != nil || x.Repl != nil {
		return unknown
	}
	name := x.Param.Value
	value, known := r.value(name)
	if x.Exp == nil {
		if !known {
			return unknown
		}
		return value
	}
	switch x.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		if known && (value != "" || x.Exp.Op == syntax.DefaultUnset || x.Exp.Op == syntax.AssignUnset) {
			return value
		}
		if _, assigned := r.vars[name]; assigned && !known || x.Exp.Word == nil {
			return ""
		}
		return r.word(x.Exp.Word)
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		if !known || value == "" || x.Exp.Word == nil {
			return "" // as in ${root:+--root "$root"}
		}
		return r.word(x.Exp.Word)
	}
	return unknown
}

// value is that of a variable. DPKG_ROOT is as good as always empty.
func (r *runner) value(name string) (string, bool) {
	if n, err := strconv.Atoi(name); err == nil && n > 0 {
		switch {
		case r.args == nil:
			return "", false
		case n > len(r.args):
			return "", true
		}
		return r.args[n-1], true
	}
	if v, ok := r.vars[name]; ok {
		return v, true
	}
	return "", name == "DPKG_ROOT"
}

// matches says whether a value fits a pattern of case.
func matches(pattern, value string) status {
	if pattern == "*" {
		return succeeds
	}
	if strings.Contains(pattern+value, unknown) {
		return uncertain
	}
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x02"), strings.ReplaceAll(value, "/", "\x02"))
	switch {
	case err != nil:
		return uncertain
	case ok:
		return succeeds
	}
	return fails
}

// test is the status of test(1).
func (r *runner) test(args []string) status {
	for _, op := range []string{"-o", "-a"} {
		if i := slices.Index(args, op); i > 0 && i < len(args)-1 && len(args) > 3 {
			a, b := r.test(args[:i]), r.test(args[i+1:])
			if op == "-o" {
				return a.not().and(b.not()).not()
			}
			return a.and(b)
		}
	}
	switch {
	case len(args) == 0:
		return fails
	case len(args) > 1 && args[0] == "!":
		return r.test(args[1:]).not()
	case len(args) == 1:
		return r.unary("-n", args[0])
	case len(args) == 2:
		return r.unary(args[0], args[1])
	case len(args) == 3:
		return compare(args[1], args[0], args[2])
	}
	return uncertain
}

func (s status) and(o status) status {
	switch {
	case s == fails || o == fails:
		return fails
	case s == succeeds && o == succeeds:
		return succeeds
	}
	return uncertain
}

func (r *runner) unary(op, arg string) status {
	switch op {
	case "-z", "-n":
		empty := uncertain
		switch {
		case arg == "":
			empty = succeeds
		case strings.Trim(arg, unknown) != "":
			empty = fails
		}
		if op == "-n" {
			return empty.not()
		}
		return empty
	case "-d", "-e", "-f", "-x", "-r", "-s", "-S", "-L", "-h":
		if strings.Contains(arg, "systemd") || path.Base(arg) == "systemctl" {
			return r.t.scene.systemd
		}
	}
	return uncertain
}

// compare is a comparison of test(1).
func compare(op, a, b string) status {
	is := func(ok bool) status {
		if ok {
			return succeeds
		}
		return fails
	}
	if strings.Contains(a+b, unknown) {
		return uncertain
	}
	switch op {
	case "=", "==":
		return is(a == b)
	case "!=":
		return is(a != b)
	}
	x, errX := strconv.Atoi(strings.TrimSpace(a))
	y, errY := strconv.Atoi(strings.TrimSpace(b))
	numeric := slices.Contains([]string{"-eq", "-ne", "-lt", "-le", "-gt", "-ge"}, op)
	if !numeric {
		return uncertain
	}
	if errX != nil || errY != nil {
		return fails // test says that it is no number, and ends with 2
	}
	switch op {
	case "-eq":
		return is(x == y)
	case "-ne":
		return is(x != y)
	case "-lt":
		return is(x < y)
	case "-le":
		return is(x <= y)
	case "-gt":
		return is(x > y)
	}
	return is(x >= y)
}

// testExpr is the status of [[ … ]].
func (r *runner) testExpr(x syntax.TestExpr) status {
	switch x := x.(type) {
	case *syntax.Word:
		return r.unary("-n", r.word(x))
	case *syntax.ParenTest:
		return r.testExpr(x.X)
	case *syntax.UnaryTest:
		if x.Op == syntax.TsNot {
			return r.testExpr(x.X).not()
		}
		if w, ok := x.X.(*syntax.Word); ok {
			return r.unary(x.Op.String(), r.word(w))
		}
	case *syntax.BinaryTest:
		switch x.Op {
		case syntax.AndTest:
			return r.testExpr(x.X).and(r.testExpr(x.Y))
		case syntax.OrTest:
			return r.testExpr(x.X).not().and(r.testExpr(x.Y).not()).not()
		}
		a, okA := x.X.(*syntax.Word)
		b, okB := x.Y.(*syntax.Word)
		if !okA || !okB {
			return uncertain
		}
		switch x.Op {
		case syntax.TsMatchShort, syntax.TsMatch:
			return matches(r.word(b), r.word(a))
		case syntax.TsNoMatch:
			return matches(r.word(b), r.word(a)).not()
		}
		return compare(x.Op.String(), r.word(a), r.word(b))
	}
	return uncertain
}

// arithm is the status of (( … )).
func (r *runner) arithm(x *syntax.BinaryArithm) status {
	a, okA := x.X.(*syntax.Word)
	b, okB := x.Y.(*syntax.Word)
	if !okA || !okB {
		return uncertain
	}
	op, ok := map[syntax.BinAritOperator]string{
		syntax.Eql: "-eq", syntax.Neq: "-ne", syntax.Lss: "-lt", syntax.Leq: "-le", syntax.Gtr: "-gt", syntax.Geq: "-ge",
	}[x.Op]
	if !ok {
		return uncertain
	}
	return compare(op, r.word(a), r.word(b))
}
