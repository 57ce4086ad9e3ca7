package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

const (
	ledgerPath = state + "/platform.json"
	setting    = "net.netfilter.nf_conntrack_tcp_timeout_established"
	modules    = "/etc/modules-load.d/illumio-ven.conf"
)

// A filter stands for a packet filter. Its rules are a file of the host.
type filter struct{ sys *hookstest.System }

const rules = "/rules"

func (f filter) Save(context.Context) (string, error) {
	b, err := f.sys.ReadFile(rules)
	return "set of " + string(b), err
}

func (f filter) Enforce(context.Context) error { return f.sys.WriteFile(rules, []byte("ours"), 0o600) }

func (f filter) GiveBack(_ context.Context, set, how string) ([]string, error) {
	text := strings.TrimPrefix(set, "set of ")
	if how != "" {
		text = how
	}
	return nil, f.sys.WriteFile(rules, []byte(text), 0o600)
}

// platformHost is a host with a firewall service and a daemon that manages one.
func platformHost() *hookstest.System {
	file := func(text string) hookstest.File { return hookstest.File{Attr: hooks.Attr{Mode: 0o644}, Text: text} }
	dir := hookstest.File{Attr: hooks.Attr{Mode: fs.ModeDir | 0o755}}
	files := map[string]hookstest.File{
		hooks.SysctlPath(setting): file("432000\n"),
		rules:                     {Attr: hooks.Attr{Mode: 0o600}, Text: "theirs"},
	}
	for _, d := range []string{ // there on every host, or made before
		"/etc", "/etc/modules-load.d", "/run", "/run/systemd", "/run/systemd/system",
		"/var", "/var/lib", "/var/lib/vpkg", "/var/lib/vpkg/illumio-ven",
	} {
		files[d] = dir
	}
	return &hookstest.System{
		Unpacked: "host's",
		Files:    files,
		Units: map[string]hookstest.Unit{
			"iptables.service":  {Enabled: true, Runs: "host's", Type: "oneshot"},
			"firewalld.service": {Enabled: true, Runs: "host's"},
			"ufw.service":       {Type: "oneshot"},
		},
	}
}

func takeover() []hooks.Step {
	steps := []hooks.Step{
		{Kind: hooks.File, Path: modules, Mode: 0o644, Text: "nf_conntrack\n"},
		{Kind: hooks.Sysctl, Name: setting, Text: "28800"},
		{Kind: hooks.Rules, Name: "illumio-ven"},
	}
	for _, s := range []string{"iptables", "firewalld", "ufw", "nftables"} {
		steps = append(steps, hooks.Step{Kind: hooks.Service, Name: s + ".service", Absent: true})
	}
	return steps
}

func ledger(sys *hookstest.System) hooks.Ledger {
	return hooks.Ledger{Sys: sys, Log: discard, Path: ledgerPath, Filter: filter{sys}}
}

func TestLedger(t *testing.T) {
	sys := platformHost()
	before := sys.Dump()
	l := ledger(sys)
	for range 2 { // a second start changes nothing more, and forgets nothing
		if err := l.Do(t.Context(), takeover()); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{hooks.SysctlPath(setting): "28800\n", rules: "ours", modules: "nf_conntrack\n"} {
		if got := sys.Files[file].Text; got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	for name, u := range sys.Units {
		if u.Enabled || u.Runs != "" {
			t.Errorf("%s is %+v, want it stopped and disabled", name, u)
		}
	}
	ours, stopped := slices.Index(sys.Calls, "write "+rules), slices.Index(sys.Calls, "systemctl stop iptables.service")
	if ours < 0 || stopped < ours {
		t.Errorf("our rules come at %d, the service stops at %d: want the rules first; calls %q", ours, stopped, sys.Calls)
	}
	if taken, err := l.Taken(); !taken || err != nil {
		t.Errorf("Taken gives %t, %v", taken, err)
	}

	left, err := l.GiveBack(t.Context(), nil)
	if len(left) > 0 || err != nil {
		t.Errorf("GiveBack leaves %q, %v", left, err)
	}
	if got := sys.Dump(); got != before {
		t.Errorf("given back, the host is\n%s\nwant\n%s", got, before)
	}
	if taken, err := l.Taken(); taken || err != nil {
		t.Errorf("given back: Taken gives %t, %v", taken, err)
	}
}

// Where it is killed, before or after any effect, a start that is made again ends
// as one that was not killed, and giving back, killed or not, ends as before.
func TestLedgerKilled(t *testing.T) {
	start := func(sys *hookstest.System) error { return ledger(sys).Do(t.Context(), takeover()) }
	giveBack := func(sys *hookstest.System) error {
		left, err := ledger(sys).GiveBack(t.Context(), nil)
		if len(left) > 0 {
			err = errors.Join(err, fmt.Errorf("left: %q", left))
		}
		return err
	}
	before := platformHost().Dump()
	started := platformHost()
	if err := start(started); err != nil {
		t.Fatal(err)
	}
	wanted, effects := started.Dump(), len(started.Calls)
	given := started.Clone()
	if err := giveBack(given); err != nil {
		t.Fatal(err)
	}
	for _, op := range []struct {
		name    string
		host    func() *hookstest.System
		do      func(*hookstest.System) error
		effects int
	}{
		{"start", platformHost, start, effects},
		{"giving back", started.Clone, giveBack, len(given.Calls)},
	} {
		for n := range op.effects {
			for _, after := range []bool{false, true} {
				killed := func() *hookstest.System {
					sys := op.host()
					kill(t, sys, n, after, op.do)
					return sys
				}
				sys := killed()
				if err := errors.Join(start(sys), giveBack(sys)); err != nil || sys.Dump() != before {
					t.Errorf("%s, killed at %d, after=%t, started and given back: %v\n%s\nwant\n%s", op.name, n, after, err, sys.Dump(), before)
				}
				sys = killed()
				if err := giveBack(sys); err != nil || sys.Dump() != before {
					t.Errorf("%s, killed at %d, after=%t, given back: %v\n%s\nwant\n%s", op.name, n, after, err, sys.Dump(), before)
				}
				if op.name != "start" {
					continue
				}
				sys = killed()
				if err := start(sys); err != nil || sys.Dump() != wanted {
					t.Errorf("%s, killed at %d, after=%t, started again: %v\n%s\nwant\n%s", op.name, n, after, err, sys.Dump(), wanted)
				}
			}
		}
	}
}

// kill ends do at effect n.
func kill(t *testing.T, sys *hookstest.System, n int, after bool, do func(*hookstest.System) error) {
	t.Helper()
	sys.Before = func(i int, _ string) error {
		if i == n && !after {
			panic(crash{})
		}
		return nil
	}
	sys.After = func(i int, _ string) {
		if i == n && after {
			panic(crash{})
		}
	}
	defer func() {
		if _, ok := recover().(crash); !ok {
			t.Fatalf("effect %d was not reached", n)
		}
		sys.Reboot()
		sys.Before, sys.After, sys.Calls = nil, nil, nil
	}()
	_ = do(sys)
}

// A step that fails takes back what its call did for the first time.
func TestLedgerFails(t *testing.T) {
	before := platformHost().Dump()
	all := platformHost()
	if err := ledger(all).Do(t.Context(), takeover()); err != nil {
		t.Fatal(err)
	}
	for n, call := range all.Calls {
		if strings.HasPrefix(call, "set ") { // a warning
			continue
		}
		sys := platformHost()
		failed := false
		sys.Before = func(i int, _ string) error {
			if i == n && !failed {
				failed = true
				return errDisk
			}
			return nil
		}
		err := ledger(sys).Do(t.Context(), takeover())
		if !errors.Is(err, errDisk) {
			t.Errorf("%s failed: Do gives %v", call, err)
		}
		if _, err := ledger(sys).GiveBack(t.Context(), nil); err != nil {
			t.Errorf("%s failed: GiveBack gives %v", call, err)
		}
		if got := sys.Dump(); got != before {
			t.Errorf("%s failed: the host is\n%s\nwant\n%s", call, got, before)
		}
	}
}

// What somebody else changed since is left, and named.
func TestLedgerChangedSince(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*hookstest.System)
		left   []string // parts of sentences
		is     func(*hookstest.System) string
		want   string
	}{
		{
			"a setting",
			func(s *hookstest.System) { s.Files[hooks.SysctlPath(setting)] = hookstest.File{Text: "600\n"} },
			[]string{`is "600" now, which somebody else has set since`},
			func(s *hookstest.System) string { return s.Files[hooks.SysctlPath(setting)].Text }, "600\n",
		},
		{
			"a file",
			func(s *hookstest.System) { s.Files[modules] = hookstest.File{Text: "nf_conntrack\nmine\n"} },
			[]string{modules + ": somebody else has changed it since"},
			func(s *hookstest.System) string { return s.Files[modules].Text }, "nf_conntrack\nmine\n",
		},
		{
			"a service that was masked",
			func(s *hookstest.System) { s.Units["iptables.service"] = hookstest.Unit{Masked: true, Type: "oneshot"} },
			[]string{"iptables.service: somebody has masked it since"},
			func(s *hookstest.System) string { return s.Units["iptables.service"].Runs }, "",
		},
		{
			"a service that was removed",
			func(s *hookstest.System) { delete(s.Units, "firewalld.service") },
			[]string{"firewalld.service: there is no such service any more"},
			func(s *hookstest.System) string { return s.Units["firewalld.service"].Runs }, "",
		},
		{
			"a service that was started again",
			func(s *hookstest.System) {
				s.Units["iptables.service"] = hookstest.Unit{Enabled: true, Runs: "theirs", Type: "oneshot"}
			},
			nil,
			func(s *hookstest.System) string { return s.Units["iptables.service"].Runs }, "theirs",
		},
		{
			"a setting that is back already", // as after a reboot
			func(s *hookstest.System) { s.Files[hooks.SysctlPath(setting)] = hookstest.File{Text: "432000\n"} },
			nil,
			func(s *hookstest.System) string { return s.Files[hooks.SysctlPath(setting)].Text }, "432000\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sys := platformHost()
			l := ledger(sys)
			if err := l.Do(t.Context(), takeover()); err != nil {
				t.Fatal(err)
			}
			tc.change(sys)
			left, err := l.GiveBack(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(left) != len(tc.left) {
				t.Fatalf("left are %q, want %q", left, tc.left)
			}
			for i, want := range tc.left {
				if !strings.Contains(left[i], want) {
					t.Errorf("left is %q, want %q in it", left[i], want)
				}
			}
			if got := tc.is(sys); got != tc.want {
				t.Errorf("it is %q, want %q", got, tc.want)
			}
			if got := sys.Files[rules].Text; got != "theirs" {
				t.Errorf("the rules are %q: what was not changed is to be given back", got)
			}
		})
	}
}

func TestLedgerAdjusts(t *testing.T) {
	sys := platformHost()
	l := ledger(sys)
	if err := l.Do(t.Context(), takeover()); err != nil {
		t.Fatal(err)
	}
	_, err := l.GiveBack(t.Context(), func(s hooks.Step) (hooks.Step, bool) {
		switch s.Kind {
		case hooks.Rules:
			s.Text = "open"
		case hooks.Service:
			return hooks.Step{}, false
		case hooks.Sysctl:
			return s, true
		}
		return s, false
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := sys.Files[rules].Text; got != "open" {
		t.Errorf("the rules are %q, want what was asked for", got)
	}
	if u := sys.Units["iptables.service"]; u.Enabled || u.Runs != "" {
		t.Errorf("the service is %+v, want it left", u)
	}
	kept, err := l.Kept()
	if err != nil || len(kept) != 1 || kept[0].Kind != hooks.Sysctl {
		t.Errorf("kept are %+v, %v, want the setting", kept, err)
	}
}

// A kernel rounds some settings; what it made of them is ours.
func TestLedgerRounds(t *testing.T) {
	const hash = "/sys/module/nf_conntrack/parameters/hashsize"
	sys := platformHost()
	sys.Files[hash] = hookstest.File{Attr: hooks.Attr{Mode: 0o600}, Text: "65536\n"}
	sys.After = func(_ int, call string) {
		if strings.HasPrefix(call, "set "+hash+" 256001") {
			sys.Files[hash] = hookstest.File{Text: "256512\n"}
		}
	}
	l := ledger(sys)
	steps := []hooks.Step{{Kind: hooks.Sysctl, Name: hash, Text: "256001"}}
	for range 2 {
		if err := l.Do(t.Context(), steps); err != nil {
			t.Fatal(err)
		}
	}
	left, err := l.GiveBack(t.Context(), nil)
	if len(left) > 0 || err != nil || sys.Files[hash].Text != "65536\n" {
		t.Errorf("left %q, %v; it is %q, want the first value", left, err, sys.Files[hash].Text)
	}
}

// Rules that cannot be put back, as on a full disk, are put back by the next call.
func TestLedgerGivesBackAgain(t *testing.T) {
	sys := platformHost()
	before := sys.Dump()
	l := ledger(sys)
	if err := l.Do(t.Context(), takeover()); err != nil {
		t.Fatal(err)
	}
	sys.Before = func(_ int, call string) error {
		if strings.Contains(call, rules) {
			return errDisk
		}
		return nil
	}
	left, err := l.GiveBack(t.Context(), nil)
	if err != nil || len(left) != 1 || !strings.Contains(left[0], errDisk.Error()) {
		t.Errorf("on a full disk it leaves %q, %v, want the packet filter", left, err)
	}
	if taken, err := l.Taken(); err != nil || !taken {
		t.Errorf("then the filter is the product's: %t, %v, want true", taken, err)
	}
	sys.Before = nil
	if left, err := l.GiveBack(t.Context(), nil); err != nil || len(left) > 0 {
		t.Errorf("with room again it leaves %q, %v", left, err)
	}
	if got := sys.Dump(); got != before {
		t.Errorf("the host is\n%s\nwant\n%s", got, before)
	}
}

// A later version's ledger is not touched, a damaged one is an error.
func TestLedgerUnreadable(t *testing.T) {
	for _, tc := range []struct {
		text    string
		unknown bool
	}{
		{`{"format": 2, "undo": [{"kind": "satellite"}]}`, true},
		{`{"format": 1, "undo": [{"kind": "sysctl", "name": "net.ipv4.ip_forward", "text": "1"}, {"kind": "satellite"}]}`, true},
		{`{"format": 1, "undo": [{"kind": "sysctl"}]}`, false},
		{`{"format": 1,`, false},
	} {
		sys := platformHost()
		sys.Files[ledgerPath] = hookstest.File{Text: tc.text}
		before := sys.Dump()
		err := ledger(sys).Do(t.Context(), takeover())
		_, err2 := ledger(sys).GiveBack(t.Context(), nil)
		for _, err := range []error{err, err2} {
			if err == nil || errors.Is(err, hooks.ErrUnknown) != tc.unknown {
				t.Errorf("%s: got %v", tc.text, err)
			}
		}
		if got := sys.Dump(); got != before {
			t.Errorf("%s: the host was changed to\n%s", tc.text, got)
		}
	}
}
