//go:build !linux && !windows

package platform

import (
	"context"
	"fmt"
)

// running looks at nothing: no product runs here.
func (v *verification) running(context.Context, bool) error { return nil }

// Verify answers that nothing can be installed here.
func (p Product) Verify(context.Context, bool) int {
	fmt.Fprintln(p.Stderr, "vpkg-hook: verify: no package is installed on this system")
	return platformMisused
}
