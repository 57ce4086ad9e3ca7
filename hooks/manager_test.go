package hooks_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

const (
	unit    = "illumio-ven.service"
	data    = "/opt/illumio_ven_data"
	state   = "/var/lib/vpkg/illumio-ven"
	program = "/opt/illumio_ven"
)

var discard = slog.New(slog.DiscardHandler)

// A manager plays a package manager on a host in memory: it calls the hook in
// the order, and with the arguments, of the real one.
type manager struct {
	t       *testing.T
	format  string
	sys     *hookstest.System
	offline bool
	user    string // VEN_NONPRIV_USER
	err     error  // of the last call of the hook
}

func newManager(t *testing.T, format string) *manager {
	return &manager{t: t, format: format, sys: &hookstest.System{
		Files: map[string]hookstest.File{"/usr": {Attr: hooks.Attr{Mode: fs.ModeDir | 0o755}}},
		Start: map[string]string{program + "/bin/init_Platform": unit},
	}}
}

// A call is one step of an operation: a call of the hook, or what the package
// manager does itself.
type call func(m *manager)

// hook calls the hook of a version.
func hook(p hooks.Phase, version, args string) call {
	return func(m *manager) {
		c := config(version)
		was, err := hooks.ReadInstalled(m.sys, c.Name)
		if err != nil {
			m.t.Fatal(err)
		}
		from := hooks.FromDeb
		if m.format == "rpm" {
			from = hooks.FromRPM
		}
		e, err := from(p, strings.Fields(args), c, was)
		if err != nil {
			m.t.Fatal(err)
		}
		e.Offline = m.offline
		if m.user != "" {
			e.User = m.user
		}
		m.err = hooks.Run(m.t.Context(), e, hooks.Plan(e, c), m.sys, discard)
	}
}

// rpmPre is what the shell of %pre does.
func rpmPre(m *manager) {
	if _, ok := m.sys.Users["ilo-ven"]; ok {
		return
	}
	m.run("groupadd", "-r", "ilo-ven")
	m.run("useradd", "-r", "ilo-ven")
	m.put(state+"/made", "group ilo-ven\nuser ilo-ven\n")
}

// aside does what is no effect of the hook's, and not counted as one.
func (m *manager) aside(do func() error) {
	before, after, calls := m.sys.Before, m.sys.After, m.sys.Calls
	m.sys.Before, m.sys.After = nil, nil
	if err := do(); err != nil {
		m.t.Fatal(err)
	}
	m.sys.Before, m.sys.After, m.sys.Calls = before, after, calls
}

func (m *manager) run(argv ...string) {
	m.aside(func() error { _, err := m.sys.Run(m.t.Context(), argv...); return err })
}

func (m *manager) put(name, text string) {
	m.aside(func() error { return m.sys.WriteFile(name, []byte(text), 0o644) })
}

// unpack lays down the files of a version; those that are there are replaced.
func unpack(version string) call {
	return func(m *manager) {
		m.sys.Unpacked = version
		m.put(program+"/bin/init_Platform", version)
		m.put(program+"/etc/layout.json", `{"version":1,"entries":[{"path":"/opt/illumio_ven/bin","type":"dir","mode":"0750","owner":"root","group":"ilo-ven"}]}`)
		bin := m.sys.Files[program+"/bin"]
		bin.Mode, bin.GID = fs.ModeDir|0o750, m.sys.Groups["ilo-ven"] // root's while there is no such group
		m.sys.Files[program+"/bin"] = bin
		if m.sys.Units == nil {
			m.sys.Units = map[string]hookstest.Unit{}
		}
		for _, u := range config(version).Units {
			was := m.sys.Units[u.Name]
			m.sys.Units[u.Name] = was
		}
	}
}

// erase removes the files of the program.
func erase(m *manager) {
	for name := range m.sys.Files {
		if name == program || strings.HasPrefix(name, program+"/") {
			delete(m.sys.Files, name)
		}
	}
	for name, u := range m.sys.Units {
		if _, ok := m.sys.Files[state+"/recovery.txt"]; ok {
			break // it says that something failed
		}
		if u.Runs != "" {
			m.t.Errorf("%s still runs %s when its files go", name, u.Runs)
		}
		if u.Enabled {
			m.t.Errorf("%s is still enabled when its files go", name)
		}
	}
	m.sys.Units, m.sys.Unpacked = nil, ""
}

// purge is what the shell of postrm does.
func purge(m *manager) {
	if made := m.sys.Files[state+"/made"].Text; strings.Contains(made, "user ilo-ven") {
		delete(m.sys.Users, "ilo-ven")
		delete(m.sys.Groups, "ilo-ven")
	}
	for name := range m.sys.Files {
		if strings.HasPrefix(name, data) || strings.HasPrefix(name, "/var/lib/vpkg") {
			delete(m.sys.Files, name)
		}
	}
}

// The operations, as the sequences of facts measured on rpm 4.18 and dpkg 1.21.

func install(format, v string) []call {
	if format == "rpm" {
		return []call{rpmPre, unpack(v), hook(hooks.PostInstall, v, "1"), hook(hooks.PostTrans, v, "")}
	}
	return []call{hook(hooks.PreInstall, v, "install"), unpack(v), hook(hooks.PostInstall, v, "configure")}
}

// change puts version b in the place of a: an upgrade, downgrade or reinstallation.
func change(format, a, b string) []call {
	if format == "rpm" { // the old %preun calls the hook that is on disk, with its configuration
		return []call{
			rpmPre, unpack(b), hook(hooks.PostInstall, b, "2"),
			hook(hooks.PreRemove, b, "1"), hook(hooks.PostTrans, b, "2"),
		}
	}
	return []call{
		hook(hooks.PreRemove, a, "upgrade "+b), hook(hooks.PreInstall, b, "upgrade "+a+" "+b), unpack(b),
		hook(hooks.PostRemove, a, "upgrade "+b), hook(hooks.PostInstall, b, "configure "+a),
	}
}

func remove(format, v string) []call {
	if format == "rpm" {
		return []call{hook(hooks.PreRemove, v, "0"), erase}
	}
	return []call{hook(hooks.PreRemove, v, "remove"), erase, hook(hooks.PostRemove, v, "remove")}
}

func (m *manager) do(calls ...call) {
	m.t.Helper()
	for _, c := range calls {
		c(m)
		if m.err != nil {
			m.t.Fatal(m.err)
		}
	}
}

// installed makes a host on which a version is installed, and the service is in
// the given state.
func (m *manager) installed(version string, enabled, running bool) {
	m.t.Helper()
	m.do(install(m.format, version)...)
	u := m.sys.Units[unit]
	if !u.Enabled || !m.offline && u.Runs != version {
		m.t.Fatalf("after the installation the unit is %+v", u)
	}
	u.Enabled, u.Runs = enabled, ""
	if running {
		u.Runs = version
	}
	m.sys.Units[unit] = u
	m.put(data+"/etc/agent_id.cfg", "agent_id: 7\n")
	m.put("/etc/hosts", "")
}

// check asserts what holds after each operation that ended well.
func (m *manager) check(version string, want hookstest.Unit) {
	m.t.Helper()
	if got := m.sys.Units[unit]; got != want {
		m.t.Errorf("the unit is %+v, want %+v", got, want)
	}
	var in hooks.Installed
	if err := json.Unmarshal([]byte(m.sys.Files[state+"/installed.json"].Text), &in); err != nil || in.Version != version {
		m.t.Errorf("the installed state is %+v (%v), want version %q", in, err, version)
	}
	for _, name := range []string{"journal.json", "failed", "recovery.txt"} {
		if f, ok := m.sys.Files[state+"/"+name]; ok {
			m.t.Errorf("%s is there: %s", name, f.Text)
		}
	}
	if f := m.sys.Files[data]; f.Mode != fs.ModeDir|0o750 || f.UID != m.sys.Users["ilo-ven"] || f.GID != m.sys.Groups["ilo-ven"] {
		m.t.Errorf("the data folder is %+v", f)
	}
	if m.sys.Users["ilo-ven"] == 0 || m.sys.Groups["ilo-ven"] == 0 {
		m.t.Error("the account is not there")
	}
}

func TestInstall(t *testing.T) {
	for _, format := range []string{"rpm", "deb"} {
		for _, offline := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/offline=%t", format, offline), func(t *testing.T) {
				m := newManager(t, format)
				m.offline = offline
				m.do(install(format, "1.0")...)
				want := hookstest.Unit{Enabled: true, Runs: "1.0"}
				if offline {
					want.Runs = ""
				}
				m.check("1.0", want)
				if got := m.sys.Files[state+"/made"].Text; got != "group ilo-ven\nuser ilo-ven\n" {
					t.Errorf("made is %q", got)
				}
				if offline {
					for _, c := range m.sys.Calls {
						if strings.Contains(c, "start") || strings.Contains(c, "reload") {
							t.Errorf("offline, and yet %q", c)
						}
					}
				}
			})
		}
	}
}

// An event that is repeated changes nothing.
func TestTwice(t *testing.T) {
	for _, format := range []string{"rpm", "deb"} {
		m := newManager(t, format)
		m.do(install(format, "1.0")...)
		calls := install(format, "1.0")
		again := calls[2]
		want := m.sys.Dump()
		m.sys.Calls = nil
		m.do(again)
		if got := m.sys.Dump(); got != want {
			t.Errorf("%s: the host is\n%s\nwant\n%s", format, got, want)
		}
		for _, c := range m.sys.Calls {
			switch c {
			case "sync " + program, "sync /etc", "systemctl daemon-reload", program + "/bin/init_Platform start",
				"write " + state + "/journal.json", "remove " + state + "/journal.json": // for the start
			default:
				t.Errorf("%s: the second time there is %q", format, c)
			}
		}
	}
}

func TestChange(t *testing.T) {
	for _, format := range []string{"rpm", "deb"} {
		for _, versions := range []struct{ name, from, to string }{
			{"upgrade", "1.0", "2.0"}, {"downgrade", "2.0", "1.0"}, {"reinstall", "1.0", "1.0"},
		} {
			for _, enabled := range []bool{false, true} {
				for _, running := range []bool{false, true} {
					for _, offline := range []bool{false, true} {
						name := fmt.Sprintf("%s/%s/enabled=%t,running=%t,offline=%t", format, versions.name, enabled, running, offline)
						t.Run(name, func(t *testing.T) {
							m := newManager(t, format)
							m.installed(versions.from, enabled, running)
							m.offline = offline
							m.sys.Calls = nil
							m.do(change(format, versions.from, versions.to)...)
							want := hookstest.Unit{Enabled: enabled}
							if running {
								want.Runs = versions.to
							}
							if running && offline {
								want.Runs = versions.from // which is no host that anybody has
							}
							m.check(versions.to, want)
							if got := m.sys.Files[data+"/etc/agent_id.cfg"].Text; got != "agent_id: 7\n" {
								t.Errorf("the data is %q", got)
							}
							for _, c := range m.sys.Calls {
								if strings.HasPrefix(c, "systemctl stop") || strings.HasPrefix(c, "systemctl disable") {
									t.Errorf("a change of version called %q", c)
								}
							}
						})
					}
				}
			}
		}
	}
}

func TestRemove(t *testing.T) {
	for _, format := range []string{"rpm", "deb"} {
		for _, enabled := range []bool{false, true} {
			for _, running := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/enabled=%t,running=%t", format, enabled, running), func(t *testing.T) {
					m := newManager(t, format)
					m.installed("1.0", enabled, running)
					m.do(remove(format, "1.0")...)
					m.check("", hookstest.Unit{})
					if got := m.sys.Files[data+"/etc/agent_id.cfg"].Text; got != "agent_id: 7\n" {
						t.Errorf("the data is %q", got)
					}
					if format == "rpm" {
						m.do(install(format, "2.0")...)
					} else { // dpkg knows the version whose configuration is still there
						m.do(hook(hooks.PreInstall, "2.0", "install 1.0 2.0"), unpack("2.0"), hook(hooks.PostInstall, "2.0", "configure 1.0"))
					}
					m.check("2.0", hookstest.Unit{Enabled: true, Runs: "2.0"})
				})
			}
		}
	}
}

func TestPurge(t *testing.T) {
	for _, there := range []bool{false, true} {
		m := newManager(t, "deb")
		if there {
			m.run("groupadd", "ilo-ven")
			m.run("useradd", "ilo-ven")
		}
		want := m.sys.Dump()
		m.do(append(append(install("deb", "1.0"), remove("deb", "1.0")...), purge)...)
		delete(m.sys.Files, "/opt") // nobody owns it: it stays
		for _, dir := range []string{"/var", "/var/lib", "/etc", "/etc/systemd", "/etc/systemd/system"} {
			delete(m.sys.Files, dir) // every real host has them
		}
		if got := m.sys.Dump(); got != want {
			t.Errorf("with the account there=%t the host is\n%s\nwant\n%s", there, got, want)
		}
	}
}

// The first calls of dpkg can be followed by those that take them back.
func TestDebAborts(t *testing.T) {
	for _, tc := range []struct {
		name  string
		calls []call
	}{
		{"upgrade, unpacking fails", []call{
			hook(hooks.PreRemove, "1.0", "upgrade 2.0"), hook(hooks.PreInstall, "2.0", "upgrade 1.0 2.0"),
			hook(hooks.PostRemove, "2.0", "abort-upgrade 1.0 2.0"), hook(hooks.PostInstall, "1.0", "abort-upgrade 2.0"),
		}},
		{"upgrade, the old version's postrm fails", []call{
			hook(hooks.PreRemove, "1.0", "upgrade 2.0"), hook(hooks.PreInstall, "2.0", "upgrade 1.0 2.0"),
			hook(hooks.PostRemove, "2.0", "failed-upgrade 1.0 2.0"), hook(hooks.PreInstall, "1.0", "abort-upgrade 2.0"),
			hook(hooks.PostRemove, "2.0", "abort-upgrade 1.0 2.0"), hook(hooks.PostInstall, "1.0", "abort-upgrade 2.0"),
		}},
		{"remove", []call{hook(hooks.PreRemove, "1.0", "remove in-favour other 1"), hook(hooks.PostInstall, "1.0", "abort-remove in-favour other 1")}},
		{"deconfigure", []call{hook(hooks.PreRemove, "1.0", "deconfigure in-favour other 1"), hook(hooks.PostInstall, "1.0", "abort-deconfigure in-favour other 1")}},
	} {
		for _, enabled := range []bool{false, true} {
			for _, running := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/enabled=%t,running=%t", tc.name, enabled, running), func(t *testing.T) {
					m := newManager(t, "deb")
					m.user = "www"
					m.sys.Users = map[string]int{"www": 33}
					m.installed("1.0", enabled, running)
					want := m.sys.Dump()
					m.do(tc.calls...)
					if got := m.sys.Dump(); got != want {
						t.Errorf("the host is\n%s\nwant\n%s", got, want)
					}
				})
			}
		}
	}
	t.Run("install, unpacking fails", func(t *testing.T) {
		m := newManager(t, "deb")
		m.put("/var/lib/dpkg/status", "")
		want := m.sys.Dump()
		m.do(hook(hooks.PreInstall, "1.0", "install"), hook(hooks.PostRemove, "1.0", "abort-install"))
		delete(m.sys.Files, "/var/lib/vpkg")
		if got := m.sys.Dump(); got != want {
			t.Errorf("the host is\n%s\nwant\n%s", got, want)
		}
	})
}
