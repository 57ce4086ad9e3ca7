package verify

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/vpkg/vpkg/packaging"
)

// A scriptlet is one that is written for a shell.
type scriptlet struct {
	name    string // "%preun", "prerm"
	phase   packaging.Phase
	body    string
	file    *syntax.File // nil if it cannot be read
	err     error
	errexit bool // its first line has -e
	traces  map[string]*trace
	every   map[status][]*step // what checker.every found, by the scene's systemd
	helped  map[uint]bool      // lines that debhelper wrote
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

// Shell gives the dialect of a scriptlet, "sh" or "bash", and whether its first line
// or its interpreter makes it stop at a failure; an empty dialect if no shell runs it.
func Shell(s packaging.Script) (dialect string, errexit bool) {
	argv := s.Interpreter
	if line, _, _ := strings.Cut(s.Body, "\n"); strings.HasPrefix(line, "#!") && len(argv) == 0 {
		argv = strings.Fields(line[2:])
	}
	if len(argv) == 0 {
		return "sh", false
	}
	switch path.Base(argv[0]) {
	case "sh", "dash", "ash", "busybox":
		dialect = "sh"
	case "bash", "ksh":
		dialect = "bash"
	default:
		return "", false
	}
	for _, a := range argv[1:] {
		errexit = errexit || strings.HasPrefix(a, "-") && strings.Contains(a, "e")
	}
	return dialect, errexit
}

// What of all scriptlets of a package is looked at; see also shell.go.
const (
	maxScripts     = 40
	maxScriptBytes = 256 << 10
)

// readScripts parses the scriptlets and the triggers that a shell runs.
func (c *checker) readScripts() []*scriptlet {
	var all []*scriptlet
	left := maxScriptBytes
	add := func(name string, s packaging.Script) {
		dialect, errexit := Shell(s)
		if dialect == "" || strings.TrimSpace(s.Body) == "" {
			return
		}
		x := &scriptlet{name: name, phase: s.Phase, body: s.Body, errexit: errexit, traces: map[string]*trace{}, every: map[status][]*step{}}
		if left -= len(s.Body); left < 0 || len(all) >= maxScripts {
			if len(all) < maxScripts+1 {
				x.err = errors.New("the package has more scriptlets, or larger ones, than are looked at")
				all = append(all, x)
			}
			return
		}
		x.file, x.err = parseShell(s.Body)
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
		packaging.PreInstall:  {"install": {"install"}, "upgrade": {"upgrade", unknown}},
		packaging.PostInstall: {"install": {"configure", ""}, "upgrade": {"configure", unknown}},
		packaging.PreRemove:   {"remove": {"remove"}, "upgrade": {"upgrade", unknown}},
		packaging.PostRemove:  {"remove": {"remove"}, "upgrade": {"upgrade", unknown}, "purge": {"purge"}},
	},
}

// trace gives what a scriptlet does in a scene; nil if there is none of it.
func (c *checker) trace(s *scriptlet, name string, systemd status) *trace {
	if s.file == nil {
		return nil
	}
	args, ok := scenes[c.Format][s.phase][name]
	if !ok {
		if name != "any" {
			return nil
		}
		args = []string{unknown, unknown}
	}
	key := fmt.Sprint(name, systemd)
	if t := s.traces[key]; t != nil {
		return t
	}
	t := run(s.file, s.errexit, scene{args, systemd})
	s.traces[key] = t
	return t
}

// every gives each command that a scriptlet may run, once for each of its lines.
func (c *checker) every(s *scriptlet, systemd status, f func(st *step)) {
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
			for i := range t.steps {
				st := &t.steps[i]
				if key := fmt.Sprint(st.line, " ", st.words); !seen[key] {
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
func (s *step) shown() string {
	t := strings.Join(strings.Fields(strings.ReplaceAll(strings.Join(s.words, " "), unknown, "…")), " ")
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
func deleted(st *step) []string {
	switch {
	case st.name() == "rm" && st.has("rR", "--recursive"):
		return st.operands()
	case st.name() == "find" && len(st.words) > 1:
		all := strings.Join(st.words, " ")
		if strings.Contains(all, " -delete") || strings.Contains(all, " -exec rm ") {
			i := slices.IndexFunc(st.words[1:], func(w string) bool { return strings.HasPrefix(w, "-") })
			return st.words[1 : 1+max(i, 0)]
		}
	}
	return nil
}

// isData reports whether a path is one under which a product keeps what cannot be
// made again: settings, state, logs, or the product itself in /opt.
func isData(p string) bool {
	if strings.HasPrefix(p, unknown) {
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
			return strings.Trim(rest, unknown) != "" || strings.Contains(rest, "/")
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
			t := c.trace(s, scene, succeeds)
			if t == nil {
				continue
			}
			for i := range t.steps {
				st := &t.steps[i]
				what := ""
				if j := slices.IndexFunc(deleted(st), isData); j >= 0 {
					what = strings.ReplaceAll(deleted(st)[j], unknown, "…")
				}
				if n := st.name(); scene == "upgrade" && (n == "userdel" || n == "deluser") {
					what = "an account"
				}
				if what == "" || seen[st.line] {
					continue
				}
				seen[st.line] = true
				switch {
				case scene == "upgrade":
					c.find(s.at(st.line), "it deletes %s in an upgrade too: %s", what, st.shown())
				case !strings.HasPrefix(what, "/opt/") && !within(what, "/usr"):
					c.findAs(Warning, s.at(st.line), "it deletes %s when the package is removed, and not only when it is purged: %s", what, st.shown())
				}
			}
		}
	}
}

func checkSystemctl(c *checker) {
	asks := []string{"is-active", "is-enabled", "is-failed", "is-system-running", "show", "status", "cat", "list-units", "list-unit-files", "--version", "--help"}
	for _, s := range c.scripts {
		c.every(s, fails, func(st *step) {
			if st.name() != "systemctl" || st.handled || len(st.words) > 1 && slices.ContainsFunc(st.words[1:], func(w string) bool { return slices.Contains(asks, w) }) {
				return
			}
			c.find(s.at(st.line), "%s also runs where there is no systemd, and fails there", st.shown())
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
		t := c.trace(s, "install", succeeds)
		for i := range t.steps {
			st := &t.steps[i]
			switch {
			case st.name() == "set" && len(st.words) > 1 && strings.HasPrefix(st.words[1], "+") && strings.Contains(st.words[1], "e"):
				if !slices.ContainsFunc(t.steps[i:], func(x step) bool { return x.name() == "set" && x.has("e") }) {
					c.find(s.at(st.line), "set +e stays for the rest of the script")
				}
			case st.name() == "trap" && len(st.words) > 2 && strings.TrimSpace(st.words[1]) == "exit 0":
				c.find(s.at(st.line), "the script ends with success whatever fails: %s", st.shown())
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
			t := c.trace(s, scene, succeeds)
			if t == nil {
				continue
			}
			for i := range t.steps {
				st := &t.steps[i]
				switch {
				case st.exits:
					find(st.line, "it can end with a failure: %s", st.shown())
				case st.handled || !slices.Contains(mayFail, st.name()) || st.name() == "rmdir" && st.has("", "--ignore-fail-on-non-empty"):
				case st.strict:
					find(st.line, "under set -e the script fails where this does: %s", st.shown())
				case st.last && c.Format == "rpm":
					find(st.line, "the script ends with the status of its last command: %s", st.shown())
				}
			}
			if t.failsAt > 0 {
				find(t.failsAt, "the script fails here in each %s", scene)
			} else if t.result == fails && len(t.steps) > 0 && !t.steps[len(t.steps)-1].exits {
				last := t.steps[len(t.steps)-1]
				find(last.line, "the script ends with a failure in each %s, the status of: %s", scene, last.shown())
			}
		}
	}
}

var networkPrograms = []string{"curl", "wget", "nc", "ncat", "netcat", "ftp", "sftp", "scp", "ssh", "telnet", "aria2c", "lynx", "pip", "pip3", "npm", "npx", "yarn", "gem", "cpan", "go", "cargo"}

func checkNetwork(c *checker) {
	for _, s := range c.scripts {
		c.every(s, succeeds, func(st *step) {
			switch n := st.name(); {
			case slices.Contains([]string{"go", "cargo", "pip", "pip3", "npm", "yarn", "gem"}, n):
				if len(st.words) < 2 || !slices.Contains([]string{"install", "get", "add", "ci", "download", "update"}, st.words[1]) {
					return
				}
			case n == "git":
				if len(st.words) < 2 || !slices.Contains([]string{"clone", "fetch", "pull", "submodule"}, st.words[1]) {
					return
				}
			case !slices.Contains(networkPrograms, n), len(st.words) == 1, slices.Contains(st.words, "--version"):
				return
			}
			c.find(s.at(st.line), "it needs the network: %s", st.shown())
		})
	}
}

func checkPackageManager(c *checker) {
	for _, s := range c.scripts {
		c.every(s, succeeds, func(st *step) {
			words := st.words[min(1, len(st.words)):]
			changes := func(list ...string) bool {
				return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
			}
			switch st.name() {
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
			c.find(s.at(st.line), "it calls the package manager, which waits for this script: %s", st.shown())
		})
	}
}

// serviceAction gives what a command does with a service: "stop", "start" or nothing,
// and the services' names without ".service".
func serviceAction(st *step) (action string, names []string) {
	words := slices.DeleteFunc(slices.Clone(st.words), func(w string) bool { return strings.HasPrefix(w, "-") })
	if len(words) < 2 {
		return "", nil
	}
	verb, names := words[1], words[2:]
	switch n := st.name(); {
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
	case strings.HasPrefix(st.words[0], "/etc/init.d/") || strings.HasPrefix(st.words[0], "/etc/rc.d/init.d/"):
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
	if verb == "enable" && st.has("", "--now") {
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
	look := func(s *scriptlet, scene string, f func(action string, names []string, st *step)) {
		if t := c.trace(s, scene, succeeds); t != nil {
			for i := range t.steps {
				if a, names := serviceAction(&t.steps[i]); a != "" {
					f(a, names, &t.steps[i])
				}
			}
		}
	}
	note := func(action string, names []string, _ *step) {
		for _, n := range names {
			if action == "start" {
				started[n] = true
				unnamed = unnamed || strings.Contains(n, unknown) || strings.Contains(n, "*")
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
		look(s, "upgrade", func(action string, names []string, st *step) {
			for _, n := range names {
				if action == "stop" && has[n] && !started[n] {
					c.find(s.at(st.line), "an upgrade stops %s, and nothing starts it afterwards: %s", n, st.shown())
				}
			}
		})
	}
}

// eachChmod gives the commands that set modes.
func (c *checker) eachChmod(f func(s *scriptlet, st *step, mode string, files []string)) {
	for _, s := range c.scripts {
		c.every(s, succeeds, func(st *step) {
			if words := st.operands(); st.name() == "chmod" && len(words) >= 2 {
				f(s, st, words[0], words[1:])
			}
		})
	}
}

var (
	// modes as chmod(1) has them: that let all others write, and that set setuid or setgid
	othersWrite = regexp.MustCompile(`^(0?[0-7]{0,2}[2367]|[0-9]?[0-7]{2}[2367]|[ugoa]*[oa][ugoa]*[+=][rwxXst]*w[rwxXst]*)$`)
	setsID      = regexp.MustCompile(`^(0?[2-7][0-7]{3}|[uga]+[+=][rwxX]*s[rwxX]*)$`)
)
