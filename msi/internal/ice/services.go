package ice

import (
	"slices"
	"strings"

	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// checkICE33 finds registry values that tables for classes and extensions exist
// for. Microsoft declares it obsolete, so it warns of the keys alone.
func checkICE33(c *checker) {
	for r := range c.db.Rows("Registry") {
		key := strings.ToLower(r.Text("Key"))
		if r.Int("Root") != 0 {
			var ok bool
			if key, ok = strings.CutPrefix(key, `software\classes\`); !ok {
				continue
			}
		}
		for _, prefix := range [...]string{`clsid\{`, `appid\{`, `typelib\{`, `mime\database\content type\`, "."} {
			if strings.HasPrefix(key, prefix) {
				c.warn(r.Key()+".Key", "%q registers what tables of its own exist for", r.Text("Key"))
			}
		}
	}
}

func checkICE55(c *checker) {
	for r := range c.db.Rows("LockPermissions") {
		if table, object := r.Text("Table"), r.Text("LockObject"); !c.has(table, object) {
			c.error(r.Key()+".LockObject", "%q is in no row of %s", object, table)
		}
		if r.IsNull("Permission") {
			c.error(r.Key()+".Permission", "it is null, so that it permits nothing")
		}
	}
}

// checkICE65 looks at how values of environment variables are joined.
func checkICE65(c *checker) {
	for r := range c.db.Rows("Environment") {
		where := r.Key() + ".Value"
		value := r.Text("Value")
		rest, appended := strings.CutPrefix(value, "[~]")
		rest, prepended := strings.CutSuffix(rest, "[~]")
		switch {
		case value == "" || value == "[~]":
			continue
		case appended && prepended:
			c.error(where, "the old value is both before and after")
			continue
		case strings.Contains(rest, "[~]"):
			c.error(where, "%q has [~] in the middle", value)
			continue
		case !appended && !prepended:
			continue
		}
		// The character next to the old value separates, and may stand nowhere else
		// at an end.
		sep, inner := rest[:min(1, len(rest))], rest[min(1, len(rest)):]
		if prepended {
			sep, inner = rest[max(0, len(rest)-1):], rest[:max(0, len(rest)-1)]
		}
		switch {
		case sep == "" || inner == "":
			c.error(where, "%q has no separator, or nothing but one", value)
		case isNameByte(sep[0]) && sep != "." && sep != "_":
			c.warn(where, "the separator %q is a letter or a digit", sep)
		case strings.HasPrefix(inner, sep) || strings.HasSuffix(inner, sep):
			c.error(where, "the value begins or ends with the separator %q", sep)
		}
	}
}

// checkICE70 looks at the numbers among registry values.
func checkICE70(c *checker) {
	for r := range c.db.Rows("Registry") {
		v, ok := strings.CutPrefix(r.Text("Value"), "#")
		if !ok || strings.HasPrefix(v, "#") || strings.HasPrefix(v, "%") {
			continue
		}
		// Properties may become digits; one at the start, anything at all.
		refs := references(v)
		plain := expand(v, refs, func(r reference) string {
			if r.kind == 0 {
				return ""
			}
			return "[" + r.text + "]"
		})
		if len(refs) > 1 && refs[0].kind == 0 && strings.HasPrefix(v, "[") {
			continue
		}
		digits, kind := "0123456789", "decimal"
		if strings.HasPrefix(plain, "x") || strings.HasPrefix(plain, "X") {
			digits, kind, plain = "0123456789abcdefABCDEF", "hexadecimal", plain[1:]
		} else if strings.HasPrefix(plain, "+") || strings.HasPrefix(plain, "-") {
			plain = plain[1:]
		}
		if plain == "" && len(refs) == 0 || strings.Trim(plain, digits) != "" {
			c.error(r.Key()+".Value", "%q is no %s number; a text that begins with # has two of them", r.Text("Value"), kind)
		}
	}
}

// The values of MsiServiceConfig.ConfigType.
const (
	configDelayedStart = 3
	configFailureFlag  = 4
	configSIDType      = 5
	configPrivileges   = 6
	configPreshutdown  = 7
)

func checkICE102(c *checker) {
	for r := range c.db.Rows("MsiServiceConfig") {
		c.checkServiceEvent(r)
		arg := r.Text("Argument")
		where := r.Key() + ".Argument"
		oneOf := func(values ...string) {
			if !slices.Contains(values, arg) && len(references(arg)) == 0 {
				c.error(where, "%q is none of %s", arg, strings.Join(values, ", "))
			}
		}
		switch t := r.Int("ConfigType"); t {
		case configDelayedStart, configFailureFlag:
			oneOf("0", "1")
		case configSIDType:
			oneOf("0", "1", "3")
		case configPrivileges:
			for p := range strings.SplitSeq(arg, "[~]") {
				privilege := strings.HasPrefix(p, "Se") && strings.HasSuffix(p, "Privilege")
				if p != "" && !privilege && len(references(p)) == 0 {
					c.error(where, "%q is no privilege", p)
				}
			}
		case configPreshutdown:
			if n, ok := number(arg, 1<<31-1); arg == "" {
				c.warn(where, "it is null, which is 180,000 milliseconds")
			} else if (!ok || n == 0) && len(references(arg)) == 0 {
				c.error(where, "%q is no number of milliseconds", arg)
			}
		default:
			c.error(r.Key()+".ConfigType", "%d is not from 3 to 7", t)
		}
	}
	for r := range c.db.Rows("MsiServiceConfigFailureActions") {
		c.checkServiceEvent(r)
		actions, ok1 := numbers(r.Text("Actions"))
		delays, ok2 := numbers(r.Text("DelayActions"))
		if !ok1 {
			c.error(r.Key()+".Actions", "%q is no list of numbers with [~] between", r.Text("Actions"))
		}
		if !ok2 {
			c.error(r.Key()+".DelayActions", "%q is no list of numbers with [~] between", r.Text("DelayActions"))
		}
		if ok1 && ok2 && actions != delays {
			c.error(r.Key()+".DelayActions", "there are %d delays for %d actions", delays, actions)
		}
		if r.IsNull("ResetPeriod") {
			c.warn(r.Key()+".ResetPeriod", "it is null, so that failures are never forgotten")
		}
	}
}

// checkFailureActions finds what fails on every Windows. Microsoft's page
// "MsiConfigureServices Action" says no more than that it does not work as expected.
func checkFailureActions(c *checker) {
	const restartService = "1" // SC_ACTION_RESTART
	for r := range c.db.Rows("MsiServiceConfigFailureActions") {
		if slices.Contains(strings.Split(r.Text("Actions"), "[~]"), restartService) {
			c.error(r.Key()+".Actions", "%q restarts the service, which Windows Installer is denied", r.Text("Actions"))
		}
	}
}

// numbers counts those of a list with [~] between.
func numbers(s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	list := strings.Split(s, "[~]")
	for _, n := range list {
		if _, ok := number(n, 1<<31-1); !ok {
			return 0, false
		}
	}
	return len(list), true
}

func (c *checker) checkServiceEvent(r msidb.Record) {
	if r.Int("Event")&7 == 0 {
		c.error(r.Key()+".Event", "%d is none of install (1), uninstall (2) and reinstall (4), so that nothing happens", r.Int("Event"))
	}
}

func checkICE104(c *checker) {
	old, extended := c.db.Table("LockPermissions"), c.db.Table("MsiLockPermissionsEx")
	if old != nil && extended != nil {
		c.error("LockPermissions", "the database has both this table and MsiLockPermissionsEx")
	}
	for r := range c.db.Rows("MsiLockPermissionsEx") {
		if table, object := r.Text("Table"), r.Text("LockObject"); !c.has(table, object) {
			c.error(r.Key()+".LockObject", "%q is in no row of %s", object, table)
		}
	}
}
