//go:build linux

package wine

import (
	"maps"
	"testing"
)

const (
	smallProgram = `C:\Program Files\Small`
	smallConfig  = smallProgram + `\etc\small.conf`
	smallText    = smallProgram + `\small.txt`
)

// TestConfig changes a file that is the administrator's and one that is not. A
// repair and an upgrade bring the second back and leave the first alone, which
// outlives a removal too.
func TestConfig(t *testing.T) {
	const mine = "level = 2\n"
	h := newHost(t)
	older, newer := h.bring(t, h.pkg("small", "1.0.0-1")), h.bring(t, h.pkg("small", "1.1.0-1"))
	h.want(t, 0, "/i", older)
	h.checkFiles(t, h.pkg("small", "1.0.0-1"), smallProgram)
	text := h.read(t, smallText)
	h.checkSettings(t, map[string]string{"Level": "3", "Home": smallProgram + `\etc`, "Names": "one\ntwo"}, smallProgram+`\`)

	change := func() {
		h.write(t, smallConfig, mine)
		h.write(t, smallText, "changed")
	}
	check := func(after string) {
		t.Helper()
		if got := h.read(t, smallConfig); got != mine {
			t.Errorf("after %s the administrator's file has %q", after, got)
		}
		if got := h.read(t, smallText); got != text {
			t.Errorf("after %s the package's file has %q", after, got)
		}
	}
	change()
	h.want(t, 0, "/i", older, "REINSTALL=ALL", "REINSTALLMODE=vomus")
	check("a repair")
	change()
	h.want(t, 0, "/i", newer)
	check("an upgrade")

	h.want(t, 0, "/x", newer)
	if got := h.read(t, smallConfig); got != mine {
		t.Errorf("after a removal the administrator's file has %q", got)
	}
	if h.exists(t, smallText) {
		t.Errorf("after a removal there is still %s", smallText)
	}
	h.checkSettings(t, nil, "")

	h.want(t, 0, "/i", newer)
	check("another installation")
}

// checkSettings looks at what the small product has in the registry and in the
// environment of the system.
func (h *host) checkSettings(t *testing.T, want map[string]string, variable string) {
	t.Helper()
	if got := h.values(t, `Software\Small`); !maps.Equal(got, want) {
		t.Errorf("registry: got %q, want %q", got, want)
	}
	const environment = `System\CurrentControlSet\Control\Session Manager\Environment`
	if got := h.values(t, environment)["SMALL_HOME"]; got != variable {
		t.Errorf("the environment has SMALL_HOME=%q, want %q", got, variable)
	}
}

// TestRepair damages an installation of the built-in product, and repairs it.
func TestRepair(t *testing.T) {
	h := newHost(t)
	pkg := h.bring(t, h.built(oldVersion))
	h.want(t, 0, "/i", pkg)
	h.write(t, data+`\etc\mine`, "kept")
	h.write(t, program+`\etc\agent_version`, "changed")
	if err := h.remove(program + `\etc\layout.json`); err != nil {
		t.Fatal(err)
	}
	h.want(t, 0, "/i", pkg, "REINSTALL=ALL", "REINSTALLMODE=vomus")
	h.checkInstalled(t, oldVersion, program, data)
	h.checkData(t)
}
