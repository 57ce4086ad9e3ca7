package extract

import (
	"fmt"
	"os/user"
	"strconv"
)

// accounts finds the numbers of this host's users and groups.
type accounts struct{ users, groups map[string]int }

func newAccounts() *accounts {
	return &accounts{map[string]int{"root": 0}, map[string]int{"root": 0}}
}

func (a *accounts) ids(owner, group string) (uid, gid int, err error) {
	uid, err = number(a.users, owner, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", fmt.Errorf("this host has no user %q: %w", name, err)
		}
		return u.Uid, nil
	})
	if err != nil {
		return 0, 0, err
	}
	gid, err = number(a.groups, group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", fmt.Errorf("this host has no group %q: %w", name, err)
		}
		return g.Gid, nil
	})
	return uid, gid, err
}

// number gives the number that stands for a name, or that the name is.
func number(known map[string]int, name string, lookup func(name string) (string, error)) (int, error) {
	if n, ok := known[name]; ok {
		return n, nil
	}
	text, bad := lookup(name)
	if bad != nil {
		text = name
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		if bad == nil {
			bad = err
		}
		return 0, bad
	}
	known[name] = int(n)
	return int(n), nil
}
