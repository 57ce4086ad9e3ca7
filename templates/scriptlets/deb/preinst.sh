#!/bin/sh
set -e
b=${0##*/} d=${0%/*}
case $b in *.*) h=$d/${b%.*}.hook ;; *) h=$d/hook ;; esac
exec "$h" pre-install --format deb -- "$@"
