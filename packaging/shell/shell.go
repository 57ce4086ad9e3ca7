// Package shell says what a shell script does when it is called with given arguments,
// without running anything.
//
// Lists, if, case, loops, functions, tests and variables are followed. What depends on
// the host, such as whether a file is there, is not known: then both ways are followed,
// and what is on them may run. Arithmetic, what commands print, and here-documents are
// not looked into.
package shell

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/vpkg/vpkg/packaging"
)

// What of a script is looked at, so that a hostile one can cost little: the parser and
// the runner call themselves for what is inside of something.
const (
	maxScript  = 64 << 10  // bytes
	maxOpeners = 4000      // signs and words in which something can be nested
	maxSteps   = 3000      // commands that are followed
	maxWords   = 128 << 10 // bytes of them
	maxWord    = 16 << 10  // bytes of a value
	maxDepth   = 60        // levels of nesting; a function that is called is two
)

// Parse parses a script of sh or bash.
func Parse(body string) (*syntax.File, error) {
	if len(body) > maxScript {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are looked at", len(body), maxScript)
	}
	openers := 0
	for i := range len(body) {
		sign := strings.IndexByte("[!-+~", body[i]) >= 0 && (i == 0 || strings.IndexByte("({[`!-+~?$ \t\n", body[i-1]) >= 0)
		if sign || strings.IndexByte("({`?", body[i]) >= 0 {
			openers++
		}
	}
	for w := range strings.FieldsFuncSeq(body, func(r rune) bool { return r < 'a' || r > 'z' }) {
		switch w {
		case "if", "elif", "else", "for", "while", "until", "case", "select", "time", "do", "then":
			openers++
		}
	}
	if openers > maxOpeners {
		return nil, errors.New("it has too many brackets")
	}
	body = strings.ToValidUTF8(body, "?") // comments have other encodings, too
	var first error
	for _, v := range []syntax.LangVariant{syntax.LangBash, syntax.LangPOSIX} {
		f, err := syntax.NewParser(syntax.Variant(v)).Parse(strings.NewReader(body), "")
		if err == nil {
			return f, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// Argv gives what runs a scriptlet: its interpreter, or that of its first line.
func Argv(s packaging.Script) []string {
	argv := s.Interpreter
	if line, _, _ := strings.Cut(s.Body, "\n"); strings.HasPrefix(line, "#!") && len(argv) == 0 {
		argv = strings.Fields(line[2:])
	}
	if len(argv) == 0 {
		return []string{"/bin/sh"}
	}
	return argv
}

// Dialect gives the dialect that an interpreter runs, "sh" or "bash", and whether its
// arguments make it stop at a failure; an empty dialect if it is no shell.
func Dialect(argv []string) (dialect string, errexit bool) {
	switch path.Base(argv[0]) {
	case "sh", "dash", "ash", "busybox":
		dialect = "sh"
	case "bash", "ksh":
		dialect = "bash"
	default:
		return "", false
	}
	for _, a := range argv[1:] {
		errexit = errexit || strings.HasPrefix(a, "-") && strings.Contains(a, "e")
	}
	return dialect, errexit
}

// A Status is what is known of what a command ends with.
type Status int8

// Statuses, in an order in which the larger of two is that of either.
const (
	Fails Status = iota - 1
	Uncertain
	Succeeds
)

func of(b bool) Status {
	if b {
		return Succeeds
	}
	return Fails
}

func (s Status) not() Status { return -s }

// Unknown stands in a value for what is known only when the script runs.
const Unknown = "\x00"

// A Call is how a script is called, and what is known of the host.
type Call struct {
	Name    string            // $0; empty if it is not known
	Args    []string          // $1 and so on
	Env     map[string]string // variables of the environment; others may have any value, where the script has no default for them
	Errexit bool              // it begins with set -e

	// Exists says whether there is a file, folder or program, and Status what a command
	// that the shell does not run itself ends with. Nil is Uncertain always.
	Exists func(name string) Status
	Status func(*Step) Status
}

// A Step is a command that a script runs, or may run.
type Step struct {
	Words   []string // the command and its arguments, with Unknown
	Shown   []string // the same; what is not known of one stands as it was written
	Line    uint     // in the script, from 1
	Maybe   bool     // it depends on the host whether it runs
	Handled bool     // its failure is no failure of the script: it is a condition, or something is done about it
	Strict  bool     // set -e is in force
	Last    bool     // its status may become the script's
	Exits   bool     // it is an exit with a status that is no success
}

// Name is the command without its folder.
func (s *Step) Name() string { return path.Base(s.Words[0]) }

// Operands gives the arguments without a dash.
func (s *Step) Operands() []string {
	return slices.DeleteFunc(slices.Clone(s.Words[1:]), func(w string) bool { return strings.HasPrefix(w, "-") })
}

// Has reports whether one of the short options is there, also among several in one
// word, or a long one.
func (s *Step) Has(short string, long ...string) bool {
	for _, w := range s.Words[1:] {
		if w == "--" {
			return false
		}
		if slices.Contains(long, w) || len(w) > 1 && w[0] == '-' && w[1] != '-' && strings.ContainsAny(w[1:], short) {
			return true
		}
	}
	return false
}

// A Trace is what a script does, as far as that can be told without the host.
type Trace struct {
	Steps   []Step
	Result  Status // of the script
	FailsAt uint   // the line of the command that surely ends the script with a failure; 0 if there is none
	Whole   bool   // there was no more than is followed

	mayEnd       bool // the script may have ended before, with another status
	steps, bytes int  // that were followed
}

// Run follows a script.
func (c Call) Run(f *syntax.File) *Trace {
	r := &runner{call: c, t: &Trace{Whole: true}, args: []word{}, vars: map[string]word{}, funcs: map[string]*syntax.Stmt{}, errexit: c.Errexit, result: Succeeds}
	for _, a := range c.Args {
		r.args = append(r.args, known(a))
	}
	for n, value := range c.Env {
		r.vars[n] = known(value)
	}
	if c.Name != "" {
		r.vars["0"] = known(c.Name)
	}
	r.list(f.Stmts, context{last: true})
	r.t.Result = r.result
	if r.t.mayEnd && r.result != Succeeds {
		r.t.Result = Uncertain
	}
	return r.t
}
