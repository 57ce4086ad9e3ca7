package hooks

// Surroundings are what tells an event on a running host from one in an image, a
// chroot or a container that is being built.
type Surroundings struct {
	Booted   bool                // systemd is PID 1: /run/systemd/system is there
	SameRoot bool                // our root is PID 1's: / and /proc/1/root are the same
	Labels   bool                // the kernel enforces SELinux's labels
	Refused  bool                // policy-rc.d says that nothing is to be started (Debian)
	Env      func(string) string // os.Getenv
}

// Offline says why nothing may be started, loaded or set, or returns "". All of
// that would happen on the machine on which an image is built.
func (s Surroundings) Offline(c Config) string {
	switch {
	case s.Env("DPKG_ROOT") != "":
		return "DPKG_ROOT is set"
	case s.Env("SYSTEMD_OFFLINE") == "1":
		return "SYSTEMD_OFFLINE is 1"
	case c.EnvPrefix != "" && s.Env(c.EnvPrefix+"INSTALL_ACTION") == "prepare":
		return c.EnvPrefix + "INSTALL_ACTION is prepare"
	case !s.Booted:
		return "systemd does not run"
	case !s.SameRoot:
		return "this is a chroot"
	case s.Refused:
		return "policy-rc.d refuses it"
	}
	return ""
}
