package rpm

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// rpm 4.19 and later make the accounts that a package provides as user(NAME) and
// group(NAME) before they unpack it. The version of such a capability is the line
// of sysusers.d(5), in base64. Lines are padded with NUL bytes, because base64's
// own padding, "=", cannot stand in a version.

// addAccounts adds what a package provides for its accounts.
func (ds dependencies) addAccounts(accounts []packaging.Account) error {
	for _, a := range accounts {
		for _, s := range []string{a.User, a.Group, a.Home, a.Shell, a.Comment} {
			if strings.ContainsAny(s, "\"\\\n\x00:") || s != a.Comment && strings.ContainsAny(s, " \t") {
				return fmt.Errorf("account %q: %q cannot stand in a line of sysusers.d", a.User+a.Group, s)
			}
		}
		user, group := accountLines(a)
		if group != "" {
			ds.add(tagProvideName, dependency{"group(" + groupName(a) + ")", encodeLine(group), senseEqual})
		}
		if user != "" {
			ds.add(tagProvideName, dependency{"user(" + a.User + ")", encodeLine(user), senseEqual})
		}
	}
	return nil
}

func groupName(a packaging.Account) string {
	if a.Group == "" {
		return a.User
	}
	return a.Group
}

// accountLines gives the lines of sysusers.d for an account; "" for what it does
// not have.
func accountLines(a packaging.Account) (user, group string) {
	group = "g " + groupName(a) + " -"
	if a.User == "" {
		return "", group
	}
	id := "-"
	if groupName(a) != a.User {
		id = "-:" + a.Group
	}
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	comment := dash(a.Comment)
	if comment != "-" {
		comment = `"` + comment + `"`
	}
	return fmt.Sprintf("u %s %s %s %s %s", a.User, id, comment, dash(a.Home), dash(a.Shell)), group
}

func encodeLine(line string) string {
	b := []byte(line)
	for len(b)%3 != 0 {
		b = append(b, 0)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// readAccounts gives the accounts that provided capabilities declare, and the
// capabilities that declare none.
func readAccounts(provides []dependency) (accounts []packaging.Account, rest []dependency) {
	groups := map[string]bool{}
	var order []string
	for _, d := range provides {
		line := strings.Fields(decodeLine(d))
		switch {
		case len(line) >= 2 && line[0] == "g" && d.name == "group("+line[1]+")":
			groups[line[1]] = true
			order = append(order, line[1])
		case len(line) >= 2 && line[0] == "u" && d.name == "user("+line[1]+")":
			accounts = append(accounts, parseUser(decodeLine(d)))
		default:
			rest = append(rest, d)
		}
	}
	for i := range accounts {
		delete(groups, groupName(accounts[i]))
	}
	for _, g := range order {
		if groups[g] {
			accounts = append(accounts, packaging.Account{Group: g})
		}
	}
	return accounts, rest
}

// decodeLine gives the line that a capability's version holds, or "".
func decodeLine(d dependency) string {
	if d.flags&senseCompare != senseEqual || !strings.HasPrefix(d.name, "user(") && !strings.HasPrefix(d.name, "group(") {
		return ""
	}
	b, err := base64.StdEncoding.DecodeString(d.version)
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(b), "\x00\n")
}

// parseUser parses a line of sysusers.d of type u.
func parseUser(line string) packaging.Account {
	var a packaging.Account
	before, rest, ok := strings.Cut(line, `"`)
	if comment, after, closed := strings.Cut(rest, `"`); ok && closed {
		a.Comment, line = comment, before+"- "+after
	}
	field := func(fs []string, i int) string {
		if i >= len(fs) || fs[i] == "-" {
			return ""
		}
		return fs[i]
	}
	fs := strings.Fields(line)
	a.User = field(fs, 1)
	if _, group, ok := strings.Cut(field(fs, 2), ":"); ok {
		a.Group = group
	}
	if c := field(fs, 3); c != "" {
		a.Comment = c
	}
	a.Home, a.Shell = field(fs, 4), field(fs, 5)
	return a
}
