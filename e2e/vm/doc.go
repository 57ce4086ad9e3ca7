// Package vm has no code, only tests: they install the built-in product in
// virtual machines, for what depends on a kernel of one's own. Modules are
// loaded there, and some are missing; a machine is filtered before its first
// interface comes up; the power goes; SELinux enforces its policy. The rest is
// tested in boxes, which cost a hundredth: see package e2e.
package vm
