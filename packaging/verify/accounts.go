package verify

import (
	"regexp"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/shell"
)

var (
	accountRelation = regexp.MustCompile(`\b(user|group)\(([^)]+)\)`)
	sysusersLine    = regexp.MustCompile(`(?m)^\s*([ugm])!?\s+"?([^\s":]+)"?(?:\s+"?([^\s":]+))?`)
)

// accounts gives the users and groups that the package makes, or that it says another
// one makes: "user NAME", "group NAME". Those of dpkg's preinst, which alone are there
// when it unpacks, have "early " before.
func (c *checker) accounts() map[string]bool {
	made := map[string]bool{}
	add := func(user, group string, early bool) {
		for _, n := range []string{"user " + user, "group " + group} {
			if strings.HasSuffix(n, " ") {
				continue
			}
			made[n] = true
			if early {
				made["early "+n] = true
			}
		}
	}
	for _, a := range c.Package.Accounts {
		group := a.Group
		if group == "" {
			group = a.User
		}
		add(a.User, group, true)
	}
	for _, r := range c.Package.Relations {
		for _, m := range accountRelation.FindAllStringSubmatch(r.Text, -1) {
			if m[1] == "user" {
				add(m[2], "", true)
			} else {
				add("", m[2], true)
			}
		}
	}
	if c.hook != nil && c.hook.Account.User != "" {
		add(c.hook.Account.User, c.hook.Account.GroupName(), true)
	}
	if c.Scan != nil {
		for p, b := range c.Scan.units {
			if isUnit(p) {
				continue
			}
			for _, m := range sysusersLine.FindAllStringSubmatch(string(b), -1) {
				switch m[1] {
				case "u":
					add(m[2], m[2], false)
				case "g":
					add("", m[2], false)
				case "m":
					add(m[2], m[3], false)
				}
			}
		}
	}
	for _, s := range c.scripts {
		if isRemoval(s.phase) {
			continue
		}
		c.every(s, shell.Succeeds, func(st *shell.Step) {
			early := s.phase == packaging.PreInstall
			words := st.Operands()
			if len(words) == 0 {
				return
			}
			last := words[len(words)-1]
			switch st.Name() {
			case "useradd", "adduser", "newusers":
				for _, w := range words {
					add(w, w, early)
				}
			case "groupadd", "addgroup":
				add("", last, early)
				for _, w := range words {
					add("", w, early)
				}
			}
		})
	}
	return made
}

// makesUnknown reports whether a script makes accounts whose names are not known, or
// calls something else that does.
func (c *checker) makesUnknown() bool {
	found := false
	for _, s := range c.scripts {
		if isRemoval(s.phase) {
			continue
		}
		makers := []string{"useradd", "adduser", "groupadd", "addgroup", "systemd-sysusers"}
		if s.file == nil {
			found = found || slices.ContainsFunc(makers, func(m string) bool { return strings.Contains(s.body, m) })
			continue
		}
		c.every(s, shell.Succeeds, func(st *shell.Step) {
			if slices.Contains(makers, st.Name()) {
				found = found || st.Name() == "systemd-sysusers" || slices.ContainsFunc(st.Operands(), func(w string) bool { return strings.Contains(w, shell.Unknown) })
			}
		})
	}
	return found
}

func (c *checker) isSystemAccount(name string) bool {
	return slices.Contains(systemAccounts[c.Format], name) || strings.Trim(name, "0123456789") == ""
}

func checkOwners(c *checker) {
	if !c.linux || c.makesUnknown() {
		return
	}
	type owner struct{ kind, name string }
	first := map[owner]string{}
	count := map[owner]int{}
	for i := range c.layout {
		e := &c.layout[i]
		for _, o := range []owner{{"user", e.OwnerName()}, {"group", e.GroupName()}} {
			if c.isSystemAccount(o.name) {
				continue
			}
			if count[o]++; count[o] == 1 {
				first[o] = e.Path
			}
		}
	}
	for o, p := range first {
		key := o.kind + " " + o.name
		more := ""
		if n := count[o] - 1; n > 0 {
			more = " (and " + plural(n, "more path") + ")"
		}
		switch {
		case c.made["early "+key], c.made[key] && c.Format == "rpm" && c.made["early "+key]:
		case c.made[key]:
			c.find(p, "it is of the %s, which is made only after the files are unpacked%s", key, more)
		case c.siblings || c.needsMaker(o.name):
			c.findAs(Info, p, "it is of the %s, which another package has to make first%s", key, more)
		default:
			c.find(p, "it is of the %s, which nobody makes%s", key, more)
		}
	}
}

// needsMaker reports whether the package requires one that has an account's name, as
// postfix-mysql does postfix.
func (c *checker) needsMaker(account string) bool {
	account = strings.TrimPrefix(strings.TrimPrefix(account, "_"), "Debian-")
	return slices.ContainsFunc(c.Package.Relations, func(r packaging.Relation) bool {
		return (r.Kind == packaging.Requires || r.Kind == packaging.PreRequires) && strings.Contains(r.Text, account)
	})
}

func checkUnitAccounts(c *checker) {
	if c.makesUnknown() {
		return
	}
	for _, u := range c.units {
		if u.dynamic {
			continue
		}
		for _, key := range []string{"user " + u.user, "group " + u.group} {
			_, name, _ := strings.Cut(key, " ")
			if name == "" || strings.ContainsAny(name, "%$") || c.isSystemAccount(name) || c.made[key] || c.made["user "+name] {
				continue
			}
			if c.siblings || c.needsMaker(name) {
				c.findAs(Info, u.path, "it runs as the %s, which another package has to make", key)
				continue
			}
			c.find(u.path, "it runs as the %s, which nobody makes", key)
		}
	}
}
