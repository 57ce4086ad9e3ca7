package shell

import (
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A word is what one becomes when the shell has expanded it. A variable that may be in
// the environment counts as unset where the script says what is then.
type word struct {
	text  string // with Unknown
	shown string // what is not known stands as it was written
}

func known(s string) word { return word{s, s} }

// fields gives what a word of a command becomes: one word or, where a variable stands
// without quotation marks, none or several. Names of files are not looked for.
func (r *runner) fields(t *syntax.Word) []word {
	if isArgs(t) && r.args != nil {
		return r.args
	}
	w := r.expand(t)
	quoted := !slices.ContainsFunc(t.Parts, func(p syntax.WordPart) bool {
		switch p.(type) {
		case *syntax.Lit, *syntax.SglQuoted, *syntax.DblQuoted:
			return false
		}
		return true
	})
	if quoted || w.text != w.shown {
		return []word{w}
	}
	var words []word
	for f := range strings.FieldsSeq(w.text) {
		words = append(words, known(f))
	}
	return words
}

// isArgs reports whether a word is "$@", with quotation marks or without.
func isArgs(t *syntax.Word) bool {
	if len(t.Parts) != 1 {
		return false
	}
	p := t.Parts[0]
	if q, ok := p.(*syntax.DblQuoted); ok && len(q.Parts) == 1 {
		p = q.Parts[0]
	}
	x, ok := p.(*syntax.ParamExp)
	return ok && x.Param != nil && x.Param.Value == "@" && x.Exp == nil
}

// expand gives what a word becomes as a whole.
func (r *runner) expand(t *syntax.Word) word {
	if t == nil {
		return word{}
	}
	return r.parts(t.Parts, false)
}

func (r *runner) parts(parts []syntax.WordPart, quoted bool) word {
	var w word
	for _, p := range parts {
		var x word
		switch p := p.(type) {
		case *syntax.Lit:
			x = known(unescape(p.Value, quoted))
		case *syntax.SglQuoted:
			x = known(p.Value)
		case *syntax.DblQuoted:
			x = r.parts(p.Parts, true)
		case *syntax.ParamExp:
			x = r.variable(p)
		default:
			x = word{Unknown, source(p)}
		}
		w.text += x.text
		w.shown += x.shown
		if n := len(w.shown); n > maxWord || len(w.text) > maxWord {
			return word{Unknown, w.shown[:min(n, maxWord)]}
		}
	}
	return w
}

// unescape drops the backslashes of a literal: inside of quotation marks, only those
// before what they are needed for.
func unescape(s string, quoted bool) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (!quoted || strings.IndexByte("$`\"\\", s[i+1]) >= 0) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// source is a part of a word as it is written.
func source(p syntax.Node) string {
	var b strings.Builder
	if err := syntax.NewPrinter().Print(&b, p); err != nil {
		return "…"
	}
	return b.String()
}

// variable expands $name and ${name…}.
func (r *runner) variable(x *syntax.ParamExp) word {
	written := source(x)
	if x.Param == nil || x.Length || x.Width || x.Excl || x.Index != nil || x.Slice != nil || x.Repl != nil || x.Names != 0 {
		return word{Unknown, written}
	}
	name := x.Param.Value
	v, set := r.value(name)
	if x.Exp == nil {
		if set == Uncertain {
			return word{Unknown, written}
		}
		return v
	}
	op, filled := x.Exp.Op, set == Succeeds
	switch op {
	case syntax.DefaultUnsetOrNull, syntax.AssignUnsetOrNull, syntax.AlternateUnsetOrNull:
		filled = filled && v.text != ""
	}
	w := v
	switch op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		if !filled {
			w = r.expand(x.Exp.Word)
		}
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		w = word{}
		if filled {
			w = r.expand(x.Exp.Word)
		}
	default:
		pattern := r.expand(x.Exp.Word).text
		if set != Succeeds || strings.Contains(v.text+pattern, Unknown) {
			return word{Unknown, written}
		}
		return trim(v, op, pattern, word{Unknown, written})
	}
	if set == Uncertain || strings.Contains(v.text, Unknown) {
		w.shown = written
	}
	if op == syntax.AssignUnset || op == syntax.AssignUnsetOrNull {
		r.vars[name] = w
	}
	return w
}

// trim does # ## % and %% with patterns that are a text with one star at an end.
func trim(v word, op syntax.ParExpOperator, pattern string, asWritten word) word {
	switch op {
	case syntax.RemSmallPrefix, syntax.RemLargePrefix, syntax.RemSmallSuffix, syntax.RemLargeSuffix:
	default:
		return asWritten
	}
	text := strings.Trim(pattern, "*")
	if strings.ContainsAny(text, "*?[") || text == "" {
		return asWritten
	}
	prefix := op == syntax.RemSmallPrefix || op == syntax.RemLargePrefix
	var i int
	switch {
	case prefix && !strings.HasPrefix(pattern, "*"):
		return known(strings.TrimPrefix(v.text, text))
	case !prefix && !strings.HasSuffix(pattern, "*"):
		return known(strings.TrimSuffix(v.text, text))
	case op == syntax.RemSmallPrefix || op == syntax.RemLargeSuffix:
		i = strings.Index(v.text, text)
	default:
		i = strings.LastIndex(v.text, text)
	}
	switch {
	case i < 0:
		return v
	case prefix:
		return known(v.text[i+len(text):])
	}
	return known(v.text[:i])
}

// value gives a variable's or an argument's value, and whether it is set. What is not
// may be in the environment.
func (r *runner) value(name string) (word, Status) {
	number, err := strconv.Atoi(name)
	switch argument := err == nil && number > 0; {
	case slices.Contains([]string{"?", "$", "!", "-"}, name), r.args == nil && (argument || name == "#" || name == "@" || name == "*"):
		return word{Unknown, "$" + name}, Succeeds
	case argument && number <= len(r.args):
		return r.args[number-1], Succeeds
	case argument:
		return word{}, Fails
	case name == "#":
		if slices.ContainsFunc(r.args, func(a word) bool { return strings.Contains(a.text, Unknown) }) {
			return word{Unknown, "$#"}, Succeeds
		}
		return known(strconv.Itoa(len(r.args))), Succeeds
	case name == "@" || name == "*":
		var w word
		for i, a := range r.args {
			if i > 0 {
				w = word{w.text + " ", w.shown + " "}
			}
			w = word{w.text + a.text, w.shown + a.shown}
		}
		return w, Succeeds
	}
	if v, ok := r.vars[name]; ok {
		return v, Succeeds
	}
	return word{}, Uncertain
}
