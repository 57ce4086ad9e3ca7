#!/bin/sh
set -e
b=${0##*/} d=${0%/*}
case $b in *.*) h=$d/${b%.*}.hook ;; *) h=$d/hook ;; esac
if [ "$1" != purge ]; then
	[ ! -x "$h" ] || "$h" post-remove --format deb -- "$@" || :
	exit 0
fi

# dpkg has removed the hook before a purge.
root=${DPKG_ROOT:-} state=${DPKG_ROOT:-}/var/lib/vpkg/agent
rm -rf "$state" "$root"/var/log/agent.log || :
rmdir "$root/var/lib/vpkg" 2>/dev/null || :
exit 0
