// Package library is what a library server knows and decides: the releases that it
// offers, the profiles and keys with which machines are paired, the machines
// themselves, their policies, and the log of all that.
//
// A [Library] works on two small interfaces: [Store] keeps the state and [Packages]
// the package files. Package sqlite and package folder are the ones there are.
// Decisions are made here, so that another Store has none to repeat.
//
// The package speaks no HTTP, and knows no package format and no manifest: how a
// package is read and how versions are ordered is given to it. The words are those
// of the documented REST API of the product (pairing_profiles, pairing_key,
// software/ven/releases) and of docs/protocol.md.
package library
