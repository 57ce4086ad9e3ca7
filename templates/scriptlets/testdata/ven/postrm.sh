#!/bin/sh
set -e
b=${0##*/} d=${0%/*}
case $b in *.*) h=$d/${b%.*}.hook ;; *) h=$d/hook ;; esac
if [ "$1" != purge ]; then
	[ ! -x "$h" ] || "$h" post-remove --format deb -- "$@" || :
	exit 0
fi

# dpkg has removed the hook before a purge.
root=${DPKG_ROOT:-} state=${DPKG_ROOT:-}/var/lib/vpkg/illumio-ven
rm -rf "$root"/opt/illumio_ven_data || :
user=ilo-ven group=ilo-ven
made() { grep -qsx "$1" "$state/made"; }
used() { grep -qs "\"user\": \"$user\"" "$root"/var/lib/dpkg/info/*.hook-config; }
owns() { for f in etc home opt srv usr/local var; do find "$root/$f" -xdev "$@" -print; done 2>/dev/null | grep -q .; }
if made "user $user" && ! used && ! owns -user "$user"; then
	userdel ${root:+--prefix "$root"} "$user" || : # refuses while a process runs as it
fi
if made "group $group" && ! used && ! owns -group "$group" && grep -qs "^$group:" "$root/etc/group"; then
	groupdel ${root:+--prefix "$root"} "$group" || :
fi
rm -rf "$state" "$root"/var/log/illumio_install.log || :
rmdir "$root/var/lib/vpkg" 2>/dev/null || :
exit 0
