//go:build !linux

package platform

import (
	"context"
	"fmt"
)

// nonblock: there is no such flag, nor such pipes.
const nonblock = 0

// Run answers that components are services of the system here.
func (p Product) Run(context.Context, []string) int {
	fmt.Fprintln(p.Stderr, "vpkg-hook: platform: the components are services of this system: use its service manager")
	return platformMisused
}
