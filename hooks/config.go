package hooks

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// ConfigVersion is the version of the configuration file that this package
// reads and writes.
const ConfigVersion = 1

// The files below a program's folder from which the hook knows what it has to do, a
// [Config], and what was installed, the record that package packaging writes.
const (
	ConfigFile = "/etc/hook.json"
	RecordFile = "/etc/layout.json"
)

// A Config says what the hook has to do for one package. It travels with the
// hook: as PROGRAM/etc/hook.json in the payload, and in a DEB also as the
// member "hook-config" of the control archive.
type Config struct {
	Format  int    `json:"format"`  // ConfigVersion
	Name    string `json:"name"`    // the package's: "illumio-ven"
	Version string `json:"version"` // the package's, [EPOCH:]VERSION[-RELEASE]

	// Windows says that the package is one for Windows. Its paths are those of
	// Windows with slashes and without a drive, "/ProgramData/Illumio", and may have
	// spaces; a unit is a service by its own name; and there is neither an account nor
	// anything of the kernel.
	Windows bool `json:"windows,omitempty"`

	Program string `json:"program"`        // folder of the program: "/opt/illumio_ven"
	Data    string `json:"data,omitempty"` // folder of the data, one of Folders; empty means that there is none
	Log     string `json:"log,omitempty"`  // file; empty means NAME-install.log in /var/log, or in Windows' Temp

	// EnvPrefix is what the names of the environment variables begin with that
	// the hook reads: "VEN_" for VEN_INSTALL_ACTION, VEN_NONPRIV_USER and
	// VEN_ACTIVATION_CODE. Empty means that it reads none.
	EnvPrefix string `json:"env_prefix,omitempty"`

	// Account owns the payload. The zero value means root.
	Account Account `json:"account,omitzero"`

	// Folders are made beside the payload, parents first. Where Owner or Group
	// are Account's and the administrator chose another account, it gets them.
	Folders []Folder `json:"folders,omitempty"`

	Units []Unit `json:"units,omitempty"`

	// Components are started and supervised by the platform part, in this order.
	Components []Component `json:"components,omitempty"`

	// Modules, Sysctls and Firewall are what the platform part sets up at each start,
	// in this order. Without a Firewall the host's packet filter is left alone.
	Modules  []Module  `json:"modules,omitempty"`
	Sysctls  []Setting `json:"sysctls,omitempty"`
	Firewall *Firewall `json:"firewall,omitempty"`

	// Settings is a file of the administrator's with sizes of the connection table:
	// /etc/default/illumio-agent. Empty means that there is none.
	Settings string `json:"settings,omitempty"`

	// Start is the command that starts the product after a first installation,
	// its program relative to Program: ["bin/init_Platform", "start"]. Empty means
	// none besides the units with Start.
	Start []string `json:"start,omitempty"`
}

// An Account is a system user with its group.
type Account struct {
	User    string `json:"user"`
	Group   string `json:"group,omitempty"`   // empty means a group of the user's name
	Home    string `json:"home,omitempty"`    // empty means "/"
	Shell   string `json:"shell,omitempty"`   // empty means the system's nologin
	Comment string `json:"comment,omitempty"` // no colon
}

// GroupName is Group, or the user's name.
func (a Account) GroupName() string {
	if a.Group == "" {
		return a.User
	}
	return a.Group
}

// A Folder is made when it is missing. Owner and mode of one that is there
// already are repaired.
type Folder struct {
	Path  string `json:"path"`
	Mode  Mode   `json:"mode"`
	Owner string `json:"owner,omitempty"` // empty means root
	Group string `json:"group,omitempty"` // empty means root
}

// A Unit is a systemd unit of the payload, or a service of Windows.
type Unit struct {
	Name   string `json:"name"`              // "illumio-ven.service"; on Windows "venAgentMgrSvc"
	Enable bool   `json:"enable,omitempty"`  // at the first installation
	Start  bool   `json:"start,omitempty"`   // at the first installation
	AtBoot bool   `json:"at_boot,omitempty"` // it works at a boot only: an upgrade does not restart it
	RunAs  bool   `json:"run_as,omitempty"`  // it runs as Account, or as the one that the administrator chose

	// Restart is for Windows: the seconds after which the service is started again
	// when it has failed for the first, second and later times in a day. Empty means
	// that it stays down. A unit of systemd says that itself.
	Restart []int `json:"restart,omitempty"`

	// Program, Args and Account are for Windows too: what the service is to be, for
	// who verifies it. An empty Account means LocalSystem.
	Program string   `json:"program,omitempty"`
	Args    []string `json:"args,omitempty"`
	Account string   `json:"account,omitempty"`
}

// A Mode is the permission bits of chmod(2), 0 to 07777. Its text is octal.
type Mode uint32

// MarshalText gives four octal digits.
func (m Mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// UnmarshalText reads octal digits.
func (m *Mode) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 8, 12)
	if err != nil {
		return fmt.Errorf("mode %q: want octal digits, at most 7777", b)
	}
	*m = Mode(n)
	return nil
}

// ParseConfig reads a configuration and checks it. An unknown field is an
// error: hook and configuration are always of the same build.
func ParseConfig(b []byte) (Config, error) {
	var c Config
	if err := tinyjson.Strict(b, &c); err != nil {
		return Config{}, fmt.Errorf("hook configuration: %w", err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Marshal gives the text of the configuration, the same for equal values.
func (c Config) Marshal() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	b, err := tinyjson.Marshal(c)
	return append(b, '\n'), err
}

// Validate reports everything that is wrong with the configuration at once.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("hook configuration: "+format, args...))
	}
	if c.Format != ConfigVersion {
		bad("format %d, want %d", c.Format, ConfigVersion)
	}
	if !spelt(c.Name, "", "+._-") {
		bad("name %q: want letters, digits and . + - _, a letter or digit first", c.Name)
	}
	if !isVersion(c.Version) {
		bad("version %q: want [EPOCH:]VERSION[-RELEASE]", c.Version)
	}
	if !c.isPath(c.Program) {
		bad("program folder %q: want a clean absolute path of letters, digits and . _ + -", c.Program)
	}
	if c.Log != "" && !c.isPath(c.Log) {
		bad("log %q: want a clean absolute path of letters, digits and . _ + -", c.Log)
	}
	if c.Data != "" && !slices.ContainsFunc(c.Folders, func(f Folder) bool { return f.Path == c.Data }) {
		bad("data folder %q is not one of the folders", c.Data)
	}
	if c.Data != "" && (within(c.Data, c.Program) || within(c.Program, c.Data)) {
		bad("data folder %q and program folder %q: one is in the other", c.Data, c.Program)
	}
	if c.EnvPrefix != "" && !isEnvPrefix(c.EnvPrefix) {
		bad("environment prefix %q: want capital letters and digits, _ at the end", c.EnvPrefix)
	}
	for i, f := range c.Folders {
		if slices.ContainsFunc(c.Folders[:i], func(g Folder) bool { return within(g.Path, f.Path) }) {
			bad("folder %s: is named again, or after one that is in it", f.Path)
		}
		if !c.isPath(f.Path) || strings.Count(f.Path, "/") < 2 {
			bad("folder %q: want a clean absolute path of letters, digits and . _ + -, below a folder of the system", f.Path)
		}
		for _, n := range []string{f.Owner, f.Group} {
			if n != "" && !isAccount(n) {
				bad("folder %s: %q is not an account's name", f.Path, n)
			}
		}
	}
	for _, u := range c.Units {
		switch {
		case c.Windows && !isComponent(u.Name):
			bad("service %q: want letters, digits and _ -, a letter first", u.Name)
		case !c.Windows && !isUnit(u.Name):
			bad("unit %q: want a unit's full name, such as agent.service", u.Name)
		}
	}
	for _, p := range c.Components {
		if !isComponent(p.Name) {
			bad("component %q: want letters, digits and _ -, a letter first", p.Name)
		}
		if program := p.ProgramPath(); path.IsAbs(program) || !c.isPath(path.Join("/", program)) || path.Clean(program) != program {
			bad("component %s: program %q: want a clean path relative to the program folder", p.Name, program)
		}
	}
	c.validatePlatform(bad)
	if c.Windows {
		c.validateWindows(bad)
	}
	if len(c.Start) > 0 && !cleanPath("/"+c.Start[0]) {
		bad("start command %q: want a clean path relative to the program folder", c.Start)
	}
	return errors.Join(append(errs, c.Account.validate()...)...)
}

func (a Account) validate() []error {
	if a == (Account{}) {
		return nil
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("hook configuration: account: "+format, args...))
	}
	if !isAccount(a.User) || a.User == "root" {
		bad("%q is not a user's name", a.User)
	}
	if !isAccount(a.GroupName()) {
		bad("%q is not a group's name", a.Group)
	}
	for _, p := range []string{a.Home, a.Shell} {
		if p != "" && p != "/" && !cleanPath(p) {
			bad("%q: want a clean absolute path of letters, digits and . _ + -", p)
		}
	}
	if strings.ContainsAny(a.Comment, ":\n\r\x00") {
		bad("comment %q: has a colon or a new line", a.Comment)
	}
	return errs
}

// State is the folder in which the hook keeps its journal and the installed
// state.
func (c Config) State() string { return "/var/lib/vpkg/" + c.Name }

// LogFile is Log, or its default.
func (c Config) LogFile() string {
	if c.Log == "" && c.Windows {
		return windowsTemp + c.Name + "-install.log"
	}
	if c.Log == "" {
		return "/var/log/" + c.Name + "-install.log"
	}
	return c.Log
}

// spelt reports whether s has only ASCII letters, digits and what rest lists, and
// begins with a letter, a digit or what first lists. (Package regexp would be a
// tenth of the hook.)
func spelt(s, first, rest string) bool {
	for i := range len(s) {
		more := rest
		if i == 0 {
			more = first
		}
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', isDigit(c), strings.IndexByte(more, c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

func isVersion(s string) bool {
	if epoch, rest, ok := strings.Cut(s, ":"); ok {
		if _, err := strconv.ParseUint(epoch, 10, 31); err != nil {
			return false
		}
		s = rest
	}
	return spelt(s, "", ".+~^_-")
}

// isAccount follows useradd(8).
func isAccount(s string) bool { return spelt(s, "_", "_.-") && !isDigit(s[0]) && len(s) <= 31 }

// IsUser reports whether s can be the name of a user whom somebody else made. It
// stands in a unit then. The %pre of an RPM has the same rule.
func IsUser(s string) bool { return spelt(s, "_.", "_.-") }

func isUnit(s string) bool {
	kinds := []string{".service", ".socket", ".timer", ".path", ".target"}
	return spelt(s, ":_@-", ":_.@-") && slices.Contains(kinds, path.Ext(s))
}

// isComponent reports whether s can also be a unit's name without its kind.
func isComponent(s string) bool { return spelt(s, "", "_-") && !isDigit(s[0]) }

func isEnvPrefix(s string) bool {
	return spelt(s, "", "_") && !isDigit(s[0]) && strings.ToUpper(s) == s && strings.HasSuffix(s, "_")
}

// cleanPath reports whether p is absolute and clean, and needs no quoting in a
// shell or a unit.
func cleanPath(p string) bool {
	return spelt(p, "/", "._+/-") && path.IsAbs(p) && path.Clean(p) == p && p != "/"
}

// isPath is cleanPath, but that names on Windows may have spaces and parentheses:
// "/Program Files (x86)/Agent".
func (c Config) isPath(p string) bool {
	if !c.Windows {
		return cleanPath(p)
	}
	dropped := strings.Contains(p+"/", "./") || strings.Contains(p+"/", " /") // by Windows, from a name's end
	return spelt(p, "/", "._+/- ()") && path.IsAbs(p) && path.Clean(p) == p && p != "/" && !dropped
}

// within reports whether p is dir or below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }
