#!/bin/sh
# Run by mmdebstrap with the root file system's folder in $1: makes it bootable.
set -eu
cd "$1"

# The kernel alone is what qemu loads.
mv boot/vmlinuz-* vmlinuz.new
rm -rf boot/* vmlinuz vmlinuz.old initrd.img initrd.img.old
mv vmlinuz.new vmlinuz

# Not a first boot, which asks questions.
echo 0123456789abcdef0123456789abcdef >etc/machine-id
echo vm >etc/hostname
printf '127.0.0.1 localhost vm\n::1 localhost\n' >etc/hosts

# What the tests need none of. Emulated, each program costs a tenth of a second
# and more, at every boot, and generators do whenever systemd is told to look at
# its units again. There is no terminal to log in at, and the devices are known.
for unit in \
	apt-daily-upgrade.timer apt-daily.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	getty.target getty@tty1.service serial-getty@ttyS0.service systemd-logind.service systemd-user-sessions.service \
	dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-config.mount \
	sys-kernel-debug.mount sys-kernel-tracing.mount proc-sys-fs-binfmt_misc.automount \
	modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service \
	modprobe@fuse.service modprobe@loop.service systemd-udev-trigger.service \
	ldconfig.service selinux-autorelabel-mark.service systemd-hwdb-update.service \
	systemd-journal-catalog-update.service systemd-journal-flush.service systemd-pstore.service \
	systemd-random-seed.service systemd-sysusers.service systemd-tmpfiles-clean.timer \
	systemd-update-done.service systemd-update-utmp-runlevel.service systemd-update-utmp.service
do
	ln -sf /dev/null "etc/systemd/system/$unit"
done
mkdir -p etc/systemd/system-generators
for generator in usr/lib/systemd/system-generators/*; do
	ln -s /dev/null "etc/systemd/system-generators/${generator##*/}"
done

# The agent reads scripts from the second serial line, base64, one a line, and
# answers with three: exit status, stdout, stderr. Scripts see an environment as
# after a login, without what systemd gives a service, and write to pipes, as
# every program may whatever SELinux makes of it.
cat >usr/local/sbin/testbed-agent <<'EOF'
#!/bin/sh
set -u
stty -F /dev/ttyS1 raw -echo
umask 022
mkdir -p /run/packages /run/testbed
tar -x -f /dev/nvme1n1 -C /run/packages || exit
cd /run/testbed
( # Not the leader of a session: the line does not become its terminal.
	exec </dev/ttyS1 >/dev/ttyS1
	echo ready
	while read -r script; do
		echo "$script" | base64 -d >script
		{ {
			cd / && env -i HOME=/root LC_ALL=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
				PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
				sh /run/testbed/script </dev/null 3>&-
			echo $? >/run/testbed/status
		} 2>&1 >&3 3>&- | base64 -w 0 >stderr; } 3>&1 | base64 -w 0 >stdout
		for f in status stdout stderr; do echo "$(cat $f)"; done
	done
)
EOF
chmod 755 usr/local/sbin/testbed-agent
cat >etc/systemd/system/testbed-agent.service <<'EOF'
[Unit]
Description=Runs what the tests say
[Service]
ExecStart=/usr/local/sbin/testbed-agent
# What a script leaves running stays, as after a logout.
KillMode=process
# As after a login, where SELinux is on.
SELinuxContext=-unconfined_u:unconfined_r:unconfined_t:s0
[Install]
WantedBy=multi-user.target
EOF
ln -s ../testbed-agent.service etc/systemd/system/multi-user.target.wants/

# Labels for machines that boot with SELinux. Last: what is written after has none.
chroot . setfiles -F /etc/selinux/default/contexts/files/file_contexts /
