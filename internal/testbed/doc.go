// Package testbed gives tests real Linux systems to install packages on: Debian
// root file systems with the rpm, dnf, zypper, dpkg and systemd of several
// generations, cloned in milliseconds.
//
// Scriptlets run as root and change firewalls, sysctls and accounts. That is why
// no command ever runs in the network namespace or the root of the machine that
// runs the tests, in three layers:
//
//   - Main runs the whole test binary in mount, network, pid, ipc and uts
//     namespaces of its own. When it ends, however it ends, the kernel kills what
//     it left running and drops what it mounted.
//   - Each Box has another set of such namespaces, with a pivoted root: nothing of
//     the machine's file system can be reached from it.
//   - Before each command, a guard compares the network namespace that it is to run
//     in, which is held open, with the machine's and the test binary's.
//
// The boxes have no network but a loopback interface. What needs the network (the
// mirror, the module proxy) is done by Main before the tests start.
//
// What needs a kernel of its own, to load modules or to lose power, gets a VM: an
// emulated machine without a network device, at a hundred times the cost.
//
// Where a test cannot run (no root, no Linux, a tool is missing) it is skipped by
// name with the reason; VPKG_REQUIRE_INSTALL=1 makes that a failure.
package testbed
