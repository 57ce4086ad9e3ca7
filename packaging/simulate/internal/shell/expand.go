package shell

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// fields gives what a word of a command becomes: one word or, where a variable stands
// without quotation marks, none or several. Names of files are not looked for.
func (r *runner) fields(t *syntax.Word) []word {
	if isArgs(t) {
		var words []word
		for _, a := range r.args {
			words = append(words, known(a))
		}
		return words
	}
	w, split := r.expand(t), false
	for _, p := range t.Parts {
		_, lit := p.(*syntax.Lit)
		_, single := p.(*syntax.SglQuoted)
		_, double := p.(*syntax.DblQuoted)
		split = split || !lit && !single && !double
	}
	if !split || !w.known {
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
		return known("")
	}
	return r.parts(t.Parts, false)
}

func (r *runner) parts(parts []syntax.WordPart, quoted bool) word {
	w := known("")
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
			x = word{source(p), false}
		}
		w.text += x.text
		w.known = w.known && x.known
		if len(w.text) > maxWord {
			return word{w.text[:maxWord], false}
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
	asWritten := word{source(x), false}
	if x.Param == nil || x.Length || x.Width || x.Excl || x.Index != nil || x.Slice != nil || x.Repl != nil || x.Names != 0 {
		return asWritten
	}
	name := x.Param.Value
	v, set := r.value(name)
	switch {
	case set && !v.known && x.Exp == nil && v.text != "":
		return v
	case set && !v.known:
		return asWritten
	case x.Exp == nil && set:
		return v
	}
	environment := !set && !isDigit(name[0]) // which may have it
	if x.Exp == nil {
		if environment {
			return asWritten
		}
		return known("")
	}
	switch x.Exp.Op {
	case syntax.DefaultUnset, syntax.AssignUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnsetOrNull:
		null := x.Exp.Op == syntax.DefaultUnsetOrNull || x.Exp.Op == syntax.AssignUnsetOrNull
		switch {
		case set && (v.text != "" || !null):
			return v
		case environment:
			return asWritten
		}
		return r.expand(x.Exp.Word)
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		switch {
		case environment:
			return asWritten
		case !set || v.text == "" && x.Exp.Op == syntax.AlternateUnsetOrNull:
			return known("")
		}
		return r.expand(x.Exp.Word)
	case syntax.RemSmallPrefix, syntax.RemLargePrefix, syntax.RemSmallSuffix, syntax.RemLargeSuffix:
		if p := r.expand(x.Exp.Word); set && p.known {
			return trim(v, x.Exp.Op, p.text, asWritten)
		}
	}
	return asWritten
}

// trim does # ## % and %% with patterns that are a text with one star at an end.
func trim(v word, op syntax.ParExpOperator, pattern string, asWritten word) word {
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
func (r *runner) value(name string) (word, bool) {
	switch name {
	case "#":
		return known(strconv.Itoa(len(r.args))), true
	case "@", "*":
		return known(strings.Join(r.args, " ")), true
	case "?", "$", "!", "-":
		return word{}, true
	}
	if isDigit(name[0]) && name != "0" {
		if i, err := strconv.Atoi(name); err == nil && i <= len(r.args) {
			return known(r.args[i-1]), true
		}
		return known(""), false
	}
	v, ok := r.vars[name]
	return v, ok
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// testWords gives an expression of [[ ]] as the arguments that test(1) would have.
func (r *runner) testWords(x syntax.TestExpr, depth int) []word {
	if depth > maxDepth {
		r.tooMuch = true
		return nil
	}
	switch x := x.(type) {
	case *syntax.Word:
		return []word{r.expand(x)}
	case *syntax.UnaryTest:
		return append([]word{known(x.Op.String())}, r.testWords(x.X, depth+1)...)
	case *syntax.BinaryTest:
		left := append(r.testWords(x.X, depth+1), known(x.Op.String()))
		return append(left, r.testWords(x.Y, depth+1)...)
	case *syntax.ParenTest:
		return append(append([]word{known("(")}, r.testWords(x.X, depth+1)...), known(")"))
	}
	return nil
}
