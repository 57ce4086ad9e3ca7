#!/bin/sh
# agent_status.sh - tells how the components of the Illumio VEN are doing.
#
# Exit status: 0 if all of them are running, 1 if not, 2 if it was called wrongly.
self=$(readlink -f -- "$0") || exit 1
case $# in
0) ;;
*)
	echo "Usage: ${0##*/}" >&2
	exit 2
	;;
esac
"${self%/*}/vpkg-hook" platform status || exit 1
