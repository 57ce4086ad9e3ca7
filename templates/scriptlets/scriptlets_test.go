package scriptlets

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
)

var update = flag.Bool("update", false, "write the golden files")

func product() Product {
	return Product{
		Name: "illumio-ven", Program: "/opt/illumio_ven", Data: "/opt/illumio_ven_data",
		State: "/var/lib/vpkg/illumio-ven", Log: "/var/log/illumio_install.log", EnvPrefix: "VEN_",
		User: "ilo-ven", Home: "/opt/illumio_ven_data", Comment: "Illumio's VEN",
	}
}

// scripts renders everything, by the name of its golden file.
func scripts(t *testing.T, p Product) map[string]string {
	t.Helper()
	r, err := RenderRPM(p)
	if err != nil {
		t.Fatal(err)
	}
	d, err := RenderDeb(p)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"pre": r.Pre, "post": r.Post, "preun": r.PreUn, "postun": r.PostUn, "posttrans": r.PostTrans,
		"preinst": d.PreInst, "postinst": d.PostInst, "prerm": d.PreRm, "postrm": d.PostRm,
	}
}

func TestGolden(t *testing.T) {
	for _, p := range []struct {
		name    string
		product Product
	}{
		{"ven", product()},
		{"plain", Product{Name: "agent", Program: "/opt/agent", State: "/var/lib/vpkg/agent", Log: "/var/log/agent.log"}},
	} {
		for name, got := range scripts(t, p.product) {
			file := filepath.Join("testdata", p.name, name+".sh")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is\n%s\nwant\n%s", file, got, want)
			}
		}
	}
}

// A shim has at most 10 lines; what has to be shell has at most 30.
func TestLines(t *testing.T) {
	for name, text := range scripts(t, product()) {
		most := 10
		if name == "pre" || name == "postrm" {
			most = 30
		}
		if n := strings.Count(text, "\n"); n > most {
			t.Errorf("%s has %d lines, want at most %d", name, n, most)
		}
	}
}

func TestShellcheck(t *testing.T) {
	oracle.Need(t, "shellcheck")
	files, err := filepath.Glob("testdata/*/*.sh")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if out, err := exec.Command("shellcheck", append([]string{"-s", "sh"}, files...)...).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}

func TestQuote(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"/opt/illumio_ven", "/opt/illumio_ven"},
		{"", "''"},
		{"~root", "'~root'"},
		{"Illumio's VEN", `'Illumio'\''s VEN'`},
		{"$(reboot)", "'$(reboot)'"},
	} {
		if got := quote(tc.in); got != tc.want {
			t.Errorf("quote(%q) = %s, want %s", tc.in, got, tc.want)
		}
	}
}

// shells are what /bin/sh is on the targets.
func shells(t *testing.T) [][]string {
	t.Helper()
	var found [][]string
	for _, sh := range [][]string{{"dash"}, {"bash", "--posix"}, {"busybox", "sh"}} {
		p, err := exec.LookPath(sh[0])
		if err != nil {
			t.Logf("%s is not installed: not tried", sh[0])
			continue
		}
		found = append(found, append([]string{p}, sh[1:]...))
	}
	if len(found) == 0 {
		oracle.Skip(t, "none of dash, bash and busybox is installed")
	}
	return found
}

// A sandbox is a folder in which scriptlets run: the only folder in PATH has
// stubs of everything that would change the host.
type sandbox struct {
	dir string // the root of DPKG_ROOT, with state, passwd and group
	bin string
	env []string
}

// stub reads and writes $BOX/passwd and $BOX/group, and logs how it was called.
const stub = `#!/bin/sh
me=${0##*/}
echo "$me $*" >>"$BOX/calls"
for last; do :; done
case $me in
getent) exec grep -q "^$2:" "$BOX/$1" ;;
groupadd | useradd)
	f=group; [ "$me" = groupadd ] || f=passwd
	case "$FULL,$1" in "$me",-r | all,*) echo "$me: no unique number" >&2; exit 4 ;; esac
	! grep -q "^$last:" "$BOX/$f" || exit 9
	echo "$last:x:1:1" >>"$BOX/$f" ;;
userdel | groupdel)
	f=group; [ "$me" = groupdel ] || f=passwd
	[ "$BUSY" != 1 ] || exit 8
	grep -v "^$last:" "$BOX/$f" >"$BOX/$f.new"; mv "$BOX/$f.new" "$BOX/$f" ;;
esac
`

func newSandbox(t *testing.T, env ...string) *sandbox {
	t.Helper()
	b := &sandbox{dir: t.TempDir(), bin: t.TempDir(), env: env}
	for _, name := range []string{"getent", "groupadd", "useradd", "userdel", "groupdel", "systemctl"} {
		b.write(t, filepath.Join(b.bin, name), stub, 0o755)
	}
	for _, name := range []string{"sh", "grep", "mkdir", "mv", "rm", "rmdir", "find"} { // what changes nothing outside the sandbox
		oracle.Need(t, name)
		p, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(p, filepath.Join(b.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	b.write(t, b.path("passwd"), "root:x:0:0\n", 0o644)
	b.write(t, b.path("group"), "root:x:0:\n", 0o644)
	b.write(t, b.path("etc/group"), "root:x:0:\nilo-ven:x:1:\n", 0o644)
	return b
}

func (b *sandbox) path(name string) string { return filepath.Join(b.dir, name) }

func (b *sandbox) write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (b *sandbox) read(name string) string {
	text, _ := os.ReadFile(b.path(name)) // a file that is not there is empty
	return string(text)
}

// run runs text as package managers do: a file, with arguments.
func (b *sandbox) run(t *testing.T, sh []string, file, text string, args ...string) (out string, status int) {
	t.Helper()
	b.write(t, file, text, 0o755)
	cmd := exec.Command(sh[0], slices.Concat(sh[1:], []string{file}, args)...)
	cmd.Env = append([]string{"PATH=" + b.bin, "BOX=" + b.dir}, b.env...)
	text2, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text2), cmd.ProcessState.ExitCode()
}

func TestRPMPre(t *testing.T) {
	for _, tc := range []struct {
		name          string
		env           []string
		passwd, group string // there before, one name each
		status        int
		made          string
		calls         string // useradd and groupadd, without their other arguments
	}{
		{name: "clean host", made: "group ilo-ven\nuser ilo-ven\n", calls: "groupadd -r, useradd -r"},
		{name: "both exist", passwd: "ilo-ven", group: "ilo-ven"},
		{name: "group without user", group: "ilo-ven", made: "user ilo-ven\n", calls: "useradd -r"},
		{name: "user without group", passwd: "ilo-ven", made: "group ilo-ven\n", calls: "groupadd -r"},
		{
			name: "system numbers of users all taken", env: []string{"FULL=useradd"},
			made: "group ilo-ven\nuser ilo-ven\n", calls: "groupadd -r, useradd -r, useradd -M",
		},
		{
			name: "system numbers of groups all taken", env: []string{"FULL=groupadd"},
			made: "group ilo-ven\nuser ilo-ven\n", calls: "groupadd -r, groupadd ilo-ven, useradd -r",
		},
		{name: "all numbers taken", env: []string{"FULL=all"}, status: 1, calls: "groupadd -r, groupadd ilo-ven"},
		{
			name: "another account", env: []string{"VEN_NONPRIV_USER=www"}, passwd: "www",
			made: "group ilo-ven\nuser ilo-ven\n", calls: "groupadd -r, useradd -r",
		},
		{name: "another account, unknown", env: []string{"VEN_NONPRIV_USER=www"}, status: 1},
		{name: "another account, an option", env: []string{"VEN_NONPRIV_USER=-x"}, status: 1},
		{name: "another account, a command", env: []string{"VEN_NONPRIV_USER=a b"}, status: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, sh := range shells(t) {
				b := newSandbox(t, tc.env...)
				p := product()
				p.State = b.path("state")
				for file, name := range map[string]string{"passwd": tc.passwd, "group": tc.group} {
					if name != "" {
						b.write(t, b.path(file), name+":x:1:1\n", 0o644)
					}
				}
				out, status := b.run(t, sh, b.path("pre"), scripts(t, p)["pre"], "1")
				if status != tc.status {
					t.Errorf("%s: exit status %d, want %d; it says %q", sh, status, tc.status, out)
				}
				if (status != 0) != strings.Contains(out, "illumio-ven: ") {
					t.Errorf("%s: exit status %d, and it says %q", sh, status, out)
				}
				if got := b.read("state/made"); got != tc.made {
					t.Errorf("%s: made %q, want %q", sh, got, tc.made)
				}
				var calls []string
				for line := range strings.Lines(b.read("calls")) {
					if f := strings.Fields(line); f[0] != "getent" {
						calls = append(calls, f[0]+" "+f[1])
					}
				}
				if got := strings.Join(calls, ", "); got != tc.calls {
					t.Errorf("%s: calls %q, want %q", sh, got, tc.calls)
				}
			}
		})
	}
}

// The comment has an apostrophe: it must come through as one argument.
func TestRPMPreArguments(t *testing.T) {
	for _, sh := range shells(t) {
		b := newSandbox(t)
		p := product()
		p.State = b.path("state")
		b.run(t, sh, b.path("pre"), scripts(t, p)["pre"], "1")
		const want = "useradd -r -M -g ilo-ven -d /opt/illumio_ven_data -s /sbin/nologin -c Illumio's VEN ilo-ven\n"
		if got := b.read("calls"); !strings.HasSuffix(got, want) {
			t.Errorf("%s: calls %q, want %q last", sh, got, want)
		}
	}
}

// hook is a stand-in that shows its arguments and fails when it is told to.
const hook = "#!/bin/sh\necho \"hook $*\"\nexit ${STATUS:-0}\n"

func TestShims(t *testing.T) {
	type result struct {
		out    string
		status int
	}
	for _, tc := range []struct {
		script      string
		args        []string
		ok, failing result // of a hook that exits with 0 and with 1
		missing     int    // exit status when there is no hook
	}{
		{"post", []string{"1"}, result{"hook post-install --format rpm -- 1\n", 0}, result{"hook post-install --format rpm -- 1\n", 1}, 127},
		{"preun", []string{"0"}, result{"hook pre-remove --format rpm -- 0\n", 0}, result{"hook pre-remove --format rpm -- 0\n", 0}, 0},
		{"posttrans", []string{"2"}, result{"hook post-trans --format rpm --\n", 0}, result{"hook post-trans --format rpm --\n", 0}, 0},
		{"posttrans", nil, result{"hook post-trans --format rpm --\n", 0}, result{"hook post-trans --format rpm --\n", 0}, 0},
		{"postun", []string{"0"}, result{"", 0}, result{"", 0}, 0},
		{"postun", []string{"1"}, result{"", 0}, result{"", 0}, 0},
		{"preinst", []string{"install"}, result{"hook pre-install --format deb -- install\n", 0}, result{"hook pre-install --format deb -- install\n", 1}, 127},
		{"postinst", []string{"configure", "1.0 x"}, result{"hook post-install --format deb -- configure 1.0 x\n", 0}, result{"hook post-install --format deb -- configure 1.0 x\n", 1}, 127},
		{"prerm", []string{"remove"}, result{"hook pre-remove --format deb -- remove\n", 0}, result{"hook pre-remove --format deb -- remove\n", 0}, 0},
		{"postrm", []string{"remove"}, result{"hook post-remove --format deb -- remove\n", 0}, result{"hook post-remove --format deb -- remove\n", 0}, 0},
		{"postrm", []string{"abort-install"}, result{"hook post-remove --format deb -- abort-install\n", 0}, result{"hook post-remove --format deb -- abort-install\n", 0}, 0},
	} {
		for _, sh := range shells(t) {
			for _, place := range []string{"tmp.ci/%s", "info/illumio-ven.%s", "info/lib1.2:amd64.%s"} {
				t.Run(fmt.Sprintf("%s/%s/%s", tc.script, filepath.Base(sh[0]), strings.Join(tc.args, "_")), func(t *testing.T) {
					b := newSandbox(t)
					p := product()
					p.Program = b.path("opt")
					script, text := b.path(fmt.Sprintf(place, tc.script)), scripts(t, p)[tc.script]
					beside := filepath.Dir(script) + "/hook"
					if strings.HasPrefix(place, "info/") {
						beside = strings.TrimSuffix(script, tc.script) + "hook"
					}
					if strings.HasPrefix(text, "#!") { // a DEB's: the payload's is not on disk yet, or another version's
						p.Program = b.path("elsewhere")
					} else {
						beside = p.Hook()
					}
					if out, status := b.run(t, sh, script, text, tc.args...); status != tc.missing {
						t.Errorf("without a hook: exit status %d, want %d; it says %q", status, tc.missing, out)
					}
					b.write(t, beside, hook, 0o755)
					for _, want := range []result{tc.ok, tc.failing} {
						out, status := b.run(t, sh, script, text, tc.args...)
						if got := (result{out, status}); got != want {
							t.Errorf("got %+v, want %+v", got, want)
						}
						b.env = []string{"STATUS=1"}
					}
				})
			}
		}
	}
}

func TestPurge(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(t *testing.T, b *sandbox)
		ownFind bool // the stub of find must be what is called
		env     []string
		gone    bool // the account
	}{
		{name: "account made by the package", gone: true},
		{name: "account was there before", change: func(t *testing.T, b *sandbox) {
			b.write(t, b.path("var/lib/vpkg/illumio-ven/made"), "user other\n", 0o644)
		}},
		{name: "nothing was ever made", change: func(t *testing.T, b *sandbox) {
			if err := os.RemoveAll(b.path("var")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "another package uses it", change: func(t *testing.T, b *sandbox) {
			b.write(t, b.path("var/lib/dpkg/info/other.hook-config"), "{\n  \"user\": \"ilo-ven\"\n}\n", 0o644)
		}},
		{name: "a process runs as it", env: []string{"BUSY=1"}},
		{name: "it owns a file", ownFind: true, change: func(t *testing.T, b *sandbox) {
			b.write(t, filepath.Join(b.bin, "find"), "#!/bin/sh\n[ \"${1##*/}\" != home ] || echo \"$1/x\"\n", 0o755)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, sh := range shells(t) {
				if tc.ownFind && strings.Contains(sh[0], "busybox") {
					continue // its find is built in
				}
				b := newSandbox(t, tc.env...)
				b.env = append(b.env, "DPKG_ROOT="+b.dir)
				for _, file := range []string{"passwd", "group"} {
					b.write(t, b.path(file), "ilo-ven:x:1:1\n", 0o644)
				}
				b.write(t, b.path("var/lib/vpkg/illumio-ven/made"), "group ilo-ven\nuser ilo-ven\n", 0o644)
				b.write(t, b.path("var/log/illumio_install.log"), "x", 0o600)
				b.write(t, b.path("opt/illumio_ven_data/etc/agent_id.cfg"), "x", 0o600)
				b.write(t, b.path("opt/other/file"), "x", 0o600)
				os.Remove(filepath.Join(b.bin, "find"))
				b.write(t, filepath.Join(b.bin, "find"), "#!/bin/sh\nexit 1\n", 0o755) // no such user's files
				if tc.change != nil {
					tc.change(t, b)
				}
				out, status := b.run(t, sh, b.path("postrm"), scripts(t, product())["postrm"], "purge")
				if status != 0 || out != "" {
					t.Errorf("%s: exit status %d, and it says %q", sh, status, out)
				}
				for _, file := range []string{"passwd", "group"} {
					if gone := !strings.Contains(b.read(file), "ilo-ven"); gone != tc.gone {
						t.Errorf("%s: account gone from %s: %t, want %t", sh, file, gone, tc.gone)
					}
				}
				for _, gone := range []string{"opt/illumio_ven_data", "var/lib/vpkg", "var/log/illumio_install.log"} {
					if _, err := os.Stat(b.path(gone)); !os.IsNotExist(err) {
						t.Errorf("%s: %s is still there (%v)", sh, gone, err)
					}
				}
				if b.read("opt/other/file") != "x" {
					t.Errorf("%s: a file that is not the package's is gone", sh)
				}
			}
		})
	}
}
