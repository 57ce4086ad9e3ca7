package platform

import (
	"context"
	"fmt"
	"path"
	"strings"
	"syscall"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/firewall"
)

// checkEnv reports what stands in the way of the product on this host, before
// anything is changed. The exit status is 1 if something does.
func (p Product) checkEnv(ctx context.Context, around hooks.Surroundings, asJSON bool) int {
	checks := []Check{p.checkSystem(around)}
	checks = append(checks, p.checkModules(ctx)...)
	checks = append(checks, p.checkFilter(ctx)...)
	if around.Booted && p.Config.Firewall != nil {
		checks = append(checks, p.checkServices(ctx))
	}
	checks = append(checks, p.checkSettings(ctx), p.checkKernelSettings())
	for _, dir := range []string{p.Config.Program, p.Config.Data} {
		if dir != "" {
			checks = append(checks, checkSpace(dir))
		}
	}
	return p.reportChecks(checks, asJSON)
}

func (p Product) checkSystem(around hooks.Surroundings) Check {
	c := Check{Name: "system", Result: CheckOK, Detail: "systemd is running"}
	if why := around.Offline(p.Config); why != "" {
		c.Result, c.Detail = CheckWarning, why+": a package installed here starts nothing"
	}
	return c
}

// checkModules says nothing of each module that is there.
func (p Product) checkModules(ctx context.Context) []Check {
	if len(p.Config.Modules) == 0 {
		return nil
	}
	var found []string
	var checks []Check
	m := newModules(p.Sys, true)
	for _, want := range p.Config.Modules {
		switch s := m.ensure(ctx, want); {
		case s.warning() == "":
			found = append(found, s.Name)
		case s.Serves != "":
			checks = append(checks, Check{"kernel module", CheckOK, detail(s)})
		case want.Required:
			checks = append(checks, Check{"kernel module", CheckError, detail(s)})
		default:
			checks = append(checks, Check{"kernel module", CheckWarning, detail(s)})
		}
	}
	if len(found) > 0 {
		checks = append([]Check{{"kernel modules", CheckOK, strings.Join(found, " ")}}, checks...)
	}
	return checks
}

func detail(s ModuleState) string { return strings.TrimPrefix(s.warning(), "kernel module ") }

func (p Product) checkFilter(ctx context.Context) []Check {
	if p.Config.Firewall == nil {
		return nil
	}
	f := p.filter()
	formats, err := f.Formats(ctx)
	if err != nil {
		return []Check{{"packet filter", CheckError, err.Error()}}
	}
	checks := []Check{{"packet filter", CheckOK, "takes policies in the form of " + strings.Join(formats, " and ")}}
	rules, err := f.HostRules(ctx)
	if err != nil {
		return append(checks, Check{"rules of the host", CheckError, err.Error()})
	}
	return append(checks, checkRules(rules))
}

func checkRules(rules firewall.HostRules) Check {
	var found []string
	for _, v := range rules.Views {
		if v.Rules > 0 {
			found = append(found, fmt.Sprintf("%d in %s", v.Rules, v.View))
		}
	}
	c := Check{"rules of the host", CheckOK, "none"}
	if len(found) > 0 {
		c.Detail = strings.Join(found, ", ")
	}
	if len(rules.Foreign) > 0 {
		c.Detail += "; kept, for they are other programs': " + strings.Join(rules.Foreign, " ")
	}
	if len(rules.Cannot) > 0 {
		c.Result, c.Detail = CheckError, strings.Join(rules.Cannot, "; ")
	}
	return c
}

func (p Product) checkServices(ctx context.Context) Check {
	var found []string
	for _, s := range p.Config.Firewall.Services {
		if state := hooks.ServiceState(ctx, p.Sys, s+".service"); state != "" {
			found = append(found, s+" ("+state+")")
		}
	}
	if len(found) == 0 {
		return Check{"services of the firewall", CheckOK, "none is enabled or active"}
	}
	return Check{"services of the firewall", CheckOK, strings.Join(found, ", ") + ": stopped and disabled while the product has the packet filter"}
}

func (p Product) checkSettings(ctx context.Context) Check {
	c := Check{Name: "settings " + p.Config.Settings, Result: CheckOK}
	if p.Config.Settings == "" {
		c.Name, c.Detail = "settings", "none"
		return c
	}
	if _, err := p.Sys.Stat(p.Config.Settings); isMissing(err) {
		c.Detail = "there are none"
	} else if _, err := readSettings(p.Sys, p.Config.Settings, p.account(ctx)); err != nil {
		c.Result, c.Detail = CheckWarning, err.Error()
	}
	return c
}

func (p Product) checkKernelSettings() Check {
	c := Check{Name: "kernel settings", Result: CheckOK}
	for _, s := range p.Config.Sysctls {
		const readOnly = 1 // ST_RDONLY, statvfs(3)
		file := hooks.SysctlPath(s.Name)
		var fs syscall.Statfs_t
		if err := syscall.Statfs("/proc/sys/net", &fs); err == nil && fs.Flags&readOnly != 0 {
			c.Result, c.Detail = CheckWarning, "/proc/sys cannot be written: "+s.Name+" stays as it is"
		} else if _, err := p.Sys.Stat(file); err != nil && c.Result == CheckOK {
			c.Detail = s.Name + " is not there until its module is loaded"
		}
	}
	return c
}

// checkSpace looks at the file system that the folder is in, or will be.
func checkSpace(dir string) Check {
	c := Check{Name: "space in " + dir, Result: CheckOK}
	var fs syscall.Statfs_t
	err := syscall.Statfs(dir, &fs)
	for err != nil && dir != "/" {
		dir = path.Dir(dir)
		err = syscall.Statfs(dir, &fs)
	}
	if err != nil {
		c.Result, c.Detail = CheckWarning, err.Error()
		return c
	}
	return c.withSpace(int64(fs.Bavail) * int64(fs.Bsize)) //nolint:unconvert // its type differs between architectures
}
