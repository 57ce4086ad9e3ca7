//go:build linux

package pairing

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

// documented is the first block of that language in docs/library.md that has the text.
func documented(t *testing.T, language, text string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/library.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(page), "\n```"+language+"\n")[1:] {
		if block, _, ok := strings.Cut(part, "\n```"); ok && strings.Contains(block, text) {
			return block + "\n"
		}
	}
	t.Fatalf("docs/library.md has no %s with %s", language, text)
	return ""
}

// TestService runs the server as docs/library.md says: its unit, its settings, and the
// import as the unit's user.
func TestService(t *testing.T) {
	testbed.Need(t)
	t.Parallel()
	b := testbed.New(t, testbed.Bookworm)
	b.Boot(t)
	b.Copy(t, "/usr/local/bin", filepath.Join(testbed.Dir(t), "vpkg-library"))
	packages, err := filepath.Glob(filepath.Join(testbed.Dir(t), "dist", "*"))
	if err != nil || len(packages) == 0 {
		t.Fatalf("there are no packages: %v", err)
	}
	b.Copy(t, "/srv/dist", packages...)
	b.Write(t, "/etc/vpkg-library.yaml", documented(t, "yaml", "# /etc/vpkg-library.yaml"))
	b.Write(t, "/etc/systemd/system/vpkg-library.service", documented(t, "ini", "[Service]"))

	b.Sh(t, "chmod 755 /usr/local/bin/vpkg-library && systemctl daemon-reload && systemctl enable --now vpkg-library").OK(t) // Type=notify: it is ready then
	b.Sh(t, "curl -fsSk https://127.0.0.1:8443/readyz").OK(t)
	out := b.Sh(t, documented(t, "sh", "systemd-run")).OK(t)
	if !regexp.MustCompile(`(?s)^.*[A-Z2-7]{26}\n.*imported `).MatchString(out) {
		t.Errorf("no password, or nothing is imported:\n%s", out)
	}
	const image = "https://127.0.0.1:8443/api/v18/software/ven/image?os=debian12&arch=$(dpkg --print-architecture)&version=" + release
	b.Sh(t, `curl -fsSk "`+image+`" | dpkg-deb -f - Package`).OK(t)
	if owned := b.Sh(t, "find /var/lib/vpkg-library/ -user root").OK(t); owned != "" {
		t.Errorf("files are root's:\n%s", owned)
	}
	if mode := b.Sh(t, "stat -c %a /var/lib/vpkg-library/").OK(t); mode != "700\n" {
		t.Errorf("the data folder has the mode %s", mode)
	}
	if log := b.Sh(t, "journalctl --sync; journalctl --no-pager -o cat").OK(t); regexp.MustCompile(`\b[A-Z2-7]{26}\b`).MatchString(log) {
		t.Errorf("there is a password in the journal:\n%s", log)
	}
	if log := b.Sh(t, "journalctl --no-pager -o cat -u vpkg-library").OK(t); !strings.Contains(log, "msg=serving") {
		t.Errorf("the server's log is not in the journal:\n%s", log)
	}
	if status := b.Sh(t, "systemctl reload vpkg-library && sleep 1 && systemctl is-active vpkg-library && systemctl show -P NRestarts vpkg-library").OK(t); strings.Join(strings.Fields(status), " ") != "active 0" {
		t.Errorf("after a reload it is %s", status)
	}

	// A stop is clean, and a start afterwards has what was there.
	begin := time.Now()
	b.Sh(t, "systemctl stop vpkg-library && [ $(systemctl show -P Result vpkg-library) = success ]").OK(t)
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("the stop took %v", took)
	}
	b.Sh(t, "systemctl start vpkg-library && curl -fsSk -o /dev/null "+`"`+image+`"`).OK(t)
	if said := b.Sh(t, "systemd-analyze verify vpkg-library.service 2>&1 | grep vpkg-library || true").OK(t); said != "" {
		t.Errorf("systemd-analyze verify: %s", said)
	}
}
