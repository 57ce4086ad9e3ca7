// Package ven is the built-in product: the manifest of the Illumio VEN's
// reference payload and the files that it names.
//
// The layout is the one that the VEN's administration guides document. The
// programs are vpkg's own reference agent, not the vendor's.
package ven

import "embed"

// Manifest is the name of the manifest in Files.
const Manifest = "vpkg.yaml"

// Files holds the manifest and everything that it names, by the paths that it
// uses. Modes are the manifest's: an embed.FS keeps none.
//
//go:embed vpkg.yaml payload templates units
var Files embed.FS
