package compare_test

import (
	"crypto/sha256"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/compare"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/templates/scriptlets"
)

var date = time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)

// file is the entry of a file as a format reads it, without its body.
func file(path string, perm fs.FileMode, content string) packaging.Entry {
	e := packagingtest.File(path, perm, []byte(content))
	e.Body = nil
	return e
}

// in gives an entry a group.
func in(group string, e packaging.Entry) packaging.Entry {
	e.Group = group
	return e
}

// release is the package of one release of an agent in a format, as vpkg writes it
// and the format reads it.
func release(t *testing.T, format string) compare.Side {
	t.Helper()
	p := &packaging.Package{
		Name: "agent", Version: "1.2.3", Release: "7", Summary: "watches things", License: "Apache-2.0", Vendor: "Example",
		Maintainer: "Jo Doe <jo@example.com>", Homepage: "https://example.com", Date: date,
	}
	product := scriptlets.Product{
		Name: "agent", Program: "/opt/agent", Data: "/var/lib/agent", State: "/var/lib/vpkg/agent", Log: "/var/log/agent.log",
		EnvPrefix: "AGENT_", User: "agent", Home: "/var/lib/agent", Comment: "The agent's own",
	}
	s := compare.Side{File: "agent." + format, Format: format, Size: 1_000_000, Package: p}
	p.Layout = packaging.Layout{
		packagingtest.Dir("/opt/agent", 0o755),
		in("agent", packagingtest.Dir("/opt/agent/bin", 0o750)),
		in("agent", file("/opt/agent/bin/agentd", 0o750, "program for Linux")),
		packagingtest.Symlink("/opt/agent/bin/agentMgr", "agentd"),
		in("agent", file("/opt/agent/bin/status.sh", 0o750, "#!/bin/sh\n")),
		in("agent", file("/opt/agent/bin/vpkg-hook", 0o750, "hook for Linux")),
		packagingtest.Dir("/opt/agent/etc", 0o755),
		file("/opt/agent/etc/agent.conf", 0o644, "key = value\n"),
		file("/opt/agent/etc/hook.json", 0o644, "configuration for Linux"),
		file("/opt/agent/etc/layout.json", 0o644, "record of "+format),
		file("/usr/lib/systemd/system/agent.service", 0o644, "[Unit]\n"),
		file("/usr/lib/systemd/system/agentMgr.service", 0o644, "[Unit]\n"),
	}
	record := sha256.Sum256([]byte("record of " + format))
	hexRecord := packaging.Digest(record).String()
	switch format {
	case "rpm":
		p.Release, p.Arch, p.Compression.Codec, p.Description = "7.el8", "x86_64", "gzip", p.Summary
		p.Relations = []packaging.Relation{
			{Kind: packaging.Requires, Text: "kmod"},
			{Kind: packaging.Requires, Text: "nftables"},
			{Kind: packaging.Requires, Text: "libc6 >= 2.28"},
			{Kind: packaging.Requires, Text: "libc.so.6(GLIBC_2.28)(64bit)"},
			{Kind: packaging.Provides, Text: "config(agent) = 1.2.3-7.el8"},
			{Kind: packaging.Requires, Text: "/bin/sh", For: []packaging.Phase{packaging.PostInstall}},
			{Kind: packaging.Requires, Text: "/usr/sbin/useradd", For: []packaging.Phase{packaging.PreInstall}},
			{Kind: packaging.Provides, Text: "vpkg-layout(sha256) = " + hexRecord},
		}
		r, err := scriptlets.RenderRPM(product)
		if err != nil {
			t.Fatal(err)
		}
		for phase, body := range map[packaging.Phase]string{
			packaging.PreInstall: r.Pre, packaging.PostInstall: r.Post, packaging.PreRemove: r.PreUn,
			packaging.PostRemove: r.PostUn, packaging.PostTrans: r.PostTrans,
		} {
			p.Scripts = append(p.Scripts, packaging.Script{Phase: phase, Interpreter: []string{"/bin/sh"}, Body: body})
		}
		p.Accounts = []packaging.Account{{User: "agent", Group: "agent", Home: "/var/lib/agent"}}
		p.Changelog = []packaging.Change{{Date: date, Author: "Jo Doe <jo@example.com> - 1.2.3-7.el8", Text: "- First"}}
		license := file("/usr/share/licenses/agent/LICENSE", 0o644, "Apache License")
		license.Lic = true
		p.Layout = append(p.Layout, packagingtest.Dir("/usr/share/licenses/agent", 0o755), license,
			packaging.Entry{Path: "/var/log/agent.log", Mode: 0o600, Ghost: true})
	case "deb":
		p.Release, p.Arch, p.Compression.Codec, p.Group, p.Priority = "7.debian12", "amd64", "zstd", "misc", "optional"
		p.Relations = []packaging.Relation{
			{Kind: packaging.PreRequires, Text: "passwd"},
			{Kind: packaging.Requires, Text: "nftables | iptables"},
			{Kind: packaging.Requires, Text: "libc6 (>= 2.28)"},
			{Kind: packaging.Requires, Text: "kmod"},
		}
		d, err := scriptlets.RenderDeb(product)
		if err != nil {
			t.Fatal(err)
		}
		p.Scripts = []packaging.Script{
			{Phase: packaging.PreInstall, Body: d.PreInst},
			{Phase: packaging.PostInstall, Body: d.PostInst},
			{Phase: packaging.PreRemove, Body: d.PreRm},
			{Phase: packaging.PostRemove, Body: d.PostRm},
		}
		p.Fields = []packaging.Field{{Name: "Vpkg-Layout-Sha256", Value: hexRecord}}
		p.Members = []packaging.Member{
			{Name: "hook", Mode: 0o755, Body: packagingtest.Bytes("hook for Linux"), Size: 14},
			{Name: "hook-config", Mode: 0o644, Body: packagingtest.Bytes(`{"account": {"user": "agent"}}`), Size: 30},
		}
		p.Layout = append(p.Layout,
			packagingtest.Dir("/usr", 0o755),
			packagingtest.Dir("/usr/share/doc/agent", 0o755),
			file("/usr/share/doc/agent/copyright", 0o644, "Apache License"))
	case "msi":
		p.Arch, p.Compression.Codec, p.Description = "x64", "mszip", p.Summary
		const program = "/Program Files/Agent"
		p.Layout = packaging.Layout{
			packagingtest.Dir(program, 0o755),
			packagingtest.Dir(program+"/bin", 0o755),
			file(program+"/bin/agentd.exe", 0o644, "program for Windows"),
			file(program+"/bin/vpkg-hook.exe", 0o644, "hook for Windows"),
			packagingtest.Dir(program+"/etc", 0o755),
			file(program+"/etc/agent.conf", 0o644, "key = value\n"),
			file(program+"/etc/hook.json", 0o644, "configuration for Windows"),
			file(program+"/etc/layout.json", 0o644, "record of msi"),
		}
		p.Windows = &packaging.Windows{
			ProductName: "Agent", UpgradeCode: "{7A0C7B4E-5C5B-4C2E-9E7B-1D5A0C3B9F10}", Program: program, Data: "/ProgramData/Agent",
			Services: []packaging.WindowsService{{
				Name: "agentMgrSvc", Program: program + "/bin/agentd.exe", Arguments: []string{"component agentMgr"}, Start: packaging.StartAuto,
			}},
			Registry: []packaging.RegistryValue{{Key: `Software\Agent`, Name: "Path", Type: "string", Value: "[INSTALLFOLDER]"}},
			Record:   record,
		}
		s.Texts = []compare.Text{{Name: compare.Actions, Weight: compare.Scripts, Body: "1850 HookPreRemove\n" +
			"    runs Binary.hook pre-remove --format msi --\n5860 HookPostInstall\n    runs Binary.hook post-install --format msi --\n"}}
	}
	p.Layout.Sort()
	return s
}

// TestRelease compares the packages of one release: nothing but what is expected.
func TestRelease(t *testing.T) {
	for _, a := range []string{"rpm", "deb", "msi"} {
		for _, b := range []string{"rpm", "deb", "msi"} {
			r := compare.Packages(release(t, a), release(t, b))
			for _, d := range r.Differences {
				t.Errorf("%s and %s: %s: %s", a, b, d.Weight, d.Line())
			}
			if len(r.Summary) > 0 || !r.Equal {
				t.Errorf("%s and %s: summary %v, equal %t", a, b, r.Summary, r.Equal)
			}
			if a == b && len(r.Expected) > 0 {
				t.Errorf("%s and itself: %q is expected", a, r.Expected[0].Line())
			}
		}
	}
}

// edit changes an entry of a layout.
func edit(p *packaging.Package, path string, change func(e *packaging.Entry)) {
	i := slices.IndexFunc(p.Layout, func(e packaging.Entry) bool { return e.Path == path })
	change(&p.Layout[i])
}

func remove(p *packaging.Package, path string) {
	n := len(p.Layout)
	p.Layout = slices.DeleteFunc(p.Layout, func(e packaging.Entry) bool { return e.Path == path })
	if len(p.Layout) != n-1 {
		panic("no " + path)
	}
}

func put(p *packaging.Package, e packaging.Entry) {
	p.Layout = append(p.Layout, e)
	p.Layout.Sort()
}

func relate(p *packaging.Package, old, text string) {
	i := slices.IndexFunc(p.Relations, func(r packaging.Relation) bool { return r.Text == old })
	p.Relations[i].Text = text
}

func addLine(p *packaging.Package, phase packaging.Phase, line string) {
	i := slices.IndexFunc(p.Scripts, func(s packaging.Script) bool { return s.Phase == phase })
	p.Scripts[i].Body = strings.Replace(p.Scripts[i].Body, "\nexit 0", "\n"+line+"\nexit 0", 1)
}

// TestRules has for each rule what it explains in an unchanged release, and changes
// that it must not explain away.
func TestRules(t *testing.T) {
	covered := map[string]bool{"host-config": true, "host-optional": true} // see TestHost
	type keeps struct {
		name    string
		change  func(a, b *packaging.Package)
		weight  compare.Weight
		subject string
	}
	for _, tc := range []struct {
		rule     string
		b        string // what the RPM is compared with
		subjects []string
		keeps    []keeps
	}{
		{"release-label", "deb", []string{"release"}, []keeps{
			{"another build", func(_, b *packaging.Package) { b.Release = "8.debian12" }, compare.Metadata, "release"},
			{"a number is no label", func(a, b *packaging.Package) { a.Release, b.Release = "7.1", "7.2" }, compare.Metadata, "release"},
			{"another version", func(_, b *packaging.Package) { b.Version = "1.2.4" }, compare.Metadata, "version"},
		}},
		{"architecture-name", "deb", []string{"architecture"}, []keeps{
			{"another machine", func(_, b *packaging.Package) { b.Arch = "arm64" }, compare.Metadata, "architecture"},
			{"unknown names", func(a, b *packaging.Package) { a.Arch, b.Arch = "vax", "pdp11" }, compare.Metadata, "architecture"},
		}},
		{"compression", "deb", []string{"compression"}, []keeps{
			{"a date is no codec", func(_, b *packaging.Package) { b.Date = b.Date.Add(time.Hour) }, compare.Minor, "date"},
		}},
		{"compression", "rpm", nil, []keeps{
			{"another codec for the same system", func(_, b *packaging.Package) { b.Compression.Codec = "xz" }, compare.Minor, "compression"},
		}},
		{"no-place", "deb", []string{"changelog", "priority"}, []keeps{
			{"a value on both sides", func(_, b *packaging.Package) { b.License = "MIT" }, compare.Metadata, "license"},
			{"a summary is in each", func(_, b *packaging.Package) { b.Summary = "" }, compare.Metadata, "summary"},
			{"a description is in each", func(_, b *packaging.Package) { b.Description = "and more" }, compare.Metadata, "description"},
			{"a field of the DEB stays its own", func(_, b *packaging.Package) { b.Homepage = "" }, compare.Metadata, "homepage"},
		}},
		{"default-section", "deb", []string{"group"}, []keeps{
			{"another section", func(_, b *packaging.Package) { b.Group = "net" }, compare.Metadata, "group"},
			{"another group", func(a, _ *packaging.Package) { a.Group = "net" }, compare.Metadata, "group"},
		}},
		{"record", "msi", []string{"record", "/opt/agent/etc/layout.json", "/opt/agent/etc/hook.json"}, []keeps{
			{"no digest", func(_, b *packaging.Package) { b.Windows.Record = packaging.Digest{} }, compare.Content, "record"},
		}},
		{"record", "deb", []string{"record", "/opt/agent/etc/layout.json"}, []keeps{
			{"another configuration", func(_, b *packaging.Package) {
				edit(b, "/opt/agent/etc/hook.json", func(e *packaging.Entry) { e.SHA256[0]++ })
			}, compare.Content, "/opt/agent/etc/hook.json"},
			{"no digest", func(_, b *packaging.Package) { b.Fields = nil }, compare.Content, "record"},
			{"no file", func(_, b *packaging.Package) { remove(b, "/opt/agent/etc/hook.json") }, compare.Missing, "/opt/agent/etc/hook.json"},
			{"another file's content", func(_, b *packaging.Package) {
				edit(b, "/opt/agent/etc/agent.conf", func(e *packaging.Entry) { e.SHA256[0]++ })
			}, compare.Content, "/opt/agent/etc/agent.conf"},
		}},
		{"relation-syntax", "deb", []string{"libc6"}, []keeps{
			{"another version", func(_, b *packaging.Package) { relate(b, "libc6 (>= 2.28)", "libc6 (>= 2.31)") }, compare.Relations, "libc6"},
			{"another operator", func(_, b *packaging.Package) { relate(b, "libc6 (>= 2.28)", "libc6 (>> 2.28)") }, compare.Relations, "libc6"},
			{"another name", func(_, b *packaging.Package) { relate(b, "kmod", "kmod2") }, compare.Relations, "kmod"},
		}},
		{"alternatives", "deb", []string{"nftables"}, []keeps{
			{"none is the RPM's", func(a, _ *packaging.Package) { relate(a, "nftables", "ipset") }, compare.Relations, "ipset"},
			{"of another version", func(_, b *packaging.Package) {
				relate(b, "nftables | iptables", "nftables (>= 1) | iptables")
			}, compare.Relations, "nftables"},
		}},
		{"format-relations", "deb", []string{"/bin/sh", "/usr/sbin/useradd", "passwd", "config(agent)"}, []keeps{
			{"another package's configuration", func(a, _ *packaging.Package) {
				relate(a, "config(agent) = 1.2.3-7.el8", "config(other) = 1")
			}, compare.Relations, "config(other)"},
			{"another file", func(a, _ *packaging.Package) { relate(a, "/usr/sbin/useradd", "/usr/sbin/setfacl") }, compare.Relations, "/usr/sbin/setfacl"},
			{"only one side has them", func(_, b *packaging.Package) { relate(b, "passwd", "dpkg") }, compare.Relations, "/usr/sbin/useradd"},
			{"another Pre-Depends", func(_, b *packaging.Package) { relate(b, "passwd", "dpkg") }, compare.Relations, "dpkg"},
		}},
		{"sonames", "deb", []string{"libc.so.6(GLIBC_2.28)(64bit)"}, []keeps{
			{"the DEB needs no library", func(_, b *packaging.Package) { relate(b, "libc6 (>= 2.28)", "bash") }, compare.Relations, "libc.so.6(GLIBC_2.28)(64bit)"},
			{"a package", func(a, _ *packaging.Package) { relate(a, "kmod", "libkmod") }, compare.Relations, "libkmod"},
		}},
		{"no-relations", "msi", []string{"kmod", "nftables", "/usr/sbin/useradd"}, []keeps{
			{"the MSI says some", func(_, b *packaging.Package) {
				b.Relations = []packaging.Relation{{Kind: packaging.Requires, Text: "dotnet"}}
			}, compare.Relations, "dotnet"},
		}},
		{"hook-scripts", "deb", []string{"pre-install", "post-install", "pre-remove", "post-remove", "post-trans"}, []keeps{
			{"one more line", func(a, _ *packaging.Package) { addLine(a, packaging.PreInstall, "touch /etc/agent") }, compare.Scripts, "pre-install"},
			{"one that deletes", func(_, b *packaging.Package) { addLine(b, packaging.PreRemove, "rm -rf /srv/agent") }, compare.DataLoss, "pre-remove"},
			{"one that is commented out deletes nothing", func(_, b *packaging.Package) {
				addLine(b, packaging.PreRemove, "# rm -rf /srv/agent")
			}, compare.Scripts, "pre-remove"},
			{"another account", func(_, b *packaging.Package) {
				for i := range b.Scripts {
					b.Scripts[i].Body = strings.ReplaceAll(b.Scripts[i].Body, "user=agent", "user=other")
				}
			}, compare.DataLoss, "post-remove"},
			{"a setuid program in one of them", func(_, b *packaging.Package) {
				edit(b, "/opt/agent/bin/agentd", func(e *packaging.Entry) { e.Mode = fs.ModeSetuid | 0o755 })
			}, compare.Rights, "/opt/agent/bin/agentd"},
			{"a script of one side alone", func(a, _ *packaging.Package) {
				a.Scripts = append(a.Scripts, packaging.Script{Phase: packaging.PreTrans, Body: "true\n"})
			}, compare.Scripts, "pre-trans"},
			{"a script less", func(_, b *packaging.Package) { b.Scripts = b.Scripts[1:] }, compare.Scripts, "pre-install"},
		}},
		{"hook-scripts", "msi", []string{"pre-install", "post-install", "pre-remove", "post-remove", "post-trans"}, []keeps{
			{"one more line", func(a, _ *packaging.Package) { addLine(a, packaging.PostTrans, "touch /etc/agent") }, compare.Scripts, "post-trans"},
		}},
		{"control-hook", "deb", []string{"hook", "hook-config"}, []keeps{
			{"another program", func(_, b *packaging.Package) { b.Members[0].Body = packagingtest.Bytes("another hook..") }, compare.Scripts, "hook"},
			{"another member", func(_, b *packaging.Package) { b.Members[1].Name = "templates" }, compare.Content, "templates"},
		}},
		{"accounts", "deb", []string{"user agent"}, []keeps{
			{"the hook makes another", func(_, b *packaging.Package) { b.Members[1].Body = packagingtest.Bytes(`{"user": "other"}`) }, compare.Rights, "user agent"},
			{"there is no hook", func(_, b *packaging.Package) { b.Members = nil }, compare.Rights, "user agent"},
			{"two that differ", func(_, b *packaging.Package) {
				b.Accounts = []packaging.Account{{User: "agent", Shell: "/bin/bash"}}
			}, compare.Rights, "user agent"},
		}},
		{"windows-access", "msi", []string{"/opt/agent/bin", "/opt/agent/bin/agentd"}, []keeps{
			{"setuid", func(a, _ *packaging.Package) {
				edit(a, "/opt/agent/bin/agentd", func(e *packaging.Entry) { e.Mode |= fs.ModeSetuid })
			}, compare.Rights, "/opt/agent/bin/agentd"},
			{"world-writable", func(a, _ *packaging.Package) {
				edit(a, "/opt/agent/etc/agent.conf", func(e *packaging.Entry) { e.Mode |= 0o002 })
			}, compare.Rights, "/opt/agent/etc/agent.conf"},
			{"capabilities", func(a, _ *packaging.Package) {
				edit(a, "/opt/agent/bin/agentd", func(e *packaging.Entry) { e.Caps = "cap_net_admin=ep" })
			}, compare.Rights, "/opt/agent/bin/agentd"},
		}},
		{"windows-folder", "msi", []string{"program folder"}, []keeps{
			{"a file elsewhere", func(_, b *packaging.Package) { put(b, file("/Program Files/Agent2/x", 0o644, "x")) }, compare.Added, "/Program Files/Agent2/x"},
			{"one file is missing", func(_, b *packaging.Package) { remove(b, "/Program Files/Agent/etc/agent.conf") }, compare.Missing, "/opt/agent/etc/agent.conf"},
		}},
		{"windows-program", "msi", []string{"/opt/agent/bin/agentd", "/opt/agent/bin/vpkg-hook"}, []keeps{
			{"it is missing", func(_, b *packaging.Package) { remove(b, "/Program Files/Agent/bin/agentd.exe") }, compare.Missing, "/opt/agent/bin/agentd"},
			{"both names are there", func(_, b *packaging.Package) { put(b, file("/Program Files/Agent/bin/agentd", 0o644, "x")) }, compare.Added, "/Program Files/Agent/bin/agentd.exe"},
			{"no program", func(_, b *packaging.Package) {
				edit(b, "/Program Files/Agent/etc/agent.conf", func(e *packaging.Entry) { e.Size++; e.SHA256[0]++ })
			}, compare.Content, "/opt/agent/etc/agent.conf"},
		}},
		{"windows-service", "msi", []string{"agentMgrSvc", "/usr/lib/systemd/system/agentMgr.service", "/usr/lib/systemd/system/agent.service"}, []keeps{
			{"a unit without a service", func(a, _ *packaging.Package) {
				put(a, file("/usr/lib/systemd/system/agentWatch.service", 0o644, "x"))
			}, compare.Missing, "/usr/lib/systemd/system/agentWatch.service"},
			{"a service without a unit", func(_, b *packaging.Package) { b.Windows.Services[0].Name = "otherSvc" }, compare.Services, "otherSvc"},
			{"no services at all", func(_, b *packaging.Package) { b.Windows.Services = nil }, compare.Missing, "/usr/lib/systemd/system/agent.service"},
		}},
		{"windows-link", "msi", []string{"/opt/agent/bin/agentMgr"}, []keeps{
			{"no service stands for it", func(a, _ *packaging.Package) {
				put(a, packagingtest.Symlink("/opt/agent/bin/agentWatch", "agentd"))
			}, compare.Missing, "/opt/agent/bin/agentWatch"},
			{"from elsewhere", func(a, _ *packaging.Package) {
				put(a, packagingtest.Symlink("/usr/bin/agentMgr", "agentd"))
			}, compare.Missing, "/usr/bin/agentMgr"},
			{"of another program", func(a, _ *packaging.Package) {
				edit(a, "/opt/agent/bin/agentMgr", func(e *packaging.Entry) { e.Target = "../../bin/sh" })
			}, compare.Missing, "/opt/agent/bin/agentMgr"},
		}},
		{"shell-program", "msi", []string{"/opt/agent/bin/status.sh"}, []keeps{
			{"a program", func(a, _ *packaging.Package) { put(a, file("/opt/agent/bin/tool", 0o755, "x")) }, compare.Missing, "/opt/agent/bin/tool"},
			{"a script elsewhere", func(a, _ *packaging.Package) { put(a, file("/usr/bin/tool.sh", 0o755, "x")) }, compare.Missing, "/usr/bin/tool.sh"},
			{"with setuid", func(a, _ *packaging.Package) {
				edit(a, "/opt/agent/bin/status.sh", func(e *packaging.Entry) { e.Mode |= fs.ModeSetuid })
			}, compare.Rights, "/opt/agent/bin/status.sh"},
		}},
		{"format-docs", "deb", []string{"/usr/share/doc/agent", "/usr/share/licenses/agent"}, []keeps{
			{"a manual", func(_, b *packaging.Package) { put(b, file("/usr/share/doc/agent/manual.pdf", 0o644, "x")) }, compare.Added, "/usr/share/doc/agent/manual.pdf"},
			{"the RPM's own documents", func(a, _ *packaging.Package) { put(a, file("/usr/share/doc/agent/copyright", 0o644, "x")) }, compare.Content, "/usr/share/doc/agent/copyright"},
			{"world-writable", func(_, b *packaging.Package) {
				edit(b, "/usr/share/doc/agent/copyright", func(e *packaging.Entry) { e.Mode |= 0o002 })
			}, compare.Rights, "/usr/share/doc/agent/copyright"},
		}},
		{"ghosts", "deb", []string{"/var/log/agent.log"}, []keeps{
			{"it is in the package", func(a, _ *packaging.Package) {
				edit(a, "/var/log/agent.log", func(e *packaging.Entry) { e.Ghost = false })
			}, compare.Missing, "/var/log/agent.log"},
		}},
		{"base-folders", "deb", []string{"/usr"}, []keeps{
			{"with another mode", func(_, b *packaging.Package) {
				edit(b, "/usr", func(e *packaging.Entry) { e.Mode = fs.ModeDir | 0o700 })
			}, compare.Added, "/usr"},
			{"of somebody else", func(_, b *packaging.Package) { edit(b, "/usr", func(e *packaging.Entry) { e.Owner = "agent" }) }, compare.Added, "/usr"},
			{"the product's own", func(_, b *packaging.Package) { put(b, packagingtest.Dir("/srv/agent", 0o755)) }, compare.Added, "/srv/agent"},
			{"a folder of the product is missing", func(_, b *packaging.Package) { remove(b, "/opt/agent/etc") }, compare.Missing, "/opt/agent/etc"},
		}},
		{"windows-settings", "msi", []string{`Software\Agent\Path`}, []keeps{
			{"a service is no setting", func(_, b *packaging.Package) {
				b.Windows.Services = append(b.Windows.Services, packaging.WindowsService{Name: "x"})
			}, compare.Services, "x"},
		}},
	} {
		t.Run(tc.rule+"/"+tc.b, func(t *testing.T) {
			r := compare.Packages(release(t, "rpm"), release(t, tc.b))
			for _, subject := range tc.subjects {
				if !slices.ContainsFunc(r.Expected, func(d compare.Difference) bool { return d.Rule == tc.rule && d.Subject == subject && d.Reason != "" }) {
					t.Errorf("it does not explain %s", subject)
				}
			}
			for _, k := range tc.keeps {
				for _, turned := range []bool{false, true} {
					a, b := release(t, "rpm"), release(t, tc.b)
					k.change(a.Package, b.Package)
					if turned {
						a, b = b, a
					}
					r := compare.Packages(a, b)
					if !slices.ContainsFunc(r.Differences, func(d compare.Difference) bool {
						same := d.Subject == k.subject || d.SubjectB == k.subject
						weight := d.Weight
						if turned && (k.weight == compare.Missing || k.weight == compare.Added) {
							weight = compare.Missing + compare.Added - weight
						}
						return same && weight == k.weight
					}) {
						t.Errorf("%s (turned: %t): %s is not told of as %s; told: %v", k.name, turned, k.subject, k.weight, lines(r.Differences))
					}
				}
			}
		})
		covered[tc.rule] = covered[tc.rule] || len(tc.keeps) > 0 && len(tc.subjects) > 0
	}
	for _, r := range compare.Rules() {
		if !covered[r.Name] || r.Reason == "" || r.Keeps == "" {
			t.Errorf("rule %s has no test, no reason or nothing that it keeps", r.Name)
		}
	}
}

func lines(ds []compare.Difference) []string {
	var ls []string
	for _, d := range ds {
		ls = append(ls, d.Weight.String()+": "+d.Line())
	}
	return ls
}

// TestHost compares a package with what a host has of it.
func TestHost(t *testing.T) {
	const config, ghost = "/opt/agent/etc/agent.conf", "/var/log/agent.log"
	host := func() compare.Side {
		s := release(t, "rpm")
		s.Host = &compare.Allowed{Differ: map[string]bool{config: true}, Miss: map[string]bool{ghost: true}}
		edit(s.Package, config, func(e *packaging.Entry) { e.SHA256[0]++; e.Size++ })
		remove(s.Package, ghost)
		return s
	}
	for _, turned := range []bool{false, true} {
		compared := func(b compare.Side) *compare.Report {
			if turned {
				return compare.Packages(b, release(t, "rpm"))
			}
			return compare.Packages(release(t, "rpm"), b)
		}
		r := compared(host())
		if rules := []string{r.Expected[0].Rule, r.Expected[1].Rule}; !r.Equal || len(r.Expected) != 2 || !slices.Equal(rules, []string{"host-config", "host-optional"}) {
			t.Errorf("turned: %t: different %v, expected %v", turned, lines(r.Differences), lines(r.Expected))
		}
		for name, tt := range map[string]struct {
			change  func(p *packaging.Package)
			subject string
		}{
			"mode of configuration": {func(p *packaging.Package) { edit(p, config, func(e *packaging.Entry) { e.Mode = 0o666 }) }, config},
			"no configuration":      {func(p *packaging.Package) { remove(p, config) }, config},
			"another content": {func(p *packaging.Package) {
				edit(p, "/opt/agent/bin/agentd", func(e *packaging.Entry) { e.SHA256[0]++ })
			}, "/opt/agent/bin/agentd"},
			"more":                 {func(p *packaging.Package) { put(p, file("/opt/agent/bin/x", 0o755, "x")) }, "/opt/agent/bin/x"},
			"a folder for a ghost": {func(p *packaging.Package) { put(p, packagingtest.Dir(ghost, 0o755)) }, ghost},
		} {
			b := host()
			tt.change(b.Package)
			r := compared(b)
			if len(r.Differences) == 0 || slices.ContainsFunc(r.Differences, func(d compare.Difference) bool { return d.Subject != tt.subject }) {
				t.Errorf("%s (turned: %t): told: %v", name, turned, lines(r.Differences))
			}
		}
	}
}

// TestMSIWithoutHook: scriptlets are explained only by an MSI that runs the hook.
func TestMSIWithoutHook(t *testing.T) {
	a, b := release(t, "rpm"), release(t, "msi")
	b.Texts[0].Body = "5860 HookPostInstall\n    runs something\n"
	r := compare.Packages(a, b)
	if !slices.ContainsFunc(r.Differences, func(d compare.Difference) bool { return d.Kind == "script" && d.Attribute == "missing" }) {
		t.Errorf("scripts that no action stands for are not told of: %q", lines(r.Differences))
	}
}

// TestOwnScripts: a manifest's own script runs before the hook in each format.
func TestOwnScripts(t *testing.T) {
	own := "(\nlogger agent\n)\nvpkg_status=$?; [ \"$vpkg_status\" = 0 ] || exit \"$vpkg_status\"\n"
	add := func(p *packaging.Package, text string) {
		i := slices.IndexFunc(p.Scripts, func(s packaging.Script) bool { return s.Phase == packaging.PostInstall })
		head := ""
		if rest, ok := strings.CutPrefix(p.Scripts[i].Body, "#!/bin/sh\n"); ok {
			head, p.Scripts[i].Body = "#!/bin/sh\n", rest
		}
		p.Scripts[i].Body = head + text + p.Scripts[i].Body
	}
	a, b := release(t, "rpm"), release(t, "deb")
	add(a.Package, own)
	add(b.Package, own)
	if r := compare.Packages(a, b); !r.Equal {
		t.Errorf("the same script in both: %q", lines(r.Differences))
	}
	b = release(t, "deb")
	add(b.Package, strings.ReplaceAll(own, "logger", "echo"))
	if r := compare.Packages(a, b); r.Equal {
		t.Error("another script in each is not told of")
	}
	if r := compare.Packages(a, release(t, "msi")); r.Equal {
		t.Error("a script that the MSI does not have is not told of")
	}
}
