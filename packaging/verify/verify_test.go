package verify

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

var date = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

const unitText = "[Service]\nExecStart=/opt/agent/bin/agentd --run\nUser=agent\n"

// agent is a package with nothing wrong.
func agent(format string) *packaging.Package {
	p := &packaging.Package{
		Name: "agent", Version: "1.4.0", Release: "7", Arch: "x86_64", Date: date,
		Layout: packaging.Layout{
			packagingtest.Dir("/opt/agent", 0o755),
			packagingtest.Dir("/opt/agent/bin", 0o755),
			packagingtest.File("/opt/agent/bin/agentd", 0o755, []byte("#!/bin/sh\nexec sleep 1\n")),
			packagingtest.Symlink("/opt/agent/bin/agent", "agentd"),
			packagingtest.File("/usr/lib/systemd/system/agent.service", 0o644, []byte(unitText)),
		},
	}
	p.Layout.Sort()
	const making = "getent passwd agent >/dev/null || useradd -r -g agent agent\ngetent group agent >/dev/null || groupadd -r agent\nexit 0\n"
	p.Scripts = []packaging.Script{{Phase: packaging.PreInstall, Body: making}}
	if format == "deb" {
		p.Arch, p.Scripts[0].Body = "amd64", "#!/bin/sh\nset -e\n"+making
	}
	return p
}

func add(entries ...packaging.Entry) func(*packaging.Package) {
	return func(p *packaging.Package) {
		for _, e := range entries {
			p.Layout = slices.DeleteFunc(p.Layout, func(x packaging.Entry) bool { return x.Path == e.Path })
			p.Layout = append(p.Layout, e)
		}
		p.Layout.Sort()
	}
}

func file(path, content string) packaging.Entry {
	return packagingtest.File(path, 0o644, []byte(content))
}

func program(path, content string) packaging.Entry {
	return packagingtest.File(path, 0o755, []byte(content))
}

func owned(e packaging.Entry, owner, group string) packaging.Entry {
	e.Owner, e.Group = owner, group
	return e
}

func config(e packaging.Entry) packaging.Entry {
	e.Config = packaging.ConfigNoReplace
	return e
}

// withScript adds a scriptlet, or puts one in the place of the package's.
func withScript(ph packaging.Phase, body string) func(*packaging.Package) {
	return func(p *packaging.Package) {
		p.Scripts = slices.DeleteFunc(p.Scripts, func(s packaging.Script) bool { return s.Phase == ph })
		p.Scripts = append(p.Scripts, packaging.Script{Phase: ph, Body: body})
	}
}

func relation(kind packaging.RelationKind, text string) func(*packaging.Package) {
	return func(p *packaging.Package) {
		p.Relations = append(p.Relations, packaging.Relation{Kind: kind, Text: text})
	}
}

func both(fs ...func(*packaging.Package)) func(*packaging.Package) {
	return func(p *packaging.Package) {
		for _, f := range fs {
			f(p)
		}
	}
}

func gzipped(text string, at time.Time) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.ModTime = at
	z.Write([]byte(text)) //nolint:errcheck // into memory
	z.Close()
	return b.String()
}

// elfWith is the beginning of a program with a text in it.
func elfWith(text string) string {
	return "\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00", 100) + text + "\x00"
}

const (
	keyBody   = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
	pemText   = "-----BEGIN PRIVATE KEY-----\n" + keyBody + "\n-----END PRIVATE KEY-----\n"
	githubKey = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
)

// check applies the rules as vpkg verify does, without a format.
func check(t *testing.T, format string, p *packaging.Package, change func(*Subject)) []Finding {
	t.Helper()
	s := &Subject{Format: format, Package: p, Compare: rpm.CompareEVR}
	if format == "deb" {
		s.Compare = deb.CompareVersion
	}
	if change != nil {
		change(s)
	}
	s.Scan = NewScan(format, p, s.BuildHost)
	for i := range p.Layout {
		e := p.Layout[i]
		if e.Body == nil {
			if err := s.Scan.File(&e, nil); err != nil {
				t.Fatal(err)
			}
			continue
		}
		r, err := e.Body.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Scan.File(&e, r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	p.Layout = s.Scan.Layout(p.Layout)
	return Check(s)
}

// ruleTests has for each rule packages that break it, each in one way, and packages
// that look alike and do not.
var ruleTests = []struct {
	rule, format string
	bad          func(*packaging.Package)
	where        string // of the finding
	severity     Severity
	good         func(*packaging.Package)
	subject      func(*Subject)
}{
	{
		rule: "world-writable", bad: add(packagingtest.File("/opt/agent/a", 0o666, nil)), where: "/opt/agent/a", severity: Error,
		good: add(packagingtest.Dir("/opt/agent/tmp", 0o777|fs.ModeSticky), packagingtest.Symlink("/opt/agent/l", "bin")),
	},
	{rule: "world-writable", bad: add(packagingtest.Dir("/opt/agent/tmp", 0o777)), where: "/opt/agent/tmp", severity: Error},
	{
		rule: "world-writable", bad: withScript(packaging.PostInstall, "chmod -R 777 /opt/agent/etc\n"), where: "%post:1", severity: Error,
		good: withScript(packaging.PostInstall, "chmod 755 /opt/agent/etc\nchmod u+w /opt/agent/etc\nchmod 1777 /opt/agent/tmp\nmkdir -m 755 /opt/agent/a\n"),
	},
	{
		rule: "world-writable", bad: withScript(packaging.PostInstall, "find /opt/agent -type f -exec chmod 0666 {} \\;\n"), where: "%post:1", severity: Error,
		good: withScript(packaging.PostInstall, "find /opt/agent -type f -exec chmod 0644 {} \\;\n"),
	},
	{
		rule: "setuid", format: "deb", bad: withScript(packaging.PostInstall, "#!/bin/sh\ndpkg-statoverride --update --add root crontab 2755 /usr/bin/crontab\n"), where: "postinst:2", severity: Warning,
		good: withScript(packaging.PostInstall, "#!/bin/sh\ninstall -d -m 2755 /var/lib/agent\n"),
	},
	{
		rule: "setuid", bad: add(packagingtest.File("/opt/agent/bin/su", 0o755|fs.ModeSetuid, []byte(elfWith("")))), where: "/opt/agent/bin/su", severity: Warning,
		good: add(packagingtest.Dir("/opt/agent/shared", 0o755|fs.ModeSetgid)),
	},
	{rule: "setuid", bad: add(packagingtest.File("/opt/agent/bin/sg", 0o755|fs.ModeSetgid, []byte(elfWith("")))), where: "/opt/agent/bin/sg", severity: Warning},
	{rule: "setuid", format: "deb", bad: withScript(packaging.PostInstall, "#!/bin/sh\nchmod 4755 /opt/agent/bin/agentd\n"), where: "postinst:2", severity: Warning},
	{
		rule: "capabilities", severity: Warning, where: "/opt/agent/bin/agentd",
		bad: func(p *packaging.Package) { p.Layout[3].Caps = "cap_net_admin=ep" },
	},
	{
		rule: "capabilities", format: "deb", bad: withScript(packaging.PostInstall, "#!/bin/sh\nsetcap cap_net_raw+ep /opt/agent/bin/agentd || true\n"), where: "postinst:2", severity: Warning,
		good: withScript(packaging.PostInstall, "#!/bin/sh\nsetcap -r /opt/agent/bin/agentd || true\n"),
	},
	{rule: "odd-mode", bad: add(packagingtest.Dir("/opt/agent/x", 0o644)), where: "/opt/agent/x", severity: Warning, good: add(packagingtest.Dir("/opt/agent/x", 0o700))},
	{rule: "odd-mode", bad: add(packagingtest.File("/opt/agent/x", 0o055, nil)), where: "/opt/agent/x", severity: Warning, good: add(packagingtest.File("/opt/agent/x", 0o400, nil))},
	{
		rule: "private-key", bad: add(file("/opt/agent/etc/key.pem", pemText)), where: "/opt/agent/etc/key.pem", severity: Error,
		good: add(
			file("/opt/agent/etc/cert.pem", strings.ReplaceAll(pemText, "PRIVATE KEY", "CERTIFICATE")),
			program("/opt/agent/bin/openssl", elfWith("-----BEGIN PRIVATE KEY-----\x00-----END PRIVATE KEY-----")),
			file("/opt/agent/doc.txt", "-----BEGIN PRIVATE KEY-----\nMIIEvQ...\n-----END PRIVATE KEY-----\n"),
		),
	},
	{rule: "private-key", bad: add(file("/usr/share/doc/agent/key.pem", pemText)), where: "/usr/share/doc/agent/key.pem", severity: Info},
	{
		rule: "private-key", bad: add(file("/opt/agent/etc/account.json", `{"private_key": "-----BEGIN RSA PRIVATE KEY-----\n`+keyBody+`\n"}`)),
		where: "/opt/agent/etc/account.json", severity: Error,
	},
	{rule: "private-key", format: "msi", bad: add(file("/Program Files/Agent/key.pem", pemText)), where: "/Program Files/Agent/key.pem", severity: Error},
	{
		rule: "secret", bad: add(file("/opt/agent/etc/a", "token="+githubKey+"\n")), where: "/opt/agent/etc/a", severity: Error,
		good: add(file("/opt/agent/etc/a", "token=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nx"+githubKey+"\nAKIAIOSFODNN7EXAMPLE\n"+githubKey+"0\n")),
	},
	{rule: "secret", bad: add(file("/opt/agent/etc/a", "AKIAQYLPMN5HXJ2ZTB4C")), where: "/opt/agent/etc/a", severity: Error},
	{
		rule: "build-path", bad: add(program("/opt/agent/bin/x", elfWith("/home/jo/agent/src/main.c"))), where: "/opt/agent/bin/x", severity: Warning,
		good: add(program("/opt/agent/bin/x", elfWith("/home/%s/.config and /home/jo and github.com/a/pkg/mod/x@v1/a.go")), file("/opt/agent/readme", "/home/jo/agent/src/main.c")),
	},
	{rule: "build-path", bad: add(program("/opt/agent/bin/x", elfWith("/go/pkg/mod/github.com/a/b@v1.2.3/c.go"))), where: "/opt/agent/bin/x", severity: Warning},
	{rule: "build-path", bad: add(file("/opt/agent/etc/a", "prefix=/root/rpmbuild/BUILDROOT/agent-1/opt\n")), where: "/opt/agent/etc/a", severity: Warning},
	{
		rule: "build-host", bad: add(file("/opt/agent/etc/a", "built on ci-17.example.org\n")), where: "/opt/agent/etc/a", severity: Warning,
		good: add(file("/opt/agent/etc/a", "built on another.example.org\n")), subject: func(s *Subject) { s.BuildHost = "ci-17.example.org" },
	},
	{
		rule: "build-time", bad: add(program("/opt/agent/bin/x", elfWith("Jan 31 2026\x0013:01:02"))), where: "/opt/agent/bin/x", severity: Info,
		good: add(program("/opt/agent/bin/x", elfWith("Jan 31 2026\x0012:00:00")), program("/opt/agent/bin/y", elfWith("Mar  4 2025 13:01:02"))),
	},
	{
		rule: "build-time", bad: add(file("/opt/agent/a.gz", gzipped("a", date.Add(time.Hour)))), where: "/opt/agent/a.gz", severity: Info,
		good: add(file("/opt/agent/a.gz", gzipped("a", time.Time{})), file("/opt/agent/b.gz", gzipped("a", date))),
	},
	{rule: "link-leaves", bad: add(packagingtest.Symlink("/opt/agent/l", "/home/jo/out/l")), where: "/opt/agent/l", severity: Error, good: add(packagingtest.Symlink("/opt/agent/l", "/etc/hostname"))},
	{
		rule: "link-leaves", bad: add(packagingtest.Symlink("/opt/agent/l", "../../../etc/hostname")), where: "/opt/agent/l", severity: Error,
		good: add(packagingtest.Symlink("/opt/agent/l", "../../etc/hostname")),
	},
	{
		rule: "link-dangling", bad: add(packagingtest.Symlink("/opt/agent/l", "bin/none")), where: "/opt/agent/l", severity: Warning,
		good: add(packagingtest.Symlink("/opt/agent/l", "bin"), packagingtest.Symlink("/usr/bin/x", "../lib/none"), packagingtest.Symlink("/opt/agent/m", "/usr/lib64/libx.so")),
	},
	{
		rule: "link-dangling", bad: both(relation(packaging.Requires, "agent-common"), add(packagingtest.Symlink("/opt/agent/l", "bin/none"))),
		where: "/opt/agent/l", severity: Info,
	},
	{rule: "link-absolute", bad: add(packagingtest.Symlink("/opt/agent/l", "/opt/agent/bin/agentd")), where: "/opt/agent/l", severity: Info},
	{
		rule: "outside-folders", bad: add(file("/usr/share/other/a", "")), where: "/usr/share/other/a", severity: Warning,
		good: add(file("/opt/agent/a", "")), subject: func(s *Subject) { s.Folders = []string{"/opt/agent", "/usr/lib/systemd/system"} },
	},
	{rule: "system-folder", bad: add(packagingtest.Dir("/opt", 0o755)), where: "/opt", severity: Warning, good: add(packagingtest.Dir("/opt/agent/usr", 0o755))},
	{rule: "system-folder", bad: add(packagingtest.Dir("/opt", 0o750)), where: "/opt", severity: Error},
	{rule: "system-folder", format: "deb", bad: add(owned(packagingtest.Dir("/usr/share", 0o755), "agent", "agent")), where: "/usr/share", severity: Warning, good: add(packagingtest.Dir("/usr/share", 0o755))},
	{
		rule: "owner-not-made", bad: add(owned(file("/opt/agent/a", ""), "other", "root")), where: "/opt/agent/a", severity: Error,
		good: add(owned(file("/opt/agent/a", ""), "agent", "agent"), owned(file("/opt/agent/b", ""), "bin", "tty")),
	},
	{
		rule: "owner-not-made", format: "deb", severity: Error, where: "/opt/agent/a",
		bad: both(withScript(packaging.PreInstall, "#!/bin/sh\ntrue\n"), withScript(packaging.PostInstall, "#!/bin/sh\nadduser --system --group agent\n"),
			add(owned(file("/opt/agent/a", ""), "agent", "root"))),
		good: add(owned(file("/opt/agent/a", ""), "agent", "root")),
	},
	{
		rule: "owner-not-made", bad: add(owned(file("/opt/agent/a", ""), "other", "root")), where: "/opt/agent/a", severity: Error,
		good: both(relation(packaging.Provides, "user(other)"), add(owned(file("/opt/agent/a", ""), "other", "root"))),
	},
	{
		rule: "unit-account", bad: add(file("/usr/lib/systemd/system/b.service", "[Service]\nUser=other\n")), where: "/usr/lib/systemd/system/b.service", severity: Warning,
		good: add(
			file("/usr/lib/systemd/system/b.service", "[Service]\nUser=other\n"), file("/usr/lib/sysusers.d/b.conf", "u other - -\n"),
			file("/usr/lib/systemd/system/c.service", "[Service]\nUser=dyn\nDynamicUser=yes\n"), file("/usr/lib/systemd/system/d.service", "[Service]\nUser=nobody\n"),
		),
	},
	{
		rule: "unit-program", bad: add(file("/usr/lib/systemd/system/b.service", "[Service]\nExecStart=/opt/agent/bin/none x\n")), where: "/usr/lib/systemd/system/b.service", severity: Error,
		good: add(file("/usr/lib/systemd/system/b.service", "[Service]\nExecStart=-/opt/agent/bin/none\nExecStart=@/opt/agent/bin/agentd x\nExecStartPre=/usr/bin/install -d /run/x\n")),
	},
	{
		rule: "unit-program", format: "msi", severity: Error, where: "AgentSvc",
		bad: func(p *packaging.Package) {
			p.Windows.Services = []packaging.WindowsService{{Name: "AgentSvc", Program: "/Program Files/Agent/none.exe"}}
		},
		good: func(p *packaging.Package) {
			p.Windows.Services = []packaging.WindowsService{{Name: "AgentSvc", Program: "/Program Files/Agent/agent.exe"}}
		},
	},
	{
		rule: "not-executable", bad: add(file("/opt/agent/bin/x", "#!/bin/sh\n")), where: "/opt/agent/bin/x", severity: Warning,
		good: add(program("/opt/agent/bin/x", "#!/bin/sh\n"), file("/opt/agent/bin/x.conf", "a\n"), file("/opt/agent/lib/y", "#!/bin/sh\n")),
	},
	{rule: "not-executable", bad: add(program("/opt/agent/bin/x", "exec sleep\n")), where: "/opt/agent/bin/x", severity: Warning},
	{
		rule: "interpreter", bad: add(program("/opt/agent/bin/x", "#!/usr/bin/python3 -u\n")), where: "/opt/agent/bin/x", severity: Warning,
		good: both(relation(packaging.Requires, "python3 >= 3.6"), add(program("/opt/agent/bin/x", "#!/usr/bin/env -S python3 -u\n"), program("/opt/agent/bin/y", "#!/bin/bash\n"))),
	},
	{rule: "interpreter", bad: add(program("/opt/agent/bin/x", "#!/home/jo/bin/sh\n")), where: "/opt/agent/bin/x", severity: Warning},
	{
		rule: "config-not-marked", bad: add(file("/etc/agent.conf", "a\n")), where: "/etc/agent.conf", severity: Warning,
		good: add(config(file("/etc/agent.conf", "a\n")), packagingtest.Symlink("/etc/l", "agent.conf"), file("/etc/pki/agent.pub", ""), program("/etc/rc.d/init.d/agent", "#!/bin/sh\n")),
	},
	{rule: "config-in-usr", bad: add(config(file("/usr/share/agent/a.conf", ""))), where: "/usr/share/agent/a.conf", severity: Warning, good: add(config(file("/opt/agent/a.conf", "")))},
	{
		rule: "empty-package", severity: Warning, bad: func(p *packaging.Package) { p.Layout, p.Scripts = nil, nil },
		good: func(p *packaging.Package) {
			p.Layout, p.Scripts = nil, nil
			relation(packaging.Requires, "agent-core")(p)
		},
	},
	{
		rule: "version-below-changelog", severity: Warning,
		bad: func(p *packaging.Package) {
			p.Changelog = []packaging.Change{{Author: "Jo <jo@example.org> - 1.4.1-1"}}
		},
		good: func(p *packaging.Package) {
			p.Changelog = []packaging.Change{{Author: "Jo <jo@example.org> - 1.4.0-7"}}
		},
	},
	{
		rule: "version-below-changelog", format: "deb", severity: Warning,
		bad:  add(file("/usr/share/doc/agent/changelog.Debian.gz", gzipped("agent (1.4.0-8) unstable; urgency=low\n", time.Time{}))),
		good: add(file("/usr/share/doc/agent/changelog.Debian.gz", gzipped("agent (1.4.0-7) unstable; urgency=low\n", time.Time{}))),
	},
	{rule: "script-not-read", bad: withScript(packaging.PostInstall, "if true; then\n"), where: "%post", severity: Info, good: withScript(packaging.PostInstall, "# ümlaut \xff\ntrue\n")},
	{
		rule: "script-deletes-data", bad: withScript(packaging.PostRemove, "rm -rf /var/lib/agent\nexit 0\n"), where: "%postun:1", severity: Error,
		good: withScript(packaging.PostRemove, "if [ $1 -eq 0 ]; then\n\trm -rf /var/lib/agent\nfi\nrm -rf /var/cache/agent /tmp/agent\nrm -f /etc/agent.conf\nexit 0\n"),
	},
	{
		rule: "script-deletes-data", bad: withScript(packaging.PostRemove, "d=/opt/agent\n[ \"$1\" -ge 0 ] || exit 0\nfor x in data log; do rm -r -f \"$d/$x\"; done\nexit 0\n"), where: "%postun:3", severity: Error,
		good: withScript(packaging.PostRemove, "[ \"$1\" = 0 ] || exit 0\nd=/opt/agent\nclean() { rm -rf \"$d\"; }\nclean\nuserdel agent || :\nexit 0\n"),
	},
	{
		rule: "script-deletes-data", format: "deb", severity: Error, where: "postrm:3",
		bad:  withScript(packaging.PostRemove, "#!/bin/sh\ncase \"$1\" in purge|upgrade)\nrm -rf /etc/agent ;;\nesac\n"),
		good: withScript(packaging.PostRemove, "#!/bin/sh\ncase \"$1\" in\npurge) rm -rf /etc/agent ;;\nesac\nif [ \"$1\" = purge ] && [ -e /x ]; then rm -rf /var/log/agent; fi\n"),
	},
	{
		rule: "script-deletes-data", format: "deb", bad: withScript(packaging.PostRemove, "#!/bin/sh\nif [ \"$1\" = remove ]; then rm -rf /var/lib/agent; fi\n"),
		where: "postrm:2", severity: Warning,
	},
	{
		rule: "script-deletes-data", bad: withScript(packaging.PreRemove, "find /var/log/agent -name '*.log' -delete\nexit 0\n"), where: "%preun:1", severity: Error,
	},
	{
		rule: "script-systemctl", bad: withScript(packaging.PostInstall, "systemctl daemon-reload\nexit 0\n"), where: "%post:1", severity: Warning,
		good: withScript(packaging.PostInstall, `systemctl daemon-reload || :
if [ -d /run/systemd/system ]; then systemctl start agent; fi
[ ! -d /run/systemd/system ] || systemctl enable agent
if command -v systemctl >/dev/null && systemctl is-active --quiet agent; then systemctl restart agent; fi
test -x /bin/systemctl && systemctl enable agent
exit 0
`),
	},
	{
		rule: "script-hides-failure", bad: withScript(packaging.PostInstall, "set +e\ncp a b\n"), where: "%post:1", severity: Warning,
		good: withScript(packaging.PostInstall, "set +e\ncp a b\nset -e\ncp a b\nld -x || true\n"),
	},
	{rule: "script-hides-failure", bad: withScript(packaging.PostInstall, "# all\n{\n\tcp a b\n\tcp b c\n} || true\nexit 0\n"), where: "%post:2", severity: Warning},
	{
		rule: "script-removal-fails", bad: withScript(packaging.PreRemove, "[ \"$1\" = 0 ] && cp a b\n"), where: "%preun:1", severity: Warning,
		good: withScript(packaging.PreRemove, "if [ \"$1\" = 0 ]; then cp a b; fi\n"),
	},
	{
		rule: "script-removal-fails", bad: withScript(packaging.PostRemove, "if [ $1 = 0 ]; then\n\tgroupdel agent\nfi\n"), where: "%postun:2", severity: Warning,
		good: withScript(packaging.PostRemove, "if [ $1 = 0 ]; then\n\tgroupdel agent\nfi\nexit 0\n"),
	},
	{
		rule: "script-removal-fails", format: "deb", severity: Warning, where: "prerm:4",
		bad:  withScript(packaging.PreRemove, "#!/bin/sh\nset -e\nif [ -e /run/agent.pid ]; then\n\tkill $(cat /run/agent.pid)\nfi\n"),
		good: withScript(packaging.PreRemove, "#!/bin/sh\nset -e\ncase \"$1\" in\nremove|upgrade|deconfigure) kill 1 || true ;;\nfailed-upgrade) ;;\n*) echo \"prerm called with unknown argument\" >&2; exit 1 ;;\nesac\n"),
	},
	{rule: "script-removal-fails", bad: withScript(packaging.PreRemove, "if [ -e /opt/agent/paired ]; then echo still paired; exit 1; fi\nexit 0\n"), where: "%preun:1", severity: Warning},
	{
		rule: "script-network", bad: withScript(packaging.PostInstall, "curl -fsS https://example.org/x | sh\n"), where: "%post:1", severity: Warning,
		good: withScript(packaging.PostInstall, "echo curl wget\ngo version\n"),
	},
	{rule: "script-network", bad: withScript(packaging.PostTrans, "f() { pip3 install agent; }\nf\n"), where: "%posttrans:1", severity: Warning},
	{
		rule: "script-package-manager", bad: withScript(packaging.PostInstall, "yum -y install jq\n"), where: "%post:1", severity: Error,
		good: withScript(packaging.PostInstall, "rpm -q jq\nrpm --eval %{_arch}\n"),
	},
	{
		rule: "script-package-manager", format: "deb", bad: withScript(packaging.PostInstall, "#!/bin/sh\nDEBIAN_FRONTEND=noninteractive apt-get -y install jq\n"), where: "postinst:2", severity: Error,
		good: withScript(packaging.PostInstall, "#!/bin/sh\ndpkg --compare-versions \"$2\" lt 1 && dpkg -L agent\ntrue\n"),
	},
	{
		rule: "service-left-stopped", severity: Error, where: "%preun:1",
		bad:  both(withScript(packaging.PreRemove, "systemctl stop agent || :\nexit 0\n"), withScript(packaging.PostInstall, "systemctl start agent || :\n")),
		good: both(withScript(packaging.PreRemove, "systemctl stop agent || :\nexit 0\n"), withScript(packaging.PostRemove, "[ $1 -lt 1 ] || systemctl try-restart agent.service || :\nexit 0\n")),
	},
	{
		rule: "service-left-stopped", severity: Error, where: "%preun:2",
		bad:  withScript(packaging.PreRemove, "s=agent\nservice $s stop || :\nexit 0\n"),
		good: withScript(packaging.PreRemove, "if [ $1 -eq 0 ]; then systemctl --no-reload disable --now agent || :; systemctl stop agent || :; fi\nsystemctl stop other || :\nexit 0\n"),
	},
	{
		rule: "service-left-stopped", format: "deb", severity: Error, where: "prerm:2",
		bad: withScript(packaging.PreRemove, "#!/bin/sh\ninvoke-rc.d agent stop || true\n"),
		good: both(withScript(packaging.PreRemove, "#!/bin/sh\ninvoke-rc.d agent stop || true\n"),
			withScript(packaging.PostInstall, "#!/bin/sh\ndeb-systemd-invoke restart agent.service || true\n")),
	},
	{
		rule: "record", severity: Error, where: "/opt/agent/etc/layout.json",
		bad: both(recorded, func(p *packaging.Package) {
			p.Relations[len(p.Relations)-1].Text = "vpkg-layout(sha256) = " + strings.Repeat("0", 64)
		}),
		good: recorded,
	},
	{rule: "record", severity: Error, where: "/opt/agent/bin/agentd", bad: both(recorded, func(p *packaging.Package) { p.Layout[3].Mode = 0o700 })},
	{rule: "record", severity: Error, bad: relation(packaging.Provides, "vpkg-layout(sha256) = "+strings.Repeat("0", 64))},
	{
		rule: "hook-config", severity: Error, where: "etc/hook.json",
		bad: both(add(file("/opt/agent/etc/hook.json", strings.Replace(hookText, "agent.service", "none.service", 1))), recorded), good: both(add(file("/opt/agent/etc/hook.json", hookText)), recorded),
	},
	{rule: "hook-config", severity: Error, where: "etc/hook.json", bad: both(add(file("/opt/agent/etc/hook.json", strings.Replace(hookText, `"name":"agent"`, `"name":"other"`, 1))), recorded)},
	{rule: "hook-config", severity: Error, where: "etc/hook.json", bad: both(add(file("/opt/agent/etc/hook.json", "{}")), recorded)},
	{
		rule: "hook-config", format: "deb", severity: Error, where: "hook",
		bad: both(add(file("/opt/agent/etc/hook.json", hookText)), recorded, func(p *packaging.Package) {
			p.Members = []packaging.Member{{Name: "hook", Body: packagingtest.Bytes("another")}}
		}),
		good: both(add(file("/opt/agent/etc/hook.json", hookText)), recorded, func(p *packaging.Package) {
			p.Members = []packaging.Member{{Name: "hook", Body: packagingtest.Bytes("#!/bin/sh\n")}}
		}),
	},
}

const hookText = `{"format":1,"name":"agent","version":"1.4.0-7","program":"/opt/agent","units":[{"name":"agent.service"}]}`

// recorded gives the package its record, as vpkg build does. With a configuration of
// the hook goes the hook.
func recorded(p *packaging.Package) {
	if _, ok := p.Layout.Lookup("/opt/agent/etc/hook.json"); ok {
		add(program("/opt/agent/bin/vpkg-hook", "#!/bin/sh\n"))(p)
	}
	b, err := json.Marshal(p.Layout)
	if err != nil {
		panic(err)
	}
	e := file("/opt/agent/etc/layout.json", string(b))
	add(e)(p)
	relation(packaging.Provides, "vpkg-layout(sha256) = "+e.SHA256.String())(p)
	if p.Arch == "amd64" {
		p.Relations = nil
		p.Fields = []packaging.Field{{Name: "Vpkg-Layout-Sha256", Value: e.SHA256.String()}}
	}
}

func msiAgent() *packaging.Package {
	return &packaging.Package{
		Name: "agent", Version: "1.4.0", Arch: "x64", Date: date, Windows: &packaging.Windows{Program: "/Program Files/Agent"},
		Layout: packaging.Layout{packagingtest.Dir("/Program Files/Agent", 0o755), file("/Program Files/Agent/agent.exe", "MZ")},
	}
}

func TestRules(t *testing.T) {
	broken := map[string]bool{}
	for _, tt := range ruleTests {
		format := tt.format
		if format == "" {
			format = "rpm"
		}
		t.Run(tt.rule, func(t *testing.T) {
			base := func() *packaging.Package {
				if format == "msi" {
					return msiAgent()
				}
				return agent(format)
			}
			if got := check(t, format, base(), tt.subject); len(got) > 0 && tt.rule != "build-host" {
				t.Fatalf("the package is not good to begin with: %v", got)
			}
			p := base()
			tt.bad(p)
			found := false
			for _, f := range check(t, format, p, tt.subject) {
				switch {
				case f.Rule != tt.rule:
					t.Errorf("another rule finds %s", f)
				case f.Where == tt.where:
					found = true
					if f.Severity != tt.severity {
						t.Errorf("%s: is %s, want %s", f, f.Severity, tt.severity)
					}
				case tt.rule != "build-host": // its header is one too
					t.Errorf("finds %s, want it at %q", f, tt.where)
				}
			}
			if !found {
				t.Errorf("does not find it at %q", tt.where)
			}
			broken[tt.rule] = true
			if tt.good == nil {
				return
			}
			p = base()
			tt.good(p)
			for _, f := range check(t, format, p, tt.subject) {
				if f.Rule != tt.rule || f.Where != "" || tt.rule != "build-host" {
					t.Errorf("finds %s in a good package", f)
				}
			}
		})
	}
	for _, r := range rules {
		// Those without a function are found by cmd/vpkg, or by the Scan.
		if r.check != nil && !broken[r.Name] {
			t.Errorf("no package breaks %s", r.Name)
		}
	}
}
