package shell

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// show gives the commands that are programs, one a line, those that may run with a
// question mark.
func show(steps []Step) string {
	own := strings.Fields("true : false echo set shift exit return test [ command cd break continue read")
	var b strings.Builder
	for _, s := range steps {
		if slices.Contains(own, s.Name()) {
			continue
		}
		if s.Maybe {
			b.WriteString("? ")
		}
		b.WriteString(strings.Join(s.Shown, " ") + "\n")
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
	exists := func(name string) Status {
		if !strings.Contains(name, "there") {
			return Uncertain
		}
		return of(name == "/there")
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
		{"other arguments by chance", "if [ -e /x ]; then set -- a b; c \"$@\"; shift; d $1; fi; e $1", "1", nil, "? c a b\n? d b\ne $1\n"},
		{"break", "for a in x y; do b $a; break; done; for a in x y; do [ $a = x ] && continue; c $a; done", "", nil, "b x\nc y\n"},
		{"break by chance", "m=0; for a in x y; do if b $a; then m=1; break; fi; done; [ $m = 1 ] && c", "", nil, "b x\nb y\n? c\n"},
		{"return by chance", "f() { if [ -e /x ]; then return 0; fi; return 1; }\nf && a; f || b", "", nil, "? a\n? b\n"},
		{"return for sure", "f() { [ $1 = x ] && return 0; return 1; }\nf x && a; f y || b", "", nil, "a\nb\n"},
		{"stopped", "set -e; false || a; false; b", "", nil, "a\n"},
		{"pattern", "[[ $1 == /opt/* ]] && a; [[ $1 != *x ]] && b; (( 2 > 1 )) && c", "/opt/x", nil, "a\nc\n"},
		{"variables of a pipe", "x=1; a | read x; b $x", "", nil, "a\nb 1\n"},
		{"assigned by default", `: "${1:=x}" "${X:=y}"; a "$X"`, "", nil, "a ${X:=y}\n"},
		{"continued", "a \\\n b", "", nil, "a b\n"},
	} {
		args := strings.Split(tc.args, " ")
		if tc.args == "" {
			args = nil
		}
		f, err := Parse(tc.script)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		trace := Call{Name: "script", Args: args, Env: tc.env, Exists: exists}.Run(f)
		if got := show(trace.Steps); got != tc.want || !trace.Whole {
			t.Errorf("%s: runs, understood %t,\n%swant\n%s", tc.name, trace.Whole, got, tc.want)
		}
	}
}

// What becomes of the script, and of it by a command's failure.
func TestStatus(t *testing.T) {
	for _, tc := range []struct {
		script  string
		result  Status
		failsAt uint
		last    Step // without its words
	}{
		{"true", Succeeds, 0, Step{Line: 1, Last: true}},
		{"a", Uncertain, 0, Step{Line: 1, Last: true}},
		{"a || true", Succeeds, 0, Step{Line: 1, Last: true, Maybe: true}},
		{"[ 0 = 1 ] && a", Fails, 0, Step{Line: 1, Handled: true}},
		{"set -e\nfalse\na", Fails, 2, Step{Line: 2, Strict: true}},
		{"set -e\nif a; then\nfalse\nfi", Succeeds, 0, Step{Line: 3, Strict: true, Last: true, Maybe: true}},
		{"! a", Uncertain, 0, Step{Line: 1, Handled: true, Last: true}},
		{"exit 3", Fails, 0, Step{Line: 1, Last: true, Exits: true}},
		{"a && exit 3\ntrue", Succeeds, 0, Step{Line: 2, Last: true}},
		{"a && exit 0\nfalse", Uncertain, 0, Step{Line: 2, Last: true}},
		{"f() { return 3; }\nf", Fails, 0, Step{Line: 1, Last: true}},
	} {
		f, err := Parse(tc.script)
		if err != nil {
			t.Fatal(err)
		}
		trace := Call{}.Run(f)
		last := trace.Steps[len(trace.Steps)-1]
		last.Words, last.Shown = nil, nil
		if trace.Result != tc.result || trace.FailsAt != tc.failsAt || !reflect.DeepEqual(last, tc.last) {
			t.Errorf("%q: status %d, fails at %d, last %+v", tc.script, trace.Result, trace.FailsAt, last)
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
		{"f() { a; f; }\nf", strings.Repeat("a\n", maxDepth/2-1)},
		{strings.Repeat("{ ", 100) + "a" + strings.Repeat("; }", 100), ""},
		{strings.Repeat("(", maxOpeners+1), ""},
		{strings.Repeat("! ", maxOpeners+1) + "a", ""},
		{strings.Repeat("if ", maxOpeners+1) + "a", ""},
		{"a $" + strings.Repeat("((", maxOpeners+1), ""},
		{strings.Repeat("a\n", maxSteps+1), strings.Repeat("a\n", maxSteps)},
		{strings.Repeat("a\n", maxScript), ""},
	} {
		f, err := Parse(tc.script)
		trace := &Trace{}
		if err == nil {
			trace = Call{}.Run(f)
		}
		if got := show(trace.Steps); got != tc.want || trace.Whole {
			t.Errorf("%.40q: understood %t, runs\n%.200swant\n%.200s", tc.script, trace.Whole, got, tc.want)
		}
	}
}

func FuzzRun(f *testing.F) {
	for _, s := range []string{
		debPostinst, debPrerm, rpmPost, rpmPostun, "case $1 in a) b;; esac; f() { $1; }; f x", "a <<E\nE\n${x##*/}$((1))`b`",
		"for a in 1 2 3 4; do for b in 1 2 3 4; do case $a in $b) break;; esac; done; done",
		"while [ $1 -gt 0 ]; do shift; set -- \"$@\" x; done; exec ${2:+$3} || (exit 3) && { return; }",
		"[[ $1 == 0 || ( -n $2 && ! -d /run/systemd/system ) ]] && ((1 < 2)) && x | y & wait",
	} {
		f.Add(s, "configure")
	}
	f.Fuzz(func(t *testing.T, script, arg string) {
		file, err := Parse(script)
		if err != nil {
			return
		}
		for _, exists := range []Status{Fails, Uncertain, Succeeds} {
			steps := Call{Args: []string{arg}, Exists: func(string) Status { return exists }}.Run(file).Steps
			if len(steps) > maxSteps {
				t.Fatalf("%d commands, want at most %d", len(steps), maxSteps)
			}
			for _, s := range steps {
				if len(s.Words) == 0 || len(s.Words) != len(s.Shown) || s.Line < 1 || s.Line > uint(strings.Count(script, "\n")+1) {
					t.Fatalf("%+v of a script with %d lines", s, strings.Count(script, "\n")+1)
				}
			}
		}
	})
}
