//go:build !linux && !windows

package platform

import (
	"context"
	"fmt"
)

// Run answers that components are services of the system here.
func (p Product) Run(context.Context, []string) int {
	fmt.Fprintln(p.Stderr, "vpkg-hook: platform: the components are services of this system: use its service manager")
	return platformMisused
}
