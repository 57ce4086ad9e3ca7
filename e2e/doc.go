// Package e2e has no code, only tests: they build the built-in product with
// `vpkg build` and install it with real package managers on real systems, on
// which package testbed has more.
package e2e
