//go:build linux

package testbed

// refused is the exit status of the guard, and of shells that cannot run a
// command; no program of a test uses it.
const refused = 125

// guard is the shell script that everything in a box is started by. Its
// arguments are the network namespaces in which nothing may be run, a "--", and
// the command. /proc/self is the shell's own child readlink, which shares its
// namespaces.
const guard = `
own=$(readlink /proc/self/ns/net)
case $own in net:*) ;; *) echo "testbed: refusing to run: the network namespace is unknown" >&2; exit 125;; esac
while [ "$1" != -- ]; do
	if [ "$1" = "$own" ]; then
		echo "testbed: refusing to run in the network namespace $own of the machine or of the tests" >&2
		exit 125
	fi
	shift
done
shift
exec "$@"
`

// guarded is the command line that runs argv behind the guard.
func guarded(argv ...string) []string {
	args := []string{"/bin/sh", "-c", guard, "guard"}
	args = append(args, forbidden()...)
	args = append(args, "--")
	return append(args, argv...)
}
