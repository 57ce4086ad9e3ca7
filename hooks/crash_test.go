package hooks_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

// A scenario is an operation on a host in a given state, and how people go on
// when a call broke off or failed.
type scenario struct {
	name    string
	format  string
	prepare func(m *manager)
	calls   []call
	again   map[int]call // by place in calls: what is called instead when it is tried again
}

func scenarios() []scenario {
	running := func(m *manager) { m.installed("1.0", true, true) }
	stopped := func(m *manager) { m.installed("1.0", false, false) }
	paired := func(m *manager) { // what the pairing one-liner makes before there is a package
		m.put(data+"/tmp/pair.sh", "")
		m.sys.Files[data] = hookstest.File{Attr: hooks.Attr{Mode: fs.ModeDir | 0o751}}
	}
	another := func(m *manager) {
		m.user = "www"
		m.sys.Users = map[string]int{"www": 33}
	}
	nothing := func(*manager) {}
	// rpm -U --replacepkgs after a kill in %post: the package is in the database
	rpmAgain := map[int]call{2: hook(hooks.PostInstall, "1.0", "2")}
	rpmUpgradeAgain := map[int]call{2: hook(hooks.PostInstall, "2.0", "3")} // both versions are in it
	return []scenario{
		{"rpm install", "rpm", nothing, install("rpm", "1.0"), rpmAgain},
		{"rpm install after the one-liner", "rpm", paired, install("rpm", "1.0"), rpmAgain},
		{"rpm install with another account", "rpm", another, install("rpm", "1.0"), rpmAgain},
		{"rpm install without %pre", "rpm", nothing, install("rpm", "1.0")[1:], map[int]call{1: hook(hooks.PostInstall, "1.0", "2")}},
		{"rpm upgrade", "rpm", running, change("rpm", "1.0", "2.0"), rpmUpgradeAgain},
		{"rpm upgrade, stopped", "rpm", stopped, change("rpm", "1.0", "2.0"), rpmUpgradeAgain},
		{"rpm erase", "rpm", running, remove("rpm", "1.0"), nil},
		{"deb install", "deb", nothing, install("deb", "1.0"), nil},
		{"deb install after the one-liner", "deb", paired, install("deb", "1.0"), nil},
		{"deb install with another account", "deb", another, install("deb", "1.0"), nil},
		{"deb upgrade", "deb", running, change("deb", "1.0", "2.0"), nil},
		{"deb upgrade, stopped", "deb", stopped, change("deb", "1.0", "2.0"), nil},
		{"deb remove", "deb", running, remove("deb", "1.0"), nil},
	}
}

func (s scenario) host(t *testing.T) *manager {
	m := newManager(t, s.format)
	s.prepare(m)
	m.sys.Calls = nil
	return m
}

// end is the host after the operation, and how many effects it had.
func (s scenario) end(t *testing.T) (dump string, effects int) {
	m := s.host(t)
	m.do(s.calls...)
	return m.sys.Dump(), len(m.sys.Calls)
}

type crash struct{}

// try makes one call. Whether it was killed is told apart from m.err.
func (m *manager) try(c call) (killed bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			killed = true
			m.sys.Reboot()
			m.sys.Before, m.sys.After, m.err = nil, nil, nil
		}
	}()
	c(m)
	return false
}

// A hook that was killed before or after any of its effects, and called again,
// leaves the host as one that was not.
func TestKilled(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			want, effects := s.end(t)
			for n := range effects {
				for _, before := range []bool{true, false} {
					if n == 0 && before && strings.HasPrefix(s.name, "rpm install") {
						continue // then rpm's 2 is all that there is to go by
					}
					m := s.host(t)
					at := ""
					die := func(i int, call string) {
						if i == n {
							at = fmt.Sprintf("after=%t %d %s", !before, n, call)
							panic(crash{})
						}
					}
					if before {
						m.sys.Before = func(i int, call string) error { die(i, call); return nil }
					} else {
						m.sys.After = die
					}
					for i, c := range s.calls {
						if !m.try(c) {
							continue
						}
						if c := s.again[i]; c != nil {
							m.do(c)
						} else {
							m.do(s.calls[i])
						}
					}
					if m.err != nil {
						t.Fatalf("killed %s: %v", at, m.err)
					}
					if got := m.sys.Dump(); got != want {
						t.Errorf("killed %s: the host is\n%s\nwant\n%s", at, got, want)
					}
				}
			}
		})
	}
}

var errDisk = errors.New("no space left on device")

// An effect that fails in preinst leaves the host as it was; in a postinst it
// leaves the mark "failed", and what was done is undone; and calling again makes
// it good. On the way out nothing fails.
func TestFails(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			want, effects := s.end(t)
			for n := range effects {
				m := s.host(t)
				at := ""
				m.sys.Before = func(i int, call string) error {
					if i == n && at == "" {
						at = call
						return errDisk
					}
					return nil
				}
				removal := strings.Contains(s.name, "erase") || strings.Contains(s.name, "remove")
				for i, c := range s.calls {
					was := m.sys.Clone()
					failedBefore := at != ""
					c(m)
					if m.err == nil {
						continue
					}
					if failedBefore {
						t.Fatalf("%s failed; and then: %v", at, m.err)
					}
					if !errors.Is(m.err, errDisk) || !strings.Contains(m.err.Error(), "illumio-ven p") {
						t.Fatalf("%s failed: %v", at, m.err)
					}
					m.undone(at, was)
					m.err = nil
					if c := s.again[i]; c != nil {
						m.do(c)
					} else if !removal {
						m.do(s.calls[i])
					}
				}
				if at == "" {
					t.Fatalf("effect %d was not reached", n)
				}
				if removal { // what failed is in the recovery file instead
					if _, ok := m.sys.Files[state+"/recovery.txt"]; !ok && !strings.Contains(at, "journal.json") {
						t.Errorf("%s failed, and there is no recovery file", at)
					}
					continue
				}
				if strings.HasPrefix(at, "remove") {
					delete(m.sys.Files, state+"/journal.json") // what it says is so already
				}
				if got := m.sys.Dump(); got != want {
					t.Errorf("%s failed: the host is\n%s\nwant\n%s", at, got, want)
				}
			}
		})
	}
}

// undone asserts that a failed call left the host as it was, but for its mark
// and what is never undone: starts, and files given back to their owners.
func (m *manager) undone(at string, was *hookstest.System) {
	m.t.Helper()
	if _, ok := m.sys.Files[state+"/failed"]; !ok && !strings.Contains(m.err.Error(), "pre-install") {
		m.t.Errorf("%s failed, and there is no mark", at)
	}
	if strings.Contains(at, "start") { // committed by then
		return
	}
	is := m.sys.Clone()
	for _, s := range []*hookstest.System{is, was} {
		for name := range s.Files {
			if strings.HasPrefix(name, "/var") || name == program+"/bin" {
				delete(s.Files, name)
			}
		}
	}
	if got, want := is.Dump(), was.Dump(); got != want {
		m.t.Errorf("%s failed: the host is\n%s\nwant what it was,\n%s", at, got, want)
	}
}

// What another event finds of a run that broke off, it undoes.
func TestKilledThenRemoved(t *testing.T) {
	m := newManager(t, "rpm")
	m.sys.After = func(_ int, call string) {
		if strings.HasPrefix(call, "systemctl enable") {
			panic(crash{})
		}
	}
	for _, c := range install("rpm", "1.0")[:3] {
		m.try(c)
	}
	if !m.sys.Units[unit].Enabled {
		t.Fatal("the test did not get that far")
	}
	m.do(remove("rpm", "1.0")...) // erase asserts that nothing is enabled
	for name := range m.sys.Files {
		if strings.HasPrefix(name, state+"/") && name != state+"/made" && name != state+"/lock" && name != state+"/installed.json" {
			t.Errorf("%s is there", name)
		}
	}
}

// A journal of a later version, or a damaged one.
func TestJournals(t *testing.T) {
	m := newManager(t, "rpm")
	m.installed("1.0", true, true)
	c := config("2.0")
	e := hooks.Event{Package: c.Name, Version: c.Version, Phase: hooks.PostInstall, Action: hooks.Upgrade}
	m.put(state+"/journal.json", `{"format": 2}`)
	m.sys.Calls = nil
	if err := hooks.Run(t.Context(), e, hooks.Plan(e, c), m.sys, discard); !errors.Is(err, hooks.ErrUnknown) || len(m.sys.Calls) > 0 {
		t.Errorf("with a later version's journal Run gives %v and calls %q, want ErrUnknown and nothing", err, m.sys.Calls)
	}
	if _, err := hooks.ReadInstalled(m.sys, c.Name); !errors.Is(err, hooks.ErrUnknown) {
		t.Errorf("ReadInstalled gives %v, want ErrUnknown", err)
	}
	m.put(state+"/journal.json", "\x00\x00\x00")
	if err := hooks.Run(t.Context(), e, hooks.Plan(e, c), m.sys, discard); err != nil {
		t.Errorf("with a damaged journal Run gives %v", err)
	}
	if f := m.sys.Files[state+"/recovery.txt"]; !strings.Contains(f.Text, "reading the journal") {
		t.Errorf("the recovery file is %q", f.Text)
	}
}

// What a host can lack.
func TestLacks(t *testing.T) {
	t.Run("systemctl", func(t *testing.T) {
		m := newManager(t, "deb")
		m.offline = true
		m.sys.Missing = map[string]bool{"systemctl": true}
		m.do(install("deb", "1.0")...)
		m.check("1.0", hookstest.Unit{})
		m.do(hook(hooks.PreRemove, "1.0", "remove"))
	})
	t.Run("masked unit", func(t *testing.T) {
		m := newManager(t, "rpm")
		m.sys.Units = map[string]hookstest.Unit{unit: {Masked: true}}
		m.do(install("rpm", "1.0")...)
		m.check("1.0", hookstest.Unit{Masked: true})
	})
	t.Run("numbers for system accounts", func(t *testing.T) {
		m := newManager(t, "deb")
		m.sys.Before = func(_ int, call string) error {
			if strings.HasPrefix(call, "useradd -r") || strings.HasPrefix(call, "groupadd -r") {
				return &hooks.ExitError{Status: 4, Text: "no unique number"}
			}
			return nil
		}
		m.do(install("deb", "1.0")...)
		m.check("1.0", hookstest.Unit{Enabled: true, Runs: "1.0"})
	})
	t.Run("folder that is a link", func(t *testing.T) {
		m := newManager(t, "deb")
		link := hookstest.File{Attr: hooks.Attr{Mode: fs.ModeSymlink | 0o777}}
		m.put("/opt/x", "")
		m.sys.Files[data] = link
		m.do(install("deb", "1.0")...)
		if m.sys.Files[data] != link {
			t.Errorf("the link is %+v", m.sys.Files[data])
		}
	})
	t.Run("folder that is a file", func(t *testing.T) {
		m := newManager(t, "deb")
		m.put(data, "")
		for _, c := range install("deb", "1.0") {
			c(m)
		}
		if m.err == nil || !strings.Contains(m.err.Error(), data+" is not a folder") {
			t.Errorf("the error is %v", m.err)
		}
	})
	t.Run("user to remove", func(t *testing.T) {
		m := newManager(t, "deb")
		m.do(hook(hooks.PreInstall, "1.0", "install"))
		delete(m.sys.Users, "ilo-ven") // by hand
		m.do(hook(hooks.PostRemove, "1.0", "abort-install"))
		if _, ok := m.sys.Groups["ilo-ven"]; ok {
			t.Error("the group is still there")
		}
	})
	t.Run("known account", func(t *testing.T) {
		for _, format := range []string{"rpm", "deb"} {
			m := newManager(t, format)
			m.user = "www"
			for _, c := range install(format, "1.0") {
				if c(m); m.err != nil {
					break
				}
			}
			if m.err == nil || !strings.Contains(m.err.Error(), `there is no user "www" on this host`) {
				t.Errorf("%s: an unknown account gives %v", format, m.err)
			}
		}
	})
	t.Run("service that fails to start", func(t *testing.T) {
		m := newManager(t, "rpm")
		m.sys.Start = nil // init_Platform is not there
		for _, c := range install("rpm", "1.0")[:3] {
			c(m)
		}
		if m.err == nil {
			t.Fatal("there is no error")
		}
		if u := m.sys.Units[unit]; !u.Enabled {
			t.Errorf("the unit is %+v, want it enabled: that was committed", u)
		}
		if f := m.sys.Files[state+"/failed"]; !strings.Contains(f.Text, "init_Platform") {
			t.Errorf("the mark is %q", f.Text)
		}
	})
}

// The account that the administrator chose is remembered, and given up when the
// package's own is named.
func TestChosenAccount(t *testing.T) {
	const dropIn = "/etc/systemd/system/venAgentMgr.service.d/vpkg-account.conf"
	for _, format := range []string{"rpm", "deb"} {
		m := newManager(t, format)
		m.sys.Users = map[string]int{"www": 33}
		m.user = "www"
		m.do(install(format, "1.0")...)
		m.user = ""
		for _, v := range []string{"1.0", "2.0"} {
			if v == "2.0" {
				m.do(change(format, "1.0", v)...)
			}
			if got := m.sys.Files[dropIn].Text; got != "[Service]\nUser=www\n" {
				t.Errorf("%s %s: the unit's account is %q", format, v, got)
			}
			if f := m.sys.Files[data]; f.UID != 33 || f.GID != m.sys.Groups["ilo-ven"] {
				t.Errorf("%s %s: the data folder is %d:%d", format, v, f.UID, f.GID)
			}
		}
		m.user = "ilo-ven"
		m.do(change(format, "2.0", "3.0")...)
		if _, ok := m.sys.Files[dropIn]; ok {
			t.Errorf("%s: the unit still has another account", format)
		}
		m.check("3.0", hookstest.Unit{Enabled: true, Runs: "3.0"})
	}
}
