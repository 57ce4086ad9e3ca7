package verify

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/shell"
)

// A scriptlet is one that is written for a shell.
type scriptlet struct {
	name    string // "%preun", "prerm"
	phase   packaging.Phase
	body    string
	file    *syntax.File // nil if it cannot be read
	err     error
	errexit bool // its first line has -e
	traces  map[string]*shell.Trace
	every   map[shell.Status][]*shell.Step // what checker.every found, by the scene's systemd
	helped  map[uint]bool                  // lines that debhelper wrote
}

// names of scriptlets, as their makers call them.
var scriptNames = map[string]map[packaging.Phase]string{
	"rpm": {
		packaging.PreInstall: "%pre", packaging.PostInstall: "%post", packaging.PreRemove: "%preun", packaging.PostRemove: "%postun",
		packaging.PreTrans: "%pretrans", packaging.PostTrans: "%posttrans", packaging.PreUnTrans: "%preuntrans", packaging.PostUnTrans: "%postuntrans",
		packaging.VerifyScript: "%verifyscript",
	},
	"deb": {
		packaging.PreInstall: "preinst", packaging.PostInstall: "postinst", packaging.PreRemove: "prerm", packaging.PostRemove: "postrm",
		packaging.DebConfig: "config",
	},
}

// ScriptName is a scriptlet's name in a format: "%preun" or "prerm".
func ScriptName(format string, p packaging.Phase) string {
	if n, ok := scriptNames[format][p]; ok {
		return n
	}
	return string(p)
}

// What of all scriptlets of a package is looked at; see also the bounds of packaging/shell.
const (
	maxScripts     = 40
	maxScriptBytes = 256 << 10
)

// readScripts parses the scriptlets and the triggers that a shell runs.
func (c *checker) readScripts() []*scriptlet {
	var all []*scriptlet
	left := maxScriptBytes
	add := func(name string, s packaging.Script) {
		dialect, errexit := shell.Dialect(shell.Argv(s))
		if dialect == "" || strings.TrimSpace(s.Body) == "" {
			return
		}
		x := &scriptlet{name: name, phase: s.Phase, body: s.Body, errexit: errexit, traces: map[string]*shell.Trace{}, every: map[shell.Status][]*shell.Step{}}
		if left -= len(s.Body); left < 0 || len(all) >= maxScripts {
			if len(all) < maxScripts+1 {
				x.err = errors.New("the package has more scriptlets, or larger ones, than are looked at")
				all = append(all, x)
			}
			return
		}
		x.file, x.err = shell.Parse(s.Body)
		x.helped = debhelperLines(s.Body)
		all = append(all, x)
	}
	for _, s := range c.Package.Scripts {
		add(ScriptName(c.Format, s.Phase), s)
	}
	for _, t := range c.Package.Triggers {
		if c.Format == "rpm" {
			s := t.Script
			s.Phase = "trigger"
			add("%"+t.Kind, s)
		}
	}
	return all
}

// debhelperLines gives the lines of the sections that debhelper writes.
func debhelperLines(body string) map[uint]bool {
	lines := map[uint]bool{}
	in := false
	for i, l := range strings.Split(body, "\n") {
		switch {
		case strings.HasPrefix(l, "# Automatically added by"):
			in = true
		case strings.HasPrefix(l, "# End automatically added section"):
			in = false
		}
		if in {
			lines[uint(i+1)] = true
		}
	}
	return lines
}

// The scenes in which a phase runs: what rpm gives as $1, the number of instances
// that will be there; and dpkg's words, of deb-maintscripts(7).
var scenes = map[string]map[packaging.Phase]map[string][]string{
	"rpm": {
		packaging.PreInstall:  {"install": {"1"}, "upgrade": {"2"}},
		packaging.PostInstall: {"install": {"1"}, "upgrade": {"2"}},
		packaging.PreRemove:   {"remove": {"0"}, "upgrade": {"1"}},
		packaging.PostRemove:  {"remove": {"0"}, "upgrade": {"1"}},
	},
	"deb": {
		packaging.PreInstall:  {"install": {"install"}, "upgrade": {"upgrade", shell.Unknown}},
		packaging.PostInstall: {"install": {"configure", ""}, "upgrade": {"configure", shell.Unknown}},
		packaging.PreRemove:   {"remove": {"remove"}, "upgrade": {"upgrade", shell.Unknown}},
		packaging.PostRemove:  {"remove": {"remove"}, "upgrade": {"upgrade", shell.Unknown}, "purge": {"purge"}},
	},
}

// trace gives what a scriptlet does in a scene, on a host with systemd or without; nil
// if there is none of it.
func (c *checker) trace(s *scriptlet, name string, systemd shell.Status) *shell.Trace {
	if s.file == nil {
		return nil
	}
	args, ok := scenes[c.Format][s.phase][name]
	if !ok {
		if name != "any" {
			return nil
		}
		args = []string{shell.Unknown, shell.Unknown}
	}
	key := fmt.Sprint(name, systemd)
	if t := s.traces[key]; t != nil {
		return t
	}
	t := shell.Call{
		Args: args, Env: map[string]string{"DPKG_ROOT": ""}, Errexit: s.errexit,
		Exists: func(name string) shell.Status {
			if strings.Contains(name, "systemd") || path.Base(name) == "systemctl" {
				return systemd
			}
			return shell.Uncertain
		},
		Status: func(st *shell.Step) shell.Status {
			about := slices.ContainsFunc(st.Words, func(w string) bool { return strings.Contains(w, "systemd") })
			if st.Handled && (about || st.Name() == "systemctl" && systemd == shell.Fails) {
				return systemd
			}
			return shell.Uncertain
		},
	}.Run(s.file)
	s.traces[key] = t
	return t
}

// every gives each command that a scriptlet may run, once for each of its lines.
func (c *checker) every(s *scriptlet, systemd shell.Status, f func(st *shell.Step)) {
	steps, ok := s.every[systemd]
	if !ok {
		names := []string{"install", "upgrade", "remove", "purge"}
		if len(scenes[c.Format][s.phase]) == 0 {
			names = []string{"any"}
		}
		seen := map[string]bool{}
		for _, n := range names {
			t := c.trace(s, n, systemd)
			if t == nil {
				continue
			}
			for i := range t.Steps {
				st := &t.Steps[i]
				if key := fmt.Sprint(st.Line, " ", st.Words); !seen[key] {
					seen[key] = true
					steps = append(steps, st)
				}
			}
		}
		s.every[systemd] = steps
	}
	for _, st := range steps {
		f(st)
	}
}

// at is the place of a command.
func (s *scriptlet) at(line uint) string { return s.name + ":" + strconv.FormatUint(uint64(line), 10) }

// shown is a command for a message, what is not known of it as …, on one line.
func shown(s *shell.Step) string {
	t := strings.Join(strings.Fields(strings.ReplaceAll(strings.Join(s.Words, " "), shell.Unknown, "…")), " ")
	if len(t) > 80 {
		t = strings.ToValidUTF8(t[:80], "") + "…"
	}
	return t
}

func isRemoval(p packaging.Phase) bool {
	return slices.Contains([]packaging.Phase{packaging.PreRemove, packaging.PostRemove, packaging.PreUnTrans, packaging.PostUnTrans}, p)
}

func checkScriptParses(c *checker) {
	for _, s := range c.scripts {
		if s.err != nil {
			c.find(s.name, "%v", s.err)
		}
	}
}

// deleted gives the folders and files below that a command deletes as a whole.
func deleted(st *shell.Step) []string {
	switch {
	case st.Name() == "rm" && st.Has("rR", "--recursive"):
		return st.Operands()
	case st.Name() == "find" && len(st.Words) > 1:
		all := strings.Join(st.Words, " ")
		if strings.Contains(all, " -delete") || strings.Contains(all, " -exec rm ") {
			i := slices.IndexFunc(st.Words[1:], func(w string) bool { return strings.HasPrefix(w, "-") })
			return st.Words[1 : 1+max(i, 0)]
		}
	}
	return nil
}

// isData reports whether a path is one under which a product keeps what cannot be
// made again: settings, state, logs, or the product itself in /opt.
func isData(p string) bool {
	if strings.HasPrefix(p, shell.Unknown) {
		return false
	}
	p = path.Clean("/" + strings.ReplaceAll(p, "//", "/"))
	for e := range strings.SplitSeq(strings.ToLower(p), "/") {
		if strings.Contains(e, "cache") || e == "tmp" || e == "alternatives" {
			return false
		}
	}
	for _, d := range []string{"/var/lib/", "/var/log/", "/var/spool/", "/var/opt/", "/etc/", "/opt/", "/srv/", "/home/", "/root/", "/usr/local/"} {
		if rest, ok := strings.CutPrefix(p, d); ok {
			return strings.Trim(rest, shell.Unknown) != "" || strings.Contains(rest, "/")
		}
	}
	return false
}

func checkDeletesData(c *checker) {
	for _, s := range c.scripts {
		if !isRemoval(s.phase) {
			continue
		}
		seen := map[uint]bool{}
		for _, scene := range []string{"upgrade", "remove"} {
			if scene == "remove" && c.Format != "deb" {
				continue
			}
			t := c.trace(s, scene, shell.Succeeds)
			if t == nil {
				continue
			}
			for i := range t.Steps {
				st := &t.Steps[i]
				what := ""
				if j := slices.IndexFunc(deleted(st), isData); j >= 0 {
					what = strings.ReplaceAll(deleted(st)[j], shell.Unknown, "…")
				}
				if n := st.Name(); scene == "upgrade" && (n == "userdel" || n == "deluser") {
					what = "an account"
				}
				if what == "" || seen[st.Line] {
					continue
				}
				seen[st.Line] = true
				switch {
				case scene == "upgrade":
					c.find(s.at(st.Line), "it deletes %s in an upgrade too: %s", what, shown(st))
				case !strings.HasPrefix(what, "/opt/") && !within(what, "/usr"):
					c.findAs(Warning, s.at(st.Line), "it deletes %s when the package is removed, and not only when it is purged: %s", what, shown(st))
				}
			}
		}
	}
}

func checkSystemctl(c *checker) {
	asks := []string{"is-active", "is-enabled", "is-failed", "is-system-running", "show", "status", "cat", "list-units", "list-unit-files", "--version", "--help"}
	for _, s := range c.scripts {
		c.every(s, shell.Fails, func(st *shell.Step) {
			if st.Name() != "systemctl" || st.Handled || len(st.Words) > 1 && slices.ContainsFunc(st.Words[1:], func(w string) bool { return slices.Contains(asks, w) }) {
				return
			}
			c.find(s.at(st.Line), "%s also runs where there is no systemd, and fails there", shown(st))
		})
	}
}

// swallows reports whether a statement as a whole cannot fail: { … } || true.
func swallows(s *syntax.Stmt) bool {
	b, ok := s.Cmd.(*syntax.BinaryCmd)
	if !ok || b.Op != syntax.OrStmt {
		return false
	}
	switch b.X.Cmd.(type) {
	case *syntax.Block, *syntax.Subshell:
	default:
		return false
	}
	call, ok := b.Y.Cmd.(*syntax.CallExpr)
	return ok && len(call.Args) == 1 && slices.Contains([]string{"true", ":"}, call.Args[0].Lit())
}

func checkHidesFailure(c *checker) {
	for _, s := range c.scripts {
		if s.phase != packaging.PreInstall && s.phase != packaging.PostInstall || s.file == nil {
			continue
		}
		var body []*syntax.Stmt
		for _, st := range s.file.Stmts {
			switch x := st.Cmd.(type) {
			case *syntax.FuncDecl:
				continue
			case *syntax.CallExpr:
				if len(x.Args) > 0 && slices.Contains([]string{"set", "exit"}, x.Args[0].Lit()) || len(x.Args) == 0 {
					continue
				}
			}
			body = append(body, st)
		}
		if len(body) == 1 && swallows(body[0]) {
			c.find(s.at(body[0].Pos().Line()), "all of it stands before || true: whatever fails, the installation goes on")
			continue
		}
		t := c.trace(s, "install", shell.Succeeds)
		for i := range t.Steps {
			st := &t.Steps[i]
			switch {
			case st.Name() == "set" && len(st.Words) > 1 && strings.HasPrefix(st.Words[1], "+") && strings.Contains(st.Words[1], "e"):
				if !slices.ContainsFunc(t.Steps[i:], func(x shell.Step) bool { return x.Name() == "set" && x.Has("e") }) {
					c.find(s.at(st.Line), "set +e stays for the rest of the script")
				}
			case st.Name() == "trap" && len(st.Words) > 2 && strings.TrimSpace(st.Words[1]) == "exit 0":
				c.find(s.at(st.Line), "the script ends with success whatever fails: %s", shown(st))
			}
		}
	}
}

// mayFail lists programs that fail when what they are to take away is gone already,
// or in use.
var mayFail = []string{"systemctl", "service", "chkconfig", "userdel", "groupdel", "rmdir", "kill", "killall", "pkill", "umount", "rmmod", "modprobe", "semodule", "restorecon", "firewall-cmd"}

func checkRemovalFails(c *checker) {
	for _, s := range c.scripts {
		if !isRemoval(s.phase) {
			continue
		}
		seen := map[uint]bool{}
		find := func(line uint, format string, args ...any) {
			if !seen[line] && !s.helped[line] {
				seen[line] = true
				c.find(s.at(line), format, args...)
			}
		}
		for _, scene := range []string{"remove", "upgrade", "purge"} {
			t := c.trace(s, scene, shell.Succeeds)
			if t == nil {
				continue
			}
			for i := range t.Steps {
				st := &t.Steps[i]
				switch {
				case st.Exits:
					find(st.Line, "it can end with a failure: %s", shown(st))
				case st.Handled || !slices.Contains(mayFail, st.Name()) || st.Name() == "rmdir" && st.Has("", "--ignore-fail-on-non-empty"):
				case st.Strict:
					find(st.Line, "under set -e the script fails where this does: %s", shown(st))
				case st.Last && c.Format == "rpm":
					find(st.Line, "the script ends with the status of its last command: %s", shown(st))
				}
			}
			if t.FailsAt > 0 {
				find(t.FailsAt, "the script fails here in each %s", scene)
			} else if t.Result == shell.Fails && len(t.Steps) > 0 && !t.Steps[len(t.Steps)-1].Exits {
				last := t.Steps[len(t.Steps)-1]
				find(last.Line, "the script ends with a failure in each %s, the status of: %s", scene, shown(&last))
			}
		}
	}
}

var networkPrograms = []string{"curl", "wget", "nc", "ncat", "netcat", "ftp", "sftp", "scp", "ssh", "telnet", "aria2c", "lynx", "pip", "pip3", "npm", "npx", "yarn", "gem", "cpan", "go", "cargo"}

func checkNetwork(c *checker) {
	for _, s := range c.scripts {
		c.every(s, shell.Succeeds, func(st *shell.Step) {
			switch n := st.Name(); {
			case slices.Contains([]string{"go", "cargo", "pip", "pip3", "npm", "yarn", "gem"}, n):
				if len(st.Words) < 2 || !slices.Contains([]string{"install", "get", "add", "ci", "download", "update"}, st.Words[1]) {
					return
				}
			case n == "git":
				if len(st.Words) < 2 || !slices.Contains([]string{"clone", "fetch", "pull", "submodule"}, st.Words[1]) {
					return
				}
			case !slices.Contains(networkPrograms, n), len(st.Words) == 1, slices.Contains(st.Words, "--version"):
				return
			}
			c.find(s.at(st.Line), "it needs the network: %s", shown(st))
		})
	}
}

func checkPackageManager(c *checker) {
	for _, s := range c.scripts {
		c.every(s, shell.Succeeds, func(st *shell.Step) {
			words := st.Words[min(1, len(st.Words)):]
			changes := func(list ...string) bool {
				return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
			}
			switch st.Name() {
			case "apt", "apt-get", "aptitude", "yum", "dnf", "microdnf", "zypper", "snap", "pacman":
				if !changes("install", "remove", "purge", "update", "upgrade", "reinstall", "erase", "in", "rm", "autoremove", "dist-upgrade", "-S", "-R") {
					return
				}
			case "dpkg":
				if !changes("-i", "--install", "-r", "--remove", "-P", "--purge", "--configure", "--unpack", "--set-selections") {
					return
				}
			case "rpm":
				if !slices.ContainsFunc(words, func(w string) bool {
					return slices.Contains([]string{"--install", "--upgrade", "--erase", "--import", "--rebuilddb"}, w) ||
						strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.ContainsAny(w, "iUeF") && !strings.ContainsAny(w, "qVE")
				}) {
					return
				}
			default:
				return
			}
			c.find(s.at(st.Line), "it calls the package manager, which waits for this script: %s", shown(st))
		})
	}
}

// serviceAction gives what a command does with a service: "stop", "start" or nothing,
// and the services' names without ".service".
func serviceAction(st *shell.Step) (action string, names []string) {
	words := slices.DeleteFunc(slices.Clone(st.Words), func(w string) bool { return strings.HasPrefix(w, "-") })
	if len(words) < 2 {
		return "", nil
	}
	verb, names := words[1], words[2:]
	switch n := st.Name(); {
	case n == "systemctl" || n == "deb-systemd-invoke" || n == "initctl":
	case n == "systemd-update-helper":
		if verb == "mark-restart-system-units" {
			return "start", names
		}
		return "", nil
	case n == "service" || n == "invoke-rc.d" || n == "rc-service":
		if len(words) < 3 {
			return "", nil
		}
		verb, names = words[2], words[1:2]
	case strings.HasPrefix(st.Words[0], "/etc/init.d/") || strings.HasPrefix(st.Words[0], "/etc/rc.d/init.d/"):
		names = []string{n}
	default:
		return "", nil
	}
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], ".service")
	}
	switch verb {
	case "stop", "kill":
		return "stop", names
	case "start", "restart", "try-restart", "reload-or-restart", "reload-or-try-restart", "condrestart", "force-reload", "isolate":
		return "start", names
	}
	if verb == "enable" && st.Has("", "--now") {
		return "start", names
	}
	return "", nil
}

func checkLeftStopped(c *checker) {
	has := map[string]bool{}
	for i := range c.layout {
		p := c.layout[i].Path
		if isUnit(p) || strings.HasPrefix(p, "/etc/init.d/") || strings.HasPrefix(p, "/etc/rc.d/init.d/") {
			has[strings.TrimSuffix(path.Base(p), ".service")] = true
		}
	}
	if len(has) == 0 {
		return
	}
	started := map[string]bool{}
	unnamed := false // something is started whose name is not known
	look := func(s *scriptlet, scene string, f func(action string, names []string, st *shell.Step)) {
		if t := c.trace(s, scene, shell.Succeeds); t != nil {
			for i := range t.Steps {
				if a, names := serviceAction(&t.Steps[i]); a != "" {
					f(a, names, &t.Steps[i])
				}
			}
		}
	}
	note := func(action string, names []string, _ *shell.Step) {
		for _, n := range names {
			if action == "start" {
				started[n] = true
				unnamed = unnamed || strings.Contains(n, shell.Unknown) || strings.Contains(n, "*")
			}
		}
	}
	for _, s := range c.scripts {
		// What rpm runs after the old version's %preun, and dpkg after its prerm.
		switch {
		case c.Format == "rpm" && s.phase == packaging.PostRemove, c.Format == "deb" && s.phase == packaging.PostInstall:
			look(s, "upgrade", note)
		case s.phase == packaging.PostTrans, s.phase == "trigger":
			look(s, "any", note)
		}
	}
	if unnamed {
		return
	}
	for _, s := range c.scripts {
		if s.phase != packaging.PreRemove && (c.Format != "deb" || s.phase != packaging.PostRemove) {
			continue
		}
		look(s, "upgrade", func(action string, names []string, st *shell.Step) {
			for _, n := range names {
				if action == "stop" && has[n] && !started[n] {
					c.find(s.at(st.Line), "an upgrade stops %s, and nothing starts it afterwards: %s", n, shown(st))
				}
			}
		})
	}
}
