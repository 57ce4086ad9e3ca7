// Package hooks is what a package does to a host besides laying down files. A
// scriptlet names the moment (an Event), Plan lists what is to be done then
// (Steps), and Run does it on a System, so that each of it can be undone.
//
// Everything that is decided is a plain function of values and tested without a
// host; everything that has an effect is behind System.
//
// Platform is the other part of the program: it starts and stops what was
// installed, on behalf of the administrator, the pairing script and systemd.
//
// The package is inside every RPM and DEB, as the program vpkg-hook: it needs
// the standard library and golang.org/x/sys only, and neither net/http nor
// crypto/tls.
package hooks
