//go:build !windows

package main

import "github.com/vpkg/vpkg/hooks"

// hostOf is this host.
func hostOf(hooks.Config) hooks.System { return hooks.Host{} }
