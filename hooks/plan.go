package hooks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// Plan lists what is to be done at an event, in order. It looks at nothing but
// its arguments. What is so already costs no effect when the list is run.
//
// A change of version leaves the service alone but for a restart if it runs, on
// both systems after the new version was unpacked: so it ends in the state in
// which it was found. rpm runs the old version's %preun after that and dpkg its
// prerm before; neither does anything.
func Plan(e Event, c Config) []Step {
	switch {
	case e.Action == Rollback && c.Windows: // Windows Installer takes back all of it
		return []Step{{Kind: File, Path: c.State() + "/" + failedFile, Absent: true}}
	case e.Action == Rollback: // its steps stand in the journal
		return nil
	case e.Phase == PreInstall && c.Windows:
		return planBefore(c)
	case e.Phase == PreInstall:
		return appendFolder(planAccount(e, c), Step{Kind: Dir, Path: path.Dir(c.Program), Mode: 0o755, AsIs: true})
	case e.Phase == PostInstall && e.Action != "":
		return planInstalled(e, c)
	case e.Phase == PreRemove && e.Action == Remove:
		return planRemove(e, c)
	case e.Phase == PostRemove && e.Action == Remove:
		return planReload(e)
	case e.Phase == PostRemove && e.Action == Purge && c.Windows && !e.Open:
		return planPurge(c) // of a DEB, a script does it: no hook is left then
	}
	return nil
}

// planBefore makes the folders before Windows Installer comes to make them: one of
// them that an ordinary user has put there is refused while nothing is changed yet.
func planBefore(c Config) []Step {
	// The program's own has the access list that Windows gives it, whatever it is:
	// that is what a mode with the sticky bit stands for, see ownList.
	steps := appendFolder(nil, Step{Kind: Dir, Path: c.Program, Mode: 0o1755})
	for _, f := range planFolders(c, "") {
		steps = appendFolder(steps, f)
	}
	return steps
}

// planPurge removes the folders beside the payload with all that is in them. It
// cannot be undone, so it is a committed removal's.
func planPurge(c Config) []Step {
	var steps []Step
	for _, f := range c.Folders {
		if !slices.ContainsFunc(steps, func(s Step) bool { return within(f.Path, s.Path) }) { // parents come first
			steps = append(steps, Step{Kind: Purged, Path: f.Path})
		}
	}
	return steps
}

// appendFolder appends a step about a folder, after steps that make those above
// it, which are left as they are: /opt, which nobody owns.
func appendFolder(steps []Step, s Step) []Step {
	if dir := path.Dir(s.Path); dir != "/" {
		steps = appendFolder(steps, Step{Kind: Dir, Path: dir, Mode: 0o755, AsIs: true})
	}
	if slices.ContainsFunc(steps, func(p Step) bool { return p.Kind == Dir && p.Path == s.Path }) {
		return steps
	}
	return append(steps, s)
}

// planAccount makes the package's own account, which owns the payload, whatever
// the services run as.
func planAccount(e Event, c Config) []Step {
	var steps []Step
	if chosen(e, c) != "" {
		steps = append(steps, Step{Kind: Known, Name: e.User})
	}
	if c.Account.User == "" {
		return steps
	}
	a, made := c.Account, c.State()+"/"+madeFile
	return append(steps,
		Step{Kind: Group, Name: a.GroupName(), Made: made},
		Step{Kind: User, Account: &a, Made: made})
}

// chosen is the account that the administrator chose, if it is another one than
// the package's.
func chosen(e Event, c Config) string {
	if e.User == c.Account.User {
		return ""
	}
	return e.User
}

func planInstalled(e Event, c Config) []Step {
	names := unitNames(c.Units)
	steps := planAccount(e, c)
	if !c.Windows {
		steps = append(steps, Step{Kind: Owners, Path: c.Program + RecordFile})
	}
	for _, f := range planFolders(c, chosen(e, c)) {
		steps = appendFolder(steps, f)
	}
	steps = appendDropIns(steps, c, chosen(e, c))
	steps = append(steps,
		planState(c, Installed{Format: 1, Version: c.Version, Program: c.Program, User: chosen(e, c), Units: names}),
		Step{Kind: File, Path: c.State() + "/" + failedFile, Absent: true})
	steps = append(steps, planReload(e)...)

	var kept, enable, start []string
	for _, u := range c.Units {
		if e.changes() && (e.Was.Version == "" || slices.Contains(e.Was.Units, u.Name)) {
			if !u.AtBoot {
				kept = append(kept, u.Name)
			}
			continue
		}
		if u.Enable {
			enable = append(enable, u.Name)
		}
		if u.Start {
			start = append(start, u.Name)
		}
	}
	gone := slices.DeleteFunc(slices.Clone(e.Was.Units), func(u string) bool { return slices.Contains(names, u) })
	steps = appendUnits(steps, Step{Kind: Enabled, Units: gone, Absent: true})
	steps = appendUnits(steps, Step{Kind: Enabled, Units: enable})
	steps = appendLabels(steps, e, c)
	// rpm does not wait for the disk, neither do useradd and systemctl.
	steps = append(steps, Step{Kind: Synced, Path: c.Program})
	if !c.Windows {
		steps = append(steps, Step{Kind: Synced, Path: "/etc"})
	}
	if e.Offline {
		if e.changes() {
			steps = appendMonitored(steps, c, "try-restart")
		}
		return steps
	}
	if c.Windows {
		steps = appendRecovery(steps, c.Units)
	}
	steps = appendUnits(steps, Step{Kind: Active, Units: gone, Absent: true})
	steps = appendUnits(steps, Step{Kind: Restart, Units: kept})
	steps = appendUnits(steps, Step{Kind: Active, Units: start})
	if e.Action == Install && len(c.Start) > 0 {
		argv := append([]string{path.Join(c.Program, c.Start[0])}, c.Start[1:]...)
		steps = append(steps, Step{Kind: Command, Argv: argv, Units: names[:min(1, len(names))]}) // the first stands for the product
	}
	if e.Activate != "" {
		argv := []string{c.Agent(), "activate", "--management-server", e.Activate, "--activation-code-file", c.ActivationCode(), "--timeout", activationTime}
		steps = append(steps, Step{Kind: Command, Argv: argv, Optional: true})
	}
	return steps
}

// activationTime is how long an installation waits for the server. The service
// goes on trying.
const activationTime = "60s"

// appendRecovery says what follows when services fail, which ending with an error is
// too. Windows Installer has tables for that, and sc.exe is what its documentation
// recommends instead of them (page "MsiConfigureServices Action"): it is denied to
// restart a service.
func appendRecovery(steps []Step, units []Unit) []Step {
	const program = "/Windows/System32/sc.exe"
	for _, u := range units {
		if len(u.Restart) == 0 {
			continue
		}
		var actions []string
		for _, seconds := range u.Restart {
			actions = append(actions, fmt.Sprintf("restart/%d", seconds*1000)) // milliseconds
		}
		steps = append(steps,
			Step{Kind: Command, Argv: []string{program, "failure", u.Name, "reset=", "86400", "actions=", strings.Join(actions, "/")}, Optional: true},
			Step{Kind: Command, Argv: []string{program, "failureflag", u.Name, "1"}, Optional: true})
	}
	return steps
}

// appendLabels gives files the labels that the policy has for them: those of an
// RPM have them where rpm was built to set them, as Red Hat's is.
func appendLabels(steps []Step, e Event, c Config) []Step {
	if !e.Labels {
		return steps
	}
	argv := []string{"restorecon", "-R", c.Program, c.State()}
	for _, f := range c.Folders {
		argv = append(argv, f.Path)
	}
	return append(steps, Step{Kind: Command, Argv: argv, Optional: true})
}

// appendMonitored lets the platform part see to the components that a container
// without systemd runs by itself, which is as offline as an image. In an image or
// a chroot nothing runs, and it does nothing.
func appendMonitored(steps []Step, c Config, verb string) []Step {
	if len(c.Components) == 0 {
		return steps
	}
	return append(steps, Step{Kind: Command, Argv: []string{c.Hook(), "platform", verb}})
}

// planFolders makes and repairs the folders beside the payload. Those of the
// account are the chosen user's, if there is one.
func planFolders(c Config, user string) []Step {
	var steps []Step
	for _, f := range c.Folders {
		owner := f.Owner
		if user != "" && owner == c.Account.User {
			owner = user
		}
		steps = append(steps, Step{Kind: Dir, Path: f.Path, Mode: f.Mode, Owner: owner, Group: f.Group})
	}
	return steps
}

func planRemove(e Event, c Config) []Step {
	var steps []Step
	names := unitNames(c.Units)
	if e.Offline {
		steps = appendMonitored(steps, c, "stop")
	} else {
		steps = appendUnits(steps, Step{Kind: Active, Units: names, Absent: true})
	}
	if c.changesHost() {
		steps = append(steps, Step{Kind: Command, Argv: []string{c.Hook(), "platform", "restore"}, Tell: true}) // the monitor has stopped
	}
	steps = appendUnits(steps, Step{Kind: Enabled, Units: names, Absent: true})
	steps = appendDropIns(steps, c, "")
	steps = append(steps,
		planState(c, Installed{Format: 1, User: e.Was.User}),
		Step{Kind: File, Path: c.State() + "/" + failedFile, Absent: true})
	return append(steps, planReload(e)...)
}

// appendDropIns lets the units that run as the account run as the chosen one.
func appendDropIns(steps []Step, c Config, user string) []Step {
	for _, u := range c.Units {
		if !u.RunAs {
			continue
		}
		dir := "/etc/systemd/system/" + u.Name + ".d"
		file := Step{Kind: File, Path: dir + "/vpkg-account.conf"}
		if user == "" {
			file.Absent = true
			steps = append(steps, file, Step{Kind: Dir, Path: dir, Absent: true})
			continue
		}
		file.Mode, file.Text = 0o644, "[Service]\nUser="+user+"\n"
		steps = append(appendFolder(steps, Step{Kind: Dir, Path: dir, Mode: 0o755, AsIs: true}), file)
	}
	return steps
}

func planState(c Config, in Installed) Step {
	b, err := tinyjson.Marshal(in)
	if err != nil {
		panic(err) // a struct of strings always has a text
	}
	return Step{Kind: File, Path: c.State() + "/" + installedFile, Mode: 0o644, Text: string(b) + "\n"}
}

func planReload(e Event) []Step {
	if e.Offline {
		return nil
	}
	return []Step{{Kind: Reload}}
}

// appendUnits appends a step about units unless it is about none.
func appendUnits(steps []Step, s Step) []Step {
	if len(s.Units) == 0 {
		return steps
	}
	return append(steps, s)
}

func unitNames(units []Unit) []string {
	var names []string
	for _, u := range units {
		names = append(names, u.Name)
	}
	return names
}
