package verify

// rules are in the order of docs/verify.md. Most look at what no format's own linter
// does, or hold for several formats alike.
var rules = []rule{
	{Rule{
		"damaged", Error,
		"The package is not what its maker wrote.",
		"Fetch it again; if it stays so, ask who published it.",
		`Every digest that the package carries is made anew and compared: of an RPM those of its header, of its payload as it stands in the file and uncompressed, and of each file; of a DEB the MD5 sum of each file that md5sums names; of an MSI the checksum of each block of its cabinets and the MD5 sums of MsiFileHash. Structures that do not fit together count too. The finding says where in the file or in which of the package's files it is.

A DEB carries no digest of itself: who changes one can change md5sums with it. Only a signature says that nobody did.`,
	}, nil},
	{Rule{
		"no-digest", Info,
		"Files of a DEB have no digest.",
		"Name every file but the conffiles in md5sums, as dh_md5sums does; a signature is of all of them.",
		`The first line that is printed of the package has "digests partial". Nothing in the package tells when one of the files that md5sums does not name is another one. A DEB without md5sums has "digests none". Conffiles do not count: dh_md5sums leaves them out.`,
	}, nil},
	{Rule{
		"signature", Error,
		"A signature does not fit the package.",
		"Fetch the package again, and the signature with it; do not install what stays so.",
		`The package was changed after it was signed, or the signature is damaged. Signatures are checked with --keys (RPM, DEB) and --roots (MSI). Without them a signature is "not checked", which is neither good nor bad. That an MSI was changed after it was signed is found without --roots too; anybody can have signed it then.`,
	}, nil},
	{Rule{
		"unsigned", Info,
		"The package has no signature.",
		"Sign it: vpkg sign, see docs/signing.md. rpm 6 refuses unsigned packages by default.",
		`Digests show damage, and not who made the package. With --keys or --roots a package without a good signature fails the verification.

This finding stands in the first line that is printed of a package, and in the JSON.`,
	}, nil},
	{Rule{
		"layout", Error,
		"A file, folder or link is not what the manifest says.",
		"Build the package again from this manifest, or correct the manifest.",
		`With --manifest the manifest is resolved for the system and the architecture of the package, as vpkg build does it, and both layouts are compared: paths, types, modes, owners, groups, sizes, digests, link targets, configuration, capabilities.

The system is found by the package's release, 10.el8 for el8; --os names it where there is none. The version and the date are the package's, as if vpkg build had been given them with --version and SOURCE_DATE_EPOCH. Programs of a signed MSI are compared by their presence alone, for they carry signatures.`,
	}, nil},
	{Rule{
		"manifest", Error,
		"What the package says about itself is not what the manifest says.",
		"Build the package again from this manifest, or correct the manifest.",
		`With --manifest, what is no file is compared too: name, architecture, relations, accounts, scriptlets and triggers, and the services of an MSI. Another version is told as information.`,
	}, nil},

	{Rule{
		"world-writable", Error,
		"Everybody on the host can change a file, or what is in a folder.",
		"Take the right to write away from others; give a folder for all the sticky bit (1777).",
		`What everybody can write, everybody can replace: a program that root runs next, a library, a setting. A folder without the sticky bit lets everybody remove and replace the files of others. Links have no mode of their own and do not count.

A scriptlet that sets such a mode counts as well: by chmod, also of find and xargs, by install, mkdir or dpkg-statoverride.`,
	}, checkWorldWritable},
	{Rule{
		"setuid", Warning,
		"A program runs with the rights of its owner or group, whoever starts it.",
		"Take the bit away and give the program a capability or a service; if it has to stay, list it under except with the reason.",
		`Each such program is a door that has to hold against everybody on the host. Reviews ask for a list of them, and a policy with exceptions is one. Linux ignores the bits on scripts. A scriptlet that sets the bits counts as well, by chmod, install or dpkg-statoverride, since the package's list of files does not show it. Folders do not count.`,
	}, checkSetuid},
	{Rule{
		"capabilities", Warning,
		"A program has capabilities, whoever starts it.",
		"Keep to those that it needs, and list it under except with the reason; or let its unit give them (AmbientCapabilities=).",
		`Some capabilities are as good as root: cap_sys_admin, cap_dac_override, cap_sys_ptrace. An RPM carries capabilities; a DEB cannot, so that setcap in postinst is what is found there, and dpkg takes them away with each upgrade.`,
	}, checkCaps},
	{Rule{
		"odd-mode", Warning,
		"The mode of a file or folder makes no sense.",
		"Correct the mode: folders 0755 or 0750, programs 0755, files 0644.",
		`Found are folders that some can list and not enter, folders that their owner cannot enter, programs that others can run and the owner cannot, and files without any right. They are mostly a mode in decimal, or the builder's umask.`,
	}, checkOddModes},
	{Rule{
		"private-key", Error,
		"A file has a private key in it.",
		"Take it out, and make it on each host at installation; a key that was published has to be replaced.",
		`Whoever has the package has the key. Found is PEM and OpenPGP's armor with a key after its label, in any file, also within JSON. What names the label only, as programs do that read keys, is none, and neither is a key of few different characters.

In documentation, examples and tests it is information.`,
	}, nil},
	{Rule{
		"secret", Error,
		"A file has a token or an access key in it.",
		"Take it out and revoke it: it is as good as published.",
		`Found are tokens that are known by their form: of AWS, GitHub, GitLab, Slack, Stripe, npm, Docker Hub and age. Passwords are not looked for: they have no form. What the finding shows of a token is its beginning.

In documentation, examples and tests it is information.`,
	}, nil},
	{Rule{
		"build-path", Warning,
		"A file has a path of the build in it.",
		"Build with -trimpath (Go), -ffile-prefix-map (C) or --remap-path-prefix (Rust); take the path of the build root out of texts.",
		`Programs are looked at for paths of source files in homes, in /tmp, in /builddir and in GOPATH's module cache; texts for the folders of rpmbuild. Such a path tells about the builder, makes each build another one, and in a text mostly means that something looks for its files where they never are.`,
	}, nil},
	{Rule{
		"build-host", Warning,
		"The package names the host that it was built on.",
		"Set a fixed name: rpmbuild's %_buildhost; do not write hostname into files.",
		`A name within a file is a warning: it makes each build another one and tells about your network. The name in an RPM's header alone is information, for rpmbuild puts it there by itself. The names localhost and reproducible are nobody's.`,
	}, checkBuildHost},
	{Rule{
		"build-time", Info,
		"A file has the time of its build in it.",
		"Set SOURCE_DATE_EPOCH for the build; use gzip -n.",
		`Two builds of the same source then differ. Found are C's __DATE__ with __TIME__ in programs, and times in the headers of gzip files, of which the package's own date is not one: a time that is the package's was fixed for the build, and an older one is the source's.`,
	}, nil},
	{Rule{
		"link-leaves", Error,
		"A link leads into a folder of the build, or above the root.",
		"Make the link relative to where it is installed.",
		`The link was made for the tree in which the package was built: on a host it leads nowhere, or into somebody's home. A relative link that climbs above the root means another file in each chroot and image.`,
	}, checkLinks},
	{Rule{
		"link-dangling", Warning,
		"A link leads to what is not in the package, in a folder that is the product's own.",
		"Correct the target, or package it.",
		`Only targets in folders are looked at that are the product's alone: those below /opt, those of its name, and those that it declares. What is elsewhere may be another package's. Where the package requires others of the same product, it is information. Folders that vpkg's hook makes count as there.`,
	}, checkDangling},
	{Rule{
		"link-absolute", Info,
		"A link leads to another file of the package by an absolute path.",
		"Make it relative: it then also holds in chroots, images and relocated packages.",
		`In a tree that is mounted elsewhere, as rpm --root, dpkg --root and image builders have it, an absolute link leads out of it, to the host's file.`,
	}, checkAbsoluteLinks},
	{Rule{
		"outside-folders", Warning,
		"A file is outside of the folders that are declared.",
		"Move it, or declare its folder: folders in .vpkg-verify.yaml.",
		`With folders in the policy, or with --manifest, all that the package lays down has to be in one of them. Without them the program folder of vpkg's own packages counts, with the units and the documentation; what a manifest puts elsewhere is then information. Of other packages nothing is declared, and nothing is found.`,
	}, checkOutside},
	{Rule{
		"system-folder", Warning,
		"The package owns a folder that is the system's.",
		"Take the folder out of the package; keep what is in it.",
		`An RPM that owns /usr, /etc or /opt with another mode or owner than the package filesystem does cannot be installed: that is an error. With the same mode it can, and is removed with the wrong package one day. A DEB lists the folders above its files by custom, and dpkg leaves those alone that are there; so only one with another owner or mode is found.`,
	}, checkSystemFolders},
	{Rule{
		"owner-not-made", Error,
		"A file is of a user or group that nobody makes before it is unpacked.",
		"Make the account in %pre or preinst, or by sysusers with Provides: user(NAME); or require the package that does.",
		`rpm gives a file to root whose owner does not exist, and only warns; dpkg does so without a word. Made is an account by useradd, groupadd, adduser or addgroup in %pre or preinst, by an RPM's Provides: user(), or by vpkg's hook. postinst and sysusers.d with an old rpm come too late. Accounts of every system count as there. Where another package of the product is required, it is information.`,
	}, checkOwners},
	{Rule{
		"unit-account", Warning,
		"A unit runs as a user or group that nobody makes.",
		"Make the account in a scriptlet or by sysusers.d, or use DynamicUser=yes.",
		`systemd does not start such a unit: it fails with 217/USER or 216/GROUP.`,
	}, checkUnitAccounts},
	{Rule{
		"unit-program", Error,
		"A unit or service runs a program that is not in the package.",
		"Correct the path, or package the program.",
		`Looked at are ExecStart, ExecStartPre and ExecStop of systemd's units where the program is in a folder of the product's own, and the services of an MSI. A program whose failure does not matter (-) need not be there. Where the package requires others of the same product, it is information.`,
	}, checkUnitPrograms},
	{Rule{
		"not-executable", Warning,
		"What is in a folder of programs cannot be run.",
		"Set the mode 0755, give the script its #! line, or move the file.",
		`Found are programs and scripts in bin and sbin without the right to be run, and texts that can be run and do not begin with #!: the kernel refuses them, and only some shells help out.`,
	}, checkNotExecutable},
	{Rule{
		"interpreter", Warning,
		"The interpreter of a script is neither in the package nor required.",
		"Require the package that has it, or correct the #! line.",
		`rpmbuild and debhelper add such requirements by themselves, tools that make packages of folders do not. Shells, Perl, sed and awk count as there. A relation of any strength that names the interpreter is enough. An interpreter in a folder of the build is always wrong.`,
	}, checkInterpreter},
	{Rule{
		"config-not-marked", Warning,
		"A file in /etc is no configuration file to the package manager.",
		"Mark it: %config(noreplace), conffiles, config: true.",
		`An upgrade replaces it and whatever the administrator wrote into it, without a question and without a copy.`,
	}, checkConfig},
	{Rule{
		"config-in-usr", Warning,
		"A configuration file is in /usr.",
		"Put it into /etc, and a default that nobody changes into /usr without the mark.",
		`/usr may be read-only, shared by hosts, or replaced as a whole by an image. Packages that are not the distribution's have their configuration in /opt/NAME or /etc/opt/NAME too, which is fine.`,
	}, checkConfigInUsr},
	{Rule{
		"empty-package", Warning,
		"The package does nothing.",
		"Look at what the build should have put into it.",
		`It has neither a file, but for documentation, nor a relation to another package, nor a script. It is mostly a payload that was not there when the package was built.`,
	}, checkEmpty},
	{Rule{
		"version-below-changelog", Warning,
		"The version sorts lower than the newest one in the changelog.",
		"Raise the version or the epoch: rpm and dpkg take the package for an older one.",
		`Versions are compared as the package manager does it. Mostly a scheme changed, 2024.1 to 1.0, or a tilde is missing. A DEB whose source has another version is passed over.`,
	}, checkChangelog},

	{Rule{
		"script-not-read", Info,
		"A scriptlet could not be looked at.",
		"Look at it by hand; sh -n says whether it is a script at all.",
		`What follows about scriptlets was not checked for it: it does not parse, or is larger than what is looked at.`,
	}, checkScriptParses},
	{Rule{
		"script-deletes-data", Error,
		"A scriptlet deletes data in an upgrade.",
		`Ask for $1 first: [ "$1" = 0 ] in %preun and %postun, purge in postrm.`,
		`The old version's %preun, %postun, prerm and postrm run in each upgrade, in an RPM's even after the new version is there. The scriptlet is traced as in an upgrade: found is what deletes folders in /etc, /opt, /srv, /home, /usr/local or in /var's lib, log and spool, and what removes accounts. Caches and temporary folders do not count. In a DEB, deleting them when the package is removed is a warning: that is for purge.`,
	}, checkDeletesData},
	{Rule{
		"script-systemctl", Warning,
		"A scriptlet calls systemctl where there may be no systemd.",
		"Put it behind [ -d /run/systemd/system ], or behind || :.",
		`In containers, chroots and image builds there is no systemd to talk to, or no systemctl at all. Under set -e the installation then fails. The scriptlet is traced as on such a host; systemctl that is reached and whose failure is not dealt with is found. Questions such as is-active are not.`,
	}, checkSystemctl},
	{Rule{
		"script-hides-failure", Warning,
		"A scriptlet that installs ends with success whatever fails.",
		"Let it fail, and put || : behind those commands alone that may.",
		`An installation that did half of its work looks like a good one. Found are a script all of which stands before || true, set +e that is never taken back, and trap 'exit 0' EXIT, in %pre, %post, preinst and postinst. Scripts that remove may do so: see script-removal-fails.`,
	}, checkHidesFailure},
	{Rule{
		"script-removal-fails", Warning,
		"A scriptlet that removes can fail, and then the package cannot be removed.",
		"End with exit 0, and put || : behind what may fail.",
		`rpm does not remove a package whose %preun fails, and dpkg leaves one half-removed whose prerm or postrm does; an upgrade fails too. The scriptlet is traced for removal, upgrade and purge. Found are an exit with another status than 0; a last command that fails for sure, as [ "$1" = 0 ] && … does in an upgrade; and commands that fail when what they stop or take away is gone, under set -e or as the last ones of an RPM's. What debhelper wrote is passed over.`,
	}, checkRemovalFails},
	{Rule{
		"script-network", Warning,
		"A scriptlet needs the network.",
		"Package what it fetches, or leave it to the product's first start.",
		`Hosts without the way out, image builds and mirrors fail or hang in it, and what is fetched is covered by no signature of the package.`,
	}, checkNetwork},
	{Rule{
		"script-package-manager", Error,
		"A scriptlet calls the package manager.",
		"Use a relation to the other package.",
		`The package manager holds its lock while the scriptlet runs: the call fails, or waits for itself for ever. Questions such as rpm -q and dpkg --compare-versions are not found.`,
	}, checkPackageManager},
	{Rule{
		"service-left-stopped", Error,
		"An upgrade stops a service, and nothing starts it again.",
		"Stop only when removing ($1), or restart: in %postun or %posttrans, in postinst.",
		`rpm runs the new version's %post before the old one's %preun: a start in %post is undone by a stop in %preun, so that only %postun and %posttrans count. dpkg runs the old prerm first, so that postinst counts. The scriptlets are traced as in an upgrade, for services whose unit or init script is in the package. vpkg's hook does all of this by itself.`,
	}, checkLeftStopped},

	{Rule{
		"record", Error,
		"The package does not agree with its own record.",
		"Build the package again: it was changed after vpkg made it.",
		`A package of vpkg's carries etc/layout.json, what it lays down, and in its metadata the digest of it. Verifiers of hosts rely on both. Found is a record with another digest, and files that are not as the record says.`,
	}, checkRecord},
	{Rule{
		"hook-config", Error,
		"The hook's configuration does not agree with the package.",
		"Build the package again: it was changed after vpkg made it.",
		`Scriptlets of vpkg's packages call vpkg-hook, which does what etc/hook.json says. Found are a configuration that is not one, or of another package or version, units and services that are not there, a missing hook, and in a DEB another hook or configuration in the control archive than in the payload.`,
	}, checkHookConfig},

	{Rule{
		"unused-exception", Info,
		"An exception of the policy passes over nothing.",
		"Take it out of the policy, or correct its paths.",
		`It is told when none of the packages that were verified had such a finding. An exception that is not used hides the next mistake.`,
	}, nil},
}
