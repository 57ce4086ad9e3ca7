package platform

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// A ModuleState is whether a kernel module is there, and what serves in its place.
type ModuleState struct {
	Name   string `json:"name"`
	Serves string `json:"serves,omitempty"` // the module itself or a substitute; empty means that nothing does
	How    string `json:"how"`              // "loaded", "built in", "available" or "missing"
	For    string `json:"for,omitempty"`    // what does not work without
	Error  string `json:"error,omitempty"`  // what modprobe said of the module itself

	// Listed says that the module is one that systemd-modules-load(8) can load at
	// boot by the name Serves.
	Listed bool `json:"-"`
}

// The states of a module.
const (
	moduleLoaded    = "loaded"
	moduleBuiltIn   = "built in"
	moduleAvailable = "available"
	moduleMissing   = "missing"
)

// signs are what a module makes in /proc: a kernel that has it built in shows it
// nowhere else if the module has no parameters. A version of the kernel says
// nothing; distributions move features between versions.
var signs = map[string]string{
	"ip_tables":       "/proc/net/ip_tables_names",
	"ip6_tables":      "/proc/net/ip6_tables_names",
	"iptable_filter":  "/proc/net/ip_tables_matches",
	"ip6table_filter": "/proc/net/ip6_tables_matches",
	"nf_conntrack":    "/proc/sys/net/netfilter/nf_conntrack_max",
	"nf_log_syslog":   "/proc/sys/net/netfilter/nf_log",
}

// modules looks for kernel modules.
type modules struct {
	sys     hooks.System
	release string // of the kernel: the folder below /lib/modules
	dry     bool   // look only
}

func newModules(sys hooks.System, dry bool) modules {
	b, _ := sys.ReadFile("/proc/sys/kernel/osrelease") // without it modprobe alone tells
	return modules{sys, strings.TrimSpace(string(b)), dry}
}

// ensure loads the module, or else the first of its substitutes that there is.
func (m modules) ensure(ctx context.Context, want hooks.Module) ModuleState {
	state := ModuleState{Name: want.Name, How: moduleMissing, For: want.For}
	for _, name := range append([]string{want.Name}, want.Substitutes...) {
		how, listed, err := m.one(ctx, name)
		if name == want.Name && err != nil {
			state.Error = err.Error()
		}
		if how != "" {
			state.Serves, state.How, state.Listed = name, how, listed
			return state
		}
	}
	return state
}

// one loads one module and says how it is there now, or nothing. Whether it can
// be loaded at boot is another question: there may be no modprobe to ask.
func (m modules) one(ctx context.Context, name string) (how string, listed bool, err error) {
	builtIn := m.builtIn(name)
	argv := []string{"modprobe", name}
	if m.dry {
		argv = []string{"modprobe", "-n", name}
	}
	_, err = m.sys.Run(ctx, argv...)
	switch {
	case builtIn:
		return moduleBuiltIn, err == nil, nil
	case err == nil && m.dry && !m.loaded(ctx, name):
		return moduleAvailable, true, nil
	case err == nil: // an alias is loaded by another name
		return moduleLoaded, true, nil
	case m.loaded(ctx, name): // without modprobe or the modules' folder, as in a container
		return moduleLoaded, false, nil
	case errors.Is(err, exec.ErrNotFound):
		err = errors.New("modprobe is not installed")
	}
	return "", false, err
}

// loaded reports whether the kernel shows the module, loaded or built in.
func (m modules) loaded(ctx context.Context, name string) bool {
	at := []string{"/sys/module/" + strings.ReplaceAll(name, "-", "_")}
	if sign, ok := signs[name]; ok {
		at = append(at, sign)
	}
	return slices.ContainsFunc(at, func(p string) bool {
		_, err := m.sys.Stat(p)
		return err == nil
	}) || m.answers(ctx, name)
}

// answers asks the program that uses the module, where the module leaves no sign.
func (m modules) answers(ctx context.Context, name string) bool {
	if name != "ip_set" {
		return false
	}
	_, err := m.sys.Run(ctx, "ipset", "list", "-name")
	return err == nil
}

// builtIn looks the module up among those that are part of the kernel:
// modules.builtin has a line "kernel/net/netfilter/xt_LOG.ko" for each.
func (m modules) builtIn(name string) bool {
	b, err := m.sys.ReadFile("/lib/modules/" + m.release + "/modules.builtin")
	if err != nil || m.release == "" {
		return false
	}
	for line := range strings.Lines(string(b)) {
		file, _, _ := strings.Cut(path.Base(strings.TrimSpace(line)), ".ko")
		if strings.ReplaceAll(file, "-", "_") == strings.ReplaceAll(name, "-", "_") {
			return true
		}
	}
	return false
}

// warning says in one sentence what is not there and what that means, or nothing.
func (s ModuleState) warning() string {
	switch {
	case s.Serves == s.Name:
		return ""
	case s.Serves != "":
		return fmt.Sprintf("kernel module %s is not there: %s serves in its place", s.Name, s.Serves)
	case s.For != "":
		return fmt.Sprintf("kernel module %s is not there and nothing serves in its place; what does not work: %s", s.Name, s.For)
	}
	return fmt.Sprintf("kernel module %s is not there and nothing serves in its place", s.Name)
}

// modulesLoad is the text of a file for modules-load.d(5): what is loaded now and
// can be at boot. A name that the kernel does not have would make the unit fail.
func modulesLoad(states []ModuleState) string {
	var names []string
	for _, s := range states {
		if s.Listed && s.How != moduleBuiltIn && !slices.Contains(names, s.Serves) {
			names = append(names, s.Serves)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, "\n") + "\n"
}
