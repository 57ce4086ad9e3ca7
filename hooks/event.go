package hooks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Phase is the moment at which the package manager calls.
type Phase string

// The phases, as the hook's command line spells them.
const (
	PreInstall  Phase = "pre-install"  // %pre, preinst
	PostInstall Phase = "post-install" // %post, postinst
	PreRemove   Phase = "pre-remove"   // %preun, prerm
	PostRemove  Phase = "post-remove"  // %postun, postrm
	PreTrans    Phase = "pre-trans"    // %pretrans
	PostTrans   Phase = "post-trans"   // %posttrans
)

// Phases are all of them.
var Phases = []Phase{PreInstall, PostInstall, PreRemove, PostRemove, PreTrans, PostTrans}

// An Action is what happens to the package as a whole.
type Action string

// The actions. Empty means that it cannot be told, as in %posttrans, and does
// not matter.
const (
	Install   Action = "install"   // no version was there
	Upgrade   Action = "upgrade"   // by a later version
	Downgrade Action = "downgrade" // by an earlier version
	Reinstall Action = "reinstall" // by the same version
	Remove    Action = "remove"    // data and configuration stay
	Purge     Action = "purge"     // nothing stays
	Rollback  Action = "rollback"  // what was begun is taken back
)

// An Event is what one call of a scriptlet means.
type Event struct {
	Package string `json:"package"`
	Version string `json:"version"` // of the package whose scriptlet it is
	Phase   Phase  `json:"phase"`
	Action  Action `json:"action,omitempty"`

	// Offline says that only the files of the host may be changed: it is an image
	// or a chroot, or nothing is to be started yet. See Surroundings.
	Offline bool `json:"offline,omitempty"`

	// Open says that a later call finishes what this one begins, or takes it back,
	// as dpkg's postinst and postrm abort-install do after preinst.
	Open bool `json:"open,omitempty"`

	// Activate is the server, HOST:PORT, with which the product is to be activated
	// once it runs; empty means none. The code is in the file that ActivationCode
	// names.
	Activate string `json:"activate,omitempty"`

	// Labels says that the kernel enforces labels on files, SELinux's.
	Labels bool `json:"labels,omitempty"`

	// User is the account that the administrator chose for the services; empty
	// means the package's own.
	User string `json:"user,omitempty"`

	// Was is what was installed before.
	Was Installed `json:"-"`
}

// ErrUnknown is the error for what a later version of vpkg may have meant: a
// phase, a scriptlet's arguments or a journal that this one does not know. The
// host is left as it is.
var ErrUnknown = errors.New("not known to this version of the hook")

// FromRPM tells what a scriptlet of rpm means. Its argument is the number of
// instances of the package that there are when it has ended:
//
//	            install  upgrade  downgrade  reinstall  erase
//	%post (new)    1        2         2          2
//	%preun (old)            1         1          1        0
//	%posttrans     1      2 or 1    2 or 1     2 or 1
//
// Which of the three a 2 is, only the installed state can tell. zypper gives
// another number in %posttrans than rpm and dnf, so it is not looked at.
func FromRPM(p Phase, args []string, c Config, was Installed) (Event, error) {
	e := newEvent(p, c, was)
	switch p {
	case PostTrans, PreTrans:
		return e, nil
	case PreInstall, PostInstall, PreRemove, PostRemove:
	default:
		return Event{}, fmt.Errorf("rpm %s scriptlet: %w", p, ErrUnknown)
	}
	if len(args) == 0 {
		return Event{}, fmt.Errorf("rpm %s scriptlet: no instance count", p)
	}
	count, err := strconv.ParseUint(args[0], 10, 31)
	if err != nil {
		return Event{}, fmt.Errorf("rpm %s scriptlet: instance count %q is not a number", p, args[0])
	}
	switch removal := p == PreRemove || p == PostRemove; {
	case removal && count == 0:
		e.Action = Remove
	case removal:
		e.Action = Upgrade // or another change of version: the hook of the version that stays has the say
	case count <= 1:
		e.Action = Install
	case was.Unfinished != "":
		e.Action = was.Unfinished
	case was.Version == "":
		e.Action = Upgrade // of a package that vpkg did not make
	default:
		e.Action = change(was.Version, c.Version)
	}
	return e, nil
}

// FromDeb tells what a call of a maintainer script of dpkg means: Debian Policy
// 6.5, "Summary of ways maintainer scripts are called".
func FromDeb(p Phase, args []string, c Config, was Installed) (Event, error) {
	e := newEvent(p, c, was)
	verb, version := "", ""
	if len(args) > 0 {
		verb = args[0]
	}
	if len(args) > 1 {
		version = args[1]
	}
	type call struct {
		phase Phase
		verb  string
	}
	switch (call{p, verb}) {
	case call{PreInstall, "install"}: // [old-version [new-version]]: of one whose configuration is still there
		e.Action, e.Open = Install, true
	case call{PreInstall, "upgrade"}: // old-version [new-version]
		e.Action, e.Open = change(version, c.Version), true
	case call{PostInstall, "configure"}: // [most-recently-configured-version]
		switch {
		case was.Unfinished != "":
			e.Action = was.Unfinished // as preinst was told, or an earlier postinst that failed
		case version == "" || was.Version == "":
			e.Action = Install
		default:
			e.Action = change(version, c.Version)
		}
	case call{PreRemove, "remove"}: // [in-favour package version]
		e.Action, e.Open = Remove, true
	case call{PostRemove, "remove"}, call{PostRemove, "disappear"}: // disappear overwriter overwriter-version
		e.Action = Remove
	case call{PostRemove, "purge"}:
		e.Action = Purge
	case call{PreRemove, "upgrade"}, // new-version, to the old version's script
		call{PostRemove, "upgrade"},
		call{PreRemove, "failed-upgrade"}, // old-version new-version, to the new version's script
		call{PostRemove, "failed-upgrade"},
		call{PreRemove, "deconfigure"}: // in-favour package version [removing package version]
		e.Action = Upgrade // so there is nothing to do
	case call{PostInstall, "triggered"}: // trigger-names, of which no package of vpkg has any
	case call{PreInstall, "abort-upgrade"}, // new-version, to the old version's script
		call{PostInstall, "abort-upgrade"},
		call{PostInstall, "abort-remove"},      // [in-favour package new-version]
		call{PostInstall, "abort-deconfigure"}, // in-favour package version [removing package version]
		call{PostRemove, "abort-install"},      // [old-version new-version]
		call{PostRemove, "abort-upgrade"}:      // old-version new-version, to the new version's script
		e.Action = Rollback
	default:
		return Event{}, fmt.Errorf("dpkg %s script: %q: %w", p, args, ErrUnknown)
	}
	return e, nil
}

func newEvent(p Phase, c Config, was Installed) Event {
	return Event{Package: c.Name, Version: c.Version, Phase: p, User: was.User, Was: was}
}

// changes reports whether the event puts another version, or the same one again,
// in the place of one that is installed.
func (e Event) changes() bool {
	return slices.Contains([]Action{Upgrade, Downgrade, Reinstall}, e.Action)
}

// removal reports whether the event belongs to the way out, on which nothing may
// stop the package manager.
func (e Event) removal() bool { return e.Phase == PreRemove || e.Phase == PostRemove }

// change tells what it is to put version b in the place of version a.
func change(a, b string) Action {
	switch c := compareVersions(a, b); {
	case c < 0:
		return Upgrade
	case c > 0:
		return Downgrade
	}
	return Reinstall
}

// compareVersions orders versions as rpm and dpkg do where the two agree, which
// is enough to name an event: nothing that is done depends on it.
func compareVersions(a, b string) int {
	ae, a := epoch(a)
	be, b := epoch(b)
	if ae != be {
		return ae - be
	}
	for a != "" || b != "" {
		var x, y string
		x, a = cutWhile(a, isDigit, false)
		y, b = cutWhile(b, isDigit, false)
		if c := compareText(x, y); c != 0 {
			return c
		}
		x, a = cutWhile(a, isDigit, true)
		y, b = cutWhile(b, isDigit, true)
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// compareText orders what stands between numbers; a tilde comes before the end.
func compareText(x, y string) int {
	for x != "" && y != "" && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	weight := func(s string) int {
		switch {
		case s == "":
			return 0
		case s[0] == '~':
			return -1
		}
		return int(s[0])
	}
	return weight(x) - weight(y)
}

func epoch(v string) (int, string) {
	if e, rest, ok := strings.Cut(v, ":"); ok {
		n, _ := strconv.Atoi(e) // what is no number counts as none
		return n, rest
	}
	return 0, v
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// cutWhile cuts s where is(c) no longer has the value want.
func cutWhile(s string, is func(byte) bool, want bool) (before, rest string) {
	i := 0
	for i < len(s) && is(s[i]) == want {
		i++
	}
	return s[:i], s[i:]
}
