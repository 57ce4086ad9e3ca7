package shell

import "strings"

// A token is a word or an operator of a script.
type token struct {
	parts []part // of a word
	op    string // of an operator; "\n" ends a line
	line  int
}

// A part is a piece of a word.
type part struct {
	kind partKind
	text string
}

type partKind int

const (
	literal  partKind = iota // outside of quotes
	quoted                   // inside, or after a backslash
	variable                 // $name or ${name…}: what is between the braces
	bound                    // the same inside double quotes
	opaque                   // what a command prints, or arithmetic, as it is written
)

// word reports whether the token is this word, without quotes.
func (t token) word(s string) bool {
	return t.op == "" && len(t.parts) == 1 && t.parts[0].kind == literal && t.parts[0].text == s
}

// quoted reports whether nothing in the word is split into several.
func (t token) quoted() bool {
	for _, p := range t.parts {
		if p.kind == variable || p.kind == opaque {
			return false
		}
	}
	return true
}

// isArgs reports whether the word stands for all arguments.
func (t token) isArgs() bool {
	return len(t.parts) == 1 && (t.parts[0].kind == variable || t.parts[0].kind == bound) && (t.parts[0].text == "@" || t.parts[0].text == "*")
}

// operators, the longest first where one begins another.
var operators = [...]string{"<<-", "&&", "||", ";;", "<<", ">>", "<&", ">&", "<>", ">|", "&", "|", ";", "(", ")", "<", ">"}

// A lexer cuts a script into tokens.
type lexer struct {
	s       string
	at      int
	line    int
	tokens  []token
	pending []heredoc // whose text begins with the next line
}

type heredoc struct {
	end  string
	tabs bool // tabs before its lines are dropped
}

// lex gives the tokens up to where the script cannot be understood.
func lex(s string) ([]token, bool) {
	l := lexer{s: s, line: 1}
	for l.at < len(l.s) {
		if len(l.tokens) > maxTokens {
			return l.tokens, false
		}
		switch c := l.s[l.at]; {
		case c == '\n':
			l.add(token{op: "\n"})
			l.at++
			l.line++
			l.heredocs()
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '\\' && strings.HasPrefix(l.s[l.at:], "\\\n"):
			l.at += 2
			l.line++
		case c == '#':
			end := strings.IndexByte(l.s[l.at:], '\n')
			if end < 0 {
				end = len(l.s) - l.at
			}
			l.at += end
		case l.operator():
		default:
			if !l.readWord() {
				return l.tokens, false
			}
		}
	}
	return l.tokens, true
}

func (l *lexer) add(t token) {
	t.line = l.line
	l.tokens = append(l.tokens, t)
}

func (l *lexer) operator() bool {
	for _, op := range operators {
		if strings.HasPrefix(l.s[l.at:], op) {
			l.at += len(op)
			l.add(token{op: op})
			return true
		}
	}
	return false
}

// heredocs leaves out the text of those that were begun in the line that has ended.
func (l *lexer) heredocs() {
	for _, h := range l.pending {
		for l.at < len(l.s) {
			line, _, _ := strings.Cut(l.s[l.at:], "\n")
			l.at = min(l.at+len(line)+1, len(l.s))
			l.line++
			if h.tabs {
				line = strings.TrimLeft(line, "\t")
			}
			if line == h.end {
				break
			}
		}
	}
	l.pending = nil
}

// readWord reads a word.
func (l *lexer) readWord() bool {
	var t token
	add := func(kind partKind, text string) {
		if n := len(t.parts); n > 0 && t.parts[n-1].kind == kind && (kind == literal || kind == quoted) {
			t.parts[n-1].text += text
			return
		}
		t.parts = append(t.parts, part{kind, text})
	}
	start := l.at
	line := l.line
	for l.at < len(l.s) {
		c := l.s[l.at]
		if strings.IndexByte(" \t\r\n;&|<>()", c) >= 0 {
			break
		}
		if l.at-start > maxWord {
			return false
		}
		switch c {
		case '\'':
			end := strings.IndexByte(l.s[l.at+1:], '\'')
			if end < 0 {
				return false
			}
			text := l.s[l.at+1 : l.at+1+end]
			add(quoted, text)
			l.line += strings.Count(text, "\n")
			l.at += end + 2
		case '"':
			if !l.doubleQuoted(add) {
				return false
			}
		case '\\':
			if l.at+1 < len(l.s) && l.s[l.at+1] == '\n' {
				l.line++
			} else {
				add(quoted, l.s[l.at+1:min(l.at+2, len(l.s))])
			}
			l.at = min(l.at+2, len(l.s))
		case '$', '`':
			if !l.expansion(add, variable) {
				return false
			}
		default:
			end := l.at + 1
			for end < len(l.s) && strings.IndexByte(" \t\r\n;&|<>()'\"\\$`", l.s[end]) < 0 {
				end++
			}
			add(literal, l.s[l.at:end])
			l.at = end
		}
	}
	if n := len(l.tokens); n > 0 && (l.tokens[n-1].op == "<<" || l.tokens[n-1].op == "<<-") {
		h := heredoc{tabs: l.tokens[n-1].op == "<<-"}
		for _, p := range t.parts {
			h.end += p.text
		}
		l.pending = append(l.pending, h)
	}
	t.line = line
	l.tokens = append(l.tokens, t)
	return true
}

func (l *lexer) doubleQuoted(add func(partKind, string)) bool {
	add(quoted, "")
	for l.at++; l.at < len(l.s); {
		switch c := l.s[l.at]; c {
		case '"':
			l.at++
			return true
		case '\\':
			if next := l.s[min(l.at+1, len(l.s)-1)]; strings.IndexByte("$`\"\\", next) >= 0 {
				add(quoted, string(next))
				l.at += 2
				continue
			}
			add(quoted, `\`)
			l.at++
		case '$', '`':
			if !l.expansion(add, bound) {
				return false
			}
		default:
			end := l.at + 1
			for end < len(l.s) && strings.IndexByte("\"\\$`", l.s[end]) < 0 {
				end++
			}
			add(quoted, l.s[l.at:end])
			l.line += strings.Count(l.s[l.at:end], "\n")
			l.at = end
		}
	}
	return false
}

// expansion reads what begins with a dollar or a back quote.
func (l *lexer) expansion(add func(partKind, string), kind partKind) bool {
	rest := l.s[l.at:]
	end := -1
	switch {
	case rest[0] == '`':
		if i := strings.IndexByte(rest[1:], '`'); i >= 0 {
			end = i + 2
		}
		kind = opaque
	case strings.HasPrefix(rest, "$("):
		end = closing(rest[1:], '(', ')') + 1
		kind = opaque
	case strings.HasPrefix(rest, "${"):
		if end = closing(rest[1:], '{', '}') + 1; end > 3 {
			add(kind, rest[2:end-1])
			l.line += strings.Count(rest[:end], "\n")
			l.at += end
			return true
		}
	default:
		n := 1
		for n < len(rest) && isName(rest[n]) && (n > 1 || !isDigit(rest[n])) {
			n++
		}
		if n == 1 && len(rest) > 1 && strings.IndexByte("@*#?$!-0123456789", rest[1]) >= 0 {
			n = 2
		}
		if n == 1 { // a dollar
			add(quoted, "$")
		} else {
			add(kind, rest[1:n])
		}
		l.at += n
		return true
	}
	if end <= 0 {
		return false
	}
	add(opaque, rest[:end])
	l.line += strings.Count(rest[:end], "\n")
	l.at += end
	return true
}

// closing gives the length of what is up to the bracket that closes the first one,
// 0 if none does. Brackets in quotes do not count.
func closing(s string, open, shut byte) int {
	depth := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == open:
			depth++
		case c == shut:
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isName(c byte) bool {
	return isDigit(c) || c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
