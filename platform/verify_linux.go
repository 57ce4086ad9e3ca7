package platform

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

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
	if up { // each start sees to these, and a stop leaves the rules
		if err := v.modules(ctx); err != nil {
			return err
		}
		if err := v.settings(kept); err != nil {
			return err
		}
	}
	return v.filtered(ctx, up)
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
	for line := range strings.SplitSeq(unit, "\n") {
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
		for target := range strings.FieldsSeq(value) {
			folders = append(folders, target+kind)
		}
	}
	return folders
}

func (v *verification) masked(unit string) {
	v.add(RuleUnitMasked, unit, "is masked, so that nothing can start it")
}

func (v *verification) overridden(unit, file string) {
	v.add(RuleUnitOverridden, unit, "is changed by "+file)
}

func (v *verification) disabled(unit, got string) {
	v.differ(RuleUnitDisabled, unit, "enabled", got)
}

// units looks at the units and their processes. The product is up when its unit is
// active.
func (v *verification) units(ctx context.Context) (up bool, err error) {
	if len(v.Config.Units) == 0 {
		return false, nil
	}
	argv := []string{"systemctl", "show", "--property=" +
		"Id,LoadState,ActiveState,SubState,MainPID,Type,RemainAfterExit,FragmentPath,DropInPaths,NeedDaemonReload"}
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
	for i, u := range v.Config.Units {
		is := properties(blocks[i])
		if is["LoadState"] == "not-found" { // the record's matter
			continue
		}
		masked := v.unitFile(ctx, u, is)
		c, err := unitState(u.Name, blocks[i])
		switch {
		case err != nil: // and so it cannot be loaded
			v.add(RuleUnitOverridden, u.Name, err.Error())
		case masked && c.PID == 0:
		case i == 0 || up:
			// Where the product's unit does not run, the others are stopped with it, which
			// is one deviation.
			v.unitRuns(ctx, u, c, i == 0, is["Type"] == "oneshot" && is["RemainAfterExit"] != "yes")
		}
		up = up || i == 0 && c.State == StateRunning
	}
	return up, nil
}

// unitFile looks at where a unit comes from and whether it is enabled.
func (v *verification) unitFile(ctx context.Context, u hooks.Unit, is map[string]string) (masked bool) {
	out, _ := v.Sys.Run(ctx, "systemctl", "is-enabled", u.Name) // its status says the same as its answer
	answer := strings.TrimSpace(out)
	if is["LoadState"] == "masked" || strings.HasPrefix(answer, "masked") {
		v.masked(u.Name)
		return true
	}
	file := is["FragmentPath"]
	if file != "" && !slices.Contains(unitFolders, path.Dir(file)) {
		v.overridden(u.Name, file)
		return false
	}
	changed := is["NeedDaemonReload"] != "yes"
	for _, file := range v.dropIns(ctx, u.Name, strings.Fields(is["DropInPaths"])) {
		if !v.ownDropIn(file) {
			v.overridden(u.Name, file)
			changed = true
		}
	}
	if !changed {
		v.add(RuleUnitOverridden, u.Name, "its file or a drop-in is not what systemd has read: see systemctl cat "+u.Name)
	}
	if u.Enable && answer != "enabled" {
		v.disabled(u.Name, answer)
	}
	return false
}

// dropIns adds those that systemd has not read yet.
func (v *verification) dropIns(ctx context.Context, unit string, files []string) []string {
	for _, dir := range []string{etcUnits, "/run/systemd/system/"} {
		if dir += unit + ".d"; !v.there(dir) {
			continue
		}
		out, _ := v.Sys.Run(ctx, "find", dir, "-name", "*.conf") // without find, those that it has read have to do
		for file := range strings.FieldsSeq(out) {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files
}

// ownDropIn reports whether a drop-in is the hook's, or the distribution's for all
// units of a kind, as Fedora's service.d.
func (v *verification) ownDropIn(file string) bool {
	dir := path.Dir(file)
	if slices.Contains(unitFolders, path.Dir(dir)) && strings.Count(path.Base(dir), ".") == 1 {
		return true
	}
	for _, s := range hooks.Beside(v.Config, v.user) {
		if s.Path == file && !s.Absent {
			return true
		}
	}
	return false
}

// unitRuns looks at whether a unit runs that is to run, and at its process. One that
// ends by itself may have ended well.
func (v *verification) unitRuns(ctx context.Context, u hooks.Unit, is ComponentState, first, ends bool) {
	wanted := u.Start || first && len(v.Config.Start) > 0
	for _, c := range v.Config.Components {
		wanted = wanted || first
		if c.Name+".service" != u.Name {
			continue
		}
		wanted = true
		if is.State == StateRunning {
			v.process(ctx, c, is.PID)
		}
	}
	switch {
	case !wanted, is.State == StateRunning, is.State == StateStarting, ends && is.State == StateStopped:
	default:
		v.differ(RuleUnitStopped, u.Name, StateRunning, is.State)
	}
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
		is := ComponentState{State: StateStopped}
		for _, s := range states {
			if s.Name == c.Name {
				is = s
			}
		}
		switch is.State {
		case StateStarting:
		case StateRunning:
			v.process(ctx, c, is.PID)
		default:
			v.differ(RuleUnitStopped, c.Name, StateRunning, is.State)
		}
	}
	return true, nil
}

// process looks at the account of a component's process.
func (v *verification) process(ctx context.Context, c hooks.Component, pid int) {
	b, err := v.Sys.ReadFile("/proc/" + strconv.Itoa(pid) + "/status") // proc_pid_status(5)
	if err != nil {
		return // it has just ended
	}
	want := v.user
	if c.Root || want == "" {
		want = "root"
	}
	n, known := v.number(ctx, "passwd", want)
	_, ids, _ := strings.Cut(string(b), "\nUid:")
	ids, _, _ = strings.Cut(ids, "\n")
	for id := range strings.FieldsSeq(ids) { // the real, the effective, the saved and the file system's
		if is, err := strconv.Atoi(id); err == nil && (!known || is != n) {
			v.differ(RuleProcessAccount, c.Name, want, v.name(ctx, "passwd", is))
			return
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
		for _, name := range names {
			if slices.Contains(listed, name) {
				names, expected = []string{name}, true
				break
			}
		}
		there := false
		for _, name := range names {
			is, can := m.inForce(ctx, name)
			there, expected = there || is, expected || can
		}
		if expected && !there {
			v.add(RuleModule, want.Name, "none of these is loaded or built in: "+strings.Join(names, " "))
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
	var steps []hooks.Step
	for _, s := range v.Config.Sysctls {
		steps = append(steps, hooks.Step{Kind: hooks.Sysctl, Name: s.Name, Only: []string{s.Value}})
	}
	for _, k := range kept {
		known := false
		for i := range steps {
			if steps[i].Name == k.Name {
				steps[i].Only = append(k.Only, steps[i].Only...)
				known = true
			}
		}
		if !known {
			steps = append(steps, k)
		}
	}
	for _, s := range steps {
		if s.Kind != hooks.Sysctl || len(s.Only) == 0 {
			continue
		}
		b, err := v.Sys.ReadFile(hooks.SysctlPath(s.Name))
		if isMissing(err) {
			continue
		}
		if err != nil {
			return err
		}
		if now := strings.Join(strings.Fields(string(b)), " "); !slices.Contains(s.Only, now) {
			v.differ(RuleSysctl, s.Name, s.Only[len(s.Only)-1], now)
		}
	}
	return nil
}

const packetFilter = "packet filter"

// filtered looks at whose rules are in force.
func (v *verification) filtered(ctx context.Context, up bool) error {
	if v.Config.Firewall == nil {
		return nil
	}
	taken, err := v.taken()
	if err != nil {
		return err
	}
	if !taken {
		take, err := v.takes()
		if err == nil && up && take {
			v.add(RuleFirewall, packetFilter, "is not the product's, although the product runs")
		}
		return err
	}
	f := v.filter()
	policy, err := f.wanted()
	if err != nil {
		return err
	}
	for _, name := range v.Config.Firewall.Services {
		name += ".service"
		is := hooks.ServiceState(ctx, v.Sys, name)
		if is == "" || is == "masked" || policy == nil && name == rulesOwner { // which may go on then: see do
			continue
		}
		v.add(RuleFirewall, name, "is "+is+" again, although the product has the packet filter")
	}
	if policy == nil { // the host's own rules are their administrator's
		return nil
	}
	if !v.there(f.file(seenFile)) {
		v.add(RuleFirewall, packetFilter, "which rules were put in force is not known: "+f.file(seenFile)+" is gone")
		return nil
	}
	changed, err := f.changed(ctx)
	if err == nil && changed { // or is being changed on purpose: that is done under the lock
		lerr := v.settled(ctx, func() { changed, err = f.changed(ctx) })
		if lerr != nil {
			v.Log.Warn("looking without the lock", "error", lerr)
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		v.add(RuleFirewall, packetFilter, "its rules cannot be looked at: "+err.Error())
	case changed:
		v.add(RuleFirewall, packetFilter, v.whatChanged(ctx, f, policy.Version))
	}
	return nil
}

// patience is how long who only looks waits for who changes.
const patience = 30 * time.Second

// settled looks while nothing is being changed on purpose. What has the lock for
// longer than that hangs or was stopped in its tracks, and is not waited for.
func (v *verification) settled(ctx context.Context, look func()) error {
	type lock struct {
		unlock func()
		err    error
	}
	got := make(chan lock, 1)
	go func() {
		unlock, err := v.Sys.Lock(v.state(lockFile))
		got <- lock{unlock, err}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case l := <-got:
		if l.err != nil {
			return l.err
		}
		defer l.unlock()
		look()
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	go func() { // which ends with the program, if not before
		if l := <-got; l.err == nil {
			l.unlock()
		}
	}()
	return fmt.Errorf("%s is still locked after %s", v.state(lockFile), patience)
}

func (v *verification) whatChanged(ctx context.Context, f filter, version string) string {
	if rules, err := f.HostRules(ctx); err == nil && len(rules.Own) == 0 {
		return "of policy " + version + " no rule is in force"
	}
	return "the rules in force are not those that were put there with policy " + version
}
