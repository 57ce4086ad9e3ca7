package hooks_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

// Whatever stands in the journal, a run neither panics nor leaves it behind, and
// a removal goes through.
func FuzzJournal(f *testing.F) {
	f.Add(`{"format":1,"event":{"package":"illumio-ven","version":"1.0","phase":"post-install","action":"install"},"undo":[{"kind":"enabled","absent":true,"units":["illumio-ven.service"]}]}`)
	f.Add(`{"format":1,"event":{"phase":"pre-install","action":"install"},"undo":[{"kind":"user","absent":true,"account":{"user":"ilo-ven"},"made":"/var/lib/vpkg/illumio-ven/made"},{"kind":"folder","absent":true,"path":"/opt"}],"kept":2}`)
	f.Add(`{"format":1,"pending":[{"kind":"active","units":["illumio-ven.service"]},{"kind":"command","argv":["/opt/illumio_ven/bin/init_Platform","start"]}]}`)
	f.Add(`{"format":1,"undo":[{"kind":"user"}]}`)
	f.Add(`{"format":1,"undo":[{"kind":"user","absent":true,"account":{"user":"ilo-ven"},"made":"vpkg/made"}]}`)
	f.Add(`{"format":1,"undo":[{"kind":"user","absent":true,"account":{"user":"ilo-ven"}}]}`)
	f.Add(`{"format":1,"kept":-1}`)
	f.Add(`{"format":9}`)
	f.Add(`{"foRmat":9}`)
	f.Fuzz(func(t *testing.T, text string) {
		m := newManager(t, "rpm")
		m.do(install("rpm", "1.0")...)
		m.put(state+"/journal.json", text)
		was, err := hooks.ReadInstalled(m.sys, "illumio-ven")
		// By its exact name, as the hook reads it: encoding/json fills a field from "FORMAT" too.
		var fields map[string]json.RawMessage
		var format int
		later := json.Unmarshal([]byte(text), &fields) == nil && json.Unmarshal(fields["format"], &format) == nil && format > 1
		c := config("1.0")
		e, _ := hooks.FromRPM(hooks.PreRemove, []string{"0"}, c, was)
		calls := len(m.sys.Calls)
		switch err := hooks.Run(t.Context(), e, hooks.Plan(e, c), m.sys, discard); {
		case later && (err == nil || len(m.sys.Calls) > calls):
			t.Errorf("a later version's journal: %v, and calls %q", err, m.sys.Calls[calls:])
		case !later && err != nil:
			t.Errorf("the removal fails: %v", err)
		case !later && (m.sys.Units[unit] != hookstest.Unit{}):
			t.Errorf("after the removal the unit is %+v", m.sys.Units[unit])
		}
		if _, there := m.sys.Files[state+"/journal.json"]; there && !later {
			t.Error("the journal is still there")
		}
		if err != nil && !strings.Contains(err.Error(), "journal.json") {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}
