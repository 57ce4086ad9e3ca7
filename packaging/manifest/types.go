package manifest

import (
	"io/fs"
	"time"
)

// A Manifest is a vpkg.yaml: what a product is, what it installs and what it
// needs. One manifest makes the packages of every target.
//
// Nothing in it is expanded: a $ is a $. What varies from build to build
// (version, payload, compression) is an option of `vpkg build`.
type Manifest struct {
	// The package's name, as the package databases spell it: lower case letters,
	// digits and + - . with a letter or digit first, at least two.
	Name string `yaml:"name"`
	// The version, X.Y.Z-BUILD: four whole numbers. A rebuild of the same X.Y.Z
	// takes a higher BUILD. RPM's Version is X.Y.Z and its Release BUILD.LABEL
	// (10.el8), DEB's version X.Y.Z-BUILD.LABEL. --version replaces it.
	Version Version `yaml:"version"`
	// The date of the package and of its files: 2026-01-31 (midnight UTC) or
	// 2026-01-31T12:00:00Z. SOURCE_DATE_EPOCH comes before it; without either, the
	// newest time in the payload.
	Date Date `yaml:"date,omitempty"`
	// What the product is, in one line without a final period.
	Summary string `yaml:"summary"`
	// What the product is, in any number of lines; an empty line starts a
	// paragraph. Without one, the summary.
	Description string `yaml:"description,omitempty"`
	// The licence as an SPDX expression, such as Apache-2.0, or LicenseRef-NAME.
	License string `yaml:"license"`
	// Who makes the product.
	Vendor string `yaml:"vendor,omitempty"`
	// Who packaged it, as NAME <MAIL>. DEB wants one.
	Maintainer string `yaml:"maintainer"`
	// The product's web page, http:// or https://.
	Homepage string `yaml:"homepage,omitempty"`
	// DEB's Section and RPM's Group, such as net or admin.
	Section string `yaml:"section,omitempty"`

	// The product's own folders.
	Folders Folders `yaml:"folders"`
	// The system account that the package makes. It is kept when the package is
	// removed, and removed with a DEB's purge if vpkg made it and nothing uses it.
	Account Account `yaml:"account,omitempty"`
	// The product's files as a whole: a folder, or an archive that is never
	// unpacked.
	Payload Payload `yaml:"payload,omitempty"`
	// What is installed beside the payload, and what replaces parts of it: an
	// entry here takes the place of the payload's at the same destination.
	Contents []Content `yaml:"contents,omitempty"`

	// The systemd units, in the order in which they are started; they are stopped
	// in reverse.
	Services []Service `yaml:"services,omitempty"`
	// The command that starts the product after its first installation, its program
	// relative to the program folder: [bin/init_Platform, start]. Services with
	// start are started without it.
	Start []string `yaml:"start,omitempty"`
	// The processes of the product's platform, in the order in which they are
	// started and supervised.
	Components []Component `yaml:"components,omitempty"`
	// Kernel modules to be loaded before the services start.
	Modules []Module `yaml:"modules,omitempty"`
	// Kernel settings, set after the modules are loaded and at each start; the old
	// values are given back when the product is removed.
	Sysctls []Sysctl `yaml:"sysctls,omitempty"`
	// A file of the administrator's with the sizes of the connection table, as
	// KEY=VALUE lines: CONNTRACK_MAX, CONNTRACK_HASH_SIZE, FW_STATE_TABLE_AUTO_RESIZE.
	Settings string `yaml:"settings,omitempty"`
	// How the product stands to the host's firewall.
	Firewall Firewall `yaml:"firewall,omitempty"`

	// What the package needs, per family: common, rpm, deb, or a label such as el8.
	// All that fit a target are added up, and vpkg's own are added to them.
	Dependencies map[string]Relations `yaml:"dependencies,omitempty"`
	// Shell to run besides vpkg's own scriptlets.
	Scripts Scripts `yaml:"scripts,omitempty"`
	// What to run when other packages or paths change.
	Triggers Triggers `yaml:"triggers,omitempty"`
	// What differs on some targets: keys are rpm, deb, msi, or a label such as el8.
	// The label's comes after the format's.
	Overrides map[string]Override `yaml:"overrides,omitempty"`

	// The product on Windows. It stands there by itself: of what is above only name,
	// version, date, summary, description, license, vendor, maintainer, homepage,
	// components and overrides.windows.contents hold for it.
	Windows Windows `yaml:"windows,omitempty"`

	// Adds the shared libraries that the payload's ELF files need and provide (RPM
	// only).
	RequiresELF bool `yaml:"requires_elf,omitempty"`
	// What changed, newest first.
	Changelog []Change `yaml:"changelog,omitempty"`
	// Where the hook writes what it does: /var/log/NAME-install.log without one.
	Log string `yaml:"log,omitempty"`
	// The prefix of the environment variables that the hook reads at install: with
	// VEN they are VEN_INSTALL_ACTION, VEN_NONPRIV_USER and so on. Upper case
	// letters and digits. Without one, the name in upper case with _ for - . and +,
	// and with PKG_ before it if it begins with a digit.
	EnvPrefix string `yaml:"env_prefix,omitempty"`
	// How the payload is compressed: zstd, gzip, xz or none, with an optional level
	// (zstd:19). Without one, what every release of the target reads.
	Compression Compression `yaml:"compression,omitempty"`

	file   string         // as errors name it
	folder folder         // where the files are that it names
	pos    map[string]pos // of every value, by its path: "contents[2].mode"
}

// Folders are the places that belong to the product.
type Folders struct {
	// The program folder: absolute, not a system folder. The package owns it and
	// what is in it.
	Program string `yaml:"program"`
	// The data folder: absolute, outside the program folder. The hook makes it when
	// the package is installed and it stays when the package is removed; only a
	// purge takes it away. Nothing can be packaged into it.
	Data string `yaml:"data,omitempty"`
	// The data folder's mode: "0750" without one.
	DataMode Mode `yaml:"data_mode,omitempty"`
	// Folders that the hook makes: inside the data folder, or elsewhere.
	Extra []Folder `yaml:"extra,omitempty"`
}

// A Folder is one that the hook makes at install and repairs at upgrade.
type Folder struct {
	// Absolute.
	Path string `yaml:"path"`
	// Octal, in quotes: "0750", which is also the mode without one.
	Mode Mode `yaml:"mode,omitempty"`
	// The account's user without one, else root.
	Owner string `yaml:"owner,omitempty"`
	// The account's group without one, else root.
	Group string `yaml:"group,omitempty"`
}

// An Account is a system user and its group.
type Account struct {
	// Letters, digits, _ and -, at most 31, a letter or _ first.
	User string `yaml:"user"`
	// The user's name without one.
	Group string `yaml:"group,omitempty"`
	// The home folder; it is not made. The data folder without one, else /.
	Home string `yaml:"home,omitempty"`
	// The login shell; the system's nologin without one.
	Shell string `yaml:"shell,omitempty"`
	// The comment field of /etc/passwd.
	Comment string `yaml:"comment,omitempty"`
}

// A Payload is the product's tree of files. They are root's; files have mode
// 0755 if they are executable and 0644 if not, and folders 0755, whatever the
// build host's umask. Attributes say what differs.
type Payload struct {
	// A folder, or an archive (.tar.gz, .tar.zst, .zip, .7z, …), beside the
	// manifest. --payload takes its place.
	Source string `yaml:"source,omitempty"`
	// Where the tree goes; the program folder without one.
	Destination string `yaml:"destination,omitempty"`
	// What differs from the defaults; the last that fits a path decides each field.
	Attributes []Attributes `yaml:"attributes,omitempty"`
	// What the payload has besides its source, as in the manifest's contents, which
	// come after it. --payload takes the place of these too.
	Contents []Content `yaml:"contents,omitempty"`
}

// Attributes are given to those entries of a tree whose path fits.
type Attributes struct {
	// The paths, relative to the tree's root: * and ? stay within a path element,
	// ** stands for any number of them, so that bin/** is bin and all in it.
	Match string `yaml:"match"`
	// The mode of regular files: octal, in quotes.
	Mode Mode `yaml:"mode,omitempty"`
	// The mode of folders: octal, in quotes.
	DirMode Mode `yaml:"dir_mode,omitempty"`
	// The user, root without one.
	Owner string `yaml:"owner,omitempty"`
	// The group, root without one.
	Group string `yaml:"group,omitempty"`
	// The administrator edits these files: an upgrade keeps the local version.
	Config bool `yaml:"config,omitempty"`
	// File capabilities, as setcap takes them: cap_net_admin=ep. DEBs
	// keep none and are refused.
	Caps string `yaml:"caps,omitempty"`
	// Leaves the entries out.
	Exclude bool `yaml:"exclude,omitempty"`
}

// A Content is one thing that is installed.
type Content struct {
	// file (also without a type), dir (an empty folder that the package owns),
	// symlink, tree (a folder or an archive with all that is in it), or ghost (a
	// path that the package owns but does not bring; RPM only, left out of DEBs).
	Type ContentType `yaml:"type,omitempty"`
	// Where the file or tree is, beside the manifest.
	Source string `yaml:"source,omitempty"`
	// In place of a source: a file with places, such as {{.Version}}, as in the
	// template of a service, beside the manifest.
	Template string `yaml:"template,omitempty"`
	// In place of a source: one of the programs that come with vpkg, such as
	// vpkg-agent, compiled for the target.
	Program string `yaml:"program,omitempty"`
	// Where it goes: absolute.
	Destination string `yaml:"destination"`
	// What a symlink points to.
	Target string `yaml:"target,omitempty"`
	// Octal, in quotes: "0644". Without one: 0755 for folders and for files that
	// are executable where they come from, 0644 for all other files.
	Mode Mode `yaml:"mode,omitempty"`
	// The user: root without one.
	Owner string `yaml:"owner,omitempty"`
	// The group: root without one.
	Group string `yaml:"group,omitempty"`
	// The administrator edits this file: an upgrade keeps the local version (RPM
	// %config(noreplace), DEB conffile).
	Config bool `yaml:"config,omitempty"`
	// File capabilities, as setcap takes them: cap_net_admin=ep. DEBs
	// keep none and are refused.
	Caps string `yaml:"caps,omitempty"`
	// What differs within a tree; the last that fits a path decides each field.
	Attributes []Attributes `yaml:"attributes,omitempty"`
}

// A ContentType says what a Content is.
type ContentType string

// The types of contents.
const (
	TypeFile    ContentType = "file"
	TypeDir     ContentType = "dir"
	TypeSymlink ContentType = "symlink"
	TypeTree    ContentType = "tree"
	TypeGhost   ContentType = "ghost"
)

// A Service is a systemd unit. It is installed in /usr/lib/systemd/system.
type Service struct {
	// The unit's name with its suffix, such as agent.service or agent.timer.
	Name string `yaml:"name"`
	// The unit file, taken as it is, beside the manifest.
	Source string `yaml:"source,omitempty"`
	// A unit file with places for {{.Name}}, {{.Version}}, {{.Summary}},
	// {{.Homepage}}, {{.Program}}, {{.Data}}, {{.User}} and {{.Group}}, in the
	// syntax of Go's text/template, beside the manifest.
	Template string `yaml:"template,omitempty"`
	// Starts at boot.
	Enable bool `yaml:"enable,omitempty"`
	// Starts when the package has been installed.
	Start bool `yaml:"start,omitempty"`
	// Works at a boot only, as what sets up a firewall before the network: it is not
	// restarted in an upgrade.
	AtBoot bool `yaml:"at_boot,omitempty"`
}

// A Component is one process of the product's platform.
type Component struct {
	// The name, such as agentd.
	Name string `yaml:"name"`
	// The program, relative to the program folder: bin/NAME without one.
	Program string `yaml:"program,omitempty"`
	// The program's arguments.
	Args []string `yaml:"args,omitempty"`
	// Runs as root; without it as the account.
	Root bool `yaml:"root,omitempty"`
}

// A Module is a kernel module.
type Module struct {
	// The name, such as nf_conntrack_ipv4.
	Name string `yaml:"name"`
	// What stands in for it, in order of preference, where the kernel has no such
	// module: nf_conntrack.
	Substitutes []string `yaml:"substitutes,omitempty"`
	// Without this module nothing can be started. Otherwise a missing one is a
	// warning.
	Required bool `yaml:"required,omitempty"`
	// What does not work where neither it nor a substitute is, for that warning:
	// logging of refused packets.
	For string `yaml:"for,omitempty"`
}

// A Sysctl is a kernel setting.
type Sysctl struct {
	// The name with dots: net.netfilter.nf_conntrack_tcp_timeout_established.
	Name string `yaml:"name"`
	// The value, in quotes: "28800".
	Value string `yaml:"value"`
}

// A Firewall says which services of the host the product replaces.
type Firewall struct {
	// The services that are stopped and disabled while the product has control, and
	// given back afterwards: iptables (also without a value), firewalld, nftables, ufw.
	Services []string `yaml:"services,omitempty"`
	// When control is taken: on-start (also without a value) when the product
	// starts, on-activation when it has been told to enforce a policy.
	Takeover Takeover `yaml:"takeover,omitempty"`
}

// A Takeover is the moment at which the product takes control of the firewall.
type Takeover string

// The moments of taking control.
const (
	OnStart      Takeover = "on-start"
	OnActivation Takeover = "on-activation"
)

// Windows is the product as a package for Windows Installer. Paths are those of a
// Windows host with slashes and without the drive.
type Windows struct {
	// The product's name in the list of installed programs, at most 63 characters.
	ProductName string `yaml:"product_name"`
	// What all versions of the product have in common: a GUID in capitals with
	// braces, made once and never changed.
	UpgradeCode string `yaml:"upgrade_code"`
	// The program folder, below /Program Files. The property INSTALLFOLDER of
	// msiexec puts it elsewhere.
	Program string `yaml:"program"`
	// The data folder, below /ProgramData. The property DATAFOLDER puts it elsewhere.
	// It stays when the product is removed, unless REMOVEDATA=1 is given.
	Data string `yaml:"data,omitempty"`
	// Folders in the data folder that the hook makes.
	Folders []string `yaml:"folders,omitempty"`
	// The product's files as a whole. --payload takes its place. Modes, owners and
	// capabilities mean nothing on Windows.
	Payload Payload `yaml:"payload,omitempty"`
	// What is installed beside the payload: files, trees and empty folders.
	Contents []Content `yaml:"contents,omitempty"`
	// The services, in the order in which they are started.
	Services []WindowsService `yaml:"services,omitempty"`
	// Values below HKEY_LOCAL_MACHINE.
	Registry []RegistryValue `yaml:"registry,omitempty"`
	// Environment variables of the system.
	Environment []EnvironmentVariable `yaml:"environment,omitempty"`
	// Help and updates in the list of installed programs, each an address.
	Help string `yaml:"help,omitempty"`
	// See help.
	Update string `yaml:"update,omitempty"`
	// Where the hook writes what it does: /Windows/Temp/NAME-install.log without one.
	Log string `yaml:"log,omitempty"`
}

// A WindowsService is registered with the service control manager, and taken away
// with the package.
type WindowsService struct {
	// The name, such as agentSvc.
	Name string `yaml:"name"`
	// The name that people see; the name without one.
	DisplayName string `yaml:"display_name,omitempty"`
	// What it is, in one line.
	Description string `yaml:"description,omitempty"`
	// Its program, relative to the program folder: bin/agent.exe.
	Program string `yaml:"program"`
	// The program's arguments.
	Args []string `yaml:"args,omitempty"`
	// When it starts: auto (also without a value) at boot, delayed some time later,
	// demand when somebody starts it, disabled never.
	Start ServiceStart `yaml:"start,omitempty"`
	// Starts when the package has been installed.
	AtInstall bool `yaml:"at_install,omitempty"`
	// The account: LocalSystem without one, or NT AUTHORITY\LocalService, …; no
	// account with a password.
	Account string `yaml:"account,omitempty"`
	// Services that have to run before it.
	Needs []string `yaml:"needs,omitempty"`
	// How long after its first, second and later failures it is started again:
	// [1s, 1m]. Without it, it stays down.
	Restart []Seconds `yaml:"restart,omitempty"`
}

// A ServiceStart says when a Windows service starts.
type ServiceStart string

// The start types.
const (
	StartAuto     ServiceStart = "auto"
	StartDelayed  ServiceStart = "delayed"
	StartDemand   ServiceStart = "demand"
	StartDisabled ServiceStart = "disabled"
)

// A RegistryValue is one value below HKEY_LOCAL_MACHINE, in the 64-bit view.
type RegistryValue struct {
	// The key: Software\Example\Agent.
	Key string `yaml:"key"`
	// The value's name; the key's default value without one.
	Name string `yaml:"name,omitempty"`
	// string (also without a type), expand, dword or multi.
	Type RegistryType `yaml:"type,omitempty"`
	// The value: of a dword a whole number, of multi with a new line between its
	// strings. [INSTALLFOLDER] stands for the program folder, with a backslash at its
	// end, as in all formatted text of Windows Installer.
	Value string `yaml:"value"`
}

// A RegistryType is a registry value's.
type RegistryType string

// The types of registry values.
const (
	RegistryString RegistryType = "string"
	RegistryExpand RegistryType = "expand"
	RegistryDword  RegistryType = "dword"
	RegistryMulti  RegistryType = "multi"
)

// An EnvironmentVariable is one of the system's.
type EnvironmentVariable struct {
	// The name.
	Name string `yaml:"name"`
	// The value; [INSTALLFOLDER] as in the registry.
	Value string `yaml:"value"`
	// set (also without an action) gives it the value, append and prepend add to a
	// list with semicolons, such as PATH.
	Action EnvironmentAction `yaml:"action,omitempty"`
}

// An EnvironmentAction says what becomes of a variable's old value.
type EnvironmentAction string

// The actions.
const (
	EnvironmentSet     EnvironmentAction = "set"
	EnvironmentAppend  EnvironmentAction = "append"
	EnvironmentPrepend EnvironmentAction = "prepend"
)

// Seconds is a span of time.
type Seconds int

// Relations are dependencies in the format's own syntax. In common, a relation
// is a name, or a name, an operator and a version (curl >= 7.60), and each
// format writes it its own way.
type Relations struct {
	// Needed to run.
	Requires []string `yaml:"requires,omitempty"`
	// Needed by the scriptlet that runs before unpacking: RPM's Requires(pre),
	// DEB's Pre-Depends.
	PreRequires []string `yaml:"prerequires,omitempty"`
	// Installed too by default.
	Recommends []string `yaml:"recommends,omitempty"`
	// Named as useful.
	Suggests []string `yaml:"suggests,omitempty"`
	// The reverse of recommends (RPM only).
	Supplements []string `yaml:"supplements,omitempty"`
	// The reverse of suggests.
	Enhances []string `yaml:"enhances,omitempty"`
	// Other names that this package stands for.
	Provides []string `yaml:"provides,omitempty"`
	// Cannot be installed beside it.
	Conflicts []string `yaml:"conflicts,omitempty"`
	// Cannot be configured beside it (DEB only).
	Breaks []string `yaml:"breaks,omitempty"`
	// Packages that this one takes the place of: RPM's Obsoletes, DEB's Replaces.
	Replaces []string `yaml:"replaces,omitempty"`
}

// Scripts are files of POSIX shell, beside the manifest. Each runs in a subshell
// before what vpkg does in that phase, with the package manager's arguments. If
// it fails at install, so does the package; at removal it is ignored, or the
// package could never be removed. The pre_install script cannot rely on the
// account.
type Scripts struct {
	// RPM %pre, DEB preinst.
	PreInstall string `yaml:"pre_install,omitempty"`
	// RPM %post, DEB postinst.
	PostInstall string `yaml:"post_install,omitempty"`
	// RPM %preun, DEB prerm.
	PreRemove string `yaml:"pre_remove,omitempty"`
	// RPM %postun, DEB postrm.
	PostRemove string `yaml:"post_remove,omitempty"`
}

// Triggers run when something else changes.
type Triggers struct {
	// DEB triggers, one directive a line as in deb-triggers(5):
	// interest-noawait /usr/lib/foo.
	DEB []string `yaml:"deb,omitempty"`
	// RPM triggers.
	RPM []RPMTrigger `yaml:"rpm,omitempty"`
}

// An RPMTrigger is a script that rpm runs when another package or file comes or
// goes.
type RPMTrigger struct {
	// triggerin, triggerun, triggerpostun, triggerprein, filetriggerin,
	// filetriggerun, filetriggerpostun, transfiletriggerin, transfiletriggerun or
	// transfiletriggerpostun.
	Kind string `yaml:"kind"`
	// Packages, such as kernel >= 5, or for file triggers path prefixes.
	Names []string `yaml:"names"`
	// The script, beside the manifest.
	Script string `yaml:"script"`
}

// An Override is what differs on a target.
type Override struct {
	// Added to the contents; one with the same destination takes the other's place.
	Contents []Content `yaml:"contents,omitempty"`
	// Takes the place of all relations of those kinds that are given here, vpkg's
	// own among them.
	Dependencies Relations `yaml:"dependencies,omitempty"`
	// Takes the place of those scripts that are given here.
	Scripts Scripts `yaml:"scripts,omitempty"`
	// Takes the place of the manifest's compression.
	Compression Compression `yaml:"compression,omitempty"`
}

// A Change is an entry of the changelog.
type Change struct {
	// The version, X.Y.Z-BUILD.
	Version Version `yaml:"version"`
	// The day: 2026-01-31.
	Date Date `yaml:"date"`
	// Who made it, as NAME <MAIL>; the maintainer without one.
	Author string `yaml:"author,omitempty"`
	// What changed, one item each.
	Changes []string `yaml:"changes"`
}

// A Version is X.Y.Z and a build number.
type Version struct {
	Number string // "24.2.1"
	Build  string // "10"
}

// A Date is a moment, in UTC.
type Date struct{ time.Time }

// A Mode is permission bits, with fs.ModeSetuid, fs.ModeSetgid and
// fs.ModeSticky. Set tells a mode of "0000" from none.
type Mode struct {
	Bits fs.FileMode
	Set  bool
}

// A Compression is a codec and its level.
type Compression struct {
	Codec string // "zstd", "gzip", "xz", "none"; empty means the target's default
	Level int    // in the codec's own scale; 0 means the codec's default
}
