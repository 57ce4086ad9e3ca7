package platform

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

// verifiedConfig is a product with everything that can deviate.
func verifiedConfig() hooks.Config {
	return hooks.Config{
		Format: hooks.ConfigVersion, Name: "agent", Version: "2.0-1", Program: "/opt/agent", Data: "/opt/agent_data",
		Account: hooks.Account{User: "agent"},
		Folders: []hooks.Folder{{Path: "/opt/agent_data", Mode: 0o750, Owner: "agent", Group: "agent"}},
		Units: []hooks.Unit{
			{Name: "agent.service", Enable: true, Start: true},
			{Name: "agent-boot.service", Enable: true, AtBoot: true},
			{Name: "one.service", RunAs: true},
			{Name: "two.service"},
			{Name: "extra.timer"},
		},
		Components: []hooks.Component{{Name: "one"}, {Name: "two", Root: true}},
		Modules:    []hooks.Module{{Name: "nf_conntrack"}, {Name: "ipt_LOG", Substitutes: []string{"xt_LOG"}}, {Name: "nf_never"}},
		Sysctls:    []hooks.Setting{{Name: "net.x.timeout", Value: "28800"}},
		Firewall:   &hooks.Firewall{Services: []string{"iptables"}},
	}
}

const stateOf = "/var/lib/vpkg/agent/"

// verifiedHost is one on which this product runs, as it should. Its packet filter is
// taken over, and there is no policy.
func verifiedHost() *hookstest.System {
	text := func(s string) hookstest.File { return hookstest.File{Attr: hooks.Attr{Mode: 0o644}, Text: s} }
	folder := func(mode fs.FileMode, id int) hookstest.File {
		return hookstest.File{Attr: hooks.Attr{Mode: fs.ModeDir | mode, UID: id, GID: id}}
	}
	const uid = "Name:\tx\nUid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\nGid:\t0\t0\t0\t0\n"
	return &hookstest.System{
		Users: map[string]int{"agent": 901, "other": 902}, Groups: map[string]int{"agent": 901},
		Files: map[string]hookstest.File{
			"/run/systemd/system":                folder(0o755, 0),
			"/opt/agent_data":                    folder(0o750, 901),
			stateOf + "installed.json":           text(`{"format":1,"version":"2.0-1"}`),
			stateOf + "platform.json":            text(`{"format":1,"undo":[{"kind":"file","path":"/etc/modules-load.d/agent.conf","absent":true,"only":["nf_conntrack\n"]},{"kind":"sysctl","name":"net.x.timeout","text":"432000","only":["28800"]},{"kind":"sysctl","name":"net.x.max","text":"1000","only":["2000","2048"]},{"kind":"rules","absent":true,"name":"1"},{"kind":"service","name":"iptables.service","text":"enabled active"}]}`),
			"/etc/modules-load.d/agent.conf":     text("nf_conntrack\n"),
			"/proc/sys/kernel/osrelease":         text("6.1.0\n"),
			"/lib/modules/6.1.0/modules.builtin": text("kernel/net/netfilter/xt_LOG.ko\n"),
			"/sys/module/nf_conntrack":           folder(0o755, 0),
			"/proc/sys/net/x/timeout":            text("28800\n"),
			"/proc/sys/net/x/max":                text("2048\n"),
			"/proc/11/status":                    text(fmt.Sprintf(uid, 901)),
			"/proc/12/status":                    text(fmt.Sprintf(uid, 0)),
		},
		Units: map[string]hookstest.Unit{
			"agent.service": {Enabled: true, Type: "oneshot", Runs: "2.0-1"}, "agent-boot.service": {Enabled: true, Type: "oneshot"},
			"one.service": {Runs: "2.0-1", PID: 11, DropIns: "/usr/lib/systemd/system/service.d/10-timeout.conf"},
			"two.service": {Runs: "2.0-1", PID: 12}, "extra.timer": {}, "iptables.service": {},
		},
	}
}

func TestDeviations(t *testing.T) {
	write := func(name, text string) func(*hookstest.System, *hooks.Config) {
		return func(s *hookstest.System, _ *hooks.Config) {
			f := s.Files[name]
			f.Text = text
			s.Files[name] = f
		}
	}
	remove := func(name string) func(*hookstest.System, *hooks.Config) {
		return func(s *hookstest.System, _ *hooks.Config) { delete(s.Files, name) }
	}
	unit := func(name string, change func(*hookstest.Unit)) func(*hookstest.System, *hooks.Config) {
		return func(s *hookstest.System, _ *hooks.Config) {
			u := s.Units[name]
			change(&u)
			s.Units[name] = u
		}
	}
	attr := func(name string, a hooks.Attr) func(*hookstest.System, *hooks.Config) {
		return func(s *hookstest.System, _ *hooks.Config) { s.Files[name] = hookstest.File{Attr: a} }
	}
	stop := func(u *hookstest.Unit) { u.Runs = "" }
	const dropIn = "/etc/systemd/system/one.service.d/vpkg-account.conf"
	choose := func(text string) func(*hookstest.System, *hooks.Config) {
		return func(s *hookstest.System, _ *hooks.Config) {
			s.Files[stateOf+"installed.json"] = hookstest.File{Text: `{"format":1,"version":"2.0-1","user":"other"}`}
			s.Files["/opt/agent_data"] = hookstest.File{Attr: hooks.Attr{Mode: fs.ModeDir | 0o750, UID: 902, GID: 901}}
			s.Files["/proc/11/status"] = hookstest.File{Text: "Name:\tx\nUid:\t902\t902\t902\t902\n"}
			s.Files[dropIn] = hookstest.File{Text: text}
			u := s.Units["one.service"]
			u.DropIns = dropIn
			s.Units["one.service"] = u
		}
	}
	policy := write(stateOf+"firewall/policy.json", `{"version":"7","enforcement_mode":"full","nftables":"table inet ILO-FILTER {}"}`)
	for _, tc := range []struct {
		name   string
		tamper func(*hookstest.System, *hooks.Config)
		want   string // "RULE WHERE" lines
	}{
		{"healthy", func(*hookstest.System, *hooks.Config) {}, ""},
		{"chosen account", choose("[Service]\nUser=other\n"), ""},
		{"chosen account's drop-in changed", choose("[Service]\nUser=root\n"), "content " + dropIn},
		{"drop-in without a chosen account", unit("one.service", func(u *hookstest.Unit) { u.DropIns = dropIn }), "unit-overridden one.service"},
		{"data folder gone", remove("/opt/agent_data"), "missing /opt/agent_data"},
		{"data folder a file", attr("/opt/agent_data", hooks.Attr{Mode: 0o750}), "type /opt/agent_data"},
		{"data folder a link", attr("/opt/agent_data", hooks.Attr{Mode: fs.ModeSymlink | 0o777}), ""},
		{"data folder open", attr("/opt/agent_data", hooks.Attr{Mode: fs.ModeDir | 0o755, UID: 901, GID: 901}), "mode /opt/agent_data"},
		{"data folder's owner", attr("/opt/agent_data", hooks.Attr{Mode: fs.ModeDir | 0o750, UID: 0, GID: 901}), "owner /opt/agent_data"},
		{"data folder's group", attr("/opt/agent_data", hooks.Attr{Mode: fs.ModeDir | 0o750, UID: 901, GID: 0}), "group /opt/agent_data"},
		{"stopped", func(s *hookstest.System, c *hooks.Config) {
			for _, name := range []string{"agent.service", "one.service", "two.service"} {
				unit(name, stop)(s, c)
			}
		}, "unit-stopped agent.service"},
		{"a component stopped", unit("two.service", stop), "unit-stopped two.service"},
		{"disabled", unit("agent.service", func(u *hookstest.Unit) { u.Enabled = false }), "unit-disabled agent.service"},
		{"boot unit disabled", unit("agent-boot.service", func(u *hookstest.Unit) { u.Enabled = false }), "unit-disabled agent-boot.service"},
		{"masked", unit("two.service", func(u *hookstest.Unit) { u.Masked = true }), "unit-masked two.service"},
		{"masked and stopped", unit("two.service", func(u *hookstest.Unit) { u.Masked, u.Runs, u.PID = true, "", 0 }), "unit-masked two.service"},
		{"drop-in", unit("two.service", func(u *hookstest.Unit) { u.DropIns = "/run/systemd/system/two.service.d/x.conf" }), "unit-overridden two.service"},
		{"drop-in for all of a prefix", unit("two.service", func(u *hookstest.Unit) { u.DropIns = "/usr/lib/systemd/system/two-.service.d/x.conf" }), "unit-overridden two.service"},
		{"another unit file", unit("two.service", func(u *hookstest.Unit) { u.Fragment = "/etc/systemd/system/two.service" }), "unit-overridden two.service"},
		{"unit on Debian 11", unit("two.service", func(u *hookstest.Unit) { u.Fragment = "/lib/systemd/system/two.service" }), ""},
		{"unit not there", func(s *hookstest.System, _ *hooks.Config) { delete(s.Units, "extra.timer") }, ""},
		{"module unloaded", remove("/sys/module/nf_conntrack"), "module nf_conntrack"},
		{"required module", func(_ *hookstest.System, c *hooks.Config) { c.Modules[2].Required = true }, "module nf_never"},
		{"list of modules", write("/etc/modules-load.d/agent.conf", "nf_conntrack\nevil\n"), "content /etc/modules-load.d/agent.conf"},
		{"setting", write("/proc/sys/net/x/timeout", "432000\n"), "sysctl net.x.timeout"},
		{"administrator's setting", write("/proc/sys/net/x/max", "1000\n"), "sysctl net.x.max"},
		{"setting that the kernel lost", remove("/proc/sys/net/x/timeout"), ""},
		{"host's firewall again", unit("iptables.service", func(u *hookstest.Unit) { u.Enabled = true }), "firewall iptables.service"},
		{"not taken over", write(stateOf+"platform.json", `{"format":1}`), "firewall packet filter"},
		{"not taken over, for there is no policy", func(s *hookstest.System, c *hooks.Config) {
			c.Firewall.OnActivation = true
			write(stateOf+"platform.json", `{"format":1}`)(s, c)
		}, ""},
		{"policy whose rules are not known", policy, "firewall packet filter"},
		{"suspended", func(s *hookstest.System, c *hooks.Config) {
			policy(s, c)
			write(stateOf+"firewall/suspended", "")(s, c)
		}, ""},
		{"process of another account", write("/proc/11/status", "Name:\tx\nUid:\t901\t0\t901\t901\n"), "process-account one"},
		{"process of root's of another account", write("/proc/12/status", "Name:\tx\nUid:\t901\t901\t901\t901\n"), "process-account two"},
		{"process just ended", remove("/proc/11/status"), ""},
		{"failed", write(stateOf+"failed", `{"event":{"phase":"post-install","action":"install"},"error":"no space"}`), "failed " + stateOf + "failed"},
		{"recovery file", write(stateOf+"recovery.txt", "x\n"), "recovery " + stateOf + "recovery.txt"},
		{"journal", write(stateOf+"journal.json", `{"format":1,"event":{"phase":"post-install","action":"upgrade","version":"2.0-1"}}`), "unfinished " + stateOf + "journal.json"},
		{"not set up", remove(stateOf + "installed.json"), "unfinished " + stateOf + "installed.json"},
		{"another version set up", write(stateOf+"installed.json", `{"format":1,"version":"1.0-1"}`), "unfinished " + stateOf + "installed.json"},
		{"a target's label in the version", write(stateOf+"installed.json", `{"format":1,"version":"2.0-1.debian13"}`), ""},
		{"no systemd, and not started", func(s *hookstest.System, _ *hooks.Config) {
			delete(s.Files, "/run/systemd/system")
			delete(s.Files, stateOf+"platform.json")
			s.Units = nil
		}, ""},
		{"no systemd, and stopped", func(s *hookstest.System, c *hooks.Config) {
			delete(s.Files, "/run/systemd/system")
			s.Units = nil
			write("/proc/sys/net/x/timeout", "1\n")(s, c)
			write("/etc/modules-load.d/agent.conf", "evil\n")(s, c)
		}, "content /etc/modules-load.d/agent.conf"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, c := verifiedHost(), verifiedConfig()
			tc.tamper(s, &c)
			p := Product{Config: c, Sys: s, Log: slog.New(slog.DiscardHandler), RunDir: t.TempDir()}
			found, err := p.Deviations(t.Context(), "")
			if got := ruleLines(found); err != nil || got != tc.want {
				t.Errorf("got %q, %v, want %q\n%v", got, err, tc.want, found)
			}
			if len(s.Calls) > 0 {
				t.Errorf("looking has changed the host: %q", s.Calls)
			}
		})
	}
}

// ruleLines is a line "RULE WHERE" for each deviation.
func ruleLines(found []Deviation) string {
	var lines []string
	for _, d := range found {
		lines = append(lines, d.Rule+" "+d.Where)
	}
	return strings.Join(lines, "\n")
}

// A busySystem's lock is another's until that channel is closed.
type busySystem struct {
	hooks.System
	free chan struct{}
}

func (s busySystem) Lock(string) (func(), error) {
	<-s.free
	return func() {}, nil
}

// TestSettled waits for who changes things, but not for ever.
func TestSettled(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after time.Duration // the lock is free
		looks bool
	}{
		{"at once", 0, true},
		{"soon", patience - time.Second, true},
		{"never", patience + time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := busySystem{new(hookstest.System), make(chan struct{})}
				time.AfterFunc(tc.after, func() { close(s.free) })
				v := verification{Product: Product{Sys: s, Config: verifiedConfig()}}
				looked, begin := false, time.Now()
				err := v.settled(t.Context(), func() { looked = true })
				if looked != tc.looks || (err == nil) != tc.looks {
					t.Errorf("looked: %t, %v, want %t", looked, err, tc.looks)
				}
				if waited := time.Since(begin); waited != min(tc.after, patience) {
					t.Errorf("waited %s, want %s", waited, min(tc.after, patience))
				}
				time.Sleep(2 * time.Hour) // of the bubble: who waits still for the lock ends
			})
		})
	}
}

func TestDeviationsInImage(t *testing.T) {
	const unit = "[Unit]\nWants=x\n[Install]\nWantedBy=multi-user.target\n"
	image := func(t *testing.T) string {
		root := t.TempDir()
		for name, text := range map[string]string{
			"usr/bin/systemctl": "", "usr/lib/systemd/system/agent.service": unit, "usr/lib/systemd/system/agent-boot.service": unit,
			"etc/systemd/system/multi-user.target.wants/agent.service":      unit,
			"etc/systemd/system/multi-user.target.wants/agent-boot.service": unit,
			stateOf + "installed.json":                                      `{"format":1,"version":"2.0-1"}`,
		} {
			put(t, filepath.Join(root, name), text)
		}
		return root
	}
	for _, tc := range []struct {
		name   string
		tamper func(t *testing.T, root string)
		want   string
	}{
		{"healthy", func(*testing.T, string) {}, ""},
		{"disabled", func(t *testing.T, root string) {
			must(t, os.Remove(filepath.Join(root, "etc/systemd/system/multi-user.target.wants/agent.service")))
		}, "unit-disabled agent.service"},
		{"masked", func(t *testing.T, root string) {
			must(t, os.Symlink("/dev/null", filepath.Join(root, "etc/systemd/system/agent.service")))
		}, "unit-masked agent.service"},
		{"overridden", func(t *testing.T, root string) {
			put(t, filepath.Join(root, "etc/systemd/system/agent.service"), unit)
		}, "unit-overridden agent.service"},
		{"without systemctl", func(t *testing.T, root string) {
			must(t, os.RemoveAll(filepath.Join(root, "etc")))
			must(t, os.Remove(filepath.Join(root, "usr/bin/systemctl")))
		}, ""},
		{"failed", func(t *testing.T, root string) {
			put(t, filepath.Join(root, stateOf+"failed"), `{"error":"x"}`)
		}, "failed " + stateOf + "failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root, c := image(t), verifiedConfig()
			c.Folders = nil // which need accounts
			tc.tamper(t, root)
			p := Product{Config: c, Sys: hooks.Host{}, Log: slog.New(slog.DiscardHandler)}
			found, err := p.Deviations(t.Context(), root)
			if got := ruleLines(found); err != nil || got != tc.want {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func put(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o755))
	must(t, os.WriteFile(name, []byte(text), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
