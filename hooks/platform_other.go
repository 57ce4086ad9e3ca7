//go:build !linux

package hooks

import (
	"context"
	"fmt"
)

// Run answers that components are services of the system here.
func (p Platform) Run(context.Context, []string) int {
	fmt.Fprintln(p.Stderr, "vpkg-hook: platform: the components are services of this system: use its service manager")
	return platformMisused
}
