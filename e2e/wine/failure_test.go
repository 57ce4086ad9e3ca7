//go:build linux

package wine

import (
	"strings"
	"testing"
)

// failed is Wine's exit code when an action fails. Windows' is 1603, as it is for a
// condition that does not hold.
const failed = 1627

// TestServiceFails installs a product whose service does not start: at the end of
// an installation that went well so far, all of which is taken back.
func TestServiceFails(t *testing.T) {
	h := newHost(t)
	h.want(t, failed, "/i", h.bring(t, h.pkg("broken", "1.0.0-1")))
	if said := h.read(t, `C:\windows\temp\broken-install.log`); !strings.Contains(said, "post-install") || !strings.Contains(said, "ROLLBACK=1") {
		t.Errorf("want the hook's post-install, and that it is taken back:\n%s", said)
	}
	h.checkNothing(t, "broken", "Broken")
	if s := h.services(t, "brokenSvc")["brokenSvc"]; s.State != "" {
		t.Errorf("the service is still there, %s", s.State)
	}
}

// TestHookFails installs a product whose data folder is a file already, which its
// hook finds before anything is installed.
func TestHookFails(t *testing.T) {
	h := newHost(t)
	h.write(t, `C:\ProgramData\Small`, "a file")
	h.want(t, failed, "/i", h.bring(t, h.pkg("small", "1.0.0-1")))
	if got := h.read(t, `C:\ProgramData\Small`); got != "a file" {
		t.Errorf("the file in the place of the data folder has %q", got)
	}
	if err := h.remove(`C:\ProgramData\Small`); err != nil {
		t.Fatal(err)
	}
	h.checkNothing(t, "small", "Small")
	h.want(t, 0, "/i", h.bring(t, h.pkg("small", "1.0.0-1")))
}

// checkNothing sees to it that a failed installation of a product left nothing.
func (h *host) checkNothing(t *testing.T, name, title string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log(h.said())
		}
	}()
	for _, folder := range []string{`C:\Program Files\` + title, `C:\ProgramData\` + title} {
		if h.exists(t, folder) {
			t.Errorf("%s is still there: %q", folder, h.list(t, folder))
		}
	}
	// The hook's own folder is not in the package.
	if state := `C:\ProgramData\vpkg\` + name; h.exists(t, state) {
		if left := h.list(t, state); len(left) > 1 {
			t.Errorf("%s is not empty: %q", state, left)
		}
	}
	for _, key := range []string{`Software\vpkg\` + name, `Software\` + title} {
		if v := h.values(t, key); v != nil {
			t.Errorf("registry: %s is still there, %q", key, v)
		}
	}
	if found := h.programs(t, title); len(found) > 0 {
		t.Errorf("the list of programs has %q", found)
	}
}

// TestRefused installs where it must not be.
func TestRefused(t *testing.T) {
	h := newHost(t)
	// Built for another processor.
	h.want(t, 1633, "/i", h.bring(t, strings.Replace(h.built(oldVersion), "x64", "arm64", 1)))
	h.checkNothing(t, "illumio-ven", "Illumio")
	// Windows 8.1 and those before it have no such value.
	const version = `HKLM\Software\Microsoft\Windows NT\CurrentVersion`
	if out, err := h.run("wine", "reg", "delete", version, "/v", "CurrentMajorVersionNumber", "/f"); err != nil {
		t.Fatalf("reg: %v\n%s", err, out)
	}
	h.want(t, 1603, "/i", h.bring(t, h.built(oldVersion)))
	h.checkNothing(t, "illumio-ven", "Illumio")
	h.checkRemoved(t, program)
	if h.exists(t, logFile) {
		t.Errorf("the hook was called:\n%s", h.read(t, logFile))
	}
}
