//go:build linux

package pairing

import (
	"runtime"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// What systems say about themselves, as they ship it but for what the script does not
// read, and which packages they get; empty means that there are none for them.
var systems = []struct {
	name, label string
	machine     string // of uname -m; empty means x86_64
	files       map[string]string
}{
	{name: "RHEL 7", label: "el7", files: osRelease("NAME=\"Red Hat Enterprise Linux Server\"\nVERSION=\"7.9 (Maipo)\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"7.9\"")},
	{name: "CentOS 7", label: "el7", files: osRelease("NAME=\"CentOS Linux\"\nVERSION=\"7 (Core)\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"")},
	{name: "Oracle 7", label: "el7", files: osRelease("NAME=\"Oracle Linux Server\"\nVERSION=\"7.9\"\nID=\"ol\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"7.9\"")},
	{name: "RHEL 8", label: "el8", files: osRelease("NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"8.10 (Ootpa)\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"8.10\"\nPLATFORM_ID=\"platform:el8\"")},
	{name: "AlmaLinux 8", label: "el8", files: osRelease("NAME=\"AlmaLinux\"\nVERSION=\"8.9 (Midnight Oncilla)\"\nID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"8.9\"\nPLATFORM_ID=\"platform:el8\"")},
	{name: "CentOS Stream 9", label: "el9", files: osRelease("NAME=\"CentOS Stream\"\nVERSION=\"9\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"9\"\nPLATFORM_ID=\"platform:el9\"")},
	{name: "Rocky 9 on arm64", label: "el9", machine: "aarch64", files: osRelease("NAME=\"Rocky Linux\"\nVERSION=\"9.4 (Blue Onyx)\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\nPLATFORM_ID=\"platform:el9\"")},
	{name: "Oracle 10", label: "el10", files: osRelease("NAME=\"Oracle Linux Server\"\nVERSION=\"10.0\"\nID=\"ol\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"10.0\"\nPLATFORM_ID=\"platform:el10\"")},
	{name: "Amazon 2", label: "amzn2", files: osRelease("NAME=\"Amazon Linux\"\nVERSION=\"2\"\nID=\"amzn\"\nID_LIKE=\"centos rhel fedora\"\nVERSION_ID=\"2\"")},
	{name: "Amazon 2023", label: "amzn2023", files: osRelease("NAME=\"Amazon Linux\"\nVERSION=\"2023\"\nID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\nPLATFORM_ID=\"platform:al2023\"")},
	{name: "SLES 12", label: "sles12", files: osRelease("NAME=\"SLES\"\nVERSION=\"12-SP5\"\nVERSION_ID=\"12.5\"\nID=\"sles\"")},
	{name: "SLES 15", label: "sles15", files: osRelease("NAME=\"SLES\"\nVERSION=\"15-SP6\"\nVERSION_ID=\"15.6\"\nID=\"sles\"\nID_LIKE=\"suse\"")},
	{name: "SLES for SAP", label: "sles15", files: osRelease("NAME=\"SLES_SAP\"\nVERSION=\"15-SP5\"\nVERSION_ID=\"15.5\"\nID=\"sles_sap\"\nID_LIKE=\"suse sles\"")},
	{name: "Leap 15", label: "sles15", files: osRelease("NAME=\"openSUSE Leap\"\nVERSION=\"15.6\"\nID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVERSION_ID=\"15.6\"")},
	{name: "Ubuntu 18.04", label: "ubuntu18", files: ubuntu("18.04", "bionic")},
	{name: "Ubuntu 20.04", label: "ubuntu20", files: ubuntu("20.04", "focal")},
	{name: "Ubuntu 22.04", label: "ubuntu22", files: ubuntu("22.04", "jammy")},
	{name: "Ubuntu 24.04", label: "ubuntu24", files: ubuntu("24.04", "noble")},
	{name: "Debian 10", label: "debian10", files: osRelease("NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"10\"\nVERSION_CODENAME=buster\nID=debian")},
	{name: "Debian 11", label: "debian11", files: osRelease("NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"11\"\nVERSION_CODENAME=bullseye\nID=debian")},
	{name: "Debian 12", label: "debian12", files: osRelease("NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian")},
	{name: "Debian 13 before its release", label: "debian13", files: osRelease("NAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=trixie\nID=debian")},
	{name: "Raspbian, whose programs are armhf's or not", label: "debian12", files: osRelease("NAME=\"Raspbian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=raspbian\nID_LIKE=debian")},

	// Derivatives that say which release they are built from, and those that do not.
	{name: "Linux Mint", label: "ubuntu22", files: osRelease("NAME=\"Linux Mint\"\nVERSION=\"21.3 (Virginia)\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"21.3\"\nVERSION_CODENAME=virginia\nUBUNTU_CODENAME=jammy")},
	{name: "LMDE", label: "debian12", files: osRelease("NAME=\"LMDE\"\nVERSION=\"6 (faye)\"\nID=linuxmint\nID_LIKE=debian\nVERSION_ID=\"6\"\nVERSION_CODENAME=faye\nDEBIAN_CODENAME=bookworm")},
	{name: "MIRACLE LINUX", label: "el9", files: osRelease("NAME=\"MIRACLE LINUX\"\nVERSION=\"9.2 (Feige)\"\nID=\"miraclelinux\"\nID_LIKE=\"rhel fedora\"\nPLATFORM_ID=\"platform:el9\"\nVERSION_ID=\"9.2\"")},
	{name: "XCP-ng, whose 8.2 is a CentOS 7", files: osRelease("NAME=\"XCP-ng\"\nVERSION=\"8.2.1\"\nID=\"xenenterprise\"\nID_LIKE=\"centos rhel fedora\"\nVERSION_ID=\"8.2.1\"")},
	{name: "Kali", files: osRelease("NAME=\"Kali GNU/Linux\"\nID=kali\nID_LIKE=debian\nVERSION_ID=\"2024.1\"\nVERSION_CODENAME=kali-rolling")},

	{name: "no os-release, RHEL", label: "el7", files: map[string]string{"/etc/redhat-release": "Red Hat Enterprise Linux Server release 7.2 (Maipo)\n"}},
	{name: "no os-release, CentOS 7", label: "el7", files: map[string]string{"/etc/centos-release": "CentOS Linux release 7.9.2009 (Core)\n"}},
	{name: "no os-release, Oracle 8", label: "el8", files: map[string]string{"/etc/oracle-release": "Oracle Linux Server release 8.6\n", "/etc/redhat-release": "Red Hat Enterprise Linux release 8.6 (Ootpa)\n"}},
	{name: "no os-release, Amazon 2", label: "amzn2", files: map[string]string{"/etc/system-release": "Amazon Linux release 2 (Karoo)\n"}},
	{name: "no os-release, SLES 12", label: "sles12", files: map[string]string{"/etc/SuSE-release": "SUSE Linux Enterprise Server 12 (x86_64)\nVERSION = 12\nPATCHLEVEL = 3\n"}},
	{name: "no os-release, Ubuntu", label: "ubuntu20", files: map[string]string{"/etc/lsb-release": "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=20.04\nDISTRIB_CODENAME=focal\n"}},
	{name: "no os-release, Debian", label: "debian11", files: map[string]string{"/etc/debian_version": "11.9\n"}},

	{name: "CentOS 6", files: map[string]string{"/etc/redhat-release": "CentOS release 6.10 (Final)\n"}},
	{name: "Amazon 1", files: osRelease("NAME=\"Amazon Linux AMI\"\nVERSION=\"2018.03\"\nID=\"amzn\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"2018.03\"")},
	{name: "Fedora", files: osRelease("NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=40\nPLATFORM_ID=\"platform:f40\"")},
	{name: "Ubuntu 22.10", files: ubuntu("22.10", "kinetic")},
	{name: "Debian testing", files: osRelease("NAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=forky\nID=debian")},
	{name: "Tumbleweed", files: osRelease("NAME=\"openSUSE Tumbleweed\"\nID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\nVERSION_ID=\"20240501\"")},
	{name: "Alpine", files: osRelease("NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1")},
	{name: "RHEL 9 on s390x", machine: "s390x", files: osRelease("NAME=\"Red Hat Enterprise Linux\"\nID=\"rhel\"\nVERSION_ID=\"9.4\"")},
	{name: "nothing at all", files: map[string]string{}},
	{name: "a file that is a program", files: osRelease("ID=$(touch /etc/owned)\nNAME=`touch /etc/owned`\nVERSION_ID=\"; touch /etc/owned\"")},
}

func osRelease(text string) map[string]string {
	return map[string]string{"/etc/os-release": "PRETTY_NAME='x'\n" + text + "\n"}
}

func ubuntu(version, codename string) map[string]string {
	return osRelease("NAME=\"Ubuntu\"\nVERSION_ID=\"" + version + "\"\nVERSION_CODENAME=" + codename + "\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=" + codename)
}

func TestDetect(t *testing.T) {
	t.Parallel()
	h := newHost(t, testbed.Bookworm)
	h.Sh(t, "rm /usr/lib/os-release; mv /usr/bin/uname /usr/bin/uname.real").OK(t)
	for _, tt := range systems {
		t.Run(tt.name, func(t *testing.T) {
			h.Sh(t, "rm -f /etc/os-release /etc/*-release /etc/debian_version").OK(t)
			for name, text := range tt.files {
				h.Write(t, name, text)
			}
			machine := tt.machine
			if machine == "" {
				machine = "x86_64"
			}
			h.Write(t, "/usr/bin/uname", "#!/bin/sh\necho "+machine+"\n")
			h.Sh(t, "chmod 755 /usr/bin/uname").OK(t)
			for _, shell := range shells {
				r := h.pair(t, shell, "--dry-run")
				format, arch := ".rpm", machine
				if strings.HasPrefix(tt.label, "debian") || strings.HasPrefix(tt.label, "ubuntu") {
					format, arch = ".deb", runtime.GOARCH
				}
				want := "Would download illumio-ven-25.2.20-10." + tt.label + "." + arch + format + ","
				switch {
				case tt.label == "" && (r.Code != 4 || !strings.Contains(r.Stderr, " is not supported. Packages are there for: el7 (x86_64 aarch64), el8 (x86_64 ") ||
					!strings.Contains(r.Stderr, "debian13 (amd64 arm64).\n")):
					t.Errorf("%q: want status 4: %s", shell, r)
				case tt.label != "" && (r.Code != 0 || !strings.Contains(r.Stdout, want)):
					t.Errorf("%q: want %q: %s", shell, want, r)
				}
			}
		})
	}
	h.Sh(t, "[ ! -e /etc/owned ] && [ ! -e /opt/illumio_ven_data ] && [ ! -e /var/log/illumio_install.log ]").OK(t)
}
