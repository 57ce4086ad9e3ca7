//go:build !embedprograms

package programs

import "embed"

const hasEmbedded = false

var embedded embed.FS // empty
