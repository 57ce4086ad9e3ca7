h={{sh .Hook}}
[ ! -x "$h" ] || "$h" pre-remove --format rpm -- "$1"
exit 0 # or the package could never be removed
