package platform

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// unitFolders are where a package's units are; each name stands for the other where
// /lib is a link.
var unitFolders = []string{"/usr/lib/systemd/system", "/lib/systemd/system"}

const etcUnits = "/etc/systemd/system/"

// running looks at what is not a file.
func (v *verification) running(ctx context.Context, image bool) error {
	if image {
		return v.unitsInImage()
	}
	if h, ok := v.Sys.(hooks.Host); ok && away(h.Surroundings()) != "" {
		return nil
	}
	look := v.components // without systemd
	if a, err := v.Sys.Stat("/run/systemd/system"); err == nil && a.Mode.IsDir() {
		look = v.units
	}
	up, err := look(ctx)
	if err != nil {
		return err
	}
	kept, err := v.ledger().Kept()
	if err != nil {
		return err
	}
	if !up && len(kept) == 0 { // nothing has been set up yet
		return nil
	}
	if err := v.ledgerFiles(kept); err != nil {
		return err
	}
	if err := v.modules(ctx); err != nil {
		return err
	}
	if err := v.settings(kept); err != nil {
		return err
	}
	return v.filtered(ctx, kept, up)
}

// unitsInImage looks at the links by which units are enabled or masked.
func (v *verification) unitsInImage() error {
	if !v.there("/usr/bin/systemctl") && !v.there("/bin/systemctl") {
		return nil // nobody could enable them
	}
	for _, u := range v.Config.Units {
		text, err := v.unitText(u.Name)
		if err != nil {
			return err
		}
		switch a, err := v.Sys.Stat(etcUnits + u.Name); {
		case err == nil && a.Mode&fs.ModeSymlink != 0 && v.empty(etcUnits+u.Name):
			v.masked(u.Name)
			continue
		case err == nil:
			v.overridden(u.Name, etcUnits+u.Name)
			continue
		}
		for _, link := range wantedBy(text) {
			if u.Enable && !v.there(etcUnits+link+"/"+u.Name) {
				v.disabled(u.Name, "disabled")
				break
			}
		}
	}
	return nil
}

func (v *verification) there(name string) bool {
	_, err := v.Sys.Stat(name)
	return err == nil
}

// empty reports whether nothing can be read there, as from /dev/null.
func (v *verification) empty(name string) bool {
	b, err := v.Sys.ReadFile(name)
	return err == nil && len(b) == 0
}

// unitText is the unit's file. One that is missing is the record's matter.
func (v *verification) unitText(name string) (string, error) {
	for _, dir := range unitFolders {
		b, err := v.Sys.ReadFile(dir + "/" + name)
		if err == nil || !isMissing(err) {
			return string(b), err
		}
	}
	return "", nil
}

// wantedBy are the folders that get a link when the unit is enabled: systemd.unit(5),
// section [Install].
func wantedBy(unit string) []string {
	var folders []string
	install := false
	for line := range strings.Lines(unit) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			install = line == "[Install]"
		}
		key, value, ok := strings.Cut(line, "=")
		if !install || !ok {
			continue
		}
		kind, ok := map[string]string{"WantedBy": ".wants", "RequiredBy": ".requires", "UpheldBy": ".upholds"}[strings.TrimSpace(key)]
		if !ok {
			continue
		}
		for _, target := range strings.Fields(value) {
			folders = append(folders, target+kind)
		}
	}
	return folders
}

func (v *verification) masked(unit string) {
	v.add(RuleUnitMasked, unit, "is masked, so that nothing can start it")
}

func (v *verification) overridden(unit, file string) {
	v.found = append(v.found, Deviation{Rule: RuleUnitOverridden, Where: unit, Text: "is changed by " + file, Got: file})
}

func (v *verification) disabled(unit, got string) {
	v.found = append(v.found, Deviation{RuleUnitDisabled, unit, "is not started at boot: it is " + got, "enabled", got})
}

// What is asked for about each unit: org.freedesktop.systemd1(5).
const unitProperties = "Id,LoadState,ActiveState,SubState,Type,RemainAfterExit,MainPID,FragmentPath,DropInPaths,NeedDaemonReload"

// units looks at the units and their processes. The product is up when its unit is
// active.
func (v *verification) units(ctx context.Context) (up bool, err error) {
	if len(v.Config.Units) == 0 {
		return false, nil
	}
	argv := []string{"systemctl", "show", "--property=" + unitProperties}
	for _, u := range v.Config.Units {
		argv = append(argv, u.Name)
	}
	out, err := v.Sys.Run(ctx, argv...)
	if err != nil {
		return false, fmt.Errorf("systemctl show: %w", err)
	}
	blocks := strings.Split(strings.TrimSpace(out), "\n\n")
	if len(blocks) != len(v.Config.Units) {
		return false, fmt.Errorf("systemctl show: %d answers for %d units", len(blocks), len(v.Config.Units))
	}
	up = true // where there is no product's unit, as below
	for i, u := range v.Config.Units {
		is := properties(blocks[i])
		if is["LoadState"] == "not-found" { // the record's matter
			up = up && i > 0
			continue
		}
		masked := v.unitFile(ctx, u, is)
		active := v.unitRuns(ctx, u, is, masked, i == 0, up)
		up = up && (i > 0 || active)
	}
	return up, nil
}

func properties(block string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(block) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		m[key] = value
	}
	return m
}

// unitFile looks at where a unit comes from and whether it is enabled.
func (v *verification) unitFile(ctx context.Context, u hooks.Unit, is map[string]string) (masked bool) {
	out, _ := v.Sys.Run(ctx, "systemctl", "is-enabled", u.Name) // its status says the same as its answer
	answer := strings.TrimSpace(out)
	if is["LoadState"] == "masked" || answer == "masked" || answer == "masked-runtime" {
		v.masked(u.Name)
		return true
	}
	if file := is["FragmentPath"]; file != "" && !slices.Contains(unitFolders, path.Dir(file)) {
		v.overridden(u.Name, file)
		return false
	}
	changed := false
	for _, file := range strings.Fields(is["DropInPaths"]) {
		if !v.ownDropIn(file) {
			v.overridden(u.Name, file)
			changed = true
		}
	}
	if is["NeedDaemonReload"] == "yes" && !changed {
		v.add(RuleUnitOverridden, u.Name, "its file or a drop-in is not what systemd has read: see systemctl cat %s", u.Name)
	}
	if u.Enable && answer != "enabled" {
		v.disabled(u.Name, answer)
	}
	return false
}

// ownDropIn reports whether a drop-in is the hook's, or the distribution's for all
// units of a kind, as Fedora's service.d.
func (v *verification) ownDropIn(file string) bool {
	dir := path.Dir(file)
	if slices.Contains(unitFolders, path.Dir(dir)) && strings.Count(path.Base(dir), ".") == 1 {
		return true
	}
	return slices.ContainsFunc(hooks.Beside(v.Config, v.user), func(s hooks.Step) bool {
		return s.Kind == hooks.File && !s.Absent && s.Path == file
	})
}

// unitRuns looks at whether a unit runs that is to run, and at its process. Where the
// product's unit does not run, the others are stopped with it, which is one
// deviation.
func (v *verification) unitRuns(ctx context.Context, u hooks.Unit, is map[string]string, masked, first, up bool) (active bool) {
	i := slices.IndexFunc(v.Config.Components, func(c hooks.Component) bool { return c.Name+".service" == u.Name })
	switch is["ActiveState"] {
	case "active", "reloading":
		active = true
	case "activating":
		active = is["SubState"] != "auto-restart" // which is what follows a failure
	}
	wanted := u.Start || i >= 0 || first && (len(v.Config.Start) > 0 || len(v.Config.Components) > 0)
	ends := is["Type"] == "oneshot" && is["RemainAfterExit"] != "yes" && is["ActiveState"] == "inactive"
	switch {
	case !active && wanted && !masked && !ends && (first || up):
		state := is["ActiveState"]
		if is["SubState"] == "auto-restart" {
			state = "ending again and again"
		}
		v.found = append(v.found, Deviation{RuleUnitStopped, u.Name, "does not run: it is " + state, "active", state})
	case active && i >= 0 && is["ActiveState"] != "activating":
		v.process(ctx, v.Config.Components[i], is["MainPID"])
	}
	return active
}

// components looks at the components where no systemd supervises them. The product
// is up when our supervisor runs.
func (v *verification) components(ctx context.Context) (up bool, err error) {
	pid, err := v.runtime().Supervisor()
	if err != nil || pid == 0 {
		return false, err
	}
	states, err := v.own().states(ctx)
	if err != nil {
		return true, err
	}
	for _, c := range v.Config.Components {
		i := slices.IndexFunc(states, func(s ComponentState) bool { return s.Name == c.Name })
		switch {
		case i < 0 || states[i].PID == 0:
			v.add(RuleUnitStopped, c.Name, "does not run, and the supervisor does")
		case states[i].State == StateRunning:
			v.process(ctx, c, strconv.Itoa(states[i].PID))
		}
	}
	return true, nil
}

// process looks at the account of a component's process.
func (v *verification) process(ctx context.Context, c hooks.Component, pid string) {
	b, err := v.Sys.ReadFile("/proc/" + pid + "/status") // proc_pid_status(5)
	if err != nil {
		return // it has just ended
	}
	want := v.user
	if c.Root || want == "" {
		want = "root"
	}
	n, known := v.number(ctx, "passwd", want)
	for line := range strings.Lines(string(b)) {
		// The real, effective, saved and file system's.
		ids, ok := strings.CutPrefix(line, "Uid:")
		if !ok {
			continue
		}
		for _, id := range strings.Fields(ids) {
			if is, err := strconv.Atoi(id); err != nil || !known || is != n {
				got := v.name(ctx, "passwd", is)
				v.found = append(v.found, Deviation{RuleProcessAccount, c.Name, fmt.Sprintf("process %s runs as %s, want %s", pid, got, want), want, got})
				return
			}
		}
	}
}

func (v *verification) ledgerFiles(kept []hooks.Step) error {
	for _, s := range kept {
		if s.Kind != hooks.File || len(s.Only) == 0 {
			continue
		}
		if err := v.file(s.Path, s.Only...); err != nil {
			return err
		}
	}
	return nil
}

// modules looks for modules that were loaded and are no longer. One that this kernel
// has never had is no deviation unless it is required: check-env tells about it.
func (v *verification) modules(ctx context.Context) error {
	b, err := v.Sys.ReadFile("/etc/modules-load.d/" + v.Config.Name + ".conf")
	if err != nil && !isMissing(err) {
		return err
	}
	listed := strings.Fields(string(b))
	m := newModules(v.Sys, true)
	for _, want := range v.Config.Modules {
		names := append([]string{want.Name}, want.Substitutes...)
		expected := want.Required
		if i := slices.IndexFunc(names, func(n string) bool { return slices.Contains(listed, n) }); i >= 0 {
			names, expected = names[i:i+1], true
		}
		there := false
		for _, name := range names {
			is, can := m.inForce(ctx, name)
			there, expected = there || is, expected || can
		}
		if expected && !there {
			v.add(RuleModule, want.Name, "none of these is loaded or built in: %s", strings.Join(names, " "))
		}
	}
	return nil
}

// inForce reports whether the module is loaded or built in, or else can be loaded.
func (m modules) inForce(ctx context.Context, name string) (is, can bool) {
	if m.builtIn(name) || m.loaded(ctx, name) {
		return true, true
	}
	// It tells what it would do, which is nothing for an alias of what is loaded.
	out, err := m.sys.Run(ctx, "modprobe", "-n", "-v", name)
	return err == nil && !strings.Contains(out, "insmod ") && !strings.Contains(out, "install "), err == nil
}

// settings looks at the kernel's settings. What the kernel has made of a value is in
// the ledger. A setting that the kernel does not have was left.
func (v *verification) settings(kept []hooks.Step) error {
	allowed := map[string][]string{}
	var names []string
	for _, s := range v.Config.Sysctls {
		names = append(names, s.Name)
		allowed[s.Name] = []string{s.Value}
	}
	for _, s := range kept {
		if s.Kind == hooks.Sysctl && len(s.Only) > 0 {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
			allowed[s.Name] = append(allowed[s.Name], s.Only...)
		}
	}
	for _, name := range names {
		b, err := v.Sys.ReadFile(hooks.SysctlPath(name))
		if isMissing(err) {
			continue
		}
		if err != nil {
			return err
		}
		if now := strings.Join(strings.Fields(string(b)), " "); !slices.Contains(allowed[name], now) {
			v.differ(RuleSysctl, name, allowed[name][len(allowed[name])-1], now)
		}
	}
	return nil
}

const packetFilter = "packet filter"

// filtered looks at whose rules are in force.
func (v *verification) filtered(ctx context.Context, kept []hooks.Step, up bool) error {
	if v.Config.Firewall == nil {
		return nil
	}
	taken := slices.ContainsFunc(kept, func(s hooks.Step) bool { return s.Kind == hooks.Rules })
	if !taken {
		take, err := v.takes()
		if err == nil && up && take {
			v.add(RuleFirewall, packetFilter, "is not the product's, although the product runs")
		}
		return err
	}
	for _, s := range kept {
		if s.Kind != hooks.Service {
			continue
		}
		if is := hooks.ServiceState(ctx, v.Sys, s.Name); is != "" && is != "masked" {
			v.add(RuleFirewall, s.Name, "is %s again, although the product has the packet filter", is)
		}
	}
	f := v.filter()
	policy, err := f.wanted()
	if err != nil || policy == nil { // the host's own rules are their administrator's
		return err
	}
	if !v.there(f.file(seenFile)) {
		v.add(RuleFirewall, packetFilter, "which rules were put in force with policy %q is not known: %s is gone", policy.Version, f.file(seenFile))
		return nil
	}
	changed, err := f.changed(ctx)
	if err == nil && changed { // or is being changed on purpose: that is done under the lock
		lerr := v.locked(func() error {
			changed, err = f.changed(ctx)
			return nil
		})
		if lerr != nil {
			v.Log.Warn("looking without the lock", "error", lerr)
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		v.add(RuleFirewall, packetFilter, "its rules cannot be looked at: %v", err)
	case changed:
		v.add(RuleFirewall, packetFilter, "%s", v.whatChanged(ctx, f, policy.Version))
	}
	return nil
}

func (v *verification) whatChanged(ctx context.Context, f filter, version string) string {
	if rules, err := f.HostRules(ctx); err == nil && len(rules.Own) == 0 {
		return fmt.Sprintf("policy %q is not in force: none of its rules is there", version)
	}
	return fmt.Sprintf("the rules in force are not those that were put there with policy %q", version)
}
