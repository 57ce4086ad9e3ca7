package verify

import (
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging/shell"
)

func TestModeBits(t *testing.T) {
	for mode, want := range map[string]uint32{
		"755": 0o755, "4755": 0o4755, "004755": 0o4755, "7": 0o7,
		"+s": 0o6000, "=rwxs": 0o6755, "u+s": 0o4000, "g+s": 0o2000, "o+s": 0, "a+s": 0o6000,
		"u=rwxs,go=rx": 0o4755, "u=rwx,g=rwx,o=rwx": 0o777, "ug+rws": 0o6660,
		"u=rwx,go=u": 0o777, "u=rx,o=u": 0o505, "o=u": 0,
		"+w": 0o200, "a+w": 0o222, "o+wt": 0o1002, "+t": 0o1000, "u+t": 0,
		"a+rw,o-w": 0o664, "a+rw-w": 0o444, "a=rwx,o=": 0o770, "go+X": 0,
		"": 0, "u": 0, "7755 5": 0, "77777": 0, "8": 0, "u+q": 0, "q+u": 0, "u+" + shell.Unknown: 0, shell.Unknown: 0,
	} {
		if got := modeBits(mode); got != want {
			t.Errorf("%q sets %04o, want %04o", mode, got, want)
		}
	}
}

func TestSettings(t *testing.T) {
	for command, want := range map[string]string{
		"chmod 4755 a": "id", "/bin/chmod -R 777 a": "write", "chmod +s a": "id", "chmod 755 -R a": "", "chmod 666 /dev/null": "",
		"install -m 4755 a b": "id", "install -m4755 a b": "id", "install -o root -Dm4755 a b": "id", "install --mode=u+s a b": "id",
		"install -omary a b": "", "install -g staff -- -m4755 b": "", "install a b": "", "install -m": "",
		"install -d -m 0777 a": "write", "install -dm1777 a": "", "install -d -m 2755 a": "", "install -m 666 /dev/null a": "write",
		"mkdir -m 777 a": "write", "mkdir -pm777 a": "write", "mkdir --mode 777 a": "write", "mkdir -m 2775 a": "", "mkdir a": "",
		"dpkg-statoverride --update --add root crontab 2755 /usr/bin/crontab": "id",
		"dpkg-statoverride --list /usr/bin/crontab":                           "",
		"dpkg-statoverride --add root root 4755":                              "",
		"find a -exec chmod 777 {} ;":                                         "write",
		"find a -type d -exec chmod 2755 {} + -o -exec chmod 666 {} +":        "write",
		"find a -exec chmod 755 {} ; -name 777":                               "",
		"xargs -0 chmod 4755":                                                 "id",
		"xargs rm":                                                            "",
	} {
		got := ""
		for _, m := range settings(&shell.Step{Words: strings.Fields(command)}) {
			if m.setsID() {
				got += "id"
			}
			if m.othersWrite() {
				got += "write"
			}
		}
		if got != want {
			t.Errorf("%s: sets %q, want %q", command, got, want)
		}
	}
}
