package packagingtest

import (
	"bytes"
	"crypto/sha256"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// Bytes is a Body in memory.
type Bytes []byte

// Open gives a reader of b.
func (b Bytes) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// File is the entry of a regular file of root's with the given content.
func File(path string, perm fs.FileMode, content []byte) packaging.Entry {
	return packaging.Entry{
		Path: path, Mode: perm, Size: int64(len(content)),
		SHA256: sha256.Sum256(content), Body: Bytes(content),
	}
}

// Dir is the entry of a folder of root's.
func Dir(path string, perm fs.FileMode) packaging.Entry {
	return packaging.Entry{Path: path, Mode: fs.ModeDir | perm}
}

// Symlink is the entry of a symbolic link.
func Symlink(path, target string) packaging.Entry {
	return packaging.Entry{Path: path, Mode: fs.ModeSymlink | 0o777, Target: target}
}

// Noise gives n bytes that no codec can make smaller, the same ones for the same
// seed.
func Noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b) // never fails
	return b
}

// Small is a package with one folder and one file of the given size, in the
// vocabulary of the format ("rpm", "deb").
func Small(format, arch string, size int) *packaging.Package {
	p := &packaging.Package{
		Name: "small", Version: "1.0", Release: "1", Arch: arch,
		Summary: "a small package", Description: "It has one file.",
		License: "Apache-2.0", Maintainer: "Vpkg Tests <tests@example.org>",
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Scripts: []packaging.Script{
			{Phase: packaging.PostInstall, Body: script(format, "exit 0\n")},
		},
		Layout: packaging.Layout{
			Dir("/usr/share/small", 0o755),
			File("/usr/share/small/file", 0o644, Noise(1, size)),
		},
	}
	if format == "msi" {
		const program = "/Program Files/Small"
		p.Version, p.Scripts = "1.0.0", nil
		p.Layout = packaging.Layout{Dir(program, 0o755), File(program+"/file", 0o644, Noise(1, size))}
		p.Windows = &packaging.Windows{ProductName: "Small", UpgradeCode: "{7A0C7B4E-5C5B-4C2E-9E7B-1D5A0C3B9F10}", Program: program}
	}
	return p
}

// Rich is a package with everything that the format can say, in its vocabulary.
func Rich(format, arch string) *packaging.Package {
	p := &packaging.Package{
		Name: "conformance", Epoch: 2, Version: "1.2.3~rc1", Release: "4.el8", Arch: arch,
		Summary:     "a package with everything in it",
		Description: "The first line.\n\nA line after an empty one, with ümläuts: and a colon.\n  * an indented line",
		License:     "Apache-2.0", Vendor: "Vpkg Project",
		Maintainer: "Vpkg Tests <tests@example.org>", Homepage: "https://example.org/conformance",
		Group: "utils",
		Date:  time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600)),
		Scripts: []packaging.Script{
			{Phase: packaging.PreInstall, Body: script(format, "# before \"$1\"\nexit 0\n")},
			{Phase: packaging.PostInstall, Body: script(format, "echo 'grüße'\n")},
			{Phase: packaging.PreRemove, Body: script(format, "exit 0\n")},
			{Phase: packaging.PostRemove, Body: script(format, "exit 0\n")},
		},
		Changelog: []packaging.Change{
			{Date: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC), Author: "Vpkg Tests <tests@example.org> - 1.2.3-4", Text: "- newer\n- lines"},
			{Date: time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC), Author: "Vpkg Tests <tests@example.org> - 1.2.2-1", Text: "- older"},
		},
	}
	p.Layout = richLayout()
	switch format {
	case "rpm":
		richRPM(p)
	case "deb":
		richDEB(p)
	case "msi":
		richMSI(p)
	default:
		p.Relations = []packaging.Relation{{Kind: packaging.Requires, Text: "nftables"}}
	}
	p.Layout.Sort()
	return p
}

func richLayout() packaging.Layout {
	const program = "/opt/conformance"
	// Larger than two frames of 8 MiB, in parts compressible.
	big := bytes.Join([][]byte{Noise(2, 3<<20), bytes.Repeat([]byte("conformance\n"), 1<<20), Noise(3, 3<<20)}, nil)
	// rpm and dpkg unpack under a longer name, so that 246 bytes is the most.
	long := program + "/" + strings.Repeat("l", 101) + "/" + strings.Repeat("m", 200) + "/" + strings.Repeat("n", 246)
	l := packaging.Layout{
		Dir("/etc/conformance", 0o755),
		File("/etc/conformance/app.conf", 0o640, []byte("key = value\n")),
		Dir(program, 0o750),
		Dir(program+"/bin", 0o755),
		File(program+"/bin/setuid", 0o750|fs.ModeSetuid, []byte("#!/bin/sh\n")),
		File(program+"/bin/tool", 0o755, Noise(4, 300_000)),
		Symlink(program+"/bin/tool.link", "tool"),
		Dir(program+"/empty", 0o777|fs.ModeSticky),
		File(program+"/empty.file", 0o600, nil),
		Dir(program+"/lib", 0o775|fs.ModeSetgid),
		File(program+"/lib/big", 0o644, big),
		Symlink(program+"/lib/long.link", "/"+strings.Repeat("t/", 150)+"end"),
		File(program+"/share/a space, 'quotes' & 100%", 0o644, []byte("odd\n")),
		File(program+"/share/grüße/日本語.txt", 0o644, []byte("unicode\n")),
		File(long, 0o644, []byte("a long name\n")),
		File("/usr/share/conformance/readme", 0o444, []byte("its folder is not in the layout\n")),
	}
	config := &l[1]
	config.Config, config.Group = packaging.ConfigNoReplace, "daemon"
	config.ModTime = time.Date(2020, 2, 29, 23, 59, 59, 0, time.UTC)
	l[2].Group, l[4].Group = "daemon", "daemon"
	l[5].Owner = "daemon"
	for _, name := range []string{"/lib/big.hard", "/lib/big.harder"} {
		e := l[10]
		e.Path, e.HardLink, e.Body = program+name, e.Path, nil
		l = append(l, e)
	}
	l.Sort()
	return l
}

func richRPM(p *packaging.Package) {
	p.Relations = []packaging.Relation{
		{Kind: packaging.Requires, Text: "glibc >= 2.17"},
		{Kind: packaging.Requires, Text: "/bin/sh", For: []packaging.Phase{packaging.PostInstall}},
		{Kind: packaging.Requires, Text: "kmod"},
		{Kind: packaging.Recommends, Text: "nftables"},
		{Kind: packaging.Suggests, Text: "ipset"},
		{Kind: packaging.Supplements, Text: "firewalld"},
		{Kind: packaging.Enhances, Text: "audit"},
		{Kind: packaging.Provides, Text: "virtual-conformance = 1.2.3"},
		{Kind: packaging.Conflicts, Text: "conformance-old < 1"},
		{Kind: packaging.Replaces, Text: "conformance-older <= 0.9"},
	}
	p.Triggers = []packaging.Trigger{{
		Kind: "triggerin", On: []string{"bash"},
		Script: packaging.Script{Body: "echo triggered\n"},
	}}
	p.Layout = append(p.Layout, packaging.Entry{Path: "/var/log/conformance.log", Mode: 0o600, Ghost: true})
	for i := range p.Layout {
		if strings.HasSuffix(p.Layout[i].Path, "/bin/tool") {
			p.Layout[i].Caps = "cap_net_admin=ep"
		}
	}
}

func richDEB(p *packaging.Package) {
	p.Priority = "extra"
	p.Relations = []packaging.Relation{
		{Kind: packaging.PreRequires, Text: "passwd"},
		{Kind: packaging.Requires, Text: "libc6 (>= 2.28)"},
		{Kind: packaging.Requires, Text: "nftables | iptables"},
		{Kind: packaging.Recommends, Text: "kmod"},
		{Kind: packaging.Suggests, Text: "ipset"},
		{Kind: packaging.Enhances, Text: "auditd"},
		{Kind: packaging.Conflicts, Text: "conformance-old"},
		{Kind: packaging.Breaks, Text: "conformance-plugin (<< 1.0)"},
		{Kind: packaging.Replaces, Text: "conformance-older (<= 0.9)"},
		{Kind: packaging.Provides, Text: "virtual-conformance (= 1.2.3)"},
	}
	p.Triggers = []packaging.Trigger{
		{Kind: "interest-noawait", On: []string{"/usr/share/conformance"}},
		{Kind: "activate", On: []string{"conformance-event"}},
	}
	p.Fields = []packaging.Field{
		{Name: "Multi-Arch", Value: "foreign"},
		{Name: "Vpkg-Layout-Sha256", Value: strings.Repeat("5a", 32)},
	}
	hook := Noise(5, 50_000)
	p.Members = []packaging.Member{
		{Name: "hook", Mode: 0o755, Body: Bytes(hook), Size: int64(len(hook))},
		{Name: "hook-config", Mode: 0o644, Body: Bytes("{}\n"), Size: 3},
	}
}

func richMSI(p *packaging.Package) {
	const program = "/Program Files/Conformance"
	p.Epoch, p.Version, p.Release, p.Scripts, p.Group = 0, "1.2.3", "4", nil, ""
	p.Layout = packaging.Layout{
		Dir(program, 0o755),
		Dir(program+"/bin", 0o755),
		File(program+"/bin/service.exe", 0o644, Noise(4, 300_000)),
		Dir(program+"/empty", 0o755),
		File(program+"/empty.file", 0o644, nil),
		Dir(program+"/etc", 0o755),
		File(program+"/etc/app.conf", 0o644, []byte("key = value\n")),
		Dir(program+"/lib", 0o755),
		File(program+"/lib/big", 0o644, bytes.Join([][]byte{Noise(2, 3<<20), bytes.Repeat([]byte("conformance\n"), 1<<20), Noise(3, 3<<20)}, nil)),
		Dir(program+"/share", 0o755),
		File(program+"/share/a space, 'quotes' & 100%", 0o644, []byte("odd\n")),
		File(program+"/share/a space, 'quotes' & 200%", 0o644, []byte("odd\n")),
		Dir(program+"/share/grüße", 0o755),
		File(program+"/share/grüße/日本語.txt", 0o644, []byte("unicode\n")),
		Dir("/ProgramData/Conformance Plugins", 0o755),
		File("/ProgramData/Conformance Plugins/one.json", 0o644, []byte("{}\n")),
	}
	config := &p.Layout[6]
	config.Config, config.ModTime = packaging.ConfigNoReplace, time.Date(2020, 2, 29, 23, 59, 58, 0, time.UTC)
	hook := Noise(5, 50_000)
	p.Windows = &packaging.Windows{
		ProductName: "Conformance Grüße", UpgradeCode: "{E3A8B5F0-9C7D-4D7A-8F5E-2B6C1D9E0A44}",
		Program: program, Data: "/ProgramData/Conformance", DataAccess: "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
		Services: []packaging.WindowsService{
			{
				Name: "ConformanceSvc", DisplayName: "A service", Description: "It is there.", Program: program + "/bin/service.exe",
				Arguments: []string{"run", "a b"}, Start: packaging.StartDelayed, Dependencies: []string{"Dnscache", "Tcpip"},
				AtInstall: true,
			},
			{Name: "ConformanceOther", Program: program + "/bin/service.exe", Start: packaging.StartDemand, Account: `NT AUTHORITY\LocalService`},
		},
		Registry: []packaging.RegistryValue{
			{Key: `Software\Conformance`, Name: "Number", Type: "dword", Value: "42"},
			{Key: `Software\Conformance`, Name: "Path", Type: "expand", Value: "%windir%;[INSTALLFOLDER]"},
			{Key: `Software\Conformance`, Name: "List", Type: "multi", Value: "a\nb"},
			{Key: `Software\Conformance`, Type: "string", Value: "#default"},
		},
		Environment: []packaging.EnvironmentVariable{{Name: "PATH", Value: "[INSTALLFOLDER]bin", Action: "append"}, {Name: "CONFORMANCE", Value: "1"}},
		Hook:        Bytes(hook), HookSize: int64(len(hook)),
		HelpLink: "https://example.org/help", UpdateLink: "https://example.org/update",
		Record: packaging.Digest{1, 2, 3},
	}
}

// script gives the body of a shell script as the format wants it: DEB with its
// #! line, RPM without.
func script(format, body string) string {
	if format == "deb" {
		return "#!/bin/sh\n" + body
	}
	return body
}
