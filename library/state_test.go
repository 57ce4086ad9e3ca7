package library_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/folder"
	"github.com/vpkg/vpkg/library/sqlite"
)

// The state changes with every change, also of another process, and with nothing else.
func TestState(t *testing.T) {
	l, _ := newLibrary(t)
	state := func() int64 {
		t.Helper()
		n, err := l.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := state()
	if _, err := l.Profiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != first {
		t.Errorf("state %d, after reading %d", first, got)
	}
	p := newProfile(t, l, nil)
	second := state()
	if second == first {
		t.Error("the state is the same after a profile was made")
	}
	p.Description = "changed"
	if _, err := l.SaveProfile(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if state() == second {
		t.Error("the state is the same after a profile was changed")
	}
}

func TestStateOfAnotherProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "library.db")
	open := func() *library.Library {
		db, err := sqlite.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return &library.Library{Store: db, Secret: bytes.Repeat([]byte{7}, 32)}
	}
	a, b := open(), open()
	before, err := a.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	newProfile(t, b, nil)
	if after, err := a.State(t.Context()); err != nil || after == before {
		t.Errorf("state %d, and %d (%v) after another one's change", before, after, err)
	}
}

// Who tries many codes does not fill the event log.
func TestRefusedEventsAreBounded(t *testing.T) {
	l, _ := newLibrary(t)
	write, skipped := true, int64(0)
	l.Refused = func() (bool, int64) { return write, skipped }
	try := func() {
		t.Helper()
		if _, _, err := l.Activate(t.Context(), activation("bad", "")); !errors.Is(err, library.ErrCode) {
			t.Fatalf("error %v, want ErrCode", err)
		}
		if _, err := l.CheckAPIKey(t.Context(), "api_1", "bad"); !errors.Is(err, library.ErrToken) {
			t.Fatalf("error %v, want ErrToken", err)
		}
	}
	try()
	write = false
	try()
	write, skipped = true, 2
	try()
	es, err := l.Events(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range es {
		got = append(got, e.Kind+" "+e.Detail)
	}
	const more = "2 more before it were not written down"
	want := library.EventAuthFailed + " " + more + "," + library.EventActivate + " " + more + "," + library.EventAuthFailed + " ," + library.EventActivate + " "
	if strings.Join(got, ",") != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

func TestUnpair(t *testing.T) {
	l, _ := newLibrary(t)
	p := newProfile(t, l, nil)
	_, code := newKey(t, l, p.ID)
	w, token, err := l.Activate(t.Context(), activation(code, "r1"))
	if err != nil {
		t.Fatal(err)
	}
	for want, silent := range map[string]time.Time{library.StatusActive: w.Paired, "lost": w.Paired.Add(time.Second)} {
		if n, err := l.CountWorkloads(t.Context(), silent); err != nil || len(n) != 1 || n[0].N != 1 || n[0].Condition() != want || w.Condition(silent) != want {
			t.Errorf("counts %v (%v), want one that is %s", n, err, want)
		}
	}
	if err := l.Unpair(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	if err := l.Goodbye(t.Context(), w.ID, token); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("the token after that: %v, want ErrNotFound", err)
	}
	if err := l.Unpair(t.Context(), w.ID); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("again: %v, want ErrNotFound", err)
	}
	if w, err = l.Workload(t.Context(), w.ID); err != nil || w.Status != library.StatusUninstalled {
		t.Errorf("workload %+v (%v), want an uninstalled one", w, err)
	}
	if got := lastEvents(t, l, 1); got[0] != library.EventUnpair {
		t.Errorf("event %q", got)
	}
}

func TestChooseOf(t *testing.T) {
	l, _ := newLibrary(t)
	const text = "fake rpm illumio-ven 25.2.20 10.el8 x86_64"
	done, err := l.ImportFrom(t.Context(), "ven.el8.rpm", int64(len(text)), strings.NewReader(text))
	if err != nil || len(done) != 1 || done[0].Err != nil {
		t.Fatalf("import: %v, %v", done, err)
	}
	i, err := l.ChooseOf(t.Context(), "illumio-ven", "25.2.20-10", "el8", "x86_64")
	if err != nil || i.FileName != "ven.el8.rpm" {
		t.Errorf("image %+v, %v", i, err)
	}
	for _, c := range [][3]string{{"25.2.20-11", "el8", "x86_64"}, {"25.2.20-10", "el9", "x86_64"}, {"25.2.20-10", "el8", "arm64"}, {"", "el8", "x86_64"}} {
		if _, err := l.ChooseOf(t.Context(), "illumio-ven", c[0], c[1], c[2]); !errors.Is(err, library.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", c, err)
		}
	}
}

func TestReady(t *testing.T) {
	l, _ := newLibrary(t)
	if err := l.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	stored := l.Packages
	const line = "fake rpm agent 1.0 1.el9 x86_64"
	if done, err := l.ImportFrom(t.Context(), "agent.rpm", int64(len(line)), strings.NewReader(line)); err != nil || len(done) != 1 || done[0].Err != nil {
		t.Fatal(done, err)
	}
	l.Packages = folder.Packages(t.TempDir())
	if err := l.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "missing in the store") {
		t.Errorf("ready without the file of a package: %v", err)
	}
	if _, _, err := l.Open(t.Context(), "agent.rpm"); err == nil || errors.Is(err, library.ErrNotFound) {
		t.Errorf("opening that package: %v, and it is offered", err)
	}
	l.Packages = stored
	if err := l.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	l.Packages = folder.Packages("/dev/null/packages")
	if err := l.Ready(t.Context()); err == nil {
		t.Error("ready without a folder for packages")
	}
}
