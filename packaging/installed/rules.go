package installed

import "github.com/vpkg/vpkg/packaging/verify"

// The names of the rules about files.
const (
	ruleMissing  = "missing"
	ruleExtra    = "extra"
	ruleType     = "type"
	ruleMode     = "mode"
	ruleOwner    = "owner"
	ruleGroup    = "group"
	ruleContent  = "content"
	ruleLink     = "link"
	ruleHardLink = "hardlink"
	ruleCaps     = "capabilities"
	ruleSELinux  = "selinux-type"
	ruleRecord   = "record"
)

// reinstall is what mends most of what is wrong with files.
const reinstall = "Find out who changed it; then install the package of the same version once more."

var rules = []verify.Rule{
	{
		Name: ruleMissing, Severity: verify.Error,
		What: "A file, folder or link of the package is not there.",
		Do:   reinstall,
		Explain: "The record, or the package, has an entry that the host has not. Of a folder that is missing one finding stands for all that was to be in it. " +
			"What the policy ignores may be missing: logs, runtime files and ghosts unless it says otherwise; and configuration files of an RPM that are marked so.",
	},
	{
		Name: ruleExtra, Severity: verify.Error,
		What: "Something is in the program's folder that the package did not put there.",
		Do:   "Find out what it is; remove it, or list its path among those that the policy ignores.",
		Explain: "The program's folder is the package's alone: what runs as root loads from it. A file that somebody has added may be loaded in place of another, or be run by whoever looks there. " +
			"Of a folder that is extra one finding stands for all that is in it. Folders that other packages put files into are not looked at.",
	},
	{
		Name: ruleType, Severity: verify.Error,
		What:    "An entry is of another type: a file where a folder or a link is to be, a device where a file is.",
		Do:      reinstall,
		Explain: "Nothing else is said about such an entry. It is never opened. A folder that the hook makes may be a link to a folder: the hook leaves it as it is.",
	},
	{
		Name: ruleMode, Severity: verify.Error,
		What:    "An entry has other permission bits, setuid, setgid and sticky among them.",
		Do:      "Give it the mode that it is to have, with chmod, or install the package once more.",
		Explain: "Modes decide who can change what runs as root. Links have none of their own. Of an RPM that says %verify(not mode) they are not compared.",
	},
	{
		Name: ruleOwner, Severity: verify.Error,
		What:    "An entry belongs to another user.",
		Do:      "Give it to its owner with chown; if that user does not exist, install the package once more, which makes it.",
		Explain: "Owners are compared by name, with the accounts of the host that is verified: what belongs to a number without a name is shown with its number. rpm -V says nothing where the owner that a package names does not exist; this does.",
	},
	{
		Name: ruleGroup, Severity: verify.Error,
		What:    "An entry belongs to another group.",
		Do:      "Give it to its group with chgrp; if that group does not exist, install the package once more, which makes it.",
		Explain: "As for owner.",
	},
	{
		Name: ruleContent, Severity: verify.Error,
		What:    "What a file holds is not what the package put there.",
		Do:      reinstall,
		Explain: "Its size or its SHA-256 is another one. A file of another size is not read. Configuration files may differ unless the policy says otherwise.",
	},
	{
		Name: ruleLink, Severity: verify.Error,
		What:    "A symbolic link points elsewhere.",
		Do:      reinstall,
		Explain: "What it points to is compared as text. Whether something is there does not matter.",
	},
	{
		Name: ruleHardLink, Severity: verify.Error,
		What:    "Two names of one file are two files, or the other way round.",
		Do:      reinstall,
		Explain: "A package can lay down one file under several names. A copy in place of a name is not changed with the others; a name that was made of two files changes both.",
	},
	{
		Name: ruleCaps, Severity: verify.Error,
		What:    "A file has other capabilities.",
		Do:      "Set them with setcap, or install the package once more.",
		Explain: "Capabilities give a program some of root's rights, whoever runs it (capabilities(7)). They are compared as sets, however they are spelt. Those of a user's namespace are others than the host's.",
	},
	{
		Name: ruleSELinux, Severity: verify.Error,
		What:    "A file has another SELinux type than the host's policy gives it.",
		Do:      "Run restorecon on it; if that is not what you want, change the policy with semanage fcontext.",
		Explain: "It is looked at where SELinux is enabled and matchpathcon tells, on the running host alone. A package does not say types: what is compared is the host's own policy.",
	},
	{
		Name: ruleRecord, Severity: verify.Error,
		What: "The record of what was installed is not the package's.",
		Do:   "Do not trust the other findings: verify with --package and the package file, then install the package once more.",
		Explain: "The record, etc/layout.json in the program's folder, says what the package laid down. Its own SHA-256 stands in the package, and rpm's and dpkg's databases keep it. " +
			"A record that is missing, damaged, open to everybody or another one than the database knows proves nothing about the files. " +
			"Where it is stands in the installed state, /var/lib/vpkg/NAME/installed.json: without that there is nothing to compare with.",
	},
	state("unit-disabled", "A unit that is to start at boot does not.", "Enable it with systemctl enable."),
	state("unit-stopped", "A unit that is to run does not.", "Look at its log; start the product."),
	state("unit-overridden", "A unit's text is changed by another file on the host.", "Look at it with systemctl cat; remove what changes it, with systemctl revert."),
	state("unit-masked", "A unit is masked, so that nothing can start it.", "Unmask it with systemctl unmask."),
	state("module", "A kernel module that the product needs is not loaded.", "Restart the product, which loads it, or load it with modprobe."),
	state("sysctl", "A kernel setting is not what the product sets.", "Find out who sets it; restart the product, which sets it again."),
	state("firewall", "The rules of the packet filter are not those in force.", "Find out who changed them; restart the product, which puts its own in force again."),
	state("process-account", "A process of the product runs as another user.", "Restart the product."),
	state("failed", "The installation has failed.", "Do what the message says, and install the package once more."),
	state("recovery", "The product could not give back all that it had changed on the host.", "Do what the file recovery.txt says, and remove it."),
	state("unfinished", "An installation or removal has begun and not ended.", "Install the package once more, which ends it."),
}

// state is a rule about what is in force, which the product itself knows.
func state(name, what, do string) verify.Rule {
	return verify.Rule{
		Name: name, Severity: verify.Error, What: what, Do: do,
		Explain: "It is looked at on the running host alone, as far as the product's own configuration says what is to be. " +
			"Where there is no systemd, or the product does not use what this is about, nothing is looked at. `vpkg-hook verify` finds the same.",
	}
}

// Rules lists the rules about hosts, those about files first.
func Rules() []verify.Rule { return append([]verify.Rule(nil), rules...) }
