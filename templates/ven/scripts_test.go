package ven_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/templates/ven"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var scripts = []string{"illumio-ven-ctl", "bin/init_Platform", "bin/agent_status.sh"}

// unpack lays the payload down in a temporary folder, with programs that show how
// they were called, what they got where that is a code, and end with the exit
// status 7.
func unpack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	payload, err := fs.Sub(ven.Files, "payload")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, payload); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "agent_version"), []byte("Illumio VEN 25.2.20-10\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vpkg-hook", "vpkg-agent"} {
		program := "#!/bin/sh\nprintf '" + name + "'\nprintf ' [%s]' \"$@\"\necho\ncase \"$*\" in *file\\ -) cat ;; esac\nexit 7\n"
		if err := os.WriteFile(filepath.Join(dir, "bin", name), []byte(program), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range scripts {
		if err := os.Chmod(filepath.Join(dir, s), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func shells(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for name, command := range map[string][]string{
		"dash": {"dash"}, "bash": {"bash", "--posix"}, "busybox": {"busybox", "sh"},
	} {
		if _, err := exec.LookPath(command[0]); err == nil {
			found[name] = command
		}
	}
	if len(found) == 0 {
		oracle.Skip(t, "neither dash nor bash nor busybox is installed")
	}
	return found
}

func TestScripts(t *testing.T) {
	dir := unpack(t)
	if os.Getuid() != 0 {
		t.Skip("illumio-ven-ctl asks for root")
	}
	for _, tt := range []struct {
		call   string
		stdout string // what it begins with; empty means nothing
		stderr string
		status int
	}{
		{"illumio-ven-ctl start", "vpkg-hook [platform] [start]\n", "", 7},
		{"illumio-ven-ctl stop", "vpkg-hook [platform] [stop]\n", "", 7},
		{"illumio-ven-ctl restart", "vpkg-hook [platform] [restart]\n", "", 7},
		{"illumio-ven-ctl status", "vpkg-hook [platform] [status]\n", "", 7},
		{"illumio-ven-ctl status --json", "vpkg-hook [platform] [status] [--json]\n", "", 7},
		{"illumio-ven-ctl version", "25.2.20-10\n", "", 0},
		{"illumio-ven-ctl help", "Usage: illumio-ven-ctl COMMAND", "", 0},
		{"illumio-ven-ctl --help", "Usage: illumio-ven-ctl COMMAND", "", 0},
		{"illumio-ven-ctl", "", "Usage: illumio-ven-ctl COMMAND", 2},
		{"illumio-ven-ctl activate --help", "Usage: illumio-ven-ctl activate", "", 0},
		{"illumio-ven-ctl activate", "vpkg-agent [activate]\n", "", 7},
		{
			"illumio-ven-ctl activate -m pce:8443 -a 1f00 --role web --mode illuminated --insecure",
			"vpkg-agent [activate] [--management-server] [pce:8443] [--role] [web] [--enforcement-mode] [visibility_only] [--insecure] [--activation-code-file] [-]\n1f00\n",
			"illumio-ven-ctl: warning: others can read", 7,
		},
		{
			"illumio-ven-ctl activate --activation_code=1f00 --management_server=pce:8443 --mode full",
			"vpkg-agent [activate] [--management_server=pce:8443] [--enforcement-mode] [full] [--activation-code-file] [-]\n1f00\n",
			"illumio-ven-ctl: warning: others can read", 7,
		},
		{
			"illumio-ven-ctl activate --activation-code-file /root/code", "vpkg-agent [activate] [--activation-code-file] [/root/code]\n", "", 7,
		},
		{"illumio-ven-ctl activate -a", "", "Usage: illumio-ven-ctl COMMAND", 2},
		{"illumio-ven-ctl deactivate", "vpkg-agent [deactivate]\n", "", 7},
		{"illumio-ven-ctl conncheck", "vpkg-agent [connectivity-test]\n", "", 7},
		{"illumio-ven-ctl unpair", "", "Usage: illumio-ven-ctl COMMAND", 2},
		{"illumio-ven-ctl unpair saved noreport", "vpkg-hook [unpair] [saved] [noreport]\n", "", 7},
		{"illumio-ven-ctl suspend", "vpkg-hook [suspend]\n", "", 7},
		{"illumio-ven-ctl check-env --json", "vpkg-hook [check-env] [--json]\n", "", 7},
		{"illumio-ven-ctl verify", "vpkg-hook [verify]\n", "", 7},
		{"illumio-ven-ctl gen-supportreport now", "", "Usage: illumio-ven-ctl COMMAND", 2},
		{"illumio-ven-ctl start now", "", "Usage: illumio-ven-ctl COMMAND", 2},
		{"illumio-ven-ctl status --xml", "", "Usage: illumio-ven-ctl COMMAND", 2},
		{"illumio-ven-ctl version 2", "", "Usage: illumio-ven-ctl COMMAND", 2},
		{"bin/init_Platform start", "vpkg-hook [platform] [start]\n", "", 7},
		{"bin/init_Platform status --json", "vpkg-hook [platform] [status] [--json]\n", "", 7},
		{"bin/init_Platform help", "Usage: init_Platform {", "", 0},
		{"bin/init_Platform", "", "Usage: init_Platform {", 2},
		{"bin/init_Platform reload", "", "Usage: init_Platform {", 2},
		{"bin/agent_status.sh", "Pairing Status\nPairing Configuration exists ......FAILED\nVEN Manager Daemon running ......FAILED\n", "", 1},
		{"bin/agent_status.sh --json", "", "Usage: agent_status.sh", 2},
	} {
		for name, shell := range shells(t) {
			t.Run(name+" "+tt.call, func(t *testing.T) {
				script, args, _ := strings.Cut(tt.call, " ")
				command := append(append([]string{}, shell[1:]...), filepath.Join(dir, script))
				cmd := exec.Command(shell[0], append(command, strings.Fields(args)...)...)
				var stdout, stderr strings.Builder
				cmd.Stdout, cmd.Stderr = &stdout, &stderr
				if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
					t.Fatal(err)
				}
				if got := cmd.ProcessState.ExitCode(); got != tt.status {
					t.Errorf("exit status %d, want %d", got, tt.status)
				}
				for _, out := range []struct{ name, got, want string }{
					{"stdout", stdout.String(), tt.stdout},
					{"stderr", stderr.String(), tt.stderr},
				} {
					if !strings.HasPrefix(out.got, out.want) || out.want == "" && out.got != "" {
						t.Errorf("%s is %q, want it to begin with %q", out.name, out.got, out.want)
					}
				}
			})
		}
	}
}

// The control script finds its folder through a link, as from /usr/local/bin.
func TestScriptLinked(t *testing.T) {
	dir := unpack(t)
	link := filepath.Join(t.TempDir(), "ctl")
	if err := os.Symlink(filepath.Join(dir, "illumio-ven-ctl"), link); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", link, "version").CombinedOutput()
	if string(out) != "25.2.20-10\n" || err != nil {
		t.Errorf("version through a link: %q, %v", out, err)
	}
}

// The help of illumio-ven-ctl is its manual: a change of it is to be seen.
func TestUsage(t *testing.T) {
	out, err := exec.Command("sh", filepath.Join(unpack(t), "illumio-ven-ctl"), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "illumio-ven-ctl.help", out)
}

func TestShellcheck(t *testing.T) {
	oracle.Need(t, "shellcheck")
	dir := unpack(t)
	args := []string{"--shell=sh", "--enable=all", "--exclude=SC2250,SC2310"} // braces everywhere; set -e, which is not used
	for _, s := range scripts {
		args = append(args, filepath.Join(dir, s))
	}
	if out, err := exec.Command("shellcheck", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSystemdVerify(t *testing.T) {
	oracle.Need(t, "systemd-analyze")
	dir := t.TempDir()
	units, err := filepath.Glob("units/*.service")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"verify", "--man=no"}
	for _, u := range units {
		b, err := os.ReadFile(u)
		if err != nil {
			t.Fatal(err)
		}
		// verify looks for the programs on this machine
		text := strings.ReplaceAll(string(b), "=/opt/illumio_ven/bin/", "=/bin/true /opt/illumio_ven/bin/")
		name := filepath.Join(dir, filepath.Base(u))
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	cmd := exec.Command("systemd-analyze", args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
