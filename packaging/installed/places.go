//go:build !windows

package installed

import "github.com/vpkg/vpkg/hooks"

// places would say where a product is: everywhere but on Windows, where its paths say.
func places(hooks.Config) map[string]string { return nil }
