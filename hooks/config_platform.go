package hooks

import (
	"strconv"
	"strings"
)

// A Module is a kernel module that the product uses.
type Module struct {
	Name        string   `json:"name"`
	Substitutes []string `json:"substitutes,omitempty"` // in order of preference
	Required    bool     `json:"required,omitempty"`    // nothing starts where neither it nor a substitute is
	For         string   `json:"for,omitempty"`         // what does not work without: "logging of refused packets"
}

// A Setting is one of the kernel's, sysctl(8).
type Setting struct {
	Name  string `json:"name"` // with dots
	Value string `json:"value"`
}

// A Firewall says how the product stands to the host's packet filter.
type Firewall struct {
	// Services of the host are stopped and disabled while the product has the packet
	// filter, without the kind: "iptables". Those that are not there do not matter.
	Services []string `json:"services,omitempty"`

	// OnActivation leaves the filter alone until there is a policy; else it is taken
	// over when the product starts.
	OnActivation bool `json:"on_activation,omitempty"`
}

// validatePlatform reports what is wrong with what the platform works with.
func (c Config) validatePlatform(bad func(format string, args ...any)) {
	for _, m := range c.Modules {
		for _, n := range append([]string{m.Name}, m.Substitutes...) {
			if !spelt(n, "", "_-") {
				bad("module %q: want letters, digits and _ -", n)
			}
		}
	}
	for _, s := range c.Sysctls {
		if !spelt(s.Name, "", "._-/") || strings.Contains(s.Name, "..") || s.Value == "" || strings.ContainsAny(s.Value, "\n\x00") {
			bad("kernel setting %q: want words with dots between them, and a value of one line", s.Name)
		}
	}
	if c.Settings != "" && !cleanPath(c.Settings) {
		bad("settings %q: want a clean absolute path of letters, digits and . _ + -", c.Settings)
	}
	if c.Firewall == nil {
		return
	}
	for _, s := range c.Firewall.Services {
		if !isUnit(s+".service") || s[0] == '-' {
			bad("firewall service %q: want a service's name without its kind, such as firewalld", s)
		}
	}
}

// validateWindows reports what a package for Windows cannot have.
func (c Config) validateWindows(bad func(format string, args ...any)) {
	for _, x := range []struct {
		name string
		has  bool
	}{
		{"account", c.Account != (Account{})},
		{"start command", len(c.Start) > 0},
		{"kernel modules", len(c.Modules) > 0},
		{"kernel settings", len(c.Sysctls) > 0},
		{"firewall", c.Firewall != nil},
		{"settings", c.Settings != ""},
	} {
		if x.has {
			bad("%s: there is none on Windows", x.name)
		}
	}
	for _, u := range c.Units {
		if u.AtBoot || u.RunAs {
			bad("service %s: works neither at a boot only nor as a chosen account on Windows", u.Name)
		}
	}
}

// windowsTemp is the folder of logs on Windows. Every user can make files in it.
const windowsTemp = "/Windows/Temp/"

// Report is the support report's file.
func (c Config) Report() string {
	dir := "/tmp/"
	if c.Windows {
		dir = windowsTemp
	}
	return dir + c.Name + "-report.tgz"
}

// PolicyStatus is the file in which the platform says which policy is in force,
// for the agent.
func (c Config) PolicyStatus() string {
	if c.Windows {
		return c.State() + "/policy-status.json"
	}
	return "/run/" + c.Name + "/policy.json"
}

// ActivationCode is a file that is root's alone, in which the code waits from the
// installation until it is used.
func (c Config) ActivationCode() string { return c.State() + "/activation_code" }

// changesHost reports whether the running product changes what it has to give
// back.
func (c Config) changesHost() bool {
	return c.Firewall != nil || len(c.Sysctls) > 0 || len(c.Modules) > 0 || c.Settings != ""
}

// Agent is the path of vpkg-agent in the payload.
func (c Config) Agent() string { return c.Program + "/bin/vpkg-agent" }

// Hook is the path of vpkg-hook in the payload.
func (c Config) Hook() string { return c.Program + "/bin/vpkg-hook" }

// IsServer reports whether s can be a server's HOST:PORT. It becomes an argument of
// a program.
func IsServer(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return false
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	return err == nil && port > 0 && spelt(s[:i], "[", "[]:.-")
}
