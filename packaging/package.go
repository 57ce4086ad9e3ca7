// Package packaging is the vocabulary that the rest of vpkg speaks: what a
// software package is (Package), what it lays down (Layout), how it is written
// and read (Format), and how two layouts differ (Diff).
//
// It knows no package format and no manifest, and needs only the standard
// library. Formats live in rpm, deb and msi; package manifest makes a Package
// from a vpkg.yaml; package payload reads folders and archives.
package packaging

import "time"

// A Package is everything that a package file says and carries. Writing one is
// a function of this value alone: two writes give the same bytes, whatever the
// host, the user, the clock or the number of cores.
//
// A Package that a Format read has the same fields as the one that was written,
// except that its entries have no Body.
type Package struct {
	Name    string // as the package database spells it: "illumio-ven"
	Epoch   uint32 // 0 means none
	Version string // without epoch and release: "24.2.1"
	Release string // RPM's Release, DEB's revision: "10.el8"; empty means none (DEB only)
	Arch    string // in the format's own spelling: "x86_64", "amd64", "noarch", "all"

	// FileName is the name of the package file without its folder. Empty means
	// the format's own convention: NAME-VERSION-RELEASE.ARCH.rpm,
	// NAME_VERSION-RELEASE_ARCH.deb.
	FileName string

	Summary     string // one line, no final period
	Description string // any number of lines
	License     string // an SPDX expression: "Apache-2.0"
	Vendor      string
	Maintainer  string // "Name <mail>"; RPM's Packager
	Homepage    string // a URL
	Group       string // RPM's Group, DEB's Section; empty means the format's default
	Priority    string // DEB's Priority; empty means "optional"

	// Date is the build time and the modification time of every entry that has
	// none of its own. It is never the clock's: see package manifest.
	Date time.Time

	Relations []Relation
	Scripts   []Script
	Triggers  []Trigger
	Changelog []Change // newest first

	// Layout is sorted by path and has no duplicates; see Validate.
	Layout Layout

	// Accounts are the users and groups that the package makes when it is
	// installed. RPM also declares them as Provides: user(NAME), group(NAME), on
	// which rpm 4.19 and later act before they unpack.
	Accounts []Account

	// Fields are extra control fields (DEB) in the order to be written. RPM
	// refuses them.
	Fields []Field

	// Members are extra files of the control archive (DEB), such as the hook that
	// preinst calls. RPM refuses them.
	Members []Member

	// Windows is what only MSI has a form for; MSI wants it, the others refuse it.
	Windows *Windows

	// Prefixes are RPM's relocatable folders; DEB refuses them.
	Prefixes []string

	// Compression of the payload. The zero value means the format's default.
	Compression Compression

	// Features are the rpmlib() features and limits of the target's own package
	// manager; nil means that everything the format can express is allowed. A
	// package that needs another is refused by the format's Write with the file or
	// the relation named. The keys are the format's: for RPM those of rpmlib(),
	// such as "PayloadIsZstd" or "LargeFiles".
	Features map[string]bool

	// RequiresELF adds the sonames and symbol versions that the payload's ELF files
	// need and provide (RPM only).
	RequiresELF bool
}

// Compression names a codec and its level.
type Compression struct {
	Codec string // "zstd", "gzip", "xz" or "none"; empty means the format's default
	Level int    // in the codec's own scale; 0 means the codec's default
}

// A RelationKind says how a package stands to another.
type RelationKind string

// The kinds of relations. Not every format has each: a format's Write refuses
// what it cannot express.
const (
	Requires    RelationKind = "requires"    // RPM Requires, DEB Depends
	PreRequires RelationKind = "prerequires" // DEB Pre-Depends, RPM Requires(pre)
	Recommends  RelationKind = "recommends"
	Suggests    RelationKind = "suggests"
	Supplements RelationKind = "supplements" // RPM only
	Enhances    RelationKind = "enhances"
	Provides    RelationKind = "provides"
	Conflicts   RelationKind = "conflicts"
	Breaks      RelationKind = "breaks"   // DEB only
	Replaces    RelationKind = "replaces" // RPM Obsoletes, DEB Replaces
)

// A Relation is a dependency in the format's own syntax.
type Relation struct {
	Kind RelationKind
	// Text is what follows the tag in a spec file or a control file:
	// "nftables >= 1.0", "(a or b)", "nftables | iptables", "libc6 (>= 2.31)".
	Text string
	// For lists the scriptlets that need the relation, as in RPM's
	// Requires(post,preun). Empty means the package itself.
	For []Phase
}

// A Phase names the moment at which a scriptlet runs.
type Phase string

// The phases, with rpm's and dpkg's names for them.
const (
	PreInstall   Phase = "pre-install"   // %pre, preinst
	PostInstall  Phase = "post-install"  // %post, postinst
	PreRemove    Phase = "pre-remove"    // %preun, prerm
	PostRemove   Phase = "post-remove"   // %postun, postrm
	PreTrans     Phase = "pre-trans"     // %pretrans
	PostTrans    Phase = "post-trans"    // %posttrans
	PreUnTrans   Phase = "pre-untrans"   // %preuntrans, rpm 4.19
	PostUnTrans  Phase = "post-untrans"  // %postuntrans, rpm 4.19
	VerifyScript Phase = "verify-script" // %verifyscript
	DebConfig    Phase = "config"        // debconf's config
)

// A Script is a scriptlet: text that the package manager runs as root.
type Script struct {
	Phase       Phase
	Interpreter []string // program and arguments; nil means /bin/sh. DEB takes it from the #! line
	Body        string   // for DEB with its #! line, for RPM without
}

// A Trigger runs when another package changes (RPM), or names an event that dpkg
// hands on (DEB).
type Trigger struct {
	// Kind is RPM's "triggerin", "triggerun", "triggerpostun", "triggerprein",
	// "filetriggerin", "filetriggerun", "filetriggerpostun", "transfiletriggerin",
	// "transfiletriggerun", "transfiletriggerpostun"; or DEB's directive:
	// "interest", "interest-noawait", "activate", "activate-noawait", ….
	Kind   string
	On     []string // RPM: relations or path prefixes; DEB: the trigger's name, one
	Script Script   // RPM only; its Phase is not used

	// Priority is an RPM file trigger's among those of all packages: the higher, the
	// earlier it runs. 0 means rpmbuild's default, 1,000,000.
	Priority uint32
}

// A Change is one entry of the changelog.
type Change struct {
	Date   time.Time
	Author string // "Name <mail> - version", as RPM writes it
	Text   string // lines, each with its bullet
}

// An Account is a system user with its group, or a group alone (User is empty).
type Account struct {
	User    string
	Group   string // empty means a group of the user's name
	Home    string // empty means "/"
	Shell   string // empty means the system's nologin
	Comment string
}

// A Field is one "Name: Value" line of a DEB control file.
type Field struct{ Name, Value string }

// A Member is one extra file of a DEB control archive.
type Member struct {
	Name string // no slash, no dot: dpkg would not remove "hook.json" with the package
	Mode uint32 // permission bits, such as 0o755
	Body Body
	Size int64 // bytes that Body gives
}

// EVR is the full version in the form that rpm and dpkg share:
// [EPOCH:]VERSION[-RELEASE].
func (p *Package) EVR() string {
	s := p.Version
	if p.Epoch != 0 {
		s = utoa(p.Epoch) + ":" + s
	}
	if p.Release != "" {
		s += "-" + p.Release
	}
	return s
}

// Script returns the scriptlet of a phase.
func (p *Package) Script(ph Phase) (Script, bool) {
	for _, s := range p.Scripts {
		if s.Phase == ph {
			return s, true
		}
	}
	return Script{}, false
}
