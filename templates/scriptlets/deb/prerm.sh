#!/bin/sh
set -e
b=${0##*/} d=${0%/*}
case $b in *.*) h=$d/${b%.*}.hook ;; *) h=$d/hook ;; esac
[ ! -x "$h" ] || "$h" pre-remove --format deb -- "$@" || :
exit 0 # or the package could never be removed
