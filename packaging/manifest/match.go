package manifest

import (
	"errors"
	"path"
	"strings"
)

// checkPattern refuses a pattern that could never fit.
func checkPattern(pattern string) error {
	if pattern == "" || strings.HasPrefix(pattern, "/") || path.Clean(pattern) != pattern {
		return errors.New("want a path relative to the tree, in its shortest form")
	}
	for element := range strings.SplitSeq(pattern, "/") {
		if _, err := path.Match(element, ""); err != nil {
			return err
		}
	}
	return nil
}

// match reports whether name, a path relative to a tree, fits the pattern: each
// element as path.Match has it, ** any number of elements, none included.
func match(pattern, name string) bool {
	return matchElements(strings.Split(pattern, "/"), strings.Split(name, "/"))
}

func matchElements(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := range len(name) + 1 {
				if matchElements(pattern[1:], name[i:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], name[0]); !ok || err != nil {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}
