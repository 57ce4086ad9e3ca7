//go:build linux

package e2e

import (
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestLifecycle takes the product through install, upgrade, downgrade, reinstall,
// remove and, for dpkg, purge, on every generation. Without systemd the boxes are
// offline: accounts, folders and files, and nothing is started.
func TestLifecycle(t *testing.T) {
	for _, g := range generations {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			b := g.box(t)
			old, newer := g.bring(t, b, oldVersion), g.bring(t, b, newVersion)

			const secret = "1f00dcafe5ec0de"
			out := g.install(t, b, old, "VEN_ACTIVATION_CODE="+secret)
			out.OK(t)
			checkInstalled(t, g, b, oldVersion)
			checkHookWork(t, b)
			if strings.Contains(out.Stdout+out.Stderr+b.Read(t, logFile), secret) {
				t.Error("the activation code is in the output or the log")
			}
			if r := b.Run(t, "grep", "-rl", secret, "/var", "/etc", "/opt"); r.Code == 0 {
				t.Errorf("the activation code is in %s", r.Stdout)
			}

			b.Write(t, data+"/etc/kept", "by the administrator")
			for _, step := range []struct {
				name    string
				run     func(testing.TB, *testbed.Box, string) testbed.Result
				file    string
				version string
			}{
				{"upgrade", g.upgrade, newer, newVersion},
				{"downgrade", g.downgrade, old, oldVersion},
				{"reinstall", g.reinstall, old, oldVersion},
				{"upgrade again", g.upgrade, newer, newVersion},
			} {
				step.run(t, b, step.file).OK(t)
				checkInstalled(t, g, b, step.version)
				checkHookWork(t, b)
				if t.Failed() {
					t.Fatalf("after the %s; log:\n%s", step.name, b.Read(t, logFile))
				}
			}

			g.remove(t, b).OK(t)
			checkRemoved(t, g, b)
			g.install(t, b, old).OK(t)
			checkInstalled(t, g, b, oldVersion)
			if _, ok := g.manager.(dpkg); ok {
				b.Run(t, "dpkg", "--purge", product).OK(t)
				checkPurged(t, b)
			}
		})
	}
}

// checkHookWork checks what the hook does beside the files of the package.
func checkHookWork(t testing.TB, b *testbed.Box) {
	t.Helper()
	for _, dir := range []string{data, data + "/etc", data + "/log", data + "/tmp"} {
		if got, want := status(t, b, dir), "750 "+account+":"+account; got != want {
			t.Errorf("%s is %q, want %q", dir, got, want)
		}
	}
	if !exists(t, b, stateDir+"/installed.json") {
		t.Error("the hook has not written the installed state")
	}
	if exists(t, b, stateDir+"/failed") {
		t.Errorf("the hook has failed:\n%s", b.Read(t, stateDir+"/failed"))
	}
	if b.Read(t, logFile) == "" {
		t.Error("the hook's log is empty")
	}
	if mode, _, _ := strings.Cut(status(t, b, logFile), " "); mode != "600" && mode != "640" {
		t.Errorf("the log's mode is %s: others can read it", mode)
	}
}

// checkRemoved checks that only what belongs to the administrator is left.
func checkRemoved(t testing.TB, g generation, b *testbed.Box) {
	t.Helper()
	if v := g.version(t, b); v != "" {
		t.Errorf("%s is still installed", v)
	}
	if left := b.Run(t, "find", program, "-type", "f"); left.Stdout != "" {
		if _, ok := g.manager.(dpkg); !ok { // dpkg keeps the configuration
			t.Errorf("the package leaves\n%s", left.Stdout)
		}
	}
	if r := b.Run(t, "sh", "-c", "ls /usr/lib/systemd/system /etc/systemd/system/* | grep -i -e illumio -e '^ven'"); r.Code == 0 {
		t.Errorf("units are left:\n%s", r.Stdout)
	}
	if got := b.Read(t, data+"/etc/kept"); got != "by the administrator" {
		t.Errorf("the administrator's file now says %q", got)
	}
	if !hasAccount(t, b, account) {
		t.Error("the account that owns the data folder is gone")
	}
	if !exists(t, b, "/opt") {
		t.Error("/opt is gone")
	}
}

// checkPurged checks that nothing at all is left.
func checkPurged(t testing.TB, b *testbed.Box) {
	t.Helper()
	for _, path := range []string{program, data, stateDir, logFile} {
		if exists(t, b, path) {
			t.Errorf("the purge leaves %s", path)
		}
	}
	if hasAccount(t, b, account) {
		t.Errorf("the purge leaves the account %s, which only the package used", account)
	}
	if !exists(t, b, "/opt") {
		t.Error("/opt is gone")
	}
	if out := b.Run(t, "dpkg-query", "-l", product); out.Code == 0 && !strings.Contains(out.Stdout, "un  "+product) {
		t.Errorf("dpkg still knows it:\n%s", out.Stdout)
	}
	if out := b.Run(t, "sh", "-c", "ls /var/lib/dpkg/info | grep "+product); out.Code == 0 {
		t.Errorf("dpkg's own folder still has\n%s", out.Stdout)
	}
}
