package shell

import (
	"strings"
	"testing"
)

// show gives the commands, one a line, those that may run with a question mark.
func show(cmds []Command) string {
	var b strings.Builder
	for _, c := range cmds {
		if c.Maybe {
			b.WriteString("? ")
		}
		b.WriteString(strings.Join(c.Words, " ") + "\n")
	}
	return b.String()
}

// Texts of debhelper 13 (dh_installsystemd) and systemd 252 (macros.systemd).
const (
	debPostinst = `#!/bin/sh
set -e
if [ "$1" = "configure" ] || [ "$1" = "abort-upgrade" ] || [ "$1" = "abort-deconfigure" ] || [ "$1" = "abort-remove" ] ; then
	# This will only remove masks created by d-s-h on package removal.
	deb-systemd-helper unmask 'x.service' >/dev/null || true
	if deb-systemd-helper --quiet was-enabled 'x.service'; then
		deb-systemd-helper enable 'x.service' >/dev/null || true
	else
		deb-systemd-helper update-state 'x.service' >/dev/null || true
	fi
fi
if [ "$1" = "configure" ] || [ "$1" = "abort-upgrade" ] || [ "$1" = "abort-deconfigure" ] || [ "$1" = "abort-remove" ] ; then
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
		if [ -n "$2" ]; then
			_dh_action=restart
		else
			_dh_action=start
		fi
		deb-systemd-invoke $_dh_action 'x.service' >/dev/null || true
	fi
fi
`
	debPrerm = `#!/bin/sh
set -e
if [ -z "${DPKG_ROOT:-}" ] && [ "$1" = remove ] && [ -d /run/systemd/system ] ; then
	deb-systemd-invoke stop 'x.service' >/dev/null || true
fi
`
	rpmPost = `
if [ $1 -eq 1 ] && [ -x "/usr/lib/systemd/systemd-update-helper" ]; then
    # Initial installation
    /usr/lib/systemd/systemd-update-helper install-system-units x.service || :
fi
`
	rpmPostun = `
if [ $1 -ge 1 ] && [ -x "/usr/lib/systemd/systemd-update-helper" ]; then
    # Package upgrade, not uninstall
    /usr/lib/systemd/systemd-update-helper mark-restart-system-units x.service || :
fi
`
)

func TestRun(t *testing.T) {
	exists := func(name string) (exists, known bool) {
		return name == "/there", strings.Contains(name, "there")
	}
	for _, tc := range []struct {
		name, script, args string
		env                map[string]string
		want               string
	}{
		{"debhelper, first installation", debPostinst, "configure ", nil, "deb-systemd-helper unmask x.service\n" +
			"deb-systemd-helper --quiet was-enabled x.service\n? deb-systemd-helper enable x.service\n? deb-systemd-helper update-state x.service\n" +
			"? systemctl --system daemon-reload\n? deb-systemd-invoke start x.service\n"},
		{"debhelper, upgrade", debPostinst, "configure 1.0", nil, "deb-systemd-helper unmask x.service\n" +
			"deb-systemd-helper --quiet was-enabled x.service\n? deb-systemd-helper enable x.service\n? deb-systemd-helper update-state x.service\n" +
			"? systemctl --system daemon-reload\n? deb-systemd-invoke restart x.service\n"},
		{"debhelper, triggered", debPostinst, "triggered x", nil, ""},
		{"debhelper, prerm upgrade", debPrerm, "upgrade 2.0", nil, ""},
		{"debhelper, prerm remove", debPrerm, "remove", map[string]string{"DPKG_ROOT": ""}, "? deb-systemd-invoke stop x.service\n"},
		{"rpm, post of an installation", rpmPost, "1", nil, "? /usr/lib/systemd/systemd-update-helper install-system-units x.service\n"},
		{"rpm, post of an upgrade", rpmPost, "2", nil, ""},
		{"rpm, postun of an upgrade", rpmPostun, "1", nil, "? /usr/lib/systemd/systemd-update-helper mark-restart-system-units x.service\n"},
		{"rpm, postun of a removal", rpmPostun, "0", nil, ""},

		{"lists", "a; b & c && d || e\n! false && f", "", nil, "a\nb\nc\n? d\n? e\nf\n"},
		{"known status", "true && a; true || b; false && c; false || d", "", nil, "a\nd\n"},
		{"quotes", `a 'b  c' "d $1" e\ f g"h"'i'`, "x", nil, "a b  c d x e f ghi\n"},
		{"arguments", `a "$@"; shift; b $1; c $#; d "$*"`, "x y z", nil, "a x y z\nb y\nc 2\nd y z\n"},
		{"variables", `d=/opt/x; rm -rf "$d/log" ${d}/tmp $e/bin "${f:-/var}/x"`, "", nil, "rm -rf /opt/x/log /opt/x/tmp $e/bin ${f:-/var}/x\n"},
		{"defaults", `a "${1:-x}" "${2:-y}" "${3+z}"`, "1", nil, "a 1 y \n"},
		{"trimmed", `n=/a/b.c; a ${n##*/} ${n%/*} ${n%.c} ${n#/a}`, "", nil, "a b.c /a /a/b /b.c\n"},
		{"case", `case "$1" in remove|purge) a ;; upg*) b ;; *) c;; esac`, "upgrade", nil, "b\n"},
		{"case of the host's", `case $(uname) in Linux) a;; *) b;; esac; c`, "", nil, "? a\n? b\nc\n"},
		{"case without a branch", `case $1 in (x) a;; esac`, "y", nil, ""},
		{"exit", "if [ \"$1\" = upgrade ]; then exit 0; fi\na", "upgrade", nil, ""},
		{"exit that depends", "[ -x /bin/x ] || exit 0\na", "", nil, "a\n"},
		{"exec", "exec /bin/x \"$1\"\na", "1", nil, "/bin/x 1\n"},
		{"function", "stop() { systemctl stop $1; return 0; a; }\nstop x.service; b", "", nil, "systemctl stop x.service\nb\n"},
		{"function of the other kind", "function f\n{\na\n}\nf", "", nil, "a\n"},
		{"for", "for u in a b; do systemctl stop $u; done; for f in /etc/x/*; do rm $f; done", "", nil, "systemctl stop a\nsystemctl stop b\n? rm /etc/x/*\n"},
		{"while", "while pgrep x; do sleep 1; done", "", nil, "pgrep x\n? sleep 1\n"},
		{"here-document", "cat >/etc/x <<EOF\nrm -rf /\nEOF\na <<-'E'\n\trm\n\tE\nb", "", nil, "cat\na\nb\n"},
		{"redirections", "a >/dev/null 2>&1 </dev/null; { b; } 2>/dev/null; >x c", "", nil, "a\nb\nc\n"},
		{"double brackets", "if [[ $1 == 0 && -z \"\" ]]; then a; fi", "0", nil, "a\n"},
		{"not", "if ! [ $1 = 0 ]; then a; else b; fi", "0", nil, "b\n"},
		{"and, or in a test", `[ "$1" = 0 -o "$1" = 1 ] && a; [ "$1" = 0 -a -e /x ] && b`, "0", nil, "a\n? b\n"},
		{"set by chance", "x=a; if [ -e /x ]; then x=b; fi; [ $x = a ] && c", "", nil, "? c\n"},
		{"subshell", "(cd /x; exit 1); a", "", nil, "a\n"},
		{"pipeline", "a | b", "", nil, "a\nb\n"},
		{"elif", "if [ $1 = 0 ]; then a\nelif [ $1 = 1 ]\nthen b; else c; fi", "1", nil, "b\n"},
		{"comment", "a # b\n# c\nd", "", nil, "a\nd\n"},
		{"prefix", "X=1 command a; A=$(b c) d", "", nil, "a\nd\n"},
		{"files", "[ -x /there ] && a; test -e /not-there || b; command -v not-there && c; command -v x && d", "", nil, "a\nb\n? d\n"},
		{"other arguments by chance", "if [ -e /x ]; then set -- a b; c \"$@\"; shift; d $1; fi; e $1", "1", nil, "? c a b\n? d b\ne 1\n"},
		{"continued", "a \\\n b", "", nil, "a b\n"},
	} {
		args := strings.Split(tc.args, " ")
		if tc.args == "" {
			args = nil
		}
		cmds, whole := Call{Name: "script", Args: args, Env: tc.env, Exists: exists}.Run(tc.script)
		if got := show(cmds); got != tc.want || !whole {
			t.Errorf("%s: runs, understood %t,\n%swant\n%s", tc.name, whole, got, tc.want)
		}
	}
}

// What cannot be understood is said, and so is that there is more.
func TestRunPart(t *testing.T) {
	for _, tc := range []struct{ script, want string }{
		{"a\n'b", ""},
		{"a; if b; then c", ""},
		{"a\nfi", ""},
		{"a `b", ""},
		{"f() { f; f; }\nf", ""},
		{"f() { a; f; }\nf", strings.Repeat("a\n", 11)},
		{strings.Repeat("{ ", 100) + "a" + strings.Repeat("; }", 100), ""},
		{strings.Repeat("(", maxOpeners+1), ""},
		{strings.Repeat("! ", maxOpeners+1) + "a", ""},
		{strings.Repeat("if ", maxOpeners+1) + "a", ""},
		{"a $" + strings.Repeat("((", maxOpeners+1), ""},
		{strings.Repeat("a\n", maxCommands+1), strings.Repeat("a\n", maxCommands)},
		{strings.Repeat("a\n", maxScript), ""},
	} {
		cmds, whole := Call{}.Run(tc.script)
		if got := show(cmds); got != tc.want || whole {
			t.Errorf("%.40q: understood %t, runs\n%.200swant\n%.200s", tc.script, whole, got, tc.want)
		}
	}
}

func FuzzRun(f *testing.F) {
	for _, s := range []string{debPostinst, debPrerm, rpmPost, rpmPostun, "case $1 in a) b;; esac; f() { $1; }; f x", "a <<E\nE\n${x##*/}$((1))`b`"} {
		f.Add(s, "configure")
	}
	f.Fuzz(func(t *testing.T, script, arg string) {
		cmds, _ := Call{Args: []string{arg}}.Run(script)
		if len(cmds) > maxCommands {
			t.Fatalf("%d commands, want at most %d", len(cmds), maxCommands)
		}
		for _, c := range cmds {
			if len(c.Words) == 0 || c.Line < 1 || c.Line > strings.Count(script, "\n")+1 {
				t.Fatalf("%+v of a script with %d lines", c, strings.Count(script, "\n")+1)
			}
		}
	})
}
