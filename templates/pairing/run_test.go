//go:build linux

package pairing

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// TestOptions has each shell read command lines. What is wrong with them is told
// before anything is looked at, and without the code.
func TestOptions(t *testing.T) {
	t.Parallel()
	h := newHost(t, testbed.Bookworm)
	h.Write(t, "/root/code", boxCode+"\r\n")
	h.Write(t, "/root/two words", "a b\n")
	h.Write(t, "/root/empty", "")
	server := "--management-server " + boxServer
	type test struct {
		options string // as a shell reads them
		status  int
		says    string
	}
	tests := []test{
		{"--help", 0, "Usage: pair.sh --management-server"},
		{"", 2, "which server? give --management-server HOST:PORT"},
		{server, 2, "there is no activation code: give"},
		{server + " --activation-code", 2, "--activation-code wants a value"},
		{server + " --activation-code --role x", 2, "--activation-code wants a value"},
		{server + " --activation-code= ", 2, "--activation-code wants a value"},
		{server + " --activation-code 's3cret code'", 2, "the activation code is not one word"},
		{server + " --activation-code s3cret --activation_code s3cret", 2, "--activation_code is there twice"},
		{server + " --activation-code s3cret --activation-code-file /root/code", 2, "not both"},
		{server + " --activation-code-file /root/none", 2, "there is no such file"},
		{server + " --activation-code-file /root/empty", 2, "the file is empty"},
		{server + " --activation-code-file '/root/two words'", 2, "the activation code is not one word"},
		{server + " --activation-code-file - </dev/null", 2, "there is no activation code on standard input"},
		{server + " s3cret", 2, "only options are taken"},
		{server + " -as3cret", 2, "only options are taken"},
		{server + " --s3cret", 2, "only options are taken"},
		{server + " --activation-codes s3cret", 2, "there is no option --activation-codes"},
		{server + " --insecure=yes --dry-run", 2, "--insecure takes no value"},
		{server + " --enforcement-mode=on --dry-run", 2, "want idle, visibility_only, selective or full"},
		{server + " --role ' x' --dry-run", 2, "begins or ends with a space"},
		{server + " --role \"$(printf 'a\\033b')\" --dry-run", 2, "a character that cannot be printed"},
		{server + " --role \"$(printf 'a\\nb')\" --dry-run", 2, "a character that cannot be printed"},
		{server + " --role " + strings.Repeat("x", 1025) + " --dry-run", 2, "longer than 1024 bytes"},
		{server + " --proxy-server http://p:3128 --dry-run", 2, "want HOST:PORT"},
		{server + " --version '1;id' --dry-run", 2, "want a release such as 25.2.20-10"},
		{"--management-server https://pce:8443 --dry-run", 2, "want HOST:PORT, without https://"},
		{"--management_server=my-p_ce.x.test:65535 --dry-run", 9, "my-p_ce.x.test:65535 cannot be reached"},
		{"--management-server '[::1]:8443' --dry-run", 9, "[::1]:8443 cannot be reached"},
		{server + " --ca-file pce/ca.pem --dry-run --enforcement_mode full --role \"a 'b' \\\"c\\\" \\$d\"", 0, "Nothing was changed"},
	}
	for _, s := range noServers {
		tests = append(tests, test{"--dry-run --management-server '" + s + "'", 2, "want HOST:PORT"})
	}
	for _, tt := range tests {
		for _, shell := range shells {
			r := h.Run(t, "/bin/sh", "-c", strings.Join(shell, " ")+" /pce/pair.sh "+tt.options)
			if said := r.Stdout + r.Stderr; r.Code != tt.status || !strings.Contains(said, tt.says) || strings.Contains(said, "s3cret") {
				t.Errorf("%q: want status %d and %q: %s", shell, tt.status, tt.says, r)
			}
		}
	}
	h.Sh(t, "[ ! -e /opt/illumio_ven_data ] && [ ! -e /var/log/illumio_install.log ]").OK(t)
}

// TestPreflight has everything go wrong that is looked for, alone and together. The
// host stays as it was.
func TestPreflight(t *testing.T) {
	t.Parallel()
	h := newHost(t, testbed.Bookworm)
	before := h.Sh(t, "find /opt /var/lib/dpkg /var/lib/rpm /usr/bin /etc").OK(t)
	for _, tt := range []struct {
		name           string
		prepare, after string // shell
		options        string
		status         int
		says           []string
	}{
		{name: "not root", prepare: "chmod 755 /pce", options: "AS NOBODY", status: 3, says: []string{"This has to be run as root"}},
		{name: "no trust", options: "--activation-code s3cret", status: 8, says: []string{"The certificate of " + boxServer + " is not trusted (curl: (60) "}},
		{name: "no trust, wget", prepare: "mv /usr/bin/curl /usr/bin/gone", after: "mv /usr/bin/gone /usr/bin/curl", options: "--activation-code s3cret", status: 8, says: []string{" is not trusted ("}},
		{name: "no file of authorities", options: "--activation-code s3cret --ca-file /none", status: 8, says: []string{"The file /none of --ca-file cannot be read"}},
		{name: "nobody there", options: "--activation-code s3cret --management-server 127.0.0.1:1", status: 9, says: []string{"127.0.0.1:1 cannot be reached (curl: (7) "}},
		{name: "clock behind", prepare: "echo clock 2h >/pce/dist/faults", options: "CA", status: 7, says: []string{"The clock is 72", " seconds behind of the server's"}},
		{name: "clock ahead", prepare: "echo clock -50h >/pce/dist/faults", options: "CA", status: 7, says: []string{"The clock is 1", " seconds ahead of the server's"}},
		{name: "no package any more", prepare: "echo missing >/pce/dist/faults", options: "CA", status: 11, says: []string{"has nothing for this line any more"}},
		{name: "another release", options: "CA --version 24.1.1-7", status: 20, says: []string{"has no package of release 24.1.1-7 for debian12"}},
		{name: "no program", prepare: "mv /usr/bin/curl /usr/bin/gone; mv /usr/bin/wget /usr/bin/wgone; ln -s busybox /usr/bin/wget", after: "mv /usr/bin/gone /usr/bin/curl; mv /usr/bin/wgone /usr/bin/wget", options: "CA", status: 5, says: []string{"Programs are missing, install them first: curl."}},
		{name: "remains", prepare: "mkdir -p /opt/illumio_ven/bin /opt/illumio_ven_data/etc; echo x >/opt/illumio_ven_data/etc/agent_id.cfg", after: "rm -r /opt/illumio_ven /opt/illumio_ven_data", options: "CA", status: 10, says: []string{"/opt/illumio_ven has files of no package", "/opt/illumio_ven_data has the identity of an earlier installation"}},
		{name: "no room", prepare: "mkdir /opt/illumio_ven_data; mount -t tmpfs -o size=1100k none /opt/illumio_ven_data", after: "umount /opt/illumio_ven_data; rmdir /opt/illumio_ven_data", options: "CA", status: 6, says: []string{"/opt/illumio_ven_data has 1100 kB free, and the package needs"}},
		{
			name: "all at once", prepare: "mv /usr/bin/sha256sum /usr/bin/gone; mv /usr/bin/shasum /usr/bin/sgone; mv /usr/bin/openssl /usr/bin/ogone; mv /usr/bin/python3 /usr/bin/pgone; mv /usr/bin/busybox /usr/bin/bgone; mkdir -p /opt/illumio_ven/bin; echo clock 2h >/pce/dist/faults",
			after:   "mv /usr/bin/gone /usr/bin/sha256sum; mv /usr/bin/sgone /usr/bin/shasum; mv /usr/bin/ogone /usr/bin/openssl; mv /usr/bin/pgone /usr/bin/python3; mv /usr/bin/bgone /usr/bin/busybox; rm -r /opt/illumio_ven",
			options: "CA", status: 5, says: []string{"  - Programs are missing, install them first: sha256sum.", "  - /opt/illumio_ven has files of no package", "  - The clock is "},
		},
	} {
		h.Sh(t, tt.prepare).OK(t)
		call := "/pce/pair.sh --management-server " + boxServer
		switch options, ca := strings.CutPrefix(tt.options, "CA"); {
		case tt.options == "AS NOBODY":
			call = "setpriv --reuid=65534 --regid=65534 --clear-groups " + call + " --ca-file /pce/ca.pem --activation-code s3cret"
		case ca:
			call += " --ca-file /pce/ca.pem --activation-code s3cret" + options
		case strings.Contains(options, "--management-server"):
			call = "/pce/pair.sh " + options
		default:
			call += " " + options
		}
		r := h.Sh(t, call)
		said := r.Stdout + r.Stderr
		for _, want := range tt.says {
			if !strings.Contains(said, want) {
				t.Errorf("%s: it does not say %q: %s", tt.name, want, r)
			}
		}
		if r.Code != tt.status || strings.Contains(said, "s3cret") {
			t.Errorf("%s: want status %d: %s", tt.name, tt.status, r)
		}
		h.Sh(t, tt.after+"\n>/pce/dist/faults").OK(t)
		if after := h.Sh(t, "find /opt /var/lib/dpkg /var/lib/rpm /usr/bin /etc").OK(t); after != before {
			t.Errorf("%s: the host is not as it was:\n%s", tt.name, after)
		}
	}
	log := h.Read(t, "/var/log/illumio_install.log")
	if strings.Contains(log, "s3cret") || strings.Count(log, "exit status ") < 10 {
		t.Errorf("the log:\n%s", log)
	}
	if mode := h.Run(t, "stat", "-c", "%a %U", "/var/log/illumio_install.log").OK(t); mode != "600 root\n" {
		t.Errorf("the log is %s", mode)
	}
	h.Sh(t, "mv /var/log/illumio_install.log /root/old; ln -s /etc/passwd /var/log/illumio_install.log").OK(t)
	passwd := h.Read(t, "/etc/passwd")
	if r := h.pair(t, shells[0], "--activation-code", "s3cret", "--version", "1-1"); !strings.Contains(r.Stderr, "there will be no log") || h.Read(t, "/etc/passwd") != passwd {
		t.Errorf("a log that is a link: %s", r)
	}
}

// TestInstallation has the script install with package managers that do nothing: which
// ones it calls and how, that the download goes on where it stopped, and what is left
// when the package is not what it should be or does not get installed.
func TestInstallation(t *testing.T) {
	t.Parallel()
	h := newHost(t, testbed.Bookworm)
	h.Sh(t, "rm /usr/lib/os-release").OK(t)
	programs := strings.Fields("apt-get dpkg dnf zypper rpm yum")
	h.Sh(t, "mkdir /real; for p in apt-get dpkg dnf zypper rpm; do mv /usr/bin/$p /real/$p; done; chmod 755 /pce").OK(t)
	for _, tt := range []struct {
		name, system string
		managers     string // there are
		faults       string // of the server, or words or a signal of the manager
		wget         bool
		status       int
		calls        string // of the manager, a shell pattern
		says         []string
	}{
		{"apt", "ID=debian\nVERSION_ID=12", "apt-get dpkg", "", false, 13, "apt-get *--no-install-recommends* install /opt/illumio_ven_data/tmp/pair.??????/illumio-ven-25.2.20-10.debian12.*.deb", []string{"Installing Illumio Packages", "apt-get could not install the package (exit status 7)"}},
		{"dpkg", "ID=debian\nVERSION_ID=12", "dpkg", "", false, 13, "dpkg -i /opt/*.deb", nil},
		{"dnf", "ID=rocky\nVERSION_ID=9.4", "rpm zypper yum dnf", "", false, 13, "dnf -y --disablerepo=\\* --setopt=localpkg_gpgcheck=0 install /opt/*.el9.x86_64.rpm", []string{"The package is not signed", "installing it with dnf --setopt=localpkg_gpgcheck=0"}},
		{"yum", "ID=centos\nVERSION_ID=7", "rpm zypper yum", "", false, 13, "yum -y --disablerepo=\\* --setopt=localpkg_gpgcheck=0 install /opt/*.el7.x86_64.rpm", nil},
		{"zypper", "ID=sles\nVERSION_ID=15.6", "rpm zypper dnf", "", false, 13, "zypper --non-interactive --no-refresh --no-gpg-checks install /opt/*.sles15.x86_64.rpm", []string{"installing it with zypper --no-gpg-checks"}},
		{"rpm", "ID=rocky\nVERSION_ID=10.0", "rpm", "", false, 13, "rpm -U /opt/*.el10.x86_64.rpm", nil},
		{"cut, with curl", "ID=rocky\nVERSION_ID=10.0", "rpm", "cut 60000", false, 13, "rpm -U /opt/*.rpm", []string{"Download interrupted at 60000 of ", "Download interrupted at 120000 of "}},
		{"cut, with wget", "ID=rocky\nVERSION_ID=10.0", "rpm", "cut 60000", true, 13, "rpm -U /opt/*.rpm", []string{"Download interrupted at 60000 of ", "Download interrupted at 120000 of "}},
		{"without its key", "ID=sles\nVERSION_ID=15.6", "rpm zypper", "words Header V4 RSA/SHA256 Signature, key ID 444e26af: NOKEY", false, 13, "zypper *.rpm", []string{"signed with a key that this host does not know"}},
		{"without what it needs", "ID=debian\nVERSION_ID=12", "dpkg", "words dpkg: dependency problems prevent configuration of illumio-ven:", false, 14, "dpkg -i *.deb", []string{"Packages that it needs are missing, and dpkg does not get them"}},
		{"hung up", "ID=rocky\nVERSION_ID=10.0", "rpm", "signal HUP", false, 129, "rpm -U /opt/*.rpm", []string{"Taking the installation back"}},
		{"interrupted", "ID=rocky\nVERSION_ID=10.0", "rpm", "signal INT", false, 130, "rpm -U /opt/*.rpm", []string{"Taking the installation back"}},
		{"terminated", "ID=rocky\nVERSION_ID=10.0", "rpm", "signal TERM", false, 143, "rpm -U /opt/*.rpm", []string{"Taking the installation back"}},
		{"corrupt", "ID=rocky\nVERSION_ID=10.0", "rpm", "corrupt", false, 12, "", []string{"downloading it again", "The package has another SHA-256 than the server announced"}},
	} {
		h.Write(t, "/etc/os-release", tt.system+"\n")
		h.Write(t, "/pce/dist/faults", tt.faults)
		h.Sh(t, "rm -f /pce/signal /pce/words").OK(t)
		if name, text, ok := strings.Cut(tt.faults, " "); ok && name != "cut" {
			h.Write(t, "/pce/"+name, text+"\n")
		}
		for _, p := range programs {
			h.Sh(t, "rm -f /usr/bin/"+p).OK(t)
			if strings.Contains(" "+tt.managers+" ", " "+p+" ") {
				// They have nothing installed, and fail.
				h.Write(t, "/usr/bin/"+p, `#!/bin/sh
case "$*" in
*print-architecture*) exec /real/dpkg "$@" ;;
*-q*[!q]illumio-ven | *--purge* | *help* | *--qf*) exit 1 ;;
*--test*) exit 0 ;;
--version) echo 'RPM version 4.18.0'; exit 0 ;;
esac
echo `+p+` "$@" >>/pce/called
[ ! -e /pce/words ] || cat /pce/words
[ ! -e /pce/signal ] || kill -s $(cat /pce/signal) $PPID
exit 7
`)
				h.Sh(t, "chmod 755 /usr/bin/"+p).OK(t)
			}
		}
		tried := shells
		if strings.HasPrefix(tt.faults, "cut") {
			tried = shells[:1] // it waits between its attempts
		}
		for _, shell := range tried {
			h.Sh(t, "rm -rf /pce/called /opt; : >/pce/called; mkdir -p /opt/illumio_ven_data/tmp").OK(t)
			if tt.wget {
				h.Sh(t, "mv /usr/bin/curl /usr/bin/gone").OK(t)
			}
			r := h.pair(t, shell, "--activation-code", boxCode)
			if tt.wget {
				h.Sh(t, "mv /usr/bin/gone /usr/bin/curl").OK(t)
			}
			said := r.Stdout + r.Stderr
			for _, want := range tt.says {
				if !strings.Contains(said, want) {
					t.Errorf("%s, %q: it does not say %q: %s", tt.name, shell, want, r)
				}
			}
			called := strings.TrimSpace(h.Read(t, "/pce/called"))
			match := h.Sh(t, fmt.Sprintf("case $(cat /pce/called) in %s) ;; *) exit 1 ;; esac", strings.ReplaceAll(tt.calls, " ", `\ `)))
			if tt.calls == "" && called != "" || tt.calls != "" && match.Code != 0 {
				t.Errorf("%s, %q: called %s, want %s", tt.name, shell, called, tt.calls)
			}
			if r.Code != tt.status || strings.Contains(said, boxCode) {
				t.Errorf("%s, %q: want status %d: %s", tt.name, shell, tt.status, r)
			}
			if left := h.Sh(t, "ls -A /opt").OK(t); left != "" {
				t.Errorf("%s, %q: it leaves %s", tt.name, shell, left)
			}
		}
	}
	if strings.Contains(h.Read(t, "/var/log/illumio_install.log"), boxCode) {
		t.Error("the code is in the log")
	}
}
