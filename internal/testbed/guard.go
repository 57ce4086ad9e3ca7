//go:build linux

package testbed

import (
	"fmt"
	"os"
	"slices"
	"syscall"
)

// guardNet refuses a network namespace that is the machine's or the tests' own.
func guardNet(net *os.File) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(net.Fd()), &st); err != nil {
		return fmt.Errorf("testbed: refusing to run: the network namespace is unknown: %w", err)
	}
	if own := fmt.Sprintf("net:[%d]", st.Ino); slices.Contains(forbidden(), own) {
		return fmt.Errorf("testbed: refusing to run in the network namespace %s of the machine or of the tests", own)
	}
	return nil
}

// guard is the shell script that a box is started by. Its arguments are the network
// namespaces in which nothing may be run, a "--", and the command. /proc/self is the
// shell's own child readlink, which shares its namespaces.
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
