//go:build embedprograms

package programs

import "embed"

const hasEmbedded = true

// embedded holds bin/NAME_GOOS_GOARCH.zst, written by ./embed.
//
//go:embed bin/*.zst
var embedded embed.FS
