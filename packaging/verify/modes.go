package verify

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/packaging/shell"
)

// A setting is a mode that a command of a scriptlet gives to files.
type setting struct {
	bits   uint32 // those of chmod(2) that are set for sure
	folder bool   // what gets it are folders, for which setuid and setgid run nothing
}

func (m setting) setsID() bool      { return m.bits&0o6000 != 0 && !m.folder }
func (m setting) othersWrite() bool { return m.bits&0o1002 == 0o002 } // without the sticky bit

// eachSetting gives the commands that set modes.
func (c *checker) eachSetting(f func(s *scriptlet, st *shell.Step, m setting)) {
	for _, s := range c.scripts {
		c.every(s, shell.Succeeds, func(st *shell.Step) {
			for _, m := range settings(st) {
				f(s, st, m)
			}
		})
	}
}

// settings gives the modes that a command sets.
func settings(st *shell.Step) []setting {
	words := st.Operands()
	switch st.Name() {
	case "chmod":
		if len(words) > 0 && !slices.Contains(words, "/dev/null") {
			return []setting{{bits: modeBits(words[0])}}
		}
	case "install":
		return []setting{{modeBits(modeOption(st.Words[1:])), st.Has("d", "--directory")}}
	case "mkdir":
		return []setting{{modeBits(modeOption(st.Words[1:])), true}}
	case "dpkg-statoverride":
		if st.Has("", "--add") && len(words) >= 4 { // user, group, mode, path
			return []setting{{bits: modeBits(words[2])}}
		}
	case "find", "xargs":
		return settingsWithin(st)
	}
	return nil
}

// settingsWithin gives the modes that the commands of find -exec and of xargs set.
func settingsWithin(st *shell.Step) []setting {
	var all []setting
	folder := strings.Contains(strings.Join(st.Words, " "), " -type d ")
	for i, w := range st.Words {
		if path.Base(w) != "chmod" {
			continue
		}
		words := st.Words[i:]
		if end := slices.IndexFunc(words, func(w string) bool { return w == ";" || w == "+" }); end > 0 {
			words = words[:end]
		}
		for _, m := range settings(&shell.Step{Words: words}) {
			all = append(all, setting{m.bits, folder})
		}
	}
	return all
}

// modeOption gives the value of -m or --mode among the arguments of install(1) and
// mkdir(1); empty if there is none.
func modeOption(args []string) string {
	mode := ""
	for i, w := range args {
		following := strings.Join(args[i+1:min(i+2, len(args))], "")
		switch {
		case w == "--":
			return mode
		case w == "--mode":
			mode = following
		case strings.HasPrefix(w, "--mode="):
			mode = strings.TrimPrefix(w, "--mode=")
		case strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--"):
			// The first letter of an option with a value ends the others: -Dm755.
			if j := strings.IndexAny(w, "gmotS"); j > 0 && w[j] == 'm' {
				if mode = w[j+1:]; mode == "" {
					mode = following
				}
			}
		}
	}
	return mode
}

// usualUmask is what a mode without a "who" leaves out.
const usualUmask = 0o022

// modeBits gives the bits that a mode of chmod(1) sets whatever a file had before:
// 4755, or clauses such as u=rwx,go+s. What is no mode, or is not known, sets none.
func modeBits(mode string) uint32 {
	if n, err := strconv.ParseUint(mode, 8, 12); err == nil {
		return uint32(n)
	}
	bits := uint32(0)
	for clause := range strings.SplitSeq(mode, ",") {
		rest := strings.TrimLeft(clause, "ugoa")
		who, umask := whoseBits(clause[:len(clause)-len(rest)]), uint32(0)
		if who == 0 {
			who, umask = 0o7777, usualUmask
		}
		for rest != "" {
			end := 1 + strings.IndexAny(rest[1:]+"=", "+-=")
			set, ok := permissionBits(rest[1:end], bits)
			if !ok {
				return 0
			}
			set &= who &^ umask
			switch rest[0] {
			case '=':
				bits = bits&^who | set
			case '+':
				bits |= set
			case '-':
				bits &^= set
			default:
				return 0
			}
			rest = rest[end:]
		}
	}
	return bits
}

// whoseBits gives the bits that letters of "ugoa" stand for.
func whoseBits(who string) uint32 {
	bits := uint32(0)
	for _, c := range who {
		bits |= map[rune]uint32{'u': 0o4700, 'g': 0o2070, 'o': 0o1007, 'a': 0o7777}[c]
	}
	return bits
}

// permissionBits gives the bits that permissions stand for, for all: those of "ugo"
// are the ones that a mode has so far.
func permissionBits(permissions string, so uint32) (bits uint32, ok bool) {
	for _, c := range permissions {
		switch c {
		case 'r':
			bits |= 0o444
		case 'w':
			bits |= 0o222
		case 'x':
			bits |= 0o111
		case 'X': // x, if somebody has it
		case 's':
			bits |= 0o6000
		case 't':
			bits |= 0o1000
		case 'u':
			bits |= so >> 6 & 7 * 0o111
		case 'g':
			bits |= so >> 3 & 7 * 0o111
		case 'o':
			bits |= so & 7 * 0o111
		default:
			return 0, false
		}
	}
	return bits, true
}
