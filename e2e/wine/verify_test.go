//go:build linux

package wine

import (
	"os"
	"strings"
	"testing"
)

// TestVerify verifies what is installed, and after each change that there is a form for. Wine keeps neither owners nor access
// lists.
func TestVerify(t *testing.T) {
	h := newHost(t)
	h.want(t, 0, "/i", h.bring(t, h.built(oldVersion)))
	h.verifies(t, "the installation", program, "")
	h.want(t, 0, "/i", h.bring(t, h.built(newVersion)))
	h.verifies(t, "the upgrade", program, "")

	const service = "venVtapServerSvc"
	version := program + `\etc\agent_version`
	text := h.read(t, version)
	command := h.values(t, serviceKeys+service)["ImagePath"]
	sc := func(verb string) {
		t.Helper()
		if out, err := h.run("wine", "sc", verb, service); err != nil {
			t.Fatalf("sc %s: %v\n%s", verb, err, out)
		}
	}
	await := func(want string) {
		t.Helper()
		eventually(t, service+" is "+want, func() (any, bool) {
			is := h.services(t, service)[service].State
			return is, is == want
		})
	}
	configure := func(what string) {
		t.Helper()
		var found any
		h.look(t, &found, "configure", service, what)
	}
	for _, c := range []struct {
		name     string
		do, undo func()
		want     string
	}{
		{"a byte", func() { h.write(t, version, "X"+text[1:]) }, func() { h.write(t, version, text) }, `content C:\Program Files\Illumio\etc\agent_version`},
		{"a byte more", func() { h.write(t, version, text+"X") }, func() { h.write(t, version, text) }, `content C:\Program Files\Illumio\etc\agent_version`},
		{"missing file", func() { _ = h.remove(version) }, func() { h.write(t, version, text) }, `missing C:\Program Files\Illumio\etc\agent_version`},
		{"extra file", func() { h.write(t, program+`\bin\more.exe`, "") }, func() { _ = h.remove(program + `\bin\more.exe`) }, `extra C:\Program Files\Illumio\bin\more.exe`},
		{"missing folder", func() { _ = h.remove(data + `\tmp`) }, func() { _ = os.Mkdir(h.file(data+`\tmp`), 0o755) }, `missing C:\ProgramData\Illumio\tmp`},
		{"failed", func() { h.write(t, stateFolder+`\failed`, `{"error":"no space"}`) }, func() { _ = h.remove(stateFolder + `\failed`) }, `failed C:\ProgramData\vpkg\illumio-ven\failed`},
		{"stopped", func() { sc("stop"); await("stopped") }, func() { sc("start"); await("running") }, "unit-stopped " + service},
		{"started by hand", func() { configure("start=3") }, func() { configure("start=2") }, "unit-disabled " + service},
		{"disabled", func() { configure("start=4") }, func() { configure("start=2") }, "unit-masked " + service},
		{"another program", func() { configure(`command="C:\windows\system32\cmd.exe" component venVtapServer`) }, func() { configure("command=" + command) }, "unit-overridden " + service},
		{"another argument", func() { configure("command=" + command + " more") }, func() { configure("command=" + command) }, "unit-overridden " + service},
		{"another account", func() { configure(`account=NT AUTHORITY\LocalService`) }, func() { configure("account=LocalSystem") }, "process-account " + service},
	} {
		c.do()
		h.verifies(t, c.name, program, c.want)
		c.undo()
	}
	h.verifies(t, "all is undone", program, "")
	h.want(t, 0, "/x", h.bring(t, h.built(newVersion)))
}

// verifies checks what the hook and the control program find, lines RULE WHERE.
func (h *host) verifies(t *testing.T, after, program, want string) {
	t.Helper()
	names := []string{`\bin\vpkg-hook.exe`, `\illumio-ven-ctl.exe`} // which are the same program
	if want != "" {
		names = names[:1]
	}
	for _, name := range names {
		out, err := h.run("wine", program+name, "verify")
		var lines []string
		for line := range strings.Lines(out) {
			rule, rest, ok := strings.Cut(strings.TrimSpace(line), ": ")
			if where, _, more := strings.Cut(rest, ": "); ok && more {
				lines = append(lines, rule+" "+where)
			}
		}
		if got := strings.Join(lines, "\n"); got != want || (err != nil) != (want != "") {
			t.Errorf("%s: %s finds\n%s\n(%v), want\n%s\n%s", after, name, got, err, want, out)
		}
	}
}
