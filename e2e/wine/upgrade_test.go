//go:build linux

package wine

import (
	"strings"
	"testing"
)

// TestUpgrade brings a higher version and a higher build of the same version: data
// stays, there is one product, and its services run the new program. Then older
// ones are refused.
func TestUpgrade(t *testing.T) {
	for _, c := range []struct{ name, from, to string }{
		{"version", oldVersion, newVersion},
		{"build", oldVersion, rebuilt},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			older, newer := h.bring(t, h.built(c.from)), h.bring(t, h.built(c.to))
			h.want(t, 0, "/i", older)
			oldCode := h.checkInstalled(t, c.from, program, data)
			before := h.awaitRunning(t)
			h.write(t, data+`\etc\mine`, "kept")

			h.want(t, 0, "/i", newer)
			h.checkData(t)
			newCode := h.checkInstalled(t, c.to, program, data)
			if newCode == oldCode {
				t.Errorf("both versions have the product code %s", newCode)
			}
			after := h.awaitRunning(t)
			for name, process := range after {
				if process == before[name] {
					t.Errorf("service %s is still the old version's process %d", name, process)
				}
			}

			h.want(t, 1603, "/i", older)
			h.checkData(t)
			h.checkInstalled(t, c.to, program, data)
			for name, process := range h.awaitRunning(t) {
				if process != after[name] {
					t.Errorf("a refused downgrade has restarted service %s\n%s", name, h.said())
				}
			}

			h.want(t, 0, "/x", newer)
			h.checkRemoved(t, program)
			h.checkData(t)
		})
	}
}

// TestReplaced removes a product in the way in which Windows removes the old version
// in an upgrade: it says so by a property, which Wine's own upgrades lack. The
// product's hook takes no leave, and the installer stops the services.
func TestReplaced(t *testing.T) {
	h := newHost(t)
	pkg := h.bring(t, h.built(oldVersion))
	h.want(t, 0, "/i", pkg)
	h.checkInstalled(t, oldVersion, program, data)
	h.write(t, data+`\etc\mine`, "kept")
	hooked, installed := h.read(t, logFile), h.read(t, stateFolder+`\installed.json`)

	h.want(t, 0, "/x", pkg, "REMOVEDATA=1", "UPGRADINGPRODUCTCODE={11111111-2222-3333-4444-555555555555}")
	h.checkRemoved(t, program)
	h.checkData(t)
	if got := h.read(t, logFile); got != hooked {
		t.Errorf("the hook was called:\n%s", strings.TrimPrefix(got, hooked))
	}
	if got := h.read(t, stateFolder+`\installed.json`); got != installed {
		t.Errorf("the installed state has become\n%s", got)
	}
}

// checkData sees to it that the user's file in the data folder is as it was.
func (h *host) checkData(t *testing.T) {
	t.Helper()
	if got := h.read(t, data+`\etc\mine`); got != "kept" {
		t.Errorf(`%s\etc\mine has %q`, data, got)
	}
}

// TestFolders installs elsewhere. An upgrade remembers each folder that it is not
// told.
func TestFolders(t *testing.T) {
	const (
		program = `C:\Own Programs\VEN`
		oldData = `C:\Own Data\VEN`
		newData = `C:\Other Data\VEN`
	)
	h := newHost(t)
	h.want(t, 0, "/i", h.bring(t, h.built(oldVersion)), `INSTALLFOLDER="`+program+`"`, `DATAFOLDER="`+oldData+`"`)
	h.checkInstalled(t, oldVersion, program, oldData)
	h.write(t, oldData+`\etc\mine`, "kept")

	h.want(t, 0, "/i", h.bring(t, h.built(rebuilt)))
	h.checkInstalled(t, rebuilt, program, oldData)

	h.want(t, 0, "/i", h.bring(t, h.built(newVersion)), `DATAFOLDER="`+newData+`"`)
	h.checkInstalled(t, newVersion, program, newData)
	if got := h.read(t, oldData+`\etc\mine`); got != "kept" {
		t.Errorf("the data folder that the upgrade left has %q", got)
	}
	for _, name := range []string{`C:\Program Files\Illumio`, `C:\ProgramData\Illumio`} {
		if h.exists(t, name) {
			t.Errorf("there is %s, %q, though the product is elsewhere", name, h.list(t, name))
		}
	}

	h.want(t, 0, "/x", h.bring(t, h.built(newVersion)), "REMOVEDATA=1")
	h.checkRemoved(t, program)
	if h.exists(t, newData) {
		t.Errorf("with REMOVEDATA=1 %s is still there: %q", newData, h.list(t, newData))
	}
	if !h.exists(t, oldData+`\etc\mine`) {
		t.Errorf("%s, which was another installation's, is gone", oldData)
	}
}
