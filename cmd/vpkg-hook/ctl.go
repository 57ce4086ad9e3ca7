package main

import (
	"path"
	"strings"
)

// controlName reports whether a program's path is that of the product's control
// program, illumio-ven-ctl.exe, and its name for messages.
func controlName(exe string, err error) (name string, ok bool) {
	name = path.Base(strings.ReplaceAll(exe, `\`, "/"))
	name = strings.TrimSuffix(strings.ToLower(name), ".exe")
	return name, err == nil && strings.HasSuffix(name, "-ctl")
}

// splitCode takes the activation code out of the arguments of activate, and
// translates the spellings that users know to the agent's.
func splitCode(args []string) (rest []string, code string, given bool) {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if !strings.HasPrefix(word, "-") {
			rest = append(rest, word)
			continue
		}
		name, value, has := strings.Cut(word, "=")
		takes := func() string { // the option's value
			if !has && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			return value
		}
		switch strings.ReplaceAll(strings.TrimLeft(name, "-"), "_", "-") {
		case "activation-code", "a":
			code, given = takes(), true
		case "m":
			rest = append(rest, "--management-server", takes())
		case "mode":
			mode := takes()
			switch mode {
			case "illuminated":
				mode = "visibility_only"
			case "enforced":
				mode = "full"
			}
			rest = append(rest, "--enforcement-mode", mode)
		default:
			rest = append(rest, word)
		}
	}
	return rest, code, given
}
