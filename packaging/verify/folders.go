package verify

import (
	"path"
	"slices"
	"strings"
)

// systemFolders are those of Fedora's and RHEL's package filesystem, and of
// systemd's, that packages are seen to own by mistake: rpm refuses to install a
// package that has one of them with another mode or owner. Modes are those there.
var systemFolders = map[string]uint32{
	"/bin": 0o555, "/boot": 0o555, "/dev": 0o755, "/etc": 0o755, "/etc/X11": 0o755,
	"/etc/init.d": 0o755, "/etc/opt": 0o755, "/etc/pki": 0o755,
	"/etc/skel": 0o755, "/etc/sysconfig": 0o755, "/etc/systemd": 0o755,
	"/etc/systemd/system": 0o755, "/etc/xdg": 0o755, "/home": 0o755, "/lib": 0o555, "/lib/systemd": 0o755, "/lib/systemd/system": 0o755,
	"/lib64": 0o555, "/media": 0o755, "/mnt": 0o755, "/opt": 0o755, "/proc": 0o555, "/root": 0o550, "/run": 0o755, "/sbin": 0o555, "/srv": 0o755,
	"/sys": 0o555, "/tmp": 0o1777, "/usr": 0o755, "/usr/bin": 0o555, "/usr/games": 0o755, "/usr/include": 0o755, "/usr/lib": 0o555,
	"/usr/lib/debug": 0o755, "/usr/lib/systemd": 0o755, "/usr/lib/systemd/system": 0o755, "/usr/lib/systemd/user": 0o755, "/usr/lib/sysusers.d": 0o755,
	"/usr/lib/tmpfiles.d": 0o755, "/usr/lib64": 0o555, "/usr/libexec": 0o755, "/usr/local": 0o755,
	"/usr/local/bin": 0o755, "/usr/local/etc": 0o755, "/usr/local/lib": 0o755, "/usr/local/sbin": 0o755, "/usr/local/share": 0o755, "/usr/sbin": 0o555,
	"/usr/share": 0o755, "/usr/share/applications": 0o755, "/usr/share/doc": 0o755,
	"/usr/share/icons": 0o755, "/usr/share/info": 0o755, "/usr/share/licenses": 0o755, "/usr/share/locale": 0o755, "/usr/share/man": 0o755,
	"/usr/share/man/man1": 0o755, "/usr/share/man/man2": 0o755, "/usr/share/man/man3": 0o755, "/usr/share/man/man4": 0o755, "/usr/share/man/man5": 0o755,
	"/usr/share/man/man6": 0o755, "/usr/share/man/man7": 0o755, "/usr/share/man/man8": 0o755, "/usr/share/pixmaps": 0o755, "/usr/src": 0o755,
	"/var": 0o755, "/var/cache": 0o755, "/var/lib": 0o755, "/var/local": 0o755, "/var/log": 0o755, "/var/mail": 0o755, "/var/opt": 0o755,
	"/var/run": 0o755, "/var/spool": 0o755, "/var/tmp": 0o1777,
}

// sharedFolders are further ones that many packages put files into.
var sharedFolders = []string{
	"/etc/cron.d", "/etc/cron.daily", "/etc/default", "/etc/logrotate.d", "/etc/pam.d", "/etc/profile.d", "/etc/security", "/etc/ssl", "/etc/sudoers.d",
	"/etc/sysctl.d", "/lib/udev", "/lib/udev/rules.d", "/usr/lib/udev", "/usr/lib/udev/rules.d", "/usr/share/bash-completion", "/usr/share/bash-completion/completions",
}

// isShared reports whether a folder is the system's or one that many packages put
// files into.
func isShared(dir string) bool {
	if _, ok := systemFolders[dir]; ok || dir == "/" || slices.Contains(sharedFolders, dir) {
		return true
	}
	for _, p := range []string{"/usr/share/man/", "/usr/share/locale/", "/etc/rc", "/usr/lib/python3", "/usr/share/perl", "/usr/lib/modules"} {
		if strings.HasPrefix(dir, p) {
			return true
		}
	}
	return strings.Contains(path.Base(dir), "-linux-gnu")
}

// isProgramFolder reports whether what is in a folder is there to be run.
func isProgramFolder(dir string) bool {
	return slices.Contains([]string{"bin", "sbin"}, path.Base(dir))
}

// isBuildFolder gives the folder of a build that a path is in; empty if it is in
// none.
func isBuildFolder(p string) string {
	for _, d := range []string{"/home/", "/root/", "/Users/", "/builddir/", "/tmp/", "/var/tmp/", "/build/"} {
		if strings.HasPrefix(p, d) {
			return strings.TrimSuffix(d, "/")
		}
	}
	for _, d := range []string{"/rpmbuild/", "/BUILDROOT/", "/debian/tmp/"} {
		if i := strings.Index(p, d); i >= 0 {
			return p[:i+len(d)-1]
		}
	}
	return ""
}

// The accounts that every system has: those of Debian's base-passwd, and of Fedora's
// and RHEL's setup, with those that systemd and udev make.
var systemAccounts = map[string][]string{
	"deb": strings.Fields(`root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc _apt nobody nogroup
		adm tty disk kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev staff users
		input sgx kvm render crontab netdev systemd-journal systemd-network systemd-timesync systemd-resolve systemd-coredump messagebus ssh _ssh ssl-cert`),
	"rpm": strings.Fields(`root bin daemon adm lp sync shutdown halt mail operator games ftp nobody
		sys tty disk mem kmem wheel cdrom man dialout floppy tape video lock audio users utmp utempter input kvm render sgx
		ssh_keys systemd-journal systemd-network systemd-resolve systemd-coredump dbus messagebus polkitd sshd www nogroup trusted shadow`),
}
