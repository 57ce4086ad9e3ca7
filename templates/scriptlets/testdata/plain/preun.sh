h=/opt/agent/bin/vpkg-hook
[ ! -x "$h" ] || "$h" pre-remove --format rpm -- "$1"
exit 0 # or the package could never be removed
