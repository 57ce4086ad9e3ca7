package simulate

import (
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/shell"
)

// does lists what a script with the step's arguments does: the hook's plan, if it calls the hook, or what can
// be told from its text.
func (s *simulation) does(script packaging.Script, t Step, env map[string]string, planned bool, e hooks.Event, config *hooks.Config) []Effect {
	if planned {
		return planEffects(hooks.Plan(e, *config), config)
	}
	argv := shell.Argv(script)
	dialect, errexit := shell.Dialect(argv)
	if dialect == "" {
		return []Effect{{Verb: "do", Text: "a script for " + argv[0] + ", which is not looked into", Maybe: true}}
	}
	call := shell.Call{Name: t.Name, Args: t.Args, Env: env, Errexit: errexit, Exists: s.exists(t)}
	if t.Kind == "script" && slices.Contains([]string{"preinst", "postinst", "prerm", "postrm"}, t.Name) {
		call.Name = "/var/lib/dpkg/info/" + env["DPKG_MAINTSCRIPT_PACKAGE"] + "." + t.Name
	}
	trace := &shell.Trace{}
	if f, err := shell.Parse(script.Body); err == nil {
		trace = call.Run(f)
	}
	var out []Effect
	for i := range trace.Steps {
		out = append(out, effects(&trace.Steps[i])...)
	}
	if !trace.Whole {
		out = append(out, Effect{Verb: "do", Text: "more, which was not understood", Maybe: true})
	}
	return out
}

// exists says what is known to be on the host when a script runs: systemd, the tools
// that come with it and the package manager, and the packages' own files.
func (s *simulation) exists(t Step) func(string) shell.Status {
	return func(name string) shell.Status {
		switch name {
		case "/run/systemd/system", "/usr/lib/systemd/systemd-update-helper", "/bin/systemctl", "/usr/bin/systemctl", "systemctl",
			"/usr/bin/deb-systemd-helper", "/usr/bin/deb-systemd-invoke", "deb-systemd-helper", "deb-systemd-invoke":
			return shell.Succeeds
		}
		layout := s.olds
		if t.Of == "new" && (t.Name == "%post" || t.Name == "%posttrans" || t.Name == "postinst") || t.Of == "old" && s.New != nil && t.Name != "prerm" && t.Name != "%preuntrans" {
			layout = s.news
		}
		if e, ok := layout.Lookup(name); ok && e.HasBody() && t.Name != "%postun" {
			return shell.Succeeds
		}
		return shell.Uncertain
	}
}

// planEffects gives the steps of a plan of the hook as effects.
func planEffects(steps []hooks.Step, config *hooks.Config) []Effect {
	var out []Effect
	add := func(verb, name, text string) { out = append(out, Effect{Verb: verb, Name: name, Text: text}) }
	for _, p := range steps {
		each := func(verb string) {
			for _, u := range p.Units {
				add(verb, u, verb+" "+u)
			}
		}
		switch p.Kind {
		case hooks.Active:
			each(either(p.Absent, "stop", "start"))
		case hooks.Restart:
			each("try-restart")
		case hooks.Enabled:
			each(either(p.Absent, "disable", "enable"))
		case hooks.Reload:
			if !config.Windows {
				add("do", "", "have systemd read its units again")
			}
		case hooks.Command:
			verb, unit := "do", ""
			if config.Start != nil && len(p.Units) > 0 { // the command that starts the product
				verb, unit = "start", p.Units[0]
			}
			add(verb, unit, "run "+strings.Join(p.Argv, " "))
		case hooks.User, hooks.Group:
			name := p.Name
			if p.Account != nil {
				name = p.Account.User
			}
			add("do", "", either(p.Absent, "remove the ", "see to it that there is the ")+string(p.Kind)+" "+name)
		case hooks.Known:
			add("do", "", "see that there is a user "+p.Name)
		case hooks.Dir:
			if !p.AsIs {
				add("do", "", either(p.Absent, "remove, if it is there and empty: ", "see to it that there is the folder ")+p.Path)
			}
		case hooks.File:
			if !p.Absent {
				add("do", "", "write "+hookPath(p.Path, config))
			} else {
				add("do", "", "remove, if it is there: "+hookPath(p.Path, config))
			}
		case hooks.Purged:
			out = append(out, Effect{Verb: "delete", Name: p.Path, Text: "delete " + p.Path + " with all that is in it", folder: true})
		case hooks.Owners:
			add("do", "", "give files of "+p.Path+" that fell to root to their owners")
		case hooks.Synced: // nothing to be seen
		default:
			add("do", "", p.String())
		}
	}
	return out
}

// hookPath is where a file of the hook's is: on Windows its state has another place.
func hookPath(name string, config *hooks.Config) string {
	if rest, ok := strings.CutPrefix(name, "/var/lib/"); ok && config.Windows {
		return "/ProgramData/" + rest
	}
	return name
}

func either(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// effects gives what a command of a script does to services, accounts and files.
// Others are left out.
func effects(c *shell.Step) []Effect {
	args := c.Shown[1:]
	text := strings.Join(c.Shown, " ")
	one := func(verb, name string) []Effect {
		return []Effect{{Verb: verb, Name: name, Text: text, Maybe: c.Maybe}}
	}
	switch name := path.Base(c.Shown[0]); name {
	case "systemctl", "deb-systemd-invoke":
		return systemctl(args, text, c.Maybe)
	case "systemd-update-helper":
		verbs := map[string]string{
			"install-system-units": "enable", "remove-system-units": "stop", "mark-restart-system-units": "try-restart", "mark-reload-system-units": "reload",
		}
		if len(args) > 0 && verbs[args[0]] != "" {
			return units(verbs[args[0]], args[1:], text, c.Maybe)
		}
	case "deb-systemd-helper":
		if verb, list := split(args); verb == "enable" || verb == "disable" || verb == "mask" || verb == "unmask" {
			return units(verb, list, text, c.Maybe)
		}
	case "service", "invoke-rc.d":
		if list := noOptions(args); len(list) > 1 {
			return units(verbOf(list[1]), list[:1], text, c.Maybe)
		}
	case "rm", "unlink", "shred":
		return removal(args, text, c.Maybe)
	case "find":
		if slices.Contains(args, "-delete") || slices.Contains(args, "rm") || slices.Contains(args, "/bin/rm") {
			return []Effect{{Verb: "delete", Name: args[0], Text: text, Maybe: c.Maybe, folder: true}}
		}
	case "useradd", "groupadd", "userdel", "groupdel", "adduser", "addgroup", "deluser", "delgroup", "usermod", "systemd-sysusers",
		"chkconfig", "update-rc.d", "dpkg-maintscript-helper", "update-alternatives", "alternatives", "ldconfig", "modprobe", "sysctl",
		"iptables", "nft", "firewall-cmd", "semodule", "setcap", "chown", "chmod", "mv", "cp", "dd", "reboot", "shutdown", "kill", "pkill", "killall":
		return one("do", "")
	default:
		if dir := path.Dir(c.Shown[0]); (dir == "/etc/init.d" || dir == "/etc/rc.d/init.d") && len(args) > 0 {
			return units(verbOf(args[0]), []string{name}, text, c.Maybe)
		}
	}
	return nil
}

// verbOf gives an init script's verb in systemctl's words.
func verbOf(s string) string {
	switch s {
	case "condrestart", "try-restart", "force-reload":
		return "try-restart"
	}
	return s
}

func systemctl(args []string, text string, maybe bool) []Effect {
	verb, list := split(args)
	switch verb {
	case "start", "stop", "restart", "try-restart", "enable", "disable", "mask", "unmask", "reload", "kill":
	case "condrestart", "try-reload-or-restart", "force-reload":
		verb = "try-restart"
	case "reload-or-restart":
		verb = "restart"
	case "preset", "reenable":
		verb = "enable"
	case "daemon-reload", "daemon-reexec":
		return []Effect{{Verb: "do", Text: text, Maybe: maybe}}
	default: // is-active and the like
		return nil
	}
	out := units(verb, list, text, maybe)
	if slices.Contains(args, "--now") {
		also := map[string]string{"enable": "start", "disable": "stop", "mask": "stop"}[verb]
		if also != "" {
			out = append(out, units(also, list, text, maybe)...)
		}
	}
	return out
}

// split gives the first argument that is no option, and those after it.
func split(args []string) (verb string, rest []string) {
	list := noOptions(args)
	if len(list) == 0 {
		return "", nil
	}
	return list[0], list[1:]
}

func noOptions(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-") })
}

// units gives an effect for each unit; a name without a kind is a service's.
func units(verb string, names []string, text string, maybe bool) []Effect {
	var out []Effect
	for _, n := range names {
		if n == "" || strings.HasPrefix(n, "-") {
			continue
		}
		if !strings.Contains(path.Base(n), ".") && !strings.Contains(n, "$") {
			n += ".service"
		}
		out = append(out, Effect{Verb: verb, Name: path.Base(n), Text: text, Maybe: maybe})
	}
	return out
}

func removal(args []string, text string, maybe bool) []Effect {
	folder := false
	for _, a := range args {
		if a == "--recursive" || strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.ContainsAny(a, "rR") {
			folder = true
		}
	}
	var out []Effect
	for _, p := range noOptions(args) {
		out = append(out, Effect{Verb: "delete", Name: p, Text: text, Maybe: maybe, folder: folder})
	}
	return out
}
