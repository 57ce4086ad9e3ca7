// Package wine has no code, only tests: they build packages for Windows with
// `vpkg build` and install them with Wine's Windows Installer, each test on a
// Windows of its own without a network.
//
// What Wine cannot prove, a script on a real Windows can: docs/windows.md.
package wine
